//! A question between two cities: what is said, in which order it is logged, and what the asking one makes of it.

use kaopu::exchange::finding::{Ask, Came, Whom};
use kaopu::exchange::question::About;
use kaopu::record::Purpose;
use kaopu::statement::{Audience, Digest, Reader, Salt, Statement, Typ};
use serde_json::{Value, json};

use crate::asking::{CLEAN, Pair, USCC, about, kinds_said, said};
use crate::city::City;
use crate::line::publish;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_and_answered_stands_in_both_logs_and_what_is_shown_is_verified() {
    let pair = Pair::new(|city| vec![city.penalty_of(USCC, 1), city.penalty_of(USCC, 2), city.draft(3)]).await;
    let finding = pair.ask(&about(USCC)).await;
    assert_eq!((finding.came, finding.complete, &finding.reason), (Came::Yes, true, &None));
    let numbers: Vec<_> = finding.statements.iter().map(|it| it.statement.body["number"].as_str().unwrap()).collect();
    assert_eq!(numbers, ["示例罚字〔2026〕第1号", "示例罚字〔2026〕第2号"]);
    assert!(finding.statements.iter().all(|stated| !stated.mirrored), "nothing was pulled yet");
    assert_eq!(finding.coverage.as_ref().unwrap().size, 4);
    // what is shared on conditions only is not told, whether there is something or not
    let withheld: Vec<_> = finding.withheld.iter().map(|it| it.kind.as_str()).collect();
    assert_eq!(withheld, ["contract", "grade", "voluntary"]);
    assert!(finding.policies.contains(&"ask-unconditional".to_owned()), "{:?}", finding.policies);

    assert_eq!(kinds_said(&pair.asker).await, ["query", "receipt"]);
    assert_eq!(kinds_said(&pair.asked).await, ["receipt", "answer"]);
    let (asker, asked) = (said(&pair.asker).await, said(&pair.asked).await);
    assert_eq!(asker[0].1.aud, Audience::Named(vec![Reader::Node(pair.asked.city.node.clone())]));
    assert_eq!(asker[0].1.body["purpose"], "finance");
    assert_eq!(asker[1].1.refs, finding.answers);
    assert_eq!(asker[1].1.body, *json!({"result": "taken"}).as_object().unwrap());
    assert_eq!((&asked[0].1.refs, &asked[1].1.refs), (&finding.queries, &finding.queries));
    assert_eq!(asked[1].1.typ, Typ::first("answer"));

    // each side keeps what the other said beside its log
    let heard = pair.asker.db.heard(&finding.queries[0]).await.unwrap().unwrap();
    assert_eq!((heard.outcome, heard.digest), ("yes", finding.answers[0]));
    let nonce = asker[0].1.body["nonce"].as_str().unwrap();
    let answered = pair.asked.db.answered(&pair.asker.city.node, nonce).await.unwrap().unwrap();
    assert_eq!((answered.query, answered.answer), (finding.queries[0], finding.answers[0]));
    pair.check().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn none_is_said_of_own_records_only_and_a_kind_may_be_asked_for_alone() {
    let pair = Pair::new(|city| vec![city.penalty_of(USCC, 1)]).await;
    assert_eq!(pair.ask(&about(CLEAN)).await.came, Came::None);
    let of = |kinds: &[&str]| Ask { kinds: kinds.iter().map(|kind| (*kind).to_owned()).collect(), ..about(USCC) };
    let licences = pair.ask(&of(&["licence", "honour"])).await;
    assert_eq!((licences.came, licences.statements.len()), (Came::None, 0));
    assert_eq!(pair.ask(&of(&["licence", "penalty"])).await.statements.len(), 1);
    pair.check().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replaced_version_is_not_found_and_one_for_others_is_said_to_be_withheld() {
    let pair = Pair::new(|city| {
        let mut addressed = city.penalty_of(USCC, 2);
        addressed.aud = Audience::Named(vec!["341200".parse().unwrap()]);
        let mut for_the_asker = city.penalty_of(USCC, 3);
        for_the_asker.aud = Audience::Named(vec!["310107".parse().unwrap()]);
        vec![city.penalty_of(USCC, 1), addressed, for_the_asker]
    })
    .await;
    let penalties = Ask { kinds: vec!["penalty".to_owned()], ..about(USCC) };
    let first = pair.ask(&penalties).await;
    assert_eq!(first.statements.len(), 2);
    assert_eq!(first.withheld.iter().map(|w| (&*w.kind, &*w.reason)).collect::<Vec<_>>(), [("penalty", "audience")]);
    let mut second = pair.asked.city.penalty_of(USCC, 1);
    second.prev = Some(first.statements[0].digest);
    second.body.insert("facts".to_owned(), "示例更正".into());
    second.salt = Salt([9; 16]);
    publish(&pair.records, vec![pair.asked.city.say(second)]).await;
    let again = pair.ask(&about(USCC)).await;
    assert_eq!(again.statements.len(), 2);
    assert_eq!(again.statements[1].statement.body["facts"], "示例更正");
    pair.check().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_repaired_is_not_spoken_of_any_more() {
    let pair = Pair::new(|city| vec![city.penalty_of(USCC, 1), city.penalty_of(USCC, 2)]).await;
    let found = pair.ask(&about(USCC)).await;
    let city = &pair.asked.city;
    let mut repair = city.draft(100);
    repair.typ = Typ::first("repair");
    repair.sub = city.penalty_of(USCC, 1).sub;
    repair.refs = vec![found.statements[0].digest];
    repair.body = json!({
        "type": "终止公示", "decided": "2026-08-01", "effective": "2026-08-01", "authority": "示例市场监督管理局", "reason": "示例",
    })
    .as_object()
    .unwrap()
    .clone();
    publish(&pair.records, vec![city.say(repair)]).await;
    let after = pair.ask(&about(USCC)).await;
    let told: Vec<_> = after.statements.iter().map(|it| it.digest).collect();
    assert_eq!((after.came, told), (Came::Yes, vec![found.statements[1].digest]));
    assert!(!after.withheld.iter().any(|withheld| withheld.kind == "penalty"), "nor is it said that there was one");
    pair.check().await;
}

/// Something that the asked one says about a record, or about what it said of it.
fn event(city: &City, kind: &str, about: Digest, body: &Value) -> Statement {
    let mut event = city.penalty_of(USCC, 100);
    event.typ = Typ::first(kind);
    event.salt = Salt(about.0[..16].try_into().unwrap());
    event.refs = vec![about];
    event.body = body.as_object().unwrap().clone();
    event
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_is_told_with_what_it_is_marked_by_until_that_is_settled() {
    let pair = Pair::new(|city| (1..=600).map(|number| city.penalty_of(USCC, number)).collect()).await;
    let of_penalties = Ask { kinds: vec!["penalty".to_owned()], ..about(USCC) };
    let found = pair.ask(&of_penalties).await.statements;
    let city = &pair.asked.city;
    let dispute = |at: usize| {
        let body = json!({"raised": "2026-03-01", "reason": "金额有误"});
        city.say(event(city, "dispute", found[at].digest, &body))
    };
    // one in the middle of a page, one on its end, one alone on the next
    let disputes = [3, 498, 550].map(|at| (at, dispute(at)));
    publish(&pair.records, disputes.iter().map(|(_, dispute)| dispute.clone()).collect()).await;
    let told = pair.ask(&of_penalties).await;
    assert_eq!((told.came, told.complete, told.statements.len()), (Came::Yes, true, 600), "{:?}", told.reason);
    let marked: Vec<_> = told.statements.iter().filter(|stated| stated.is_disputed()).collect();
    let marks: Vec<_> = marked.iter().map(|stated| (stated.digest, stated.events[0].digest)).collect();
    let expected = disputes.each_ref().map(|(at, dispute)| (found[*at].digest, dispute.digest()));
    assert_eq!(marks, expected);
    assert!(marked.iter().all(|stated| stated.events[0].statement.body["reason"] == "金额有误"));
    assert!(told.statements.iter().all(|stated| stated.events.len() <= 1) && told.erased.is_empty());

    // found right, it is settled; found wrong, it is disputed until it is corrected, and the answer is told too
    let answers = [(&disputes[0].1, "维持"), (&disputes[1].1, "更正")].map(|(dispute, outcome)| {
        let body = json!({"outcome": outcome, "answered": "2026-03-04", "reason": "示例"});
        city.say(event(city, "dispute-answer", dispute.digest(), &body))
    });
    publish(&pair.records, answers.to_vec()).await;
    let told = pair.ask(&of_penalties).await;
    assert!(!told.statements[3].is_disputed() && told.statements[3].events.is_empty());
    let events: Vec<_> = told.statements[498].events.iter().map(|event| event.digest).collect();
    assert_eq!(events, [disputes[1].1.digest(), answers[1].digest()]);
    assert!(told.statements[550].is_disputed());
    pair.check().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_a_page_comes_in_pages_each_with_its_proof() {
    let pair = Pair::new(|city| (1..=1201).map(|number| city.penalty_of(USCC, number)).collect()).await;
    let finding = pair.ask(&about(USCC)).await;
    assert_eq!((finding.came, finding.complete, finding.statements.len()), (Came::Yes, true, 1201));
    assert_eq!((finding.queries.len(), finding.answers.len()), (3, 3));
    assert_eq!(kinds_said(&pair.asked).await.len(), 6);
    let mut digests: Vec<_> = finding.statements.iter().map(|stated| stated.digest).collect();
    digests.sort_unstable();
    digests.dedup();
    assert_eq!(digests.len(), 1201);
    pair.check().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_peer_may_not_be_told_is_denied_and_that_is_an_answer_too() {
    let pair = Pair::new(|city| vec![city.penalty_of(USCC, 1)]).await;
    let finding = pair.ask(&Ask { kinds: vec!["contract".to_owned()], ..about(USCC) }).await;
    assert_eq!((finding.came, finding.complete, finding.answers.len()), (Came::Denied, true, 1));
    assert!(finding.reason.is_some() && finding.statements.is_empty());
    assert_eq!(finding.withheld[0].kind, "contract");
    assert!(finding.policy_set.is_some());
    // for what an authority has to decide it may
    let finding = pair.ask(&Ask { kinds: vec!["contract".to_owned()], purpose: Purpose::Award, ..about(USCC) }).await;
    assert_eq!((finding.came, finding.withheld.len()), (Came::None, 0));
    assert_eq!(finding.policies, ["ask-conditional"]);
    assert_eq!(kinds_said(&pair.asked).await, ["receipt", "answer", "receipt", "answer"]);
    assert_eq!(said(&pair.asked).await[1].1.body["outcome"], "denied");
    pair.check().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_alone_does_not_tell_who_it_is() {
    let pair = Pair::new(|city| vec![city.draft(1)]).await;
    let subject = Whom::Known(About::Named { name: "示例1有限公司".to_owned(), sealed: None });
    let finding = pair.ask(&Ask { subject, ..about(USCC) }).await;
    assert_eq!((finding.came, finding.complete), (Came::InsufficientIdentity, true));
    assert!(finding.reason.unwrap().contains("name"));
    pair.check().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_in_the_mirror_here_is_known_to_be_proven() {
    let mut pair = Pair::new(|city| vec![city.penalty_of(USCC, 1)]).await;
    pair.asker.pull();
    pair.asker.holds(&pair.asked.city.records(), 2).await;
    let finding = pair.ask(&about(USCC)).await;
    assert!(finding.statements[0].mirrored);
    pair.asker.rest().await;
    pair.check().await;
}
