//! How a node stands with its logs and its peers, in numbers and in words.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use tokio::task::spawn_blocking;

use super::applications::{NAMED as APPLICATIONS_NAMED, UnderWay};
use super::calendar::{MissingYear, missing_year};
use super::cosigned::Cosigned;
use super::hold::{HeldUploads, NAMED as HELD_NAMED};
use super::peers::waiting;
use super::policies::policies;
use super::recognise::{Awaited, LatePartners, NAMED};
use super::settings::Settings;
use super::warnings::{Ends, Warning, warnings};
use super::watching::WatchStatus;
use super::{NodeError, kinds, own_log};
use crate::clock::Clock;
use crate::config::Config;
use crate::exchange::standing::{REFUSED_TOLD, RefusedStanding};
use crate::log::Origin;
use crate::log::origin::LogName;
use crate::statement::NodeId;
use crate::store::cosignature::CosignatureRow;
use crate::store::peer::PeerRow;
use crate::store::{Db, LogRow, LogState, StoreError};
use crate::trust::certificates::{self, valid_until};
use crate::trust::descriptor::{Descriptor, spoken};
use crate::trust::state::PeerState;

/// How a node stands.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// Its id.
    pub node: NodeId,
    /// Its name.
    pub name: String,
    /// Where peers reach it.
    pub url: String,
    /// The fingerprint of its descriptor, as digits that can be read out.
    pub fingerprint: String,
    /// The sequence of its newest descriptor.
    pub descriptor: u64,
    /// Until when that holds.
    pub descriptor_valid_until: Option<String>,
    /// Until when its TLS certificate holds; None where the file can't be read.
    pub certificate_valid_until: Option<String>,
    /// Its logs.
    pub logs: Vec<LogStatus>,
    /// Its peers.
    pub peers: Vec<PeerStatus>,
    /// What ends soon, or has ended, of its own and of its peers'.
    pub warnings: Vec<Warning>,
    /// How those are told who follow subjects.
    pub watching: WatchStatus,
    /// What of partners' repairs waits to be decided here, and how that stands with its deadline.
    pub recognition: Awaited,
    /// Partners that are late to decide on this node's own repairs.
    pub late_partners: LatePartners,
    /// Applications at another city's window, filed or to be decided here, and how they stand with their deadlines.
    pub applications: UnderWay,
    /// Uploads that wait for a second person, and how long they may.
    pub held: HeldUploads,
    /// A year that its calendar of working days lacks.
    pub calendar: Option<MissingYear>,
    /// What is wrong with its rules, its calendar or its policies, and where; what was before goes on.
    pub fault: Option<String>,
    /// Everything that ends.
    #[serde(skip)]
    pub ends: Vec<Ends>,
}

/// How an own log stands.
#[derive(Clone, Debug, Serialize)]
pub struct LogStatus {
    /// Its origin.
    pub origin: Origin,
    /// Its verifier keys in the form of signed notes.
    pub verifier_keys: Vec<String>,
    /// Entries.
    pub size: u64,
    /// Root of the tree, base64.
    pub root: Option<String>,
    /// When its newest checkpoint was signed.
    pub checkpoint: Option<String>,
    /// `open`, `frozen` or `closed`.
    pub state: &'static str,
    /// Why it is not open.
    pub reason: Option<String>,
    /// The newest cosignature of each witness on it.
    pub cosignatures: Vec<Cosigned>,
}

/// How a peer and the mirror of its records stand.
#[derive(Clone, Debug, Serialize)]
pub struct PeerStatus {
    /// Its id.
    pub node: NodeId,
    /// Its name.
    pub name: String,
    /// Where it is reached.
    pub url: String,
    /// Where it stands with this node: `active` …
    pub state: PeerState,
    /// It was taken by a file, before this node had accounts: no two persons stand for it.
    pub by_file: bool,
    /// The fingerprint of its descriptor, as digits that can be read out.
    pub fingerprint: String,
    /// The sequence of its newest descriptor.
    pub descriptor: u64,
    /// Its records log.
    pub origin: Option<Origin>,
    /// Entries of it held here, all proven and verified.
    pub size: u64,
    /// Entries that its newest known checkpoint commits to.
    pub head: u64,
    /// Entries still to be pulled.
    pub lag: u64,
    /// `open`, `frozen` or `closed`.
    pub log_state: &'static str,
    /// Why it is not open.
    pub reason: Option<String>,
    /// When the newest known checkpoint came.
    pub checkpoint: Option<String>,
    /// When it last answered.
    pub last_success: Option<String>,
    /// The same in milliseconds since 1970.
    #[serde(skip)]
    pub last_success_ms: Option<i64>,
    /// Of the last error, likewise.
    #[serde(skip)]
    pub last_error_ms: Option<i64>,
    /// When it last did not, or not as it should.
    pub last_error_time: Option<String>,
    /// What happened then, in words.
    pub last_error: Option<String>,
    /// The newest of its descriptors that were refused here.
    pub refused_descriptors: Vec<RefusedStanding>,
    /// All of that in one sentence.
    pub summary: String,
}

impl Status {
    /// Looks at the store.
    pub async fn of(db: &Db, config: &Config, settings: &Settings, clock: &Clock) -> Result<Self, NodeError> {
        let id = &config.node.id;
        let (_, own) = own_log(db, id, LogName::Records).await?;
        let logs = db.logs().await?;
        let rows = db.peers().await?;
        let shown = db.certificates().await?;
        let cosigned = db.all_cosignatures().await?;
        let seconds = |ms: i64| ms.div_euclid(1000);
        let own_certificate = certificate_end(config);
        let mut ends = Ends::of(&own, true, own_certificate.map(seconds));
        let late_partners = LatePartners::of(db, config, &logs, &rows, settings, clock).await?;
        let mut peers = Vec::new();
        for row in rows {
            let (_, descriptor) = Descriptor::open(&row.descriptor)
                .map_err(|error| StoreError::Corrupt(format!("peer {}: {error}", row.node)))?;
            ends.extend(Ends::of(&descriptor, false, shown.get(&row.node).copied().map(seconds)));
            let refused = db.refused_descriptors(&row.node, REFUSED_TOLD).await?;
            let refused_descriptors = refused.into_iter().map(Into::into).collect();
            peers.push(PeerStatus { refused_descriptors, ..PeerStatus::of(row, &descriptor, &logs, clock) });
        }
        Ok(Self {
            node: id.clone(),
            name: config.node.name.clone(),
            url: config.node.url.clone(),
            fingerprint: spoken(&own.fingerprint()),
            descriptor: own.sequence,
            descriptor_valid_until: own.valid_until.checked_mul(1000).and_then(time),
            certificate_valid_until: own_certificate.and_then(time),
            logs: logs.iter().filter(|log| log.own).map(|log| LogStatus::of(log, &own, &cosigned)).collect(),
            peers,
            warnings: warnings(&ends, clock.now()),
            watching: WatchStatus::of(db, clock).await?,
            recognition: Awaited::of(db, settings, clock, NAMED).await?,
            late_partners,
            applications: applications(db, id, settings, clock).await?,
            held: HeldUploads::of(db, settings, clock, HELD_NAMED).await?,
            calendar: missing_year(&settings.calendar.now(), clock),
            fault: fault(config).await,
            ends,
        })
    }
}

/// The first fault of what may change while a node runs. To read it all takes tens of milliseconds, for which nobody else waits.
async fn fault(config: &Config) -> Option<String> {
    let config = config.clone();
    let found = spawn_blocking(move || {
        Settings::of(&config).err().map(|error| error.to_string()).or_else(|| policies_fault(&config))
    });
    found.await.ok().flatten()
}

/// What is wrong with the policies of the folder that the configuration names, with the place of each fault.
pub(super) fn policies_fault(config: &Config) -> Option<String> {
    config.policy.as_ref()?;
    match kinds(config) {
        Ok(kinds) => policies(config, &kinds).err().map(|faults| faults.to_string().replace('\n', "; ")),
        Err(fault) => Some(fault.to_string()),
    }
}

async fn applications(db: &Db, id: &NodeId, settings: &Settings, clock: &Clock) -> Result<UnderWay, StoreError> {
    let mut under_way = UnderWay::of(db, id, settings, clock).await?;
    under_way.first.truncate(APPLICATIONS_NAMED);
    Ok(under_way)
}

impl LogStatus {
    fn of(log: &LogRow, own: &Descriptor, cosigned: &[CosignatureRow]) -> Self {
        Self {
            origin: log.origin.clone(),
            verifier_keys: own.log_keys(&log.origin).iter().map(|key| key.to_text()).collect(),
            size: log.size,
            root: log.head.as_ref().map(|head| STANDARD.encode(head.root)),
            checkpoint: log.head.as_ref().and_then(|head| time(head.seen_ms)),
            state: state_name(log.state),
            reason: log.reason.clone(),
            cosignatures: cosigned.iter().filter(|row| row.origin == log.origin).map(Cosigned::of).collect(),
        }
    }
}

impl PeerStatus {
    fn of(row: PeerRow, descriptor: &Descriptor, logs: &[LogRow], clock: &Clock) -> Self {
        let of_peer = |log: &&LogRow| log.origin.node == row.node && log.origin.log == LogName::Records;
        let log = logs.iter().filter(of_peer).max_by_key(|log| log.origin.generation);
        let size = log.map_or(0, |log| log.size);
        let head = log.and_then(|log| log.head.as_ref());
        let head_size = head.map_or(0, |head| head.size).max(size);
        let now_ms = clock.now_ms();
        let summary = waiting(&row, now_ms)
            .or_else(|| frozen_beside(&row, logs))
            .unwrap_or_else(|| summary(&row, log, head_size - size, now_ms));
        Self {
            name: descriptor.name.clone(),
            url: row.url.or_else(|| descriptor.endpoints.first().cloned()).unwrap_or_default(),
            state: row.state,
            by_file: row.by_file,
            fingerprint: spoken(&descriptor.fingerprint()),
            descriptor: descriptor.sequence,
            origin: log.map(|log| log.origin.clone()),
            size,
            head: head_size,
            lag: head_size - size,
            log_state: log.map_or("open", |log| state_name(log.state)),
            reason: log.and_then(|log| log.reason.clone()),
            checkpoint: head.and_then(|head| time(head.seen_ms)),
            last_success: row.success_ms.and_then(time),
            last_success_ms: row.success_ms,
            last_error_ms: row.error_ms,
            last_error_time: row.error_ms.and_then(time),
            last_error: row.error,
            refused_descriptors: Vec::new(),
            node: row.node,
            summary,
        }
    }
}

/// A log of a peer that is not mirrored, and was caught all the same.
fn frozen_beside(row: &PeerRow, logs: &[LogRow]) -> Option<String> {
    let of_peer = |log: &&LogRow| log.origin.node == row.node && log.origin.log == LogName::Exchange;
    let frozen = logs.iter().filter(of_peer).find(|log| log.state == LogState::Frozen)?;
    Some(format!("{} is frozen: {}", frozen.origin, frozen.reason.as_deref().unwrap_or("no reason is noted")))
}

/// One sentence for a person who asks how it goes with a peer.
fn summary(row: &PeerRow, log: Option<&LogRow>, lag: u64, now_ms: i64) -> String {
    if let Some(log) = log
        && log.state == LogState::Frozen
    {
        return format!("frozen: {}", log.reason.as_deref().unwrap_or("no reason is noted"));
    }
    if let Some(log) = log
        && log.state == LogState::Closed
    {
        return format!("closed: {}", log.reason.as_deref().unwrap_or("its generation has ended"));
    }
    let ago = |ms: i64| spoken_span(now_ms.saturating_sub(ms));
    let behind = if lag == 0 { "in step".to_owned() } else { format!("{lag} entries behind") };
    match (row.success_ms, row.error_ms) {
        (None, None) => "not asked yet: is `kaopu serve` running?".to_owned(),
        (Some(success), None) => format!("{behind}, answered {} ago", ago(success)),
        (Some(success), Some(error)) if success >= error => format!("{behind}, answered {} ago", ago(success)),
        (success, Some(error)) => {
            let since = success.map_or("has never answered".to_owned(), |ms| format!("last answered {} ago", ago(ms)));
            format!("{since}; {} ago: {}", ago(error), row.error.as_deref().unwrap_or("no answer"))
        }
    }
}

/// A span as people say it.
pub fn spoken_span(ms: i64) -> String {
    match ms / 1000 {
        ..1 => "a moment".to_owned(),
        s @ 1..120 => format!("{s} s"),
        s @ 120..7200 => format!("{} min", s / 60),
        s @ 7200..172_800 => format!("{} h", s / 3600),
        s => format!("{} days", s / 86_400),
    }
}

/// As it is shown.
pub fn state_name(state: LogState) -> &'static str {
    match state {
        LogState::Open => "open",
        LogState::Frozen => "frozen",
        LogState::Closed => "closed",
    }
}

/// When the node's certificate ends, in milliseconds since 1970.
fn certificate_end(config: &Config) -> Option<i64> {
    let pem = std::fs::read_to_string(&config.files.certificate).ok()?;
    valid_until(certificates::read_chain(&pem).ok()?.first()?)?.checked_mul(1000)
}

/// RFC 3339, in UTC.
pub fn time(ms: i64) -> Option<String> {
    jiff::Timestamp::from_millisecond(ms).ok().map(|time| time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(success_ms: Option<i64>, error_ms: Option<i64>) -> PeerRow {
        PeerRow {
            success_ms,
            error_ms,
            error: error_ms.map(|_| "no connection".to_owned()),
            ..PeerRow::new("310107".parse().unwrap(), PeerState::Active, "", 1, 0)
        }
    }

    #[test]
    fn a_peer_is_told_of_in_one_sentence() {
        let now = 10_000_000;
        for (success, error, lag, words) in [
            (None, None, 0, "not asked yet: is `kaopu serve` running?"),
            (Some(now - 5000), None, 0, "in step, answered 5 s ago"),
            (Some(now - 200_000), Some(now - 300_000), 7, "7 entries behind, answered 3 min ago"),
            (Some(now - 8_000_000), Some(now - 100), 0, "last answered 2 h ago; a moment ago: no connection"),
            (None, Some(now - 2000), 0, "has never answered; 2 s ago: no connection"),
        ] {
            assert_eq!(summary(&row(success, error), None, lag, now), words);
        }
    }
}
