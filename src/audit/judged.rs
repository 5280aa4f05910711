//! A statement of a log in a folder, verified and judged but for what stands before it: that can be done in any order.

use super::events::Named;
use super::versions::Versions;
use crate::log::judge::{self, NotAccepted, Place};
use crate::log::{Class, Origin};
use crate::statement::{Digest, Kinds, Refused, Verified};

/// A statement, verified and judged but for what stands before it.
pub struct Judged {
    pub index: u64,
    pub iat: i64,
    pub digest: Digest,
    pub accepted: Result<(), NotAccepted>,
    /// Whether it could be read at all.
    pub is_read: bool,
    /// Its `iat` is held against nothing.
    pub is_descriptor: bool,
    /// Its record, and the version that it replaces.
    pub record: Option<(u128, Option<Digest>)>,
    /// What it names, where it is an event.
    pub event: Option<Named>,
    /// What it says is to be erased.
    pub erases: Vec<Digest>,
}

impl Judged {
    /// Judges what is verified.
    pub fn of(kinds: &Kinds, origin: &Origin, now: i64, index: u64, class: Class, verified: &Verified) -> Self {
        // order is for later: here nothing is known of what stands before
        let place = Place { owner: &origin.node, log: origin.log, max_iat: i64::MIN, now };
        let kind = judge::accept(kinds, &place, class, verified);
        let statement = verified.statement();
        let record = kind.as_ref().ok().and_then(|kind| {
            let identity = kind.identity_of(statement)?;
            Some((Versions::key(&statement.typ.kind, &identity), statement.prev))
        });
        let event = kind.as_ref().ok().and_then(|kind| Named::of(kind, statement));
        let erases = if statement.typ.kind == "erasure" { statement.refs.clone() } else { Vec::new() };
        let (iat, digest, accepted) = (statement.iat, verified.digest(), kind.map(drop));
        let is_descriptor = statement.typ.kind == "descriptor";
        Self { index, iat, digest, accepted, is_read: true, is_descriptor, record, event, erases }
    }

    /// One that must be refused whatever it says.
    pub fn refused(index: u64, digest: Digest, why: Refused, is_read: bool) -> Self {
        let accepted = Err(why.into());
        let (iat, is_descriptor, record, event, erases) = (i64::MIN, false, None, None, Vec::new());
        Self { index, iat, digest, accepted, is_read, is_descriptor, record, event, erases }
    }
}
