//! Exchange with peers: pulling, proving and projecting their logs.
//!
//! | file | what |
//! |---|---|
//! | `client.rs` | one peer's interface, asked under limits |
//! | `reply.rs` | what it replied, read with suspicion |
//! | `bodies.rs` | the bodies of a bundle, unpacked within bounds |
//! | `watch.rs` | news of grown logs, for requests held open |
//! | `pull.rs` | the feeds: one a mirrored log, kept in step with the registry |
//! | `feed.rs` | one feed, turn after turn |
//! | `standing.rs` | how a node stands with another, as that one says |
//! | `source.rs` | where a log can be had from, and when to ask again |
//! | `head.rs` | a checkpoint becomes this node's head of the log, or a fault |
//! | `witness.rs` | this node as the witness of its peers |
//! | `cosign.rs`, `push.rs` | its peers as witnesses of its own logs |
//! | `prove.rs` | tiles, proven against a root before anything is taken from them |
//! | `fetch.rs` | bundles and bodies, each against its tile and its entry |
//! | `follow.rs` | newer descriptors of a peer, into the registry |
//! | `keys.rs` | the owner's keys, as the descriptors in its log set them |
//! | `judge.rs` | statements, verified under the keys valid at their index, and judged |
//! | `order.rs` | what depends on the entries before: versions and events |
//! | `apply.rs` | a proven chunk into the store, with the cursor, in one transaction |
//! | `held.rs` | statements that came early, tried again |
//! | `attachment.rs` | a sealed file beside an application, fetched part by part |
//! | `query.rs` | asking one peer, or all within one deadline |
//! | `heard.rs` | what came back, held against what was asked |
//! | `finding.rs` | what came of it, one word a peer |
//! | `question.rs` | what nodes say to each other when one asks |
//! | `tell.rs` | whoever follows a subject is told what all logs say about it |
//! | `notice.rs` | what they are told, signed |
//! | `deliver.rs` | notices on their way to webhooks |
//! | `webhook.rs`, `reach.rs` | a webhook, asked under limits, and where it may be |
//! | `fault.rs` | what can go wrong, told apart |

pub mod apply;
pub mod attachment;
mod bodies;
pub mod client;
pub mod cosign;
pub mod deliver;
pub mod fault;
pub mod feed;
pub mod fetch;
pub mod finding;
pub mod follow;
pub mod head;
pub mod heard;
pub mod held;
pub mod judge;
pub mod keys;
pub mod mirrored;
pub mod notice;
mod order;
pub mod prove;
pub mod pull;
pub mod push;
pub mod query;
pub mod question;
pub mod reach;
mod reply;
pub mod source;
pub mod standing;
pub mod tell;
pub mod watch;
pub mod webhook;
pub mod witness;

pub use client::PeerClient;
pub use fault::Fault;
pub use pull::{PullSettings, Puller};
pub use push::Pusher;
pub use watch::News;
pub use witness::Witness;
