//! `kaopu query`: one peer, or all within one deadline, asked about a subject for a stated purpose 信用核查.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use kaopu::exchange::finding::{Ask, Came, Finding, Stated, Whom};
use kaopu::exchange::question::{About, SealedId};
use kaopu::import::masked;
use kaopu::import::mend::narrow;
use kaopu::node::Node;
use kaopu::node::lookup::{self, Found};
use kaopu::node::status::spoken_span;
use kaopu::record::Purpose;
use kaopu::record::identifier::{reads_like_an_old_resident_id, resident_id_checks};
use kaopu::statement::{Digest, Kind, Kinds, NodeId, Statement};
use kaopu::trust::registry::Peer;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::person::secret;
use super::record::spoken;
use super::{Shared, print_json, print_line, wrong_usage};

/// As the schema of a query has it, in characters.
const LONGEST_BASIS: usize = 2000;

/// Ask peers about a subject, for a stated purpose; query and answer are kept as proof 信用核查
#[derive(Debug, clap::Args)]
pub struct Query {
    /// The subject's 统一社会信用代码, or its 工商注册号
    #[arg(value_name = "USCC", value_parser = lookup::subject_key, required_unless_present = "person")]
    subject: Option<String>,
    /// Ask about a natural person of this name, instead; the identity number is asked for on the terminal, and goes under the
    /// seal of each peer. Needs --authorisation
    #[arg(long, value_name = "NAME", conflicts_with = "subject", requires = "authorisation")]
    person: Option<String>,
    /// A file of mode 0600 with the identity number, instead of KAOPU_PERSON_ID or the terminal
    #[arg(long, value_name = "FILE", requires = "person")]
    person_id_file: Option<PathBuf>,
    /// 证件类型, unless it is a resident id 居民身份证
    #[arg(long, value_name = "TEXT", requires = "person")]
    person_id_type: Option<String>,
    /// What for 核查用途: approval, procurement, tender, subsidy, award, investment, finance, supervision, judicial or self
    #[arg(long, value_name = "PURPOSE")]
    purpose: Purpose,
    /// On which legal basis 法律依据, in words
    #[arg(long, value_name = "TEXT")]
    basis: String,
    /// Ask this peer only
    #[arg(long, value_name = "NODE", conflicts_with = "all")]
    peer: Option<NodeId>,
    /// Ask all active peers at once; so it does without --peer
    #[arg(long)]
    all: bool,
    /// Only these kinds of records, separated by commas
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    kinds: Vec<String>,
    /// Digest of what the subject authorised this by 授权书摘要
    #[arg(long, value_name = "DIGEST", value_parser = crate::cli::digest::digest)]
    authorisation: Option<Digest>,
    /// How long peers have to answer, all of them together: 5s, 800ms
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = time)]
    deadline: Duration,
}

impl Query {
    /// Asks. Beside a running server or without one: the store is shared.
    pub async fn run(self, shared: &Shared) -> anyhow::Result<ExitCode> {
        shared.on_node(async |node| self.ask(shared, node).await).await
    }

    async fn ask(self, shared: &Shared, node: &Node) -> anyhow::Result<ExitCode> {
        may_stand_in_a_query(&self.basis)?;
        let kinds = match self.kinds(&node.kinds) {
            Ok(kinds) => kinds,
            Err(why) => return Ok(wrong_usage(&why)),
        };
        let (subject, shown) = self.whom()?;
        let peers = peers(node, self.peer.as_ref())?;
        let ask = Ask { subject, purpose: self.purpose, basis: self.basis, kinds, authorisation: self.authorisation };
        // who a person is, each issuer knows by a secret of its own
        let rules = node.settings.rules.now();
        let known = match &self.subject {
            Some(subject) => lookup::about(&node.db, &node.view(&rules), subject).await?,
            None => Vec::new(),
        };
        let deadline = Instant::now() + self.deadline;
        let findings = Box::pin(node.asker().ask_all(&peers, &ask, deadline)).await;
        let heard = findings.iter().all(|f| f.complete);
        let region = |finding: &Finding| {
            // a kind that was not asked for is not missing from an answer
            let is_asked = |found: &Found| ask.kinds.is_empty() || ask.kinds.contains(&found.kind);
            let of_it =
                |found: &&Found| found.origin.node == finding.node && found.status.is_shared() && is_asked(found);
            known.iter().filter(of_it).cloned().collect::<Vec<Found>>()
        };
        if shared.json {
            let regions: Vec<Value> = findings.iter().map(|finding| as_json(finding, &region(finding), node)).collect();
            print_json(&json!({
                "subject": shown, "purpose": ask.purpose, "basis": ask.basis, "regions": regions,
            }))?;
        } else {
            print_line(&format!("{shown}  {} {}", ask.purpose, ask.purpose.title()));
            for finding in &findings {
                tell(finding, &region(finding), node);
            }
        }
        Ok(if heard { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

impl Query {
    /// The kinds of records that are asked about, by name or title, each once: what this node does not know it could not judge
    /// in an answer either.
    fn kinds(&self, known: &Kinds) -> Result<Vec<String>, String> {
        let mut kinds = Vec::new();
        for name in self.kinds.iter().map(|name| name.trim()) {
            let is_meant = |kind: &&Arc<Kind>| kind.is_record && (kind.typ.kind == name || kind.title == name);
            let Some(kind) = known.all().find(is_meant) else {
                let known: BTreeSet<&str> =
                    known.all().filter(|kind| kind.is_record).map(|kind| kind.typ.kind.as_str()).collect();
                let known = known.into_iter().collect::<Vec<_>>().join(", ");
                return Err(format!("--kinds {name}: records of these kinds are known here: {known}"));
            };
            if !kinds.contains(&kind.typ.kind) {
                kinds.push(kind.typ.kind.clone());
            }
        }
        Ok(kinds)
    }

    /// About whom, and how that is shown.
    fn whom(&self) -> anyhow::Result<(Whom, String)> {
        if let Some(name) = &self.person {
            let number = secret("证件号码 identity number: ", self.person_id_file.as_deref(), "KAOPU_PERSON_ID")?;
            // nobody is known by a number that was mistyped: the answers would read as clean
            if !is_sound(&narrow(&number), self.person_id_type.as_deref()) {
                bail!(
                    "that is no 居民身份证 number: compare its 18 characters, the last of which checks the others \
                     身份证号有误，请核对; of another document say --person-id-type 证件类型"
                );
            }
            let id = SealedId { number: number.trim().to_owned(), of: self.person_id_type.clone() };
            let name = masked(name);
            return Ok((Whom::Person { name: name.clone(), id }, name));
        }
        let key = self.subject.as_deref().context("a subject is needed")?;
        let about = About::of_key(key).context(
            "a person's key is known to nobody but its issuer; ask by --person NAME and the identity number",
        )?;
        Ok((Whom::Known(about), key.to_owned()))
    }
}

/// Whether peers would take a query with this legal basis: else each would be told of as silent.
pub(super) fn may_stand_in_a_query(basis: &str) -> anyhow::Result<()> {
    if basis.trim().is_empty() {
        bail!("--basis says on which legal basis you ask; it stands in the query");
    }
    if basis.chars().count() > LONGEST_BASIS || basis.chars().any(char::is_control) {
        bail!("--basis takes one line of up to {LONGEST_BASIS} characters; it stands in the query");
    }
    Ok(())
}

/// Whether an identity number can be somebody's: one whose document is not said is a resident id.
fn is_sound(number: &str, document: Option<&str>) -> bool {
    match resident_id_checks(number) {
        Some(checks) => checks,
        None => document.is_some() || reads_like_an_old_resident_id(number),
    }
}

/// Whom to ask.
fn peers(node: &Node, only: Option<&NodeId>) -> anyhow::Result<Vec<Arc<Peer>>> {
    let peers = match only {
        Some(only) => {
            let peer = node.registry.peer(only);
            vec![peer.with_context(|| format!("{only} is no active peer; `kaopu peer list` shows who is"))?]
        }
        None => node.registry.peers(),
    };
    if peers.is_empty() {
        bail!("there is no active peer to ask; `kaopu peer list` shows who is known");
    }
    Ok(peers)
}

fn tell(finding: &Finding, known: &[Found], node: &Node) {
    print_line("");
    let reason = finding.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
    let (came, took) = (finding.came, finding.took.as_millis());
    print_line(&format!("{} {}  {} {}{reason}  ({took} ms)", finding.node, finding.name, came.as_str(), came.title()));
    for stated in &finding.statements {
        let said = &stated.statement;
        let proven = if stated.mirrored { "proven here 本地已验证" } else { "signed 签名已验证" };
        let disputed = if stated.is_disputed() { "  异议中 disputed" } else { "" };
        print_line(&format!("  {}  {proven}  {}{disputed}", title(said, node), stated.digest));
        tell_body(said, node, "    ");
        for event in &stated.events {
            print_line(&format!("    ! {}  {}", title(&event.statement, node), event.digest));
            tell_body(&event.statement, node, "      ");
        }
    }
    for withheld in &finding.withheld {
        print_line(&format!("  not told 未提供: {} ({})", withheld.kind, withheld.reason));
    }
    if let Some(coverage) = &finding.coverage {
        print_line(&format!("  looked through {} entries of {} 已核查", coverage.size, coverage.origin));
    }
    if matches!(came, Came::Unavailable | Came::Invalid) && !finding.statements.is_empty() {
        print_line("  not all of its answer came 答复不完整");
    }
    tell_known(finding, known);
    for digest in &finding.answers {
        print_line(&format!("  answer {digest}"));
    }
}

fn tell_body(said: &Statement, node: &Node, indent: &str) {
    let kind = node.kinds.find(&said.typ);
    for (name, value) in &said.body {
        let title = kind.and_then(|kind| kind.member(name)).map_or(name.as_str(), |member| member.title.as_str());
        print_line(&format!("{indent}{title}: {}", spoken(value)));
    }
}

/// What the own mirror had of that peer before it was asked.
fn tell_known(finding: &Finding, known: &[Found]) {
    let age = known.iter().find_map(|found| found.checkpoint.as_ref()).map(|c| spoken_span(c.age * 1000));
    let age = age.map(|age| format!(", {age} ago")).unwrap_or_default();
    print_line(&format!("  known here before 本地镜像: {}{age}", known.len()));
    if finding.complete {
        for found in known.iter().filter(|found| !finding.statements.iter().any(|it| it.digest == found.digest)) {
            print_line(&format!("    {} {} was not in its answer 答复中没有", found.title, found.digest));
        }
    }
}

fn title(said: &Statement, node: &Node) -> String {
    node.kinds.find(&said.typ).map_or_else(|| said.typ.kind.clone(), |kind| kind.title.clone())
}

fn as_json(finding: &Finding, known: &[Found], node: &Node) -> Value {
    let statements: Vec<Value> = finding.statements.iter().map(|stated| stated_json(stated, node)).collect();
    json!({
        "node": finding.node, "name": finding.name, "result": finding.came, "reason": finding.reason,
        "complete": finding.complete, "statements": statements, "erased": finding.erased,
        "withheld": finding.withheld, "policies": finding.policies, "policy_set": finding.policy_set,
        "coverage": finding.coverage, "queries": finding.queries, "answers": finding.answers,
        "took_ms": u64::try_from(finding.took.as_millis()).unwrap_or(u64::MAX), "known": known,
    })
}

/// A record with what it is marked by.
fn stated_json(stated: &Stated, node: &Node) -> Value {
    let one = |stated: &Stated| {
        let said = &stated.statement;
        json!({
            "digest": stated.digest, "kind": said.typ.kind, "version": said.typ.version,
            "title": title(said, node), "issuer": said.iss, "iat": said.iat, "replaces": said.prev,
            "mirrored": stated.mirrored, "body": said.body,
        })
    };
    let event = |event: &Stated| {
        let mut shown = one(event);
        shown["ref"] = json!(event.statement.refs);
        shown
    };
    let mut shown = one(stated);
    shown["disputed"] = json!(stated.is_disputed());
    shown["events"] = stated.events.iter().map(event).collect();
    shown
}

/// `5s`, `800ms`, `1m`.
pub(super) fn time(text: &str) -> Result<Duration, String> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let number: u32 = number.parse().map_err(|_| "a time like 5s or 800ms is expected".to_owned())?;
    let unit = match unit {
        "ms" => Duration::from_millis(1),
        "s" | "" => Duration::from_secs(1),
        "m" => Duration::from_secs(60),
        _ => return Err("ms, s or m is expected behind the number".to_owned()),
    };
    match unit.saturating_mul(number) {
        time if time.is_zero() || time > Duration::from_secs(600) => Err("between 1ms and 10m".to_owned()),
        time => Ok(time),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_a_number_and_a_unit() {
        for (text, ms) in [("5s", 5000), ("800ms", 800), ("1m", 60_000), ("3", 3000)] {
            assert_eq!(time(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for bad in ["", "s", "0s", "-1s", "5h", "601s", "1.5s", "99999999999s"] {
            assert!(time(bad).is_err(), "{bad}");
        }
    }
}
