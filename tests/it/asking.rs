//! Two or more cities that ask each other, over real mutual TLS.

use std::sync::Arc;
use std::time::Duration;

use kaopu::audit::export::export;
use kaopu::audit::folder::Folder;
use kaopu::audit::verify::{News, Trust, verify};
use kaopu::exchange::finding::{Ask, Finding, Whom};
use kaopu::exchange::question::About;
use kaopu::http::Limits;
use kaopu::log::appender::Appender;
use kaopu::record::Purpose;
use kaopu::statement::{Statement, Unverified};
use kaopu::store::statement::Body;
use kaopu::trust::registry::Peer;
use tokio::time::Instant;

use crate::city::{City, NOW};
use crate::line::{Office, place, publish};
use crate::whole;

/// An enterprise.
pub const USCC: &str = "91340500MA2EXAMP5W";
/// Another, of which nobody says anything.
pub const CLEAN: &str = "91350100M000100Y43";

/// One that asks and one that is asked.
pub struct Pair {
    pub asker: Office,
    pub asked: Office,
    /// The address of the asked one.
    pub url: String,
    /// Appends to its records.
    pub records: Appender,
}

impl Pair {
    /// The asked one has published these, and serves.
    pub async fn new(records: impl FnOnce(&City) -> Vec<Statement>) -> Self {
        let mut pair = Box::pin(Self::silent(records)).await;
        let place = tokio::net::TcpListener::bind(pair.url.strip_prefix("https://").unwrap()).await.unwrap();
        pair.asked.serve(place);
        pair
    }

    /// The same, but it does not serve yet.
    pub async fn silent(records: impl FnOnce(&City) -> Vec<Statement>) -> Self {
        let (tcp, url) = place().await;
        drop(tcp);
        let mut asker = Office::new(City::new("310107", "https://127.0.0.1:1")).await;
        let mut asked = Office::new(City::new("340500", &url)).await;
        asker.knows(&[&asked.city]).await;
        asked.knows(&[&asker.city]).await;
        let appender = asked.publishes().await;
        let said = records(&asked.city).into_iter().map(|draft| asked.city.say(draft)).collect();
        publish(&appender, said).await;
        asked.exchanges().await;
        asker.publishes().await;
        asker.exchanges().await;
        Self { asker, asked, url, records: appender }
    }

    /// The asked one, as the asking one has it.
    pub fn peer(&self) -> Arc<Peer> {
        self.asker.registry.peer(&self.asked.city.node).unwrap()
    }

    /// Asks.
    pub async fn ask(&self, ask: &Ask) -> Finding {
        self.asker.asker().ask(&self.peer(), ask, soon()).await
    }

    /// What came of it is in both exchange logs, whole, and an auditor finds nothing wrong with them.
    pub async fn check(&self) {
        for office in [&self.asker, &self.asked] {
            check_exchange(office).await;
        }
    }
}

/// Exports an office's exchange log and verifies it, as an auditor does.
pub async fn check_exchange(office: &Office) {
    whole::check(&office.db).await;
    let dir = tempfile::tempdir().unwrap();
    let origin = office.city.exchange();
    export(&office.db, &origin, dir.path(), &mut |_, _| ()).await.unwrap();
    let mut faults = Vec::new();
    let report = verify(&Folder::at(dir.path()), &Trust::default(), &office.kinds, NOW, 2, &mut |news| {
        if let News::Fault(fault) = news {
            faults.push(fault.to_string());
        }
    });
    assert!(faults.is_empty(), "{faults:?}");
    let size = office.copy(&origin).await.unwrap().size;
    assert_eq!((report.verified, report.held.len()), (size, 0));
}

/// A question about an enterprise.
pub fn about(uscc: &str) -> Ask {
    Ask {
        subject: Whom::Known(About::Enterprise { uscc: uscc.to_owned() }),
        purpose: Purpose::Finance,
        basis: "示例条例第一条".to_owned(),
        kinds: Vec::new(),
        authorisation: None,
    }
}

/// Long enough for an answer.
pub fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

/// What an office's exchange log says, kind by kind, from entry 1 on.
pub async fn said(office: &Office) -> Vec<(String, Statement)> {
    let rows = office.statements(&office.city.exchange()).await;
    rows.into_iter()
        .skip(1)
        .map(|row| {
            assert_eq!(row.verdict, "accepted");
            let Body::Here(jws) = row.body else { panic!("no body") };
            let statement = Unverified::parse(&jws).unwrap().statement().clone();
            (statement.typ.kind.clone(), statement)
        })
        .collect()
}

/// The kinds alone.
pub async fn kinds_said(office: &Office) -> Vec<String> {
    said(office).await.into_iter().map(|(kind, _)| kind).collect()
}

/// Limits as they are by default.
pub fn limits() -> Limits {
    Limits::default()
}
