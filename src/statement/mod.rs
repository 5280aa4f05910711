//! Statements: what a node says, signed. One way to write, sign, verify, name and judge them.

pub mod digest;
pub mod envelope;
pub mod json;
pub mod key;
pub mod kind;
pub mod node_id;
pub mod payload;
pub mod refused;
pub mod sealed;
pub mod signing_key;
#[expect(clippy::module_inception, reason = "the concept is called statement")]
pub mod statement;
pub mod suite;

pub use digest::Digest;
pub use envelope::{SignError, Unverified, Verified};
pub use key::{KeyRing, PublicKey};
pub use kind::{Kind, Kinds};
pub use node_id::NodeId;
pub use refused::{NotAbout, Refused};
pub use signing_key::SigningKey;
pub use statement::{Audience, Reader, Salt, Statement, Subject, Typ};
pub use suite::{SigningFailed, Suite};
