//! `kaopu import` killed at random moments: run again it goes on, and ends in one receipt for the whole file.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::database::{Database, Kind};
use crate::{penalty_file, whole};

const ROWS: u64 = 12_000;
/// Each of these rows is sent back.
const FAULTY: u64 = 10;
/// After so many kills it may come to its end.
const KILLS: u32 = 12;

fn kaopu(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kaopu"));
    command.args(arguments).stdin(Stdio::null());
    command
}

/// Runs an import to its end and gives back its receipt.
fn import(node: &str, file: &str) -> serde_json::Value {
    let output = kaopu(&["import", "-c", node, file, "--kind", "penalty", "--json"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

async fn an_import_that_is_killed_goes_on(kind: Kind) {
    let database = Database::new(kind).await;
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (dir, node, file) = (path("340500"), path("340500/node.toml"), path("示例.csv"));
    let init =
        kaopu(&["init", "--unencrypted", &dir, "--node", "340500", "--name", "示例市", "--store", database.url()])
            .output()
            .unwrap();
    assert!(init.status.success(), "{}", String::from_utf8_lossy(&init.stderr));
    penalty_file::write(Path::new(&file), ROWS, FAULTY);

    let db = database.open().await;
    let mut rng = StdRng::seed_from_u64(11);
    let mut seen = 0;
    for _ in 0..KILLS {
        let mut running = kaopu(&["import", "-c", &node, &file, "--kind", "penalty", "--json"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        tokio::time::sleep(Duration::from_millis(rng.random_range(100..1500))).await;
        running.kill().unwrap();
        running.wait().unwrap();
        let [upload] = &db.uploads(10).await.unwrap()[..] else {
            // killed before it began, or there are several: an upload that was cut off is never begun anew
            assert!(db.uploads(10).await.unwrap().is_empty());
            continue;
        };
        assert!(upload.next_row >= seen, "what was committed stays");
        assert_eq!(upload.counts.read, upload.next_row);
        assert_eq!(upload.counts.published + upload.counts.refused, upload.next_row);
        seen = upload.next_row;
        whole::check(&db).await;
        if upload.finished_ms.is_some() {
            break;
        }
    }
    let finished = db.uploads(10).await.unwrap().first().is_some_and(|upload| upload.finished_ms.is_some());
    if !finished {
        let receipt = import(&node, &file);
        let refused = ROWS / FAULTY;
        assert_eq!((receipt["read"].as_u64(), receipt["refused"].as_u64()), (Some(ROWS), Some(refused)), "{receipt}");
        assert_eq!((receipt["published"].as_u64(), receipt["skipped"].as_u64()), (Some(ROWS - refused), Some(0)));
        assert_eq!(receipt["faults"].as_array().unwrap().len() as u64, refused);
    }
    let again = import(&node, &file);
    assert_eq!((again["published"].as_u64(), again["skipped"].as_u64()), (Some(0), Some(ROWS - ROWS / FAULTY)));
    let log = db.log(&"kaopu/340500/records/1".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(log.size, 1 + ROWS - ROWS / FAULTY, "each good row once, behind the descriptor");
    whole::check(&db).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_is_killed_goes_on_on_sqlite() {
    an_import_that_is_killed_goes_on(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_is_killed_goes_on_on_postgres() {
    an_import_that_is_killed_goes_on(Kind::DurablePostgres).await;
}
