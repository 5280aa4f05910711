//! The life of a record, worked out day by day.

use jiff::civil::Date;

use super::{DisputeMark, RepairMark};
use crate::record::event::{DisputeOutcome, RecognitionOutcome, RepairType, Stage};
use crate::record::rules::Rules;
use crate::record::terms::{Course, Terms};
use crate::record::{Event, Facts, Reason, Said, Status};
use crate::statement::{Digest, NodeId};

/// What was said about a record, by those whose word counts.
pub(super) struct Life<'a> {
    facts: &'a Facts,
    course: Course,
    viewpoint: &'a NodeId,
    /// By the record's issuer, each once, in the order of its log.
    issuers: Vec<&'a Said>,
    /// Recognitions by the viewpoint, each once, in the order of its log.
    recognitions: Vec<&'a Said>,
    /// Applications as they were filed, by whoever did.
    filed: Vec<&'a Said>,
    /// What was said of taking one back, by whoever did.
    taken_back: Vec<&'a Said>,
}

/// A repair by the record's issuer.
#[derive(Clone, Copy)]
struct Repair {
    digest: Digest,
    of: RepairType,
    effective: Date,
    until: Option<Date>,
}

impl<'a> Life<'a> {
    pub fn of(facts: &'a Facts, said: &'a [Said], rules: &Rules, viewpoint: &'a NodeId) -> Self {
        let in_order = |counts: &dyn Fn(&Said) -> bool| {
            let mut all: Vec<&Said> = said.iter().filter(|s| counts(s)).collect();
            all.sort_by_key(|s| (s.place, s.digest));
            all.dedup_by_key(|s| s.digest);
            all
        };
        Self {
            facts,
            course: Course::of(facts, rules),
            viewpoint,
            issuers: in_order(&|s| s.by == facts.issuer && !matches!(s.event, Event::Recognition { .. })),
            recognitions: in_order(&|s| s.by == *viewpoint && matches!(s.event, Event::Recognition { .. })),
            filed: in_order(&|s| matches!(s.event, Event::Application { stage: Stage::Filed, .. })),
            taken_back: in_order(&|s| matches!(s.event, Event::Application { stage: Stage::Withdrawn, .. })),
        }
    }

    /// The first of these that holds, from what hides most to what hides least.
    pub fn on(&self, day: Date) -> (Status, Reason) {
        let facts = self.facts;
        if let Some((withdrawal, decided)) = self.withdrawal() {
            return (Status::Withdrawn, Reason::Withdrawal { withdrawal, decided });
        }
        if !facts.current {
            return (Status::Superseded, Reason::NewVersion);
        }
        if let Some(repair) = self.repairs().rfind(|r| r.of != RepairType::Shield && self.takes_effect(r, day)) {
            let Repair { digest, of, effective, .. } = repair;
            return (Status::Repaired, Reason::Repair { repair: digest, of, effective });
        }
        if let Some(shield) = self.repairs().rfind(|r| r.of == RepairType::Shield && self.takes_effect(r, day)) {
            let Repair { digest, effective, until, .. } = shield;
            return (Status::Shielded, Reason::Shield { repair: digest, effective, until });
        }
        let terms = self.course.on(day);
        let ended = terms.as_ref().map_or(facts.publicity_until, |t| t.public_until).filter(|until| *until < day);
        if let Some(reason) = self.over(day, ended) {
            return (Status::Expired, reason);
        }
        if let Some(from) = self.course.shown_from.filter(|from| day < *from) {
            return (Status::Pending, Reason::Grace { from });
        }
        if terms.is_some_and(|terms| !terms.public) {
            return (Status::Unpublicised, Reason::Minor);
        }
        if let Some(until) = ended {
            return (Status::Unpublicised, Reason::PublicityEnded { until });
        }
        match (self.dispute(day), self.revoked_repair(day)) {
            (Some(DisputeMark { dispute, answered: Some((_, answered)), .. }), _) => {
                (Status::Disputed, Reason::FoundWrong { dispute, answered })
            }
            (Some(DisputeMark { dispute, raised, .. }), _) => (Status::Disputed, Reason::Dispute { dispute, raised }),
            (None, Some((repair, effective))) => (Status::Published, Reason::RepairRevoked { repair, effective }),
            (None, None) => (Status::Published, Reason::Stands),
        }
    }

    /// The first and the last day of the status around a day.
    pub fn span(&self, day: Date, status: Status) -> (Option<Date>, Option<Date>) {
        let mut edges: Vec<Date> = self.edges().flat_map(|edge| [Some(edge), edge.tomorrow().ok()]).flatten().collect();
        edges.sort_unstable();
        edges.dedup();
        let holds = |day: Date| self.on(day).0 == status;
        let before = |edge: &Date| edge.yesterday().is_ok_and(|eve| !holds(eve));
        let since = edges.iter().rev().filter(|edge| **edge <= day).copied().find(before);
        let until = edges.iter().filter(|edge| **edge > day).find(|edge| !holds(**edge));
        let begins = match status {
            Status::Withdrawn => self.withdrawal().and_then(|(_, decided)| decided),
            Status::Superseded => None,
            _ => self.facts.decided,
        };
        (since.or(begins.filter(|begins| *begins <= day)), until.and_then(|edge| edge.yesterday().ok()))
    }

    pub fn terms(&self, day: Date) -> Option<Terms> {
        self.course.on(day)
    }

    /// The newest dispute that its issuer has logged and not settled. That the record is wrong does not settle it: a
    /// correction or a withdrawal does, and then this version no longer stands.
    pub fn dispute(&self, day: Date) -> Option<DisputeMark> {
        self.issuers.iter().rev().filter(|s| s.place > self.facts.place).find_map(|said| {
            let Event::Dispute { raised } = said.event else { return None };
            let answered = self.issuers.iter().rev().find_map(|answer| match answer.event {
                Event::DisputeAnswer { of, outcome, answered } if of == said.digest && answered <= day => {
                    Some((outcome, answered))
                }
                _ => None,
            });
            let settled = matches!(answered, Some((DisputeOutcome::Upheld, _)));
            (raised <= day && !settled).then_some(DisputeMark { dispute: said.digest, raised, answered })
        })
    }

    /// The newest repair that was decided but has no effect yet; else the newest application that is under way.
    pub fn under_repair(&self, day: Date) -> Option<RepairMark> {
        if !self.facts.current || self.withdrawal().is_some() || self.is_hidden_by_repair(day) {
            return None;
        }
        let waiting = self.repairs().rev().filter(|repair| !self.is_revoked(repair.digest, day)).find_map(|repair| {
            let Repair { digest, effective, until, .. } = repair;
            if until.is_some_and(|until| until < day) {
                return None;
            }
            match self.recognised(digest, day) {
                _ if effective > day => Some(RepairMark::Coming { repair: digest, effective }),
                Some(RecognitionOutcome::Refused) => None,
                _ if self.at_home() => None,
                _ => Some(RepairMark::Unrecognised { repair: digest }),
            }
        });
        waiting.or_else(|| {
            let under_way = |filed: &&&Said| {
                let stage = |said: &Said| match said.event {
                    Event::Application { stage, of: Some(of), on } if of == filed.digest && on <= day => Some(stage),
                    _ => None,
                };
                let newest = self.issuers.iter().rev().find_map(|said| stage(said));
                let begun = matches!(filed.event, Event::Application { on, .. } if on <= day);
                if self.taken_back.iter().any(|said| said.by == filed.by && stage(said).is_some()) {
                    return false;
                }
                // anybody may file: it is under way once the issuer says so
                match newest {
                    None => begun && filed.by == self.facts.issuer,
                    Some(stage) => !stage.is_last(),
                }
            };
            let application = self.filed.iter().rev().find(under_way)?.digest;
            Some(RepairMark::Applied { application })
        })
    }

    fn withdrawal(&self) -> Option<(Digest, Option<Date>)> {
        self.issuers.iter().filter(|s| s.place > self.facts.place).find_map(|said| match said.event {
            Event::Withdrawal { decided } => Some((said.digest, decided)),
            _ => None,
        })
    }

    /// Why it is over, by its own dates: what it says, and where it says no validity the end of its publicity.
    fn over(&self, day: Date, ended: Option<Date>) -> Option<Reason> {
        let facts = self.facts;
        if let Some(removed) = facts.removed.filter(|removed| *removed <= day) {
            return Some(Reason::Removed { removed });
        }
        if facts.invalid {
            return Some(Reason::Invalid);
        }
        let until = match facts.valid_until {
            Some(until) => Some(until).filter(|until| *until < day),
            None => ended,
        };
        until.map(|until| Reason::ValidityEnded { until })
    }

    /// The repairs of this record by its issuer, in the order of its log; those of earlier versions too.
    fn repairs(&self) -> impl DoubleEndedIterator<Item = Repair> {
        self.issuers.iter().filter_map(|said| match said.event {
            Event::Repair { of, effective, until } => Some(Repair { digest: said.digest, of, effective, until }),
            _ => None,
        })
    }

    fn is_hidden_by_repair(&self, day: Date) -> bool {
        self.repairs().any(|repair| self.takes_effect(&repair, day))
    }

    fn takes_effect(&self, repair: &Repair, day: Date) -> bool {
        let recognised = self.at_home() || self.recognised(repair.digest, day) == Some(RecognitionOutcome::Recognised);
        let runs = repair.effective <= day && repair.until.is_none_or(|until| day <= until);
        runs && recognised && !self.is_revoked(repair.digest, day)
    }

    /// Whether a revocation is in force here: at a partner too as soon as it is known, unless the partner refuses it.
    fn is_revoked(&self, repair: Digest, day: Date) -> bool {
        self.revocation(repair, day).is_some()
    }

    fn revocation(&self, repair: Digest, day: Date) -> Option<Date> {
        self.issuers.iter().find_map(|said| match said.event {
            Event::Revocation { of, effective } if of == repair && effective <= day => {
                let refused = self.recognised(said.digest, day) == Some(RecognitionOutcome::Refused);
                (self.at_home() || !refused).then_some(effective)
            }
            _ => None,
        })
    }

    /// The newest repair that had effect here and was revoked.
    fn revoked_repair(&self, day: Date) -> Option<(Digest, Date)> {
        self.repairs().rev().find_map(|repair| Some((repair.digest, self.revocation(repair.digest, day)?)))
    }

    /// What this node has decided about a repair or a revocation: the newest of its decisions that are in effect.
    fn recognised(&self, about: Digest, day: Date) -> Option<RecognitionOutcome> {
        self.recognitions.iter().rev().find_map(|said| match said.event {
            Event::Recognition { of, outcome, effective } if of == about && effective <= day => Some(outcome),
            _ => None,
        })
    }

    fn at_home(&self) -> bool {
        *self.viewpoint == self.facts.issuer
    }

    /// Days on which something may change, or after which it may.
    fn edges(&self) -> impl Iterator<Item = Date> {
        let facts = self.facts;
        let said = self.issuers.iter().chain(&self.recognitions).flat_map(|said| match said.event {
            Event::Dispute { raised } => [Some(raised), None],
            Event::DisputeAnswer { answered, .. } => [Some(answered), None],
            Event::Repair { effective, until, .. } => [Some(effective), until],
            Event::Revocation { effective, .. } | Event::Recognition { effective, .. } => [Some(effective), None],
            Event::Withdrawal { .. } | Event::Application { .. } => [None, None],
        });
        let own = [facts.removed, facts.valid_until, facts.publicity_until];
        said.chain(own).flatten().chain(self.course.edges())
    }
}

/// Why a record can't be repaired.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotRepairable {
    /// Records of this kind are not repaired.
    #[error("a {kind} is not repaired")]
    Kind {
        /// The kind.
        kind: String,
    },
    /// It was withdrawn.
    #[error("the record was withdrawn")]
    Withdrawn,
    /// A later version stands in its place.
    #[error("a later version stands in its place: repair that")]
    Superseded,
    /// It is repaired, and that was not revoked.
    #[error("the record is repaired already, by {repair}")]
    AlreadyRepaired {
        /// The repair.
        repair: Digest,
    },
    /// The least publicity is not reached.
    #[error("before the least publicity: it can be repaired from {earliest} on")]
    TooEarly {
        /// The first day.
        earliest: Date,
    },
}

impl NotRepairable {
    /// In Chinese.
    pub fn title(&self) -> String {
        match self {
            Self::Kind { .. } => "该类信息不适用信用修复".to_owned(),
            Self::Withdrawn => "该信息已撤回".to_owned(),
            Self::Superseded => "该信息已有更新的版本，请对最新版本修复".to_owned(),
            Self::AlreadyRepaired { .. } => "该信息已修复".to_owned(),
            Self::TooEarly { earliest } => format!("未满最短公示期，{earliest}起方可修复"),
        }
    }
}

/// Whether the issuer of a record may repair it by a decision of this day. Looks at the issuer's own statements alone, and at
/// all of them whatever their dates: whoever holds its log up to there finds the same. A shielding needs no least publicity,
/// and a record that is shielded can be repaired.
pub fn repair_allowed(
    facts: &Facts,
    said: &[Said],
    rules: &Rules,
    of: RepairType,
    decided: Date,
) -> Result<(), NotRepairable> {
    if !rules.repairable.contains(&facts.kind) {
        return Err(NotRepairable::Kind { kind: facts.kind.clone() });
    }
    let life = Life::of(facts, said, rules, &facts.issuer);
    if life.withdrawal().is_some() {
        return Err(NotRepairable::Withdrawn);
    }
    if !facts.current {
        return Err(NotRepairable::Superseded);
    }
    let stands = |repair: &Repair| life.revocation(repair.digest, Date::MAX).is_none();
    let repaired = life.repairs().find(|repair| repair.of != RepairType::Shield && stands(repair));
    if let Some(Repair { digest: repair, .. }) = repaired {
        return Err(NotRepairable::AlreadyRepaired { repair });
    }
    let earliest = life.terms(decided).and_then(|terms| terms.repairable_from);
    match earliest.filter(|earliest| of != RepairType::Shield && decided < *earliest) {
        Some(earliest) => Err(NotRepairable::TooEarly { earliest }),
        None => Ok(()),
    }
}
