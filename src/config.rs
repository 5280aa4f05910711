//! The configuration of a node: `node.toml`. Each key is documented here and in `config/node.toml`; unknown ones are
//! refused with their place, secrets are not printed.

mod federation;

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;

pub use self::federation::Federation;
use crate::policy::{Groups, may_read};
use crate::record::setting::SettingFault;
use crate::record::{Calendar, Rules};
use crate::statement::{Audience, NodeId, Reader};

mod attachments;
mod import;
mod keys;
mod limits;
mod watch;

pub use attachments::Attachments;
pub use import::Import;
pub use limits::{Limits, PeerLimits};
pub use watch::{AddressRange, Watch, Webhooks};

/// The configuration of a node.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where everything is kept.
    pub store: StoreUrl,
    /// A folder with further kinds of records.
    #[serde(default)]
    pub schemas: Option<PathBuf>,
    /// Rules of severity, publicity and deadlines; without it, those that come with the program.
    #[serde(default)]
    pub rules: Option<PathBuf>,
    /// The calendar of working days; without it, the one that comes with the program.
    #[serde(default)]
    pub calendar: Option<PathBuf>,
    /// A folder with the policies that decide on access and recognition, in place of those that come with the program.
    #[serde(default)]
    pub policy: Option<PathBuf>,
    /// Who the node is.
    pub node: NodeSection,
    /// Where it listens.
    pub listen: Listen,
    /// Where its keys and certificates are.
    #[serde(default)]
    pub files: Files,
    /// Which keys are on tokens.
    #[serde(default)]
    pub keys: keys::Keys,
    /// Groups that an audience may name: node ids, or the first digits of divisions.
    #[serde(default)]
    pub groups: Groups,
    /// The federation whose member lists it takes.
    #[serde(default)]
    pub federation: Option<Federation>,
    /// What peers may ask.
    #[serde(default)]
    pub limits: Limits,
    /// How peers' logs are pulled.
    #[serde(default)]
    pub pull: Pull,
    /// How uploads are taken.
    #[serde(default)]
    pub import: Import,
    /// How those who follow a subject are told.
    #[serde(default)]
    pub watch: Watch,
    /// How notices are delivered to webhooks.
    #[serde(default)]
    pub webhooks: Webhooks,
    /// Files beside applications.
    #[serde(default)]
    pub attachments: Attachments,
}

/// Who the node is.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeSection {
    /// Its id; never changes.
    pub id: NodeId,
    /// Its name, for people.
    pub name: String,
    /// Where peers reach it: `https://host:port`.
    pub url: String,
}

/// Where the node listens.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listen {
    /// The peer interface.
    #[serde(default = "default_peer")]
    pub peer: SocketAddr,
    /// Console and local API: no TLS, no login.
    #[serde(default = "default_local")]
    pub local: SocketAddr,
}

fn default_peer() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 7443))
}

fn default_local() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 7080))
}

/// Where keys and certificates are.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Files {
    /// The folder of the private keys.
    pub keys: PathBuf,
    /// The newest descriptor, for partners.
    pub descriptor: PathBuf,
    /// The TLS certificate, with those between it and the authority.
    pub certificate: PathBuf,
    /// Its key.
    pub certificate_key: PathBuf,
    /// A file of mode 0600 with the passphrase of the private keys; without it the environment or the terminal gives it.
    pub passphrase: Option<PathBuf>,
    /// The folder in which the newest checkpoints of the own logs are remembered: outside the database and its backups, so
    /// that a database that was set back is noticed.
    pub memory: PathBuf,
}

impl Default for Files {
    fn default() -> Self {
        Self {
            keys: "keys".into(),
            descriptor: "descriptor.jws".into(),
            certificate: "certs/node.pem".into(),
            certificate_key: "certs/node.key".into(),
            passphrase: None,
            memory: "data".into(),
        }
    }
}

/// How peers' logs are pulled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Pull {
    /// Whether they are.
    pub enabled: bool,
    /// Seconds that a peer is asked to hold a request for a newer checkpoint open.
    pub wait_seconds: u64,
    /// Seconds for a connection to stand.
    pub connect_seconds: u64,
    /// Seconds for the next bytes of an answer.
    pub idle_seconds: u64,
    /// Seconds for a whole answer.
    pub answer_seconds: u64,
    /// Milliseconds to wait after the first failure, at most.
    pub retry_first_ms: u64,
    /// Seconds to wait after many failures, at most.
    pub retry_longest_seconds: u64,
    /// Seconds after which statements that came too early are judged again.
    pub retry_held_seconds: u64,
    /// Whether bodies are asked for packed.
    pub compress: bool,
}

impl Default for Pull {
    fn default() -> Self {
        Self {
            enabled: true,
            wait_seconds: 30,
            connect_seconds: 5,
            idle_seconds: 10,
            answer_seconds: 60,
            retry_first_ms: 500,
            retry_longest_seconds: 60,
            retry_held_seconds: 60,
            compress: true,
        }
    }
}

/// The address of the store. It may hold a password, so it does not print.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct StoreUrl(String);

impl StoreUrl {
    /// From its text.
    pub fn new(url: &str) -> Self {
        Self(url.to_owned())
    }

    /// The address, password and all.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.0.split_once(':').map_or("", |(scheme, _)| scheme);
        write!(f, "{scheme}:…")
    }
}

/// Why a configuration is not taken.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file can't be read.
    #[error("cannot read {}: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// It is not what a configuration is; says where.
    #[error("{}: {error}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What and where.
        error: Box<toml::de::Error>,
    },
    /// Rules or calendar have a fault; says where.
    #[error(transparent)]
    Setting(#[from] SettingFault),
    /// A value is out of its bounds.
    #[error("{key}: {reason}")]
    Value {
        /// Which key.
        key: String,
        /// What is wrong.
        reason: String,
    },
}

impl Config {
    /// Reads a configuration; relative paths in it become relative to its folder.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = read(path)?;
        let mut config: Self = toml::from_str(&text)
            .map_err(|error| ConfigError::Malformed { path: path.to_owned(), error: Box::new(error) })?;
        config.check()?;
        config.anchor(path.parent().unwrap_or(Path::new("")));
        Ok(config)
    }

    /// The rules of severity, publicity and deadlines, read anew.
    pub fn rules(&self) -> Result<Rules, ConfigError> {
        let Some(path) = &self.rules else { return Ok(Rules::built_in()?) };
        Ok(Rules::parse(&path.display().to_string(), &read(path)?)?)
    }

    /// The calendar of working days, read anew.
    pub fn calendar(&self) -> Result<Calendar, ConfigError> {
        let Some(path) = &self.calendar else { return Ok(Calendar::built_in()?) };
        Ok(Calendar::parse(&path.display().to_string(), &read(path)?)?)
    }

    /// Whether a node may hold a body of this audience that `issuer` said.
    pub fn may_read(&self, aud: &Audience, issuer: &NodeId, caller: &NodeId) -> bool {
        may_read(&self.groups, aud, issuer, caller)
    }

    fn check(&self) -> Result<(), ConfigError> {
        let refuse =
            |key: &str, reason: &str| Err(ConfigError::Value { key: key.to_owned(), reason: reason.to_owned() });
        if !crate::trust::descriptor::is_endpoint(&self.node.url) {
            return refuse("node.url", "https://host:port is expected");
        }
        for group in self.groups.keys() {
            if !matches!(format!("@{group}").parse(), Ok(Reader::Group(_))) {
                return refuse(&format!("groups.{group}"), "a name of a-z, 0-9 and - is expected, a letter first");
            }
        }
        if let Some(Err((key, reason))) = self.federation.as_ref().map(Federation::check) {
            return refuse(key, reason);
        }
        if let Err((key, reason)) = self.webhooks.check().and(self.import.check()) {
            return refuse(key, reason);
        }
        if let Err((key, reason)) = self.attachments.check() {
            return refuse(key, reason);
        }
        let limits = &self.limits;
        if limits.connections == 0 || limits.handshakes == 0 {
            return refuse("limits", "connections and handshakes are at least 1");
        }
        for limits in limits.of_each(Clone::clone).values().chain([limits]) {
            if limits.in_flight == 0 || limits.per_second == 0 || limits.descriptors_per_hour == 0 {
                return refuse("limits", "in_flight, per_second and descriptors_per_hour are at least 1");
            }
        }
        Ok(())
    }

    fn anchor(&mut self, folder: &Path) {
        let files = &mut self.files;
        for path in [
            &mut files.keys,
            &mut files.descriptor,
            &mut files.certificate,
            &mut files.certificate_key,
            &mut files.memory,
        ] {
            *path = folder.join(&*path);
        }
        if let Some(passphrase) = &mut files.passphrase {
            *passphrase = folder.join(&*passphrase);
        }
        for path in [&mut self.schemas, &mut self.rules, &mut self.calendar, &mut self.policy].into_iter().flatten() {
            *path = folder.join(&*path);
        }
        if let Some(ca) = &mut self.webhooks.ca {
            *ca = folder.join(&*ca);
        }
        if let Some(path) = self.store.0.strip_prefix("sqlite:") {
            let path = folder.join(path.strip_prefix("//").unwrap_or(path));
            self.store = StoreUrl(format!("sqlite:{}", path.display()));
        }
    }
}

fn read(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|error| ConfigError::Unreadable { path: path.to_owned(), error })
}

#[cfg(test)]
mod tests;
