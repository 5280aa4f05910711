//! What an auditor sees of a subject beside that which counts: statements that were held, refused or taken back, each with
//! the reason.

use std::collections::HashMap;

use serde::Serialize;
use serde_json::{Map, Value};

use super::lookup::MOST;
use super::status::time;
use crate::log::Origin;
use crate::statement::{Digest, Kinds, NodeId, Statement, Unverified};
use crate::store::aside::{AsideRow, Standing};
use crate::store::statement::Body;
use crate::store::{Db, LogRow, LogState, StoreError};

/// A statement about a subject that stands in a log and counts for nothing, or not yet.
#[derive(Clone, Debug, Serialize)]
pub struct Aside {
    /// Its digest.
    pub digest: Digest,
    /// The log that it stands in.
    pub origin: Origin,
    /// At which index.
    pub index: u64,
    /// How it stands: `held`, `refused`, `void`, `superseded`, `erased` or `withheld`.
    pub standing: &'static str,
    /// The same as users say it.
    pub standing_title: &'static str,
    /// Why.
    pub reason: String,
    /// Whether its place in the log is proven up to a checkpoint that the log's owner signed.
    pub proven: bool,
    /// What it says, where its body is here. A refused one may say what its issuer never signed.
    pub said: Option<Said>,
}

/// What such a statement says of itself.
#[derive(Clone, Debug, Serialize)]
pub struct Said {
    /// Its kind.
    pub kind: String,
    /// The version of that.
    pub version: u32,
    /// The Chinese title of the kind; the kind itself where it is not known here.
    pub title: String,
    /// Who it says states it.
    pub issuer: NodeId,
    /// When, by its own word, RFC 3339.
    pub issued: String,
    /// The subject's name as stated here.
    pub name: String,
    /// The version that it would replace.
    pub replaces: Option<Digest>,
    /// What it says.
    pub body: Map<String, Value>,
}

/// All that does not count about a subject, by log and index, the newest [`MOST`] of each log.
///
/// What cannot be read as a statement names no subject and is not found so; it stands in the audit of its log.
pub async fn about(db: &Db, kinds: &Kinds, subject: &str) -> Result<Vec<Aside>, StoreError> {
    let logs: HashMap<i64, LogRow> = db.logs().await?.into_iter().map(|log| (log.id, log)).collect();
    let rows = db.aside(subject, MOST).await?;
    let of = |row: AsideRow| {
        let id = row.statement.log;
        let log = logs.get(&id).ok_or_else(|| StoreError::Corrupt(format!("no log {id}")))?;
        Ok(Aside::of(row, log, kinds))
    };
    rows.into_iter().map(of).collect()
}

impl Aside {
    fn of(row: AsideRow, log: &LogRow, kinds: &Kinds) -> Self {
        let AsideRow { statement, standing, reason } = row;
        let said = match &statement.body {
            Body::Here(jws) => Unverified::parse(jws).ok().map(|read| Said::of(read.statement(), kinds)),
            Body::Withheld | Body::Erased => None,
        };
        let complete = log.complete.as_ref();
        Self {
            digest: statement.entry.digest,
            origin: log.origin.clone(),
            index: statement.index,
            standing: word(standing),
            standing_title: title(standing),
            reason: reason.unwrap_or_else(|| title(standing).to_owned()),
            proven: log.state != LogState::Frozen && complete.is_some_and(|head| statement.index < head.size),
            said,
        }
    }
}

impl Said {
    fn of(statement: &Statement, kinds: &Kinds) -> Self {
        let kind = kinds.find(&statement.typ).map(|kind| kind.title.clone());
        Self {
            title: kind.unwrap_or_else(|| statement.typ.kind.clone()),
            kind: statement.typ.kind.clone(),
            version: statement.typ.version,
            issuer: statement.iss.clone(),
            issued: statement.iat.checked_mul(1000).and_then(time).unwrap_or_default(),
            name: statement.sub.as_ref().map(|sub| sub.name().to_owned()).unwrap_or_default(),
            replaces: statement.prev,
            body: statement.body.clone(),
        }
    }
}

/// The word that scripts read.
fn word(standing: Standing) -> &'static str {
    match standing {
        Standing::Held => "held",
        Standing::Refused => "refused",
        Standing::Void => "void",
        Standing::Superseded => "superseded",
        Standing::Erased => "erased",
        Standing::Withheld => "withheld",
    }
}

/// The word that users say.
fn title(standing: Standing) -> &'static str {
    match standing {
        Standing::Held => "暂存待核",
        Standing::Refused => "不予采信",
        Standing::Void => "签名密钥失控，作废",
        Standing::Superseded => "所替换的并非现行版本，不予采信",
        Standing::Erased => "内容已删除",
        Standing::Withheld => "对方未提供内容",
    }
}
