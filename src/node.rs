//! A node: store, keys, clock and configuration wired together. Opened by every command that works on it, served by one.

pub mod accounts;
pub mod aside;
pub mod answer;
pub mod applications;
mod ask;
pub mod authority;
pub mod check;
pub mod calendar;
pub mod cosigned;
pub mod doctor;
pub mod keys;
pub mod federation;
pub mod hold;
pub mod lookup;
pub mod metrics;
mod office;
pub mod peers;
pub mod policies;
pub mod publish;
pub mod quality;
pub mod recognise;
mod reload;
pub mod report;
pub mod rotate;
pub mod serve;
pub mod settings;
pub mod status;
pub mod take_back;
pub mod view;
pub mod warnings;
pub mod watching;

use std::path::PathBuf;
use std::sync::Arc;

use rand::CryptoRng;
use rand::rngs::StdRng;

use self::settings::Settings;
use self::view::View;
use crate::clock::Clock;
use crate::config::{Config, ConfigError};
use crate::log::Origin;
use crate::log::appender::{AppendError, Appender};
use crate::log::origin::LogName;
use crate::policy::{InForce, PolicyFaults};
use crate::record::Rules;
use crate::statement::kind::SchemaError;
use crate::statement::{Kinds, NodeId};
use crate::store::{Db, LogRow, StoreError};
use crate::trust::certificates;
use crate::trust::descriptor::{Descriptor, DescriptorError, Purpose};
use crate::trust::keys::{KeyFileError, KeyStore, NoKey, Passphrases, read_private};
use crate::trust::registry::Registry;
use crate::trust::tls::{Identity, TlsError};

/// A node that is open: it can append to its logs.
pub struct Node {
    /// Its configuration.
    pub config: Arc<Config>,
    /// Its id.
    pub id: NodeId,
    /// Its store.
    pub db: Db,
    /// The kinds that it knows.
    pub kinds: Kinds,
    /// The policies that it goes by.
    pub policies: InForce,
    /// Its rules of severity, publicity and deadlines, and its working days.
    pub settings: Settings,
    /// The present.
    pub clock: Clock,
    /// Its peers.
    pub registry: Registry,
    /// Its private keys. Statements are signed by `records.say` and `exchange.say`, which know which key is active.
    pub keys: KeyStore,
    /// What opens its encrypted files.
    pub passphrases: Passphrases,
    /// Its newest descriptor.
    pub descriptor: Descriptor,
    /// Appends to its `records` log.
    pub records: Appender,
    /// Appends to its `exchange` log.
    pub exchange: Appender,
    /// Its certificate.
    pub identity: Arc<Identity>,
}

/// Why a node can't be opened or served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The rules or the calendar.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The schemas.
    #[error("schemas: {0}")]
    Schema(#[from] SchemaError),
    /// The policies.
    #[error("policies: {0}")]
    Policy(#[from] PolicyFaults),
    /// A key file.
    #[error("keys: {0}")]
    Key(#[from] KeyFileError),
    /// The certificate.
    #[error("certificate: {0}")]
    Tls(#[from] TlsError),
    /// The own descriptor.
    #[error("the node's own descriptor: {0}")]
    Descriptor(#[from] DescriptorError),
    /// A log.
    #[error("log: {0}")]
    Log(#[from] AppendError),
    /// The store has no log of this node.
    #[error("the store holds no log of {0}; `kaopu init` makes a node and its store")]
    NotInitialised(NodeId),
    /// A key that the newest descriptor names is not here.
    #[error("keys: {0}")]
    NoKey(#[from] NoKey),
    /// A file can't be read.
    #[error("{}: {error}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// An address can't be listened on.
    #[error("cannot listen on {0} ({1}); choose another in the section [listen] of node.toml")]
    Listen(std::net::SocketAddr, std::io::Error),
}

impl Node {
    /// Opens the store, reads keys, certificate, kinds, policies and peers, and starts the appenders of both logs.
    pub async fn open(config: Config, clock: Clock) -> Result<Self, NodeError> {
        let id = config.node.id.clone();
        let kinds = kinds(&config)?;
        let policies = InForce::new(policies::policies(&config, &kinds)?);
        let settings = Settings::of(&config)?;
        let passphrases = Passphrases::of_node(config.files.passphrase.clone());
        let keys = KeyStore::with_tokens(&config.files.keys, passphrases.clone(), config.keys.all());
        let db = Db::open(config.store.expose()).await?;
        let (records, descriptor) = own_log(&db, &id, LogName::Records).await?;
        let (exchange, _) = own_log(&db, &id, LogName::Exchange).await?;
        // opening an encrypted key takes a while, so all are opened at once
        let named = [Purpose::Sign, Purpose::Log(records.clone()), Purpose::Log(exchange.clone())];
        let identity = std::thread::scope(|scope| {
            let certificate = scope.spawn(|| read_certificate(&config, &passphrases));
            keys.prepare(descriptor.active(&named));
            certificate.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        let (chain, key) = identity?;
        let identity = Arc::new(Identity::new(id.clone(), chain, key, clock.clone())?);
        keys.signing(&descriptor)?;
        for origin in [&records, &exchange] {
            keys.log(&descriptor, origin)?;
        }
        let appender = |origin: Origin| {
            let file = format!("{}-{}.checkpoint", origin.log.as_str(), origin.generation);
            let memory = config.files.memory.join(file);
            let (db, keys, kinds, clock) = (db.clone(), keys.clone(), kinds.clone(), clock.clone());
            Appender::start_remembering(db, origin, keys, kinds, clock, Some(memory))
        };
        Ok(Self {
            records: appender(records).await?,
            exchange: appender(exchange).await?,
            registry: Registry::load(db.clone()).await?,
            config: Arc::new(config),
            id,
            kinds,
            policies,
            settings,
            clock,
            keys,
            passphrases,
            descriptor,
            identity,
            db,
        })
    }

    /// From where it looks at records, by the rules that were in force when it began.
    pub fn view<'a>(&'a self, rules: &'a Rules) -> View<'a> {
        View { node: &self.id, kinds: &self.kinds, rules, clock: &self.clock }
    }

    /// Commits what the appenders have taken, and closes the store.
    pub async fn close(self) {
        self.records.stop().await;
        self.exchange.stop().await;
        self.db.close().await;
    }
}

/// A generator for keys, salts and waiting times, seeded by the system.
pub fn rng() -> impl CryptoRng + Send + 'static {
    rand::make_rng::<StdRng>()
}

/// The kinds that come with the program, and those of the configured folder.
pub fn kinds(config: &Config) -> Result<Kinds, SchemaError> {
    let kinds = Kinds::builtin()?;
    match &config.schemas {
        None => Ok(kinds),
        Some(folder) => kinds.with_folder(folder),
    }
}

/// The newest generation of one of the own logs, and the last descriptor in it.
pub async fn own_log(db: &Db, id: &NodeId, name: LogName) -> Result<(Origin, Descriptor), NodeError> {
    let log = newest_own(db, id, name).await?;
    let newest = db.descriptors(log.id).await?.pop();
    let (_, jws) = newest.ok_or_else(|| NodeError::NotInitialised(id.clone()))?;
    let (_, descriptor) = Descriptor::open(&jws)?;
    Ok((log.origin, descriptor))
}

/// The newest generation of one of the own logs.
pub(crate) async fn newest_own(db: &Db, id: &NodeId, name: LogName) -> Result<LogRow, NodeError> {
    let logs = db.logs().await?;
    let own = logs.into_iter().filter(|log| log.own && log.origin.node == *id && log.origin.log == name);
    own.max_by_key(|log| log.origin.generation).ok_or_else(|| NodeError::NotInitialised(id.clone()))
}

type Certificate = (Vec<rustls_pki_types::CertificateDer<'static>>, rustls_pki_types::PrivateKeyDer<'static>);

/// The node's certificate and its key, from the files that the configuration names.
fn read_certificate(config: &Config, passphrases: &Passphrases) -> Result<Certificate, NodeError> {
    let path = &config.files.certificate;
    let pem = std::fs::read_to_string(path).map_err(|error| NodeError::File { path: path.clone(), error })?;
    let key = read_private(&config.files.certificate_key, passphrases)?;
    Ok((certificates::read_chain(&pem)?, certificates::read_key(&key)?))
}
