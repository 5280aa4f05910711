//! The rules and the calendar of a node: read at its start, and again when their files change. What has a fault never comes
//! into force: the place of it is told, and what was before goes on.

use std::sync::Arc;

use jiff::civil::Date;

use super::reload::{Reading, keep_reading};
use crate::config::{Config, ConfigError};
use crate::in_force::InForce;
use crate::record::calendar::Deadline;
use crate::record::{Calendar, Rules};

/// The rules and the calendar that a node goes by. Clones share them.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Rules of severity, publicity and deadlines.
    pub rules: InForce<Rules>,
    /// Working days.
    pub calendar: InForce<Calendar>,
}

impl Settings {
    /// Those that the configuration names.
    pub fn of(config: &Config) -> Result<Self, ConfigError> {
        Ok(Self::new(config.rules()?, config.calendar()?))
    }

    /// What of them can be read, else what comes with the program: for whoever looks at a node that has a fault.
    pub fn readable(config: &Config) -> Result<Self, ConfigError> {
        let rules = config.rules().or_else(|_| Rules::built_in())?;
        let calendar = config.calendar().or_else(|_| Calendar::built_in())?;
        Ok(Self::new(rules, calendar))
    }

    /// These.
    pub fn new(rules: Rules, calendar: Calendar) -> Self {
        Self { rules: InForce::new(rules), calendar: InForce::new(calendar) }
    }

    /// By when a repair that came on a day is recognised, or not.
    pub fn recognised_by(&self, came: Date) -> Deadline {
        self.calendar.now().deadline(came, self.rules.now().deadlines.recognise)
    }

    /// Looks at the file of the rules for ever. One that comes with the program does not change.
    pub(super) async fn keep_rules(self, config: Arc<Config>) {
        if config.rules.is_some() {
            keep("rules", self.rules, move || config.rules()).await;
        }
    }

    /// Looks at the file of the calendar for ever.
    pub(super) async fn keep_calendar(self, config: Arc<Config>) {
        if config.calendar.is_some() {
            keep("calendar", self.calendar, move || config.calendar()).await;
        }
    }
}

async fn keep<T>(what: &'static str, in_force: InForce<T>, read: impl Fn() -> Result<T, ConfigError> + Send + 'static)
where
    T: PartialEq + Send + Sync + 'static,
{
    let seen = in_force.clone();
    // what they say is compared, not the text: a comment changes nothing
    let look = move || read().map(|new| if new == *seen.now() { Reading::Same } else { Reading::New(new) });
    let take = |new| {
        tracing::info!(what, "took in what has changed");
        in_force.take(new);
        std::future::ready(())
    };
    Box::pin(keep_reading(what, look, take)).await;
}
