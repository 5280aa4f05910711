//! PostgreSQL looks at what it holds once a process has taken in much of it, by import or by pulling, and nothing fails where it may
//! not.

use std::fs;

use kaopu::store::statistics::LOOK_AFTER;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use tokio::runtime::Runtime;

use crate::acts::penalties;
use crate::city::City;
use crate::database::{Database, Kind};
use crate::federation::{Federation, kaopu, said};
use crate::line::{Office, place, publish, until};

/// What PostgreSQL believes: rows of all statements, and whether it was asked to look at two of the tables.
async fn believed(url: &str) -> (i64, bool, bool) {
    let sql = "SELECT c.reltuples::BIGINT, r.last_analyze IS NOT NULL, s.last_analyze IS NOT NULL \
               FROM pg_class c, pg_stat_user_tables r, pg_stat_user_tables s \
               WHERE c.relname = 'statement' AND r.relname = 'record' AND s.relname = 'subject'";
    let mut connection = PgConnection::connect(url).await.unwrap();
    let believed = sqlx::query_as(sql).fetch_one(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    believed
}

#[test]
fn postgres_looks_after_a_large_import_where_it_may_and_the_import_ends_well_where_it_may_not() {
    let runtime = Runtime::new().unwrap();
    let database = runtime.block_on(Database::new(Kind::Postgres));
    let federation = Federation::on(database.url(), &["340500", "310107"]);
    let city = &federation.nodes[0];
    let rows = u32::try_from(LOOK_AFTER).unwrap() + 500;
    let file = |name: &str, numbers: std::ops::RangeInclusive<u32>| {
        let rows: String = numbers.map(|number| penalties::row(number, "2026-01-15", "91350100M000100Y43")).collect();
        let path = city.dir.join(name);
        fs::write(&path, format!("{}{rows}", penalties::HEADER)).unwrap();
        path.to_str().unwrap().to_owned()
    };

    // a user who may read and write, and does not own the tables
    let clerk = format!("clerk_{}", database.url().split(['/', '?']).find(|part| part.starts_with("test")).unwrap());
    runtime.block_on(async {
        let mut owner = PgConnection::connect(database.url()).await.unwrap();
        let sql = format!(
            "CREATE ROLE {clerk} LOGIN; GRANT ALL ON ALL TABLES IN SCHEMA public TO {clerk}; \
             GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {clerk}; GRANT ALL ON SCHEMA public TO {clerk}"
        );
        owner.execute(AssertSqlSafe(sql)).await.unwrap();
        owner.close().await.unwrap();
    });
    let config = fs::read_to_string(city.config()).unwrap();
    fs::write(city.config(), config.replace("postgres://kaopu@", &format!("postgres://{clerk}@"))).unwrap();
    let import = |file: &str| {
        let mut command = kaopu();
        command.args(["import", file, "--kind", "penalty", "-c"]).arg(city.config()).env("KAOPU_LOG", "kaopu=warn");
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        said(&output)
    };
    let journal = import(&file("示例.csv", 1..=rows));
    let told = "could not have PostgreSQL look at what was taken in";
    assert_eq!(journal.matches(told).count(), 1, "{journal}");
    assert!(journal.contains("this user does not own its tables"), "{journal}");
    let (known, ..) = runtime.block_on(believed(database.url()));
    assert!(known <= 0, "{known}");

    // its owner has it look after the next import, however small that is
    fs::write(city.config(), config).unwrap();
    let journal = import(&file("另一.csv", rows + 1..=rows + 1));
    assert!(!journal.contains(told), "{journal}");
    let (known, ..) = runtime.block_on(believed(database.url()));
    assert!(known >= i64::from(rows), "{known}");
    runtime
        .block_on(until("the figures say so", || async { matches!(believed(database.url()).await, (_, true, true)) }));
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_looks_while_the_log_of_a_peer_is_pulled() {
    let (tcp, url) = place().await;
    let mut issuer = Office::new(City::new("340500", &url)).await;
    let mut puller = Office::in_a(Kind::Postgres, City::new("310107", "https://127.0.0.1:1")).await;
    issuer.knows(&[&puller.city]).await;
    puller.knows(&[&issuer.city]).await;
    let records = issuer.publishes().await;
    let size = LOOK_AFTER + 500;
    let mut first = 1;
    while first < size {
        let end = (first + 4096).min(size);
        first = publish(&records, (first..end).map(|number| issuer.city.penalty(number)).collect()).await.size;
    }
    let (known, ..) = believed(puller.database.url()).await;
    assert!(known <= 0, "{known}");
    issuer.serve(tcp);
    puller.pull();
    puller.holds(&issuer.city.records(), size).await;
    until("it has looked", || async {
        let (known, records, subjects) = believed(puller.database.url()).await;
        known >= LOOK_AFTER as i64 && records && subjects
    })
    .await;
    puller.rest().await;
    issuer.close().await;
}
