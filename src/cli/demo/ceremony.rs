//! Each two nodes take each other as peers, as their administrators would who can phone each other: an invitation, two
//! fingerprints read out and typed in, and on each side a second person who agrees.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures_util::stream::{self, TryStreamExt as _};
use serde_json::Value;
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use super::folder::Folder;
use super::nodes::{self, SITES, Site};
use crate::cli::print_line as say;

/// Who compares fingerprints at each node, and who agrees.
pub const PERSONS: [&str; 2] = ["wang.wei", "li.na"];
/// What both have; these nodes hold nothing but inventions.
const SECRET: &str = "示例口令：只用于演示";
/// Pairs that go through it side by side.
const AT_ONCE: usize = 3;
/// How long the nodes may take to hear that the other side has agreed too.
const ACTIVE_WITHIN: Duration = Duration::from_secs(60);

/// Gives a node its two persons.
pub async fn add_persons(folder: &Folder, site: &Site) -> Result<()> {
    let [first, second] = PERSONS;
    person(folder, site, &["user", "add", first]).await?;
    person(folder, site, &["user", "add", second, "--as", first]).await?;
    Ok(())
}

/// Lets each two of the nodes, which serve already, take each other.
pub async fn enrol(folder: &Folder) -> Result<()> {
    say("");
    say(&format!(
        "each two take each other: {} compares the fingerprint on the telephone, {} agrees",
        PERSONS[0], PERSONS[1]
    ));
    let pairs = SITES.iter().enumerate().flat_map(|(i, one)| SITES[i + 1..].iter().map(move |other| Ok((one, other))));
    stream::iter(pairs).try_for_each_concurrent(AT_ONCE, |(one, other)| meet(folder, one, other)).await?;
    let deadline = Instant::now() + ACTIVE_WITHIN;
    for site in &SITES {
        until_active(folder, site, deadline).await?;
    }
    say("all are active: two persons on each side, and nobody else, made them so");
    Ok(())
}

async fn meet(folder: &Folder, one: &Site, other: &Site) -> Result<()> {
    let [first, second] = PERSONS;
    let invited = person(folder, one, &["peer", "invite", other.id, "--as", first]).await?;
    let invitation = invited["invitation"].as_str().context("peer invite gives no invitation")?;
    person(folder, other, &["peer", "add", invitation, "--as", first]).await?;
    let read_out = [fingerprint(folder, one).await?, fingerprint(folder, other).await?];
    for (here, there, digits) in [(one, other, &read_out[1]), (other, one, &read_out[0])] {
        person(folder, here, &["peer", "confirm", there.id, digits, "--as", first]).await?;
        person(folder, here, &["peer", "approve", there.id, "--as", second]).await?;
    }
    say(&format!("{} invited {}; they read out {} and {}", one.name, other.name, read_out[0], read_out[1]));
    Ok(())
}

/// What a node's administrator reads out: the fingerprint as that node itself shows it.
async fn fingerprint(folder: &Folder, site: &Site) -> Result<String> {
    let status = person(folder, site, &["status"]).await?;
    Ok(status["fingerprint"].as_str().context("status shows no fingerprint")?.to_owned())
}

async fn until_active(folder: &Folder, site: &Site, deadline: Instant) -> Result<()> {
    loop {
        let peers = person(folder, site, &["peer", "list"]).await?;
        let peers = peers.as_array().context("peer list gives no list")?;
        if peers.len() == SITES.len() - 1 && peers.iter().all(|peer| peer["state"] == "active") {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!(
                "at {} not all peers became active; `kaopu peer list -c {}` says what is missing",
                site.id,
                folder.config(site)
            );
        }
        sleep(Duration::from_millis(200)).await;
    }
}

/// Runs a command at a node as its persons would, and gives its result.
pub async fn person(folder: &Folder, site: &Site, words: &[&str]) -> Result<Value> {
    let mut command: Command = nodes::kaopu();
    command.args(words).args(["--json", "-c"]).arg(folder.config(site));
    let output = command.env("KAOPU_SECRET", SECRET).env("KAOPU_NEW_SECRET", SECRET).output().await;
    let what = words[..words.len().min(2)].join(" ");
    let output = nodes::done(&what, output)?;
    if output.stdout.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(&output.stdout).with_context(|| format!("{what} gives no JSON"))
}
