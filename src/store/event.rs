//! What was said about records: events, the statements that they name, and the lives of records.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::LazyLock;

use sqlx::FromRow;

use super::db::{hash, nat, on};
use super::list::InList;
use super::{Db, StoreError};
use crate::log::event::{At, Life, Lives, RecordPlace, Said, Target};
use crate::statement::{Digest, NodeId, Statement, Unverified};

static TARGETS: LazyLock<InList> = LazyLock::new(|| {
    InList::new(1, |list| {
        format!(
            "SELECT s.digest, s.verdict, s.kind AS statement_kind, s.identity AS statement_identity, s.jws, l.node, \
         e.issuer, e.kind, e.identity FROM statement s JOIN log l ON l.id = s.log \
         LEFT JOIN event e ON e.log = s.log AND e.idx = s.idx WHERE s.digest IN ({list}) ORDER BY s.log, s.idx"
        )
    })
});
static SAID: LazyLock<InList> = LazyLock::new(|| {
    InList::new(1, |list| {
        format!(
            "SELECT e.issuer, e.kind, e.identity, s.digest, s.idx, s.jws, l.generation FROM event e \
         JOIN statement s ON s.log = e.log AND s.idx = e.idx JOIN log l ON l.id = e.log \
         WHERE e.identity IN ({list}) AND s.verdict = 'accepted' ORDER BY e.log, e.idx"
        )
    })
});
static VERSIONS: LazyLock<InList> = LazyLock::new(|| {
    InList::new(1, |list| {
        format!(
            "SELECT r.issuer, r.kind, r.identity, r.idx, l.generation FROM record r JOIN log l ON l.id = r.log \
         WHERE r.identity IN ({list})"
        )
    })
});

// Events are far fewer than records.
const DISPUTES: &str = "SELECT s.digest, s.jws FROM event e JOIN statement s ON s.log = e.log AND s.idx = e.idx \
     WHERE e.issuer = $1 AND s.kind IN ('dispute', 'dispute-answer') AND s.verdict = 'accepted' AND s.jws IS NOT NULL \
     ORDER BY s.iat, s.log, s.idx";

impl Db {
    /// The statements of these digests, and the lives of the records that they are or are about; and of further records.
    pub async fn lives(&self, digests: &[Digest], records: &HashSet<RecordPlace>) -> Result<Lives, StoreError> {
        let mut lives = Lives::default();
        let asked: Vec<&[u8]> = digests.iter().map(|digest| &digest.0[..]).collect();
        for row in self.by_digest::<TargetRow>(&TARGETS, &asked).await? {
            let (digest, target) = row.read()?;
            let known = lives.targets.get(&digest);
            // one may stand in a log twice: what counts once counts
            if !matches!(known, Some(Target::Here(..))) {
                lives.targets.insert(digest, target);
            }
        }
        let places = lives.targets.keys().filter_map(|digest| lives.place_of(digest)).chain(records);
        let places: HashSet<RecordPlace> = places.cloned().collect();
        lives.lives = self.said_of(&places).await?;
        let identities = identities(&places);
        let asked: Vec<&[u8]> = identities.iter().map(|identity| &identity[..]).collect();
        for row in self.by_digest::<VersionRow>(&VERSIONS, &asked).await? {
            let (place, at) = row.read()?;
            if places.contains(&place) {
                lives.lives.entry(place).or_default().version = Some(at);
            }
        }
        Ok(lives)
    }

    /// What was said about records: what their standings depend on. Where their current versions stand is not in it.
    pub async fn said_of(&self, records: &HashSet<RecordPlace>) -> Result<HashMap<RecordPlace, Life>, StoreError> {
        let mut lives: HashMap<RecordPlace, Life> = HashMap::new();
        let identities = identities(records);
        let asked: Vec<&[u8]> = identities.iter().map(|identity| &identity[..]).collect();
        for row in self.by_digest::<SaidRow>(&SAID, &asked).await? {
            let (place, said) = row.read()?;
            if let Some(said) = said.filter(|_| records.contains(&place)) {
                lives.entry(place).or_default().said.push(said);
            }
        }
        Ok(lives)
    }

    /// Disputes about an issuer's records and its answers to them, by the time at which they were said.
    pub async fn disputes(&self, issuer: &NodeId) -> Result<Vec<(Digest, Statement)>, StoreError> {
        let rows: Vec<(Vec<u8>, Vec<u8>)> =
            on!(read self, c => sqlx::query_as(DISPUTES).bind(issuer.as_str()).fetch_all(c))?;
        rows.into_iter().map(|(digest, jws)| Ok((Digest(hash(&digest)?), statement(jws)?))).collect()
    }

    async fn by_digest<R>(&self, list: &'static InList, asked: &[&[u8]]) -> Result<Vec<R>, StoreError>
    where
        R: for<'r> FromRow<'r, sqlx::sqlite::SqliteRow> + for<'r> FromRow<'r, sqlx::postgres::PgRow> + Send + Unpin,
    {
        let mut found = Vec::new();
        for (sql, asked) in list.of(asked) {
            let rows: Vec<R> =
                on!(read self, c => asked.fold(sqlx::query_as(sql), |query, one| query.bind(one)).fetch_all(c))?;
            found.extend(rows);
        }
        Ok(found)
    }
}

fn identities(records: &HashSet<RecordPlace>) -> BTreeSet<[u8; 32]> {
    records.iter().map(|place| place.identity).collect()
}

#[derive(FromRow)]
struct TargetRow {
    digest: Vec<u8>,
    verdict: String,
    statement_kind: Option<String>,
    statement_identity: Option<Vec<u8>>,
    jws: Option<Vec<u8>>,
    node: String,
    issuer: Option<String>,
    kind: Option<String>,
    identity: Option<Vec<u8>>,
}

#[derive(FromRow)]
struct SaidRow {
    issuer: String,
    kind: String,
    identity: Vec<u8>,
    digest: Vec<u8>,
    idx: i64,
    jws: Option<Vec<u8>>,
    generation: i64,
}

#[derive(FromRow)]
struct VersionRow {
    issuer: String,
    kind: String,
    identity: Vec<u8>,
    idx: i64,
    generation: i64,
}

impl TargetRow {
    fn read(self) -> Result<(Digest, Target), StoreError> {
        let digest = Digest(hash(&self.digest)?);
        let target = match self.verdict.as_str() {
            "accepted" => match (self.issuer, self.kind, self.identity, self.statement_identity) {
                (Some(issuer), Some(kind), Some(identity), _) => here(self.jws, place(&issuer, kind, &identity)?)?,
                (.., Some(identity)) => {
                    here(self.jws, place(&self.node, self.statement_kind.unwrap_or_default(), &identity)?)?
                }
                _ => Target::Other,
            },
            "refused" => Target::Refused,
            _ => Target::Early,
        };
        Ok((digest, target))
    }
}

impl SaidRow {
    /// None where the body was erased: what it said is not known any more.
    fn read(self) -> Result<(RecordPlace, Option<Said>), StoreError> {
        let place = place(&self.issuer, self.kind, &self.identity)?;
        let (digest, at) = (Digest(hash(&self.digest)?), at(self.generation, self.idx)?);
        let statement = self.jws.map(statement).transpose()?;
        Ok((place, statement.map(|statement| Said { digest, at, statement })))
    }
}

impl VersionRow {
    fn read(self) -> Result<(RecordPlace, At), StoreError> {
        Ok((place(&self.issuer, self.kind, &self.identity)?, at(self.generation, self.idx)?))
    }
}

fn here(jws: Option<Vec<u8>>, place: RecordPlace) -> Result<Target, StoreError> {
    match jws {
        Some(jws) => Ok(Target::Here(Box::new(statement(jws)?), place)),
        None => Ok(Target::Early),
    }
}

fn at(generation: i64, index: i64) -> Result<At, StoreError> {
    let generation = u32::try_from(generation).map_err(|_| StoreError::Corrupt("a generation".to_owned()))?;
    Ok((generation, nat(index)?))
}

pub(super) fn place(issuer: &str, kind: String, identity: &[u8]) -> Result<RecordPlace, StoreError> {
    let issuer: NodeId = issuer.parse().map_err(|_| StoreError::Corrupt(format!("the node {issuer:?}")))?;
    Ok(RecordPlace { issuer, kind, identity: hash(identity)? })
}

/// Its signature was verified before it was stored.
pub(super) fn statement(jws: Vec<u8>) -> Result<Statement, StoreError> {
    let corrupt = |why: &dyn std::fmt::Display| StoreError::Corrupt(format!("a statement: {why}"));
    let jws = String::from_utf8(jws).map_err(|error| corrupt(&error))?;
    Ok(Unverified::parse(&jws).map_err(|error| corrupt(&error))?.statement().clone())
}
