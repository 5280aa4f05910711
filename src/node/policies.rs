//! The policies of a node: read at its start, and again when the folder changes. A set with a fault never comes into force,
//! and each that does is told in the exchange log.

use std::sync::Arc;

use super::peers::Peers;
use super::reload::{Reading, keep_reading};
use super::{Node, NodeError};
use crate::clock::Clock;
use crate::config::Config;
use crate::policy::{Files, InForce, Known, Policies, PolicyFaults};
use crate::statement::Kinds;
use crate::store::pending::Change;
use crate::store::{Db, StoreError};

/// The longest reason of a change, in characters.
const LONGEST_REASON: usize = 2000;

/// The policies that the configuration names: those of its folder, else those that come with the program.
pub fn policies(config: &Config, kinds: &Kinds) -> Result<Policies, PolicyFaults> {
    Policies::of(files(config)?, Known::new(&config.node.id, kinds, &config.groups))
}

fn files(config: &Config) -> Result<Files, PolicyFaults> {
    config.policy.as_deref().map_or_else(|| Ok(Files::builtin()), Files::of_folder)
}

/// Writes down that these are in force, if they were not before, for the exchange log.
async fn put_in_force(db: &Db, clock: &Clock, policies: &Policies) -> Result<bool, StoreError> {
    let texts = policies.files().to_json();
    let ids: Vec<_> = policies.all().map(|policy| policy.id.as_str()).collect();
    let reason: String = ids.join(", ").chars().take(LONGEST_REASON).collect();
    let digest = policies.digest().to_string();
    let change = Change {
        about: "policy",
        subject: "policies",
        action: "in-force",
        by: "kaopu serve",
        reason: Some(&reason),
        digest: Some(&digest),
        at_ms: clock.now_ms(),
    };
    db.put_policies(policies.digest(), texts.as_bytes(), &change).await
}

/// Looks after the policies of a node that serves.
pub(super) struct PolicyKeeper {
    config: Arc<Config>,
    known: Known,
    in_force: InForce,
    db: Db,
    clock: Clock,
    peers: Peers,
}

impl PolicyKeeper {
    /// The set that the node was opened with is in force: writes that down.
    pub(super) async fn start(node: &Node) -> Result<Self, NodeError> {
        put_in_force(&node.db, &node.clock, &node.policies.now()).await?;
        Ok(Self {
            config: Arc::clone(&node.config),
            known: Known::new(&node.id, &node.kinds, &node.config.groups),
            in_force: node.policies.clone(),
            db: node.db.clone(),
            clock: node.clock.clone(),
            peers: Peers::of(node),
        })
    }

    /// Looks for ever.
    pub(super) async fn keep(self) {
        let Self { config, known, in_force, db, clock, peers } = self;
        let (reads, seen) = (config.clone(), in_force.clone());
        let read = move || {
            let files = files(&reads)?;
            if files.digest() == seen.now().digest() {
                return Ok::<_, PolicyFaults>(Reading::Same);
            }
            Policies::of(files, known.clone()).map(Reading::New)
        };
        let take = |policies: Policies| {
            let (in_force, db, clock, peers) = (in_force.clone(), db.clone(), clock.clone(), peers.clone());
            async move {
                // from the first decision by the new set on it is known which that is; the other way round a crash, or a
                // database that is busy, would leave decisions whose policies nobody can read
                if let Err(error) = put_in_force(&db, &clock, &policies).await {
                    return tracing::error!(%error, "the changed policies could not be written down; the old ones go on");
                }
                tracing::info!(digest = %policies.digest(), "took in the changed policies");
                in_force.take(policies);
                peers.log_changes().await;
            }
        };
        if config.policy.is_some() {
            Box::pin(keep_reading("policies", read, take)).await;
        }
    }
}
