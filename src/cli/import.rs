//! `kaopu import`: a department's files read, judged, signed and published; a receipt for each.
//!
//! It ends with 0 when every file was read to its end, whatever the receipts say of its rows; with 1 when a file was no
//! upload at all, or was not finished.

pub(super) mod progress;
pub mod receipts;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;

use self::progress::Bar;
use self::receipts::{Faults, Target};
use kaopu::import::upload::{Intake, Origin};
use kaopu::import::{self, NotAnUpload, Receipt, Sheet};
use kaopu::node::Node;
use kaopu::node::hold::expire_held;
use kaopu::node::peers::Peers;
use kaopu::statement::Kind;

use super::how::{By, How};
use super::upload::held;
use super::{Shared, complain, print_line, wrong_usage};

/// Read, judge, sign and publish a department's files; each ends in a receipt.
#[derive(Debug, clap::Args)]
pub struct Import {
    /// The files: CSV, XLSX, XLS, XML or JSON Lines
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// What the rows are: penalty, licence, registration …, or what is said of published ones: repair, repair-revocation,
    /// withdrawal, dispute-answer
    #[arg(long)]
    kind: String,
    /// The department that sent the files
    #[arg(long, value_name = "TEXT")]
    department: Option<String>,
    /// Where the receipt of one file goes: FILE.json holds it whole, FILE.csv the refused rows as they came, to be
    /// corrected and sent again
    #[arg(long, value_name = "FILE")]
    receipt: Option<PathBuf>,
    #[command(flatten)]
    how: How,
}

impl Import {
    /// Imports one file after the other.
    pub async fn run(self, shared: &Shared) -> Result<ExitCode> {
        let source = self.files.first().map(PathBuf::as_path);
        match self.receipt.as_deref().map(|path| Target::of(path, source)).transpose() {
            Ok(Some(_)) if self.files.len() > 1 => {
                Ok(wrong_usage("--receipt takes the receipt of one file: import the files one by one"))
            }
            Ok(target) => shared.on_node(async |node| run(&self, shared, node, target.as_ref()).await).await,
            Err(why) => Ok(wrong_usage(&why.to_string())),
        }
    }
}

async fn run(args: &Import, shared: &Shared, node: &Node, target: Option<&Target>) -> Result<ExitCode> {
    let Some(kind) = node.kinds.newest(&args.kind).filter(|kind| !kind.layouts.is_empty()).cloned() else {
        let known: Vec<&str> =
            node.kinds.all().filter(|k| !k.layouts.is_empty()).map(|k| k.typ.kind.as_str()).collect();
        return Ok(wrong_usage(&format!("--kind {}: files of these kinds are taken: {}", args.kind, known.join(", "))));
    };
    let intake = node.intake(&kind)?;
    expire_held(&node.db, &node.clock).await?;
    let peers = Peers::of(node);
    let taking = Taking { args, intake: &intake, by: args.how.by(shared, node, &peers).await?, target };
    let mut all_finished = true;
    let mut shown = 0;
    for file in &args.files {
        let finished = match read_through(file, &kind).await? {
            Ok(sheet) => Box::pin(taking.one(&Arc::new(sheet), file)).await,
            Err(not_an_upload) => Err(not_an_upload.into()),
        };
        match finished {
            Ok((receipt, faults)) => {
                show(args, shared, shown, &receipt, &faults).await?;
                shown += 1;
            }
            Err(error) => {
                all_finished = false;
                complain(&format!("{}: {error:#}", file.display()));
            }
        }
    }
    if shared.json && args.files.len() > 1 {
        print_line(if shown == 0 { "[]" } else { "]" });
    }
    peers.log_changes().await;
    Ok(if all_finished { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What all files are taken in with.
struct Taking<'a> {
    args: &'a Import,
    intake: &'a Intake,
    by: By,
    target: Option<&'a Target>,
}

impl Taking<'_> {
    /// Takes one file in, and writes its receipt where that was asked for.
    async fn one(&self, sheet: &Arc<Sheet>, file: &Path) -> Result<(Receipt, Faults)> {
        let name = file.file_name();
        let name = name.map_or_else(|| file.display().to_string(), |name| name.to_string_lossy().into_owned());
        let mut bar = Bar::new(&name);
        let import = self.intake.import();
        let (receipt, faults) = if self.args.how.dry_run {
            let rehearsal = self.intake.rehearse(sheet, |progress| bar.show(progress)).await?;
            let receipt = Receipt {
                file: name,
                kind: import.kind.typ.kind.clone(),
                layout: import.kind.layouts[sheet.columns.layout].name.clone(),
                encoding: sheet.encoding().to_owned(),
                counts: rehearsal.counts,
                unknown_columns: sheet.columns.unknown(),
                hold: None,
                withdrawal: None,
                said: None,
            };
            (receipt, Faults::Aside(rehearsal.faults))
        } else {
            let (department, operator) = (self.args.department.clone(), self.by.operator.clone());
            let origin = Origin { file: name, department, operator };
            let upload = match &self.by.terms {
                Some(terms) => self.intake.hold(sheet, &origin, terms, |progress| bar.show(progress)).await?,
                None => self.intake.run(sheet, &origin, |progress| bar.show(progress)).await?,
            };
            (Receipt::from(&upload), Faults::Stored(import.db.clone(), upload.id))
        };
        bar.finish();
        if let Some(target) = self.target {
            target.write(&receipt, &faults, Some(sheet)).await?;
        }
        Ok((receipt, faults))
    }
}

/// Prints a receipt, the next of a list where there are several files.
async fn show(args: &Import, shared: &Shared, before: usize, receipt: &Receipt, faults: &Faults) -> Result<()> {
    if shared.json {
        if args.files.len() > 1 {
            print_line(if before == 0 { "[" } else { "," });
        }
        return receipts::print_json(receipt, faults).await;
    }
    if args.how.dry_run {
        print_line("rehearsal 试运行: nothing was written 未写入任何内容");
    }
    print_line(receipts::table(receipt, faults).await?.trim_end());
    receipt.hold.iter().for_each(held::tell);
    Ok(())
}

async fn read_through(file: &Path, kind: &Arc<Kind>) -> Result<Result<Sheet, NotAnUpload>> {
    let (file, kind) = (file.to_owned(), Arc::clone(kind));
    Ok(tokio::task::spawn_blocking(move || import::open(&file, &kind)).await?)
}
