//! Peers that are asked and do not answer as they should: the line breaks, they lie, they are slow, dead or mute. None of
//! that holds up or falsifies what the others say.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use futures_util::stream;
use http::StatusCode;
use kaopu::exchange::finding::{Ask, Came};
use kaopu::exchange::question::{Coverage, Outcome, Reply, to_body};
use kaopu::log::tile::FULL;
use kaopu::statement::{Audience, Digest, Salt, SigningKey, Statement, Suite, Typ, Unverified, Verified, envelope};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::asking::{CLEAN, Pair, USCC, about, check_exchange, kinds_said, limits, said, soon};
use crate::city::{City, NOW};
use crate::line::{Office, place, publish};

/// Serves an office's routes with something between them and the line, for queries alone.
async fn between<F, R>(pair: &mut Pair, what: F)
where
    F: Fn(Response) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Response> + Send + 'static,
{
    let tcp = TcpListener::bind(pair.url.strip_prefix("https://").unwrap()).await.unwrap();
    let routes = pair.asked.routes(limits()).layer(from_fn(move |request: Request, next: Next| {
        let what = what.clone();
        async move {
            let is_query = request.uri().path() == "/v1/query";
            let response = next.run(request).await;
            if is_query { what(response).await } else { response }
        }
    }));
    pair.asked.serve_routes(tcp, routes, limits());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_was_lost_is_asked_for_again_and_is_the_same() {
    let mut pair = Pair::silent(|city| vec![city.penalty_of(USCC, 1)]).await;
    let said_so: Arc<Mutex<Vec<Bytes>>> = Arc::default();
    let (seen, to_lose) = (Arc::clone(&said_so), Arc::new(AtomicU32::new(2)));
    between(&mut pair, move |response| {
        let (seen, to_lose) = (Arc::clone(&seen), Arc::clone(&to_lose));
        async move {
            let bytes = to_bytes(response.into_body(), 1 << 20).await.unwrap();
            seen.lock().unwrap().push(bytes.clone());
            if to_lose.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_err() {
                return bytes.into_response();
            }
            // a part of it, and then the line breaks
            let part = Ok(bytes.slice(..bytes.len() / 2));
            Body::from_stream(stream::iter([part, Err(std::io::Error::other("cut"))])).into_response()
        }
    })
    .await;
    let finding = pair.ask(&about(USCC)).await;
    assert_eq!((finding.came, finding.statements.len()), (Came::Yes, 1), "{:?}", finding.reason);
    let seen = said_so.lock().unwrap().clone();
    assert_eq!(seen.len(), 3);
    assert!(seen.iter().all(|bytes| *bytes == seen[0]));
    assert_eq!(kinds_said(&pair.asked).await, ["receipt", "answer"], "said once");
    assert_eq!(kinds_said(&pair.asker).await, ["query", "receipt"], "asked once");
    pair.check().await;
}

/// What is wrong with an answer.
#[derive(Clone, Copy, Debug)]
enum Lie {
    AnotherKey,
    BrokenSignature,
    OtherQuery,
    ForAnother,
    BeforeTheQuestion,
    NoAnswerKind,
    NoneButLists,
    YesOfNothing,
    Replaced,
    OneMore,
    OneLess,
    OfAnotherSubject,
    OfAnotherIssuer,
    OfAnotherKind,
    ForgedStatement,
    BrokenRule,
    DisputeOfWhatIsNotListed,
    DisputeBeforeItsRecord,
    DisputeOfAnotherIssuer,
    DisputeOfAnotherSubject,
    ForgedDispute,
    DisputeWithoutReason,
    Garbage,
    Nothing,
    NotText,
}

const LIES: [Lie; 25] = [
    Lie::AnotherKey,
    Lie::BrokenSignature,
    Lie::OtherQuery,
    Lie::ForAnother,
    Lie::BeforeTheQuestion,
    Lie::NoAnswerKind,
    Lie::NoneButLists,
    Lie::YesOfNothing,
    Lie::Replaced,
    Lie::OneMore,
    Lie::OneLess,
    Lie::OfAnotherSubject,
    Lie::OfAnotherIssuer,
    Lie::OfAnotherKind,
    Lie::ForgedStatement,
    Lie::BrokenRule,
    Lie::DisputeOfWhatIsNotListed,
    Lie::DisputeBeforeItsRecord,
    Lie::DisputeOfAnotherIssuer,
    Lie::DisputeOfAnotherSubject,
    Lie::ForgedDispute,
    Lie::DisputeWithoutReason,
    Lie::Garbage,
    Lie::Nothing,
    Lie::NotText,
];

/// A dispute of a penalty that would hold but for the lie; none where it is about something else.
fn dispute(city: &City, of: &Verified, lie: Lie) -> Option<Verified> {
    let mut dispute = Statement {
        typ: Typ::first("dispute"),
        refs: vec![of.digest()],
        body: json!({"raised": "2026-03-01", "reason": "金额有误"}).as_object().unwrap().clone(),
        ..city.penalty_of(USCC, 7)
    };
    match lie {
        Lie::DisputeBeforeItsRecord | Lie::ForgedDispute => {}
        Lie::DisputeOfWhatIsNotListed => dispute.refs = vec![city.say(city.penalty_of(USCC, 2)).digest()],
        Lie::DisputeOfAnotherIssuer => dispute.iss = "341200".parse().unwrap(),
        Lie::DisputeOfAnotherSubject => dispute.sub = city.penalty_of(CLEAN, 1).sub,
        Lie::DisputeWithoutReason => drop(dispute.body.remove("reason")),
        _ => return None,
    }
    let other = SigningKey::from_seed(Suite::EdDsa, &[78; 32]).unwrap();
    Some(if matches!(lie, Lie::ForgedDispute) { envelope::sign(dispute, &other).unwrap() } else { city.say(dispute) })
}

/// An answer that would hold but for the lie.
fn tell(city: &City, query: &str, lie: Lie) -> Vec<u8> {
    let other = SigningKey::from_seed(Suite::EdDsa, &[78; 32]).unwrap();
    let asked = Unverified::parse(query).unwrap();
    let mut penalty = city.penalty_of(USCC, 1);
    match lie {
        Lie::OfAnotherSubject => penalty = city.penalty_of(CLEAN, 1),
        Lie::OfAnotherIssuer => penalty.iss = "341200".parse().unwrap(),
        Lie::BrokenRule => drop(penalty.body.insert("decided".to_owned(), "2999-01-01".into())),
        Lie::OfAnotherKind => {
            penalty.typ = Typ::first("registration");
            let body = json!({"name": "示例有限公司", "uscc": USCC});
            penalty.body = body.as_object().unwrap().clone();
        }
        _ => {}
    }
    let stated =
        if matches!(lie, Lie::ForgedStatement) { envelope::sign(penalty, &other).unwrap() } else { city.say(penalty) };
    let mut listed: Vec<Verified> = [Some(stated.clone()), dispute(city, &stated, lie)].into_iter().flatten().collect();
    if matches!(lie, Lie::DisputeBeforeItsRecord) {
        listed.reverse();
    }
    let reply = Reply {
        outcome: if matches!(lie, Lie::NoneButLists) { Outcome::None } else { Outcome::Yes },
        reason: None,
        found: if matches!(lie, Lie::YesOfNothing) {
            Vec::new()
        } else {
            listed.iter().map(Verified::digest).collect()
        },
        next: None,
        withheld: Vec::new(),
        policies: Vec::new(),
        policy_set: Digest([0; 32]),
        coverage: Coverage { origin: city.records(), size: 1, root: Digest([0; 32]) },
    };
    let mut answer = Statement {
        typ: Typ::first("answer"),
        iss: city.node.clone(),
        iat: NOW,
        aud: Audience::Named(vec!["310107".parse().unwrap()]),
        salt: Salt([3; 16]),
        sub: None,
        prev: None,
        refs: vec![asked.digest()],
        body: to_body(&reply),
    };
    match lie {
        Lie::OtherQuery => answer.refs = vec![Digest([5; 32])],
        Lie::ForAnother => answer.aud = Audience::Named(vec!["341200".parse().unwrap()]),
        Lie::BeforeTheQuestion => answer.iat = NOW - 301,
        Lie::NoAnswerKind => {
            answer.typ = Typ::first("receipt");
            answer.body = json!({"result": "taken"}).as_object().unwrap().clone();
        }
        _ => {}
    }
    let answer = match lie {
        Lie::AnotherKey => envelope::sign(answer, &other).unwrap(),
        _ => city.say(answer),
    };
    let mut lines = vec![answer.jws().to_owned()];
    match lie {
        Lie::Replaced => lines.push(city.say(city.penalty_of(USCC, 2)).jws().to_owned()),
        Lie::OneMore => lines.extend([stated.jws(), stated.jws()].map(str::to_owned)),
        Lie::OneLess | Lie::YesOfNothing => {}
        Lie::Garbage => return b"<html>busy</html>".to_vec(),
        Lie::Nothing => return Vec::new(),
        Lie::NotText => return vec![0xff; 100],
        _ => lines.extend(listed.iter().map(|one| one.jws().to_owned())),
    }
    if matches!(lie, Lie::BrokenSignature) {
        let at = lines[0].len() - 10;
        let turned = if &lines[0][at..=at] == "A" { "B" } else { "A" };
        lines[0].replace_range(at..=at, turned);
    }
    (lines.join("\n") + "\n").into_bytes()
}

/// What a liar serves.
fn lying(city: Arc<City>, lie: Lie) -> Router {
    Router::new().route(
        "/v1/query",
        post(move |query: String| {
            let answer = tell(&city, &query, lie);
            async move { answer }
        }),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_does_not_verify_is_shown_as_that_and_kept_as_evidence() {
    for lie in LIES {
        let mut pair = Pair::silent(|_| Vec::new()).await;
        let tcp = TcpListener::bind(pair.url.strip_prefix("https://").unwrap()).await.unwrap();
        pair.asked.serve_routes(tcp, lying(Arc::clone(&pair.asked.city), lie), limits());
        let ask = Ask { kinds: vec!["penalty".to_owned()], ..about(USCC) };
        let finding = pair.ask(&ask).await;
        assert_eq!((finding.came, finding.complete), (Came::Invalid, false), "{lie:?}: {:?}", finding.reason);
        assert!(finding.statements.is_empty() && finding.answers.is_empty() && finding.coverage.is_none(), "{lie:?}");
        let said = said(&pair.asker).await;
        assert_eq!(said.iter().map(|(kind, _)| kind.as_str()).collect::<Vec<_>>(), ["query", "receipt"], "{lie:?}");
        assert_eq!(said[1].1.body["result"], "refused");
        let heard = pair.asker.db.heard(&finding.queries[0]).await.unwrap().unwrap();
        assert_eq!((heard.outcome, heard.digest), ("invalid", said[1].1.refs[0]), "{lie:?}");
        assert_eq!(heard.reason, finding.reason, "{lie:?}");
        check_exchange(&pair.asker).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_refused_in_the_peer_s_log_is_not_taken_beside_an_answer() {
    let mut pair = Pair::new(|city| vec![city.penalty_of(USCC, 1)]).await;
    pair.asker.pull();
    pair.asker.holds(&pair.asked.city.records(), 2).await;
    pair.asker.rest().await;
    let origin = pair.asked.city.records();
    let log = pair.asker.copy(&origin).await.unwrap();
    let stated = pair.asker.db.statements(log.id, 1, 1).await.unwrap().remove(0);
    assert_eq!(stated.verdict, "accepted");
    let finding = pair.ask(&about(USCC)).await;
    assert_eq!((finding.came, finding.statements[0].mirrored), (Came::Yes, true));
    assert_eq!(u64::from(FULL as u32), 256);
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_dead_lying_and_unwilling_peers_hold_up_nobody() {
    let mut asker = Office::new(City::new("310107", "https://127.0.0.1:1")).await;
    let mut offices = Vec::new();
    let mut mute = Vec::new();
    for node in ["340100", "340200", "340300", "340400", "340500", "340600", "340700", "340800"] {
        let (tcp, url) = place().await;
        let mut office = Office::new(City::new(node, &url)).await;
        asker.knows(&[&office.city]).await;
        if node != "340600" {
            office.knows(&[&asker.city]).await;
        }
        let records = office.publishes().await;
        office.exchanges().await;
        match node {
            // has something, and says so
            "340100" => {
                let penalty = office.city.say(office.city.penalty_of(USCC, 1));
                publish(&records, vec![penalty]).await;
                office.serve(tcp);
            }
            // dead: nobody listens
            "340300" => drop(tcp),
            // slow: answers, but not in time
            "340400" => {
                let slow = || async {
                    tokio::time::sleep(Duration::from_secs(30)).await;
                    StatusCode::OK
                };
                office.serve_routes(tcp, Router::new().route("/v1/query", post(slow)), limits());
            }
            // lies
            "340500" => office.serve_routes(tcp, lying(Arc::clone(&office.city), Lie::AnotherKey), limits()),
            // mute: takes connections and says nothing
            "340700" => mute.push(tcp),
            // a half of an answer and then nothing
            "340800" => {
                let half = || async {
                    let part = stream::once(async { Ok::<_, std::io::Error>(Bytes::from_static(b"eyJ")) });
                    Body::from_stream(futures_util::StreamExt::chain(part, stream::pending())).into_response()
                };
                office.serve_routes(tcp, Router::new().route("/v1/query", post(half)), limits());
            }
            // 340200 has nothing; 340600 does not know who asks
            _ => office.serve(tcp),
        }
        offices.push(office);
    }
    asker.publishes().await;
    asker.exchanges().await;
    let begun = Instant::now();
    let deadline = begun + Duration::from_secs(4);
    let findings = asker.asker().ask_all(&asker.registry.peers(), &about(USCC), deadline).await;
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(6), "{took:?}");
    let came: Vec<(&str, Came)> = findings.iter().map(|finding| (finding.node.as_str(), finding.came)).collect();
    assert_eq!(
        came,
        [
            ("340100", Came::Yes),
            ("340200", Came::None),
            ("340300", Came::Unavailable),
            ("340400", Came::Unavailable),
            ("340500", Came::Invalid),
            ("340600", Came::Unavailable),
            ("340700", Came::Unavailable),
            ("340800", Came::Unavailable),
        ],
        "{findings:?}"
    );
    for finding in &findings {
        let is_heard = matches!(finding.came, Came::Yes | Came::None);
        assert_eq!(finding.complete, is_heard);
        assert_eq!(finding.reason.is_none(), is_heard, "{finding:?}");
    }
    assert_eq!(
        kinds_said(&asker).await.iter().filter(|kind| *kind == "query").count(),
        8,
        "all that was asked is logged"
    );
    check_exchange(&asker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_breaks_off_between_pages_is_never_shown_as_all() {
    let mut pair = Pair::silent(|city| (1..=700).map(|number| city.penalty_of(USCC, number)).collect()).await;
    let answered = Arc::new(AtomicU32::new(0));
    between(&mut pair, move |response| {
        let nth = answered.fetch_add(1, Ordering::Relaxed);
        async move { if nth == 0 { response } else { StatusCode::INTERNAL_SERVER_ERROR.into_response() } }
    })
    .await;
    let finding = pair.asker.asker().ask(&pair.peer(), &about(USCC), soon()).await;
    assert_eq!((finding.came, finding.complete, finding.statements.len()), (Came::Unavailable, false, 500));
    assert!(finding.reason.unwrap().starts_with("after 1 pages"));
    pair.check().await;
}
