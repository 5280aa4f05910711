//! Checkpoints of [C2SP `tlog-checkpoint`](https://c2sp.org/tlog-checkpoint): origin, size, root; three lines and no
//! extension.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::note::{self, NoteError, VerifierKey};
use super::tile::decimal;
use super::{Hash, Origin, merkle};
use crate::statement::SigningKey;

/// What a log says about itself at some moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log.
    pub origin: Origin,
    /// Entries.
    pub size: u64,
    /// The root of the tree over them.
    pub root: Hash,
}

/// Why a checkpoint is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// The note.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The text is not three lines of origin, size, root.
    #[error("not a checkpoint: {0}")]
    Malformed(&'static str),
    /// The empty tree has one root.
    #[error("it is of no entries and has the root of some")]
    EmptyRoot,
    /// Of another log.
    #[error("a checkpoint of another log")]
    Origin,
}

impl Checkpoint {
    /// The three lines.
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root))
    }

    /// From the three lines.
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        use CheckpointError::Malformed;
        let [origin, size, root, ""] = text.split('\n').collect::<Vec<_>>()[..] else {
            return Err(Malformed("it has not exactly three lines"));
        };
        let this = Self {
            origin: origin.parse().map_err(|_| Malformed("its first line is no origin"))?,
            size: decimal(size).ok_or(Malformed("its second line is no size"))?,
            root: STANDARD
                .decode(root)
                .ok()
                .and_then(|root| root.try_into().ok())
                .ok_or(Malformed("its third line is no root"))?,
        };
        // the largest size that every database counts to
        if i64::try_from(this.size).is_err() {
            return Err(Malformed("its size is beyond 2^63"));
        }
        if this.size == 0 && this.root != merkle::empty_root() {
            return Err(CheckpointError::EmptyRoot);
        }
        Ok(this)
    }

    /// The signed note.
    pub fn sign(&self, key: &SigningKey) -> Result<String, CheckpointError> {
        Ok(note::sign(&self.text(), &self.origin.to_string(), key)?)
    }

    /// The note signed by each of these keys, the first one first: more than one while a log's key is being rotated.
    pub fn sign_by_all(&self, keys: &[Arc<SigningKey>]) -> Result<String, CheckpointError> {
        let (first, others) = keys.split_first().ok_or(NoteError::Unsigned)?;
        let mut note = self.sign(first)?;
        for key in others {
            note.push_str(&note::signature_line(&self.text(), &self.origin.to_string(), key)?);
        }
        Ok(note)
    }

    /// Opens a signed checkpoint of `origin`.
    pub fn open(note: &str, origin: &Origin, keys: &[VerifierKey]) -> Result<Self, CheckpointError> {
        // only the log itself vouches for its checkpoint, whoever else may be known
        let this = Self::parse(note::open(note, &own_keys(origin, keys))?)?;
        if this.origin == *origin { Ok(this) } else { Err(CheckpointError::Origin) }
    }

    /// The same note with nothing beneath it but the signatures of the log's own keys.
    pub fn own_note(note: &str, origin: &Origin, keys: &[VerifierKey]) -> Result<String, CheckpointError> {
        Ok(note::without_strangers(note, &own_keys(origin, keys))?)
    }
}

fn own_keys(origin: &Origin, keys: &[VerifierKey]) -> Vec<VerifierKey> {
    let name = origin.to_string();
    keys.iter().filter(|key| key.name == name).cloned().collect()
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::Signer as _;

    use super::*;

    fn checkpoint() -> Checkpoint {
        Checkpoint { origin: "kaopu/310107/records/1".parse().unwrap(), size: 1200, root: [0xa5; 32] }
    }

    #[test]
    fn a_checkpoint_is_three_lines() {
        let text = "kaopu/310107/records/1\n1200\npaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaU=\n";
        assert_eq!(checkpoint().text(), text);
        assert_eq!(Checkpoint::parse(text), Ok(checkpoint()));
        let empty = Checkpoint { size: 0, root: merkle::empty_root(), ..checkpoint() };
        assert_eq!(Checkpoint::parse(&empty.text()), Ok(empty));
        assert_eq!(Checkpoint::parse(&text.replace("1200", "0")), Err(CheckpointError::EmptyRoot));
        for bad in [
            String::new(),
            text.trim_end().into(),
            format!("{text}\n"),
            format!("{text}extension\n"),
            text.replace("kaopu/", ""),
            text.replace("1200", ""),
            text.replace("1200", "01200"),
            text.replace("1200", "+1200"),
            text.replace("1200", "-1"),
            text.replace("1200", "9223372036854775808"),
            text.replace("1200", "18446744073709551616"),
            text.replace("aU=", "aV="),
            text.replace("aU=", "aU"),
            text.replace("paU=", ""),
            text.replace('\n', "\r\n"),
        ] {
            assert!(matches!(Checkpoint::parse(&bad), Err(CheckpointError::Malformed(_))), "{bad:?}");
        }
    }

    #[test]
    fn only_the_log_itself_vouches_for_its_checkpoint() {
        let signer = ed25519_dalek::SigningKey::from_bytes(&[7; 32]);
        let key = |name: &str| VerifierKey { name: name.into(), key: signer.verifying_key().to_bytes() };
        let signed = |checkpoint: &Checkpoint, by: &VerifierKey| {
            let text = checkpoint.text();
            let bytes = [&by.id().to_be_bytes()[..], &signer.sign(text.as_bytes()).to_bytes()].concat();
            format!("{text}\n— {} {}\n", by.name, STANDARD.encode(bytes))
        };
        let origin = checkpoint().origin;
        let other: Origin = "kaopu/310107/exchange/1".parse().unwrap();
        let (own, foreign) = (key("kaopu/310107/records/1"), key("kaopu/310107/exchange/1"));
        let keys = [own.clone(), foreign.clone()];
        assert_eq!(Checkpoint::open(&signed(&checkpoint(), &own), &origin, &keys), Ok(checkpoint()));
        let open = Checkpoint::open(&signed(&checkpoint(), &foreign), &origin, &keys);
        assert_eq!(open, Err(NoteError::Unsigned.into()));
        let elsewhere = Checkpoint { origin: other, ..checkpoint() };
        assert_eq!(Checkpoint::open(&signed(&elsewhere, &own), &origin, &keys), Err(CheckpointError::Origin));
    }
}
