//! Who runs a command that only a person may run: a name, and a secret that is never printed.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use kaopu::node::accounts::Person;
use kaopu::node::peers::Peers;
use kaopu::trust::keys::read_secret;
use zeroize::Zeroizing;

/// Whose secret is asked for.
#[derive(Debug, clap::Args)]
pub struct As {
    /// The account of the person who does this; its secret is asked for on the terminal
    #[arg(long = "as", value_name = "NAME")]
    as_person: Option<String>,
    /// A file of mode 0600 with that secret, instead of KAOPU_SECRET or the terminal
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
}

impl As {
    /// The person, if one was named.
    pub async fn person(&self, peers: &Peers) -> anyhow::Result<Option<Person>> {
        let Some(name) = &self.as_person else { return Ok(None) };
        let secret = secret(&format!("Secret of {name}: "), self.secret_file.as_deref(), "KAOPU_SECRET")?;
        Ok(Some(peers.person(name, &secret).await?))
    }

    /// The person, without whom this is not done where there are accounts.
    pub async fn if_there_are_accounts(&self, peers: &Peers) -> anyhow::Result<Option<Person>> {
        match self.person(peers).await? {
            None if !peers.accounts().await?.is_empty() => {
                bail!("a person does this: say --as NAME; `kaopu user list` shows who there is")
            }
            person => Ok(person),
        }
    }

    /// The person, without whom this is not done.
    pub async fn needed(&self, peers: &Peers) -> anyhow::Result<Person> {
        if let Some(person) = self.person(peers).await? {
            return Ok(person);
        }
        if peers.accounts().await?.is_empty() {
            bail!(
                "a person does this, and this node has no accounts yet: add two with `kaopu user add NAME`, then say --as NAME"
            );
        }
        bail!("a person does this: say --as NAME; `kaopu user list` shows who there is");
    }
}

/// A secret: from a file, else the environment, else typed in unseen.
pub fn secret(prompt: &str, file: Option<&Path>, variable: &str) -> anyhow::Result<Zeroizing<String>> {
    let text = if let Some(file) = file {
        read_secret(file)?
    } else if let Ok(secret) = std::env::var(variable) {
        Zeroizing::new(secret)
    } else if std::io::stdin().is_terminal() {
        Zeroizing::new(rpassword::prompt_password(prompt).context("nothing was typed")?)
    } else {
        bail!("no secret: there is no terminal to ask on, so give a file of mode 0600, or set {variable}");
    };
    Ok(Zeroizing::new(text.trim_end_matches(['\n', '\r']).to_owned()))
}
