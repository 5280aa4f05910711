//! A record of this node found by what offices name it by: 文号 of the decision, code or name of the subject, authority.

use std::collections::HashMap;

use crate::record::name::fold;
use crate::statement::{Digest, NodeId, Statement, Unverified};
use crate::store::statement::Body;
use crate::store::{Db, StoreError};

/// So many records of one kind are looked through for one subject.
const MOST: u32 = 10_000;
/// So many subjects of one name are.
const MOST_NAMESAKES: u32 = 100;
/// The members that name who made the finding.
const AUTHORITIES: [&str; 2] = ["authority", "court"];
/// … and its code.
const AUTHORITY_CODE: &str = "authority_uscc";
const NUMBER: &str = "number";
const LIST: &str = "list";

/// What a record is found by. What is not given is not compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sought {
    /// Its kind.
    pub kind: String,
    /// The key of the subject, or several that may be meant.
    pub subjects: Vec<String>,
    /// The subject's name, where no code of it is known.
    pub name: Option<String>,
    /// 文号.
    pub number: Option<String>,
    /// Who made the finding.
    pub authority: Option<String>,
    /// … by its code.
    pub authority_uscc: Option<String>,
    /// 名单名称, of a listing.
    pub list: Option<String>,
}

/// A current version of a record of this node.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its digest.
    pub digest: Digest,
    /// What it says.
    pub statement: Statement,
}

/// Why no record was found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotFound {
    /// There is none.
    #[error(
        "this node has no {kind} that is known by that: compare 文号, code and authority with what `kaopu record CODE` shows; \
         another node's record goes by its digest 未找到相符的记录，请核对文号、代码和认定机关"
    )]
    None {
        /// Its kind.
        kind: String,
    },
    /// Several are meant.
    #[error(
        "{} records are known by that: say also who made the finding, or name one by its digest 有多条记录相符，请补充认定机关或改用摘要:{}",
        .0.len(), listed(.0)
    )]
    Several(Vec<(Digest, String)>),
}

impl NotFound {
    /// In Chinese, for a receipt.
    pub fn title(&self) -> String {
        match self {
            Self::None { .. } => "未找到相符的记录，请核对文号、代码和认定机关".to_owned(),
            Self::Several(found) => {
                let numbers: Vec<&str> = found.iter().map(|(_, words)| words.as_str()).collect();
                format!("有{}条记录相符（{}），请补充文号或认定机关", found.len(), numbers.join("；"))
            }
        }
    }
}

fn listed(found: &[(Digest, String)]) -> String {
    found.iter().map(|(digest, words)| format!("\n  {digest}  {words}")).collect()
}

/// Finds records, and remembers those of the subjects that it has looked at: rows of a list are often about the same.
#[derive(Debug, Default)]
pub struct Finder {
    /// By kind and subject.
    known: HashMap<(String, String), Vec<Known>>,
}

/// A record, and its 文号 as it is compared: a list may be about thousands of one subject.
type Known = (Option<String>, Found);

impl Finder {
    /// The one record of a node, in its current version, that is meant.
    pub async fn find(
        &mut self,
        db: &Db,
        node: &NodeId,
        sought: &Sought,
    ) -> Result<Result<Found, NotFound>, StoreError> {
        let mut subjects = sought.subjects.clone();
        if let Some(name) = &sought.name {
            let namesakes = db.subjects_named(name, MOST_NAMESAKES).await?;
            let is_named_so = |found: &str| fold(found) == fold(name);
            subjects.extend(namesakes.into_iter().filter(|row| is_named_so(&row.name)).map(|row| row.key));
            subjects.sort();
            subjects.dedup();
        }
        let mut found: Vec<&Found> = Vec::new();
        let keys: Vec<_> = subjects.into_iter().map(|subject| (sought.kind.clone(), subject)).collect();
        for key in &keys {
            if !self.known.contains_key(key) {
                let records = records_of(db, node, &key.0, &key.1).await?;
                let number = |record: &Statement| record.body.get(NUMBER).and_then(|value| value.as_str()).map(fold);
                let known = records.into_iter().map(|record| (number(&record.statement), record));
                self.known.insert(key.clone(), known.collect());
            }
        }
        let number = sought.number.as_deref().map(fold);
        for key in &keys {
            let known = self.known.get(key).into_iter().flatten();
            let of_number = known.filter(|(known, _)| number.is_none() || *known == number).map(|(_, record)| record);
            found.extend(of_number.filter(|record| sought.is_met_by(&record.statement)));
        }
        Ok(match found[..] {
            [] => Err(NotFound::None { kind: sought.kind.clone() }),
            [one] => Ok(one.clone()),
            _ => Err(NotFound::Several(found.iter().map(|it| (it.digest, words(&it.statement))).collect())),
        })
    }

    /// What is looked for from now on is looked up anew.
    pub fn forget(&mut self) {
        self.known.clear();
    }
}

async fn records_of(db: &Db, node: &NodeId, kind: &str, subject: &str) -> Result<Vec<Found>, StoreError> {
    let mut found = Vec::new();
    for row in db.records_about(node, kind, subject, MOST).await? {
        let Body::Here(jws) = &row.body else { continue };
        let read =
            Unverified::parse(jws).map_err(|error| StoreError::Corrupt(format!("{}: {error}", row.entry.digest)))?;
        found.push(Found { digest: row.entry.digest, statement: read.statement().clone() });
    }
    Ok(found)
}

impl Sought {
    /// Whether a record is what is sought, as far as that says. Width, case, white space and kind of bracket do not matter.
    fn is_met_by(&self, record: &Statement) -> bool {
        let member = |name: &str| record.body.get(name).and_then(|value| value.as_str());
        let is_same = |wanted: &Option<String>, name: &str| {
            wanted.as_ref().is_none_or(|w| member(name).is_some_and(|m| fold(m) == fold(w)))
        };
        // a record that has no code for its authority is known by the name alone
        let (code, given) = (member(AUTHORITY_CODE), self.authority_uscc.as_deref());
        let by_code = code.zip(given).map(|(code, given)| code == given);
        let by_name = self.authority.as_ref().map(|name| {
            let mut named = AUTHORITIES.iter().filter_map(|member_name| member(member_name));
            named.any(|named| fold(named) == fold(name))
        });
        is_same(&self.number, NUMBER)
            && is_same(&self.list, LIST)
            && by_code.or(by_name).unwrap_or(given.is_none() || code.is_none())
    }
}

/// What tells a record from others of the same subject.
pub fn words(record: &Statement) -> String {
    let member = |name: &&str| record.body.get(*name).and_then(|value| value.as_str());
    let told = [NUMBER, LIST, "title", AUTHORITIES[0], "decided", "listed", "raised"];
    told.iter().filter_map(member).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::statement::{Audience, Salt, Typ};

    fn record(body: Value) -> Statement {
        let Value::Object(body) = body else { unreachable!("an object") };
        Statement {
            typ: Typ::first("penalty"),
            iss: "340500".parse().unwrap(),
            iat: 0,
            aud: Audience::Everyone,
            salt: Salt([0; 16]),
            sub: None,
            prev: None,
            refs: Vec::new(),
            body,
        }
    }

    #[test]
    fn a_record_is_met_by_what_is_given_however_it_is_written() {
        let one = record(json!({"number": "示罚〔2026〕1号", "authority": "示例市（北）局", "authority_uscc": "A"}));
        let text = |text: &str| Some(text.to_owned());
        let sought =
            Sought { number: text("示罚[2026]1号"), authority: text("示例市(北)局"), ..Sought::default() };
        assert!(sought.is_met_by(&one));
        assert!(Sought::default().is_met_by(&one));
        assert!(!Sought { number: text("示罚〔2026〕2号"), ..Sought::default() }.is_met_by(&one));
        assert!(!Sought { authority: text("示例市局"), ..Sought::default() }.is_met_by(&one));
        // the code decides, where both sides have one
        let by_code = |code: &str, name: Option<String>| Sought {
            authority_uscc: text(code),
            authority: name,
            ..Sought::default()
        };
        assert!(by_code("A", text("旧名")).is_met_by(&one) && !by_code("B", text("示例市（北）局")).is_met_by(&one));
        let without = record(json!({"number": "1", "authority": "示例局"}));
        assert!(by_code("A", None).is_met_by(&without) && by_code("A", text("示例局")).is_met_by(&without));
        assert!(!by_code("A", text("另一局")).is_met_by(&without));
    }
}
