//! Tiles of a peer's tree, proven against its root before anything is taken from them.
//!
//! The partial tiles at the right edge give the root together. A full tile's root stands in the tile above it, which is
//! full itself or at the edge; so each tile is proven by the one above, and by the root in the end.

use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::future::try_join_all;

use super::{Fault, PeerClient};
use crate::log::climb::{self, Climb};
use crate::log::proof::{self, Node};
use crate::log::tile::{self, FULL};
use crate::log::{Hash, Origin};

/// Level-0 tiles that are kept behind the newest one asked for: more than are ever under way at once.
const KEPT: u64 = 64;

/// A signed checkpoint as it came, opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Entries.
    pub size: u64,
    /// Root.
    pub root: Hash,
    /// The signed note.
    pub note: String,
}

/// The tiles of one tree at one source.
pub struct Tiles {
    client: PeerClient,
    origin: Origin,
    target: Target,
    climb: Mutex<Climb>,
}

impl Tiles {
    /// Fetches the right edge of the target's tree and proves it against the root.
    pub async fn open(client: PeerClient, origin: Origin, target: Target) -> Result<Self, Fault> {
        let ids = climb::edge_tiles(target.size);
        let fetched = try_join_all(ids.iter().map(|id| client.tile(&origin, *id))).await?;
        let mut levels = vec![Vec::new(); ids.last().map_or(0, |id| usize::from(id.level) + 1)];
        for (id, hashes) in ids.iter().zip(fetched) {
            levels[usize::from(id.level)] = hashes;
        }
        let climb = Climb::new(target.size, &target.root, levels)
            .map_err(|_| Fault::Root { size: target.size, note: target.note.clone() })?;
        Ok(Self { client, origin, target, climb: Mutex::new(climb) })
    }

    /// The checkpoint that these tiles belong to.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// The leaf hashes of bundle `n`. Bundles well below `n` are not asked for any more.
    pub async fn leaves(&self, n: u64) -> Result<Vec<Hash>, Fault> {
        self.reach(n).await?;
        let mut climb = self.climb();
        let leaves = climb.leaves(n).ok_or_else(|| beyond(0, n))?.to_vec();
        climb.forget(n.saturating_sub(KEPT));
        Ok(leaves)
    }

    /// The proof that the tree of `old` entries is a prefix of this one, made of tiles that are proven themselves: if it
    /// does not hold for the old root, the two roots contradict each other.
    pub async fn consistency(&self, old: u64) -> Result<Vec<Hash>, Fault> {
        // every node of the proof is beside the way from the root to the last entry of the old tree, or at the edge
        self.reach(old.saturating_sub(1) / FULL as u64).await?;
        let climb = self.climb();
        proof::consistency(old, self.target.size, |node: Node| {
            let id = node.tile(self.target.size);
            let hash = climb.tile(id.level, id.n).and_then(|hashes| node.hash_in(hashes));
            hash.ok_or_else(|| beyond(id.level, id.n))
        })
    }

    /// Fetches and proves the tiles from the edge down to bundle `n`.
    async fn reach(&self, n: u64) -> Result<(), Fault> {
        let needed = self.climb().needed(n, n + 1);
        let fetched = try_join_all(needed.iter().map(|id| self.client.tile(&self.origin, *id))).await?;
        let mut climb = self.climb();
        for (id, hashes) in needed.into_iter().zip(fetched) {
            let bytes = tile::encode_hashes(&hashes);
            climb.prove(id, hashes).map_err(|_| Fault::Tile { id, bytes, note: self.target.note.clone() })?;
        }
        Ok(())
    }

    fn climb(&self) -> MutexGuard<'_, Climb> {
        self.climb.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn beyond(level: u8, n: u64) -> Fault {
    Fault::Damaged(format!("tile {level}/{n} is beyond the tree"))
}
