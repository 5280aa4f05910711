//! Disputes about this node's records that wait: for this node to state them, or for its answer.

use std::collections::{HashMap, HashSet};

use serde::Serialize;

use super::find::words;
use crate::log::event::Target;
use crate::record::{Calendar, date};
use crate::statement::{Digest, NodeId, Statement};
use crate::store::{Db, StoreError};

/// A dispute that waits.
#[derive(Clone, Debug, Serialize)]
pub struct Open {
    /// The dispute.
    pub digest: Digest,
    /// Who stated it.
    pub by: NodeId,
    /// This node states it too, and must answer. False: it is another node's claim that this node has not taken up.
    pub stated: bool,
    /// When it was raised.
    pub raised: Option<String>,
    /// Why.
    pub reason: String,
    /// The day by which it is to be answered.
    pub deadline: Option<String>,
    /// That day is over.
    pub late: bool,
    /// The record.
    pub record: Option<Digest>,
    /// The kind of the record.
    pub kind: String,
    /// What tells the record from others.
    pub words: String,
    /// The key of its subject.
    pub subject: Option<String>,
    /// The name of its subject.
    pub name: Option<String>,
}

/// Those of a node, oldest first.
pub async fn open(
    db: &Db,
    node: &NodeId,
    calendar: &Calendar,
    answer_within: u32,
    today: jiff::civil::Date,
) -> Result<Vec<Open>, StoreError> {
    let mut disputes: Vec<(Digest, Statement)> = Vec::new();
    let mut settled = HashSet::new();
    for (digest, statement) in db.disputes(node).await? {
        let about = statement.refs.first().copied();
        match statement.typ.kind.as_str() {
            // one that this node states about another's claim is what is answered from then on
            "dispute" => {
                settled.extend(about.filter(|_| statement.iss == *node));
                disputes.push((digest, statement));
            }
            _ => settled.extend(about),
        }
    }
    disputes.retain(|(digest, _)| !settled.contains(digest));
    let mut records: HashMap<Digest, Digest> = HashMap::new();
    for (digest, statement) in &disputes {
        records.extend(statement.refs.first().map(|about| (*digest, *about)));
    }
    // one about another node's claim is about the record that the claim is about
    let claims = db.lives(&records.values().copied().collect::<Vec<_>>(), &HashSet::new()).await?;
    for about in records.values_mut() {
        if let Some(Target::Here(claim, place)) = claims.targets.get(about)
            && claim.typ.kind != place.kind
        {
            *about = claim.refs.first().copied().unwrap_or(*about);
        }
    }
    let lives = db.lives(&records.values().copied().collect::<Vec<_>>(), &HashSet::new()).await?;
    let told = disputes.into_iter().map(|(digest, statement)| {
        let member = |name: &str| statement.body.get(name).and_then(|value| value.as_str());
        let raised = member("raised").and_then(date::parse_canonical);
        let deadline = raised.map(|raised| calendar.deadline(raised, answer_within).date);
        let about = records.get(&digest).copied();
        let target = about.and_then(|about| lives.targets.get(&about));
        let record = if let Some(Target::Here(record, place)) = target { Some((record, place)) } else { None };
        Open {
            digest,
            stated: statement.iss == *node,
            raised: raised.map(|day| day.to_string()),
            reason: member("reason").unwrap_or_default().to_owned(),
            deadline: deadline.map(|day| day.to_string()),
            late: deadline.is_some_and(|day| day < today),
            record: about,
            kind: record.map(|(_, place)| place.kind.clone()).unwrap_or_default(),
            words: record.map(|(record, _)| words(record)).unwrap_or_default(),
            subject: statement.sub.as_ref().map(|sub| sub.key()),
            name: statement.sub.as_ref().map(|sub| sub.name().to_owned()),
            by: statement.iss.clone(),
        }
    });
    Ok(told.collect())
}
