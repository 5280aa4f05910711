//! Proving tiles of somebody else's log from the root of a verified checkpoint down; how a pull trusts nobody who serves.
//!
//! 1. [`edge_tiles`] names the partial tiles of the new tree; [`Climb::new`] proves them all at once against the root.
//! 2. [`consistency_tiles`] names the tiles from which [`consistency_proof`] is made; `proof::verify_consistency` then says
//!    whether the head may move from the old checkpoint to the new one. (These tiles need no proof of their own.)
//! 3. [`Climb::needed`] names the full tiles between the edge and some bundles, in the order in which [`Climb::prove`]
//!    takes them: each is proven by the hash that its parent, proven before it, has for it.
//! 4. [`Climb::leaves`] are then the proven leaf hashes of a bundle; [`check_bundle`] holds the bundle against them.
//!
//! Proven tiles of level 0 take 8 KiB each: [`Climb::forget`] drops those that are done with; the few above them stay.

use std::collections::{BTreeSet, HashMap};

use super::proof::{self, Node, ProofError};
use super::tile::{FULL, tiles_at};
use super::{Edge, Entry, Hash, TileId, merkle};

/// A tree of which some tiles are proven.
#[derive(Clone, Debug)]
pub struct Climb {
    edge: Edge,
    /// Full tiles by level and number.
    proven: HashMap<(u8, u64), Vec<Hash>>,
}

/// What was served is not what the root commits to, or comes before its parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotProven {
    /// The partial tiles do not make up the root.
    #[error("the partial tiles are not those of the root")]
    Edge,
    /// A tile differs from what its parent says.
    #[error("tile {0} is not the one that its parent names")]
    Tile(TileId),
    /// Its parent is not proven yet, or the tree has no such full tile.
    #[error("tile {0} has no proven parent")]
    NoParent(TileId),
    /// A bundle's entry at this position has another leaf hash.
    #[error("entry {0} of the bundle is not the one that its tile names")]
    Entry(usize),
    /// A bundle has more or fewer entries than its tile.
    #[error("the bundle is not as wide as its tile")]
    Width,
}

/// The partial tiles of a tree of `size`, from level 0 up; levels without one are left out.
pub fn edge_tiles(size: u64) -> Vec<TileId> {
    let partial = |level| {
        let (n, width) = tiles_at(size, level);
        (width > 0).then_some(TileId { level, n, width })
    };
    (0..8).filter_map(partial).collect()
}

/// The tiles of a tree of `new` entries from which the proof that a tree of `old` is its prefix is made.
pub fn consistency_tiles(old: u64, new: u64) -> Vec<TileId> {
    let tiles: BTreeSet<TileId> = proof::consistency_nodes(old, new).iter().map(|node| node.tile(new)).collect();
    tiles.into_iter().collect()
}

/// That proof, from those tiles. What they say need not be true: only `proof::verify_consistency` tells.
pub fn consistency_proof(old: u64, new: u64, tiles: &HashMap<TileId, Vec<Hash>>) -> Result<Vec<Hash>, ProofError> {
    let read = |node: Node| tiles.get(&node.tile(new)).and_then(|tile| node.hash_in(tile)).ok_or(ProofError);
    proof::consistency(old, new, read)
}

/// Holds a bundle's entries against the proven leaf hashes of its tile.
pub fn check_bundle(entries: &[Entry], leaves: &[Hash]) -> Result<(), NotProven> {
    if entries.len() != leaves.len() {
        return Err(NotProven::Width);
    }
    match entries.iter().zip(leaves).position(|(entry, leaf)| entry.leaf_hash() != *leaf) {
        Some(at) => Err(NotProven::Entry(at)),
        None => Ok(()),
    }
}

impl Climb {
    /// Proves the partial tiles of a tree, given from level 0 up with an empty list where a level has none.
    pub fn new(size: u64, root: &Hash, levels: Vec<Vec<Hash>>) -> Result<Self, NotProven> {
        match Edge::new(size, levels) {
            Ok(edge) if edge.root() == *root => Ok(Self { edge, proven: HashMap::new() }),
            _ => Err(NotProven::Edge),
        }
    }

    /// The right edge of the tree, proven.
    pub fn edge(&self) -> &Edge {
        &self.edge
    }

    /// The full tiles, not yet proven, by which the level-0 tiles `first..end` are reached; parents stand before children.
    pub fn needed(&self, first: u64, end: u64) -> Vec<TileId> {
        let mut needed = Vec::new();
        let (mut first, mut end) = (first, end);
        for level in 0..8 {
            let (full, _) = tiles_at(self.edge.size(), level);
            end = end.min(full);
            let missing = (first..end).rev().filter(|n| !self.proven.contains_key(&(level, *n)));
            needed.extend(missing.map(|n| TileId { level, n, width: FULL as u16 }));
            if first >= end {
                break;
            }
            (first, end) = (first / FULL as u64, end.div_ceil(FULL as u64));
        }
        needed.reverse();
        needed
    }

    /// Proves a full tile by its parent's hash, and keeps it.
    pub fn prove(&mut self, tile: TileId, hashes: Vec<Hash>) -> Result<(), NotProven> {
        let (parent, at) = (tile.n / FULL as u64, (tile.n % FULL as u64) as usize);
        let above = tile.level.checked_add(1).and_then(|level| self.tile(level, parent));
        let named = above.and_then(|hashes| hashes.get(at)).ok_or(NotProven::NoParent(tile))?;
        if hashes.len() != FULL || merkle::root_of(&hashes) != *named {
            return Err(NotProven::Tile(tile));
        }
        self.proven.insert((tile.level, tile.n), hashes);
        Ok(())
    }

    /// The leaf hashes of bundle `n`, full or partial, once they are proven.
    pub fn leaves(&self, n: u64) -> Option<&[Hash]> {
        self.tile(0, n)
    }

    /// Drops the proven level-0 tiles below `n`.
    pub fn forget(&mut self, n: u64) {
        self.proven.retain(|(level, tile), _| *level > 0 || *tile >= n);
    }

    /// The hashes of a tile, full or partial, once they are proven.
    pub fn tile(&self, level: u8, n: u64) -> Option<&[Hash]> {
        match tiles_at(self.edge.size(), level) {
            (full, width) if n == full && width > 0 => Some(self.edge.level(level)),
            _ => self.proven.get(&(level, n)).map(Vec::as_slice),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::log::Class;
    use crate::log::proof::verify_consistency;
    use crate::statement::Digest;

    fn entry(i: u64) -> Entry {
        Entry { class: Class::Open, digest: Digest::of(&i.to_be_bytes()) }
    }

    /// A log somewhere else: its edge after each size asked for, and its tiles.
    struct Elsewhere {
        edge: Edge,
        tiles: HashMap<TileId, Vec<Hash>>,
    }

    impl Elsewhere {
        fn of(size: u64) -> Self {
            let (mut edge, mut full) = (Edge::default(), Vec::new());
            (0..size).for_each(|i| edge.push(entry(i).leaf_hash(), &mut full));
            let mut tiles: HashMap<TileId, Vec<Hash>> =
                full.into_iter().map(|t| (TileId { level: t.level, n: t.n, width: 256 }, t.hashes)).collect();
            tiles.extend(edge_tiles(size).into_iter().map(|id| (id, edge.level(id.level).to_vec())));
            Self { edge, tiles }
        }

        fn climb(&self) -> Climb {
            let levels = (0..8).map(|level| self.edge.level(level).to_vec()).collect();
            Climb::new(self.edge.size(), &self.edge.root(), levels).unwrap()
        }
    }

    #[test]
    fn bundles_are_reached_from_the_root() {
        let log = Elsewhere::of(65_536 + 700);
        let mut climb = log.climb();
        let needed = climb.needed(254, 300);
        // over 256 tiles of level 0 stands a tile of level 1, full; over 256 and 257 the edge
        let names: Vec<String> = needed.iter().map(TileId::to_string).collect();
        assert_eq!(names, ["1/000", "0/254", "0/255", "0/256", "0/257"]);
        assert_eq!(climb.leaves(254), None);
        for id in &needed {
            climb.prove(*id, log.tiles[id].clone()).unwrap();
        }
        for n in 254..=258 {
            let width = climb.leaves(n).unwrap().len() as u64;
            let mut entries: Vec<Entry> = (n * 256..n * 256 + width).map(entry).collect();
            assert_eq!(check_bundle(&entries, climb.leaves(n).unwrap()), Ok(()));
            entries.swap(3, 9);
            assert_eq!(check_bundle(&entries, climb.leaves(n).unwrap()), Err(NotProven::Entry(3)));
            assert_eq!(check_bundle(&entries[1..], climb.leaves(n).unwrap()), Err(NotProven::Width));
        }
        assert_eq!(climb.leaves(259), None);
        assert_eq!(climb.needed(254, 300), []);
        climb.forget(256);
        assert_eq!(climb.needed(254, 300).len(), 2);
    }

    #[test]
    fn nothing_is_proven_before_its_parent_or_beside_it() {
        let log = Elsewhere::of(65_536 + 10);
        let mut climb = log.climb();
        let [parent, child] = [(1, 0), (0, 7)].map(|(level, n)| TileId { level, n, width: 256 });
        assert_eq!(climb.prove(child, log.tiles[&child].clone()), Err(NotProven::NoParent(child)));
        assert_eq!(climb.prove(parent, log.tiles[&child].clone()), Err(NotProven::Tile(parent)));
        climb.prove(parent, log.tiles[&parent].clone()).unwrap();
        assert_eq!(climb.prove(child, log.tiles[&child][..255].to_vec()), Err(NotProven::Tile(child)));
        let next = TileId { n: 8, ..child };
        assert_eq!(climb.prove(next, log.tiles[&child].clone()), Err(NotProven::Tile(next)));
        climb.prove(child, log.tiles[&child].clone()).unwrap();
        let beyond = TileId { level: 255, n: 0, width: 256 };
        assert_eq!(climb.prove(beyond, vec![]), Err(NotProven::NoParent(beyond)));
        let levels: Vec<Vec<Hash>> = (0..8).map(|level| log.edge.level(level).to_vec()).collect();
        assert!(Climb::new(65_546, &[0; 32], levels.clone()).is_err());
        assert!(Climb::new(65_545, &log.edge.root(), levels).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn two_heads_of_one_log_are_shown_to_be_consistent(old in 0_u64..2000, more in 0_u64..2000) {
            let (before, log) = (Elsewhere::of(old), Elsewhere::of(old + more));
            let tiles = consistency_tiles(old, old + more).into_iter().map(|id| (id, log.tiles[&id].clone())).collect();
            let proof = consistency_proof(old, old + more, &tiles).unwrap();
            let (old_root, root) = (before.edge.root(), log.edge.root());
            prop_assert_eq!(verify_consistency(old, &old_root, old + more, &root, &proof), Ok(()));
        }

        #[test]
        fn every_bundle_of_a_log_can_be_reached(size in 0_u64..3000, first in 0_u64..12, many in 0_u64..12) {
            let log = Elsewhere::of(size);
            let mut climb = log.climb();
            for id in climb.needed(first, first + many) {
                climb.prove(id, log.tiles[&id].clone()).unwrap();
            }
            let (full, width) = tiles_at(size, 0);
            for n in (first..first + many).filter(|n| *n < full + u64::from(width > 0)) {
                let end = size.min((n + 1) * 256);
                let entries: Vec<Entry> = (n * 256..end).map(entry).collect();
                prop_assert_eq!(check_bundle(&entries, climb.leaves(n).unwrap()), Ok(()));
            }
        }
    }
}
