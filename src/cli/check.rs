//! `kaopu check`: a list of names and codes in, the same sheet with what is known of each out 批量核查.

mod out;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use futures_util::StreamExt as _;
use futures_util::stream::unfold;
use kaopu::clock::Clock;
use kaopu::import::subject_list::{List, Row};
use kaopu::import::upload::Progress;
use kaopu::import::{NotAnUpload, subject_list};
use kaopu::node::check::{Asked, Match, Outcome, check, covered};
use kaopu::node::kinds;
use kaopu::node::view::View;
use kaopu::record::Purpose;
use kaopu::report::page;
use kaopu::store::Db;
use serde_json::json;
use tokio::sync::mpsc;

use self::out::{Out, Value};
use super::import::progress::Bar;
use super::{Shared, print_json, print_line};

/// Rows that are looked up at once, and as many that wait.
const AT_ONCE: usize = 16;

/// The columns that are added.
const ADDED: [&str; 15] = [
    "核查结果",
    "匹配代码",
    "行政处罚数",
    "严重失信名单数",
    "有效许可数",
    "荣誉数",
    "最高严重程度",
    "异议中",
    "修复中",
    "涉及地区",
    "覆盖地区",
    "核查说明",
    "核查用途",
    "法律依据",
    "核查时间",
];

/// Check a list of names and codes; the same sheet comes back with what is known of each 批量核查
#[derive(Debug, clap::Args)]
pub struct Check {
    /// The list: CSV, XLSX or XLS with the headers 名称 (企业名称) and 统一社会信用代码
    file: PathBuf,
    /// What for 核查用途: approval, procurement, tender, subsidy, award, investment, finance, supervision, judicial or self
    #[arg(long, value_name = "PURPOSE")]
    purpose: Purpose,
    /// On which legal basis 法律依据, in words
    #[arg(long, value_name = "TEXT")]
    basis: String,
    /// Where the result goes: an XLSX where it ends in .xlsx, else CSV. Without it, beside the list
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// How many rows ended how.
#[derive(Default)]
struct Tally {
    code: u64,
    name: u64,
    namesakes: u64,
    unknown: u64,
    broken: u64,
}

impl Check {
    /// Looks at the store; needs no running server and no keys.
    pub async fn run(self, shared: &Shared) -> anyhow::Result<ExitCode> {
        if self.basis.trim().is_empty() {
            bail!("--basis says on which legal basis you ask; it stands in the result");
        }
        let config = shared.config()?;
        let (kinds, rules) = (kinds(&config)?, config.rules()?);
        let list = subject_list::open(&self.file, &kinds)
            .with_context(|| format!("{} is no list of names and codes", self.file.display()))?;
        let db = Db::open(config.store.expose()).await?;
        let view = View { node: &config.node.id, kinds: &kinds, rules: &rules, clock: &Clock::System };
        let done = Box::pin(self.check(shared, &db, &view, list)).await;
        db.close().await;
        done
    }

    async fn check(&self, shared: &Shared, db: &Db, view: &View<'_>, list: List) -> anyhow::Result<ExitCode> {
        let path = self.out.clone().unwrap_or_else(|| beside(&self.file, &list));
        if let (Ok(from), Ok(to)) = (self.file.canonicalize(), path.canonicalize())
            && from == to
        {
            bail!("the result would take the place of the list {}: name another file with --out", path.display());
        }
        let of = list.sheet.rows;
        let headers = list.sheet.columns.headers.iter().map(String::as_str).chain(ADDED);
        let mut out = Out::new(&path, &headers.collect::<Vec<_>>())?;
        let regions: Vec<String> = covered(db, view).await?.iter().map(ToString::to_string).collect();
        let about = [self.purpose.title().to_owned(), self.basis.clone(), page::time(view.clock.now())];
        let codes = list.code_columns();
        let (rows, reading) = read(list);
        let checked = rows.map(|row| async {
            let outcome = match &row.judged {
                Ok(listed) => {
                    let asked = Asked { key: listed.key.as_deref(), name: listed.name.as_deref().unwrap_or("") };
                    check(db, view, &asked).await
                }
                Err(fault) => Ok(Outcome::broken(fault.message.clone())),
            };
            (row, outcome)
        });
        let mut checked = std::pin::pin!(checked.buffered(AT_ONCE));
        let (mut bar, mut tally, mut done) = (Bar::new(&self.file.display().to_string()), Tally::default(), 0);
        while let Some((row, outcome)) = checked.next().await {
            let outcome = outcome?;
            tally.count(&outcome.matched);
            let came = row.source.cells.iter().enumerate().map(|(at, cell)| Value::of(cell, codes.contains(&at)));
            out.row(came.chain(added(&outcome, &regions, &about)))?;
            done += 1;
            bar.show(Progress { done, of });
        }
        bar.finish();
        reading.await?.with_context(|| format!("{} was not read to its end", self.file.display()))?;
        out.finish(&path)?;
        tally.tell(shared, done, &path)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Reads rows on a thread of their own; it waits where they are not looked up as fast.
fn read(list: List) -> (impl futures_util::Stream<Item = Row>, tokio::task::JoinHandle<Result<(), NotAnUpload>>) {
    let (sender, receiver) = mpsc::channel(AT_ONCE);
    let reading = tokio::task::spawn_blocking(move || {
        list.each::<NotAnUpload>(|row| {
            let sent = sender.blocking_send(row);
            Ok(if sent.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
        })
    });
    let rows = unfold(receiver, |mut receiver| async move { receiver.recv().await.map(|row| (row, receiver)) });
    (rows, reading)
}

fn added(outcome: &Outcome, regions: &[String], about: &[String; 3]) -> impl Iterator<Item = Value> + use<> {
    // of whom nothing is known nothing is counted: a nought would read as clean
    let known = matches!(outcome.matched, Match::Code | Match::Name);
    let count = |count: u64| if known { Value::Number(count as f64) } else { Value::text("") };
    let of: Vec<&str> = outcome.regions.iter().map(|node| node.as_str()).collect();
    [
        Value::text(outcome.matched.title()),
        Value::text(outcome.code().unwrap_or("")),
        count(outcome.penalties),
        count(outcome.serious_listings),
        count(outcome.licences),
        count(outcome.honours),
        Value::text(outcome.worst.map_or("", |severity| severity.title())),
        count(outcome.disputed),
        count(outcome.under_repair),
        Value::text(&of.join("；")),
        Value::text(&regions.join("；")),
        Value::text(outcome.note.as_deref().unwrap_or("")),
        Value::text(&about[0]),
        Value::text(&about[1]),
        Value::text(&about[2]),
    ]
    .into_iter()
}

/// `名单.xlsx` gives `名单.checked.xlsx`.
fn beside(file: &Path, list: &List) -> PathBuf {
    file.with_extension(if matches!(list.sheet.encoding(), "xlsx" | "xls") { "checked.xlsx" } else { "checked.csv" })
}

impl Tally {
    fn count(&mut self, matched: &Match) {
        *match matched {
            Match::Code => &mut self.code,
            Match::Name => &mut self.name,
            Match::Namesakes => &mut self.namesakes,
            Match::Unknown => &mut self.unknown,
            Match::Broken => &mut self.broken,
        } += 1;
    }

    fn tell(&self, shared: &Shared, rows: u64, path: &Path) -> anyhow::Result<()> {
        let Self { code, name, namesakes, unknown, broken } = self;
        if shared.json {
            return print_json(&json!({
                "rows": rows, "matched": code, "by_name": name, "namesakes": namesakes, "unknown": unknown,
                "broken": broken, "out": path,
            }));
        }
        print_line(&format!(
            "{rows} rows 行: matched 已匹配 {code}   by name only 仅名称匹配 {name}   several of the name 多个同名 {namesakes}   \
             not found 未查到 {unknown}   code broken 代码有误 {broken}"
        ));
        print_line(&format!("written 已写入: {}", path.display()));
        Ok(())
    }
}
