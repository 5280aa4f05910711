//! A report as one page that can be printed: Chinese, A4, with nothing from elsewhere and every text escaped.

use askama::Template;
use serde_json::Value;

use super::model::{Asked, Coverage, Item, Quoted, Region, Repair, Report, qr_text};
use super::qr;
use crate::record::name::plain;
use crate::statement::{Digest, Kinds, NodeId, Typ};

/// A report was not written as a page.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// The template.
    #[error("the page cannot be written: {0}")]
    Template(#[from] askama::Error),
    /// The QR code.
    #[error("the digest has no QR code")]
    Qr,
}

/// The page of a report with this digest. `evidence` is the name of the file beside it.
pub fn page(report: &Report, digest: &Digest, evidence: &str, kinds: &Kinds) -> Result<String, PageError> {
    let spell = Spell { report, kinds };
    let qr = qr::svg(&qr_text(digest)).ok_or(PageError::Qr)?;
    let page = Page {
        report,
        name: report.names.first().map_or("（名称未知）", String::as_str),
        other_names: report.names.iter().skip(1).cloned().collect::<Vec<_>>().join("；"),
        subject: report.subject.trim_start_matches("reg:"),
        made: time(report.made),
        authorisation: report.authorisation.map(|digest| digest.to_string()),
        regions: report.regions.iter().map(|region| spell.region(region)).collect(),
        sections: report.sections.iter().map(|it| (&*it.title, spell.items(&it.items))).collect(),
        repairs: report.repairs.iter().map(|repair| spell.repair(repair)).collect(),
        gaps: report.regions.iter().filter(|region| !region.covered).map(|it| spell.city(&it.node)).collect(),
        digest: digest.to_string(),
        evidence,
        qr,
    };
    Ok(plain(&page.render()?).into_owned())
}

/// Seconds since 1970 as they are said in the Delta.
pub fn time(seconds: i64) -> String {
    let time = jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::MAX);
    jiff::tz::offset(8).to_datetime(time).strftime("%Y-%m-%d %H:%M").to_string()
}

struct RegionRow {
    city: String,
    covered: String,
    asked: String,
    items: u64,
    note: &'static str,
}

struct Entry<'a> {
    item: &'a Item,
    city: String,
    issued: String,
    digest: String,
    notes: Vec<String>,
    members: Vec<(String, String)>,
    said: Vec<String>,
}

struct RepairRow {
    of: String,
    digest: String,
    lines: Vec<String>,
    silent: String,
}

/// Puts what a report says into words.
struct Spell<'a> {
    report: &'a Report,
    kinds: &'a Kinds,
}

impl Spell<'_> {
    fn city(&self, node: &NodeId) -> String {
        match self.report.regions.iter().find(|region| region.node == *node) {
            Some(region) if !region.name.is_empty() => format!("{}（{node}）", region.name),
            _ => node.to_string(),
        }
    }

    fn region(&self, region: &Region) -> RegionRow {
        let covered: Vec<String> = region.logs.iter().map(|log| self.coverage(log)).collect();
        let note = match (region.items, region.covered) {
            (0, true) => "截至所示时点未见可共享的记录",
            (0, false) => "不可据此认定无记录",
            (_, true) => "",
            (_, false) => "所列记录可能不全",
        };
        RegionRow {
            city: self.city(&region.node),
            covered: if covered.is_empty() { "无本地镜像".to_owned() } else { covered.join("；") },
            asked: region.asked.as_ref().map_or_else(|| "未询问".to_owned(), asked),
            items: region.items,
            note,
        }
    }

    fn coverage(&self, log: &Coverage) -> String {
        let (Some(size), Some(seen)) = (log.size, log.seen) else { return format!("{}：尚未取得", log.origin) };
        let age = self.report.made.saturating_sub(seen).max(0);
        let mut text = format!("{}：{size}条，检查点{}（{}）", log.origin, time(seen), span(age));
        if log.behind > 0 {
            text += &format!("，另有{}条尚未取得", log.behind);
        }
        if let Some(revoked) = log.revoked {
            text += &format!("，该节点已于{}被撤销", time(revoked));
        }
        match log.state.as_str() {
            "frozen" => text += "，日志存疑已冻结",
            "closed" => text += "，日志已关闭",
            _ => {}
        }
        if log.truncated {
            text += "，仅列最新部分";
        }
        text
    }

    fn items<'i>(&self, items: &'i [Item]) -> Vec<Entry<'i>> {
        let entry = |item: &'i Item| Entry {
            city: self.city(&item.stated.issuer),
            issued: time(item.stated.issued),
            digest: item.stated.digest.to_string(),
            notes: notes(item),
            members: self.members(&item.stated),
            said: item.said.iter().map(|said| self.line(said)).collect(),
            item,
        };
        items.iter().map(entry).collect()
    }

    /// Members by their titles, in the order of the schema.
    fn members(&self, stated: &Quoted) -> Vec<(String, String)> {
        let kind = self.kinds.find(&Typ { kind: stated.kind.clone(), version: stated.version });
        let place = |name: &str| kind.and_then(|kind| kind.members.iter().position(|member| member.name == name));
        let mut members: Vec<_> = stated.body.iter().collect();
        members.sort_by_key(|(name, _)| place(name).unwrap_or(usize::MAX));
        let title = |name: &String| kind.and_then(|kind| kind.member(name)).map_or(name.clone(), |it| it.title.clone());
        members.into_iter().map(|(name, value)| (title(name), spoken(value))).collect()
    }

    fn line(&self, said: &Quoted) -> String {
        let members = self.members(said).into_iter().map(|(title, value)| format!("{title}：{value}"));
        let members = members.collect::<Vec<_>>().join("；");
        format!("{}，{}，{}。{members}", said.title, self.city(&said.issuer), time(said.issued))
    }

    fn repair(&self, repair: &Repair) -> RepairRow {
        let statements =
            std::iter::once(&repair.repair).chain(&repair.revocations).map(|said| self.line(said)).collect::<Vec<_>>();
        let decided = repair.recognitions.iter().map(|said| {
            let text = |member: &str| said.body.get(member).and_then(Value::as_str);
            let outcome = match text("outcome") {
                Some("recognised") => "已认可",
                Some("refused") => "不予认可",
                Some("pending") => "待决定",
                other => other.unwrap_or(""),
            };
            let of = if said.about == Some(repair.repair.digest) { "" } else { "（对修复撤销）" };
            let from = text("effective").map(|day| format!("，自{day}起生效")).unwrap_or_default();
            let reason = text("reason").map(|reason| format!("，理由：{reason}")).unwrap_or_default();
            format!("{}：{outcome}{of}{from}{reason}", self.city(&said.issuer))
        });
        RepairRow {
            of: repair.of.clone(),
            digest: repair.repair.digest.to_string(),
            silent: repair.silent.iter().map(|node| self.city(node)).collect::<Vec<_>>().join("、"),
            lines: statements.into_iter().chain(decided).collect(),
        }
    }
}

fn asked(asked: &Asked) -> String {
    let mut text = asked.title.clone();
    if let Some(reason) = &asked.reason {
        text += &format!("：{reason}");
    }
    if !asked.complete {
        text += "，答复不完整";
    }
    if !asked.withheld.is_empty() {
        let withheld: Vec<String> = asked.withheld.iter().map(|(kind, why)| format!("{kind}（{why}）")).collect();
        text += &format!("；未提供：{}", withheld.join("、"));
    }
    text
}

fn notes(item: &Item) -> Vec<String> {
    let mut notes = vec![format!("{}：{}", item.status_title, item.why)];
    notes.extend(item.severity.as_ref().map(|severity| format!("严重程度：{severity}")));
    for (is_so, note) in [
        (!item.used, "暂不用于决策"),
        (item.disputed, "异议处理中"),
        (item.under_repair, "信用修复办理中"),
        (!item.proven, "仅验证签名，尚未取得日志证明"),
        (item.not_in_answer, "发布地区最新答复中未包含此条，可能已失效"),
    ] {
        if is_so {
            notes.push(note.to_owned());
        }
    }
    notes
}

fn span(seconds: i64) -> String {
    match seconds {
        ..120 => "刚刚".to_owned(),
        s @ 120..7200 => format!("{}分钟前", s / 60),
        s @ 7200..172_800 => format!("{}小时前", s / 3600),
        s => format!("{}天前", s / 86_400),
    }
}

/// A value as a person reads it.
fn spoken(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(truth) => if *truth { "是" } else { "否" }.to_owned(),
        Value::Array(items) => items.iter().map(spoken).collect::<Vec<_>>().join("；"),
        other => other.to_string(),
    }
}

#[derive(Template)]
#[template(
    ext = "html",
    source = r##"<!DOCTYPE html>
<html lang="zh-CN">
<head>
<meta charset="utf-8" />
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'" />
<meta name="viewport" content="width=device-width, initial-scale=1" />
<title>信用报告 {{ name }}</title>
<style>
@page { size: A4; margin: 18mm 16mm; }
body { font-family: "Noto Sans CJK SC", "Source Han Sans SC", "Microsoft YaHei", "PingFang SC", SimSun, sans-serif; font-size: 10.5pt; line-height: 1.55; color: #111; max-width: 178mm; margin: 8mm auto; padding: 0 4mm; }
h1 { font-size: 20pt; text-align: center; margin: 0 0 4mm; }
h2 { font-size: 13pt; border-bottom: 1.5px solid #333; margin: 8mm 0 3mm; break-after: avoid; }
table { border-collapse: collapse; width: 100%; margin: 0 0 3mm; }
th, td { border: 1px solid #999; padding: 1mm 2mm; text-align: left; vertical-align: top; overflow-wrap: anywhere; }
th { background: #f1f1f1; font-weight: 600; width: 28mm; }
thead th { width: auto; }
.head { display: flex; gap: 6mm; align-items: flex-start; }
.head table { flex: 1; }
.qr { width: 34mm; flex: none; font-size: 8pt; text-align: center; }
.qr svg { width: 34mm; height: 34mm; }
.item { break-inside: avoid; margin: 0 0 5mm; }
.item .marks { font-size: 9pt; color: #444; margin: 0 0 1mm; }
.disputed { font-weight: bold; font-style: italic; }
.repairing table { text-decoration: line-through; }
.gap { border: 1.5px solid #a00; padding: 2mm 3mm; margin: 3mm 0; }
.small { font-size: 8.5pt; color: #444; overflow-wrap: anywhere; }
@media print { body { margin: 0; padding: 0; max-width: none; } }
</style>
</head>
<body>
<h1>信用报告</h1>
<div class="head">
<table>
<tr><th>主体名称</th><td>{{ name }}{% if !other_names.is_empty() %}（另称：{{ other_names }}）{% endif %}</td></tr>
<tr><th>主体代码</th><td>{{ subject }}</td></tr>
<tr><th>核查用途</th><td>{{ report.purpose.title() }}</td></tr>
<tr><th>法律依据</th><td>{{ report.basis }}</td></tr>
{% if let Some(authorisation) = authorisation %}<tr><th>授权书摘要</th><td>{{ authorisation }}</td></tr>
{% endif %}<tr><th>查询单位</th><td>{{ report.by.name }}（{{ report.by.node }}），经办人：{{ report.by.operator }}</td></tr>
<tr><th>出具时间</th><td>{{ made }}（北京时间）</td></tr>
<tr><th>适用规则</th><td>{{ report.rules }}</td></tr>
</table>
<div class="qr">{{ qr|safe }}<br />扫码得报告摘要</div>
</div>
{% if !gaps.is_empty() %}<p class="gap"><strong>下列地区未能完整核查，不可据此认定其无记录：</strong>{% for gap in gaps %}{% if !loop.first %}、{% endif %}{{ gap }}{% endfor %}。</p>
{% endif %}<h2>覆盖范围与时效</h2>
<table>
<thead><tr><th>地区</th><th>本地所存</th><th>询问结果</th><th>记录数</th><th>说明</th></tr></thead>
<tbody>
{% for region in regions %}<tr><td>{{ region.city }}</td><td>{{ region.covered }}</td><td>{{ region.asked }}</td><td>{{ region.items }}</td><td>{{ region.note }}</td></tr>
{% endfor %}</tbody>
</table>
{% for (title, items) in sections %}<h2>{{ title }}（{{ items.len() }}条）</h2>
{% for entry in items %}<div class="item{% if entry.item.disputed %} disputed{% endif %}{% if entry.item.under_repair %} repairing{% endif %}">
<p class="marks">{{ entry.city }}，{{ entry.issued }}发布。{% for note in entry.notes %}{% if !loop.first %}；{% endif %}{{ note }}{% endfor %}</p>
<table>
{% for (title, value) in entry.members %}<tr><th>{{ title }}</th><td>{% if entry.item.disputed %}<strong><em>{% endif %}{% if entry.item.under_repair %}<s>{% endif %}{{ value }}{% if entry.item.under_repair %}</s>{% endif %}{% if entry.item.disputed %}</em></strong>{% endif %}</td></tr>
{% endfor %}</table>
{% for said in entry.said %}<p class="small">{{ said }}</p>
{% endfor %}<p class="small">陈述摘要 {{ entry.digest }}</p>
</div>
{% endfor %}{% else %}<h2>记录</h2>
<p>未见可共享的记录；各地区覆盖情况见上表。</p>
{% endfor %}{% if !repairs.is_empty() %}<h2>信用修复与互认</h2>
{% for repair in repairs %}<div class="item">
<p class="marks">{{ repair.of }}的信用修复</p>
{% for line in repair.lines %}<p>{{ line }}</p>
{% endfor %}{% if !repair.silent.is_empty() %}<p>尚未回应：{{ repair.silent }}</p>
{% endif %}<p class="small">修复摘要 {{ repair.digest }}</p>
</div>
{% endfor %}{% endif %}<h2>核验方法</h2>
<p>报告摘要：<code>{{ digest }}</code></p>
<p>持本报告的证据文件 {{ evidence }}，在任何装有靠普的计算机上运行 <code>kaopu audit report {{ evidence }} --digest {{ digest }}</code>，即可离线核验每条陈述的签名及其在发布地区日志中的位置，无需网络和账号。<strong><em>粗斜体</em></strong>为异议处理中的信息，<s>删除线</s>为信用修复办理中的信息。已修复、已屏蔽、已失效、已撤回的信息不在本报告中。</p>
</body>
</html>
"##
)]
struct Page<'a> {
    report: &'a Report,
    name: &'a str,
    other_names: String,
    subject: &'a str,
    made: String,
    authorisation: Option<String>,
    regions: Vec<RegionRow>,
    sections: Vec<(&'a str, Vec<Entry<'a>>)>,
    repairs: Vec<RepairRow>,
    gaps: Vec<String>,
    digest: String,
    evidence: &'a str,
    qr: String,
}
