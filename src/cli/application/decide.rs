//! `kaopu application decide`: the repair that was asked for is granted.

use anyhow::bail;
use clap::builder::PossibleValuesParser;
use kaopu::import::mend;
use kaopu::node::Node;
use kaopu::node::applications::{Applications, Grant};
use kaopu::statement::Digest;

use super::{Which, operator, tell};
use crate::cli::which::{body, day, text};
use crate::cli::{Shared, print_json};

/// Grant the repair
#[derive(Debug, clap::Args)]
pub struct Decide {
    #[command(flatten)]
    which: Which,
    /// A repair of the record that this node has said already; else it is said now
    #[arg(long, value_name = "DIGEST", value_parser = crate::cli::digest::digest, conflicts_with_all = ["of", "authority", "reason", "document", "decided", "effective", "until"])]
    repair: Option<Digest>,
    /// 修复类型; what was applied for where it is not said
    #[arg(long = "type", id = "of", value_name = "TYPE", value_parser = PossibleValuesParser::new(["终止公示", "移出名单", "信用评价修复", "暂时屏蔽"]))]
    of: Option<String>,
    /// Who decided: the department that made the finding
    #[arg(long, value_name = "NAME", required_unless_present = "repair")]
    authority: Option<String>,
    /// … and its 统一社会信用代码
    #[arg(long, value_name = "CODE", conflicts_with = "repair")]
    authority_code: Option<String>,
    /// Why, in words; partners can read it
    #[arg(long, value_name = "TEXT", required_unless_present = "repair")]
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
    /// The last day, of 暂时屏蔽
    #[arg(long, value_name = "DATE", value_parser = day)]
    until: Option<String>,
}

impl Decide {
    pub(super) async fn run(self, shared: &Shared, node: &Node) -> anyhow::Result<()> {
        let by = operator(shared, node, &self.which.person).await?;
        let decided = self.decided.unwrap_or_else(|| node.clock.today().to_string());
        let effective = self.effective.unwrap_or_else(|| decided.clone());
        let grant = match self.repair {
            Some(repair) => Grant::Said(repair),
            None if node.config.import.hold && !self.which.dry_run => bail!(
                "with hold = true in [import] a second person looks at the repair before it is published 须经复核: say it by \
                 `kaopu repair`, have it approved by `kaopu upload approve`, then name it here with --repair DIGEST"
            ),
            None => Grant::New(body([
                ("type", text(self.of.as_ref())),
                ("number", self.document.as_ref().map(|number| mend::document_number(number.trim()).into())),
                ("decided", text(Some(&decided))),
                ("authority", text(self.authority.as_ref())),
                ("authority_uscc", text(self.authority_code.as_ref())),
                ("effective", text(Some(&effective))),
                ("until", text(self.until.as_ref())),
                ("reason", text(self.reason.as_ref())),
            ])),
        };
        let applications = Applications::by(node, &by);
        let (repair, said) = Box::pin(applications.decide(&self.which.digest, grant, self.which.dry_run)).await?;
        if shared.json {
            tracing::info!(digest = ?said.digest, about = %said.about, operator = by, "said");
            return print_json(&serde_json::json!({"repair": repair, "application": said}));
        }
        if let Some(repair) = &repair {
            tell(shared, node, repair, &by)?;
        }
        tell(shared, node, &said, &by)
    }
}
