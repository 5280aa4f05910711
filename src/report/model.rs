//! What a credit report says. Its digest is SHA-256 over its JSON, one line, as it was written: nothing is ever written anew.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::log::Origin;
use crate::record::Purpose;
use crate::statement::{Digest, NodeId};

/// What the `format` of a report is.
pub const FORMAT: &str = "kaopu-report-1";
/// What stands before the digest in a QR code.
pub const QR_PREFIX: &str = "kaopu:report:";

/// A credit report 信用报告.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// [`FORMAT`].
    pub format: String,
    /// The subject's key.
    pub subject: String,
    /// Its names as they are stated, the newest first.
    pub names: Vec<String>,
    /// When it was made, seconds since 1970.
    pub made: i64,
    /// Who made it.
    pub by: Maker,
    /// What for.
    pub purpose: Purpose,
    /// On which legal basis, in words.
    pub basis: String,
    /// Digest of what the subject authorised this by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorisation: Option<Digest>,
    /// The rules of severity and publicity in force that day.
    pub rules: String,
    /// Whether peers were asked; else it is what the own log and the mirrors hold.
    pub asked: bool,
    /// How far each region is covered, the own one first.
    pub regions: Vec<Region>,
    /// What is known, by kind.
    pub sections: Vec<Section>,
    /// Repairs, and who recognised them.
    pub repairs: Vec<Repair>,
    /// SHA-256 over the lines of the evidence file behind this one.
    pub evidence: Digest,
}

/// Who made a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Maker {
    /// The node, whose rules and recognitions say how each record stands.
    pub node: NodeId,
    /// Its name.
    pub name: String,
    /// Who ran it there.
    pub operator: String,
}

/// How far a region is covered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Region {
    /// The node.
    pub node: NodeId,
    /// Its name.
    pub name: String,
    /// How much of its records is here.
    pub logs: Vec<Coverage>,
    /// How many items of the report are its.
    pub items: u64,
    /// What it said when it was asked; None where it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Asked>,
    /// Whether what it has is known whole, as of its newest checkpoint here or its answer: only then no items mean none.
    pub covered: bool,
}

/// How much of a log is here, and how old that is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Coverage {
    /// Which log.
    pub origin: Origin,
    /// Entries that are here whole; None: none yet.
    pub size: Option<u64>,
    /// When their checkpoint came or was signed, seconds since 1970.
    pub seen: Option<i64>,
    /// Entries that a newer checkpoint commits to and are not here yet.
    pub behind: u64,
    /// `open`, `closed`, or `frozen`: then its owner was caught with two histories or worse.
    pub state: String,
    /// When its owner was revoked here, seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<i64>,
    /// It has more about the subject than a report takes of one log; the newest are here.
    pub truncated: bool,
}

/// What a region said when it was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// In one word, as `kaopu query` has them.
    pub result: String,
    /// The same in Chinese.
    pub title: String,
    /// Why, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether all pages of its answer came.
    pub complete: bool,
    /// Kinds that it says nothing about, or not all, and why.
    pub withheld: Vec<(String, String)>,
    /// Entries of its records that it looked through.
    pub looked_through: Option<u64>,
    /// The answers, in its exchange log and kept here.
    pub answers: Vec<Digest>,
}

/// Items of one kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Section {
    /// The kind.
    pub kind: String,
    /// Its Chinese title.
    pub title: String,
    /// Its records, the newest first.
    pub items: Vec<Item>,
}

/// A statement that the report quotes: what of it can be held against the statement itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quoted {
    /// Its digest.
    pub digest: Digest,
    /// Its kind.
    pub kind: String,
    /// The version of that.
    pub version: u32,
    /// The Chinese title of the kind.
    pub title: String,
    /// Who states it.
    pub issuer: NodeId,
    /// When, seconds since 1970.
    pub issued: i64,
    /// The version that it replaces, or the statement that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<Digest>,
    /// What it says.
    pub body: Map<String, Value>,
}

/// A record, as it stands for whoever made the report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// What it says.
    pub stated: Quoted,
    /// Its place in its issuer's log is proven; else its signature alone was verified.
    pub proven: bool,
    /// How it stands.
    pub status: String,
    /// The same in Chinese.
    pub status_title: String,
    /// Why, in Chinese.
    pub why: String,
    /// How severe it is, in Chinese, where the rules say so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<String>,
    /// It may be used in decisions.
    pub used: bool,
    /// It is disputed: bold italic.
    pub disputed: bool,
    /// It is under repair: struck through.
    pub under_repair: bool,
    /// Its issuer answered whole, and did not name it: it may have ended since it was mirrored.
    pub not_in_answer: bool,
    /// Disputes, answers and applications about it.
    pub said: Vec<Quoted>,
}

/// A repair, and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Repair {
    /// The repair.
    pub repair: Quoted,
    /// The Chinese title of the kind of record that it is about.
    pub of: String,
    /// Its revocations.
    pub revocations: Vec<Quoted>,
    /// What partners decided on it and on its revocations.
    pub recognitions: Vec<Quoted>,
    /// Partners that may read it and have said nothing of it yet.
    pub silent: Vec<NodeId>,
}

impl Report {
    /// Its items, with those said about them.
    pub fn items(&self) -> impl Iterator<Item = &Item> {
        self.sections.iter().flat_map(|section| &section.items)
    }

    /// All statements that it quotes.
    pub fn quoted(&self) -> impl Iterator<Item = &Quoted> {
        let of_items = self.items().flat_map(|item| std::iter::once(&item.stated).chain(&item.said));
        let of_repairs = self
            .repairs
            .iter()
            .flat_map(|it| std::iter::once(&it.repair).chain(&it.revocations).chain(&it.recognitions));
        of_items.chain(of_repairs)
    }
}

/// What a QR code of a report says.
pub fn qr_text(digest: &Digest) -> String {
    format!("{QR_PREFIX}{digest}")
}

/// The digest that a person read off such a code, with or without what stands before it.
pub fn digest_of_qr(text: &str) -> Result<Digest, crate::statement::digest::NotADigest> {
    let text = text.trim();
    text.strip_prefix(QR_PREFIX).unwrap_or(text).parse()
}
