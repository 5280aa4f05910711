//! What nodes say to each other when one asks: the bodies of `query`, `answer` and `receipt`.

use std::fmt;
use std::str::FromStr;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::log::Origin;
use crate::record::Purpose;
use crate::statement::Digest;
use crate::store::query::Place;

/// So many statements an answer lists at most; more are asked for by its `next`.
pub const PAGE: usize = 500;

/// A query is good for so many seconds at most.
pub const MAX_LIFE: i64 = 3600;

/// The body of a `query`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// About whom.
    pub subject: About,
    /// What for.
    pub purpose: Purpose,
    /// On which legal basis, in words.
    pub basis: String,
    /// Which kinds of records; empty for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<String>,
    /// Digest of what the subject has authorised the asker by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorisation: Option<Digest>,
    /// 128 random bits, base64url: an asker uses it once.
    pub nonce: String,
    /// Until when it may be answered, in seconds since 1970.
    pub expires: i64,
    /// Goes on behind this place, where the answer before said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Next>,
}

/// About whom a question is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum About {
    /// By 统一社会信用代码.
    Enterprise {
        /// The code.
        uscc: String,
    },
    /// By 工商注册号.
    Registered {
        /// The number.
        registration: String,
    },
    /// By name: a natural person with the sealed identity number, or what can only be guessed.
    Named {
        /// The name.
        name: String,
        /// The identity number, a JWE for the one who is asked.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sealed: Option<String>,
    },
}

/// What is sealed in a question about a natural person.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealedId {
    /// 证件号码.
    pub number: String,
    /// 证件类型; a resident id says itself what it is.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
}

/// Where an answer goes on: a place among the records of who answers. `<generation>-<index>` on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Next(pub Place);

/// The body of an `answer`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reply {
    /// In one word.
    pub outcome: Outcome,
    /// Why, where it is denied or insufficient.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Digests of what was found, in the order of the log.
    pub found: Vec<Digest>,
    /// Where it goes on, if that is not all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Next>,
    /// What it says nothing about, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub withheld: Vec<Withheld>,
    /// Ids of the policies that decided.
    pub policies: Vec<String>,
    /// Digest of all policies together.
    pub policy_set: Digest,
    /// What was looked through.
    pub coverage: Coverage,
}

/// An answer in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Something was found.
    Yes,
    /// Nothing is said about the subject in the answering node's own records, as far as the asker may know them.
    None,
    /// What the question says does not tell who the subject is.
    InsufficientIdentity,
    /// The asker may not ask this.
    Denied,
}

/// A kind that an answer says nothing about, or not all.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Withheld {
    /// The kind.
    pub kind: String,
    /// Why.
    pub reason: String,
}

/// What an answer is about: everything in the log up to this size.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Coverage {
    /// The records log of who answers.
    pub origin: Origin,
    /// Its entries.
    pub size: u64,
    /// The root of the tree over them.
    pub root: Digest,
}

/// The body of a `receipt`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// What came of it.
    pub result: Taken,
    /// Why it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What came of a statement that somebody sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Taken {
    /// It was taken in.
    Taken,
    /// It was not, and is kept as evidence.
    Refused,
}

impl fmt::Debug for SealedId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealedId(…)")
    }
}

impl About {
    /// Whether it is a natural person who is meant.
    pub fn is_person(&self) -> bool {
        matches!(self, Self::Named { sealed: Some(_), .. })
    }

    /// The key by which a subject is found; None where the words do not tell who it is.
    pub fn key(&self) -> Option<String> {
        match self {
            Self::Enterprise { uscc } => Some(uscc.clone()),
            Self::Registered { registration } => Some(format!("reg:{registration}")),
            Self::Named { .. } => None,
        }
    }

    /// From such a key; None for that of a person, which nobody else knows.
    pub fn of_key(key: &str) -> Option<Self> {
        match key.split_once(':') {
            None => Some(Self::Enterprise { uscc: key.to_owned() }),
            Some(("reg", registration)) => Some(Self::Registered { registration: registration.to_owned() }),
            Some(("name", name)) => Some(Self::Named { name: name.to_owned(), sealed: None }),
            Some(_) => None,
        }
    }
}

impl Outcome {
    /// The word that stands in statements.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::None => "none",
            Self::InsufficientIdentity => "insufficient-identity",
            Self::Denied => "denied",
        }
    }
}

impl fmt::Display for Next {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.0.generation, self.0.index)
    }
}

impl FromStr for Next {
    type Err = NotAPlace;

    fn from_str(text: &str) -> Result<Self, NotAPlace> {
        let (generation, index) = text.split_once('-').ok_or(NotAPlace)?;
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        if !digits(generation) || !digits(index) {
            return Err(NotAPlace);
        }
        let generation = generation.parse().map_err(|_| NotAPlace)?;
        Ok(Self(Place { generation, index: index.parse().map_err(|_| NotAPlace)? }))
    }
}

/// The text is no place to go on from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a place to go on from: <generation>-<index> is expected")]
pub struct NotAPlace;

impl Serialize for Next {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Next {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A body as a statement has it.
pub fn to_body(said: &impl Serialize) -> Map<String, Value> {
    // each of them is an object of plain values
    if let Ok(Value::Object(body)) = serde_json::to_value(said) { body } else { Map::new() }
}

/// What a body says, which its kind's schema has found good.
pub fn of_body<T: DeserializeOwned>(body: &Map<String, Value>) -> Result<T, serde_json::Error> {
    T::deserialize(Value::Object(body.clone()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::clock::date_of;
    use crate::statement::{Audience, Kinds, Salt, Statement, Typ};

    fn validate(kind: &str, body: &Value) -> bool {
        let kinds = Kinds::builtin().unwrap();
        let statement = Statement {
            typ: Typ::first(kind),
            iss: "310107".parse().unwrap(),
            iat: 1_790_000_000,
            aud: Audience::Named(vec!["340500".parse().unwrap()]),
            salt: Salt([1; 16]),
            sub: None,
            prev: None,
            refs: Vec::new(),
            body: body.as_object().unwrap().clone(),
        };
        kinds.find(&statement.typ).unwrap().validate(&statement, date_of(statement.iat)).is_ok()
    }

    #[test]
    fn what_is_written_is_what_the_schemas_take() {
        let digest = Digest::of(b"x");
        let question = Question {
            subject: About::Enterprise { uscc: "91340500MA2EXAMP5W".to_owned() },
            purpose: Purpose::Own,
            basis: "示例".to_owned(),
            kinds: vec!["penalty".to_owned()],
            authorisation: Some(digest),
            nonce: "A".repeat(22),
            expires: 1_790_000_060,
            next: Some("2-17".parse().unwrap()),
        };
        let body = to_body(&question);
        assert!(validate("query", &Value::Object(body.clone())), "{body:?}");
        assert_eq!(of_body::<Question>(&body).unwrap(), question);

        let reply = Reply {
            outcome: Outcome::InsufficientIdentity,
            reason: Some("示例".to_owned()),
            found: vec![digest],
            next: question.next,
            withheld: vec![Withheld { kind: "grade".to_owned(), reason: "conditional".to_owned() }],
            policies: vec!["default".to_owned()],
            policy_set: digest,
            coverage: Coverage { origin: "kaopu/340500/records/1".parse().unwrap(), size: 5, root: digest },
        };
        let body = to_body(&reply);
        assert!(validate("answer", &Value::Object(body.clone())), "{body:?}");
        assert_eq!(of_body::<Reply>(&body).unwrap(), reply);

        let receipt = Receipt { result: Taken::Refused, reason: Some("signature".to_owned()) };
        assert!(validate("receipt", &Value::Object(to_body(&receipt))));
    }

    #[test]
    fn a_question_says_whom_it_is_about_in_one_way() {
        let whole = json!({
            "subject": {"uscc": "91340500MA2EXAMP5W"}, "purpose": "finance", "basis": "示例", "nonce": "A".repeat(22), "expires": 1,
        });
        assert!(validate("query", &whole));
        for member in ["subject", "purpose", "basis", "nonce", "expires"] {
            let mut without = whole.clone();
            without.as_object_mut().unwrap().remove(member);
            assert!(!validate("query", &without), "{member}");
        }
        for subject in [
            json!({}),
            json!({"uscc": "91340500MA2EXAMP5W", "name": "示例"}),
            json!({"sealed": "x"}),
            json!({"person": "x"}),
            json!("91340500MA2EXAMP5W"),
        ] {
            let mut other = whole.clone();
            other["subject"] = subject;
            assert!(!validate("query", &other), "{other}");
            assert!(serde_json::from_value::<Question>(other).is_err());
        }
        for (member, value) in
            [("purpose", json!("gossip")), ("kinds", json!([])), ("nonce", json!("A")), ("next", json!("x"))]
        {
            let mut other = whole.clone();
            other[member] = value;
            assert!(!validate("query", &other), "{other}");
        }
    }

    #[test]
    fn a_subject_is_asked_about_by_its_key() {
        for key in ["91340500MA2EXAMP5W", "reg:110108000000016"] {
            assert_eq!(About::of_key(key).unwrap().key().as_deref(), Some(key));
        }
        assert_eq!(About::of_key("name:示例").unwrap().key(), None);
        assert_eq!(About::of_key("person:1.x"), None);
    }

    #[test]
    fn a_place_has_one_text() {
        assert_eq!("1-12".parse::<Next>().unwrap().to_string(), "1-12");
        for bad in ["", "1", "1-", "-1", "+1-2", "1--2", "99999999999-1", "a-b"] {
            assert_eq!(bad.parse::<Next>(), Err(NotAPlace), "{bad}");
        }
    }
}
