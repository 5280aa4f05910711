//! The steps of a peer from one state to the next. Each stands on a condition in its own UPDATE, and the tables' triggers
//! hold the same whoever writes: two persons, one after the other, and no step that is none.

use super::account::BUMP;
use super::db::{Tx, int, on, retry};
use super::pending::{Change, commit_noted, note};
use super::{Db, StoreError};
use crate::statement::NodeId;

/// A descriptor that was fetched, or handed in with an invitation.
#[derive(Clone, Copy, Debug)]
pub struct Fetched<'a> {
    /// Whose.
    pub node: &'a NodeId,
    /// The statement.
    pub descriptor: &'a str,
    /// Its sequence.
    pub sequence: u64,
    /// The thumbprint of its root key.
    pub root: &'a str,
    /// That of the next one.
    pub next_root: &'a str,
    /// Another address than the descriptor's.
    pub url: Option<&'a str>,
}

/// A step that needs a person, or the word of the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// `fetched` to `confirmed`: the change's person has typed the fingerprint. A peer that was taken by a file is active
    /// and stays so; once it is confirmed and approved, two persons stand for it like for any other.
    Confirm,
    /// `confirmed` to `fetched` again: the confirmation was a mistake. Any one person may, as with all that takes trust away.
    TakeBack,
    /// `confirmed` to `approved`, by another person.
    Approve,
    /// `approved` to `active`: the other side has approved too.
    Activate,
    /// `active` to `suspended`.
    Suspend,
    /// `suspended` to `active`.
    Resume,
}

// Nobody has confirmed anything yet, so another descriptor may take the place; after a revocation only under other roots,
// and with a sequence above.
const FETCH: &str = "INSERT INTO peer (node, state, descriptor, sequence, root, url, by_file, changed_ms, added_ms) \
     SELECT $1, 'fetched', $2, $3, $4, $5, 0, $6, $6 \
     WHERE NOT EXISTS (SELECT 1 FROM peer p WHERE p.node = $1) \
     AND NOT EXISTS (SELECT 1 FROM revoked_root r WHERE r.node = $1 AND r.root IN ($4, $7))";
const FETCH_AGAIN: &str = "UPDATE peer SET state = 'fetched', descriptor = $2, sequence = $3, root = $4, url = $5, \
     by_file = 0, changed_ms = $6, proposed_by = NULL, approved_by = NULL, reason = NULL, picked_up = NULL, \
     standing = NULL, standing_ms = NULL \
     WHERE node = $1 AND (state = 'fetched' OR (state = 'revoked' AND sequence < $3)) \
     AND NOT EXISTS (SELECT 1 FROM revoked_root r WHERE r.node = $1 AND r.root IN ($4, $7))";
const KEEP: &str = "INSERT INTO descriptor (node, sequence, jws, taken_ms) VALUES ($1, $2, $3, $4) \
     ON CONFLICT (node, sequence) DO UPDATE SET jws = excluded.jws, taken_ms = excluded.taken_ms";
const CONFIRM: &str = "UPDATE peer SET state = CASE WHEN state = 'fetched' THEN 'confirmed' ELSE state END, \
     proposed_by = $1, changed_ms = $2 WHERE node = $3 AND descriptor = $4 AND proposed_by IS NULL \
     AND (state = 'fetched' OR (state = 'active' AND by_file = 1)) \
     AND EXISTS (SELECT 1 FROM account a WHERE a.name = $1 AND a.state = 'active')";
const APPROVE: &str = "UPDATE peer SET state = CASE WHEN state = 'confirmed' THEN 'approved' ELSE state END, \
     approved_by = $1, changed_ms = $2, by_file = 0 \
     WHERE node = $3 AND descriptor = $4 AND proposed_by <> $1 AND approved_by IS NULL \
     AND (state = 'confirmed' OR (state = 'active' AND by_file = 1)) \
     AND EXISTS (SELECT 1 FROM account a WHERE a.name = $1 AND a.state = 'active')";
const TAKE_BACK: &str = "UPDATE peer SET state = 'fetched', proposed_by = NULL, changed_ms = $2 \
     WHERE node = $3 AND descriptor = $4 AND state = 'confirmed' AND approved_by IS NULL \
     AND EXISTS (SELECT 1 FROM account a WHERE a.name = $1 AND a.state = 'active')";
const ACTIVATE: &str = "UPDATE peer SET state = 'active', changed_ms = $1 \
     WHERE node = $2 AND state = 'approved' AND proposed_by IS NOT NULL AND approved_by IS NOT NULL";
const SUSPEND: &str = "UPDATE peer SET state = 'suspended', changed_ms = $1, reason = $2 \
     WHERE node = $3 AND state = 'active' AND EXISTS (SELECT 1 FROM account a WHERE a.name = $4 AND a.state = 'active')";
const RESUME: &str = "UPDATE peer SET state = 'active', changed_ms = $1, reason = NULL \
     WHERE node = $2 AND state = 'suspended' \
     AND EXISTS (SELECT 1 FROM account a WHERE a.name = $3 AND a.state = 'active')";
const REVOKE: &str = "UPDATE peer SET state = 'revoked', changed_ms = $1, reason = $2 \
     WHERE node = $3 AND state <> 'revoked' AND EXISTS (SELECT 1 FROM account a WHERE a.name = $4 AND a.state = 'active')";
const NEVER_AGAIN: &str = "INSERT INTO revoked_root (node, root) VALUES ($1, $2) ON CONFLICT DO NOTHING";
const IS_REVOKED: &str = "SELECT COUNT(*) FROM revoked_root WHERE node = $1 AND root IN ($2, $3)";
const TOLD: &str = "UPDATE peer SET standing = $1, standing_ms = $2 WHERE node = $3";

impl Db {
    /// Begins a ceremony, or replaces what nobody has confirmed yet; false where a peer stands further, or the root key or
    /// its successor was revoked.
    pub async fn fetch_peer(&self, fetched: &Fetched<'_>, change: &Change<'_>) -> Result<bool, StoreError> {
        retry(|| async {
            let mut tx = self.begin().await?;
            on!(change tx, c => sqlx::query(BUMP).execute(c))?;
            let mut taken = 0;
            for sql in [FETCH, FETCH_AGAIN] {
                taken += if taken > 0 {
                    0
                } else {
                    on!(change tx, c => sqlx::query(sql)
                        .bind(fetched.node.as_str())
                        .bind(fetched.descriptor)
                        .bind(int(fetched.sequence))
                        .bind(fetched.root)
                        .bind(fetched.url)
                        .bind(change.at_ms)
                        .bind(fetched.next_root)
                        .execute(c))?
                };
            }
            if taken == 0 {
                return Ok(false);
            }
            on!(change tx, c => sqlx::query(KEEP)
                .bind(fetched.node.as_str())
                .bind(int(fetched.sequence))
                .bind(fetched.descriptor)
                .bind(change.at_ms)
                .execute(c))?;
            note(&mut tx, change).await?;
            tx.commit().await?;
            Ok(true)
        })
        .await
    }

    /// Takes a step with the descriptor that was looked at; false where the peer does not stand so, or the person may not.
    pub async fn step_peer(
        &self,
        step: Step,
        node: &NodeId,
        descriptor: &str,
        change: &Change<'_>,
    ) -> Result<bool, StoreError> {
        retry(|| async {
            let mut tx = self.begin().await?;
            on!(change tx, c => sqlx::query(BUMP).execute(c))?;
            let taken = take(&mut tx, step, node, descriptor, change).await?;
            commit_noted(tx, taken, change).await
        })
        .await
    }

    /// Revokes a peer with the root keys that it has and may have, for ever; false where it is not there, is revoked
    /// already, or the person may not.
    pub async fn revoke_peer(&self, node: &NodeId, roots: &[String], change: &Change<'_>) -> Result<bool, StoreError> {
        retry(|| async {
            let mut tx = self.begin().await?;
            on!(change tx, c => sqlx::query(BUMP).execute(c))?;
            let revoked = on!(change tx, c => sqlx::query(REVOKE)
                .bind(change.at_ms)
                .bind(change.reason)
                .bind(node.as_str())
                .bind(change.by)
                .execute(c))?;
            if revoked == 0 {
                return Ok(false);
            }
            for root in roots {
                on!(change tx, c => sqlx::query(NEVER_AGAIN).bind(node.as_str()).bind(root).execute(c))?;
            }
            note(&mut tx, change).await?;
            tx.commit().await?;
            Ok(true)
        })
        .await
    }

    /// Whether one of these root keys of a node was revoked.
    pub async fn is_root_revoked(&self, node: &NodeId, root: &str, next: &str) -> Result<bool, StoreError> {
        let (count,): (i64,) = on!(read self, c => sqlx::query_as(IS_REVOKED)
            .bind(node.as_str())
            .bind(root)
            .bind(next)
            .fetch_one(c))?;
        Ok(count > 0)
    }

    /// Keeps what a peer says of how this node stands there.
    pub async fn note_standing(&self, node: &NodeId, standing: &str, now_ms: i64) -> Result<(), StoreError> {
        retry(|| async {
            on!(write self, c => sqlx::query(TOLD).bind(standing).bind(now_ms).bind(node.as_str()).execute(c))
        })
        .await?;
        Ok(())
    }
}

async fn take(
    tx: &mut Tx,
    step: Step,
    node: &NodeId,
    descriptor: &str,
    change: &Change<'_>,
) -> Result<u64, StoreError> {
    let (node, at, by) = (node.as_str(), change.at_ms, change.by);
    match step {
        Step::Confirm | Step::TakeBack | Step::Approve => {
            let sql = match step {
                Step::Confirm => CONFIRM,
                Step::TakeBack => TAKE_BACK,
                _ => APPROVE,
            };
            on!(change tx, c => sqlx::query(sql).bind(by).bind(at).bind(node).bind(descriptor).execute(c))
        }
        Step::Activate => on!(change tx, c => sqlx::query(ACTIVATE).bind(at).bind(node).execute(c)),
        Step::Suspend => {
            on!(change tx, c => sqlx::query(SUSPEND).bind(at).bind(change.reason).bind(node).bind(by).execute(c))
        }
        Step::Resume => on!(change tx, c => sqlx::query(RESUME).bind(at).bind(node).bind(by).execute(c)),
    }
}
