//! A chunk of proven entries becomes judged statements: bodies against entries, signatures in batches under the keys
//! valid at each index, then schema, rules and place. All of it is computing, on as many threads as there are cores.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::Fault;
use super::client::Line;
use super::feed::blocking;
use super::fetch::Chunk;
use super::keys::Keys;
use crate::clock::Clock;
use crate::crew::in_parts;
use crate::log::edge::FullTile;
use crate::log::judge::{self, Place, TOLERANCE, Verdict};
use crate::log::{Class, Edge, Entry, Origin};
use crate::statement::{Digest, Kinds, Refused, Unverified, Verified, envelope};
use crate::store::NewEntry;
use crate::store::append::Stored;

/// Below this a chunk is not worth a second thread.
const WORTH_SPLITTING: usize = 128;

/// What is known of a log on the way through its entries.
pub struct Judge {
    /// The kinds that this node knows.
    pub kinds: Kinds,
    /// The present.
    pub clock: Clock,
    /// Which log.
    pub origin: Origin,
    /// The owner's keys so far.
    pub keys: Keys,
    /// The tree so far.
    pub edge: Edge,
    /// The highest `iat` so far, of all statements whose signatures are good.
    pub max_iat: i64,
    /// How many more descriptors it may read.
    pub descriptors: u32,
    /// From where on the last descriptor voids what compromised keys signed.
    pub unvoided: Option<u64>,
}

/// A chunk, ready for its transaction.
pub struct Judged {
    /// Index of the first entry.
    pub first: u64,
    /// The entries as they will be stored.
    pub entries: Vec<NewEntry>,
    /// The tree behind them.
    pub edge: Edge,
    /// The tiles that they filled.
    pub tiles: Vec<FullTile>,
    /// The highest `iat` up to their end.
    pub max_iat: i64,
    /// Accepted descriptors among them.
    pub descriptors: Vec<Verified>,
    /// Descriptors among them, good or not.
    pub read: u32,
    /// From where on the last of them, a descriptor, voids what compromised keys signed.
    pub unvoided: Option<u64>,
}

/// What a fault in a chunk leaves to be stored, and the fault.
pub type Broken = (Option<Judged>, Fault);

impl Judge {
    /// Judges a chunk that follows on the last one. `note` is the checkpoint it is proven by, for the evidence.
    #[expect(clippy::result_large_err, reason = "what was judged before the fault is stored, and moved once a chunk")]
    pub fn chunk(&mut self, chunk: &Chunk, note: &str) -> Result<Judged, Broken> {
        let mut read =
            in_parts(chunk.entries.iter().collect(), WORTH_SPLITTING, |part| part.into_iter().map(read).collect());
        if let Some(at) = read.iter().position(|r| matches!(r, Read::Other)) {
            let body = if let Line::Body(jws) = &chunk.entries[at].1 { jws.clone() } else { String::new() };
            return Err((None, Fault::Digest { index: chunk.first + at as u64, body, note: note.to_owned() }));
        }

        let mut stored: Vec<Stored> = Vec::with_capacity(read.len());
        let (mut descriptors, mut met) = (Vec::new(), 0);
        let mut unvoided = None;
        let mut at = 0;
        while at < read.len() {
            if read[at].is_descriptor() {
                if self.descriptors == 0 {
                    break;
                }
                self.descriptors -= 1;
                met += 1;
            }
            // a descriptor changes the keys of those behind it, so everything up to the next one goes together
            let descriptor = self.descriptor(chunk, at, &read[at]);
            if chunk.first + at as u64 == 0 && !matches!(descriptor, Some(Stored::Accepted(..))) {
                let refused = if let Some(Stored::Refused(_, why)) = descriptor { Some(why) } else { None };
                return Err((None, Fault::Beginning(refused.unwrap_or_else(|| "it is none".to_owned()))));
            }
            if let Some(descriptor) = descriptor {
                if let Stored::Accepted(verified, _) = &descriptor {
                    descriptors.push(verified.clone());
                }
                stored.push(descriptor);
                at += 1;
                unvoided = self.unvoided.take();
                if unvoided.is_some() {
                    break; // what is behind it is judged when that is done
                }
                continue;
            }
            let end = (at..read.len()).find(|i| read[*i].is_descriptor()).unwrap_or(read.len());
            let stretch = read[at..end].iter_mut().map(std::mem::take).collect();
            stored.extend(self.stretch(chunk, at, stretch));
            at = end;
        }

        let mut tiles = Vec::new();
        for leaf in &chunk.leaves[..at] {
            self.edge.push(*leaf, &mut tiles);
        }
        let judged = Judged {
            first: chunk.first,
            entries: chunk
                .entries
                .iter()
                .zip(stored)
                .map(|((entry, _), stored)| NewEntry { entry: *entry, stored })
                .collect(),
            edge: self.edge.clone(),
            tiles,
            max_iat: self.max_iat,
            descriptors,
            read: met,
            unvoided,
        };
        if unvoided.is_some() {
            return Err((Some(judged), Fault::Voids));
        }
        if at == read.len() {
            return Ok(judged);
        }
        // how many there may be, and when, the feed knows
        Err(((at > 0).then_some(judged), Fault::Flood { limit: 0, wait: Duration::ZERO }))
    }

    /// A descriptor, verified by the one before it; None for anything else.
    fn descriptor(&mut self, chunk: &Chunk, at: usize, read: &Read) -> Option<Stored> {
        let Read::Statement(unverified) = read else { return None };
        if unverified.statement().typ.kind != "descriptor" {
            return None;
        }
        let (entry, Line::Body(jws)) = &chunk.entries[at] else { return None };
        let index = chunk.first + at as u64;
        let (verified, next) = match self.keys.next(index, jws) {
            Ok(next) => next,
            Err(refused) => return Some(Stored::Refused(jws.clone(), refused.to_string())),
        };
        let iat = verified.statement().iat;
        // never early: what follows it must be verified under its keys, whatever this node's clock says
        let place = Place { now: self.clock.now().max(iat), ..self.place(self.max_iat) };
        let stored = settle(&self.kinds, &place, entry.class, verified);
        if matches!(stored, Stored::Accepted(..)) {
            self.unvoided = self.keys.voids(index, &next, &self.origin);
            self.keys.take(index, next);
        }
        self.max_iat = self.max_iat.max(iat);
        Some(stored)
    }

    /// Entries without a descriptor among them.
    fn stretch(&mut self, chunk: &Chunk, at: usize, read: Vec<Read>) -> Vec<Stored> {
        let ring = self.keys.at(chunk.first + at as u64);
        let verified = in_parts(read, WORTH_SPLITTING, |part| match ring {
            Some(ring) => verify(part, ring),
            None => part.into_iter().map(|r| r.refuse_unread(Refused::UnknownKey)).collect(),
        });

        let judging: Vec<_> = chunk.entries[at..].iter().zip(verified).collect();
        let this = &*self;
        let mut judged = in_parts(judging, WORTH_SPLITTING, |part| {
            part.into_iter()
                .map(|((entry, line), checked)| match checked {
                    // the highest iat before it is known only when those before it are judged
                    Checked::Verified(verified) => {
                        let iat = verified.statement().iat;
                        (settle(&this.kinds, &this.place(i64::MIN), entry.class, verified), Some(iat))
                    }
                    Checked::Refused(refused) => (Stored::Refused(body_of(line), refused.to_string()), None),
                    Checked::Absent => (absent(line), None),
                })
                .collect()
        });
        for (stored, iat) in &mut judged {
            let Some(iat) = *iat else { continue };
            if let Stored::Accepted(verified, _) | Stored::Held(verified, _) = &*stored
                && iat < self.max_iat.saturating_sub(TOLERANCE)
            {
                *stored = Stored::Refused(verified.jws().to_owned(), Refused::Backdated.to_string());
            }
            // what is signed counts, whatever else becomes of it, here or at another mirror
            self.max_iat = self.max_iat.max(iat);
        }
        judged.into_iter().map(|(stored, _)| stored).collect()
    }

    fn place(&self, max_iat: i64) -> Place<'_> {
        Place { owner: &self.origin.node, log: self.origin.log, max_iat, now: self.clock.now() }
    }
}

/// Judges chunk after chunk on threads that may block.
pub async fn judge_all(
    mut judge: Judge,
    note: String,
    mut chunks: mpsc::Receiver<Chunk>,
    to_apply: mpsc::Sender<Judged>,
) -> Result<(), Fault> {
    let note: Arc<str> = note.into();
    while let Some(chunk) = chunks.recv().await {
        let note = Arc::clone(&note);
        let work = move || {
            let judged = judge.chunk(&chunk, &note);
            Ok((judge, judged))
        };
        let (back, judged) = blocking(work).await?;
        judge = back;
        let (good, fault) = match judged {
            Ok(judged) => (Some(judged), None),
            Err((before, fault)) => (before, Some(fault)),
        };
        if let Some(judged) = good
            && to_apply.send(judged).await.is_err()
        {
            return Ok(()); // the last stage has failed, and says why
        }
        if let Some(fault) = fault {
            return Err(fault);
        }
    }
    Ok(())
}

/// The verdict on a verified statement, as it is stored.
pub fn settle(kinds: &Kinds, place: &Place<'_>, class: Class, verified: Verified) -> Stored {
    match judge::judge(kinds, place, class, &verified) {
        Verdict::Accepted(projection) => Stored::Accepted(verified, projection),
        Verdict::Held(why) => Stored::Held(verified, why),
        Verdict::Refused(refused) => Stored::Refused(verified.jws().to_owned(), refused.to_string()),
    }
}

/// A body, read.
#[derive(Default)]
enum Read {
    /// It is what its entry names, and a statement by its form.
    Statement(Box<Unverified>),
    /// It is what its entry names, but no statement.
    Refused(Refused),
    /// It is not what its entry names.
    Other,
    /// There is none.
    #[default]
    Absent,
}

/// A body, read and verified.
enum Checked {
    Verified(Verified),
    Refused(Refused),
    Absent,
}

impl Read {
    fn is_descriptor(&self) -> bool {
        matches!(self, Self::Statement(unverified) if unverified.statement().typ.kind == "descriptor")
    }

    fn refuse_unread(self, why: Refused) -> Checked {
        match self {
            Self::Statement(_) => Checked::Refused(why),
            Self::Refused(refused) => Checked::Refused(refused),
            Self::Other | Self::Absent => Checked::Absent,
        }
    }
}

fn read((entry, line): &(Entry, Line)) -> Read {
    let Line::Body(jws) = line else { return Read::Absent };
    match Unverified::parse(jws) {
        Ok(unverified) if unverified.digest() != entry.digest => Read::Other,
        Ok(unverified) => Read::Statement(Box::new(unverified)),
        Err(_) if Digest::of(jws.as_bytes()) != entry.digest => Read::Other,
        Err(refused) => Read::Refused(refused),
    }
}

/// Verifies all that are statements, in one batch, and keeps the order.
fn verify(part: Vec<Read>, ring: &crate::statement::KeyRing) -> Vec<Checked> {
    let mut batch = Vec::with_capacity(part.len());
    let mut waiting = Vec::with_capacity(part.len());
    for read in part {
        match read {
            Read::Statement(unverified) => {
                batch.push((*unverified, ring));
                waiting.push(None);
            }
            other => waiting.push(Some(other.refuse_unread(Refused::Signature))),
        }
    }
    let mut verified = envelope::verify_all(batch).into_iter();
    waiting
        .into_iter()
        .map(|waiting| match waiting {
            Some(checked) => checked,
            None => match verified.next() {
                Some(Ok(verified)) => Checked::Verified(verified),
                Some(Err(refused)) => Checked::Refused(refused),
                None => Checked::Refused(Refused::Signature),
            },
        })
        .collect()
}

fn body_of(line: &Line) -> String {
    if let Line::Body(jws) = line { jws.clone() } else { String::new() }
}

fn absent(line: &Line) -> Stored {
    if matches!(line, Line::Erased) { Stored::Erased } else { Stored::Withheld }
}
