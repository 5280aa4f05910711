//! `kaopu federation`: member lists, which propose peers to all nodes of a federation.
//!
//! One administrator draws a list up, several sign it, and every node takes it. The file goes from hand to hand, or as a copy
//! to each signer: copies of one list are put together again.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use kaopu::node::federation::{self, Draft, FederationError, Standing};
use kaopu::node::peers::{Listed, Peers};
use kaopu::statement::NodeId;
use kaopu::trust::descriptor::{Descriptor, spoken};
use kaopu::trust::member_list::{ListError, Member, SignedList, Signers};
use kaopu::trust::state::PeerState;
use serde_json::{Value, json};

use super::person::As;
use super::{Shared, print_json, print_line};

/// Draw up, sign, take and show the federation's member lists
#[derive(Debug, clap::Subcommand)]
pub enum Federation {
    /// Draw up a list of this node and its active peers
    Draft {
        /// Where it goes
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Its sequence; without it the one after the newest that is known here
        #[arg(long, value_name = "N")]
        sequence: Option<u64>,
        /// For how many days it may be taken
        #[arg(long, value_name = "DAYS", default_value_t = 90)]
        valid: u32,
        /// A node that is no peer here, by its descriptor.jws
        #[arg(long, value_name = "FILE")]
        with: Vec<PathBuf>,
        /// A peer that is not to be on it
        #[arg(long, value_name = "NODE")]
        without: Vec<NodeId>,
    },
    /// Stand by a list, as one of the administrators; its members are shown first
    Sign {
        /// The list
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Take a list that enough administrators stand by, and fetch the members that are not known here, as proposals
    Take {
        /// The list, and copies of it with further signatures
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        #[command(flatten)]
        person: As,
    },
    /// Show a list, and where its members stand here; without a file the newest that is known here
    Show {
        /// The list, and copies of it with further signatures
        #[arg(value_name = "FILE")]
        files: Vec<PathBuf>,
    },
}

impl Federation {
    /// Runs the command.
    pub async fn run(self, shared: &Shared) -> Result<ExitCode> {
        match self {
            Self::Draft { file, sequence, valid, with, without } => {
                let with = with.iter().map(|file| descriptor(file)).collect::<Result<_>>()?;
                draft(shared, &file, &Draft { sequence, days: valid, with, without }).await
            }
            Self::Sign { file } => sign(shared, &file).await,
            Self::Take { files, person } => take(shared, &files, &person).await,
            Self::Show { files } => show(shared, &files).await,
        }
    }
}

async fn draft(shared: &Shared, file: &Path, wanted: &Draft) -> Result<ExitCode> {
    if file.exists() {
        bail!("{} is there; name another file", file.display());
    }
    let list = shared.on_node(async |node| Ok(federation::draft(node, wanted).await?)).await?;
    write(file, &list)?;
    if shared.json {
        print_json(list.list())?;
        return Ok(ExitCode::SUCCESS);
    }
    tell_list(&list);
    print_line(&format!(
        "next: kaopu federation sign {}, at so many administrators' nodes as it takes",
        file.display()
    ));
    Ok(ExitCode::SUCCESS)
}

async fn sign(shared: &Shared, file: &Path) -> Result<ExitCode> {
    let mut list = read(&[file.to_owned()])?;
    let signed = shared.on_node(async |node| Ok(federation::sign(node, &mut list).await?)).await?;
    write(file, &list)?;
    if shared.json {
        print_json(&json!({ "list": list.digest(), "statement": signed.digest(), "by": signed.issuer() }))?;
        return Ok(ExitCode::SUCCESS);
    }
    tell_list(&list);
    print_line(&format!("{} stands by it now: {}", signed.issuer(), signed.digest()));
    print_line(&format!(
        "next: give {} to the next administrator, or to all for `kaopu federation take`",
        file.display()
    ));
    Ok(ExitCode::SUCCESS)
}

async fn take(shared: &Shared, files: &[PathBuf], person: &As) -> Result<ExitCode> {
    let list = read(files)?;
    let done = shared.on_node(async |node| {
        // who it is, before anything is done
        let person = person.person(&Peers::of(node)).await?;
        let by = person.as_ref().map_or_else(|| shared.operator(), |person| person.name().to_owned());
        let taken = federation::take(node, &by, &list).await?;
        let listed = match &person {
            None => Vec::new(),
            Some(person) => Box::pin(federation::propose(node, &list, &taken, person)).await?,
        };
        Ok((person, taken, listed, federation::standing(&node.db, &node.id, list.list()).await?))
    });
    let (person, taken, listed, standing) = done.await?;
    let all_fetched = listed.iter().all(|listed| listed.error.is_none());
    if shared.json {
        let mut shown = shown(&list, Some(&taken.signers), &standing);
        shown["fetched"] = json!(listed);
        print_json(&shown)?;
    } else {
        let before = if taken.again { " (it was before)" } else { "" };
        print_line(&format!("list {} of {} is taken{before}", list.list().sequence, list.list().federation));
        tell_signers(&taken.signers);
        listed.iter().for_each(tell_listed);
        tell_standing(&list, &standing);
        if person.is_none() && standing.iter().any(|(_, standing)| *standing == Standing::Unknown) {
            print_line("next: the same command with --as NAME fetches those that are not known here");
        }
    }
    Ok(if all_fetched { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn tell_listed(listed: &Listed) {
    let node = &listed.node;
    if let Some(error) = &listed.error {
        return print_line(&format!("  {node} could not be taken: {error}"));
    }
    let fetched = listed.fetched.as_deref().unwrap_or_default();
    print_line(&format!("  {node} is fetched, and not trusted yet"));
    print_line(&format!("    fingerprint in the list  {}", listed.listed));
    print_line(&format!("    fingerprint fetched      {fetched}"));
    if fetched != listed.listed {
        print_line("    They differ: its root key or its authorities were changed since the list was drawn up.");
    }
    print_line(&match listed.state {
        Some(PeerState::Confirmed) => {
            format!("    confirmed by the list; another person agrees: kaopu peer approve {node} --as OTHER")
        }
        _ => format!("    have it read out on the telephone, then: kaopu peer confirm {node} --as NAME"),
    });
}

async fn show(shared: &Shared, files: &[PathBuf]) -> Result<ExitCode> {
    let looked = shared.on_node(async |node| {
        let name = federation::of(&node.config)?.name.clone();
        let list = match files {
            [] => match federation::newest(&node.db, &name).await? {
                Some(row) => SignedList::parse(&row.file)?,
                None => bail!("no list of {name} is known here; `kaopu federation take FILE` takes one"),
            },
            files => read(files)?,
        };
        let verified = federation::verify(node, &list).await;
        let standing = federation::standing(&node.db, &node.id, list.list()).await?;
        Ok((list, verified, standing))
    });
    let (list, verified, standing) = looked.await?;
    if shared.json {
        print_json(&shown(&list, verified.as_ref().ok(), &standing))?;
        return Ok(ExitCode::SUCCESS);
    }
    tell_list(&list);
    match &verified {
        Ok(signers) => tell_signers(signers),
        Err(why) => print_line(&format!("it is not to be taken: {why}")),
    }
    if let Err(FederationError::List(ListError::Quorum { signers, .. })) = &verified {
        tell_signers(signers);
    }
    tell_standing(&list, &standing);
    Ok(ExitCode::SUCCESS)
}

fn shown(list: &SignedList, signers: Option<&Signers>, standing: &[(NodeId, Standing)]) -> Value {
    let standing: Vec<Value> = standing
        .iter()
        .map(|(node, standing)| {
            let mut shown = json!(standing);
            shown["node"] = json!(node);
            shown
        })
        .collect();
    json!({ "list": list.list(), "digest": list.digest(), "signers": signers, "standing": standing })
}

fn tell_list(list: &SignedList) {
    let until = jiff::Timestamp::from_second(list.list().valid_until).map(|time| time.to_string()).unwrap_or_default();
    let count = list.list().members.len();
    print_line(&format!("{} list {}: {count} members, until {until}", list.list().federation, list.list().sequence));
    print_line(&format!("  digest {}", list.digest()));
    for Member { node, name, url, fingerprint, .. } in &list.list().members {
        print_line(&format!("  {node} {name}  {url}  {}", spoken(fingerprint)));
    }
}

fn tell_signers(signers: &Signers) {
    for node in &signers.good {
        print_line(&format!("  {node} stands by it"));
    }
    for passed in &signers.passed_over {
        let node = passed.node.as_ref().map_or_else(|| "somebody".to_owned(), ToString::to_string);
        print_line(&format!("  signature {} by {node} says nothing: {}", passed.number, passed.why));
    }
}

fn tell_standing(list: &SignedList, standing: &[(NodeId, Standing)]) {
    for (node, standing) in standing {
        match standing {
            Standing::Own => {}
            Standing::Known(state) => print_line(&format!("  {node} is known here: {state}")),
            Standing::OtherRoot(state) => print_line(&format!(
                "  {node} is known here ({state}) under another root key than the list names: telephone the city"
            )),
            Standing::Unknown => {
                let url =
                    list.list().members.iter().find(|member| member.node == *node).map(|member| member.url.as_str());
                print_line(&format!("  {node} is not known here: kaopu peer add {}", url.unwrap_or_default()));
            }
            Standing::NotListed(state) => {
                print_line(&format!("  {node} is a peer here ({state}), but not on the list"));
            }
        }
    }
}

/// One list from several copies of it.
fn read(files: &[PathBuf]) -> Result<SignedList> {
    let mut all: Option<SignedList> = None;
    for file in files {
        let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        let list = SignedList::parse(&text).with_context(|| file.display().to_string())?;
        let Some(all) = &mut all else {
            all = Some(list);
            continue;
        };
        if !all.merge(&list) {
            bail!("{} is a copy of another list than the file before it", file.display());
        }
    }
    all.context("name a file with a list")
}

/// Beside its place first: what stood there stays until it is whole.
fn write(file: &Path, list: &SignedList) -> Result<()> {
    let mut beside = file.as_os_str().to_owned();
    beside.push(format!(".{}.part", std::process::id()));
    std::fs::write(&beside, list.to_file())
        .and_then(|()| std::fs::rename(&beside, file))
        .with_context(|| format!("cannot write {}", file.display()))
}

fn descriptor(file: &Path) -> Result<Descriptor> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let (_, descriptor) = Descriptor::open(text.trim()).with_context(|| file.display().to_string())?;
    Ok(descriptor)
}
