//! The store, on both databases: logs and heads, peers, uploads.

use kaopu::log::Origin;
use kaopu::store::peer::PeerRow;
use kaopu::store::peer_state::PeerState;
use kaopu::store::quality::{Tallied, Tally};
use kaopu::store::upload::{Counts, FaultRow, UploadRow, UploadStep};
use kaopu::store::{Db, Head, LogState};

use crate::database::on_both;

fn origin(text: &str) -> Origin {
    text.parse().unwrap()
}

fn head(size: u64, root: u8) -> Head {
    Head { size, root: [root; 32], note: format!("note {size}"), seen_ms: 7 }
}

pub fn upload(digest: &str, department: Option<&str>) -> UploadRow {
    UploadRow {
        id: 0,
        digest: digest.to_owned(),
        file: "示例.csv".to_owned(),
        kind: "penalty".to_owned(),
        layout: "chinese".to_owned(),
        encoding: "GB18030".to_owned(),
        department: department.map(str::to_owned),
        operator: "示例".to_owned(),
        begun_ms: 1,
        finished_ms: None,
        next_row: 0,
        counts: Counts::default(),
        unknown_columns: vec!["备注二".to_owned()],
        hold: None,
    }
}

fn tallied(department: &str, rows: u64) -> Tallied {
    let tally = Tally {
        submitted: rows,
        valid: rows,
        unchanged: 2 * rows,
        required: 15 * rows,
        given: 14 * rows,
        first: rows,
        in_time: rows,
    };
    Tallied { month: "2026-06".into(), kind: "penalty".into(), department: department.into(), tally }
}

fn fault(row: u64, column: Option<&str>) -> FaultRow {
    FaultRow { row, column: column.map(str::to_owned), code: "E101".to_owned(), message: "必填项为空".to_owned() }
}

fn peer(node: &str, sequence: u64, descriptor: &str) -> PeerRow {
    PeerRow::new(node.parse().unwrap(), PeerState::Active, descriptor, sequence, 5)
}

on_both! {
    async fn a_log_is_made_once_and_found_by_origin_and_hash(database: Database) {
        let db = database.open().await;
        let origin = origin("kaopu/340500/records/1");
        assert!(db.log(&origin).await.unwrap().is_none());
        let made = db.create_log(&origin, true).await.unwrap();
        assert_eq!((made.size, made.own, made.state, made.head.is_none()), (0, true, LogState::Open, true));
        assert_eq!(db.create_log(&origin, true).await.unwrap().id, made.id);
        assert!(db.create_log(&origin, false).await.is_err(), "an own log never becomes a mirror");
        assert_eq!(db.log_by_hash(&origin.hash()).await.unwrap().unwrap().origin, origin);
        assert_eq!(db.logs().await.unwrap().len(), 1);
    }

    async fn opening_twice_at_once_migrates_once(database: Database) {
        let (a, b) = tokio::join!(Db::open(database.url()), Db::open(database.url()));
        let (a, b) = (a.unwrap(), b.unwrap());
        a.create_log(&origin("kaopu/340500/records/1"), true).await.unwrap();
        assert_eq!(b.logs().await.unwrap().len(), 1);
    }

    async fn a_head_moves_only_forward_and_only_from_where_it_was_seen(database: Database) {
        let db = database.open().await;
        let log = db.create_log(&origin("kaopu/340500/records/1"), false).await.unwrap();
        assert!(!db.move_head(log.id, Some(0), &head(5, 1)).await.unwrap(), "there was no head");
        assert!(db.move_head(log.id, None, &head(5, 1)).await.unwrap());
        assert!(!db.move_head(log.id, None, &head(6, 2)).await.unwrap());
        assert!(db.move_head(log.id, Some(5), &head(5, 1)).await.unwrap(), "the same again, signed anew");
        assert!(!db.move_head(log.id, Some(5), &head(5, 2)).await.unwrap(), "another root at the same size");
        assert!(!db.move_head(log.id, Some(5), &head(4, 2)).await.unwrap(), "back");
        assert!(db.move_head(log.id, Some(5), &head(9, 3)).await.unwrap());
        assert_eq!(db.log(&log.origin).await.unwrap().unwrap().head, Some(head(9, 3)));
        assert_eq!(db.head_sizes().await.unwrap(), [(log.id, 0)], "nothing of it can be served yet");
        let own = db.create_log(&origin("kaopu/310107/records/1"), true).await.unwrap();
        assert!(!db.move_head(own.id, None, &head(1, 1)).await.unwrap(), "an own log grows by appending alone");
    }

    async fn a_frozen_log_stands_still_and_keeps_the_proof(database: Database) {
        let db = database.open().await;
        let log = db.create_log(&origin("kaopu/340500/records/1"), false).await.unwrap();
        db.freeze(log.id, "another root at size 5\0", b"two notes", 99).await.unwrap();
        let frozen = db.log(&log.origin).await.unwrap().unwrap();
        assert_eq!(frozen.state, LogState::Frozen);
        assert_eq!(frozen.reason.as_deref(), Some("another root at size 5\u{fffd}"));
        assert!(!db.move_head(log.id, None, &head(5, 1)).await.unwrap());
        let evidence = db.evidence(log.id).await.unwrap();
        assert_eq!(evidence, [("another root at size 5\u{fffd}".to_owned(), b"two notes".to_vec(), 99)]);
    }

    async fn a_descriptor_never_goes_back(database: Database) {
        let db = database.open().await;
        let before = db.registry_version().await.unwrap();
        assert!(db.put_peer(&peer("340500", 2, "two")).await.unwrap());
        assert!(!db.put_peer(&peer("340500", 1, "one")).await.unwrap());
        assert!(!db.put_peer(&peer("340500", 2, "another two")).await.unwrap());
        assert_eq!(db.registry_version().await.unwrap(), before + 1, "what changes nothing wakes nobody");
        assert!(db.put_peer(&peer("340500", 3, "three")).await.unwrap());
        assert!(db.put_peer(&peer("310107", 1, "one")).await.unwrap());
        assert_eq!(db.registry_version().await.unwrap(), before + 3);
        let node = "340500".parse().unwrap();
        db.note_contact(&node, Some("refused"), 10).await.unwrap();
        db.note_contact(&node, None, 20).await.unwrap();
        let peers = db.peers().await.unwrap();
        assert_eq!(peers.iter().map(|peer| peer.node.as_str()).collect::<Vec<_>>(), ["310107", "340500"]);
        let peer = &peers[1];
        assert_eq!((peer.sequence, peer.descriptor.as_str()), (3, "three"));
        assert_eq!((peer.success_ms, peer.error_ms, peer.error.as_deref()), (Some(20), Some(10), Some("refused")));
    }

    async fn an_upload_goes_on_where_it_was(database: Database) {
        let db = database.open().await;
        let begun = db.begin_upload(&upload("a", None)).await.unwrap();
        assert_eq!(db.begin_upload(&upload("a", None)).await.unwrap(), begun);
        assert_ne!(db.begin_upload(&upload("a", Some("市监局"))).await.unwrap().id, begun.id);
        let step = UploadStep {
            upload: begun.id,
            from_row: 0,
            next_row: 300,
            counts: Counts { read: 300, published: 0, skipped: 280, warned: 5, refused: 20 },
            faults: (1..=150).flat_map(|row| [fault(row, Some("处罚日期")), fault(row, None)]).collect(),
            quality: vec![tallied("示例甲局", 200), tallied("示例乙局", 100)],
            finished: false,
            entries: None,
        };
        assert!(db.step_upload(&step, 50).await.unwrap());
        assert!(!db.step_upload(&step, 51).await.unwrap(), "a step counts once");
        let counted = [tallied("示例乙局", 100), tallied("示例甲局", 200)];
        assert_eq!(db.quality("2026-06").await.unwrap(), counted);
        assert_eq!(db.quality("2026-07").await.unwrap(), []);
        let going = db.begin_upload(&upload("a", None)).await.unwrap();
        assert_eq!((going.id, going.next_row, going.counts), (begun.id, 300, step.counts));
        let page = db.faults(begun.id, 0, 101).await.unwrap();
        assert_eq!(page.len(), 102, "the last row's faults are together");
        assert_eq!(page[..2], step.faults[..2]);
        let rest = db.faults(begun.id, page[101].row, 1000).await.unwrap();
        assert_eq!(rest, step.faults[102..]);

        let quality = vec![tallied("示例甲局", 1)];
        let last = UploadStep { from_row: 300, next_row: 301, quality, finished: true, ..UploadStep::default() };
        assert!(db.step_upload(&UploadStep { upload: begun.id, ..last.clone() }, 60).await.unwrap());
        assert_eq!(db.quality("2026-06").await.unwrap()[1], tallied("示例甲局", 201));
        let ended = db.upload(begun.id).await.unwrap().unwrap();
        assert_eq!((ended.finished_ms, ended.unknown_columns), (Some(60), vec!["备注二".to_owned()]));
        let again = db.begin_upload(&upload("a", None)).await.unwrap();
        assert!(again.id > begun.id, "a finished one is left as it is");
        assert_eq!(db.uploads(1).await.unwrap(), [again]);
    }
}
