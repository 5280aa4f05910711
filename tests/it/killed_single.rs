//! What is said by command and held for a second person, killed within each of its transactions: by SIGKILL, while the database
//! keeps it waiting there. The same command given again does the whole, once.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use kaopu::config::Config;
use kaopu::store::Db;
use kaopu::store::hold::{HoldLimits, HoldRow};
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, SqliteConnection};
use tokio::runtime::Runtime;

use crate::acts::{penalties::row, publish};
use crate::ceremony::{done_by, persons, refused, secret_of};
use crate::database::{Database, Kind};
use crate::federation::{DEADLINE, Federation, Node, kaopu, records};

const CODE: &str = "91350100M000100Y43";
/// A writer that holds the database for so long without a gap is kept waiting in it.
const STUCK: Duration = Duration::from_millis(500);

/// Whatever changes a table in this way does not come to its end.
enum Stall {
    /// A count that takes years.
    Sqlite(SqliteConnection),
    /// A lock that the test holds.
    Postgres(PgConnection),
}

impl Stall {
    async fn at(url: &str, place: &str) -> Self {
        if let Some(path) = url.strip_prefix("sqlite:") {
            let mut connection = SqliteConnection::connect(&format!("sqlite:{path}")).await.unwrap();
            let sql = format!(
                "PRAGMA busy_timeout = 10000; CREATE TABLE stall (n INTEGER); INSERT INTO stall WITH RECURSIVE c (n) AS \
                 (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 2000) SELECT n FROM c; CREATE TRIGGER stalled BEFORE {place} \
                 BEGIN SELECT COUNT(*) FROM stall a, stall b, stall c, stall d WHERE a.n + b.n + c.n + d.n = 7; END; \
                 PRAGMA busy_timeout = 0;"
            );
            connection.execute(AssertSqlSafe(sql)).await.unwrap();
            return Self::Sqlite(connection);
        }
        let mut connection = PgConnection::connect(url).await.unwrap();
        let sql = format!(
            "SELECT pg_advisory_lock(4711); CREATE FUNCTION stall() RETURNS trigger LANGUAGE plpgsql AS \
             'BEGIN PERFORM pg_advisory_xact_lock(4711); RETURN NEW; END'; \
             CREATE TRIGGER stalled BEFORE {place} FOR EACH ROW EXECUTE FUNCTION stall()"
        );
        connection.execute(AssertSqlSafe(sql)).await.unwrap();
        Self::Postgres(connection)
    }

    /// Waits until somebody is kept waiting there.
    async fn reached(&mut self) {
        match self {
            Self::Sqlite(connection) => {
                let mut free = Instant::now();
                until("a writer is stuck", async || {
                    let begun = connection.execute("BEGIN IMMEDIATE").await;
                    if begun.is_ok() {
                        connection.execute("ROLLBACK").await.unwrap();
                        free = Instant::now();
                    }
                    free.elapsed() > STUCK
                })
                .await;
            }
            Self::Postgres(connection) => {
                let sql = "SELECT COUNT(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted \
                           AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
                until("a writer is stuck", async || {
                    sqlx::query_scalar::<_, i64>(sql).fetch_one(&mut *connection).await.unwrap() == 1
                })
                .await;
            }
        }
    }

    /// Lets everybody through again, once whoever was there is gone.
    async fn lift(self, place: &str) {
        let table = place.rsplit(' ').next().unwrap();
        match self {
            Self::Sqlite(mut connection) => {
                let sql = "PRAGMA busy_timeout = 10000; DROP TRIGGER stalled; DROP TABLE stall";
                connection.execute(sql).await.unwrap();
                connection.close().await.unwrap();
            }
            Self::Postgres(mut connection) => {
                connection.execute("SELECT pg_advisory_unlock(4711)").await.unwrap();
                let sql = "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
                until("the server has noticed", async || {
                    sqlx::query_scalar::<_, i64>(sql).fetch_one(&mut connection).await.unwrap() == 0
                })
                .await;
                let sql = format!("DROP TRIGGER stalled ON {table}; DROP FUNCTION stall()");
                connection.execute(AssertSqlSafe(sql)).await.unwrap();
                connection.close().await.unwrap();
            }
        }
    }
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < DEADLINE, "still not so: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn start(node: &Node, name: &str, args: &[&str]) -> Child {
    let mut command = kaopu();
    command.args(args).args(["--as", name, "--json", "-c"]).arg(node.config()).env("KAOPU_SECRET", secret_of(name));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Runs a command and kills it in the midst of the transaction that changes a table in this way.
fn kill_within(place: &str, node: &Node, name: &str, args: &[&str]) {
    let config = Config::load(&node.config()).unwrap();
    Runtime::new().unwrap().block_on(async {
        let mut stall = Stall::at(config.store.expose(), place).await;
        let mut running = start(node, name, args);
        stall.reached().await;
        assert!(running.try_wait().unwrap().is_none(), "it runs still");
        running.kill().unwrap();
        running.wait().unwrap();
        stall.lift(place).await;
    });
}

fn size(node: &Node) -> u64 {
    records(&node.json(&["status"]))["size"].as_u64().unwrap()
}

fn about<'a>(command: &[&'a str], number: &'a str) -> Vec<&'a str> {
    [command, &["--number", number, "--code", CODE, "--hold"]].concat()
}

fn is_whole_or_nothing(kind: Kind) {
    let database = Runtime::new().unwrap().block_on(Database::new(kind));
    let federation = Federation::on(database.url(), &["340500", "310107"]);
    let city = &federation.nodes[0];
    publish(city, &(1..=4).map(|number| row(number, "2026-01-15", CODE)).collect::<Vec<_>>());
    persons(city);
    let before = size(city);
    let repair = ["repair", "--type", "终止公示", "--authority", "示例局", "--reason", "已纠正"];
    let commands = [
        about(&repair, "示罚〔2026〕1号"),
        about(&["withdraw", "--reason", "误报"], "示罚〔2026〕2号"),
        about(&["dispute", "raise", "--reason", "有异议"], "示罚〔2026〕3号"),
    ];
    for (said, command) in commands.iter().enumerate() {
        kill_within("INSERT ON held_rows", city, "li", command);
        let status = city.json(&["status"])["held"].clone();
        assert_eq!((&status["waiting"], &status["first"]), (&json!(0), &json!([])), "nothing is left behind");
        assert_eq!(city.json(&["upload", "list"]).as_array().unwrap().len(), said + 1);
        // somebody else may do it, and whoever did
        let held = done_by(city, if said == 1 { "wang" } else { "li" }, command);
        let other = if said == 1 { "li" } else { "wang" };
        let id = held["hold"]["upload"].to_string();
        assert_eq!(held["hold"]["state"], "held");
        // the answer was lost: it stands
        refused(city, other, command, "待复核");

        // whoever approves it is killed before the approval stands, and behind it
        kill_within("UPDATE ON upload_hold", city, other, &["upload", "approve", &id]);
        assert_eq!(city.json(&["upload", "show", &id])["hold"]["state"], "held");
        kill_within("INSERT ON event", city, other, &["upload", "approve", &id]);
        assert_eq!(city.json(&["upload", "show", &id])["hold"]["state"], "approved");
        assert_eq!(size(city), before + said as u64, "and nothing is said");
        for again in ["approved and cut off, it goes on", "once more is the same receipt"] {
            assert_eq!(done_by(city, other, &["upload", "approve", &id])["published"], 1, "{again}");
        }
        assert_eq!(size(city), before + said as u64 + 1);
    }
}

#[test]
fn a_single_event_that_is_killed_while_it_is_held_leaves_nothing_or_all_on_sqlite() {
    is_whole_or_nothing(Kind::Sqlite);
}

#[test]
fn a_single_event_that_is_killed_while_it_is_held_leaves_nothing_or_all_on_postgres() {
    is_whole_or_nothing(Kind::DurablePostgres);
}

/// Earlier versions held in two transactions, and left what they had begun when they were killed between.
#[test]
fn what_was_begun_by_an_earlier_version_is_told_and_goes_on() {
    let federation = Federation::of_strangers(&["340500"]);
    let city = &federation.nodes[0];
    publish(city, &[row(1, "2026-01-15", CODE)]);
    persons(city);
    let withdraw = about(&["withdraw", "--reason", "误报"], "示罚〔2026〕1号");
    let first = done_by(city, "li", &withdraw)["hold"]["upload"].as_i64().unwrap();
    done_by(city, "li", &["upload", "refuse", &first.to_string(), "--reason", "示例"]);
    let begun = Runtime::new().unwrap().block_on(async {
        let db = Db::open(Config::load(&city.config()).unwrap().store.expose()).await.unwrap();
        let upload = db.upload(first).await.unwrap().unwrap();
        let hold = HoldRow { state: "holding".to_owned(), ..upload.hold.clone().unwrap() };
        let begun = db.begin_hold(&upload, &hold, &HoldLimits { uploads: 9, bytes: 0 }).await.unwrap().unwrap();
        db.close().await;
        begun
    });
    let id = begun.id.to_string();
    let one = city.json(&["status"])["held"]["first"][0].clone();
    assert_eq!((&one["upload"], &one["unfinished"]), (&json!(begun.id), &json!(true)));
    refused(city, "wang", &["upload", "approve", &id], "尚未完成");
    refused(city, "wang", &withdraw, "li goes on with the same command");
    let held = done_by(city, "li", &withdraw);
    assert_eq!((&held["hold"]["upload"], &held["hold"]["state"]), (&json!(begun.id), &json!("held")));
    assert_eq!(done_by(city, "wang", &["upload", "approve", &id])["published"], 1);
}
