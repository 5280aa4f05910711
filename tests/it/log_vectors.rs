//! The test vectors of docs/PROTOCOL.md: a log of 300 entries with its tiles, bodies, checkpoints and proofs.
//!
//! It is made anew here and compared; `KAOPU_BLESS=1` writes it. All its signatures are Ed25519, so each byte is the same
//! each time.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kaopu::audit::folder::Line;
use kaopu::audit::verify::News;
use kaopu::audit::{Folder, Trust, verify};
use kaopu::log::note::VerifierKey;
use kaopu::log::{Checkpoint, Entry, Hash, Origin, merkle, proof};
use kaopu::statement::{Audience, Digest, Kinds, Reader, SigningKey, Statement, Subject, Suite, Verified};
use kaopu::trust::descriptor::{KeyEntry, KeyState, Purpose};
use serde_json::{Map, Value, json};

use crate::sample_log::{self, City, START};

const SIZES: [u64; 5] = [1, 255, 256, 257, 300];
/// The second descriptor stands here, and another key signs what follows.
const ROTATED: u64 = 150;
/// Addressed to a group.
const ADDRESSED: u64 = 8;
/// Erased; the erasure is the last entry.
const ERASED: u64 = 42;
/// Replaced by the entry behind it.
const REPLACED: u64 = 98;

fn test_key(name: &str) -> SigningKey {
    SigningKey::from_seed(Suite::EdDsa, &Digest::of(format!("kaopu test key {name}").as_bytes()).0).unwrap()
}

struct Made {
    log: Vec<(Entry, String)>,
    proofs: Value,
}

fn honour(city: &mut City, i: u64) -> Statement {
    let name = format!("示例{i}");
    let body = [("name", &*name), ("title", "守信示例"), ("awarded", "2026-11-01"), ("authority", "示例局")];
    let body: Map<String, Value> = body.map(|(member, text)| (member.to_owned(), text.into())).into_iter().collect();
    city.statement("honour", START + i as i64, Some(Subject::Named { name }), body)
}

fn statements(city: &mut City) -> Vec<Verified> {
    let first = city.descriptor();
    let mut all = vec![city.sign_descriptor(&first, START)];
    for i in 1..299 {
        let statement = match i {
            ROTATED => {
                let old = std::mem::replace(&mut city.sign, test_key("sign-eddsa-2"));
                let mut second = city.descriptor();
                second.sequence = 2;
                second.keys.push(KeyEntry {
                    key: old.public().clone(),
                    purpose: Purpose::Sign,
                    state: KeyState::Retired,
                    valid_below: None,
                });
                all.push(city.sign_descriptor(&second, START + i as i64));
                continue;
            }
            ADDRESSED => {
                let aud = Audience::Named(vec![Reader::Group("delta".to_owned())]);
                Statement { aud, ..honour(city, i) }
            }
            _ if i == REPLACED + 1 => {
                let mut next = Statement { iat: START + i as i64, ..honour(city, REPLACED) };
                next.prev = Some(all[REPLACED as usize].digest());
                next.body.insert("remark".to_owned(), "第二版".into());
                next
            }
            _ => honour(city, i),
        };
        all.push(city.sign(statement));
    }
    let erasure = city.statement("erasure", START + 299, None, Map::new());
    all.push(city.sign(Statement { refs: vec![all[ERASED as usize].digest()], ..erasure }));
    all
}

fn make() -> (City, Made) {
    let mut city = City::new("kaopu/340500/records/1", 300);
    (city.root, city.next_root) = (test_key("root"), test_key("next-root"));
    (city.sign, city.log) = (test_key("sign-eddsa"), test_key("log-records"));
    let all = statements(&mut city);
    let line = |(i, statement): (usize, &Verified)| match i as u64 {
        ERASED => "erased".to_owned(),
        _ => statement.jws().to_owned(),
    };
    let lines = all.iter().enumerate().map(line);
    let log: Vec<(Entry, String)> = all.iter().map(sample_log::entry).zip(lines).collect();
    let leaves: Vec<Hash> = log.iter().map(|(entry, _)| entry.leaf_hash()).collect();
    let proofs = proofs(&city, &leaves);
    (city, Made { log, proofs })
}

fn proofs(city: &City, leaves: &[Hash]) -> Value {
    let read = |node: proof::Node| {
        let first = (node.index << node.level) as usize;
        Ok::<_, ()>(merkle::root_of(&leaves[first..first + (1 << node.level)]))
    };
    let text = |hashes: Vec<Hash>| hashes.iter().map(|hash| STANDARD.encode(hash)).collect::<Vec<_>>();
    let checkpoint = |size: &u64| {
        let root = merkle::root_of(&leaves[..*size as usize]);
        let note = Checkpoint { origin: city.origin.clone(), size: *size, root }.sign(&city.log).unwrap();
        json!({"size": size, "note": note})
    };
    let inclusion = |(index, size): (u64, u64)| {
        let leaf = STANDARD.encode(leaves[index as usize]);
        json!({"index": index, "size": size, "leaf": leaf, "proof": text(proof::inclusion(index, size, read).unwrap())})
    };
    let consistency = |(old, new): (u64, u64)| json!({"old": old, "new": new, "proof": text(proof::consistency(old, new, read).unwrap())});
    let within = [(0, 1), (0, 255), (254, 255), (255, 256), (128, 257), (256, 257), (0, 300), (171, 300), (299, 300)];
    let between = [(1, 255), (255, 256), (256, 257), (1, 300), (255, 300), (256, 300), (257, 300), (300, 300)];
    json!({
        "note": "Hashes in standard base64. Seeds of the keys: SHA-256 of `kaopu test key <name>`; names: root, sign-eddsa, sign-eddsa-2 from the second descriptor on, log-records.",
        "verifier_key": verifier_key(city).to_text(),
        "checkpoints": SIZES.iter().map(checkpoint).collect::<Vec<_>>(),
        "inclusion": within.map(inclusion),
        "consistency": between.map(consistency),
    })
}

fn verifier_key(city: &City) -> VerifierKey {
    VerifierKey { name: city.origin.to_string(), key: city.log.public().ed25519_bytes().unwrap() }
}

fn write(city: &City, made: &Made, folder: &Path) {
    let log: Vec<(Entry, Line)> = made.log.iter().map(|(entry, line)| (*entry, Line::parse(line))).collect();
    sample_log::write(&Folder::at(folder), &city.origin, &city.log, &log);
    fs::write(folder.join("proofs.json"), format!("{:#}\n", made.proofs)).unwrap();
}

fn stored() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/log300")
}

/// All files of a folder by path within it.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.strip_prefix(folder).unwrap().to_owned(), fs::read(&path).unwrap());
            }
        }
    }
    found
}

#[test]
fn the_log_of_the_vectors_is_the_one_made_here() {
    let (city, made) = make();
    if std::env::var_os("KAOPU_BLESS").is_some() {
        let _ = fs::remove_dir_all(stored());
        write(&city, &made, &stored());
    }
    let dir = tempfile::tempdir().unwrap();
    write(&city, &made, dir.path());
    let (stored, made) = (files(&stored()), files(dir.path()));
    assert_eq!(stored.keys().collect::<Vec<_>>(), made.keys().collect::<Vec<_>>());
    for (path, bytes) in &made {
        assert!(
            stored[path] == *bytes,
            "{}: run this test with KAOPU_BLESS=1 and look at the difference",
            path.display()
        );
    }
}

#[test]
fn the_log_of_the_vectors_is_verified() {
    let proofs: Value = serde_json::from_slice(&fs::read(stored().join("proofs.json")).unwrap()).unwrap();
    let key = VerifierKey::parse(proofs["verifier_key"].as_str().unwrap()).unwrap();
    let trust = Trust { key: Some(key), fingerprint: None };
    let mut faults = Vec::new();
    let report = verify(&Folder::at(stored()), &trust, &Kinds::builtin().unwrap(), START + 1000, 2, &mut |news| {
        if let News::Fault(fault) = news {
            faults.push(fault.to_string());
        }
    });
    assert_eq!(faults, Vec::<String>::new());
    // but for the one erased, and the erasure, whose kind has no schema yet
    assert_eq!((report.verified, report.erased, report.held.values().sum::<u64>()), (298, 1, 1));
    assert!(report.trusted);
}

#[test]
fn the_checkpoints_and_proofs_of_the_vectors_hold() {
    let proofs: Value = serde_json::from_slice(&fs::read(stored().join("proofs.json")).unwrap()).unwrap();
    let key = VerifierKey::parse(proofs["verifier_key"].as_str().unwrap()).unwrap();
    let origin: Origin = key.name.parse().unwrap();
    let list = |name: &str| proofs[name].as_array().unwrap().clone();
    let number = |item: &Value, name: &str| item[name].as_u64().unwrap();
    let hash = |value: &Value| -> Hash { STANDARD.decode(value.as_str().unwrap()).unwrap().try_into().unwrap() };
    let path = |item: &Value| item["proof"].as_array().unwrap().iter().map(hash).collect::<Vec<Hash>>();
    let mut roots = BTreeMap::new();
    for item in list("checkpoints") {
        let note = item["note"].as_str().unwrap();
        let checkpoint = Checkpoint::open(note, &origin, std::slice::from_ref(&key)).unwrap();
        assert_eq!(checkpoint.size, number(&item, "size"));
        roots.insert(checkpoint.size, checkpoint.root);
    }
    for item in list("inclusion") {
        let (index, size) = (number(&item, "index"), number(&item, "size"));
        let held = proof::verify_inclusion(&hash(&item["leaf"]), index, size, &path(&item), &roots[&size]);
        assert_eq!(held, Ok(()), "{index} in {size}");
    }
    for item in list("consistency") {
        let (old, new) = (number(&item, "old"), number(&item, "new"));
        let held = proof::verify_consistency(old, &roots[&old], new, &roots[&new], &path(&item));
        assert_eq!(held, Ok(()), "{old} in {new}");
    }
}
