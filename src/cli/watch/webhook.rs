//! `kaopu watch webhook`: where notices are posted, and how that goes.

use std::process::ExitCode;

use anyhow::{Result, bail};
use kaopu::clock::Clock;
use kaopu::node::watching::WatchStatus;
use kaopu::store::Db;
use serde_json::json;

use crate::cli::{Shared, print_json, print_line};

/// List webhooks and how it goes with them, try one again, or drop one
#[derive(Debug, clap::Subcommand)]
pub enum Webhook {
    /// List them, with what waits for each
    List,
    /// Try at once whatever waits for one
    Retry {
        /// Its number
        id: i64,
    },
    /// Drop one with whatever waits for it; its watches tell the inbox alone
    Remove {
        /// Its number
        id: i64,
    },
}

impl Webhook {
    pub(super) async fn run(self, shared: &Shared, db: &Db) -> Result<ExitCode> {
        let status = WatchStatus::of(db, &Clock::System).await?;
        let known = |id: i64| match status.webhooks.iter().find(|webhook| webhook.id == id) {
            Some(webhook) => Ok(webhook.url.clone()),
            None => bail!("there is no webhook {id}; `kaopu watch webhook list` shows those that are there"),
        };
        let (id, done) = match self {
            Self::List if shared.json => {
                print_json(&status.webhooks)?;
                return Ok(ExitCode::SUCCESS);
            }
            Self::List => {
                if status.webhooks.is_empty() {
                    print_line("no webhooks; `kaopu watch add … --webhook URL` adds one");
                }
                for webhook in &status.webhooks {
                    print_line(&format!("{:>4}  {}  {}", webhook.id, webhook.url, webhook.summary));
                }
                return Ok(ExitCode::SUCCESS);
            }
            Self::Retry { id } => {
                known(id)?;
                db.try_at_once(id).await?;
                (id, "is tried again at once")
            }
            Self::Remove { id } => {
                known(id)?;
                db.drop_webhook(id).await?;
                (id, "is dropped; its watches tell the inbox alone")
            }
        };
        if shared.json {
            print_json(&json!({"webhook": id}))?;
        } else {
            print_line(&format!("webhook {id} at {} {done}", known(id)?));
        }
        Ok(ExitCode::SUCCESS)
    }
}
