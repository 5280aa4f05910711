//! `kaopu demo`: five nodes of this program on this machine, each with invented uploads, exchanging them.
//!
//! Nothing is staged: each node is made, introduced, fed and served by the commands that an administrator and a clerk
//! would type. The demo itself only looks into the five stores and says what it sees there.

mod application;
mod ceremony;
mod folder;
mod look_up;
mod news;
mod nodes;
mod repair;
mod samples;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};

use self::folder::Folder;
use self::news::News;
use self::nodes::{Running, SITES};
use super::print_line as say;

/// How long the nodes may take to agree before `--exit` calls it a failure.
const IN_STEP_WITHIN: Duration = Duration::from_secs(120);

/// Five nodes with sample data, syncing, on this machine
#[derive(Debug, clap::Args)]
pub struct Demo {
    /// The folder in which the nodes are made; what is there of an earlier demo goes on
    #[arg(default_value = "demo")]
    dir: PathBuf,
    /// End when all five hold the same five logs; fail if that takes more than two minutes
    #[arg(long)]
    exit: bool,
    /// Begin anew: delete what an earlier demo left in the folder
    #[arg(long)]
    fresh: bool,
}

impl Demo {
    /// Runs the demo until it is interrupted, or with `--exit` until the nodes agree.
    pub async fn run(self) -> Result<ExitCode> {
        let folder = Folder::prepare(&self.dir, self.fresh)?;
        let mut running = None;
        let outcome = tokio::select! {
            outcome = Box::pin(show(&folder, self.exit, &mut running)) => outcome,
            interrupted = tokio::signal::ctrl_c() => {
                say("");
                say("Interrupted: the nodes end too. The same command goes on from here.");
                interrupted.context("cannot listen for Ctrl-C").map(|()| ExitCode::SUCCESS)
            }
        };
        match running {
            Some(running) => running.stop().await.and(outcome),
            None => outcome,
        }
    }
}

async fn show(folder: &Folder, exit: bool, running: &mut Option<Running>) -> Result<ExitCode> {
    say("Kaopu: five cities, five nodes, invented records (示例)");
    say("");
    let new = nodes::make(folder).await?;
    if new {
        repair::lay_out_policy(folder).await?;
    }
    let running = running.insert(nodes::start(folder).await?);
    if new {
        ceremony::enrol(folder).await?;
        folder.note_made()?;
    }
    let news = News::watch(folder).await?;

    say("");
    for (site, sample) in samples::in_turn() {
        if !folder.has_imported(site, sample)? {
            news.follow(site, nodes::import(folder, site, sample)).await?;
            folder.note_imported(site, sample)?;
        }
    }

    let agreed = news.until_in_step(IN_STEP_WITHIN).await?;
    say("");
    say(if agreed {
        "All five nodes hold the same five logs, each entry proven and each signature verified:"
    } else {
        "The nodes do not hold the same logs; serve.log in the folder of each says why:"
    });
    news.tell_who_holds_what().await?;
    if exit && !agreed {
        return Ok(ExitCode::FAILURE);
    }

    say("");
    look_up::show(folder, &SITES[0]).await?;
    say("");
    repair::show(folder).await?;
    say("");
    application::show(folder).await?;
    say("");
    repair::report(folder).await?;
    if exit {
        return Ok(ExitCode::SUCCESS);
    }
    tell_how_to_go_on(folder);
    tokio::select! {
        told = news.tell_for_ever() => told.map(|()| ExitCode::SUCCESS),
        ended = running.any_ends() => {
            say(&ended);
            Ok(ExitCode::FAILURE)
        }
    }
}

fn tell_how_to_go_on(folder: &Folder) {
    let kaopu = folder::this_program();
    let [putuo, maanshan, ..] = &SITES;
    let (here, there) = (folder.config(putuo), folder.config(maanshan));
    let upload = folder.sample(maanshan, "penalty-corrected.csv");
    let origin = format!("kaopu/{}/records/1", maanshan.id);
    say("");
    say("The nodes run until Ctrl-C, and news are told here. By hand, in another terminal:");
    for (what, command) in [
        ("what Putuo knows of a peer", format!("{kaopu} peer show -c {here} {}", maanshan.id)),
        ("what Putuo holds of each peer", format!("{kaopu} status -c {here}")),
        ("subjects by name", format!("{kaopu} record -c {here} --name 马鞍山示例")),
        ("one enterprise, for a script", format!("{kaopu} record -c {here} {} --json", samples::ENTERPRISE.0)),
        ("the receipts of Ma'anshan", format!("{kaopu} upload list -c {there}")),
        (
            "edit this upload, send it again, watch it spread",
            format!("{kaopu} import -c {there} {upload} --kind penalty"),
        ),
        ("take a mirrored log along", format!("{kaopu} audit export -c {here} --origin {origin} audit")),
        ("and verify it, trusting nobody", format!("{kaopu} audit verify --log audit")),
    ] {
        say(&format!("  # {what}"));
        say(&format!("  {command}"));
    }
    say("");
}
