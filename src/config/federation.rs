//! The federation that a node belongs to: whose member lists it takes, and what they may do.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::statement::NodeId;
use crate::trust::member_list::Quorum;

/// Whose member lists this node takes.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Federation {
    /// Its name, as the lists have it.
    pub name: String,
    /// The nodes that may stand by a list.
    pub administrators: Vec<NodeId>,
    /// So many of them must; without it more than half.
    pub quorum: Option<usize>,
    /// Whether a list counts as the fingerprint that a person would have typed. Another person still approves.
    #[serde(default)]
    pub confirms: bool,
}

impl Federation {
    /// Whose signatures make a list.
    pub fn quorum(&self) -> Quorum<'_> {
        let of_them = self.quorum.unwrap_or(self.administrators.len() / 2 + 1);
        Quorum { federation: &self.name, administrators: &self.administrators, of_them }
    }

    pub(super) fn check(&self) -> Result<(), (&'static str, &'static str)> {
        let count = self.administrators.len();
        if self.name.trim().is_empty() {
            return Err(("federation.name", "the federation's name is expected"));
        }
        if count == 0 || self.administrators.iter().collect::<BTreeSet<_>>().len() != count {
            return Err(("federation.administrators", "one node or more, each once, are expected"));
        }
        if !(1..=count).contains(&self.quorum().of_them) {
            return Err(("federation.quorum", "at least one, and no more than there are administrators"));
        }
        // what one node says alone must not stand for what a person read out
        if self.confirms && self.quorum().of_them < 2 {
            return Err((
                "federation.confirms",
                "a list confirms only where two administrators or more must stand by it",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn federation(toml: &str) -> Result<Federation, String> {
        let federation: Federation = toml::from_str(toml).map_err(|error| error.to_string())?;
        federation.check().map_err(|(key, why)| format!("{key}: {why}"))?;
        Ok(federation)
    }

    #[test]
    fn more_than_half_stand_by_a_list_unless_it_is_said_otherwise() {
        let text = "name = \"示例\"\nadministrators = [\"310107\", \"340500\", \"341200\", \"341100\"]\n";
        let sound = federation(text).unwrap();
        assert_eq!((sound.quorum().of_them, sound.confirms), (3, false));
        assert_eq!(federation(&format!("{text}quorum = 2\nconfirms = true")).unwrap().quorum().of_them, 2);
        for more in ["quorum = 0", "quorum = 5", "quorum = 1\nconfirms = true", "quorom = 2"] {
            assert!(federation(&format!("{text}{more}")).is_err(), "{more}");
        }
        for bad in [
            "name = \" \"\nadministrators = [\"310107\"]",
            "name = \"示例\"\nadministrators = []",
            "name = \"示例\"\nadministrators = [\"310107\", \"310107\"]",
            "administrators = [\"310107\"]",
        ] {
            assert!(federation(bad).is_err(), "{bad}");
        }
    }
}
