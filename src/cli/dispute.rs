//! `kaopu dispute`: disputes raised, answered, and those that wait 异议.

use std::process::ExitCode;

use clap::builder::PossibleValuesParser;
use kaopu::about::dispute::{Open, open};
use kaopu::clock::Clock;
use kaopu::store::Db;
use serde_json::Value;

use super::how::How;
use super::which::{Which, body, day, digest_of, say, text};
use super::{Shared, print_json, print_line};

/// Raise a dispute about a record, answer one, and list those that wait 异议
#[derive(Debug, clap::Subcommand)]
pub enum Dispute {
    /// Mark a record as disputed. Of another node's record it is a claim, and counts once that node states it; so does that
    /// node by naming the claim
    Raise(Raise),
    /// Answer a dispute that this node has stated; a record names the one that waits
    Answer(Answer),
    /// List the disputes about this node's records that wait, each with the day by which it is to be answered
    List,
}

/// A dispute.
#[derive(Debug, clap::Args)]
pub struct Raise {
    #[command(flatten)]
    which: Which,
    /// Why, in words
    #[arg(long, value_name = "TEXT", value_parser = crate::cli::words)]
    reason: String,
    /// Who disputes it, or where that came in
    #[arg(long, value_name = "TEXT")]
    source: Option<String>,
    /// When it was raised; today where it is not said
    #[arg(long, value_name = "DATE", value_parser = day)]
    raised: Option<String>,
    /// Evidence: a file, of which the digest is published, or that digest; may be given several times
    #[arg(long, value_name = "FILE|DIGEST")]
    evidence: Vec<String>,
    #[command(flatten)]
    how: How,
}

/// An answer.
#[derive(Debug, clap::Args)]
pub struct Answer {
    #[command(flatten)]
    which: Which,
    /// 维持: the record is right; 更正: a corrected version follows; 撤销: it is withdrawn
    #[arg(long, value_parser = PossibleValuesParser::new(["维持", "更正", "撤销"]))]
    outcome: String,
    /// Why, in words
    #[arg(long, value_name = "TEXT", value_parser = crate::cli::words)]
    reason: String,
    /// When it was answered; today where it is not said
    #[arg(long, value_name = "DATE", value_parser = day)]
    answered: Option<String>,
    /// Who decided
    #[arg(long, value_name = "NAME")]
    authority: Option<String>,
    #[command(flatten)]
    how: How,
}

impl Dispute {
    /// Says it, or lists.
    pub async fn run(self, shared: &Shared) -> anyhow::Result<ExitCode> {
        match self {
            Self::Raise(raise) => raise.run(shared).await,
            Self::Answer(answer) => answer.run(shared).await,
            Self::List => list(shared).await,
        }
    }
}

impl Raise {
    async fn run(self, shared: &Shared) -> anyhow::Result<ExitCode> {
        say(shared, "dispute", &self.which, &self.how, |node| {
            let evidence: Vec<Value> = self.evidence.iter().map(|one| digest_of(one)).collect::<anyhow::Result<_>>()?;
            Ok(body([
                ("raised", Some(self.raised.clone().unwrap_or_else(|| node.clock.today().to_string()).into())),
                ("source", text(self.source.as_ref())),
                ("reason", text(Some(&self.reason))),
                ("evidence", (!evidence.is_empty()).then(|| evidence.into())),
            ]))
        })
        .await?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Answer {
    async fn run(self, shared: &Shared) -> anyhow::Result<ExitCode> {
        let wrong = match self.outcome.as_str() {
            "更正" => Some("import the corrected record now 请导入更正后的记录"),
            "撤销" => Some("withdraw the record now: `kaopu withdraw` 请撤回该记录"),
            _ => None,
        };
        let is_said = say(shared, "dispute-answer", &self.which, &self.how, |node| {
            Ok(body([
                ("outcome", text(Some(&self.outcome))),
                ("answered", Some(self.answered.clone().unwrap_or_else(|| node.clock.today().to_string()).into())),
                ("authority", text(self.authority.as_ref())),
                ("reason", text(Some(&self.reason))),
            ]))
        })
        .await?;
        if let Some(next) = wrong.filter(|_| is_said && !shared.json) {
            print_line(&format!("  {next}"));
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Looks at the store; needs no running server and no keys.
async fn list(shared: &Shared) -> anyhow::Result<ExitCode> {
    let config = shared.config()?;
    let (calendar, rules) = (config.calendar()?, config.rules()?);
    let db = Db::open(config.store.expose()).await?;
    let listed = open(&db, &config.node.id, &calendar, rules.deadlines.answer, Clock::System.today()).await;
    db.close().await;
    let listed = listed?;
    if shared.json {
        print_json(&listed)?;
    } else if listed.is_empty() {
        print_line("no dispute waits 没有待处理的异议");
    } else {
        listed.iter().for_each(tell);
    }
    Ok(ExitCode::SUCCESS)
}

fn tell(open: &Open) {
    let whom = [open.name.as_deref(), open.subject.as_deref()].into_iter().flatten().collect::<Vec<_>>().join(" ");
    print_line(&format!("{} {}  {whom}", open.kind, open.words));
    let raised = open.raised.as_deref().unwrap_or("—");
    let until = match (&open.deadline, open.late) {
        (Some(day), false) => format!("answer by {day} 答复期限"),
        (Some(day), true) => format!("answer was due on {day} 已逾期"),
        (None, _) => String::new(),
    };
    print_line(&format!("  raised {raised}, {until}: {}", open.reason));
    match open.stated {
        true => print_line(&format!("  dispute {}: answer it by `kaopu dispute answer`", open.digest)),
        false => print_line(&format!(
            "  claim of {} {}: take it up by `kaopu dispute raise {}`",
            open.by, open.digest, open.digest
        )),
    }
}
