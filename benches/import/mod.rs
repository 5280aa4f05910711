//! An upload of penalties imported as `kaopu import` does: read, judged, signed, logged, stored.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kaopu::clock::Clock;
use kaopu::import::PersonKey;
use kaopu::import::upload::{Import, Origin};
use kaopu::import::weigh::Punctuality;
use kaopu::log::appender::Submission;
use kaopu::record::{Calendar, Rules};
use kaopu::statement::Kinds;
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use crate::database::{Database, Kind};
use crate::own_log::{NOW, OwnLog};
use crate::penalty_file;

/// An imported log: where it is, and how long that took.
pub struct Imported {
    pub database: Database,
    pub log: i64,
    pub size: i64,
    pub spent: Duration,
}

/// Imports a file of `rows` invented penalties into an empty store.
pub async fn measure(kind: Kind, rows: u64) -> Imported {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("示例.csv");
    penalty_file::write(&file, rows, u64::MAX);
    let database = Database::new(kind).await;
    let db = database.open().await;
    let own = OwnLog::of("kaopu/340500/records/1");
    let records = own.start(&db).await;
    let descriptor = Submission { statements: vec![own.descriptor(1, None)], uploads: Vec::new() };
    records.append(descriptor).await.expect("a descriptor");
    let penalty = Kinds::builtin().expect("kinds").newest("penalty").expect("penalties").clone();
    let mut rng = StdRng::seed_from_u64(1);
    let import = Import {
        db: db.clone(),
        node: own.origin.node.clone(),
        kind: penalty,
        persons: Arc::new(PersonKey::generate(&mut rng)),
        records: records.clone(),
        clock: Clock::fixed(NOW * 1000),
        punctuality: Punctuality::new(Calendar::built_in().expect("a calendar"), &Rules::built_in().expect("rules")),
    };
    let origin = Origin { file: "示例.csv".to_owned(), department: None, operator: "示例".to_owned() };

    let started = Instant::now();
    let sheet = Arc::new(kaopu::import::open(&file, &import.kind).expect("an upload"));
    let upload = import.run(&sheet, &origin, |_| {}).await.expect("an import");
    let spent = started.elapsed();

    assert_eq!(upload.counts.published, rows, "{:?}", db.faults(upload.id, 0, 3).await);
    let log = db.log(&own.origin).await.expect("the store").expect("the log");
    records.stop().await;
    db.close().await;
    Imported { database, log: log.id, size: i64::try_from(log.size).expect("a size"), spent }
}
