//! Queries that are not answered, each for its own reason, as the asking side sees it on the wire.

use std::sync::atomic::Ordering;

use http::StatusCode;
use kaopu::clock::Clock;
use kaopu::statement::{Audience, Digest, Salt, SigningKey, Statement, Suite, Typ, Verified, envelope};
use kaopu::trust::tls;
use reqwest::Client;
use serde_json::{Value, json};

use crate::asking::{Pair, USCC, kinds_said};
use crate::city::NOW;

/// A city that asks by hand.
struct Raw {
    pair: Pair,
    http: Client,
}

impl Raw {
    async fn new() -> Self {
        let pair = Pair::new(|city| vec![city.penalty_of(USCC, 1)]).await;
        let mut config = tls::client_tls(&pair.asker.city.identity, &pair.peer()).unwrap().config;
        config.alpn_protocols = vec![b"h2".to_vec()];
        let http = Client::builder().tls_backend_preconfigured(config).no_proxy().build().unwrap();
        Self { pair, http }
    }

    /// A query that would be answered.
    fn query(&self, nonce: u8) -> Statement {
        let body = json!({
            "subject": {"uscc": USCC}, "purpose": "finance", "basis": "示例",
            "nonce": format!("{}{nonce:02}", "A".repeat(20)), "expires": NOW + 60,
        });
        Statement {
            typ: Typ::first("query"),
            iss: self.pair.asker.city.node.clone(),
            iat: NOW,
            aud: Audience::Named(vec!["340500".parse().unwrap()]),
            salt: Salt([nonce; 16]),
            sub: None,
            prev: None,
            refs: Vec::new(),
            body: body.as_object().unwrap().clone(),
        }
    }

    fn with(&self, nonce: u8, member: &str, value: Value) -> Statement {
        let mut query = self.query(nonce);
        query.body.insert(member.to_owned(), value);
        query
    }

    fn say(&self, statement: Statement) -> Verified {
        self.pair.asker.city.say(statement)
    }

    async fn post(&self, text: &str) -> (StatusCode, String) {
        let url = format!("{}/v1/query", self.pair.url);
        let response = self.http.post(url).body(text.to_owned()).send().await.unwrap();
        (response.status(), response.text().await.unwrap())
    }

    /// Why it is not answered.
    async fn refused(&self, text: &str) -> (u16, String) {
        let (status, body) = self.post(text).await;
        let problem: Value = serde_json::from_str(&body).unwrap_or_else(|_| panic!("answered: {body}"));
        assert!(!problem["title"].as_str().unwrap().is_empty());
        (status.as_u16(), problem["type"].as_str().unwrap().strip_prefix("urn:kaopu:problem:").unwrap().to_owned())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_reason_not_to_answer_has_a_name_of_its_own() {
    let raw = Raw::new().await;
    let mut without_purpose = raw.query(1);
    without_purpose.body.shift_remove("purpose");
    let for_another = Statement { aud: Audience::Named(vec!["341200".parse().unwrap()]), ..raw.query(2) };
    let for_two = Statement {
        aud: Audience::Named(["340500", "341200"].map(|node| node.parse().unwrap()).to_vec()),
        ..raw.query(3)
    };
    let for_all = Statement { aud: Audience::Everyone, ..raw.query(4) };
    let expired = raw.with(5, "expires", json!(NOW - 1));
    let too_long = raw.with(6, "expires", json!(NOW + 4000));
    let ahead = Statement { iat: NOW + 301, ..raw.with(7, "expires", json!(NOW + 400)) };
    let newer = Statement { typ: Typ { kind: "query".to_owned(), version: 2 }, ..raw.query(8) };
    let receipt = Statement { typ: Typ::first("receipt"), ..raw.query(9) };
    for (statement, expected) in [
        (without_purpose, (422, "query-purpose")),
        (raw.with(10, "purpose", json!("gossip")), (422, "query-purpose")),
        (raw.with(11, "kinds", json!(["penalty", "rumour"])), (422, "query-kind")),
        (raw.with(12, "kinds", json!(["receipt"])), (422, "query-kind")),
        (raw.with(13, "basis", json!("")), (422, "query-body")),
        (raw.with(14, "subject", json!({"uscc": "x"})), (422, "query-body")),
        (for_another, (422, "query-audience")),
        (for_two, (422, "query-audience")),
        (for_all, (422, "query-audience")),
        (expired, (410, "query-expired")),
        (too_long, (422, "query-ahead")),
        (ahead, (422, "query-ahead")),
        (newer, (422, "query-typ")),
        (receipt, (422, "query-typ")),
    ] {
        let (status, name) = raw.refused(raw.say(statement).jws()).await;
        assert_eq!((status, name.as_str()), expected);
    }
    // of another issuer than the certificate's, whoever signed it
    let theirs = Statement { iss: "341200".parse().unwrap(), ..raw.query(15) };
    assert_eq!(raw.refused(raw.say(theirs).jws()).await, (403, "query-issuer".to_owned()));
    let other = SigningKey::from_seed(Suite::EdDsa, &[77; 32]).unwrap();
    let by_another_key = envelope::sign(raw.query(16), &other).unwrap();
    assert_eq!(raw.refused(by_another_key.jws()).await, (403, "query-signature".to_owned()));
    let good = raw.say(raw.query(17));
    let mut broken = good.jws().to_owned();
    let at = broken.len() - 10;
    broken.replace_range(at..=at, if &broken[at..=at] == "A" { "B" } else { "A" });
    assert_eq!(raw.refused(&broken).await, (403, "query-signature".to_owned()));
    assert_eq!(raw.refused("not a statement").await, (400, "query-unreadable".to_owned()));
    assert_eq!(raw.refused(&"x".repeat(70_000)).await, (413, "too-large".to_owned()));
    assert!(kinds_said(&raw.pair.asked).await.is_empty(), "nothing of that is answered");
    raw.pair.check().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_query_has_the_same_answer_until_it_expires_and_its_nonce_no_other() {
    let raw = Raw::new().await;
    let query = raw.say(raw.query(1));
    let (status, first) = raw.post(query.jws()).await;
    assert_eq!((status, first.lines().count()), (StatusCode::OK, 2));
    assert_eq!(raw.post(query.jws()).await, (StatusCode::OK, first.clone()));
    let other = raw.say(Statement { salt: Salt([99; 16]), ..raw.query(1) });
    assert_ne!(other.digest(), query.digest());
    assert_eq!(raw.refused(other.jws()).await, (409, "query-replayed".to_owned()));
    assert_eq!(raw.post(query.jws()).await.1, first, "the first one still has its answer");
    assert_eq!(kinds_said(&raw.pair.asked).await, ["receipt", "answer"], "said once");
    let Clock::Fixed(ms) = &raw.pair.asked.clock else { unreachable!() };
    ms.store((NOW + 61) * 1000, Ordering::Relaxed);
    assert_eq!(raw.refused(query.jws()).await, (410, "query-expired".to_owned()));
    ms.store(NOW * 1000, Ordering::Relaxed);
    raw.pair.check().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_that_send_the_same_query_at_once_hear_the_same() {
    let raw = Raw::new().await;
    let query = raw.say(raw.query(1));
    let all = futures_util::future::join_all((0..40).map(|_| raw.post(query.jws()))).await;
    let first = &all[0];
    assert_eq!(first.0, StatusCode::OK);
    assert!(all.iter().all(|answer| answer == first));
    assert_eq!(kinds_said(&raw.pair.asked).await, ["receipt", "answer"]);
    raw.pair.check().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_nonce_of_many_queries_at_once_is_good_for_one() {
    let raw = Raw::new().await;
    let queries: Vec<Verified> =
        (0..20).map(|salt| raw.say(Statement { salt: Salt([salt; 16]), ..raw.query(1) })).collect();
    let all = futures_util::future::join_all(queries.iter().map(|query| raw.post(query.jws()))).await;
    let good = all.iter().filter(|(status, _)| *status == StatusCode::OK).count();
    let replayed = all.iter().filter(|(_, body)| body.contains("query-replayed")).count();
    assert_eq!((good, replayed), (1, 19));
    assert_eq!(kinds_said(&raw.pair.asked).await, ["receipt", "answer"]);
    raw.pair.check().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_peer_may_use_the_same_nonce() {
    let raw = Raw::new().await;
    let nonce = format!("{}01", "A".repeat(20));
    assert_eq!(raw.post(raw.say(raw.query(1)).jws()).await.0, StatusCode::OK);
    let stored = raw.pair.asked.db.answered(&raw.pair.asker.city.node, &nonce).await.unwrap();
    assert!(stored.is_some());
    assert_eq!(raw.pair.asked.db.answered(&"341200".parse().unwrap(), &nonce).await.unwrap(), None);
    assert_ne!(stored.unwrap().query, Digest([0; 32]));
}
