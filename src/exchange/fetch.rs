//! Bundles and bodies of a tree, each proven: the entries by their tile, the bodies by their entries.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::{Stream, StreamExt as _, stream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::Fault;
use super::client::Line;
use super::prove::Tiles;
use super::source::{Server, Source};
use crate::log::tile::{self, FULL};
use crate::log::{Class, Entry, Hash, Origin};

/// Entries that go into one transaction, at most.
pub const CHUNK_ENTRIES: usize = 4096;
/// Bytes of bodies at which a chunk is closed, however few entries they are.
const CHUNK_BYTES: usize = 8 << 20;
/// Bundles under way at once: a chunk's worth, so that the next one is there when the last is judged, however long the line.
const AT_ONCE: usize = 16;
/// Mebibytes of bodies that one feed holds while they are under way.
const ROOM: u32 = 32;
/// The longest bundle of bodies, in mebibytes.
const LONGEST: u32 = (super::client::MAX_STATEMENTS >> 20) as u32;

/// Consecutive entries with their bodies, all proven but for the statements themselves.
pub struct Chunk {
    /// Index of the first.
    pub first: u64,
    /// What the log commits to, and the body that came with it.
    pub entries: Vec<(Entry, Line)>,
    /// Their leaf hashes.
    pub leaves: Vec<Hash>,
}

/// Sends the entries from `from` to the end of the tree, in chunks and in order. What came before a fault is still sent.
pub async fn into_chunks(
    source: Source,
    origin: Origin,
    tiles: Arc<Tiles>,
    from: u64,
    chunks: mpsc::Sender<Chunk>,
) -> Result<(), Fault> {
    let mut bundles = std::pin::pin!(bundles(source, origin, tiles, from));
    let mut chunk = Chunk { first: from, entries: Vec::new(), leaves: Vec::new() };
    let mut bytes = 0;
    let mut fault = None;
    while let Some(bundle) = bundles.next().await {
        let bundle = match bundle {
            Ok(bundle) => bundle,
            Err(error) => {
                fault = Some(error);
                break;
            }
        };
        bytes += bundle.bytes;
        chunk.entries.extend(bundle.entries);
        chunk.leaves.extend(bundle.leaves);
        if chunk.entries.len() + FULL > CHUNK_ENTRIES || bytes >= CHUNK_BYTES {
            let next =
                Chunk { first: chunk.first + chunk.entries.len() as u64, entries: Vec::new(), leaves: Vec::new() };
            if chunks.send(std::mem::replace(&mut chunk, next)).await.is_err() {
                return Ok(()); // a later stage has failed, and says why
            }
            bytes = 0;
        }
    }
    if !chunk.entries.is_empty() && chunks.send(chunk).await.is_err() {
        return Ok(());
    }
    fault.map_or(Ok(()), Err)
}

struct Bundle {
    entries: Vec<(Entry, Line)>,
    leaves: Vec<Hash>,
    bytes: usize,
    _room: OwnedSemaphorePermit,
}

/// The bundles that hold the entries from `from` on, several under way at once, in order.
fn bundles(source: Source, origin: Origin, tiles: Arc<Tiles>, from: u64) -> impl Stream<Item = Result<Bundle, Fault>> {
    let size = tiles.target().size;
    let room = Arc::new(Semaphore::new(ROOM as usize));
    // what the next bundle will take, judged by the last: so the room holds many short ones or two of the longest
    let expected = Arc::new(AtomicU32::new(1));
    stream::iter(from / FULL as u64..size.div_ceil(FULL as u64))
        .map(move |n| {
            let (source, origin, tiles) = (source.clone(), origin.clone(), Arc::clone(&tiles));
            let (room, expected) = (Arc::clone(&room), Arc::clone(&expected));
            async move {
                let take = expected.load(Ordering::Relaxed);
                let closed = |_| Fault::Stopped("shutting down".to_owned());
                let room = room.acquire_many_owned(take).await.map_err(closed)?;
                let bundle = bundle(&source, &origin, &tiles, n, from, room).await?;
                let mebibytes = u32::try_from(bundle.bytes >> 20).unwrap_or(LONGEST) + 1;
                expected.store(mebibytes.min(LONGEST), Ordering::Relaxed);
                Ok(bundle)
            }
        })
        .buffered(AT_ONCE)
}

/// One bundle: tile, entries and bodies asked for at once, then held against each other.
async fn bundle(
    source: &Source,
    origin: &Origin,
    tiles: &Tiles,
    n: u64,
    from: u64,
    room: OwnedSemaphorePermit,
) -> Result<Bundle, Fault> {
    let target = tiles.target();
    let (full, partial) = tile::tiles_at(target.size, 0);
    let width = if n < full { FULL as u16 } else { partial };
    let (leaves, entries, lines) = tokio::try_join!(
        tiles.leaves(n),
        source.client.bundle(origin, n, width),
        source.client.statements(origin, n, width),
    )?;

    let first = n * FULL as u64;
    for (index, (entry, leaf)) in (first..).zip(entries.iter().zip(leaves.iter())) {
        if entry.leaf_hash() != *leaf {
            return Err(Fault::Entry { index, note: target.note.clone() });
        }
    }
    for (index, (entry, line)) in (first..).zip(entries.iter().zip(&lines)) {
        match line {
            Line::Withheld if entry.class == Class::Open => return Err(Fault::Withheld(index)),
            // a mirror may not have what the owner would give to this node, so the owner is waited for
            Line::Withheld if source.server == Server::Mirror => return Err(Fault::NotHeld),
            // an erasure is proven by its statement, which this version does not know yet
            Line::Erased => return Err(Fault::Erased(index)),
            _ => {}
        }
    }
    let known = usize::try_from(from.saturating_sub(first)).unwrap_or(0);
    let bytes = lines.iter().map(|line| if let Line::Body(jws) = line { jws.len() } else { 0 }).sum();
    Ok(Bundle {
        entries: entries.into_iter().zip(lines).skip(known).collect(),
        leaves: leaves.iter().skip(known).copied().collect(),
        bytes,
        _room: room,
    })
}
