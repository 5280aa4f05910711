//! The right edge of a tree: at each level the partial tile. It gives the root, takes leaves, and hands out each tile
//! that becomes full; what a log's row stores between two transactions.

use super::Hash;

/// A tile that has just become full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FullTile {
    /// Its level.
    pub level: u8,
    /// Its number.
    pub n: u64,
    /// Its 256 hashes.
    pub hashes: Vec<Hash>,
}

/// The partial tiles of a tree of some size, from level 0 up.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Edge {
    size: u64,
    levels: Vec<Vec<Hash>>,
}

/// The bytes or tiles are no edge of a tree of this size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not the edge of a tree of {0} entries")]
pub struct NotAnEdge(pub u64);

impl Edge {
    /// From the partial tiles of a tree of `size` entries (an empty list where the level has no partial tile).
    pub fn new(_size: u64, _levels: Vec<Vec<Hash>>) -> Result<Self, NotAnEdge> {
        todo!()
    }
    /// Entries in the tree.
    pub fn size(&self) -> u64 {
        self.size
    }
    /// The partial tile of a level; empty where there is none.
    pub fn level(&self, level: u8) -> &[Hash] {
        self.levels.get(usize::from(level)).map_or(&[], Vec::as_slice)
    }
    /// Takes one leaf; the tiles that become full go to `full`.
    pub fn push(&mut self, _leaf: Hash, _full: &mut Vec<FullTile>) {
        todo!()
    }
    /// The root of the tree.
    pub fn root(&self) -> Hash {
        todo!()
    }
    /// As stored: the hashes of each level one after the other; the size tells where one level ends.
    pub fn encode(&self) -> Vec<u8> {
        todo!()
    }
    /// As stored.
    pub fn decode(_size: u64, _bytes: &[u8]) -> Result<Self, NotAnEdge> {
        todo!()
    }
}
