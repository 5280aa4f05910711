//! `kaopu import` of a list of repairs, and `kaopu upload approve` of one that was held, killed again and again: run again they
//! go on, say each repair once, and end in one receipt for the whole list.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use kaopu::store::Db;
use kaopu::store::upload::UploadRow;
use serde_json::Value;
use tempfile::TempDir;

use crate::acts::penalties;
use crate::ceremony::secret_of;
use crate::database::{Database, Kind};
use crate::federation::{DEADLINE, kaopu, said};
use crate::whole;

const ROWS: u64 = 1100;
/// Each of these rows repeats the one before it.
const REPEATED: u64 = 10;
const CODE: &str = "91350100M000100Y43";
/// After so many kills it may come to its end.
const KILLS: u32 = 3;

/// A node with penalties, two persons, and a list that repairs them.
struct City {
    _folder: TempDir,
    config: String,
    list: String,
    db: Db,
}

impl City {
    async fn new(database: &Database) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let (dir, penalties, list) = (path("340500"), path("处罚.csv"), path("修复.csv"));
        let rows: Vec<String> = (1..=ROWS).map(|n| penalties::row(n as u32, "2026-01-15", CODE)).collect();
        std::fs::write(&penalties, format!("{}{}", penalties::HEADER, rows.concat())).unwrap();
        let header = "修复类型,决定书文号,统一社会信用代码,修复决定机关,修复决定日期,生效日期,理由\n";
        let number = |row: u64| if row.is_multiple_of(REPEATED) { row - 1 } else { row };
        let repair =
            |row| format!("终止公示,示罚〔2026〕{}号,{CODE},示例局,2026-09-20,2026-09-20,已纠正\n", number(row));
        let repairs: String = (1..=ROWS).map(repair).collect();
        std::fs::write(&list, format!("{header}{repairs}")).unwrap();
        let init = ["init", "--unencrypted", &dir, "--node", "340500", "--name", "示例市", "--store", database.url()];
        done(&mut command(&init));
        let city = Self { config: format!("{dir}/node.toml"), list, db: database.open().await, _folder: folder };
        done(city.command(&["user", "add", "li"]).env("KAOPU_NEW_SECRET", secret_of("li")));
        let mut wang = city.command(&["user", "add", "wang", "--as", "li"]);
        done(wang.env("KAOPU_NEW_SECRET", secret_of("wang")).env("KAOPU_SECRET", secret_of("li")));
        done(&mut city.command(&["import", &penalties, "--kind", "penalty"]));
        city
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = command(args);
        command.args(["--json", "-c", &self.config]);
        command
    }

    async fn list_row(&self) -> Option<UploadRow> {
        self.db.uploads(1).await.unwrap().pop().filter(|row| row.kind == "repair")
    }

    /// Starts what publishes the list, and kills it once it has published something: until the kills are used up, or it has
    /// come to its end by itself.
    async fn kill_while_it_publishes(&self, start: impl Fn() -> Child) {
        let (mut seen, mut killed) = (0, 0);
        while killed < KILLS {
            let mut running = start();
            let begun = Instant::now();
            while self.list_row().await.is_none_or(|row| row.next_row <= seen || !is_publishing(&row)) {
                assert!(begun.elapsed() < DEADLINE, "nothing was published");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            running.kill().unwrap();
            running.wait().unwrap();
            let row = self.list_row().await.unwrap();
            assert_eq!(row.counts.published + row.counts.refused, row.next_row, "what was committed is whole");
            seen = row.next_row;
            whole::check(&self.db).await;
            if row.finished_ms.is_some() {
                break;
            }
            killed += 1;
        }
        assert!(killed > 0, "it was never cut off");
    }

    /// The whole list is said, each repair once.
    async fn is_whole(&self, receipt: &Value) {
        let (refused, published) = (ROWS / REPEATED, ROWS - ROWS / REPEATED);
        assert_eq!(
            (receipt["read"].as_u64(), receipt["published"].as_u64()),
            (Some(ROWS), Some(published)),
            "{receipt}"
        );
        let faults = receipt["faults"].as_array().unwrap();
        assert_eq!(faults.len() as u64, refused);
        assert!(faults.iter().all(|fault| fault["code"] == "E301" && fault["row"].as_u64().unwrap() % REPEATED == 0));
        let again = done(&mut self.command(&["import", &self.list, "--kind", "repair"]));
        assert_eq!((again["published"].as_u64(), again["skipped"].as_u64()), (Some(0), Some(published)));
        let log = self.db.log(&"kaopu/340500/records/1".parse().unwrap()).await.unwrap().unwrap();
        assert_eq!(log.size, 1 + ROWS + published, "each repair once, behind the penalties");
        whole::check(&self.db).await;
    }
}

fn is_publishing(row: &UploadRow) -> bool {
    row.hold.as_ref().is_none_or(|hold| hold.state == "approved")
}

fn command(args: &[&str]) -> Command {
    let mut command = kaopu();
    command.args(args).stdin(Stdio::null());
    command
}

fn done(command: &mut Command) -> Value {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", said(&output));
    serde_json::from_slice(&output.stdout).unwrap_or_default()
}

fn quietly(mut command: Command) -> Child {
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

async fn a_list_that_is_killed_goes_on(kind: Kind) {
    let database = Database::new(kind).await;
    let city = City::new(&database).await;
    let import = || city.command(&["import", &city.list, "--kind", "repair"]);
    city.kill_while_it_publishes(|| quietly(import())).await;
    let receipt = match city.list_row().await.unwrap().finished_ms {
        None => done(&mut import()),
        Some(_) => done(&mut city.command(&["upload", "show", "2"])),
    };
    city.is_whole(&receipt).await;
}

async fn an_approval_that_is_killed_goes_on(kind: Kind) {
    let database = Database::new(kind).await;
    let city = City::new(&database).await;
    let by = |name: &str, args: &[&str]| {
        let mut command = city.command(args);
        command.args(["--as", name]).env("KAOPU_SECRET", secret_of(name));
        command
    };
    let held = done(&mut by("li", &["import", &city.list, "--kind", "repair", "--hold"]));
    let id = held["hold"]["upload"].as_i64().unwrap().to_string();
    assert_eq!((&held["hold"]["state"], &held["published"]), (&"held".into(), &(ROWS - ROWS / REPEATED).into()));
    let approve = || by("wang", &["upload", "approve", &id]);
    city.kill_while_it_publishes(|| quietly(approve())).await;
    city.is_whole(&done(&mut approve())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_is_killed_goes_on_on_sqlite() {
    a_list_that_is_killed_goes_on(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_is_killed_goes_on_on_postgres() {
    a_list_that_is_killed_goes_on(Kind::DurablePostgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_that_is_killed_goes_on_on_sqlite() {
    an_approval_that_is_killed_goes_on(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_that_is_killed_goes_on_on_postgres() {
    an_approval_that_is_killed_goes_on(Kind::DurablePostgres).await;
}
