//! `kaopu watch inbox`: what followers were told.

use std::process::ExitCode;

use anyhow::{Result, bail};
use kaopu::clock::Clock;
use kaopu::config::Config;
use kaopu::node::kinds;
use kaopu::node::watching::Shown;
use kaopu::store::Db;
use serde_json::json;

use crate::cli::{Shared, print_json, print_line};

/// Show what followers were told, and acknowledge it
#[derive(Debug, clap::Args)]
pub struct Inbox {
    /// Only of this one
    #[arg(long, value_name = "NAME")]
    follower: Option<String>,
    /// Only what nobody has acknowledged
    #[arg(long)]
    unread: bool,
    /// Acknowledge these notices 已阅
    #[arg(long, value_name = "ID", num_args = 1..)]
    ack: Vec<i64>,
    /// Acknowledge all that --follower was told, up to the newest
    #[arg(long, conflicts_with_all = ["ack", "unread"], requires = "follower")]
    all: bool,
    /// So many at most
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: u32,
    /// Those behind this number, as the list before ended
    #[arg(long, value_name = "ID", default_value_t = 0)]
    behind: i64,
}

impl Inbox {
    pub(super) async fn run(self, shared: &Shared, config: &Config, db: &Db) -> Result<ExitCode> {
        let (follower, now_ms) = (self.follower.as_deref(), Clock::System.now_ms());
        if self.all || !self.ack.is_empty() {
            let mut seen = 0;
            if self.all {
                seen = db.seen_up_to(follower, i64::MAX, now_ms).await?;
            }
            for id in &self.ack {
                if !db.seen(follower, *id, now_ms).await? {
                    bail!("no unread notice {id}; `kaopu watch inbox --unread` shows those that are there");
                }
                seen += 1;
            }
            if shared.json {
                print_json(&json!({"acknowledged": seen}))?;
            } else {
                print_line(&format!("{seen} notices acknowledged 已阅 {seen} 条"));
            }
            return Ok(ExitCode::SUCCESS);
        }
        let kinds = kinds(config)?;
        let rows = db.inbox(follower, self.unread, self.behind, self.limit).await?;
        let shown: Vec<Shown> = rows.into_iter().map(|row| Shown::of(row, &kinds)).collect();
        if shared.json {
            print_json(&shown)?;
            return Ok(ExitCode::SUCCESS);
        }
        if shown.is_empty() {
            print_line(
                "nothing was told yet; `kaopu serve` must run, and somebody follow a subject (`kaopu watch list`)",
            );
        }
        for notice in &shown {
            let (seen, what) = (
                if notice.seen.is_some() { " " } else { "*" },
                if notice.event == "void" { " 已作废 void" } else { "" },
            );
            print_line(&format!(
                "{seen}{:>6}  {}  {}  {}  {}{what} by {}",
                notice.id,
                notice.noticed.as_deref().unwrap_or_default(),
                notice.subject,
                notice.name,
                notice.title,
                notice.issuer
            ));
            print_line(&format!(
                "         for {} ({}); {} index {}  {}",
                notice.follower, notice.purpose, notice.origin, notice.index, notice.digest
            ));
        }
        if let Some(last) = shown.last().filter(|_| shown.len() >= self.limit as usize) {
            print_line(&format!("… --behind {} shows more", last.id));
        }
        Ok(ExitCode::SUCCESS)
    }
}
