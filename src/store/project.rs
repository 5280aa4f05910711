//! What statements become in the tables: their own columns, record pointers, references, events, subjects.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::LazyLock;

use super::StoreError;
use super::append::{AppendError, RecordKey, Stored};
use super::db::{Tx, clean, int, on};
use super::record::current_on;
use super::rows::{MultiRow, insert, insert_returning};
use crate::log::event::RecordPlace;
use crate::log::{Class, Entry};
use crate::record::name::fold;
use crate::statement::{Digest, NodeId, Refused, Unverified, Verified};

/// A row of `statement`, borrowed from what is to be stored.
pub(super) struct Columns<'a> {
    pub(super) index: i64,
    pub(super) class: i64,
    pub(super) digest: [u8; 32],
    pub(super) kind: Option<&'a str>,
    pub(super) version: Option<i64>,
    pub(super) iat: Option<i64>,
    pub(super) subject: Option<Cow<'a, str>>,
    pub(super) identity: Option<&'a [u8]>,
    pub(super) prev: Option<&'a [u8]>,
    pub(super) instead: Option<&'a [u8]>,
    pub(super) verdict: &'static str,
    pub(super) reason: Option<String>,
    pub(super) body: &'static str,
    pub(super) jws: Option<&'a [u8]>,
}

static STATEMENTS: LazyLock<MultiRow> = LazyLock::new(|| {
    MultiRow::new(
        "INSERT INTO statement (log, idx, class, digest, kind, version, iat, subject, identity, prev, instead, \
         verdict, reason, body, jws)",
        15,
        "",
    )
});
// A first version: nothing may stand there yet.
static FIRST_VERSIONS: LazyLock<MultiRow> = LazyLock::new(|| {
    MultiRow::new(
        "INSERT INTO record (issuer, kind, identity, log, idx, digest, content, versions)",
        8,
        "ON CONFLICT DO NOTHING",
    )
});
// A later version: moves the pointer only from the version that it names. Where nothing stood the row comes back with no
// more versions than it brought, and is no more welcome.
static LATER_VERSIONS: LazyLock<MultiRow> = LazyLock::new(|| {
    MultiRow::new(
        "INSERT INTO record (issuer, kind, identity, log, idx, digest, content, versions, prev)",
        9,
        "ON CONFLICT (issuer, kind, identity) DO UPDATE SET log = excluded.log, idx = excluded.idx, \
         digest = excluded.digest, content = excluded.content, versions = record.versions + excluded.versions, \
         prev = excluded.prev WHERE record.digest = excluded.prev RETURNING kind, identity, versions",
    )
});
static REFERENCES: LazyLock<MultiRow> =
    LazyLock::new(|| MultiRow::new("INSERT INTO reference (digest, log, idx)", 3, "ON CONFLICT DO NOTHING"));
static EVENTS: LazyLock<MultiRow> = LazyLock::new(|| {
    MultiRow::new("INSERT INTO event (issuer, kind, identity, log, idx)", 5, "ON CONFLICT DO NOTHING")
});
// What is this node's own takes effect here by itself.
const TO_RECOGNISE: &str = "INSERT INTO recognising (digest, came_ms, state) \
     SELECT $1, $2, 'new' FROM log WHERE id = $3 AND own = 0 ON CONFLICT DO NOTHING";
const PENDING: &str = "UPDATE recognising SET state = 'pending' \
     WHERE digest = $1 AND EXISTS (SELECT 1 FROM log WHERE id = $2 AND own = 1)";
const RECOGNISED: &str = "DELETE FROM recognising \
     WHERE digest = $1 AND EXISTS (SELECT 1 FROM log WHERE id = $2 AND own = 1)";
static SUBJECTS: LazyLock<MultiRow> =
    LazyLock::new(|| MultiRow::new("INSERT INTO subject (key, folded, name)", 3, "ON CONFLICT DO NOTHING"));

impl<'a> Columns<'a> {
    /// The columns of a statement at an index; `entry` None where class and digest stand there already.
    pub(super) fn of(index: u64, entry: Option<&Entry>, stored: &'a Stored) -> Self {
        let (verified, projection) = match stored {
            Stored::Accepted(verified, projection) => (Some(verified), Some(projection)),
            Stored::Held(verified, _) | Stored::Superseded(verified, _) => (Some(verified), None),
            Stored::Refused(..) | Stored::Withheld | Stored::Erased => (None, None),
        };
        let (verdict, reason) = match stored {
            Stored::Accepted(..) => ("accepted", None),
            Stored::Held(_, early) => ("held", Some(clean(&early.why))),
            Stored::Refused(_, reason) => ("refused", Some(clean(reason))),
            Stored::Superseded(..) => ("refused", Some(Refused::Prev.to_string())),
            Stored::Withheld | Stored::Erased => ("unread", None),
        };
        let prev = verified.and_then(|v| v.statement().prev.as_ref());
        Self {
            index: int(index),
            class: entry.map_or(0, |entry| i64::from(entry.class == Class::Addressed)),
            digest: entry.map_or([0; 32], |entry| entry.digest.0),
            kind: verified.map(|v| v.statement().typ.kind.as_str()),
            version: verified.map(|v| i64::from(v.statement().typ.version)),
            iat: verified.map(|v| v.statement().iat),
            subject: subject(stored),
            identity: match stored {
                Stored::Accepted(_, projection) => projection.record.as_ref().map(|record| &record.identity[..]),
                Stored::Held(_, early) => early.identity.as_ref().map(|identity| &identity[..]),
                Stored::Superseded(_, identity) => Some(&identity[..]),
                Stored::Refused(..) | Stored::Withheld | Stored::Erased => None,
            },
            prev: prev.map(|prev| &prev.0[..]),
            instead: projection.and_then(|p| p.prev.as_ref()).filter(|it| Some(*it) != prev).map(|it| &it.0[..]),
            verdict,
            reason,
            body: match stored {
                Stored::Withheld => "withheld",
                Stored::Erased => "erased",
                _ => "here",
            },
            jws: match stored {
                Stored::Accepted(verified, _) | Stored::Held(verified, _) | Stored::Superseded(verified, _) => {
                    Some(verified.jws().as_bytes())
                }
                Stored::Refused(jws, _) => Some(jws.as_bytes()),
                Stored::Withheld | Stored::Erased => None,
            },
        }
    }

    /// Writes rows of one log.
    pub(super) async fn write(tx: &mut Tx, log: i64, rows: &[Columns<'_>]) -> Result<(), StoreError> {
        insert!(tx, STATEMENTS, rows, |query, row| query
            .bind(log)
            .bind(row.index)
            .bind(row.class)
            .bind(&row.digest[..])
            .bind(row.kind)
            .bind(row.version)
            .bind(row.iat)
            .bind(row.subject.as_deref())
            .bind(row.identity)
            .bind(row.prev)
            .bind(row.instead)
            .bind(row.verdict)
            .bind(row.reason.as_deref())
            .bind(row.body)
            .bind(row.jws))
        .await?;
        Ok(())
    }
}

/// The key of the subject, of all that could be read: who looks into what was refused or held finds it by that too.
fn subject(stored: &Stored) -> Option<Cow<'_, str>> {
    match stored {
        Stored::Accepted(_, projection) => projection.subject.as_ref().map(|(key, _)| key.as_str().into()),
        Stored::Held(verified, _) | Stored::Superseded(verified, _) => {
            verified.statement().sub.as_ref().map(|sub| sub.key().into())
        }
        Stored::Refused(jws, _) => Unverified::parse(jws).ok()?.statement().sub.as_ref().map(|sub| sub.key().into()),
        Stored::Withheld | Stored::Erased => None,
    }
}

/// Versions of one record that follow each other inside one transaction: its row is touched once.
struct Chain<'a> {
    issuer: &'a NodeId,
    kind: &'a str,
    key: RecordKey,
    /// What the first of them replaces.
    from: Option<Digest>,
    /// The last of them.
    digest: Digest,
    index: i64,
    /// Their positions among what is stored.
    positions: Vec<usize>,
}

/// What accepted statements project beside their own rows.
pub(super) struct Projections<'a> {
    first: Vec<Chain<'a>>,
    later: Vec<Chain<'a>>,
    references: BTreeSet<([u8; 32], i64)>,
    events: BTreeSet<(&'a RecordPlace, i64)>,
    /// Repairs, revocations and what is said to them, in order.
    recognition: Vec<Recognition>,
    subjects: BTreeMap<(&'a str, String), &'a str>,
}

/// What becomes of the list of what this node has to decide on.
enum Recognition {
    /// A repair or revocation has come; its `iat` in milliseconds is the only time here that all processes agree on.
    Came(Digest, i64),
    /// It waits for a person.
    Pending(Digest),
    /// It is decided.
    Decided(Digest),
}

impl Recognition {
    fn of(statement: &Verified) -> Option<Self> {
        let said = statement.statement();
        match said.typ.kind.as_str() {
            "repair" | "repair-revocation" => Some(Self::Came(statement.digest(), said.iat.saturating_mul(1000))),
            "recognition" => {
                let about = *said.refs.first()?;
                let pending = said.body.get("outcome").and_then(|outcome| outcome.as_str()) == Some("pending");
                Some(if pending { Self::Pending(about) } else { Self::Decided(about) })
            }
            _ => None,
        }
    }

    async fn write(&self, tx: &mut Tx, log: i64) -> Result<(), StoreError> {
        match self {
            Self::Came(digest, at) => on!(change tx, c => sqlx::query(TO_RECOGNISE)
                .bind(&digest.0[..])
                .bind(*at)
                .bind(log)
                .execute(c))?,
            Self::Pending(digest) => {
                on!(change tx, c => sqlx::query(PENDING).bind(&digest.0[..]).bind(log).execute(c))?
            }
            Self::Decided(digest) => {
                on!(change tx, c => sqlx::query(RECOGNISED).bind(&digest.0[..]).bind(log).execute(c))?
            }
        };
        Ok(())
    }
}

impl<'a> Projections<'a> {
    /// Of what is stored from an index on. A version that does not follow the one before it here is superseded, and
    /// those behind it with it.
    pub(super) fn of(index: u64, stored: impl Iterator<Item = &'a Stored>) -> Result<Self, AppendError> {
        let mut chains: Vec<Chain<'a>> = Vec::new();
        let mut by_record: HashMap<(&str, [u8; 32]), usize> = HashMap::new();
        let mut superseded = Vec::new();
        let mut references = BTreeSet::new();
        let mut events = BTreeSet::new();
        let mut recognition = Vec::new();
        let mut subjects = BTreeMap::new();
        for (position, stored) in stored.enumerate() {
            let Stored::Accepted(verified, projection) = stored else { continue };
            let at = int(index + position as u64);
            for digest in &projection.refs {
                references.insert((digest.0, at));
            }
            if let Some(place) = projection.about.as_deref() {
                events.insert((place, at));
                recognition.extend(Recognition::of(verified));
            }
            if let Some((key, name)) = &projection.subject {
                subjects.entry((key.as_str(), fold(name))).or_insert(name.as_str());
            }
            let Some(key) = projection.record else { continue };
            let kind = verified.statement().typ.kind.as_str();
            match by_record.get(&(kind, key.identity)) {
                None => {
                    by_record.insert((kind, key.identity), chains.len());
                    chains.push(Chain {
                        issuer: verified.issuer(),
                        kind,
                        key,
                        from: projection.prev,
                        digest: verified.digest(),
                        index: at,
                        positions: vec![position],
                    });
                }
                Some(&chain) if projection.prev == Some(chains[chain].digest) => {
                    let chain = &mut chains[chain];
                    chain.key = key;
                    chain.digest = verified.digest();
                    chain.index = at;
                    chain.positions.push(position);
                }
                Some(_) => superseded.push(position),
            }
        }
        if superseded.is_empty() {
            let (first, later) = chains.into_iter().partition(|chain| chain.from.is_none());
            Ok(Self { first, later, references, events, recognition, subjects })
        } else {
            Err(AppendError::Superseded(superseded))
        }
    }

    /// Writes them. Superseded: some record stands at another version than was named, and the transaction must end.
    pub(super) async fn write(&self, tx: &mut Tx, log: i64) -> Result<(), AppendError> {
        let mut superseded = self.write_first(tx, log).await?;
        superseded.extend(self.write_later(tx, log).await?);
        if !superseded.is_empty() {
            superseded.sort_unstable();
            return Err(AppendError::Superseded(superseded));
        }
        let references: Vec<_> = self.references.iter().collect();
        insert!(tx, REFERENCES, &references, |query, row| query.bind(&row.0[..]).bind(log).bind(row.1)).await?;
        let events: Vec<_> = self.events.iter().collect();
        insert!(tx, EVENTS, &events, |query, row| query
            .bind(row.0.issuer.as_str())
            .bind(row.0.kind.as_str())
            .bind(&row.0.identity[..])
            .bind(log)
            .bind(row.1))
        .await?;
        for recognition in &self.recognition {
            recognition.write(tx, log).await?;
        }
        // in one order everywhere, so that two transactions that name the same subjects do not wait for each other
        let subjects: Vec<_> = self.subjects.iter().collect();
        insert!(tx, SUBJECTS, &subjects, |query, row| query.bind(row.0.0).bind(row.0.1.as_str()).bind(*row.1)).await?;
        Ok(())
    }

    async fn write_first(&self, tx: &mut Tx, log: i64) -> Result<Vec<usize>, StoreError> {
        let written = insert!(tx, FIRST_VERSIONS, &self.first, |query, chain| query
            .bind(chain.issuer.as_str())
            .bind(chain.kind)
            .bind(&chain.key.identity[..])
            .bind(log)
            .bind(chain.index)
            .bind(&chain.digest.0[..])
            .bind(&chain.key.content[..])
            .bind(chain.positions.len() as i64))
        .await?;
        let mut superseded = Vec::new();
        if written == self.first.len() as u64 {
            return Ok(superseded);
        }
        for chain in &self.first {
            // by its place: the same statement may stand in a log twice
            let current = current_on(tx, chain.issuer, chain.kind, &chain.key.identity).await?;
            if current != Some((log, chain.index)) {
                superseded.extend(&chain.positions);
            }
        }
        Ok(superseded)
    }

    async fn write_later(&self, tx: &mut Tx, log: i64) -> Result<Vec<usize>, StoreError> {
        let moved: Vec<(String, Vec<u8>, i64)> =
            insert_returning!(tx, LATER_VERSIONS, &self.later, |query, chain| query
                .bind(chain.issuer.as_str())
                .bind(chain.kind)
                .bind(&chain.key.identity[..])
                .bind(log)
                .bind(chain.index)
                .bind(&chain.digest.0[..])
                .bind(&chain.key.content[..])
                .bind(chain.positions.len() as i64)
                .bind(chain.from.as_ref().map(|from| &from.0[..])))
            .await?;
        let moved: HashMap<(&str, &[u8]), i64> =
            moved.iter().map(|(kind, identity, versions)| ((kind.as_str(), identity.as_slice()), *versions)).collect();
        let fits = |chain: &&Chain<'_>| {
            moved
                .get(&(chain.kind, &chain.key.identity[..]))
                .is_some_and(|versions| *versions > chain.positions.len() as i64)
        };
        Ok(self.later.iter().filter(|chain| !fits(chain)).flat_map(|chain| chain.positions.iter().copied()).collect())
    }
}

/// Takes a lock on a log's row, so that whoever writes to it now has ended.
pub(super) async fn lock(tx: &mut Tx, log: i64) -> Result<(), StoreError> {
    on!(change tx, c => sqlx::query("UPDATE log SET size = size WHERE id = $1").bind(log).execute(c))?;
    Ok(())
}
