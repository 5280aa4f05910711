//! `kaopu report`: one file for each enterprise over all regions 信用报告, with the evidence by which anybody checks it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use kaopu::clock::Clock;
use kaopu::exchange::finding::{Ask, Finding, Whom};
use kaopu::exchange::question::About;
use kaopu::node::lookup;
use kaopu::node::report::{Wanted, make};
use kaopu::node::view::View;
use kaopu::node::{Node, kinds};
use kaopu::policy::Groups;
use kaopu::record::Purpose;
use kaopu::report::Evidence;
use kaopu::report::model::{Report as Made, qr_text};
use kaopu::report::page::page;
use kaopu::statement::{Digest, Kinds};
use kaopu::store::Db;
use tokio::time::Instant;

use super::query::{may_stand_in_a_query, time};
use super::{Shared, print_as_it_is, print_line};

/// Make a credit report of an enterprise over all regions, to print and to check later 信用报告
#[derive(Debug, clap::Args)]
pub struct Report {
    /// The subject's 统一社会信用代码, or its 工商注册号
    #[arg(value_name = "USCC", value_parser = lookup::subject_key)]
    subject: String,
    /// What for 核查用途: approval, procurement, tender, subsidy, award, investment, finance, supervision, judicial or self
    #[arg(long, value_name = "PURPOSE")]
    purpose: Purpose,
    /// On which legal basis 法律依据, in words
    #[arg(long, value_name = "TEXT")]
    basis: String,
    /// Digest of what the subject authorised this by 授权书摘要
    #[arg(long, value_name = "DIGEST", value_parser = crate::cli::digest::digest)]
    authorisation: Option<Digest>,
    /// Ask all active peers too, not only the own log and the mirrors
    #[arg(long)]
    ask: bool,
    /// How long peers have to answer, all of them together: 5s, 800ms
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = time)]
    deadline: Duration,
    /// Write it as a page that can be printed, and its evidence beside it
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Write it as JSON, as --json prints it, and its evidence beside it
    #[arg(long, value_name = "FILE")]
    json_file: Option<PathBuf>,
    /// Write the evidence here
    #[arg(long, value_name = "FILE")]
    evidence: Option<PathBuf>,
}

impl Report {
    /// Makes it. Beside a running server or without one; without --ask it needs no keys.
    pub async fn run(self, shared: &Shared) -> anyhow::Result<ExitCode> {
        if self.basis.trim().is_empty() {
            bail!("--basis says on which legal basis you ask; it stands in the report");
        }
        if self.ask {
            may_stand_in_a_query(&self.basis)?;
        } else {
            let config = shared.config()?;
            let (kinds, rules) = (kinds(&config)?, config.rules()?);
            let db = Db::open(config.store.expose()).await?;
            let view = View { node: &config.node.id, kinds: &kinds, rules: &rules, clock: &Clock::System };
            let done = Box::pin(self.make(shared, &db, &view, &config.groups, None)).await;
            db.close().await;
            return done;
        }
        shared.on_node(async |node| self.asking(shared, node).await).await
    }

    async fn asking(&self, shared: &Shared, node: &Node) -> anyhow::Result<ExitCode> {
        let subject = About::of_key(&self.subject)
            .context("a person's key is known to nobody but its issuer; peers cannot be asked by it")?;
        let ask = Ask {
            subject: Whom::Known(subject),
            purpose: self.purpose,
            basis: self.basis.clone(),
            kinds: Vec::new(),
            authorisation: self.authorisation,
        };
        let peers = node.registry.peers();
        let deadline = Instant::now() + self.deadline;
        let findings = Box::pin(node.asker().ask_all(&peers, &ask, deadline)).await;
        let rules = node.settings.rules.now();
        self.make(shared, &node.db, &node.view(&rules), &node.config.groups, Some(&findings)).await
    }

    async fn make(
        &self,
        shared: &Shared,
        db: &Db,
        view: &View<'_>,
        groups: &Groups,
        findings: Option<&[Finding]>,
    ) -> anyhow::Result<ExitCode> {
        let wanted = Wanted {
            subject: self.subject.clone(),
            purpose: self.purpose,
            basis: self.basis.clone(),
            authorisation: self.authorisation,
            operator: shared.operator(),
        };
        let (report, evidence) = make(db, view, groups, &wanted, findings).await?;
        let written = self.write(&report, &evidence, view.kinds)?;
        if shared.json {
            print_as_it_is(&evidence.line);
        } else {
            tell(&report, &evidence, &written);
        }
        let heard = findings.unwrap_or_default().iter().all(|finding| finding.complete);
        Ok(if heard { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    /// The evidence first: a page never stands without it.
    fn write(&self, report: &Made, evidence: &Evidence, kinds: &Kinds) -> anyhow::Result<Vec<PathBuf>> {
        let beside = self.html.as_ref().or(self.json_file.as_ref()).map(|file| file.with_extension("evidence.jsonl"));
        let mut written = Vec::new();
        let mut write = |path: &Path, text: &str| {
            std::fs::write(path, text).with_context(|| format!("{} cannot be written", path.display()))?;
            written.push(path.to_owned());
            anyhow::Ok(())
        };
        let proof = self.evidence.clone().or(beside);
        let named = [proof.as_ref(), self.json_file.as_ref(), self.html.as_ref()];
        let named: Vec<&PathBuf> = named.into_iter().flatten().collect();
        if let Some(twice) = named.iter().enumerate().find_map(|(n, path)| named[..n].contains(path).then_some(path)) {
            bail!("{} would be written twice: name a file for each", twice.display());
        }
        if let Some(path) = &proof {
            write(path, &evidence.file)?;
        }
        if let Some(path) = &self.json_file {
            write(path, &evidence.line)?;
        }
        if let Some(path) = &self.html {
            let name = proof.as_ref().and_then(|path| path.file_name()).unwrap_or_default().to_string_lossy();
            write(path, &page(report, &evidence.digest, &name, kinds)?)?;
        }
        Ok(written)
    }
}

fn tell(report: &Made, evidence: &Evidence, written: &[PathBuf]) {
    let name = report.names.first().map_or("", String::as_str);
    print_line(&format!("{}  {name}  {} {}", report.subject, report.purpose, report.purpose.title()));
    for region in &report.regions {
        let asked = region.asked.as_ref().map(|asked| format!("  {}", asked.title)).unwrap_or_default();
        let covered = if region.covered { "covered 已核查" } else { "NOT covered 未能完整核查" };
        print_line(&format!("  {} {}  {} items 条  {covered}{asked}", region.node, region.name, region.items));
    }
    for section in &report.sections {
        let marked = |is: fn(&kaopu::report::model::Item) -> bool| section.items.iter().filter(|item| is(item)).count();
        let (disputed, repairing) = (marked(|item| item.disputed), marked(|item| item.under_repair));
        let count = section.items.len();
        print_line(&format!("  {}: {count}  disputed 异议 {disputed}  under repair 修复中 {repairing}", section.title));
    }
    print_line(&format!("  repairs 信用修复: {}", report.repairs.len()));
    print_line(&qr_text(&evidence.digest));
    for path in written {
        print_line(&format!("written 已写入: {}", path.display()));
    }
    if written.is_empty() {
        print_line("next: --html FILE writes a page to print, and its evidence beside it");
    }
}
