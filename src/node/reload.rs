//! What is read again while a node serves. A change that cannot be taken is told once, and what was before goes on.
//!
//! The node's own certificate: the files are looked at, and what they say is shown from the next handshake on, if it serves.
//! Files are written one after the other and not at once, so a pair that does not fit is left alone, and the old one goes
//! on until it does. Policies, and whatever else is a text that somebody edits, go by [`keep_reading`].

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{NodeError, own_log, read_certificate};
use crate::clock::Clock;
use crate::config::Config;
use crate::log::origin::LogName;
use crate::store::Db;
use crate::trust::keys::Passphrases;
use crate::trust::tls::{Identity, vouched_for};

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often what was refused is tried again unchanged: a newer descriptor may name its authority. Opening an encrypted key
/// is work.
const TRY_EVERY: Duration = Duration::from_secs(5);

/// What a look at some files came to.
pub(super) enum Reading<T> {
    /// They say what is in force.
    Same,
    /// They say something else, and it is valid.
    New(T),
}

/// Looks for ever, each second: `read` says whether `what` has changed, `take` puts it in force. A fault is told once, until
/// it is another or mended.
pub(super) async fn keep_reading<T, E, F>(
    what: &'static str,
    mut read: impl FnMut() -> Result<Reading<T>, E> + Send + 'static,
    mut take: impl FnMut(T) -> F,
) where
    T: Send + 'static,
    E: std::fmt::Display + Send + 'static,
    F: Future<Output = ()>,
{
    let mut complaint = None;
    loop {
        sleep(LOOK_EVERY).await;
        let looked = tokio::task::spawn_blocking(move || {
            let reading = read();
            (read, reading)
        });
        let reading = looked.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
        read = reading.0;
        complaint = match reading.1 {
            Ok(Reading::Same) => None,
            Ok(Reading::New(new)) => {
                take(new).await;
                None
            }
            Err(error) => {
                let error = error.to_string();
                if complaint.as_ref() != Some(&error) {
                    tracing::error!(what, error, "what has changed has a fault and is not taken; the old goes on");
                }
                Some(error)
            }
        };
    }
}

/// The node's certificate as its files have it now.
pub(super) fn read_identity(config: &Config, clock: Clock) -> Result<Identity, NodeError> {
    let passphrases = Passphrases::of_node(config.files.passphrase.clone());
    let (chain, key) = read_certificate(config, &passphrases)?;
    Ok(Identity::new(config.node.id.clone(), chain, key, clock)?)
}

/// Looks after a node's certificate.
pub struct Keeper {
    /// Names the files.
    pub config: Arc<Config>,
    /// What is shown.
    pub identity: Arc<Identity>,
    /// What opens the key.
    pub passphrases: Passphrases,
    /// Has the own descriptors.
    pub db: Db,
}

impl Keeper {
    /// Looks for ever.
    pub async fn keep(self) {
        // at first as if nothing had been taken: the files may have changed since the node was opened
        let (mut taken, mut refused) = (None, None);
        let mut complaint = None;
        loop {
            sleep(LOOK_EVERY).await;
            // what stands in them, not when they were written: a file may change twice within one tick of its clock
            let now = self.contents().await;
            let again = |(contents, at): &(_, Instant)| *contents == now && at.elapsed() < TRY_EVERY;
            if now.is_none() || now == taken || refused.as_ref().is_some_and(again) {
                continue;
            }
            match self.take().await {
                Ok(renewed) => {
                    if renewed {
                        tracing::info!("took in the renewed certificate");
                    }
                    (taken, refused, complaint) = (now, None, None);
                }
                Err(error) => {
                    let error = error.to_string();
                    if complaint.as_ref() != Some(&error) {
                        tracing::error!(error, "the changed certificate is not taken; the old one goes on");
                    }
                    (refused, complaint) = (Some((now, Instant::now())), Some(error));
                }
            }
        }
    }

    /// Shows what the files say, if peers will take it: under an authority that the own descriptor names, and now. True if
    /// that is another certificate than before.
    async fn take(&self) -> Result<bool, NodeError> {
        let (config, passphrases) = (Arc::clone(&self.config), self.passphrases.clone());
        let read = tokio::task::spawn_blocking(move || read_certificate(&config, &passphrases)).await;
        let (chain, key) = read.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
        let node = &self.identity.node;
        let (_, descriptor) = own_log(&self.db, node, LogName::Records).await?;
        vouched_for(node, descriptor.active_cas().cloned(), &chain, &self.identity.clock)?;
        Ok(self.identity.exchange(chain, key)?)
    }

    /// What stands in the files of certificate and key; None while one cannot be read.
    async fn contents(&self) -> Option<[Vec<u8>; 2]> {
        let files = &self.config.files;
        let certificate = tokio::fs::read(&files.certificate).await.ok()?;
        Some([certificate, tokio::fs::read(&files.certificate_key).await.ok()?])
    }
}
