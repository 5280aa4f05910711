//! Rows kept while their upload waits for a second person: as they were accepted, packed, and sealed under the node's secret
//! for persons. A list of events is matched by what never becomes public, identity numbers among it, so the store holds
//! nothing of a row that could be read without that secret.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::PersonKey;
use super::row::{Good, Judged, Measures};
use crate::about::Spoken;
use crate::statement::{Kind, Subject};
use crate::store::upload::FaultRow;

/// A judged row as it is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeptRow {
    /// Its number among the data rows.
    pub row: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    good: Option<KeptGood>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    faults: Vec<FaultRow>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    decided: Option<Date>,
    required: u32,
    given: u32,
    /// An event that came by command and not in a file: it names what it is about by digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    single: Option<Spoken>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct KeptGood {
    body: Map<String, Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subject: Option<KeptSubject>,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    aside: Map<String, Value>,
}

/// As in a statement's `sub`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct KeptSubject {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    uscc: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    registration: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    person: Option<String>,
    name: String,
}

/// Kept rows that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the rows that are kept of upload {0} cannot be opened: they were sealed under another person.key, or are damaged; \
     refuse it, and import the file again"
)]
pub struct Unreadable(pub i64);

impl KeptRow {
    /// Of a judged row.
    pub fn of(row: u64, judged: &Judged) -> Self {
        let Judged { good, faults, measures } = judged;
        let good = good.as_ref().map(|good| KeptGood {
            body: good.body.clone(),
            subject: good.subject.as_ref().map(KeptSubject::of),
            aside: good.aside.clone(),
        });
        Self {
            row,
            good,
            faults: faults.clone(),
            source: measures.source.clone(),
            decided: measures.decided,
            required: measures.required,
            given: measures.given,
            single: None,
        }
    }

    /// Of an event that came by command, as a rehearsal of it told.
    pub fn single(row: u64, event: Spoken) -> Self {
        let Measures { source, decided, required, given } = Measures::default();
        Self { row, good: None, faults: Vec::new(), source, decided, required, given, single: Some(event) }
    }

    /// The event that came by command, if it is one.
    pub fn into_single(self) -> Option<Spoken> {
        self.single
    }

    /// As it was judged.
    pub fn judged(self) -> Judged {
        let good = self.good.map(|good| Good {
            body: good.body,
            subject: good.subject.map(KeptSubject::subject),
            aside: good.aside,
        });
        let measures =
            Measures { source: self.source, decided: self.decided, required: self.required, given: self.given };
        Judged { good, faults: self.faults, measures }
    }

    /// What a person looks at before approving: the subject, what would be published, and, of an event, by what its record is
    /// found, without an identity number. None of a row that is sent back.
    pub fn shown(&self, kind: &Kind) -> Option<Value> {
        if let Some(Spoken { about, record, words, subject, name, body, .. }) = &self.single {
            let about = json!({"digest": about, "record": record, "words": words});
            let subject = json!({"key": subject, "name": name});
            return Some(json!({"row": self.row, "subject": subject, "about": about, "body": body}));
        }
        let good = self.good.as_ref()?;
        let mut shown = Map::new();
        shown.insert("row".to_owned(), self.row.into());
        if let Some(subject) = &good.subject {
            shown.insert("subject".to_owned(), serde_json::to_value(subject).ok()?);
        }
        if !good.aside.is_empty() {
            let is_personal = |name: &str| kind.member(name).is_none_or(|member| member.personal);
            let aside = good.aside.iter().filter(|(name, _)| !is_personal(name));
            shown.insert("about".to_owned(), aside.map(|(name, value)| (name.clone(), value.clone())).collect());
        }
        shown.insert("body".to_owned(), good.body.clone().into());
        Some(shown.into())
    }
}

impl KeptSubject {
    fn of(subject: &Subject) -> Self {
        let mut kept = Self { uscc: None, registration: None, person: None, name: subject.name().to_owned() };
        match subject {
            Subject::Enterprise { uscc, .. } => kept.uscc = Some(uscc.clone()),
            Subject::Registered { registration, .. } => kept.registration = Some(registration.clone()),
            Subject::Person { person, .. } => kept.person = Some(person.clone()),
            Subject::Named { .. } => {}
        }
        kept
    }

    fn subject(self) -> Subject {
        let name = self.name;
        match (self.uscc, self.registration, self.person) {
            (Some(uscc), ..) => Subject::Enterprise { uscc, name },
            (None, Some(registration), _) => Subject::Registered { registration, name },
            (None, None, Some(person)) => Subject::Person { person, name },
            (None, None, None) => Subject::Named { name },
        }
    }
}

/// Packs and seals rows of an upload that follow its row `from`.
pub fn seal(persons: &PersonKey, upload: i64, from: u64, rows: &[KeptRow]) -> Result<Vec<u8>, Unreadable> {
    let unreadable = |()| Unreadable(upload);
    let text = serde_json::to_vec(rows).map_err(|_| Unreadable(upload))?;
    let mut sealed = zstd::bulk::compress(&text, 3).map_err(|_| Unreadable(upload))?;
    let key = key(persons).map_err(unreadable)?;
    let nonce = key.seal_in_place_append_tag(place(upload, from), &mut sealed).map_err(|_| Unreadable(upload))?;
    sealed.extend_from_slice(nonce.as_ref());
    Ok(sealed)
}

/// Opens what was sealed.
pub fn open(persons: &PersonKey, upload: i64, from: u64, mut sealed: Vec<u8>) -> Result<Vec<KeptRow>, Unreadable> {
    let unreadable = || Unreadable(upload);
    let nonce = sealed.split_off(sealed.len().checked_sub(NONCE_LEN).ok_or_else(unreadable)?);
    let nonce = Nonce::try_assume_unique_for_key(&nonce).map_err(|_| unreadable())?;
    let key = key(persons).map_err(|()| unreadable())?;
    let packed = key.open_in_place(nonce, place(upload, from), &mut sealed).map_err(|_| unreadable())?;
    let text = zstd::decode_all(&*packed).map_err(|_| unreadable())?;
    serde_json::from_slice(&text).map_err(|_| unreadable())
}

fn key(persons: &PersonKey) -> Result<RandomizedNonceKey, ()> {
    RandomizedNonceKey::new(&AES_256_GCM, &*persons.key_for("kept rows")).map_err(|_| ())
}

/// What is sealed for one place cannot be put in another.
fn place(upload: i64, from: u64) -> Aad<[u8; 16]> {
    let mut place = [0; 16];
    place[..8].copy_from_slice(&upload.to_be_bytes());
    place[8..].copy_from_slice(&from.to_be_bytes());
    Aad::from(place)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rows() -> Vec<Judged> {
        let map = |value: Value| value.as_object().unwrap().clone();
        let good = |subject, aside| {
            Some(Good {
                body: map(json!({"number": "示罚〔2026〕1号", "amount": "1"})), subject, aside: map(aside)
            })
        };
        let fault =
            FaultRow { row: 3, column: Some("列".into()), code: "E101".into(), message: "必填项为空".into() };
        let measures = Measures {
            source: Some("示例局".into()),
            decided: Some("2026-01-15".parse().unwrap()),
            required: 15,
            given: 14,
        };
        let of = |good| Judged { good, faults: Vec::new(), measures: Measures::default() };
        let name = || "示*".to_owned();
        vec![
            of(good(Some(Subject::Enterprise { uscc: "91350100M000100Y43".into(), name: name() }), json!({}))),
            of(good(Some(Subject::Person { person: "1.AbC".into(), name: name() }), json!({}))),
            of(good(Some(Subject::Registered { registration: "110108000000016".into(), name: name() }), json!({}))),
            of(good(Some(Subject::Named { name: name() }), json!({}))),
            of(good(None, json!({"record_number": "示罚〔2026〕1号", "person_id": "11010519491231002X"}))),
            Judged { good: None, faults: vec![fault], measures },
        ]
    }

    #[test]
    fn rows_come_back_as_they_were_judged_under_the_same_secret_and_in_their_place_alone() {
        let persons = PersonKey::generate(&mut rand::make_rng::<rand::rngs::StdRng>());
        let kept: Vec<KeptRow> = (1..).zip(&rows()).map(|(number, judged)| KeptRow::of(number, judged)).collect();
        let sealed = seal(&persons, 7, 512, &kept).unwrap();
        let back = open(&persons, 7, 512, sealed.clone()).unwrap();
        assert_eq!(back.into_iter().map(KeptRow::judged).collect::<Vec<_>>(), rows());
        let other = PersonKey::generate(&mut rand::make_rng::<rand::rngs::StdRng>());
        let refused = Err(Unreadable(7));
        assert_eq!(open(&other, 7, 512, sealed.clone()), refused);
        assert_eq!(open(&persons, 7, 0, sealed.clone()), refused);
        assert_eq!(open(&persons, 7, 512, sealed[1..].to_vec()), refused);
        assert_eq!(open(&persons, 7, 512, Vec::new()), refused);
        assert_ne!(seal(&persons, 7, 512, &kept).unwrap(), sealed, "never the same twice");
    }

    #[test]
    fn who_approves_sees_what_would_be_published_and_no_identity_number() {
        let kinds = crate::statement::Kinds::builtin().unwrap();
        let repair = kinds.newest("repair").unwrap();
        let shown: Vec<Option<Value>> = rows().iter().map(|judged| KeptRow::of(1, judged).shown(repair)).collect();
        assert_eq!(shown[5], None);
        let event = shown[4].as_ref().unwrap();
        assert_eq!(event["about"], json!({"record_number": "示罚〔2026〕1号"}));
        assert_eq!(event["body"]["amount"], "1");
    }

    #[test]
    fn an_event_by_command_comes_back_with_what_it_is_about() {
        let persons = PersonKey::generate(&mut rand::make_rng::<rand::rngs::StdRng>());
        let event = Spoken {
            digest: None,
            index: None,
            kind: "withdrawal".into(),
            about: crate::statement::Digest::of(b"1"),
            record: "penalty".into(),
            words: "示罚〔2026〕1号".into(),
            subject: Some("91350100M000100Y43".into()),
            name: Some("示*".into()),
            body: json!({"reason": "误报"}).as_object().unwrap().clone(),
        };
        let sealed = seal(&persons, 7, 0, &[KeptRow::single(1, event.clone())]).unwrap();
        let row = open(&persons, 7, 0, sealed).unwrap().remove(0);
        let kinds = crate::statement::Kinds::builtin().unwrap();
        let shown = row.shown(kinds.newest("withdrawal").unwrap()).unwrap();
        assert_eq!((&shown["about"]["digest"], &shown["body"]["reason"]), (&json!(event.about), &json!("误报")));
        assert_eq!(row.into_single(), Some(event));
        assert_eq!(KeptRow::of(1, &rows()[0]).into_single(), None);
    }
}
