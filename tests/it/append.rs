//! The one transaction that grows a log, on both databases.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};

use kaopu::statement::Digest;
use kaopu::store::append::{Early, Stored};
use kaopu::store::statement::Body;
use kaopu::store::upload::{Counts, UploadStep};
use kaopu::store::{AppendError, Db, NewEntry};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tokio::runtime::Handle;

use crate::database::on_both;
use crate::growth::{again, append, entry, event, log, statement, version};

/// What a version says it replaces.
#[derive(Clone, Copy, Debug)]
enum Prev {
    None,
    Current,
    Older,
    Unknown,
}

fn batches() -> impl Strategy<Value = Vec<Vec<(u8, Prev)>>> {
    let prev = prop_oneof![
        4 => Just(Prev::Current),
        1 => Just(Prev::None),
        1 => Just(Prev::Older),
        1 => Just(Prev::Unknown),
    ];
    prop::collection::vec(prop::collection::vec((0..6_u8, prev), 1..8), 1..8)
}

/// Plays batches against the store and against lists in memory.
async fn play(db: &Db, origin: &str, batches: &[Vec<(u8, Prev)>]) {
    let mut row = log(db, origin, true).await;
    let mut histories: HashMap<u8, Vec<Digest>> = HashMap::new();
    let mut salt = 0;
    for batch in batches {
        let (mut next, mut entries, mut superseded) = (histories.clone(), Vec::new(), Vec::new());
        for (position, (identity, prev)) in batch.iter().enumerate() {
            let history = next.entry(*identity).or_default();
            let prev = match prev {
                Prev::None => None,
                Prev::Current => history.last().copied(),
                Prev::Older => history.iter().rev().nth(1).copied(),
                Prev::Unknown => Some(Digest([0xee; 32])),
            };
            salt += 1;
            let statement = statement(&row.origin, "penalty", salt, prev);
            if prev != history.last().copied() {
                superseded.push(position);
            } else {
                history.push(statement.digest());
            }
            entries.push(entry(version(statement, *identity, salt as u8)));
        }
        match append(db, &row, &entries, &[]).await {
            Ok(grown) => {
                assert!(superseded.is_empty(), "{batch:?}");
                (row, histories) = (grown, next);
            }
            Err(AppendError::Superseded(positions)) => {
                assert!(!positions.is_empty());
                // it names at least one that is in the way, and none that is good but for those before it
                let first = superseded.first().copied().expect("nothing was in the way");
                assert!(positions.iter().all(|position| *position >= first), "{positions:?} of {superseded:?}");
                assert_eq!(again(db, &row).await.size, row.size, "nothing of the batch may stay");
            }
            Err(other) => panic!("{other}"),
        }
    }
    let identities: Vec<[u8; 32]> = (0..6).map(|identity| [identity; 32]).collect();
    let current = db.current(&row.origin.node, "penalty", &identities).await.unwrap();
    let expected: HashMap<[u8; 32], Digest> =
        histories.iter().filter_map(|(identity, history)| Some(([*identity; 32], *history.last()?))).collect();
    assert_eq!(current.iter().map(|(identity, it)| (*identity, it.digest)).collect::<HashMap<_, _>>(), expected);
    assert_eq!(row.size, histories.values().map(|history| history.len() as u64).sum::<u64>());
}

on_both! {
    async fn a_record_has_one_current_version_whatever_is_tried(database: Database) {
        let db = database.open().await;
        let cases = AtomicU32::new(0);
        tokio::task::block_in_place(|| {
            TestRunner::new(Config { cases: 48, failure_persistence: None, ..Config::default() })
                .run(&batches(), |batches| {
                    let case = cases.fetch_add(1, Ordering::Relaxed);
                    let origin = format!("kaopu/340500.c{case}/records/1");
                    Handle::current().block_on(play(&db, &origin, &batches));
                    Ok(())
                })
                .unwrap();
        });
    }

    async fn what_was_appended_is_found_by_place_digest_subject_and_name(database: Database) {
        let db = database.open().await;
        let row = log(&db, "kaopu/340500/records/1", true).await;
        let first = statement(&row.origin, "penalty", 1, None);
        let second = statement(&row.origin, "penalty", 8, Some(first.digest()));
        let held = statement(&row.origin, "tomorrow", 15, None);
        let entries = [
            entry(version(first.clone(), 1, 1)),
            entry(version(second.clone(), 1, 2)),
            entry(event(statement(&row.origin, "descriptor", 2, None))),
            entry(Stored::Held(held.clone(), Early { why: "kind tomorrow is not known here".to_owned(), identity: None })),
            entry(Stored::Refused("neither\0 a JWS".to_owned(), "not a compact JWS".to_owned())),
            entry(Stored::Withheld),
        ];
        let grown = append(&db, &row, &entries, &[]).await.unwrap();
        assert_eq!((grown.size, grown.descriptor, grown.max_iat), (6, Some(2), 1_800_000_000));
        assert_eq!(grown.head.as_ref().unwrap().root, grown.edge.root());
        let read = db.entries(row.id, 0, 100).await.unwrap();
        assert_eq!(read, entries.iter().map(|new| new.entry).collect::<Vec<_>>());
        assert_eq!(db.entries(row.id, 4, 1).await.unwrap(), [entries[4].entry]);

        let statements = db.statements(row.id, 0, 100).await.unwrap();
        let verdicts: Vec<&str> = statements.iter().map(|row| row.verdict.as_str()).collect();
        let held_because = "held: kind tomorrow is not known here";
        assert_eq!(
            verdicts,
            ["accepted", "accepted", "accepted", held_because, "refused: not a compact JWS", "unread"]
        );
        assert_eq!(statements[1].body, Body::Here(second.jws().to_owned()));
        assert_eq!(statements[4].body, Body::Here("neither\0 a JWS".to_owned()));
        assert_eq!(statements[5].body, Body::Withheld);

        let found = db.find(&second.digest()).await.unwrap();
        assert_eq!(found.iter().map(|row| (row.log, row.index)).collect::<Vec<_>>(), [(row.id, 1)]);
        assert_eq!(db.descriptors(row.id).await.unwrap().len(), 1);

        let subject = first.statement().sub.as_ref().unwrap();
        let about = db.about(&subject.key(), 100).await.unwrap();
        let about: Vec<(u64, bool)> = about.iter().map(|(row, current)| (row.index, *current)).collect();
        assert_eq!(about, [(0, false), (1, true)], "held statements do not count yet");
        for text in ["示例(1)", "示例（１", "1）有限", "(1)有限公司"] {
            let named = db.subjects_named(text, 10).await.unwrap();
            assert_eq!(named.len(), 1, "{text}");
            assert_eq!((&named[0].key, named[0].name.as_str()), (&subject.key(), subject.name()));
        }
        assert!(db.subjects_named("%", 10).await.unwrap().is_empty());

        assert_eq!(db.held(row.id, 0, 10).await.unwrap().len(), 1);
        db.settle(row.id, 3, &version(held.clone(), 2, 1)).await.unwrap();
        db.settle(row.id, 3, &Stored::Refused(held.jws().to_owned(), "late".to_owned())).await.unwrap();
        assert!(db.held(row.id, 0, 10).await.unwrap().is_empty());
        assert_eq!(db.about(&subject.key(), 100).await.unwrap().len(), 3);

        // the limit is each log's own: one that says much about a subject does not hide the others
        let other = log(&db, "kaopu/341200/records/1", true).await;
        let theirs = statement(&other.origin, "penalty", 99, None);
        assert_eq!(theirs.statement().sub.as_ref(), Some(subject));
        append(&db, &other, &[entry(version(theirs, 9, 9))], &[]).await.unwrap();
        let newest = db.about(&subject.key(), 1).await.unwrap();
        let newest: Vec<(i64, u64)> = newest.iter().map(|(row, _)| (row.log, row.index)).collect();
        assert_eq!(newest, [(row.id, 3), (other.id, 0)]);
        let current = db.current(&row.origin.node, "tomorrow", &[[2; 32]]).await.unwrap();
        assert_eq!(current[&[2; 32]].digest, held.digest());
    }

    async fn of_two_that_read_the_same_log_one_appends(database: Database) {
        let db = database.open().await;
        let row = log(&db, "kaopu/340500/records/1", true).await;
        let entries = |salt: u64| -> Vec<NewEntry> {
            (0..50).map(|n| entry(event(statement(&row.origin, "receipt", salt + n, None)))).collect()
        };
        let (one, other) = (entries(0), entries(1000));
        let (a, b) = tokio::join!(append(&db, &row, &one, &[]), append(&db, &row, &other, &[]));
        match (&a, &b) {
            (Ok(grown), Err(AppendError::Moved)) | (Err(AppendError::Moved), Ok(grown)) => assert_eq!(grown.size, 50),
            _ => panic!("{a:?} {b:?}"),
        }
    }

    async fn a_step_of_an_upload_and_its_statements_go_in_together(database: Database) {
        let db = database.open().await;
        let row = log(&db, "kaopu/340500/records/1", true).await;
        let upload = db.begin_upload(&crate::store::upload("a", None)).await.unwrap();
        let step = UploadStep {
            upload: upload.id,
            from_row: 0,
            next_row: 1,
            counts: Counts { read: 1, published: 1, ..Counts::default() },
            ..UploadStep::default()
        };
        let one = [entry(event(statement(&row.origin, "penalty", 1, None)))];
        let grown = append(&db, &row, &one, std::slice::from_ref(&step)).await.unwrap();
        let two = [entry(event(statement(&row.origin, "penalty", 2, None)))];
        let again_taken = append(&db, &grown, &two, &[step]).await;
        assert!(matches!(again_taken, Err(AppendError::Overtaken(positions)) if positions == [0]));
        assert_eq!(again(&db, &row).await.size, 1);
        assert_eq!(db.upload(upload.id).await.unwrap().unwrap().counts.published, 1);
    }

    async fn full_tiles_are_kept_and_a_frozen_log_takes_nothing(database: Database) {
        let db = database.open().await;
        let mut row = log(&db, "kaopu/340500/records/1", true).await;
        let entries: Vec<NewEntry> =
            (0..600).map(|n| entry(version(statement(&row.origin, "penalty", n, None), n as u8, 0))).collect();
        // identities repeat after 256: those are chains without `prev`
        assert!(matches!(append(&db, &row, &entries, &[]).await, Err(AppendError::Superseded(p)) if p.len() == 344));
        row = append(&db, &row, &entries[..256], &[]).await.unwrap();
        let events: Vec<NewEntry> =
            (0..344).map(|n| entry(event(statement(&row.origin, "penalty", 1000 + n, None)))).collect();
        row = append(&db, &row, &events, &[]).await.unwrap();
        assert_eq!(row.size, 600);
        let leaves: Vec<_> = db.entries(row.id, 256, 256).await.unwrap().iter().map(|e| e.leaf_hash()).collect();
        assert_eq!(db.tile(row.id, 0, 1).await.unwrap().unwrap(), leaves);
        assert_eq!(db.tile(row.id, 0, 2).await.unwrap(), None);
        db.freeze(row.id, "a fork", b"proof", 1).await.unwrap();
        assert!(matches!(append(&db, &row, &events[..1], &[]).await, Err(AppendError::Moved)));
    }
}
