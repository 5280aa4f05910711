//! `kaopu doctor`: whether all is well with the node and its peers, and what to do where it is not.

use std::process::ExitCode;

use kaopu::clock::Clock;
use kaopu::node::doctor::{Check, Verdict, examine};
use kaopu::statement::NodeId;

use super::{Shared, print_json, print_line};

/// Try this node and its peers in both directions, and say what to do about each fault
///
/// Ends with 0 if all is well and nothing ends soon, else with 1.
#[derive(Debug, clap::Args)]
pub struct Doctor {
    /// Only this peer, beside the node itself
    #[arg(value_name = "PEER")]
    peer: Option<NodeId>,
}

impl Doctor {
    /// Needs the node's files and store, and for half of it a running server.
    pub async fn run(self, shared: &Shared) -> anyhow::Result<ExitCode> {
        let config = shared.config()?;
        let report = Box::pin(examine(&config, &Clock::System, self.peer.as_ref())).await;
        if shared.json {
            print_json(&report)?;
        } else {
            print_line(&format!("{} {}", report.node, config.node.name));
            report.own.iter().for_each(tell);
            for peer in &report.peers {
                print_line("");
                print_line(&format!("{} {}  {}  {}", peer.node, peer.name, peer.url, peer.state));
                peer.checks.iter().for_each(tell);
            }
        }
        Ok(if report.well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn tell(check: &Check) {
    let mark = match check.verdict {
        Verdict::Good => "ok",
        Verdict::Note => "note",
        Verdict::Untested => "-",
        Verdict::Warning => "WARN",
        Verdict::Fault => "FAULT",
    };
    print_line(&format!("  {mark:<5} {:<11} {}", check.name, check.words));
}
