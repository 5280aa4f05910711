//! Reading a bundle of a folder: entries, leaf hashes, bodies; all that can be said of it without what stands before it.

use std::ops::Range;
use std::sync::Arc;

use super::fault::{Fault, Wrong};
use super::folder::{FileError, Folder, Line};
use crate::log::tile::{FULL, decode_hashes};
use crate::log::{Class, Entry, Hash, TileId};
use crate::statement::{Digest, Refused, Unverified, envelope};

/// A bundle as read.
pub struct Bundle {
    /// The index of its first entry.
    pub first: u64,
    /// Its leaf hashes; None where neither bundle nor tile is there.
    pub leaves: Option<Vec<Hash>>,
    /// Its entries; empty where the bundle is not there.
    pub entries: Vec<(Entry, Body)>,
    /// The lines of its bodies.
    pub text: Arc<String>,
    /// What is wrong with it.
    pub faults: Vec<Fault>,
    /// Nothing of it is there.
    pub missing: bool,
}

/// The body of an entry as read.
pub enum Body {
    /// Where in the text it stands. Nobody has looked at it.
    Text(Range<usize>),
    /// A descriptor that is the one that the entry names; nobody has checked its signature.
    Descriptor(Box<Unverified>),
    /// It cannot be used, as a fault says.
    Unusable,
    /// Withheld.
    Withheld,
    /// Erased.
    Erased,
}

/// Reads bundle `n` of a log of `size`, and holds tile against entries. Of its bodies the descriptors are read, for what
/// stands behind them hangs on their keys.
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

    let text = Arc::new(text.unwrap_or_default());
    let mut start = 0;
    let mut lines = (!text.is_empty()).then(|| text.split('\n'));
    let mut body = |(at, entry): (usize, Entry)| {
        let Some(line) = lines.as_mut().and_then(Iterator::next) else { return (entry, Body::Unusable) };
        let place = start..start + line.len();
        start = place.end + 1;
        let body = read_body(&entry, line, place).unwrap_or_else(|refused| {
            faults.push(Fault::at(first + at as u64, refused));
            Body::Unusable
        });
        (entry, body)
    };
    let entries = entries.unwrap_or_default().into_iter().enumerate().map(&mut body).collect();
    Bundle { first, leaves, entries, text, faults, missing }
}

fn read_body(entry: &Entry, line: &str, place: Range<usize>) -> Result<Body, Wrong> {
    match Line::parse(line) {
        Line::Body(jws) if envelope::is_of_kind(jws, "descriptor") => {
            Ok(Body::Descriptor(Box::new(read_statement(entry, jws)?)))
        }
        Line::Body(_) => Ok(Body::Text(place)),
        Line::Withheld if entry.class == Class::Open => Err(Wrong::Withheld),
        Line::Withheld => Ok(Body::Withheld),
        Line::Erased => Ok(Body::Erased),
    }
}

/// Reads the body that an entry names.
pub fn read_statement(entry: &Entry, jws: &str) -> Result<Unverified, Refused> {
    match Unverified::parse(jws) {
        Ok(unverified) if unverified.digest() == entry.digest => Ok(unverified),
        Err(refused) if Digest::of(jws.as_bytes()) == entry.digest => Err(refused),
        _ => Err(Refused::Digest),
    }
}
