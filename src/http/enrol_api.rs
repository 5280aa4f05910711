//! `POST /v1/enrol`: a node that was invited introduces itself. The one route by which a stranger leaves something here, so
//! it is narrow: few at a time, and nothing is looked at before the invitation's secret.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::PeerInterface;
use super::problem::Problem;
use crate::exchange::standing::Introduction;
use crate::node::metrics;
use crate::node::peers::enrol;

/// How many may come at once, and how many a second after that.
const BURST: f64 = 10.0;
const PER_SECOND: f64 = 1.0;

/// What the route needs.
#[derive(Clone)]
pub struct Enrolment {
    interface: PeerInterface,
    tries: Tries,
}

/// So many tries at once, and so many a second; of everybody together, since who tries is unknown.
#[derive(Clone)]
pub struct Tries {
    burst: f64,
    per_second: f64,
    left: Arc<Mutex<(f64, Option<Instant>)>>,
}

impl Enrolment {
    /// Nobody has tried yet.
    pub fn new(interface: PeerInterface) -> Self {
        Self { interface, tries: Tries::new(BURST, PER_SECOND) }
    }
}

impl Tries {
    /// None is used up.
    pub fn new(burst: f64, per_second: f64) -> Self {
        Self { burst, per_second, left: Arc::new(Mutex::new((burst, None))) }
    }

    /// Uses one up, or says when there is one.
    pub fn take(&self, now: Instant) -> Result<(), Problem> {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let gained = left.1.map_or(0.0, |then| now.duration_since(then).as_secs_f64() * self.per_second);
        let have = (left.0 + gained).min(self.burst);
        if have < 1.0 {
            *left = (have, Some(now));
            return Err(Problem::TooMany(Duration::from_secs_f64((1.0 - have) / self.per_second)));
        }
        *left = (have - 1.0, Some(now));
        Ok(())
    }
}

/// Takes an introduction.
pub async fn introduce(State(enrolment): State<Enrolment>, body: Bytes) -> Result<Json<Value>, Problem> {
    enrolment.tries.take(Instant::now())?;
    let api = &enrolment.interface;
    let introduction: Introduction = serde_json::from_slice(&body)
        .map_err(|error| Problem::Malformed(format!("an introduction is expected: {error}")))?;
    match Box::pin(enrol(&api.db, &api.node, api.clock.now_ms(), &introduction)).await {
        Ok(state) => {
            tracing::info!("a node introduced itself by an invitation; `kaopu peer list` shows it");
            Ok(Json(json!({"node": api.node, "state": state})))
        }
        Err(error) => {
            let problem = Problem::from(error);
            metrics::refused(problem.name());
            tracing::info!(name = problem.name(), reason = %problem, "refused an introduction");
            Err(problem)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_burst_there_is_one_in_a_while() {
        let (tries, now) = (Tries::new(3.0, 2.0), Instant::now());
        for _ in 0..3 {
            tries.take(now).unwrap();
        }
        assert!(matches!(tries.take(now), Err(Problem::TooMany(_))));
        assert!(matches!(tries.take(now + Duration::from_millis(400)), Err(Problem::TooMany(_))));
        tries.take(now + Duration::from_millis(500)).unwrap();
        assert!(matches!(tries.take(now + Duration::from_millis(500)), Err(Problem::TooMany(_))));
    }
}
