//! The store: SQLite or PostgreSQL, every query written once. `store` alone names sqlx.
//!
//! | file | tables |
//! |---|---|
//! | `db.rs` | the two pools, opening, migrating, retrying |
//! | `log.rs` | `log`, `tile`, `evidence` |
//! | `append.rs`, `project.rs` | the one transaction that grows a log, and what statements become in it |
//! | `refused_descriptor.rs` | `refused_descriptor` |
//! | `revise.rs` | what compromised keys signed, taken back |
//! | `gather.rs` | look-ups of many callers together |
//! | `writer.rs` | the one connection that writes to SQLite |
//! | `fold.rs` | SQLite's write-ahead log, folded beside its writer |
//! | `statistics.rs` | what PostgreSQL's planner believes |
//! | `rows.rs`, `list.rs` | statements over many rows, and about many values, at once |
//! | `statement.rs` | `statement`, `reference` |
//! | `event.rs` | `event` |
//! | `recognised.rs` | `reference`, `statement` |
//! | `recognising.rs` | `recognising` |
//! | `application.rs` | what `statement` and `event` hold of applications |
//! | `attachment.rs` | `attachment`, `attachment_part` |
//! | `record.rs` | `record`, `subject` |
//! | `aside.rs` | what `statement` holds about a subject and does not count |
//! | `upload.rs` | `upload`, `fault` |
//! | `take_back.rs` | `upload_span`, `upload_withdrawal` |
//! | `hold.rs` | `upload_hold`, `held_rows` |
//! | `said_by.rs` | `said_by`, and who ran the upload that a statement came with |
//! | `quality.rs` | `quality` |
//! | `peer.rs`, `peer_state.rs`, `picked_up.rs` | `peer`, `descriptor` |
//! | `ceremony.rs` | the steps of a peer: `peer`, `revoked_root` |
//! | `invitation.rs` | `invitation` |
//! | `account.rs` | `account` |
//! | `pending.rs` | `pending_change` |
//! | `policy.rs` | `policy_set`, `policy_in_force` |
//! | `certificate.rs` | `certificate` |
//! | `cosignature.rs` | `cosignature` |
//! | `query.rs` | `answered`, `heard` |
//! | `member_list.rs` | `member_list` |
//! | `watch.rs` | `watch`, `webhook` |
//! | `turned.rs`, `notice.rs`, `inbox.rs` | `turned`, `followed`, `notice` |
//! | `delivery.rs` | `delivery`, `line` |

pub mod account;
pub mod append;
pub mod application;
pub mod aside;
pub mod attachment;
pub mod ceremony;
mod certificate;
pub mod cosignature;
pub mod db;
pub mod delivery;
pub mod event;
mod fold;
pub mod gather;
pub mod hold;
pub mod inbox;
pub mod invitation;
mod list;
pub mod log;
pub mod member_list;
pub mod notice;
pub mod peer;
pub mod peer_state;
pub mod pending;
mod picked_up;
mod policy;
mod project;
pub mod query;
pub mod quality;
pub mod recognised;
pub mod recognising;
pub mod record;
pub mod refused_descriptor;
pub mod revise;
mod rows;
pub mod said_by;
pub mod statement;
pub mod statistics;
mod turned;
pub mod take_back;
pub mod upload;
pub mod watch;
mod writer;

pub use append::{Append, AppendError, NewEntry};
pub use db::{Db, StoreError};
pub use log::{Head, LogRow, LogState};
