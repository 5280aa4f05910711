//! What this node says about records after they were published: withdrawals, disputes and their answers, repairs and their
//! revocations.
//!
//! | file | concept |
//! |---|---|
//! | `find.rs` | a record found by what offices name it by: 文号, code, authority |
//! | `may.rs` | whether an event may be said now |
//! | `say.rs` | the statement made of it, and appended |
//! | `dispute.rs` | disputes that wait for an answer |
//! | `fault.rs` | why it was not said |
//!
//! What every node must agree on is judged in [`crate::log::event`]. What is judged here beyond that, by this node's rules of
//! dates, binds this node alone.

pub mod dispute;
mod fault;
pub mod find;
pub mod may;
mod say;

pub use fault::SayError;
pub use find::{NotFound, Sought};
pub use may::MayNot;
pub use say::{Named, Office, Spoken, open_one};
