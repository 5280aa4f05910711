//! Tiles and entry bundles of C2SP `tlog-tiles`: their coordinates, paths and bytes.

use std::fmt;
use std::str::FromStr;

use super::{Entry, Hash};

/// Hashes in a full tile, entries in a full bundle.
pub const FULL: usize = 256;

/// A tile by level, number and width; a width of 256 is a full tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TileId {
    /// 0 holds leaf hashes; each hash of level l+1 is the root of a full tile of level l.
    pub level: u8,
    /// Number within the level, from 0.
    pub n: u64,
    /// 1 to 256 hashes.
    pub width: u16,
}

/// The text is no tile or bundle path, or its bytes are not of the length that its width says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a tile: {0}")]
pub struct NotATile(pub &'static str);

/// `<L>/<N>[.p/<W>]`, as behind `tile/`.
impl fmt::Display for TileId {
    fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        todo!()
    }
}

impl FromStr for TileId {
    type Err = NotATile;

    fn from_str(_text: &str) -> Result<Self, NotATile> {
        todo!()
    }
}

/// The path of bundle `n` as behind `tile/entries/` and `statements/`: `x001/x234/067[.p/<W>]`.
pub fn bundle_path(_n: u64, _width: u16) -> String {
    todo!()
}

/// Number and width from such a path.
pub fn parse_bundle_path(_text: &str) -> Result<(u64, u16), NotATile> {
    todo!()
}

/// The bytes of a tile.
pub fn encode_hashes(_hashes: &[Hash]) -> Vec<u8> {
    todo!()
}

/// The hashes of a tile, exactly `width` of them.
pub fn decode_hashes(_bytes: &[u8], _width: u16) -> Result<Vec<Hash>, NotATile> {
    todo!()
}

/// The bytes of a bundle: each entry behind its length, u16 big-endian.
pub fn encode_bundle(_entries: &[Entry]) -> Vec<u8> {
    todo!()
}

/// The entries of a bundle, exactly `width` of them.
pub fn decode_bundle(_bytes: &[u8], _width: u16) -> Result<Vec<Entry>, NotATile> {
    todo!()
}

/// The tiles that a tree of `size` entries has at `level`: how many are full, and the width of the partial one (0 if none).
pub fn tiles_at(_size: u64, _level: u8) -> (u64, u16) {
    todo!()
}
