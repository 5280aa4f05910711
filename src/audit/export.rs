//! Exporting a log from the store to a folder.

use std::io;
use std::path::Path;

use super::folder::{Folder, Line};
use crate::log::climb::edge_tiles;
use crate::log::edge::FullTile;
use crate::log::tile::FULL;
use crate::log::{Edge, Origin, TileId};
use crate::store::statement::Body;
use crate::store::{Db, Head, StoreError};

/// Bundles read from the store at once.
const BUNDLES: u64 = 16;

/// Why a log was not exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// No such log, or nothing of it is complete yet.
    #[error("{0} has no entries in this store that its checkpoint stands for")]
    Nothing(Origin),
    /// The folder is in use.
    #[error("{0} is not an empty folder")]
    NotEmpty(String),
    /// The store holds another log than its own checkpoint says: it is damaged.
    #[error("the store's entries of {0} are not those of its checkpoint")]
    Damaged(Origin),
    /// A file cannot be written.
    #[error("cannot write to the folder: {0}")]
    Write(#[from] io::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Exports a log as it stands at its newest complete checkpoint, bodies included, to an empty or new folder. `tell` hears of
/// (entries done, entries in all).
///
/// The checkpoint is written last: what a crash leaves behind has none, and is not taken for an exported log.
pub async fn export(
    db: &Db,
    origin: &Origin,
    folder: &Path,
    tell: &mut (dyn FnMut(u64, u64) + Send),
) -> Result<Head, ExportError> {
    let log = db.log(origin).await?.ok_or_else(|| ExportError::Nothing(origin.clone()))?;
    let head = log.complete.ok_or_else(|| ExportError::Nothing(origin.clone()))?;
    if std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(ExportError::NotEmpty(folder.display().to_string()));
    }
    let folder = Folder::at(folder);
    let (mut edge, mut full) = (Edge::default(), Vec::new());
    while edge.size() < head.size {
        let first = edge.size();
        let count = (head.size - first).min(BUNDLES * FULL as u64);
        let rows = db.statements(log.id, first, count).await?;
        if rows.len() as u64 != count {
            return Err(ExportError::Damaged(origin.clone()));
        }
        for (n, bundle) in (first / FULL as u64..).zip(rows.chunks(FULL)) {
            bundle.iter().for_each(|row| edge.push(row.entry.leaf_hash(), &mut full));
            let entries: Vec<_> = bundle.iter().map(|row| row.entry).collect();
            let bodies: Vec<_> = bundle.iter().map(|row| line(&row.body)).collect();
            folder.write_bundle(n, &entries, &bodies)?;
        }
        for FullTile { level, n, hashes } in full.drain(..) {
            folder.write_tile(TileId { level, n, width: FULL as u16 }, &hashes)?;
        }
        tell(edge.size(), head.size);
    }
    for id in edge_tiles(head.size) {
        folder.write_tile(id, edge.level(id.level))?;
    }
    if edge.root() != head.root {
        return Err(ExportError::Damaged(origin.clone()));
    }
    folder.write_checkpoint(&head.note)?;
    Ok(head)
}

fn line(body: &Body) -> Line<'_> {
    match body {
        Body::Here(jws) => Line::Body(jws),
        Body::Withheld => Line::Withheld,
        Body::Erased => Line::Erased,
    }
}
