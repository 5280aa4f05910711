//! Whether a `kaopu key rotate` begins a rotation: one call too many must not.

use std::io::IsTerminal as _;

use anyhow::bail;
use kaopu::node::publish::Keeper;
use kaopu::trust::rotation::{Step, Use};

use super::Rotate;

impl Rotate {
    /// Whether it was said, or is said now on the terminal.
    pub(super) async fn begins(&self, keeper: &Keeper<'_>) -> anyhow::Result<bool> {
        if self.begin && matches!(self.of, Use::Certificate | Use::Root) {
            bail!("--begin: {} is replaced in one step, and there is nothing to go on with", self.of);
        }
        // who brings what is to be announced means to announce it
        if self.begin || self.token.is_some() || self.ca.is_some() {
            return Ok(true);
        }
        let begins = keeper.step(self.of).await? == Some(Step::Announce);
        if !begins || !std::io::stdin().is_terminal() {
            return Ok(false);
        }
        if !asked(&format!("No rotation of {} is under way. Begin one? [y/N] ", self.of))? {
            bail!("nothing was begun");
        }
        Ok(true)
    }
}

/// A question to whoever sits at the terminal; what is no yes is a no.
#[expect(clippy::print_stderr, reason = "a result on standard output stays clean")]
fn asked(question: &str) -> anyhow::Result<bool> {
    eprint!("{question}");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    Ok(matches!(line.trim().to_lowercase().as_str(), "y" | "yes" | "是"))
}
