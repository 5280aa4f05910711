//! `kaopu audit report`: a report's evidence file, checked offline.

use std::io::Read as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use kaopu::report::model::{digest_of_qr, qr_text};
use kaopu::report::{Checked, check, page};
use kaopu::statement::{Digest, Kinds};
use kaopu::trust::descriptor::spoken;
use serde_json::json;

use super::super::digest::digest;
use super::super::{Shared, print_json, print_line};

/// The largest evidence file that is read, in bytes.
const MOST: u64 = 1 << 30;

/// Check a credit report's evidence file: needs no configuration, network or database 核验信用报告
#[derive(Debug, clap::Args)]
pub struct CheckReport {
    /// The evidence file, as it came with the report
    file: PathBuf,
    /// What the QR code of the report says: kaopu:report:… or the digest alone
    #[arg(long, value_name = "DIGEST", value_parser = shown)]
    digest: Option<Digest>,
    /// The fingerprint of a city's descriptor as it was read out to you: 30 digits, or the whole of it; for each city
    #[arg(long, value_name = "FINGERPRINT")]
    root: Vec<String>,
    /// A folder with schemas of further kinds
    #[arg(long, value_name = "FOLDER")]
    schemas: Option<PathBuf>,
}

/// What a QR code says, or the digest alone.
fn shown(typed: &str) -> Result<Digest, String> {
    digest(typed).or_else(|_| digest_of_qr(typed).map_err(|error| error.to_string()))
}

impl CheckReport {
    /// Checks it.
    pub fn run(self, shared: &Shared) -> anyhow::Result<ExitCode> {
        let mut kinds = Kinds::builtin()?;
        if let Some(folder) = &self.schemas {
            kinds = kinds.with_folder(folder)?;
        }
        let named = || format!("{} cannot be read", self.file.display());
        let mut bytes = Vec::new();
        std::fs::File::open(&self.file).with_context(named)?.take(MOST + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MOST {
            bail!("{} is larger than any evidence file", self.file.display());
        }
        let text = String::from_utf8(bytes).with_context(|| format!("{}: not UTF-8", self.file.display()))?;
        let checked = check(&text, self.digest.as_ref(), &self.root, &kinds);
        let unknown = self.root.len().saturating_sub(checked.cities.iter().filter(|city| city.trusted).count());
        if shared.json {
            print_json(&as_json(&checked, self.digest.is_some()))?;
        } else {
            tell(&checked, self.digest.is_some());
            if unknown > 0 {
                print_line(&format!("{unknown} of the fingerprints given with --root are of no city in this file"));
            }
        }
        Ok(if checked.faults.is_empty() && unknown == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn tell(checked: &Checked, compared: bool) {
    if let Some(report) = &checked.report {
        let name = report.names.first().map_or("", String::as_str);
        print_line(&format!("{}  {name}  {} {}", report.subject, report.purpose, report.purpose.title()));
        print_line(&format!("made 出具: {} {}, {}", report.by.node, report.by.name, page::time(report.made)));
    }
    print_line(&format!(
        "{} statements proven to stand in their city's log 已证明, {} of which the signature alone was verified 仅验证签名",
        checked.proven, checked.signed
    ));
    for fault in &checked.faults {
        print_line(&format!("fault 错误: {fault}"));
    }
    if !checked.faults.is_empty() {
        return print_line("this file must not be relied on 该文件不可采信");
    }
    print_line("no fault found 未发现错误");
    if !compared {
        print_line("compare this with the QR code of the report, or give it with --digest 请与报告二维码核对:");
        print_line(&format!("  {}", qr_text(&checked.digest)));
    }
    for city in &checked.cities {
        let trusted =
            if city.trusted { "the fingerprint that you gave 指纹相符" } else { "compare with the city 请核对" };
        print_line(&format!("  {}  {}  {trusted}", city.node, spoken(&city.fingerprint)));
    }
}

fn as_json(checked: &Checked, compared: bool) -> serde_json::Value {
    let cities = checked.cities.iter();
    let cities: Vec<_> = cities
        .map(|city| json!({"node": city.node, "fingerprint": city.fingerprint, "trusted": city.trusted}))
        .collect();
    json!({
        "digest": checked.digest,
        "compared": compared,
        "subject": checked.report.as_ref().map(|report| &report.subject),
        "proven": checked.proven,
        "signed": checked.signed,
        "cities": cities,
        "faults": checked.faults.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}
