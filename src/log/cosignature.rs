//! Cosignatures of [C2SP `tlog-cosignature`](https://c2sp.org/tlog-cosignature) v1 (Ed25519, type 04): a witness says that at
//! some moment a checkpoint was the newest that it had seen of a log, and that it continues all that it had seen before.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, VerifyingKey};

use super::note::{NoteError, key_id, parse_signature};
use crate::statement::{NodeId, SigningKey};

/// The signature type of cosignatures.
const COSIGNATURE: u8 = 4;
/// Bytes of the time before the signature.
const TIME: usize = 8;

/// A key that verifies cosignatures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WitnessKey {
    /// The witness: `kaopu/<node id>/witness`.
    pub name: String,
    /// The raw Ed25519 key.
    pub key: [u8; 32],
}

/// One cosignature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cosignature {
    /// Who gave it: `kaopu/<node id>/witness`.
    pub witness: String,
    /// When, in seconds since 1970, as the witness says.
    pub at: i64,
    /// Its line under the note, without the newline.
    pub line: String,
}

/// The name under which a node cosigns.
pub fn name_of(node: &NodeId) -> String {
    format!("kaopu/{node}/witness")
}

impl WitnessKey {
    /// The key id: the first four bytes of `SHA-256(name ‖ 0A ‖ 04 ‖ key)`.
    pub fn id(&self) -> u32 {
        key_id(&self.name, COSIGNATURE, &self.key)
    }

    /// `<name>+<8 hex digits>+<base64 of 04 ‖ key>`: as other witnesses' tools are configured with it.
    pub fn to_text(&self) -> String {
        format!("{}+{:08x}+{}", self.name, self.id(), STANDARD.encode([&[COSIGNATURE], &self.key[..]].concat()))
    }
}

impl Cosignature {
    /// Cosigns a checkpoint's text (its three lines) at `at` seconds since 1970.
    pub fn sign(text: &str, witness: &str, key: &SigningKey, at: i64) -> Result<Self, NoteError> {
        let public = key.public().ed25519_bytes().ok_or(NoteError::VerifierKey("witnesses sign with Ed25519"))?;
        let id = key_id(witness, COSIGNATURE, &public).to_be_bytes();
        let signature = key.sign(message(text, at).as_bytes())?;
        let bytes = [&id[..], &at.to_be_bytes(), &signature].concat();
        let line = format!("— {witness} {}", STANDARD.encode(bytes));
        Ok(Self { witness: witness.to_owned(), at, line })
    }

    /// Reads one line under a checkpoint's text: None if it is of none of these keys. A line of a known key whose signature
    /// does not verify is an error.
    pub fn read(text: &str, line: &str, keys: &[WitnessKey]) -> Result<Option<Self>, NoteError> {
        let (name, id, bytes) = parse_signature(line)?;
        let Some(key) = keys.iter().find(|key| key.name == name && key.id() == id) else { return Ok(None) };
        let verified = || {
            let (at, signature) = bytes.split_first_chunk::<TIME>()?;
            // at most 2^63 - 1
            let at = i64::try_from(u64::from_be_bytes(*at)).ok()?;
            let public = VerifyingKey::from_bytes(&key.key).ok().filter(|key| !key.is_weak())?;
            let signature = Signature::from_slice(signature).ok()?;
            public.verify_strict(message(text, at).as_bytes(), &signature).ok()?;
            Some(at)
        };
        let at = verified().ok_or_else(|| NoteError::BadSignature(name.to_owned()))?;
        Ok(Some(Self { witness: name.to_owned(), at, line: line.to_owned() }))
    }

    /// Reads the answer of a witness: the newest of its cosignatures. Lines of unknown keys are passed over; None if there is
    /// no other.
    pub fn read_all(text: &str, lines: &str, keys: &[WitnessKey]) -> Result<Option<Self>, NoteError> {
        let lines = lines.strip_suffix('\n').ok_or(NoteError::Malformed("no newline at the end"))?;
        let mut newest: Option<Self> = None;
        for line in lines.split('\n') {
            let read = Self::read(text, line, keys)?;
            newest = newest.into_iter().chain(read).max_by_key(|cosignature| cosignature.at);
        }
        Ok(newest)
    }
}

/// What is signed.
fn message(text: &str, at: i64) -> String {
    format!("cosignature/v1\ntime {at}\n{text}")
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::Signer as _;

    use super::*;
    use crate::statement::Suite;

    const TEXT: &str = "kaopu/310107/records/1\n1200\nqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqo=\n";
    const NAME: &str = "kaopu/340500/witness";

    fn key() -> SigningKey {
        SigningKey::from_seed(Suite::EdDsa, &[7; 32]).unwrap()
    }

    fn witness() -> WitnessKey {
        WitnessKey { name: NAME.to_owned(), key: key().public().ed25519_bytes().unwrap() }
    }

    #[test]
    fn a_key_and_a_cosignature_of_another_s_are_read() {
        // a verifier key of type 04 that is published: the witness remora.n621.de
        let text = "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2";
        let bytes = STANDARD.decode(text.rsplit('+').next().unwrap()).unwrap();
        let key = WitnessKey { name: "remora.n621.de".to_owned(), key: bytes[1..].try_into().unwrap() };
        assert_eq!((key.id(), key.to_text().as_str()), (0xda77_ade7, text));
        // and its cosignature on a checkpoint of a Certificate Transparency log
        let checkpoint =
            "arche2025h1.staging.ct.transparency.dev\n1432088532\nU7WM79jrzyhGZ5/GUBTpM7NzwdyfFx61t3RovgcC4Ro=\n";
        let line = "— remora.n621.de 2net5wAAAABqEiEgPlfF3V06o0Y+fHM+J5J9s27wgxxcOVSpZ/2g/KSiXCg9DEZI+aVCIobWX9sXTynk5XeU/zZ0WBxtqB0DrAWfBw==";
        let read = Cosignature::read(checkpoint, line, std::slice::from_ref(&key)).unwrap().unwrap();
        assert_eq!((read.witness.as_str(), read.at), ("remora.n621.de", 0x6a12_2120));
        assert!(Cosignature::read(&checkpoint.replace("32\n", "33\n"), line, &[key]).is_err());
    }

    #[test]
    fn a_cosignature_is_laid_out_as_the_specification_has_it() {
        let made = Cosignature::sign(TEXT, NAME, &key(), 1_679_315_147).unwrap();
        let bytes = STANDARD.decode(made.line.strip_prefix("— kaopu/340500/witness ").unwrap()).unwrap();
        assert_eq!(bytes.len(), 4 + 8 + 64);
        assert_eq!(bytes[..4], witness().id().to_be_bytes());
        assert_eq!(bytes[4..12], 1_679_315_147_u64.to_be_bytes());
        let message = format!("cosignature/v1\ntime 1679315147\n{TEXT}");
        let signer = ed25519_dalek::SigningKey::from_bytes(&[7; 32]);
        assert_eq!(bytes[12..], signer.sign(message.as_bytes()).to_bytes());
        assert_eq!(Cosignature::read(TEXT, &made.line, &[witness()]), Ok(Some(made)));
    }

    #[test]
    fn a_known_key_s_bad_cosignature_is_told_from_an_unknown_key_s() {
        let made = Cosignature::sign(TEXT, NAME, &key(), 5).unwrap();
        let other = TEXT.replacen("1200", "1201", 1);
        assert!(matches!(Cosignature::read(&other, &made.line, &[witness()]), Err(NoteError::BadSignature(_))));
        let stranger = WitnessKey { name: "kaopu/341200/witness".to_owned(), ..witness() };
        assert_eq!(Cosignature::read(TEXT, &made.line, &[stranger]), Ok(None));
        assert_eq!(Cosignature::read(TEXT, &made.line, &[]), Ok(None));
        let bytes =
            |bytes: &[u8]| format!("— {NAME} {}", STANDARD.encode([&witness().id().to_be_bytes(), bytes].concat()));
        for bad in [&[1; 5][..], &[0; 8], &[0xff; 72], &[0; 71], &[0; 73]] {
            assert!(Cosignature::read(TEXT, &bytes(bad), &[witness()]).is_err(), "{bad:?}");
        }
        for bad in ["", "x", "— ", "— kaopu/340500/witness AAAAAA=="] {
            assert!(matches!(Cosignature::read(TEXT, bad, &[witness()]), Err(NoteError::Malformed(_))), "{bad:?}");
        }
        // a weak key verifies what nobody signed
        let mut neutral = WitnessKey { key: [0; 32], ..witness() };
        neutral.key[0] = 1;
        let forged = [&neutral.id().to_be_bytes()[..], &[0; 8], &neutral.key, &[0; 32]].concat();
        let line = format!("— {NAME} {}", STANDARD.encode(forged));
        assert!(Cosignature::read(TEXT, &line, &[neutral]).is_err());
    }

    #[test]
    fn of_an_answer_the_newest_counts_and_strangers_do_not() {
        let of = |name: &str, at| Cosignature::sign(TEXT, name, &key(), at).unwrap().line + "\n";
        let answer = [of(NAME, 7), of("kaopu/341200/witness", 99), of(NAME, 9), of(NAME, 8)].concat();
        assert_eq!(Cosignature::read_all(TEXT, &answer, &[witness()]).unwrap().unwrap().at, 9);
        assert_eq!(Cosignature::read_all(TEXT, &of("kaopu/341200/witness", 1), &[witness()]), Ok(None));
        for bad in ["", "\n", answer.trim_end()] {
            assert!(Cosignature::read_all(TEXT, bad, &[witness()]).is_err(), "{bad:?}");
        }
    }
}
