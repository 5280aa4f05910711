//! A case for the policies as JSON, as an administrator writes it to try them.

use jiff::civil::Date;
use kaopu::policy::{AskCase, FollowCase, HoldCase, Policies, RepairCase, Verdict};
use kaopu::record::{Amount, Purpose, Severity};
use kaopu::statement::NodeId;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

/// `{"ask": …}`, `{"hold": …}`, `{"follow": …}`, `{"repair": …}` or `{"revocation": …}`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Case {
    /// A question.
    Ask(Ask),
    /// A body that a node wants.
    Hold(Hold),
    /// A subject that somebody of this node wants to follow.
    Follow(Follow),
    /// A repair.
    Repair(Box<Repair>),
    /// The revocation of a repair.
    Revocation(Box<Repair>),
}

/// What the policies say to one of the things that a case is about.
#[derive(Debug, Serialize)]
pub struct Told {
    /// About what.
    pub about: String,
    /// `allowed`, `denied`, `recognised`, `refused` or `pending`.
    pub outcome: &'static str,
    /// Ids of the policies that decided.
    pub policies: Vec<String>,
    /// Why not.
    pub reason: Option<String>,
}

/// A question.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ask {
    by: NodeId,
    #[serde(default = "yes")]
    active: bool,
    purpose: Purpose,
    #[serde(default)]
    basis: bool,
    #[serde(default)]
    person: bool,
    #[serde(default)]
    authorised: bool,
    kinds: Vec<String>,
}

/// A body that a node wants.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hold {
    by: NodeId,
    #[serde(default = "yes")]
    active: bool,
    issuer: NodeId,
    kind: String,
    #[serde(default)]
    person: bool,
}

/// A subject that somebody wants to follow.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Follow {
    by: String,
    purpose: Purpose,
    #[serde(default)]
    person: bool,
    #[serde(default)]
    authorised: bool,
}

/// A repair or its revocation.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Repair {
    by: NodeId,
    #[serde(default = "yes")]
    active: bool,
    /// Whoever repairs, unless another is named.
    issuer: Option<NodeId>,
    kind: String,
    #[serde(default)]
    person: bool,
    severity: Option<Severity>,
    #[serde(default)]
    categories: Vec<String>,
    list: Option<String>,
    /// 万元, as a record has it.
    #[serde(default, deserialize_with = "amount")]
    fine: Option<Amount>,
    #[serde(default, deserialize_with = "amount")]
    confiscated: Option<Amount>,
    record_decided: Option<Date>,
    repair_type: String,
    #[serde(default)]
    authority: String,
    authority_uscc: Option<String>,
    decided: Date,
    effective: Date,
}

fn yes() -> bool {
    true
}

fn amount<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Amount>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| Amount::parse(&text, 18, 6).map_err(D::Error::custom)).transpose()
}

impl Case {
    /// What the policies say.
    pub fn judge(self, policies: &Policies) -> Vec<Told> {
        match self {
            Self::Ask(ask) => ask.judge(policies),
            Self::Hold(Hold { by, active, issuer, kind, person }) => {
                let about = kind.clone();
                let verdict = policies.may_hold(HoldCase { holder: by, active, issuer, kind, person });
                vec![Told::of(about, &verdict)]
            }
            Self::Follow(Follow { by, purpose, person, authorised }) => {
                let verdict = policies.may_follow(&FollowCase { follower: &by, purpose, person, authorised });
                vec![Told::of(by, &verdict)]
            }
            Self::Repair(repair) => vec![repair.judge(policies, false)],
            Self::Revocation(repair) => vec![repair.judge(policies, true)],
        }
    }
}

impl Told {
    fn of(about: String, verdict: &Verdict) -> Self {
        Self {
            about,
            outcome: if verdict.permitted { "allowed" } else { "denied" },
            policies: verdict.policies.clone(),
            reason: verdict.reason.clone(),
        }
    }
}

impl Ask {
    fn judge(&self, policies: &Policies) -> Vec<Told> {
        let told = |kind: &String| {
            let access = policies.may_ask(&AskCase {
                asker: &self.by,
                active: self.active,
                purpose: self.purpose,
                basis: self.basis,
                person: self.person,
                authorised: self.authorised,
                kinds: &[kind],
            });
            let reason = access.denied.first().map(|denied| denied.reason.clone());
            let outcome = if reason.is_none() { "allowed" } else { "denied" };
            Told { about: kind.clone(), outcome, policies: access.policies, reason }
        };
        self.kinds.iter().map(told).collect()
    }
}

impl Repair {
    fn judge(self, policies: &Policies, revokes: bool) -> Told {
        let about = self.kind.clone();
        let recognition = policies.decide_recognition(&RepairCase {
            record_issuer: self.issuer.unwrap_or_else(|| self.by.clone()),
            by: self.by,
            active: self.active,
            revokes,
            kind: self.kind,
            person: self.person,
            severity: self.severity,
            categories: self.categories,
            list: self.list,
            fine: self.fine,
            confiscated: self.confiscated,
            record_decided: self.record_decided,
            repair_type: self.repair_type,
            authority: self.authority,
            authority_uscc: self.authority_uscc,
            decided: self.decided,
            effective: self.effective,
        });
        Told {
            about,
            outcome: recognition.outcome.as_str(),
            policies: recognition.policies,
            reason: recognition.reason,
        }
    }
}
