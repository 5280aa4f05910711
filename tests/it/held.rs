//! Uploads held for a second person, against real databases: nothing is published until another person has approved it, then
//! everything that an import would have published, once, whatever comes between.

use std::sync::Arc;

use kaopu::import::Sheet;
use kaopu::import::upload::hold::{Terms, change};
use kaopu::import::upload::{Import, Intake, Origin, Progress, UploadError, kept_rows};
use kaopu::log::appender::{AppendError, Submission};
use kaopu::store::Db;
use kaopu::store::hold::HoldLimits;
use kaopu::store::upload::{Counts, UploadRow, UploadStep};

use crate::database::on_both;
use crate::own_log::NOW;
use crate::upload::{Station, text};
use crate::whole;

const LIMITS: HoldLimits = HoldLimits { uploads: 2, bytes: 1_000_000 };
const DAY_MS: i64 = 86_400_000;

/// A node with two persons.
struct Office {
    station: Station,
}

fn origin() -> Origin {
    Origin { file: "示例.csv".into(), department: Some("示例局".into()), operator: "li".into() }
}

fn terms(by: &str) -> Terms {
    Terms { by: by.into(), for_ms: 30 * DAY_MS, limits: LIMITS }
}

impl Office {
    async fn new(db: Db) -> Self {
        for name in ["li", "wang"] {
            db.add_account(name, "示例", &change("1", "add", name, None, 1)).await.unwrap();
        }
        Self { station: Station::new(db).await }
    }

    fn db(&self) -> &Db {
        &self.station.import.db
    }

    fn intake(&self) -> Intake {
        Intake::Records(self.station.import.clone())
    }

    async fn hold(&self, sheet: &Arc<Sheet>, terms: &Terms) -> Result<UploadRow, UploadError> {
        self.intake().hold(sheet, &origin(), terms, |_| ()).await
    }

    async fn approve(&self, upload: i64, by: &str) -> bool {
        let subject = upload.to_string();
        self.db().approve_hold(upload, &change(&subject, "approve held", by, None, NOW * 1000)).await.unwrap()
    }

    async fn refuse(&self, upload: i64, by: &str) -> bool {
        let subject = upload.to_string();
        let change = change(&subject, "refuse held", by, Some("示例"), NOW * 1000);
        self.db().refuse_hold(upload, &change).await.unwrap()
    }

    async fn row(&self, upload: i64) -> UploadRow {
        self.db().upload(upload).await.unwrap().unwrap()
    }

    async fn publish(&self, upload: i64) -> UploadRow {
        self.intake().publish_held(self.row(upload).await, |_| ()).await.unwrap()
    }

    async fn size(&self) -> u64 {
        self.db().logs().await.unwrap()[0].size
    }

    async fn faults(&self, upload: i64) -> Vec<(u64, String)> {
        let faults = self.db().faults(upload, 0, 100_000).await.unwrap();
        faults.into_iter().map(|fault| (fault.row, fault.code)).collect()
    }

    async fn kept(&self, upload: i64) -> usize {
        let mut rows = 0;
        let count = |_: &_| {
            rows += 1;
            Ok(())
        };
        kept_rows(&self.station.import, upload, count).await.unwrap().unwrap();
        rows
    }
}

fn state(upload: &UploadRow) -> &str {
    &upload.hold.as_ref().unwrap().state
}

/// Cuts a run off as soon as it has committed something.
async fn cut_off<T: std::fmt::Debug>(run: impl AsyncFnOnce(&mut dyn FnMut(Progress)) -> T) {
    let (cut, when) = tokio::sync::oneshot::channel();
    let mut cut = Some(cut);
    let mut progress = |progress: Progress| {
        if progress.done > 0
            && let Some(cut) = cut.take()
        {
            cut.send(()).unwrap();
        }
    };
    tokio::select! {
        biased;
        _ = when => {}
        finished = run(&mut progress) => panic!("not cut off: {finished:?}"),
    }
}

on_both! {
    async fn what_is_held_is_published_once_another_person_has_approved_it(database: Database) {
        let office = Office::new(database.open().await).await;
        let sheet = office.station.sheet(&text(5000, "1"));
        let counts = Counts { read: 5000, published: 4500, refused: 500, ..Counts::default() };
        let held = office.hold(&sheet, &terms("li")).await.unwrap();
        assert_eq!((state(&held), held.counts, held.finished_ms), ("held", counts, None));
        assert_eq!((office.size().await, office.kept(held.id).await), (1, 5000));
        let faults = office.faults(held.id).await;
        assert_eq!(faults.len(), 500);
        assert!(office.db().quality("2026-09").await.unwrap().is_empty(), "nothing came in yet");

        // neither by another command nor by whoever held it
        for again in [office.station.import.run(&sheet, &origin(), |_| ()).await, office.hold(&sheet, &terms("wang")).await] {
            let why = again.unwrap_err();
            assert!(matches!(&why, UploadError::Held(row) if row.id == held.id), "{why}");
            assert!(why.to_string().contains("待复核"), "{why}");
        }
        let unapproved = office.intake().publish_held(held.clone(), |_| ()).await.unwrap_err();
        assert!(matches!(unapproved, UploadError::Held(_)), "{unapproved}");
        for nobody in ["li", "zhao"] {
            assert!(!office.approve(held.id, nobody).await, "{nobody}");
        }
        // the store itself takes no step of it
        let step = UploadStep { upload: held.id, from_row: held.next_row, next_row: held.next_row, ..UploadStep::default() };
        let stepped = office.station.import.records.append(Submission { statements: Vec::new(), uploads: vec![step] }).await;
        assert!(matches!(stepped, Err(AppendError::Overtaken)), "{stepped:?}");

        assert!(office.approve(held.id, "wang").await && !office.approve(held.id, "wang").await);
        assert!(!office.refuse(held.id, "li").await, "it is decided");
        let published = office.publish(held.id).await;
        assert_eq!((state(&published), published.counts), ("approved", counts));
        assert!(published.finished_ms.is_some());
        assert_eq!((office.size().await, office.faults(held.id).await), (1 + 4500, faults));
        assert_eq!(office.kept(held.id).await, 0, "its rows are no longer needed");
        let tallied = office.db().quality("2026-09").await.unwrap();
        assert_eq!((tallied.len(), tallied[0].tally.submitted, tallied[0].tally.first), (1, 5000, 4500));
        assert_eq!(office.publish(held.id).await, published, "once more changes nothing");
        let again = office.station.import.run(&sheet, &origin(), |_| ()).await.unwrap();
        assert_eq!(again.counts.skipped, 4500);
        whole::check(office.db()).await;
    }

    async fn holding_and_publishing_go_on_where_they_were_cut_off(database: Database) {
        let office = Office::new(database.open().await).await;
        let sheet = office.station.sheet(&text(9000, "1"));
        let intake = office.intake();
        let of = origin();
        let by = terms("li");
        cut_off(async |progress| intake.hold(&sheet, &of, &by, progress).await).await;
        let begun = office.db().uploads(1).await.unwrap().remove(0);
        assert!(state(&begun) == "holding" && begun.next_row > 0, "{begun:?}");
        assert!(!office.approve(begun.id, "wang").await, "not yet whole");
        let why = office.hold(&sheet, &terms("wang")).await.unwrap_err();
        assert!(why.to_string().contains("li has begun to hold"), "{why}");
        let held = office.hold(&sheet, &by).await.unwrap();
        let counts = Counts { read: 9000, published: 8100, refused: 900, ..Counts::default() };
        assert_eq!((held.id, state(&held), held.counts), (begun.id, "held", counts));
        assert_eq!(office.kept(held.id).await, 9000);

        assert!(office.approve(held.id, "wang").await);
        let approved = office.row(held.id).await;
        cut_off(async |progress| intake.publish_held(approved, progress).await).await;
        let cut = office.row(held.id).await;
        assert!(cut.next_row > 0 && cut.finished_ms.is_none(), "{cut:?}");
        // what was on its way to the log when it was cut off may still arrive there
        let done = loop {
            match office.intake().publish_held(office.row(held.id).await, |_| ()).await {
                Err(UploadError::Overtaken(_)) => {}
                done => break done.unwrap(),
            }
        };
        assert_eq!((done.counts, office.size().await), (counts, 1 + 8100));
        assert_eq!(office.faults(held.id).await.len(), 900);
        whole::check(office.db()).await;
    }

    async fn what_changes_meanwhile_is_judged_anew(database: Database) {
        let office = Office::new(database.open().await).await;
        let held = office.hold(&office.station.sheet(&text(9, "2")), &terms("li")).await.unwrap();
        assert_eq!(held.counts.published, 9);
        // the same records were published meanwhile: five with the same content, four with another
        let mut lines: Vec<String> = text(9, "2").lines().map(|line| format!("{line}\n")).collect();
        let others: Vec<String> = text(9, "3").lines().map(|line| format!("{line}\n")).collect();
        lines.splice(6.., others[6..].iter().cloned());
        office.station.run(&office.station.sheet(&lines.concat())).await.unwrap();
        assert!(office.approve(held.id, "wang").await);
        let published = office.publish(held.id).await;
        assert_eq!(published.counts, Counts { read: 9, published: 4, skipped: 5, ..Counts::default() });
        whole::check(office.db()).await;
    }

    async fn a_refused_one_leaves_nothing_and_may_be_held_again(database: Database) {
        let office = Office::new(database.open().await).await;
        let sheet = office.station.sheet(&text(30, "1"));
        let held = office.hold(&sheet, &terms("li")).await.unwrap();
        assert!(!office.refuse(held.id, "zhao").await, "nobody of this node");
        assert!(office.refuse(held.id, "wang").await && !office.approve(held.id, "wang").await);
        let refused = office.row(held.id).await;
        let hold = refused.hold.as_ref().unwrap();
        assert_eq!((state(&refused), hold.decided_by.as_deref(), hold.reason.as_deref()), ("refused", Some("wang"), Some("示例")));
        assert_eq!((refused.counts.published, office.kept(held.id).await, office.size().await), (0, 0, 1));
        let unpublished = office.intake().publish_held(refused, |_| ()).await.unwrap_err();
        assert!(matches!(unpublished, UploadError::Held(_)), "{unpublished}");
        let again = office.hold(&sheet, &terms("wang")).await.unwrap();
        assert!(again.id > held.id && !office.approve(again.id, "wang").await && office.approve(again.id, "li").await);
        // taking it back is for what was published
        let change = change("1", "propose withdrawal", "li", Some("示例"), 1);
        assert!(!office.db().propose_upload_withdrawal(held.id, &change).await.unwrap());
        assert_eq!(office.publish(again.id).await.counts.published, 27);
        assert!(office.db().propose_upload_withdrawal(again.id, &change).await.unwrap());
        whole::check(office.db()).await;
    }

    async fn so_many_are_held_and_no_more_and_for_so_long_and_no_longer(database: Database) {
        let office = Office::new(database.open().await).await;
        let sheet = |rows: u64| office.station.sheet(&text(rows, "1"));
        let first = office.hold(&sheet(20), &terms("li")).await.unwrap();
        let small = Terms { limits: HoldLimits { bytes: 1500, ..LIMITS }, ..terms("li") };
        let why = office.hold(&sheet(4000), &small).await.unwrap_err();
        assert!(matches!(why, UploadError::TooLarge(1500)), "{why}");
        let dropped = office.db().uploads(1).await.unwrap().remove(0);
        assert_eq!((state(&dropped), office.kept(dropped.id).await), ("refused", 0));
        office.hold(&sheet(21), &terms("li")).await.unwrap();
        let why = office.hold(&sheet(22), &terms("li")).await.unwrap_err();
        assert!(matches!(why, UploadError::TooMany(2, _)), "{why}");
        let why = office.hold(&sheet(22), &Terms { by: "zhao".into(), limits: HoldLimits { uploads: 9, ..LIMITS }, ..terms("") }).await;
        assert!(matches!(why, Err(UploadError::TooMany(..))), "{why:?}");
        assert_eq!(office.db().uploads(10).await.unwrap().len(), 3, "what is not held leaves no row");

        let until = first.hold.as_ref().unwrap().until_ms;
        assert_eq!(until, NOW * 1000 + 30 * DAY_MS);
        assert!(office.db().expire_holds(until - 1).await.unwrap().is_empty());
        let late = change("1", "approve held", "wang", None, until);
        assert!(!office.db().approve_hold(first.id, &late).await.unwrap(), "over, though nobody has looked yet");
        let expired: Vec<i64> = office.db().expire_holds(until).await.unwrap().iter().map(|row| row.id).collect();
        assert_eq!(expired, [first.id, first.id + 2]);
        assert_eq!((state(&office.row(first.id).await), office.kept(first.id).await), ("expired", 0));
        assert!(!office.approve(first.id, "wang").await);
        assert_eq!(office.size().await, 1);
        whole::check(office.db()).await;
    }

    async fn nothing_can_be_read_of_what_is_held_without_the_nodes_secret(database: Database) {
        let office = Office::new(database.open().await).await;
        let held = office.hold(&office.station.sheet(&text(100, "1")), &terms("li")).await.unwrap();
        let (from, sealed) = office.db().held_rows(held.id, 0).await.unwrap().unwrap();
        let holds = |text: &str| sealed.windows(text.len()).any(|window| window == text.as_bytes());
        assert!(from == 0 && !holds("示例") && !holds("91350100M000100Y43"));
        let persons = Arc::new(kaopu::import::PersonKey::generate(&mut kaopu::node::rng()));
        let other = Import { persons, ..office.station.import.clone() };
        let why = kept_rows(&other, held.id, |_| Ok(())).await.unwrap_err();
        assert!(matches!(why, UploadError::Kept(_)), "{why}");
        assert!(office.approve(held.id, "wang").await);
        let unpublished = Intake::Records(other).publish_held(office.row(held.id).await, |_| ()).await.unwrap_err();
        assert!(matches!(unpublished, UploadError::Kept(_)), "{unpublished}");
        assert_eq!(office.publish(held.id).await.counts.published, 90, "and it goes on once the secret is there");
    }
}
