//! Databases for tests: an SQLite file each, or a database each in a PostgreSQL cluster of this process's own.
//!
//! The cluster needs no server that happens to run. It is made in a temporary folder with a short path (a socket's path
//! has 107 bytes at most) by a guard, a shell that ends the server and removes the folder as soon as its standard input
//! closes: when this process ends, however it ends. nextest runs each test in a process of its own: there the first of
//! them makes the cluster for all, and the guard ends it with the run.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::{CommandExt as _, parent_id};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use kaopu::store::Db;
use sqlx::{Connection as _, PgConnection};

/// One empty database, gone when it is dropped.
pub struct Database {
    url: String,
    _folder: Option<tempfile::TempDir>,
}

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Sqlite,
    Postgres,
    /// PostgreSQL that waits for the disk, as tests that kill need it.
    DurablePostgres,
}

/// Makes a test of each database out of one function over a `Database`.
macro_rules! on_both {
    ($(async fn $name:ident($database:ident: Database) $body:block)+) => {
        $(mod $name {
            use super::*;
            use $crate::database::{Database, Kind};

            async fn test($database: Database) $body

            #[tokio::test(flavor = "multi_thread")]
            async fn on_sqlite() {
                test(Database::new(Kind::Sqlite).await).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn on_postgres() {
                test(Database::new(Kind::Postgres).await).await;
            }
        })+
    };
}
pub(crate) use on_both;

impl Database {
    pub async fn new(kind: Kind) -> Self {
        static FAST: OnceLock<Cluster> = OnceLock::new();
        static DURABLE: OnceLock<Cluster> = OnceLock::new();
        match kind {
            Kind::Sqlite => {
                let folder = tempfile::tempdir().expect("a temporary folder");
                let url = format!("sqlite:{}", folder.path().join("kaopu.db").display());
                Self { url, _folder: Some(folder) }
            }
            Kind::Postgres => FAST.get_or_init(|| Cluster::start(false)).database().await,
            Kind::DurablePostgres => DURABLE.get_or_init(|| Cluster::start(true)).database().await,
        }
    }

    /// As `store` in a configuration has it.
    pub fn url(&self) -> &str {
        &self.url
    }

    pub async fn open(&self) -> Db {
        Db::open(&self.url).await.expect("the database opens")
    }
}

/// A PostgreSQL cluster that ends with this process.
struct Cluster {
    folder: PathBuf,
    databases: AtomicU32,
    /// Holds the guard's standard input open; None where another process has started it.
    _guard: Option<Child>,
}

// The guard: makes the cluster, runs the server, waits until the run's process has ended, or without one until nobody
// holds its standard input, and clears up.
const GUARD: &str = r#"
exec 3<&0 </dev/null
"$1/initdb" -D "$2/data" -U kaopu -A trust -E UTF8 --locale=C --no-sync || exit 1
"$1/postgres" -D "$2/data" -k "$2" -c listen_addresses= -c max_connections=300 -c shared_buffers=64MB \
    -c max_wal_size=2GB -c "fsync=$3" -c "synchronous_commit=$3" -c "full_page_writes=$3" &
server=$!
if [ -n "$4" ]; then
    while [ -d "/proc/$4" ]; do sleep 0.2; done
else
    cat <&3 >/dev/null
fi
kill -INT $server
wait $server
rm -rf "$2"
"#;

impl Cluster {
    fn start(durable: bool) -> Self {
        let programs = programs().expect(
            "tests need PostgreSQL: install the package `postgresql` (Debian) so that initdb and postgres are on the \
             PATH or under /usr/lib/postgresql/*/bin",
        );
        let Ok(run) = std::env::var("NEXTEST_RUN_ID") else {
            let folder = tempfile::Builder::new().prefix("kaopu-pg-").tempdir_in("/tmp").expect("a folder").keep();
            let guard = guard(&programs, &folder, durable, None);
            return Self { folder, databases: AtomicU32::new(0), _guard: Some(guard) };
        };
        let speed = if durable { "durable" } else { "fast" };
        let folder = PathBuf::from(format!("/tmp/kaopu-pg-{}-{speed}", run.get(..8).unwrap_or(&run)));
        // whoever makes the folder makes the cluster; the others wait until it answers
        let first = fs::create_dir(&folder).is_ok();
        let guard = first.then(|| guard(&programs, &folder, durable, Some(parent_id())));
        Self { folder, databases: AtomicU32::new(0), _guard: guard }
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://kaopu@localhost/{database}?host={}", self.folder.display())
    }

    async fn database(&self) -> Database {
        let mut connection = self.connect().await;
        let name = format!("test{}_{}", std::process::id(), self.databases.fetch_add(1, Ordering::Relaxed));
        sqlx::query(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}")))
            .execute(&mut connection)
            .await
            .expect("a database");
        Database { url: self.url(&name), _folder: None }
    }

    async fn connect(&self) -> PgConnection {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            match PgConnection::connect(&self.url("postgres")).await {
                Ok(connection) => return connection,
                Err(_) if Instant::now() < deadline => tokio::time::sleep(Duration::from_millis(20)).await,
                Err(error) => {
                    let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
                    panic!("PostgreSQL does not start: {error}\n{log}");
                }
            }
        }
    }
}

/// Starts the guard of a cluster.
fn guard(programs: &Path, folder: &Path, durable: bool, run: Option<u32>) -> Child {
    let mut guard = Command::new("/bin/sh");
    guard.args(["-c", GUARD, "guard"]).arg(programs).arg(folder).arg(if durable { "on" } else { "off" });
    guard.arg(run.map(|run| run.to_string()).unwrap_or_default());
    if fs::metadata("/proc/self").expect("/proc").uid() == 0 {
        // initdb refuses root
        let (uid, gid) = user("postgres").or_else(|| user("nobody")).expect("a user postgres or nobody");
        chown(folder, Some(uid), Some(gid)).expect("the folder changes hands");
        guard.uid(uid).gid(gid);
    }
    let log = fs::File::create(folder.join("log")).expect("a log file");
    guard
        .current_dir(folder)
        // of its own group, so that Ctrl-C at the tests reaches it only by the end of this process
        .process_group(0)
        .stdin(if run.is_some() { Stdio::null() } else { Stdio::piped() })
        .stdout(log.try_clone().expect("a second handle"))
        .stderr(log)
        .spawn()
        .expect("/bin/sh runs")
}

/// The folder of initdb and postgres.
fn programs() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|version| Some(version.ok()?.path().join("bin")))
        .collect();
    folders.sort();
    std::env::split_paths(&path)
        .filter_map(|folder| Some(fs::canonicalize(folder.join("initdb")).ok()?.parent()?.to_owned()))
        .chain(folders.into_iter().rev())
        .find(|folder| is_program(&folder.join("initdb")) && is_program(&folder.join("postgres")))
}

fn is_program(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

/// Numbers of a user and its group.
fn user(name: &str) -> Option<(u32, u32)> {
    let users = fs::read_to_string("/etc/passwd").ok()?;
    let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
    let mut numbers = line.split(':').skip(2);
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}
