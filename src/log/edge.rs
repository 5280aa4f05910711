//! The right edge of a tree: at each level the partial tile. It gives the root, takes leaves, and hands out each tile
//! that becomes full; what a log's row stores between two transactions.

use super::tile::{FULL, tiles_at};
use super::{Hash, merkle};

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
    /// As many levels as the tree has, so that two edges of one tree are equal.
    levels: Vec<Vec<Hash>>,
}

/// The bytes or tiles are no edge of a tree of this size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not the edge of a tree of {0} entries")]
pub struct NotAnEdge(pub u64);

impl Edge {
    /// From the partial tiles of a tree of `size` entries (an empty list where the level has no partial tile).
    pub fn new(size: u64, mut levels: Vec<Vec<Hash>>) -> Result<Self, NotAnEdge> {
        let depth = depth(size);
        if levels.iter().skip(depth).any(|level| !level.is_empty()) {
            return Err(NotAnEdge(size));
        }
        levels.resize(depth, Vec::new());
        if levels.iter().zip(widths(size)).any(|(level, width)| level.len() != width) {
            return Err(NotAnEdge(size));
        }
        Ok(Self { size, levels })
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
    pub fn push(&mut self, leaf: Hash, full: &mut Vec<FullTile>) {
        self.size += 1;
        let mut hash = leaf;
        for level in 0_u8.. {
            let at = usize::from(level);
            if at == self.levels.len() {
                self.levels.push(Vec::with_capacity(FULL));
            }
            self.levels[at].push(hash);
            if self.levels[at].len() < FULL {
                return;
            }
            // the tile is full: it goes out, and its root goes one level up
            let hashes = std::mem::replace(&mut self.levels[at], Vec::with_capacity(FULL));
            hash = merkle::root_of(&hashes);
            full.push(FullTile { level, n: tiles_at(self.size, level).0 - 1, hashes });
        }
    }

    /// The root of the tree.
    pub fn root(&self) -> Hash {
        self.levels.iter().fold(None, |smaller, level| merkle::fold(level, smaller)).unwrap_or_else(merkle::empty_root)
    }

    /// As stored: the hashes of each level one after the other; the size tells where one level ends.
    pub fn encode(&self) -> Vec<u8> {
        self.levels.concat().concat()
    }

    /// As stored.
    pub fn decode(size: u64, bytes: &[u8]) -> Result<Self, NotAnEdge> {
        let (mut hashes, []) = bytes.as_chunks::<32>() else { return Err(NotAnEdge(size)) };
        let mut levels = Vec::new();
        for width in widths(size) {
            let (level, rest) = hashes.split_at_checked(width).ok_or(NotAnEdge(size))?;
            levels.push(level.to_vec());
            hashes = rest;
        }
        if hashes.is_empty() { Ok(Self { size, levels }) } else { Err(NotAnEdge(size)) }
    }
}

/// How many levels of tiles a tree of `size` entries has.
fn depth(size: u64) -> usize {
    (u64::BITS - size.leading_zeros()).div_ceil(8) as usize
}

/// The widths of the partial tiles from level 0 up.
fn widths(size: u64) -> impl Iterator<Item = usize> {
    (0_u8..).take(depth(size)).map(move |level| usize::from(tiles_at(size, level).1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn leaf(i: u64) -> Hash {
        merkle::leaf_hash(&i.to_be_bytes())
    }

    fn grown(size: u64) -> (Edge, Vec<FullTile>) {
        let (mut edge, mut full) = (Edge::default(), Vec::new());
        (0..size).for_each(|i| edge.push(leaf(i), &mut full));
        (edge, full)
    }

    #[test]
    fn full_tiles_go_out_from_the_lowest_level_up() {
        let (edge, full) = grown(65_537);
        assert_eq!(edge.size(), 65_537);
        assert_eq!([0, 1, 2, 3].map(|l| edge.level(l).len()), [1, 0, 1, 0]);
        assert_eq!(full.len(), 257);
        assert!(full.iter().all(|t| t.hashes.len() == FULL));
        assert_eq!((full[255].level, full[255].n), (0, 255));
        assert_eq!((full[256].level, full[256].n), (1, 0));
        assert_eq!(edge.level(2)[0], merkle::root_of(&full[256].hashes));
        let leaves: Vec<Hash> = (0..65_537).map(leaf).collect();
        assert_eq!(edge.root(), merkle::root_of(&leaves));
    }

    #[test]
    fn the_edge_of_an_empty_tree_is_empty() {
        let edge = Edge::default();
        assert_eq!(edge.root(), merkle::empty_root());
        assert_eq!(edge.encode(), b"");
        assert_eq!(Edge::decode(0, b""), Ok(edge.clone()));
        assert_eq!(Edge::new(0, vec![]), Ok(edge));
        assert!(Edge::decode(0, &[0; 32]).is_err());
    }

    #[test]
    fn hashes_that_do_not_fit_the_size_are_no_edge() {
        let (edge, _) = grown(300);
        let bytes = edge.encode();
        assert_eq!(bytes.len(), 32 * 45);
        for (size, bytes) in
            [(299, &bytes[..]), (301, &bytes), (300, &bytes[..bytes.len() - 1]), (300, &bytes[32..]), (1 << 40, &bytes)]
        {
            assert_eq!(Edge::decode(size, bytes), Err(NotAnEdge(size)));
        }
        let levels = vec![edge.level(0).to_vec(), edge.level(1).to_vec()];
        assert_eq!(Edge::new(300, levels.clone()), Ok(edge.clone()));
        assert_eq!(Edge::new(300, [levels.clone(), vec![vec![]; 6]].concat()), Ok(edge));
        assert!(Edge::new(301, levels.clone()).is_err());
        assert!(Edge::new(300, levels[..1].to_vec()).is_err());
        assert!(Edge::new(300, [levels, vec![vec![[0; 32]]]].concat()).is_err());
    }

    #[test]
    fn the_largest_sizes_overflow_nothing() {
        assert_eq!(depth(u64::MAX), 8);
        let levels = vec![vec![[1; 32]; 255]; 8];
        let edge = Edge::new(u64::MAX, levels).unwrap();
        assert_eq!(Edge::decode(u64::MAX, &edge.encode()), Ok(edge.clone()));
        edge.root();
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn an_edge_stored_and_read_goes_on_alike(size in 0_u64..1200, more in 0_u64..600) {
            let (edge, _) = grown(size);
            let mut read = Edge::decode(size, &edge.encode()).unwrap();
            prop_assert_eq!(&read, &edge);
            let mut full = Vec::new();
            (size..size + more).for_each(|i| read.push(leaf(i), &mut full));
            let (whole, all) = grown(size + more);
            prop_assert_eq!(&read, &whole);
            prop_assert!(all.ends_with(&full));
            let leaves: Vec<Hash> = (0..size + more).map(leaf).collect();
            prop_assert_eq!(read.root(), merkle::root_of(&leaves));
        }
    }
}
