//! What ends soon: certificates, authorities and descriptors, this node's own and its peers'. Each is warned of 60, 30, 14,
//! 7 and 1 days ahead, and when it has ended: in the journal, in `status`, in the figures, and by `doctor`'s exit code.
//!
//! A key has no date of its own: it holds as long as the descriptor that names it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::time::sleep;

use super::settings::Settings;
use super::status::{Status, time};
use crate::clock::Clock;
use crate::config::Config;
use crate::statement::NodeId;
use crate::store::Db;
use crate::trust::certificates::valid_until;
use crate::trust::descriptor::{Descriptor, KeyState};
use crate::trust::tls::Seen;

/// So many days before its end something is warned of for the first, second … time.
pub const THRESHOLDS: [i64; 5] = [60, 30, 14, 7, 1];

const DAY: i64 = 86_400;

/// What kind of thing ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum What {
    /// The TLS certificate of a node.
    Certificate,
    /// A certificate authority that a node's descriptor names.
    Authority,
    /// The newest descriptor of a node.
    Descriptor,
}

/// Something that ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ends {
    /// What it is.
    pub what: What,
    /// Whose.
    pub node: NodeId,
    /// This node's own.
    pub own: bool,
    /// When, in seconds since 1970.
    pub until: i64,
}

/// Something that ends soon, or has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// What it is.
    pub what: What,
    /// Whose.
    pub node: NodeId,
    /// When it ends, RFC 3339.
    pub until: String,
    /// Whole days until then; negative afterwards.
    pub days: i64,
    /// Which threshold was passed last, in days; 0 when it has ended.
    pub threshold: i64,
    /// What it means and what to do, in one sentence.
    pub words: String,
}

impl What {
    /// As figures and sentences name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Certificate => "certificate",
            Self::Authority => "authority",
            Self::Descriptor => "descriptor",
        }
    }
}

impl Ends {
    /// What ends of a node, by its descriptor and the end of the certificate that it shows, where that is known.
    pub fn of(descriptor: &Descriptor, own: bool, certificate: Option<i64>) -> Vec<Self> {
        let ends = |what, until| Self { what, node: descriptor.node.clone(), own, until };
        let in_use = descriptor.tls.iter().filter(|trust| matches!(trust.state, KeyState::Active | KeyState::Next));
        let authorities = in_use.filter_map(|trust| valid_until(&trust.certificate));
        let certificate = certificate.map(|until| ends(What::Certificate, until));
        let descriptor = ends(What::Descriptor, descriptor.valid_until);
        certificate
            .into_iter()
            .chain(authorities.map(|until| ends(What::Authority, until)))
            .chain([descriptor])
            .collect()
    }

    /// Whole days from `now` to the end.
    pub fn days(&self, now: i64) -> i64 {
        self.until.saturating_sub(now).div_euclid(DAY)
    }
}

/// What of these ends soon, or has ended, at `now`; the soonest first.
pub fn warnings(ends: &[Ends], now: i64) -> Vec<Warning> {
    let mut soon: Vec<_> = ends.iter().filter_map(|ends| Some((ends.until, warning(ends, now)?))).collect();
    soon.sort_by(|(a, x), (b, y)| (a, &x.node, x.what).cmp(&(b, &y.node, y.what)));
    soon.into_iter().map(|(_, warning)| warning).collect()
}

fn warning(ends: &Ends, now: i64) -> Option<Warning> {
    let left = ends.until.saturating_sub(now);
    let threshold = if left <= 0 { 0 } else { THRESHOLDS.into_iter().rev().find(|days| left <= days * DAY)? };
    let until = ends.until.checked_mul(1000).and_then(time).unwrap_or_default();
    Some(Warning {
        what: ends.what,
        node: ends.node.clone(),
        words: words(ends, left),
        days: ends.days(now),
        until,
        threshold,
    })
}

fn words(ends: &Ends, left: i64) -> String {
    let whose = if ends.own { "this node's".to_owned() } else { format!("{}'s", ends.node) };
    let when = match left {
        ..=0 => "has ended".to_owned(),
        left if left < DAY => "ends within a day".to_owned(),
        left if left < 2 * DAY => "ends in 1 day".to_owned(),
        left => format!("ends in {} days", left / DAY),
    };
    let remedy = match (ends.own, ends.what) {
        (true, What::Certificate) => {
            "renew it with `kaopu key rotate certificate`, or put yours in its file: a running node takes it in by itself"
        }
        (true, What::Authority) => {
            "`kaopu key rotate ca` makes the next one: begin while all peers can still pick it up"
        }
        (true, What::Descriptor) => "`kaopu key renew` issues a newer one: it needs the root key",
        (false, _) => "tell its administrator, before it is refused",
    };
    format!("{whose} {} {when}: {remedy}", ends.what.as_str())
}

/// How often what ends is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// Tells the journal for ever of what ends soon, and the store of what other nodes showed.
pub async fn keep_telling(db: Db, config: Arc<Config>, settings: Settings, clock: Clock, seen: Seen) {
    let mut told = Told::default();
    let mut noted = HashMap::new();
    let mut calendar_told = None;
    let mut partners_told = None;
    loop {
        for (node, until) in seen.all() {
            if noted.get(&node) == Some(&until) {
                continue;
            }
            match db.note_certificate(&node, until.saturating_mul(1000)).await {
                Ok(()) => drop(noted.insert(node, until)),
                Err(error) => tracing::warn!(%node, %error, "could not note when a certificate ends"),
            }
        }
        match Status::of(&db, &config, &settings, &clock).await {
            Ok(status) => {
                for warning in told.due(&status.warnings, clock.now()) {
                    tracing::warn!(node = %warning.node, until = warning.until, "{}", warning.words);
                }
                // once a day: the days that are left are in the sentence
                if status.calendar != calendar_told {
                    status.calendar.iter().for_each(|missing| tracing::warn!(year = missing.year, "{}", missing.words));
                    calendar_told = status.calendar;
                }
                let today = clock.today();
                if partners_told != Some(today) {
                    for late in &status.late_partners.partners {
                        tracing::warn!(node = %late.node, repairs = late.repairs, "{}", late.words);
                    }
                    partners_told = Some(today);
                }
            }
            Err(error) => tracing::warn!(%error, "could not look at what ends soon"),
        }
        sleep(LOOK_EVERY).await;
    }
}

/// Which warnings stand in the journal already: each is told at each threshold, and once a day.
#[derive(Debug, Default)]
pub struct Told(HashMap<(NodeId, What, String), (i64, i64)>);

impl Told {
    /// Those of the warnings that are due at `now`.
    pub fn due<'a>(&mut self, warnings: &'a [Warning], now: i64) -> Vec<&'a Warning> {
        let mut due = Vec::new();
        let mut told = HashMap::new();
        for warning in warnings {
            let key = (warning.node.clone(), warning.what, warning.until.clone());
            let before = self.0.get(&key).copied();
            let again = before.is_none_or(|(threshold, at)| threshold != warning.threshold || now - at >= DAY);
            if again {
                due.push(warning);
            }
            let last = before.filter(|_| !again).unwrap_or((warning.threshold, now));
            told.insert(key, last);
        }
        // what was renewed meanwhile is forgotten
        self.0 = told;
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_790_000_000;

    fn ends(own: bool, what: What, until: i64) -> Ends {
        Ends { what, node: if own { "340500" } else { "310107" }.parse().unwrap(), own, until }
    }

    #[test]
    fn each_threshold_is_passed_on_its_day() {
        for (left, threshold, days) in [
            (61 * DAY, None, 61),
            (60 * DAY + 1, None, 60),
            (60 * DAY, Some(60), 60),
            (31 * DAY, Some(60), 31),
            (30 * DAY, Some(30), 30),
            (14 * DAY + 1, Some(30), 14),
            (14 * DAY, Some(14), 14),
            (7 * DAY, Some(7), 7),
            (2 * DAY, Some(7), 2),
            (DAY, Some(1), 1),
            (1, Some(1), 0),
            (0, Some(0), 0),
            (-1, Some(0), -1),
            (-400 * DAY, Some(0), -400),
        ] {
            for own in [true, false] {
                for what in [What::Certificate, What::Authority, What::Descriptor] {
                    let found = warnings(&[ends(own, what, NOW + left)], NOW);
                    assert_eq!(found.first().map(|warning| warning.threshold), threshold, "{left} {what:?}");
                    assert!(found.iter().all(|warning| warning.days == days), "{left}: {found:?}");
                }
            }
        }
    }

    #[test]
    fn a_warning_says_whose_it_is_when_it_ends_and_what_to_do() {
        for (ends, expected) in [
            (ends(true, What::Certificate, NOW + 13 * DAY), "this node's certificate ends in 13 days: renew it"),
            (ends(true, What::Authority, NOW + DAY), "this node's authority ends in 1 day: `kaopu key rotate ca`"),
            (ends(false, What::Descriptor, NOW + 60), "310107's descriptor ends within a day: tell its administrator"),
            (ends(false, What::Certificate, NOW - 60), "310107's certificate has ended: tell its administrator"),
        ] {
            let found = warnings(&[ends], NOW);
            assert!(found[0].words.starts_with(expected), "{}", found[0].words);
        }
    }

    #[test]
    fn the_soonest_comes_first() {
        let all = [ends(true, What::Descriptor, NOW + 9 * DAY), ends(false, What::Certificate, NOW - 1)];
        let found = warnings(&all, NOW);
        assert_eq!(found.iter().map(|warning| warning.threshold).collect::<Vec<_>>(), [0, 14]);
    }

    #[test]
    fn the_journal_hears_of_it_at_each_threshold_and_once_a_day() {
        let mut told = Told::default();
        let end = NOW + 8 * DAY;
        let mut heard = Vec::new();
        // looked at each hour, from eight days before the end to one day after it
        for hour in 0..9 * 24 {
            let now = NOW + hour * 3600;
            let warnings = warnings(&[ends(true, What::Certificate, end)], now);
            heard.extend(told.due(&warnings, now).iter().map(|warning| (hour, warning.threshold)));
        }
        let expected: Vec<(i64, i64)> =
            (0..9).map(|day| (day * 24, [14, 7, 7, 7, 7, 7, 7, 1, 0][day as usize])).collect();
        assert_eq!(heard, expected);
        // renewed, and due again much later
        assert!(told.due(&[], NOW).is_empty());
        assert_eq!(told.due(&warnings(&[ends(true, What::Certificate, end)], NOW), NOW).len(), 1);
    }
}
