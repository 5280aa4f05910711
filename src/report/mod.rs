//! Credit reports 信用报告: one file for each enterprise over all regions, and the evidence by which anybody checks it.
//!
//! | file | concept |
//! |---|---|
//! | `model.rs` | what a report says, and the digest that its QR code holds |
//! | `evidence.rs` | the statements behind it, each with its proof, in a file of lines |
//! | `check.rs` | holding such a file against itself and a digest, with no configuration, network or database |
//! | `page.rs` | the report as a page that can be printed |
//! | `qr.rs` | its QR code |
//!
//! All of it computes and does nothing else; [`crate::node::report`] reads the store for it.

pub mod check;
pub mod evidence;
pub mod model;
pub mod page;
pub mod qr;

pub use check::{Checked, check};
pub use evidence::{Evidence, Source};
pub use model::Report;
