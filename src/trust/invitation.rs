//! The text of an invitation: short enough for a message or a QR code. It names where the inviting node answers and the
//! beginning of its root key's thumbprint, so that whoever takes it hands its secret to nobody else.
//!
//! `kaopu:` and base64url of: version 01 ‖ expiry (8 bytes, seconds since 1970) ‖ secret (16) ‖ root (16) ‖ length of the
//! node id (1) ‖ node id ‖ URL ‖ first 4 bytes of SHA-256 over all before.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::CryptoRng;

use super::descriptor::{Descriptor, is_endpoint};
use crate::statement::{Digest, NodeId};

/// What the text begins with.
pub const PREFIX: &str = "kaopu:";
const VERSION: u8 = 1;
/// Version, expiry, secret, root, length of the id.
const FIXED: usize = 1 + 8 + 16 + 16 + 1;
const CHECK: usize = 4;
/// Far longer than any honest one.
const LONGEST: usize = 1024;

/// An invitation.
#[derive(Clone, PartialEq, Eq)]
pub struct Invitation {
    /// Who invites.
    pub node: NodeId,
    /// Where that node answers: `https://host:port`.
    pub url: String,
    /// The beginning of the thumbprint of its root key.
    pub root: [u8; 16],
    /// Whoever shows it may introduce one node, once.
    pub secret: Secret,
    /// Until when, seconds since 1970.
    pub until: i64,
}

/// 128 random bits. Only their hash is stored.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub [u8; 16]);

/// A text that is no invitation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an invitation ({0}): give the whole text that begins with kaopu:")]
pub struct NoInvitation(&'static str);

impl Invitation {
    /// Whether a descriptor is of the node that invites, under the root key that it named.
    pub fn is_of(&self, descriptor: &Descriptor) -> bool {
        descriptor.node == self.node && root_begins(descriptor) == self.root
    }
}

/// The beginning of the thumbprint of a descriptor's root key.
pub fn root_begins(descriptor: &Descriptor) -> [u8; 16] {
    let thumbprint = super::descriptor::thumbprint(&descriptor.root);
    let mut begins = [0; 16];
    begins.copy_from_slice(&thumbprint.as_bytes()[..16]);
    begins
}

impl Secret {
    /// A new one.
    pub fn random(rng: &mut dyn CryptoRng) -> Self {
        let mut secret = [0; 16];
        rng.fill_bytes(&mut secret);
        Self(secret)
    }

    /// What is stored of it.
    pub fn hash(&self) -> [u8; 32] {
        *Digest::of(&self.0).as_bytes()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl fmt::Debug for Invitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Invitation({} at {})", self.node, self.url)
    }
}

/// The secret as it is handed over: base64url.
impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl FromStr for Secret {
    type Err = NoInvitation;

    fn from_str(text: &str) -> Result<Self, NoInvitation> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| NoInvitation("not base64url"))?;
        bytes.try_into().map(Self).map_err(|_| NoInvitation("a secret has 16 bytes"))
    }
}

impl fmt::Display for Invitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.node.as_str().as_bytes();
        let mut bytes = vec![VERSION];
        bytes.extend(self.until.to_be_bytes());
        bytes.extend(self.secret.0);
        bytes.extend(self.root);
        // an id has 23 characters at most
        bytes.push(u8::try_from(id.len()).unwrap_or(u8::MAX));
        bytes.extend(id);
        bytes.extend(self.url.as_bytes());
        let check = Digest::of(&bytes);
        bytes.extend(&check.as_bytes()[..CHECK]);
        write!(f, "{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl FromStr for Invitation {
    type Err = NoInvitation;

    /// Spaces and line breaks that a message put in are ignored.
    fn from_str(text: &str) -> Result<Self, NoInvitation> {
        let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        let text = text.strip_prefix(PREFIX).ok_or(NoInvitation("another beginning"))?;
        if text.len() > LONGEST {
            return Err(NoInvitation("too long"));
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| NoInvitation("not base64url"))?;
        let short = NoInvitation("a part of it is missing");
        let (said, check) = bytes.split_last_chunk::<CHECK>().ok_or(short)?;
        if Digest::of(said).as_bytes()[..CHECK] != check[..] {
            return Err(NoInvitation("a part of it is missing or mistyped"));
        }
        if said.first() != Some(&VERSION) {
            return Err(NoInvitation("of another version of this program"));
        }
        let (fixed, rest) = said.split_first_chunk::<FIXED>().ok_or(short)?;
        let (mut until, mut secret, mut root) = ([0; 8], [0; 16], [0; 16]);
        until.copy_from_slice(&fixed[1..9]);
        secret.copy_from_slice(&fixed[9..25]);
        root.copy_from_slice(&fixed[25..41]);
        let (id, url) = rest.split_at_checked(usize::from(fixed[41])).ok_or(short)?;
        let node = std::str::from_utf8(id).ok().and_then(|id| id.parse().ok()).ok_or(NoInvitation("no node id"))?;
        let url = std::str::from_utf8(url).ok().filter(|url| is_endpoint(url)).ok_or(NoInvitation("no address"))?;
        Ok(Self { node, url: url.to_owned(), root, secret: Secret(secret), until: i64::from_be_bytes(until) })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn invitation() -> Invitation {
        Invitation {
            node: "310107".parse().unwrap(),
            url: "https://credit.example:7443".to_owned(),
            root: [7; 16],
            secret: Secret([9; 16]),
            until: 1_790_000_000,
        }
    }

    #[test]
    fn a_text_reads_back_also_broken_into_lines() {
        let text = invitation().to_string();
        assert!(text.len() < 140, "{text}");
        assert_eq!(text.parse(), Ok(invitation()));
        let (first, second) = text.split_at(50);
        assert_eq!(format!(" {first}\r\n  {second}\n").parse(), Ok(invitation()));
    }

    #[test]
    fn its_secret_does_not_print() {
        assert!(!format!("{:?}", invitation()).contains(&invitation().secret.to_string()));
        assert_eq!(format!("{:?}", invitation().secret), "Secret(…)");
    }

    proptest! {
        #[test]
        fn a_text_with_one_other_character_is_none(at in 6..130_usize, to in "[A-Za-z0-9_-]") {
            let text = invitation().to_string();
            let at = at.min(text.len() - 1);
            let changed = format!("{}{to}{}", &text[..at], &text[at + 1..]);
            prop_assert!(changed == text || changed.parse::<Invitation>().is_err());
        }

        #[test]
        fn whatever_comes_is_read_or_refused(text in "(kaopu:)?[ -~]{0,200}") {
            let _ = text.parse::<Invitation>();
        }
    }
}
