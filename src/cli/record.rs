//! `kaopu record`: all that this node and its mirrors hold about a subject, and subjects by name.

mod aside;

use std::collections::HashMap;
use std::process::ExitCode;

use kaopu::clock::Clock;
use kaopu::node::kinds;
use kaopu::node::lookup::{self, Found};
use kaopu::node::status::spoken_span;
use kaopu::node::view::View;
use kaopu::record::Status;
use kaopu::statement::{Digest, Kinds, Typ};
use kaopu::store::Db;
use kaopu::store::record::SubjectRow;
use kaopu::store::said_by::Operator;
use serde_json::{Map, Value};

use super::{Shared, print_json, print_line};

/// Show all that this node and its mirrors hold about a subject 一企一档
#[derive(Debug, clap::Args)]
pub struct Record {
    /// The subject's 统一社会信用代码, or its 工商注册号
    #[arg(value_name = "USCC", value_parser = lookup::subject_key, required_unless_present = "name")]
    subject: Option<String>,
    /// Find subjects whose name begins with this, or else contains it; brackets and width do not matter
    #[arg(long, value_name = "TEXT", conflicts_with = "subject")]
    name: Option<String>,
    /// So many subjects at most
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: u32,
    /// For auditors: show also what does not count (held, refused, void, erased), each with the reason
    #[arg(long)]
    all: bool,
}

impl Record {
    /// Looks at the store; needs no running server and no keys.
    pub async fn run(self, shared: &Shared) -> anyhow::Result<ExitCode> {
        let config = shared.config()?;
        let (kinds, rules) = (kinds(&config)?, config.rules()?);
        let db = Db::open(config.store.expose()).await?;
        let shown = {
            let view = View { node: &config.node.id, kinds: &kinds, rules: &rules, clock: &Clock::System };
            self.show(shared, &db, &view).await
        };
        db.close().await;
        shown?;
        Ok(ExitCode::SUCCESS)
    }

    async fn show(&self, shared: &Shared, db: &Db, view: &View<'_>) -> anyhow::Result<()> {
        let subjects = match (&self.subject, &self.name) {
            (Some(subject), _) => vec![subject.clone()],
            (None, name) => {
                let found = db.subjects_named(name.as_deref().unwrap_or_default(), self.limit).await?;
                if !shared.json && found.len() != 1 {
                    tell_subjects(&found, self.limit);
                    return Ok(());
                }
                // a subject that was named in two ways stands there twice
                let mut keys: Vec<String> = Vec::new();
                for subject in found {
                    if !keys.contains(&subject.key) {
                        keys.push(subject.key);
                    }
                }
                keys
            }
        };
        let mut found = Vec::new();
        for subject in &subjects {
            found.extend(lookup::about(db, view, subject).await?);
        }
        let kinds = view.kinds;
        let hidden = if self.all { 0 } else { hide(&mut found) };
        if self.all {
            let mut aside = Vec::new();
            for subject in &subjects {
                aside.extend(kaopu::node::aside::about(db, kinds, subject).await?);
            }
            let said = |record: &Found| record.said.iter().map(|said| said.digest).collect::<Vec<_>>();
            let shown: Vec<Digest> = found.iter().flat_map(|it| [vec![it.digest], said(it)].concat()).collect();
            let operators = db.operators(&shown).await?;
            if shared.json {
                return print_json(&aside::All { counts: found, aside, operators });
            }
            tell(&found, kinds, &operators);
            aside::tell(&aside, kinds);
            return Ok(());
        }
        if shared.json {
            return print_json(&found);
        }
        if !found.is_empty() || hidden == 0 {
            tell(&found, kinds, &Operators::new());
        }
        tell_hidden(hidden);
        Ok(())
    }
}

/// Takes away what is not shared any more; gives how many records that were.
fn hide(found: &mut Vec<Found>) -> usize {
    let records = found.iter().filter(|version| version.ended && version.status != Status::Superseded).count();
    found.retain(|version| !version.ended);
    records
}

fn tell_hidden(hidden: usize) {
    if hidden > 0 {
        let records = if hidden == 1 { "record is" } else { "records are" };
        print_line("");
        print_line(&format!(
            "{hidden} {records} repaired, shielded, expired or withdrawn and not shown; for auditors: --all \
             另有 {hidden} 条已修复、屏蔽、失效或撤回，不再共享和使用"
        ));
    }
}

fn tell_subjects(subjects: &[SubjectRow], limit: u32) {
    if subjects.is_empty() {
        return print_line(
            "no subject of this name is known here; a look-up finds what was published or pulled so far",
        );
    }
    for subject in subjects {
        print_line(&format!("{}  {}", subject.key, subject.name));
    }
    if subjects.len() >= limit as usize {
        print_line(&format!("… the first {limit}; more of the name, or --limit N, shows others"));
    }
}

/// Who had this node say statements, where auditors ask.
type Operators = HashMap<Digest, Operator>;

fn tell(found: &[Found], kinds: &Kinds, operators: &Operators) {
    let Some(newest) = found.first() else {
        return print_line(
            "nothing is known about this subject here; `kaopu status` shows what has been pulled so far",
        );
    };
    let origins: std::collections::BTreeSet<String> = found.iter().map(|f| f.origin.to_string()).collect();
    print_line(&format!("{}  {}", newest.subject, newest.name));
    let plural = |count: usize| if count == 1 { "" } else { "s" };
    let (statements, logs) = (found.len(), origins.len());
    print_line(&format!("{statements} statement{} 条 in {logs} log{} 个日志", plural(statements), plural(logs)));
    for record in found {
        tell_record(record, kinds, operators);
    }
    for origin in origins {
        let shown = found.iter().filter(|f| f.origin.to_string() == origin).count();
        if shown >= lookup::MOST as usize {
            print_line(&format!("… of {origin} only the newest {shown} are shown 仅显示最新 {shown} 条"));
        }
    }
}

fn tell_record(record: &Found, kinds: &Kinds, operators: &Operators) {
    let verified = if record.verified { "verified 已验证" } else { "NOT verified 未验证" };
    print_line("");
    print_line(&format!("{}  {} {}  {verified}", record.title, record.status.as_str(), record.status.title()));
    let seen = record.checkpoint.as_ref().map(|c| format!(" of {}, {} ago", c.size, spoken_span(c.age * 1000)));
    print_line(&format!("  {} index {}{}", record.origin, record.index, seen.unwrap_or_default()));
    print_line(&format!("  issued {} by {}  {}", record.issued, record.issuer, record.digest));
    tell_operator("  ", operators.get(&record.digest));
    if let Some(revoked) = &record.issuer_revoked {
        print_line(&format!("  issuer revoked {revoked}; this was said before 签发节点已被撤销，此前所述"));
    }
    print_line(&format!("  {}  {}", record.standing.reason.words(), record.why));
    if record.standing.dispute.is_some() && record.status != Status::Disputed {
        print_line("  disputed, not settled  异议处理中");
    }
    if record.standing.under_repair.is_some() {
        print_line("  under repair  信用修复办理中");
    }
    for said in &record.said {
        let outcome = said.body.get("outcome").or_else(|| said.body.get("type")).and_then(Value::as_str);
        let outcome = outcome.map(|outcome| format!(" {outcome}")).unwrap_or_default();
        print_line(&format!("  - {}{outcome} by {} {}  {}", said.title, said.issuer, said.issued, said.digest));
        tell_operator("    ", operators.get(&said.digest));
    }
    tell_body(&record.kind, record.version, &record.body, kinds);
}

/// Tells who had this node say something, where that is known.
pub(super) fn tell_operator(indent: &str, operator: Option<&Operator>) {
    let Some(Operator { operator, upload, approved_by }) = operator else { return };
    let upload = upload.map(|upload| format!(", upload {upload}")).unwrap_or_default();
    let approved = approved_by.as_ref().map(|by| format!(", approved by 复核 {by}")).unwrap_or_default();
    print_line(&format!("{indent}operator 经办 {operator}{upload}{approved}"));
}

fn tell_body(kind: &str, version: u32, body: &Map<String, Value>, kinds: &Kinds) {
    let kind = kinds.find(&Typ { kind: kind.to_owned(), version });
    for (name, value) in body {
        let title = kind.and_then(|kind| kind.member(name)).map_or(name.as_str(), |member| member.title.as_str());
        print_line(&format!("  {title}: {}", spoken(value)));
    }
}

/// A value as a person reads it.
pub(super) fn spoken(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(truth) => if *truth { "是" } else { "否" }.to_owned(),
        Value::Array(items) => items.iter().map(spoken).collect::<Vec<_>>().join("；"),
        other => other.to_string(),
    }
}
