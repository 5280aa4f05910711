//! `kaopu withdraw`: a record of this node that should not have been published 撤回.

use std::process::ExitCode;

use kaopu::import::mend;

use super::Shared;
use super::how::How;
use super::which::{Which, body, day, say, text};

/// Take back a record of this node that should not have been published 撤回
#[derive(Debug, clap::Args)]
pub struct Withdraw {
    #[command(flatten)]
    which: Which,
    /// Why, in words
    #[arg(long, value_name = "TEXT", value_parser = crate::cli::words)]
    reason: String,
    /// When that was decided; today where it is not said
    #[arg(long, value_name = "DATE", value_parser = day)]
    decided: Option<String>,
    /// Who decided
    #[arg(long, value_name = "NAME")]
    authority: Option<String>,
    /// The 文号 of this decision
    #[arg(long, value_name = "文号")]
    document: Option<String>,
    #[command(flatten)]
    how: How,
}

impl Withdraw {
    /// Says it.
    pub async fn run(self, shared: &Shared) -> anyhow::Result<ExitCode> {
        say(shared, "withdrawal", &self.which, &self.how, |node| {
            let decided = self.decided.clone().unwrap_or_else(|| node.clock.today().to_string());
            Ok(body([
                ("number", self.document.as_ref().map(|number| mend::document_number(number.trim()).into())),
                ("authority", text(self.authority.as_ref())),
                ("decided", text(Some(&decided))),
                ("reason", text(Some(&self.reason))),
            ]))
        })
        .await?;
        Ok(ExitCode::SUCCESS)
    }
}
