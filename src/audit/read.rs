//! Reading a bundle of a folder: entries, leaf hashes, bodies; all that can be said of it without what stands before it.

use super::fault::{Fault, Wrong};
use super::folder::{FileError, Folder, Line};
use crate::log::tile::{FULL, decode_hashes};
use crate::log::{Class, Entry, Hash, TileId};
use crate::statement::{Digest, Refused, Unverified};

/// A bundle as read.
pub struct Bundle {
    /// The index of its first entry.
    pub first: u64,
    /// Its leaf hashes; None where neither bundle nor tile is there.
    pub leaves: Option<Vec<Hash>>,
    /// Its entries; empty where the bundle is not there.
    pub entries: Vec<(Entry, Body)>,
    /// What is wrong with it.
    pub faults: Vec<Fault>,
    /// Nothing of it is there.
    pub missing: bool,
}

/// The body of an entry as read.
pub enum Body {
    /// It is the one that the entry names; nobody has checked its signature.
    Statement(Box<Unverified>),
    /// It cannot be used, as a fault says.
    Unusable,
    /// Withheld.
    Withheld,
    /// Erased.
    Erased,
}

/// Reads bundle `n` of a log of `size`, and holds tile against entries and bodies against entries.
pub fn read(folder: &Folder, n: u64, size: u64) -> Bundle {
    let first = n * FULL as u64;
    let width = (size - first).min(FULL as u64) as u16;
    let id = TileId { level: 0, n, width };
    let mut faults = Vec::new();
    let tile = folder.tile(id).map_err(|error| faults.push(Fault::of_log(error))).ok();
    let entries = folder.bundle(n, width).map_err(|error| faults.push(Fault::at(first, error))).ok();
    let text = folder.statements(n, width).map_err(|error| faults.push(Fault::at(first, error))).ok();
    let missing = faults.len() == 3 && faults.iter().all(|f| matches!(f.wrong, Wrong::File(FileError::Missing(_))));

    let leaves: Option<Vec<Hash>> = match (&entries, &tile) {
        (Some(entries), _) => Some(entries.iter().map(Entry::leaf_hash).collect()),
        // the tree can still be held against the root
        (None, Some(tile)) => decode_hashes(tile, width).ok(),
        (None, None) => None,
    };
    if let (Some(leaves), Some(tile)) = (&leaves, &tile)
        && leaves.as_flattened() != tile
    {
        faults.push(Fault::at(first, Wrong::Tile(id)));
    }

    let mut lines = text.as_deref().map(|text| text.split('\n'));
    let mut body = |(at, entry): (usize, Entry)| {
        let Some(line) = lines.as_mut().and_then(Iterator::next) else { return (entry, Body::Unusable) };
        let body = read_body(&entry, line).unwrap_or_else(|refused| {
            faults.push(Fault::at(first + at as u64, refused));
            Body::Unusable
        });
        (entry, body)
    };
    let entries = entries.unwrap_or_default().into_iter().enumerate().map(&mut body).collect();
    Bundle { first, leaves, entries, faults, missing }
}

fn read_body(entry: &Entry, line: &str) -> Result<Body, Wrong> {
    let jws = match Line::parse(line) {
        Line::Body(jws) => jws,
        Line::Withheld if entry.class == Class::Open => return Err(Wrong::Withheld),
        Line::Withheld => return Ok(Body::Withheld),
        Line::Erased => return Ok(Body::Erased),
    };
    match Unverified::parse(jws) {
        Ok(unverified) if unverified.digest() == entry.digest => Ok(Body::Statement(Box::new(unverified))),
        Err(refused) if Digest::of(jws.as_bytes()) == entry.digest => Err(refused.into()),
        _ => Err(Refused::Digest.into()),
    }
}
