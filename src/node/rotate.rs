//! One key after the other is replaced, a step a call: announced, active beside the old one, alone.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::publish::{Keeper, KeyChangeError, no_key_of};
use super::rng;
use crate::statement::{PublicKey, SigningKey, Suite};
use crate::trust::descriptor::{Descriptor, KeyState, Purpose, ValidBelow, thumbprint};
use crate::trust::keys::first::{file_of, stem};
use crate::trust::keys::{AtRest, KeyFileError, Passphrases, file};
use crate::trust::rotation::{Step, Use};

/// What a call did, and what comes next.
#[derive(Clone, Debug, Serialize)]
pub struct Taken {
    /// What is rotated.
    #[serde(rename = "use")]
    pub of: String,
    /// What was done.
    pub action: String,
    /// The key, by its thumbprint, or the certificate, by its digest.
    pub subject: String,
    /// The sequence of the descriptor that says so; None where none is needed.
    pub descriptor: Option<u64>,
    /// A private key that was written.
    pub file: Option<PathBuf>,
    /// What to do next, and when.
    pub next: String,
}

impl Keeper<'_> {
    /// Takes the next step for a key of the descriptor. `new` is the key to announce where it is not made here: on a token.
    pub async fn rotate_key(
        &self,
        of: Use,
        root: &SigningKey,
        new: Option<PublicKey>,
    ) -> Result<Taken, KeyChangeError> {
        let (before, newest) = self.newest().await?;
        self.check_root(root, &newest)?;
        let purpose = of.purpose(&newest).ok_or_else(|| no_key_of(of))?;
        let renewed = newest.renewed(self.node.clock.now());
        let step = newest.step(&purpose);
        self.meant(of, step)?;
        let mut made = None;
        let (next, subject) = match step {
            Step::Announce => {
                let key = match new {
                    Some(key) => key,
                    None => {
                        let (file, key) = self.make_key(&purpose, &newest)?;
                        made = Some(file);
                        key
                    }
                };
                let kid = key.kid().to_owned();
                (renewed.with_key(key, purpose.clone(), KeyState::Next), kid)
            }
            Step::Activate => {
                let next = newest.keys.iter().find(|key| key.purpose == purpose && key.state == KeyState::Next);
                let next = next.ok_or_else(|| no_key_of(of))?;
                let kid = next.key.kid().to_owned();
                self.node.keys.find(&next.key)?.ok_or_else(|| KeyChangeError::NotHere(kid.clone()))?;
                (renewed.activated(&purpose), kid)
            }
            Step::Retire => {
                let mut active = newest.active(std::slice::from_ref(&purpose)).collect::<Vec<_>>();
                let last = active.pop().ok_or_else(|| no_key_of(of))?;
                self.node.keys.find(last)?.ok_or_else(|| KeyChangeError::NotHere(last.kid().to_owned()))?;
                let old: Vec<&str> = active.iter().map(|key| key.kid()).collect();
                let old = old.join(", ");
                (renewed.retired(&purpose), old)
            }
        };
        let signed = self.publish((&before, &next), root, (&step.to_string(), &subject)).await;
        if let (Err(KeyChangeError::Log(_)), Some(file)) = (&signed, &made) {
            // nobody was told of it
            let _ = std::fs::remove_file(file);
        }
        signed?;
        let next_step = match step {
            Step::Announce => {
                format!(
                    "the same command without --begin makes it active, at any time; descriptor {} goes to the peers",
                    next.sequence
                )
            }
            Step::Activate => {
                "the same command again retires the old key, once every server of this node has the new one: after a \
                 minute, where they share the folder of the keys"
                    .to_owned()
            }
            Step::Retire => format!(
                "nothing: the rotation is complete. The file of {subject} {}",
                if of == Use::Seal { "still opens what was sealed to it: keep it" } else { "is no longer needed" }
            ),
        };
        Ok(Taken {
            of: of.to_string(),
            action: step.to_string(),
            subject,
            descriptor: Some(next.sequence),
            file: made,
            next: next_step,
        })
    }

    /// The next root takes the root's place, and commits to another next one, which is made here, or given where it is on
    /// a token.
    pub async fn rotate_root(
        &self,
        next_root: &SigningKey,
        (new, place): (SigningKey, Option<(PathBuf, AtRest)>),
    ) -> Result<Taken, KeyChangeError> {
        let (before, newest) = self.newest().await?;
        if thumbprint(next_root.public()) != newest.next_root {
            return Err(KeyChangeError::NotTheNextRoot(newest.sequence));
        }
        if let Some((path, at_rest)) = &place {
            file::write_key(path, &new, at_rest)?;
        }
        let next = Descriptor {
            root: next_root.public().clone(),
            next_root: thumbprint(new.public()),
            ..newest.renewed(self.node.clock.now())
        };
        let kid = next_root.public().kid().to_owned();
        let signed = self.publish((&before, &next), next_root, ("rotate", &kid)).await;
        if let (Err(KeyChangeError::Log(_)), Some((path, _))) = (&signed, &place) {
            let _ = std::fs::remove_file(path);
        }
        signed?;
        let path = place.map(|(path, _)| path);
        let moved = path.as_ref().map_or("the new next root is on its token".to_owned(), |path| {
            format!("move {}, the new next root, to a safe place, apart from the root", path.display())
        });
        Ok(Taken {
            of: Use::Root.to_string(),
            action: "rotate".to_owned(),
            subject: kid,
            descriptor: Some(next.sequence),
            file: path,
            next: format!("{moved}; the old root is no longer needed. The fingerprint has changed: tell your partners"),
        })
    }

    /// The same descriptor once more, for another year.
    pub async fn renew(&self, root: &SigningKey) -> Result<Taken, KeyChangeError> {
        let (before, newest) = self.newest().await?;
        self.check_root(root, &newest)?;
        let next = newest.renewed(self.node.clock.now());
        let kid = next.root.kid().to_owned();
        self.publish((&before, &next), root, ("renew", &kid)).await?;
        Ok(Taken {
            of: "descriptor".to_owned(),
            action: "renew".to_owned(),
            subject: kid,
            descriptor: Some(next.sequence),
            file: None,
            next: "nothing: peers take it by themselves".to_owned(),
        })
    }

    /// A key is in somebody else's hands: what it signed from some index on is void, and another is active at once.
    pub async fn compromised(
        &self,
        kid: &str,
        below: Option<ValidBelow>,
        root: &SigningKey,
    ) -> Result<Taken, KeyChangeError> {
        let (before, newest) = self.newest().await?;
        self.check_root(root, &newest)?;
        let mut next = newest.renewed(self.node.clock.now());
        let Some(entry) = next.keys.iter_mut().find(|entry| entry.key.kid() == kid) else {
            return Err(KeyChangeError::NoSuchKey(format!("descriptor {} names no key {kid}", newest.sequence)));
        };
        let purpose = entry.purpose.clone();
        entry.state = KeyState::Compromised;
        entry.valid_below = below.filter(|_| purpose == Purpose::Sign);
        // whoever has it may know of the one that was to follow, but not its private half
        next = next.activated(&purpose);
        let mut made = None;
        if next.active(std::slice::from_ref(&purpose)).next().is_none() {
            let (file, key) = self.make_key(&purpose, &newest)?;
            next = next.with_key(key, purpose, KeyState::Active);
            made = Some(file);
        }
        let signed = self.publish((&before, &next), root, ("compromise", kid)).await;
        if let (Err(KeyChangeError::Log(_)), Some(file)) = (&signed, &made) {
            let _ = std::fs::remove_file(file);
        }
        signed?;
        Ok(Taken {
            of: "key".to_owned(),
            action: "compromise".to_owned(),
            subject: kid.to_owned(),
            descriptor: Some(next.sequence),
            file: made,
            next:
                "tell your partners why; what was void and is true must be published again (import the files once more)"
                    .to_owned(),
        })
    }

    /// A new key for a purpose, in the folder of the keys before any log names it.
    fn make_key(&self, purpose: &Purpose, newest: &Descriptor) -> Result<(PathBuf, PublicKey), KeyFileError> {
        let before = newest.keys.iter().rev().find(|entry| entry.purpose == *purpose).map(|entry| entry.key.suite());
        let suite = match purpose {
            Purpose::Sign => before.unwrap_or(Suite::EdDsa),
            Purpose::Log(_) | Purpose::Witness => Suite::EdDsa,
            Purpose::Seal => Suite::Es256,
        };
        let folder = &self.node.config.files.keys;
        let key = SigningKey::generate(suite, &mut rng());
        let path = file_of(folder, stem(purpose), &key);
        file::write_key(&path, &key, &AtRest::like(folder, &self.node.passphrases)?)?;
        Ok((path, key.public().clone()))
    }
}

/// How a new root is kept: as the one that is given, in a file.
pub fn like_file(path: &Path, passphrases: &Passphrases) -> Result<AtRest, KeyFileError> {
    let text = file::read_secret(path)?;
    if !file::is_encrypted(&text) {
        return Ok(AtRest::Clear);
    }
    Ok(passphrases.for_new_keys("the new root key")?.map_or(AtRest::Clear, AtRest::Encrypted))
}
