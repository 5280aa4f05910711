//! Uploads that wait for a second person 复核: looked at, approved, refused.

use std::io::{BufWriter, ErrorKind, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use kaopu::import::Receipt;
use kaopu::import::receipt::Held;
use kaopu::import::upload::{kept_rows, said_by_command};
use kaopu::node::Node;
use kaopu::node::hold::{HeldError, expire_held};
use kaopu::node::peers::Peers;
use kaopu::node::status::time;

use super::original;
use crate::cli::import::progress::Bar;
use crate::cli::import::receipts::{self, Faults, Target};
use crate::cli::person::As;
use crate::cli::{Shared, print_json, print_line};

/// Approve an upload that another person held
#[derive(Debug, clap::Args)]
pub struct Approve {
    /// The upload's number
    id: i64,
    /// Where the receipt goes: FILE.json holds it whole, FILE.csv the refused rows as they came
    #[arg(long, value_name = "FILE")]
    receipt: Option<PathBuf>,
    /// The file that was uploaded: refused rows are copied from it
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    person: As,
}

/// Refuse an upload that is held
#[derive(Debug, clap::Args)]
pub struct Refuse {
    /// The upload's number
    id: i64,
    /// Why, in words
    #[arg(long, value_name = "TEXT", value_parser = crate::cli::words)]
    reason: String,
    #[command(flatten)]
    person: As,
}

impl Approve {
    pub(super) async fn run(self, shared: &Shared) -> Result<ExitCode> {
        let target = self.receipt.as_deref().map(|path| Target::of(path, self.file.as_deref())).transpose()?;
        shared.on_node(async |node| Box::pin(self.on(shared, node, target.as_ref())).await).await?;
        Ok(ExitCode::SUCCESS)
    }

    async fn on(&self, shared: &Shared, node: &Node, target: Option<&Target>) -> Result<()> {
        let person = self.person.needed(&Peers::of(node)).await?;
        expire_held(&node.db, &node.clock).await?;
        let held = node.db.upload(self.id).await?.ok_or(HeldError::NoUpload(self.id))?;
        // what would fail fails before anything is decided
        let kind = node.kinds.newest(&held.kind);
        let intake = node.intake(kind.with_context(|| format!("kind {} is not known here", held.kind))?)?;
        let sheet = self.file.as_ref().map(|file| original(&node.config, &held, file)).transpose()?.map(Arc::new);
        if matches!(target, Some(Target::Csv(_))) && sheet.is_none() {
            bail!("the refused rows are copied from the file that came: name it with --file");
        }
        let upload = node.approve_held(self.id, &person).await?;
        tracing::info!(upload = self.id, by = person.name(), "approved");
        let mut bar = Bar::new(&upload.file);
        let published = intake.publish_held(upload, |progress| bar.show(progress)).await;
        bar.finish();
        let published = published.with_context(|| format!("`kaopu upload approve {}` goes on", self.id))?;
        let said = said_by_command(&node.db, &published).await?;
        let (receipt, faults) =
            (Receipt { said, ..Receipt::from(&published) }, Faults::Stored(node.db.clone(), self.id));
        if let Some(target) = target {
            target.write(&receipt, &faults, sheet.as_ref()).await?;
        }
        show(shared, &receipt, &faults).await
    }
}

impl Refuse {
    pub(super) async fn run(self, shared: &Shared) -> Result<ExitCode> {
        shared.on_node(async |node| self.on(shared, node).await).await?;
        Ok(ExitCode::SUCCESS)
    }

    async fn on(&self, shared: &Shared, node: &Node) -> Result<()> {
        let person = self.person.needed(&Peers::of(node)).await?;
        expire_held(&node.db, &node.clock).await?;
        let row = node.refuse_held(self.id, &self.reason, &person).await?;
        if shared.json {
            return print_json(&row);
        }
        print_line(&format!("upload {} is refused, nothing of it was published 已退回，未发布任何内容", self.id));
        Ok(())
    }
}

async fn show(shared: &Shared, receipt: &Receipt, faults: &Faults) -> Result<()> {
    if shared.json {
        return receipts::print_json(receipt, faults).await;
    }
    print_line(receipts::table(receipt, faults).await?.trim_end());
    receipt.hold.iter().for_each(tell);
    Ok(())
}

/// Prints the rows that would be published. A reader that has gone away is no failure.
pub(super) async fn rows(shared: &Shared, id: i64) -> Result<ExitCode> {
    shared.on_node(async |node| rows_of(node, id).await).await?;
    Ok(ExitCode::SUCCESS)
}

async fn rows_of(node: &Node, id: i64) -> Result<()> {
    let upload = node.db.upload(id).await?;
    let held = upload.filter(|row| row.hold.as_ref().is_some_and(|hold| hold.waits()));
    let held = held
        .with_context(|| format!("no rows of upload {id} wait for anybody; `kaopu record` shows what is published"))?;
    let kind = node.kinds.newest(&held.kind).with_context(|| format!("kind {} is not known here", held.kind))?;
    let intake = node.intake(kind)?;
    let mut out = BufWriter::new(std::io::stdout());
    let printed = kept_rows(intake.import(), id, |row| match row.shown(kind) {
        Some(shown) => writeln!(out, "{shown}"),
        None => Ok(()),
    });
    match printed.await?.and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// How a held upload stands, behind its name in a list.
pub(super) fn state(state: &str, is_finished: bool) -> &'static str {
    match state {
        "holding" => " (being held, not finished 未完成)",
        "held" => " (held 待复核)",
        "refused" => " (refused 复核退回)",
        "expired" => " (expired 复核过期)",
        _ if is_finished => "",
        _ => " (approved, not finished 已复核，未完成)",
    }
}

/// Says how a held upload stands, and what is to be done next.
pub fn tell(held: &Held) {
    let Held { upload, hold } = held;
    let until = time(hold.until_ms).unwrap_or_default();
    let by = hold.decided_by.as_deref().unwrap_or("?");
    print_line(&match hold.state.as_str() {
        "holding" => {
            format!("upload {upload} is being held by {}: run the same command again to go on 未完成", hold.held_by)
        }
        "held" => format!(
            "held as upload {upload} by {} until {until}, nothing is published 待复核，尚未发布; another person decides 由另一人复核:\n  \
             kaopu upload show {upload} --rows\n  kaopu upload approve {upload} --as NAME\n  \
             kaopu upload refuse {upload} --reason TEXT --as NAME",
            hold.held_by
        ),
        "approved" => {
            format!("upload {upload}: held by {}, approved by {by} 经办 {}，复核 {by}", hold.held_by, hold.held_by)
        }
        "refused" => format!(
            "upload {upload}: held by {}, refused by {by}: {} 复核退回，未发布",
            hold.held_by,
            hold.reason.as_deref().unwrap_or_default()
        ),
        _ => format!(
            "upload {upload}: held by {}, over since {until}, nobody decided on it 复核过期，未发布",
            hold.held_by
        ),
    });
}
