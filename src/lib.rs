//! Kaopu 靠普: a node for the federated exchange of public credit records between cities.
//!
//! # The life of a record
//!
//! 1. A department's spreadsheet is read row by row ([`import`]); each row is mended, judged against its kind's schema
//!    ([`statement::kind`], [`record`]) and becomes a [`statement::Statement`], or a fault in the receipt.
//! 2. The statement is signed ([`statement::envelope`]) and appended to the node's `records` log ([`log`],
//!    [`log::appender`]) in one transaction of the [`store`].
//! 3. Peers, known by their root-signed descriptors ([`trust`]), hear of the new checkpoint over mutual TLS ([`http`]),
//!    pull, prove and project it ([`exchange`]), and answer look-ups about the subject from it. Who may hold and ask what,
//!    and whose repairs take effect, is decided by the node's own policies ([`policy`]).
//! 4. What is said about it afterwards, repairs above all, goes the same way ([`about`], [`log::event`]).
//! 5. Whoever has the log, or a copy of it, can check all of that again without trusting anybody ([`audit`]); so can whoever
//!    holds a credit report and its evidence ([`report`]).
//!
//! The modules stand in that order; `docs/ARCHITECTURE.md` walks through them.

pub mod clock;
pub mod crew;
pub mod in_force;
pub mod statement;
pub mod quota;
pub mod record;
pub mod policy;
pub mod import;
pub mod log;
pub mod store;
pub mod about;
pub mod trust;
pub mod exchange;
pub mod audit;
pub mod report;
pub mod config;
pub mod node;
pub mod http;
