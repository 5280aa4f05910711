//! `kaopu application decide`: the repair that was asked for is granted.

use anyhow::bail;
use kaopu::node::Node;
use kaopu::node::applications::{Applications, Grant};
use kaopu::statement::Digest;

use super::{Which, operator, tell};
use crate::cli::granted::Granted;
use crate::cli::{Shared, print_json};

/// Grant the repair
#[derive(Debug, clap::Args)]
#[command(
    mut_arg("of", |arg| arg.help("修复类型; what was applied for where it is not said")),
    mut_arg("authority", |arg| arg.required_unless_present("repair")),
    mut_arg("reason", |arg| arg.required_unless_present("repair"))
)]
pub struct Decide {
    #[command(flatten)]
    which: Which,
    /// A repair of the record that this node has said already; else it is said now
    #[arg(long, value_name = "DIGEST", value_parser = crate::cli::digest::digest, conflicts_with_all = Granted::IDS)]
    repair: Option<Digest>,
    #[command(flatten)]
    granted: Granted,
}

impl Decide {
    pub(super) async fn run(self, shared: &Shared, node: &Node) -> anyhow::Result<()> {
        let by = operator(shared, node, &self.which.person).await?;
        let grant = match self.repair {
            Some(repair) => Grant::Said(repair),
            None if node.config.import.hold && !self.which.dry_run => bail!(
                "with hold = true in [import] a second person looks at the repair before it is published 须经复核: say it by \
                 `kaopu repair`, have it approved by `kaopu upload approve`, then name it here with --repair DIGEST"
            ),
            None => Grant::New(self.granted.body(node.clock.today())),
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
