//! Checks every log of a store anew, from its rows alone: what must hold after whatever happened to it.

use std::collections::HashMap;

use kaopu::log::{Checkpoint, Edge};
use kaopu::statement::{Digest, Kinds, Unverified};
use kaopu::store::statement::Body;
use kaopu::store::{Db, LogRow};
use kaopu::trust::descriptor::Descriptor;

/// Checks all logs.
pub async fn check(db: &Db) {
    for log in db.logs().await.unwrap() {
        check_log(db, &log).await;
    }
}

/// Entries without a gap that hash to the root and the tiles, under a checkpoint that the log's key signed; statements
/// that are what their entries say; of each record one current version, at the end of an unbroken chain.
async fn check_log(db: &Db, log: &LogRow) {
    let name = &log.origin;
    let entries = db.entries(log.id, 0, u64::MAX).await.unwrap();
    assert_eq!(entries.len() as u64, log.size, "{name}: entries and size");
    let (mut edge, mut tiles) = (Edge::default(), Vec::new());
    for entry in &entries {
        edge.push(entry.leaf_hash(), &mut tiles);
    }
    assert_eq!(edge, log.edge, "{name}: the edge as stored");
    for tile in tiles {
        let stored = db.tile(log.id, tile.level, tile.n).await.unwrap();
        assert_eq!(stored.as_ref(), Some(&tile.hashes), "{name}: tile {} {}", tile.level, tile.n);
    }
    if let Some(complete) = &log.complete {
        assert_eq!((complete.size, complete.root), (log.size, edge.root()), "{name}: the complete checkpoint");
    }
    if log.own {
        assert_eq!(log.head, log.complete, "{name}: head");
    }
    let Some((_, jws)) = db.descriptors(log.id).await.unwrap().pop() else { return };
    let (_, descriptor) = Descriptor::open(&jws).unwrap();
    if let Some(head) = &log.head {
        let opened = Checkpoint::open(&head.note, name, &descriptor.log_keys(name)).unwrap();
        assert_eq!((opened.size, opened.root), (head.size, head.root), "{name}: the signed checkpoint");
    }
    check_statements(db, log).await;
}

async fn check_statements(db: &Db, log: &LogRow) {
    let name = &log.origin;
    let kinds = Kinds::builtin().unwrap();
    let mut last: HashMap<(String, [u8; 32]), Digest> = HashMap::new();
    let mut first = 0;
    while first < log.size {
        let rows = db.statements(log.id, first, 4096).await.unwrap();
        first += rows.len() as u64;
        for row in rows {
            let Body::Here(jws) = &row.body else { continue };
            assert_eq!(Digest::of(jws.as_bytes()), row.entry.digest, "{name}: body {}", row.index);
            if row.verdict != "accepted" {
                continue;
            }
            let unverified = Unverified::parse(jws).unwrap();
            let statement = unverified.statement();
            let Some(identity) = kinds.find(&statement.typ).and_then(|kind| kind.identity_of(statement)) else {
                continue;
            };
            let key = (statement.typ.kind.clone(), identity);
            assert_eq!(last.get(&key).copied(), statement.prev, "{name}: prev of {}", row.index);
            last.insert(key, row.entry.digest);
        }
    }
    for ((kind, identity), digest) in last {
        let current = db.current(&name.node, &kind, &[identity]).await.unwrap();
        assert_eq!(current.get(&identity).map(|current| current.digest), Some(digest), "{name}: current version");
    }
}
