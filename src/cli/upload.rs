//! `kaopu upload`: the uploads of a node and their receipts.

pub(super) mod held;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, bail};

use super::import::receipts::{self, Faults, Target};
use super::person::As;
use super::{Shared, print_json, print_line};
use kaopu::clock::Clock;
use kaopu::config::Config;
use kaopu::import::upload::said_by_command;
use kaopu::import::{Receipt, Sheet};
use kaopu::node::hold::expire_held;
use kaopu::node::peers::Peers;
use kaopu::node::take_back::TakenBack;
use kaopu::node::{self, Node};
use kaopu::store::Db;
use kaopu::store::take_back::WithdrawalRow;
use kaopu::store::upload::UploadRow;

/// Look at uploads and their receipts.
#[derive(Debug, clap::Subcommand)]
pub enum Upload {
    /// List the uploads, newest first.
    List {
        /// How many at most.
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// Show the receipt of an upload.
    Show {
        /// The upload's number.
        id: i64,
        /// Where the receipt goes: FILE.json holds it whole, FILE.csv the refused rows as they came.
        #[arg(long, value_name = "FILE")]
        receipt: Option<PathBuf>,
        /// The file that was uploaded: refused rows are copied from it.
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
        /// Of an upload that is held, print the rows that would be published instead, a line of JSON each.
        #[arg(long, conflicts_with_all = ["receipt", "file"])]
        rows: bool,
    },
    /// Take a whole wrong upload back: one person proposes it, another approves, and each of its records is withdrawn 整批撤回
    Withdraw(Withdraw),
    /// Approve an upload that another person held, and publish it; given once more, it goes on where it was cut off 复核通过
    Approve(held::Approve),
    /// Refuse an upload that is held: nothing of it is published, and its rows are dropped 复核退回
    Refuse(held::Refuse),
}

/// An upload in the list.
#[derive(serde::Serialize)]
struct Listed<'a> {
    #[serde(flatten)]
    upload: &'a UploadRow,
    /// It is to be taken back as a whole, or was.
    #[serde(skip_serializing_if = "Option::is_none")]
    withdrawal: Option<&'a WithdrawalRow>,
}

/// Take a whole wrong upload back
#[derive(Debug, clap::Args)]
pub struct Withdraw {
    /// The upload's number
    id: i64,
    /// Why, in words: proposes it
    #[arg(long, value_name = "TEXT", required_unless_present = "approve", value_parser = crate::cli::words)]
    reason: Option<String>,
    /// Approve what another person proposed, and withdraw the records; given once more, it goes on where it was cut off
    #[arg(long, conflicts_with = "reason")]
    approve: bool,
    #[command(flatten)]
    person: As,
}

impl Upload {
    /// Runs the command.
    pub async fn run(self, shared: &Shared) -> Result<ExitCode> {
        match self {
            Self::Withdraw(withdraw) => return Box::pin(withdraw.run(shared)).await,
            Self::Approve(approve) => return Box::pin(approve.run(shared)).await,
            Self::Refuse(refuse) => return Box::pin(refuse.run(shared)).await,
            Self::Show { id, rows: true, .. } => return Box::pin(held::rows(shared, id)).await,
            Self::List { .. } | Self::Show { .. } => {}
        }
        let config = shared.config()?;
        let db = Db::open(config.store.expose()).await?;
        expire_held(&db, &Clock::System).await?;
        match self {
            Self::List { limit } => {
                let uploads = db.uploads(limit).await?;
                let oldest = uploads.iter().map(|upload| upload.id).min().unwrap_or_default();
                let withdrawals = db.upload_withdrawals(oldest).await?;
                let listed: Vec<Listed> = uploads.iter().map(|upload| Listed::of(upload, &withdrawals)).collect();
                if shared.json { print_json(&listed)? } else { print_line(&table(&listed)) }
            }
            Self::Show { id, receipt, file, .. } => {
                let Some(upload) = db.upload(id).await? else {
                    bail!("there is no upload {id}; `kaopu upload list` shows those that are there");
                };
                show(shared, &config, db.clone(), &upload, receipt, file).await?;
            }
            Self::Withdraw(_) | Self::Approve(_) | Self::Refuse(_) => {}
        }
        db.close().await;
        Ok(ExitCode::SUCCESS)
    }
}

impl<'a> Listed<'a> {
    fn of(upload: &'a UploadRow, withdrawals: &'a [WithdrawalRow]) -> Self {
        Self { upload, withdrawal: withdrawals.iter().find(|row| row.upload == upload.id) }
    }

    /// How it stands, behind its name.
    fn state(&self) -> &'static str {
        match (self.withdrawal, &self.upload.hold) {
            (Some(WithdrawalRow { finished_ms: Some(_), .. }), _) => " (taken back 已整批撤回)",
            (Some(WithdrawalRow { approved_by: Some(_), .. }), _) => " (being taken back, not finished 撤回未完成)",
            (Some(_), _) => " (to be taken back 整批撤回待批准)",
            (None, Some(hold)) => held::state(&hold.state, self.upload.finished_ms.is_some()),
            (None, None) if self.upload.finished_ms.is_some() => "",
            (None, None) => " (not finished 未完成)",
        }
    }
}

impl Withdraw {
    async fn run(self, shared: &Shared) -> Result<ExitCode> {
        shared.on_node(async |node| self.on(shared, node).await).await?;
        Ok(ExitCode::SUCCESS)
    }

    async fn on(&self, shared: &Shared, node: &Node) -> Result<()> {
        let person = self.person.needed(&Peers::of(node)).await?;
        if let Some(reason) = &self.reason {
            node.propose_taking_back(self.id, reason, &person).await?;
        } else {
            let tell = |so_far: TakenBack| {
                if !shared.json {
                    print_line(&format!("withdrawn 已撤回 {}", so_far.withdrawn + so_far.before));
                }
            };
            let taken_back = node.take_back(self.id, &person, tell).await?;
            if shared.json {
                return print_json(&taken_back);
            }
            let TakenBack { withdrawn, before, replaced } = taken_back;
            print_line(&format!(
                "upload {} is taken back 已整批撤回: {withdrawn} withdrawn now, {before} before, {replaced} with later versions left alone",
                self.id
            ));
            return Ok(());
        }
        let row = node.db.upload_withdrawal(self.id).await?;
        if shared.json {
            return print_json(&row);
        }
        print_line(&format!(
            "proposed 已提出整批撤回; another person approves 由另一人批准: kaopu upload withdraw {} --approve --as NAME",
            self.id
        ));
        Ok(())
    }
}

async fn show(
    shared: &Shared,
    config: &Config,
    db: Db,
    upload: &UploadRow,
    target: Option<PathBuf>,
    file: Option<PathBuf>,
) -> Result<()> {
    let (withdrawal, said) = (db.upload_withdrawal(upload.id).await?, said_by_command(&db, upload).await?);
    let receipt = Receipt { withdrawal, said, ..Receipt::from(upload) };
    let faults = Faults::Stored(db, upload.id);
    if let Some(path) = target {
        let target = Target::of(&path, file.as_deref())?;
        let sheet = file.map(|file| original(config, upload, &file)).transpose()?.map(Arc::new);
        target.write(&receipt, &faults, sheet.as_ref()).await?;
    }
    if shared.json {
        return receipts::print_json(&receipt, &faults).await;
    }
    print_line(receipts::table(&receipt, &faults).await?.trim_end());
    if let Some(held) = &receipt.hold {
        held::tell(held);
    } else if upload.finished_ms.is_none() {
        print_line("not finished 未完成: run the same import again to go on");
    }
    receipt.withdrawal.iter().for_each(tell_withdrawal);
    Ok(())
}

/// Says how it stands with taking an upload back, and what is to be done next.
fn tell_withdrawal(withdrawal: &WithdrawalRow) {
    let WithdrawalRow { upload, reason, proposed_by, approved_by, finished_ms, .. } = withdrawal;
    print_line(&match (approved_by, finished_ms) {
        (Some(approved_by), Some(_)) => format!(
            "taken back 已整批撤回: proposed by {proposed_by}, approved by {approved_by} 提出 {proposed_by}，批准 {approved_by}: {reason}"
        ),
        (Some(_), None) => format!(
            "being taken back, not finished 撤回未完成: run `kaopu upload withdraw {upload} --approve --as NAME` again to go on"
        ),
        (None, _) => format!(
            "{proposed_by} proposed to take it back 已提出整批撤回，待另一人批准: {reason}\n  \
             kaopu upload withdraw {upload} --approve --as NAME"
        ),
    });
}

/// The sheet of an upload, read again from the file that came.
pub(super) fn original(config: &Config, upload: &UploadRow, file: &Path) -> Result<Sheet> {
    let kinds = node::kinds(config)?;
    let kind = kinds.newest(&upload.kind).with_context(|| format!("kind {} is not known here", upload.kind))?;
    let sheet = kaopu::import::open(file, kind)?;
    if sheet.digest.to_string() != upload.digest {
        bail!("{} is not the file of this upload: its digest is another", file.display());
    }
    Ok(sheet)
}

fn table(uploads: &[Listed<'_>]) -> String {
    let mut out = format!(
        "{:>6}  {:<16}  {:<12}  {:>9}  {:>9}  {:>9}  {:>9}  file",
        "id", "begun", "kind", "read", "published", "unchanged", "refused"
    );
    for listed in uploads {
        let (upload, state) = (listed.upload, listed.state());
        let begun = jiff::Timestamp::from_millisecond(upload.begun_ms).unwrap_or_default();
        let begun = jiff::tz::offset(8).to_datetime(begun).strftime("%Y-%m-%d %H:%M");
        let counts = &upload.counts;
        out.push_str(&format!(
            "\n{:>6}  {begun}  {:<12}  {:>9}  {:>9}  {:>9}  {:>9}  {}{state}",
            upload.id, upload.kind, counts.read, counts.published, counts.skipped, counts.refused, upload.file
        ));
    }
    out
}
