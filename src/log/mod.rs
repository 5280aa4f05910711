//! The logs: C2SP `tlog-tiles` over 34-byte entries. Pure, no clock, no disk, no network, but for the [`appender`].
//!
//! From the leaves up: [`entry`], [`merkle`], [`tile`], [`edge`] (a growing tree); what is signed about it: [`note`],
//! [`checkpoint`], [`cosignature`] (by a [`witness`]); what is proven of it: [`proof`] (one entry, one older tree) and [`climb`] (whole tiles of somebody
//! else's log, from a signed root down).

pub mod appender;
pub mod checkpoint;
pub mod climb;
pub mod cosignature;
pub mod edge;
pub mod entry;
pub mod event;
pub mod judge;
pub mod judged;
pub mod merkle;
pub mod note;
pub mod origin;
pub mod proof;
pub mod tile;
pub mod version;
pub mod witness;

pub use checkpoint::Checkpoint;
pub use climb::Climb;
pub use cosignature::{Cosignature, WitnessKey};
pub use edge::Edge;
pub use entry::{Class, Entry};
pub use judge::{Place, Verdict, judge};
pub use judged::{Judged, Sound};
pub use merkle::Hash;
pub use origin::Origin;
pub use tile::TileId;
