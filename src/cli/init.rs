//! `kaopu init`: a new node, in a folder of its own.
//!
//! Order matters: the store is looked at before anything is written, the keys are on the disk before a log names them, and
//! the configuration comes last, so that a folder with a node.toml holds a whole node.

mod at_rest;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::ValueEnum;
use kaopu::clock::Clock;
use kaopu::import::PersonKey;
use kaopu::log::Origin;
use kaopu::log::appender::{Appender, Submission};
use kaopu::log::origin::LogName;
use kaopu::node::rng;
use kaopu::statement::{Kinds, NodeId, Suite, Verified};
use kaopu::store::Db;
use kaopu::trust::certificates::{self, Made, Wanted};
use kaopu::trust::descriptor::{
    DESCRIPTOR_HOLDS, Descriptor, KeyState, LogEntry, TlsTrust, is_endpoint, spoken, thumbprint,
};
use kaopu::trust::keys::{
    NodeKeys, Passphrases, RootKeys, file::write_sealed, read_private, write_private, write_secret,
};
use kaopu::trust::tls::{Identity, vouched_for};
use kaopu::trust::token::TokenUri;
use serde_json::json;
use zeroize::Zeroizing;

use self::at_rest::{Kept, MADE};
use super::{Shared, print_json, print_line};

/// The configuration that a new node starts with.
const SAMPLE: &str = include_str!("../../config/node.toml");
/// How often peers should look for a newer one, in seconds.
const REFRESH: u64 = 3600;

/// Make a node: keys, certificates, configuration, store and logs
#[derive(Debug, clap::Args)]
pub struct Init {
    /// The folder of the node; made where it is not there
    dir: PathBuf,
    /// Its id: GB/T 2260 code, or code and suffix (310107.scjg)
    #[arg(long, value_name = "ID")]
    node: NodeId,
    /// Its name, for people
    #[arg(long)]
    name: String,
    /// Where peers reach it: https://host:port [default: https:// and the address of --listen]
    #[arg(long)]
    url: Option<String>,
    /// Where the peer interface listens [default: 127.0.0.1:7443, or with --url all addresses and that port]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Where the local API listens
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7080")]
    local: SocketAddr,
    /// sqlite:PATH (relative to DIR), or postgres://…
    #[arg(long, value_name = "URL", default_value = "sqlite:data/kaopu.db")]
    store: String,
    /// Keep the private keys in clear, in files that only their owner can read
    #[arg(long)]
    unencrypted: bool,
    /// An authority of your own (its certificate), instead of one that is made here
    #[arg(long, value_name = "FILE", requires_all = ["certificate", "certificate_key"])]
    ca: Option<PathBuf>,
    /// The node's certificate under it, with those between; its URI is kaopu:node:ID
    #[arg(long, value_name = "FILE", requires = "ca")]
    certificate: Option<PathBuf>,
    /// The key of that certificate
    #[arg(long, value_name = "FILE", requires = "ca")]
    certificate_key: Option<PathBuf>,
    /// The key that signs statements is on a token: pkcs11:token=…;object=…?module-path=…&pin-source=file:…
    #[arg(long, value_name = "URI")]
    sign: Option<TokenUri>,
    /// The suite that signs statements and descriptors
    #[arg(long, value_enum, ignore_case = true, default_value = "EdDSA")]
    suite: SuiteName,
}

/// Authority and certificate, made or brought, as PEM.
struct Certificates {
    ca: String,
    ca_key: Option<Zeroizing<String>>,
    node: Made,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum SuiteName {
    #[value(name = "EdDSA")]
    EdDsa,
    #[value(name = "ES256")]
    Es256,
    #[value(name = "SM2", alias = "SGD_SM3_SM2")]
    Sm2,
}

impl From<SuiteName> for Suite {
    fn from(name: SuiteName) -> Self {
        match name {
            SuiteName::EdDsa => Self::EdDsa,
            SuiteName::Es256 => Self::Es256,
            SuiteName::Sm2 => Self::Sm2,
        }
    }
}

impl Init {
    /// Makes the node, and says what to do with it.
    pub async fn run(self, shared: &Shared) -> anyhow::Result<ExitCode> {
        let (url, listen) = self.addresses()?;
        let clock = Clock::System;
        self.find_room()?;
        let at_rest = if self.unencrypted { Kept::in_clear() } else { Kept::encrypted()? };
        fs::create_dir_all(&self.dir).with_context(|| format!("cannot make {}", self.dir.display()))?;
        private_folder(&self.dir.join("data")).with_context(|| format!("cannot make {}/data", self.dir.display()))?;
        let db = self.open_store().await?;
        self.check_unused(&db).await?;

        let mut keys = NodeKeys::generate(self.suite.into(), &mut rng());
        if let Some(uri) = &self.sign {
            keys.sign = Arc::new(uri.open()?);
        }
        let certificates = self.certificates(&url, &clock)?;
        let roots = RootKeys::generate(self.suite.into(), &mut rng());
        let ca = self.write_files(&keys, &roots, &at_rest, &certificates)?;
        let descriptor = self.describe(&keys, &roots, ca, &url, clock.now());
        let signed = descriptor.sign(&roots.root, clock.now(), &mut rng())?;
        let begun = self.begin_logs(&db, &keys, &signed, &clock).await;
        db.close().await;
        begun.with_context(|| {
            format!("the logs could not be begun; delete {} (and the database, if it is PostgreSQL's), mend that, and try again", self.dir.display())
        })?;
        self.write("descriptor.jws", &format!("{}\n", signed.jws()))?;
        // the store's address may hold a password
        write_secret(&self.dir.join("node.toml"), self.configuration(&url, listen, at_rest.is_made())?.as_bytes())?;
        self.tell(&descriptor, at_rest.is_made(), shared.json)?;
        Ok(ExitCode::SUCCESS)
    }

    /// Where peers reach the node, and where it listens: what was not said follows from what was.
    fn addresses(&self) -> anyhow::Result<(String, SocketAddr)> {
        let Some(url) = &self.url else {
            let listen = self.listen.unwrap_or_else(|| ([127, 0, 0, 1], 7443).into());
            if listen.port() == 0 || listen.ip().is_unspecified() {
                bail!("--listen {listen} is no address that peers can reach: say --url https://host:port too");
            }
            return Ok((format!("https://{listen}"), listen));
        };
        if !is_endpoint(url) {
            bail!("--url {url}: https://host:port is expected");
        }
        let uri: http::Uri = url.parse()?;
        let port = uri.port_u16().unwrap_or(443);
        let local = matches!(uri.host(), Some("localhost" | "127.0.0.1" | "[::1]"));
        let listen = self.listen.unwrap_or_else(|| (if local { [127, 0, 0, 1] } else { [0; 4] }, port).into());
        Ok((url.clone(), listen))
    }

    fn find_room(&self) -> anyhow::Result<()> {
        if self.dir.join("node.toml").exists() {
            bail!("{} holds a node already, and its keys are not replaced; name another folder", self.dir.display());
        }
        for name in ["keys", "certs", "descriptor.jws"] {
            if self.dir.join(name).exists() {
                bail!(
                    "{} is what an interrupted init left, or something else; move it away and try again",
                    self.dir.join(name).display()
                );
            }
        }
        Ok(())
    }

    async fn open_store(&self) -> anyhow::Result<Db> {
        let url = match self.store.strip_prefix("sqlite:") {
            Some(path) => {
                let path = self.dir.join(path.strip_prefix("//").unwrap_or(path));
                if let Some(folder) = path.parent() {
                    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
                }
                format!("sqlite:{}", path.display())
            }
            None => self.store.clone(),
        };
        Db::open(&url)
            .await
            .context("the store could not be opened; --store sqlite:PATH or postgres://user@host/database")
    }

    async fn check_unused(&self, db: &Db) -> anyhow::Result<()> {
        match db.logs().await?.iter().find(|log| log.own) {
            Some(log) => bail!("the store belongs to {} already; give each node one of its own", log.origin.node),
            None => Ok(()),
        }
    }

    /// Keys and certificates; the authority's certificate comes back.
    fn write_files(
        &self,
        keys: &NodeKeys,
        roots: &RootKeys,
        at_rest: &Kept,
        certificates: &Certificates,
    ) -> anyhow::Result<TlsTrust> {
        let folder = |name: &str| -> anyhow::Result<PathBuf> {
            let path = self.dir.join(name);
            private_folder(&path).with_context(|| format!("cannot make {}", path.display()))?;
            Ok(path)
        };
        let (key_folder, certs) = (folder("keys")?, folder("certs")?);
        at_rest.write(&self.dir)?;
        keys.write(&key_folder, &at_rest.node)?;
        let person = PersonKey::generate(&mut rng()).to_text();
        write_sealed(&key_folder.join("person.key"), &person, &at_rest.node)?;
        roots.write(&key_folder, &at_rest.root)?;
        let Certificates { ca, ca_key, node } = certificates;
        if let Some(key) = ca_key {
            write_private(&certs.join("ca.key"), key, &at_rest.node)?;
        }
        write_private(&certs.join("node.key"), &node.key, &at_rest.node)?;
        self.write("certs/ca.pem", ca)?;
        self.write("certs/node.pem", &node.certificate)?;
        let certificate = certificates::read_chain(ca)?.swap_remove(0);
        Ok(TlsTrust { certificate, state: KeyState::Active })
    }

    /// Made here, or brought: then peers must be able to take them.
    fn certificates(&self, url: &str, clock: &Clock) -> anyhow::Result<Certificates> {
        let (Some(ca), Some(chain), Some(key)) = (&self.ca, &self.certificate, &self.certificate_key) else {
            let host = url.parse::<http::Uri>()?.host().map(str::to_owned);
            let wanted = Wanted { node: &self.node, host: host.as_deref(), now: clock.now() };
            let ca = certificates::make_ca(&wanted)?;
            let node = certificates::make_node(&wanted, &ca)?;
            return Ok(Certificates { ca: ca.certificate, ca_key: Some(ca.key), node });
        };
        let read = |path: &Path| fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()));
        let (ca, certificate) = (read(ca)?, read(chain)?);
        let key = read_private(key, &Passphrases::of_node(None))?;
        let chain = certificates::read_chain(&certificate)?;
        let authority = certificates::read_chain(&ca)?.swap_remove(0);
        let taken = || -> anyhow::Result<()> {
            vouched_for(&self.node, [authority].into_iter(), &chain, clock)?;
            Identity::new(self.node.clone(), chain.clone(), certificates::read_key(&key)?, clock.clone())?;
            Ok(())
        };
        taken().context("no peer would take --certificate under --ca")?;
        Ok(Certificates { ca, ca_key: None, node: Made { certificate, key } })
    }

    fn describe(&self, keys: &NodeKeys, roots: &RootKeys, ca: TlsTrust, url: &str, now: i64) -> Descriptor {
        let logs = [LogName::Records, LogName::Exchange];
        Descriptor {
            node: self.node.clone(),
            versions: vec![1],
            suites: Suite::ALL.to_vec(),
            sequence: 1,
            name: self.name.clone(),
            endpoints: vec![url.to_owned()],
            tls: vec![ca],
            logs: logs.map(|log| LogEntry { origin: self.origin(log), closed_at: None }).to_vec(),
            keys: keys.entries(&self.node),
            root: roots.root.public().clone(),
            next_root: thumbprint(roots.next.public()),
            refresh: REFRESH,
            valid_until: now + DESCRIPTOR_HOLDS,
            predecessor: None,
            successor: None,
        }
    }

    fn origin(&self, log: LogName) -> Origin {
        Origin { node: self.node.clone(), log, generation: 1 }
    }

    /// The descriptor is entry 0 of both logs.
    async fn begin_logs(&self, db: &Db, keys: &NodeKeys, signed: &Verified, clock: &Clock) -> anyhow::Result<()> {
        let kinds = Kinds::builtin()?;
        for log in [LogName::Records, LogName::Exchange] {
            let origin = self.origin(log);
            db.create_log(&origin, true).await?;
            let appender = Appender::start(db.clone(), origin, keys.store(), kinds.clone(), clock.clone()).await?;
            appender.append(Submission { statements: vec![signed.clone()], ..Submission::default() }).await?;
            appender.stop().await;
        }
        Ok(())
    }

    /// The sample with this node's values.
    fn configuration(&self, url: &str, listen: SocketAddr, made_passphrase: bool) -> anyhow::Result<String> {
        let mut text = fill(
            SAMPLE,
            &[
                ("store", &self.store),
                ("id", self.node.as_str()),
                ("name", &self.name),
                ("url", url),
                ("peer", &listen.to_string()),
                ("local", &self.local.to_string()),
            ],
        )?;
        if made_passphrase {
            text = text.replace("\nmemory = ", &format!("\npassphrase = \"{MADE}\"\nmemory = "));
        }
        Ok(match &self.sign {
            Some(uri) => {
                text.replace("\n[keys]\n", &format!("\n[keys]\nsign = {}\n", toml::Value::String(uri.to_string())))
            }
            None => text,
        })
    }

    fn write(&self, name: &str, text: &str) -> anyhow::Result<()> {
        let path = self.dir.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    fn tell(&self, descriptor: &Descriptor, made_passphrase: bool, as_json: bool) -> anyhow::Result<()> {
        let keys = descriptor.logs.iter().flat_map(|log| descriptor.log_keys(&log.origin));
        let keys: Vec<String> = keys.map(|key| key.to_text()).collect();
        let fingerprint = spoken(&descriptor.fingerprint());
        let dir = self.dir.display();
        if as_json {
            return print_json(&json!({
                "node": self.node,
                "config": self.dir.join("node.toml"),
                "descriptor": self.dir.join("descriptor.jws"),
                "verifier_keys": keys,
                "fingerprint": fingerprint,
                "passphrase": made_passphrase.then(|| self.dir.join(MADE)),
            }));
        }
        print_line(&format!("{} {} is made in {dir}", self.node, self.name));
        print_line("its logs verify under");
        keys.iter().for_each(|key| print_line(&format!("  {key}")));
        print_line(&format!("fingerprint {fingerprint}"));
        print_line("");
        if made_passphrase {
            print_line(&format!(
                "No passphrase was set and nobody could be asked: the keys are under one that was made, {dir}/{MADE}."
            ));
            print_line("Keep it apart from the keys and their backups, and say in node.toml where.");
        }
        print_line(&format!("Now move {dir}/keys/root.pem and root-next.pem to a safe place, apart from each other:"));
        print_line("whoever has both is this node. They are needed once a year, and after an accident.");
        print_line(&format!("Give {dir}/descriptor.jws to your partners, take theirs with"));
        print_line(&format!("  kaopu peer add -c {dir}/node.toml THEIRS.jws"));
        print_line(&format!("and start the node with  kaopu serve -c {dir}/node.toml"));
        Ok(())
    }
}

fn private_folder(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// The sample with some keys' values replaced; each stands in it exactly once.
fn fill(sample: &str, values: &[(&str, &str)]) -> anyhow::Result<String> {
    let mut text = sample.to_owned();
    for (key, value) in values {
        let start = format!("\n{key} = ");
        let Some((before, rest)) = text.split_once(&start) else { bail!("the sample has no key {key}") };
        let after = rest.split_once('\n').map_or("", |(_, after)| after);
        text = format!("{before}{start}{}\n{after}", toml::Value::String((*value).to_owned()));
    }
    Ok(text)
}
