//! A log told over the peer interface by a node that may lie about it, one lie at a time. What it serves is made from
//! plain entries and bodies, by other code than the node's own.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::stream;
use http::{HeaderMap, StatusCode};
use kaopu::log::{Checkpoint, Class, Entry, Hash, Origin, TileId, merkle, tile};
use kaopu::statement::{Audience, Digest, SigningKey, Suite, Verified};

/// What is not true about what is served.
#[derive(Clone, Debug, PartialEq)]
pub enum Lie {
    /// The checkpoint has another root.
    Root,
    /// The checkpoint is signed by a key that is not the log's.
    Key,
    /// The log's key seems to sign, but the signature is another.
    Signature,
    /// The checkpoint is of another log.
    OtherLog,
    /// The checkpoint has more entries than a log can have.
    Size,
    /// The checkpoint is no note at all.
    Note,
    /// A tile has one bit turned.
    Tile,
    /// A tile is a hash short.
    ShortTile,
    /// A bundle names other entries.
    Bundle,
    /// A bundle's lengths run past its end.
    BundleLengths,
    /// Two bodies have changed places.
    Swapped,
    /// One body is missing.
    Lines,
    /// Bodies are not UTF-8.
    NotText,
    /// Open bodies are kept back.
    Withheld,
    /// Bodies are said to be erased.
    Erased,
    /// A bundle of bodies of more than 17 MiB.
    Long,
    /// A bundle of bodies that never ends.
    Endless,
    /// A bundle of bodies of which nothing more comes after a while.
    Slow,
    /// A little zstd that unpacks to very much.
    Bomb,
    /// zstd that is none.
    NotZstd,
    /// Every answer is a failure.
    Broken,
    /// Come back later.
    Later,
}

/// A log and the lie that is told about it.
pub struct Tale {
    /// Which log.
    pub origin: Origin,
    /// The key that signs its checkpoints.
    pub log_key: SigningKey,
    /// Entries and bodies.
    pub told: Vec<(Entry, String)>,
    /// The lie.
    pub lie: Option<Lie>,
}

impl Tale {
    /// A log of these statements.
    pub fn new(origin: Origin, log_key: SigningKey, statements: &[Verified]) -> Self {
        let mut tale = Self { origin, log_key, told: Vec::new(), lie: None };
        tale.tell(statements);
        tale
    }

    /// Appends statements as they should be.
    pub fn tell(&mut self, statements: &[Verified]) {
        for verified in statements {
            let class = match verified.statement().aud {
                Audience::Everyone => Class::Open,
                Audience::Named(_) => Class::Addressed,
            };
            self.tell_as(class, verified.jws());
        }
    }

    /// Appends any text under any class.
    pub fn tell_as(&mut self, class: Class, body: &str) {
        self.told.push((Entry { class, digest: Digest::of(body.as_bytes()) }, body.to_owned()));
    }

    fn entries(&self) -> Vec<Entry> {
        self.told.iter().map(|(entry, _)| *entry).collect()
    }

    fn note(&self) -> String {
        let entries = self.entries();
        let mut checkpoint =
            Checkpoint { origin: self.origin.clone(), size: entries.len() as u64, root: root(&entries) };
        match self.lie {
            Some(Lie::Root) => checkpoint.root[0] ^= 1,
            Some(Lie::Size) => checkpoint.size = 1 << 60,
            Some(Lie::OtherLog) => checkpoint.origin.generation += 1,
            Some(Lie::Key) => {
                let stranger = SigningKey::from_seed(Suite::EdDsa, &[99; 32]).unwrap();
                return checkpoint.sign(&stranger).unwrap();
            }
            Some(Lie::Note) => return "no note".to_owned(),
            _ => {}
        }
        let note = checkpoint.sign(&self.log_key).unwrap();
        if self.lie == Some(Lie::Signature) { break_signature(&note) } else { note }
    }
}

/// Serves the tale. The checkpoint is never held open: whoever asks again is told at once.
pub fn routes(tale: Arc<Mutex<Tale>>) -> Router {
    Router::new()
        .route("/v1/descriptor", get(descriptor))
        .route("/v1/logs/{log}/checkpoint", get(checkpoint))
        .route("/v1/logs/{log}/tile/{*tile}", get(tile_of))
        .route("/v1/logs/{log}/tile/entries/{*bundle}", get(bundle))
        .route("/v1/logs/{log}/statements/{*bundle}", get(statements))
        .with_state(tale)
}

type Told = State<Arc<Mutex<Tale>>>;

/// The node's descriptor: entry 0, about which there is no lie.
async fn descriptor(State(tale): Told) -> Response {
    tale.lock().unwrap().told[0].1.clone().into_response()
}

async fn checkpoint(State(tale): Told, Path(log): Path<String>, headers: HeaderMap) -> Response {
    let (note, hash, lie) = {
        let tale = tale.lock().unwrap();
        (tale.note(), tale.origin.hash(), tale.lie.clone())
    };
    match lie {
        Some(Lie::Broken) => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Some(Lie::Later) => return (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "2")]).into_response(),
        _ if log != hash => return StatusCode::NOT_FOUND.into_response(),
        _ => {}
    }
    let etag = format!("\"{}\"", Digest::of(note.as_bytes()));
    if headers.get("if-none-match").is_some_and(|known| known.as_bytes() == etag.as_bytes()) {
        tokio::time::sleep(Duration::from_millis(20)).await;
        return StatusCode::NOT_MODIFIED.into_response();
    }
    ([("etag", etag)], note).into_response()
}

async fn tile_of(State(tale): Told, Path((_, path)): Path<(String, String)>) -> Response {
    let tale = tale.lock().unwrap();
    let id: TileId = path.parse().unwrap();
    let mut hashes = hashes(&tale.entries(), id);
    match tale.lie {
        Some(Lie::Tile) if id.level == 0 && id.n == 0 => hashes[7][7] ^= 1,
        Some(Lie::ShortTile) => drop(hashes.pop()),
        _ => {}
    }
    tile::encode_hashes(&hashes).into_response()
}

async fn bundle(State(tale): Told, Path((_, path)): Path<(String, String)>) -> Response {
    let tale = tale.lock().unwrap();
    let (mut told, first) = (tale.told.clone(), range(&path).start);
    if tale.lie == Some(Lie::Bundle) && first == 0 {
        told[3].0.digest = Digest::of(b"another");
    }
    let entries: Vec<Entry> = told[range(&path)].iter().map(|(entry, _)| *entry).collect();
    let mut bytes = tile::encode_bundle(&entries);
    if tale.lie == Some(Lie::BundleLengths) {
        bytes[0] = 0xff;
    }
    bytes.into_response()
}

async fn statements(State(tale): Told, Path((_, path)): Path<(String, String)>) -> Response {
    let tale = tale.lock().unwrap();
    let mut lines: Vec<String> = tale.told[range(&path)].iter().map(|(_, body)| body.clone()).collect();
    let text = |lines: Vec<String>| lines.join("\n") + "\n";
    match tale.lie {
        Some(Lie::Swapped) if lines.len() > 2 => lines.swap(1, 2),
        Some(Lie::Lines) => drop(lines.pop()),
        Some(Lie::NotText) => return [text(lines).into_bytes(), vec![0xff]].concat().into_response(),
        Some(Lie::Withheld) => lines.iter_mut().for_each(|line| "withheld".clone_into(line)),
        Some(Lie::Erased) => lines.iter_mut().for_each(|line| "erased".clone_into(line)),
        Some(Lie::Long) => return "x".repeat(17 * 1024 * 1024 + 1).into_response(),
        Some(Lie::Endless) => {
            let chunk = || Bytes::from(vec![b'x'; 64 * 1024]);
            return Body::from_stream(stream::repeat_with(move || Ok::<_, std::io::Error>(chunk()))).into_response();
        }
        Some(Lie::Slow) => {
            let begun = stream::once(async { Ok::<_, std::io::Error>(Bytes::from_static(b"x")) });
            return Body::from_stream(futures_util::StreamExt::chain(begun, stream::pending())).into_response();
        }
        Some(Lie::Bomb) => {
            let bomb = zstd::bulk::compress(&vec![b'x'; 64 << 20], 19).unwrap();
            return ([("content-encoding", "zstd")], bomb).into_response();
        }
        Some(Lie::NotZstd) => return ([("content-encoding", "zstd")], text(lines)).into_response(),
        _ => {}
    }
    text(lines).into_response()
}

fn range(path: &str) -> std::ops::Range<usize> {
    let (n, width) = tile::parse_bundle_path(path).unwrap();
    let first = usize::try_from(n).unwrap() * tile::FULL;
    first..first + usize::from(width)
}

fn hashes(entries: &[Entry], id: TileId) -> Vec<Hash> {
    let first = id.n * tile::FULL as u64;
    let one = |n: u64| match id.level {
        0 => entries[usize::try_from(n).unwrap()].leaf_hash(),
        level => merkle::root_of(&hashes(entries, TileId { level: level - 1, n, width: tile::FULL as u16 })),
    };
    (first..first + u64::from(id.width)).map(one).collect()
}

fn root(entries: &[Entry]) -> Hash {
    merkle::root_of(&entries.iter().map(Entry::leaf_hash).collect::<Vec<_>>())
}

/// Turns one bit of the signature, behind the key id that says whose it is.
fn break_signature(note: &str) -> String {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    let (rest, signature) = note.trim_end().rsplit_once(' ').unwrap();
    let mut bytes = STANDARD.decode(signature).unwrap();
    bytes[10] ^= 1;
    format!("{rest} {}\n", STANDARD.encode(bytes))
}
