//! Inclusion and consistency proofs (RFC 6962 section 2.1, RFC 9162 section 2.1.3 and 2.1.4), made from tiles.

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
    pub fn tile(&self, _size: u64) -> TileId {
        todo!()
    }
    /// Its hash, from the hashes of that tile.
    pub fn hash_in(&self, _tile: &[Hash]) -> Option<Hash> {
        todo!()
    }
}

/// Makes the proof that entry `index` is in a tree of `size`, reading node hashes through `read`.
pub fn inclusion<E>(_index: u64, _size: u64, _read: impl FnMut(Node) -> Result<Hash, E>) -> Result<Vec<Hash>, E> {
    todo!()
}

/// Makes the proof that the tree of `old` entries is a prefix of the tree of `new`.
pub fn consistency<E>(_old: u64, _new: u64, _read: impl FnMut(Node) -> Result<Hash, E>) -> Result<Vec<Hash>, E> {
    todo!()
}

/// The nodes that the proof of consistency reads, so that their tiles can be fetched beforehand.
pub fn consistency_nodes(_old: u64, _new: u64) -> Vec<Node> {
    todo!()
}

/// The nodes that the proof of inclusion reads.
pub fn inclusion_nodes(_index: u64, _size: u64) -> Vec<Node> {
    todo!()
}

/// Verifies that `leaf` is entry `index` of the tree of `size` with `root`.
pub fn verify_inclusion(
    _leaf: &Hash,
    _index: u64,
    _size: u64,
    _proof: &[Hash],
    _root: &Hash,
) -> Result<(), ProofError> {
    todo!()
}

/// Verifies that the tree (`old`, `old_root`) is a prefix of (`new`, `new_root`).
pub fn verify_consistency(
    _old: u64,
    _old_root: &Hash,
    _new: u64,
    _new_root: &Hash,
    _proof: &[Hash],
) -> Result<(), ProofError> {
    todo!()
}
