//! Which record a command is about, and what came of it: the part that `repair`, `withdraw` and `dispute` share.

use std::path::Path;

use anyhow::{Context as _, bail};
use kaopu::about::{Named, Sought, Spoken};
use kaopu::import::Receipt;
use kaopu::import::receipt::Held;
use kaopu::import::upload::hold::Terms;
use kaopu::node::Node;
use kaopu::node::hold::expire_held;
use kaopu::node::lookup::subject_key;
use kaopu::node::peers::Peers;
use kaopu::record::{Uscc, date};
use kaopu::statement::Digest;
use serde::Serialize;
use serde_json::{Map, Value};

use super::how::{By, How};
use super::upload::held;
use super::{Shared, print_json, print_line};

/// A statement by its digest, or a record of this node by 文号 and subject.
#[derive(Debug, clap::Args)]
pub struct Which {
    /// The digest of what it is about, as `kaopu record CODE` shows it
    #[arg(value_name = "DIGEST", value_parser = crate::cli::digest::digest, required_unless_present_any = ["code", "subject_name"])]
    digest: Option<Digest>,
    /// The 文号 of the record; width and kind of bracket do not matter
    #[arg(long, value_name = "文号", conflicts_with = "digest")]
    number: Option<String>,
    /// The record's subject: its 统一社会信用代码, or its 工商注册号
    #[arg(long, value_name = "CODE", value_parser = subject_key, conflicts_with = "digest")]
    code: Option<String>,
    /// … or its name, where it has no code
    #[arg(long = "name", id = "subject_name", value_name = "TEXT", conflicts_with_all = ["digest", "code"])]
    subject_name: Option<String>,
    /// Who made the finding, by name or code, where 文号 and subject are not enough
    #[arg(long, value_name = "NAME|CODE", conflicts_with = "digest")]
    found_by: Option<String>,
    /// The kind of the record; penalty where it is not said
    #[arg(long, conflicts_with = "digest")]
    kind: Option<String>,
    /// The name of the list, of a listing
    #[arg(long, value_name = "NAME", conflicts_with = "digest")]
    list: Option<String>,
}

impl Which {
    /// As the node's office takes it.
    pub fn named(&self) -> Named {
        if let Some(digest) = self.digest {
            return Named::Digest(digest);
        }
        let is_code = |text: &String| Uscc::parse(text).is_ok();
        Named::Record(Sought {
            kind: self.kind.clone().unwrap_or_else(|| "penalty".to_owned()),
            subjects: self.code.iter().cloned().collect(),
            name: self.subject_name.clone(),
            number: self.number.clone(),
            authority: self.found_by.clone().filter(|text| !is_code(text)),
            authority_uscc: self.found_by.clone().filter(is_code),
            list: self.list.clone(),
        })
    }
}

/// Members of a body; what is not given is not there.
pub fn body<const N: usize>(members: [(&str, Option<Value>); N]) -> Map<String, Value> {
    members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// A text member, where it is given.
pub fn text(text: Option<&String>) -> Option<Value> {
    text.map(|text| text.trim().into())
}

/// A date in any way in which offices write it, as it stands in a body.
pub fn day(typed: &str) -> Result<String, String> {
    let day = date::parse(typed.trim()).ok_or_else(|| "no such date; write it as 2024-03-05".to_owned())?;
    Ok(day.to_string())
}

/// A digest, or that of a file.
pub fn digest_of(typed: &str) -> anyhow::Result<Value> {
    if let Ok(digest) = super::digest::digest(typed) {
        return Ok(digest.to_string().into());
    }
    let bytes = std::fs::read(Path::new(typed))
        .with_context(|| format!("{typed} is neither a digest nor a file that can be read"))?;
    Ok(Digest::of(&bytes).to_string().into())
}

/// What came of it.
#[derive(Serialize)]
struct Came<'a> {
    #[serde(flatten)]
    spoken: &'a Spoken,
    #[serde(skip_serializing_if = "Option::is_none")]
    hold: &'a Option<Held>,
}

/// Says an event of a kind about what is named, or holds it for a second person, and tells what came of it; false where it is
/// held. A rehearsal writes nothing.
pub async fn say(
    shared: &Shared,
    kind: &str,
    which: &Which,
    how: &How,
    body: impl FnOnce(&Node) -> anyhow::Result<Map<String, Value>>,
) -> anyhow::Result<bool> {
    let said = shared.on_node(async |node| say_on(shared, node, kind, &which.named(), how, body).await);
    let (spoken, hold, title) = said.await?;
    if shared.json {
        print_json(&Came { spoken: &spoken, hold: &hold })?;
    } else if let Some(held) = &hold {
        tell_about(&spoken, &title);
        held::tell(held);
    } else {
        tell(&spoken, &title);
    }
    Ok(hold.is_none())
}

async fn say_on(
    shared: &Shared,
    node: &Node,
    kind: &str,
    named: &Named,
    how: &How,
    body: impl FnOnce(&Node) -> anyhow::Result<Map<String, Value>>,
) -> anyhow::Result<(Spoken, Option<Held>, String)> {
    let kind = node.kinds.newest(kind).with_context(|| format!("kind {kind} is not known here"))?;
    if let Named::Record(sought) = named
        && node.kinds.newest(&sought.kind).is_none_or(|kind| !kind.is_record)
    {
        let known: Vec<&str> = node.kinds.all().filter(|k| k.is_record).map(|k| k.typ.kind.as_str()).collect();
        bail!("--kind {}: records are of these kinds: {}", sought.kind, known.join(", "));
    }
    let peers = Peers::of(node);
    let By { operator, terms } = how.by(shared, node, &peers).await?;
    let office = node.office_of(&operator);
    let spoken = Box::pin(office.say(kind, named, body(node)?, how.dry_run || terms.is_some())).await?;
    let title = kind.title.clone();
    let Some(terms) = terms else {
        tracing::info!(kind = spoken.kind, digest = ?spoken.digest, operator, "said");
        return Ok((spoken, None, title));
    };
    let held = hold(node, &spoken, &terms).await?;
    Ok((spoken, held, title))
}

/// Holds for a second person what a rehearsal has told.
pub async fn hold(node: &Node, spoken: &Spoken, terms: &Terms) -> anyhow::Result<Option<Held>> {
    let kind = node.kinds.newest(&spoken.kind).with_context(|| format!("kind {} is not known here", spoken.kind))?;
    expire_held(&node.db, &node.clock).await?;
    let upload = Box::pin(node.acts(kind)?.hold_one(spoken, terms)).await?;
    tracing::info!(kind = spoken.kind, upload = upload.id, operator = terms.by, "held");
    Peers::of(node).log_changes().await;
    Ok(Receipt::from(&upload).hold)
}

/// Tells what came of it.
pub fn tell(spoken: &Spoken, title: &str) {
    tell_about(spoken, title);
    match (spoken.digest, spoken.index) {
        (Some(digest), Some(index)) => {
            print_line(&format!("  said 已发布: {digest}, index {index}; partners pull it while `kaopu serve` runs"));
        }
        _ => print_line("  rehearsal 试运行: nothing was written 未写入任何内容"),
    }
}

/// Tells what is said, about what.
pub fn tell_about(spoken: &Spoken, title: &str) {
    let whom = [spoken.name.as_deref(), spoken.subject.as_deref()].into_iter().flatten().collect::<Vec<_>>().join(" ");
    print_line(&format!("{title} {}  {} {}  {whom}", spoken.kind, spoken.record, spoken.words));
    print_line(&format!("  about {}", spoken.about));
}
