//! What is found: current records of this node about a subject, as far as the asker may hold them, a page at a time.

use std::collections::BTreeSet;

use super::MayRead;
use super::access::Access;
use crate::exchange::question::{Next, PAGE, Withheld};
use crate::log::Class;
use crate::statement::{Digest, NodeId, Unverified};
use crate::store::query::OwnRecord;
use crate::store::statement::Body;
use crate::store::{Db, StoreError};

/// Bytes of statements on one page; the one that goes beyond is the last.
const PAGE_BYTES: usize = 8 * 1024 * 1024;
/// Statements read at once.
const READ: u32 = PAGE as u32 + 1;

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

/// Who asks, and what decides what it may hold.
pub struct Asking<'a> {
    /// Who asks.
    pub asker: &'a NodeId,
    /// This node.
    pub node: &'a NodeId,
    /// Which kinds may be told.
    pub access: &'a Access,
    /// Who may hold what, by its audience.
    pub may_read: &'a MayRead,
}

/// Looks for records about a subject behind a place. One that is replaced between two pages moves behind them, so that the
/// pages together miss nothing.
pub async fn page(db: &Db, subject: &str, behind: Option<Next>, asking: &Asking<'_>) -> Result<Page, StoreError> {
    let (mut page, mut bytes, mut behind) = (Page::default(), 0, behind);
    loop {
        let read = db.own_about(subject, behind.map(|next| next.0), READ).await?;
        let is_last = read.len() < READ as usize;
        for record in read {
            if page.digests.len() == PAGE || bytes > PAGE_BYTES {
                page.next = behind;
                return Ok(page);
            }
            behind = Some(Next(record.place));
            if let Some(jws) = asking.may_tell(&record, &mut page.withheld)? {
                bytes += jws.len();
                page.digests.push(record.row.entry.digest);
                page.statements.push(jws);
            }
        }
        if is_last {
            return Ok(page);
        }
    }
}

impl Asking<'_> {
    /// The statement, if the asker may be told it.
    fn may_tell(&self, record: &OwnRecord, withheld: &mut BTreeSet<Withheld>) -> Result<Option<String>, StoreError> {
        let Body::Here(jws) = &record.row.body else { return Ok(None) };
        if !self.access.kinds.contains(&record.kind) || !is_shared(record) {
            return Ok(None);
        }
        if record.row.entry.class == Class::Addressed {
            let corrupt = |why| StoreError::Corrupt(format!("an own record that cannot be read: {why}"));
            let stated = Unverified::parse(jws).map_err(corrupt)?;
            if !(self.may_read)(&stated.statement().aud, self.node, self.asker) {
                withheld.insert(Withheld { kind: record.kind.clone(), reason: "audience".to_owned() });
                return Ok(None);
            }
        }
        Ok(Some(jws.clone()))
    }
}

/// Whether its status lets other nodes have it.
fn is_shared(_record: &OwnRecord) -> bool {
    true
}
