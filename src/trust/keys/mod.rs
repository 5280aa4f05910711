//! A node's private keys: one use a key, at rest encrypted or readable by their owner only, and found by the public half
//! that a descriptor names.
//!
//! | file | what |
//! |---|---|
//! | `store.rs` | the private halves that a running node works with, from its folder and from tokens |
//! | `first.rs` | the keys that a new node begins with |
//! | `file.rs` | secret files: written, encrypted, read |
//! | `passphrase.rs` | where the passphrase comes from |
//! | `root.rs` | the root key, from its file or token |

pub mod file;
pub mod first;
pub mod passphrase;
pub mod root;
pub mod store;

pub use file::{AtRest, KeyFileError, read_key, read_private, read_sealed, read_secret, write_private, write_secret};
pub use first::{NodeKeys, RootKeys};
pub use passphrase::{Passphrase, Passphrases};
pub use store::{KeyStore, NoKey};
