//! The line of a node's descriptors: which of them vouches for which.
//!
//! Forwards each names the root that may follow ([`Descriptor::successor`]). Backwards that proves nothing, since anybody can
//! make a descriptor that names the true next root of another: there the same root must have signed, or `prev` must lead
//! back (PROTOCOL, section 4.1).

use super::descriptor::Descriptor;
use crate::statement::{Digest, NodeId, PublicKey, Verified};

/// A descriptor's place in the line.
#[derive(Clone, Debug)]
pub struct Link {
    node: NodeId,
    root: PublicKey,
    sequence: u64,
    digest: Digest,
    prev: Option<Digest>,
}

impl Link {
    /// Of a descriptor and its statement.
    pub fn of(verified: &Verified, descriptor: &Descriptor) -> Self {
        Self {
            node: descriptor.node.clone(),
            root: descriptor.root.clone(),
            sequence: descriptor.sequence,
            digest: verified.digest(),
            prev: verified.statement().prev,
        }
    }

    /// Of a descriptor's text; None where it is no descriptor.
    pub fn read(jws: &str) -> Option<Self> {
        Descriptor::open(jws).ok().map(|(verified, descriptor)| Self::of(&verified, &descriptor))
    }

    /// Whether it vouches for one before it.
    fn vouches_for(&self, earlier: &Self) -> bool {
        let same_root = self.root == earlier.root && earlier.sequence < self.sequence;
        self.node == earlier.node && (same_root || self.prev == Some(earlier.digest))
    }
}

/// Whether a descriptor is that one, or vouches for it, itself or through others of the line.
pub fn leads_back(from: &Link, line: &[Link], to: &Link) -> bool {
    let mut reached = vec![from];
    let mut waiting: Vec<&Link> = line.iter().chain([to]).collect();
    while let Some(at) = reached.pop() {
        if at.digest == to.digest {
            return true;
        }
        let (vouched, others) = waiting.into_iter().partition(|link| at.vouches_for(link));
        reached.extend::<Vec<_>>(vouched);
        waiting = others;
    }
    false
}

/// Whether each descriptor from one on follows on the one before it, up to that one; those of the line come oldest first, and
/// what does not follow is passed over.
pub fn leads_on<'a>(from: &Descriptor, line: impl Iterator<Item = &'a str>, to: &'a Verified) -> bool {
    let mut at = from.clone();
    for next in line.chain([to.jws()]) {
        let Ok((verified, next)) = at.successor(next) else { continue };
        if verified.digest() == to.digest() {
            return true;
        }
        at = next;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::descriptor::sample::line;

    #[test]
    fn each_leads_back_to_those_before_it_and_none_to_those_behind() {
        let made = line(1, 4);
        let links: Vec<Link> = made.iter().map(|(verified, descriptor)| Link::of(verified, descriptor)).collect();
        for (from, later) in links.iter().enumerate() {
            for (to, earlier) in links.iter().enumerate() {
                assert_eq!(leads_back(later, &links, earlier), to <= from, "{from} {to}");
                // without those between, only to the one before
                assert_eq!(leads_back(later, &[], earlier), to == from || to + 1 == from, "{from} {to}");
                let line = || made.iter().map(|(verified, _)| verified.jws());
                assert_eq!(leads_on(&made[from].1, line(), &made[to].0), from < to, "{from} {to}");
            }
        }
    }

    #[test]
    fn nothing_leads_to_another_line() {
        let (own, other) = (line(1, 3), line(2, 3));
        let links: Vec<Link> = own.iter().chain(&other).map(|(v, d)| Link::of(v, d)).collect();
        assert!(!leads_back(&links[2], &links, &links[3]) && !leads_back(&links[5], &links, &links[0]));
        let all = || own.iter().chain(&other).map(|(verified, _)| verified.jws());
        assert!(!leads_on(&own[0].1, all(), &other[2].0));
    }
}
