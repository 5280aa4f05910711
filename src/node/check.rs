//! Batch checks 批量核查: one subject of a list, as this node and its mirrors know it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::civil::Date;

use super::lookup::{self, Found};
use super::view::View;
use crate::clock::date_of;
use crate::log::origin::LogName;
use crate::record::name::fold;
use crate::record::{Severity, identifier};
use crate::statement::{NodeId, Subject};
use crate::store::{Db, LogState, StoreError};

/// Whoever was heard of within so many seconds is up to date.
const FRESH: i64 = 86_400;
/// More subjects of one name are not told apart here.
const NAMESAKES: u32 = 10;

/// How a row of a list was matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Match {
    /// By its code.
    Code,
    /// By its name alone: it gave no code.
    Name,
    /// The name alone is that of several.
    Namesakes,
    /// Nothing is known here under this code, or this name.
    Unknown,
    /// The code is none: nothing was looked for.
    Broken,
}

/// What is known of a subject of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// How it was matched.
    pub matched: Match,
    /// The key that was looked up.
    pub key: Option<String>,
    /// Penalties that count.
    pub penalties: u64,
    /// Listings of serious misconduct that count.
    pub serious_listings: u64,
    /// Licences that are valid.
    pub licences: u64,
    /// Honours that stand.
    pub honours: u64,
    /// The worst severity among all that counts.
    pub worst: Option<Severity>,
    /// Who states something of it that counts.
    pub regions: BTreeSet<NodeId>,
    /// Of all that counts, disputed.
    pub disputed: u64,
    /// … and under repair.
    pub under_repair: u64,
    /// What the reader should look at, in Chinese.
    pub note: Option<String>,
}

impl Match {
    /// The words that users say.
    pub fn title(&self) -> &'static str {
        match self {
            Self::Code => "已匹配",
            Self::Name => "仅名称匹配",
            Self::Namesakes => "名称匹配多个主体",
            Self::Unknown => "未查到",
            Self::Broken => "代码有误",
        }
    }
}

/// A subject as a list names it.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// By its code.
    pub key: Option<&'a str>,
    /// By its name; empty where none is given.
    pub name: &'a str,
}

/// Looks one subject up: one indexed look-up by its code, or by its name where it has none.
pub async fn check(db: &Db, view: &View<'_>, asked: &Asked<'_>) -> Result<Outcome, StoreError> {
    let Asked { key, name } = *asked;
    let Some(key) = key else { return by_name(db, view, name).await };
    let found = lookup::about(db, view, key).await?;
    if found.is_empty() {
        let others = namesakes(db, name).await?;
        let note = (!others.is_empty()).then(|| format!("同名主体：{}", others.join("、")));
        return Ok(Outcome { key: Some(key.to_owned()), ..Outcome::none(Match::Unknown, note) });
    }
    let is_same = name.is_empty() || found.iter().any(|found| fold(&found.name) == fold(name));
    let note = found.first().filter(|_| !is_same).map(|found| format!("名称不一致，登记为“{}”", found.name));
    Ok(Outcome::of(Match::Code, key.to_owned(), &found, note))
}

async fn by_name(db: &Db, view: &View<'_>, name: &str) -> Result<Outcome, StoreError> {
    let mut keys = namesakes(db, name).await?;
    match (keys.pop(), keys.is_empty()) {
        (None, _) => Ok(Outcome::none(Match::Unknown, None)),
        (Some(key), true) => {
            let found = lookup::about(db, view, &key).await?;
            Ok(Outcome::of(Match::Name, key, &found, None))
        }
        (Some(last), false) => {
            let note = format!("同名主体：{}、{last}", keys.join("、"));
            Ok(Outcome::none(Match::Namesakes, Some(note)))
        }
    }
}

/// The keys of the subjects of exactly this name; natural persons are not found by it.
async fn namesakes(db: &Db, name: &str) -> Result<Vec<String>, StoreError> {
    let mut keys = db.subjects_called(name, NAMESAKES).await?;
    keys.retain(|key| !Subject::is_key_of_a_person(key));
    Ok(keys)
}

/// A region whose records are here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Covered {
    /// Its node.
    pub node: NodeId,
    /// The day since which nothing was heard of it, where that is longer than a day ago.
    pub silent_since: Option<Date>,
}

/// The regions whose records are here, whole as of their newest checkpoint; none that is revoked, of which nothing more comes.
pub async fn covered(db: &Db, view: &View<'_>) -> Result<Vec<Covered>, StoreError> {
    let (logs, peers) = (db.logs().await?, db.peers().await?);
    let mut nodes: BTreeMap<&NodeId, Option<i64>> = BTreeMap::new();
    for log in logs.iter().filter(|log| log.origin.log == LogName::Records) {
        let holds = log.state != LogState::Frozen && log.revoked_ms.is_none();
        let seen = log.complete.as_ref().filter(|_| holds).map(|head| head.seen_ms);
        nodes.entry(&log.origin.node).and_modify(|of| *of = of.zip(seen).map(|(a, b)| a.max(b))).or_insert(seen);
    }
    let covered = nodes.into_iter().filter_map(|(node, seen)| {
        let answered = peers.iter().find(|peer| peer.node == *node).and_then(|peer| peer.success_ms);
        let heard = answered.unwrap_or_default().max(seen?).div_euclid(1000);
        let is_silent = node != view.node && view.clock.now() - heard > FRESH;
        Some(Covered { node: node.clone(), silent_since: is_silent.then(|| date_of(heard)) })
    });
    Ok(covered.collect())
}

impl fmt::Display for Covered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.node)?;
        self.silent_since.map_or(Ok(()), |day| write!(f, "（{day}起未更新）"))
    }
}

impl Outcome {
    /// Of a row that names nobody: why, in Chinese.
    pub fn broken(why: String) -> Self {
        Self::none(Match::Broken, Some(why))
    }

    fn none(matched: Match, note: Option<String>) -> Self {
        Self {
            matched,
            key: None,
            penalties: 0,
            serious_listings: 0,
            licences: 0,
            honours: 0,
            worst: None,
            regions: BTreeSet::new(),
            disputed: 0,
            under_repair: 0,
            note,
        }
    }

    fn of(matched: Match, key: String, found: &[Found], note: Option<String>) -> Self {
        let mut outcome = Self { key: Some(key), ..Self::none(matched, note) };
        // what may not be used in decisions is not counted, whatever it is
        for found in found.iter().filter(|found| found.standing.used) {
            let severity = found.standing.terms.as_ref().map(|terms| terms.severity);
            match found.kind.as_str() {
                "penalty" => outcome.penalties += 1,
                "listing" if severity == Some(Severity::Serious) => outcome.serious_listings += 1,
                "licence" => outcome.licences += 1,
                "honour" => outcome.honours += 1,
                _ => {}
            }
            outcome.worst = outcome.worst.max(severity);
            outcome.regions.insert(found.issuer.clone());
            outcome.disputed += u64::from(found.standing.dispute.is_some());
            outcome.under_repair += u64::from(found.standing.under_repair.is_some());
        }
        outcome
    }

    /// The 统一社会信用代码 or 工商注册号 that was matched; a name's key is none.
    pub fn code(&self) -> Option<&str> {
        let key = self.key.as_deref()?;
        let number = key.strip_prefix("reg:").unwrap_or(key);
        let is_code = identifier::Uscc::parse(number).is_ok() || key.starts_with("reg:");
        is_code.then_some(number)
    }
}
