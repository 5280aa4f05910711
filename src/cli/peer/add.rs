//! `kaopu peer add`.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use kaopu::node::accounts::Person;
use kaopu::node::peers::{Added, Outcome, Peers};
use kaopu::store::peer_state::PeerState;
use kaopu::trust::Descriptor;
use kaopu::trust::descriptor::is_endpoint;
use kaopu::trust::invitation;

use super::super::person::As;
use super::{Shared, print_json, print_line};

/// Take an invitation, an address or a descriptor's file of another node, or a newer descriptor of a peer
#[derive(Debug, clap::Args)]
pub struct Add {
    /// An invitation (kaopu:…), an address (https://host:port), or files descriptor.jws that somebody gave you
    #[arg(required = true, value_name = "TEXT|URL|FILE")]
    what: Vec<String>,
    /// Reach the node at another address than its descriptor's
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Why, for the exchange log
    #[arg(long, value_name = "TEXT", value_parser = crate::cli::words)]
    reason: Option<String>,
    #[command(flatten)]
    person: As,
}

/// What is to be added.
pub enum Given {
    /// An invitation's text.
    Invitation(String),
    /// An address.
    Url(String),
    /// A descriptor's statement, and the file that it stood in.
    File(String, String),
}

impl Add {
    /// All of it, read before any is taken.
    pub fn read(&self) -> anyhow::Result<Vec<Given>> {
        if self.url.is_some() && self.what.len() > 1 {
            bail!("--url is the address of one node: add the others without it");
        }
        if let Some(url) = self.url.as_ref().filter(|url| !is_endpoint(url)) {
            bail!("--url {url}: https://host:port is expected");
        }
        self.what.iter().map(|what| given(what)).collect()
    }

    /// Takes it, and says what to do next.
    pub async fn run(&self, peers: &Peers, shared: &Shared, given: Vec<Given>) -> anyhow::Result<ExitCode> {
        let by = match self.person.person(peers).await? {
            Some(person) => Some(person),
            // files alone, and only while there is nobody who could be asked
            None if given.iter().all(|given| matches!(given, Given::File(..)))
                && peers.accounts().await?.is_empty() =>
            {
                None
            }
            None => Some(self.person.needed(peers).await?),
        };
        let mut all = Vec::new();
        for given in &given {
            all.push(self.take(peers, shared, given, by.as_ref()).await?);
        }
        let introduced = all.iter().all(|added| added.introduced.as_ref().is_none_or(|introduced| introduced.done));
        if shared.json {
            print_json(&all)?;
        } else {
            all.iter().for_each(tell);
        }
        Ok(if introduced { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    async fn take(&self, peers: &Peers, shared: &Shared, given: &Given, by: Option<&Person>) -> anyhow::Result<Added> {
        match (given, by) {
            (Given::File(jws, file), by) => {
                let (url, reason) = (self.url.as_deref(), self.reason.as_deref());
                let added = Box::pin(peers.add_by_file(jws, url, by, &shared.operator(), reason)).await;
                added.with_context(|| format!("{file} was not taken"))
            }
            (Given::Invitation(text), Some(by)) => Ok(Box::pin(peers.add_by_invitation(text, by)).await?),
            (Given::Url(url), Some(by)) => Ok(Box::pin(peers.add_by_url(url, by)).await?),
            (_, None) => bail!("a person does this: say --as NAME"),
        }
    }
}

fn given(what: &str) -> anyhow::Result<Given> {
    let trimmed = what.trim();
    if trimmed.starts_with(invitation::PREFIX) {
        return Ok(Given::Invitation(trimmed.to_owned()));
    }
    if trimmed.starts_with("https://") || trimmed.starts_with("http://") {
        let url = trimmed.trim_end_matches('/');
        if !is_endpoint(url) {
            bail!("{what}: https://host:port is expected");
        }
        return Ok(Given::Url(url.to_owned()));
    }
    let file = Path::new(what);
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    // what cannot be opened is refused before anything is taken
    Descriptor::open(text.trim())
        .with_context(|| format!("{}: give the descriptor.jws that the other node's `init` wrote", file.display()))?;
    Ok(Given::File(text.trim().to_owned(), what.to_owned()))
}

fn tell(added: &Added) {
    let outcome = match (added.outcome, added.state) {
        (Outcome::Added, PeerState::Active) => "is a peer now",
        (Outcome::Added, _) => "is known now, and not trusted yet",
        (Outcome::Updated, _) => "is updated",
        (Outcome::Unchanged, _) => "was known, nothing changed",
    };
    print_line(&format!("{} {} {outcome}: {}, descriptor {}", added.node, added.name, added.url, added.sequence));
    print_line(&format!("  fingerprint {}", added.fingerprint));
    match added.state {
        PeerState::Active if added.outcome == Outcome::Added => {
            print_line(
                "  Compare it with what the other side reads out on the telephone: `kaopu status` shows it there.",
            );
            print_line(
                "  Taken by its file alone, since this node has no accounts: `kaopu user add NAME` begins, and from",
            );
            print_line("  then on two persons take a peer.");
        }
        PeerState::Fetched => {
            print_line(
                "  Call the other side, at a number that you know from elsewhere. They read out what `kaopu status`",
            );
            print_line("  shows there as their fingerprint; type in what you hear, do not copy it from here:");
            print_line(&format!("    kaopu peer confirm {} --as NAME", added.node));
            print_line("  Then another person agrees:");
            print_line(&format!("    kaopu peer approve {} --as OTHER", added.node));
        }
        _ => {}
    }
    match &added.introduced {
        Some(introduced) if introduced.done => {
            print_line("  This node is known there now too; they confirm and approve it likewise.");
        }
        Some(introduced) => print_line(&format!(
            "  This node could not be introduced there: {}. Mend that and try again, or ask for another invitation.",
            introduced.error.as_deref().unwrap_or("no reason is known")
        )),
        None if added.state == PeerState::Fetched => {
            print_line(
                "  The other side must take this node's descriptor too: by `kaopu peer add` with this node's address.",
            );
        }
        None => {}
    }
}
