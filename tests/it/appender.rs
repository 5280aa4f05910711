//! The appender of an own log: many callers, one gap-free log.

use kaopu::log::appender::{AppendError, Submission};
use kaopu::statement::envelope::sign;
use kaopu::statement::{Refused, SigningKey, Suite, Verified};
use kaopu::store::Db;
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use crate::database::on_both;
use crate::own_log::{NOW, OwnLog};
use crate::whole;

fn submission(statements: impl IntoIterator<Item = Verified>) -> Submission {
    Submission { statements: statements.into_iter().collect(), uploads: Vec::new() }
}

on_both! {
    async fn entry_zero_is_a_descriptor_and_keys_are_those_of_the_last_one_below(database: Database) {
        let db = database.open().await;
        let own = OwnLog::of("kaopu/340500/records/1");
        let appender = own.start(&db).await;
        let early = appender.append(submission([own.penalty(1, 1, None)])).await;
        assert!(matches!(early, Err(AppendError::Refused(0, Refused::UnknownKey))), "{early:?}");
        appender.append(submission([own.descriptor(1, None)])).await.unwrap();

        let other = SigningKey::generate(Suite::Es256, &mut StdRng::seed_from_u64(1));
        let under_other = |record| sign(own.unsigned(record, record.into(), None), &other).unwrap();
        let unknown = appender.append(submission([own.penalty(2, 2, None), under_other(3)])).await;
        assert!(matches!(unknown, Err(AppendError::Refused(1, Refused::UnknownKey))), "{unknown:?}");

        // a descriptor inside a submission changes the keys for those behind it
        let rotated = submission([own.penalty(4, 4, None), own.descriptor(2, Some(&other)), under_other(5)]);
        let appended = appender.append(rotated).await.unwrap();
        assert_eq!((appended.first, appended.size), (1, 4));
        let retired = appender.append(submission([own.penalty(6, 6, None)])).await;
        assert!(matches!(retired, Err(AppendError::Refused(0, Refused::UnknownKey))), "{retired:?}");
        let old = appender.append(submission([own.descriptor(2, None)])).await;
        assert!(matches!(old, Err(AppendError::Refused(0, _))), "an old descriptor: {old:?}");

        // and so they are after a start
        appender.stop().await;
        let appender = own.start(&db).await;
        appender.append(submission([under_other(7)])).await.unwrap();
        whole::check(&db).await;
    }

    async fn many_callers_leave_one_log_and_each_knows_its_place(database: Database) {
        let db = database.open().await;
        let own = std::sync::Arc::new(OwnLog::of("kaopu/340500/records/1"));
        let appender = own.start(&db).await;
        appender.append(submission([own.descriptor(1, None)])).await.unwrap();
        let callers: Vec<_> = (0..40_u64)
            .map(|caller| {
                let (appender, own) = (appender.clone(), own.clone());
                tokio::spawn(async move {
                    let mut places = Vec::new();
                    for round in 0..5_u64 {
                        let numbers = (0..=caller).map(|n| caller * 1000 + round * 100 + n);
                        let statements: Vec<_> =
                            numbers.map(|n| own.penalty(n, n.into(), None)).collect();
                        let digests: Vec<_> = statements.iter().map(Verified::digest).collect();
                        let appended = appender.append(submission(statements)).await.unwrap();
                        assert!(appended.first + digests.len() as u64 <= appended.size);
                        places.push((appended.first, digests));
                    }
                    places
                })
            })
            .collect();
        let log = db.log(&own.origin).await.unwrap().unwrap();
        for caller in callers {
            for (first, digests) in caller.await.unwrap() {
                let entries = db.entries(log.id, first, digests.len() as u64).await.unwrap();
                assert_eq!(entries.iter().map(|entry| entry.digest).collect::<Vec<_>>(), digests);
            }
        }
        let size = 1 + (1..=40_u64).map(|n| n * 5).sum::<u64>();
        assert_eq!(*appender.sizes().borrow(), size);
        appender.stop().await;
        assert_eq!(db.log(&own.origin).await.unwrap().unwrap().size, size);
        whole::check(&db).await;
    }

    async fn more_than_one_commit_takes_goes_into_several(database: Database) {
        let db = database.open().await;
        let own = OwnLog::of("kaopu/340500/records/1");
        let appender = own.start(&db).await;
        appender.append(submission([own.descriptor(1, None)])).await.unwrap();
        // two of them are more than one commit takes: the second waits while the first is judged
        let submissions = (0..4_u64).map(|of| submission((0..2_500).map(|n| of * 2_500 + n).map(|n| own.penalty(n, n.into(), None))));
        let appending = futures_util::future::join_all(submissions.map(|one| appender.append(one)));
        let appended = tokio::time::timeout(std::time::Duration::from_secs(60), appending).await.expect("all are answered");
        let firsts: Vec<u64> = appended.into_iter().map(|appended| appended.unwrap().first).collect();
        assert_eq!(firsts, [1, 2_501, 5_001, 7_501]);
        whole::check(&db).await;
    }

    async fn only_the_superseded_submission_comes_back(database: Database) {
        let db = database.open().await;
        let own = OwnLog::of("kaopu/340500/records/1");
        let appender = own.start(&db).await;
        let first = own.penalty(1, 1, None);
        appender.append(submission([own.descriptor(1, None), first.clone()])).await.unwrap();
        let good = submission([own.penalty(1, 2, Some(first.digest())), own.penalty(2, 3, None)]);
        let bad = submission([own.penalty(3, 4, None), own.penalty(1, 5, None), own.penalty(2, 6, None)]);
        let also_good = submission([own.penalty(4, 7, None)]);
        let (good, bad, also_good) =
            tokio::join!(appender.append(good), appender.append(bad), appender.append(also_good));
        good.unwrap();
        also_good.unwrap();
        match bad {
            Err(AppendError::Superseded(positions)) => assert_eq!(positions, [1, 2]),
            other => panic!("{other:?}"),
        }
        let log = db.log(&own.origin).await.unwrap().unwrap();
        assert_eq!(log.size, 5);
        whole::check(&db).await;
    }

    async fn two_processes_that_share_a_store_take_turns(database: Database) {
        let (one, other) = (database.open().await, database.open().await);
        let own = OwnLog::of("kaopu/340500/records/1");
        let (a, b) = (own.start(&one).await, own.start(&other).await);
        a.append(submission([own.descriptor(1, None)])).await.unwrap();
        let run = |appender: kaopu::log::appender::Appender, base: u64| {
            let own = &own;
            async move {
                for n in 0..60 {
                    appender.append(submission([own.penalty(base + n, (base + n).into(), None)])).await.unwrap();
                }
            }
        };
        tokio::join!(run(a, 1000), run(b, 2000));
        assert_eq!(one.log(&own.origin).await.unwrap().unwrap().size, 121);
        whole::check(&one).await;
    }

    async fn what_is_ahead_of_the_clock_or_long_before_is_not_appended(database: Database) {
        let db = database.open().await;
        let own = OwnLog::of("kaopu/340500/records/1");
        let appender = own.start(&db).await;
        appender.append(submission([own.descriptor(1, None)])).await.unwrap();
        let at = |iat| {
            let mut said = own.unsigned(1, 1, None);
            said.iat = iat;
            sign(said, &own.sign).unwrap()
        };
        let ahead = appender.append(submission([at(NOW + 301)])).await;
        assert!(matches!(ahead, Err(AppendError::Held(0, _))), "{ahead:?}");
        let before = appender.append(submission([at(NOW - 301)])).await;
        assert!(matches!(before, Err(AppendError::Refused(0, Refused::Backdated))), "{before:?}");
        appender.append(submission([at(NOW - 300)])).await.unwrap();
        whole::check(&db).await;
    }
}

/// Two stores of one log: what was appended to the one, the other does not know.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_was_set_back_is_not_appended_to() {
    let folder = tempfile::tempdir().unwrap();
    let (file, memory) = (folder.path().join("kaopu.db"), folder.path().join("records.checkpoint"));
    let own = OwnLog::of("kaopu/340500/records/1");
    let open = async || Db::open(&format!("sqlite:{}", file.display())).await.unwrap();
    let start = |db: Db| own.start_remembering(db, memory.clone());
    let db = open().await;
    let appender = start(db.clone()).await.unwrap();
    appender.append(submission([own.descriptor(1, None)])).await.unwrap();
    appender.append(submission((0..300).map(|n| own.penalty(n, n.into(), None)))).await.unwrap();
    appender.stop().await;
    db.close().await;
    let backup = std::fs::read(&file).unwrap();

    // a running process remembers by itself, and one that starts by the file
    let db = open().await;
    let appender = start(db.clone()).await.unwrap();
    appender.append(submission((300..600).map(|n| own.penalty(n, n.into(), None)))).await.unwrap();
    remembers(&memory, 601).await;
    appender.stop().await;
    db.close().await;
    let newest = std::fs::read(&file).unwrap();
    std::fs::write(&file, &backup).unwrap();
    let db = open().await;
    let refused = start(db.clone()).await.err();
    db.close().await;
    assert!(matches!(&refused, Some(AppendError::Stopped(why)) if why.contains("601")), "{refused:?}");

    // with the newer database back it goes on, though the file is older than that by then
    std::fs::write(&file, &newest).unwrap();
    let remembered = std::fs::read(&memory).unwrap();
    let db = open().await;
    let appender = start(db.clone()).await.unwrap();
    appender.append(submission((600..900).map(|n| own.penalty(n, n.into(), None)))).await.unwrap();
    appender.stop().await;
    std::fs::write(&memory, remembered).unwrap();
    start(db.clone()).await.unwrap().stop().await;
    whole::check(&db).await;
    db.close().await;

    // another history of the same length
    std::fs::write(&file, &backup).unwrap();
    std::fs::remove_file(&memory).unwrap();
    let db = open().await;
    let appender = own.start(&db).await;
    appender.append(submission((1000..2000).map(|n| own.penalty(n, n.into(), None)))).await.unwrap();
    appender.stop().await;
    start(db.clone()).await.unwrap().stop().await;
    remembers(&memory, 1301).await;
    db.close().await;
    std::fs::write(&file, &newest).unwrap();
    let db = open().await;
    let appender = own.start(&db).await;
    appender.append(submission((3000..5000).map(|n| own.penalty(n, n.into(), None)))).await.unwrap();
    appender.stop().await;
    assert!(start(db).await.is_err(), "larger, but it does not go on from what was seen");
}

/// Waits until the file remembers a size.
async fn remembers(file: &std::path::Path, size: u64) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    let line = format!("\n{size}\n");
    while !std::fs::read_to_string(file).is_ok_and(|note| note.contains(&line)) {
        assert!(std::time::Instant::now() < deadline, "the file does not remember {size}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}
