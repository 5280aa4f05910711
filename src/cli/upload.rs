//! `kaopu upload`: the uploads of a node and their receipts.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, bail};

use super::import::receipts::{self, Faults, Target};
use crate::config::Config;
use crate::import::Receipt;
use crate::statement::Kinds;
use crate::store::Db;
use crate::store::upload::UploadRow;

/// Look at uploads and their receipts.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// List the uploads, newest first.
    List {
        /// The node's configuration.
        #[arg(short, long, value_name = "FILE")]
        config: PathBuf,
        /// How many at most.
        #[arg(long, default_value_t = 50)]
        limit: u32,
        /// Print a list as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show the receipt of an upload.
    Show {
        /// The node's configuration.
        #[arg(short, long, value_name = "FILE")]
        config: PathBuf,
        /// The upload's number.
        id: i64,
        /// Where the receipt goes: FILE.json holds it whole, FILE.csv the refused rows as they came.
        #[arg(long, value_name = "FILE")]
        receipt: Option<PathBuf>,
        /// The file that was uploaded: refused rows are copied from it.
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
        /// Print it as JSON.
        #[arg(long)]
        json: bool,
    },
}

/// Runs the command.
pub async fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::List { config, limit, json } => {
            let uploads = open(&Config::load(&config)?).await?.uploads(limit).await?;
            say(&if json { serde_json::to_string_pretty(&uploads)? } else { table(&uploads) })?;
        }
        Command::Show { config, id, receipt: target, file, json } => {
            let config = Config::load(&config)?;
            let db = open(&config).await?;
            let Some(upload) = db.upload(id).await? else {
                bail!("there is no upload {id}; `kaopu upload list` shows those that are there");
            };
            let (receipt, faults) = (Receipt::from(&upload), Faults::Stored(db, id));
            if let Some(path) = target {
                let sheet = file.map(|file| original(&config, &upload, &file)).transpose()?.map(Arc::new);
                Target::of(&path)?.write(&receipt, &faults, sheet.as_ref()).await?;
            }
            let text = match json {
                true => receipts::json(&receipt, &faults).await?,
                false => receipts::table(&receipt, &faults).await?,
            };
            say(text.trim_end())?;
            if upload.finished_ms.is_none() && !json {
                say("not finished 未完成: run the same import again to go on")?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn open(config: &Config) -> Result<Db> {
    Ok(Db::open(config.store.as_str()).await?)
}

fn original(config: &Config, upload: &UploadRow, file: &std::path::Path) -> Result<crate::import::Sheet> {
    let mut kinds = Kinds::builtin()?;
    if let Some(folder) = &config.schemas {
        kinds = kinds.with_folder(folder)?;
    }
    let kind = kinds.newest(&upload.kind).with_context(|| format!("kind {} is not known here", upload.kind))?;
    receipts::sheet_of(file, kind, &upload.digest)
}

fn table(uploads: &[UploadRow]) -> String {
    let mut out = format!("{:>6}  {:<16}  {:<12}  {:>9}  {:>9}  {:>9}  {:>9}  file", "id", "begun", "kind", "read", "published", "unchanged", "refused");
    for upload in uploads {
        let begun = jiff::Timestamp::from_millisecond(upload.begun_ms).unwrap_or_default();
        let begun = jiff::tz::offset(8).to_datetime(begun).strftime("%Y-%m-%d %H:%M");
        let counts = &upload.counts;
        let state = if upload.finished_ms.is_some() { "" } else { " (not finished)" };
        out.push_str(&format!(
            "\n{:>6}  {begun}  {:<12}  {:>9}  {:>9}  {:>9}  {:>9}  {}{state}",
            upload.id, upload.kind, counts.read, counts.published, counts.skipped, counts.refused, upload.file
        ));
    }
    out
}

fn say(text: &str) -> Result<()> {
    writeln!(std::io::stdout(), "{text}").context("cannot write to standard output")
}
