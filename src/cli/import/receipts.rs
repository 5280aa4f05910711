//! Where receipts go: the terminal, a JSON file, a CSV of the refused rows.
//!
//! A file is written beside its place and then moved there: what stood there stays until the receipt is whole.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufWriter, ErrorKind, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use tokio::sync::mpsc;

use kaopu::import::fault_file::FaultFile;
use kaopu::import::receipt::refused_rows;
use kaopu::import::{Receipt, Sheet};
use kaopu::store::upload::FaultRow;
use kaopu::store::{Db, StoreError};

/// Faults fetched at once.
const PAGE: u32 = 1000;

/// Where the faults of a receipt are.
#[derive(Clone)]
pub enum Faults {
    /// In a file aside, of a rehearsal.
    Aside(FaultFile),
    /// In the store, of this upload.
    Stored(Db, i64),
}

/// A file that a receipt is written to.
#[derive(Clone, Debug)]
pub enum Target {
    /// The whole receipt as JSON.
    Json(PathBuf),
    /// The refused rows as CSV.
    Csv(PathBuf),
}

impl Target {
    /// By the file's ending. The file that came is never written over.
    pub fn of(path: &Path, source: Option<&Path>) -> Result<Self> {
        if source.is_some_and(|source| is_same_file(path, source)) {
            bail!("--receipt {}: that is the file to be read; name another", path.display());
        }
        match path.extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase).as_deref() {
            Some("json") => Ok(Self::Json(path.to_owned())),
            Some("csv") => Ok(Self::Csv(path.to_owned())),
            _ => {
                bail!("--receipt {}: end it with .json (the whole receipt) or .csv (the refused rows)", path.display())
            }
        }
    }

    /// Writes a receipt. The refused rows are copied from the sheet that came.
    pub async fn write(&self, receipt: &Receipt, faults: &Faults, sheet: Option<&Arc<Sheet>>) -> Result<()> {
        let (Self::Json(path) | Self::Csv(path)) = self;
        let sheet = match (self, sheet) {
            (Self::Json(_), _) => None,
            (Self::Csv(_), Some(sheet)) => Some(Arc::clone(sheet)),
            (Self::Csv(_), None) => bail!("the refused rows are copied from the file that came: name it with --file"),
        };
        let (path, receipt, faults) = (path.clone(), receipt.clone(), faults.each());
        let cannot = format!("cannot write {}", path.display());
        tokio::task::spawn_blocking(move || {
            write_beside(&path, |out| match &sheet {
                None => receipt.json::<anyhow::Error>(faults, out),
                Some(sheet) => refused_rows::<anyhow::Error>(sheet, faults, out),
            })
        })
        .await?
        .context(cannot)
    }
}

/// Two names of one file, by links of either sort too.
fn is_same_file(one: &Path, other: &Path) -> bool {
    let identity = |path| fs::metadata(path).map(|m| (m.dev(), m.ino())).ok();
    identity(one).is_some_and(|id| identity(other) == Some(id))
}

/// Writes a file whole, or leaves what stood in its place.
fn write_beside(path: &Path, write: impl FnOnce(&mut BufWriter<File>) -> Result<()>) -> Result<()> {
    let mut beside = OsString::from(path);
    beside.push(format!(".{}.part", std::process::id()));
    let written = (|| {
        let mut out = BufWriter::new(File::create_new(&beside)?);
        write(&mut out)?;
        out.into_inner()?.sync_all()?;
        Ok(fs::rename(&beside, path)?)
    })();
    if written.is_err() {
        // what went wrong says more than that this went wrong as well
        let _ = fs::remove_file(&beside);
    }
    written
}

impl Faults {
    /// One by one in the order of their rows; to be read on a thread that may block.
    fn each(&self) -> Box<dyn Iterator<Item = Result<FaultRow>> + Send> {
        match self {
            Self::Aside(file) => Box::new(file.each().map(|fault| Ok(fault?))),
            Self::Stored(db, upload) => Box::new(stored(db.clone(), *upload)),
        }
    }
}

/// The faults of an upload, fetched page by page while they are read.
fn stored(db: Db, upload: i64) -> impl Iterator<Item = Result<FaultRow>> + Send {
    let (send, mut receive) = mpsc::channel(PAGE as usize);
    tokio::spawn(async move {
        if let Err(error) = send_all(&db, upload, &send).await {
            let _ = send.send(Err(error.into())).await;
        }
    });
    std::iter::from_fn(move || receive.blocking_recv())
}

async fn send_all(db: &Db, upload: i64, to: &mpsc::Sender<Result<FaultRow>>) -> Result<(), StoreError> {
    let mut after = 0;
    loop {
        let page = db.faults(upload, after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.row;
        for fault in page {
            if to.send(Ok(fault)).await.is_err() {
                return Ok(());
            }
        }
    }
}

/// Prints a receipt as JSON as it comes: its faults may be millions. A reader that has gone away is no failure.
pub async fn print_json(receipt: &Receipt, faults: &Faults) -> Result<()> {
    let (receipt, faults) = (receipt.clone(), faults.each());
    tokio::task::spawn_blocking(move || {
        let mut out = BufWriter::new(io::stdout().lock());
        let written = receipt.json::<anyhow::Error>(faults, &mut out).and_then(|()| Ok(out.flush()?));
        match written {
            Err(error) if error.downcast_ref().is_some_and(|e: &io::Error| e.kind() == ErrorKind::BrokenPipe) => Ok(()),
            written => written,
        }
    })
    .await?
}

/// A receipt as a table for the terminal.
pub async fn table(receipt: &Receipt, faults: &Faults) -> Result<String> {
    let (receipt, mut faults) = (receipt.clone(), faults.each());
    tokio::task::spawn_blocking(move || {
        let first: Vec<FaultRow> = faults.by_ref().take(Receipt::SHOWN).collect::<Result<_>>()?;
        let more = faults.try_fold(0, |count, fault| fault.map(|_| count + 1))?;
        let mut out = Vec::new();
        receipt.table(&first, more, &mut out)?;
        Ok(String::from_utf8(out)?)
    })
    .await?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_never_takes_the_place_of_the_file_that_came() {
        let folder = tempfile::tempdir().unwrap();
        let (came, link) = (folder.path().join("a.csv"), folder.path().join("b.csv"));
        fs::write(&came, "示例").unwrap();
        std::os::unix::fs::symlink(&came, &link).unwrap();
        assert!(Target::of(&came, Some(&came)).is_err());
        assert!(Target::of(&link, Some(&came)).is_err());
        assert!(Target::of(&folder.path().join("c.csv"), Some(&came)).is_ok());
        assert_eq!(fs::read_to_string(&came).unwrap(), "示例");
    }

    #[test]
    fn what_stood_there_stays_until_the_receipt_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        fs::write(&path, "earlier").unwrap();
        let failed = write_beside(&path, |out| {
            out.write_all(b"half")?;
            bail!("示例")
        });
        assert!(failed.is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "earlier");
        write_beside(&path, |out| Ok(out.write_all(b"whole")?)).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "whole");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
