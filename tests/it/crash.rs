//! The crash table, with processes that are really killed: before the commit nothing happened, after it everything did.
//!
//! A child is this test binary itself, running [`child`] alone: it appends to a store through an appender, as a node does,
//! and prints a line after each answer. It is killed at random moments; then everything that it printed must be in the
//! log, and everything in the log must be whole.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use kaopu::log::appender::{AppendError, Appender, Submission};
use kaopu::statement::{Digest, Kinds, Verified};
use kaopu::store::Db;
use kaopu::store::upload::{Counts, UploadRow, UploadStep};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::database::{Database, Kind};
use crate::own_log::OwnLog;
use crate::whole;

const ORIGIN: &str = "kaopu/340500/records/1";
/// The store that a child appends to, and its number: what it says is told by that.
const STORE: &str = "KAOPU_TEST_STORE";
const NUMBER: &str = "KAOPU_TEST_CHILD";
/// Records that all children fight over.
const CONTESTED: u64 = 5;

/// Not a test: what a child process does until it is killed.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs as a process of its own, started by the tests below"]
#[expect(clippy::print_stdout, reason = "the child tells its parent what is committed")]
async fn child() {
    let (Ok(store), Ok(number)) = (std::env::var(STORE), std::env::var(NUMBER)) else { return };
    let number: u64 = number.parse().unwrap();
    let own = OwnLog::of(ORIGIN);
    let db = Db::open(&store).await.unwrap();
    let appender = own.start(&db).await;
    let upload = db.begin_upload(&file(number)).await.unwrap();
    // a child that goes on after a kill must not say the same statements again
    let mut rng: StdRng = rand::make_rng();
    let mut row = upload.next_row;
    loop {
        let size = rng.random_range(1..=300_u64);
        let appended = loop {
            let (statements, step) = submission(&own, &db, number, upload.id, row, size, &mut rng).await;
            let digests: Vec<Digest> = statements.iter().map(Verified::digest).collect();
            match appender.append(Submission { statements, uploads: vec![step] }).await {
                Ok(appended) => break (appended.first, digests),
                // another child moved a contested record meanwhile: judge and sign anew
                Err(AppendError::Superseded(_)) => {}
                Err(error) => panic!("{error}"),
            }
        };
        row += size;
        println!("appended {} {} {}", appended.0, appended.1.len(), appended.1[0]);
    }
}

fn file(number: u64) -> UploadRow {
    UploadRow { digest: format!("file {number}"), ..crate::store::upload("", None) }
}

/// `size` new records, and the next version of a contested one.
async fn submission(
    own: &OwnLog,
    db: &Db,
    number: u64,
    upload: i64,
    row: u64,
    size: u64,
    rng: &mut StdRng,
) -> (Vec<Verified>, UploadStep) {
    let record = (number + row) % CONTESTED;
    let contested = own.unsigned(record, 0, None);
    let kind = Kinds::builtin().unwrap().find(&contested.typ).unwrap().clone();
    let identity = kind.identity_of(&contested).unwrap();
    let current = db.current(&own.origin.node, "penalty", &[identity]).await.unwrap();
    let prev = current.get(&identity).map(|current| current.digest);
    let mut statements = vec![own.penalty(record, rng.random(), prev)];
    statements.extend((1..size).map(|n| {
        let record = (number + 1) * 1_000_000_000 + row + n;
        own.penalty(record, rng.random(), None)
    }));
    let step = UploadStep {
        upload,
        from_row: row,
        next_row: row + size,
        counts: Counts { read: size, published: size, ..Counts::default() },
        ..UploadStep::default()
    };
    (statements, step)
}

/// A running child.
struct Running {
    process: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

impl Running {
    fn start(store: &str, number: u64) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "crash::child", "--nocapture", "--test-threads=1"])
            .env(STORE, store)
            .env(NUMBER, number.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, lines }
    }

    /// Waits for the next answer that it got: index of the first statement, how many, digest of the first.
    fn answer(&mut self) -> Option<(u64, u64, Digest)> {
        loop {
            let line = self.lines.next()?.ok()?;
            // a line that the kill cut off does not parse and says nothing
            let parts: Vec<&str> = line.split(' ').collect();
            if let ["appended", first, count, digest] = parts[..] {
                return Some((first.parse().ok()?, count.parse().ok()?, digest.parse().ok()?));
            }
        }
    }

    /// Kills it, now, and gives back the answers that it had got by then.
    fn kill(mut self) -> Vec<(u64, u64, Digest)> {
        self.end();
        std::iter::from_fn(|| self.answer()).collect()
    }

    fn end(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

/// What was answered stands at its place, each upload's receipt adds up, and the log is whole.
async fn check(db: &Db, answers: &[(u64, u64, Digest)], children: u64) {
    whole::check(db).await;
    let log = db.log(&ORIGIN.parse().unwrap()).await.unwrap().unwrap();
    for (first, count, digest) in answers {
        assert!(first + count <= log.size);
        assert_eq!(db.entries(log.id, *first, 1).await.unwrap()[0].digest, *digest, "index {first}");
    }
    let mut published = 1; // the descriptor
    for number in 0..children {
        let upload = db.begin_upload(&file(number)).await.unwrap();
        assert_eq!((upload.next_row, upload.counts.read), (upload.counts.published, upload.counts.published));
        published += upload.counts.published;
    }
    assert_eq!(log.size, published, "rows counted and entries");
}

async fn begin(database: &Database) -> Db {
    let db = database.open().await;
    let own = OwnLog::of(ORIGIN);
    let appender: Appender = own.start(&db).await;
    let descriptor = Submission { statements: vec![own.descriptor(1, None)], uploads: Vec::new() };
    appender.append(descriptor).await.unwrap();
    appender.stop().await;
    db
}

async fn killed_at_random_moments(kind: Kind) {
    let database = Database::new(kind).await;
    let db = begin(&database).await;
    let mut rng = StdRng::seed_from_u64(3);
    let mut answers = Vec::new();
    for _ in 0..12 {
        let mut running = Running::start(database.url(), 0);
        for _ in 0..rng.random_range(1..6) {
            answers.push(running.answer().expect("the child appends"));
        }
        // somewhere within the next append: judging, inserting, committing
        tokio::time::sleep(Duration::from_micros(rng.random_range(0..30_000))).await;
        answers.extend(running.kill());
    }
    check(&db, &answers, 1).await;
}

async fn several_at_once_and_one_dies_now_and_then(kind: Kind) {
    const CHILDREN: u64 = 3;
    let database = Database::new(kind).await;
    let db = begin(&database).await;
    let mut rng = StdRng::seed_from_u64(4);
    let mut answers = Vec::new();
    let mut running: Vec<Running> = (0..CHILDREN).map(|number| Running::start(database.url(), number)).collect();
    for round in 0..8 {
        for child in &mut running {
            answers.push(child.answer().expect("each child gets its turn"));
        }
        let victim = (round % CHILDREN) as usize;
        tokio::time::sleep(Duration::from_micros(rng.random_range(0..30_000))).await;
        answers.extend(running.remove(victim).kill());
        running.insert(victim, Running::start(database.url(), round % CHILDREN));
    }
    for child in running {
        answers.extend(child.kill());
    }
    check(&db, &answers, CHILDREN).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_process_leaves_all_of_a_commit_or_nothing_on_sqlite() {
    killed_at_random_moments(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_process_leaves_all_of_a_commit_or_nothing_on_postgres() {
    killed_at_random_moments(Kind::DurablePostgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_that_share_a_store_leave_one_log_though_some_are_killed_on_sqlite() {
    several_at_once_and_one_dies_now_and_then(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_that_share_a_store_leave_one_log_though_some_are_killed_on_postgres() {
    several_at_once_and_one_dies_now_and_then(Kind::DurablePostgres).await;
}
