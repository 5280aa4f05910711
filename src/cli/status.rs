//! `kaopu status`: how the node stands with its logs and its peers.

use std::process::ExitCode;

use kaopu::clock::Clock;
use kaopu::node::applications::UnderWay;
use kaopu::node::hold::HeldUploads;
use kaopu::node::recognise::Awaited;
use kaopu::node::settings::Settings;
use kaopu::node::status::{LogStatus, PeerStatus, Status};
use kaopu::node::watching::WatchStatus;
use kaopu::store::Db;

use super::{Shared, print_json, print_line};

/// Show how the node stands with its logs and its peers
#[derive(Debug, clap::Args)]
pub struct ShowStatus {}

impl ShowStatus {
    /// Looks at the store; needs no running server and no keys.
    pub async fn run(self, shared: &Shared) -> anyhow::Result<ExitCode> {
        let config = shared.config()?;
        let db = Db::open(config.store.expose()).await?;
        let status = Status::of(&db, &config, &Settings::readable(&config)?, &Clock::System).await?;
        db.close().await;
        if shared.json {
            print_json(&status)?;
        } else {
            tell(&status);
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn tell(status: &Status) {
    print_line(&format!("{} {}  {}", status.node, status.name, status.url));
    print_line(&format!("fingerprint {}", status.fingerprint));
    let until = |time: &Option<String>| time.as_ref().map_or("?".to_owned(), |time| time.chars().take(10).collect());
    let (descriptor, certificate) = (until(&status.descriptor_valid_until), until(&status.certificate_valid_until));
    print_line(&format!(
        "descriptor {} holds until {descriptor}, the certificate until {certificate}",
        status.descriptor
    ));
    for warning in &status.warnings {
        print_line(&format!("! {}", warning.words));
    }
    if let Some(missing) = &status.calendar {
        print_line(&format!("! {}", missing.words));
    }
    if let Some(fault) = &status.fault {
        print_line(&format!("! {fault}: a running node goes on by what was before, and none starts"));
    }
    tell_recognition(&status.recognition);
    if let Some(words) = &status.late_partners.words {
        print_line(&format!("! {words}"));
    }
    tell_applications(&status.applications);
    tell_held(&status.held);
    for log in &status.logs {
        tell_log(log);
    }
    tell_watching(&status.watching);
    if status.peers.is_empty() {
        print_line("no peers yet; `kaopu peer add FILE` takes another node's descriptor.jws");
    }
    for peer in &status.peers {
        tell_peer(peer);
    }
}

fn tell_recognition(awaited: &Awaited) {
    match (&awaited.words, awaited.first.first()) {
        (Some(words), _) => print_line(&format!("! {words}")),
        (None, Some(first)) => print_line(&format!(
            "{} repairs of partners wait to be decided here 待办互认, the first until {}",
            awaited.waiting, first.deadline
        )),
        (None, None) => {}
    }
}

fn tell_applications(under_way: &UnderWay) {
    match &under_way.words {
        Some(words) => print_line(&format!("! {words}")),
        None if under_way.waiting + under_way.elsewhere > 0 => print_line(&format!(
            "applications at another city's window 异地修复: {} wait here 本地待办, {} elsewhere",
            under_way.waiting, under_way.elsewhere
        )),
        None => {}
    }
}

fn tell_held(held: &HeldUploads) {
    match (&held.words, held.first.first()) {
        (Some(words), _) => print_line(&format!("! {words}")),
        (None, Some(first)) => print_line(&format!(
            "held uploads that wait for a second person 待复核: {}, the first until {}; `kaopu upload list` shows them",
            held.waiting, first.until
        )),
        (None, None) => {}
    }
}

fn tell_watching(watching: &WatchStatus) {
    if watching.watches > 0 || watching.unread > 0 {
        print_line("");
        print_line(&format!("{} watches 动态监测, {} unread notices", watching.watches, watching.unread));
    }
    for webhook in watching.webhooks.iter().filter(|webhook| webhook.waiting > 0) {
        let mark = if webhook.is_late() { "!" } else { " " };
        print_line(&format!("{mark} webhook {} {}: {}", webhook.id, webhook.url, webhook.summary));
    }
}

fn tell_log(log: &LogStatus) {
    print_line("");
    let entries = if log.size == 1 { "entry" } else { "entries" };
    print_line(&format!("{}  {} {entries}, {}", log.origin, log.size, log.state));
    if let Some(reason) = &log.reason {
        print_line(&format!("  {reason}"));
    }
    for key in &log.verifier_keys {
        print_line(&format!("  {key}"));
    }
    let in_full = log.cosignatures.iter().filter(|newest| newest.size == log.size).count();
    if !log.cosignatures.is_empty() {
        print_line(&format!("  cosigned by {} witnesses, all of it by {in_full}", log.cosignatures.len()));
    }
}

fn tell_peer(peer: &PeerStatus) {
    print_line("");
    print_line(&format!("{} {}  {}  {}", peer.node, peer.name, peer.url, peer.state));
    print_line(&format!("  {} of {} entries; {}", peer.size, peer.head, peer.summary));
    if peer.by_file {
        print_line(
            "  ! taken by its file alone, before this node had accounts; `kaopu user add NAME` begins, and then",
        );
        print_line(&format!(
            "    `kaopu peer confirm {0}` and `kaopu peer approve {0}` put two persons behind it",
            peer.node
        ));
    }
}
