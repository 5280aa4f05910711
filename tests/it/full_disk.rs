//! A disk that takes no more, and then has room again: every process says what it is, nothing is lost, and what runs goes
//! on by itself.
//!
//! The disk is a limit on the length of files (RLIMIT_FSIZE) that processes of their own run under: SQLite's writes really
//! fail, in the middle of transactions and of commits. It is lifted from outside, as if somebody had made room.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use kaopu::log::appender::{AppendError, Submission};
use kaopu::store::{Db, StoreError};

use crate::database::{Database, Kind};
use crate::federation::{Federation, kaopu, said, until};
use crate::own_log::OwnLog;
use crate::{penalty_file, whole};

/// What is said of it.
const WORDS: &str = "there is no room left for the database";
/// Bytes that a file may have: a new store fits, and some more.
const ROOM: u64 = 2_000_000;
/// The store that the child appends to.
const STORE: &str = "KAOPU_TEST_FULL_STORE";

/// A program that may write so much to a file, and hears of more than that as a failed write.
fn within(room: u64, program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("/bin/sh");
    let limited = "trap '' XFSZ; limit=$1; shift; exec prlimit \"--fsize=$limit:\" \"$@\"";
    command.args(["-c", limited, "sh", &room.to_string()]).arg(program);
    command
}

fn make_room(process: u32) {
    let done = Command::new("prlimit").args(["--pid", &process.to_string(), "--fsize=unlimited:"]).status();
    assert!(done.expect("the tests need prlimit (Debian: util-linux)").success());
}

/// The program with the environment that the tests give it.
fn kaopu_within(room: u64) -> Command {
    let mut command = within(room, env!("CARGO_BIN_EXE_kaopu"));
    command.env_remove("KAOPU_LOG").env_remove("KAOPU_CONFIG").env("KAOPU_OPERATOR", "示例").stdin(Stdio::null());
    command
}

#[test]
fn an_import_says_that_the_disk_is_full_and_goes_on_when_it_is_run_again() {
    let federation = Federation::of_strangers(&["340500"]);
    let city = &federation.nodes[0];
    let file = federation.folder.path().join("示例.csv");
    penalty_file::write(&file, 6000, 10);
    let mut full = kaopu_within(ROOM);
    full.arg("import").arg("-c").arg(city.config()).arg(&file).args(["--kind", "penalty"]);
    let failed = full.output().unwrap();
    assert_eq!(failed.status.code(), Some(1), "{}", said(&failed));
    assert!(said(&failed).contains(WORDS) && said(&failed).contains("run the same command again"), "{}", said(&failed));
    let mut again = kaopu();
    again.arg("import").arg("-c").arg(city.config()).arg(&file).args(["--kind", "penalty", "--json"]);
    let done = again.output().unwrap();
    assert!(done.status.success(), "{}", said(&done));
    let receipt: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    let counts = ["read", "published", "skipped", "refused"].map(|count| receipt[count].as_u64().unwrap());
    assert_eq!(counts, [6000, 5400, 0, 600], "one receipt for the whole file");
    assert_eq!(city.json(&["upload", "list"]).as_array().unwrap().len(), 1);
}

#[test]
fn a_server_whose_mirror_fills_the_disk_goes_on_by_itself() {
    let mut federation = Federation::new(&["340500", "310107"]);
    let file = federation.folder.path().join("示例.csv");
    penalty_file::write(&file, 6000, 10);
    let file = file.to_str().unwrap().to_owned();
    federation.nodes[0].start();
    federation.nodes[1].start_by(kaopu_within(ROOM));
    federation.nodes[0].done(&["import", &file, "--kind", "penalty"]);
    let mirror = &federation.nodes[1];
    until("the server says that its disk is full", || mirror.journal_text().contains(WORDS));
    assert!(mirror.json(&["status"])["peers"][0]["size"].as_u64() < Some(5401), "it has not pulled all");
    make_room(mirror.pid());
    federation.until_in_step();
    assert_eq!(federation.nodes[1].json(&["status"])["peers"][0]["size"], 5401);
}

/// Not a test: a process that appends for as long as it lives, and says how it goes.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs as a process of its own, started by the test below"]
#[expect(clippy::print_stdout, reason = "the child tells its parent how it goes")]
async fn child() {
    let Ok(store) = std::env::var(STORE) else { return };
    let own = OwnLog::of("kaopu/340500/records/1");
    let db = Db::open(&store).await.unwrap();
    let appender = own.start(&db).await;
    let mut number = 0;
    loop {
        let statements = (number..number + 100).map(|n| own.penalty(n, u128::from(n), None)).collect();
        match appender.append(Submission { statements, uploads: Vec::new() }).await {
            Ok(appended) => {
                println!("appended {}", appended.size);
                number += 100;
            }
            Err(AppendError::Store(StoreError::Full(_))) => {
                println!("full {number}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(other) => panic!("{other}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_appender_tells_each_caller_and_takes_statements_again_once_there_is_room() {
    let database = Database::new(Kind::Sqlite).await;
    let db = database.open().await;
    let own = OwnLog::of("kaopu/340500/records/1");
    let appender = own.start(&db).await;
    appender.append(Submission { statements: vec![own.descriptor(1, None)], uploads: Vec::new() }).await.unwrap();
    appender.stop().await;

    let mut child = within(ROOM, std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "full_disk::child", "--nocapture", "--test-threads=1"])
        .env(STORE, database.url())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut size, mut full, mut after) = (1, 0, 0);
    for line in BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok) {
        // the harness writes before the first line
        if let Some(now) = line.split_once("appended ").and_then(|(_, now)| now.parse::<u64>().ok()) {
            assert_eq!(now, size + 100, "what was refused left nothing behind");
            size = now;
            after += u64::from(full > 0);
        } else if line.starts_with("full ") {
            full += 1;
            if full == 5 {
                make_room(child.id());
            }
        }
        if after == 50 {
            break;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(full >= 5 && after == 50, "it was full {full} times, and then took {after} batches");
    assert!(db.log(&own.origin).await.unwrap().unwrap().size >= size);
    whole::check(&db).await;
}
