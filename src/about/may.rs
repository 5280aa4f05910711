//! Whether an event may be said now: what every node would refuse, and what this node's rules of dates do not let it say.

use crate::log::event::{At, Life, Lives, RecordPlace, Target, facts};
use crate::log::judge::NotAccepted;
use crate::record::event::RepairType;
use crate::record::{NotRepairable, Rules, date, repair_allowed};
use crate::statement::kind::About;
use crate::statement::{Digest, NotAbout, Refused, Statement};

/// Behind all that was said.
const NEXT: At = (u32::MAX, u64::MAX);

/// Why an event may not be said.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MayNot {
    /// Every node would refuse it.
    #[error("{0} {title}", title = .0.title())]
    Event(NotAbout),
    /// The rules do not let the record be repaired so.
    #[error("{0} {title}", title = .0.title())]
    Repair(NotRepairable),
    /// A later version stands in the record's place.
    #[error("a later version stands in the place of this record: name that one, {0} 该信息已有更新的版本")]
    Superseded(Digest),
    /// What it is about is not known well enough here.
    #[error("{0} 尚未掌握所涉信息")]
    Early(String),
    /// Any other reason of the log.
    #[error("{0}")]
    Refused(Refused),
}

impl MayNot {
    /// In Chinese, for a receipt.
    pub fn title(&self) -> String {
        match self {
            Self::Event(why) => why.title().to_owned(),
            Self::Repair(why) => why.title(),
            Self::Superseded(_) => "该信息已有更新的版本".to_owned(),
            Self::Early(_) => "尚未掌握所涉信息".to_owned(),
            Self::Refused(why) => why.to_string(),
        }
    }
}

/// Judges an event by what was said before it, and a repair by the rules too.
pub fn may_be_said(about: &About, event: &Statement, lives: &Lives, rules: &Rules) -> Result<RecordPlace, MayNot> {
    let place = lives.judge(about, event, NEXT).map_err(|why| match why {
        NotAccepted::Held(why) => MayNot::Early(why),
        NotAccepted::Refused(Refused::Event(why)) => MayNot::Event(why),
        NotAccepted::Refused(why) => MayNot::Refused(why),
    })?;
    let member = |name: &str| event.body.get(name).and_then(|value| value.as_str());
    let is_repair = event.typ.kind == "repair";
    let of = member("type").and_then(RepairType::parse).filter(|_| is_repair);
    if let (Some(of), Some(decided)) = (of, member("decided").and_then(date::parse_canonical))
        && let Some(Target::Here(record, _)) = event.refs.first().and_then(|digest| lives.targets.get(digest))
    {
        let life = lives.lives.get(&place);
        let at = life.and_then(|life| life.version).unwrap_or_default();
        let told = life.map(Life::told).unwrap_or_default();
        repair_allowed(&facts(record, at, true), &told, rules, of, decided).map_err(MayNot::Repair)?;
    }
    Ok(place)
}

/// Whether the same was said already by the same node, and still stands: about the same record, whichever of its versions.
pub fn is_said(event: &Statement, life: &Life) -> bool {
    let kind = event.typ.kind.as_str();
    let from = life.version.filter(|_| kind == "withdrawal");
    let is_undone = |digest: &Digest| {
        let undoing = life.said.iter().filter(|said| said.statement.typ.kind == "repair-revocation");
        undoing.into_iter().any(|said| said.statement.iss == event.iss && said.statement.refs.first() == Some(digest))
    };
    life.said.iter().any(|said| {
        let is_same =
            said.statement.typ.kind == kind && said.statement.iss == event.iss && said.statement.body == event.body;
        // a version that came behind a withdrawal stands anew
        is_same && from.is_none_or(|version| said.at > version) && !is_undone(&said.digest)
    })
}
