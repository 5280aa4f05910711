//! The tree that the entries make, held against the tiles of the folder and the checkpoint.

use super::fault::{Fault, Wrong};
use super::folder::Folder;
use crate::log::climb::edge_tiles;
use crate::log::{Checkpoint, Edge, Hash, TileId};

/// The tree, growing bundle by bundle.
pub struct Tree<'a> {
    folder: &'a Folder,
    edge: Edge,
    /// Leaves are missing: nothing more can be said.
    broken: bool,
}

impl<'a> Tree<'a> {
    /// The empty tree of a folder.
    pub fn new(folder: &'a Folder) -> Self {
        Self { folder, edge: Edge::default(), broken: false }
    }

    /// Takes the leaves of the next bundle, and holds the tiles above it that become full against the folder's.
    pub fn grow(&mut self, leaves: Option<&[Hash]>, faults: &mut Vec<Fault>) {
        let Some(leaves) = leaves.filter(|_| !self.broken) else {
            self.broken = true;
            return;
        };
        let mut full = Vec::new();
        leaves.iter().for_each(|leaf| self.edge.push(*leaf, &mut full));
        // tiles of level 0 were held against their bundles
        for tile in full.into_iter().filter(|tile| tile.level > 0) {
            self.compare(TileId { level: tile.level, n: tile.n, width: 256 }, &tile.hashes, faults);
        }
    }

    /// Holds the partial tiles and the root of the whole tree against folder and checkpoint.
    pub fn finish(&self, checkpoint: &Checkpoint, faults: &mut Vec<Fault>) {
        if self.broken || self.edge.size() != checkpoint.size {
            return; // what is missing was named
        }
        for id in edge_tiles(checkpoint.size).into_iter().filter(|id| id.level > 0) {
            self.compare(id, self.edge.level(id.level), faults);
        }
        if self.edge.root() != checkpoint.root {
            faults.push(Fault::of_log(Wrong::Root(checkpoint.origin.clone())));
        }
    }

    fn compare(&self, id: TileId, hashes: &[Hash], faults: &mut Vec<Fault>) {
        match self.folder.tile(id) {
            Ok(bytes) if bytes == hashes.as_flattened() => {}
            Ok(_) => faults.push(Fault::of_log(Wrong::Tile(id))),
            Err(error) => faults.push(Fault::of_log(error)),
        }
    }
}
