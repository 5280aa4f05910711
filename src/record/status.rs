//! The status of a record, and the reason for it in words.

use jiff::civil::Date;
use serde::Serialize;

use super::event::RepairType;
use crate::statement::Digest;

/// What a record is worth on some day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// 已公示: shown, shared and used.
    Published,
    /// 异议中: as published, but marked.
    Disputed,
    /// 不予公示: shared and used, not shown.
    Unpublicised,
    /// 暂缓发布: shared, not yet shown or used.
    Pending,
    /// 已失效: neither shown nor shared nor used, as all below.
    Expired,
    /// 暂时屏蔽.
    Shielded,
    /// 已修复.
    Repaired,
    /// 已被更新: a later version stands in its place.
    Superseded,
    /// 已撤回.
    Withdrawn,
}

/// Why a record has its status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "code")]
pub enum Reason {
    /// It stands as it was made.
    Stands,
    /// It stands although it was repaired: the repair was revoked.
    RepairRevoked {
        /// The repair.
        repair: Digest,
        /// From which day on.
        effective: Date,
    },
    /// A dispute awaits its answer.
    Dispute {
        /// The dispute.
        dispute: Digest,
        /// When it was raised.
        raised: Date,
    },
    /// A dispute was answered by that the record is wrong, and what has to follow has not followed.
    FoundWrong {
        /// The dispute.
        dispute: Digest,
        /// When it was answered.
        answered: Date,
    },
    /// Minor conduct is not shown.
    Minor,
    /// Publicity has ended by itself; it is still valid.
    PublicityEnded {
        /// The last day on which it was shown.
        until: Date,
    },
    /// It is not shown before a day.
    Grace {
        /// The first day on which it is.
        from: Date,
    },
    /// It is no longer valid.
    ValidityEnded {
        /// The last day of its validity; of its publicity, where it says no validity.
        until: Date,
    },
    /// Its state says so.
    Invalid,
    /// The subject was taken off the list.
    Removed {
        /// When.
        removed: Date,
    },
    /// It is shielded.
    Shield {
        /// The repair.
        repair: Digest,
        /// From which day on.
        effective: Date,
        /// The last day; None: until that is revoked.
        until: Option<Date>,
    },
    /// It was repaired.
    Repair {
        /// The repair.
        repair: Digest,
        /// Its type.
        of: RepairType,
        /// From which day on.
        effective: Date,
    },
    /// A later version stands in its place.
    NewVersion,
    /// Its issuer took it back.
    Withdrawal {
        /// The withdrawal.
        withdrawal: Digest,
        /// When that was decided.
        decided: Option<Date>,
    },
}

impl Status {
    /// The status of a version of which nothing is known but whether it is the current one.
    pub fn of(current: bool) -> Self {
        if current { Self::Published } else { Self::Superseded }
    }

    /// The word that scripts read.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Disputed => "disputed",
            Self::Unpublicised => "unpublicised",
            Self::Pending => "pending",
            Self::Expired => "expired",
            Self::Shielded => "shielded",
            Self::Repaired => "repaired",
            Self::Superseded => "superseded",
            Self::Withdrawn => "withdrawn",
        }
    }

    /// The word that users say.
    pub fn title(self) -> &'static str {
        match self {
            Self::Published => "已公布",
            Self::Disputed => "异议中",
            Self::Unpublicised => "不予公示",
            Self::Pending => "暂缓发布",
            Self::Expired => "已失效",
            Self::Shielded => "暂时屏蔽",
            Self::Repaired => "已修复",
            Self::Superseded => "已被更新",
            Self::Withdrawn => "已撤回",
        }
    }

    /// May be shown to the public (公示), as far as its kind is for everybody.
    pub fn is_public(self) -> bool {
        matches!(self, Self::Published | Self::Disputed)
    }

    /// May be shared with other nodes (共享).
    pub fn is_shared(self) -> bool {
        matches!(self, Self::Published | Self::Disputed | Self::Unpublicised | Self::Pending)
    }

    /// May be used in decisions (使用).
    pub fn is_used(self) -> bool {
        matches!(self, Self::Published | Self::Disputed | Self::Unpublicised)
    }
}

impl Reason {
    /// In words.
    pub fn words(&self) -> String {
        match self {
            Self::Stands => "it stands as it was published".to_owned(),
            Self::RepairRevoked { effective, .. } => {
                format!("its repair was revoked from {effective} on: it stands again")
            }
            Self::Dispute { raised, .. } => format!("disputed since {raised}, not yet answered"),
            Self::FoundWrong { answered, .. } => {
                format!("found wrong on {answered}, and not yet corrected or withdrawn")
            }
            Self::Minor => "minor conduct is not shown to the public".to_owned(),
            Self::PublicityEnded { until } => format!("its publicity ended on {until}; it is still valid"),
            Self::Grace { from } => format!("held back: shown from {from} on"),
            Self::ValidityEnded { until } => format!("it was valid until {until}"),
            Self::Invalid => "its issuer marks it as no longer valid".to_owned(),
            Self::Removed { removed } => format!("taken off the list on {removed}"),
            Self::Shield { effective, until: None, .. } => format!("shielded from {effective} on"),
            Self::Shield { effective, until: Some(until), .. } => format!("shielded from {effective} to {until}"),
            Self::Repair { of, effective, .. } => format!("repaired ({}) from {effective} on", of.title()),
            Self::NewVersion => "a later version stands in its place".to_owned(),
            Self::Withdrawal { decided: None, .. } => "withdrawn by its issuer".to_owned(),
            Self::Withdrawal { decided: Some(decided), .. } => format!("withdrawn by its issuer on {decided}"),
        }
    }

    /// In Chinese.
    pub fn title(&self) -> String {
        match self {
            Self::Stands => "按公布内容有效".to_owned(),
            Self::RepairRevoked { effective, .. } => format!("信用修复自{effective}起被撤销，恢复公示"),
            Self::Dispute { raised, .. } => format!("{raised}提出异议，尚未答复"),
            Self::FoundWrong { answered, .. } => format!("{answered}异议成立，尚待更正或撤回"),
            Self::Minor => "轻微失信信息，不予公示".to_owned(),
            Self::PublicityEnded { until } => format!("公示期已于{until}届满，仍在有效期内"),
            Self::Grace { from } => format!("宽限期内，自{from}起公示"),
            Self::ValidityEnded { until } => format!("有效期已于{until}届满"),
            Self::Invalid => "当前状态为无效".to_owned(),
            Self::Removed { removed } => format!("已于{removed}移出名单"),
            Self::Shield { effective, until: None, .. } => format!("自{effective}起暂时屏蔽"),
            Self::Shield { effective, until: Some(until), .. } => format!("自{effective}至{until}暂时屏蔽"),
            Self::Repair { of, effective, .. } => format!("已修复（{}），自{effective}起生效", of.title()),
            Self::NewVersion => "已有更新的版本".to_owned(),
            Self::Withdrawal { decided: None, .. } => "已由发布单位撤回".to_owned(),
            Self::Withdrawal { decided: Some(decided), .. } => format!("已由发布单位于{decided}撤回"),
        }
    }
}
