//! Applications for a repair at another city's window 异地受理: filed where the enterprise is, decided by the city whose
//! record it is. Both ends see how far each has come, who acts next and by which day.
//!
//! | file | |
//! |---|---|
//! | `act.rs` | filing, and what is said of an application afterwards |
//! | `decide.rs` | the decision, with the repair that it grants |
//! | `files.rs` | attachments: sealed when they are filed, opened where it is decided |
//! | `overview.rs` | how an application stands |
//! | `due.rs` | what is under way and due, in words |
//! | `keep.rs` | while the node serves: fetching files, telling what is due, erasing |

mod act;
mod decide;
mod due;
mod fault;
mod files;
mod keep;
mod overview;

use std::collections::HashSet;

pub use self::act::Filing;
pub use self::decide::Grant;
pub use self::due::{Due, NAMED, UnderWay, under_way};
pub use self::fault::ApplicationError;
pub use self::files::NewFile;
pub use self::overview::{Overview, ToldFile, ToldStep};
use super::Node;
use crate::about::Office;
use crate::about::application::Application;
use crate::config::Attachments;
use crate::in_force::InForce;
use crate::record::Calendar;
use crate::statement::{Digest, Kind, Kinds};
use crate::trust::keys::KeyStore;
use crate::trust::registry::Registry;

/// The applications of a node, as a window or as the city that decides. Cheap to clone.
#[derive(Clone)]
pub struct Applications {
    /// Store, node, rules, records log and clock.
    pub office: Office,
    /// The kinds that it knows.
    pub kinds: Kinds,
    /// Its peers.
    pub registry: Registry,
    /// Its working days.
    pub calendar: InForce<Calendar>,
    /// What opens sealed files.
    pub keys: KeyStore,
    /// How many and how long files may be.
    pub files: Attachments,
}

impl Applications {
    /// Of a node that is open.
    pub fn of(node: &Node) -> Self {
        Self {
            office: node.office(),
            kinds: node.kinds.clone(),
            registry: node.registry.clone(),
            calendar: node.settings.calendar.clone(),
            keys: node.keys.clone(),
            files: node.config.attachments,
        }
    }

    /// The same, with the name of whoever acts kept beside what is said.
    pub fn by(node: &Node, operator: &str) -> Self {
        Self { office: node.office_of(operator), ..Self::of(node) }
    }

    /// All that are known here, the oldest first.
    pub async fn all(&self) -> Result<Vec<Application>, ApplicationError> {
        Ok(Application::all(self.office.db.applications().await?))
    }

    /// Those that this node has filed or decides on.
    pub async fn own(&self) -> Result<Vec<Application>, ApplicationError> {
        let mut own = Application::all(self.office.db.applications_of(&self.office.node).await?);
        own.retain(|one| [one.window(), one.decider()].contains(&&self.office.node));
        Ok(own)
    }

    /// One, by its digest as filed.
    pub async fn one(&self, digest: &Digest) -> Result<Application, ApplicationError> {
        let lives = Box::pin(self.office.db.lives(&[*digest], &HashSet::new())).await?;
        Application::of(&lives, digest).ok_or(ApplicationError::Unknown(*digest))
    }

    fn kind(&self, name: &'static str) -> Result<&Kind, ApplicationError> {
        self.kinds.newest(name).map(|kind| &**kind).ok_or(ApplicationError::NoKind(name))
    }
}
