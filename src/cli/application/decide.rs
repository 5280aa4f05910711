//! `kaopu application decide`: the repair that was asked for is granted.

use anyhow::Context as _;
use kaopu::node::Node;
use kaopu::node::applications::{Applications, Grant};
use kaopu::node::peers::Peers;
use kaopu::statement::Digest;

use super::{Which, operator, tell};
use crate::cli::granted::Granted;
use crate::cli::how::holds;
use crate::cli::upload::held;
use crate::cli::which::{hold, tell_about};
use crate::cli::{Shared, print_json, print_line};

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
    /// Hold the repair for a second person 复核, as `kaopu repair --hold` does. Once another person has approved it, it ends the
    /// application with --repair. Needs --as
    #[arg(long, conflicts_with = "repair")]
    hold: bool,
    #[command(flatten)]
    granted: Granted,
}

impl Decide {
    pub(super) async fn run(self, shared: &Shared, node: &Node) -> anyhow::Result<()> {
        let grant = match self.repair {
            Some(repair) => Grant::Said(repair),
            None => Grant::New(self.granted.body(node.clock.today())),
        };
        if self.repair.is_none() && holds(node, self.hold, self.which.dry_run) {
            return self.hold(shared, node, grant).await;
        }
        let by = operator(shared, node, &self.which.person).await?;
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

    /// Holds the repair alone: the application is at its end once it names a repair that there is.
    async fn hold(&self, shared: &Shared, node: &Node, grant: Grant) -> anyhow::Result<()> {
        let person = self.which.person.needed(&Peers::of(node)).await?;
        let applications = Applications::by(node, person.name());
        let (repair, _) = Box::pin(applications.decide(&self.which.digest, grant, true)).await?;
        let repair = repair.context("no repair was rehearsed")?;
        let held = hold(node, &repair, &node.terms(&person)).await?;
        if shared.json {
            return print_json(&serde_json::json!({"repair": repair, "application": null, "hold": held}));
        }
        tell_about(&repair, &node.kinds.newest(&repair.kind).map(|kind| kind.title.clone()).unwrap_or_default());
        held.iter().for_each(held::tell);
        print_line(&format!(
            "the application is not decided yet 申请尚未办结: once it is approved, end it with the repair that `kaopu upload approve` names:\n  \
             kaopu application decide {} --repair DIGEST --as NAME",
            self.which.digest
        ));
        Ok(())
    }
}
