//! Natural persons: a keyed hash under the issuer's own secret, and a masked name.
//!
//! The secret never leaves its node, so nobody else can try out identity numbers; matching happens only at the issuer.
//! A person who came without a number is told from others of the same masked name by a keyed hash of the whole name.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::CryptoRng;
use zeroize::Zeroizing;

use super::mend::narrow;
use crate::record::identifier::resident_id_checks;
use crate::statement::{Digest, Subject};

/// Family names of two characters, the more frequent ones.
const FAMILIES_OF_TWO: [&str; 16] = [
    "欧阳", "司马", "上官", "诸葛", "皇甫", "尉迟", "公孙", "慕容", "司徒", "令狐", "夏侯", "东方", "端木", "百里",
    "南宫", "长孙",
];
/// How names of enterprises and offices end and those of persons hardly ever do.
const ENTERPRISES_END_SO: [&str; 26] = [
    "公司", "集团", "中心", "超市", "学校", "厂", "店", "社", "部", "站", "院", "所", "行", "馆", "铺", "坊", "吧",
    "场", "室", "屋", "局", "校", "会", "处", "摊", "档",
];

/// The secret under which a node knows natural persons again. Never printed.
pub struct PersonKey {
    version: u32,
    key: hmac::Key,
    secret: Zeroizing<[u8; 32]>,
}

/// An identity number and its type.
#[derive(Clone, Copy, Debug)]
pub struct Id<'a> {
    /// 证件类型, where it came.
    pub of: Option<&'a str>,
    /// 证件号码.
    pub number: &'a str,
}

impl Id<'_> {
    /// The type as far as it tells numbers apart: a resident id says itself what it is.
    fn in_use(&self) -> String {
        match self.of.map(narrow) {
            Some(of) if resident_id_checks(self.number) != Some(true) && !of.ends_with("身份证") => of + "\0",
            _ => String::new(),
        }
    }
}

/// The text is no person key as [`PersonKey::to_text`] writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a person key: a version from 1, a dot and 43 characters of base64url are expected")]
pub struct NotAPersonKey;

impl PersonKey {
    /// A new secret, of version 1.
    pub fn generate(rng: &mut dyn CryptoRng) -> Self {
        let mut secret = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *secret);
        Self::new(1, secret)
    }

    /// From the text of its file.
    pub fn from_text(text: &str) -> Result<Self, NotAPersonKey> {
        let (version, secret) = text.trim().split_once('.').ok_or(NotAPersonKey)?;
        let version = version.parse().ok().filter(|v| (1..1_000_000_000).contains(v)).ok_or(NotAPersonKey)?;
        let secret = Zeroizing::new(URL_SAFE_NO_PAD.decode(secret).map_err(|_| NotAPersonKey)?);
        let secret: [u8; 32] = secret.as_slice().try_into().map_err(|_| NotAPersonKey)?;
        Ok(Self::new(version, Zeroizing::new(secret)))
    }

    /// The text for a file of mode 0600.
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("{}.{}\n", self.version, URL_SAFE_NO_PAD.encode(*self.secret)))
    }

    /// The subject of a row about a natural person, by the identity number where it came (in its mended form).
    pub fn subject(&self, name: &str, id: Option<Id<'_>>) -> Subject {
        let name = one_way(name);
        let mut context = hmac::Context::with_key(&self.key);
        let mut add = |parts: [&str; 3]| parts.iter().for_each(|part| context.update(part.as_bytes()));
        match id {
            // many have the same
            Some(id) if id.number.contains(['*', '＊']) => add(["masked\0", id.number, "\0"]),
            Some(id) => add(["number\0", &id.in_use(), id.number]),
            None => add(["name\0", "", ""]),
        }
        if id.is_none_or(|id| id.number.contains(['*', '＊'])) {
            add([&name, "", ""]);
        }
        let mut hash = [0; 32];
        hash.copy_from_slice(context.sign().as_ref());
        Subject::Person { person: format!("{}.{}", self.version, Digest(hash)), name: masked(&name) }
    }

    /// The subject that an identity number tells, in its mended form and whole.
    pub fn of_number(&self, name: &str, of: Option<&str>, number: &str) -> Subject {
        self.subject(name, Some(Id { of, number }))
    }

    /// A key for another purpose than telling persons apart.
    pub(super) fn key_for(&self, purpose: &str) -> Zeroizing<[u8; 32]> {
        let mut context = hmac::Context::with_key(&self.key);
        // no subject's hash begins like this
        [b"key\0", purpose.as_bytes()].iter().for_each(|part| context.update(part));
        let mut key = Zeroizing::new([0; 32]);
        key.copy_from_slice(context.sign().as_ref());
        key
    }

    fn new(version: u32, secret: Zeroizing<[u8; 32]>) -> Self {
        Self { version, key: hmac::Key::new(hmac::HMAC_SHA256, &*secret), secret }
    }
}

/// The first character and a `*` for each other one.
pub fn masked(name: &str) -> String {
    name.chars().enumerate().map(|(n, c)| if n == 0 { c } else { '*' }).collect()
}

/// The same of a name as it was typed.
pub fn masked_person(name: &str) -> String {
    masked(&one_way(name))
}

/// A person's name written in one of its ways: without white space, every middle dot the same.
pub fn one_way(name: &str) -> String {
    let dotted = |c: char| if is_dot(c) { '·' } else { c };
    name.chars().filter(|c| !c.is_whitespace()).map(dotted).collect()
}

/// Whether a name that came without any code, in a layout that does not say what a party is, reads like a person's: two
/// or three Chinese characters, four that begin with a family name of two or do not end as an enterprise's name does, or
/// a name written with a middle dot. Such a row is shown no further than a person's.
pub fn reads_like_a_person(name: &str) -> bool {
    let han = |c: char| ('\u{4E00}'..='\u{9FFF}').contains(&c) || ('\u{3400}'..='\u{4DBF}').contains(&c);
    let name = one_way(name);
    let count = name.chars().count();
    let is_dotted = name.contains('·') && count >= 3 && name.chars().all(|c| han(c) || c == '·');
    let is_short = match count {
        2..=3 => true,
        4 => {
            FAMILIES_OF_TWO.iter().any(|family| name.starts_with(family))
                || !ENTERPRISES_END_SO.iter().any(|end| name.ends_with(end))
        }
        _ => false,
    };
    is_dotted || (is_short && name.chars().all(han))
}

/// The dots with which transcribed names are written.
pub fn is_dot(c: char) -> bool {
    matches!(c, '·' | '•' | '・' | '･' | '‧' | '∙' | '⋅' | '●' | '．' | '.')
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    fn id(number: &str) -> Id<'_> {
        Id { of: None, number }
    }

    #[test]
    fn persons_are_one_only_where_a_whole_number_of_the_same_type_says_so() {
        let key = PersonKey::generate(&mut StdRng::seed_from_u64(1));
        let of = |name: &str, of: Option<&str>, number: &str| key.subject(name, Some(Id { of, number })).key();
        let (resident, masked) = ("11010519491231002X", "110105********002X");
        assert_eq!(of("示例某", None, resident), of("示例者", Some("居民身份证"), resident));
        assert_ne!(of("示例某", None, masked), of("示例者", None, masked));
        assert_ne!(of("示例某", Some("护照"), "12345678"), of("示例某", Some("军官证"), "12345678"));
        assert_eq!(of("示例某", Some("护照"), "12345678"), of("示例某", Some(" 护照 "), "12345678"));
    }

    #[test]
    fn a_person_is_known_again_by_number_and_never_named() {
        let key = PersonKey::generate(&mut StdRng::seed_from_u64(1));
        let subject = key.subject("示例某", Some(id("11010519491231002X")));
        assert_eq!(subject, key.subject("示例某", Some(id("11010519491231002X"))));
        assert_ne!(subject.key(), key.subject("示例某", None).key());
        assert_ne!(key.subject("示例某", None).key(), key.subject("示例人", None).key());
        assert_eq!(subject.name(), "示**");
        let other = PersonKey::generate(&mut StdRng::seed_from_u64(2));
        assert_ne!(subject.key(), other.subject("示例某", Some(id("11010519491231002X"))).key());
    }

    #[test]
    fn a_key_is_read_as_it_was_written() {
        let key = PersonKey::generate(&mut StdRng::seed_from_u64(1));
        let again = PersonKey::from_text(&key.to_text()).unwrap();
        assert_eq!(key.subject("示例", None), again.subject("示例", None));
        for bad in ["", "1", "1.", "0.AAAA", "x.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"] {
            assert!(PersonKey::from_text(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_persons_name_is_known_however_it_is_written() {
        for person in [
            "示例",
            "示例某",
            "示 某",
            "示\u{3000}某",
            "欧阳示例",
            "司马示店",
            "买买提江",
            "阿不都·示例",
            "阿不都•示例",
            "阿不都.示例",
        ] {
            assert!(reads_like_a_person(person), "{person}");
        }
        let key = PersonKey::generate(&mut StdRng::seed_from_u64(1));
        assert_eq!(key.subject("示\u{3000}某", None), key.subject("示某", None));
        assert_eq!(key.subject("阿不都•示例", None), key.subject("阿不都·示例", None));
    }

    #[test]
    fn companies_do_not_read_like_persons() {
        for company in ["示例商店", "示例商贸有限公司", "A店", "示", "示例·科技(上海)"] {
            assert!(!reads_like_a_person(company), "{company}");
        }
    }
}
