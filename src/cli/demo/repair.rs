//! The repair that the demo shows: Ma'anshan repairs a penalty, three cities recognise that and the fourth refuses, because
//! its policy says so.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::ceremony::person;
use super::folder::{Folder, this_program};
use super::nodes::{self, SITES, Site};
use super::samples;
use crate::cli::print_line as say;

/// How long the partners may take.
const DECIDED_WITHIN: Duration = Duration::from_secs(60);
/// The policy of the city that refuses.
const POLICY: &str = r#"// 示例: repairs of Ma'anshan have no effect here.
@id("demo-refuse-maanshan")
@title("示例：不认可马鞍山市的修复")
@reason("示例：本市另行核实后再予认可")
forbid (principal == Node::"340500", action == Action::"recognise", resource);
"#;

/// Which city refuses.
fn refuses() -> &'static Site {
    &SITES[4]
}

/// Gives the last city policies of its own, before it serves.
pub async fn lay_out_policy(folder: &Folder) -> Result<()> {
    let site = refuses();
    let policies = folder.of(site).join("policy");
    let export = nodes::kaopu().args(["policy", "export"]).arg(&policies).arg("-c").arg(folder.config(site)).output();
    nodes::done("policy export", export.await)?;
    fs::write(policies.join("demo.cedar"), POLICY).context("cannot write the policy")?;
    let config = folder.of(site).join("node.toml");
    let text = fs::read_to_string(&config).context("cannot read node.toml")?;
    fs::write(&config, format!("policy = \"policy\"\n{text}")).context("cannot write node.toml")
}

/// Repairs, waits for all partners, and says what each made of it.
pub async fn show(folder: &Folder) -> Result<()> {
    let issuer = &SITES[1];
    let (code, name) = samples::ENTERPRISE;
    let Some(penalty) = standing_penalty(folder, issuer, code).await? else {
        say(&format!("The penalty of {} {} was repaired in an earlier demo.", issuer.id, issuer.name));
        return Ok(());
    };
    let (digest, number) = (text(&penalty, "digest"), text(&penalty["body"], "number"));
    say(&format!("{} {} repairs 信用修复 {number} of {name}:", issuer.id, issuer.name));
    let authority = text(&penalty["body"], "authority");
    let words = [
        "repair",
        digest,
        "--type",
        "终止公示",
        "--authority",
        authority,
        "--reason",
        "已履行义务并作出信用承诺（示例）",
    ];
    let repair = person(folder, issuer, &words).await?;
    let repair = text(&repair, "digest").to_owned();
    for partner in decided(folder, issuer, &repair).await? {
        let reason = partner["reason"].as_str().map(|reason| format!(": {reason}")).unwrap_or_default();
        let node = SITES.iter().find(|site| partner["node"] == site.id).map_or("?", |site| site.name);
        say(&format!("  {} {node}  {}{reason}", text(&partner, "node"), text(&partner, "outcome")));
    }
    for (site, effect) in [(&SITES[0], false), (refuses(), true)] {
        let there = nodes::record(folder, site, code).await?.iter().any(|record| record["digest"] == digest);
        if there != effect {
            bail!("at {} the penalty is {}", site.id, if there { "still there" } else { "gone" });
        }
    }
    say(&format!(
        "At {} the penalty is not shown, shared or used any more; at {} it stands.",
        SITES[0].name,
        refuses().name
    ));
    say(&format!("  {} recognise show -c {} {repair}", this_program(), folder.config(issuer)));
    Ok(())
}

/// The penalty of a city about the enterprise, where that was not repaired in an earlier demo.
pub async fn standing_penalty(folder: &Folder, issuer: &Site, code: &str) -> Result<Option<Value>> {
    let mut records = nodes::record(folder, issuer, code).await?.into_iter();
    Ok(records.find(|record| {
        record["issuer"] == issuer.id && record["kind"] == "penalty" && record["status"] != "superseded"
    }))
}

/// Prints the enterprise's report over all regions, and checks it as anybody could.
pub async fn report(folder: &Folder) -> Result<()> {
    let (site, (code, name)) = (&SITES[0], samples::ENTERPRISE);
    let page = folder.of(site).join("report.html");
    let make = nodes::kaopu()
        .args(["report", code, "--purpose", "award", "--basis", "示例：表彰评优前核查", "-c"])
        .arg(folder.config(site))
        .arg("--html")
        .arg(&page)
        .output();
    nodes::done("report", make.await)?;
    let evidence = page.with_extension("evidence.jsonl");
    nodes::done("audit report", nodes::kaopu().args(["audit", "report"]).arg(&evidence).output().await)?;
    say(&format!(
        "{} {} made a credit report 信用报告 of {name}, and its evidence checks without any node:",
        site.id, site.name
    ));
    say(&format!("  {}", page.display()));
    say(&format!("  {} audit report {}", this_program(), evidence.display()));
    Ok(())
}

/// What the partners made of a repair, once all have decided.
async fn decided(folder: &Folder, issuer: &Site, repair: &str) -> Result<Vec<Value>> {
    let deadline = Instant::now() + DECIDED_WITHIN;
    loop {
        let overview = person(folder, issuer, &["recognise", "show", repair]).await?;
        let partners = overview["partners"].as_array().cloned().unwrap_or_default();
        if partners.len() == SITES.len() - 1 && partners.iter().all(|partner| partner["outcome"] != "silent") {
            let recognised = partners.iter().filter(|partner| partner["outcome"] == "recognised").count();
            if recognised != SITES.len() - 2 {
                bail!("{recognised} partners recognise the repair, not {}", SITES.len() - 2);
            }
            return Ok(partners);
        }
        if Instant::now() > deadline {
            bail!("not all partners have decided: {overview}");
        }
        sleep(Duration::from_millis(200)).await;
    }
}

/// A member of a result; nothing where it is not there.
pub fn text<'v>(value: &'v Value, member: &str) -> &'v str {
    value[member].as_str().unwrap_or_default()
}
