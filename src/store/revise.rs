//! Taking back what compromised keys signed: rows become refused, and what depended on them becomes what it would have
//! been without them.
//!
//! It is done in steps, each a transaction that moves the log's mark (`unvoided`) on from where it was read. A kill between
//! two leaves the mark, and whoever comes next goes on there; until it is gone nothing is appended to the log and nothing
//! that is held is settled, so every step finds the log as it was when the descriptor came.

use sqlx::FromRow;

use super::append::AppendError;
use super::db::{Tx, clean, hash, int, nat, on, retry};
use super::{Db, LogRow, StoreError, turned};
use crate::log::version::Identified;
use crate::record::name::fold;
use crate::statement::Digest;

/// A row that a key may have signed, and that counts for something or may come to.
#[derive(Clone, Debug)]
pub struct Signed {
    /// Index in the log.
    pub index: u64,
    /// Kind and identity, where it is a record of a known kind.
    pub place: Option<Identified>,
    /// `accepted`, `held` or `refused`.
    pub was: String,
    /// The compact JWS; None where it was erased.
    pub jws: Option<String>,
}

/// A version at a place, accepted or refused for its `prev`.
#[derive(Clone, Debug)]
pub struct VersionRow {
    /// Log number.
    pub log: i64,
    /// The log's generation.
    pub generation: i64,
    /// Index in the log.
    pub index: u64,
    /// Its digest.
    pub digest: Digest,
    /// What it says it replaces.
    pub prev: Option<Digest>,
    /// What it replaced in the place of a gap.
    pub instead: Option<Digest>,
    /// Whether it is accepted.
    pub accepted: bool,
    /// The compact JWS; None where it was erased.
    pub jws: Option<String>,
}

/// One row as it is from now on.
#[derive(Clone, Debug)]
pub struct Revised {
    /// Log number.
    pub log: i64,
    /// Index in the log.
    pub index: u64,
    /// What it was until now: `accepted`, `held` or `refused`.
    pub was: String,
    /// What becomes of it.
    pub becomes: Verdict,
    /// The statements that it is about.
    pub refs: Vec<Digest>,
    /// Its subject: key and name.
    pub subject: Option<(String, String)>,
}

/// What becomes of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It stands, and replaced this one where `prev` names a gap.
    Accepted(Option<Digest>),
    /// It is refused and may yet stand: for its `prev`.
    Superseded(String),
    /// It is refused for good.
    Void(String),
}

/// The rows of one place, and which version is current there.
#[derive(Clone, Debug)]
pub struct Revision {
    /// Kind and identity; None for a row that is no record, or that did not count as a version.
    pub place: Option<(Identified, Moved)>,
    /// The rows that change.
    pub rows: Vec<Revised>,
}

/// Where the pointer of a place goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// The version that is current until now: its log and index.
    pub was: (i64, u64),
    /// The one that is from now on; None if there is none any more.
    pub becomes: Option<Pointed>,
}

/// A version as the pointer of its place has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointed {
    /// Log number.
    pub log: i64,
    /// Index.
    pub index: u64,
    /// Digest.
    pub digest: Digest,
    /// What it replaced.
    pub prev: Option<Digest>,
    /// SHA-256 over what it says.
    pub content: [u8; 32],
}

const SIGNED: &str = "SELECT idx, kind, identity, verdict, jws FROM statement \
     WHERE log = $1 AND idx >= $2 AND idx < $3 AND kind <> 'descriptor' \
     AND (verdict = 'accepted' OR verdict = 'held' OR (verdict = 'refused' AND identity IS NOT NULL)) ORDER BY idx LIMIT $4";
const CURRENT: &str = "SELECT s.log, l.generation, s.idx, s.digest, s.prev, s.instead, s.verdict, s.jws \
     FROM record r JOIN statement s ON s.log = r.log AND s.idx = r.idx JOIN log l ON l.id = s.log \
     WHERE r.identity = $1 AND r.kind = $2 AND r.issuer = $3";
const BEFORE: &str = "SELECT s.log, l.generation, s.idx, s.digest, s.prev, s.instead, s.verdict, s.jws \
     FROM statement s JOIN log l ON l.id = s.log WHERE s.digest = $4 AND s.identity = $1 AND s.kind = $2 \
     AND s.verdict = 'accepted' AND l.node = $3 LIMIT 1";
// `verdict <> 'accepted'` is the condition of the index
const ASIDE: &str = "SELECT s.log, l.generation, s.idx, s.digest, s.prev, s.instead, s.verdict, s.jws \
     FROM statement s JOIN log l ON l.id = s.log WHERE s.identity = $1 AND s.kind = $2 AND l.node = $3 \
     AND s.verdict <> 'accepted' AND s.verdict = 'refused'";
const GO_ON: &str = "UPDATE log SET unvoided = $1 WHERE id = $2 AND unvoided = $3";
const REVISE: &str = "UPDATE statement SET verdict = $1, reason = $2, instead = $3, subject = COALESCE($4, subject), \
     identity = CASE WHEN $5 = 1 THEN NULL ELSE identity END WHERE log = $6 AND idx = $7 AND verdict = $8";
const REMOVE: &str = "DELETE FROM record WHERE issuer = $1 AND kind = $2 AND identity = $3 AND log = $4 AND idx = $5";
const POINT: &str = "UPDATE record SET log = $1, idx = $2, digest = $3, prev = $4, content = $5 \
     WHERE issuer = $6 AND kind = $7 AND identity = $8 AND log = $9 AND idx = $10";
const REFER: &str = "INSERT INTO reference (digest, log, idx) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
const UNREFER: &str = "DELETE FROM reference WHERE digest = $1 AND log = $2 AND idx = $3";
const NAME: &str = "INSERT INTO subject (key, folded, name) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
// of a subject that nothing accepted names any more
const UNNAME: &str = "DELETE FROM subject WHERE key = $1 AND NOT EXISTS (SELECT 1 FROM statement \
     WHERE subject = $1 AND verdict = 'accepted')";

/// Index, kind, identity, verdict and statement.
type SignedColumns = (i64, String, Option<Vec<u8>>, String, Option<Vec<u8>>);

impl Db {
    /// Rows of a log from `first` on and below `end`, at most `limit`, that count for something or may come to.
    pub async fn signed(&self, log: i64, first: u64, end: u64, limit: u32) -> Result<Vec<Signed>, StoreError> {
        let rows: Vec<SignedColumns> = on!(read self, c => sqlx::query_as(SIGNED)
                .bind(log)
                .bind(int(first))
                .bind(int(end))
                .bind(i64::from(limit))
                .fetch_all(c))?;
        let signed = |(index, kind, identity, verdict, jws): SignedColumns| {
            let place = identity.map(|identity| Ok::<_, StoreError>((kind, hash(&identity)?))).transpose()?;
            Ok(Signed { index: nat(index)?, place, was: verdict, jws: jws.map(text).transpose()? })
        };
        rows.into_iter().map(signed).collect()
    }

    /// The versions of a place from a version on (its generation and index) and the one that was current before, in the
    /// order of the logs; with the one that is current now, which comes first.
    pub async fn versions(
        &self,
        issuer: &str,
        place: &Identified,
        from: (i64, u64),
    ) -> Result<Option<(VersionRow, Vec<VersionRow>)>, StoreError> {
        let (kind, identity) = place;
        let current: Option<Row> = on!(read self, c => sqlx::query_as(CURRENT)
            .bind(&identity[..]).bind(kind).bind(issuer).fetch_optional(c))?;
        let Some(current) = current.map(VersionRow::try_from).transpose()? else { return Ok(None) };
        let mut versions = Vec::new();
        let mut at = Some(current.clone());
        while let Some(version) = at {
            at = None;
            if version.place() >= from
                && let Some(prev) = version.instead.or(version.prev)
            {
                let row: Option<Row> = on!(read self, c => sqlx::query_as(BEFORE)
                    .bind(&identity[..]).bind(kind).bind(issuer).bind(&prev.0[..]).fetch_optional(c))?;
                at = row.map(VersionRow::try_from).transpose()?;
            }
            versions.push(version);
        }
        let aside: Vec<Row> = on!(read self, c => sqlx::query_as(ASIDE)
            .bind(&identity[..]).bind(kind).bind(issuer).fetch_all(c))?;
        for row in aside {
            versions.extend(Some(VersionRow::try_from(row)?).filter(|version| version.place() >= from));
        }
        versions.sort_by_key(VersionRow::place);
        Ok(Some((current, versions)))
    }

    /// Does all of these and moves the log's mark on, to None when there is no more to do. Moved: another process did so.
    pub async fn revise(&self, log: &LogRow, revisions: &[Revision], next: Option<u64>) -> Result<(), AppendError> {
        let issuer = log.origin.node.as_str();
        retry(|| async {
            let mut tx = self.begin().await?;
            let gone_on = on!(change tx, c => sqlx::query(GO_ON)
                .bind(next.map(int)).bind(log.id).bind(log.unvoided.map(int)).execute(c))?;
            if gone_on == 0 {
                return Err(AppendError::Moved);
            }
            for revision in revisions {
                for row in &revision.rows {
                    row.write(&mut tx).await?;
                }
                if let Some((place, moved)) = &revision.place
                    && !moved.write(&mut tx, issuer, place).await?
                {
                    return Err(AppendError::Moved);
                }
            }
            for (key, _) in revisions.iter().flat_map(|revision| &revision.rows).filter_map(|row| row.subject.as_ref())
            {
                on!(change tx, c => sqlx::query(UNNAME).bind(key).execute(c))?;
            }
            tx.commit().await?;
            Ok(())
        })
        .await
    }
}

impl VersionRow {
    /// Generation and index: the order of an issuer's logs.
    pub fn place(&self) -> (i64, u64) {
        (self.generation, self.index)
    }
}

impl Revised {
    async fn write(&self, tx: &mut Tx) -> Result<(), AppendError> {
        let (verdict, reason, instead) = match &self.becomes {
            Verdict::Accepted(instead) => ("accepted", None, instead.as_ref()),
            Verdict::Superseded(why) | Verdict::Void(why) => ("refused", Some(clean(why)), None),
        };
        let stands = verdict == "accepted";
        let revised = on!(change tx, c => sqlx::query(REVISE)
            .bind(verdict)
            .bind(reason.as_deref())
            .bind(instead.map(|instead| &instead.0[..]))
            .bind(self.subject.as_ref().map(|(key, _)| key.as_str()))
            .bind(i64::from(matches!(self.becomes, Verdict::Void(_))))
            .bind(self.log)
            .bind(int(self.index))
            .bind(&self.was)
            .execute(c))?;
        if revised == 0 {
            return Err(AppendError::Moved);
        }
        // one that was held or refused, and is refused now, was never told of
        if let Some((key, _)) = &self.subject
            && stands != (self.was == "accepted")
        {
            turned::note(tx, self.log, self.index, key, stands).await?;
        }
        for digest in &self.refs {
            on!(change tx, c => sqlx::query(if stands { REFER } else { UNREFER })
                .bind(&digest.0[..]).bind(self.log).bind(int(self.index)).execute(c))?;
        }
        if let Some((key, name)) = &self.subject
            && stands
        {
            on!(change tx, c => sqlx::query(NAME).bind(key).bind(fold(name)).bind(name).execute(c))?;
        }
        Ok(())
    }
}

impl Moved {
    async fn write(&self, tx: &mut Tx, issuer: &str, (kind, identity): &Identified) -> Result<bool, StoreError> {
        let changed = match &self.becomes {
            None => on!(change tx, c => sqlx::query(REMOVE)
                .bind(issuer)
                .bind(kind)
                .bind(&identity[..])
                .bind(self.was.0)
                .bind(int(self.was.1))
                .execute(c)),
            Some(to) => on!(change tx, c => sqlx::query(POINT)
                .bind(to.log)
                .bind(int(to.index))
                .bind(&to.digest.0[..])
                .bind(to.prev.as_ref().map(|prev| &prev.0[..]))
                .bind(&to.content[..])
                .bind(issuer)
                .bind(kind)
                .bind(&identity[..])
                .bind(self.was.0)
                .bind(int(self.was.1))
                .execute(c)),
        }?;
        Ok(changed == 1)
    }
}

#[derive(FromRow)]
struct Row {
    log: i64,
    generation: i64,
    idx: i64,
    digest: Vec<u8>,
    prev: Option<Vec<u8>>,
    instead: Option<Vec<u8>>,
    verdict: String,
    jws: Option<Vec<u8>>,
}

impl TryFrom<Row> for VersionRow {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let digest = |bytes: Vec<u8>| hash(&bytes).map(Digest);
        Ok(Self {
            log: row.log,
            generation: row.generation,
            index: nat(row.idx)?,
            digest: digest(row.digest)?,
            prev: row.prev.map(digest).transpose()?,
            instead: row.instead.map(digest).transpose()?,
            accepted: row.verdict == "accepted",
            jws: row.jws.map(text).transpose()?,
        })
    }
}

fn text(jws: Vec<u8>) -> Result<String, StoreError> {
    String::from_utf8(jws).map_err(|_| StoreError::Corrupt("a statement that is no text".to_owned()))
}
