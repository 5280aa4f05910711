//! What one peer may ask of this node: so many requests at once, so many a second. Who asks more is told when to come
//! back, and nobody else feels it.

use std::collections::{BTreeMap, HashMap};
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
use crate::clock::Clock;
use crate::config;
use crate::quota::{DayCount, DayLimit};
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
    /// What one peer is served in a day.
    pub day: DayLimit,
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
            day: DayLimit { bytes: limits.served_bytes_per_day, entries: limits.served_entries_per_day },
        }
    }
}

/// The gates of all callers.
#[derive(Clone)]
pub struct Gates {
    limits: Limits,
    of_peers: Arc<BTreeMap<NodeId, Limits>>,
    clock: Clock,
    gates: Arc<Mutex<HashMap<Option<NodeId>, Arc<Gate>>>>,
}

/// What one caller has used up.
struct Gate {
    limits: Limits,
    in_flight: Arc<Semaphore>,
    held_open: Arc<Semaphore>,
    per_second: u32,
    day: DayCount,
    /// Requests that may still come at this moment, and when that was so.
    allowance: Mutex<(f64, Instant)>,
}

impl Gates {
    /// Gates that are all open. Some peers may have limits of their own.
    pub fn new(limits: Limits, of_peers: Arc<BTreeMap<NodeId, Limits>>, clock: Clock) -> Self {
        Self { limits, of_peers, clock, gates: Arc::default() }
    }

    fn of(&self, caller: Option<&NodeId>, now: Instant) -> Arc<Gate> {
        // callers are peers of the registry, so there are never many
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        let limits = caller.and_then(|caller| self.of_peers.get(caller)).unwrap_or(&self.limits);
        let per_second = if caller.is_some() { limits.per_second } else { limits.strangers_per_second };
        let new = || {
            Arc::new(Gate {
                limits: *limits,
                day: DayCount::new(limits.day),
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
    /// Admits a request, or says when to come back.
    fn admit(&self, held_open: bool, now: Instant) -> Result<OwnedSemaphorePermit, Problem> {
        self.take(now).map_err(Problem::TooMany)?;
        let room = if held_open { &self.held_open } else { &self.in_flight };
        Arc::clone(room).try_acquire_owned().map_err(|_| Problem::TooMany(Duration::from_secs(1)))
    }

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

/// Noted on an answer that has the bodies of so many entries.
#[derive(Clone, Copy, Debug)]
pub struct Entries(pub u16);

/// Lets a request through within the limits of its caller: number, rate, size, time, and what it is served in a day.
pub async fn within_limits(State(gates): State<Gates>, request: Request, next: Next) -> Response {
    let caller = request.extensions().get::<Caller>().and_then(|caller| caller.0.clone());
    let held_open =
        request.uri().path().ends_with("/checkpoint") && super::peer_api::preferred_wait(request.headers()).is_some();
    let now = Instant::now();
    let gate = gates.of(caller.as_ref(), now);
    let room = match gate.admit(held_open, now) {
        Ok(room) => room,
        Err(problem) => return problem.into_response(),
    };
    // who a node is and how one stands with it can always be asked
    let path = request.uri().path();
    if (path.starts_with("/v1/logs/") || path.starts_with("/v1/attachments/"))
        && let Err(spent) = gate.day.room(gates.clock.now())
    {
        return Problem::DaySpent(spent).into_response();
    }
    let limits = gate.limits;
    let announced = request.headers().get(http::header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse().ok());
    if announced.is_some_and(|bytes: usize| bytes > limits.body_bytes) {
        return Problem::TooLarge.into_response();
    }
    let body_bytes = limits.body_bytes;
    let request = request.map(|body| Body::new(Limited::new(body, body_bytes)));
    let time = limits.time + if held_open { limits.wait } else { Duration::ZERO };
    match tokio::time::timeout(time, next.run(request)).await {
        Ok(answer) => {
            let entries = answer.extensions().get::<Entries>().map_or(0, |entries| u64::from(entries.0));
            gate.day.add(gates.clock.now(), 0, entries);
            answer.map(|body| Body::new(Answer { body, gate, clock: gates.clock, _room: room }))
        }
        Err(_) => Problem::TimedOut.into_response(),
    }
}

/// The body of an answer, counted as it goes. It keeps the request's place until it is sent or given up, so that a caller
/// who asks for much and reads nothing takes up no more memory than its places have.
struct Answer {
    body: Body,
    gate: Arc<Gate>,
    clock: Clock,
    _room: OwnedSemaphorePermit,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(data) = frame.data_ref()
        {
            self.gate.day.add(self.clock.now(), data.len() as u64, 0);
        }
        polled
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

    fn gates(limits: Limits) -> Gates {
        Gates::new(limits, Arc::default(), Clock::fixed(0))
    }

    fn admit(gates: &Gates, caller: &NodeId, held_open: bool, now: Instant) -> Result<OwnedSemaphorePermit, Problem> {
        gates.of(Some(caller), now).admit(held_open, now)
    }

    #[test]
    fn a_peer_that_asks_too_much_is_told_when_to_come_back_and_nobody_else_feels_it() {
        let gates = gates(Limits { per_second: 10, in_flight: 100, ..Limits::default() });
        let now = Instant::now();
        let (greedy, other): (NodeId, NodeId) = ("310107".parse().unwrap(), "340500".parse().unwrap());
        let mut kept = Vec::new();
        for _ in 0..20 {
            kept.push(admit(&gates, &greedy, false, now).unwrap());
        }
        let Err(Problem::TooMany(wait)) = admit(&gates, &greedy, false, now) else { panic!("admitted") };
        assert!(wait <= Duration::from_millis(100));
        assert!(admit(&gates, &other, false, now).is_ok());
        assert!(admit(&gates, &greedy, false, now + Duration::from_millis(101)).is_ok());
    }

    #[test]
    fn requests_held_open_leave_room_for_others() {
        let gates = gates(Limits { in_flight: 2, ..Limits::default() });
        let now = Instant::now();
        let peer: NodeId = "310107".parse().unwrap();
        let _open = [admit(&gates, &peer, true, now).unwrap(), admit(&gates, &peer, true, now).unwrap()];
        assert!(matches!(admit(&gates, &peer, true, now), Err(Problem::TooMany(_))));
        let _short = [admit(&gates, &peer, false, now).unwrap(), admit(&gates, &peer, false, now).unwrap()];
        assert!(matches!(admit(&gates, &peer, false, now), Err(Problem::TooMany(_))));
    }
}
