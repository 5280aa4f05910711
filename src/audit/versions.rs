//! Chains of versions: a record that replaces another names it, and no two replace the same.

use std::collections::HashMap;

use crate::statement::Digest;

/// The current version of each record. Both halves are cut to 128 bits, so that a million records take some 50 MB.
#[derive(Default)]
pub struct Versions {
    current: HashMap<u128, u128>,
    /// Some bodies are not here, so that the version before one may be among them.
    pub gaps: bool,
}

impl Versions {
    /// The key of a record of a kind.
    pub fn key(kind: &str, identity: &[u8; 32]) -> u128 {
        short(&Digest::of(&[kind.as_bytes(), b"\n", identity].concat()))
    }

    /// Forgets all versions, but not that there are gaps.
    pub fn begin_anew(&mut self) {
        self.current.clear();
    }

    /// Whether a record may stand next in its chain; if so it is now the current version.
    pub fn follow(&mut self, record: u128, digest: &Digest, prev: Option<&Digest>) -> bool {
        let current = self.current.get(&record);
        let follows = prev.map(short).as_ref() == current || self.gaps && prev.is_some();
        if follows {
            self.current.insert(record, short(digest));
        }
        follows
    }
}

fn short(digest: &Digest) -> u128 {
    let [half, _] = digest.as_bytes().as_chunks::<16>().0 else { return 0 };
    u128::from_be_bytes(*half)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_of_versions_has_no_fork() {
        let [a, b, c] = [b"a", b"b", b"c"].map(|text| Digest::of(text));
        let (record, other) = (Versions::key("penalty", &[1; 32]), Versions::key("licence", &[1; 32]));
        let mut versions = Versions::default();
        assert!(!versions.follow(record, &b, Some(&a)));
        assert!(versions.follow(record, &a, None));
        assert!(versions.follow(other, &a, None));
        assert!(versions.follow(record, &b, Some(&a)));
        assert!(!versions.follow(record, &c, Some(&a)));
        assert!(!versions.follow(record, &c, None));
        // what stands in between may be withheld
        versions.gaps = true;
        assert!(versions.follow(record, &c, Some(&a)));
        assert!(!versions.follow(record, &c, None));
    }
}
