//! Descriptors that a peer offers and that are not taken, each for a reason of its own.

use std::collections::BTreeMap;

use super::descriptor::{Descriptor, DescriptorError};

/// Why an offered descriptor is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// The newest that is offered is older than the one held: played back, or rolled back.
    #[error("it is older than descriptor {0}, which was taken before")]
    Lower(u64),
    /// Another was taken under the same sequence: both are kept.
    #[error("another descriptor was taken under the same sequence: the node has two")]
    Fork,
    /// Its time is over.
    #[error("it held until {0}, in seconds since 1970, which is over")]
    Expired(i64),
    /// A root key signed that the descriptor held neither names nor commits to.
    #[error("the root key that signed it is not one that the descriptor before it committed to")]
    Root,
    /// It changes what the next root key is, which the next root key alone may do.
    #[error("it changes the next root key, which only the next root key may do")]
    NextRoot,
    /// The root key that it names did not sign it, or it is no descriptor at all.
    #[error("{0}")]
    Unsigned(String),
}

impl NotTaken {
    /// A short name that stays: for the store and the wire.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Lower(_) => "lower-sequence",
            Self::Fork => "fork",
            Self::Expired(_) => "expired",
            Self::Root => "root",
            Self::NextRoot => "next-root",
            Self::Unsigned(_) => "signature",
        }
    }
}

/// One that is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Its sequence; 0 where it can't be read.
    pub sequence: u64,
    /// The statement as it was offered.
    pub jws: String,
    /// Why.
    pub why: NotTaken,
    /// The one that was taken under the same sequence.
    pub held: Option<String>,
}

/// Goes through descriptors that are offered, oldest first: which lead on from the one held, each from the one before it,
/// and which are refused. `known` are those that were taken before, by sequence; `whole` says that these are all that their
/// node has, so that the newest must not be older than the one held. Older ones that were taken before are neither.
pub fn weigh(
    held: &Descriptor,
    known: &BTreeMap<u64, String>,
    offered: &[String],
    whole: bool,
    now: i64,
) -> (Vec<(u64, String)>, Vec<Refusal>) {
    let mut at = held.clone();
    let (mut taken, mut refused): (Vec<(u64, String)>, Vec<Refusal>) = (Vec::new(), Vec::new());
    let mut newest: Option<(u64, &String)> = None;
    for jws in offered {
        let refuse = |sequence, why, held| Refusal { sequence, jws: jws.clone(), why, held };
        match at.successor(jws) {
            Ok((_, next)) => {
                newest = Some((next.sequence, jws));
                taken.push((next.sequence, jws.clone()));
                at = next;
            }
            Err(DescriptorError::Sequence(sequence, _)) => {
                newest = newest.max(Some((sequence, jws)));
                let before = known.get(&sequence).or_else(|| Some(&taken.iter().find(|(of, _)| *of == sequence)?.1));
                if let Some(before) = before.filter(|before| *before != jws) {
                    refused.push(refuse(sequence, NotTaken::Fork, Some(before.clone())));
                }
            }
            Err(error) => {
                let sequence = Descriptor::open(jws).map_or(0, |(_, descriptor)| descriptor.sequence);
                let why = match error {
                    DescriptorError::Root => NotTaken::Root,
                    DescriptorError::NextRoot => NotTaken::NextRoot,
                    other => NotTaken::Unsigned(other.to_string()),
                };
                refused.push(refuse(sequence, why, None));
            }
        }
    }
    // one whose time is over leads on no further; but one that is newer may stand behind it
    while let Some((sequence, jws)) = taken.last()
        && let Ok((_, last)) = Descriptor::open(jws)
        && last.valid_until < now
    {
        let why = NotTaken::Expired(last.valid_until);
        refused.push(Refusal { sequence: *sequence, jws: jws.clone(), why, held: None });
        taken.pop();
    }
    if whole && let Some((sequence, jws)) = newest.filter(|(sequence, _)| *sequence < held.sequence) {
        refused.push(Refusal { sequence, jws: jws.clone(), why: NotTaken::Lower(held.sequence), held: None });
    }
    (taken, refused)
}
