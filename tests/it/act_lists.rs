//! Lists of repairs, withdrawals and answers to disputes against real databases: each row finds its record and says of it
//! what may be said, once, whatever comes between.

use std::sync::Arc;

use kaopu::about::{Named, Office, Sought};
use kaopu::import;
use kaopu::import::upload::acts::Acts;
use kaopu::import::upload::{Import, Origin, Progress};
use kaopu::in_force::InForce;
use kaopu::record::Rules;
use kaopu::statement::{Digest, Kinds, Statement, Unverified};
use kaopu::store::Db;
use kaopu::store::statement::{Body, StatementRow};
use kaopu::store::upload::{Counts, UploadRow};
use serde_json::json;

use crate::acts::penalties;
use crate::database::on_both;
use crate::upload::Station;
use crate::whole;

const CODE: &str = "91350100M000100Y43";
const HEADER: &str =
    "修复类型,决定书文号,统一社会信用代码,行政相对人名称,认定机关,修复决定机关,修复决定日期,生效日期,理由\n";

/// A node that says things of its records.
struct Desk {
    station: Station,
    kinds: Kinds,
}

impl Desk {
    /// One with penalties of these numbers published, each decided on a day.
    async fn with(db: Db, numbers: &[(u32, &str)]) -> Self {
        let desk = Self { station: Station::new(db).await, kinds: Kinds::builtin().unwrap() };
        let rows: Vec<String> =
            numbers.iter().map(|(number, decided)| penalties::row(*number, decided, CODE)).collect();
        let sheet = desk.station.sheet(&format!("{}{}", penalties::HEADER, rows.concat()));
        let upload = desk.station.import.run(&sheet, &origin(), |_| ()).await.unwrap();
        assert_eq!(upload.counts.published, rows.len() as u64);
        desk
    }

    fn acts(&self, kind: &str) -> Acts {
        let Import { db, node, records, clock, .. } = self.station.import.clone();
        let rules = InForce::new(Rules::built_in().unwrap());
        let office = Office { db, node, records, clock, rules, operator: None };
        let import = Import { kind: Arc::clone(self.kinds.newest(kind).unwrap()), ..self.station.import.clone() };
        Acts { import, kinds: self.kinds.clone(), office }
    }

    fn sheet(&self, kind: &str, text: &str) -> Arc<import::Sheet> {
        let path = self.station.folder.path().join(format!("{kind}.csv"));
        std::fs::write(&path, text).unwrap();
        Arc::new(import::open(&path, self.kinds.newest(kind).unwrap()).unwrap())
    }

    async fn run(&self, kind: &str, text: &str) -> UploadRow {
        self.acts(kind).run(&self.sheet(kind, text), &origin(), |_| ()).await.unwrap()
    }

    async fn faults(&self, upload: &UploadRow) -> Vec<(u64, String, String)> {
        let faults = self.station.import.db.faults(upload.id, 0, 10_000).await.unwrap();
        faults.into_iter().map(|fault| (fault.row, fault.code, fault.message)).collect()
    }

    /// The statement at an index of the log.
    async fn said(&self, index: u64) -> Statement {
        let rows = self.at(index).await;
        let Body::Here(jws) = &rows[0].body else { panic!("no body") };
        Unverified::parse(jws).unwrap().statement().clone()
    }

    async fn at(&self, index: u64) -> Vec<StatementRow> {
        let db = &self.station.import.db;
        db.statements(db.logs().await.unwrap()[0].id, index, 1).await.unwrap()
    }

    async fn digest(&self, index: u64) -> Digest {
        self.at(index).await[0].entry.digest
    }

    async fn size(&self) -> u64 {
        self.station.import.db.logs().await.unwrap()[0].size
    }
}

fn origin() -> Origin {
    Origin { file: "示例.csv".into(), department: None, operator: "示例".into() }
}

/// A row about the penalty of a number.
fn repair(number: &str, decided: &str) -> String {
    format!("终止公示,{number},{CODE},,示例局,示例局,{decided},{decided},已纠正\n")
}

on_both! {
    async fn a_list_repairs_what_may_be_repaired_and_says_of_the_rest_why_not(database: Database) {
        // 2026-09-21 is today in these tests
        let desk = Desk::with(database.open().await, &[(1, "2026-01-15"), (2, "2026-09-01"), (3, "2026-01-15")]).await;
        let rows = [
            repair("示罚[2026]1号", "2026-09-20"),
            repair("示罚〔2026〕2号", "2026-09-20"),
            repair("示罚〔2026〕9号", "2026-09-20"),
            repair("示罚（2026）1号", "2026-09-20"),
            repair("示罚〔2026〕3号", "2026-09-20").replace("示例局,示例局", "另一局,示例局"),
            repair("", "2026-09-20"),
            repair("示罚〔2026〕3号", "2027-09-20"),
            // no code, but a name
            repair("示罚〔2026〕3号", "2026-09-20").replace(&format!("{CODE},,"), ",示例商贸有限公司,"),
        ];
        let text = format!("{HEADER}{}", rows.concat());
        let acts = desk.acts("repair");
        let before = desk.size().await;
        let rehearsal = acts.rehearse(&desk.sheet("repair", &text), |_| ()).await.unwrap();
        assert_eq!(desk.size().await, before, "a rehearsal writes nothing");
        let upload = desk.run("repair", &text).await;
        let counts = Counts { read: 8, published: 2, refused: 6, ..Counts::default() };
        assert_eq!((upload.counts, rehearsal.counts), (counts, counts));
        let faults = desk.faults(&upload).await;
        let codes: Vec<(u64, &str)> = faults.iter().map(|(row, code, _)| (*row, code.as_str())).collect();
        assert_eq!(codes, [(2, "E403"), (3, "E401"), (4, "E301"), (5, "E401"), (6, "E101"), (7, "E105")]);
        assert!(faults[0].2.contains("起方可修复"), "{faults:?}");
        assert_eq!(desk.size().await, before + 2);

        let again = desk.run("repair", &text).await;
        assert_eq!(again.counts, Counts { read: 8, skipped: 2, refused: 6, ..Counts::default() });
        let other = desk.run("repair", &format!("{HEADER}{}", repair("示罚〔2026〕1号", "2026-09-21"))).await;
        assert!(desk.faults(&other).await[0].2.contains("该信息已修复"));
        whole::check(&desk.station.import.db).await;
    }

    async fn withdrawals_and_answers_come_as_lists_too(database: Database) {
        let desk = Desk::with(database.open().await, &[(1, "2026-01-15"), (2, "2026-01-15")]).await;
        let office = desk.acts("dispute-answer").office;
        let sought = Sought {
            kind: "penalty".into(), subjects: vec![CODE.into()], number: Some("示罚〔2026〕1号".into()), ..Sought::default()
        };
        let body = json!({"raised": "2026-09-01", "reason": "示例"}).as_object().unwrap().clone();
        let dispute = office.say(desk.kinds.newest("dispute").unwrap(), &Named::Record(sought), body, false).await.unwrap();
        let answers = "处理结果,决定书文号,统一社会信用代码,答复日期,理由\n";
        let answer = |number: u32| format!("维持,示罚〔2026〕{number}号,{CODE},2026-09-20,属实\n");
        let text = format!("{answers}{}{}", answer(1), answer(2));
        let upload = desk.run("dispute-answer", &text).await;
        assert_eq!(upload.counts, Counts { read: 2, published: 1, refused: 1, ..Counts::default() });
        assert!(desk.faults(&upload).await[0].2.contains("没有待处理的事项"));
        let referring = office.db.referring(&dispute.digest.unwrap(), 10).await.unwrap();
        assert_eq!(referring.len(), 1, "the answer is about the dispute");
        assert_eq!(desk.run("dispute-answer", &text).await.counts.skipped, 1);

        let header = "决定书文号,企业名称,撤回决定日期,理由\n";
        let text = format!("{header}示罚〔2026〕1号,示例商贸有限公司,2026-09-20,误报\n");
        assert_eq!(desk.run("withdrawal", &text).await.counts.published, 1);
        assert_eq!(desk.run("withdrawal", &text).await.counts.skipped, 1);
        let repaired = desk.run("repair", &format!("{HEADER}{}", repair("示罚〔2026〕1号", "2026-09-20"))).await;
        assert!(desk.faults(&repaired).await[0].2.contains("该信息已撤回"));
        whole::check(&office.db).await;
    }

    async fn what_was_withdrawn_is_not_called_shared_when_it_is_sent_again(database: Database) {
        let desk = Desk::with(database.open().await, &[(1, "2026-01-15"), (2, "2026-01-15")]).await;
        let rows = [1, 2].map(|number| penalties::row(number, "2026-01-15", CODE));
        let text = format!("{}{}", penalties::HEADER, rows.concat());
        let withdrawal = format!("决定书文号,统一社会信用代码,撤回决定日期,理由\n示罚〔2026〕1号,{CODE},2026-09-20,误报\n");
        assert_eq!(desk.run("withdrawal", &withdrawal).await.counts.published, 1);

        let sheet = desk.station.sheet(&text);
        let counts = Counts { read: 2, skipped: 1, refused: 1, ..Counts::default() };
        assert_eq!(desk.station.import.rehearse(&sheet, |_| ()).await.unwrap().counts, counts);
        let again = desk.station.import.run(&sheet, &origin(), |_| ()).await.unwrap();
        assert_eq!(again.counts, counts);
        let faults = desk.faults(&again).await;
        assert!(faults[0].0 == 1 && faults[0].1 == "E303" && faults[0].2.contains("已撤回"), "{faults:?}");

        // with other content it stands anew, and once more that is unchanged
        let changed = desk.station.sheet(&text.replace("示罚〔2026〕1号,示例,", "示罚〔2026〕1号,更正后的示例,"));
        let upload = desk.station.import.run(&changed, &origin(), |_| ()).await.unwrap();
        assert_eq!(upload.counts, Counts { read: 2, published: 1, skipped: 1, ..Counts::default() });
        let upload = desk.station.import.run(&changed, &origin(), |_| ()).await.unwrap();
        assert_eq!(upload.counts, Counts { read: 2, skipped: 2, ..Counts::default() });
        whole::check(&desk.station.import.db).await;
    }

    async fn evidence_comes_with_a_list_of_repairs_and_their_revocations_as_a_list(database: Database) {
        let desk = Desk::with(database.open().await, &[(1, "2026-01-15"), (2, "2026-01-15"), (3, "2026-01-15")]).await;
        let digests = [Digest::of(b"1").to_string(), Digest::of(b"2").to_string()];
        let header = HEADER.replace("理由\n", "理由,证明材料摘要\n");
        let row = |number: u32, evidence: &str| {
            repair(&format!("示罚〔2026〕{number}号"), "2026-09-20").replace('\n', &format!(",{evidence}\n"))
        };
        let both = format!("{}； {}", digests[0], digests[1]);
        let text = format!("{header}{}{}{}", row(1, &both), row(2, "承诺书.pdf"), row(3, ""));
        let upload = desk.run("repair", &text).await;
        assert_eq!(upload.counts, Counts { read: 3, published: 2, refused: 1, ..Counts::default() });
        let faults = desk.faults(&upload).await;
        assert!(faults[0].1 == "E103" && faults[0].2.contains("摘要"), "{faults:?}");
        let said = desk.said(4).await;
        assert_eq!((&said.typ.kind[..], &said.body["evidence"]), ("repair", &json!(digests)));

        let header = "决定书文号,统一社会信用代码,撤销决定日期,生效日期,撤销决定机关,撤销理由\n";
        let revoke = |number: u32| format!("示罚（2026）{number}号,{CODE},2026-09-21,2026-09-21,示例局,隐瞒事实\n");
        let text = format!("{header}{}{}{}", revoke(1), revoke(2), revoke(9));
        let upload = desk.run("repair-revocation", &text).await;
        assert_eq!(upload.counts, Counts { read: 3, published: 1, refused: 2, ..Counts::default() });
        let faults = desk.faults(&upload).await;
        assert_eq!((&faults[0].1[..], &faults[1].1[..]), ("E403", "E401"), "{faults:?}");
        let revoked = desk.said(6).await;
        assert_eq!((&revoked.typ.kind[..], revoked.refs[0]), ("repair-revocation", desk.digest(4).await));
        assert_eq!(desk.run("repair-revocation", &text).await.counts.skipped, 1);
        // the record stands again, and can be repaired again
        let again = desk.run("repair", &format!("{HEADER}{}", repair("示罚〔2026〕1号", "2026-09-21"))).await;
        assert_eq!(again.counts.published, 1);
        whole::check(&desk.station.import.db).await;
    }

    async fn a_list_that_is_cut_off_goes_on_and_ends_in_one_receipt(database: Database) {
        let numbers: Vec<(u32, &str)> = (1..=600).map(|number| (number, "2026-01-15")).collect();
        let desk = Desk::with(database.open().await, &numbers).await;
        // each tenth repeats the one before
        let number = |row: u32| if row.is_multiple_of(10) { row - 1 } else { row };
        let rows: Vec<String> =
            (1..=600).map(|row| repair(&format!("示罚〔2026〕{}号", number(row)), "2026-09-20")).collect();
        let text = format!("{HEADER}{}", rows.concat());
        let sheet = desk.sheet("repair", &text);
        let (acts, of) = (desk.acts("repair"), origin());
        let (cut, when) = tokio::sync::oneshot::channel();
        let mut cut = Some(cut);
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
            finished = acts.run(&sheet, &of, progress) => panic!("not cut off: {finished:?}"),
        }
        let unfinished = acts.import.db.uploads(1).await.unwrap().remove(0);
        assert!(unfinished.next_row > 0 && unfinished.finished_ms.is_none(), "{unfinished:?}");
        let finished = desk.run("repair", &text).await;
        let counts = Counts { read: 600, published: 540, refused: 60, ..Counts::default() };
        assert_eq!((finished.id, finished.counts), (unfinished.id, counts));
        let faults = desk.faults(&finished).await;
        assert!(faults.iter().all(|(row, code, _)| row.is_multiple_of(10) && code == "E301"), "{faults:?}");
        assert_eq!(desk.size().await, 1 + 600 + 540);
        whole::check(&acts.import.db).await;
    }
}
