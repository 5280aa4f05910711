//! Where receipts go: the terminal, a JSON file, a CSV of the refused rows.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use tokio::sync::mpsc;

use kaopu::import::receipt::refused_rows;
use kaopu::import::{Receipt, Sheet};
use kaopu::store::upload::FaultRow;
use kaopu::store::{Db, StoreError};

/// Faults fetched at once.
const PAGE: u32 = 1000;

/// Where the faults of a receipt are.
#[derive(Clone)]
pub enum Faults {
    /// In memory, of a rehearsal.
    Here(Arc<Vec<FaultRow>>),
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
    /// By the file's ending.
    pub fn of(path: &Path) -> Result<Self> {
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
        let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        let mut out = BufWriter::new(file);
        let (receipt, faults) = (receipt.clone(), faults.each());
        match (self, sheet) {
            (Self::Json(_), _) => {
                tokio::task::spawn_blocking(move || -> Result<()> {
                    receipt.json::<anyhow::Error>(faults, &mut out)?;
                    Ok(out.flush()?)
                })
                .await?
            }
            (Self::Csv(_), Some(sheet)) => {
                let sheet = Arc::clone(sheet);
                tokio::task::spawn_blocking(move || -> Result<()> {
                    refused_rows::<anyhow::Error>(&sheet, faults, &mut out)?;
                    Ok(out.flush()?)
                })
                .await?
            }
            (Self::Csv(_), None) => bail!("the refused rows are copied from the file that came: name it with --file"),
        }
        .with_context(|| format!("cannot write {}", path.display()))
    }
}

impl Faults {
    /// One by one in the order of their rows; to be read on a thread that may block.
    fn each(&self) -> impl Iterator<Item = Result<FaultRow>> + Send + use<> {
        let (send, mut receive) = mpsc::channel(PAGE as usize);
        let faults = self.clone();
        tokio::spawn(async move {
            if let Err(error) = faults.send(&send).await {
                let _ = send.send(Err(error.into())).await;
            }
        });
        std::iter::from_fn(move || receive.blocking_recv())
    }

    async fn send(&self, to: &mpsc::Sender<Result<FaultRow>>) -> Result<(), StoreError> {
        let mut after = 0;
        loop {
            let page = match self {
                Self::Here(faults) if after == 0 => faults.to_vec(),
                Self::Here(_) => return Ok(()),
                Self::Stored(db, upload) => db.faults(*upload, after, PAGE).await?,
            };
            let Some(last) = page.last() else { return Ok(()) };
            after = last.row;
            for fault in page {
                if to.send(Ok(fault)).await.is_err() {
                    return Ok(());
                }
            }
        }
    }
}

/// A receipt as JSON.
pub async fn json(receipt: &Receipt, faults: &Faults) -> Result<String> {
    let (receipt, faults) = (receipt.clone(), faults.each());
    tokio::task::spawn_blocking(move || {
        let mut out = Vec::new();
        receipt.json::<anyhow::Error>(faults, &mut out)?;
        Ok(String::from_utf8(out)?)
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
