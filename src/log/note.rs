//! Signed notes of [C2SP `signed-note`](https://c2sp.org/signed-note): verifier keys, signing, opening.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, VerifyingKey};

use crate::statement::{Digest, SigningFailed, SigningKey};

/// The longest note, in bytes.
pub const MAX_BYTES: usize = 64 * 1024;
/// The most signatures on a note.
pub const MAX_SIGNATURES: usize = 128;
/// The signature type of plain Ed25519.
const ED25519: u8 = 1;

/// A key that verifies notes: name, key id, Ed25519 key. Text form `<name>+<hash>+<base64>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifierKey {
    /// The name: a log's origin.
    pub name: String,
    /// The raw Ed25519 key.
    pub key: [u8; 32],
}

/// Why a note is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Not a note, or over 64 KiB or 128 signatures.
    #[error("not a signed note: {0}")]
    Malformed(&'static str),
    /// The text is no verifier key, or a weak one.
    #[error("not a verifier key: {0}")]
    VerifierKey(&'static str),
    /// A known key's signature does not verify.
    #[error("the signature of {0} does not verify")]
    BadSignature(String),
    /// None of the known keys signed.
    #[error("signed by none of the known keys")]
    Unsigned,
    /// The private half of the key did not sign.
    #[error(transparent)]
    Signing(#[from] SigningFailed),
}

impl VerifierKey {
    /// The key id: the first four bytes of `SHA-256(name ‖ 0A ‖ 01 ‖ key)`.
    pub fn id(&self) -> u32 {
        key_id(&self.name, ED25519, &self.key)
    }

    /// `<name>+<8 hex digits>+<base64 of 01 ‖ key>`.
    pub fn to_text(&self) -> String {
        format!("{}+{:08x}+{}", self.name, self.id(), STANDARD.encode([&[ED25519], &self.key[..]].concat()))
    }

    /// From that text. Weak keys are refused.
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        use NoteError::VerifierKey as Wrong;
        let [name, id, key] = text.splitn(3, '+').collect::<Vec<_>>()[..] else {
            return Err(Wrong("<name>+<hash>+<base64> is expected"));
        };
        let key = STANDARD.decode(key).map_err(|_| Wrong("its key is not canonical base64"))?;
        let Ok([ED25519, key @ ..]) = <[u8; 33]>::try_from(key) else {
            return Err(Wrong("its key is not an Ed25519 key of type 01"));
        };
        if VerifyingKey::from_bytes(&key).map_or(true, |key| key.is_weak()) {
            return Err(Wrong("its key is weak, or no point of the curve"));
        }
        let this = Self { name: name.to_owned(), key };
        match () {
            () if !is_name(name) => Err(Wrong("its name is empty or has spaces")),
            () if id != format!("{:08x}", this.id()) => Err(Wrong("its hash is not that of its name and key")),
            () => Ok(this),
        }
    }

    fn verify(&self, text: &str, signature: &[u8]) -> Result<(), NoteError> {
        let verify = || {
            let key = VerifyingKey::from_bytes(&self.key).ok()?;
            key.verify_strict(text.as_bytes(), &Signature::from_slice(signature).ok()?).ok()
        };
        verify().ok_or_else(|| NoteError::BadSignature(self.name.clone()))
    }
}

/// Signs a note text (ending in a newline) with an Ed25519 key under a name, and returns the whole note.
pub fn sign(text: &str, name: &str, key: &SigningKey) -> Result<String, NoteError> {
    check_text(text)?;
    Ok(format!("{text}\n{}", signature_line(text, name, key)?))
}

/// One more signature for a note with this text: a line to put behind its others.
pub fn signature_line(text: &str, name: &str, key: &SigningKey) -> Result<String, NoteError> {
    let public = key.public().ed25519_bytes().ok_or(NoteError::VerifierKey("notes are signed with Ed25519"))?;
    if !is_name(name) {
        return Err(NoteError::VerifierKey("its name is empty or has spaces"));
    }
    let id = VerifierKey { name: name.to_owned(), key: public }.id().to_be_bytes();
    Ok(format!("— {name} {}\n", STANDARD.encode([&id[..], &key.sign(text.as_bytes())?].concat())))
}

/// Opens a note: its text, if at least one known key signed it and no known key's signature fails. Signatures of unknown
/// keys, cosignatures among them, are passed over.
pub fn open<'a>(note: &'a str, keys: &[VerifierKey]) -> Result<&'a str, NoteError> {
    signed(note, keys).map(|(text, _)| text)
}

/// The same note with the lines of these keys alone: what strangers wrote beneath it need not be kept.
pub fn without_strangers(note: &str, keys: &[VerifierKey]) -> Result<String, NoteError> {
    let (text, lines) = signed(note, keys)?;
    Ok(format!("{text}\n{}\n", lines.join("\n")))
}

/// The text of a note, and the lines under it that are of known keys.
fn signed<'a>(note: &'a str, keys: &[VerifierKey]) -> Result<(&'a str, Vec<&'a str>), NoteError> {
    if note.len() > MAX_BYTES {
        return Err(NoteError::Malformed("longer than 64 KiB"));
    }
    let split = note.rfind("\n\n").ok_or(NoteError::Malformed("no empty line before the signatures"))?;
    let (text, lines) = (&note[..=split], &note[split + 2..]);
    check_text(text)?;
    let lines = lines.strip_suffix('\n').ok_or(NoteError::Malformed("no newline at the end"))?;
    if lines.split('\n').count() > MAX_SIGNATURES {
        return Err(NoteError::Malformed("more than 128 signatures"));
    }
    let mut known = Vec::new();
    for line in lines.split('\n') {
        let (name, id, signature) = parse_signature(line)?;
        for key in keys.iter().filter(|key| key.name == name && key.id() == id) {
            key.verify(text, &signature)?;
            known.push(line);
        }
    }
    if known.is_empty() { Err(NoteError::Unsigned) } else { Ok((text, known)) }
}

/// The id of a key of some signature type: the first four bytes of `SHA-256(name ‖ 0A ‖ type ‖ key)`.
pub(super) fn key_id(name: &str, signature_type: u8, key: &[u8; 32]) -> u32 {
    let digest = Digest::of(&[name.as_bytes(), b"\n", &[signature_type], key].concat());
    let [a, b, c, d, ..] = digest.0;
    u32::from_be_bytes([a, b, c, d])
}

/// `— <name> <base64 of key id ‖ signature>`.
pub(super) fn parse_signature(line: &str) -> Result<(&str, u32, Vec<u8>), NoteError> {
    let wrong = NoteError::Malformed("a signature line is not — <name> <base64>");
    let (name, base64) = line.strip_prefix("— ").and_then(|rest| rest.split_once(' ')).ok_or(wrong.clone())?;
    let bytes = STANDARD.decode(base64).map_err(|_| wrong.clone())?;
    match bytes.split_first_chunk::<4>() {
        Some((id, signature)) if !signature.is_empty() && is_name(name) => {
            Ok((name, u32::from_be_bytes(*id), signature.to_vec()))
        }
        _ => Err(wrong),
    }
}

/// Not empty, and neither space nor plus in it.
fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '+')
}

fn check_text(text: &str) -> Result<(), NoteError> {
    match () {
        () if text == "\n" || !text.ends_with('\n') => Err(NoteError::Malformed("the text is not lines")),
        () if text.bytes().any(|b| b < 0x20 && b != b'\n') => Err(NoteError::Malformed("a control character")),
        () => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::Signer as _;

    use super::*;

    /// The key and note that stand in the documentation of Go's `golang.org/x/mod/sumdb/note`.
    const NEUMANN: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const TEXT: &str = "If you think cryptography is the answer to your problem,\n\
                        then you don't know what your problem is.\n";
    const SIGNATURE: &str =
        "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

    fn neumann() -> VerifierKey {
        VerifierKey::parse(NEUMANN).unwrap()
    }

    #[test]
    fn a_note_signed_elsewhere_opens() {
        assert_eq!(neumann().to_text(), NEUMANN);
        assert_eq!(neumann().id(), 0xc74f_20a3);
        assert_eq!(open(&format!("{TEXT}\n{SIGNATURE}"), &[neumann()]), Ok(TEXT));
    }

    #[test]
    fn unknown_signatures_are_passed_over_and_a_wrong_known_one_spoils_the_note() {
        let note = format!("{TEXT}\n{SIGNATURE}");
        let cosignature = format!("— kaopu/310107/witness {}\n", STANDARD.encode([4; 76]));
        let same_name = format!("— PeterNeumann {}\n", STANDARD.encode([9; 68]));
        assert_eq!(open(&format!("{note}{cosignature}{same_name}"), &[neumann()]), Ok(TEXT));
        assert_eq!(without_strangers(&format!("{note}{cosignature}{same_name}"), &[neumann()]).as_ref(), Ok(&note));
        assert_eq!(open(&note, &[]), Err(NoteError::Unsigned));
        let forged = note.replacen("cryptography", "Cryptography", 1);
        assert_eq!(open(&forged, &[neumann()]), Err(NoteError::BadSignature("PeterNeumann".into())));
        // a good one beside it does not help
        let signer = ed25519_dalek::SigningKey::from_bytes(&[7; 32]);
        let other = VerifierKey { name: "other".into(), key: signer.verifying_key().to_bytes() };
        let text = forged.split_once("\n\n").unwrap().0.to_owned() + "\n";
        let bytes = [&other.id().to_be_bytes()[..], &signer.sign(text.as_bytes()).to_bytes()].concat();
        let both = format!("{forged}— other {}\n", STANDARD.encode(bytes));
        assert_eq!(open(&both, std::slice::from_ref(&other)), Ok(&*text));
        assert!(open(&both, &[other, neumann()]).is_err());
        // nor does a signature of another length
        let short = format!("{TEXT}\n— PeterNeumann {}\n", STANDARD.encode([0xc7, 0x4f, 0x20, 0xa3, 1]));
        assert_eq!(open(&short, &[neumann()]), Err(NoteError::BadSignature("PeterNeumann".into())));
    }

    #[test]
    fn what_is_no_note_is_refused() {
        let keys = [neumann()];
        let good = format!("{TEXT}\n{SIGNATURE}");
        let base64 = SIGNATURE.trim_end().rsplit(' ').next().unwrap();
        for bad in [
            String::new(),
            "\n".into(),
            "\n\n".into(),
            format!("\n\n{SIGNATURE}"),
            TEXT.into(),
            format!("{TEXT}\n"),
            format!("{TEXT}{SIGNATURE}"),
            good.trim_end().into(),
            format!("{good}\n"),
            format!("{good}x\n"),
            good.replace("— ", "- "),
            good.replace("— PeterNeumann ", "— PeterNeumann  "),
            good.replace("— PeterNeumann", "— "),
            good.replace("— PeterNeumann", "— Peter+Neumann"),
            good.replace("— PeterNeumann", "— Peter\u{3000}Neumann"),
            good.replace("AM=\n", "AN=\n"), // trailing bits that are not zero
            good.replace("AM=\n", "AM\n"),
            good.replace("AM=\n", "AM=\r\n"),
            good.replace("problem,", "problem,\t"),
            format!("{good}— x AAAAAA==\n"), // a key id and no signature
            format!("{}\n{SIGNATURE}", TEXT.repeat(700)),
            format!("{TEXT}\n{}", SIGNATURE.repeat(129)),
        ] {
            let result = open(&bad, &keys);
            assert!(matches!(result, Err(NoteError::Malformed(_))), "{result:?}: {bad:?}");
        }
        assert_eq!(open(&format!("{TEXT}\n{}", SIGNATURE.repeat(128)), &keys), Ok(TEXT));
        assert!(base64.ends_with("AM="));
    }

    #[test]
    fn a_verifier_key_has_one_text_and_is_strong() {
        for bad in [
            "",
            "PeterNeumann",
            "PeterNeumann+c74f20a3",
            "PeterNeumann+C74F20A3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
            "PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
            "peterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
            "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10T",
            "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW\n",
            "+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        ] {
            assert!(VerifierKey::parse(bad).is_err(), "{bad:?}");
        }
        let mut neutral = [0; 32];
        neutral[0] = 1;
        let weak = VerifierKey { name: "kaopu/310107/records/1".into(), key: neutral };
        assert!(VerifierKey::parse(&weak.to_text()).is_err());
    }
}
