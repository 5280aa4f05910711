//! A log made up in memory: an invented city, its descriptor, its penalties; written to a folder as an export is.

use kaopu::audit::folder::{Folder, Line};
use kaopu::log::origin::LogName;
use kaopu::log::{Checkpoint, Edge, Entry, Origin, TileId, climb, judge};
use kaopu::statement::{Audience, Salt, SigningKey, Statement, Subject, Suite, Typ, Verified, envelope};
use kaopu::trust::descriptor::{Descriptor, KeyEntry, KeyState, LogEntry, Purpose, thumbprint};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use serde_json::{Map, Value, json};

/// The day on which everything happens: 2026-11-02, 08:00 in the Delta.
pub const START: i64 = 1_793_577_600;

/// An invented city with its keys.
pub struct City {
    pub origin: Origin,
    pub root: SigningKey,
    pub next_root: SigningKey,
    pub sign: SigningKey,
    pub log: SigningKey,
    rng: StdRng,
}

impl City {
    /// All its keys and salts come from one seed.
    pub fn new(origin: &str, seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let [root, next_root, sign, log] = std::array::from_fn(|_| SigningKey::generate(Suite::EdDsa, &mut rng));
        Self { origin: origin.parse().unwrap(), root, next_root, sign, log, rng }
    }

    /// Its first descriptor.
    pub fn descriptor(&self) -> Descriptor {
        let origin = |log| Origin { log, ..self.origin.clone() };
        let key = |key: &SigningKey, purpose| KeyEntry {
            key: key.public().clone(),
            purpose,
            state: KeyState::Active,
            valid_below: None,
        };
        let log = |log| LogEntry { origin: origin(log), closed_at: None };
        Descriptor {
            node: self.origin.node.clone(),
            versions: vec![1],
            suites: Suite::ALL.to_vec(),
            sequence: 1,
            name: "示例市".to_owned(),
            endpoints: vec!["https://node.example:7443".to_owned()],
            tls: vec![],
            logs: vec![log(LogName::Records), log(LogName::Exchange)],
            keys: vec![key(&self.sign, Purpose::Sign), key(&self.log, Purpose::Log(self.origin.clone()))],
            root: self.root.public().clone(),
            next_root: thumbprint(self.next_root.public()),
            refresh: 3600,
            valid_until: START + 365 * 86_400,
            predecessor: None,
            successor: None,
        }
    }

    /// A descriptor, signed by the root.
    pub fn sign_descriptor(&mut self, descriptor: &Descriptor, iat: i64) -> Verified {
        descriptor.sign(&self.root, iat, &mut self.rng).unwrap()
    }

    /// A statement, not signed yet.
    pub fn statement(&mut self, kind: &str, iat: i64, sub: Option<Subject>, body: Map<String, Value>) -> Statement {
        Statement {
            typ: Typ::first(kind),
            iss: self.origin.node.clone(),
            iat,
            aud: Audience::Everyone,
            salt: Salt::random(&mut self.rng),
            sub,
            prev: None,
            refs: vec![],
            body,
        }
    }

    /// Penalty number `i`.
    pub fn penalty(&mut self, i: u64) -> Statement {
        let (uscc, authority) = (uscc("91340500", i), uscc("11340500", 0));
        let name = format!("马鞍山示例{}有限公司", i % 5000);
        let body = json!({
            "name": name,
            "party": "法人及非法人组织",
            "uscc": uscc,
            "representative": "示例甲",
            "number": format!("马示例罚〔2026〕{i}号"),
            "violation": "违反示例管理规定",
            "facts": "经查，该示例单位未按规定在经营场所的醒目位置明示价格，亦未在期限内改正。",
            "basis": "《示例法》第十二条第一款、第四十条",
            "category": ["警告", "罚款"],
            "content": "给予警告，并处罚款人民币壹万贰仟元整。",
            "fine": "1.2",
            "decided": "2026-10-30",
            "valid_until": "2099-12-31",
            "authority": "马鞍山市示例局",
            "authority_uscc": authority,
            "source": "马鞍山市示例局",
            "source_uscc": authority,
        });
        let Value::Object(body) = body else { unreachable!() };
        self.statement("penalty", START + (i / 100) as i64, Some(Subject::Enterprise { uscc, name }), body)
    }

    /// Signs.
    pub fn sign(&self, statement: Statement) -> Verified {
        envelope::sign(statement, &self.sign).unwrap()
    }
}

/// A code with good check digits: a made-up organisation code behind department, class and division.
pub fn uscc(division: &str, i: u64) -> String {
    const DIGITS: &[u8; 31] = b"0123456789ABCDEFGHJKLMNPQRTUWXY";
    let organisation = format!("MB{:06}", i % 1_000_000);
    let value = |c: u8| if c.is_ascii_digit() { u64::from(c - b'0') } else { u64::from(c - b'A') + 10 };
    let inner: u64 = organisation.bytes().zip([3, 7, 9, 10, 5, 8, 4, 2]).map(|(c, w)| value(c) * w).sum();
    let inner = match 11 - inner % 11 {
        10 => 'X',
        11 => '0',
        digit => char::from(b'0' + digit as u8),
    };
    let body = format!("{division}{organisation}{inner}");
    let weights = [1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28];
    let index = |c: u8| DIGITS.iter().position(|d| *d == c).unwrap() as u64;
    let outer: u64 = body.bytes().zip(weights).map(|(c, w)| index(c) * w).sum();
    format!("{body}{}", char::from(DIGITS[((31 - outer % 31) % 31) as usize]))
}

/// The entry of a statement.
pub fn entry(statement: &Verified) -> Entry {
    Entry { class: judge::class_of(&statement.statement().aud), digest: statement.digest() }
}

/// Writes entries and bodies as a log, with its tiles and checkpoint.
pub fn write(folder: &Folder, origin: &Origin, key: &SigningKey, log: &[(Entry, Line)]) -> Checkpoint {
    let (mut edge, mut full) = (Edge::default(), Vec::new());
    log.iter().for_each(|(entry, _)| edge.push(entry.leaf_hash(), &mut full));
    for (n, bundle) in (0..).zip(log.chunks(256)) {
        let (entries, lines): (Vec<Entry>, Vec<Line>) = bundle.iter().copied().unzip();
        folder.write_bundle(n, &entries, &lines).unwrap();
    }
    for tile in full {
        folder.write_tile(TileId { level: tile.level, n: tile.n, width: 256 }, &tile.hashes).unwrap();
    }
    for id in climb::edge_tiles(edge.size()) {
        folder.write_tile(id, edge.level(id.level)).unwrap();
    }
    let checkpoint = Checkpoint { origin: origin.clone(), size: edge.size(), root: edge.root() };
    folder.write_checkpoint(&checkpoint.sign(key).unwrap()).unwrap();
    checkpoint
}
