//! A log in a folder: where its files are, and how they are read and written.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use crate::log::tile::{bundle_path, decode_bundle, encode_bundle, encode_hashes};
use crate::log::{Entry, Hash, TileId, note};

/// The most that the bodies of a bundle may unpack to.
const MAX_BODIES: u64 = 17 << 20;
/// The most that a tile or bundle can have.
const MAX_TILE: u64 = 256 * 36;
/// What a zstd frame begins with; no line of bodies does.
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// A folder that holds a log.
#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

/// A file of the folder cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// It is not there.
    #[error("{0} is missing")]
    Missing(String),
    /// It cannot be read.
    #[error("{0} cannot be read: {1}")]
    Unreadable(String, String),
    /// It holds something else.
    #[error("{0} is not what its name says: {1}")]
    Format(String, &'static str),
}

/// The body of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// A compact JWS, or whatever else stands there.
    Body(&'a str),
    /// The body was not for whom the log was exported to.
    Withheld,
    /// The body was erased.
    Erased,
}

impl Folder {
    /// The folder of this path; nothing is opened yet.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The signed checkpoint.
    pub fn checkpoint(&self) -> Result<String, FileError> {
        text("checkpoint", self.read("checkpoint", note::MAX_BYTES as u64)?)
    }

    /// The bytes of a tile.
    pub fn tile(&self, id: TileId) -> Result<Vec<u8>, FileError> {
        self.read(&tile_path(id), MAX_TILE)
    }

    /// The entries of a bundle.
    pub fn bundle(&self, n: u64, width: u16) -> Result<Vec<Entry>, FileError> {
        let path = entries_path(n, width);
        decode_bundle(&self.read(&path, MAX_TILE)?, width).map_err(|error| FileError::Format(path, error.0))
    }

    /// The bodies of a bundle: as many lines as it has entries. [`Line::parse`] tells what each is.
    pub fn statements(&self, n: u64, width: u16) -> Result<String, FileError> {
        let path = statements_path(n, width);
        let mut bytes = self.read(&path, MAX_BODIES)?;
        if bytes.starts_with(&ZSTD) {
            bytes = unpack(&path, &bytes)?;
        }
        let mut text = text(&path, bytes)?;
        match text.pop() {
            Some('\n') if text.bytes().filter(|b| *b == b'\n').count() + 1 == usize::from(width) => Ok(text),
            _ => Err(FileError::Format(path, "it has not a line for each entry")),
        }
    }

    /// Writes the checkpoint; last, for a folder without it is no exported log yet.
    pub fn write_checkpoint(&self, note: &str) -> io::Result<()> {
        self.write("checkpoint", note.as_bytes())
    }

    /// Writes a tile.
    pub fn write_tile(&self, id: TileId, hashes: &[Hash]) -> io::Result<()> {
        self.write(&tile_path(id), &encode_hashes(hashes))
    }

    /// Writes a bundle and its bodies.
    pub fn write_bundle(&self, n: u64, entries: &[Entry], bodies: &[Line]) -> io::Result<()> {
        let width = entries.len() as u16;
        self.write(&entries_path(n, width), &encode_bundle(entries))?;
        let mut text = String::with_capacity(bodies.iter().map(|line| line.text().len() + 1).sum());
        for line in bodies {
            text += line.text();
            text.push('\n');
        }
        self.write(&statements_path(n, width), text.as_bytes())
    }

    fn read(&self, path: &str, limit: u64) -> Result<Vec<u8>, FileError> {
        let unreadable = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => FileError::Missing(path.to_owned()),
            _ => FileError::Unreadable(path.to_owned(), error.to_string()),
        };
        let file = File::open(self.0.join(path)).map_err(unreadable)?;
        let length = file.metadata().map_or(0, |about| about.len()).min(limit);
        let mut bytes = Vec::with_capacity(length as usize + 1);
        file.take(limit + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes.len() as u64 > limit { Err(FileError::Format(path.to_owned(), "it is too long")) } else { Ok(bytes) }
    }

    fn write(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        let path = self.0.join(path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(path, bytes)
    }
}

impl<'a> Line<'a> {
    /// What a line of bodies is.
    pub fn parse(line: &'a str) -> Self {
        match line {
            "withheld" => Self::Withheld,
            "erased" => Self::Erased,
            body => Self::Body(body),
        }
    }

    /// The line.
    pub fn text(self) -> &'a str {
        match self {
            Self::Body(body) => body,
            Self::Withheld => "withheld",
            Self::Erased => "erased",
        }
    }
}

fn tile_path(id: TileId) -> String {
    format!("tile/{id}")
}

fn entries_path(n: u64, width: u16) -> String {
    format!("tile/entries/{}", bundle_path(n, width))
}

fn statements_path(n: u64, width: u16) -> String {
    format!("statements/{}", bundle_path(n, width))
}

fn text(path: &str, bytes: Vec<u8>) -> Result<String, FileError> {
    String::from_utf8(bytes).map_err(|_| FileError::Format(path.to_owned(), "it is not UTF-8"))
}

fn unpack(path: &str, packed: &[u8]) -> Result<Vec<u8>, FileError> {
    let wrong = |_| FileError::Format(path.to_owned(), "its zstd is damaged");
    let decoder = zstd::stream::read::Decoder::with_buffer(packed).map_err(wrong)?;
    let mut bytes = Vec::new();
    decoder.take(MAX_BODIES + 1).read_to_end(&mut bytes).map_err(wrong)?;
    if bytes.len() as u64 > MAX_BODIES {
        return Err(FileError::Format(path.to_owned(), "it unpacks to more than 17 MiB"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Class;
    use crate::statement::Digest;

    #[test]
    fn what_is_written_is_read_and_anything_else_is_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::at(dir.path());
        let entry = Entry { class: Class::Open, digest: Digest::of(b"x") };
        let lines = [Line::Body("a.b.c"), Line::Withheld, Line::Erased];
        folder.write_bundle(1_234_067, &[entry; 3], &lines).unwrap();
        assert_eq!(folder.bundle(1_234_067, 3), Ok(vec![entry; 3]));
        let read = folder.statements(1_234_067, 3).unwrap();
        assert_eq!(read.split('\n').map(Line::parse).collect::<Vec<_>>(), lines);

        let path = "statements/x001/x234/067.p/3";
        let file = dir.path().join(path);
        let packed = zstd::encode_all(&b"a.b.c\nwithheld\nerased\n"[..], 3).unwrap();
        std::fs::write(&file, &packed).unwrap();
        assert_eq!(folder.statements(1_234_067, 3), Ok(read));
        std::fs::write(&file, &packed[..packed.len() - 1]).unwrap();
        assert_eq!(folder.statements(1_234_067, 3), Err(FileError::Format(path.to_owned(), "its zstd is damaged")));
        let bomb = zstd::encode_all(&vec![b'a'; 20 << 20][..], 3).unwrap();
        for bad in [&b""[..], b"a\nb\nc", b"a\nb\n", b"a\nb\nc\nd\n", b"a\nb\n\xff\n", &bomb] {
            std::fs::write(&file, bad).unwrap();
            assert!(matches!(folder.statements(1_234_067, 3), Err(FileError::Format(..))));
        }
        assert_eq!(folder.checkpoint(), Err(FileError::Missing("checkpoint".to_owned())));
        let id = TileId { level: 0, n: 0, width: 2 };
        folder.write_tile(id, &[[1; 32], [2; 32]]).unwrap();
        assert_eq!(folder.tile(id).unwrap().len(), 64);
    }
}
