//! The first stage of an upload: rows read, judged, and told apart from those that repeat them.

use std::collections::HashSet;
use std::ops::ControlFlow;

use jiff::civil::Date;

use super::source::{Row, Source};
use super::{Import, UploadError};
use crate::import::kept::KeptRow;
use crate::import::row::Good;
use crate::import::weigh::{Books, Fate, Scales, Weight};
use crate::log::Sound;
use crate::log::origin::LogName;
use crate::record::FaultCode;
use crate::statement::{Refused, Salt, Statement};
use crate::store::upload::{Counts, FaultRow};

/// Rows handed in together: a quarter of what the appender takes at once.
const ROWS: usize = 1024;
/// Or fewer, when their text reaches this many bytes: memory stays bounded whatever the rows are.
const BYTES: usize = 4 * 1024 * 1024;

/// Judged rows that will commit together.
#[derive(Default)]
pub(super) struct Chunk {
    /// Rows done before it.
    pub from: u64,
    /// Rows done after it.
    pub next: u64,
    /// Read, warned and refused so far.
    pub counts: Counts,
    /// Faults and warnings in the order of the rows.
    pub faults: Vec<FaultRow>,
    /// The rows that may be published.
    pub candidates: Vec<Candidate>,
    /// All rows as they were judged, where they are kept.
    pub kept: Vec<KeptRow>,
    /// What the refused rows count for.
    pub books: Books,
    /// The month in which the rows came.
    pub month: String,
    /// The file ends here.
    pub last: bool,
}

/// A row that may be published.
pub(super) struct Candidate {
    pub row: u64,
    pub sound: Sound,
    pub weight: Weight,
}

/// What is read, and how.
pub(super) struct Rows<'a> {
    /// Where the rows come from.
    pub source: &'a Source,
    /// The day by which they are judged.
    pub day: Date,
    /// Weighs them.
    pub scales: Scales,
    /// So many are done.
    pub done: u64,
    /// The others are kept as they were judged.
    pub keep: bool,
}

/// Reads rows from the first one on and hands out chunks of those that are not done, until `send` says no. The last chunk
/// says so, and may be empty.
pub(super) fn read(import: &Import, rows: Rows<'_>, mut send: impl FnMut(Result<Chunk, UploadError>) -> bool) {
    let Rows { source, day, mut scales, done, keep } = rows;
    // 128 bits of each identity: enough to tell a million rows apart, in 16 bytes each
    let mut seen = HashSet::new();
    let month = day.strftime("%Y-%m").to_string();
    let mut chunk = Chunk { from: done, next: done, month: month.clone(), ..Chunk::default() };
    let mut bytes = 0;
    let read = source.each(import, day, |Row { number, bytes: row_bytes, mut judged }| {
        bytes += row_bytes;
        if keep && number > done {
            chunk.kept.push(KeptRow::of(number, &judged));
        }
        let weight = scales.weigh(std::mem::take(&mut judged.measures));
        let mut candidate =
            judged.good.take().and_then(|good| match Candidate::of(import, day, number, good, &weight) {
                Ok(candidate) => Some(candidate),
                Err(reason) => {
                    judged.faults.push(not_for_the_log(number, &reason));
                    None
                }
            });
        if let Some(record) = candidate.as_ref().and_then(|c| c.sound.record())
            && !seen.insert(prefix(&record.identity))
        {
            candidate = None;
            judged.faults.push(of_a_row(number, FaultCode::E301));
        }
        if number <= done {
            return ControlFlow::Continue(());
        }
        chunk.take(number, &weight, judged.faults, candidate);
        if number - chunk.from >= ROWS as u64 || bytes >= BYTES {
            bytes = 0;
            let next = Chunk { from: number, next: number, month: month.clone(), ..Chunk::default() };
            if !send(Ok(std::mem::replace(&mut chunk, next))) {
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    });
    match read {
        Ok(true) => {
            chunk.last = true;
            send(Ok(chunk));
        }
        // nobody listens any more
        Ok(false) => {}
        Err(error) => {
            send(Err(error));
        }
    }
}

impl Chunk {
    fn take(&mut self, row: u64, weight: &Weight, faults: Vec<FaultRow>, candidate: Option<Candidate>) {
        self.next = row;
        self.counts.read += 1;
        match candidate {
            None => {
                self.counts.refused += 1;
                self.books.enter(weight, Fate::Refused);
            }
            Some(candidate) => {
                self.counts.warned += u64::from(!faults.is_empty());
                self.candidates.push(candidate);
            }
        }
        self.faults.extend(faults);
    }
}

impl Candidate {
    /// Judges a row's statement as the log will judge it.
    fn of(import: &Import, day: Date, row: u64, good: Good, weight: &Weight) -> Result<Self, Refused> {
        let statement = Statement {
            typ: import.kind.typ.clone(),
            iss: import.node.clone(),
            iat: 0,
            aud: import.kind.audience.clone(),
            salt: Salt([0; 16]),
            sub: good.subject,
            prev: None,
            refs: Vec::new(),
            body: good.body,
        };
        let sound = Sound::judge(&import.kind, LogName::Records, statement, day)?;
        Ok(Self { row, sound, weight: weight.clone() })
    }
}

/// A fault of a row as a whole.
pub(super) fn of_a_row(row: u64, code: FaultCode) -> FaultRow {
    FaultRow { row, column: None, code: code.to_string(), message: code.message().to_owned() }
}

/// The fault of a row that may not stand in the log, in the words of the log.
pub(super) fn not_for_the_log(row: u64, reason: &Refused) -> FaultRow {
    let code = if *reason == Refused::TooLong { FaultCode::E102 } else { FaultCode::E103 };
    let message = format!("{}（{reason}）", code.message());
    FaultRow { row, column: None, code: code.to_string(), message }
}

fn prefix(identity: &[u8; 32]) -> u128 {
    let mut first = [0; 16];
    first.copy_from_slice(&identity[..16]);
    u128::from_be_bytes(first)
}
