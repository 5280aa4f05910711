//! What a descriptor is worth, and what may follow it.

use rand::SeedableRng as _;
use rand::rngs::StdRng;

use super::*;
use crate::log::origin::LogName;
use crate::trust::certificates::{Wanted, make_ca, read_chain};
use crate::trust::keys::{NodeKeys, RootKeys};

const NOW: i64 = 1_790_000_000;

struct Made {
    descriptor: Descriptor,
    keys: NodeKeys,
    roots: RootKeys,
}

fn rng() -> StdRng {
    StdRng::seed_from_u64(5)
}

fn make(node: &str, seed: u64) -> Made {
    let node: NodeId = node.parse().unwrap();
    let mut rng = StdRng::seed_from_u64(seed);
    let (keys, roots) = (NodeKeys::generate(Suite::Sm2, &mut rng), RootKeys::generate(Suite::Sm2, &mut rng));
    let ca = make_ca(&Wanted { node: &node, host: None, now: NOW }).unwrap();
    let certificate = read_chain(&ca.certificate).unwrap().swap_remove(0);
    let origin = |log, generation| Origin { node: node.clone(), log, generation };
    let descriptor = Descriptor {
        versions: vec![1],
        suites: vec![Suite::EdDsa, Suite::Sm2],
        sequence: 4,
        name: "示例市".to_owned(),
        endpoints: vec!["https://credit.example.cn:7443".to_owned(), "https://[::1]:7443".to_owned()],
        tls: vec![
            TlsTrust { certificate: certificate.clone(), state: KeyState::Active },
            TlsTrust { certificate, state: KeyState::Retired },
        ],
        logs: vec![
            LogEntry { origin: origin(LogName::Records, 1), closed_at: Some(17) },
            LogEntry { origin: origin(LogName::Exchange, 1), closed_at: None },
        ],
        keys: keys.entries(&node),
        root: roots.root.public().clone(),
        next_root: thumbprint(roots.next.public()),
        refresh: 3600,
        valid_until: NOW + 1000,
        predecessor: None,
        successor: Some("340506".parse().unwrap()),
        node,
    };
    Made { descriptor, keys, roots }
}

fn signed(descriptor: &Descriptor, root: &SigningKey) -> String {
    descriptor.sign(root, NOW, &mut rng()).unwrap().jws().to_owned()
}

#[test]
fn a_descriptor_comes_back_from_its_statement() {
    let Made { descriptor, keys, roots } = make("340500", 1);
    let (verified, again) = Descriptor::open(&signed(&descriptor, &roots.root)).unwrap();
    assert_eq!(again, descriptor);
    assert_eq!(verified.issuer(), &descriptor.node);
    let ring = again.key_ring();
    assert_eq!(ring.find("penalty", keys.sign.public().kid()), Some(keys.sign.public()));
    assert!(ring.find("penalty", roots.root.public().kid()).is_none());
    assert!(ring.find("descriptor", keys.sign.public().kid()).is_none());
    let records = &descriptor.logs[0].origin;
    let [key] = &again.log_keys(records)[..] else { panic!("one key a log") };
    assert_eq!(
        (key.name.as_str(), Some(key.key)),
        ("kaopu/340500/records/1", keys.log_records.public().ed25519_bytes())
    );
    assert!(again.log_keys(&Origin { generation: 2, ..records.clone() }).is_empty());
}

#[test]
fn only_the_root_that_it_names_signs_a_descriptor() {
    let Made { descriptor, keys, roots } = make("340500", 1);
    assert_eq!(descriptor.sign(&keys.sign, NOW, &mut rng()).unwrap_err(), DescriptorError::Root);
    let statement = |key: &SigningKey, typ: &str, aud| {
        let statement = Statement {
            typ: Typ::first(typ),
            iss: descriptor.node.clone(),
            iat: NOW,
            aud,
            salt: Salt::random(&mut rng()),
            sub: None,
            prev: None,
            refs: Vec::new(),
            body: wire::encode(&descriptor).unwrap(),
        };
        envelope::sign(statement, key).unwrap().jws().to_owned()
    };
    let refused = |jws: &str| Descriptor::open(jws).unwrap_err();
    let everyone = || Audience::Everyone;
    assert_eq!(
        refused(&statement(&keys.sign, KIND, everyone())),
        DescriptorError::Statement(Refused::UnknownKey),
        "signed by another key"
    );
    assert!(matches!(refused(&statement(&roots.root, "change", everyone())), DescriptorError::Kind(_)));
    let named = Audience::Named(vec!["310107".parse().unwrap()]);
    assert!(matches!(refused(&statement(&roots.root, KIND, named)), DescriptorError::Kind(_)));
}

#[test]
fn a_successor_is_newer_of_the_same_node_and_the_same_or_the_committed_root() {
    let Made { descriptor, roots, .. } = make("340500", 1);
    let stranger = make("340500", 2);
    let next = |bend: &dyn Fn(&mut Descriptor), root: &SigningKey| {
        let mut next = Descriptor { sequence: 5, ..descriptor.clone() };
        bend(&mut next);
        descriptor.successor(&signed(&next, root)).map(|(_, next)| next.sequence)
    };
    let passed_on = |next: &mut Descriptor| {
        next.root = roots.next.public().clone();
        next.next_root = thumbprint(stranger.roots.next.public());
    };
    assert_eq!(next(&|_| (), &roots.root), Ok(5));
    assert_eq!(next(&passed_on, &roots.next), Ok(5));
    // sequences may leave gaps, but never stand still
    assert_eq!(next(&|d| d.sequence = 9, &roots.root), Ok(9));
    assert_eq!(next(&|d| d.sequence = 4, &roots.root), Err(DescriptorError::Sequence(4, 4)));
    assert_eq!(next(&|d| d.sequence = 3, &roots.root), Err(DescriptorError::Sequence(3, 4)));
    // a stolen root alone cannot pass the node on
    let steal = |d: &mut Descriptor| d.next_root = thumbprint(stranger.roots.root.public());
    assert_eq!(next(&steal, &roots.root), Err(DescriptorError::NextRoot));
    let stranger_root = stranger.roots.root.public().clone();
    assert_eq!(next(&|d| d.root = stranger_root.clone(), &stranger.roots.root), Err(DescriptorError::Root));
    let other = make("310107", 3);
    let jws = signed(&Descriptor { sequence: 5, ..other.descriptor.clone() }, &other.roots.root);
    assert!(matches!(descriptor.successor(&jws), Err(DescriptorError::Node(..))));
}

#[test]
fn a_fingerprint_is_of_node_root_and_authorities_and_reads_as_thirty_digits() {
    let Made { descriptor, .. } = make("340500", 1);
    let fingerprint = descriptor.fingerprint();
    let same = Descriptor { sequence: 9, name: "别名".to_owned(), keys: Vec::new(), ..descriptor.clone() };
    assert_eq!(same.fingerprint(), fingerprint);
    assert_ne!(Descriptor { root: make("340500", 2).descriptor.root, ..descriptor.clone() }.fingerprint(), fingerprint);
    assert_ne!(Descriptor { tls: make("340500", 2).descriptor.tls, ..descriptor.clone() }.fingerprint(), fingerprint);
    assert_ne!(Descriptor { node: "340506".parse().unwrap(), ..descriptor }.fingerprint(), fingerprint);
    let spoken = spoken(&fingerprint);
    assert_eq!(spoken.split(' ').map(str::len).collect::<Vec<_>>(), [5; 6]);
    assert!(spoken.bytes().all(|b| b == b' ' || b.is_ascii_digit()));
}

#[test]
fn an_endpoint_is_a_host_and_perhaps_a_port() {
    for good in ["https://a.example:7443", "https://127.0.0.1", "https://[::1]:1"] {
        assert!(is_endpoint(good), "{good}");
    }
    for bad in ["", "http://a:1", "https://", "https://a/", "https://a/x", "https://u@a", "a:7443", "https://a?x"] {
        assert!(!is_endpoint(bad), "{bad}");
    }
}
