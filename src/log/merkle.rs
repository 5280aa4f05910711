//! The Merkle tree of RFC 6962: leaf and node hashes, roots.

/// A hash of the tree: SHA-256.
pub type Hash = [u8; 32];

/// SHA-256(00 ‖ entry).
pub fn leaf_hash(_entry: &[u8]) -> Hash {
    todo!()
}

/// SHA-256(01 ‖ left ‖ right).
pub fn node_hash(_left: &Hash, _right: &Hash) -> Hash {
    todo!()
}

/// The root of the empty tree: SHA-256("").
pub fn empty_root() -> Hash {
    todo!()
}
