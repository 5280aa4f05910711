//! The look-up that the demo ends with: one enterprise over five regions, a line for each record.

use std::collections::BTreeSet;

use anyhow::{Result, bail};
use serde_json::Value;

use super::folder::{Folder, this_program};
use super::nodes::{self, SITES, Site};
use super::samples;
use crate::cli::print_line as say;

/// Members that tell a record from others of its kind, in this order.
const TELLING: [&str; 6] = ["number", "title", "list", "domain", "capital", "statement"];

/// Asks one node about the enterprise that all five know; fails unless it has verified records of all five.
pub async fn show(folder: &Folder, site: &Site) -> Result<()> {
    let (code, name) = samples::ENTERPRISE;
    let mut records = nodes::record(folder, site, code).await?;
    records.sort_by_key(|record| (place_of(record), record["index"].as_u64()));
    say(&format!("What {} {} holds about {name} {code}, of all five regions:", site.id, site.name));
    for record in &records {
        say(&line(record));
    }
    say("In full, with what each record says:");
    say(&format!("  {} record -c {} {code}", this_program(), folder.config(site)));
    let verified = records.iter().filter(|record| record["verified"] == true);
    let regions: BTreeSet<_> = verified.map(place_of).collect();
    if regions.len() != SITES.len() {
        bail!("the look-up has verified records of {} regions, not of {}", regions.len(), SITES.len());
    }
    Ok(())
}

fn line(record: &Value) -> String {
    let text = |name: &str| record[name].as_str().unwrap_or("?");
    let issuer = SITES.get(place_of(record)).map_or("?", |site| site.name);
    let telling = TELLING.iter().find_map(|member| record["body"][member].as_str()).unwrap_or("");
    let verified = if record["verified"] == true { "verified 已验证" } else { "NOT VERIFIED 未验证" };
    format!(
        "  {} {} {} {:<10} {verified}  {} index {}",
        wide(issuer, 14),
        wide(text("title"), 16),
        wide(telling, 30),
        text("status"),
        text("origin"),
        record["index"]
    )
}

/// Which of the sites issued a record.
fn place_of(record: &Value) -> usize {
    SITES.iter().position(|site| record["issuer"] == site.id).unwrap_or(SITES.len())
}

/// A text filled up with spaces to a width on the terminal, where a Chinese character takes two columns.
fn wide(text: &str, width: usize) -> String {
    let taken: usize = text.chars().map(|c| if c.is_ascii() { 1 } else { 2 }).sum();
    format!("{text}{}", " ".repeat(width.saturating_sub(taken)))
}
