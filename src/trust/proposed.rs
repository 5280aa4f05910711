//! A node that a member list names, held against the descriptors that somebody serves under its address.

use super::descriptor::{Descriptor, DescriptorError, thumbprint};
use super::line;
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
    let line = || served.iter().rev().map(String::as_str);
    line()
        .filter_map(|jws| Descriptor::open(jws).ok())
        .filter(|(_, descriptor)| thumbprint(&descriptor.root) == member.root)
        .any(|(_, from)| line::leads_on(&from, line(), newest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::descriptor::sample::{NOW, line};

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
        let line = line(1, 4);
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
        let (own, other) = (line(1, 4), line(2, 4));
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
