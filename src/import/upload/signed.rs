//! The second stage of an upload: rows compared with what is published, and signed.

use std::collections::HashMap;

use rand::rngs::StdRng;

use super::chunk::{self, Candidate, Chunk};
use super::{Import, UploadError};
use crate::import::weigh::{Books, Fate, Weight};
use crate::log::Judged;
use crate::log::appender::{AppendError, Prejudged};
use crate::record::FaultCode;
use crate::statement::{Refused, Salt, SignError, SigningKey};
use crate::store::quality::Tallied;
use crate::store::record::Current;
use crate::store::upload::{FaultRow, UploadStep};

/// A chunk ready to be appended.
pub(super) struct Signed {
    statements: Vec<Signature>,
    step: UploadStep,
    /// What the rows that are not among the statements count for.
    books: Books,
    month: String,
    kind: String,
}

/// A signed row, with what it takes to sign it anew.
struct Signature {
    row: u64,
    judged: Judged,
    weight: Weight,
    /// No version of its record was there.
    first: bool,
}

impl Signed {
    /// Compares a chunk with what is published (E302: unchanged, passed over; E303: withdrawn, and nothing else came of it)
    /// and signs what is new.
    pub(super) async fn sign(import: &Import, chunk: Chunk, upload: i64) -> Result<Self, UploadError> {
        let mut signed = Self {
            statements: Vec::new(),
            step: UploadStep {
                upload,
                from_row: chunk.from,
                next_row: chunk.next,
                counts: chunk.counts,
                faults: chunk.faults,
                finished: chunk.last,
                ..UploadStep::default()
            },
            books: chunk.books,
            month: chunk.month,
            kind: import.kind.typ.kind.clone(),
        };
        signed.add(import, chunk.candidates).await?;
        Ok(signed)
    }

    /// Compares and signs everything again, because the current versions or the node's key have changed meanwhile.
    pub(super) async fn again(&mut self, import: &Import) -> Result<(), UploadError> {
        let signed = std::mem::take(&mut self.statements);
        self.step.counts.published -= signed.len() as u64;
        let again = |s: Signature| Candidate { row: s.row, sound: s.judged.unsigned(), weight: s.weight };
        let candidates = signed.into_iter().map(again);
        self.add(import, candidates.collect()).await
    }

    /// The statement at this position may not stand in the log: its row is refused, in the words of the log.
    pub(super) fn refuse(&mut self, position: usize, reason: &Refused) {
        if position < self.statements.len() {
            let Signature { row, weight, .. } = self.statements.remove(position);
            self.step.counts.published -= 1;
            self.refuse_row(&weight, chunk::not_for_the_log(row, reason));
        }
    }

    /// How many statements it holds.
    pub(super) fn len(&self) -> usize {
        self.statements.len()
    }

    pub(super) fn submission(&self) -> Prejudged {
        Prejudged {
            statements: self.statements.iter().map(|s| s.judged.clone()).collect(),
            uploads: vec![UploadStep { quality: self.quality(), ..self.step.clone() }],
        }
    }

    /// What the rows count for if all of them are published.
    fn quality(&self) -> Vec<Tallied> {
        let mut books = self.books.clone();
        for signature in &self.statements {
            books.enter(&signature.weight, Fate::Published { first: signature.first });
        }
        books.tallied(&self.month, &self.kind)
    }

    pub(super) fn step(&self) -> &UploadStep {
        &self.step
    }

    async fn add(&mut self, import: &Import, candidates: Vec<Candidate>) -> Result<(), UploadError> {
        let identities: Vec<[u8; 32]> = candidates.iter().filter_map(|c| Some(c.sound.record()?.identity)).collect();
        let kind = &import.kind.typ.kind;
        let current = match identities.is_empty() {
            true => HashMap::new(),
            false => import.db.current(&import.node, kind, &identities).await?,
        };
        let (signing, key) = (import.clone(), import.records.signing()?);
        let results = tokio::task::spawn_blocking(move || sign_all(&signing, &key, candidates, &current))
            .await
            .map_err(|e| UploadError::BrokenOff(e.to_string()))??;
        let unchanged = results.iter().filter_map(|result| match result {
            Outcome::Unchanged(_, identity, _) => Some(*identity),
            Outcome::Signed(_) | Outcome::Refused(..) => None,
        });
        let withdrawn = import.db.withdrawn(&import.node, kind, &unchanged.collect::<Vec<_>>()).await?;
        for result in results {
            match result {
                // to say that it is shared already would be untrue, and to share it would undo the withdrawal by a file
                // that was only sent once more
                Outcome::Unchanged(row, identity, weight) if withdrawn.contains(&identity) => {
                    self.refuse_row(&weight, chunk::of_a_row(row, FaultCode::E303));
                }
                Outcome::Unchanged(_, _, weight) => {
                    self.step.counts.skipped += 1;
                    self.books.enter(&weight, Fate::Unchanged);
                }
                Outcome::Signed(signature) => {
                    self.step.counts.published += 1;
                    self.statements.push(signature);
                }
                Outcome::Refused(row, weight, reason) => {
                    self.refuse_row(&weight, chunk::not_for_the_log(row, &reason));
                }
            }
        }
        Ok(())
    }

    fn refuse_row(&mut self, weight: &Weight, fault: FaultRow) {
        let row = fault.row;
        self.books.enter(weight, Fate::Refused);
        if self.step.faults.iter().any(|f| f.row == row) {
            // it had warnings, and so was counted as warned
            self.step.counts.warned -= 1;
        }
        self.step.counts.refused += 1;
        let at = self.step.faults.partition_point(|f| f.row <= row);
        self.step.faults.insert(at, fault);
    }
}

enum Outcome {
    /// Row, and identity of the record.
    Unchanged(u64, [u8; 32], Weight),
    Signed(Signature),
    Refused(u64, Weight, Refused),
}

fn sign_all(
    import: &Import,
    key: &SigningKey,
    candidates: Vec<Candidate>,
    current: &HashMap<[u8; 32], Current>,
) -> Result<Vec<Outcome>, UploadError> {
    let mut rng = rand::make_rng::<StdRng>();
    let iat = import.clock.now();
    let outcomes = candidates.into_iter().map(|candidate| {
        let Candidate { row, sound, weight } = candidate;
        let published = sound.record().and_then(|record| Some((record, current.get(&record.identity)?)));
        if let Some((record, published)) = published
            && published.content == record.content
        {
            return Ok(Outcome::Unchanged(row, record.identity, weight));
        }
        let prev = published.map(|(_, published)| published.digest);
        let first = prev.is_none();
        match sound.sign(key, iat, Salt::random(&mut rng), prev) {
            Ok(judged) => Ok(Outcome::Signed(Signature { row, judged, weight, first })),
            Err(SignError::Refused(reason)) => Ok(Outcome::Refused(row, weight, reason)),
            Err(failed) => Err(AppendError::from(failed).into()),
        }
    });
    outcomes.collect()
}
