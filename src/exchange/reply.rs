//! What a peer replied, read with suspicion: text that is text, the problem that it names, how long it asks to be left alone.

use std::error::Error;
use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode};

use super::Fault;

/// A reply that is no problem.
pub(super) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

pub(super) fn into_text(what: &'static str, bytes: Vec<u8>) -> Result<String, Fault> {
    String::from_utf8(bytes).map_err(|_| Fault::Format { what, why: "not UTF-8".to_owned() })
}

pub(super) fn malformed(what: &'static str, error: impl std::fmt::Display) -> Fault {
    Fault::Format { what, why: error.to_string() }
}

/// What a problem says of itself: the last part of its `type`, else nothing.
pub(super) fn problem(body: &[u8]) -> String {
    let problem: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let name = problem["type"].as_str().and_then(|t| t.strip_prefix("urn:kaopu:problem:")).unwrap_or("no reason given");
    name.chars().filter(|c| !c.is_control()).take(80).collect()
}

/// How long to wait; a peer may ask for a second to an hour.
pub(super) fn retry_after(headers: &HeaderMap) -> Duration {
    let seconds = headers.get(RETRY_AFTER).and_then(|v| v.to_str().ok()).and_then(|v| v.parse().ok()).unwrap_or(5);
    Duration::from_secs(u64::clamp(seconds, 1, 3600))
}

/// The innermost reason: the outer ones only repeat the address.
pub(super) fn words(error: &dyn Error) -> String {
    let mut reason = error;
    while let Some(source) = reason.source() {
        reason = source;
    }
    reason.to_string()
}
