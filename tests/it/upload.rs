//! Uploads against real databases: nothing twice, nothing lost, one receipt a file, whatever comes between.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use kaopu::clock::Clock;
use kaopu::import::upload::{Import, Origin, Progress, UploadError};
use kaopu::import::weigh::Punctuality;
use kaopu::import::{self, PersonKey, Sheet};
use kaopu::log::appender::Submission;
use kaopu::record::{Calendar, Rules};
use kaopu::statement::Kinds;
use kaopu::store::Db;
use kaopu::store::quality::Tally;
use kaopu::store::upload::{Counts, UploadRow};

use crate::database::on_both;
use crate::own_log::{NOW, OwnLog};
use crate::whole;

const HEADER: &str = "CF_XDR_MC,CF_XDR_LB,CF_XDR_SHXYM,CF_WSH,CF_WFXW,CF_SY,CF_YJ,CF_CFLB,CF_NR,CF_NR_FK,CF_JDRQ,CF_YXQ,\
     CF_CFJG,CF_CFJGDM,CF_SJLY,CF_SJLYDM\n";

fn row(number: u64, fine: &str) -> String {
    format!(
        "示例商贸有限公司,法人及非法人组织,91350100M000100Y43,示罚〔2026〕{number}号,示例,示例,示例,罚款,罚款,{fine},2026-01-15,\
         2029-01-15,示例局,91350100M000100Y43,示例局,91350100M000100Y43\n"
    )
}

/// A file of so many rows; each tenth is faulty, each hundredth repeats the row before it.
pub fn text(rows: u64, fine: &str) -> String {
    let mut text = HEADER.to_owned();
    for number in 1..=rows {
        text.push_str(&match number {
            n if n.is_multiple_of(100) => row(n - 1, "7"),
            n if n.is_multiple_of(10) => row(n, "叁万元整"),
            n => row(n, fine),
        });
    }
    text
}

/// What so many rows count for: published for the first time, and long after they were decided.
fn tally(rows: u64) -> Tally {
    let first = counts(rows).published;
    Tally { submitted: rows, valid: first, required: 15 * rows, given: 15 * rows, first, ..Tally::default() }
}

fn counts(rows: u64) -> Counts {
    let refused = rows / 10;
    Counts { read: rows, published: rows - refused, refused, ..Counts::default() }
}

pub struct Station {
    pub import: Import,
    pub folder: tempfile::TempDir,
}

impl Station {
    /// A node with its records log.
    pub async fn new(db: Db) -> Self {
        let own = OwnLog::of("kaopu/340500/records/1");
        let records = own.start(&db).await;
        if *records.sizes().borrow() == 0 {
            let descriptor = vec![own.descriptor(1, None)];
            records.append(Submission { statements: descriptor, uploads: Vec::new() }).await.unwrap();
        }
        let kind = Kinds::builtin().unwrap().newest("penalty").unwrap().clone();
        let persons = Arc::new(PersonKey::generate(&mut kaopu::node::rng()));
        let clock = Clock::fixed(NOW * 1000);
        let punctuality = punctuality();
        let import = Import { db, node: own.origin.node, kind, persons, records, clock, punctuality };
        Self { import, folder: tempfile::tempdir().unwrap() }
    }

    pub fn sheet(&self, text: &str) -> Arc<Sheet> {
        let path = self.folder.path().join("示例.csv");
        std::fs::write(&path, text).unwrap();
        open(&path, &self.import)
    }

    pub async fn run(&self, sheet: &Arc<Sheet>) -> Result<UploadRow, UploadError> {
        self.import.run(sheet, &origin(), |_| ()).await
    }

    async fn faults(&self, upload: &UploadRow) -> Vec<(u64, String)> {
        let faults = self.import.db.faults(upload.id, 0, 100_000).await.unwrap();
        faults.into_iter().map(|fault| (fault.row, fault.code)).collect()
    }

    /// What is counted of the rows of [`text`].
    async fn tally(&self) -> Tally {
        let tallied = self.import.db.quality("2026-09").await.unwrap();
        assert_eq!((tallied.len(), tallied[0].department.as_str()), (1, "示例局"));
        tallied[0].tally
    }

    async fn size(&self) -> u64 {
        self.import.db.logs().await.unwrap()[0].size
    }
}

pub fn punctuality() -> Punctuality {
    Punctuality::new(Calendar::built_in().unwrap(), &Rules::built_in().unwrap())
}

fn open(path: &Path, import: &Import) -> Arc<Sheet> {
    Arc::new(import::open(path, &import.kind).unwrap())
}

fn origin() -> Origin {
    Origin { file: "示例.csv".into(), department: None, operator: "示例".into() }
}

fn expected_faults(rows: u64) -> Vec<(u64, String)> {
    let code = |row: u64| if row.is_multiple_of(100) { "E301" } else { "E106" };
    (1..=rows).filter(|row| row.is_multiple_of(10)).map(|row| (row, code(row).to_owned())).collect()
}

on_both! {
    async fn a_file_is_published_once_and_a_change_becomes_a_version(database: Database) {
        let station = Station::new(database.open().await).await;
        let sheet = station.sheet(&text(500, "1"));
        let rehearsal = station.import.rehearse(&sheet, |_| ()).await.unwrap();
        assert_eq!((rehearsal.counts, station.size().await), (counts(500), 1), "a rehearsal writes nothing");
        assert!(station.import.db.uploads(10).await.unwrap().is_empty());

        let first = station.run(&sheet).await.unwrap();
        assert_eq!(first.counts, counts(500));
        assert!(first.finished_ms.is_some());
        assert_eq!(station.faults(&first).await, expected_faults(500));
        assert_eq!(station.size().await, 451);

        let again = station.run(&sheet).await.unwrap();
        assert_ne!(again.id, first.id);
        assert_eq!(again.counts, Counts { read: 500, skipped: 450, refused: 50, ..Counts::default() });
        assert_eq!(station.size().await, 451);

        let changed = text(500, "1").replace(&row(3, "1"), &row(3, "2"));
        let changed = station.run(&station.sheet(&changed)).await.unwrap();
        assert_eq!(changed.counts, Counts { read: 500, published: 1, skipped: 449, refused: 50, ..Counts::default() });
        whole::check(&station.import.db).await;
    }

    async fn an_import_that_is_cut_off_goes_on_and_ends_in_one_receipt(database: Database) {
        let station = Station::new(database.open().await).await;
        let sheet = station.sheet(&text(9050, "1"));
        let (cut, when) = tokio::sync::oneshot::channel();
        let (mut cut, of) = (Some(cut), origin());
        let progress = |progress: Progress| {
            if progress.done > 0
                && let Some(cut) = cut.take()
            {
                cut.send(()).unwrap();
            }
        };
        tokio::select! {
            biased;
            _ = when => {}
            finished = station.import.run(&sheet, &of, progress) => panic!("not cut off: {finished:?}"),
        }
        let unfinished = station.import.db.uploads(1).await.unwrap().remove(0);
        assert!(unfinished.next_row > 0 && unfinished.finished_ms.is_none(), "{unfinished:?}");

        // a process of its own
        station.import.records.clone().stop().await;
        let again = Station::new(database.open().await).await;
        let mut from = None;
        let finished = again.import.run(&sheet, &origin(), |p| from = from.or(Some(p.done))).await.unwrap();
        assert!(from.unwrap() >= unfinished.next_row, "it goes on where it was");
        assert_eq!((finished.id, finished.counts), (unfinished.id, counts(9050)));
        assert_eq!(again.faults(&finished).await, expected_faults(9050));
        assert_eq!(again.size().await, 1 + counts(9050).published);
        assert_eq!(again.tally().await, tally(9050), "each row counts once");
        whole::check(&again.import.db).await;
    }

    async fn two_uploads_at_once_never_fork_a_chain(database: Database) {
        let (one, other) = (Station::new(database.open().await).await, Station::new(database.open().await).await);
        let (a, b) = (one.sheet(&text(3000, "1")), other.sheet(&text(3000, "2")));
        let (a, b) = tokio::join!(one.run(&a), other.run(&b));
        let (a, b) = (a.unwrap(), b.unwrap());
        assert_eq!((a.counts, b.counts), (counts(3000), counts(3000)));
        assert_eq!(one.size().await, 1 + 2 * counts(3000).published);
        let twice = 2 * tally(3000).valid;
        let tally = one.tally().await;
        assert_eq!((tally.submitted, tally.valid, tally.first), (6000, twice, twice / 2), "one was the first each time");
        whole::check(&one.import.db).await;
    }

    async fn the_same_file_twice_at_once_is_one_upload(database: Database) {
        let (one, other) = (Station::new(database.open().await).await, Station::new(database.open().await).await);
        let text = text(6000, "1");
        let (a, b) = (one.sheet(&text), other.sheet(&text));
        let results: [_; 2] = tokio::join!(one.run(&a), other.run(&b)).into();
        for result in results {
            match result {
                Ok(_) | Err(UploadError::Overtaken(_)) => {}
                Err(other) => panic!("{other}"),
            }
        }
        // whoever comes now finds all of it published, or ends what both left
        let last = one.run(&a).await.unwrap();
        assert_eq!(last.counts.read, 6000);
        assert_eq!(last.counts.published + last.counts.skipped, counts(6000).published);
        assert_eq!(one.tally().await.first, counts(6000).published, "each was published for the first time once");
        assert_eq!(one.size().await, 1 + counts(6000).published);
        whole::check(&one.import.db).await;
    }

    async fn natural_persons_are_nowhere_in_the_clear(database: Database) {
        let station = Station::new(database.open().await).await;
        let mut text = HEADER.replace("CF_XDR_SHXYM", "CF_XDR_ZJHM");
        let persons = [("示例某", "11010519491231002X"), ("示例人", ""), ("示例者", "")];
        for (name, number) in persons {
            let row = row(1, "1").replace("示例商贸有限公司", name).replace("法人及非法人组织", "自然人");
            let _ = write!(text, "{}", row.replacen("91350100M000100Y43", number, 1));
        }
        let upload = station.run(&station.sheet(&text)).await.unwrap();
        // one decision about three persons: their masked names are the same, they are not
        assert_eq!(upload.counts.published, 3);
        let log = station.import.db.logs().await.unwrap().remove(0);
        for statement in station.import.db.statements(log.id, 1, 3).await.unwrap() {
            let shown = format!("{statement:?}");
            let body = kaopu::statement::Unverified::parse(match &statement.body {
                kaopu::store::statement::Body::Here(jws) => jws,
                _ => panic!("{shown}"),
            });
            let body = format!("{:?}", body.unwrap().statement());
            assert!(body.contains("示**"), "{body}");
            assert!(persons.iter().all(|(name, _)| !body.contains(name)) && !body.contains("11010519491231002"), "{body}");
        }
        whole::check(&station.import.db).await;
    }
}
