//! A commit whose answer was lost is looked up by digest: the line to PostgreSQL is cut around a COMMIT.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use kaopu::log::appender::{AppendError, Submission};
use kaopu::store::Db;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};

use crate::database::{Database, Kind};
use crate::own_log::OwnLog;
use crate::whole;

/// What happens to the next COMMIT.
const PASS: u8 = 0;
/// It never reaches the server.
const CUT_BEFORE: u8 = 1;
/// It reaches the server, and the line is cut while that works on it.
const CUT_DURING: u8 = 2;
/// The server answers, and the answer is lost.
const CUT_AFTER: u8 = 3;

/// No line stands, and none can be made.
const DOWN: u8 = 4;

/// Stands between a store and its server.
struct Line {
    folder: tempfile::TempDir,
    next_commit: Arc<AtomicU8>,
}

impl Line {
    fn to(server: &Path) -> Self {
        let folder = tempfile::Builder::new().prefix("kaopu-line-").tempdir_in("/tmp").unwrap();
        let listener = UnixListener::bind(socket(folder.path())).unwrap();
        let next_commit = Arc::new(AtomicU8::new(PASS));
        let (server, next) = (socket(server), next_commit.clone());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if next.load(Ordering::Relaxed) == DOWN {
                    continue;
                }
                let server = UnixStream::connect(&server).await.unwrap();
                tokio::spawn(carry(client, server, next.clone()));
            }
        });
        Self { folder, next_commit }
    }
}

fn socket(folder: &Path) -> PathBuf {
    folder.join(".s.PGSQL.5432")
}

/// Carries bytes both ways until one side ends, or the line is cut.
async fn carry(mut client: UnixStream, mut server: UnixStream, next_commit: Arc<AtomicU8>) {
    let (mut up, mut down) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    loop {
        tokio::select! {
            read = client.read(&mut up) => {
                let Ok(count @ 1..) = read else { return };
                if next_commit.load(Ordering::Relaxed) == DOWN {
                    return;
                }
                let commits = up[..count].windows(7).any(|bytes| bytes == b"COMMIT\0");
                let cut = if commits { next_commit.swap(PASS, Ordering::Relaxed) } else { PASS };
                if cut == CUT_BEFORE || server.write_all(&up[..count]).await.is_err() {
                    return;
                }
                if cut == CUT_AFTER {
                    let _ = server.read(&mut down).await;
                }
                if cut != PASS {
                    return;
                }
            }
            read = server.read(&mut down) => {
                let Ok(count @ 1..) = read else { return };
                if client.write_all(&down[..count]).await.is_err() {
                    return;
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_without_an_answer_happened_once_or_is_tried_again() {
    let database = Database::new(Kind::Postgres).await;
    let (before, server) = database.url().split_once("host=").unwrap();
    let line = Line::to(Path::new(server));
    let db = Db::open(&format!("{before}host={}", line.folder.path().display())).await.unwrap();
    let own = OwnLog::of("kaopu/340500/records/1");
    let appender = own.start(&db).await;
    let descriptor = Submission { statements: vec![own.descriptor(1, None)], uploads: Vec::new() };
    appender.append(descriptor).await.unwrap();
    let mut size = 1;
    for cut in [CUT_AFTER, CUT_BEFORE, CUT_DURING, CUT_DURING, CUT_AFTER, CUT_AFTER, CUT_BEFORE] {
        line.next_commit.store(cut, Ordering::Relaxed);
        let statements = (0..20).map(|n| own.penalty(size + n, u128::from(size + n), None)).collect();
        let appended = appender.append(Submission { statements, uploads: Vec::new() }).await.unwrap();
        assert_eq!(line.next_commit.load(Ordering::Relaxed), PASS, "the line was cut");
        assert_eq!((appended.first, appended.size), (size, size + 20), "cut {cut}");
        size += 20;
    }
    assert_eq!(db.log(&own.origin).await.unwrap().unwrap().size, size);

    // while the database is away everybody hears so; once it is back the appender goes on by itself
    line.next_commit.store(DOWN, Ordering::Relaxed);
    for _ in 0..3 {
        let away = appender.append(one(&own, size)).await;
        assert!(matches!(away, Err(AppendError::Store(_))), "{away:?}");
    }
    line.next_commit.store(PASS, Ordering::Relaxed);
    assert_eq!(appender.append(one(&own, size)).await.unwrap().first, size);
    whole::check(&db).await;
}

fn one(own: &OwnLog, number: u64) -> Submission {
    Submission { statements: vec![own.penalty(number, u128::from(number), None)], uploads: Vec::new() }
}
