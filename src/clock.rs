//! The time, passed in so that a test can hold it still.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// Where the present comes from: the system's clock, or one that a test sets.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The system's clock.
    System,
    /// Milliseconds since 1970, as last set.
    Fixed(Arc<AtomicI64>),
}

impl Clock {
    /// A clock that stands at `ms` milliseconds since 1970 until it is set anew.
    pub fn fixed(ms: i64) -> Self {
        Self::Fixed(Arc::new(AtomicI64::new(ms)))
    }

    /// Milliseconds since 1970.
    pub fn now_ms(&self) -> i64 {
        match self {
            #[expect(clippy::disallowed_methods, reason = "the one place that reads the system's clock")]
            Self::System => jiff::Timestamp::now().as_millisecond(),
            Self::Fixed(ms) => ms.load(Ordering::Relaxed),
        }
    }

    /// Seconds since 1970, as `iat` states them.
    pub fn now(&self) -> i64 {
        self.now_ms().div_euclid(1000)
    }

    /// Today in the Delta (UTC+8, no summer time): the date by which rows are judged.
    pub fn today(&self) -> jiff::civil::Date {
        date_of(self.now())
    }
}

/// When a day begins in the Delta (UTC+8, no summer time), in seconds since 1970.
pub fn begin_of(day: jiff::civil::Date) -> i64 {
    jiff::tz::offset(8).to_timestamp(day.at(0, 0, 0, 0)).unwrap_or(jiff::Timestamp::MAX).as_second()
}

/// The date in the Delta (UTC+8, no summer time) at `seconds` since 1970.
pub fn date_of(seconds: i64) -> jiff::civil::Date {
    jiff::tz::offset(8).to_datetime(jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::MAX)).date()
}
