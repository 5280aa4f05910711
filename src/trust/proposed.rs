//! A node that a member list names, held against the descriptors that somebody serves under its address.

use super::descriptor::{Descriptor, DescriptorError, thumbprint};
use super::member_list::Member;
use crate::statement::{NodeId, Verified};

/// The descriptor of a member: under the root that the list names, or one that followed on it.
#[derive(Clone, Debug)]
pub struct Proposed {
    /// The statement.
    pub verified: Verified,
    /// What it says.
    pub descriptor: Descriptor,
    /// Whether its fingerprint is the list's; where it is not, its root or its authorities have changed since.
    pub same_fingerprint: bool,
}

/// Why what is served is not the member's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotTheMember {
    /// It serves no descriptor.
    #[error("no descriptor is served there")]
    Nothing,
    /// What it serves is none.
    #[error(transparent)]
    Descriptor(#[from] DescriptorError),
    /// It is another node.
    #[error("{0} is served there, not {1}: the list, or the address, is wrong")]
    Node(NodeId, NodeId),
    /// Its root key is another than the list's, and did not follow on that one.
    #[error(
        "{0} is served there under another root key than the list names, and nothing leads from that one to it: telephone \
         the city before anything else"
    )]
    Root(NodeId),
    /// It has ended.
    #[error("the descriptor of {0} has ended: it must make a new one")]
    Ended(NodeId),
}

/// Holds what is served, newest first, against a member of a list.
pub fn compare(member: &Member, served: &[String], now: i64) -> Result<Proposed, NotTheMember> {
    let (verified, descriptor) = Descriptor::open(served.first().ok_or(NotTheMember::Nothing)?)?;
    if descriptor.node != member.node {
        return Err(NotTheMember::Node(descriptor.node, member.node.clone()));
    }
    if descriptor.valid_until < now {
        return Err(NotTheMember::Ended(descriptor.node));
    }
    if thumbprint(&descriptor.root) != member.root && !leads_on(member, served, &verified) {
        return Err(NotTheMember::Root(descriptor.node));
    }
    let same_fingerprint = descriptor.fingerprint() == member.fingerprint;
    Ok(Proposed { verified, descriptor, same_fingerprint })
}

/// Whether a descriptor under the list's root is among those served, and each from there on follows on the one before it.
fn leads_on(member: &Member, served: &[String], newest: &Verified) -> bool {
    let mut at: Option<Descriptor> = None;
    for jws in served.iter().rev() {
        let next = match &at {
            None => Descriptor::open(jws).ok().filter(|(_, first)| thumbprint(&first.root) == member.root),
            Some(before) => before.successor(jws).ok(),
        };
        let Some((verified, next)) = next else { continue };
        if verified.digest() == newest.digest() {
            return at.is_some();
        }
        at = Some(next);
    }
    false
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use super::*;
    use crate::statement::{SigningKey, Suite};
    use crate::trust::descriptor::{KeyEntry, KeyState, Purpose};

    const NOW: i64 = 1_780_000_000;

    /// Descriptors 1 to 4 of a node, oldest first, each signed by the root key that the one before it committed to.
    fn line(seed: u64) -> Vec<(Verified, Descriptor)> {
        let mut rng = StdRng::seed_from_u64(seed);
        let roots: Vec<SigningKey> = (0..5).map(|_| SigningKey::generate(Suite::EdDsa, &mut rng)).collect();
        let sign = SigningKey::generate(Suite::EdDsa, &mut rng);
        let mut made: Vec<(Verified, Descriptor)> = Vec::new();
        for (sequence, roots) in (1..).zip(roots.windows(2)) {
            let descriptor = Descriptor {
                node: "340500".parse().unwrap(),
                versions: vec![1],
                suites: vec![Suite::EdDsa],
                sequence,
                name: "示例市".to_owned(),
                endpoints: vec!["https://127.0.0.1:7443".to_owned()],
                tls: vec![],
                logs: vec![],
                keys: vec![KeyEntry {
                    key: sign.public().clone(),
                    purpose: Purpose::Sign,
                    state: KeyState::Active,
                    valid_below: None,
                }],
                root: roots[0].public().clone(),
                next_root: thumbprint(roots[1].public()),
                refresh: 3600,
                valid_until: NOW + 1000,
                predecessor: None,
                successor: None,
            };
            let signed = descriptor.sign_after(made.last().map(|(v, _)| v), &roots[0], NOW, &mut rng).unwrap();
            made.push((signed, descriptor));
        }
        made
    }

    fn member(of: &Descriptor) -> Member {
        Member {
            node: of.node.clone(),
            name: of.name.clone(),
            url: of.endpoints[0].clone(),
            root: thumbprint(&of.root),
            fingerprint: of.fingerprint(),
        }
    }

    fn served(line: &[(Verified, Descriptor)]) -> Vec<String> {
        line.iter().rev().map(|(verified, _)| verified.jws().to_owned()).collect()
    }

    #[test]
    fn a_member_is_known_by_the_root_of_the_list_or_by_those_that_followed_on_it() {
        let line = line(1);
        for (listed, (_, descriptor)) in line.iter().enumerate() {
            for newest in listed..line.len() {
                let found = compare(&member(descriptor), &served(&line[..=newest]), NOW).unwrap();
                assert_eq!(found.descriptor.sequence, newest as u64 + 1);
                assert_eq!(found.same_fingerprint, newest == listed);
            }
        }
        // with one of them kept back nothing leads there, and a list that is newer than what is served is not it either
        let gap = [line[0].clone(), line[2].clone()];
        for (listed, served) in [(0, served(&gap)), (2, served(&line[..2])), (0, served(&line[3..]))] {
            let error = compare(&member(&line[listed].1), &served, NOW).unwrap_err();
            assert_eq!(error, NotTheMember::Root("340500".parse().unwrap()));
        }
    }

    #[test]
    fn another_root_another_node_and_an_end_are_told_apart() {
        let (own, other) = (line(1), line(2));
        let listed = member(&own[0].1);
        assert!(matches!(compare(&listed, &served(&other), NOW), Err(NotTheMember::Root(_))));
        // somebody who serves the true descriptor behind his own
        let mixed = [served(&other[..1]), served(&own[..1])].concat();
        assert!(matches!(compare(&listed, &mixed, NOW), Err(NotTheMember::Root(_))));
        let elsewhere = Member { node: "310107".parse().unwrap(), ..listed.clone() };
        assert!(matches!(compare(&elsewhere, &served(&own[..1]), NOW), Err(NotTheMember::Node(..))));
        assert!(matches!(compare(&listed, &served(&own[..1]), NOW + 1001), Err(NotTheMember::Ended(_))));
        assert!(matches!(compare(&listed, &[], NOW), Err(NotTheMember::Nothing)));
        assert!(matches!(compare(&listed, &["x".to_owned()], NOW), Err(NotTheMember::Descriptor(_))));
    }
}
