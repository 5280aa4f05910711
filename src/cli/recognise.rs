//! `kaopu recognise`: repairs of partner cities, and what this node makes of them; and own repairs, and what the partners do.

use std::process::ExitCode;

use anyhow::bail;
use kaopu::node::Node;
use kaopu::node::recognise::{Overview, Partner, Recogniser};
use kaopu::node::rng;
use kaopu::policy::Outcome;
use kaopu::statement::Digest;

use super::person::As;
use super::record::tell_operator;
use super::{Shared, print_json, print_line};
use kaopu::node::peers::Peers;

/// Show and decide on repairs of partner cities 修复互认
#[derive(Debug, clap::Subcommand)]
pub enum Recognise {
    /// What waits for a person, with its deadline
    List,
    /// A repair or revocation: what was decided on it, here or, of an own one, at each partner
    Show {
        /// Its digest
        #[arg(value_name = "DIGEST", value_parser = crate::cli::digest::digest)]
        digest: Digest,
    },
    /// Decide, on what is pending or anew
    Decide {
        /// Its digest
        #[arg(value_name = "DIGEST", value_parser = crate::cli::digest::digest)]
        digest: Digest,
        /// What is decided: recognised or refused
        #[arg(value_name = "OUTCOME", value_parser = outcome)]
        outcome: Outcome,
        /// Why; needed to refuse
        #[arg(long, value_name = "TEXT", required_if_eq("outcome", "refused"), value_parser = crate::cli::words)]
        reason: Option<String>,
        #[command(flatten)]
        person: As,
        /// Who decides, where this node has no accounts
        #[arg(long, value_name = "NAME")]
        operator: Option<String>,
    },
}

fn outcome(text: &str) -> Result<Outcome, String> {
    match text {
        "recognised" => Ok(Outcome::Recognised),
        "refused" => Ok(Outcome::Refused),
        _ => Err("recognised or refused is expected".to_owned()),
    }
}

impl Recognise {
    /// Beside a running server or without one.
    pub async fn run(self, shared: &Shared) -> anyhow::Result<ExitCode> {
        shared.on_node(async |node| self.act(shared, node).await).await?;
        Ok(ExitCode::SUCCESS)
    }

    async fn act(self, shared: &Shared, node: &Node) -> anyhow::Result<()> {
        let recogniser = Recogniser::of(node);
        match self {
            Self::List => list(shared, &recogniser.waiting().await?),
            Self::Show { digest } => {
                let overview = recogniser.overview(&digest).await?;
                if shared.json {
                    return print_json(&overview);
                }
                tell(&overview);
                Ok(())
            }
            Self::Decide { digest, outcome, reason, person, operator } => {
                let peers = Peers::of(node);
                let by = match (person.person(&peers).await?, operator) {
                    (Some(person), _) => person.name().to_owned(),
                    (None, _) if !peers.accounts().await?.is_empty() => {
                        bail!("a person decides this: say --as NAME; `kaopu user list` shows who there is")
                    }
                    (None, Some(operator)) => operator,
                    (None, None) => bail!("who decides? say --operator NAME, or --as NAME where there are accounts"),
                };
                let recognition = recogniser.decide(&digest, outcome, &by, reason, &mut rng()).await?;
                if shared.json {
                    return print_json(
                        &serde_json::json!({"repair": digest, "outcome": outcome.as_str(), "recognition": recognition}),
                    );
                }
                print_line(&format!("{digest} {}: {recognition}", outcome.as_str()));
                Ok(())
            }
        }
    }
}

fn list(shared: &Shared, waiting: &[Overview]) -> anyhow::Result<()> {
    if shared.json {
        return print_json(&waiting);
    }
    if waiting.is_empty() {
        print_line("nothing waits for a person 无待办互认");
    }
    for overview in waiting {
        tell(overview);
        print_line("");
    }
    Ok(())
}

fn tell(overview: &Overview) {
    print_line(&format!("{} {}  {}", overview.title, overview.digest, overview.name));
    print_line(&format!("  by {} {}: {}", overview.issuer, overview.issued, overview.words));
    print_line(&format!("  about {} {}", overview.record_title, overview.record));
    for Partner { node, outcome, when, after_days, deadline, late, reason, by, operator } in &overview.partners {
        let when = when.as_deref().map(|when| format!(" {when}")).unwrap_or_default();
        let after = after_days.map(|days| format!(", after {days} working days")).unwrap_or_default();
        if outcome == "unaddressed" {
            print_line(&format!("  {node}  not asked: the repair is not addressed to it 未发送对方，无需互认"));
            continue;
        }
        let due = deadline.as_deref().map(|deadline| format!(", due {deadline}")).unwrap_or_default();
        let late = if *late { " LATE 逾期" } else { "" };
        let by = by.as_deref().map(|by| format!(" by {by}")).unwrap_or_default();
        let reason = reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
        print_line(&format!("  {node}  {outcome}{by}{when}{after}{due}{late}{reason}"));
        tell_operator("    ", operator.as_ref());
    }
    if let Some(fault) = &overview.fault {
        print_line(&format!("  nothing could be decided, and it is tried again: {fault}"));
    }
}
