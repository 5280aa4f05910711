//! What this node says about records after they were published: withdrawals, disputes and their answers, repairs and their
//! revocations.
//!
//! | file | concept |
//! |---|---|
//! | `find.rs` | a record found by what offices name it by: 文号, code, authority |
//! | `may.rs` | whether an event may be said now |
//! | `say.rs` | the statement made of it, and appended |
//! | `dispute.rs` | disputes that wait for an answer |
//! | `application.rs` | applications for a repair at another city's window |
//! | `both.rs` | a repair and the end of the application for it, said together |
//! | `fault.rs` | why it was not said |
//!
//! What every node must agree on is judged in [`crate::log::event`]. What is judged here beyond that, by this node's rules of
//! dates, binds this node alone.

pub mod application;
mod both;
pub mod dispute;
mod fault;
pub mod find;
pub mod may;
mod say;

pub use both::MadeOf;
pub use fault::SayError;
pub use find::{NotFound, Sought};
pub use may::MayNot;
pub use say::{Named, Office, Spoken, open_one};
