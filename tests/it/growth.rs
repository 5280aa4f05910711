//! Statements to store, and logs that grow by them, for tests that need no schema: the store takes what was judged.

use std::sync::LazyLock;

use kaopu::log::judge::class_of;
use kaopu::log::{Entry, Origin};
use kaopu::statement::envelope::sign;
use kaopu::statement::{Audience, Digest, Salt, SigningKey, Statement, Subject, Suite, Typ, Verified};
use kaopu::store::append::{Projection, RecordKey, Stored};
use kaopu::store::upload::UploadStep;
use kaopu::store::{Append, AppendError, Db, Head, LogRow, NewEntry};
use rand::SeedableRng as _;
use rand::rngs::StdRng;

static KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::generate(Suite::EdDsa, &mut StdRng::seed_from_u64(7)));

/// The log of an origin, made if it is not there.
pub async fn log(db: &Db, origin: &str, own: bool) -> LogRow {
    db.create_log(&origin.parse().unwrap(), own).await.unwrap()
}

/// The log as it stands now.
pub async fn again(db: &Db, log: &LogRow) -> LogRow {
    db.log(&log.origin).await.unwrap().unwrap()
}

/// A statement of a log's owner about one subject; `salt` makes it unlike any other.
pub fn statement(origin: &Origin, kind: &str, salt: u64, prev: Option<Digest>) -> Verified {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&salt.to_be_bytes());
    let statement = Statement {
        typ: Typ::first(kind),
        iss: origin.node.clone(),
        iat: 1_800_000_000,
        aud: Audience::Everyone,
        salt: Salt(bytes),
        sub: Some(Subject::Named { name: format!("示例（{}）有限公司", salt % 7) }),
        prev,
        refs: Vec::new(),
        body: serde_json::Map::new(),
    };
    sign(statement, &KEY).unwrap()
}

/// Accepted, as the version of a record.
pub fn version(statement: Verified, identity: u8, content: u8) -> Stored {
    let record = Some(RecordKey { identity: [identity; 32], content: [content; 32] });
    let projection = projection(&statement, record);
    Stored::Accepted(statement, projection)
}

/// Accepted, as what is no record.
pub fn event(statement: Verified) -> Stored {
    let projection = projection(&statement, None);
    Stored::Accepted(statement, projection)
}

fn projection(statement: &Verified, record: Option<RecordKey>) -> Projection {
    let said = statement.statement();
    Projection {
        subject: said.sub.as_ref().map(|sub| (sub.key(), sub.name().to_owned())),
        record,
        prev: said.prev,
        refs: said.refs.clone(),
        about: None,
    }
}

/// An entry with what is stored of it.
pub fn entry(stored: Stored) -> NewEntry {
    let entry = match &stored {
        Stored::Accepted(verified, _) | Stored::Held(verified, _) | Stored::Superseded(verified, _) => {
            Entry { class: class_of(&verified.statement().aud), digest: verified.digest() }
        }
        Stored::Refused(jws, _) => Entry { class: class_of(&Audience::Everyone), digest: Digest::of(jws.as_bytes()) },
        Stored::Withheld | Stored::Erased => Entry { class: class_of(&Audience::Everyone), digest: Digest([9; 32]) },
    };
    NewEntry { entry, stored }
}

/// Appends to a log as it was read.
pub async fn append(
    db: &Db,
    log: &LogRow,
    entries: &[NewEntry],
    uploads: &[UploadStep],
) -> Result<LogRow, AppendError> {
    let mut edge = log.edge.clone();
    let mut tiles = Vec::new();
    for new in entries {
        edge.push(new.entry.leaf_hash(), &mut tiles);
    }
    let head = Head { size: edge.size(), root: edge.root(), note: "示例".to_owned(), seen_ms: 1 };
    let head = log.own.then_some(&head);
    let max_iat = 1_800_000_000;
    db.append(&Append {
        log,
        entries,
        edge: &edge,
        tiles: &tiles,
        head,
        uploads,
        exchanged: &[],
        said: &[],
        unvoided: None,
        max_iat,
        now_ms: 1,
    })
    .await?;
    Ok(again(db, log).await)
}

/// A penalty of a size as penalties have, the only version of its record.
pub fn penalty(origin: &Origin, n: u64) -> NewEntry {
    let mut body = serde_json::Map::new();
    for member in 0..20 {
        body.insert(format!("member{member}"), format!("示例 {n} {member}").into());
    }
    let subject =
        Subject::Enterprise { uscc: format!("91340500MA{:08}", n / 3), name: format!("示例{}有限公司", n / 3) };
    let mut salt = [0; 16];
    salt[..8].copy_from_slice(&n.to_be_bytes());
    let said = Statement {
        typ: Typ::first("penalty"),
        iss: origin.node.clone(),
        iat: 1_800_000_000,
        aud: Audience::Everyone,
        salt: Salt(salt),
        sub: Some(subject),
        prev: None,
        refs: Vec::new(),
        body,
    };
    let signed = sign(said, &KEY).unwrap();
    let key = RecordKey { identity: Digest::of(&n.to_be_bytes()).0, content: Digest::of(&n.to_le_bytes()).0 };
    let projection = projection(&signed, Some(key));
    entry(Stored::Accepted(signed, projection))
}
