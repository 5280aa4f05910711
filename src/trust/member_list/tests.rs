use std::collections::HashMap;
use std::sync::LazyLock;

use proptest::prelude::*;
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use super::*;
use crate::statement::{SigningKey, Suite, envelope};

const NOW: i64 = 1_790_000_000;

/// Seven nodes that can sign; the first five are administrators.
static KEYS: LazyLock<Vec<(NodeId, SigningKey)>> = LazyLock::new(|| {
    let mut rng = StdRng::seed_from_u64(7);
    let suites = [Suite::EdDsa, Suite::Es256, Suite::Sm2];
    let node = |n: usize| format!("34{n:02}00").parse().unwrap();
    (1..=7).map(|n| (node(n), SigningKey::generate(suites[n % 3], &mut rng))).collect()
});

fn administrators() -> Vec<NodeId> {
    KEYS[..5].iter().map(|(node, _)| node.clone()).collect()
}

fn ring(node: &NodeId) -> Option<KeyRing> {
    let (_, key) = KEYS.iter().find(|(id, _)| id == node)?;
    let sign = HashMap::from([(key.public().kid().to_owned(), key.public().clone())]);
    let root = SigningKey::generate(Suite::EdDsa, &mut StdRng::seed_from_u64(1)).public().clone();
    Some(KeyRing { issuer: node.clone(), root, sign })
}

fn list(sequence: u64) -> MemberList {
    let members = KEYS.iter().map(|(node, _)| Member {
        node: node.clone(),
        name: "示例市".to_owned(),
        url: format!("https://{node}.example.cn:7443"),
        root: Digest::of(node.as_str().as_bytes()),
        fingerprint: Digest::of(b"fingerprint"),
    });
    MemberList { federation: "示例".to_owned(), sequence, valid_until: NOW + 1000, members: members.collect() }
}

fn sign(list: &SignedList, who: usize) -> String {
    let (node, key) = &KEYS[who];
    let statement = list.statement(node.clone(), NOW, Salt([who as u8; 16]));
    envelope::sign(statement, key).unwrap().jws().to_owned()
}

fn signed(list: &MemberList, who: &[usize]) -> SignedList {
    let mut signed = SignedList::unsigned(list).unwrap();
    for who in who {
        signed.add(&sign(&signed, *who));
    }
    signed
}

fn verify(list: &SignedList, of_them: usize) -> Result<Signers, ListError> {
    let administrators = administrators();
    list.verify(&Quorum { federation: "示例", administrators: &administrators, of_them }, ring, NOW)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_list_is_taken_exactly_when_so_many_administrators_stand_by_it(
        who in proptest::collection::vec(0_usize..7, 0..12), of_them in 1_usize..=5,
    ) {
        let signed = signed(&list(3), &who);
        let good: BTreeSet<NodeId> = who.iter().filter(|w| **w < 5).map(|w| KEYS[*w].0.clone()).collect();
        match verify(&SignedList::parse(&signed.to_file()).unwrap(), of_them) {
            Ok(signers) => prop_assert!(good.len() >= of_them && signers.good == good),
            Err(ListError::Quorum { signers, need, of }) => {
                prop_assert!(good.len() < of_them && signers.good == good && need == of_them && of == 5);
            }
            Err(other) => prop_assert!(false, "{other}"),
        }
    }

    #[test]
    fn no_signature_stands_by_a_list_that_differs_in_a_byte(at in 0_usize..900, to in proptest::char::range(' ', '~')) {
        let signed = signed(&list(3), &[0, 1, 2]);
        let mut text: Vec<char> = signed.text.chars().collect();
        let at = at % text.len();
        prop_assume!(text[at] != to);
        text[at] = to;
        let mut file: String = text.into_iter().collect();
        file.push('\n');
        file.push_str(&signed.signatures.join("\n"));
        if let Ok(changed) = SignedList::parse(&file) {
            let signers = changed.signers(&administrators(), ring, NOW);
            prop_assert!(signers.good.is_empty(), "{signers:?}");
        }
    }

    #[test]
    fn what_else_stands_in_the_file_spoils_nothing(junk in proptest::collection::vec("[ -~]{0,80}", 0..5), at in 0_usize..6) {
        let signed = signed(&list(3), &[0, 1, 2]);
        let mut lines = signed.signatures.clone();
        lines.splice(at.min(3)..at.min(3), junk);
        let file = format!("{}\n{}\n", signed.text, lines.join("\n"));
        prop_assert_eq!(verify(&SignedList::parse(&file).unwrap(), 3).unwrap().good.len(), 3);
    }
}

#[test]
fn each_signature_that_says_nothing_says_why() {
    let good = signed(&list(3), &[0]);
    let other = signed(&list(4), &[1]);
    let mut signed = good.clone();
    let (node, key) = &KEYS[2];
    let late = good.statement(node.clone(), NOW + 301, Salt([0; 16]));
    let narrow = Statement { aud: "340300".parse().map(|r| Audience::Named(vec![r])).unwrap(), ..late.clone() };
    let usurped = Statement { iat: NOW, ..late.clone() };
    for (jws, why) in [
        ("x.y".to_owned(), ""),
        (other.signatures[0].clone(), "it stands by another list"),
        (sign(&good, 6), "no administrator"),
        (envelope::sign(late, key).unwrap().jws().to_owned(), "ahead of the clock"),
        (envelope::sign(narrow, key).unwrap().jws().to_owned(), "does not say"),
        (envelope::sign(usurped, &KEYS[3].1).unwrap().jws().to_owned(), "not in use any more"),
    ] {
        signed.add(&jws);
        let signers = signed.signers(&administrators(), ring, NOW);
        let last = signers.passed_over.last().unwrap();
        assert!(last.why.contains(why) && last.number == signed.signatures.len(), "{why}: {last:?}");
        assert_eq!(signers.good.len(), 1);
    }
    let stranger = good.signers(&administrators(), |_| None, NOW);
    assert!(stranger.passed_over[0].why.contains("no active peer"));
}

#[test]
fn another_federation_s_list_and_one_that_has_ended_are_not_taken() {
    let signed = signed(&list(3), &[0, 1, 2]);
    let administrators = administrators();
    let quorum = Quorum { federation: "别的", administrators: &administrators, of_them: 3 };
    assert!(matches!(signed.verify(&quorum, ring, NOW), Err(ListError::Federation { .. })));
    let quorum = Quorum { federation: "示例", ..quorum };
    assert!(signed.verify(&quorum, ring, NOW + 1000).is_ok());
    assert_eq!(signed.verify(&quorum, ring, NOW + 1001), Err(ListError::Expired(3)));
    // a quorum of none is none
    let nobody = SignedList::unsigned(&list(3)).unwrap();
    assert!(nobody.verify(&Quorum { of_them: 0, ..quorum }, ring, NOW).is_err());
}

#[test]
fn signatures_of_two_copies_come_together_and_those_of_two_lists_do_not() {
    let (mut one, two) = (signed(&list(3), &[0, 1]), signed(&list(3), &[1, 2]));
    assert!(one.merge(&two) && verify(&one, 3).is_ok());
    assert_eq!(SignedList::parse(&one.to_file()).unwrap(), one);
    assert!(!one.merge(&signed(&list(4), &[3])));
}

#[test]
fn what_contradicts_itself_is_no_list() {
    type Bend = fn(&mut MemberList);
    let cases: [(&str, Bend); 9] = [
        ("federation has a name", |l| l.federation = " ".to_owned()),
        ("begins with 1", |l| l.sequence = 0),
        ("1 to 1000 members", |l| l.members.clear()),
        ("stand once", |l| l.members.swap(0, 1)),
        ("stand once", |l| l.members.insert(0, l.members[0].clone())),
        ("a name of 1", |l| l.members[0].name.clear()),
        ("https://host:port", |l| l.members[0].url = "http://example.cn".to_owned()),
        ("root key of another", |l| l.members[1].root = l.members[0].root),
        ("integer", |l| l.sequence = u64::MAX),
    ];
    for (why, bend) in cases {
        let mut list = list(3);
        bend(&mut list);
        let error = list.to_text().unwrap_err().to_string();
        assert!(error.contains(why), "{why}: {error}");
    }
    let text = list(3).to_text().unwrap();
    assert!(MemberList::parse(&text.replacen('{', r#"{"more":1,"#, 1)).unwrap_err().to_string().contains("more"));
    assert!(MemberList::parse("").is_err() && MemberList::parse(&" ".repeat(MAX_BYTES + 1)).is_err());
}
