//! The bodies of a bundle as they are served: packed or not, a line an entry, and never more of them than there can be.

use std::io::Read as _;

use super::Fault;

/// A bundle of statements is never longer than this, unpacked.
pub const MAX_STATEMENTS: usize = 17 * 1024 * 1024;
/// An honest server compresses with a window of at most 2^24 bytes.
const ZSTD_WINDOW_LOG: u32 = 24;

/// The body of one entry as served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// The compact JWS.
    Body(String),
    /// Not for this node.
    Withheld,
    /// Erased by its issuer's order.
    Erased,
}

/// Unpacks zstd, but never to more than `limit` bytes nor with a window that nobody honest needs.
pub(super) fn unpack(packed: &[u8], limit: usize) -> Result<Vec<u8>, Fault> {
    const WHAT: &str = "a bundle of statements";
    let bad = |error: std::io::Error| Fault::Format { what: WHAT, why: format!("zstd: {error}") };
    let mut decoder = zstd::stream::read::Decoder::with_buffer(packed).map_err(bad)?;
    decoder.window_log_max(ZSTD_WINDOW_LOG).map_err(bad)?;
    let mut out = Vec::with_capacity(packed.len().saturating_mul(2).min(limit));
    decoder.take(limit as u64 + 1).read_to_end(&mut out).map_err(bad)?;
    if out.len() > limit { Err(Fault::TooLong { what: WHAT, limit }) } else { Ok(out) }
}

/// One line an entry, and nothing more.
pub(super) fn lines(what: &'static str, text: &str, width: u16) -> Result<Vec<Line>, Fault> {
    let text = text.strip_suffix('\n').unwrap_or(text);
    let lines: Vec<Line> = text
        .split('\n')
        .map(|line| match line {
            "withheld" => Line::Withheld,
            "erased" => Line::Erased,
            body => Line::Body(body.to_owned()),
        })
        .collect();
    if lines.len() == usize::from(width) {
        Ok(lines)
    } else {
        Err(Fault::Format { what, why: format!("{} lines for {width} entries", lines.len()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bomb_is_not_unpacked() {
        let bomb = zstd::bulk::compress(&vec![b'a'; 1 << 20], 1).unwrap();
        assert!(bomb.len() < 1000);
        assert!(matches!(unpack(&bomb, 1 << 16), Err(Fault::TooLong { .. })));
        assert_eq!(unpack(&bomb, 1 << 20).unwrap().len(), 1 << 20);
        assert!(matches!(unpack(b"no zstd", 1 << 20), Err(Fault::Format { .. })));
    }

    #[test]
    fn there_is_one_line_an_entry() {
        let read = lines("x", "a.b.c\nwithheld\nerased\n", 3).unwrap();
        assert_eq!(read, [Line::Body("a.b.c".to_owned()), Line::Withheld, Line::Erased]);
        assert!(lines("x", "a.b.c\nwithheld\n", 3).is_err());
        assert!(lines("x", "a\nb\n\n", 2).is_err());
    }
}
