//! Two systems of one region keep each other in step by the same means as cities do: the public credit platform of Putuo
//! (310107) and the 企业信用信息公示系统 of its market regulator (310107.scjg), each a node of its own.

use kaopu::clock::date_of;
use kaopu::exchange::finding::Came;
use kaopu::record::Status;
use kaopu::statement::{Statement, Verified};
use serde_json::{Value, json};

use super::Partner;
use crate::asking::{USCC, about, soon};
use crate::city::NOW;
use crate::database::Kind;
use crate::line::until;

const PLATFORM: &str = "310107";
const REGULATOR: &str = "310107.scjg";

/// The two systems; both ask and are asked.
async fn region(kind: Kind) -> [Partner; 2] {
    let (mut platform, platform_tcp) = Partner::new(kind, PLATFORM).await;
    let (mut regulator, regulator_tcp) = Partner::new(kind, REGULATOR).await;
    platform.office.knows(&[&regulator.office.city]).await;
    regulator.office.knows(&[&platform.office.city]).await;
    for (partner, tcp) in [(&mut platform, platform_tcp), (&mut regulator, regulator_tcp)] {
        partner.office.exchanges().await;
        partner.office.serve(tcp);
        partner.office.pull();
    }
    [platform, regulator]
}

impl Partner {
    /// A penalty of this system about the enterprise.
    fn penalises(&self, number: u64, decided: &str, category: &str) -> Statement {
        let mut penalty = self.office.city.penalty_of(USCC, number);
        penalty.body.insert("decided".to_owned(), decided.into());
        penalty.body.insert("category".to_owned(), json!([category]));
        penalty
    }

    /// Something said about a record, or about what was said of it.
    fn about(&self, kind: &str, target: &Verified, body: &Value) -> Statement {
        let sub = target.statement().sub.clone();
        Statement { sub, ..self.statement(kind, Some(target), body) }
    }

    fn repairs(&self, record: &Verified) -> Statement {
        let (today, authority) = (date_of(NOW).to_string(), "示例市场监督管理局");
        let body = json!({
            "type": "终止公示", "decided": today, "effective": today, "authority": authority,
            "reason": format!("已履行 {}", record.digest()),
        });
        self.about("repair", record, &body)
    }

    fn revokes(&self, repair: &Verified) -> Statement {
        let today = date_of(NOW).to_string();
        let body = json!({"decided": today, "effective": today, "reason": format!("承诺不实 {}", repair.digest())});
        self.about("repair-revocation", repair, &body)
    }

    /// How it stands with the record here: its status, and whether it is shown, shared and used.
    async fn makes_of(&self, record: &Verified) -> (Status, [bool; 3]) {
        let number = record.statement().body["number"].as_str().unwrap();
        let found = self.sees_of(&record.statement().sub.as_ref().unwrap().key(), number).await;
        assert_eq!((&found.issuer, found.digest), (record.issuer(), record.digest()), "its issuer's own");
        (found.status, [found.standing.public, found.standing.shared, found.standing.used])
    }

    /// How many records the other system tells when this one asks it.
    async fn is_told(&self, other: &Self) -> usize {
        let peer = self.office.registry.peer(&other.office.city.node).unwrap();
        let finding = self.office.asker().ask(&peer, &about(USCC), soon()).await;
        assert!(matches!(finding.came, Came::Yes | Came::None), "{finding:?}");
        finding.statements.len()
    }

    /// Waits until it holds all that the other said, and decides on it; gives how much there was to decide.
    async fn follows(&self, other: &Self) -> u32 {
        self.office.holds(&other.office.city.records(), other.size).await;
        self.decides().await
    }
}

const STANDS: (Status, [bool; 3]) = (Status::Published, [true; 3]);
const ENDED: (Status, [bool; 3]) = (Status::Repaired, [false; 3]);

/// One publishes, the other mirrors; what the one repairs, and what it takes back of that, holds at both.
/// `first` is the number of its first record, `others` how many the other tells.
async fn from_one_to_the_other(one: &mut Partner, other: &mut Partner, first: u64, others: usize) {
    // a serious one too: between cities it would wait for a person
    let records = [one.penalises(first, "2026-01-15", "罚款"), one.penalises(first + 1, "2025-01-02", "吊销许可证件")];
    let records = one.says(records.to_vec()).await;
    assert_eq!(other.follows(one).await, 0);
    for record in &records {
        assert_eq!((one.makes_of(record).await, other.makes_of(record).await), (STANDS, STANDS));
    }
    assert_eq!(other.is_told(one).await, 2);

    let repairs = one.says(records.iter().map(|record| one.repairs(record)).collect()).await;
    for record in &records {
        assert_eq!(one.makes_of(record).await, ENDED, "at home at once");
    }
    assert_eq!(other.is_told(one).await, 0, "nobody is told what is repaired");
    assert_eq!(other.follows(one).await, 2);
    for (record, repair) in records.iter().zip(&repairs) {
        assert_eq!(other.makes_of(record).await, ENDED);
        let overview = other.recogniser().overview(&repair.digest()).await.unwrap();
        assert_eq!((overview.partners[0].outcome.as_str(), &overview.partners[0].by), ("recognised", &None));
    }
    // who made the finding sees that the other system follows
    until("the recognitions are known at their origin", || async {
        let partners = one.recogniser().overview(&repairs[1].digest()).await.unwrap().partners;
        partners.iter().all(|partner| partner.outcome == "recognised" && !partner.late)
    })
    .await;

    one.says(repairs.iter().map(|repair| one.revokes(repair)).collect()).await;
    assert_eq!(other.follows(one).await, 2);
    for record in &records {
        assert_eq!((one.makes_of(record).await, other.makes_of(record).await), (STANDS, STANDS));
    }
    assert_eq!(other.is_told(one).await, 2);
    // each answers from its own records alone, so nothing is told twice
    assert_eq!(one.is_told(other).await, others);
    // its log has the recognitions now
    let origin = other.office.city.records();
    other.size = other.office.copy(&origin).await.unwrap().size;
}

async fn both_directions(kind: Kind) {
    let [mut platform, mut regulator] = Box::pin(region(kind)).await;
    from_one_to_the_other(&mut regulator, &mut platform, 1, 0).await;
    from_one_to_the_other(&mut platform, &mut regulator, 3, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_systems_of_one_region_keep_each_other_in_step_on_sqlite() {
    Box::pin(both_directions(Kind::Sqlite)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_systems_of_one_region_keep_each_other_in_step_on_postgres() {
    Box::pin(both_directions(Kind::Postgres)).await;
}
