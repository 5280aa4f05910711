//! What can be wrong at home: files, keys, certificate, store, disk, clock, and whether the node serves.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Check;
use crate::about::dispute;
use crate::clock::Clock;
use crate::config::Config;
use crate::log::appender::still_has_what_was_remembered;
use crate::node::calendar::missing_year;
use crate::node::reload::read_identity;
use crate::node::settings::Settings;
use crate::node::status::{Status, policies_fault, spoken_span};
use crate::node::warnings::Warning;
use crate::node::watching::WebhookStatus;
use crate::store::{Db, LogRow};
use crate::trust::descriptor::Descriptor;
use crate::trust::keys::{KeyStore, Passphrases};
use crate::trust::tls::vouched_for;

/// With less room the store will soon take nothing more; with less than the second number an administrator should know.
const ROOM_BYTES: (u64, u64) = (256 << 20, 1 << 30);
/// A clock that stands this far behind what the node itself signed is wrong, in seconds; peers would refuse what it signs.
const BEHIND: i64 = 300;
/// For a connection to this machine.
const CONNECT: Duration = Duration::from_secs(2);

/// What can be looked at without the store.
pub fn without_store(config: &Config, clock: &Clock) -> Vec<Check> {
    let mut checks = vec![modes(config)];
    checks.extend(root_keys(&config.files.keys));
    checks.extend(room(config));
    checks.push(rules(config, clock));
    checks.push(policies(config));
    checks
}

/// The rest.
pub async fn with_store(
    config: &Config,
    clock: &Clock,
    db: &Db,
    descriptor: &Descriptor,
    status: &Status,
) -> Vec<Check> {
    let mut checks = vec![keys(config, descriptor), certificate(config, clock, descriptor)];
    let soon = status.warnings.iter().filter(|warning| warning.node == config.node.id);
    checks.extend(soon.map(expiry));
    match db.logs().await {
        Ok(logs) => {
            let own: Vec<LogRow> = logs.into_iter().filter(|log| log.own).collect();
            checks.push(Check::good("store", format!("the store answers and holds {} own logs", own.len())));
            checks.push(time(clock, &own));
            checks.push(memory(config, db, &own).await);
        }
        Err(error) => checks.push(Check::fault("store", format!("{error}: see that the database runs"))),
    }
    checks.push(serving(config.listen.peer).await);
    checks.extend(status.recognition.words.clone().map(|words| Check::warning("recognition", words)));
    checks.extend(status.applications.words.clone().map(|words| Check::warning("applications", words)));
    checks.extend(disputes(config, clock, db).await);
    checks.extend(status.held.words.clone().map(|words| Check::warning("held", words)));
    checks.extend(status.watching.webhooks.iter().filter(|webhook| webhook.is_late()).map(webhook_is_late));
    checks
}

/// What is disputed stands marked until it is answered.
async fn disputes(config: &Config, clock: &Clock, db: &Db) -> Option<Check> {
    let settings = Settings::readable(config).ok()?;
    let (calendar, within) = (settings.calendar.now(), settings.rules.now().deadlines.answer);
    let waiting = match dispute::open(db, &config.node.id, &calendar, within, clock.today()).await {
        Ok(waiting) => waiting,
        Err(error) => return Some(Check::fault("disputes", error.to_string())),
    };
    let late = waiting.iter().filter(|dispute| dispute.late).count();
    (late > 0).then(|| {
        let words = format!(
            "{late} of {} disputes that wait are past the day for their answer 异议答复逾期: `kaopu dispute list`",
            waiting.len()
        );
        Check::warning("disputes", words)
    })
}

/// Whoever follows a subject is not told by a webhook that takes nothing.
fn webhook_is_late(webhook: &WebhookStatus) -> Check {
    let words = format!(
        "webhook {} at {}: {}; see that it answers 2xx, then `kaopu watch webhook retry {}`",
        webhook.id, webhook.url, webhook.summary, webhook.id
    );
    Check::warning("webhook", words)
}

/// Rules and calendar can be read, and the calendar has this year. That it lacks the next is nothing wrong yet.
fn rules(config: &Config, clock: &Clock) -> Check {
    match Settings::of(config).map(|settings| missing_year(&settings.calendar.now(), clock)) {
        Ok(None) => Check::good("rules", "rules and calendar are sound, and the calendar reaches far enough"),
        Ok(Some(missing)) if missing.days > 0 => Check::note("rules", missing.words),
        Ok(Some(missing)) => Check::warning("rules", missing.words),
        Err(error) => Check::fault(
            "rules",
            format!("{error}: mend that; a running node goes on by what was before, and none starts"),
        ),
    }
}

/// The policies can be taken in.
fn policies(config: &Config) -> Check {
    match policies_fault(config) {
        None => Check::good("policies", "the policies are sound"),
        Some(fault) => Check::fault(
            "policies",
            format!("{fault}: mend that; a running node goes on by those that it has, and none starts"),
        ),
    }
}

/// What ends soon counts, as does what has ended.
pub fn expiry(warning: &Warning) -> Check {
    let check = if warning.threshold == 0 { Check::fault } else { Check::warning };
    check("expiry", warning.words.clone())
}

/// Nobody but its owner may read a secret.
fn modes(config: &Config) -> Check {
    let mut secrets = vec![config.files.certificate_key.clone(), config.files.certificate_key.with_file_name("ca.key")];
    secrets.extend(files_of(&config.files.keys));
    let open = secrets.iter().filter(|path| {
        let mode = std::fs::metadata(path).map_or(0, |metadata| metadata.permissions().mode());
        mode & 0o077 != 0
    });
    let open: Vec<String> = open.map(|path| path.display().to_string()).collect();
    if open.is_empty() {
        Check::good("files", "nobody but their owner can read the secret files")
    } else {
        Check::fault("files", format!("others than their owner can read {0}: run `chmod 600 {0}`", open.join(" ")))
    }
}

/// Whoever has the root keys is the city, so they belong elsewhere.
fn root_keys(folder: &Path) -> Option<Check> {
    let here: Vec<String> = files_of(folder)
        .filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()))
        .filter(|name| name.starts_with("root"))
        .collect();
    let words = format!("{} lie on this machine: take them off it, to two places that can be locked", here.join(", "));
    (!here.is_empty()).then(|| Check::note("root keys", words))
}

fn files_of(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = std::fs::read_dir(folder).ok().into_iter().flatten();
    entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_file())
}

/// Room where the store and the newest checkpoints are written.
fn room(config: &Config) -> Option<Check> {
    let sqlite = config.store.expose().strip_prefix("sqlite:").map(|path| Path::new(path).parent().map(Path::to_owned));
    let folder = sqlite.flatten().unwrap_or_else(|| config.files.memory.clone());
    let stat = rustix::fs::statvfs(&folder).ok()?;
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    let words = format!("{} MiB are free under {}", free >> 20, folder.display());
    Some(if free < ROOM_BYTES.0 {
        Check::fault("disk", format!("only {words}: make room before the store takes nothing more"))
    } else if free < ROOM_BYTES.1 {
        Check::warning("disk", format!("only {words}: make room in time"))
    } else {
        Check::good("disk", words)
    })
}

/// The private halves that the newest descriptor names are here and can be opened.
fn keys(config: &Config, descriptor: &Descriptor) -> Check {
    let keys = KeyStore::open(&config.files.keys, Passphrases::of_node(config.files.passphrase.clone()));
    let logs = descriptor.logs.iter().filter(|log| log.closed_at.is_none());
    let mut lacking: Vec<String> =
        logs.filter_map(|log| Some(keys.log(descriptor, &log.origin).err()?.to_string())).collect();
    lacking.extend(keys.signing(descriptor).err().map(|error| error.to_string()));
    lacking.extend(keys.witness(descriptor).err().map(|error| error.to_string()));
    lacking.extend(keys.seal(descriptor).err().map(|error| error.to_string()));
    lacking.dedup();
    match lacking.first() {
        None => Check::good("keys", format!("the keys that descriptor {} names are here", descriptor.sequence)),
        Some(why) => Check::fault("keys", format!("{why}; bring it back from the backup of the keys")),
    }
}

/// Others will take the certificate: the key is its own, and an authority of the newest descriptor vouches for it now.
fn certificate(config: &Config, clock: &Clock, descriptor: &Descriptor) -> Check {
    let vouched = read_identity(config, clock.clone()).and_then(|identity| {
        vouched_for(&config.node.id, descriptor.active_cas().cloned(), &identity.chain(), clock)?;
        Ok(identity)
    });
    let file = config.files.certificate.display();
    match vouched {
        Ok(identity) => {
            let days = identity.valid_until().map_or(0, |until| (until - clock.now()).div_euclid(86_400));
            Check::good("certificate", format!("the certificate holds for {days} more days"))
        }
        Err(error) => Check::fault(
            "certificate",
            format!("peers will refuse {file}: {error}; put a certificate there that an authority of this node gave"),
        ),
    }
}

/// Nothing that this node signed lies ahead of its clock.
fn time(clock: &Clock, logs: &[LogRow]) -> Check {
    let newest = logs.iter().map(|log| log.max_iat).max().unwrap_or_default();
    let ahead = newest - clock.now();
    if ahead > BEHIND {
        let words = format!(
            "the clock of this machine stands {} behind what this node signed itself: set it, and let NTP keep it",
            spoken_span(ahead * 1000)
        );
        return Check::fault("clock", words);
    }
    Check::good("clock", "the clock is not behind what this node signed; peers' clocks are compared below")
}

/// The store still has what was remembered outside it.
async fn memory(config: &Config, db: &Db, logs: &[LogRow]) -> Check {
    for log in logs {
        let file = format!("{}-{}.checkpoint", log.origin.log.as_str(), log.origin.generation);
        if let Err(error) = still_has_what_was_remembered(db, &log.origin, &config.files.memory.join(file)).await {
            return Check::fault("memory", error.to_string());
        }
    }
    Check::good("memory", "the store has all that was remembered of the own logs")
}

/// Somebody listens where peers come in.
async fn serving(address: SocketAddr) -> Check {
    let connected = tokio::time::timeout(CONNECT, tokio::net::TcpStream::connect(address)).await;
    match connected {
        Ok(Ok(_)) => Check::good("serving", format!("the peer interface listens on {address}")),
        _ => Check::fault("serving", format!("nobody listens on {address}: start `kaopu serve`")),
    }
}
