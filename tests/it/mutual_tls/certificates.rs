//! Nodes with their authorities, and certificates by which nobody can be one of them.

use kaopu::clock::Clock;
use kaopu::log::Origin;
use kaopu::log::origin::LogName;
use kaopu::statement::{NodeId, Suite};
use kaopu::store::peer::PeerRow;
use kaopu::trust::certificates::{Made, Wanted, make_ca, make_node, read_chain, read_key};
use kaopu::trust::descriptor::{Descriptor, KeyState, LogEntry, TlsTrust, thumbprint};
use kaopu::trust::keys::{NodeKeys, RootKeys};
use kaopu::trust::state::PeerState;
use kaopu::trust::tls::Identity;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType,
    date_time_ymd,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::NOW;

pub type Certificate = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// A node with its authority, known by its descriptor.
pub struct Node {
    pub id: NodeId,
    pub ca: Made,
    pub descriptor: String,
}

impl Node {
    pub fn new(id: &str, seed: u64) -> Self {
        Self::under_ca_of(id, seed, NOW)
    }

    /// One whose authority was made at that time.
    pub fn under_ca_of(id: &str, seed: u64, made_at: i64) -> Self {
        let id: NodeId = id.parse().unwrap();
        let mut rng = StdRng::seed_from_u64(seed);
        let roots = RootKeys::generate(Suite::EdDsa, &mut rng);
        let ca = make_ca(&Wanted { node: &id, host: None, now: made_at }).unwrap();
        let certificate = read_chain(&ca.certificate).unwrap().swap_remove(0);
        let logs = [LogName::Records, LogName::Exchange];
        let descriptor = Descriptor {
            node: id.clone(),
            versions: vec![1],
            suites: Suite::ALL.to_vec(),
            sequence: 1,
            name: format!("示例市{id}"),
            endpoints: vec!["https://127.0.0.1:1".to_owned()],
            tls: vec![TlsTrust { certificate, state: KeyState::Active }],
            logs: logs
                .map(|log| LogEntry { origin: Origin { node: id.clone(), log, generation: 1 }, closed_at: None })
                .to_vec(),
            keys: NodeKeys::generate(Suite::EdDsa, &mut rng).entries(&id),
            root: roots.root.public().clone(),
            next_root: thumbprint(roots.next.public()),
            refresh: 3600,
            valid_until: NOW + 1000,
            predecessor: None,
            successor: None,
        };
        let descriptor = descriptor.sign(&roots.root, NOW, &mut rng).unwrap().jws().to_owned();
        Self { id, ca, descriptor }
    }

    pub fn row(&self) -> PeerRow {
        PeerRow::new(self.id.clone(), PeerState::Active, &self.descriptor, 1, NOW * 1000)
    }

    /// What the node itself shows.
    pub fn certificate(&self) -> Certificate {
        let wanted = Wanted { node: &self.id, host: Some("127.0.0.1"), now: NOW };
        let made = make_node(&wanted, &self.ca).unwrap();
        (read_chain(&made.certificate).unwrap(), read_key(&made.key).unwrap())
    }

    pub fn identity(&self) -> Identity {
        let (chain, key) = self.certificate();
        Identity::new(self.id.clone(), chain, key, Clock::fixed(NOW * 1000)).unwrap()
    }

    /// A certificate by this node's authority that differs from the node's own in one thing.
    pub fn bent(&self, bend: impl FnOnce(&mut CertificateParams)) -> Certificate {
        let key = KeyPair::generate().unwrap();
        let issuer = Issuer::from_ca_cert_pem(&self.ca.certificate, KeyPair::from_pem(&self.ca.key).unwrap()).unwrap();
        let certificate = bent(&self.id, bend).signed_by(&key, &issuer).unwrap();
        (vec![certificate.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
    }
}

pub fn bent(id: &NodeId, bend: impl FnOnce(&mut CertificateParams)) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.not_before = date_time_ymd(2026, 1, 1);
    params.not_after = date_time_ymd(2027, 1, 1);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.subject_alt_names = vec![uri(id.as_str()), SanType::IpAddress([127, 0, 0, 1].into())];
    bend(&mut params);
    params
}

pub fn uri(id: &str) -> SanType {
    SanType::URI(format!("kaopu:node:{id}").try_into().unwrap())
}

pub fn self_signed(id: &NodeId) -> Certificate {
    let key = KeyPair::generate().unwrap();
    let certificate = bent(id, |_| ()).self_signed(&key).unwrap();
    (vec![certificate.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
}

/// Each certificate by which nobody can be `node`, or that names nobody: what it is, the certificate, the reason at the end
/// that refuses it, and the alert that the other end hears. `claims` is another peer's id, `unknown` nobody's.
pub fn impostors(
    node: &Node,
    other: &Node,
    stranger: &Node,
    purpose: ExtendedKeyUsagePurpose,
) -> Vec<(&'static str, Certificate, &'static str, &'static str)> {
    let year = |from, to| {
        move |params: &mut CertificateParams| {
            params.not_before = date_time_ymd(from, 1, 1);
            params.not_after = date_time_ymd(to, 1, 1);
        }
    };
    let names = |names: Vec<SanType>| move |params: &mut CertificateParams| params.subject_alt_names = names;
    let named = |id: &NodeId| names(vec![uri(id.as_str())]);
    // the authority's name, and another key under it
    let namesake =
        Node { ca: make_ca(&Wanted { node: &node.id, host: None, now: NOW }).unwrap(), ..Node::new("320100", 9) };
    vec![
        ("self-signed", self_signed(&node.id), "self-signed: ", "UnknownCA"),
        ("another peer's authority", other.bent(named(&node.id)), "other-authority: ", "UnknownCA"),
        ("an authority of the same name", namesake.bent(named(&node.id)), "forged: ", "DecryptError"),
        (
            "expired",
            node.bent(year(2024, 2025)),
            "expired: the certificate of 310107 has expired: it held until 2025-01-01T00:00:00Z",
            "CertificateExpired",
        ),
        (
            "not yet valid",
            node.bent(year(2027, 2028)),
            "not-yet-valid: the certificate of 310107 is not valid yet: it holds from 2027-01-01T00:00:00Z",
            "CertificateExpired",
        ),
        (
            "for the other end only",
            node.bent(|params| params.extended_key_usages = vec![purpose]),
            "wrong-use: the certificate of 310107 is for another use: its extended key usage",
            "UnsupportedCertificate",
        ),
        (
            "for key agreement only",
            node.bent(|params| params.key_usages = vec![KeyUsagePurpose::KeyAgreement]),
            "wrong-use: the certificate of 310107 is for another use: its key usage",
            "UnsupportedCertificate",
        ),
        (
            "an authority's own",
            node.bent(|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)),
            "not-vouched-for: ",
            "CertificateUnknown",
        ),
        (
            "a second name, of a third node",
            node.bent(names(vec![uri("310107"), uri("341200")])),
            "no-node-in-certificate: the certificate names 2 URIs",
            "BadCertificate",
        ),
        (
            "its name twice",
            node.bent(names(vec![uri("310107"), uri("310107")])),
            "no-node-in-certificate: the certificate names 2 URIs",
            "BadCertificate",
        ),
        (
            "no name",
            node.bent(names(vec![SanType::IpAddress([127, 0, 0, 1].into())])),
            "no-node-in-certificate: the certificate names 0 URIs",
            "BadCertificate",
        ),
        (
            "a name of something else",
            node.bent(names(vec![SanType::URI("spiffe://340500".try_into().unwrap())])),
            "no-node-in-certificate: the certificate's URI",
            "BadCertificate",
        ),
        ("no id in the name", node.bent(names(vec![uri("Putuo")])), "no-node-in-certificate: ", "BadCertificate"),
        ("a name that is no peer's", node.bent(named(&stranger.id)), "unknown-node: 440100", "AccessDenied"),
        ("an unknown node", stranger.bent(|_| ()), "unknown-node: 440100", "AccessDenied"),
    ]
}
