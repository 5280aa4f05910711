//! Recognition: a repair of one city takes effect at another by that one's own decision, and the first one sees which.

use jiff::ToSpan as _;
use jiff::civil::Date;
use kaopu::clock::{Clock, begin_of, date_of};
use kaopu::log::appender::Appender;
use kaopu::node::lookup::{self, Found};
use kaopu::node::recognise::{Awaited, NAMED, RULES, RecogniseError, Recogniser};
use kaopu::node::settings::Settings;
use kaopu::node::view::View;
use kaopu::policy::{Groups, InForce, Known, Outcome, Policies};
use kaopu::record::{Calendar, Rules, Status};
use kaopu::statement::{Audience, Digest, Salt, Statement, Subject, Typ, Verified};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use crate::city::{City, NOW};
use crate::database::Kind;
use crate::line::{Office, place, publish};

mod failing;
mod late;
mod one_region;

const SUBJECT: &str = "name:示例有限公司";

/// A city that publishes, pulls and decides.
struct Partner {
    office: Office,
    records: Appender,
    settings: Settings,
    size: u64,
}

impl Partner {
    async fn new(kind: Kind, node: &str) -> (Self, tokio::net::TcpListener) {
        let (tcp, url) = place().await;
        let office = Office::in_a(kind, City::new(node, &url)).await;
        let records = office.publishes().await;
        (
            Self {
                office,
                records,
                settings: Settings::new(Rules::built_in().unwrap(), Calendar::built_in().unwrap()),
                size: 1,
            },
            tcp,
        )
    }

    fn recogniser(&self) -> Recogniser {
        let known = Known::new(&self.office.city.node, &self.office.kinds, &Default::default());
        Recogniser {
            db: self.office.db.clone(),
            node: self.office.city.node.clone(),
            kinds: self.office.kinds.clone(),
            registry: self.office.registry.clone(),
            records: self.records.clone(),
            policies: InForce::new(Policies::builtin(known).unwrap()),
            groups: Groups::default(),
            settings: self.settings.clone(),
            clock: self.office.clock.clone(),
        }
    }

    async fn decides(&self) -> u32 {
        self.recogniser().decide_new(&mut StdRng::seed_from_u64(1)).await.unwrap()
    }

    /// What it makes of the subject's record of a number.
    async fn sees(&self, number: &str) -> Found {
        self.sees_of(SUBJECT, number).await
    }

    async fn sees_of(&self, subject: &str, number: &str) -> Found {
        let clock: &Clock = &self.office.clock;
        let node = &self.office.city.node;
        let rules = self.settings.rules.now();
        let view = View { node, kinds: &self.office.kinds, rules: &rules, clock };
        let found = lookup::about(&self.office.db, &view, subject).await.unwrap();
        found.into_iter().find(|found| found.body["number"] == number).unwrap()
    }

    async fn says(&mut self, statements: Vec<Statement>) -> Vec<Verified> {
        let said: Vec<_> = statements.into_iter().map(|statement| self.office.city.say(statement)).collect();
        self.size = publish(&self.records, said.clone()).await.size;
        said
    }

    fn statement(&self, kind: &str, about: Option<&Verified>, body: &Value) -> Statement {
        Statement {
            typ: Typ::first(kind),
            iss: self.office.city.node.clone(),
            iat: NOW,
            aud: Audience::Everyone,
            salt: Salt([Digest::of(body.to_string().as_bytes()).0[0]; 16]),
            sub: Some(Subject::Named { name: "示例有限公司".to_owned() }),
            prev: None,
            refs: about.map(Verified::digest).into_iter().collect(),
            body: body.as_object().unwrap().clone(),
        }
    }

    fn penalty(&self, number: &str, decided: &str, category: &str) -> Statement {
        let mut statement = self.office.city.draft(1);
        let body = json!({"name": "示例有限公司", "number": number, "decided": decided, "category": [category]});
        statement.body.extend(body.as_object().unwrap().clone());
        statement.salt = Salt([number.len() as u8; 16]);
        Statement { sub: Some(Subject::Named { name: "示例有限公司".to_owned() }), ..statement }
    }

    fn repair(&self, of: &Verified, decided: &str) -> Statement {
        self.statement(
            "repair",
            Some(of),
            &json!({
                "type": "终止公示", "decided": decided, "effective": decided, "authority": "示例市场监督管理局",
                "reason": format!("已履行 {}", of.digest()),
            }),
        )
    }
}

async fn a_repair_takes_effect_where_it_is_recognised(kind: Kind) {
    let (mut issuer, tcp) = Partner::new(kind, "340500").await;
    let (mut partner, partner_tcp) = Partner::new(Kind::Sqlite, "310107").await;
    issuer.office.knows(&[&partner.office.city]).await;
    partner.office.knows(&[&issuer.office.city]).await;
    issuer.office.serve(tcp);
    partner.office.serve(partner_tcp);
    issuer.office.pull();
    partner.office.pull();
    let today = date_of(NOW).to_string();

    let penalties = [
        issuer.penalty("示罚〔2026〕1号", "2026-03-01", "罚款"),
        issuer.penalty("示罚〔2026〕22号", "2025-01-02", "吊销许可证件"),
        issuer.penalty("示罚〔2026〕333号", &today, "罚款"),
    ];
    let records = issuer.says(penalties.to_vec()).await;
    let repairs = records.iter().map(|record| issuer.repair(record, &today)).collect();
    let repairs = issuer.says(repairs).await;
    partner.office.holds(&issuer.office.city.records(), issuer.size).await;
    let numbers = ["示罚〔2026〕1号", "示罚〔2026〕22号", "示罚〔2026〕333号"];
    assert_eq!(issuer.sees(numbers[0]).await.status, Status::Repaired, "at home at once");
    assert_ne!(partner.sees(numbers[0]).await.status, Status::Repaired, "elsewhere not by itself");

    assert_eq!(partner.decides().await, 3);
    assert_eq!(partner.decides().await, 0, "nothing is decided twice");
    let one = partner.sees(numbers[0]).await;
    assert_eq!((one.status, one.standing.shared, one.standing.used), (Status::Repaired, false, false));
    // a serious one waits for a person, and one before the least publicity is none here
    assert_ne!(partner.sees(numbers[1]).await.status, Status::Repaired);
    assert_ne!(partner.sees(numbers[2]).await.status, Status::Repaired);
    let deciding = partner.recogniser();
    let waiting = deciding.waiting().await.unwrap();
    assert_eq!(waiting.iter().map(|one| one.digest).collect::<Vec<_>>(), [repairs[1].digest()]);
    assert!(!waiting[0].partners[0].late && waiting[0].partners[0].deadline.as_ref() > Some(&today), "{waiting:?}");
    // it is told of a working day before its last one
    let deadline = waiting[0].partners[0].deadline.as_ref().unwrap().parse::<Date>().unwrap();
    for (days, due, late) in [(-3, 0, 0), (0, 1, 0), (1, 1, 1)] {
        let at = Clock::fixed(begin_of(deadline.saturating_add(days.days())) * 1000);
        let awaited = Awaited::of(&partner.office.db, &partner.settings, &at, NAMED).await.unwrap();
        assert_eq!((awaited.waiting, awaited.pending, awaited.due, awaited.late), (1, 1, due, late), "{days} days on");
        assert_eq!(awaited.first[0].deadline, deadline.to_string());
        assert_eq!((awaited.first[0].due, awaited.first[0].late), (due == 1, late == 1));
        let words = awaited.words.unwrap_or_default();
        assert!(
            [("逾期", late), ("即将到期", due - late)].iter().all(|(word, is)| words.contains(word) == (*is == 1)),
            "{words}"
        );
    }
    let early = deciding.overview(&repairs[2].digest()).await.unwrap();
    assert_eq!(early.partners[0].outcome, "refused");
    let said = partner.sees(numbers[2]).await.said;
    let refusal = said.iter().find(|said| said.kind == "recognition").unwrap();
    assert_eq!(refusal.body["policies"], json!([RULES]));

    // a person decides
    let rng = &mut StdRng::seed_from_u64(2);
    deciding.decide(&repairs[1].digest(), Outcome::Recognised, "王五", None, rng).await.unwrap();
    assert!(deciding.waiting().await.unwrap().is_empty());
    assert_eq!(partner.sees(numbers[1]).await.status, Status::Repaired);
    let again = deciding.decide(&repairs[1].digest(), Outcome::Recognised, "王五", None, rng).await;
    assert!(matches!(again, Err(RecogniseError::Decided(_))));
    let nothing = deciding.decide(&Digest([3; 32]), Outcome::Recognised, "王五", None, rng).await;
    assert!(matches!(nothing, Err(RecogniseError::Unknown(_))));
    let own = issuer.recogniser().decide(&repairs[0].digest(), Outcome::Recognised, "王五", None, rng).await;
    assert!(matches!(own, Err(RecogniseError::Own(_))));

    // the issuer sees what its partner made of each: its log has a descriptor, three decisions and that of a person
    issuer.office.holds(&partner.office.city.records(), 5).await;
    let overview = async |repair: &Verified| issuer.recogniser().overview(&repair.digest()).await.unwrap().partners;
    for (repair, outcome) in repairs.iter().zip(["recognised", "recognised", "refused"]) {
        let partners = overview(repair).await;
        assert_eq!(partners.len(), 1);
        assert_eq!((partners[0].outcome.as_str(), partners[0].late), (outcome, false));
    }
    assert_eq!(overview(&repairs[1]).await[0].by.as_deref(), Some("王五"));

    // a repair that was got by false statements is revoked: the record stands again, everywhere
    let body = json!({"decided": today, "effective": today, "reason": "承诺不实"});
    let revocation = issuer.statement("repair-revocation", Some(&repairs[0]), &body);
    issuer.says(vec![revocation]).await;
    partner.office.holds(&issuer.office.city.records(), issuer.size).await;
    assert_eq!(issuer.sees(numbers[0]).await.status, Status::Published);
    assert_eq!(partner.decides().await, 1);
    assert_eq!(partner.sees(numbers[0]).await.status, Status::Published);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repair_takes_effect_where_it_is_recognised_on_sqlite() {
    Box::pin(a_repair_takes_effect_where_it_is_recognised(Kind::Sqlite)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repair_takes_effect_where_it_is_recognised_on_postgres() {
    Box::pin(a_repair_takes_effect_where_it_is_recognised(Kind::Postgres)).await;
}
