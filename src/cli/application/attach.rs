//! `kaopu application attachment`: a file beside an application, opened for a clerk of the city that decides.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use anyhow::Context as _;
use kaopu::node::Node;
use kaopu::node::applications::Applications;
use kaopu::statement::Digest;

use super::operator;
use crate::cli::person::As;
use crate::cli::{Shared, print_json, print_line};

/// Open a file beside an application
#[derive(Debug, clap::Args)]
pub struct Open {
    /// The digest of the file, as `kaopu application show` names it
    #[arg(value_name = "DIGEST", value_parser = crate::cli::digest::digest)]
    digest: Digest,
    /// Where it is written, for its owner alone; a file that is there is never overwritten
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    person: As,
}

impl Open {
    pub(super) async fn run(self, shared: &Shared, node: &Node) -> anyhow::Result<()> {
        let by = operator(shared, node, &self.person).await?;
        let bytes = Box::pin(Applications::of(node).open(&self.digest, &by)).await?;
        let path = self.out.display();
        let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&self.out);
        let mut file = opened.with_context(|| format!("{path} was not written; name a file that is not there yet"))?;
        let written = file.write_all(&bytes).and_then(|()| file.sync_all());
        if written.is_err() {
            // half a file is none
            drop(std::fs::remove_file(&self.out));
        }
        written.with_context(|| format!("{path} was not written"))?;
        tracing::info!(attachment = %self.digest, operator = by, "opened an attachment");
        if shared.json {
            return print_json(&serde_json::json!({"digest": self.digest, "bytes": bytes.len(), "file": self.out}));
        }
        print_line(&format!("{path}: {} bytes 已写出", bytes.len()));
        Ok(())
    }
}
