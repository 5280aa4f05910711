//! What a decision to repair, or to revoke a repair, says: the options that `kaopu repair`, `kaopu repair revoke` and
//! `kaopu application decide` share.

use clap::builder::PossibleValuesParser;
use jiff::civil::Date;
use kaopu::import::mend;
use serde_json::{Map, Value};

use super::which::{body, day, text};

/// Of a decision to repair. What of it must be given, each command says.
#[derive(Debug, clap::Args)]
pub struct Granted {
    /// 修复类型
    #[arg(long = "type", value_name = "TYPE", value_parser = PossibleValuesParser::new(["终止公示", "移出名单", "信用评价修复", "暂时屏蔽"]))]
    of: Option<String>,
    /// The 统一社会信用代码 of who decided
    #[arg(long, value_name = "CODE")]
    authority_code: Option<String>,
    #[command(flatten)]
    ruling: Ruling,
    /// The last day, of 暂时屏蔽
    #[arg(long, value_name = "DATE", value_parser = day)]
    until: Option<String>,
}

/// Of a decision to repair, or to revoke a repair.
#[derive(Debug, clap::Args)]
pub struct Ruling {
    /// Who decided: the department that made the finding
    #[arg(long, value_name = "NAME")]
    authority: Option<String>,
    /// Why, in words; partners can read it
    #[arg(long, value_name = "TEXT", value_parser = crate::cli::words)]
    reason: Option<String>,
    /// The 文号 of this decision
    #[arg(long, value_name = "文号")]
    document: Option<String>,
    /// When it was decided; today where it is not said
    #[arg(long, value_name = "DATE", value_parser = day)]
    decided: Option<String>,
    /// From which day on it takes effect; that of the decision where it is not said
    #[arg(long, value_name = "DATE", value_parser = day)]
    effective: Option<String>,
}

impl Granted {
    /// The ids of all its options.
    pub const IDS: [&str; 8] =
        ["of", "authority", "authority_code", "reason", "document", "decided", "effective", "until"];

    /// As members of a repair's body.
    pub fn body(&self, today: Date) -> Map<String, Value> {
        let mut said = self.ruling.body(today);
        said.extend(body([
            ("type", text(self.of.as_ref())),
            ("authority_uscc", text(self.authority_code.as_ref())),
            ("until", text(self.until.as_ref())),
        ]));
        said
    }
}

impl Ruling {
    /// As members of a body.
    pub fn body(&self, today: Date) -> Map<String, Value> {
        let decided = self.decided.clone().unwrap_or_else(|| today.to_string());
        let effective = self.effective.clone().unwrap_or_else(|| decided.clone());
        body([
            ("number", self.document.as_ref().map(|number| mend::document_number(number.trim()).into())),
            ("decided", text(Some(&decided))),
            ("authority", text(self.authority.as_ref())),
            ("effective", text(Some(&effective))),
            ("reason", text(self.reason.as_ref())),
        ])
    }
}
