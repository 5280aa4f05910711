//! `kaopu quality`: the monthly figures of data quality.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use kaopu::clock::Clock;
use kaopu::node;
use kaopu::node::quality::{Figures, NotAMonth, Quality, Rate, month};
use kaopu::store::Db;

use super::{Shared, print_json, print_line};

/// Show how timely, accurate and complete each department's files were in a month 双公示评估
#[derive(Debug, clap::Args)]
pub struct ShowQuality {
    /// Which month, as 2026-06; without it the present one
    #[arg(long, value_name = "YYYY-MM", value_parser = parse_month)]
    month: Option<String>,
    /// Write the figures to a file as well, for a spreadsheet
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
}

fn parse_month(text: &str) -> Result<String, NotAMonth> {
    month(text)
}

impl ShowQuality {
    /// Looks at the store; needs no running server and no keys.
    pub async fn run(self, shared: &Shared) -> anyhow::Result<ExitCode> {
        let config = shared.config()?;
        let kinds = node::kinds(&config)?;
        let days = config.rules()?.deadlines.publish;
        let month = self.month.unwrap_or_else(|| Clock::System.today().strftime("%Y-%m").to_string());
        let db = Db::open(config.store.expose()).await?;
        let quality = Quality::of(&db, &kinds, &month).await?;
        db.close().await;
        if let Some(path) = &self.csv {
            let cannot = || format!("cannot write {}", path.display());
            let mut file = BufWriter::new(File::create(path).with_context(cannot)?);
            quality.write_csv(&mut file).and_then(|()| file.flush()).with_context(cannot)?;
        }
        if shared.json {
            print_json(&quality)?;
        } else {
            print_line(&table(&quality, days));
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn table(quality: &Quality, days: u32) -> String {
    let mut out = format!("{} 双公示评估 (UTC+8)", quality.month);
    if quality.departments.is_empty() {
        out.push_str(": no licence or penalty came 无行政许可、行政处罚报送");
    } else {
        out.push_str("\n   timely及时  accurate准确  complete完整       rows报送     valid合格    kind, department");
        quality.departments.iter().chain(&quality.total).for_each(|figures| line(&mut out, figures));
        out.push_str(&format!(
            "\n* full marks 满分: 95 % and more. Timely: published within {days} working days of the decision."
        ));
    }
    if !quality.others.is_empty() {
        out.push_str("\n\nother kinds 其他类别");
        quality.others.iter().for_each(|figures| line(&mut out, figures));
    }
    out
}

fn line(out: &mut String, figures: &Figures) {
    let rate = |rate: Rate| {
        let percent = rate.percent().map_or_else(|| "—".to_owned(), |percent| format!("{percent} %"));
        format!("{percent}{}", if rate.is_full() { "*" } else { " " })
    };
    let department =
        if figures.department.is_empty() && figures.title != "合计" { "未注明" } else { &figures.department };
    out.push_str(&format!(
        "\n  {:>10}    {:>10}    {:>10}  {:>13}  {:>13}    {} {department}",
        rate(figures.timeliness),
        rate(figures.accuracy),
        rate(figures.completeness),
        figures.tally.submitted,
        figures.tally.valid,
        figures.title
    ));
}
