//! What a peer replied, read with suspicion: text that is text, the problem that it names, how long it asks to be left alone.

use std::error::Error;
use std::time::Duration;

use http::header::{CONTENT_RANGE, RETRY_AFTER};
use http::{HeaderMap, StatusCode};

use super::Fault;

/// A reply that is no problem.
pub(super) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

/// Whether this status answers what was asked.
pub(super) fn is_good(status: StatusCode) -> bool {
    matches!(status, StatusCode::OK | StatusCode::NOT_MODIFIED | StatusCode::PARTIAL_CONTENT)
}

/// Which bytes came of how many: the first, how many, and of a whole of how many.
pub(super) fn range_of(headers: &HeaderMap) -> Option<(u64, u64, u64)> {
    let (range, size) = headers.get(CONTENT_RANGE)?.to_str().ok()?.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
    Some((first, last.checked_sub(first)?.checked_add(1)?, size.parse().ok()?))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_read_as_it_is_written() {
        let read = |text: &'static str| {
            range_of(&HeaderMap::from_iter([(CONTENT_RANGE, http::HeaderValue::from_static(text))]))
        };
        assert_eq!(read("bytes 0-0/1"), Some((0, 1, 1)));
        assert_eq!(read("bytes 7-16/100"), Some((7, 10, 100)));
        let max = u64::MAX.to_string();
        assert_eq!(range_of(&HeaderMap::new()), None);
        for bad in ["", "bytes 2-1/9", "bytes */9", "bytes 0-1/*", "bytes 0-1", "lines 0-1/9"] {
            assert_eq!(read(bad), None, "{bad}");
        }
        let huge = http::HeaderValue::from_str(&format!("bytes 0-{max}/{max}")).unwrap();
        assert_eq!(range_of(&HeaderMap::from_iter([(CONTENT_RANGE, huge)])), None);
    }
}
