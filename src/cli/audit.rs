//! `kaopu audit`: export a log to a folder, and verify such a folder, or a report's evidence, anywhere.

mod report;

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use kaopu::audit::verify::News;
use kaopu::audit::{Fault, Folder, Report, Trust, export, verify};
use kaopu::clock::Clock;
use kaopu::crew;
use kaopu::log::Origin;
use kaopu::log::note::VerifierKey;
use kaopu::statement::{Digest, Kinds};
use kaopu::store::Db;
use kaopu::trust::descriptor::spoken;
use serde::Serialize;

use super::{Shared, print_json, print_line};

/// Between two lines of progress where there is no terminal.
const BETWEEN_LINES: Duration = Duration::from_secs(5);

/// Export logs, and verify exported ones
#[derive(Debug, clap::Subcommand)]
pub enum Audit {
    /// Write a log, own or mirrored, with its bodies to a folder
    Export(Export),
    /// Verify a log in a folder: needs no configuration, network or database
    Verify(Verify),
    /// Check a credit report's evidence file: needs no configuration, network or database 核验信用报告
    Report(report::CheckReport),
}

/// Write a log, own or mirrored, with its bodies to a folder
#[derive(Debug, clap::Args)]
pub struct Export {
    /// Which log, for example kaopu/340500/records/1
    #[arg(long)]
    origin: Origin,
    /// A new or empty folder
    folder: PathBuf,
}

/// Verify a log in a folder: needs no configuration, network or database
#[derive(Debug, clap::Args)]
pub struct Verify {
    /// The folder
    #[arg(long, value_name = "FOLDER")]
    log: PathBuf,
    /// The log's verifier key as its city gave it to you: kaopu/340500/records/1+hash+base64
    #[arg(long, value_name = "KEY", value_parser = VerifierKey::parse)]
    key: Option<VerifierKey>,
    /// The fingerprint of the city's descriptor as it was read out to you: 30 digits, or the whole of it
    #[arg(long, value_name = "FINGERPRINT")]
    root: Option<String>,
    /// A folder with schemas of further kinds
    #[arg(long, value_name = "FOLDER")]
    schemas: Option<PathBuf>,
}

impl Audit {
    /// Runs it.
    pub async fn run(self, shared: &Shared) -> anyhow::Result<ExitCode> {
        match self {
            Self::Export(export) => Box::pin(export.run(shared)).await,
            Self::Verify(verify) => verify.run(shared),
            Self::Report(report) => report.run(shared),
        }
    }
}

impl Export {
    async fn run(self, shared: &Shared) -> anyhow::Result<ExitCode> {
        let db = Db::open(shared.config()?.store.expose()).await?;
        let mut progress = Progress::new();
        let exported = export::export(&db, &self.origin, &self.folder, &mut |done, of| progress.show(done, of)).await;
        progress.finish();
        db.close().await;
        let head = exported.context("`kaopu status` lists the logs of this node")?;
        let folder = self.folder.display();
        if shared.json {
            print_json(&serde_json::json!({"origin": self.origin, "size": head.size, "folder": self.folder}))?;
        } else {
            print_line(&format!("{}: {} entries are in {folder}", self.origin, head.size));
            print_line(&format!("next: kaopu audit verify --log {folder} --key KEY"));
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Verify {
    fn run(self, shared: &Shared) -> anyhow::Result<ExitCode> {
        let mut kinds = Kinds::builtin()?;
        if let Some(folder) = &self.schemas {
            kinds = kinds.with_folder(folder)?;
        }
        let trust = Trust { key: self.key, fingerprint: self.root };
        let mut progress = Progress::new();
        let (mut faults, mut void) = (Vec::new(), Vec::new());
        let begun = Instant::now();
        let report =
            verify(
                &Folder::at(&self.log),
                &trust,
                &kinds,
                Clock::System.now(),
                crew::cores(),
                &mut |news| match news {
                    News::Progress(done, of) => progress.show(done, of),
                    News::Fault(fault) if shared.json => faults.push(FaultLine::of(fault)),
                    News::Void(fault) if shared.json => void.push(FaultLine::of(fault)),
                    News::Fault(fault) | News::Void(fault) => progress.aside(&fault.to_string()),
                },
            );
        progress.finish();
        if shared.json {
            print_json(&ReportLines::of(&report, faults, void))?;
        } else {
            tell(&report, begun.elapsed());
        }
        Ok(if report.faults == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn tell(report: &Report, took: Duration) {
    if let Some(checkpoint) = &report.checkpoint {
        let seconds = took.as_secs_f64();
        let rate = checkpoint.size as f64 / seconds.max(0.001);
        print_line(&format!("{}: {} entries in {seconds:.1} s, {rate:.0}/s", checkpoint.origin, checkpoint.size));
    }
    if report.verified > 0 {
        let verified = report.verified;
        print_line(&format!(
            "{verified} verified: digest, signature, key at its place, schema, rules, order, versions"
        ));
    }
    if report.events > 0 {
        print_line(&format!("events judged against what they are about 修复、撤回等已核对: {}", report.events));
    }
    for (why, count) in &report.unjudged {
        print_line(&format!("events not judged against what they are about: {count}, since {why}"));
    }
    if report.events > 0 || !report.unjudged.is_empty() {
        print_line("events are not judged by dates, as of the least publicity, nor by policies: each city has its own");
    }
    for (why, count) in &report.held {
        print_line(&format!("{count} verified but for schema and rules: {why}"));
    }
    if report.withheld > 0 {
        print_line(&format!("{} withheld: addressed to others", report.withheld));
    }
    if report.erased > 0 {
        print_line(&format!("{} erased", report.erased));
    }
    if report.void > 0 {
        print_line(&format!("{} void, listed above: the log itself says that a key was compromised", report.void));
    }
    if report.faults > 0 {
        return print_line(&format!("faults: {}, listed above; this log must not be relied on", report.faults));
    }
    print_line("no fault found");
    if report.trusted {
        return print_line("the log is the one that you have the key or fingerprint of");
    }
    print_line("");
    print_line("WARNING: the folder agrees with itself, and nothing shows yet whose log it is.");
    print_line("Ask the city over another channel for one of these, and give it with --root or --key:");
    if let Some(fingerprint) = &report.fingerprint {
        print_line(&format!("  --root \"{}\"", spoken(fingerprint)));
    }
    for key in &report.keys {
        print_line(&format!("  --key {}", key.to_text()));
    }
}

/// The report as JSON.
#[derive(Serialize)]
struct ReportLines<'a> {
    origin: Option<&'a Origin>,
    size: Option<u64>,
    root: Option<String>,
    keys: Vec<String>,
    fingerprint: Option<Digest>,
    trusted: bool,
    verified: u64,
    events: u64,
    unjudged: &'a BTreeMap<&'static str, u64>,
    held: &'a BTreeMap<String, u64>,
    withheld: u64,
    erased: u64,
    void: Vec<FaultLine>,
    faults: Vec<FaultLine>,
}

#[derive(Serialize)]
struct FaultLine {
    index: Option<u64>,
    code: &'static str,
    message: String,
}

impl FaultLine {
    fn of(fault: &Fault) -> Self {
        Self { index: fault.index, code: fault.wrong.code(), message: fault.wrong.to_string() }
    }
}

impl<'a> ReportLines<'a> {
    fn of(report: &'a Report, faults: Vec<FaultLine>, void: Vec<FaultLine>) -> Self {
        let checkpoint = report.checkpoint.as_ref();
        Self {
            origin: checkpoint.map(|c| &c.origin),
            size: checkpoint.map(|c| c.size),
            // as it stands in the checkpoint
            root: checkpoint.and_then(|c| Some(c.text().lines().nth(2)?.to_owned())),
            keys: report.keys.iter().map(VerifierKey::to_text).collect(),
            fingerprint: report.fingerprint,
            trusted: report.trusted,
            verified: report.verified,
            events: report.events,
            unjudged: &report.unjudged,
            held: &report.held,
            withheld: report.withheld,
            erased: report.erased,
            void,
            faults,
        }
    }
}

/// How far it has come, on standard error: a bar on a terminal, a line now and then elsewhere.
struct Progress {
    bar: Option<ProgressBar>,
    begun: Instant,
    shown: Instant,
}

impl Progress {
    fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("[{wide_bar}] {pos}/{len} entries, {per_sec}, {eta} left");
            ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        Self { bar, begun: Instant::now(), shown: Instant::now() }
    }

    fn show(&mut self, done: u64, of: u64) {
        if let Some(bar) = &self.bar {
            bar.set_length(of);
            bar.set_position(done);
        } else if self.shown.elapsed() >= BETWEEN_LINES {
            self.shown = Instant::now();
            let rate = (done / self.begun.elapsed().as_secs().max(1)).max(1);
            let _ = writeln!(std::io::stderr(), "{done} of {of} entries, {rate}/s, {} s left", (of - done) / rate);
        }
    }

    /// Prints a result without tearing the bar.
    fn aside(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| print_line(line)),
            None => print_line(line),
        }
    }

    fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
