//! Faults kept aside in a file: those of a rehearsal go into no store, and may be millions.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, BufWriter, Read, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::store::upload::FaultRow;

/// Faults being written, in the order of their rows.
pub struct FaultWriter {
    out: BufWriter<File>,
}

/// Faults that were written, to be read any number of times. The file has no name any more: it is gone with the last clone,
/// and with the process.
#[derive(Clone, Debug)]
pub struct FaultFile {
    file: Arc<File>,
}

impl FaultWriter {
    /// A new file in a folder, for this user alone.
    pub fn new(folder: &Path) -> io::Result<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name = format!("kaopu-faults-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = folder.join(name);
        let file = File::options().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
        fs::remove_file(&path)?;
        Ok(Self { out: BufWriter::new(file) })
    }

    /// Adds one.
    pub fn push(&mut self, fault: &FaultRow) -> io::Result<()> {
        serde_json::to_writer(&mut self.out, fault)?;
        self.out.write_all(b"\n")
    }

    /// That was all.
    pub fn finish(self) -> io::Result<FaultFile> {
        Ok(FaultFile { file: Arc::new(self.out.into_inner()?) })
    }
}

impl FaultFile {
    /// From the first one on.
    pub fn each(&self) -> impl Iterator<Item = io::Result<FaultRow>> + Send + use<> {
        let lines = BufReader::new(FromStart { file: Arc::clone(&self.file), at: 0 }).lines();
        lines.map(|line| Ok(serde_json::from_str(&line?)?))
    }
}

/// A reader with a place of its own.
struct FromStart {
    file: Arc<File>,
    at: u64,
}

impl Read for FromStart {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_come_back_in_order_as_often_as_they_are_asked_for_and_leave_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = FaultWriter::new(folder.path()).unwrap();
        let faults: Vec<FaultRow> = (1..=3000)
            .map(|row| FaultRow {
                row,
                column: (row % 2 == 0).then(|| "示例\n列".to_owned()),
                code: "E101".to_owned(),
                message: "必填项为空".to_owned(),
            })
            .collect();
        faults.iter().for_each(|fault| writer.push(fault).unwrap());
        let file = writer.finish().unwrap();
        for _ in 0..2 {
            assert_eq!(file.each().collect::<io::Result<Vec<_>>>().unwrap(), faults);
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
