//! `GET /v1/attachments/<digest>`: a sealed file that was filed here, for the node that decides and for nobody else.

use std::ops::Range;

use axum::body::{Body, Bytes};
use axum::extract::{Extension, Path, State};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use http::header::{ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, RANGE};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::problem::Problem;
use super::{Caller, PeerInterface};
use crate::statement::Digest;
use crate::store::attachment::{AttachmentKey, PART};
use crate::store::{Db, StoreError};

/// Serves a file, or the one range of it that is asked for.
pub async fn attachment(
    State(api): State<PeerInterface>,
    Extension(Caller(caller)): Extension<Caller>,
    Path(digest): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let caller = caller.ok_or(Problem::CertificateNeeded)?;
    let digest: Digest = digest.parse().map_err(|_| Problem::Malformed("no digest".to_owned()))?;
    let mut rows = api.db.attachments_of(&digest).await?;
    rows.retain(|row| row.key.own);
    if rows.is_empty() {
        return Err(Problem::NotHeld);
    }
    let Some(row) = rows.into_iter().find(|row| row.key.peer == caller) else {
        tracing::info!(%caller, %digest, "refused an attachment that is for another node");
        let words = "this file is for the node that decides on the application, and for no other".to_owned();
        return Err(Problem::Step("attachment-for-another", StatusCode::FORBIDDEN, words));
    };
    if row.erased_ms.is_some() {
        let words = "this file was erased: its time was over".to_owned();
        return Err(Problem::Step("attachment-erased", StatusCode::GONE, words));
    }
    let (status, range) = match asked(&headers, row.size) {
        Asked::All => (StatusCode::OK, 0..row.size),
        Asked::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
        Asked::Beyond => return Ok(beyond(row.size)),
    };
    let length = range.end - range.start;
    let told = format!("bytes {}-{}/{}", range.start, range.end.saturating_sub(1), row.size);
    let mut response = (status, Body::from_stream(bytes_of(api.db, row.key, range))).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/jose"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    if status == StatusCode::PARTIAL_CONTENT
        && let Ok(told) = HeaderValue::from_str(&told)
    {
        headers.insert(CONTENT_RANGE, told);
    }
    Ok(response)
}

/// What of a file is asked for.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    All,
    Part(Range<u64>),
    Beyond,
}

/// One range from its first byte on (RFC 9110, 14.2); any other form of the header is passed over, as that lets a server do.
fn asked(headers: &HeaderMap, size: u64) -> Asked {
    let header = headers.get(RANGE).and_then(|value| value.to_str().ok()?.strip_prefix("bytes="));
    let Some((first, last)) = header.and_then(|range| range.split_once('-')) else { return Asked::All };
    let Ok(first) = first.parse::<u64>() else { return Asked::All };
    let last = if last.is_empty() { Some(u64::MAX) } else { last.parse().ok() };
    match last {
        Some(last) if last < first => Asked::All,
        Some(_) if first >= size => Asked::Beyond,
        Some(last) => Asked::Part(first..last.saturating_add(1).min(size)),
        None => Asked::All,
    }
}

fn beyond(size: u64) -> Response {
    let problem = Problem::Step("range", StatusCode::RANGE_NOT_SATISFIABLE, "the file is not that long".to_owned());
    let mut response = problem.into_response();
    if let Ok(told) = HeaderValue::from_str(&format!("bytes */{size}")) {
        response.headers_mut().insert(CONTENT_RANGE, told);
    }
    response
}

/// A range of a file, part by part as it is sent: no more than one of them is held for a caller who reads slowly.
fn bytes_of(
    db: Db,
    key: AttachmentKey,
    range: Range<u64>,
) -> impl futures_util::Stream<Item = Result<Bytes, StoreError>> + Send + 'static {
    stream::try_unfold((db, key, range), async |(db, key, range)| {
        if range.is_empty() {
            return Ok(None);
        }
        let first = range.start - range.start % PART as u64;
        // erased while it is sent: the answer breaks off
        let gone = || StoreError::Corrupt(format!("the attachment {} has no part {first}", key.digest));
        let part = Bytes::from(db.attachment_part(&key, first).await?.ok_or_else(gone)?);
        let skip = usize::try_from(range.start - first).unwrap_or(usize::MAX).min(part.len());
        let left = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
        let bytes = part.slice(skip..part.len().min(skip.saturating_add(left)));
        if bytes.is_empty() {
            return Err(gone());
        }
        let next = range.start + bytes.len() as u64..range.end;
        Ok(Some((bytes, (db, key, next))))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_is_served_and_any_other_wish_passed_over() {
        let asked = |text: &'static str| asked(&HeaderMap::from_iter([(RANGE, HeaderValue::from_static(text))]), 100);
        assert_eq!(asked("bytes=0-9"), Asked::Part(0..10));
        assert_eq!(asked("bytes=90-"), Asked::Part(90..100));
        assert_eq!(asked("bytes=99-500"), Asked::Part(99..100));
        assert_eq!(asked("bytes=0-18446744073709551615"), Asked::Part(0..100));
        assert_eq!(asked("bytes=100-"), Asked::Beyond);
        for other in ["bytes=-5", "bytes=0-1,3-4", "bytes=9-3", "lines=0-1", "bytes=", "bytes=a-b"] {
            assert_eq!(asked(other), Asked::All, "{other}");
        }
        assert_eq!(super::asked(&HeaderMap::new(), 100), Asked::All);
    }
}
