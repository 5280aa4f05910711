//! How far an application for a repair at another city's window has come: who acts next, and by which day.
//!
//! Days are those on which statements were said: what an office writes as its date can be any earlier one. The statements
//! of each side stand in the order of its log; between the two there is none but their days.

use jiff::civil::Date;
use serde::Serialize;

use super::Calendar;
use super::calendar::Deadline;
use super::event::Stage;
use super::rules::Deadlines;

/// One of the two nodes that an application goes between.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// Where it was filed 受理窗口.
    Window,
    /// Whose record it is 决定机关.
    Decider,
}

/// Something that was said of an application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// What.
    pub stage: Stage,
    /// When.
    pub day: Date,
    /// The last day for what it asks for, where that was said.
    pub until: Option<Date>,
}

/// How far an application has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Course {
    /// What it stands at.
    pub stage: Stage,
    /// Who acts next; nobody where it is at its end.
    pub next: Option<Side>,
    /// By which day.
    pub deadline: Option<Deadline>,
}

/// Why something cannot be said of an application now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotNow {
    /// It was rejected or decided.
    #[error("the application is at its end 该申请已办结")]
    Ended,
    /// The window took it back.
    #[error("the window has taken the application back: nothing is decided on it any more 申请人已撤回该申请")]
    TakenBack,
    /// It was accepted.
    #[error("the application was accepted already 该申请已受理")]
    Accepted,
    /// It was not.
    #[error("the application was not accepted yet: `kaopu application accept` first 该申请尚未受理")]
    NotAccepted,
    /// The window was asked for more, and has not supplied it.
    #[error("the window was asked for more and has not supplied it: wait, or reject the application 尚待窗口补正")]
    Asked,
    /// Nothing was asked for.
    #[error("nothing more was asked for 未要求补正")]
    NotAsked,
    /// There was more time once.
    #[error("the time to decide was extended already: that is done once 该申请已延期一次")]
    Extended,
}

/// What both sides have said, each in its order.
struct Sides {
    filed: Option<Step>,
    supplied: Vec<Step>,
    withdrawn: bool,
    issuers: Vec<Step>,
}

impl Step {
    /// Who says this.
    pub fn side(&self) -> Side {
        side(self.stage)
    }
}

/// Who says this.
pub fn side(stage: Stage) -> Side {
    match stage {
        Stage::Filed | Stage::Supplied | Stage::Withdrawn => Side::Window,
        Stage::Accepted | Stage::More | Stage::Extended | Stage::Rejected | Stage::Decided => Side::Decider,
    }
}

impl Course {
    /// After these steps. None: it was not filed.
    pub fn of(steps: &[Step], calendar: &Calendar, deadlines: &Deadlines) -> Option<Self> {
        let sides = Sides::of(steps);
        let filed = sides.filed?;
        let stage = sides.stage();
        let (next, deadline) = match stage {
            Stage::Rejected | Stage::Decided | Stage::Withdrawn => (None, None),
            Stage::More => {
                let asked = sides.asked().last().copied().unwrap_or(filed);
                // a day that was over when it was stated would make late whoever answers at once
                let stated = asked.until.filter(|date| *date >= asked.day);
                let stated = stated.map(|date| Deadline { date, certain: true });
                (Some(Side::Window), Some(stated.unwrap_or_else(|| calendar.deadline(asked.day, deadlines.supply))))
            }
            Stage::Filed | Stage::Supplied => {
                let came = sides.supplied.iter().map(|step| step.day).fold(filed.day, Date::max);
                (Some(Side::Decider), Some(calendar.deadline(came, deadlines.accept)))
            }
            Stage::Accepted | Stage::Extended => (Some(Side::Decider), sides.decide(calendar, deadlines)),
        };
        Some(Self { stage, next, deadline })
    }

    /// Whether whoever acts next is late.
    pub fn is_late(&self, today: Date) -> bool {
        self.deadline.is_some_and(|deadline| deadline.date < today)
    }
}

/// Whether a stage follows these steps, as far as offices go; a log has its own rules beside.
pub fn may_follow(steps: &[Step], stage: Stage) -> Result<(), NotNow> {
    let sides = Sides::of(steps);
    if sides.issuers.iter().any(|step| step.stage.is_last()) {
        return Err(NotNow::Ended);
    }
    if sides.withdrawn {
        return Err(NotNow::TakenBack);
    }
    let waits = sides.waits();
    match stage {
        Stage::Supplied if !waits => Err(NotNow::NotAsked),
        Stage::Filed | Stage::Supplied | Stage::Rejected | Stage::Withdrawn => Ok(()),
        Stage::Accepted if sides.was(Stage::Accepted) => Err(NotNow::Accepted),
        Stage::Decided | Stage::Extended if !sides.was(Stage::Accepted) => Err(NotNow::NotAccepted),
        Stage::Extended if sides.was(Stage::Extended) => Err(NotNow::Extended),
        Stage::Extended => Ok(()),
        _ if waits => Err(NotNow::Asked),
        _ => Ok(()),
    }
}

impl Sides {
    fn of(steps: &[Step]) -> Self {
        let of = |stage| steps.iter().copied().filter(move |step| step.stage == stage);
        Self {
            filed: of(Stage::Filed).next(),
            supplied: of(Stage::Supplied).collect(),
            withdrawn: of(Stage::Withdrawn).next().is_some(),
            issuers: steps.iter().copied().filter(|step| step.side() == Side::Decider).collect(),
        }
    }

    fn was(&self, stage: Stage) -> bool {
        self.issuers.iter().any(|step| step.stage == stage)
    }

    fn asked(&self) -> Vec<Step> {
        self.issuers.iter().copied().filter(|step| step.stage == Stage::More).collect()
    }

    /// More was asked for more often than it was supplied: which came first, by clocks that may differ, says nothing.
    fn waits(&self) -> bool {
        self.asked().len() > self.supplied.len()
    }

    fn stage(&self) -> Stage {
        // each side may say its end before it hears of the other's: what was decided stands, since its repair does
        if let Some(last) = self.issuers.iter().find(|step| step.stage.is_last()) {
            return last.stage;
        }
        if self.withdrawn {
            return Stage::Withdrawn;
        }
        match (self.waits(), self.was(Stage::Accepted)) {
            (true, _) => Stage::More,
            (false, true) if self.was(Stage::Extended) => Stage::Extended,
            (false, true) => Stage::Accepted,
            (false, false) if self.supplied.is_empty() => Stage::Filed,
            (false, false) => Stage::Supplied,
        }
    }

    /// The last day to decide: the working days in which the window was to supply something are added.
    fn decide(&self, calendar: &Calendar, deadlines: &Deadlines) -> Option<Deadline> {
        let at = self.issuers.iter().position(|step| step.stage == Stage::Accepted)?;
        let extended = if self.was(Stage::Extended) { deadlines.extend } else { 0 };
        let mut deadline = calendar.deadline(self.issuers.get(at)?.day, deadlines.decide + extended);
        let asked = self.issuers.iter().enumerate().filter(|(_, step)| step.stage == Stage::More);
        for ((_, step), supplied) in asked.zip(&self.supplied).filter(|((place, _), _)| *place > at) {
            let rested = calendar.working_days_between(step.day, supplied.day);
            let later = calendar.deadline(deadline.date, rested.unwrap_or(0));
            deadline = Deadline { certain: deadline.certain && later.certain && rested.is_ok(), ..later };
        }
        Some(deadline)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Rules, date};

    fn day(text: &str) -> Date {
        date::parse_canonical(text).unwrap()
    }

    fn steps(told: &[(Stage, &str)]) -> Vec<Step> {
        told.iter().map(|(stage, on)| Step { stage: *stage, day: day(on), until: None }).collect()
    }

    fn course(told: &[(Stage, &str)]) -> Course {
        let (calendar, rules) = (Calendar::built_in().unwrap(), Rules::built_in().unwrap());
        Course::of(&steps(told), &calendar, &rules.deadlines).unwrap()
    }

    #[test]
    fn who_acts_next_has_until_a_day_that_holidays_move() {
        use Side::{Decider, Window};
        use Stage::{Accepted, Extended, Filed, More, Supplied};
        for (told, stage, next, deadline) in [
            // Tuesday; Thursday before a weekend; Friday before one
            (&[(Filed, "2026-07-07")][..], Filed, Decider, "2026-07-09"),
            (&[(Filed, "2026-07-09")], Filed, Decider, "2026-07-13"),
            (&[(Filed, "2026-07-11")], Filed, Decider, "2026-07-14"),
            // 1 to 7 October are holidays, 10 October is worked
            (&[(Filed, "2026-09-30")], Filed, Decider, "2026-10-09"),
            (&[(Filed, "2026-10-08")], Filed, Decider, "2026-10-10"),
            (&[(Filed, "2026-07-07"), (More, "2026-07-08")], More, Window, "2026-07-22"),
            (&[(Filed, "2026-07-07"), (More, "2026-07-08"), (Supplied, "2026-07-14")], Supplied, Decider, "2026-07-16"),
            // clocks that differ change nothing
            (&[(Filed, "2026-07-07"), (Supplied, "2026-07-14"), (More, "2026-07-15")], Supplied, Decider, "2026-07-16"),
            (&[(Filed, "2026-07-07"), (Accepted, "2026-07-08")], Accepted, Decider, "2026-07-22"),
            (&[(Filed, "2026-09-21"), (Accepted, "2026-09-21")], Accepted, Decider, "2026-10-12"),
            (
                &[(Filed, "2026-07-07"), (Accepted, "2026-07-08"), (Extended, "2026-07-20")],
                Extended,
                Decider,
                "2026-08-05",
            ),
            // what was asked for before it was accepted takes no time from the decision, what is asked for behind it rests
            (
                &[(Filed, "2026-07-06"), (More, "2026-07-06"), (Supplied, "2026-07-07"), (Accepted, "2026-07-08")],
                Accepted,
                Decider,
                "2026-07-22",
            ),
            (
                &[(Filed, "2026-07-07"), (Accepted, "2026-07-08"), (More, "2026-07-09"), (Supplied, "2026-07-14")],
                Accepted,
                Decider,
                "2026-07-27",
            ),
        ] {
            let course = course(told);
            assert_eq!((course.stage, course.next), (stage, Some(next)), "{told:?}");
            assert_eq!(course.deadline, Some(Deadline { date: day(deadline), certain: true }), "{told:?}");
            assert!(!course.is_late(day(deadline)) && course.is_late(day(deadline).tomorrow().unwrap()), "{told:?}");
        }
        let mut asked = steps(&[(Filed, "2026-07-07"), (More, "2026-07-08")]);
        asked[1].until = Some(day("2026-07-10"));
        let (calendar, rules) = (Calendar::built_in().unwrap(), Rules::built_in().unwrap());
        let stated = Course::of(&asked, &calendar, &rules.deadlines).unwrap().deadline;
        assert_eq!(stated.map(|deadline| deadline.date), Some(day("2026-07-10")));
        asked[1].until = Some(day("2026-07-07"));
        let over = Course::of(&asked, &calendar, &rules.deadlines).unwrap().deadline;
        assert_eq!(
            over,
            course(&[(Filed, "2026-07-07"), (More, "2026-07-08")]).deadline,
            "no day before it was stated"
        );
        // a year that nobody knows yet
        let beyond = course(&[(Filed, "2031-07-07")]).deadline.unwrap();
        assert_eq!((beyond.date, beyond.certain), (day("2031-07-09"), false));
        for last in [Stage::Rejected, Stage::Decided, Stage::Withdrawn] {
            let ended = course(&[(Filed, "2026-07-07"), (Accepted, "2026-07-08"), (last, "2026-07-09")]);
            assert_eq!(ended, Course { stage: last, next: None, deadline: None });
        }
        // while the window was asked, too
        let asked = course(&[(Filed, "2026-07-07"), (More, "2026-07-08"), (Stage::Withdrawn, "2026-07-09")]);
        assert_eq!(asked, Course { stage: Stage::Withdrawn, next: None, deadline: None });
        // neither heard of the other: whatever the clocks say, the decision stands
        for last in [Stage::Rejected, Stage::Decided] {
            for told in [[last, Stage::Withdrawn], [Stage::Withdrawn, last]] {
                let both = course(&[(Filed, "2026-07-07"), (told[0], "2026-07-08"), (told[1], "2026-07-09")]);
                assert_eq!(both, Course { stage: last, next: None, deadline: None }, "{told:?}");
            }
        }
        assert_eq!(Course::of(&[], &calendar, &rules.deadlines), None);
    }

    #[test]
    fn each_stage_out_of_its_order_has_a_reason_of_its_own() {
        use Stage::{Accepted, Decided, Extended, Filed, More, Rejected, Supplied, Withdrawn};
        let on = "2026-07-07";
        let may = |told: &[Stage], stage| {
            let told: Vec<(Stage, &str)> = told.iter().map(|stage| (*stage, on)).collect();
            may_follow(&steps(&told), stage)
        };
        for (told, stage, expected) in [
            (&[Filed][..], Accepted, Ok(())),
            (&[Filed], More, Ok(())),
            (&[Filed], Rejected, Ok(())),
            (&[Filed], Supplied, Err(NotNow::NotAsked)),
            (&[Filed], Decided, Err(NotNow::NotAccepted)),
            (&[Filed], Extended, Err(NotNow::NotAccepted)),
            (&[Filed, More], Accepted, Err(NotNow::Asked)),
            (&[Filed, More], More, Err(NotNow::Asked)),
            (&[Filed, More], Rejected, Ok(())),
            (&[Filed, More], Supplied, Ok(())),
            (&[Filed, More, Supplied], Supplied, Err(NotNow::NotAsked)),
            (&[Filed, More, Supplied], Accepted, Ok(())),
            (&[Filed, Accepted], Accepted, Err(NotNow::Accepted)),
            (&[Filed, Accepted], Decided, Ok(())),
            (&[Filed, Accepted], Extended, Ok(())),
            (&[Filed, Accepted, Extended], Extended, Err(NotNow::Extended)),
            (&[Filed, Accepted, More], Decided, Err(NotNow::Asked)),
            (&[Filed, Accepted, More], Rejected, Ok(())),
            (&[Filed], Withdrawn, Ok(())),
            (&[Filed, More], Withdrawn, Ok(())),
            (&[Filed, More, Supplied], Withdrawn, Ok(())),
            (&[Filed, Accepted, Extended], Withdrawn, Ok(())),
        ] {
            assert_eq!(may(told, stage), expected, "{told:?} {stage:?}");
        }
        for stage in [Accepted, More, Extended, Rejected, Decided, Supplied, Withdrawn] {
            for last in [Rejected, Decided] {
                assert_eq!(may(&[Filed, Accepted, last], stage), Err(NotNow::Ended), "{stage:?}");
                assert_eq!(may(&[Filed, Accepted, Withdrawn, last], stage), Err(NotNow::Ended), "{stage:?}");
            }
            assert_eq!(may(&[Filed, Accepted, Withdrawn], stage), Err(NotNow::TakenBack), "{stage:?}");
        }
    }
}
