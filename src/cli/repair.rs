//! `kaopu repair`: a record of this node repaired, or a repair revoked 信用修复.

use std::process::ExitCode;

use serde_json::Value;

use super::Shared;
use super::granted::{Granted, Ruling};
use super::how::How;
use super::which::{Which, body, day, digest_of, say, text};

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

/// A repair that is revoked: from its day on the record stands again.
#[derive(Debug, clap::Args)]
#[command(mut_arg("reason", |arg| arg.required(true)))]
struct Revoke {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    ruling: Ruling,
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
        say(shared, "repair-revocation", &self.which, &self.how, |node| Ok(self.ruling.body(node.clock.today())))
            .await?;
        Ok(ExitCode::SUCCESS)
    }
}
