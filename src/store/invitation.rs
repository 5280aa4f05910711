//! Invitations: whoever shows the secret of one may introduce that node, once and in time.

use sqlx::FromRow;

use super::db::{on, retry};
use super::pending::{Change, note};
use super::{Db, StoreError};
use crate::statement::{Digest, NodeId};

/// An invitation as stored; its secret is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvitationRow {
    /// For whom.
    pub node: NodeId,
    /// Who invited.
    pub invited_by: String,
    /// When, milliseconds since 1970.
    pub made_ms: i64,
    /// Until when it may be used, milliseconds since 1970.
    pub until_ms: i64,
}

/// What an invitation is worth now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvitationUse {
    /// It is open: it was used up just now, or may be.
    Open,
    /// There is none of this secret for this node.
    Unknown,
    /// Its time is over.
    Late,
    /// It was used, or withdrawn by a newer one for the same node.
    Spent,
    /// It was used with this very descriptor: whoever introduced itself has not heard the answer.
    Again,
}

const WITHDRAW: &str = "UPDATE invitation SET used_ms = $1 WHERE node = $2 AND used_ms IS NULL";
const ADD: &str = "INSERT INTO invitation (secret, node, invited_by, made_ms, until_ms) VALUES ($1, $2, $3, $4, $5)";
const OPEN: &str = "SELECT node, invited_by, made_ms, until_ms FROM invitation \
     WHERE used_ms IS NULL AND until_ms > $1 ORDER BY node";
const LOOK: &str = "SELECT until_ms, used_ms, used_by FROM invitation WHERE secret = $1 AND node = $2";
const USE: &str = "UPDATE invitation SET used_ms = $1, used_by = $4 \
     WHERE secret = $2 AND node = $3 AND used_ms IS NULL AND until_ms > $1";

impl Db {
    /// Adds one by the SHA-256 of its secret; an earlier one for the same node is withdrawn.
    pub async fn add_invitation(
        &self,
        secret: &[u8; 32],
        invitation: &InvitationRow,
        change: &Change<'_>,
    ) -> Result<(), StoreError> {
        retry(|| async {
            let mut tx = self.begin().await?;
            let node = invitation.node.as_str();
            on!(change tx, c => sqlx::query(WITHDRAW).bind(invitation.made_ms).bind(node).execute(c))?;
            on!(change tx, c => sqlx::query(ADD)
                .bind(&secret[..])
                .bind(node)
                .bind(&invitation.invited_by)
                .bind(invitation.made_ms)
                .bind(invitation.until_ms)
                .execute(c))?;
            note(&mut tx, change).await?;
            tx.commit().await
        })
        .await
    }

    /// Those that may still be used, by node.
    pub async fn invitations(&self, now_ms: i64) -> Result<Vec<InvitationRow>, StoreError> {
        let rows: Vec<Row> = on!(read self, c => sqlx::query_as(OPEN).bind(now_ms).fetch_all(c))?;
        rows.into_iter().map(InvitationRow::try_from).collect()
    }

    /// Uses one up, with the descriptor of this digest: of any number that try, one does.
    pub async fn use_invitation(
        &self,
        secret: &[u8; 32],
        node: &NodeId,
        descriptor: &Digest,
        now_ms: i64,
    ) -> Result<InvitationUse, StoreError> {
        let used = retry(|| async {
            on!(write self, c => sqlx::query(USE)
                .bind(now_ms)
                .bind(&secret[..])
                .bind(node.as_str())
                .bind(descriptor.to_string())
                .execute(c))
        })
        .await?;
        if used == 1 {
            return Ok(InvitationUse::Open);
        }
        self.look_at_invitation(secret, node, descriptor, now_ms).await
    }

    /// What one is worth to who introduces itself by the descriptor of this digest, without using it up.
    pub async fn look_at_invitation(
        &self,
        secret: &[u8; 32],
        node: &NodeId,
        descriptor: &Digest,
        now_ms: i64,
    ) -> Result<InvitationUse, StoreError> {
        let found: Option<(i64, Option<i64>, Option<String>)> =
            on!(read self, c => sqlx::query_as(LOOK).bind(&secret[..]).bind(node.as_str()).fetch_optional(c))?;
        Ok(match found {
            None => InvitationUse::Unknown,
            Some((until_ms, Some(_), Some(by))) if by == descriptor.to_string() && until_ms > now_ms => {
                InvitationUse::Again
            }
            Some((_, Some(_), _)) => InvitationUse::Spent,
            Some((until_ms, None, _)) if until_ms <= now_ms => InvitationUse::Late,
            Some((_, None, _)) => InvitationUse::Open,
        })
    }
}

#[derive(FromRow)]
struct Row {
    node: String,
    invited_by: String,
    made_ms: i64,
    until_ms: i64,
}

impl TryFrom<Row> for InvitationRow {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            node: row.node.parse().map_err(|_| StoreError::Corrupt(format!("an invitation of {:?}", row.node)))?,
            invited_by: row.invited_by,
            made_ms: row.made_ms,
            until_ms: row.until_ms,
        })
    }
}
