//! The repair that the demo shows at another city's window 异地受理: the enterprise asks at Putuo, where it is, for the repair
//! of a penalty of Chuzhou, which accepts and decides. Both ends see the same of it.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::ceremony::{PERSONS, person};
use super::folder::{Folder, this_program};
use super::nodes::{self, SITES, Site};
use super::repair::{standing_penalty, text};
use super::samples;
use crate::cli::print_line as say;

/// How long the other side may take to hear of something.
const HEARD_WITHIN: Duration = Duration::from_secs(60);
/// What the enterprise hands in.
const COMMITMENT: &str = "信用承诺书（示例）：本企业已纠正失信行为并履行全部义务，所提交材料真实、合法、有效。\n";
const WINDOW: &str = "普陀区政务服务中心（示例）";

/// Files, accepts and decides, and says what each end sees. What was interrupted goes on.
pub async fn show(folder: &Folder) -> Result<()> {
    let (window, decider) = (&SITES[0], &SITES[3]);
    let (code, name) = samples::ENTERPRISE;
    let Some(penalty) = standing_penalty(folder, decider, code).await? else {
        say(&format!("The penalty of {} {} was repaired in an earlier demo.", decider.id, decider.name));
        return Ok(());
    };
    let (record, number) = (text(&penalty, "digest"), text(&penalty["body"], "number"));
    say(&format!(
        "{name} is in {0}, and asks there for the repair of {number} of {1} 异地受理:",
        window.name, decider.name
    ));
    let application = match open(folder, window, record).await? {
        Some(application) => application,
        None => file(folder, window, record).await?,
    };
    let arrived =
        |seen: &Value| seen["attachments"].as_array().is_some_and(|all| all.iter().all(|file| file["state"] == "here"));
    let there = until(folder, decider, &application, &arrived).await?;
    tell(window, &seen(folder, window, &application).await?);
    tell(decider, &there);
    let sealed = text(&there["attachments"][0], "digest");
    let out = folder.of(decider).join(format!("{}.txt", sealed.get(..8).unwrap_or(sealed)));
    if !out.exists() {
        let out = out.to_string_lossy();
        person(folder, decider, &["application", "attachment", sealed, "--out", &out, "--as", PERSONS[0]]).await?;
    }
    say(&format!("  {} opened the file, which was sealed at the window for it alone", decider.name));
    if there["stage"] != "accepted" {
        person(folder, decider, &["application", "accept", &application, "--as", PERSONS[0]]).await?;
        tell(window, &until(folder, window, &application, &|seen| seen["stage"] == "accepted").await?);
    }
    let (authority, reason) = (text(&penalty["body"], "authority"), "已履行义务并作出信用承诺（示例）");
    let decide = ["application", "decide", &application, "--authority", authority, "--reason", reason];
    person(folder, decider, &[&decide[..], &["--as", PERSONS[1]]].concat()).await?;
    tell(decider, &seen(folder, decider, &application).await?);
    tell(window, &until(folder, window, &application, &|seen| seen["stage"] == "decided").await?);
    recognised(folder, window, code, record).await?;
    say(&format!("At {} the penalty is not shown, shared or used any more either.", window.name));
    for site in [window, decider] {
        say(&format!("  {} application show -c {} {application}", this_program(), folder.config(site)));
    }
    Ok(())
}

/// What a demo that was interrupted has filed.
async fn open(folder: &Folder, window: &Site, record: &str) -> Result<Option<String>> {
    let all = person(folder, window, &["application", "list"]).await?;
    let found = all.as_array().into_iter().flatten().find(|one| one["record"] == record);
    Ok(found.map(|one| text(one, "digest").to_owned()))
}

async fn file(folder: &Folder, window: &Site, record: &str) -> Result<String> {
    let path = folder.of(window).join("commitment.txt");
    fs::write(&path, COMMITMENT).with_context(|| format!("cannot write {}", path.display()))?;
    let path = path.to_string_lossy();
    let attach = format!("信用承诺书={path}");
    let words = ["application", "file", record, "--type", "终止公示", "--window", WINDOW, "--commitment", &path];
    let filed = person(folder, window, &[&words[..], &["--attach", &attach, "--as", PERSONS[0]]].concat()).await?;
    Ok(text(&filed, "digest").to_owned())
}

/// `310107 上海市普陀区 sees it: accepted 已受理; 341100 滁州市 acts next, by 2026-12-11`
fn tell(site: &Site, seen: &Value) {
    let next = SITES.iter().find(|site| seen["next"] == site.id);
    let next = next.map_or("at its end 已办结".to_owned(), |next| {
        format!("{} {} acts next, by {}", next.id, next.name, text(seen, "deadline"))
    });
    let (stage, title) = (text(seen, "stage"), text(seen, "title"));
    say(&format!("  {} {} sees it: {stage} {title}; {next}", site.id, site.name));
}

async fn seen(folder: &Folder, site: &Site, application: &str) -> Result<Value> {
    person(folder, site, &["application", "show", application]).await
}

/// How a node sees it once something holds.
async fn until(folder: &Folder, site: &Site, application: &str, holds: &dyn Fn(&Value) -> bool) -> Result<Value> {
    let deadline = Instant::now() + HEARD_WITHIN;
    loop {
        // it is not there at first
        let found = seen(folder, site, application).await;
        match found {
            Ok(seen) if holds(&seen) => return Ok(seen),
            found if Instant::now() > deadline => bail!("{} has not heard what became of it: {found:?}", site.name),
            _ => sleep(Duration::from_millis(100)).await,
        }
    }
}

/// Waits until a node has recognised the repair of a record: it is not told of any more.
async fn recognised(folder: &Folder, site: &Site, code: &str, record: &str) -> Result<()> {
    let deadline = Instant::now() + HEARD_WITHIN;
    while nodes::record(folder, site, code).await?.iter().any(|known| known["digest"] == record) {
        if Instant::now() > deadline {
            bail!("at {} the penalty is still there", site.name);
        }
        sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}
