//! The rules of `config/rules.toml`: severity, publicity, deadlines, by the day of the decision.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::Amount;
use super::facts::VALUE_MEMBERS;
use super::setting::{Day, Period, SettingFault};

const BUILT_IN: &str = include_str!("../../config/rules.toml");
/// The digits of an amount (万元).
const DIGITS: (u32, u32) = (18, 6);
/// Longer than this (working days) and a deadline is a slip of the pen.
const MOST_DEADLINE: u32 = 365;

/// The rules by which records are shown, held back, repaired and answered about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Deadlines in working days.
    pub deadlines: Deadlines,
    /// Kinds of which a record can be repaired.
    pub(super) repairable: Vec<String>,
    /// How long records are held back, by kind, member and value.
    pub(super) grace: ByValue<Period>,
    /// By the day of the decision, oldest first; there is at least one.
    pub(super) versions: Vec<Version>,
}

/// Deadlines in working days.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deadlines {
    /// An application is accepted or sent back.
    pub accept: u32,
    /// It is decided.
    pub decide: u32,
    /// … extended once by so many.
    pub extend: u32,
    /// What is asked for is supplied.
    #[serde(default = "supply")]
    pub supply: u32,
    /// A repair is shared with partners.
    pub share: u32,
    /// A partner recognises it, or not.
    pub recognise: u32,
    /// A dispute is answered.
    pub answer: u32,
    /// A licence or penalty is published after its decision (双公示).
    pub publish: u32,
}

/// Files of rules from before it could be said lack it.
fn supply() -> u32 {
    10
}

/// How severe the conduct was that a record tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// 轻微.
    Minor,
    /// 一般.
    General,
    /// 严重.
    Serious,
}

/// The rules for decisions from one day on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Version {
    pub id: String,
    /// None: since ever.
    pub from: Option<Date>,
    /// 万元.
    pub very_large_fine: Option<Amount>,
    pub summary_words: Vec<String>,
    pub special_words: Vec<String>,
    pub special_least: Period,
    pub classes: [Class; 3],
    pub severity: ByValue<Severity>,
}

/// What a severity means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Class {
    /// Shown to the public at all.
    pub public: bool,
    /// It can't be repaired before.
    pub least: Period,
    /// Publicity ends by itself.
    pub most: Period,
}

/// By kind, member and value; the value `*` is any other.
pub(super) type ByValue<T> = BTreeMap<String, BTreeMap<String, BTreeMap<String, T>>>;

impl Severity {
    /// The word of scripts and bodies.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Minor => "minor",
            Self::General => "general",
            Self::Serious => "serious",
        }
    }

    /// The word that users say.
    pub fn title(self) -> &'static str {
        match self {
            Self::Minor => "轻微",
            Self::General => "一般",
            Self::Serious => "严重",
        }
    }

    /// By either word.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Minor, Self::General, Self::Serious].into_iter().find(|s| text == s.as_str() || text == s.title())
    }
}

impl Version {
    pub fn class(&self, severity: Severity) -> Class {
        self.classes[severity as usize]
    }
}

impl Rules {
    /// The rules that come with the program.
    pub fn built_in() -> Result<Self, SettingFault> {
        Self::parse("config/rules.toml", BUILT_IN)
    }

    /// Reads rules; `file` is named in faults.
    pub fn parse(file: &str, text: &str) -> Result<Self, SettingFault> {
        let written: Written = toml::from_str(text).map_err(|error| SettingFault::of(file, text, &error))?;
        written.checked().map_err(|(offset, reason)| SettingFault::at(file, text, offset, reason))
    }

    /// The id of the version that is in force on a day.
    pub fn in_force(&self, day: Date) -> &str {
        let begun = self.versions.iter().rev().find(|version| version.from.is_none_or(|from| from <= day));
        begun.or(self.versions.first()).map_or("", |version| &version.id)
    }
}

/// Where in the text, and what is wrong there.
type Wrong = (usize, String);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    repairable: Vec<String>,
    deadlines: Spanned<Deadlines>,
    #[serde(default)]
    grace: Named<Period>,
    version: Vec<Spanned<WrittenVersion>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenVersion {
    id: Spanned<String>,
    /// For readers of the file.
    #[serde(rename = "title")]
    _title: String,
    from: Option<Spanned<Day>>,
    very_large_fine: Option<Spanned<String>>,
    #[serde(default)]
    summary_words: Vec<Spanned<String>>,
    #[serde(default)]
    special_words: Vec<Spanned<String>>,
    special_least: Option<Spanned<Period>>,
    minor: Spanned<Class>,
    general: Spanned<Class>,
    serious: Spanned<Class>,
    #[serde(default)]
    severity: Named<Severity>,
}

/// By kind, member and value, each member with its place.
type Named<T> = BTreeMap<String, BTreeMap<Spanned<String>, BTreeMap<String, T>>>;

impl Written {
    fn checked(self) -> Result<Rules, Wrong> {
        let deadlines = *self.deadlines.get_ref();
        let Deadlines { accept, decide, extend, supply, share, recognise, answer, publish } = deadlines;
        if [accept, decide, extend, supply, share, recognise, answer, publish]
            .into_iter()
            .any(|days| days > MOST_DEADLINE)
        {
            let reason = format!("a deadline is {MOST_DEADLINE} working days at the most");
            return Err((self.deadlines.span().start, reason));
        }
        let mut versions: Vec<Version> = Vec::new();
        for version in self.version {
            let (at, version) = (version.span().start, version.into_inner());
            let begins = version.from.as_ref().map_or(at, |from| from.span().start);
            let from = version.from.as_ref().map(|from| from.get_ref().0);
            match (versions.last(), from) {
                (None, Some(_)) => {
                    return Err((begins, "the first version is for all decisions before the next: no `from`".into()));
                }
                (Some(_), None) => return Err((at, "each version but the first says `from` which day on".into())),
                (Some(before), Some(_)) if before.from >= from => {
                    return Err((begins, "versions stand in the order of their days, oldest first".into()));
                }
                _ => {}
            }
            let (id, id_at) = (version.id.get_ref().clone(), version.id.span().start);
            if id.is_empty() || versions.iter().any(|v| v.id == id) {
                return Err((id_at, format!("{id:?} names no version, or two")));
            }
            versions.push(version.checked()?);
        }
        if versions.is_empty() {
            return Err((0, "no version stands here".to_owned()));
        }
        Ok(Rules { deadlines, repairable: self.repairable, grace: known(self.grace)?, versions })
    }
}

impl WrittenVersion {
    fn checked(self) -> Result<Version, Wrong> {
        let very_large_fine = match &self.very_large_fine {
            None => None,
            Some(amount) => Some(Amount::parse(amount.get_ref(), DIGITS.0, DIGITS.1).map_err(|error| {
                (amount.span().start, format!("{:?} is no amount in 万元: {error}", amount.get_ref()))
            })?),
        };
        for class in [&self.minor, &self.general, &self.serious] {
            let Class { least, most, .. } = *class.get_ref();
            let begin = Date::constant(2024, 1, 1);
            if least.after(begin) > most.after(begin) {
                return Err((class.span().start, "the least publicity is longer than the most".to_owned()));
            }
        }
        if let Some(word) = self.summary_words.iter().chain(&self.special_words).find(|w| w.get_ref().trim().is_empty())
        {
            return Err((word.span().start, "an empty word is in every text".to_owned()));
        }
        let special_least = match (&self.special_least, self.special_words.first()) {
            (None, Some(word)) => {
                return Err((word.span().start, "special_words without special_least mean nothing".to_owned()));
            }
            (Some(least), None) => {
                return Err((least.span().start, "special_least without special_words means nothing".to_owned()));
            }
            (least, _) => least.as_ref().map_or(Period::months(0), |least| *least.get_ref()),
        };
        let words = |words: Vec<Spanned<String>>| words.into_iter().map(Spanned::into_inner).collect();
        Ok(Version {
            id: self.id.into_inner(),
            from: self.from.map(|from| from.get_ref().0),
            very_large_fine,
            summary_words: words(self.summary_words),
            special_words: words(self.special_words),
            special_least,
            classes: [self.minor, self.general, self.serious].map(Spanned::into_inner),
            severity: known(self.severity)?,
        })
    }
}

/// Only members of which the values are looked at.
fn known<T>(named: Named<T>) -> Result<ByValue<T>, Wrong> {
    let mut by_value = BTreeMap::new();
    for (kind, members) in named {
        let mut by_member = BTreeMap::new();
        for (member, values) in members {
            if !VALUE_MEMBERS.contains(&member.get_ref().as_str()) {
                let expected = VALUE_MEMBERS.join(", ");
                return Err((member.span().start, format!("{:?} is none of {expected}", member.get_ref())));
            }
            by_member.insert(member.into_inner(), values);
        }
        by_value.insert(kind, by_member);
    }
    Ok(by_value)
}

#[cfg(test)]
mod tests;
