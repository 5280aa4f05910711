//! The proofs of a report's statements, out of the tiles that are stored.

use std::collections::{BTreeMap, HashMap};

use super::Around;
use super::quote::Quotes;
use crate::log::proof::{self, Node};
use crate::log::tile::tiles_at;
use crate::log::{Hash, TileId};
use crate::report::Source;
use crate::report::evidence::{Entry, ProvenLog};
use crate::statement::NodeId;
use crate::store::{Db, Head, LogRow, StoreError};

/// What is behind a quotation.
pub(super) struct Behind {
    /// Whose statement it is.
    pub node: NodeId,
    /// Log and index, below that log's complete checkpoint; None: only its signature was verified.
    pub place: Option<(i64, u64)>,
    /// The statement.
    pub jws: String,
}

impl Quotes<'_> {
    /// All that was quoted, by log, with proofs.
    pub async fn sources(&self, around: &Around) -> Result<Vec<Source>, StoreError> {
        let mut proven: BTreeMap<i64, Vec<(u64, &str)>> = BTreeMap::new();
        let mut signed: BTreeMap<&NodeId, Vec<Entry>> = BTreeMap::new();
        for behind in self.behind.values() {
            match behind.place {
                Some((log, index)) => proven.entry(log).or_default().push((index, &behind.jws)),
                None => signed.entry(&behind.node).or_default().push(Entry::new(0, &[], &behind.jws)),
            }
        }
        let mut sources = Vec::new();
        for log in &around.logs {
            let (Some(mut statements), Some(head)) = (proven.remove(&log.id), log.complete.as_ref()) else { continue };
            statements.sort_unstable();
            sources.push(source(self.db, log, head, &statements).await?);
        }
        for (node, statements) in signed {
            let peer = around.peers.iter().find(|peer| peer.node == *node);
            let descriptors = peer.map(|peer| Entry::new(0, &[], &peer.descriptor)).into_iter().collect();
            sources.push(Source { node: node.clone(), log: None, descriptors, statements });
        }
        Ok(sources)
    }
}

async fn source(db: &Db, log: &LogRow, head: &Head, statements: &[(u64, &str)]) -> Result<Source, StoreError> {
    let mut prover = Prover { db, log, size: head.size, tiles: HashMap::new() };
    let descriptors = db.descriptors(log.id).await?;
    let descriptors = descriptors.iter().map(|(index, jws)| (*index, jws.as_str()));
    let descriptors: Vec<_> = descriptors.filter(|(index, _)| *index < head.size).collect();
    Ok(Source {
        node: log.origin.node.clone(),
        log: Some(ProvenLog { origin: log.origin.clone(), checkpoint: head.note.clone() }),
        descriptors: prover.entries(&descriptors).await?,
        statements: prover.entries(statements).await?,
    })
}

/// Proves entries of a log in its tree of some size, reading each tile once.
struct Prover<'a> {
    db: &'a Db,
    log: &'a LogRow,
    size: u64,
    tiles: HashMap<(u8, u64), Vec<Hash>>,
}

impl Prover<'_> {
    async fn entries(&mut self, statements: &[(u64, &str)]) -> Result<Vec<Entry>, StoreError> {
        let mut entries = Vec::with_capacity(statements.len());
        for (index, jws) in statements {
            entries.push(Entry::new(*index, &self.inclusion(*index).await?, jws));
        }
        Ok(entries)
    }

    async fn inclusion(&mut self, index: u64) -> Result<Vec<Hash>, StoreError> {
        for node in proof::inclusion_nodes(index, self.size) {
            let id = node.tile(self.log.size);
            if !self.tiles.contains_key(&(id.level, id.n)) {
                let hashes = self.tile(id).await?;
                self.tiles.insert((id.level, id.n), hashes);
            }
        }
        proof::inclusion(index, self.size, |node: Node| {
            let id = node.tile(self.log.size);
            let hash = self.tiles.get(&(id.level, id.n)).and_then(|hashes| node.hash_in(hashes));
            hash.ok_or_else(|| StoreError::Corrupt(format!("{}: tile {id} is not stored", self.log.origin)))
        })
    }

    /// Full tiles are stored, the partial ones are the log's edge.
    async fn tile(&self, id: TileId) -> Result<Vec<Hash>, StoreError> {
        if id.n == tiles_at(self.log.size, id.level).0 {
            return Ok(self.log.edge.level(id.level).to_vec());
        }
        Ok(self.db.tile(self.log.id, id.level, id.n).await?.unwrap_or_default())
    }
}
