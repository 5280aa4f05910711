//! The limit that import and pull are held against: the rows that a node's store holds, inserted through sqlx into the
//! same tables and indexes of an empty store, 100 a statement, 4,096 statements of the log a transaction, same durability.

use std::time::{Duration, Instant};

use kaopu::store::Db;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ColumnIndex, ConnectOptions as _, Connection as _, Decode, Row, Type};

/// Log entries in a transaction.
const TRANSACTION: i64 = 4096;
/// Rows in a statement.
const STATEMENT: usize = 100;

/// A table, its columns with their types, and how the rows are found that came with the entries `$1..$2` of log `$3`.
struct Table {
    name: &'static str,
    columns: &'static str,
    with_entries: &'static str,
}

const TABLES: [Table; 5] = [
    Table {
        name: "record",
        columns: "issuer:t kind:t identity:b log:i idx:i digest:b prev:b content:b versions:i",
        with_entries: "FROM record WHERE log = $3 AND idx >= $1 AND idx < $2 ORDER BY idx",
    },
    Table {
        name: "reference",
        columns: "digest:b log:i idx:i",
        with_entries: "FROM reference WHERE log = $3 AND idx >= $1 AND idx < $2 ORDER BY idx",
    },
    Table {
        name: "subject",
        columns: "key:t folded:t name:t",
        with_entries: "FROM subject WHERE key IN (SELECT subject FROM statement GROUP BY subject \
                       HAVING MIN(idx) >= $1 AND MIN(idx) < $2 AND MIN(log) <= $3) ORDER BY key",
    },
    Table {
        name: "statement",
        columns: "log:i idx:i class:i digest:b kind:t version:i iat:i subject:t identity:b prev:b instead:b \
                  verdict:t reason:t body:t jws:b",
        with_entries: "FROM statement WHERE log = $3 AND idx >= $1 AND idx < $2 ORDER BY idx",
    },
    Table {
        name: "tile",
        columns: "log:i level:i n:i hashes:b",
        with_entries: "FROM tile WHERE log = $3 AND level = 0 AND (n + 1) * 256 > $1 AND (n + 1) * 256 <= $2 ORDER BY n",
    },
];

/// A value of a row, whichever database it came from.
enum Value {
    Integer(Option<i64>),
    Text(Option<String>),
    Bytes(Option<Vec<u8>>),
}

impl Table {
    fn columns(&self) -> Vec<(&'static str, &'static str)> {
        self.columns.split_whitespace().map(|column| column.split_once(':').expect("name:type")).collect()
    }

    fn names(&self) -> String {
        self.columns().iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
    }

    fn select(&self) -> String {
        format!("SELECT {} {}", self.names(), self.with_entries)
    }

    fn insert(&self, rows: usize, numbered: bool) -> String {
        let columns = self.columns().len();
        let place = |n: usize| if numbered { format!("${n}") } else { "?".to_owned() };
        let row = |row: usize| {
            let places: Vec<String> = (1..=columns).map(|column| place(row * columns + column)).collect();
            format!("({})", places.join(", "))
        };
        let rows: Vec<String> = (0..rows).map(row).collect();
        format!("INSERT INTO {} ({}) VALUES {}", self.name, self.names(), rows.join(", "))
    }

    fn values<R: Row>(&self, row: &R) -> Vec<Value>
    where
        usize: ColumnIndex<R>,
        for<'r> Option<i64>: Decode<'r, R::Database> + Type<R::Database>,
        for<'r> Option<String>: Decode<'r, R::Database> + Type<R::Database>,
        for<'r> Option<Vec<u8>>: Decode<'r, R::Database> + Type<R::Database>,
    {
        self.columns()
            .iter()
            .enumerate()
            .map(|(n, (_, kind))| match *kind {
                "i" => Value::Integer(row.get(n)),
                "t" => Value::Text(row.get(n)),
                _ => Value::Bytes(row.get(n)),
            })
            .collect()
    }
}

/// Copies a log, `BEGIN` to `COMMIT` timed, reading not.
macro_rules! copy {
    ($from:expr, $to:expr, $log:expr, $size:expr, $numbered:expr, $begin:expr) => {{
        let mut spent = Duration::ZERO;
        let mut first = 0_i64;
        while first < $size {
            let end = (first + TRANSACTION).min($size);
            let mut transaction = Vec::new();
            for table in &TABLES {
                let rows = sqlx::query(AssertSqlSafe(table.select())).bind(first).bind(end).bind($log);
                let rows = rows.fetch_all(&mut $from).await.expect(table.name);
                transaction.push((table, rows.iter().map(|row| table.values(row)).collect::<Vec<_>>()));
            }
            let started = Instant::now();
            let mut tx = $to.begin_with($begin).await.expect("a transaction");
            for (table, rows) in &transaction {
                for slice in rows.chunks(STATEMENT) {
                    let mut query = sqlx::query(AssertSqlSafe(table.insert(slice.len(), $numbered)));
                    for value in slice.iter().flatten() {
                        query = match value {
                            Value::Integer(integer) => query.bind(*integer),
                            Value::Text(text) => query.bind(text.as_deref()),
                            Value::Bytes(bytes) => query.bind(bytes.as_deref()),
                        };
                    }
                    query.execute(&mut *tx).await.expect(table.name);
                }
            }
            tx.commit().await.expect("a commit");
            spent += started.elapsed();
            first = end;
        }
        spent
    }};
}

/// Inserts what a log of the store `from` holds into the empty store `to`: how long that takes without reading it.
pub async fn insert(from: &str, to: &str, log: i64, size: i64) -> Duration {
    Db::open(to).await.expect("an empty store").close().await;
    if let (Some(from), Some(to)) = (from.strip_prefix("sqlite:"), to.strip_prefix("sqlite:")) {
        let mut from = sqlite(from).await;
        let mut to = sqlite(to).await;
        copy!(from, to, log, size, false, "BEGIN IMMEDIATE")
    } else {
        let mut from = postgres(from).await;
        let mut to = postgres(to).await;
        copy!(from, to, log, size, true, "BEGIN")
    }
}

/// With the settings of the store's own writing connection.
async fn sqlite(path: &str) -> SqliteConnection {
    SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(false)
        .pragma("cache_size", "-16384")
        .pragma("wal_autocheckpoint", "4000")
        .disable_statement_logging()
        .connect()
        .await
        .expect("SQLite")
}

async fn postgres(url: &str) -> PgConnection {
    let options: PgConnectOptions = url.parse().expect("a URL");
    options.disable_statement_logging().connect().await.expect("PostgreSQL")
}
