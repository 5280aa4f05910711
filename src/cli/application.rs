//! `kaopu application`: repairs asked for at one city's window and decided by another 异地受理.

mod attach;
mod decide;
mod file;
mod show;

use std::process::ExitCode;

use anyhow::Context as _;
use kaopu::about::Spoken;
use kaopu::node::Node;
use kaopu::node::applications::Applications;
use kaopu::node::peers::Peers;
use kaopu::record::event::Stage;
use kaopu::statement::Digest;

use super::person::As;
use super::which::{self, day};
use super::{Shared, print_json};

/// Ask another city for a repair on behalf of an enterprise here, and decide what others ask for 异地修复受理
#[derive(Debug, clap::Subcommand)]
pub enum Application {
    /// File an application about another city's record, at this city's window 受理申请
    File(Box<file::File>),
    /// Accept an application about a record of this city 受理
    Accept(Plain),
    /// Ask the window for more 要求补正
    More(More),
    /// Supply what the city that decides has asked for 补正
    Supply(file::Supply),
    /// Take the one extension of the time to decide 延期
    Extend(WithReason),
    /// Send an application back, or refuse the repair 不予受理、不予修复
    Reject(WithReason),
    /// Take back an application that was filed here: the applicant has changed their mind 撤回申请
    Withdraw(WithReason),
    /// Grant the repair: it is said together with the end of the application 同意修复
    Decide(Box<decide::Decide>),
    /// List applications that are under way, with who acts next and by which day
    List(show::List),
    /// Show an application: what was said of it, its deadlines and files
    Show(show::Show),
    /// Open a file beside an application to this city, for a clerk 取附件
    Attachment(attach::Open),
}

/// An application of which something is said.
#[derive(Debug, clap::Args)]
pub struct Which {
    /// The digest of the application, as `kaopu application list` shows it
    #[arg(value_name = "DIGEST", value_parser = crate::cli::digest::digest)]
    digest: Digest,
    /// Say whether it may be said, and write nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    person: As,
}

/// What needs no words.
#[derive(Debug, clap::Args)]
pub struct Plain {
    #[command(flatten)]
    which: Which,
    /// A remark; partners can read it
    #[arg(long, value_name = "TEXT", value_parser = crate::cli::words)]
    reason: Option<String>,
}

/// What needs words.
#[derive(Debug, clap::Args)]
pub struct WithReason {
    #[command(flatten)]
    which: Which,
    /// Why, in words; partners can read it
    #[arg(long, value_name = "TEXT", value_parser = crate::cli::words)]
    reason: String,
}

/// What is asked for.
#[derive(Debug, clap::Args)]
pub struct More {
    #[command(flatten)]
    which: Which,
    /// What is asked for, in words; partners can read it
    #[arg(long, value_name = "TEXT", value_parser = crate::cli::words)]
    reason: String,
    /// The last day for it; else the rules say when
    #[arg(long, value_name = "DATE", value_parser = day)]
    until: Option<String>,
}

impl Application {
    /// Beside a running server or without one.
    pub async fn run(self, shared: &Shared) -> anyhow::Result<ExitCode> {
        shared.on_node(async |node| self.act(shared, node).await).await?;
        Ok(ExitCode::SUCCESS)
    }

    async fn act(self, shared: &Shared, node: &Node) -> anyhow::Result<()> {
        match self {
            Self::File(file) => Box::pin(file.run(shared, node)).await,
            Self::Supply(supply) => Box::pin(supply.run(shared, node)).await,
            Self::Decide(decide) => Box::pin(decide.run(shared, node)).await,
            Self::Accept(Plain { which, reason }) => which.say(shared, node, Stage::Accepted, reason, None).await,
            Self::More(More { which, reason, until }) => {
                which.say(shared, node, Stage::More, Some(reason), until).await
            }
            Self::Extend(WithReason { which, reason }) => {
                which.say(shared, node, Stage::Extended, Some(reason), None).await
            }
            Self::Reject(WithReason { which, reason }) => {
                which.say(shared, node, Stage::Rejected, Some(reason), None).await
            }
            Self::Withdraw(WithReason { which, reason }) => {
                which.say(shared, node, Stage::Withdrawn, Some(reason), None).await
            }
            Self::List(list) => list.run(shared, node).await,
            Self::Show(show) => show.run(shared, node).await,
            Self::Attachment(open) => open.run(shared, node).await,
        }
    }
}

impl Which {
    async fn say(
        &self,
        shared: &Shared,
        node: &Node,
        stage: Stage,
        reason: Option<String>,
        until: Option<String>,
    ) -> anyhow::Result<()> {
        let by = operator(shared, node, &self.person).await?;
        let applications = Applications::by(node, &by);
        let said = Box::pin(applications.step(&self.digest, stage, reason, until, self.dry_run)).await?;
        tell(shared, node, &said, &by)
    }
}

/// Who does this: a person, where this node has accounts.
async fn operator(shared: &Shared, node: &Node, person: &As) -> anyhow::Result<String> {
    let person = person.if_there_are_accounts(&Peers::of(node)).await?;
    Ok(person.map_or_else(|| shared.operator(), |person| person.name().to_owned()))
}

/// Tells what was said.
fn tell(shared: &Shared, node: &Node, said: &Spoken, by: &str) -> anyhow::Result<()> {
    tracing::info!(kind = said.kind, digest = ?said.digest, about = %said.about, operator = by, "said");
    if shared.json {
        return print_json(said);
    }
    let kind = node.kinds.newest(&said.kind).with_context(|| format!("kind {} is not known here", said.kind))?;
    which::tell(said, &kind.title);
    Ok(())
}
