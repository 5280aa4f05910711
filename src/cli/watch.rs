//! `kaopu watch`: who follows which subject, and what they were told.

mod inbox;
mod subjects;
mod webhook;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use jiff::civil::Date;
use kaopu::clock::Clock;
use kaopu::config::Config;
use kaopu::node::kinds;
use kaopu::node::lookup::subject_key;
use kaopu::node::policies::policies;
use kaopu::node::status::time;
use kaopu::node::watching::{Granted, NotFollowed, Wish, follow};
use kaopu::record::Purpose;
use kaopu::statement::Digest;
use kaopu::store::Db;
use kaopu::store::watch::{WatchRow, Which};
use serde_json::json;

use super::{Shared, print_json, print_line};

/// Follow subjects 动态监测: whoever does is told what is published about them anywhere
#[derive(Debug, clap::Subcommand)]
pub enum Watch {
    /// Follow subjects, from now on; again with others words changes until when and where it is told
    Add(Add),
    /// List who follows what
    List(List),
    /// Follow subjects no longer; what was told stays in the inbox
    Remove(Remove),
    /// Show what followers were told, and acknowledge it
    Inbox(inbox::Inbox),
    /// List webhooks and how it goes with them, try one again, or drop one
    #[command(subcommand)]
    Webhook(webhook::Webhook),
}

/// Follow subjects, from now on
#[derive(Debug, clap::Args)]
pub struct Add {
    #[command(flatten)]
    subjects: Subjects,
    /// On whose behalf: a department or a system
    #[arg(long, value_name = "NAME")]
    follower: String,
    /// What for 用途: approval, procurement, tender, subsidy, award, investment, finance, supervision, judicial, self
    #[arg(long)]
    purpose: Purpose,
    /// The last day on which anything is told
    #[arg(long, value_name = "DATE")]
    until: Option<Date>,
    /// Digest of what the subjects authorised this by 授权书摘要; a natural person is not followed without it
    #[arg(long, value_name = "DIGEST", value_parser = crate::cli::digest::digest)]
    authorisation: Option<Digest>,
    /// Where it is told beside the inbox: notices are posted there, signed
    #[arg(long, value_name = "URL")]
    webhook: Option<String>,
}

/// Which subjects.
#[derive(Debug, clap::Args)]
pub struct Subjects {
    /// Their 统一社会信用代码, or 工商注册号
    #[arg(value_name = "USCC", value_parser = subject_key)]
    codes: Vec<String>,
    /// A list of names and codes: CSV or XLSX with the headers 企业名称 and 统一社会信用代码
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

/// List who follows what
#[derive(Debug, clap::Args)]
pub struct List {
    /// Only of this one
    #[arg(long, value_name = "NAME")]
    follower: Option<String>,
    /// Only of this subject
    #[arg(long, value_name = "USCC", value_parser = subject_key)]
    subject: Option<String>,
    /// Only for this purpose
    #[arg(long)]
    purpose: Option<Purpose>,
    /// So many at most
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: u32,
    /// Those behind this number, as the list before ended
    #[arg(long, value_name = "ID", default_value_t = 0)]
    behind: i64,
}

/// Follow subjects no longer
#[derive(Debug, clap::Args)]
pub struct Remove {
    #[command(flatten)]
    subjects: Subjects,
    /// On whose behalf they were followed
    #[arg(long, value_name = "NAME")]
    follower: String,
    /// Only for this purpose
    #[arg(long)]
    purpose: Option<Purpose>,
    /// All that this follower follows
    #[arg(long, conflicts_with_all = ["codes", "file"])]
    all: bool,
}

impl Watch {
    /// Works on the store; needs no running server and no keys.
    pub async fn run(self, shared: &Shared) -> Result<ExitCode> {
        let config = shared.config()?;
        let db = Db::open(config.store.expose()).await?;
        let done = match self {
            Self::Add(add) => Box::pin(add.run(shared, &config, &db)).await,
            Self::List(list) => list.run(shared, &db).await,
            Self::Remove(remove) => remove.run(shared, &config, &db).await,
            Self::Inbox(inbox) => inbox.run(shared, &config, &db).await,
            Self::Webhook(webhook) => webhook.run(shared, &db).await,
        };
        db.close().await;
        done
    }
}

impl Add {
    async fn run(self, shared: &Shared, config: &Config, db: &Db) -> Result<ExitCode> {
        let kinds = kinds(config)?;
        let policies = policies(config, &kinds)?;
        let named = subjects::named(&self.subjects, &kinds, db).await?;
        let wish = Wish {
            follower: self.follower.trim().to_owned(),
            purpose: self.purpose,
            authorisation: self.authorisation,
            until_ms: self.until.map(end_of).transpose()?,
            webhook: self.webhook,
            added_by: shared.operator(),
        };
        let granted = follow(db, config, &policies, &Clock::System, &wish, &named.subjects).await?;
        let Granted { followed, added, refused, .. } = &granted;
        if shared.json {
            print_json(&json!({
                "follower": wish.follower, "purpose": wish.purpose, "subjects": followed, "added": added,
                "refused": refused, "policies": granted.policies, "policy_set": granted.policy_set,
                "faults": named.faults_json(),
            }))?;
        } else {
            named.tell_faults();
            for NotFollowed { subject, policies, reason } in refused {
                let by = if policies.is_empty() { "no policy".to_owned() } else { policies.join(", ") };
                print_line(&format!("{subject} is not followed 不予关注: {reason} ({by})"));
            }
            print_line(&format!(
                "{} follows {followed} subjects for {} {} 已关注 {followed} 户: {added} new, {} as before",
                wish.follower,
                wish.purpose,
                wish.purpose.title(),
                followed.saturating_sub(*added)
            ));
        }
        Ok(if named.is_clean() && refused.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

impl List {
    async fn run(self, shared: &Shared, db: &Db) -> Result<ExitCode> {
        let which = Which { follower: self.follower, subject: self.subject, purpose: self.purpose };
        let rows = db.watches(&which, self.behind, self.limit).await?;
        if shared.json {
            let shown: Vec<_> = rows.iter().map(shown).collect();
            print_json(&shown)?;
            return Ok(ExitCode::SUCCESS);
        }
        if rows.is_empty() {
            print_line("nobody follows that; `kaopu watch add USCC --follower NAME --purpose supervision` begins");
        }
        for row in &rows {
            let until = row.until_ms.and_then(day).map(|day| format!(" until {day}")).unwrap_or_default();
            let webhook = row.webhook.as_deref().map(|url| format!("  → {url}")).unwrap_or_default();
            let (name, since) = (row.name.as_deref().unwrap_or(""), day(row.since_ms).unwrap_or_default());
            print_line(&format!(
                "{:>6}  {}  {name}  {} for {} since {since}{until}{webhook}",
                row.id, row.subject, row.follower, row.purpose
            ));
        }
        if let Some(last) = rows.last().filter(|_| rows.len() >= self.limit as usize) {
            print_line(&format!("… --behind {} shows more", last.id));
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Remove {
    async fn run(self, shared: &Shared, config: &Config, db: &Db) -> Result<ExitCode> {
        let follower = Some(self.follower.trim().to_owned());
        let mut removed = 0;
        if self.all {
            removed = db.unfollow(&Which { follower, subject: None, purpose: self.purpose }).await?;
        } else {
            let named = subjects::named(&self.subjects, &kinds(config)?, db).await?;
            if !named.is_clean() {
                named.tell_faults();
                bail!("nothing was removed: the list has faults");
            }
            for followed in &named.subjects {
                let subject = Some(followed.subject.clone());
                let which = Which { follower: follower.clone(), subject, purpose: self.purpose };
                removed += db.unfollow(&which).await?;
            }
        }
        if shared.json {
            print_json(&json!({"removed": removed}))?;
        } else {
            print_line(&format!("{removed} watches ended 已取消关注 {removed} 项; what was told stays in the inbox"));
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn shown(row: &WatchRow) -> serde_json::Value {
    json!({
        "id": row.id, "subject": row.subject, "name": row.name, "follower": row.follower, "purpose": row.purpose,
        "since": time(row.since_ms), "until": row.until_ms.and_then(time), "webhook": row.webhook, "added_by": row.added_by,
        "policies": row.policies.as_deref().map(|ids| ids.split_whitespace().collect::<Vec<_>>()),
        "policy_set": row.policy_set, "authorisation": row.authorisation,
    })
}

/// The first moment of the day after, in the Delta (UTC+8), milliseconds since 1970.
fn end_of(day: Date) -> Result<i64> {
    let next = day.tomorrow().context("--until: no such day")?;
    Ok(jiff::tz::offset(8).to_timestamp(next.at(0, 0, 0, 0)).context("--until: no such day")?.as_millisecond())
}

fn day(ms: i64) -> Option<String> {
    Some(kaopu::clock::date_of(ms.div_euclid(1000)).to_string())
}
