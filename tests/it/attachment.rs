//! A file beside an application over the peer interface: to the city that decides and to no other, whatever whoever filed it
//! serves.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use http::{HeaderMap, StatusCode};
use kaopu::config::Attachments;
use kaopu::exchange::Fault;
use kaopu::exchange::attachment::{NotFetched, fetch};
use kaopu::http::Limits;
use kaopu::node::applications::ApplicationError;
use kaopu::quota::DayLimit;
use kaopu::statement::Digest;
use kaopu::store::attachment::{AttachmentKey, AttachmentRow, PART, Room};

use crate::application::{Desk, file, filing};
use crate::database::on_both;
use crate::line::until;

const NOW_MS: i64 = 1_790_000_000_000;

/// What is not true about a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lie {
    /// None: it is served as it is.
    None,
    /// One byte of the second part is another.
    Byte,
    /// The answer has fewer bytes than it says.
    Short,
    /// … and more.
    Long,
    /// The file is said to be longer than the application says.
    Size,
    /// Other bytes than were asked for.
    Place,
    /// The whole, where a part was asked for.
    Whole,
    /// An answer that never ends.
    Endless,
    /// It is not there.
    Gone,
    /// Later.
    Later,
    /// The second part is not served now.
    Half,
}

#[derive(Clone)]
struct Liar {
    file: Arc<Vec<u8>>,
    lie: Arc<Mutex<Lie>>,
    asked: Arc<Mutex<Vec<usize>>>,
}

impl Liar {
    fn says(&self, lie: Lie) {
        *self.lie.lock().unwrap() = lie;
    }
}

async fn serve(State(liar): State<Liar>, Path(_): Path<String>, headers: HeaderMap) -> Response {
    let range = headers["range"].to_str().unwrap().strip_prefix("bytes=").unwrap().to_owned();
    let (first, last) = range.split_once('-').unwrap();
    let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
    liar.asked.lock().unwrap().push(first);
    let lie = *liar.lie.lock().unwrap();
    let (mut bytes, mut size, mut told) = (liar.file[first..=last].to_vec(), liar.file.len(), first);
    match lie {
        Lie::Byte if first > 0 => bytes[5] ^= 1,
        Lie::Short => drop(bytes.pop()),
        Lie::Long => bytes.push(b'x'),
        Lie::Size => size += 1,
        Lie::Place => told += 1,
        Lie::Whole => return liar.file.as_ref().clone().into_response(),
        Lie::Endless => {
            let chunk = || Ok::<_, std::io::Error>(Bytes::from_static(&[b'x'; 65536]));
            let body = Body::from_stream(futures_util::stream::repeat_with(chunk));
            return (StatusCode::PARTIAL_CONTENT, body).into_response();
        }
        Lie::Gone => return StatusCode::NOT_FOUND.into_response(),
        Lie::Later => return (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "7")]).into_response(),
        Lie::Half if first > 0 => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        _ => {}
    }
    let range = format!("bytes {told}-{}/{size}", told + (last - first));
    (StatusCode::PARTIAL_CONTENT, [("content-range", range)], bytes).into_response()
}

on_both! {
    async fn a_file_counts_when_all_of_it_is_what_was_named(database: Database) {
        let (decider, _tcp) = Desk::new(database, "340500").await;
        let (mut window, window_tcp) = Desk::new(Database::new(Kind::Sqlite).await, "310107").await;
        decider.office.knows(&[&window.office.city]).await;
        window.office.knows(&[&decider.office.city]).await;
        let whole: Vec<u8> = (0..PART + 1000).map(|n| (n % 251) as u8).collect();
        let liar = Liar { file: Arc::new(whole.clone()), lie: Arc::new(Mutex::new(Lie::None)), asked: Arc::default() };
        let router = Router::new().route("/v1/attachments/{digest}", get(serve)).with_state(liar.clone());
        window.office.serve_routes(window_tcp, router, Limits::default());

        let db = &decider.office.db;
        let node = window.office.city.node.clone();
        let key = AttachmentKey { digest: Digest::of(&whole), peer: node.clone(), own: false };
        db.want_attachment(&key, whole.len() as u64, NOW_MS).await.unwrap();
        let row = async || -> AttachmentRow { db.attachments_of(&key.digest).await.unwrap().pop().unwrap() };
        let client = decider.office.surroundings().client(&decider.office.registry.peer(&node).unwrap()).unwrap();
        let fetched = async || fetch(db, &client, &row().await, NOW_MS).await;
        for lie in [Lie::Short, Lie::Long, Lie::Size, Lie::Place, Lie::Whole, Lie::Endless, Lie::Gone, Lie::Later] {
            liar.says(lie);
            let fault = fetched().await.unwrap_err();
            let expected = match (lie, &fault) {
                (Lie::Long | Lie::Whole | Lie::Endless, NotFetched::Peer(Fault::TooLong { .. } | Fault::Format { .. })) => true,
                // the server's own library may see that first, and break off
                (Lie::Short, NotFetched::Peer(Fault::Format { .. } | Fault::Unreachable(_))) => true,
                (Lie::Size | Lie::Place, NotFetched::Peer(Fault::Format { .. })) => true,
                (Lie::Gone, NotFetched::Peer(Fault::NotHeld)) => true,
                (Lie::Later, NotFetched::Peer(Fault::Limited(wait))) => wait.as_secs() == 7,
                _ => false,
            };
            assert!(expected, "{lie:?}: {fault}");
            assert_eq!(db.attachment_part(&key, 0).await.unwrap(), None, "{lie:?}");
        }
        liar.says(Lie::Byte);
        assert!(matches!(fetched().await, Err(NotFetched::Other(_))));
        assert_eq!((db.attachment_part(&key, 0).await.unwrap(), row().await.complete_ms), (None, None));
        // what broke off goes on where it was
        liar.says(Lie::Half);
        assert!(matches!(fetched().await, Err(NotFetched::Peer(Fault::Http(500, _)))));
        liar.says(Lie::None);
        liar.asked.lock().unwrap().clear();
        fetched().await.unwrap();
        assert_eq!(*liar.asked.lock().unwrap(), [PART]);
        assert_eq!(row().await.complete_ms, Some(NOW_MS));
        let mut kept = db.attachment_part(&key, 0).await.unwrap().unwrap();
        kept.extend(db.attachment_part(&key, PART as u64).await.unwrap().unwrap());
        assert_eq!(kept, whole);
        window.office.close().await;
    }

    async fn room_is_reserved_once_and_given_back(database: Database) {
        let db = database.open().await;
        let [one, other] = ["310107", "341200"].map(|node| node.parse().unwrap());
        let key = |n: u8, peer: &kaopu::statement::NodeId| AttachmentKey { digest: Digest([n; 32]), peer: peer.clone(), own: false };
        let room = Room { peer: 10, total: 15 };
        for (n, peer, size) in [(1, &one, 6), (2, &one, 6), (3, &other, 6), (4, &other, 4), (5, &other, 3)] {
            db.want_attachment(&key(n, peer), size, NOW_MS).await.unwrap();
        }
        let reserve = async |n, peer| db.reserve_attachment(&key(n, peer), room).await.unwrap();
        assert!(reserve(1, &one).await && reserve(1, &one).await, "what has room keeps it");
        assert!(!reserve(2, &one).await, "more than one peer may have");
        assert!(reserve(3, &other).await && !reserve(4, &other).await, "more than all may have");
        assert!(reserve(5, &other).await);
        let filed = AttachmentKey { own: true, ..key(6, &one) };
        assert!(!db.file_attachment(&filed, b"x", NOW_MS, room).await.unwrap());
        assert!(db.erase_attachment(&key(1, &one), NOW_MS).await.unwrap());
        assert!(!db.erase_attachment(&key(1, &one), NOW_MS).await.unwrap());
        assert!(db.file_attachment(&filed, b"x", NOW_MS, room).await.unwrap());
        assert!(!reserve(2, &one).await || db.attachments().await.unwrap().len() == 6);
        // one process at a time
        let wanted = db.wanted_attachments(NOW_MS, 10).await.unwrap();
        assert!(db.take_attachment(&wanted[0], NOW_MS + 1).await.unwrap());
        assert!(!db.take_attachment(&wanted[0], NOW_MS + 1).await.unwrap());
        assert!(db.wanted_attachments(NOW_MS, 10).await.unwrap().len() < wanted.len());
        db.close().await;
    }

    async fn a_file_goes_to_the_city_that_decides_and_to_no_other(database: Database) {
        let (mut window, window_tcp) = Desk::new(database, "310107").await;
        let sqlite = async || Database::new(Kind::Sqlite).await;
        let (mut decider, decider_tcp) = Desk::new(sqlite().await, "340500").await;
        let (mut third, _third_tcp) = Desk::new(sqlite().await, "341200").await;
        window.office.knows(&[&decider.office.city, &third.office.city]).await;
        decider.office.knows(&[&window.office.city]).await;
        third.office.knows(&[&window.office.city]).await;
        window.office.serve(window_tcp);
        decider.office.serve(decider_tcp);
        window.office.pull();
        decider.office.pull();
        third.office.pull();
        let record = decider.penalises(1).await;
        window.office.holds(&decider.office.city.records(), 2).await;
        let filed = window.applications().file(&filing(record), vec![file("示例", 50_000)], false).await.unwrap();
        let application = filed.digest.unwrap();
        decider.has(&application, "filed").await;
        let named = decider.sees(&application).await.attachments.remove(0);

        // the third city mirrors the application, held until the record is there too, and knows the digest
        let client = |desk: &Desk| {
            let peer = desk.office.registry.peer(&window.office.city.node).unwrap();
            desk.office.surroundings().client(&peer).unwrap()
        };
        third.office.holds(&window.office.city.records(), 2).await;
        let refused = client(&third).attachment(&named.digest, 0, 10, named.size).await.unwrap_err();
        assert!(matches!(&refused, Fault::Http(403, name) if name == "attachment-for-another"), "{refused}");
        let got = client(&decider).attachment(&named.digest, 10, 20, named.size).await.unwrap();
        assert_eq!(got.len(), 20);
        let unknown = client(&decider).attachment(&Digest([3; 32]), 0, 10, 10).await.unwrap_err();
        assert!(matches!(unknown, Fault::NotHeld), "{unknown}");
        let beyond = client(&decider).attachment(&named.digest, named.size, 10, named.size).await.unwrap_err();
        assert!(matches!(&beyond, Fault::Http(416, name) if name == "range"), "{beyond}");

        // a city that takes shorter files only, or has no room, says so and does not fetch
        decider.files = Attachments { file_bytes: 100, ..Attachments::default() };
        decider.applications().want().await.unwrap();
        let seen = decider.sees(&application).await.attachments.remove(0);
        assert_eq!(seen.state, "refused", "{seen:?}");
        assert!(decider.office.db.attachments().await.unwrap().is_empty());
        decider.files = Attachments { total_bytes: 100, ..Attachments::default() };
        let kept = decider.keeps();
        until("there is no room", || async {
            let seen = decider.sees(&application).await.attachments.remove(0);
            seen.state == "wanted" && seen.reason.is_some_and(|why| why.contains("no room"))
        })
        .await;
        kept.abort();
        let not_yet = decider.applications().open(&named.digest, "示例").await.unwrap_err();
        assert!(matches!(&not_yet, ApplicationError::NotYet(why) if why.contains("no room")), "{not_yet}");
        // an hour later there is
        decider.files = Attachments::default();
        decider.sets_its_clock(NOW_MS / 1000 + 3600);
        let kept = decider.keeps();
        until("the file is there", || async { decider.sees(&application).await.attachments[0].state == "here" }).await;
        kept.abort();
        assert_eq!(decider.applications().open(&named.digest, "示例").await.unwrap().len(), 50_000);
    }

    async fn what_a_peer_is_served_in_a_day_counts_files_too(database: Database) {
        let (mut window, tcp) = Desk::new(database, "310107").await;
        let (decider, _tcp) = Desk::new(Database::new(Kind::Sqlite).await, "340500").await;
        window.office.knows(&[&decider.office.city]).await;
        decider.office.knows(&[&window.office.city]).await;
        let day = DayLimit { bytes: 30_000, entries: 1000 };
        window.office.serve_within(tcp, Limits { day, ..Limits::default() });
        let bytes = vec![b'x'; 50_000];
        let key = AttachmentKey { digest: Digest::of(&bytes), peer: decider.office.city.node.clone(), own: true };
        assert!(window.office.db.file_attachment(&key, &bytes, NOW_MS, Attachments::default().room()).await.unwrap());
        let peer = decider.office.registry.peer(&window.office.city.node).unwrap();
        let client = decider.office.surroundings().client(&peer).unwrap();
        assert_eq!(client.attachment(&key.digest, 0, 40_000, 50_000).await.unwrap().len(), 40_000);
        let spent = client.attachment(&key.digest, 40_000, 10_000, 50_000).await.unwrap_err();
        assert!(matches!(spent, Fault::Limited(_)), "{spent}");
    }
}
