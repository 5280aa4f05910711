//! What the rules make of one record: its severity and where that comes from, from when it can be repaired, until when it is
//! shown.

use std::cmp::Ordering;

use jiff::civil::Date;
use serde::Serialize;

use super::rules::{ByValue, Rules, Severity, Version};
use super::setting::Period;
use super::{Amount, Facts};

/// What the rules make of a record on some day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Terms {
    /// How severe it is, by the rules of its decision.
    pub severity: Severity,
    /// Who or what says so.
    pub from: SeverityFrom,
    /// The rules of its decision.
    pub rules: String,
    /// The newer rules in force that are kinder to the subject in some respect, and are followed in that.
    pub kinder: Option<String>,
    /// It may be shown to the public at all.
    pub public: bool,
    /// The first day on which it can be repaired (最短公示期).
    pub repairable_from: Option<Date>,
    /// The last day on which it is shown (最长公示期, or what the authority rules). None: as long as it is valid.
    pub public_until: Option<Date>,
}

/// Where a severity comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase", tag = "by", content = "value")]
pub enum SeverityFrom {
    /// The authority gave it.
    Authority,
    /// Its category, or the list's name.
    Category(String),
    /// The fine, 万元, is a very large one.
    Amount(String),
    /// A word that tells of a summary procedure.
    Summary(String),
}

impl SeverityFrom {
    /// In words.
    pub fn words(&self) -> String {
        match self {
            Self::Authority => "given by the authority".to_owned(),
            Self::Category(value) => format!("derived from the category {value}"),
            Self::Amount(fine) => format!("derived from the fine of {fine} × 10,000 yuan"),
            Self::Summary(word) => format!("derived from the summary procedure ({word})"),
        }
    }

    /// In Chinese.
    pub fn title(&self) -> String {
        match self {
            Self::Authority => "认定单位给定".to_owned(),
            Self::Category(value) => format!("按类别“{value}”推定"),
            Self::Amount(fine) => format!("按罚款金额{fine}万元推定"),
            Self::Summary(word) => format!("按“{word}”推定"),
        }
    }
}

/// What each version of the rules that may apply makes of a record.
#[derive(Clone, Debug)]
pub(super) struct Course {
    /// That of the decision first, then newer ones in their order.
    by_version: Vec<(Option<Date>, Terms)>,
    /// The first day on which the authority or the grace period lets it be shown.
    pub shown_from: Option<Date>,
}

impl Course {
    pub fn of(facts: &Facts, rules: &Rules) -> Self {
        let own = rules.versions.iter().rposition(|version| {
            // without a day of its own a record follows the newest
            facts.decided.is_none_or(|decided| version.from.is_none_or(|from| from <= decided))
        });
        let applying = rules.versions.get(own.unwrap_or(0)..).unwrap_or_default();
        let by_version = applying.iter().filter_map(|v| Some((v.from, v.terms(facts)?))).collect();
        Self { by_version, shown_from: facts.published_from.or_else(|| held_back(facts, rules)) }
    }

    /// Those in force on a day, the kinder in each respect. None: the record has no severity.
    pub fn on(&self, day: Date) -> Option<Terms> {
        let (own, newer) = self.by_version.split_first()?;
        let mut terms = own.1.clone();
        for (_, other) in newer.iter().filter(|(from, _)| from.is_none_or(|from| from <= day)) {
            let kinder = terms.take_kinder(other);
            if kinder {
                terms.kinder = Some(other.rules.clone());
            }
        }
        Some(terms)
    }

    /// Days on which something may change.
    pub fn edges(&self) -> impl Iterator<Item = Date> {
        let terms = self.by_version.iter().flat_map(|(from, terms)| [*from, terms.public_until]);
        terms.chain([self.shown_from]).flatten()
    }
}

impl Terms {
    fn take_kinder(&mut self, other: &Self) -> bool {
        let hides = self.public && !other.public;
        self.public &= other.public;
        let sooner = other.repairable_from < self.repairable_from;
        if sooner {
            self.repairable_from = other.repairable_from;
        }
        // without an end is later than any
        let ends_sooner = match (self.public_until, other.public_until) {
            (Some(own), Some(other)) => other < own,
            (None, Some(_)) => true,
            (_, None) => false,
        };
        if ends_sooner {
            self.public_until = other.public_until;
        }
        hides || sooner || ends_sooner
    }
}

impl Version {
    fn terms(&self, facts: &Facts) -> Option<Terms> {
        let (severity, from) = self.severity(facts)?;
        let class = self.class(severity);
        let special = named(&self.special_words, &facts.special_texts).is_some();
        let least = |decided: Date| {
            let least = class.least.after(decided);
            if special { least.max(self.special_least.after(decided)) } else { least }
        };
        let most = facts.decided.map(|decided| class.most.after(decided)).filter(|_| !facts.unperformed);
        let ends = [most, facts.publicity_until].into_iter().flatten().min();
        Some(Terms {
            severity,
            from,
            rules: self.id.clone(),
            kinder: None,
            public: class.public,
            repairable_from: facts.decided.map(least),
            public_until: ends,
        })
    }

    fn severity(&self, facts: &Facts) -> Option<(Severity, SeverityFrom)> {
        let derived = most_severe(&self.severity, facts);
        if let Some(given) = facts.severity {
            return Some((given, SeverityFrom::Authority));
        }
        let (severity, value) = derived?;
        if severity == Severity::Serious {
            return Some((severity, SeverityFrom::Category(value)));
        }
        let very_large = |fine: &&Amount| self.very_large_fine.as_ref().is_some_and(|limit| *fine >= limit);
        if let Some(fine) = facts.fine.as_ref().filter(very_large) {
            return Some((Severity::Serious, SeverityFrom::Amount(fine.to_string())));
        }
        match named(&self.summary_words, &facts.summary_texts) {
            Some(word) if severity > Severity::Minor => Some((Severity::Minor, SeverityFrom::Summary(word.to_owned()))),
            _ => Some((severity, SeverityFrom::Category(value))),
        }
    }
}

/// The most severe of a record's values, the first of equals.
fn most_severe(severities: &ByValue<Severity>, facts: &Facts) -> Option<(Severity, String)> {
    let found = facts
        .values
        .iter()
        .filter_map(|(member, value)| Some((*look_up(severities, &facts.kind, member, value)?, value.clone())));
    // of equals `max_by` takes the last
    found.max_by(|a, b| a.0.cmp(&b.0).then(Ordering::Greater))
}

/// The first day after the grace period, where there is one.
fn held_back(facts: &Facts, rules: &Rules) -> Option<Date> {
    let graces = facts.values.iter().filter_map(|(member, value)| look_up(&rules.grace, &facts.kind, member, value));
    let decided = facts.decided?;
    graces.filter(|grace: &&Period| !grace.is_zero()).map(|grace| grace.after(decided)).max()
}

fn look_up<'a, T>(table: &'a ByValue<T>, kind: &str, member: &str, value: &str) -> Option<&'a T> {
    let values = table.get(kind)?.get(member)?;
    values.get(value).or_else(|| values.get("*"))
}

fn named<'a>(words: &'a [String], texts: &[String]) -> Option<&'a str> {
    words.iter().find(|word| texts.iter().any(|text| text.contains(word.as_str()))).map(String::as_str)
}
