//! Whether all is well with a node and with each of its peers, tried for real and in both directions: what the other side
//! sees, it is asked for. Each fault is one sentence that says what to do.

mod own;
mod peer;
mod remedy;
mod witness;

use futures_util::future::join_all;
use serde::Serialize;

use super::reload::read_identity;
use super::settings::Settings;
use super::status::Status;
use super::{NodeError, own_log};
use crate::clock::Clock;
use crate::config::Config;
use crate::log::origin::LogName;
use crate::statement::NodeId;
use crate::store::Db;
use crate::trust::registry::Registry;
use crate::trust::state::PeerState;

/// What was found of one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// All is well.
    Good,
    /// Worth knowing, and nothing is wrong.
    Note,
    /// It could not be tried, since something before it failed.
    Untested,
    /// It works and will not for long, or not as it should.
    Warning,
    /// It does not work.
    Fault,
}

/// One thing that was tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What: `name`, `port`, `tls` …
    pub name: &'static str,
    /// What was found.
    pub verdict: Verdict,
    /// In one sentence, and if something is wrong what to do.
    pub words: String,
}

/// What was found of one peer.
#[derive(Clone, Debug, Serialize)]
pub struct PeerReport {
    /// Its id.
    pub node: NodeId,
    /// Its name.
    pub name: String,
    /// Where it is reached.
    pub url: String,
    /// Where it stands here.
    pub state: PeerState,
    /// What was tried, in order.
    pub checks: Vec<Check>,
}

/// What was found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Whose.
    pub node: NodeId,
    /// Nothing is wrong, and nothing will be soon.
    pub well: bool,
    /// Of the node itself.
    pub own: Vec<Check>,
    /// Of its peers.
    pub peers: Vec<PeerReport>,
}

impl Check {
    fn new(name: &'static str, verdict: Verdict, words: impl Into<String>) -> Self {
        Self { name, verdict, words: words.into() }
    }

    fn good(name: &'static str, words: impl Into<String>) -> Self {
        Self::new(name, Verdict::Good, words)
    }

    fn fault(name: &'static str, words: impl Into<String>) -> Self {
        Self::new(name, Verdict::Fault, words)
    }

    fn warning(name: &'static str, words: impl Into<String>) -> Self {
        Self::new(name, Verdict::Warning, words)
    }

    fn note(name: &'static str, words: impl Into<String>) -> Self {
        Self::new(name, Verdict::Note, words)
    }
}

/// Tries everything, or what concerns one peer and the node itself.
pub async fn examine(config: &Config, clock: &Clock, only: Option<&NodeId>) -> Report {
    let mut own = own::without_store(config, clock);
    let mut peers = Vec::new();
    match with_store(config, clock, only).await {
        Ok((more, found)) => {
            own.extend(more);
            peers = found;
        }
        Err(error) => {
            own.push(Check::fault("store", format!("{error}: see that the store is there and may be opened")));
        }
    }
    let all = own.iter().chain(peers.iter().flat_map(|peer: &PeerReport| &peer.checks));
    let well = all.map(|check| check.verdict).max().is_none_or(|worst| worst < Verdict::Warning);
    Report { node: config.node.id.clone(), well, own, peers }
}

async fn with_store(
    config: &Config,
    clock: &Clock,
    only: Option<&NodeId>,
) -> Result<(Vec<Check>, Vec<PeerReport>), NodeError> {
    let db = Db::open(config.store.expose()).await?;
    let (_, descriptor) = own_log(&db, &config.node.id, LogName::Records).await?;
    let status = Status::of(&db, config, &Settings::readable(config)?, clock).await?;
    let mut checks = own::with_store(config, clock, &db, &descriptor, &status).await;

    let registry = Registry::load(db.clone()).await?;
    let wanted = registry.all().into_iter().filter(|peer| only.is_none_or(|only| *only == peer.node));
    let wanted: Vec<_> = wanted.collect();
    if let Some(only) = only.filter(|_| wanted.is_empty()) {
        let words = format!("{only} is no peer of this node: `kaopu peer list` shows those that are");
        checks.push(Check::fault("peer", words));
    }
    let reports = match read_identity(config, clock.clone()) {
        Ok(identity) => {
            let around = peer::Surroundings { config, clock, db: &db, own: &descriptor, status: &status, identity };
            join_all(wanted.iter().map(|peer| around.examine(peer))).await
        }
        // the own checks say why
        Err(_) => Vec::new(),
    };
    db.close().await;
    Ok((checks, reports))
}
