//! What is found: current records of this node about a subject, as far as their status lets them be shared and the asker may
//! hold them, each with what it is marked by (异议标注), a page at a time.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::MayRead;
use crate::exchange::question::{Next, PAGE, Withheld};
use crate::log::Class;
use crate::log::event::{Life, RecordPlace, Said};
use crate::node::view::View;
use crate::policy::{HoldCase, Policies};
use crate::record::Standing;
use crate::record::standing::RepairMark;
use crate::statement::{Audience, Digest, NodeId, Statement, Subject, Unverified};
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
    /// Digests, in the order of the log; behind each record those of the events that it is marked by.
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
            let place = record.place;
            let mut withheld = BTreeSet::new();
            let told = match asking.may_tell(record, &lives, &mut withheld) {
                Some(told) => told.with_marks(db).await?,
                None => Vec::new(),
            };
            // a record and its marks stand on one page
            if page.digests.len() + told.len().max(1) > PAGE || bytes > PAGE_BYTES {
                page.next = behind;
                return Ok(page);
            }
            behind = Some(Next(place));
            page.withheld.append(&mut withheld);
            for (digest, jws) in told {
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

/// What the asker is told of a record.
struct Told {
    record: (Digest, String),
    /// What it is marked by, as far as the asker may hold that.
    marks: Vec<Digest>,
}

impl Told {
    /// The record, and behind it what it is marked by; what was erased marks nothing any more.
    async fn with_marks(self, db: &Db) -> Result<Vec<(Digest, String)>, StoreError> {
        let mut told = vec![self.record];
        for mark in self.marks {
            let rows = db.find(&mark).await?;
            let here = rows.into_iter().find_map(|row| if let Body::Here(jws) = row.body { Some(jws) } else { None });
            told.extend(here.map(|jws| (mark, jws)));
        }
        Ok(told)
    }
}

impl Asking<'_> {
    /// The statement, if its status lets it be shared and the asker may hold it.
    fn may_tell(
        &self,
        record: Record,
        lives: &HashMap<RecordPlace, Life>,
        withheld: &mut BTreeSet<Withheld>,
    ) -> Option<Told> {
        let (digest, class, stated) = record.stated?;
        let statement = stated.statement();
        let none = Life::default();
        let life = record.life.as_ref().and_then(|place| lives.get(place)).unwrap_or(&none);
        let at = (record.place.generation, record.place.index);
        // what has ended is not spoken of at all
        let standing = self.view.standing(statement, at, true, life);
        if !standing.shared {
            return None;
        }
        if class == Class::Addressed
            && let Some(reason) = self.may_not_hold(statement)
        {
            withheld.insert(Withheld { kind: statement.typ.kind.clone(), reason });
            return None;
        }
        let mut marks = Vec::new();
        for said in marked_by(&standing, life, self.view.node) {
            let is_addressed = said.statement.aud != Audience::Everyone;
            match is_addressed.then(|| self.may_not_hold(&said.statement)).flatten() {
                None => marks.push(said.digest),
                Some(reason) => drop(withheld.insert(Withheld { kind: said.statement.typ.kind.clone(), reason })),
            }
        }
        Some(Told { record: (digest, stated.jws().to_owned()), marks })
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

/// What a record is marked by, of all that its issuer said about it: a dispute that is not settled, with the answer to it,
/// and a repair that takes effect later.
fn marked_by<'a>(standing: &Standing, life: &'a Life, issuer: &NodeId) -> impl Iterator<Item = &'a Said> {
    let disputed = standing.dispute.as_ref().map(|mark| mark.dispute);
    let coming = match standing.under_repair {
        Some(RepairMark::Coming { repair, .. }) => Some(repair),
        _ => None,
    };
    let issuer = issuer.clone();
    life.said.iter().filter(move |said| {
        let answers = said.statement.typ.kind == "dispute-answer" && said.statement.refs.first().copied() == disputed;
        let is_mark = [disputed, coming].contains(&Some(said.digest)) || disputed.is_some() && answers;
        is_mark && said.statement.iss == issuer
    })
}
