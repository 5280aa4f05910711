//! The Merkle tree of [RFC 6962, section 2.1](https://www.rfc-editor.org/rfc/rfc6962#section-2.1): leaf and node hashes,
//! roots.

use aws_lc_rs::digest::{SHA256, digest};

/// A hash of the tree: SHA-256.
pub type Hash = [u8; 32];

/// SHA-256(00 ‖ entry).
pub fn leaf_hash(entry: &[u8]) -> Hash {
    // entries have 34 bytes; whatever is longer is hashed from the heap
    let mut short = [0; 128];
    match short.get_mut(1..=entry.len()) {
        Some(room) => {
            room.copy_from_slice(entry);
            sha256(&short[..=entry.len()])
        }
        None => sha256(&[&[0], entry].concat()),
    }
}

/// SHA-256(01 ‖ left ‖ right).
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut input = [1; 65];
    input[1..33].copy_from_slice(left);
    input[33..].copy_from_slice(right);
    sha256(&input)
}

/// The root of the empty tree: SHA-256("").
pub fn empty_root() -> Hash {
    sha256(b"")
}

/// The root over any number of hashes that stand side by side, each of them a leaf or a complete subtree of one height.
/// Of a full tile it is the hash that stands for it in its parent.
pub fn root_of(hashes: &[Hash]) -> Hash {
    fold(hashes, None).unwrap_or_else(empty_root)
}

/// The root over `hashes` and, right of them, a smaller subtree: the largest complete subtrees from the left on, joined
/// from the right.
pub(super) fn fold(hashes: &[Hash], smaller: Option<Hash>) -> Option<Hash> {
    let mut root = smaller;
    let mut rest = hashes;
    while !rest.is_empty() {
        let (left, last) = rest.split_at(rest.len() - (1 << rest.len().trailing_zeros()));
        let last = complete(last);
        root = Some(root.map_or(last, |right| node_hash(&last, &right)));
        rest = left;
    }
    root
}

/// The root over a power of two of hashes.
fn complete(hashes: &[Hash]) -> Hash {
    debug_assert!(hashes.len().is_power_of_two());
    let mut row = hashes.to_vec();
    while row.len() > 1 {
        for i in 0..row.len() / 2 {
            row[i] = node_hash(&row[2 * i], &row[2 * i + 1]);
        }
        row.truncate(row.len() / 2);
    }
    row[0]
}

fn sha256(input: &[u8]) -> Hash {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, input).as_ref());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(hash: &Hash) -> String {
        hash.iter().map(|b| format!("{b:02x}")).collect()
    }

    /// The leaves and roots that every implementation of RFC 6962 is tested with.
    #[test]
    fn roots_are_those_of_certificate_transparency() {
        let leaves: [&[u8]; 8] = [
            b"",
            b"\x00",
            b"\x10",
            b"\x20\x21",
            b"\x30\x31",
            b"\x40\x41\x42\x43",
            b"\x50\x51\x52\x53\x54\x55\x56\x57",
            b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
        ];
        let hashes: Vec<Hash> = leaves.iter().map(|l| leaf_hash(l)).collect();
        for (size, root) in [
            (0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            (1, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"),
            (2, "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"),
            (3, "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"),
            (5, "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4"),
            (8, "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"),
        ] {
            assert_eq!(hex(&root_of(&hashes[..size])), root, "of {size} leaves");
        }
    }

    #[test]
    fn a_leaf_of_any_length_is_hashed_behind_a_zero() {
        for len in [0, 1, 34, 126, 127, 128, 129, 1000] {
            let entry = vec![7; len];
            assert_eq!(leaf_hash(&entry), sha256(&[&[0], &entry[..]].concat()), "{len} bytes");
        }
    }
}
