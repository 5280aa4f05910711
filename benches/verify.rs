//! Offline verification of a log against bare Ed25519 batch verification of the same statements, both on all cores.
//!
//! `cargo bench --bench verify`; `KAOPU_ROWS` says how many penalties (200,000). Bare is ed25519-dalek's `verify_batch`, 256 at
//! a time and 1,024 at a time, on messages and signatures that lie ready in memory. They take turns, three each; what
//! counts is the best of each. The ratio of processor time stands beside that of the clock: it says what it would be on a
//! machine that does nothing else.

#![expect(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, reason = "a bench reports and may panic")]
#![expect(clippy::allow_attributes, reason = "what is shared with the tests is not all used here")]

#[path = "../tests/it/sample_log.rs"]
#[allow(dead_code, reason = "the tests have more use for it")]
mod sample_log;

use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signature, VerifyingKey, verify_batch};
use kaopu::audit::folder::Line;
use kaopu::audit::verify::News;
use kaopu::audit::{Folder, Trust, verify};
use kaopu::crew;
use kaopu::statement::{Kinds, Verified};
use sample_log::{City, START};

const ROUNDS: usize = 3;

fn main() {
    let rows: u64 = std::env::var("KAOPU_ROWS").map_or(200_000, |rows| rows.parse().expect("a number"));
    let cores = crew::cores();
    let mut city = City::new("kaopu/340500/records/1", 1);
    let log = make(&mut city, rows, cores);
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::at(dir.path());
    let lines: Vec<_> = log.iter().map(|v| (sample_log::entry(v), Line::Body(v.jws()))).collect();
    sample_log::write(&folder, &city.origin, &city.log, &lines);
    let bytes: usize = log.iter().map(|v| v.jws().len()).sum();
    println!("{rows} penalties of {} bytes on {cores} cores", bytes / log.len());

    let key = VerifyingKey::from_bytes(&city.sign.public().ed25519_bytes().unwrap()).unwrap();
    let signed: Vec<(&[u8], Signature)> = log[1..].iter().map(signed).collect();
    let mut best = [Spent { clock: f64::MAX, processor: f64::MAX }; 3];
    for _ in 0..ROUNDS {
        for (best, batch) in best.iter_mut().zip([Some(256), Some(1024), None]) {
            let spent = Spent::on(|| match batch {
                Some(batch) => bare(&signed, &key, batch, cores),
                None => audit(&folder, rows, cores),
            });
            best.clock = best.clock.min(spent.clock);
            best.processor = best.processor.min(spent.processor);
        }
    }
    let [bare_256, bare_1024, audit] = best;
    for (what, spent) in
        [("bare, 256 at a time", bare_256), ("bare, 1024 at a time", bare_1024), ("audit verify", audit)]
    {
        let (rate, ratio) = (rows as f64 / spent.clock, bare_256.clock / spent.clock);
        let (each, processor) = (spent.processor / rows as f64 * 1e6, bare_256.processor / spent.processor);
        println!("{what:<20} {rate:>7.0}/s, ratio {ratio:.2}; processor {each:.1} µs each, ratio {processor:.2}");
    }
}

/// Seconds.
#[derive(Clone, Copy)]
struct Spent {
    clock: f64,
    /// Of all threads, user and system.
    processor: f64,
}

impl Spent {
    fn on(work: impl FnOnce()) -> Self {
        let (begun, before) = (Instant::now(), processor());
        work();
        Self { clock: begun.elapsed().as_secs_f64(), processor: processor() - before }
    }
}

/// What this process has used so far: fields 14 and 15 of proc(5) stat, in hundredths of a second.
fn processor() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    fields.split(' ').skip(11).take(2).map(|ticks| ticks.parse::<f64>().unwrap() / 100.0).sum()
}

/// A descriptor and so many penalties.
fn make(city: &mut City, rows: u64, cores: usize) -> Vec<Verified> {
    let descriptor = city.descriptor();
    let mut log = vec![city.sign_descriptor(&descriptor, START)];
    let statements: Vec<_> = (0..rows).map(|i| city.penalty(i)).collect();
    log.extend(crew::share_out(statements, cores, |statement| city.sign(statement)));
    log
}

fn signed(statement: &Verified) -> (&[u8], Signature) {
    let (message, signature) = statement.jws().rsplit_once('.').unwrap();
    (message.as_bytes(), Signature::from_slice(&URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap())
}

fn bare(signed: &[(&[u8], Signature)], key: &VerifyingKey, batch: usize, cores: usize) {
    let good = crew::share_out(signed.chunks(batch).collect(), cores, |batch| {
        let (messages, signatures): (Vec<&[u8]>, Vec<Signature>) = batch.iter().copied().unzip();
        verify_batch(&messages, &signatures, &vec![*key; batch.len()]).is_ok()
    });
    assert!(good.iter().all(|good| *good));
}

fn audit(folder: &Folder, rows: u64, cores: usize) {
    let kinds = Kinds::builtin().unwrap();
    let report = verify(folder, &Trust::default(), &kinds, START + 1_000_000, cores, &mut |news| {
        assert!(!matches!(news, News::Fault(_)), "{news:?}");
    });
    assert_eq!(report.verified, rows + 1);
}
