//! `kaopu user`: the persons who may work at this node.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use kaopu::node::peers::Peers;
use serde_json::json;

use super::person::{As, secret};
use super::{Shared, print_json, print_line};

/// Add, list and disable the accounts of persons
#[derive(Debug, clap::Subcommand)]
pub enum User {
    /// Add an account; the first one adds itself, every other is added by a person
    Add(Add),
    /// List the accounts
    List,
    /// Disable an account for ever; what it did stays
    Disable(Disable),
}

/// Add an account; the first one adds itself, every other is added by a person
#[derive(Debug, clap::Args)]
pub struct Add {
    /// Its name: 1 to 32 of a-z, 0-9, '.', '_' and '-'
    name: String,
    /// A file of mode 0600 with the new account's secret, instead of KAOPU_NEW_SECRET or the terminal
    #[arg(long, value_name = "FILE")]
    new_secret_file: Option<PathBuf>,
    #[command(flatten)]
    person: As,
}

/// Disable an account for ever; what it did stays
#[derive(Debug, clap::Args)]
pub struct Disable {
    /// Its name
    name: String,
    #[command(flatten)]
    person: As,
}

impl User {
    /// Runs the command.
    pub async fn run(self, shared: &Shared) -> anyhow::Result<ExitCode> {
        let done = shared.on_node(async |node| {
            let peers = Peers::of(node);
            match &self {
                Self::Add(add) => add.run(&peers, shared).await,
                Self::List => list(&peers, shared).await,
                Self::Disable(disable) => disable.run(&peers, shared).await,
            }
        });
        done.await?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Add {
    async fn run(&self, peers: &Peers, shared: &Shared) -> anyhow::Result<()> {
        let by = self.person.person(peers).await?;
        let file = self.new_secret_file.as_deref();
        let new = secret(&format!("New secret of {}: ", self.name), file, "KAOPU_NEW_SECRET")?;
        let typed = file.is_none() && std::env::var_os("KAOPU_NEW_SECRET").is_none() && std::io::stdin().is_terminal();
        if typed && *secret("The same again: ", None, "KAOPU_NEW_SECRET")? != *new {
            bail!("the two are not the same; nothing was changed");
        }
        peers.add_account(&self.name, &new, by.as_ref()).await?;
        if shared.json {
            return print_json(&json!({"name": self.name, "state": "active"}));
        }
        print_line(&format!("{} may work at this node now, with --as {}", self.name, self.name));
        if peers.accounts().await?.len() == 1 {
            print_line("From now on a peer is taken by two persons: one compares its fingerprint, another approves.");
            print_line(&format!("Add the second one:  kaopu user add NAME --as {}", self.name));
        }
        Ok(())
    }
}

impl Disable {
    async fn run(&self, peers: &Peers, shared: &Shared) -> anyhow::Result<()> {
        let by = self.person.needed(peers).await?;
        peers.disable_account(&self.name, &by).await?;
        if shared.json {
            return print_json(&json!({"name": self.name, "state": "disabled"}));
        }
        print_line(&format!("{} may not work at this node any more", self.name));
        Ok(())
    }
}

async fn list(peers: &Peers, shared: &Shared) -> anyhow::Result<()> {
    let accounts = peers.accounts().await?;
    if shared.json {
        return print_json(&accounts);
    }
    if accounts.is_empty() {
        print_line("no accounts yet; `kaopu user add NAME` adds the first, and a peer is then taken by two persons");
    }
    for account in accounts {
        let since = account.added.map(|time| time.chars().take(10).collect::<String>()).unwrap_or_default();
        print_line(&format!("{}  {}  since {since}", account.name, account.state));
    }
    Ok(())
}
