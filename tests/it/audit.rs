//! What an audit of an exported log finds: everything that is wrong, each with its index, and nothing where nothing is.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use kaopu::audit::folder::Line;
use kaopu::audit::verify::News;
use kaopu::audit::{Fault, Folder, Report, Trust, verify};
use kaopu::log::note::VerifierKey;
use kaopu::log::{Class, Entry, TileId};
use kaopu::statement::{Audience, Digest, Kinds, Reader, SigningKey, Statement, Suite, Verified};
use kaopu::trust::descriptor::{KeyEntry, KeyState, Purpose, ValidBelow, spoken};
use proptest::prelude::*;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tempfile::TempDir;

use crate::sample_log::{self, City, START};

mod events;
mod void;

/// A log on its way into a folder.
struct Sample {
    city: City,
    statements: Vec<Verified>,
    log: Vec<(Entry, String)>,
}

impl Sample {
    /// A descriptor and `penalties` penalties.
    fn new(penalties: u64) -> Self {
        Self::of("kaopu/340500/records/1", penalties)
    }

    /// The same in a log of this origin.
    fn of(origin: &str, penalties: u64) -> Self {
        let mut city = City::new(origin, 7);
        let descriptor = city.descriptor();
        let descriptor = city.sign_descriptor(&descriptor, START);
        let mut sample = Self { city, statements: vec![], log: vec![] };
        sample.push(descriptor);
        for i in 0..penalties {
            let penalty = sample.city.penalty(i);
            sample.say(penalty);
        }
        sample
    }

    fn push(&mut self, statement: Verified) -> u64 {
        self.log.push((sample_log::entry(&statement), statement.jws().to_owned()));
        self.statements.push(statement);
        self.log.len() as u64 - 1
    }

    fn say(&mut self, statement: Statement) -> u64 {
        let signed = self.city.sign(statement);
        self.push(signed)
    }

    fn write(&self) -> (TempDir, Folder) {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::at(dir.path());
        let log: Vec<(Entry, Line)> = self.log.iter().map(|(entry, line)| (*entry, Line::parse(line))).collect();
        sample_log::write(&folder, &self.city.origin, &self.city.log, &log);
        (dir, folder)
    }

    fn trust(&self) -> Trust {
        let key = self.city.log.public().ed25519_bytes().unwrap();
        Trust { key: Some(VerifierKey { name: self.city.origin.to_string(), key }), fingerprint: None }
    }

    /// Faults, and what is void, as (index, code), and the report.
    fn audit(&self) -> (Vec<(Option<u64>, &'static str)>, Report) {
        let (_dir, folder) = self.write();
        audit(&folder, &self.trust())
    }
}

fn audit(folder: &Folder, trust: &Trust) -> (Vec<(Option<u64>, &'static str)>, Report) {
    static KINDS: LazyLock<Kinds> = LazyLock::new(|| Kinds::builtin().unwrap());
    let mut faults: Vec<Fault> = Vec::new();
    let now = START + 86_400;
    let report = verify(folder, trust, &KINDS, now, 2, &mut |news| {
        if let News::Fault(fault) | News::Void(fault) = news {
            faults.push(fault.clone());
        }
    });
    let void = faults.iter().filter(|fault| fault.wrong.is_declared()).count();
    assert_eq!((report.faults, report.void), ((faults.len() - void) as u64, void as u64));
    let mut faults: Vec<_> = faults.into_iter().map(|fault| (fault.index, fault.wrong.code())).collect();
    faults.sort_unstable();
    (faults, report)
}

#[test]
fn a_log_is_verified_at_every_border() {
    for penalties in [0, 1, 254, 255, 256, 600] {
        let (faults, report) = Sample::new(penalties).audit();
        assert_eq!(faults, [], "of {penalties}");
        assert_eq!(report.verified, penalties + 1);
        assert!(report.trusted);
        assert_eq!(report.checkpoint.map(|c| c.size), Some(penalties + 1));
    }
}

#[test]
fn what_the_auditor_knows_decides_whether_a_log_is_trusted() {
    let mut sample = Sample::new(3);
    let fingerprint = sample.city.descriptor().fingerprint();
    let (_dir, folder) = sample.write();
    let known = |text: &str| Trust { key: None, fingerprint: Some(text.to_owned()) };
    for trust in [known(&fingerprint.to_string()), known(&spoken(&fingerprint)), sample.trust()] {
        let (faults, report) = audit(&folder, &trust);
        assert_eq!((faults.len(), report.trusted), (0, true));
    }
    let (faults, report) = audit(&folder, &Trust::default());
    assert_eq!((faults.len(), report.trusted), (0, false));
    assert_eq!(report.fingerprint, Some(fingerprint));
    assert_eq!(report.keys, Vec::from_iter(sample.trust().key));

    sample.city.log = SigningKey::generate(Suite::EdDsa, &mut StdRng::seed_from_u64(1));
    let (faults, report) = audit(&folder, &sample.trust());
    assert_eq!((faults, report.trusted), (vec![(None, "untrusted")], false));
    let (faults, _) = audit(&folder, &known(&Digest::of(b"another").to_string()));
    assert_eq!(faults, [(None, "untrusted")]);
    // signed by another key than the descriptor names
    assert_eq!(sample.audit().0, [(None, "checkpoint")]);
}

#[test]
fn a_body_that_is_not_what_was_logged_is_found() {
    let mut sample = Sample::new(300);
    let stranger = SigningKey::generate(Suite::EdDsa, &mut StdRng::seed_from_u64(1));
    // 5 and 270 stand for other statements than were logged, 7 is no statement, 8 is withheld though open, 9 was erased
    sample.log[5].1 = sample.log[6].1.clone();
    sample.log[270].1.replace_range(100..101, "_");
    sample.log[7].1 = "not a statement".to_owned();
    sample.log[8].1 = "withheld".to_owned();
    sample.log[9].1 = "erased".to_owned();
    // 11 is logged with a signature that does not verify
    let (signed, _) = sample.log[11].1.rsplit_once('.').unwrap();
    let other = sample.log[12].1.rsplit_once('.').unwrap().1.to_owned();
    let forged = format!("{signed}.{other}");
    sample.log[11] = (Entry { digest: Digest::of(forged.as_bytes()), ..sample.log[11].0 }, forged);
    // 13 under a key that no descriptor names
    let foreign = kaopu::statement::envelope::sign(sample.statements[13].statement().clone(), &stranger).unwrap();
    sample.log[13] = (sample_log::entry(&foreign), foreign.jws().to_owned());
    // 14 is open, and its entry says otherwise
    sample.log[14].0.class = Class::Addressed;
    let (faults, report) = sample.audit();
    let expected = [
        (5, "digest"),
        (7, "digest"),
        (8, "withheld"),
        (9, "erased"),
        (11, "signature"),
        (13, "key"),
        (14, "class"),
        (270, "digest"),
    ];
    assert_eq!(faults, expected.map(|(index, code)| (Some(index), code)));
    assert_eq!(report.verified, 301 - 8);
}

#[test]
fn a_statement_that_must_be_refused_is_found() {
    let mut sample = Sample::new(10);
    let start = START + 1000;
    let mut good = sample.city.penalty(100);
    good.iat = start;
    let mut late = sample.city.penalty(101);
    late.iat = start - 301;
    let mut backdated_by_300 = sample.city.penalty(102);
    backdated_by_300.iat = start - 300;
    let mut schema = Statement { iat: start, ..sample.city.penalty(103) };
    schema.body.insert("content".to_owned(), 5.into());
    let mut rule = Statement { iat: start, ..sample.city.penalty(104) };
    rule.body.insert("valid_until".to_owned(), "2026-10-29".into());
    let foreign = Statement { iat: start, iss: "340100".parse().unwrap(), ..sample.city.penalty(105) };
    let exchange = Statement { iat: start, typ: kaopu::statement::Typ::first("query"), ..sample.city.penalty(106) };
    let unknown = Statement { iat: start, typ: kaopu::statement::Typ::first("weather"), ..sample.city.penalty(107) };
    let ahead = Statement { iat: start + 2 * 86_400, ..sample.city.penalty(108) };
    let all = [good, late, backdated_by_300, schema, rule, foreign, exchange, unknown, ahead];
    let first = all.map(|statement| sample.say(statement))[0];
    let (faults, report) = sample.audit();
    let expected = [(1, "backdated"), (3, "schema"), (4, "rule"), (5, "key"), (6, "kind")];
    assert_eq!(faults, expected.map(|(at, code)| (Some(first + at), code)));
    assert_eq!(report.held.values().sum::<u64>(), 2, "{:?}", report.held);
    assert_eq!(report.verified, 11 + 2);
}

#[test]
fn a_chain_of_versions_that_forks_is_found() {
    let mut sample = Sample::new(10);
    let digest = |sample: &Sample, index: u64| Some(sample.statements[index as usize].digest());
    let next = |sample: &mut Sample, prev, fine: &str| {
        let mut version = Statement { prev, ..sample.city.penalty(4) };
        version.body.insert("fine".to_owned(), fine.into());
        sample.say(version)
    };
    let first = digest(&sample, 5);
    let second = next(&mut sample, first, "2");
    let fork = next(&mut sample, first, "3");
    let third = digest(&sample, second);
    let third = next(&mut sample, third, "4");
    let anew = next(&mut sample, None, "5");
    let last = digest(&sample, third);
    next(&mut sample, last, "6");
    assert_eq!(sample.audit().0, [(Some(fork), "prev"), (Some(anew), "prev")]);
}

#[test]
fn descriptors_change_the_keys_of_what_stands_behind_them() {
    let mut sample = Sample::new(300);
    let first = sample.city.descriptor();
    let new = SigningKey::generate(Suite::Es256, &mut StdRng::seed_from_u64(1));
    let old = std::mem::replace(&mut sample.city.sign, new);
    // the new key is not valid yet
    let early = sample.city.penalty(400);
    let early = sample.say(early);
    let compromised = 290;
    let mut second = sample.city.descriptor();
    second.sequence = 2;
    second.keys.push(KeyEntry {
        key: old.public().clone(),
        purpose: Purpose::Sign,
        state: KeyState::Compromised,
        valid_below: Some(ValidBelow::Every(compromised)),
    });
    let signed = sample.city.sign_descriptor(&second, START + 100);
    sample.push(signed);
    let good = sample.city.penalty(401);
    sample.say(good);
    // the old one no longer is, and an old descriptor does not follow
    let stale = sample.city.penalty(402);
    let stale = kaopu::statement::envelope::sign(stale, &old).unwrap();
    let stale = sample.push(stale);
    let again = sample.city.sign_descriptor(&first, START + 100);
    let again = sample.push(again);
    // the root may be followed by the one that it committed to, and by no other
    std::mem::swap(&mut sample.city.root, &mut sample.city.next_root);
    let mut third = sample.city.descriptor();
    third.sequence = 3;
    let signed = sample.city.sign_descriptor(&third, START + 100);
    sample.push(signed);
    let other = City::new("kaopu/340500/records/1", 8).root;
    sample.city.root = other;
    let mut fourth = sample.city.descriptor();
    fourth.sequence = 4;
    let signed = sample.city.sign_descriptor(&fourth, START + 100);
    let usurped = sample.push(signed);

    let (faults, report) = sample.audit();
    let mut expected: Vec<_> = (compromised..=300).map(|index| (Some(index), "compromised")).collect();
    expected.push((Some(early), "key"));
    expected.push((Some(stale), "key"));
    expected.push((Some(again), "descriptor"));
    expected.push((Some(usurped), "descriptor"));
    expected.sort_unstable();
    assert_eq!(faults, expected);
    assert_eq!(report.fingerprint, Some(third.fingerprint()));
}

#[test]
fn a_log_begins_with_its_descriptor() {
    let mut sample = Sample::new(2);
    sample.log.remove(0);
    let (faults, report) = sample.audit();
    // the auditor's key vouches for the checkpoint, and yet the log does not say who may sign
    assert_eq!(faults, [(None, "checkpoint"), (Some(0), "no-keys"), (Some(1), "no-keys")]);
    assert_eq!(report.verified, 0);
}

#[test]
fn bodies_that_others_may_not_see_leave_the_log_whole() {
    let mut sample = Sample::new(3);
    let aud = Audience::Named(vec![Reader::Group("delta".to_owned())]);
    let addressed = Statement { aud, ..sample.city.penalty(9) };
    let addressed = sample.say(addressed);
    sample.log[addressed as usize].1 = "withheld".to_owned();
    let erased = sample.log[2].0.digest;
    sample.log[2].1 = "erased".to_owned();
    let erasure = sample.city.statement("erasure", START + 60, None, serde_json::Map::new());
    sample.say(Statement { refs: vec![erased], ..erasure });
    // a version that follows on one that is not here
    let version = Statement { prev: Some(erased), ..sample.city.penalty(1) };
    sample.say(version);
    let (faults, report) = sample.audit();
    assert_eq!(faults, []);
    assert_eq!((report.withheld, report.erased, report.verified), (1, 1, 4));
}

#[test]
fn a_root_or_a_tile_that_the_entries_do_not_bear_out_is_found() {
    let sample = Sample::new(600);
    let shorter = Sample::new(400);
    let (_dir, folder) = sample.write();
    let (_other, other) = shorter.write();
    let read = |folder: &Folder| fs::read_to_string(folder.path().join("checkpoint")).unwrap();
    // a checkpoint of another size: the partial files of that size are not there
    fs::write(folder.path().join("checkpoint"), read(&other)).unwrap();
    let (faults, _) = audit(&folder, &sample.trust());
    assert!(faults.contains(&(Some(256), "missing")), "{faults:?}");
    // a checkpoint of the same size over another history
    let mut forked = Sample::new(599);
    let last = forked.city.penalty(1000);
    forked.say(last);
    let (_fork, fork) = forked.write();
    fs::write(folder.path().join("checkpoint"), read(&fork)).unwrap();
    assert_eq!(audit(&folder, &sample.trust()).0, [(None, "root")]);
    for (tile, index) in [
        (TileId { level: 0, n: 1, width: 256 }, Some(256)),
        (TileId { level: 0, n: 2, width: 89 }, Some(512)),
        (TileId { level: 1, n: 0, width: 2 }, None),
    ] {
        let (_dir, folder) = sample.write();
        let path = folder.path().join(format!("tile/{tile}"));
        let mut bytes = fs::read(&path).unwrap();
        bytes[40] ^= 1;
        fs::write(&path, bytes).unwrap();
        assert_eq!(audit(&folder, &sample.trust()).0, [(index, "tile")]);
        fs::remove_file(&path).unwrap();
        assert_eq!(audit(&folder, &sample.trust()).0, [(None, "missing")]);
    }
    // without a bundle the tile still gives the tree
    let (_dir, folder) = sample.write();
    fs::remove_file(folder.path().join("tile/entries/001")).unwrap();
    let (faults, report) = audit(&folder, &sample.trust());
    assert_eq!((faults, report.verified), (vec![(Some(256), "missing")], 601 - 256));
    // a size that nothing bears out does not take for ever
    let checkpoint = read(&folder).replacen("\n601\n", "\n9000000000000000000\n", 1);
    fs::write(folder.path().join("checkpoint"), checkpoint).unwrap();
    assert!(audit(&folder, &sample.trust()).1.faults > 0);
    fs::remove_file(folder.path().join("checkpoint")).unwrap();
    assert_eq!(audit(&folder, &sample.trust()).0, [(None, "missing")]);
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn any_byte_that_is_changed_is_found(file: prop::sample::Index, at: prop::sample::Index, bits in 1_u8..=255) {
        thread_local!(static SAMPLE: (Sample, TempDir, Folder) = {
            let sample = Sample::new(300);
            let (dir, folder) = sample.write();
            (sample, dir, folder)
        });
        SAMPLE.with(|(sample, _, folder)| {
            let files = files(folder.path());
            let path = &files[file.index(files.len())];
            let whole = fs::read(path).unwrap();
            let mut bytes = whole.clone();
            let at = at.index(bytes.len());
            bytes[at] ^= bits;
            fs::write(path, &bytes).unwrap();
            let (faults, _) = audit(folder, &sample.trust());
            fs::write(path, &whole).unwrap();
            prop_assert!(!faults.is_empty(), "byte {} of {} ^ {:02x}", at, path.display(), bits);
            Ok(())
        })?;
    }
}
