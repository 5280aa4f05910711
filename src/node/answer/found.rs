//! What is found: current records of this node about a subject, as far as their status lets them be shared and the asker may
//! hold them, a page at a time.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::MayRead;
use crate::exchange::question::{Next, PAGE, Withheld};
use crate::log::Class;
use crate::log::event::{Life, RecordPlace};
use crate::node::view::View;
use crate::policy::{HoldCase, Policies};
use crate::statement::{Digest, NodeId, Statement, Subject, Unverified};
use crate::store::query::{OwnRecord, Place};
use crate::store::statement::Body;
use crate::store::{Db, StoreError};

/// Bytes of statements on one page; the one that goes beyond is the last.
const PAGE_BYTES: usize = 8 * 1024 * 1024;
/// Statements read at once.
pub(super) const READ: u32 = PAGE as u32 + 1;

/// One page of what was found.
#[derive(Default)]
pub struct Page {
    /// Digests, in the order of the log.
    pub digests: Vec<Digest>,
    /// The statements themselves.
    pub statements: Vec<String>,
    /// Where it goes on.
    pub next: Option<Next>,
    /// Kinds of which something is kept back, and why.
    pub withheld: BTreeSet<Withheld>,
}

/// Who asks, and what decides what it may be told.
pub struct Asking<'a> {
    /// Who asks.
    pub asker: &'a NodeId,
    /// Which kinds may be told.
    pub kinds: &'a [String],
    /// How records stand, seen from this node.
    pub view: View<'a>,
    /// Who may hold what, by its audience.
    pub may_read: &'a MayRead,
    /// And by policy.
    pub policies: &'a Policies,
}

/// Records that were read together, and what was said about them.
pub struct Read {
    /// The records; less than [`READ`] are all that there are.
    pub records: Vec<OwnRecord>,
    /// What was said about them.
    pub lives: HashMap<RecordPlace, Life>,
}

/// Looks for records about a subject behind a place, the first of which may have been read already. One that is replaced
/// between two pages moves behind them, so that the pages together miss nothing.
pub async fn page(
    db: &Db,
    subject: &str,
    behind: Option<Next>,
    mut first: Option<Read>,
    asking: &Asking<'_>,
) -> Result<Page, StoreError> {
    let (mut page, mut bytes, mut behind) = (Page::default(), 0, behind);
    loop {
        let Read { records, lives } = match first.take() {
            Some(first) => first,
            None => read(db, subject, behind).await?,
        };
        let is_last = records.len() < READ as usize;
        for record in records {
            let record = Record::of(record, asking)?;
            if page.digests.len() == PAGE || bytes > PAGE_BYTES {
                page.next = behind;
                return Ok(page);
            }
            behind = Some(Next(record.place));
            if let Some((digest, jws)) = asking.may_tell(record, &lives, &mut page.withheld) {
                bytes += jws.len();
                page.digests.push(digest);
                page.statements.push(jws);
            }
        }
        if is_last {
            return Ok(page);
        }
    }
}

async fn read(db: &Db, subject: &str, behind: Option<Next>) -> Result<Read, StoreError> {
    let records = db.own_about(subject, behind.map(|next| next.0), READ).await?;
    let places: HashSet<RecordPlace> = records.iter().filter_map(|record| record.life.clone()).collect();
    let lives = db.said_of(&places).await?;
    Ok(Read { records, lives })
}

/// A record of this node. Nothing but its place where its kind is not told, or its body is not here.
struct Record {
    place: Place,
    life: Option<RecordPlace>,
    stated: Option<(Digest, Class, Unverified)>,
}

impl Record {
    fn of(record: OwnRecord, asking: &Asking<'_>) -> Result<Self, StoreError> {
        let OwnRecord { place, life, kind, row } = record;
        let Body::Here(jws) = &row.body else { return Ok(Self { place, life, stated: None }) };
        if !asking.kinds.contains(&kind) {
            return Ok(Self { place, life, stated: None });
        }
        let stated = Unverified::parse(jws)
            .map_err(|why| StoreError::Corrupt(format!("an own record that cannot be read: {why}")))?;
        Ok(Self { place, life, stated: Some((row.entry.digest, row.entry.class, stated)) })
    }
}

impl Asking<'_> {
    /// The statement, if its status lets it be shared and the asker may hold it.
    fn may_tell(
        &self,
        record: Record,
        lives: &HashMap<RecordPlace, Life>,
        withheld: &mut BTreeSet<Withheld>,
    ) -> Option<(Digest, String)> {
        let (digest, class, stated) = record.stated?;
        let statement = stated.statement();
        let none = Life::default();
        let life = record.life.as_ref().and_then(|place| lives.get(place)).unwrap_or(&none);
        let at = (record.place.generation, record.place.index);
        // what has ended is not spoken of at all
        if !self.view.standing(statement, at, true, life).shared {
            return None;
        }
        if class == Class::Addressed
            && let Some(reason) = self.may_not_hold(statement)
        {
            withheld.insert(Withheld { kind: statement.typ.kind.clone(), reason });
            return None;
        }
        Some((digest, stated.jws().to_owned()))
    }

    /// Why the asker may not hold it, if it may not.
    fn may_not_hold(&self, statement: &Statement) -> Option<String> {
        if !(self.may_read)(&statement.aud, self.view.node, self.asker) {
            return Some("audience".to_owned());
        }
        let verdict = self.policies.may_hold(HoldCase {
            holder: self.asker.clone(),
            active: true,
            issuer: self.view.node.clone(),
            kind: statement.typ.kind.clone(),
            person: matches!(statement.sub, Some(Subject::Person { .. })),
        });
        verdict.reason.clone()
    }
}
