//! What one peer may ask of this node: so many requests at once, so many a second. Who asks more is told when to come
//! back, and nobody else feels it.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http_body_util::Limited;
use hyper::body::{Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::Caller;
use super::problem::Problem;
use crate::config;
use crate::statement::NodeId;

/// The limits of the peer interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Requests of one peer under way at once; those held open count apart, up to the same number.
    pub in_flight: usize,
    /// Requests of one peer a second, on average; a burst may take two seconds' worth.
    pub per_second: u32,
    /// Requests a second of all who come without a certificate.
    pub strangers_per_second: u32,
    /// Bytes of a request's body.
    pub body_bytes: usize,
    /// How long an answer may take; one held open is not counted.
    pub time: Duration,
    /// How long a request for a newer checkpoint is held open at most.
    pub wait: Duration,
    /// Connections at once, of all.
    pub connections: usize,
    /// TLS handshakes at once, of all.
    pub handshakes: usize,
    /// How long a handshake may take.
    pub handshake_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        (&config::Limits::default()).into()
    }
}

impl From<&config::Limits> for Limits {
    fn from(limits: &config::Limits) -> Self {
        let seconds = Duration::from_secs;
        Self {
            in_flight: limits.in_flight,
            per_second: limits.per_second,
            strangers_per_second: limits.strangers_per_second,
            body_bytes: limits.body_bytes,
            time: seconds(limits.answer_seconds),
            wait: seconds(limits.wait_seconds),
            connections: limits.connections,
            handshakes: limits.handshakes,
            handshake_time: seconds(limits.handshake_seconds),
        }
    }
}

/// The gates of all callers.
#[derive(Clone)]
pub struct Gates {
    limits: Limits,
    gates: Arc<Mutex<HashMap<Option<NodeId>, Arc<Gate>>>>,
}

/// What one caller has used up.
struct Gate {
    in_flight: Arc<Semaphore>,
    held_open: Arc<Semaphore>,
    per_second: u32,
    /// Requests that may still come at this moment, and when that was so.
    allowance: Mutex<(f64, Instant)>,
}

impl Gates {
    /// Gates that are all open.
    pub fn new(limits: Limits) -> Self {
        Self { limits, gates: Arc::default() }
    }

    /// Admits a request, or says when to come back.
    fn admit(&self, caller: Option<&NodeId>, held_open: bool, now: Instant) -> Result<OwnedSemaphorePermit, Problem> {
        let gate = self.of(caller, now);
        gate.take(now).map_err(Problem::TooMany)?;
        let room = if held_open { &gate.held_open } else { &gate.in_flight };
        Arc::clone(room).try_acquire_owned().map_err(|_| Problem::TooMany(Duration::from_secs(1)))
    }

    fn of(&self, caller: Option<&NodeId>, now: Instant) -> Arc<Gate> {
        // callers are peers of the registry, so there are never many
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        let limits = &self.limits;
        let per_second = if caller.is_some() { limits.per_second } else { limits.strangers_per_second };
        let new = || {
            Arc::new(Gate {
                in_flight: Arc::new(Semaphore::new(limits.in_flight)),
                held_open: Arc::new(Semaphore::new(limits.in_flight)),
                per_second,
                allowance: Mutex::new((f64::from(per_second) * 2.0, now)),
            })
        };
        Arc::clone(gates.entry(caller.cloned()).or_insert_with(new))
    }
}

impl Gate {
    /// Takes one request from the allowance; else how long until there is one.
    fn take(&self, now: Instant) -> Result<(), Duration> {
        let rate = f64::from(self.per_second);
        let mut allowance = self.allowance.lock().unwrap_or_else(PoisonError::into_inner);
        let (left, then) = *allowance;
        let left = (left + now.duration_since(then).as_secs_f64() * rate).min(rate * 2.0);
        if left < 1.0 {
            *allowance = (left, now);
            return Err(Duration::from_secs_f64((1.0 - left) / rate.max(0.001)));
        }
        *allowance = (left - 1.0, now);
        Ok(())
    }
}

/// Lets a request through within the limits of its caller: number, rate, size and time.
pub async fn within_limits(State(gates): State<Gates>, request: Request, next: Next) -> Response {
    let caller = request.extensions().get::<Caller>().and_then(|caller| caller.0.clone());
    let held_open =
        request.uri().path().ends_with("/checkpoint") && super::peer_api::preferred_wait(request.headers()).is_some();
    let room = match gates.admit(caller.as_ref(), held_open, Instant::now()) {
        Ok(room) => room,
        Err(problem) => return problem.into_response(),
    };
    let limits = &gates.limits;
    let announced = request.headers().get(http::header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse().ok());
    if announced.is_some_and(|bytes: usize| bytes > limits.body_bytes) {
        return Problem::TooLarge.into_response();
    }
    let body_bytes = limits.body_bytes;
    let request = request.map(|body| Body::new(Limited::new(body, body_bytes)));
    let time = limits.time + if held_open { limits.wait } else { Duration::ZERO };
    match tokio::time::timeout(time, next.run(request)).await {
        Ok(answer) => answer.map(|body| Body::new(Answer { body, _room: room })),
        Err(_) => Problem::TimedOut.into_response(),
    }
}

/// The body of an answer. It keeps the request's place until it is sent or given up, so that a caller who asks for much
/// and reads nothing takes up no more memory than its places have.
struct Answer {
    body: Body,
    _room: OwnedSemaphorePermit,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_that_asks_too_much_is_told_when_to_come_back_and_nobody_else_feels_it() {
        let gates = Gates::new(Limits { per_second: 10, in_flight: 100, ..Limits::default() });
        let now = Instant::now();
        let (greedy, other): (NodeId, NodeId) = ("310107".parse().unwrap(), "340500".parse().unwrap());
        let mut kept = Vec::new();
        for _ in 0..20 {
            kept.push(gates.admit(Some(&greedy), false, now).unwrap());
        }
        let Err(Problem::TooMany(wait)) = gates.admit(Some(&greedy), false, now) else { panic!("admitted") };
        assert!(wait <= Duration::from_millis(100));
        assert!(gates.admit(Some(&other), false, now).is_ok());
        assert!(gates.admit(Some(&greedy), false, now + Duration::from_millis(101)).is_ok());
    }

    #[test]
    fn requests_held_open_leave_room_for_others() {
        let gates = Gates::new(Limits { in_flight: 2, ..Limits::default() });
        let now = Instant::now();
        let peer: NodeId = "310107".parse().unwrap();
        let _open = [gates.admit(Some(&peer), true, now).unwrap(), gates.admit(Some(&peer), true, now).unwrap()];
        assert!(matches!(gates.admit(Some(&peer), true, now), Err(Problem::TooMany(_))));
        let _short = [gates.admit(Some(&peer), false, now).unwrap(), gates.admit(Some(&peer), false, now).unwrap()];
        assert!(matches!(gates.admit(Some(&peer), false, now), Err(Problem::TooMany(_))));
    }
}
