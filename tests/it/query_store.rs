//! What the store keeps of questions between nodes, on both databases: with the statements that say it, or not at all.

use kaopu::log::Origin;
use kaopu::statement::Digest;
use kaopu::store::append::Stored;
use kaopu::store::query::{Answered, Exchanged, Heard, Place};
use kaopu::store::{Append, AppendError, Db, Head, LogRow, NewEntry};

use crate::database::on_both;
use crate::growth::{again, append, entry, event, log, statement, version};

fn answered(asker: &str, nonce: u8, query: u8, answer: Digest) -> Exchanged {
    Exchanged::Answered(Answered {
        asker: asker.parse().unwrap(),
        nonce: format!("{}{nonce:02}", "A".repeat(20)),
        query: Digest([query; 32]),
        jws: format!("query {query}"),
        answer,
    })
}

/// Appends an answer for each, with what the store keeps of it.
async fn say(db: &Db, row: &LogRow, entries: &[NewEntry], exchanged: &[Exchanged]) -> Result<LogRow, AppendError> {
    let (mut edge, mut tiles) = (row.edge.clone(), Vec::new());
    for new in entries {
        edge.push(new.entry.leaf_hash(), &mut tiles);
    }
    let head = Head { size: edge.size(), root: edge.root(), note: "示例".to_owned(), seen_ms: 1 };
    let append = Append {
        log: row,
        entries,
        edge: &edge,
        tiles: &tiles,
        head: Some(&head),
        uploads: &[],
        exchanged,
        said: &[],
        unvoided: None,
        max_iat: 1_800_000_000,
        now_ms: 1,
    };
    db.append(&append).await?;
    Ok(again(db, row).await)
}

fn answer(origin: &Origin, salt: u64) -> NewEntry {
    entry(event(statement(origin, "answer", salt, None)))
}

on_both! {
    async fn an_answer_and_its_nonce_go_in_together_and_a_nonce_once(database: Database) {
        let db = database.open().await;
        let row = log(&db, "kaopu/340500/exchange/1", true).await;
        let said: Vec<NewEntry> = (0..4).map(|salt| answer(&row.origin, salt)).collect();
        let of = |n: usize| said[n].entry.digest;
        let (putuo, fuyang) = ("310107", "341200");
        let row = say(&db, &row, &said[..1], &[answered(putuo, 1, 1, of(0))]).await.unwrap();
        let stored = db.answered(&putuo.parse().unwrap(), &format!("{}01", "A".repeat(20))).await.unwrap().unwrap();
        assert_eq!((stored.query, stored.answer), (Digest([1; 32]), of(0)));

        // the second of three has a nonce that is used: nothing of the three stays
        let three = [answered(fuyang, 1, 2, of(1)), answered(putuo, 1, 3, of(2)), answered(putuo, 2, 4, of(3))];
        let refused = say(&db, &row, &said[1..], &three).await;
        assert!(matches!(&refused, Err(AppendError::Repeated(at)) if *at == [1]), "{refused:?}");
        assert_eq!(again(&db, &row).await.size, 1);
        assert_eq!(db.answered(&fuyang.parse().unwrap(), &format!("{}01", "A".repeat(20))).await.unwrap(), None);

        // of two in one batch the first has it
        let two = [answered(fuyang, 7, 5, of(1)), answered(fuyang, 7, 6, of(2))];
        let refused = say(&db, &row, &said[1..3], &two).await;
        assert!(matches!(&refused, Err(AppendError::Repeated(at)) if *at == [1]), "{refused:?}");

        let without = [three[0].clone(), three[2].clone()];
        let row = say(&db, &row, &[said[1].clone(), said[3].clone()], &without).await.unwrap();
        assert_eq!(row.size, 3);
        assert!(db.answered(&fuyang.parse().unwrap(), &format!("{}01", "A".repeat(20))).await.unwrap().is_some());
    }

    async fn what_a_peer_answered_is_kept_with_the_receipt(database: Database) {
        let db = database.open().await;
        let row = log(&db, "kaopu/310107/exchange/1", true).await;
        let heard = Heard {
            query: Digest([1; 32]),
            peer: "340500".parse().unwrap(),
            digest: Digest::of("示例".as_bytes()),
            jws: "示例".to_owned(),
            outcome: "invalid",
            reason: Some("the answer to another\0 query".to_owned()),
        };
        let receipt = entry(event(statement(&row.origin, "receipt", 1, None)));
        say(&db, &row, &[receipt], &[Exchanged::Heard(heard.clone())]).await.unwrap();
        let kept = db.heard(&heard.query).await.unwrap().unwrap();
        assert_eq!(kept.reason.as_deref(), Some("the answer to another\u{fffd} query"));
        assert_eq!(Heard { reason: heard.reason.clone(), ..kept }, heard);
        assert_eq!(db.heard(&Digest([2; 32])).await.unwrap(), None);
    }

    async fn own_current_records_are_found_in_the_order_of_the_logs(database: Database) {
        let db = database.open().await;
        let first = log(&db, "kaopu/340500/records/1", true).await;
        let second = log(&db, "kaopu/340500/records/2", true).await;
        let mirror = log(&db, "kaopu/341200/records/1", false).await;
        // salts that are alike modulo 7 are about one subject
        let of = |row: &LogRow, kind: &str, salt: u64, prev| statement(&row.origin, kind, salt, prev);
        let old = of(&first, "penalty", 7, None);
        let entries = [
            entry(version(old.clone(), 1, 1)),
            entry(version(of(&first, "penalty", 14, None), 2, 1)),
            entry(version(of(&first, "penalty", 15, None), 3, 1)),
            entry(event(of(&first, "repair", 21, None))),
            entry(Stored::Refused("x".to_owned(), "示例".to_owned())),
        ];
        append(&db, &first, &entries, &[]).await.unwrap();
        let entries = [
            entry(version(of(&second, "penalty", 28, Some(old.digest())), 1, 2)),
            entry(version(of(&second, "licence", 35, None), 4, 1)),
        ];
        append(&db, &second, &entries, &[]).await.unwrap();
        append(&db, &mirror, &[entry(version(of(&mirror, "penalty", 42, None), 1, 1))], &[]).await.unwrap();

        let subject = old.statement().sub.as_ref().unwrap().key();
        let found = async |behind, limit| {
            let found = db.own_about(&subject, behind, limit).await.unwrap();
            found.into_iter().map(|it| (it.place.generation, it.place.index, it.kind)).collect::<Vec<_>>()
        };
        let all = [(1, 1, "penalty".to_owned()), (2, 0, "penalty".to_owned()), (2, 1, "licence".to_owned())];
        assert_eq!(found(None, 10).await, all);
        assert_eq!(found(None, 2).await, all[..2]);
        for n in 0..3 {
            let behind = Place { generation: all[n].0, index: all[n].1 };
            assert_eq!(found(Some(behind), 10).await, all[n + 1..]);
        }
        let extent = db.extent(&second.origin).await.unwrap().unwrap();
        assert_eq!((extent.size, extent.root), (2, again(&db, &second).await.edge.root()));
    }
}
