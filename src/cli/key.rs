//! `kaopu key`: the node's own keys, certificates and descriptor: shown, and changed a step at a time.

mod begin;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;

use anyhow::{Context as _, bail};
use kaopu::log::Origin;
use kaopu::log::origin::LogName;
use kaopu::node::accounts::By;
use kaopu::node::authority::Brought;
use kaopu::node::keys::OwnKeys;
use kaopu::node::peers::Peers;
use kaopu::node::publish::Keeper;
use kaopu::node::rotate::{Taken, like_file};
use kaopu::node::{Node, rng};
use kaopu::statement::SigningKey;
use kaopu::trust::descriptor::ValidBelow;
use kaopu::trust::keys::first::file_of;
use kaopu::trust::keys::root::RootPlace;
use kaopu::trust::keys::{AtRest, Passphrases, read_private};
use kaopu::trust::rotation::Use;
use kaopu::trust::token::TokenUri;

use super::person::As;
use super::{Shared, print_json, print_line};

/// Show the node's own keys and certificates, and change them
#[derive(Debug, clap::Subcommand)]
pub enum Key {
    /// Show each key, authority and certificate, and which peer has picked up which descriptor
    List,
    /// Take the next step of replacing one: announced, then active beside the old one, then alone
    Rotate(Box<Rotate>),
    /// Sign the descriptor once more, for another year
    Renew(Renew),
    /// Declare that somebody else has a key: what it signed from some index on is void, and another is active at once
    Compromise(Compromise),
}

/// How every change of keys is told.
#[derive(Debug, clap::Args)]
struct Why {
    /// Why, for the exchange log
    #[arg(long, value_name = "TEXT", value_parser = crate::cli::words)]
    reason: Option<String>,
    /// Take the step although active peers would not follow yet
    #[arg(long, requires = "reason")]
    force: bool,
    #[command(flatten)]
    person: As,
}

/// Take the next step of replacing a key, an authority or a certificate
#[derive(Debug, clap::Args)]
pub struct Rotate {
    /// sign, log-records, log-exchange, witness, seal, certificate, ca or root
    #[arg(value_name = "USE", value_parser = Use::from_str)]
    of: Use,
    /// Begin a rotation. Without it a call goes on with one that is under way; on a terminal it asks
    #[arg(long)]
    begin: bool,
    /// The root key's file, or its pkcs11: URI; for `root` that of the next root
    #[arg(long, value_name = "FILE")]
    root: Option<RootPlace>,
    /// For root: the file in which the new next root is made [default: beside the one that is given], or its pkcs11: URI
    #[arg(long, value_name = "FILE")]
    next_root: Option<RootPlace>,
    /// For sign, log-records, log-exchange and witness: announce this key of a token (pkcs11:…) instead of making one
    #[arg(long, value_name = "URI")]
    token: Option<TokenUri>,
    /// For ca: the certificate of an authority of your own, to announce it
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// For ca and certificate: a certificate that your own authority made, with those between
    #[arg(long, value_name = "FILE", requires = "certificate_key")]
    certificate: Option<PathBuf>,
    /// The key of that certificate
    #[arg(long, value_name = "FILE", requires = "certificate")]
    certificate_key: Option<PathBuf>,
    #[command(flatten)]
    why: Why,
}

/// Sign the descriptor once more, for another year
#[derive(Debug, clap::Args)]
pub struct Renew {
    /// The root key's file
    #[arg(long, value_name = "FILE")]
    root: RootPlace,
    #[command(flatten)]
    why: Why,
}

/// Declare that somebody else has a key
#[derive(Debug, clap::Args)]
pub struct Compromise {
    /// The key's thumbprint, as `kaopu key list` shows it
    kid: String,
    /// For a signing key: from which index on what it signed is void, in each log. Without it all is void
    #[arg(long, value_name = "records=N,exchange=M")]
    valid_below: Option<String>,
    /// The root key's file
    #[arg(long, value_name = "FILE")]
    root: RootPlace,
    #[command(flatten)]
    why: Why,
}

impl Key {
    /// Runs the command.
    pub async fn run(self, shared: &Shared) -> anyhow::Result<ExitCode> {
        let done = shared.on_node(async |node| match &self {
            Self::List => list(node, shared).await,
            _ => tell(shared, self.change(node, shared).await),
        });
        done.await?;
        Ok(ExitCode::SUCCESS)
    }

    async fn change(&self, node: &Node, shared: &Shared) -> anyhow::Result<Taken> {
        let why = match self {
            Self::Rotate(rotate) => &rotate.why,
            Self::Renew(renew) => &renew.why,
            Self::Compromise(compromise) => &compromise.why,
            Self::List => bail!("no change"),
        };
        let peers = Peers::of(node);
        let person = why.person.person(&peers).await?;
        let by = peers.by(person.as_ref(), &shared.operator()).await?;
        match self {
            Self::Rotate(rotate) => Box::pin(rotate.run(node, &by)).await,
            Self::Renew(renew) => renew.run(node, &by).await,
            Self::Compromise(compromise) => Box::pin(compromise.run(node, &by)).await,
            Self::List => bail!("no change"),
        }
    }
}

impl Why {
    fn keeper<'a>(&'a self, node: &'a Node, by: &'a By) -> Keeper<'a> {
        Keeper { node, by, reason: self.reason.as_deref(), force: self.force, begin: false }
    }
}

impl Rotate {
    async fn run(&self, node: &Node, by: &By) -> anyhow::Result<Taken> {
        let mut keeper = self.why.keeper(node, by);
        keeper.begin = self.begins(&keeper).await?;
        if self.of == Use::Certificate {
            return Ok(keeper.rotate_certificate(self.brought(node)?).await?);
        }
        let Some(place) = &self.root else {
            bail!(
                "--root FILE: a new descriptor is needed, and only the {} signs it; bring it from where it is kept",
                if self.of == Use::Root { "next root key" } else { "root key" }
            );
        };
        let root_key = root(node, place)?;
        Ok(match self.of {
            Use::Root => {
                let new = self.new_root(node, place, &root_key)?;
                Box::pin(keeper.rotate_root(&root_key, new)).await?
            }
            Use::Ca => {
                let ca = self.ca.as_deref().map(read).transpose()?;
                Box::pin(keeper.rotate_ca(&root_key, ca, self.brought(node)?)).await?
            }
            of => {
                let new = self.token.as_ref().map(|uri| uri.open().map(|key| key.public().clone())).transpose()?;
                Box::pin(keeper.rotate_key(of, &root_key, new)).await?
            }
        })
    }

    /// The certificate that was brought, if one was.
    fn brought(&self, node: &Node) -> anyhow::Result<Option<Brought>> {
        let (Some(chain), Some(key)) = (&self.certificate, &self.certificate_key) else { return Ok(None) };
        Ok(Some(Brought { chain: read(chain)?, key: read_private(key, &node.passphrases)? }))
    }

    /// Another root to commit to, and where it is written.
    fn new_root(
        &self,
        node: &Node,
        place: &RootPlace,
        given: &SigningKey,
    ) -> anyhow::Result<(SigningKey, Option<(PathBuf, AtRest)>)> {
        let new = SigningKey::generate(given.public().suite(), &mut rng());
        let roots = Passphrases::of_root(&node.passphrases);
        match (&self.next_root, place) {
            (Some(RootPlace::Token(uri)), _) => Ok((uri.open()?, None)),
            (named, RootPlace::File(beside)) => {
                let folder = beside.parent().unwrap_or(Path::new(""));
                let path = match named {
                    Some(RootPlace::File(path)) => path.clone(),
                    _ => file_of(folder, "root-next", &new),
                };
                Ok((new, Some((path, like_file(beside, &roots)?))))
            }
            (Some(RootPlace::File(path)), RootPlace::Token(_)) => {
                let at_rest = roots.for_new_keys("the new root key")?.map_or(AtRest::Clear, AtRest::Encrypted);
                Ok((new, Some((path.clone(), at_rest))))
            }
            (None, RootPlace::Token(_)) => {
                bail!("--next-root: say where the new next root is made: a file, or a token")
            }
        }
    }
}

impl Renew {
    async fn run(&self, node: &Node, by: &By) -> anyhow::Result<Taken> {
        Ok(self.why.keeper(node, by).renew(&root(node, &self.root)?).await?)
    }
}

impl Compromise {
    async fn run(&self, node: &Node, by: &By) -> anyhow::Result<Taken> {
        let below = self.valid_below.as_deref().map(|text| valid_below(node, text)).transpose()?;
        let keeper = self.why.keeper(node, by);
        Ok(Box::pin(keeper.compromised(&self.kid, below, &root(node, &self.root)?)).await?)
    }
}

/// `records=N,exchange=M`, for the newest generation of each log.
fn valid_below(node: &Node, text: &str) -> anyhow::Result<ValidBelow> {
    let mut logs = std::collections::BTreeMap::new();
    for part in text.split(',') {
        let wrong = || format!("--valid-below {text}: records=N,exchange=M is expected, an index in each log");
        let (name, index) = part.split_once('=').with_context(wrong)?;
        let name = [LogName::Records, LogName::Exchange].into_iter().find(|log| log.as_str() == name);
        let (name, index) = (name.with_context(wrong)?, index.parse().ok().with_context(wrong)?);
        let open = node.descriptor.logs.iter().filter(|log| log.origin.log == name);
        let origin: Option<&Origin> = open.map(|log| &log.origin).max_by_key(|origin| origin.generation);
        logs.insert(origin.with_context(wrong)?.clone(), index);
    }
    Ok(ValidBelow::Each(logs))
}

/// The root key, from where it is kept.
fn root(node: &Node, place: &RootPlace) -> anyhow::Result<SigningKey> {
    place.open(&Passphrases::of_root(&node.passphrases)).context("the root key could not be opened")
}

fn read(path: impl AsRef<Path>) -> anyhow::Result<String> {
    let path = path.as_ref();
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

fn tell(shared: &Shared, taken: anyhow::Result<Taken>) -> anyhow::Result<()> {
    let taken = taken?;
    if shared.json {
        return print_json(&taken);
    }
    let Taken { of, action, subject, descriptor, file, next } = taken;
    let descriptor = descriptor.map(|sequence| format!(", descriptor {sequence}")).unwrap_or_default();
    print_line(&format!("{of}: {action} {subject}{descriptor}"));
    if let Some(file) = file {
        print_line(&format!("  written to {}", file.display()));
    }
    print_line(&format!("  next: {next}"));
    Ok(())
}

async fn list(node: &Node, shared: &Shared) -> anyhow::Result<()> {
    let own = OwnKeys::of(node).await?;
    if shared.json {
        return print_json(&own);
    }
    let until = |time: &Option<String>| time.clone().unwrap_or_else(|| "?".to_owned());
    print_line(&format!("descriptor {}, valid until {}", own.descriptor, until(&own.valid_until)));
    print_line(&format!("  root {}, next root {}", own.root, own.next_root));
    for key in &own.keys {
        let state = word(&key.state);
        print_line(&format!("{:<13} {} {state}, since descriptor {}, {}", key.of, key.kid, key.since, key.private));
    }
    for ca in &own.authorities {
        let (state, until) = (word(&ca.state), until(&ca.valid_until));
        let since = ca.since;
        print_line(&format!("{:<13} {} {state}, since descriptor {since}, valid until {until}", "ca", ca.certificate));
    }
    print_line(&format!("{:<13} valid until {}", "certificate", until(&own.certificate_valid_until)));
    for peer in &own.peers {
        let holds = peer.holds.map_or("has not asked yet".to_owned(), |holds| format!("holds descriptor {holds}"));
        print_line(&format!("{:<13} {} {holds}", "peer", peer.node));
    }
    Ok(())
}

fn word(state: &kaopu::trust::descriptor::KeyState) -> String {
    serde_json::to_value(state).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}
