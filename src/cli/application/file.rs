//! `kaopu application file` and `supply`: what the window says, with files.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::builder::PossibleValuesParser;
use kaopu::about::find::Finder;
use kaopu::about::{Named, NotFound};
use kaopu::node::Node;
use kaopu::node::applications::{ApplicationError, Applications, Filing, NewFile};
use kaopu::record::event::RepairType;
use kaopu::statement::{Digest, NodeId};
use zeroize::Zeroizing;

use super::{Which, operator, tell};
use crate::cli::person::As;
use crate::cli::which::{self, day, digest_of};
use crate::cli::{Shared, print_line};

/// File an application about another city's record
#[derive(Debug, clap::Args)]
pub struct File {
    #[command(flatten)]
    which: which::Which,
    /// Whose record it is; else it is looked for among all partners'
    #[arg(long, value_name = "NODE", conflicts_with = "digest")]
    of: Option<NodeId>,
    /// Which repair is asked for 申请修复类型
    #[arg(long = "type", value_name = "TYPE", value_parser = PossibleValuesParser::new(["终止公示", "移出名单", "信用评价修复", "暂时屏蔽"]))]
    repair: String,
    /// The window, as people know it; partners can read it 受理窗口
    #[arg(long, value_name = "NAME")]
    window: Option<String>,
    /// What the applicant says, in words; partners can read it
    #[arg(long, value_name = "TEXT", value_parser = crate::cli::words)]
    reason: Option<String>,
    /// The public commitment 信用承诺书: a file, of which the digest is published, or that digest. To send it, attach it too
    #[arg(long, value_name = "FILE|DIGEST")]
    commitment: Option<String>,
    /// When the applicant came; today where it is not said. Deadlines run from the day on which this is filed
    #[arg(long, value_name = "DATE", value_parser = day)]
    on: Option<String>,
    #[command(flatten)]
    files: Files,
    /// Say whether it may be filed, and write nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    person: As,
}

/// Supply what was asked for
#[derive(Debug, clap::Args)]
pub struct Supply {
    #[command(flatten)]
    which: Which,
    /// A remark; partners can read it
    #[arg(long, value_name = "TEXT", value_parser = crate::cli::words)]
    reason: Option<String>,
    #[command(flatten)]
    files: Files,
}

/// Files that go to the city that decides.
#[derive(Debug, clap::Args)]
pub struct Files {
    /// A file for the city that decides, which alone can open it; may be given several times. A title before a = can be read
    /// by all partners: 营业执照=scan.pdf
    #[arg(long = "attach", value_name = "[TITLE=]FILE")]
    attach: Vec<String>,
}

impl File {
    pub(super) async fn run(self, shared: &Shared, node: &Node) -> anyhow::Result<()> {
        let by = operator(shared, node, &self.person).await?;
        let commitment: Option<Digest> = match &self.commitment {
            Some(commitment) => digest_of(commitment)?.as_str().and_then(|digest| digest.parse().ok()),
            None => None,
        };
        let filing = Filing {
            record: self.record(node).await?,
            of: RepairType::parse(&self.repair),
            window: self.window,
            commitment,
            reason: self.reason,
            on: self.on,
        };
        let files = self.files.read(node)?;
        let applications = Applications::by(node, &by);
        let said = Box::pin(applications.file(&filing, files, self.dry_run)).await?;
        tell(shared, node, &said, &by)?;
        let advice = applications.advice(&filing).await?;
        if let Some(advice) = advice.filter(|_| !shared.json) {
            print_line(&format!("! by this node's rules it could be refused: {advice} {}", advice.title()));
        }
        Ok(())
    }

    /// The record that is meant, of one partner.
    async fn record(&self, node: &Node) -> anyhow::Result<Digest> {
        let sought = match self.which.named() {
            Named::Digest(digest) => return Ok(digest),
            Named::Record(sought) => sought,
        };
        let partners = || node.registry.peers().iter().map(|peer| peer.node.clone()).collect();
        let nodes: Vec<NodeId> = self.of.clone().map_or_else(partners, |of| vec![of]);
        let mut found: Vec<(NodeId, Digest)> = Vec::new();
        for issuer in nodes {
            match Finder::default().find(&node.db, &issuer, &sought).await? {
                Ok(record) => found.push((issuer, record.digest)),
                Err(NotFound::None { .. }) => {}
                Err(several) => bail!("of {issuer}: {several}"),
            }
        }
        match &found[..] {
            [(_, record)] => Ok(*record),
            [] => bail!(
                "no partner's {} is known here by that: compare 文号 and code with what `kaopu record CODE` shows 未找到相符的记录",
                sought.kind
            ),
            _ => {
                let whose: Vec<&str> = found.iter().map(|(issuer, _)| issuer.as_str()).collect();
                bail!("records of {} are known by that: say --of NODE 有多个城市的记录相符", whose.join(", "))
            }
        }
    }
}

impl Supply {
    pub(super) async fn run(self, shared: &Shared, node: &Node) -> anyhow::Result<()> {
        let by = operator(shared, node, &self.which.person).await?;
        let files = self.files.read(node)?;
        if files.is_empty() && self.reason.is_none() {
            bail!("nothing is supplied: say --attach FILE, or --reason TEXT");
        }
        let applications = Applications::by(node, &by);
        let said = Box::pin(applications.supply(&self.which.digest, self.reason, files, self.which.dry_run)).await?;
        tell(shared, node, &said, &by)
    }
}

impl Files {
    fn read(&self, node: &Node) -> anyhow::Result<Vec<NewFile>> {
        let most = node.config.attachments.file_bytes;
        self.attach.iter().map(|named| read(named, most)).collect()
    }
}

fn read(named: &str, most: u64) -> anyhow::Result<NewFile> {
    let (title, path) = titled(named);
    let unread = || format!("{} cannot be read", path.display());
    let bytes = std::fs::metadata(&path).with_context(unread)?.len();
    if bytes > most {
        // before it fills the memory
        return Err(ApplicationError::TooLarge { name: path.display().to_string(), bytes, most }.into());
    }
    let bytes = Zeroizing::new(std::fs::read(&path).with_context(unread)?);
    Ok(NewFile { name: path.display().to_string(), title, bytes })
}

/// A file whose own name has a = is one without a title.
fn titled(named: &str) -> (Option<String>, PathBuf) {
    match named.split_once('=') {
        Some((title, path)) if !Path::new(named).exists() => {
            (Some(title.trim().to_owned()).filter(|title| !title.is_empty()), path.into())
        }
        _ => (None, named.into()),
    }
}
