//! Inclusion and consistency proofs, made from tiles: [RFC 6962 section 2.1](https://www.rfc-editor.org/rfc/rfc6962#section-2.1),
//! verified as in [RFC 9162 section 2.1.3 and 2.1.4](https://www.rfc-editor.org/rfc/rfc9162#section-2.1.3).

use std::ops::Range;

use super::merkle::{self, node_hash};
use super::tile::{FULL, hashes_at};
use super::{Hash, TileId};

/// A complete subtree: 2^level leaves from index × 2^level on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Node {
    /// Height: 0 is a leaf.
    pub level: u8,
    /// Index within its level.
    pub index: u64,
}

/// A proof does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the proof does not hold")]
pub struct ProofError;

impl Node {
    /// The tile of a tree of `size` entries in which (or from whose hashes) the node's hash is found.
    pub fn tile(&self, size: u64) -> TileId {
        let level = self.level / 8;
        let n = self.first_in_tiles() / FULL as u64;
        let width = hashes_at(size, level).saturating_sub(n * FULL as u64).min(FULL as u64);
        TileId { level, n, width: width as u16 }
    }

    /// Its hash, from the hashes of that tile.
    pub fn hash_in(&self, tile: &[Hash]) -> Option<Hash> {
        let first = (self.first_in_tiles() % FULL as u64) as usize;
        Some(merkle::root_of(tile.get(first..first + (1 << (self.level % 8)))?))
    }

    /// The index of the first hash below it (or itself) at the level of its tile.
    fn first_in_tiles(&self) -> u64 {
        self.index << (self.level % 8)
    }
}

/// Makes the proof that entry `index` is in a tree of `size`, reading node hashes through `read`. Empty, and so proving
/// nothing, where it is not.
pub fn inclusion<E>(index: u64, size: u64, read: impl FnMut(Node) -> Result<Hash, E>) -> Result<Vec<Hash>, E> {
    hashes(inclusion_ranges(index, size), read)
}

/// Makes the proof that the tree of `old` entries is a prefix of the tree of `new`. Empty where `old` is nothing or all.
pub fn consistency<E>(old: u64, new: u64, read: impl FnMut(Node) -> Result<Hash, E>) -> Result<Vec<Hash>, E> {
    hashes(consistency_ranges(old, new), read)
}

/// The nodes that the proof of consistency reads, so that their tiles can be fetched beforehand.
pub fn consistency_nodes(old: u64, new: u64) -> Vec<Node> {
    consistency_ranges(old, new).into_iter().flat_map(complete_subtrees).collect()
}

/// The nodes that the proof of inclusion reads.
pub fn inclusion_nodes(index: u64, size: u64) -> Vec<Node> {
    inclusion_ranges(index, size).into_iter().flat_map(complete_subtrees).collect()
}

/// Verifies that `leaf` is entry `index` of the tree of `size` with `root`: RFC 9162 section 2.1.3.2.
pub fn verify_inclusion(leaf: &Hash, index: u64, size: u64, proof: &[Hash], root: &Hash) -> Result<(), ProofError> {
    if index >= size {
        return Err(ProofError);
    }
    let (mut node, mut last) = (index, size - 1);
    let mut hash = *leaf;
    for sibling in proof {
        if last == 0 {
            return Err(ProofError);
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            climb_to_right_child(&mut node, &mut last);
        } else {
            hash = node_hash(&hash, sibling);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    if last == 0 && hash == *root { Ok(()) } else { Err(ProofError) }
}

/// Verifies that the tree (`old`, `old_root`) is a prefix of (`new`, `new_root`): RFC 9162 section 2.1.4.2. The empty tree
/// is a prefix of every tree, and a tree of itself, both by an empty proof.
pub fn verify_consistency(
    old: u64,
    old_root: &Hash,
    new: u64,
    new_root: &Hash,
    proof: &[Hash],
) -> Result<(), ProofError> {
    let holds = |it_does: bool| if it_does { Ok(()) } else { Err(ProofError) };
    if old == 0 || old >= new {
        let nothing = old == 0 && *old_root == merkle::empty_root();
        let all = old == new && old_root == new_root && (nothing || old > 0);
        return holds(proof.is_empty() && (all || nothing && new > 0));
    }
    holds(roots(old, old_root, new, proof) == Some((*old_root, *new_root)))
}

/// Whether a proof that holds for the new root gives another root for the old tree: then whoever stands by both roots has two
/// histories. An old tree that is a complete subtree of the new one has no place in the proof, so nothing is said of it.
pub fn contradicts(old: u64, old_root: &Hash, new: u64, new_root: &Hash, proof: &[Hash]) -> bool {
    let between = 0 < old && old < new;
    between
        && roots(old, old_root, new, proof).is_some_and(|(at_old, at_new)| at_new == *new_root && at_old != *old_root)
}

/// The roots of both trees that a proof of consistency gives, for 0 < old < new.
fn roots(old: u64, old_root: &Hash, new: u64, proof: &[Hash]) -> Option<(Hash, Hash)> {
    let (mut node, mut last) = (old - 1, new - 1);
    while node & 1 == 1 {
        (node, last) = (node >> 1, last >> 1);
    }
    // an old tree that is a complete subtree of the new one is not repeated in the proof
    let (first, rest) = match proof.split_first() {
        _ if old.is_power_of_two() => (old_root, proof),
        Some((first, rest)) => (first, rest),
        None => return None,
    };
    let (mut old_hash, mut new_hash) = (*first, *first);
    for sibling in rest {
        if last == 0 {
            return None;
        }
        if node & 1 == 1 || node == last {
            old_hash = node_hash(sibling, &old_hash);
            new_hash = node_hash(sibling, &new_hash);
            climb_to_right_child(&mut node, &mut last);
        } else {
            new_hash = node_hash(&new_hash, sibling);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    (last == 0).then_some((old_hash, new_hash))
}

/// Passes the levels at which a node on the right edge has no sibling.
fn climb_to_right_child(node: &mut u64, last: &mut u64) {
    while *node & 1 == 0 && *node != 0 {
        (*node, *last) = (*node >> 1, *last >> 1);
    }
}

/// The ranges of leaves over which the proof has a hash each: PATH of RFC 6962 section 2.1.1.
fn inclusion_ranges(index: u64, size: u64) -> Vec<Range<u64>> {
    let mut ranges = Vec::new();
    let mut tree = 0..if index < size { size } else { 0 };
    while tree.end - tree.start > 1 {
        let middle = middle(&tree);
        if index < middle {
            ranges.push(middle..tree.end);
            tree.end = middle;
        } else {
            ranges.push(tree.start..middle);
            tree.start = middle;
        }
    }
    ranges.reverse();
    ranges
}

/// The same for SUBPROOF of RFC 6962 section 2.1.2.
fn consistency_ranges(old: u64, new: u64) -> Vec<Range<u64>> {
    let mut ranges = Vec::new();
    if old == 0 || old >= new {
        return ranges;
    }
    let mut tree = 0..new;
    while old != tree.end {
        let middle = middle(&tree);
        if old <= middle {
            ranges.push(middle..tree.end);
            tree.end = middle;
        } else {
            ranges.push(tree.start..middle);
            tree.start = middle;
        }
    }
    if tree.start > 0 {
        ranges.push(tree);
    }
    ranges.reverse();
    ranges
}

/// Where a tree parts: behind the largest power of two of leaves that leaves some to the right.
fn middle(tree: &Range<u64>) -> u64 {
    tree.start + (1 << (tree.end - tree.start - 1).ilog2())
}

/// The complete subtrees that make up such a range, from left to right.
fn complete_subtrees(range: Range<u64>) -> Vec<Node> {
    let mut nodes = Vec::new();
    let mut start = range.start;
    while start < range.end {
        let level = (range.end - start).ilog2();
        nodes.push(Node { level: level as u8, index: start >> level });
        start += 1 << level;
    }
    nodes
}

fn hashes<E>(ranges: Vec<Range<u64>>, mut read: impl FnMut(Node) -> Result<Hash, E>) -> Result<Vec<Hash>, E> {
    let mut proof = Vec::with_capacity(ranges.len());
    for range in ranges {
        let mut root = None;
        for node in complete_subtrees(range).into_iter().rev() {
            let left = read(node)?;
            root = Some(root.map_or(left, |right| node_hash(&left, &right)));
        }
        proof.extend(root);
    }
    Ok(proof)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::log::merkle::{leaf_hash, root_of};

    fn leaves(size: u64) -> Vec<Hash> {
        (0..size).map(|i| leaf_hash(&i.to_be_bytes())).collect()
    }

    /// Reads nodes straight from the leaves.
    fn reader(leaves: &[Hash]) -> impl Fn(Node) -> Result<Hash, ()> {
        |node| {
            let first = (node.index << node.level) as usize;
            Ok(root_of(leaves.get(first..first + (1 << node.level)).ok_or(())?))
        }
    }

    #[test]
    fn every_proof_between_small_trees_holds_and_no_other() {
        let all = leaves(40);
        let roots: Vec<Hash> = (0..=40).map(|size| root_of(&all[..size])).collect();
        for new in 0..=40_u64 {
            for index in 0..new {
                let (leaf, root) = (&all[index as usize], &roots[new as usize]);
                let proof = inclusion(index, new, reader(&all)).unwrap();
                assert_eq!(verify_inclusion(leaf, index, new, &proof, root), Ok(()));
                for other in (0..=new).filter(|i| *i != index) {
                    assert!(verify_inclusion(leaf, other, new, &proof, root).is_err(), "{index} as {other} of {new}");
                }
            }
            for old in 0..=new {
                let (old_root, root) = (&roots[old as usize], &roots[new as usize]);
                let proof = consistency(old, new, reader(&all)).unwrap();
                assert_eq!(verify_consistency(old, old_root, new, root, &proof), Ok(()), "{old} in {new}");
                assert!(old == 0 || verify_consistency(old, &[1; 32], new, root, &proof).is_err());
                assert!(old == 0 || verify_consistency(old, old_root, new, &[1; 32], &proof).is_err());
                assert!(verify_consistency(new + 1, root, new, root, &proof).is_err());
                assert!(!contradicts(old, old_root, new, root, &proof));
                let provable = old > 0 && old < new && !old.is_power_of_two();
                assert_eq!(contradicts(old, &[1; 32], new, root, &proof), provable, "{old} in {new}");
                assert!(!contradicts(old, &[1; 32], new, &[2; 32], &proof));
                let longer = [&proof[..], &[[0; 32]]].concat();
                assert!(verify_consistency(old, old_root, new, root, &longer).is_err());
                if let Some((_, shorter)) = proof.split_last() {
                    assert!(verify_consistency(old, old_root, new, root, shorter).is_err());
                }
            }
        }
        assert!(verify_consistency(0, &[1; 32], 0, &[1; 32], &[]).is_err());
        assert!(verify_consistency(0, &[1; 32], 5, &roots[5], &[]).is_err());
    }

    #[test]
    fn the_largest_sizes_overflow_nothing() {
        let read = |_| Ok::<_, ()>([7; 32]);
        let size = u64::MAX;
        let proof = inclusion(size - 1, size, read).unwrap();
        assert!(verify_inclusion(&[7; 32], size - 1, size, &proof, &[0; 32]).is_err());
        let proof = consistency((1 << 63) - 1, size, read).unwrap();
        assert!(verify_consistency((1 << 63) - 1, &[0; 32], size, &[0; 32], &proof).is_err());
        for node in consistency_nodes(1 << 63, size) {
            assert!(node.hash_in(&vec![[0; 32]; node.tile(size).width.into()]).is_some(), "{node:?}");
        }
    }

    proptest! {
        #[test]
        fn nodes_are_found_in_their_tiles(size in 1_u64..70_000, part in 0.0..1.0) {
            let old = (size as f64 * part) as u64;
            for node in inclusion_nodes(old, size).into_iter().chain(consistency_nodes(old, size)) {
                let tile = node.tile(size);
                let (full, partial) = crate::log::tile::tiles_at(size, tile.level);
                prop_assert!(tile.n < full && tile.width == 256 || tile.n == full && tile.width == partial, "{:?}", node);
                let hashes = vec![[3; 32]; tile.width.into()];
                prop_assert!(node.hash_in(&hashes).is_some());
            }
        }

        #[test]
        fn a_proof_with_a_flipped_bit_does_not_hold(size in 2_u64..700, part in 0.0..1.0, at: prop::sample::Index, bit in 0_usize..256) {
            let all = leaves(size);
            let index = (size as f64 * part) as u64;
            let root = root_of(&all);
            let mut proof = inclusion(index, size, reader(&all)).unwrap();
            let hash = at.index(proof.len());
            proof[hash][bit / 8] ^= 1 << (bit % 8);
            prop_assert!(verify_inclusion(&all[index as usize], index, size, &proof, &root).is_err());
            let old_root = root_of(&all[..index as usize]);
            let mut proof = consistency(index, size, reader(&all)).unwrap();
            if !proof.is_empty() {
                let hash = at.index(proof.len());
                proof[hash][bit / 8] ^= 1 << (bit % 8);
                prop_assert!(verify_consistency(index, &old_root, size, &root, &proof).is_err());
            }
        }
    }
}
