//! What statements say about a record after it was made, reduced to what its status depends on.

use jiff::civil::Date;
use serde::Serialize;
use serde_json::{Map, Value};

use super::date;
use crate::statement::{Digest, NodeId};

/// Where a statement stands in its issuer's log of records: the generation of the log, and the index in it. Statements of
/// one issuer are ordered by it, never by `iat` or arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// From 1.
    pub generation: u64,
    /// From 0.
    pub index: u64,
}

/// A statement about a record, whichever of its versions it names, or about a statement about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Its digest.
    pub digest: Digest,
    /// Whose it is.
    pub by: NodeId,
    /// Where it stands in that node's log.
    pub place: Place,
    /// What it says.
    pub event: Event,
}

/// What was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// 撤回: the record should never have been.
    Withdrawal {
        /// When that was decided.
        decided: Option<Date>,
    },
    /// 异议.
    Dispute {
        /// When it was raised.
        raised: Date,
    },
    /// 异议答复.
    DisputeAnswer {
        /// The dispute.
        of: Digest,
        /// What came out.
        outcome: DisputeOutcome,
        /// When.
        answered: Date,
    },
    /// 信用修复.
    Repair {
        /// Which.
        of: RepairType,
        /// From which day on.
        effective: Date,
        /// The last day, of a shielding.
        until: Option<Date>,
    },
    /// 修复撤销.
    Revocation {
        /// The repair.
        of: Digest,
        /// From which day on.
        effective: Date,
    },
    /// 互认.
    Recognition {
        /// The repair, or the revocation.
        of: Digest,
        /// What was decided.
        outcome: RecognitionOutcome,
        /// From which day on.
        effective: Date,
    },
    /// 修复申请.
    Application {
        /// What happened.
        stage: Stage,
        /// The application as it was filed; None where this is it.
        of: Option<Digest>,
        /// When.
        on: Date,
    },
}

/// What came out of a dispute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DisputeOutcome {
    /// 维持: the record is right.
    Upheld,
    /// 更正: it is to be corrected.
    Corrected,
    /// 撤销: it is to be withdrawn.
    Withdrawn,
}

/// The type of a repair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RepairType {
    /// 终止公示.
    EndPublicity,
    /// 移出名单.
    Remove,
    /// 信用评价修复.
    Grade,
    /// 暂时屏蔽: for the time being, in a bankruptcy reorganisation.
    Shield,
}

/// What a partner decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RecognitionOutcome {
    /// It takes effect here too.
    Recognised,
    /// It does not.
    Refused,
    /// A person will decide.
    Pending,
}

/// How far an application has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// 已申请, at a window.
    Filed,
    /// 已补正, at the window.
    Supplied,
    /// 已受理.
    Accepted,
    /// 补正: more is asked for.
    More,
    /// 已延期: there is more time to decide.
    Extended,
    /// 不予受理或不予修复.
    Rejected,
    /// 已决定: the repair says how.
    Decided,
    /// 已撤回: the window takes it back, for the applicant.
    Withdrawn,
}

impl Event {
    /// What a statement of this kind says; `refs` are those of the statement. None: a kind that changes no status, or a
    /// body that its schema would not take.
    pub fn of(kind: &str, refs: &[Digest], body: &Map<String, Value>) -> Option<Self> {
        let text = |member: &str| body.get(member).and_then(Value::as_str);
        let day = |member: &str| text(member).and_then(date::parse_canonical);
        let of = refs.first().copied();
        Some(match kind {
            "withdrawal" => Self::Withdrawal { decided: day("decided") },
            "dispute" => Self::Dispute { raised: day("raised")? },
            "dispute-answer" => Self::DisputeAnswer {
                of: of?,
                outcome: DisputeOutcome::parse(text("outcome")?)?,
                answered: day("answered")?,
            },
            "repair" => {
                let kind = RepairType::parse(text("type")?)?;
                // only a shielding ends by itself
                let until = day("until").filter(|_| kind == RepairType::Shield);
                Self::Repair { of: kind, effective: day("effective")?, until }
            }
            "repair-revocation" => Self::Revocation { of: of?, effective: day("effective")? },
            "recognition" => Self::Recognition {
                of: of?,
                outcome: RecognitionOutcome::parse(text("outcome")?)?,
                effective: day("effective")?,
            },
            "application" => {
                let stage = Stage::parse(text("stage")?)?;
                Self::Application { stage, of: if stage == Stage::Filed { None } else { Some(of?) }, on: day("on")? }
            }
            _ => return None,
        })
    }
}

impl DisputeOutcome {
    /// By the word of the body.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Upheld, Self::Corrected, Self::Withdrawn].into_iter().find(|outcome| outcome.title() == text)
    }

    /// The word of the body, and of users.
    pub fn title(self) -> &'static str {
        match self {
            Self::Upheld => "维持",
            Self::Corrected => "更正",
            Self::Withdrawn => "撤销",
        }
    }
}

impl RepairType {
    /// By the word of the body.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::EndPublicity, Self::Remove, Self::Grade, Self::Shield].into_iter().find(|kind| kind.title() == text)
    }

    /// The word of the body, and of users.
    pub fn title(self) -> &'static str {
        match self {
            Self::EndPublicity => "终止公示",
            Self::Remove => "移出名单",
            Self::Grade => "信用评价修复",
            Self::Shield => "暂时屏蔽",
        }
    }
}

impl RecognitionOutcome {
    /// By the word of the body.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "recognised" => Self::Recognised,
            "refused" => Self::Refused,
            "pending" => Self::Pending,
            _ => return None,
        })
    }
}

impl Stage {
    const ALL: [Self; 8] = [
        Self::Filed,
        Self::Supplied,
        Self::Accepted,
        Self::More,
        Self::Extended,
        Self::Rejected,
        Self::Decided,
        Self::Withdrawn,
    ];

    /// By the word of the body.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| stage.as_str() == text)
    }

    /// The word of the body.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Filed => "filed",
            Self::Supplied => "supplied",
            Self::Accepted => "accepted",
            Self::More => "more",
            Self::Extended => "extended",
            Self::Rejected => "rejected",
            Self::Decided => "decided",
            Self::Withdrawn => "withdrawn",
        }
    }

    /// The word of users.
    pub fn title(self) -> &'static str {
        match self {
            Self::Filed => "已申请",
            Self::Supplied => "已补正",
            Self::Accepted => "已受理",
            Self::More => "待补正",
            Self::Extended => "已延期",
            Self::Rejected => "不予修复",
            Self::Decided => "已修复",
            Self::Withdrawn => "已撤回",
        }
    }

    /// Nothing follows.
    pub fn is_last(self) -> bool {
        matches!(self, Self::Rejected | Self::Decided | Self::Withdrawn)
    }
}

#[cfg(test)]
mod tests;
