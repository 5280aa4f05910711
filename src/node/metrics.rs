//! The node's figures, in the text form that Prometheus reads: what happened in this process since it started, and how
//! the node stands by its store at the moment of asking.

use std::sync::OnceLock;

use metrics::{counter, gauge};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

use super::status::Status;
use super::warnings::Ends;
use crate::exchange::deliver::DELIVERIES;
use crate::trust::tls::REFUSALS;

const REQUESTS: &str = "kaopu_requests_total";

/// Where what happens is counted.
static COUNTED: OnceLock<Option<PrometheusHandle>> = OnceLock::new();

/// Begins to count; once in a process is enough.
pub fn begin() {
    COUNTED.get_or_init(|| {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        if metrics::set_global_recorder(recorder).is_err() {
            tracing::warn!("somebody else counts in this process: the figures lack what happens");
            return None;
        }
        metrics::describe_counter!(REQUESTS, "Requests of peers, by the status of the answer");
        metrics::describe_counter!(DELIVERIES, "Notices handed to webhooks, by the outcome");
        metrics::describe_counter!(REFUSALS, "Connections and requests refused, by the reason");
        Some(handle)
    });
}

/// Counts an answer to a peer.
pub fn answered(status: u16) {
    counter!(REQUESTS, "status" => status.to_string()).increment(1);
}

/// Counts a refusal: of a connection, at this end or the other, or of a request.
pub fn refused(reason: &'static str) {
    counter!(REFUSALS, "reason" => reason).increment(1);
}

/// All figures.
pub fn render(status: &Status, ends: &[Ends], now: i64) -> String {
    let mut text = COUNTED.get().and_then(Option::as_ref).map(PrometheusHandle::render).unwrap_or_default();
    // apart from what is counted: a peer that is gone, or something that was renewed, leaves nothing behind
    let recorder = PrometheusBuilder::new().build_recorder();
    metrics::with_local_recorder(&recorder, || standing(status, ends, now));
    text.push_str(&recorder.handle().render());
    text
}

fn standing(status: &Status, ends: &[Ends], now: i64) {
    metrics::describe_gauge!("kaopu_expires_days", "Days until a certificate, authority or descriptor ends");
    metrics::describe_gauge!("kaopu_log_entries", "Entries of the node's own logs");
    metrics::describe_gauge!("kaopu_cosigned_entries", "Entries of an own log that a witness has cosigned");
    metrics::describe_gauge!("kaopu_cosigned_seconds", "When it did, seconds since 1970");
    metrics::describe_gauge!("kaopu_feed_entries", "Entries of a peer's records held here");
    metrics::describe_gauge!(
        "kaopu_feed_lag_entries",
        "Entries of a peer's records that are known of and not here yet"
    );
    metrics::describe_gauge!("kaopu_feed_success_seconds", "When a peer last answered, seconds since 1970");
    metrics::describe_gauge!("kaopu_notices_unread", "Notices of watched subjects that nobody has acknowledged");
    metrics::describe_gauge!("kaopu_notices_waiting", "Notices that wait for a webhook, by its number");
    metrics::describe_gauge!("kaopu_notice_oldest_seconds", "How long the oldest of them has waited");
    metrics::describe_gauge!("kaopu_recognitions_waiting", "Repairs of partners that wait to be decided here");
    metrics::describe_gauge!("kaopu_recognitions_due", "Of them due by the next working day, or late");
    metrics::describe_gauge!("kaopu_recognitions_late", "Of them past their deadline");
    metrics::describe_gauge!("kaopu_recognitions_failing", "Of them those on which nothing could be decided");
    metrics::describe_gauge!("kaopu_partners_late", "Partners that are late to decide on this node's own repairs");
    metrics::describe_gauge!(
        "kaopu_partner_late_repairs",
        "Own repairs that a partner is late with, of the newest past their deadline"
    );
    metrics::describe_gauge!("kaopu_applications_waiting", "Applications of which this node does the next step");
    metrics::describe_gauge!("kaopu_applications_due", "Of those under way due here by the next working day, or late");
    metrics::describe_gauge!("kaopu_applications_late", "Of them past their deadline, here or at the other city");
    metrics::describe_gauge!("kaopu_held_uploads_waiting", "Uploads that wait for a second person");
    metrics::describe_gauge!("kaopu_held_uploads_due", "Of them dropped by the next working day, or waiting for long");
    metrics::describe_gauge!("kaopu_held_uploads_expiry_seconds", "Seconds until the next of them is dropped");
    metrics::describe_gauge!("kaopu_peer_state", "Where a peer stands here: 1 for the state that it is in");
    // of several authorities of a node the first to end
    let mut soonest: Vec<&Ends> = ends.iter().collect();
    soonest.sort_by_key(|ends| std::cmp::Reverse(ends.until));
    for ends in soonest {
        let days = (ends.until.saturating_sub(now)) as f64 / 86_400.0;
        gauge!("kaopu_expires_days", "node" => ends.node.to_string(), "what" => ends.what.as_str()).set(days);
    }
    let awaited = &status.recognition;
    gauge!("kaopu_recognitions_waiting").set(awaited.waiting as f64);
    gauge!("kaopu_recognitions_due").set(awaited.due as f64);
    gauge!("kaopu_recognitions_late").set(awaited.late as f64);
    gauge!("kaopu_recognitions_failing").set(awaited.failing as f64);
    gauge!("kaopu_partners_late").set(status.late_partners.partners.len() as f64);
    for late in &status.late_partners.partners {
        gauge!("kaopu_partner_late_repairs", "node" => late.node.to_string()).set(late.repairs as f64);
    }
    let under_way = &status.applications;
    gauge!("kaopu_applications_waiting").set(under_way.waiting as f64);
    gauge!("kaopu_applications_due").set(under_way.due as f64);
    gauge!("kaopu_applications_late").set(under_way.late as f64);
    let held = &status.held;
    gauge!("kaopu_held_uploads_waiting").set(held.waiting as f64);
    gauge!("kaopu_held_uploads_due").set(held.due as f64);
    if let Some(seconds) = held.next_expiry_seconds {
        gauge!("kaopu_held_uploads_expiry_seconds").set(seconds as f64);
    }
    gauge!("kaopu_notices_unread").set(status.watching.unread as f64);
    for webhook in &status.watching.webhooks {
        let id = webhook.id.to_string();
        gauge!("kaopu_notices_waiting", "webhook" => id.clone()).set(webhook.waiting as f64);
        gauge!("kaopu_notice_oldest_seconds", "webhook" => id).set(webhook.oldest_seconds.unwrap_or(0) as f64);
    }
    for log in &status.logs {
        gauge!("kaopu_log_entries", "origin" => log.origin.to_string()).set(log.size as f64);
        for newest in &log.cosignatures {
            let labels = [("origin", newest.origin.to_string()), ("witness", newest.witness.clone())];
            gauge!("kaopu_cosigned_entries", &labels).set(newest.size as f64);
            gauge!("kaopu_cosigned_seconds", &labels).set(newest.at as f64);
        }
    }
    for peer in &status.peers {
        let node = peer.node.to_string();
        gauge!("kaopu_peer_state", "node" => node.clone(), "state" => peer.state.to_string()).set(1.0);
        gauge!("kaopu_feed_entries", "node" => node.clone()).set(peer.size as f64);
        gauge!("kaopu_feed_lag_entries", "node" => node.clone()).set(peer.lag as f64);
        if let Some(ms) = peer.last_success_ms {
            gauge!("kaopu_feed_success_seconds", "node" => node).set(ms as f64 / 1000.0);
        }
    }
}
