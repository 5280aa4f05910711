//! Recognition 互认: a repair of another city, or its revocation, takes effect here by this node's own decision.
//!
//! What was pulled waits in the store until it is decided. First the node's own rules of dates are asked, since a repair
//! before the least publicity is none here; then its policies: recognised, refused with the reason, or left to a person,
//! within so many working days. Each decision is a `recognition` in the records log, which the origin pulls.

mod awaited;
mod case;
mod overview;
mod partners;

use std::time::Duration;

use jiff::civil::Date;
use rand::CryptoRng;
use serde_json::{Map, Value, json};

pub use self::awaited::{Awaited, AwaitedOne, NAMED};
pub use self::case::Case;
pub use self::overview::{Overview, Partner};
pub use self::partners::{LOOKED_AT, LatePartner, LatePartners};
use super::settings::Settings;
use super::status::time;
use super::view::View;
use super::{Node, rng};
use crate::clock::Clock;
use crate::log::appender::{AppendError, Appender};
use crate::policy::{Groups, InForce, Outcome, Policies, Recognition, RepairCase};
use crate::record::date;
use crate::statement::{Digest, Kinds, NodeId, Refused, Salt, Statement, Typ};
use crate::store::{Db, StoreError};
use crate::trust::registry::Registry;

/// How often what has come is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// So many in one go.
const AT_ONCE: u32 = 100;
/// The id under which the node's own rules of dates stand among policies.
pub const RULES: &str = "rules";

/// Decides for a node. Cheap to clone.
#[derive(Clone)]
pub struct Recogniser {
    /// The store.
    pub db: Db,
    /// The node that decides.
    pub node: NodeId,
    /// The kinds that it knows.
    pub kinds: Kinds,
    /// Its peers.
    pub registry: Registry,
    /// Appends to its records log.
    pub records: Appender,
    /// Its policies.
    pub policies: InForce,
    /// Its groups, which an audience may name.
    pub groups: Groups,
    /// Its rules of dates and its working days.
    pub settings: Settings,
    /// The present.
    pub clock: Clock,
}

/// Why nothing was decided.
#[derive(Debug, thiserror::Error)]
pub enum RecogniseError {
    /// There is no such repair here.
    #[error("{0} is no repair or revocation of a peer that this node holds; `kaopu recognise list` shows what waits")]
    Unknown(Digest),
    /// It is this node's own.
    #[error("{0} is this node's own: it takes effect here by itself")]
    Own(Digest),
    /// It was decided in the same way before.
    #[error("{0} was decided so before")]
    Decided(Digest),
    /// The log took no statement.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl RecogniseError {
    /// It comes of this repair: another may well be decided.
    fn is_of_one(&self) -> bool {
        match self {
            Self::Unknown(_) | Self::Own(_) | Self::Decided(_) | Self::Store(StoreError::Corrupt(_)) => true,
            Self::Append(AppendError::Refused(_, why)) => *why != Refused::UnknownKey,
            Self::Append(AppendError::Held(..) | AppendError::NotSignable(_)) => true,
            Self::Append(_) | Self::Store(_) => false,
        }
    }
}

impl Recogniser {
    /// Of a node that is open.
    pub fn of(node: &Node) -> Self {
        Self {
            db: node.db.clone(),
            node: node.id.clone(),
            kinds: node.kinds.clone(),
            registry: node.registry.clone(),
            records: node.records.clone(),
            policies: node.policies.clone(),
            groups: node.config.groups.clone(),
            settings: node.settings.clone(),
            clock: node.clock.clone(),
        }
    }

    /// Goes on deciding what comes, and tells each day what is due of that which waits for a person.
    pub async fn keep_deciding(self) {
        let mut rng = rng();
        let mut told = None;
        loop {
            let today = self.clock.today();
            if told != Some(today) {
                told = Some(today);
                self.tell_due().await;
            }
            match self.decide_new(&mut rng).await {
                Ok(AT_ONCE..) => continue,
                Ok(_) => {}
                Err(error) => tracing::error!(%error, "cannot decide on repairs of peers; trying again"),
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn tell_due(&self) {
        match Awaited::of(&self.db, &self.settings, &self.clock, AT_ONCE).await {
            Ok(awaited) => {
                for one in awaited.first.iter().filter(|one| one.due && one.pending) {
                    tracing::warn!(
                        repair = %one.digest, of = one.issuer, deadline = one.deadline, late = one.late,
                        "a repair of a partner waits for a person, and is due: `kaopu recognise decide`"
                    );
                }
            }
            Err(error) => tracing::error!(%error, "cannot tell which repairs wait for a person"),
        }
    }

    /// Decides on what nobody has looked at; gives how many there were. One on which nothing can be decided is told and tried
    /// again later; those behind it are decided all the same. What would fail each of them ends the round.
    pub async fn decide_new(&self, rng: &mut (dyn CryptoRng + Send)) -> Result<u32, RecogniseError> {
        let new = self.db.new_to_recognise(self.clock.now_ms(), AT_ONCE).await?;
        let mut count = 0;
        for waiting in new {
            count += 1;
            if !self.db.take_to_recognise(&waiting.digest, self.clock.now_ms()).await? {
                continue;
            }
            match self.decide_one(&waiting.digest, rng).await {
                Ok(_) => {}
                // what it is about was taken back since
                Err(RecogniseError::Unknown(digest)) => self.db.drop_to_recognise(&digest).await?,
                Err(error) if error.is_of_one() => {
                    let why = error.to_string();
                    let next_ms = self.db.failed_to_recognise(&waiting.digest, &why, self.clock.now_ms()).await?;
                    let again = time(next_ms).unwrap_or_default();
                    tracing::error!(
                        repair = %waiting.digest, error = why, again, "nothing could be decided on a repair of a peer"
                    );
                }
                Err(error) => return Err(error),
            }
        }
        Ok(count)
    }

    async fn decide_one(&self, digest: &Digest, rng: &mut (dyn CryptoRng + Send)) -> Result<Digest, RecogniseError> {
        let case = self.case(digest).await?;
        let recognition = self.judge(&case);
        self.say(&case, &recognition, None, rng).await
    }

    /// A person decides, on what is pending or anew.
    pub async fn decide(
        &self,
        digest: &Digest,
        outcome: Outcome,
        by: &str,
        reason: Option<String>,
        rng: &mut (dyn CryptoRng + Send),
    ) -> Result<Digest, RecogniseError> {
        let case = self.case(digest).await?;
        let last = case.decided_by(&self.node).last();
        if last.is_some_and(|last| last.statement.body.get("outcome").and_then(Value::as_str) == Some(outcome.as_str()))
        {
            return Err(RecogniseError::Decided(*digest));
        }
        let policy_set = self.policies.now().digest();
        let recognition = Recognition { outcome, policies: Vec::new(), policy_set, reason };
        self.say(&case, &recognition, Some(by), rng).await
    }

    /// What the node's rules and policies say.
    pub fn judge(&self, case: &Case) -> Recognition {
        let (policies, rules): (&Policies, _) = (&self.policies.now(), self.settings.rules.now());
        let view = View { node: &self.node, kinds: &self.kinds, rules: &rules, clock: &self.clock };
        let refused = |reason: String| Recognition {
            outcome: Outcome::Refused,
            policies: vec![RULES.to_owned()],
            policy_set: policies.digest(),
            reason: Some(reason),
        };
        if let Err(reason) = case.allowed(&view) {
            return refused(reason);
        }
        let revocation = (case.repair.0 != case.digest).then_some(&case.statement);
        let standing = view.standing(&case.record.1, case.at(), true, &case.life);
        let severity = standing.terms.map(|terms| terms.severity);
        let active = self.registry.peer(&case.statement.iss).is_some();
        match RepairCase::of(&case.record.1, &case.repair.1, revocation, severity, active) {
            Some(case) => policies.decide_recognition(&case),
            None => refused("the repair does not say what its schema asks for".to_owned()),
        }
    }

    async fn say(
        &self,
        case: &Case,
        recognition: &Recognition,
        by: Option<&str>,
        rng: &mut (dyn CryptoRng + Send),
    ) -> Result<Digest, RecogniseError> {
        let today = self.clock.today();
        let statement = Statement {
            typ: Typ::first("recognition"),
            iss: self.node.clone(),
            iat: self.clock.now(),
            aud: case.statement.aud.with(&case.statement.iss),
            salt: Salt::random(rng),
            sub: case.statement.sub.clone(),
            prev: None,
            refs: vec![case.digest],
            body: self.body(case, recognition, by, today),
        };
        let (signed, _) = self.records.say_for(statement, by).await?;
        tracing::info!(repair = %case.digest, of = %case.statement.iss, outcome = recognition.outcome.as_str(), "recognition");
        Ok(signed.digest())
    }

    fn body(&self, case: &Case, recognition: &Recognition, by: Option<&str>, today: Date) -> Map<String, Value> {
        let day =
            |member: &str| case.statement.body.get(member).and_then(Value::as_str).and_then(date::parse_canonical);
        let effective = day("effective").map_or(today, |effective| effective.max(today));
        let mut body = Map::from_iter([
            ("outcome".to_owned(), json!(recognition.outcome.as_str())),
            ("effective".to_owned(), json!(effective.to_string())),
            ("policies".to_owned(), json!(recognition.policies)),
            ("policy_set".to_owned(), json!(recognition.policy_set.to_string())),
        ]);
        if let Some(reason) = &recognition.reason {
            body.insert("reason".to_owned(), json!(reason));
        }
        if let Some(by) = by {
            body.insert("decided_by".to_owned(), json!(by));
        }
        if recognition.outcome == Outcome::Pending {
            let deadline = self.settings.recognised_by(today);
            body.insert("deadline".to_owned(), json!(deadline.date.to_string()));
        }
        body
    }
}
