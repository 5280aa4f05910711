//! One peer, tried step by step: what fails early leaves what comes after it untested.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use super::own::expiry;
use super::remedy::remedy;
use super::{Check, PeerReport, Verdict};
use crate::clock::Clock;
use crate::config::Config;
use crate::exchange::client::Patience;
use crate::exchange::standing::Standing;
use crate::exchange::{Fault, PeerClient, head};
use crate::log::origin::LogName;
use crate::node::status::{Status, spoken_span, state_name};
use crate::node::warnings::{Ends, Warning, What, warnings};
use crate::store::{Db, LogState};
use crate::trust::descriptor::{Descriptor, DescriptorError};
use crate::trust::registry::{Admission, Peer};
use crate::trust::state::PeerState;
use crate::trust::tls::{Identity, client_tls};

/// For each step.
const PATIENCE: Duration = Duration::from_secs(10);
/// Clocks that differ by more seconds than the second are wrong: statements of the one ahead come early to the other. By
/// more than the first, somebody should know.
const SKEW: (i64, i64) = (10, 300);
/// A peer asks without end, each half minute anew; after so long without it something is wrong.
const QUIET_MS: i64 = 5 * 60 * 1000;

/// What every peer is examined with.
pub struct Surroundings<'a> {
    pub config: &'a Config,
    pub clock: &'a Clock,
    pub db: &'a Db,
    /// The own newest descriptor.
    pub own: &'a Descriptor,
    pub status: &'a Status,
    pub identity: Identity,
}

impl Surroundings<'_> {
    pub async fn examine(&self, peer: &Arc<Peer>) -> PeerReport {
        let mut checks = vec![state_here(peer)];
        if Admission::of(peer.state) > Admission::Nothing {
            self.connect(peer, &mut checks).await;
            checks.extend(self.pull(peer));
            checks.extend(self.cosigns(peer).await);
            checks.extend(self.soon(peer).await.iter().map(expiry));
            let late = self.status.late_partners.find(&peer.node);
            checks.extend(late.map(|late| Check::warning("recognition", &late.words)));
        }
        PeerReport {
            node: peer.node.clone(),
            name: peer.name.clone(),
            url: peer.url.clone(),
            state: peer.state,
            checks,
        }
    }

    /// What ends soon of it. The certificate that it has just shown may be newer than the one that was seen before.
    async fn soon(&self, peer: &Peer) -> Vec<Warning> {
        let mut ends: Vec<Ends> = self.status.ends.iter().filter(|ends| ends.node == peer.node).cloned().collect();
        if let Some(until) = self.shown(peer) {
            ends.retain(|ends| ends.what != What::Certificate);
            ends.push(Ends { what: What::Certificate, node: peer.node.clone(), own: false, until });
            if let Err(error) = self.db.note_certificate(&peer.node, until.saturating_mul(1000)).await {
                tracing::warn!(node = %peer.node, %error, "could not note when a certificate ends");
            }
        }
        warnings(&ends, self.clock.now())
    }

    /// When the certificate ends that it has shown.
    fn shown(&self, peer: &Peer) -> Option<i64> {
        self.identity.seen.all().into_iter().find(|(node, _)| *node == peer.node).map(|(_, until)| until)
    }

    /// What needs a connection, each step on the one before it.
    async fn connect(&self, peer: &Arc<Peer>, checks: &mut Vec<Check>) {
        const STEPS: [&str; 9] =
            ["name", "port", "tls", "clock", "there", "descriptor", "log", "their pull", "witness"];
        let before = checks.len();
        if let Err(fault) = self.steps(peer, checks).await {
            checks.push(fault);
        }
        let tried: Vec<&str> = checks[before..].iter().map(|check| check.name).collect();
        let rest = STEPS.into_iter().filter(|name| !tried.contains(name));
        checks.extend(rest.map(|name| Check::new(name, Verdict::Untested, "not tried: what it needs does not work")));
    }

    async fn steps(&self, peer: &Arc<Peer>, checks: &mut Vec<Check>) -> Result<(), Check> {
        checks.push(name(peer).await?);
        checks.push(port(peer).await?);
        let client = self.client(peer)?;
        let begun = self.clock.now_ms();
        let standing = client.standing().await.map_err(|fault| failed("tls", &fault, peer))?;
        let here = (begun + self.clock.now_ms()) / 2000;
        checks.push(self.certificate(peer));
        checks.push(skew(peer, standing.clock - here));
        checks.push(there(peer, &standing));
        checks.push(self.picked_up(peer, &standing));
        checks.push(match client.descriptors().await {
            Ok(descriptors) => self.descriptor(peer, &descriptors),
            Err(fault) => failed("descriptor", &fault, peer),
        });
        if peer.state == PeerState::Active && standing.state == PeerState::Active {
            checks.push(self.log(peer, &client).await);
            checks.push(self.their_pull(peer, &standing));
            checks.push(Box::pin(self.witness(peer, &client)).await);
        }
        Ok(())
    }

    fn client(&self, peer: &Arc<Peer>) -> Result<PeerClient, Check> {
        let tls = client_tls(&self.identity, peer).map_err(|error| failed("tls", &Fault::Tls(error), peer))?;
        let patience = Patience { connect: PATIENCE, idle: PATIENCE, whole: PATIENCE };
        let client = PeerClient::new(&peer.url, tls, patience, self.config.pull.compress);
        client.map(|client| client.holding(peer.descriptor.sequence)).map_err(|fault| failed("tls", &fault, peer))
    }

    /// The connection stands, so both certificates hold.
    fn certificate(&self, peer: &Peer) -> Check {
        let days = |until: i64| (until - self.clock.now()).div_euclid(86_400);
        let theirs = self.shown(peer).map_or("now".to_owned(), |until| format!("for {} days", days(until)));
        let ours = self.identity.valid_until().map_or("now".to_owned(), |until| format!("for {} days", days(until)));
        Check::good("tls", format!("TLS 1.3 stands: its certificate holds {theirs}, this node's {ours}"))
    }

    /// Whether it holds this node's newest descriptor.
    fn picked_up(&self, peer: &Peer, standing: &Standing) -> Check {
        const NAME: &str = "picked up";
        let (held, newest) = (standing.holds, self.own.sequence);
        match held.cmp(&newest) {
            std::cmp::Ordering::Equal => Check::good(NAME, format!("it holds this node's newest descriptor, {newest}")),
            std::cmp::Ordering::Less => Check::warning(
                NAME,
                format!(
                    "it holds descriptor {held} of this node, and {newest} is the newest: it is taken with the log; if \
                     it stays so, ask {} to look at its feed",
                    peer.node
                ),
            ),
            std::cmp::Ordering::Greater => Check::fault(
                NAME,
                format!(
                    "it holds descriptor {held} of this node, and here {newest} is the newest: was this store set back?"
                ),
            ),
        }
    }

    /// What it says of itself now, against what is held here.
    fn descriptor(&self, peer: &Peer, served: &[String]) -> Check {
        const NAME: &str = "descriptor";
        let held = peer.descriptor.sequence;
        if peer.descriptor.valid_until <= self.clock.now() && served.first() == Some(&peer.descriptor_jws) {
            let words = format!("its descriptor {held} has ended: ask its administrator to issue a newer one");
            return Check::fault(NAME, words);
        }
        let Some(newest) = served.first().filter(|newest| **newest != peer.descriptor_jws) else {
            return Check::good(NAME, format!("its newest descriptor, {held}, is held here"));
        };
        // newer ones follow on each other, from the one that is held
        let mut known = peer.descriptor.clone();
        for jws in served.iter().rev() {
            if let Ok((_, next)) = known.successor(jws) {
                known = next;
            }
        }
        match Descriptor::open(newest) {
            Ok((_, newest)) if newest.sequence > held && newest == known => Check::warning(
                NAME,
                format!("it has descriptor {}, and {held} is held here: `kaopu serve` takes it in", newest.sequence),
            ),
            Ok((_, newest)) if newest.sequence < held => Check::fault(
                NAME,
                format!(
                    "it serves descriptor {}, older than {held}, which is held here: telephone it",
                    newest.sequence
                ),
            ),
            Ok((_, newest)) => Check::fault(
                NAME,
                format!(
                    "its descriptor {} does not follow on {held}, which is held here: telephone it",
                    newest.sequence
                ),
            ),
            Err(error) => Check::fault(NAME, not_one(peer, &error)),
        }
    }

    /// Its newest checkpoint is signed, and true to what is held here.
    async fn log(&self, peer: &Peer, client: &PeerClient) -> Check {
        const NAME: &str = "log";
        let logs = peer.descriptor.logs.iter().filter(|log| log.origin.log == LogName::Records);
        let Some(entry) = logs.max_by_key(|log| log.origin.generation) else {
            return Check::fault(NAME, "its descriptor names no records log: ask its administrator for a newer one");
        };
        let origin = &entry.origin;
        let compared = async {
            let Some(served) = client.checkpoint(origin, None, Duration::ZERO).await? else {
                return Err(Fault::NotHeld);
            };
            let target = head::open(&served.note, origin, &peer.descriptor.log_keys(origin))?;
            let size = target.size;
            if let Some(log) = self.db.log(origin).await? {
                head::agrees(self.db, &log, client, target).await?;
            }
            Ok(size)
        };
        match compared.await {
            Ok(size) => {
                Check::good(NAME, format!("its checkpoint of {size} entries is signed and true to what is held"))
            }
            Err(fault) => failed(NAME, &fault, peer),
        }
    }

    /// How this node's feed of it goes, by its store.
    fn pull(&self, peer: &Peer) -> Option<Check> {
        const NAME: &str = "pull";
        if peer.state != PeerState::Active {
            return None;
        }
        let status = self.status.peers.iter().find(|status| status.node == peer.node)?;
        let failing = status.last_error_ms > status.last_success_ms;
        let quiet = status.last_success_ms.is_none_or(|ms| self.clock.now_ms() - ms > QUIET_MS);
        Some(if status.log_state != state_name(LogState::Open) {
            let words = format!("{}: do not go on before it is explained on the telephone", status.summary);
            Check::fault(NAME, words)
        } else if !self.config.pull.enabled {
            Check::warning(NAME, "pulling is switched off in node.toml, under [pull]")
        } else if failing {
            let error = status.last_error.as_deref().unwrap_or("no answer");
            Check::fault(NAME, format!("this node's feed of it fails: {error}; {} entries are missing", status.lag))
        } else if quiet {
            Check::fault(NAME, format!("{}: see that this node's own `kaopu serve` runs", status.summary))
        } else {
            Check::good(NAME, status.summary.clone())
        })
    }

    /// How its feed of this node goes, as it says.
    fn their_pull(&self, peer: &Peer, standing: &Standing) -> Check {
        const NAME: &str = "their pull";
        let (pull, node) = (&standing.pull, &peer.node);
        // by its own clock
        let ago = |ms: i64| spoken_span(standing.clock.saturating_mul(1000) - ms);
        match (pull.success_ms, pull.error_ms, &pull.error) {
            (success, Some(at), Some(error)) if Some(at) > success => Check::fault(
                NAME,
                format!(
                    "{node} cannot pull from this node, {} ago: {error}; see that {} leads here from outside",
                    ago(at),
                    self.config.node.url
                ),
            ),
            (None, ..) => Check::fault(
                NAME,
                format!("{node} has never pulled from this node: ask whether its `kaopu serve` runs"),
            ),
            (Some(at), ..) if standing.clock.saturating_mul(1000) - at > QUIET_MS => Check::fault(
                NAME,
                format!("{node} last pulled from this node {} ago: ask whether its `kaopu serve` runs", ago(at)),
            ),
            (Some(at), ..) => Check::good(NAME, format!("{node} pulled from this node {} ago", ago(at))),
        }
    }
}

/// Where it stands here, and what is missing on this side.
fn state_here(peer: &Peer) -> Check {
    const NAME: &str = "here";
    let node = &peer.node;
    match peer.state {
        PeerState::Active => Check::good(NAME, format!("{node} is active here")),
        PeerState::Suspended => {
            Check::warning(NAME, format!("{node} is suspended here: `kaopu peer resume {node}` takes it back"))
        }
        PeerState::Revoked => Check::note(NAME, format!("{node} was revoked here, and is not asked any more")),
        state => {
            let next = state.missing().first().map(|step| format!("`kaopu peer {step} {node}` comes next"));
            let next = next.unwrap_or_else(|| format!("it becomes active once {node} has approved this node too"));
            Check::warning(NAME, format!("{node} is {state} here, and not active yet: {next}"))
        }
    }
}

/// Where this node stands there, and what is missing on that side.
fn there(peer: &Peer, standing: &Standing) -> Check {
    const NAME: &str = "there";
    let node = &peer.node;
    match standing.state {
        PeerState::Active => Check::good(NAME, format!("this node is active at {node}")),
        PeerState::Suspended => {
            Check::fault(NAME, format!("this node is suspended at {node}: ask its administrator why, and to resume it"))
        }
        state if standing.missing.is_empty() => {
            Check::warning(NAME, format!("this node is {state} at {node}, which waits for this side"))
        }
        state => Check::fault(
            NAME,
            format!(
                "this node is {state} at {node}: its administrators have still to {}",
                standing.missing.join(" and to ")
            ),
        ),
    }
}

async fn name(peer: &Peer) -> Result<Check, Check> {
    const NAME: &str = "name";
    let host = host_and_port(&peer.url);
    let found = timeout(PATIENCE, lookup_host(host.as_str())).await;
    match found {
        Ok(Ok(addresses)) => {
            let addresses: Vec<String> = addresses.map(|address| address.ip().to_string()).collect();
            Ok(Check::good(NAME, format!("{} is {}", peer.url, addresses.join(", "))))
        }
        Ok(Err(error)) => Err(Check::fault(
            NAME,
            format!("{host} has no address ({error}): correct the name, or the DNS of this machine"),
        )),
        Err(_) => {
            Err(Check::fault(NAME, format!("the name {host} is not answered: see that DNS works on this machine")))
        }
    }
}

async fn port(peer: &Peer) -> Result<Check, Check> {
    const NAME: &str = "port";
    let host = host_and_port(&peer.url);
    let fault = |why: &str| {
        let words = format!(
            "{host} takes no connection ({why}): ask {0} whether `kaopu serve` runs and {1} is its address, and for a \
             firewall that lets this node through",
            peer.node, peer.url
        );
        Check::fault(NAME, words)
    };
    match timeout(PATIENCE, TcpStream::connect(host.as_str())).await {
        Ok(Ok(_)) => Ok(Check::good(NAME, format!("{host} takes connections"))),
        Ok(Err(error)) => Err(fault(&error.to_string())),
        Err(_) => Err(fault("no answer")),
    }
}

fn skew(peer: &Peer, seconds: i64) -> Check {
    const NAME: &str = "clock";
    let side = if seconds < 0 { "behind" } else { "ahead of" };
    let words = format!("the clock of {} is {} {side} this node's", peer.node, spoken_span(seconds.abs() * 1000));
    match seconds.abs() {
        ..=1 => Check::good(NAME, format!("the clock of {} is this node's", peer.node)),
        s if s <= SKEW.0 => Check::good(NAME, words),
        s if s <= SKEW.1 => Check::warning(NAME, format!("{words}: see that NTP keeps both")),
        _ => Check::fault(NAME, format!("{words}: one of them is wrong; set it, and let NTP keep it")),
    }
}

pub(super) fn failed(name: &'static str, fault: &Fault, peer: &Peer) -> Check {
    Check::fault(name, format!("{fault}: {}", remedy(fault, &peer.node)))
}

fn not_one(peer: &Peer, error: &DescriptorError) -> String {
    format!("what it serves as its descriptor is none ({error}): ask {}'s administrator", peer.node)
}

/// `host:port` of an endpoint.
fn host_and_port(url: &str) -> String {
    let host = url.strip_prefix("https://").unwrap_or(url).trim_end_matches('/');
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
    if has_port { host.to_owned() } else { format!("{host}:443") }
}
