//! The command line: a file a command family. Only here does the program print.
//!
//! Every command ends with 0 (done), 1 (refused or failed) or 2 (wrong usage), and says what to do next when it fails.

mod application;
mod demo;
mod digest;
mod dispute;
mod doctor;
mod import;
mod audit;
mod check;
mod federation;
mod granted;
mod how;
mod init;
mod key;
mod peer;
mod person;
mod policy;
mod query;
mod quality;
mod recognise;
mod record;
mod repair;
mod report;
mod serve;
mod status;
mod upload;
mod user;
mod watch;
mod which;
mod withdraw;

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand, ValueEnum};
use kaopu::clock::Clock;
use kaopu::config::Config;
use kaopu::node::Node;
use kaopu::record::name::plain;
use tracing_subscriber::EnvFilter;

/// A node for the federated exchange of public credit records 公共信用信息.
#[derive(Debug, Parser)]
#[command(name = "kaopu", version, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    shared: Shared,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Five nodes with sample data, syncing, on this machine
    Demo(demo::Demo),
    /// Make a node: keys, certificates, configuration, store and logs
    Init(init::Init),
    /// Serve peers, and pull what they publish
    Serve(serve::Serve),
    /// Add, list and disable the accounts of persons
    #[command(subcommand)]
    User(user::User),
    /// Invite, add, confirm, approve and list peers, and stop trusting them
    #[command(subcommand)]
    Peer(peer::Peer),
    /// Show the node's own keys and certificates, and change them
    #[command(subcommand)]
    Key(key::Key),
    /// Draw up, sign, take and show the federation's member lists 联盟成员名单
    #[command(subcommand)]
    Federation(federation::Federation),
    /// Check, show, write out and try the policies that decide on access and recognition 访问与互认策略
    #[command(subcommand)]
    Policy(policy::Policy),
    /// Show all that this node and its mirrors hold about a subject, or find subjects by name
    Record(record::Record),
    /// Show and decide on repairs of partner cities, and what they make of own ones 修复互认
    #[command(subcommand)]
    Recognise(recognise::Recognise),
    /// Ask peers about a subject, for a stated purpose; query and answer are kept as proof 信用核查
    Query(query::Query),
    /// Make a credit report of an enterprise over all regions, to print and to check later 信用报告
    Report(report::Report),
    /// Check a list of names and codes; the same sheet comes back with what is known of each 批量核查
    Check(check::Check),
    /// Read, judge, sign and publish a department's files; each ends in a receipt 回执
    Import(import::Import),
    /// List uploads and show their receipts
    #[command(subcommand)]
    Upload(upload::Upload),
    /// Show how timely, accurate and complete each department's files were in a month 双公示评估
    Quality(quality::ShowQuality),
    /// Repair a record of this node, or revoke a repair 信用修复
    Repair(Box<repair::Repair>),
    /// Take back a record of this node that should not have been published 撤回
    Withdraw(Box<withdraw::Withdraw>),
    /// Raise a dispute about a record, answer one, and list those that wait 异议
    #[command(subcommand)]
    Dispute(dispute::Dispute),
    /// Ask another city for a repair on behalf of an enterprise here, and decide what others ask for 异地修复受理
    #[command(subcommand)]
    Application(application::Application),
    /// Export logs, and verify exported ones
    #[command(subcommand)]
    Audit(audit::Audit),
    /// Follow subjects 动态监测, and show what was published about them
    #[command(subcommand)]
    Watch(watch::Watch),
    /// Show how the node stands with its logs and its peers
    Status(status::ShowStatus),
    /// Try this node and its peers in both directions, and say what to do about each fault
    Doctor(doctor::Doctor),
}

impl Command {
    async fn run(self, shared: Shared) -> anyhow::Result<ExitCode> {
        match self {
            Self::Demo(demo) => demo.run().await,
            Self::Init(init) => Box::pin(init.run(&shared)).await,
            Self::Serve(serve) => serve.run(&shared).await,
            Self::User(user) => Box::pin(user.run(&shared)).await,
            Self::Peer(peer) => Box::pin(peer.run(&shared)).await,
            Self::Key(key) => Box::pin(key.run(&shared)).await,
            Self::Federation(federation) => Box::pin(federation.run(&shared)).await,
            Self::Policy(policy) => policy.run(&shared).await,
            Self::Record(record) => record.run(&shared).await,
            Self::Recognise(recognise) => recognise.run(&shared).await,
            Self::Query(query) => Box::pin(query.run(&shared)).await,
            Self::Report(report) => Box::pin(report.run(&shared)).await,
            Self::Check(check) => Box::pin(check.run(&shared)).await,
            Self::Import(import) => import.run(&shared).await,
            Self::Upload(upload) => Box::pin(upload.run(&shared)).await,
            Self::Quality(quality) => quality.run(&shared).await,
            Self::Repair(repair) => Box::pin(repair.run(&shared)).await,
            Self::Withdraw(withdraw) => Box::pin(withdraw.run(&shared)).await,
            Self::Dispute(dispute) => Box::pin(dispute.run(&shared)).await,
            Self::Application(application) => Box::pin(application.run(&shared)).await,
            Self::Audit(audit) => Box::pin(audit.run(&shared)).await,
            Self::Watch(watch) => Box::pin(watch.run(&shared)).await,
            Self::Status(status) => status.run(&shared).await,
            Self::Doctor(doctor) => doctor.run(&shared).await,
        }
    }

    /// Serving tells how it goes; other commands print their result and only warn beside it.
    fn default_filter(&self) -> &'static str {
        match self {
            Self::Serve(_) => "warn,kaopu=info",
            _ => "warn",
        }
    }
}

/// What every command takes.
#[derive(Debug, Args)]
pub struct Shared {
    /// The node's configuration
    #[arg(short, long, global = true, value_name = "FILE", default_value = "node.toml", env = "KAOPU_CONFIG")]
    config: PathBuf,
    /// Print the result as JSON
    #[arg(long, global = true)]
    pub json: bool,
    /// Who runs the command, as receipts and the exchange log name them
    #[arg(long, global = true, value_name = "NAME", env = "KAOPU_OPERATOR", hide_env_values = true)]
    operator: Option<String>,
    /// How the journal on standard error is written; what stands in it, KAOPU_LOG says (warn,kaopu=debug)
    #[arg(long, global = true, value_name = "FORM", default_value = "text", env = "KAOPU_LOG_FORMAT")]
    log_format: LogFormat,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

impl Shared {
    /// The configuration that `-c` names.
    pub fn config(&self) -> anyhow::Result<Config> {
        Config::load(&self.config).with_context(|| {
            "the configuration was not taken; name the node's node.toml with -c FILE, or make a node with `kaopu init`"
        })
    }

    /// The node that `-c` names, open.
    pub async fn open(&self) -> anyhow::Result<Node> {
        Ok(Box::pin(Node::open(self.config()?, Clock::System)).await?)
    }

    /// Opens the node, does something with it, and closes it whatever comes of that.
    pub async fn on_node<T>(&self, act: impl AsyncFnOnce(&Node) -> anyhow::Result<T>) -> anyhow::Result<T> {
        let node = self.open().await?;
        let done = Box::pin(act(&node)).await;
        node.close().await;
        done
    }

    /// Who runs the command.
    pub fn operator(&self) -> String {
        let user = || std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).ok();
        self.operator.clone().or_else(user).filter(|name| !name.is_empty()).unwrap_or_else(|| "unknown".to_owned())
    }
}

/// Parses, runs, and turns the outcome into an exit code.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse_from(digest::told_apart(std::env::args_os())) {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            // help and version are what was asked for, all else is wrong usage
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    start_journal(&cli);
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&anyhow::Error::new(error).context("the system gives no threads")),
    };
    match runtime.block_on(cli.command.run(cli.shared)) {
        Ok(code) => code,
        Err(error) => fail(&error),
    }
}

#[expect(clippy::print_stderr, reason = "the command line says why it failed")]
fn fail(error: &anyhow::Error) -> ExitCode {
    eprintln!("kaopu: {error:#}");
    ExitCode::FAILURE
}

/// The journal goes to standard error, so that results on standard output stay clean.
fn start_journal(cli: &Cli) {
    let filter = EnvFilter::try_from_env("KAOPU_LOG").unwrap_or_else(|_| EnvFilter::new(cli.command.default_filter()));
    let journal = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    match cli.shared.log_format {
        LogFormat::Text => journal.with_target(false).init(),
        LogFormat::Json => journal.json().init(),
    }
}

/// What is said in words: something.
pub fn words(typed: &str) -> Result<String, String> {
    match typed.trim() {
        "" => Err("say it in words 请以文字说明".to_owned()),
        words => Ok(words.to_owned()),
    }
}

/// Prints a result as JSON.
pub fn print_json(result: &impl serde::Serialize) -> anyhow::Result<()> {
    print_as_it_is(&serde_json::to_string_pretty(result)?);
    Ok(())
}

/// Prints one line of a result for people: what would turn its direction or steer their terminal is spelt out.
pub fn print_line(line: &str) {
    print_as_it_is(&plain(line));
}

/// Prints one line of a result for programs. A reader that has gone away is no failure.
pub fn print_as_it_is(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// Says on standard error what is wrong.
fn complain(text: &str) {
    // a standard error that is gone leaves nobody to tell
    let _ = writeln!(std::io::stderr(), "kaopu: {}", plain(text));
}

/// What the command line says cannot be done.
fn wrong_usage(text: &str) -> ExitCode {
    complain(text);
    ExitCode::from(2)
}
