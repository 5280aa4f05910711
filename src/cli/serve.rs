//! `kaopu serve`: the node at work, until it is told to stop.

use std::io::Read as _;
use std::process::ExitCode;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use super::{Shared, print_json, print_line};

/// Serve peers, and pull what they publish
#[derive(Debug, clap::Args)]
pub struct Serve {
    /// Stop when standard input closes, so that the node does not outlive the program that started it
    #[arg(long)]
    until_stdin_closes: bool,
}

impl Serve {
    /// Prints the addresses once they are bound, serves, and ends in order on SIGTERM and SIGINT.
    pub async fn run(self, shared: &Shared) -> anyhow::Result<ExitCode> {
        // before the addresses are printed: whoever reads them may send a signal at once
        let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
        let bound = Box::pin(shared.open().await?.bind()).await?;
        if shared.json {
            print_json(&serde_json::json!({
                "peer": format!("https://{}", bound.peer_address),
                "local": format!("http://{}", bound.local_address),
            }))?;
        } else {
            print_line(&format!("peer interface on https://{}", bound.peer_address));
            print_line(&format!("local API on http://{}", bound.local_address));
        }
        let stdin = stdin_closes(self.until_stdin_closes);
        let shutdown = async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
                () = stdin => {}
            }
        };
        Box::pin(bound.serve(shutdown)).await?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Ends when standard input has, if that was asked for.
async fn stdin_closes(asked: bool) {
    if asked {
        let (closed, heard) = oneshot::channel();
        // a thread of its own: a blocking read cannot be taken back, and must not hold the runtime's end up
        std::thread::spawn(move || {
            let mut rest = [0; 256];
            while matches!(std::io::stdin().read(&mut rest), Ok(n) if n > 0) {}
            let _ = closed.send(());
        });
        let _ = heard.await;
    } else {
        std::future::pending::<()>().await;
    }
}
