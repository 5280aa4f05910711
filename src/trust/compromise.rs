//! Compromised keys: which a descriptor declares, and what becomes of what they signed.
//!
//! A descriptor voids what stands before it: a statement under a compromised key, at the index from which on that key's
//! signatures count for nothing or above, is refused, though it was accepted or held until then. The place of each such
//! record is judged anew from there on ([`crate::log::version::again`]): what was refused because of it may stand again,
//! what stood on it no longer does. A void statement still counts towards the highest `iat` of its log, since what stands
//! between was judged by that. All of this depends on the log alone, and is done before anything behind the descriptor is
//! judged: so mirrors that had taken the statements in, and those that pull the log later, come to the same end.

use std::collections::HashSet;

use super::descriptor::{Descriptor, DescriptorError, KeyState, Purpose};
use crate::log::Origin;
use crate::log::version::{Again, Becomes, Identified, again};
use crate::statement::{Digest, Kinds, Refused, Statement, Unverified};
use crate::store::append::AppendError;
use crate::store::revise::{Moved, Pointed, Revised, Revision, Signed, Verdict, VersionRow};
use crate::store::statement::Body;
use crate::store::{Db, LogRow, StoreError};

/// Rows that are looked at in one transaction.
pub const AT_ONCE: u32 = 500;

/// A signing key whose signatures count below an index only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compromised {
    /// The key.
    pub kid: String,
    /// From this index on what it signed is void.
    pub valid_below: u64,
}

/// The signing keys that a descriptor declares compromised, as they count in one log.
pub fn compromised(descriptor: &Descriptor, origin: &Origin) -> Vec<Compromised> {
    let keys = descriptor.keys.iter().filter(|key| key.state == KeyState::Compromised && key.purpose == Purpose::Sign);
    let below = |below: Option<u64>| below.unwrap_or(0);
    keys.map(|key| Compromised {
        kid: key.key.kid().to_owned(),
        valid_below: below(key.valid_below.as_ref().map(|it| it.of(origin))),
    })
    .collect()
}

/// Those that the descriptor before it did not declare, or not for so much.
pub fn newly(before: Option<&Descriptor>, descriptor: &Descriptor, origin: &Origin) -> Vec<Compromised> {
    let known = before.map(|before| compromised(before, origin)).unwrap_or_default();
    compromised(descriptor, origin).into_iter().filter(|key| !known.contains(key)).collect()
}

/// From where on a log must be looked through for what a descriptor at `index` voids.
pub fn unvoided(newly: &[Compromised], index: u64) -> Option<u64> {
    newly.iter().map(|key| key.valid_below).min().filter(|from| *from < index)
}

/// Why it did not go on.
#[derive(Clone, Debug, thiserror::Error)]
pub enum VoidError {
    /// Another process of the node goes on with the same: look at the log again.
    #[error("another process of this node moved the log")]
    Moved,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The descriptor that says so can't be read.
    #[error("the descriptor that declares keys compromised: {0}")]
    Descriptor(#[from] DescriptorError),
}

/// Voids all that is to be voided in a log; gives the log as it stands then.
pub async fn void(db: &Db, kinds: &Kinds, log: LogRow) -> Result<LogRow, VoidError> {
    let mut log = log;
    while log.unvoided.is_some() {
        log = Box::pin(void_some(db, kinds, log, AT_ONCE)).await?;
        tokio::task::yield_now().await;
    }
    Ok(log)
}

/// The same for at most so many rows: one transaction.
pub async fn void_some(db: &Db, kinds: &Kinds, log: LogRow, rows: u32) -> Result<LogRow, VoidError> {
    let Some(from) = log.unvoided else { return Ok(log) };
    let pass = Pass::of(db, kinds, &log).await?;
    let signed = db.signed(log.id, from, pass.end, rows).await?;
    let next = signed.last().map(|row| row.index + 1).filter(|next| signed.len() == rows as usize && *next < pass.end);
    let mut revisions = Vec::new();
    let mut places: HashSet<Identified> = HashSet::new();
    for row in &signed {
        let Some(statement) = row.jws.as_deref().filter(|jws| pass.is_void(row.index, jws)) else { continue };
        match &row.place {
            Some(place) if row.was == "accepted" => {
                if places.insert(place.clone()) {
                    revisions.extend(pass.place(place, row).await?);
                }
            }
            Some(place) if places.contains(place) && row.was == "refused" => {} // judged anew with the others there
            _ => {
                let verdict = Verdict::Void(Refused::Compromised.to_string());
                let rows = vec![Pass::revised((log.id, row.index), &row.was, verdict, Some(statement))];
                revisions.push(Revision { place: None, rows });
            }
        }
    }
    match db.revise(&log, &revisions, next).await {
        Ok(()) => {}
        Err(AppendError::Store(error)) => return Err(error.into()),
        Err(_) => return Err(VoidError::Moved),
    }
    let again = db.log(&log.origin).await?;
    again.ok_or_else(|| StoreError::Corrupt(format!("{} is gone", log.origin)).into())
}

/// What a log is looked through for.
struct Pass<'a> {
    db: &'a Db,
    kinds: &'a Kinds,
    log: &'a LogRow,
    keys: Vec<Compromised>,
    /// The index of the descriptor that says so.
    end: u64,
}

impl<'a> Pass<'a> {
    async fn of(db: &'a Db, kinds: &'a Kinds, log: &'a LogRow) -> Result<Self, VoidError> {
        let gone = || StoreError::Corrupt(format!("{}: its last descriptor is not there", log.origin));
        let end = log.descriptor.ok_or_else(gone)?;
        let row = db.statements(log.id, end, 1).await?.pop().ok_or_else(gone)?;
        let Body::Here(jws) = row.body else { return Err(gone().into()) };
        let (_, descriptor) = Descriptor::open(&jws)?;
        Ok(Self { db, kinds, log, keys: compromised(&descriptor, &log.origin), end })
    }

    fn is_void(&self, index: u64, jws: &str) -> bool {
        let Ok(unverified) = Unverified::parse(jws) else { return false };
        let kid = unverified.kid();
        index < self.end && self.keys.iter().any(|key| key.kid == kid && key.valid_below <= index)
    }

    /// A row as it is from now on, with what it says that the tables have of it.
    fn revised((log, index): (i64, u64), was: &str, becomes: Verdict, jws: Option<&str>) -> Revised {
        let said = jws.and_then(statement);
        let subject = said.as_ref().and_then(|said| said.sub.as_ref());
        let subject = subject.map(|subject| (subject.key(), subject.name().to_owned()));
        let refs = said.map(|said| said.refs).unwrap_or_default();
        Revised { log, index, was: was.to_owned(), becomes, refs, subject }
    }

    /// The versions of a place from a void one on, judged anew.
    async fn place(&self, place: &Identified, first: &Signed) -> Result<Option<Revision>, VoidError> {
        let from = (i64::from(self.log.origin.generation), first.index);
        let found = self.db.versions(self.log.origin.node.as_str(), place, from).await?;
        let Some((current, versions)) = found else { return Ok(None) };
        let at = versions.partition_point(|version| version.place() < from);
        let (before, versions) = versions.split_at(at);
        let mut input = Vec::with_capacity(versions.len());
        for version in versions {
            let here = version.log == self.log.id;
            let gap = match version.prev {
                Some(prev) if here => self.db.gap(version.log, &prev, (version.index, first.index), place).await?,
                Some(prev) => self.db.gap(version.log, &prev, (version.index, 0), place).await?,
                None => false,
            };
            let void = here && version.jws.as_deref().is_some_and(|jws| self.is_void(version.index, jws));
            input.push(Again { digest: version.digest, prev: version.prev, gap, void });
        }
        let becomes = again(before.last().map(|version| version.digest), &input);

        let mut rows = Vec::new();
        let mut stands = before.last().map(|version| (version, version.instead.or(version.prev)));
        for (version, becomes) in versions.iter().zip(becomes) {
            let was = if version.accepted { "accepted" } else { "refused" };
            let verdict = match becomes {
                Becomes::Void => Verdict::Void(Refused::Compromised.to_string()),
                Becomes::Superseded if !version.accepted => continue,
                Becomes::Superseded => Verdict::Superseded(Refused::Prev.to_string()),
                Becomes::Accepted(replaced) => {
                    stands = Some((version, replaced));
                    let instead = replaced.filter(|_| replaced != version.prev);
                    if version.accepted && instead == version.instead {
                        continue;
                    }
                    Verdict::Accepted(instead)
                }
            };
            rows.push(Self::revised((version.log, version.index), was, verdict, version.jws.as_deref()));
        }
        let becomes = stands.map(|(version, prev)| self.pointed(version, prev));
        let moved = Moved { was: (current.log, current.index), becomes };
        Ok(Some(Revision { place: Some((place.clone(), moved)), rows }))
    }

    fn pointed(&self, version: &VersionRow, prev: Option<Digest>) -> Pointed {
        let said = version.jws.as_deref().and_then(statement);
        let content = said.and_then(|said| Some(self.kinds.find(&said.typ)?.content_of(&said)));
        // of one that was erased, or whose kind is not known any more, nobody can say that it is unchanged
        let content = content.unwrap_or_default();
        Pointed { log: version.log, index: version.index, digest: version.digest, prev, content }
    }
}

/// What a stored statement says: its signature was verified before it was stored.
fn statement(jws: &str) -> Option<Statement> {
    Unverified::parse(jws).ok().map(|unverified| unverified.statement().clone())
}
