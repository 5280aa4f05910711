//! What is made of a repair: here, or of this node's own, at each partner, and within which time.

use std::collections::HashMap;

use jiff::civil::Date;
use serde::Serialize;
use serde_json::Value;

use super::partners::partner_from;
use super::{Case, RecogniseError, Recogniser};
use crate::clock::date_of;
use crate::node::status::time;
use crate::policy::may_read;
use crate::statement::{Digest, NodeId, Statement};
use crate::store::StoreError;
use crate::store::said_by::Operator;
use crate::trust::state::PeerState;

/// So many are listed.
const MOST: u32 = 1000;

/// A repair or revocation, and what is made of it: here, or of this node's own, at each partner.
#[derive(Clone, Debug, Serialize)]
pub struct Overview {
    /// Its digest.
    pub digest: Digest,
    /// The Chinese title of its kind.
    pub title: String,
    /// Who decided it.
    pub issuer: NodeId,
    /// When it was stated, RFC 3339.
    pub issued: String,
    /// Its type and reason.
    pub words: String,
    /// The subject's name.
    pub name: String,
    /// The record.
    pub record: Digest,
    /// The Chinese title of the record's kind.
    pub record_title: String,
    /// What was decided, by whom.
    pub partners: Vec<Partner>,
    /// Why nothing could be decided here when that was tried last.
    pub fault: Option<String>,
}

/// What a node made of a repair.
#[derive(Clone, Debug, Serialize)]
pub struct Partner {
    /// The node.
    pub node: NodeId,
    /// `recognised`, `refused`, `pending` or `silent`; `unaddressed`: it may not read the repair, and is not asked.
    pub outcome: String,
    /// When it said so, RFC 3339.
    pub when: Option<String>,
    /// Working days from the repair to that.
    pub after_days: Option<u32>,
    /// The last day for it; None where nothing is asked of it.
    pub deadline: Option<String>,
    /// Nothing was decided for good within it.
    pub late: bool,
    /// Why.
    pub reason: Option<String>,
    /// The person who decided.
    pub by: Option<String>,
    /// Whom this node keeps beside its own decision as the one who had it said; None where it decided by itself.
    pub operator: Option<Operator>,
}

impl Recogniser {
    /// What is not decided here for good, the oldest first.
    pub async fn waiting(&self) -> Result<Vec<Overview>, RecogniseError> {
        let mut waiting = Vec::new();
        for one in self.db.to_recognise(MOST).await? {
            match self.overview(&one.digest).await {
                Ok(overview) => waiting.push(Overview { fault: one.fault, ..overview }),
                Err(RecogniseError::Unknown(_)) => {} // what it is about was taken back
                Err(error) => return Err(error),
            }
        }
        Ok(waiting)
    }

    /// What is made of a repair or revocation: here, or of this node's own, at each partner.
    pub async fn overview(&self, digest: &Digest) -> Result<Overview, RecogniseError> {
        let case = self.any_case(digest).await?;
        let partners = if case.statement.iss == self.node {
            let mut nodes: Vec<NodeId> =
                self.registry.peers().iter().map(|peer| peer.descriptor.node.clone()).collect();
            // of one that is no peer any more, what it said then
            nodes
                .extend(case.life.said.iter().map(|said| said.statement.iss.clone()).filter(|node| *node != self.node));
            nodes.sort_unstable();
            nodes.dedup();
            nodes
        } else {
            vec![self.node.clone()]
        };
        let own: Vec<Digest> = case.decided_by(&self.node).last().map(|last| last.digest).into_iter().collect();
        let mut operators = self.db.operators(&own).await?;
        let active_from = self.active_from().await?;
        let mut partners: Vec<Partner> =
            partners.iter().map(|node| self.partner(&case, node, active_from.get(node).copied())).collect();
        for partner in partners.iter_mut().filter(|partner| partner.node == self.node) {
            partner.operator = own.first().and_then(|digest| operators.remove(digest));
        }
        let text = |member: &str| case.statement.body.get(member).and_then(Value::as_str).unwrap_or_default();
        let title = |statement: &Statement| {
            let kind = self.kinds.find(&statement.typ);
            kind.map_or_else(|| statement.typ.kind.clone(), |kind| kind.title.clone())
        };
        Ok(Overview {
            digest: case.digest,
            title: title(&case.statement),
            issuer: case.statement.iss.clone(),
            issued: spoken(case.statement.iat),
            words: format!("{} {}", text("type"), text("reason")).trim().to_owned(),
            name: case.statement.sub.as_ref().map(|sub| sub.name().to_owned()).unwrap_or_default(),
            record: case.record.0,
            record_title: title(&case.record.1),
            partners,
            fault: None,
        })
    }

    /// Whether a node is to decide: of what is addressed, whoever may read it.
    fn is_asked(&self, case: &Case, node: &NodeId) -> bool {
        *node == self.node || may_read(&self.groups, &case.statement.aud, &case.statement.iss, node)
    }

    /// Since when each partner is one.
    async fn active_from(&self) -> Result<HashMap<NodeId, Date>, StoreError> {
        let active = self.db.peers().await?.into_iter().filter(|peer| peer.state == PeerState::Active);
        Ok(active.map(|peer| (peer.node.clone(), partner_from(&peer))).collect())
    }

    fn partner(&self, case: &Case, node: &NodeId, active_from: Option<Date>) -> Partner {
        let came = date_of(case.statement.iat);
        let due_from = active_from.map_or(came, |from| from.max(came));
        let (calendar, deadline) = (self.settings.calendar.now(), self.settings.recognised_by(due_from).date);
        let last = case.decided_by(node).last().map(|last| &last.statement);
        let text =
            |member: &str| last.and_then(|last| last.body.get(member)).and_then(Value::as_str).map(str::to_owned);
        // whatever its groups say now, who has decided could read it
        let asked = last.is_some() || self.is_asked(case, node);
        let silent = if asked { "silent" } else { "unaddressed" };
        let outcome = text("outcome").unwrap_or_else(|| silent.to_owned());
        let decided = matches!(outcome.as_str(), "recognised" | "refused");
        let day = last.map(|last| date_of(last.iat));
        Partner {
            node: node.clone(),
            when: last.map(|last| spoken(last.iat)),
            // in a year that the calendar does not have nobody knows
            after_days: day.filter(|_| decided).and_then(|day| calendar.working_days_between(came, day).ok()),
            late: asked && day.filter(|_| decided).unwrap_or_else(|| self.clock.today()) > deadline,
            deadline: asked.then(|| deadline.to_string()),
            reason: text("reason"),
            by: text("decided_by"),
            operator: None,
            outcome,
        }
    }
}

fn spoken(seconds: i64) -> String {
    seconds.checked_mul(1000).and_then(time).unwrap_or_default()
}
