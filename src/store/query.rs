//! Queries that peers asked and what this node answered, and what peers answered to its own. Each row is written in the
//! transaction that appends what the exchange log says of it: before its commit nothing of it is there, after it everything.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::append::AppendError;
use super::db::{Tx, clean, hash, int, nat, on};
use super::list::InList;
use super::rows::{MultiRow, insert};
use super::statement::{Row, StatementRow};
use super::{Db, StoreError};
use crate::log::event::RecordPlace;
use crate::log::{Hash, Origin};
use crate::statement::{Digest, NodeId};

/// What an append to the exchange log means for the questions between nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exchanged {
    /// A peer's query is answered.
    Answered(Answered),
    /// A peer has answered a query of this node.
    Heard(Heard),
}

/// A peer's query and its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// Who asked.
    pub asker: NodeId,
    /// The query's nonce.
    pub nonce: String,
    /// The query's digest.
    pub query: Digest,
    /// The query as it came.
    pub jws: String,
    /// The digest of the answer, which the same append holds.
    pub answer: Digest,
}

/// What a peer answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// The digest of the query.
    pub query: Digest,
    /// Who answered.
    pub peer: NodeId,
    /// The digest of what came.
    pub digest: Digest,
    /// What came.
    pub jws: String,
    /// The answer's outcome, or `invalid`.
    pub outcome: &'static str,
    /// Why it is invalid.
    pub reason: Option<String>,
}

/// What was answered to a nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// To which query.
    pub query: Digest,
    /// The digest of the answer.
    pub answer: Digest,
}

/// How far the own records log has come: all up to there is looked through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Entries.
    pub size: u64,
    /// The root of the tree over them.
    pub root: Hash,
}

/// A place among the own records logs, oldest generation first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Generation of the log.
    pub generation: u32,
    /// Index in it.
    pub index: u64,
}

/// A current record of this node's own logs.
#[derive(Clone, Debug)]
pub struct OwnRecord {
    /// Where it stands.
    pub place: Place,
    /// Under what events about it are found.
    pub life: Option<RecordPlace>,
    /// Its kind.
    pub kind: String,
    /// The statement.
    pub row: StatementRow,
}

// In the text of the query: SQLite prepares one whose limit is bound anew each time.
const TOGETHER: usize = 2_000;

static ANSWERED: LazyLock<MultiRow> = LazyLock::new(|| {
    MultiRow::new(
        "INSERT INTO answered (asker, nonce, query, jws, answer, at_ms)",
        6,
        "ON CONFLICT (asker, nonce) DO NOTHING",
    )
});
static HEARD: LazyLock<MultiRow> = LazyLock::new(|| {
    MultiRow::new(
        "INSERT INTO heard (query, peer, digest, jws, outcome, reason, at_ms)",
        7,
        "ON CONFLICT (query) DO NOTHING",
    )
});
const ANSWER: &str = "SELECT query, answer FROM answered WHERE asker = $1 AND nonce = $2";
static ANSWERS: LazyLock<InList> = LazyLock::new(|| {
    InList::new(2, |list| format!("SELECT nonce, query, answer FROM answered WHERE asker = $1 AND nonce IN ({list})"))
});
const HEARD_OF: &str = "SELECT peer, digest, jws, outcome, reason FROM heard WHERE query = $1";
const EXTENT: &str = "SELECT head_size, head_root FROM log WHERE origin = $1";
// the subject's index leads: a subject has few statements, and the logs are a handful
const OWN: &str = "SELECT s.subject, l.node, l.generation, s.kind, s.identity, \
     s.log, s.idx, s.class, s.digest, s.verdict, s.reason, s.body, s.jws \
     FROM statement s JOIN log l ON l.id = s.log \
     JOIN record r ON r.identity = s.identity AND r.kind = s.kind AND r.issuer = l.node AND r.log = s.log AND r.idx = s.idx \
     WHERE s.verdict = 'accepted' AND s.body = 'here' AND l.own = 1 AND l.name = 'records'";
static OWN_ABOUT: LazyLock<String> = LazyLock::new(|| {
    format!(
        "{OWN} AND s.subject = $1 AND (l.generation > $2 OR (l.generation = $2 AND s.idx > $3)) \
         ORDER BY l.generation, s.idx LIMIT $4"
    )
});
static OWN_ABOUT_THESE: LazyLock<InList> = LazyLock::new(|| {
    InList::new(1, |list| {
        format!("{OWN} AND s.subject IN ({list}) ORDER BY s.subject, l.generation, s.idx LIMIT {TOGETHER}")
    })
});

impl Db {
    /// What was answered to this nonce of a peer.
    pub async fn answered(&self, asker: &NodeId, nonce: &str) -> Result<Option<Stored>, StoreError> {
        let row: Option<(Vec<u8>, Vec<u8>)> =
            on!(read self, c => sqlx::query_as(ANSWER).bind(asker.as_str()).bind(nonce).fetch_optional(c))?;
        row.map(stored).transpose()
    }

    /// What was answered to these nonces of a peer.
    pub async fn answered_to(&self, asker: &NodeId, nonces: &[&str]) -> Result<HashMap<String, Stored>, StoreError> {
        let mut found = HashMap::new();
        for (sql, asked) in ANSWERS.of(nonces) {
            let rows: Vec<(String, Vec<u8>, Vec<u8>)> = on!(read self, c => asked
                .fold(sqlx::query_as(sql).bind(asker.as_str()), |query, nonce| query.bind(nonce))
                .fetch_all(c))?;
            for (nonce, query, answer) in rows {
                found.insert(nonce, stored((query, answer))?);
            }
        }
        Ok(found)
    }

    /// What a peer answered to a query of this node.
    pub async fn heard(&self, query: &Digest) -> Result<Option<Heard>, StoreError> {
        type Columns = (String, Vec<u8>, Vec<u8>, String, Option<String>);
        let row: Option<Columns> = on!(read self, c => sqlx::query_as(HEARD_OF).bind(&query.0[..]).fetch_optional(c))?;
        let Some((peer, digest, jws, outcome, reason)) = row else { return Ok(None) };
        let outcome = OUTCOMES.into_iter().find(|known| *known == outcome);
        Ok(Some(Heard {
            query: *query,
            peer: peer.parse().map_err(|_| StoreError::Corrupt(format!("peer {peer:?}")))?,
            digest: Digest(hash(&digest)?),
            jws: String::from_utf8_lossy(&jws).into_owned(),
            outcome: outcome.ok_or_else(|| StoreError::Corrupt("an outcome that is none".to_owned()))?,
            reason,
        }))
    }

    /// How far an own log has come; None while it has no checkpoint.
    pub async fn extent(&self, origin: &Origin) -> Result<Option<Extent>, StoreError> {
        let row: Option<(Option<i64>, Option<Vec<u8>>)> =
            on!(read self, c => sqlx::query_as(EXTENT).bind(origin.to_string()).fetch_optional(c))?;
        let Some((Some(size), Some(root))) = row else { return Ok(None) };
        Ok(Some(Extent { size: nat(size)?, root: hash(&root)? }))
    }

    /// Current records about a subject in this node's own logs, in their order, behind a place; at most `limit`.
    pub async fn own_about(
        &self,
        subject: &str,
        behind: Option<Place>,
        limit: u32,
    ) -> Result<Vec<OwnRecord>, StoreError> {
        let (generation, index) = behind.map_or((-1, -1), |at| (i64::from(at.generation), int(at.index)));
        let rows: Vec<OwnRow> = on!(read self, c => sqlx::query_as(OWN_ABOUT.as_str())
            .bind(subject)
            .bind(generation)
            .bind(index)
            .bind(i64::from(limit))
            .fetch_all(c))?;
        rows.into_iter().map(OwnRow::read).collect()
    }

    /// The first of those about each of some subjects, as far as there is room for all of one: 2,000 for a hundred subjects.
    /// Subjects that have more, and those that have no room beside others, are left out.
    pub async fn first_about(&self, subjects: &[&str]) -> Result<HashMap<String, Vec<OwnRecord>>, StoreError> {
        let mut found: HashMap<String, Vec<OwnRecord>> = HashMap::new();
        for (sql, asked) in OWN_ABOUT_THESE.of(subjects) {
            let asked: Vec<&str> = asked.collect();
            let rows: Vec<OwnRow> = on!(read self, c => asked
                .iter()
                .fold(sqlx::query_as(sql), |query, subject| query.bind(*subject))
                .fetch_all(c))?;
            // of the last one, and of those behind it, there may be more
            let cut = rows.last().filter(|_| rows.len() >= TOGETHER).map(|row| row.subject.clone());
            let whole = |subject: &str| cut.as_deref().is_none_or(|cut| subject < cut);
            found.extend(asked.iter().filter(|one| whole(one)).map(|one| ((*one).to_owned(), Vec::new())));
            for row in rows {
                if let Some(records) = found.get_mut(&row.subject) {
                    records.push(row.read()?);
                }
            }
        }
        Ok(found)
    }
}

const OUTCOMES: [&str; 5] = ["yes", "none", "insufficient-identity", "denied", "invalid"];

#[derive(sqlx::FromRow)]
struct OwnRow {
    subject: String,
    node: String,
    generation: i64,
    kind: String,
    identity: Option<Vec<u8>>,
    #[sqlx(flatten)]
    statement: Row,
}

impl OwnRow {
    fn read(self) -> Result<OwnRecord, StoreError> {
        let generation = u32::try_from(self.generation)
            .map_err(|_| StoreError::Corrupt(format!("generation {}", self.generation)))?;
        let place = Place { generation, index: nat(self.statement.idx)? };
        let issuer: NodeId = self.node.parse().map_err(|_| StoreError::Corrupt(format!("the node {:?}", self.node)))?;
        let identity = self.identity.as_deref().map(hash).transpose()?;
        let life = identity.map(|identity| RecordPlace { issuer, kind: self.kind.clone(), identity });
        Ok(OwnRecord { place, life, kind: self.kind, row: self.statement.try_into()? })
    }
}

/// Writes them in the transaction that appends. Repeated: some nonces (positions) are used, and the transaction must end.
pub(super) async fn write(tx: &mut Tx, exchanged: &[Exchanged], now_ms: i64) -> Result<(), AppendError> {
    if exchanged.is_empty() {
        return Ok(());
    }
    let (mut answered, mut heard) = (Vec::new(), Vec::new());
    for (position, one) in exchanged.iter().enumerate() {
        match one {
            Exchanged::Answered(one) => answered.push((position, one)),
            Exchanged::Heard(one) => heard.push(one),
        }
    }
    let repeated = write_answered(tx, &answered, now_ms).await?;
    if !repeated.is_empty() {
        return Err(AppendError::Repeated(repeated));
    }
    insert!(tx, HEARD, &heard, |query, row| query
        .bind(&row.query.0[..])
        .bind(row.peer.as_str())
        .bind(&row.digest.0[..])
        .bind(row.jws.as_bytes())
        .bind(row.outcome)
        .bind(row.reason.as_deref().map(clean))
        .bind(now_ms))
    .await?;
    Ok(())
}

async fn write_answered(tx: &mut Tx, answered: &[(usize, &Answered)], now_ms: i64) -> Result<Vec<usize>, StoreError> {
    // two of one nonce in one batch: the first has it
    let mut first: HashMap<(&NodeId, &str), Digest> = HashMap::new();
    for (_, one) in answered {
        first.entry((&one.asker, &one.nonce)).or_insert(one.answer);
    }
    let written = insert!(tx, ANSWERED, answered, |query, row| query
        .bind(row.1.asker.as_str())
        .bind(row.1.nonce.as_str())
        .bind(&row.1.query.0[..])
        .bind(row.1.jws.as_bytes())
        .bind(&row.1.answer.0[..])
        .bind(now_ms))
    .await?;
    let mut repeated = Vec::new();
    if written == answered.len() as u64 {
        return Ok(repeated);
    }
    for (position, one) in answered {
        let row: Option<(Vec<u8>, Vec<u8>)> = on!(tx tx, c => sqlx::query_as(ANSWER)
            .bind(one.asker.as_str())
            .bind(one.nonce.as_str())
            .fetch_optional(c))?;
        let stands = row.map(stored).transpose()?.map(|stored| stored.answer);
        if stands != Some(one.answer) || first.get(&(&one.asker, one.nonce.as_str())) != Some(&one.answer) {
            repeated.push(*position);
        }
    }
    Ok(repeated)
}

fn stored((query, answer): (Vec<u8>, Vec<u8>)) -> Result<Stored, StoreError> {
    Ok(Stored { query: Digest(hash(&query)?), answer: Digest(hash(&answer)?) })
}
