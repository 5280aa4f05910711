//! Private keys that are on PKCS#11 tokens rather than in the folder of the keys.

use serde::{Deserialize, Deserializer};

use crate::trust::token::TokenUri;

/// Which keys are on tokens. A descriptor says which one is active; these say where those are that are in no file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Keys {
    /// Keys that sign statements: one, or both while one is being rotated.
    #[serde(deserialize_with = "one_or_more")]
    pub sign: Vec<TokenUri>,
    /// Keys of the `records` log.
    #[serde(deserialize_with = "one_or_more")]
    pub log_records: Vec<TokenUri>,
    /// Keys of the `exchange` log.
    #[serde(deserialize_with = "one_or_more")]
    pub log_exchange: Vec<TokenUri>,
    /// Keys that cosign others' checkpoints.
    #[serde(deserialize_with = "one_or_more")]
    pub witness: Vec<TokenUri>,
}

impl Keys {
    /// All of them.
    pub fn all(&self) -> Vec<TokenUri> {
        [&self.sign, &self.log_records, &self.log_exchange, &self.witness].into_iter().flatten().cloned().collect()
    }
}

fn one_or_more<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<TokenUri>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMore {
        One(String),
        More(Vec<String>),
    }
    let texts = match OneOrMore::deserialize(deserializer)? {
        OneOrMore::One(text) => vec![text],
        OneOrMore::More(texts) => texts,
    };
    texts.iter().map(|text| text.parse().map_err(serde::de::Error::custom)).collect()
}
