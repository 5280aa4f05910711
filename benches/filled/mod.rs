//! Databases with many records, one about each of so many subjects that do not exist.

use std::str::FromStr as _;

use kaopu::log::appender::Appender;
use kaopu::statement::Verified;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};

use crate::city::City;
use crate::database::Kind;
use crate::line::publish;

/// Statements in one submission.
const SUBMISSION: u64 = 4096;

/// The databases that are measured: both, or the one that `KAOPU_STORE` names.
pub fn databases() -> impl Iterator<Item = Kind> {
    let only = std::env::var("KAOPU_STORE").unwrap_or_default();
    let all = [Kind::Sqlite, Kind::DurablePostgres].into_iter();
    all.filter(move |kind| only.is_empty() || format!("{kind:?}").eq_ignore_ascii_case(&only))
}

/// Publishes so many records of a city.
pub async fn fill(city: &City, records: &Appender, rows: u64) {
    let mut first = 0;
    while first < rows {
        let end = (first + SUBMISSION).min(rows);
        let statements: Vec<Verified> = (first..end).map(|n| city.say(city.penalty_of(&uscc(n), n))).collect();
        publish(records, statements).await;
        first = end;
    }
}

/// Has a PostgreSQL database look at what it holds, once more than the store has it do by itself: what it makes of a query does
/// not depend then on how much there was when it looked.
pub async fn settle(kind: Kind, url: &str) {
    if kind != Kind::Sqlite {
        let mut to = PgConnectOptions::from_str(url).expect("its address").connect().await.expect("a connection");
        sqlx::query("ANALYZE").execute(&mut to).await.expect("it looks");
        to.close().await.expect("it ends");
    }
}

/// A code of which there is one record.
pub fn uscc(n: u64) -> String {
    const CHARACTERS: &[u8] = b"0123456789ABCDEFGHJKLMNPQRTUWXY";
    const WEIGHTS: [usize; 17] = [1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28];
    let body = format!("91340500M{n:08}");
    let value = |c: u8| CHARACTERS.iter().position(|known| *known == c).expect("a character of codes");
    let sum: usize = body.bytes().zip(WEIGHTS).map(|(c, weight)| value(c) * weight).sum();
    format!("{body}{}", char::from(CHARACTERS[(31 - sum % 31) % 31]))
}
