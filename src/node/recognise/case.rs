//! A repair or its revocation, with all that a decision rests on.

use std::collections::HashSet;

use serde_json::Value;

use super::{RecogniseError, Recogniser};
use crate::log::event::{At, Life, Lives, RecordPlace, Said, Target, facts};
use crate::node::view::View;
use crate::record::event::RepairType;
use crate::record::{date, repair_allowed};
use crate::statement::{Digest, NodeId, Statement};

/// A repair or revocation of another, with all that a decision rests on.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its digest.
    pub digest: Digest,
    /// What it says.
    pub statement: Statement,
    /// The repair: itself, or what it revokes.
    pub repair: (Digest, Statement),
    /// The record, as the repair names it.
    pub record: (Digest, Statement),
    /// Under which that stands.
    pub place: RecordPlace,
    /// All that was said about the record.
    pub life: Life,
}

impl Recogniser {
    /// A repair or revocation of a peer, with what a decision rests on.
    pub async fn case(&self, digest: &Digest) -> Result<Case, RecogniseError> {
        let case = self.any_case(digest).await?;
        if case.statement.iss == self.node { Err(RecogniseError::Own(*digest)) } else { Ok(case) }
    }

    pub(super) async fn any_case(&self, digest: &Digest) -> Result<Case, RecogniseError> {
        let unknown = || RecogniseError::Unknown(*digest);
        let lives = self.db.lives(&[*digest], &HashSet::new()).await?;
        let (statement, place) = here(&lives, digest).ok_or_else(unknown)?;
        let life = lives.lives.get(&place).cloned().unwrap_or_default();
        let named = |statement: &Statement| statement.refs.first().copied().ok_or_else(unknown);
        let repair = match statement.typ.kind.as_str() {
            "repair" => (*digest, statement.clone()),
            "repair-revocation" => {
                let named = named(&statement)?;
                let said = life.said.iter().find(|said| said.digest == named).ok_or_else(unknown)?;
                (named, said.statement.clone())
            }
            _ => return Err(unknown()),
        };
        let record = named(&repair.1)?;
        let lives = self.db.lives(&[record], &HashSet::new()).await?;
        let (record_said, _) = here(&lives, &record).ok_or_else(unknown)?;
        Ok(Case { digest: *digest, statement, repair, record: (record, record_said), place, life })
    }
}

impl Case {
    /// What a node said of it so far, in order.
    pub fn decided_by(&self, node: &NodeId) -> impl Iterator<Item = &Said> {
        let of = move |said: &&Said| {
            let statement = &said.statement;
            statement.typ.kind == "recognition"
                && statement.iss == *node
                && statement.refs.first() == Some(&self.digest)
        };
        self.life.said.iter().filter(of)
    }

    /// Whether the rules of dates allow the repair; a revocation is always allowed.
    pub(super) fn allowed(&self, view: &View<'_>) -> Result<(), String> {
        if self.repair.0 != self.digest {
            return Ok(());
        }
        let at = self.at();
        let before = Life {
            version: self.life.version,
            said: self
                .life
                .said
                .iter()
                .filter(|said| said.statement.iss == self.place.issuer && said.at < at)
                .cloned()
                .collect(),
        };
        let decided = self.statement.body.get("decided").and_then(Value::as_str).and_then(date::parse_canonical);
        let Some(decided) = decided else { return Err("the repair does not say when it was decided".to_owned()) };
        let of = self.statement.body.get("type").and_then(Value::as_str).and_then(RepairType::parse);
        let Some(of) = of else { return Err("the repair does not say of which type it is".to_owned()) };
        // whether the record had been withdrawn or repaired by then was judged with the log: here only dates are asked
        let facts = facts(&self.record.1, at, true);
        repair_allowed(&facts, &before.told(), view.rules, of, decided).map_err(|why| why.to_string())
    }

    /// Where it stands in its issuer's log.
    pub(super) fn at(&self) -> At {
        let this = self.life.said.iter().find(|said| said.digest == self.digest);
        this.map_or((u32::MAX, u64::MAX), |said| said.at)
    }
}

fn here(lives: &Lives, digest: &Digest) -> Option<(Statement, RecordPlace)> {
    match lives.targets.get(digest) {
        Some(Target::Here(statement, place)) => Some((Statement::clone(statement), place.clone())),
        _ => None,
    }
}
