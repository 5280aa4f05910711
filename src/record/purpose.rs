//! What a query is for (信用核查用途). Nobody asks without saying.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A purpose of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Purpose {
    /// 行政审批.
    Approval,
    /// 政府采购.
    Procurement,
    /// 招标投标.
    Tender,
    /// 政策扶持.
    Subsidy,
    /// 表彰评优.
    Award,
    /// 招商引资.
    Investment,
    /// 融资授信.
    Finance,
    /// 日常监管.
    Supervision,
    /// 司法.
    Judicial,
    /// 主体自查.
    #[serde(rename = "self")]
    Own,
}

/// The text is no purpose.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a purpose of a query: one of {} is expected", listed())]
pub struct NotAPurpose;

impl Purpose {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Approval,
        Self::Procurement,
        Self::Tender,
        Self::Subsidy,
        Self::Award,
        Self::Investment,
        Self::Finance,
        Self::Supervision,
        Self::Judicial,
        Self::Own,
    ];

    /// The code that stands in statements.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Approval => "approval",
            Self::Procurement => "procurement",
            Self::Tender => "tender",
            Self::Subsidy => "subsidy",
            Self::Award => "award",
            Self::Investment => "investment",
            Self::Finance => "finance",
            Self::Supervision => "supervision",
            Self::Judicial => "judicial",
            Self::Own => "self",
        }
    }

    /// The words that users say.
    pub fn title(self) -> &'static str {
        match self {
            Self::Approval => "行政审批",
            Self::Procurement => "政府采购",
            Self::Tender => "招标投标",
            Self::Subsidy => "政策扶持",
            Self::Award => "表彰评优",
            Self::Investment => "招商引资",
            Self::Finance => "融资授信",
            Self::Supervision => "日常监管",
            Self::Judicial => "司法",
            Self::Own => "主体自查",
        }
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Purpose {
    type Err = NotAPurpose;

    /// By its code, or by the words that users say.
    fn from_str(text: &str) -> Result<Self, NotAPurpose> {
        Self::ALL.into_iter().find(|purpose| [purpose.as_str(), purpose.title()].contains(&text)).ok_or(NotAPurpose)
    }
}

fn listed() -> String {
    Purpose::ALL.map(|purpose| format!("{purpose} {}", purpose.title())).join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_purpose_is_known_by_its_code_and_by_its_title() {
        for purpose in Purpose::ALL {
            assert_eq!(purpose.as_str().parse(), Ok(purpose));
            assert_eq!(purpose.title().parse(), Ok(purpose));
            assert_eq!(serde_json::to_value(purpose).unwrap(), purpose.as_str());
        }
        assert_eq!("".parse::<Purpose>(), Err(NotAPurpose));
    }
}
