//! Statements of a log that are read but not looked at yet, and the batches in which that is done.

use std::ops::Range;
use std::sync::Arc;

use crate::log::tile::FULL;
use crate::log::{Class, Entry};
use crate::statement::{KeyRing, Verified};

/// Bundles whose signatures are verified in one batch.
const TOGETHER: usize = 4;

/// Statements on their way.
pub enum Waiting {
    /// A descriptor at an index, verified by the one before it.
    Descriptor(u64, Class, Verified),
    /// Bodies, to be verified under the keys at their place.
    Bodies(Bodies),
}

/// Bodies of one bundle with no descriptor among them.
pub struct Bodies {
    /// The lines of the bundle.
    pub text: Arc<String>,
    /// By index, each with its place in the text.
    pub places: Vec<(u64, Entry, Range<usize>)>,
    /// The keys.
    pub ring: Arc<KeyRing>,
}

impl Waiting {
    /// How many statements.
    pub fn len(&self) -> usize {
        if let Self::Bodies(bodies) = self { bodies.places.len() } else { 1 }
    }
}

/// As many at once as are worth verifying together.
pub fn in_batches(statements: impl Iterator<Item = Waiting>) -> Vec<Vec<Waiting>> {
    let mut batches: Vec<Vec<Waiting>> = Vec::new();
    let mut room = 0_usize;
    for waiting in statements {
        let length = waiting.len();
        match batches.last_mut().filter(|_| length <= room) {
            Some(batch) => batch.push(waiting),
            None => {
                batches.push(vec![waiting]);
                room = TOGETHER * FULL;
            }
        }
        room -= length;
    }
    batches
}
