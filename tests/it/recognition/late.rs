//! The issuer of a repair is told which partners are late to decide on it, and of nobody who could not.

use std::path::Path;

use kaopu::clock::{Clock, begin_of, date_of};
use kaopu::config::Config;
use kaopu::node::recognise::{LatePartner, LatePartners, Recogniser};
use kaopu::policy::Outcome;
use kaopu::statement::{Audience, Reader, Statement, Verified};
use kaopu::store::peer::PeerRow;
use kaopu::trust::state::PeerState;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use serde_json::json;

use super::Partner;
use crate::city::{City, NOW};
use crate::database::Kind;

const DAY: i64 = 86_400;

impl Partner {
    /// Which partners are late so many days on, as the store has it.
    async fn late(&self, days: i64) -> LatePartners {
        self.late_of(&self.office.db.peers().await.unwrap(), days).await
    }

    async fn late_of(&self, peers: &[PeerRow], days: i64) -> LatePartners {
        let config = Config::load(Path::new("config/node.toml")).unwrap();
        let (db, clock) = (&self.office.db, Clock::fixed((NOW + days * DAY) * 1000));
        let logs = db.logs().await.unwrap();
        LatePartners::of(db, &config, &logs, peers, &self.settings, &clock).await.unwrap()
    }
}

fn told(late: &LatePartners) -> Vec<(&str, usize, &str)> {
    late.partners.iter().map(|LatePartner { node, repairs, outcome, .. }| (node.as_str(), *repairs, *outcome)).collect()
}

async fn who_is_late_is_told_of(kind: Kind) {
    let (mut issuer, tcp) = Partner::new(kind, "340500").await;
    let (mut partner, partner_tcp) = Partner::new(Kind::Sqlite, "310107").await;
    let silent = City::new("341200", "https://127.0.0.1:1");
    issuer.office.knows(&[&partner.office.city, &silent]).await;
    partner.office.knows(&[&issuer.office.city]).await;
    issuer.office.serve(tcp);
    partner.office.serve(partner_tcp);
    issuer.office.pull();
    partner.office.pull();
    let today = date_of(NOW).to_string();
    assert_eq!(issuer.late(30).await, LatePartners::default());

    // an ordinary one, a serious one, and one that the silent partner never sees
    let mut penalties = vec![
        issuer.penalty("示罚〔2026〕1号", "2026-03-01", "罚款"),
        issuer.penalty("示罚〔2026〕22号", "2025-01-02", "吊销许可证件"),
        issuer.penalty("示罚〔2026〕333号", "2026-03-01", "罚款"),
    ];
    let one = Audience::Named(vec![Reader::Node("310107".parse().unwrap())]);
    penalties[2].aud = one.clone();
    let records = issuer.says(penalties).await;
    let mut repairs: Vec<Statement> = records.iter().map(|record| issuer.repair(record, &today)).collect();
    repairs[2].aud = one;
    let repairs = issuer.says(repairs).await;
    partner.office.holds(&issuer.office.city.records(), issuer.size).await;
    assert_eq!(partner.decides().await, 3);
    issuer.office.holds(&partner.office.city.records(), 4).await;

    // three working days: the last one is a Thursday
    assert_eq!(issuer.late(3).await, LatePartners::default());
    let late = issuer.late(4).await;
    assert_eq!((late.looked_at, told(&late)), (3, vec![("310107", 1, "pending"), ("341200", 2, "silent")]));
    let [at_one, at_other] = &late.partners[..] else { unreachable!() };
    assert_eq!((at_one.first, at_other.first), (repairs[1].digest(), repairs[0].digest()));
    assert!(late.partners.iter().all(|partner| partner.deadline == "2026-09-24"), "{late:?}");
    // nor is who cannot read it told to be silent
    let recogniser = Recogniser { clock: Clock::fixed((NOW + 4 * DAY) * 1000), ..issuer.recogniser() };
    let told_of = async |repair: &Verified| {
        let partners = recogniser.overview(&repair.digest()).await.unwrap().partners;
        partners.into_iter().map(|it| (it.outcome, it.late, it.deadline)).collect::<Vec<_>>()
    };
    let due = Some("2026-09-24".to_owned());
    let decided = |outcome: &str, late: bool| (outcome.to_owned(), late, due.clone());
    assert_eq!(told_of(&repairs[1]).await, [decided("pending", true), decided("silent", true)]);
    assert_eq!(told_of(&repairs[2]).await, [decided("recognised", false), ("unaddressed".to_owned(), false, None)]);

    let words = late.words.as_deref().unwrap();
    let first = format!(
        "2 partners are late to decide on repairs of this node 对方互认逾期. First, 310107 has not decided on the repair {}, \
         due on 2026-09-24: it waits for a person there 待对方人工决定; ",
        repairs[1].digest()
    );
    assert!(words.starts_with(&first), "{words}");
    let other = "has not decided on 2 repairs, the first ";
    assert!(at_other.words.contains(other) && at_other.words.contains("it is silent 未答复"), "{}", at_other.words);
    // one that has not answered for days may have said so meanwhile
    assert!(at_other.words.ends_with("it has not answered for 4 days: `kaopu doctor 341200`"), "{}", at_other.words);
    let mut peers = issuer.office.db.peers().await.unwrap();
    peers.iter_mut().for_each(|peer| peer.success_ms = Some((NOW + 4 * DAY) * 1000));
    let answering = issuer.late_of(&peers, 4).await.partners.remove(0).words;
    let remedy = format!("ask its administrator; `kaopu recognise show {}`", repairs[1].digest());
    assert!(answering.contains(&remedy), "{answering}");

    // who became a partner later has as long from then on, and who is none owes nothing
    peers[1].changed_ms = begin_of(date_of(NOW + 4 * DAY)) * 1000;
    assert_eq!(told(&issuer.late_of(&peers, 4).await), [("310107", 1, "pending")]);
    assert_eq!(issuer.late_of(&peers, 30).await.partners.len(), 2);
    peers[1].state = PeerState::Suspended;
    assert_eq!(told(&issuer.late_of(&peers, 30).await), [("310107", 1, "pending")]);

    // a person decides there; the ordinary repair is revoked, which counts in its place
    let rng = &mut StdRng::seed_from_u64(2);
    partner.recogniser().decide(&repairs[1].digest(), Outcome::Refused, "王五", None, rng).await.unwrap();
    issuer.office.holds(&partner.office.city.records(), 5).await;
    assert_eq!(told(&issuer.late(4).await), [("341200", 2, "silent")]);
    let body = json!({"decided": today, "effective": today, "reason": "承诺不实"});
    let revocation = issuer.statement("repair-revocation", Some(&repairs[0]), &body);
    issuer.says(vec![revocation]).await;
    let late = issuer.late(4).await;
    assert_eq!(told(&late), [("310107", 1, "silent"), ("341200", 2, "silent")]);
    assert_eq!(late.partners[1].first, repairs[1].digest());
    partner.office.holds(&issuer.office.city.records(), issuer.size).await;
    assert_eq!(partner.decides().await, 1);
    issuer.office.holds(&partner.office.city.records(), 6).await;
    assert_eq!(told(&issuer.late(4).await), [("341200", 2, "silent")]);

    // for one that became a partner when the others were late already, the time begins then
    let day = date_of(NOW + 4 * DAY);
    let newcomer = City::new("341000", "https://127.0.0.1:2");
    let row = PeerRow { added_ms: begin_of(day) * 1000, ..newcomer.peer_row() };
    assert!(issuer.office.db.put_peer(&row).await.unwrap());
    issuer.office.registry.refresh().await.unwrap();
    let due_then = Some(issuer.settings.recognised_by(day).date.to_string());
    assert_ne!(due_then, due);
    assert_eq!(told_of(&repairs[1]).await[1..], [("silent".to_owned(), false, due_then), decided("silent", true)]);

    // only the newest are looked at
    let log = issuer.office.db.log(&issuer.office.city.records()).await.unwrap().unwrap();
    let newest = issuer.office.db.repairs_said_before(log.id, NOW + 1, 2).await.unwrap();
    assert_eq!(newest[1].0, repairs[2].digest());
    assert!(issuer.office.db.repairs_said_before(log.id, NOW, 2).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_late_is_told_of_on_sqlite() {
    Box::pin(who_is_late_is_told_of(Kind::Sqlite)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_late_is_told_of_on_postgres() {
    Box::pin(who_is_late_is_told_of(Kind::Postgres)).await;
}
