//! The logs: C2SP `tlog-tiles` over 34-byte entries. Pure: no clock, no disk, no network.

pub mod checkpoint;
pub mod edge;
pub mod entry;
pub mod merkle;
pub mod note;
pub mod origin;
pub mod proof;
pub mod tile;

pub use checkpoint::Checkpoint;
pub use edge::Edge;
pub use entry::{Class, Entry};
pub use merkle::Hash;
pub use origin::Origin;
pub use tile::TileId;
