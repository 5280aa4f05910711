//! The five nodes: made, introduced, fed and served by the very commands that a user would type.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::timeout;

use super::ceremony;
use super::folder::Folder;
use super::samples::{self, Sample};
use crate::cli::print_line as say;

/// A city that takes part in the demo.
pub struct Site {
    /// Its node id.
    pub id: &'static str,
    /// Its name.
    pub name: &'static str,
    /// What its departments send, in this order.
    pub samples: &'static [Sample],
}

/// The partners.
pub static SITES: [Site; 5] = [
    Site { id: "310107", name: "上海市普陀区", samples: samples::PUTUO },
    Site { id: "340500", name: "马鞍山市", samples: samples::MAANSHAN },
    Site { id: "341200", name: "阜阳市", samples: samples::FUYANG },
    Site { id: "341100", name: "滁州市", samples: samples::CHUZHOU },
    Site { id: "341000", name: "黄山市", samples: samples::HUANGSHAN },
];

/// How long a node may take until it listens.
const UP_WITHIN: Duration = Duration::from_secs(60);
/// How long a node may take to end in order.
const DOWN_WITHIN: Duration = Duration::from_secs(20);
/// Where the search for free ports begins: below those that the system gives to outgoing connections.
const FIRST_PORT: u16 = 17443;

/// Makes the nodes, each with keys and two persons of its own, or finds them made; whether they are new.
pub async fn make(folder: &Folder) -> Result<bool> {
    if folder.is_made()? {
        say("The nodes of the earlier demo go on.");
        return Ok(false);
    }
    let mut ports = free_ports();
    for site in &SITES {
        let (Some(peer), Some(local)) = (ports.next(), ports.next()) else { bail!("no free ports") };
        let listen = format!("127.0.0.1:{peer}");
        let init = kaopu()
            .args(["init", "--unencrypted"])
            .arg(folder.of(site))
            .args(["--node", site.id, "--name", site.name, "--listen", &listen, "--url"])
            .arg(format!("https://{listen}"))
            .args(["--local", &format!("127.0.0.1:{local}")])
            .output()
            .await;
        done("init", init)?;
        ceremony::add_persons(folder, site).await?;
        say(&format!("{} {} made, with keys and logs of its own", site.id, site.name));
    }
    Ok(true)
}

/// The nodes as they run, each a process of its own. They end when this is dropped or its process dies: each reads from a
/// pipe that closes then.
pub struct Running {
    children: Vec<(&'static Site, Child)>,
    // apart from the children, whose `wait` would close theirs
    pipes: Vec<ChildStdin>,
}

/// Starts all five.
pub async fn start(folder: &Folder) -> Result<Running> {
    let mut running = Running { children: Vec::new(), pipes: Vec::new() };
    for site in &SITES {
        let log = folder.of(site).join("serve.log");
        let mut child = kaopu()
            .args(["serve", "--until-stdin-closes", "-c"])
            .arg(folder.config(site))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(&log).with_context(|| format!("cannot write {}", log.display()))?)
            .spawn()
            .context("cannot start a node")?;
        let address = timeout(UP_WITHIN, peer_address(&mut child)).await;
        running.pipes.extend(child.stdin.take());
        running.children.push((site, child));
        match address {
            Ok(Some(address)) => say(&format!("{} {} serves on {address}", site.id, site.name)),
            _ => bail!("{} did not start:\n{}", site.id, end_of(&log)),
        }
    }
    Ok(running)
}

impl Running {
    /// Waits for a node that ends by itself, which none should.
    pub async fn any_ends(&mut self) -> String {
        let ends = self.children.iter_mut().map(|(site, child)| {
            Box::pin(async move {
                let status = child.wait().await.map_or_else(|e| e.to_string(), |s| s.to_string());
                format!("{} {} ended ({status}): see serve.log in its folder", site.id, site.name)
            })
        });
        futures_util::future::select_all(ends).await.0
    }

    /// Lets all end in order, and waits for it.
    pub async fn stop(mut self) -> Result<()> {
        self.pipes.clear();
        for (site, child) in &mut self.children {
            if timeout(DOWN_WITHIN, child.wait()).await.is_err() {
                child.kill().await.with_context(|| format!("{} does not end", site.id))?;
                say(&format!("{} did not end in time and was killed; nothing that it acknowledged is lost", site.id));
            }
        }
        Ok(())
    }
}

/// Imports a sample, and says what its receipt says.
pub async fn import(folder: &Folder, site: &Site, sample: &Sample) -> Result<()> {
    let import = kaopu()
        .args(["import", "--json", "--kind", sample.kind(), "-c"])
        .arg(folder.config(site))
        .arg(folder.sample(site, sample.file))
        .output()
        .await
        .context("cannot run import")?;
    // An import whose file has rows that were sent back may end with 1: the receipt says how it went.
    let receipt = match serde_json::from_slice(&import.stdout) {
        Ok(Value::Array(receipts)) if receipts.len() == 1 => receipts.into_iter().next().unwrap_or_default(),
        Ok(receipt @ Value::Object(_)) => receipt,
        _ => bail!("{} cannot import {}:\n{}", site.id, sample.file, said(&import)),
    };
    say(&format!("{} {}  {}", site.id, site.name, summary(sample, &receipt)));
    Ok(())
}

/// All that a node knows about a subject, as `record` gives it to scripts.
pub async fn record(folder: &Folder, site: &Site, code: &str) -> Result<Vec<Value>> {
    let record = kaopu().args(["record", "--json", "-c"]).arg(folder.config(site)).arg(code).output().await;
    let record = record.context("cannot run record")?;
    serde_json::from_slice(&record.stdout).map_err(|_| anyhow::anyhow!("the look-up failed:\n{}", said(&record)))
}

/// `penalty.csv (penalty, code, utf-8): 28 rows, 16 shared 已共享, 12 sent back 退回: E101 E105×2 …`
fn summary(sample: &Sample, receipt: &Value) -> String {
    let text = |name: &str| receipt[name].as_str().unwrap_or("?");
    let (kind, layout, encoding) = (text("kind"), text("layout"), text("encoding"));
    let mut line = format!("{} ({kind}, {layout}, {encoding}): {} rows", sample.file, receipt["read"]);
    let named = [("published", "shared 已共享"), ("skipped", "unchanged 未变更"), ("refused", "sent back 退回")];
    for (count, words) in named {
        if receipt[count].as_u64().unwrap_or(0) > 0 {
            line.push_str(&format!(", {} {words}", receipt[count]));
        }
    }
    let mut codes = BTreeMap::new();
    for fault in receipt["faults"].as_array().into_iter().flatten() {
        *codes.entry(fault["code"].as_str().unwrap_or("?")).or_insert(0) += 1;
    }
    for (code, times) in codes {
        line.push_str(&if times > 1 { format!(" {code}×{times}") } else { format!(" {code}") });
    }
    line
}

/// This program.
pub fn kaopu() -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap_or_else(|_| "kaopu".into()));
    command.stdin(Stdio::null());
    command
}

/// What a command printed, if it went well.
pub fn done(what: &str, output: std::io::Result<Output>) -> Result<Output> {
    let output = output.with_context(|| format!("cannot run {what}"))?;
    if !output.status.success() {
        bail!("{what} failed:\n{}", said(&output));
    }
    Ok(output)
}

fn said(output: &Output) -> String {
    [&output.stderr, &output.stdout].map(|bytes| String::from_utf8_lossy(bytes)).join("\n").trim().to_owned()
}

/// The address of the peer interface, as `serve` prints it; what it prints after that is read and dropped.
async fn peer_address(child: &mut Child) -> Option<String> {
    let mut lines = BufReader::new(child.stdout.take()?).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if let Some(address) = line.strip_prefix("peer interface on ") {
            let address = address.to_owned();
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            return Some(address);
        }
    }
    None
}

fn end_of(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(12)..].join("\n")
}

fn free_ports() -> impl Iterator<Item = u16> {
    (FIRST_PORT..FIRST_PORT + 2000).filter(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
}
