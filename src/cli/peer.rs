//! `kaopu peer`: other nodes, from an invitation to two persons on each side, and out again.

mod add;
mod invite;
mod show;

use std::io::IsTerminal as _;
use std::process::ExitCode;

use anyhow::bail;
use kaopu::node::peers::{Peers, TypedFingerprint};
use kaopu::statement::NodeId;
use kaopu::store::peer::PeerRow;

use super::person::As;
use super::{Shared, print_json, print_line};

/// Invite, add, confirm, approve and list peers, and stop trusting them
#[derive(Debug, clap::Subcommand)]
pub enum Peer {
    /// Make a one-time invitation for a node
    Invite(invite::Invite),
    /// Take an invitation, an address or a descriptor's file of another node, or a newer descriptor of a peer
    Add(add::Add),
    /// Say that somebody has read this fingerprint out to you
    Confirm(Confirm),
    /// Agree to a peer that another person has confirmed
    Approve(Plain),
    /// List the peers, and what is missing on which side
    List,
    /// Show all about one peer
    Show {
        /// Its id
        node: NodeId,
    },
    /// Take an active peer out for the time being
    Suspend(Because),
    /// Take a suspended peer back in
    Resume(Plain),
    /// Never trust a node again under the root keys that it has
    Revoke(Because),
}

/// Say that somebody has read this fingerprint out to you
#[derive(Debug, clap::Args)]
pub struct Confirm {
    /// Its id
    node: NodeId,
    /// The 30 digits that the other side reads out, in groups or not; asked for on the terminal where they are not given
    digits: Vec<String>,
    /// It was a mistake: take the confirmation back, which goes as long as nobody has approved it
    #[arg(long, conflicts_with = "digits")]
    undo: bool,
    /// Why, for the exchange log, where it is taken back
    #[arg(long, value_name = "TEXT", requires = "undo", value_parser = crate::cli::words)]
    reason: Option<String>,
    #[command(flatten)]
    person: As,
}

/// A peer, and who does it
#[derive(Debug, clap::Args)]
pub struct Plain {
    /// Its id
    node: NodeId,
    /// Why, for the exchange log
    #[arg(long, value_name = "TEXT", value_parser = crate::cli::words)]
    reason: Option<String>,
    #[command(flatten)]
    person: As,
}

/// A peer, who does it, and why
#[derive(Debug, clap::Args)]
pub struct Because {
    /// Its id
    node: NodeId,
    /// Why, for the exchange log
    #[arg(long, value_name = "TEXT", value_parser = crate::cli::words)]
    reason: String,
    #[command(flatten)]
    person: As,
}

impl Peer {
    /// Runs the command.
    pub async fn run(self, shared: &Shared) -> anyhow::Result<ExitCode> {
        match self {
            Self::List => return show::list(shared).await,
            Self::Show { node } => return show::show(shared, &node).await,
            _ => {}
        }
        // files are read before the node is opened, and all before any is taken
        let read = match &self {
            Self::Add(add) => add.read()?,
            _ => Vec::new(),
        };
        let done = shared.on_node(async |node| {
            let peers = Peers::of(node);
            match &self {
                Self::Invite(invite) => invite.run(&peers, shared).await,
                Self::Add(add) => add.run(&peers, shared, read).await,
                Self::Confirm(confirm) => confirm.run(&peers, shared).await,
                step => step.step(&peers, shared).await,
            }
        });
        done.await
    }

    async fn step(&self, peers: &Peers, shared: &Shared) -> anyhow::Result<ExitCode> {
        let row = match self {
            Self::Approve(plain) => peers.approve(&plain.node, &plain.person.needed(peers).await?).await?,
            Self::Resume(plain) => {
                let by = plain.person.needed(peers).await?;
                peers.resume(&plain.node, &by, plain.reason.as_deref()).await?
            }
            Self::Suspend(because) => {
                let by = because.person.needed(peers).await?;
                peers.suspend(&because.node, &by, &because.reason).await?
            }
            Self::Revoke(because) => {
                let by = because.person.needed(peers).await?;
                peers.revoke(&because.node, &by, &because.reason).await?
            }
            _ => bail!("no step"),
        };
        tell(peers, shared, &row).await
    }
}

impl Confirm {
    async fn run(&self, peers: &Peers, shared: &Shared) -> anyhow::Result<ExitCode> {
        let by = self.person.needed(peers).await?;
        if self.undo {
            let row = peers.take_back(&self.node, &by, self.reason.as_deref()).await?;
            return tell(peers, shared, &row).await;
        }
        let digits = if self.digits.is_empty() { self.ask()? } else { self.digits.join(" ") };
        let typed: TypedFingerprint = digits.parse()?;
        let row = peers.confirm(&self.node, &typed, &by).await?;
        tell(peers, shared, &row).await
    }

    fn ask(&self) -> anyhow::Result<String> {
        if !std::io::stdin().is_terminal() {
            bail!("give the 30 digits that the other side reads out behind the node's id");
        }
        print_line(&format!("The 30 digits that {} reads out (there: `kaopu status`):", self.node));
        let mut line = String::new();
        std::io::stdin().read_line(&mut line)?;
        Ok(line)
    }
}

/// Where the peer stands now, and what is next.
async fn tell(peers: &Peers, shared: &Shared, row: &PeerRow) -> anyhow::Result<ExitCode> {
    let view = peers.show(&row.node).await?;
    if shared.json {
        print_json(&view)?;
    } else {
        print_line(&format!("{} is {} here", view.node, view.state));
        print_line(&format!("  {}", view.next));
    }
    Ok(ExitCode::SUCCESS)
}
