//! One repair on which nothing can be decided keeps none behind it from being decided.

use kaopu::clock::{Clock, date_of};
use kaopu::node::recognise::{Awaited, NAMED, Recogniser};
use kaopu::record::Status;
use kaopu::statement::{Audience, Reader, Statement, Verified};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use serde_json::json;

use super::Partner;
use crate::city::NOW;
use crate::database::Kind;

/// A statement takes no more bytes.
const MOST_BYTES: usize = 64 * 1024;

impl Partner {
    /// A repair for so many readers that it just fits into a statement: the recognition of it, which is longer, does not.
    fn repair_for_too_many(&self, of: &Verified, decided: &str) -> Statement {
        let aud = |count: u32| {
            let node = |n: u32| Reader::Node(format!("310107.{n:016}").parse().unwrap());
            Audience::Named(
                std::iter::once(Reader::Node("310107".parse().unwrap())).chain((0..count).map(node)).collect(),
            )
        };
        let body =
            json!({"type": "终止公示", "decided": decided, "effective": decided, "authority": "局", "reason": "改"});
        let repair = |count: u32| Statement { aud: aud(count), ..self.statement("repair", Some(of), &body) };
        let size = |count: u32| self.office.city.say(repair(count)).jws().len();
        // three bytes are four characters, so three readers add the same as any three others
        let of_three = size(4) - size(1);
        let count = u32::try_from((MOST_BYTES - 4 - size(0)) * 3 / of_three).unwrap();
        assert!(size(count) <= MOST_BYTES);
        repair(count)
    }
}

async fn one_that_fails_keeps_none_behind_it(kind: Kind) {
    let (mut issuer, tcp) = Partner::new(kind, "340500").await;
    let (mut partner, partner_tcp) = Partner::new(kind, "310107").await;
    issuer.office.knows(&[&partner.office.city]).await;
    partner.office.knows(&[&issuer.office.city]).await;
    issuer.office.serve(tcp);
    partner.office.serve(partner_tcp);
    partner.office.pull();
    let today = date_of(NOW).to_string();
    let numbers = ["示罚〔2026〕1号", "示罚〔2026〕22号"];
    let mut penalties: Vec<_> = numbers.iter().map(|number| issuer.penalty(number, "2026-03-01", "罚款")).collect();
    penalties[0].aud = Audience::Named(vec![Reader::Node("310107".parse().unwrap())]);
    let records = issuer.says(penalties).await;
    let repairs = vec![issuer.repair_for_too_many(&records[0], &today), issuer.repair(&records[1], &today)];
    let repairs = issuer.says(repairs).await;
    partner.office.holds(&issuer.office.city.records(), issuer.size).await;

    assert_eq!(partner.decides().await, 2);
    assert_eq!(partner.sees(numbers[1]).await.status, Status::Repaired, "the one behind it");
    assert_ne!(partner.sees(numbers[0]).await.status, Status::Repaired);
    let at = |seconds: i64| Clock::fixed((NOW + seconds) * 1000);
    let standing =
        async |partner: &Partner| Awaited::of(&partner.office.db, &partner.settings, &at(0), NAMED).await.unwrap();
    let awaited = standing(&partner).await;
    assert_eq!((awaited.waiting, awaited.pending, awaited.failing), (1, 0, 1));
    assert_eq!(awaited.first[0].digest, repairs[0].digest());
    assert!(awaited.words.unwrap().contains("1 could not be decided and will be tried again"));
    let listed = partner.recogniser().waiting().await.unwrap();
    assert!(listed[0].fault.as_ref().unwrap().contains("the statement is refused"), "{listed:?}");

    // it is tried again after a minute, and then after two
    let decides = async |seconds: i64| {
        let recogniser = Recogniser { clock: at(seconds), ..partner.recogniser() };
        recogniser.decide_new(&mut StdRng::seed_from_u64(3)).await.unwrap()
    };
    let tried = [decides(59).await, decides(61).await, decides(120).await, decides(180).await, decides(182).await];
    assert_eq!(tried, [0, 1, 0, 0, 1]);
    assert_eq!(standing(&partner).await.failing, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_fails_keeps_none_behind_it_on_sqlite() {
    Box::pin(one_that_fails_keeps_none_behind_it(Kind::Sqlite)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_fails_keeps_none_behind_it_on_postgres() {
    Box::pin(one_that_fails_keeps_none_behind_it(Kind::Postgres)).await;
}
