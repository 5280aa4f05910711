//! `kaopu peer`: other nodes, by their descriptors.
//!
//! A descriptor is added by hand for now: whoever runs the command has compared its fingerprint with the one that the
//! other side reads out.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use kaopu::clock::Clock;
use kaopu::log::origin::LogName;
use kaopu::node::status::Status;
use kaopu::node::{Node, rng};
use kaopu::statement::{Audience, NodeId, Reader, Salt, Statement, Typ, Verified};
use kaopu::store::Db;
use kaopu::store::peer::PeerRow;
use kaopu::trust::descriptor::{Descriptor, is_endpoint, spoken};
use kaopu::trust::state::PeerState;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{Shared, print_json, print_line};

/// Add and list peers
#[derive(Debug, clap::Subcommand)]
pub enum Peer {
    /// Take other nodes as peers, or newer descriptors of peers
    Add(Add),
    /// List the peers
    List,
}

/// Take other nodes as peers, or newer descriptors of peers
#[derive(Debug, clap::Args)]
pub struct Add {
    /// Their descriptor.jws
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Reach the node at another address than its descriptor's
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Why, for the exchange log
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

impl Peer {
    /// Runs the command.
    pub async fn run(self, shared: &Shared) -> anyhow::Result<ExitCode> {
        match self {
            Self::Add(add) => add.run(shared).await,
            Self::List => list(shared).await,
        }
    }
}

/// What became of one file.
#[derive(Debug, Serialize)]
struct Taken {
    node: NodeId,
    name: String,
    url: String,
    sequence: u64,
    fingerprint: String,
    outcome: Outcome,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Added,
    Updated,
    Unchanged,
}

impl Add {
    async fn run(self, shared: &Shared) -> anyhow::Result<ExitCode> {
        if self.url.is_some() && self.files.len() > 1 {
            bail!("--url is the address of one node: add the others without it");
        }
        if let Some(url) = self.url.as_ref().filter(|url| !is_endpoint(url)) {
            bail!("--url {url}: https://host:port is expected");
        }
        // all are read before any is taken
        let read: Vec<_> = self.files.iter().map(|file| read(file)).collect::<Result<_, _>>()?;
        let node = shared.open().await?;
        let mut taken = Vec::new();
        for (file, (verified, descriptor)) in self.files.iter().zip(read) {
            let add = Box::pin(self.take(&node, &shared.operator(), verified, descriptor)).await;
            taken.push(add.with_context(|| format!("{} was not taken", file.display()))?);
        }
        node.close().await;
        if shared.json {
            print_json(&taken)?;
        } else {
            taken.iter().for_each(tell);
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Logs the change, then makes it: after a crash between the two the same command does both again.
    async fn take(&self, node: &Node, by: &str, jws: Verified, descriptor: Descriptor) -> anyhow::Result<Taken> {
        if descriptor.node == node.id {
            bail!("it is this node's own descriptor; give the other node's");
        }
        let now = node.clock.now();
        if descriptor.valid_until < now {
            bail!("it has ended; ask {} for a newer one", descriptor.node);
        }
        let known = node.db.peers().await?.into_iter().find(|row| row.node == descriptor.node);
        let outcome = judge(known.as_ref(), &jws, &descriptor, self.url.as_deref())?;
        if outcome != Outcome::Unchanged {
            node.exchange.say(self.change(node, by, &jws, outcome)).await?;
            let now_ms = node.clock.now_ms();
            let new = PeerRow::new(descriptor.node.clone(), PeerState::Active, jws.jws(), descriptor.sequence, now_ms);
            let row = PeerRow { url: self.url.clone(), ..new };
            if !node.db.put_peer(&row).await? {
                bail!("somebody else has just taken another descriptor of {}; look at `kaopu peer list`", row.node);
            }
            for log in descriptor.logs.iter().filter(|log| log.origin.log == LogName::Records) {
                node.db.create_log(&log.origin, false).await?;
            }
        }
        let url = self.url.clone().or_else(|| known.and_then(|row| row.url)).or(descriptor.endpoints.first().cloned());
        Ok(Taken {
            url: url.unwrap_or_default(),
            sequence: descriptor.sequence,
            fingerprint: spoken(&descriptor.fingerprint()),
            name: descriptor.name,
            node: descriptor.node,
            outcome,
        })
    }

    /// The statement that the exchange log keeps of it.
    fn change(&self, node: &Node, by: &str, jws: &Verified, outcome: Outcome) -> Statement {
        let mut body = Map::new();
        body.insert("of".to_owned(), json!("peer"));
        body.insert("subject".to_owned(), json!(jws.issuer()));
        body.insert("action".to_owned(), json!(if outcome == Outcome::Added { "add" } else { "update" }));
        body.insert("by".to_owned(), json!(by));
        if let Some(reason) = &self.reason {
            body.insert("reason".to_owned(), Value::String(reason.clone()));
        }
        body.insert("digest".to_owned(), json!(jws.digest()));
        Statement {
            typ: Typ::first("change"),
            iss: node.id.clone(),
            iat: node.clock.now(),
            aud: Audience::Named(vec![Reader::Node(node.id.clone())]),
            salt: Salt::random(&mut rng()),
            sub: None,
            prev: None,
            refs: Vec::new(),
            body,
        }
    }
}

fn read(file: &Path) -> anyhow::Result<(Verified, Descriptor)> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    Descriptor::open(text.trim())
        .with_context(|| format!("{}: give the descriptor.jws that the other node's `init` wrote", file.display()))
}

/// What taking a descriptor means for what is known of its node.
fn judge(
    known: Option<&PeerRow>,
    jws: &Verified,
    descriptor: &Descriptor,
    url: Option<&str>,
) -> anyhow::Result<Outcome> {
    let Some(known) = known else { return Ok(Outcome::Added) };
    if known.descriptor == jws.jws() {
        let same_url = url.is_none() || url == known.url.as_deref();
        return Ok(if same_url { Outcome::Unchanged } else { Outcome::Updated });
    }
    let (_, before) = Descriptor::open(&known.descriptor)?;
    before.successor(jws.jws()).with_context(|| {
        format!(
            "{} is known with another descriptor (sequence {}), which this one does not follow",
            descriptor.node, before.sequence
        )
    })?;
    Ok(Outcome::Updated)
}

fn tell(taken: &Taken) {
    let outcome = match taken.outcome {
        Outcome::Added => "is a peer now",
        Outcome::Updated => "is updated",
        Outcome::Unchanged => "was known, nothing changed",
    };
    print_line(&format!("{} {} {outcome}: {}, descriptor {}", taken.node, taken.name, taken.url, taken.sequence));
    print_line(&format!("  fingerprint {}", taken.fingerprint));
    if taken.outcome == Outcome::Added {
        print_line("  Compare it with what the other side reads out on the telephone: `kaopu status` shows it there.");
    }
}

async fn list(shared: &Shared) -> anyhow::Result<ExitCode> {
    let config = shared.config()?;
    let db = Db::open(config.store.expose()).await?;
    let status = Status::of(&db, &config, &Clock::System).await?;
    db.close().await;
    if shared.json {
        print_json(&status.peers)?;
    } else if status.peers.is_empty() {
        print_line("no peers yet; `kaopu peer add FILE` takes another node's descriptor.jws");
    } else {
        for peer in &status.peers {
            print_line(&format!("{} {}  {}  {}", peer.node, peer.name, peer.url, peer.state));
            print_line(&format!("  descriptor {}, fingerprint {}", peer.descriptor, peer.fingerprint));
        }
    }
    Ok(ExitCode::SUCCESS)
}
