//! `kaopu repair`: a record of this node repaired, or a repair revoked 信用修复.

use std::process::ExitCode;

use kaopu::import::mend;
use serde_json::Value;

use super::Shared;
use super::granted::Granted;
use super::which::{How, Which, body, day, digest_of, say, text};

/// Repair a record of this node, or revoke a repair 信用修复
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true, arg_required_else_help = true)]
pub struct Repair {
    #[command(subcommand)]
    step: Option<Step>,
    #[command(flatten)]
    decision: Decision,
}

#[derive(Debug, clap::Subcommand)]
enum Step {
    /// Revoke a repair: the record stands again
    Revoke(Revoke),
}

/// A decision to repair. What is required of it is not where a repair is revoked.
#[derive(Debug, clap::Args)]
#[command(
    mut_arg("of", |arg| arg.required(true)),
    mut_arg("authority", |arg| arg.required(true)),
    mut_arg("reason", |arg| arg.required(true))
)]
struct Decision {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    granted: Granted,
    /// When the subject applied
    #[arg(long, value_name = "DATE", value_parser = day)]
    applied: Option<String>,
    /// When that was accepted
    #[arg(long, value_name = "DATE", value_parser = day)]
    accepted: Option<String>,
    /// The public commitment 信用承诺书: a file, of which the digest is published, or that digest
    #[arg(long, value_name = "FILE|DIGEST")]
    commitment: Option<String>,
    /// Evidence, in the same way; may be given several times
    #[arg(long, value_name = "FILE|DIGEST")]
    evidence: Vec<String>,
    #[command(flatten)]
    how: How,
}

/// A repair that is revoked.
#[derive(Debug, clap::Args)]
struct Revoke {
    #[command(flatten)]
    which: Which,
    /// Why, in words
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Who decided
    #[arg(long, value_name = "NAME")]
    authority: Option<String>,
    /// The 文号 of this decision
    #[arg(long, value_name = "文号")]
    document: Option<String>,
    /// When it was decided; today where it is not said
    #[arg(long, value_name = "DATE", value_parser = day)]
    decided: Option<String>,
    /// From which day on the record stands again; that of the decision where it is not said
    #[arg(long, value_name = "DATE", value_parser = day)]
    effective: Option<String>,
    #[command(flatten)]
    how: How,
}

impl Repair {
    /// Says it.
    pub async fn run(self, shared: &Shared) -> anyhow::Result<ExitCode> {
        match self.step {
            Some(Step::Revoke(revoke)) => revoke.run(shared).await,
            None => self.decision.run(shared).await,
        }
    }
}

impl Decision {
    async fn run(self, shared: &Shared) -> anyhow::Result<ExitCode> {
        say(shared, "repair", &self.which, &self.how, |node| {
            let evidence: Vec<Value> = self.evidence.iter().map(|one| digest_of(one)).collect::<anyhow::Result<_>>()?;
            let mut said = self.granted.body(node.clock.today());
            said.extend(body([
                ("applied", text(self.applied.as_ref())),
                ("accepted", text(self.accepted.as_ref())),
                ("commitment", self.commitment.as_deref().map(digest_of).transpose()?),
                ("evidence", (!evidence.is_empty()).then(|| evidence.into())),
            ]));
            Ok(said)
        })
        .await?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Revoke {
    async fn run(self, shared: &Shared) -> anyhow::Result<ExitCode> {
        say(shared, "repair-revocation", &self.which, &self.how, |node| {
            let decided = self.decided.clone().unwrap_or_else(|| node.clock.today().to_string());
            let effective = self.effective.clone().unwrap_or_else(|| decided.clone());
            Ok(body([
                ("number", self.document.as_ref().map(|number| mend::document_number(number.trim()).into())),
                ("decided", text(Some(&decided))),
                ("authority", text(self.authority.as_ref())),
                ("effective", text(Some(&effective))),
                ("reason", text(Some(&self.reason))),
            ]))
        })
        .await?;
        Ok(ExitCode::SUCCESS)
    }
}
