//! The node's certificate authority and its TLS certificate, replaced without a peer that no longer takes either.
//!
//! A new authority stands in `ca-next.pem` beside `ca.pem` until it is active. Peers take certificates of an authority that
//! they know as next or active, so the node's own certificate changes over once all of them hold the descriptor that
//! announced it. What a crash leaves is told by the descriptor and the files, and the same command goes on from there.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustls_pki_types::CertificateDer;
use zeroize::Zeroizing;

use super::publish::{Keeper, KeyChangeError, names, no_key_of, own_descriptors, replace};
use super::rotate::Taken;
use crate::statement::{Digest, SigningKey};
use crate::trust::certificates::{self, Made, Wanted};
use crate::trust::descriptor::{Descriptor, KeyState};
use crate::trust::keys::{AtRest, file};
use crate::trust::rotation::{Step, Use};
use crate::trust::tls::{Identity, vouched_for};

/// Servers look at the certificate's files each second.
const SHOWN_WITHIN: Duration = Duration::from_secs(4);

/// A certificate, with those between it and the authority, and its key, as somebody brings them: PEM in clear.
pub struct Brought {
    /// The chain.
    pub chain: String,
    /// The key.
    pub key: Zeroizing<String>,
}

impl Keeper<'_> {
    /// A new certificate, from the own authority or brought by hand. Running servers show it within seconds.
    pub async fn rotate_certificate(&self, brought: Option<Brought>) -> Result<Taken, KeyChangeError> {
        let (_, newest) = self.newest().await?;
        self.settle(&newest, None)?;
        let made = match brought {
            Some(brought) => Made { certificate: brought.chain, key: brought.key },
            None => self.issue(&self.certs().join("ca.pem"))?,
        };
        let subject = self.install(&made, newest.active_cas().cloned().collect())?;
        self.tell("renew", &subject, None).await?;
        let until = self.node.config.files.certificate.display().to_string();
        Ok(Taken {
            of: Use::Certificate.to_string(),
            action: "renew".to_owned(),
            subject,
            descriptor: None,
            file: Some(self.node.config.files.certificate_key.clone()),
            next: format!("nothing: running servers show {until} within seconds"),
        })
    }

    /// Takes the next step for the authority. A city that has its own brings its certificate to announce it, and a
    /// certificate under it to activate it.
    pub async fn rotate_ca(
        &self,
        root: &SigningKey,
        ca: Option<String>,
        brought: Option<Brought>,
    ) -> Result<Taken, KeyChangeError> {
        let (before, newest) = self.newest().await?;
        self.check_root(root, &newest)?;
        let renewed = newest.renewed(self.node.clock.now());
        let step = newest.ca_step();
        self.meant(Use::Ca, step)?;
        let (next, subject) = match step {
            Step::Announce => {
                let certificate = self.make_next(ca)?;
                let subject = Digest::of(&certificate).to_string();
                (renewed.with_ca(certificate, KeyState::Next), subject)
            }
            Step::Activate => {
                let trust = newest.tls.iter().find(|trust| trust.state == KeyState::Next);
                let certificate = trust.map(|trust| trust.certificate.clone()).ok_or_else(|| no_key_of(Use::Ca))?;
                let announced = self.since(&certificate, KeyState::Next).await?;
                let behind = self.behind(announced).await?;
                if !behind.is_empty() && !self.force {
                    return Err(KeyChangeError::NotPickedUp { missing: names(&behind), sequence: announced });
                }
                if let Some(brought) = &brought {
                    let chain = certificates::read_chain(&brought.chain)?;
                    vouched_for(&self.node.id, [certificate.clone()].into_iter(), &chain, &self.node.clock)?;
                }
                (renewed.ca_activated(), Digest::of(&certificate).to_string())
            }
            Step::Retire => {
                // what a crash left between the descriptor and the files
                self.settle(&newest, brought)?;
                let next = renewed.ca_retired();
                let chain = self.chain()?;
                vouched_for(&self.node.id, next.active_cas().cloned(), &chain, &self.node.clock).map_err(|_| {
                    KeyChangeError::OldAuthority(self.node.config.files.certificate.display().to_string())
                })?;
                self.until_shown().await;
                let mut active: Vec<_> = newest.active_cas().map(|ca| Digest::of(ca).to_string()).collect();
                active.pop();
                let signed = self.publish((&before, &next), root, (&step.to_string(), &active.join(", "))).await;
                signed?;
                return Ok(self.ca_taken(
                    step,
                    active.join(", "),
                    next.sequence,
                    None,
                    "nothing: the rotation is complete".to_owned(),
                ));
            }
        };
        self.publish((&before, &next), root, (&step.to_string(), &subject)).await?;
        let (file, words) = match step {
            Step::Announce => {
                let behind = self.behind(next.sequence).await?;
                let waiting = if behind.is_empty() { "there are none".to_owned() } else { names(&behind) };
                let file = self.certs().join("ca-next.pem");
                (
                    Some(file),
                    format!(
                        "the same command without --begin makes it active once every active peer holds descriptor {} (now \
                         waiting for: {waiting}); `kaopu key list` shows who does",
                        next.sequence
                    ),
                )
            }
            _ => {
                self.settle(&next, brought)?;
                let words = "the same command again retires the old authority, once every server of this node shows the \
                             new certificate: after a minute, where they share the folder of the certificates";
                (Some(self.node.config.files.certificate.clone()), words.to_owned())
            }
        };
        Ok(self.ca_taken(step, subject, next.sequence, file, words))
    }

    fn ca_taken(&self, step: Step, subject: String, sequence: u64, file: Option<PathBuf>, next: String) -> Taken {
        let (of, action) = (Use::Ca.to_string(), step.to_string());
        Taken { of, action, subject, descriptor: Some(sequence), file, next }
    }

    /// Waits until running servers have had the time to show the certificate that is in its file.
    async fn until_shown(&self) {
        let written = std::fs::metadata(&self.node.config.files.certificate).and_then(|file| file.modified());
        let written = written.ok().and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
        let now = u64::try_from(self.node.clock.now_ms()).unwrap_or_default();
        let since = now.saturating_sub(written.map_or(0, |at| at.as_millis() as u64));
        tokio::time::sleep(SHOWN_WITHIN.saturating_sub(Duration::from_millis(since))).await;
    }

    /// The next authority, in `ca-next.pem`: made here, or brought.
    fn make_next(&self, brought: Option<String>) -> Result<CertificateDer<'static>, KeyChangeError> {
        let (pem, key) = (self.certs().join("ca-next.pem"), self.certs().join("ca-next.key"));
        if pem.exists() && brought.is_none() {
            // made by a call that was cut off before it told anybody
            return Ok(certificates::read_chain(&read(&pem)?)?.swap_remove(0));
        }
        let text = match brought {
            Some(text) => text,
            None => {
                let made = certificates::make_ca(&self.wanted(None))?;
                file::write_private(
                    &key,
                    &made.key,
                    &AtRest::like(&self.node.config.files.keys, &self.node.passphrases)?,
                )?;
                made.certificate
            }
        };
        let certificate = certificates::read_chain(&text)?.swap_remove(0);
        replace(&pem, text.as_bytes())?;
        Ok(certificate)
    }

    /// Brings the files in line with a descriptor: a next authority that has become active takes the place of the old one,
    /// and the node's certificate comes from it.
    fn settle(&self, descriptor: &Descriptor, brought: Option<Brought>) -> Result<(), KeyChangeError> {
        let certs = self.certs();
        let next = certs.join("ca-next.pem");
        if !next.exists() {
            return Ok(());
        }
        let certificate = certificates::read_chain(&read(&next)?)?.swap_remove(0);
        if !descriptor.active_cas().any(|active| *active == certificate) {
            return Ok(());
        }
        let under_it = self.chain().is_ok_and(|chain| {
            vouched_for(&self.node.id, [certificate.clone()].into_iter(), &chain, &self.node.clock).is_ok()
        });
        if !under_it {
            let made = match brought {
                Some(brought) => Made { certificate: brought.chain, key: brought.key },
                None => self.issue(&next)?,
            };
            self.install(&made, vec![certificate])?;
        }
        for (from, to) in
            [("ca.pem", "ca-old.pem"), ("ca.key", "ca-old.key"), ("ca-next.key", "ca.key"), ("ca-next.pem", "ca.pem")]
        {
            let from = certs.join(from);
            if from.exists() {
                let failed = |error| KeyChangeError::Disk { path: from.display().to_string(), error };
                std::fs::rename(&from, certs.join(to)).map_err(failed)?;
            }
        }
        Ok(())
    }

    /// A new certificate for the node from the authority in a file.
    fn issue(&self, ca: &Path) -> Result<Made, KeyChangeError> {
        let key = ca.with_extension("key");
        if !key.exists() {
            return Err(KeyChangeError::NoSuchKey(format!(
                "{} is not here: bring it back for this call, or bring a certificate with --certificate and \
                 --certificate-key",
                key.display()
            )));
        }
        let made = Made { certificate: read(ca)?, key: file::read_private(&key, &self.node.passphrases)? };
        let host = self.node.config.node.url.parse::<http::Uri>().ok().and_then(|uri| uri.host().map(str::to_owned));
        Ok(certificates::make_node(&self.wanted(host.as_deref()), &made)?)
    }

    /// Puts a certificate and its key where the node looks for them, if peers will take it. Its digest comes back.
    fn install(&self, made: &Made, cas: Vec<CertificateDer<'static>>) -> Result<String, KeyChangeError> {
        let chain = certificates::read_chain(&made.certificate)?;
        vouched_for(&self.node.id, cas.into_iter(), &chain, &self.node.clock)?;
        let digest = chain.first().map(|first| Digest::of(first).to_string()).unwrap_or_default();
        // that the key is its own
        Identity::new(self.node.id.clone(), chain, certificates::read_key(&made.key)?, self.node.clock.clone())?;
        let files = &self.node.config.files;
        let beside = files.certificate_key.with_extension("key-new");
        let _ = std::fs::remove_file(&beside);
        file::write_private(&beside, &made.key, &AtRest::like(&files.keys, &self.node.passphrases)?)?;
        std::fs::rename(&beside, &files.certificate_key)
            .map_err(|error| KeyChangeError::Disk { path: beside.display().to_string(), error })?;
        replace(&files.certificate, made.certificate.as_bytes())?;
        Ok(digest)
    }

    /// The sequence of the first descriptor that names an authority in this state.
    async fn since(&self, certificate: &CertificateDer<'_>, state: KeyState) -> Result<u64, KeyChangeError> {
        let all = own_descriptors(&self.node.db, &self.node.id).await?;
        let names =
            |d: &Descriptor| d.tls.iter().any(|trust| trust.certificate == *certificate && trust.state == state);
        Ok(all.iter().map(|(_, d)| d).find(|d| names(d)).map_or(0, |d| d.sequence))
    }

    fn chain(&self) -> Result<Vec<CertificateDer<'static>>, KeyChangeError> {
        Ok(certificates::read_chain(&read(&self.node.config.files.certificate)?)?)
    }

    fn certs(&self) -> PathBuf {
        self.node.config.files.certificate.parent().map(Path::to_owned).unwrap_or_default()
    }

    fn wanted<'a>(&'a self, host: Option<&'a str>) -> Wanted<'a> {
        Wanted { node: &self.node.id, host, now: self.node.clock.now() }
    }
}

fn read(path: &Path) -> Result<String, KeyChangeError> {
    std::fs::read_to_string(path).map_err(|error| KeyChangeError::Disk { path: path.display().to_string(), error })
}
