//! Tiles and entry bundles of [C2SP `tlog-tiles`](https://c2sp.org/tlog-tiles): their coordinates, paths and bytes.

use std::fmt;
use std::str::FromStr;

use super::entry::ENTRY_BYTES;
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
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.level, bundle_path(self.n, self.width))
    }
}

impl FromStr for TileId {
    type Err = NotATile;

    fn from_str(text: &str) -> Result<Self, NotATile> {
        let (level, rest) = text.split_once('/').ok_or(NotATile("<L>/<N> is expected"))?;
        let level = decimal(level).filter(|l| *l < 64).ok_or(NotATile("a level from 0 to 63 is expected"))?;
        let (n, width) = parse_bundle_path(rest)?;
        Ok(Self { level: level as u8, n, width })
    }
}

/// The path of bundle `n` as behind `tile/entries/` and `statements/`: `x001/x234/067[.p/<W>]`.
pub fn bundle_path(n: u64, width: u16) -> String {
    let mut path = format!("{:03}", n % 1000);
    let mut rest = n / 1000;
    while rest > 0 {
        path.insert_str(0, &format!("x{:03}/", rest % 1000));
        rest /= 1000;
    }
    if usize::from(width) < FULL {
        path += &format!(".p/{width}");
    }
    path
}

/// Number and width from such a path.
pub fn parse_bundle_path(text: &str) -> Result<(u64, u16), NotATile> {
    let (number, width) = match text.split_once(".p/") {
        Some((number, width)) => {
            let width = decimal(width).and_then(|w| u16::try_from(w).ok()).filter(|w| (1..=255).contains(w));
            (number, width.ok_or(NotATile("a partial width from 1 to 255 is expected"))?)
        }
        None => (text, FULL as u16),
    };
    let wrong = NotATile("a number in groups of three digits is expected");
    let groups = number.split('/').collect::<Vec<_>>();
    let mut n = 0_u64;
    for (i, group) in groups.iter().enumerate() {
        let last = i + 1 == groups.len();
        let digits = if last { Some(*group) } else { group.strip_prefix('x') };
        let digits = digits.filter(|d| d.len() == 3 && d.bytes().all(|b| b.is_ascii_digit())).ok_or(wrong.clone())?;
        let value = digits.parse::<u64>().map_err(|_| wrong.clone())?;
        if i == 0 && !last && value == 0 {
            return Err(wrong); // the same number would have a second path
        }
        n = n.checked_mul(1000).and_then(|n| n.checked_add(value)).ok_or(wrong.clone())?;
    }
    Ok((n, width))
}

/// The bytes of a tile.
pub fn encode_hashes(hashes: &[Hash]) -> Vec<u8> {
    hashes.concat()
}

/// The hashes of a tile, exactly `width` of them.
pub fn decode_hashes(bytes: &[u8], width: u16) -> Result<Vec<Hash>, NotATile> {
    match bytes.as_chunks::<32>() {
        (hashes, []) if hashes.len() == usize::from(width) => Ok(hashes.to_vec()),
        _ => Err(NotATile("its bytes are not as many hashes as its width says")),
    }
}

/// The bytes of a bundle: each entry behind its length, u16 big-endian.
pub fn encode_bundle(entries: &[Entry]) -> Vec<u8> {
    let mut out = Vec::with_capacity(entries.len() * (2 + ENTRY_BYTES));
    for entry in entries {
        out.extend((ENTRY_BYTES as u16).to_be_bytes());
        out.extend(entry.encode());
    }
    out
}

/// The entries of a bundle, exactly `width` of them.
pub fn decode_bundle(bytes: &[u8], width: u16) -> Result<Vec<Entry>, NotATile> {
    // every entry of these logs has 34 bytes, so a bundle is rows of 36 bytes that begin with 00 22
    let (rows, []) = bytes.as_chunks::<{ 2 + ENTRY_BYTES }>() else {
        return Err(NotATile("its bytes are not entries of 34 bytes behind their length"));
    };
    if rows.len() != usize::from(width) {
        return Err(NotATile("it has not as many entries as its width says"));
    }
    let entry = |row: &[u8; 2 + ENTRY_BYTES]| {
        let entry = row.strip_prefix(&(ENTRY_BYTES as u16).to_be_bytes())?;
        Entry::decode(entry).ok()
    };
    rows.iter().map(|row| entry(row).ok_or(NotATile("what it holds is no entry of 34 bytes"))).collect()
}

/// The tiles that a tree of `size` entries has at `level`: how many are full, and the width of the partial one (0 if none).
pub fn tiles_at(size: u64, level: u8) -> (u64, u16) {
    let hashes = hashes_at(size, level);
    (hashes / FULL as u64, (hashes % FULL as u64) as u16)
}

/// The hashes that a tree of `size` entries has at tile `level`: its complete subtrees of 256^level entries.
pub fn hashes_at(size: u64, level: u8) -> u64 {
    size.checked_shr(8 * u32::from(level)).unwrap_or(0)
}

/// A decimal number with no sign and no leading zeros.
pub(super) fn decimal(text: &str) -> Option<u64> {
    let canonical = text == "0" || !text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit());
    if canonical { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::log::Class;
    use crate::statement::Digest;

    #[test]
    fn paths_are_those_of_the_specification() {
        for (path, level, n, width) in [
            ("0/000", 0, 0, 256),
            ("0/x001/x234/067", 0, 1_234_067, 256),
            ("1/x001/x234/067.p/8", 1, 1_234_067, 8),
            ("63/999.p/255", 63, 999, 255),
            ("0/x018/x446/x744/x073/x709/x551/615", 0, u64::MAX, 256),
        ] {
            let tile = TileId { level, n, width };
            assert_eq!(tile.to_string(), path);
            assert_eq!(path.parse(), Ok(tile));
        }
    }

    #[test]
    fn a_tile_has_one_path() {
        for bad in [
            "",
            "0",
            "0/",
            "0/0",
            "0/1234",
            "00/000",
            "64/000",
            "-1/000",
            "+1/000",
            "0/x000/001",
            "0/001/001",
            "0/x001/x001",
            "0/x001",
            "0/000.p/0",
            "0/000.p/256",
            "0/000.p/01",
            "0/000.p/+1",
            "0/000.p/",
            "0/000/",
            "/0/000",
            "0/0０0",
            "0/x018/x446/x744/x073/x709/x551/616",
            "0/000.p/1.p/1",
        ] {
            assert!(bad.parse::<TileId>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_bundle_holds_entries_of_34_bytes_and_nothing_else() {
        let entries = [Class::Open, Class::Addressed].map(|class| Entry { class, digest: Digest::of(b"x") });
        let bytes = encode_bundle(&entries);
        assert_eq!(bytes[..4], [0, 34, 1, 0]);
        assert_eq!(decode_bundle(&bytes, 2).unwrap(), entries);
        assert!(decode_bundle(&bytes, 1).is_err());
        assert!(decode_bundle(&bytes, 3).is_err());
        assert!(decode_bundle(&bytes[..71], 2).is_err());
        for (at, value) in [(0, 1), (1, 33), (2, 2), (3, 2), (36, 1), (37, 35), (38, 0), (39, 255)] {
            let mut bytes = bytes.clone();
            bytes[at] = value;
            assert!(decode_bundle(&bytes, 2).is_err(), "byte {at} = {value}");
        }
    }

    proptest! {
        #[test]
        fn every_tile_is_found_by_its_path(level in 0_u8..64, n: u64, width in 1_u16..=256) {
            let tile = TileId { level, n, width };
            prop_assert_eq!(tile.to_string().parse(), Ok(tile));
        }

        #[test]
        fn a_path_that_parses_is_the_only_one(text in "[0-9]{1,2}/(x[0-9]{3}/){0,2}[0-9]{3}(\\.p/[0-9]{1,3})?") {
            if let Ok(tile) = text.parse::<TileId>() {
                prop_assert_eq!(tile.to_string(), text);
            }
        }
    }
}
