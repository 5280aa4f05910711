//! The text of a file: UTF-8 if all of it is, else GB18030 if all of it is.
//!
//! The decision needs the whole file, the memory does not: one pass judges and digests, later passes decode.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::rc::Rc;

use encoding_rs::{DecoderResult, GB18030};

use super::NotAnUpload;
use crate::statement::Digest;

const BOM: &[u8] = b"\xEF\xBB\xBF";
const BLOCK: usize = 64 * 1024;

/// How the text of a file is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-8.
    Utf8,
    /// UTF-8 behind a byte order mark.
    Utf8Bom,
    /// GB18030, and so GBK and GB2312.
    Gb18030,
}

impl Encoding {
    /// As receipts name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Utf8 => "utf-8",
            Self::Utf8Bom => "utf-8-sig",
            Self::Gb18030 => "gb18030",
        }
    }
}

/// SHA-256 of a file.
pub fn digest_of(path: &Path) -> Result<Digest, NotAnUpload> {
    let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    blocks(path, |block| {
        context.update(block);
        Ok(true)
    })?;
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    Ok(Digest(out))
}

/// Reads a file through and says which encoding all of it has.
pub fn encoding_of(path: &Path) -> Result<Encoding, NotAnUpload> {
    let (utf8_error, has_bom) = validate_utf8(path)?;
    match utf8_error {
        None if has_bom => Ok(Encoding::Utf8Bom),
        None => Ok(Encoding::Utf8),
        Some(utf8) => match validate_gb18030(path)? {
            None => Ok(Encoding::Gb18030),
            Some(gb18030) => Err(NotAnUpload::Encoding { utf8, gb18030 }),
        },
    }
}

/// The file's text as UTF-8 without byte order mark, never more than `allowance` bytes of it before it is raised again:
/// a row that never ends runs into an error, not into memory.
pub(super) struct Text {
    source: Source,
    allowance: Rc<Cell<usize>>,
}

enum Source {
    Utf8(File),
    Gb18030 { file: File, decoder: Box<encoding_rs::Decoder>, raw: Vec<u8>, text: Vec<u8>, at: usize, ended: bool },
}

/// The allowance of a [`Text`] is used up.
#[derive(Debug, thiserror::Error)]
#[error("a row is too long")]
pub(super) struct AllowanceUsedUp;

impl Text {
    pub(super) fn open(path: &Path, encoding: Encoding) -> Result<Self, NotAnUpload> {
        let unreadable = |e: io::Error| NotAnUpload::unreadable(&e);
        let mut file = File::open(path).map_err(unreadable)?;
        let source = match encoding {
            Encoding::Utf8 => Source::Utf8(file),
            Encoding::Utf8Bom => {
                file.read_exact(&mut [0; 3]).map_err(unreadable)?;
                Source::Utf8(file)
            }
            Encoding::Gb18030 => Source::Gb18030 {
                file,
                decoder: Box::new(GB18030.new_decoder_without_bom_handling()),
                raw: Vec::new(),
                text: Vec::new(),
                at: 0,
                ended: false,
            },
        };
        Ok(Self { source, allowance: Rc::new(Cell::new(usize::MAX)) })
    }

    /// To be set before each row.
    pub(super) fn allowance(&self) -> Rc<Cell<usize>> {
        Rc::clone(&self.allowance)
    }
}

impl Read for Text {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        let most = into.len().min(self.allowance.get());
        if most == 0 {
            return Err(io::Error::other(AllowanceUsedUp));
        }
        let read = self.source.read(&mut into[..most])?;
        self.allowance.set(self.allowance.get() - read);
        Ok(read)
    }
}

impl Source {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Utf8(file) => file.read(into),
            Self::Gb18030 { file, decoder, raw, text, at, ended } => {
                while *at == text.len() && !*ended {
                    decode_block(file, decoder, raw, text, ended)?;
                    *at = 0;
                }
                let count = into.len().min(text.len() - *at);
                into[..count].copy_from_slice(&text[*at..*at + count]);
                *at += count;
                Ok(count)
            }
        }
    }
}

fn decode_block(
    file: &mut File,
    decoder: &mut encoding_rs::Decoder,
    raw: &mut Vec<u8>,
    text: &mut Vec<u8>,
    ended: &mut bool,
) -> io::Result<()> {
    raw.resize(BLOCK / 4, 0);
    let read = file.read(raw)?;
    *ended = read == 0;
    text.resize(decoder.max_utf8_buffer_length_without_replacement(read).unwrap_or(BLOCK * 4), 0);
    let (result, _, written) = decoder.decode_to_utf8_without_replacement(&raw[..read], text, *ended);
    text.truncate(written);
    match result {
        DecoderResult::InputEmpty => Ok(()),
        // the file was judged before: it changed in between
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "no longer GB18030")),
    }
}

/// The offset of the first byte that is not UTF-8, and whether a byte order mark stands first.
fn validate_utf8(path: &Path) -> Result<(Option<u64>, bool), NotAnUpload> {
    let (mut offset, mut has_bom, mut rest, mut wrong) = (0u64, false, Vec::new(), None);
    blocks(path, |block| {
        if let Some(zero) = block.iter().position(|b| *b == 0) {
            return Err(NotAnUpload::Binary(offset + rest.len() as u64 + zero as u64));
        }
        rest.extend_from_slice(block);
        if offset == 0 && rest.starts_with(BOM) {
            has_bom = true;
        }
        match std::str::from_utf8(&rest) {
            Ok(_) => {
                offset += rest.len() as u64;
                rest.clear();
            }
            Err(error) => {
                offset += error.valid_up_to() as u64;
                if error.error_len().is_some() {
                    wrong = Some(offset);
                    return Ok(false);
                }
                rest.drain(..error.valid_up_to());
            }
        }
        Ok(true)
    })?;
    if wrong.is_none() && !rest.is_empty() {
        wrong = Some(offset);
    }
    Ok((wrong, has_bom))
}

/// The offset of the first byte that is not GB18030.
fn validate_gb18030(path: &Path) -> Result<Option<u64>, NotAnUpload> {
    let mut decoder = GB18030.new_decoder_without_bom_handling();
    let mut scratch = vec![0; BLOCK * 4];
    let (mut offset, mut wrong) = (0u64, None);
    let mut feed = |block: &[u8], last: bool, base: u64| -> Option<u64> {
        let mut at = 0;
        loop {
            let (result, read, _) = decoder.decode_to_utf8_without_replacement(&block[at..], &mut scratch, last);
            at += read;
            match result {
                DecoderResult::InputEmpty => return None,
                DecoderResult::OutputFull => {}
                DecoderResult::Malformed(bad, after) => {
                    return Some((base + at as u64).saturating_sub(u64::from(bad) + u64::from(after)));
                }
            }
        }
    };
    blocks(path, |block| {
        if let Some(zero) = block.iter().position(|b| *b == 0) {
            return Err(NotAnUpload::Binary(offset + zero as u64));
        }
        wrong = feed(block, false, offset);
        offset += block.len() as u64;
        Ok(wrong.is_none())
    })?;
    Ok(wrong.or_else(|| feed(&[], true, offset)))
}

fn blocks(path: &Path, mut each: impl FnMut(&[u8]) -> Result<bool, NotAnUpload>) -> Result<(), NotAnUpload> {
    let unreadable = |e: io::Error| NotAnUpload::unreadable(&e);
    let mut file = File::open(path).map_err(unreadable)?;
    let mut block = vec![0; BLOCK];
    loop {
        let read = match file.read(&mut block) {
            Ok(read) => read,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(unreadable(e)),
        };
        if read == 0 || !each(&block[..read])? {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use proptest::prelude::*;

    use super::*;

    fn file(bytes: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    fn text(bytes: &[u8]) -> Result<(Encoding, String), NotAnUpload> {
        let file = file(bytes);
        let encoding = encoding_of(file.path())?;
        let mut out = String::new();
        Text::open(file.path(), encoding)?.read_to_string(&mut out).unwrap();
        Ok((encoding, out))
    }

    #[test]
    fn utf8_is_taken_first_and_its_mark_falls_away() {
        assert_eq!(text("处罚".as_bytes()).unwrap(), (Encoding::Utf8, "处罚".into()));
        assert_eq!(text("\u{feff}处罚".as_bytes()).unwrap(), (Encoding::Utf8Bom, "处罚".into()));
    }

    #[test]
    fn gb18030_is_taken_where_utf8_is_not_valid() {
        let (bytes, _, _) = GB18030.encode("行政处罚决定书文号〔2024〕𠮷");
        assert_eq!(text(&bytes).unwrap(), (Encoding::Gb18030, "行政处罚决定书文号〔2024〕𠮷".into()));
    }

    #[test]
    fn what_is_neither_is_refused_with_the_offset() {
        let mut bytes = b"name,code\n".to_vec();
        bytes.push(0xFF);
        match encoding_of(file(&bytes).path()) {
            Err(NotAnUpload::Encoding { utf8: 10, gb18030: 10 }) => {}
            other => panic!("{other:?}"),
        }
        // the last character is cut off: neither encoding is whole
        match encoding_of(file(b"abc\xE5\xA4").path()) {
            Ok(Encoding::Gb18030) => {} // two bytes of UTF-8 may well be one character of GB18030
            other => panic!("{other:?}"),
        }
        assert!(matches!(encoding_of(file(b"abc\xE5").path()), Err(NotAnUpload::Encoding { utf8: 3, .. })));
    }

    #[test]
    fn zero_bytes_are_not_text() {
        assert!(matches!(encoding_of(file(b"ab\0").path()), Err(NotAnUpload::Binary(2))));
    }

    #[test]
    fn an_allowance_stops_a_reader() {
        let file = file(&vec![b'x'; 10_000]);
        let mut text = Text::open(file.path(), Encoding::Utf8).unwrap();
        text.allowance().set(4096);
        assert!(text.read_to_end(&mut Vec::new()).is_err());
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_in_either_encoding(written in "\\PC{0,200}", pad in 0usize..100_000) {
            // the padding moves characters over the edges of the blocks
            let written = format!("{}{written}", "a".repeat(pad));
            prop_assert_eq!(&text(written.as_bytes()).unwrap().1, &written);
            let (bytes, _, lossy) = GB18030.encode(&written);
            // bytes that happen to be UTF-8 too are read as that: no file says which it is
            if !lossy && std::str::from_utf8(&bytes).is_err() {
                prop_assert_eq!(text(&bytes).unwrap().1, written);
            }
        }
    }
}
