//! `kaopu policy`: the policies that decide on access and recognition, checked, shown, written out and tried.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use kaopu::config::Config;
use kaopu::node::policies::policies;
use kaopu::node::{self};
use kaopu::policy::{Files, Policies, PolicyFaults};
use kaopu::statement::Digest;
use kaopu::store::Db;
use serde_json::{Value, json};

use super::{Shared, print_json, print_line};

mod case;

/// Check, show, write out and try the policies that decide on access and recognition 访问与互认策略
#[derive(Debug, clap::Subcommand)]
pub enum Policy {
    /// Say whether policies are valid; each fault is told with file, line and column
    Check {
        /// The folder [default: the policies that node.toml names]
        folder: Option<PathBuf>,
    },
    /// Show each policy, what it says, and the digest of the set
    Show {
        /// A set that was in force, by its digest as a recognition or an answer names it
        #[arg(long, value_name = "DIGEST", value_parser = crate::cli::digest::digest)]
        set: Option<Digest>,
    },
    /// Write the policies that come with the program into a folder, to be changed there
    Export {
        /// The folder; files that are there are left as they are
        folder: PathBuf,
    },
    /// Say what the policies make of a case
    Try {
        /// A file with the case as JSON (docs/POLICY.md), or - for standard input
        file: PathBuf,
        /// The folder [default: the policies that node.toml names]
        #[arg(long, value_name = "DIR")]
        folder: Option<PathBuf>,
    },
}

impl Policy {
    /// Runs the command; needs no running server and no keys.
    pub async fn run(self, shared: &Shared) -> anyhow::Result<ExitCode> {
        match self {
            Self::Check { folder } => check(shared, folder),
            Self::Show { set: None } => show(shared, &load(shared, None)??),
            Self::Show { set: Some(digest) } => show_old(shared, digest).await,
            Self::Export { folder } => export(shared, &folder),
            Self::Try { file, folder } => try_case(shared, &file, folder),
        }
    }
}

/// The policies of a folder, or those that the configuration names.
fn load(shared: &Shared, folder: Option<PathBuf>) -> anyhow::Result<Result<Policies, PolicyFaults>> {
    let config = shared.config()?;
    let kinds = node::kinds(&config)?;
    let policy = folder.or(config.policy.clone());
    Ok(policies(&Config { policy, ..config }, &kinds))
}

fn check(shared: &Shared, folder: Option<PathBuf>) -> anyhow::Result<ExitCode> {
    let loaded = load(shared, folder)?;
    if shared.json {
        print_json(&match &loaded {
            Ok(policies) => json!({"valid": true, "digest": policies.digest(), "policies": policies.all().count()}),
            Err(faults) => json!({"valid": false, "faults": faults}),
        })?;
        return Ok(if loaded.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    match loaded {
        Ok(policies) => {
            print_line(&format!("{} policies are valid; the set is {}", policies.all().count(), policies.digest()));
            Ok(ExitCode::SUCCESS)
        }
        Err(faults) => {
            print_line(&faults.to_string());
            bail!("the policies are not taken; a running node goes on by those that it has")
        }
    }
}

fn show(shared: &Shared, policies: &Policies) -> anyhow::Result<ExitCode> {
    if shared.json {
        let all: Vec<_> = policies.all().collect();
        print_json(&json!({"digest": policies.digest(), "policies": all}))?;
        return Ok(ExitCode::SUCCESS);
    }
    print_line(&format!("set {}", policies.digest()));
    for policy in policies.all() {
        let effect = if policy.forbids { "forbids" } else { "permits" };
        print_line(&format!("{:<30} {effect}  {}", policy.id, policy.title.as_deref().unwrap_or_default()));
        if let Some(reason) = &policy.reason {
            print_line(&format!("{:<30}          理由：{reason}", ""));
        }
        print_line(&format!("{:<30}          {}", "", policy.file));
    }
    Ok(ExitCode::SUCCESS)
}

async fn show_old(shared: &Shared, digest: Digest) -> anyhow::Result<ExitCode> {
    let config = shared.config()?;
    let db = Db::open(config.store.expose()).await?;
    let files = db.policy_files(digest).await;
    db.close().await;
    let Some(files) = files? else {
        bail!("no set {digest} was in force at this node; `kaopu policy show` shows the one that node.toml names");
    };
    let files: serde_json::Map<String, Value> = serde_json::from_slice(&files)?;
    if shared.json {
        print_json(&json!({"digest": digest, "files": files}))?;
        return Ok(ExitCode::SUCCESS);
    }
    for (name, text) in &files {
        print_line(&format!("// ---- {name}\n{}", text.as_str().unwrap_or_default()));
    }
    Ok(ExitCode::SUCCESS)
}

fn export(shared: &Shared, folder: &Path) -> anyhow::Result<ExitCode> {
    let files = Files::builtin();
    files.write(folder).with_context(|| {
        format!("not all was written to {}; nothing that was there is changed: name another folder", folder.display())
    })?;
    if shared.json {
        print_json(&json!({"folder": folder, "digest": files.digest()}))?;
    } else {
        print_line(&format!("wrote the policies to {}; name it in node.toml: policy = \"…\"", folder.display()));
    }
    Ok(ExitCode::SUCCESS)
}

fn try_case(shared: &Shared, file: &Path, folder: Option<PathBuf>) -> anyhow::Result<ExitCode> {
    let policies = load(shared, folder)??;
    let mut text = String::new();
    if file == Path::new("-") {
        std::io::stdin().read_to_string(&mut text)?;
    } else {
        text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    }
    let case: case::Case =
        serde_json::from_str(&text).with_context(|| format!("{}: not a case, see docs/POLICY.md", file.display()))?;
    let told = case.judge(&policies);
    if shared.json {
        print_json(&told)?;
        return Ok(ExitCode::SUCCESS);
    }
    for one in told {
        let policies = if one.policies.is_empty() { "no policy".to_owned() } else { one.policies.join(", ") };
        print_line(&format!("{}  {}  by {policies}", one.about, one.outcome));
        if let Some(reason) = &one.reason {
            print_line(&format!("  理由：{reason}"));
        }
    }
    Ok(ExitCode::SUCCESS)
}
