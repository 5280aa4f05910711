//! What of applications is due: what this node is to do by the next working day or is late with, and what the other side is
//! late with. Told in the journal each day, in `status`, in the figures and by `doctor`.

use jiff::civil::Date;
use serde::Serialize;

use crate::about::application::Application;
use crate::clock::Clock;
use crate::node::settings::Settings;
use crate::record::Calendar;
use crate::record::application::{Course, Side};
use crate::record::event::Stage;
use crate::record::rules::Deadlines;
use crate::statement::{Digest, NodeId};
use crate::store::{Db, StoreError};

/// So many are named.
pub const NAMED: usize = 10;

/// What of a node's applications is under way and due.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct UnderWay {
    /// Of which this node does the next step.
    pub waiting: usize,
    /// Of which the other side does.
    pub elsewhere: usize,
    /// Due here by the next working day, or late at either side.
    pub due: usize,
    /// Of them past their deadline.
    pub late: usize,
    /// The first of those due, the longest due first.
    pub first: Vec<Due>,
    /// In one sentence, and what to do, where something is due.
    pub words: Option<String>,
}

/// Something that is due.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Due {
    /// The application.
    pub application: Digest,
    /// Whose it is to do.
    pub next: NodeId,
    /// The last day.
    pub deadline: String,
    /// That day is over.
    pub late: bool,
    /// What it means and what to do, in one sentence.
    pub words: String,
}

impl UnderWay {
    /// Looks at the store.
    pub async fn of(db: &Db, node: &NodeId, settings: &Settings, clock: &Clock) -> Result<Self, StoreError> {
        let applications = Application::all(db.applications_of(node).await?);
        let (calendar, rules) = (settings.calendar.now(), settings.rules.now());
        Ok(under_way(&applications, node, &calendar, &rules.deadlines, clock.today()))
    }
}

/// What of these is under way and due for a node on a day.
pub fn under_way(
    applications: &[Application],
    node: &NodeId,
    calendar: &Calendar,
    deadlines: &Deadlines,
    today: Date,
) -> UnderWay {
    let soon = calendar.deadline(today, 1).date;
    let mut all = UnderWay::default();
    let mut due: Vec<(Date, Due)> = Vec::new();
    for one in applications.iter().filter(|one| [one.window(), one.decider()].contains(&node)) {
        let Some(course) = Course::of(&one.steps(), calendar, deadlines) else { continue };
        let (Some(side), Some(deadline)) = (course.next, course.deadline) else { continue };
        let (next, late) = (one.node(side), course.is_late(today));
        let is_own = next == node;
        if is_own {
            all.waiting += 1;
        } else {
            all.elsewhere += 1;
        }
        all.late += usize::from(late);
        if late || (is_own && deadline.date <= soon) {
            let words = words(one, &course, next, is_own, late, deadline.date);
            let (application, deadline_text) = (one.digest, deadline.date.to_string());
            due.push((deadline.date, Due { application, next: next.clone(), deadline: deadline_text, late, words }));
        }
    }
    due.sort_by_key(|(date, due)| (*date, due.application));
    all.due = due.len();
    all.first = due.into_iter().map(|(_, due)| due).collect();
    all.words = all.first.first().map(|first| {
        let (due, late) = (all.due - all.late, all.late);
        let due = Some(format!("{due} due by {soon} 即将到期")).filter(|_| due > 0);
        let late = Some(format!("{late} late 逾期")).filter(|_| late > 0);
        let counts: Vec<String> = due.into_iter().chain(late).collect();
        format!(
            "applications at another city's window 异地修复: {}; `kaopu application list` shows them. First, {}",
            counts.join(", "),
            first.words
        )
    });
    all
}

fn words(one: &Application, course: &Course, next: &NodeId, is_own: bool, late: bool, deadline: Date) -> String {
    let what = match (course.stage, course.next) {
        (_, Some(Side::Window)) => "to be supplied with what was asked for 补正",
        (Stage::Filed | Stage::Supplied, _) => "to be accepted or sent back 受理",
        _ => "to be decided 办理",
    };
    let when = if late { "was due on" } else { "is due on" };
    let digest = one.digest;
    let remedy = match (is_own, course.stage) {
        (false, _) => format!("{next} is late: ask there"),
        (true, Stage::More) => format!("`kaopu application supply {digest}`"),
        (true, Stage::Filed | Stage::Supplied) => format!("`kaopu application accept {digest}`, `more` or `reject`"),
        (true, _) => format!("`kaopu application decide {digest}`, `extend` or `reject`"),
    };
    format!("{digest} is {what}, and {when} {deadline}: {remedy}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::log::event::RecordPlace;
    use crate::record::Rules;
    use crate::statement::{Audience, Salt, Statement, Typ};
    use crate::store::application::OfApplication;

    const WINDOW: &str = "310107";
    const DECIDER: &str = "340500";
    /// 2026-07-06, a Monday, about noon there.
    const MONDAY: i64 = 1_783_310_400;

    /// Applications of which each stage was said on Monday; of those with a day, more is due then.
    fn told(all: &[(&str, &str, Option<&str>)]) -> Vec<Application> {
        let place = RecordPlace { issuer: DECIDER.parse().unwrap(), kind: "penalty".to_owned(), identity: [0; 32] };
        let said = |n: u8, about: u8, iss: &str, stage: &str, until: Option<&str>| {
            let mut body = json!({"stage": stage, "on": "2026-07-06"});
            if let Some(until) = until {
                body["deadline"] = until.into();
            }
            let statement = Statement {
                typ: Typ::first("application"),
                iss: iss.parse().unwrap(),
                iat: MONDAY,
                aud: Audience::Everyone,
                salt: Salt([0; 16]),
                sub: None,
                prev: None,
                refs: vec![Digest([about; 32])],
                body: body.as_object().unwrap().clone(),
            };
            OfApplication { digest: Digest([n; 32]), statement, place: place.clone() }
        };
        let each = (1..).zip(all).flat_map(|(n, (window, stage, until))| {
            let filed = said(n, 0, window, "filed", None);
            let stage = (*stage != "filed").then(|| said(n + 100, n, DECIDER, stage, *until));
            std::iter::once(filed).chain(stage)
        });
        Application::all(each.collect())
    }

    #[test]
    fn what_is_ones_own_is_told_before_its_day_and_what_is_anothers_behind_it() {
        let (calendar, rules) = (Calendar::built_in().unwrap(), Rules::built_in().unwrap());
        let all = told(&[
            (WINDOW, "filed", None),
            ("341200", "filed", None),
            (WINDOW, "accepted", None),
            (WINDOW, "more", Some("2026-07-07")),
            (WINDOW, "rejected", None),
        ]);
        let of = |node: &str, day| {
            under_way(&all, &node.parse().unwrap(), &calendar, &rules.deadlines, jiff::civil::date(2026, 7, day))
        };
        let counts = |node, day| {
            let all = of(node, day);
            [all.waiting, all.elsewhere, all.due, all.late]
        };
        // acceptance is due on Wednesday, what is supplied on Tuesday, a decision on the Monday after next
        for (node, day, expected) in [
            (DECIDER, 6, [3, 1, 0, 0]),
            (DECIDER, 7, [3, 1, 2, 0]),
            (DECIDER, 8, [3, 1, 3, 1]),
            (DECIDER, 9, [3, 1, 3, 3]),
            (DECIDER, 17, [3, 1, 4, 3]),
            (WINDOW, 6, [1, 2, 1, 0]),
            (WINDOW, 7, [1, 2, 1, 0]),
            (WINDOW, 8, [1, 2, 1, 1]),
            (WINDOW, 9, [1, 2, 2, 2]),
            ("341200", 8, [0, 1, 0, 0]),
            ("341200", 9, [0, 1, 1, 1]),
            ("330100", 9, [0, 0, 0, 0]),
        ] {
            assert_eq!(counts(node, day), expected, "{node} on day {day}");
        }
        assert_eq!(of(DECIDER, 6).words, None);
        let wednesday = of(DECIDER, 8);
        assert!(
            wednesday.first[0].words.ends_with("was due on 2026-07-07: 310107 is late: ask there"),
            "{wednesday:?}"
        );
        assert!(wednesday.first[1].words.contains("`kaopu application accept"), "{wednesday:?}");
        assert!(wednesday.words.unwrap().contains("2 due by 2026-07-09 即将到期, 1 late 逾期"));
        assert!(of(DECIDER, 9).words.unwrap().contains(": 3 late 逾期; "));
        assert!(of(WINDOW, 6).first[0].words.contains("`kaopu application supply"));
    }
}
