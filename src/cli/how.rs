//! How something is published: at once, held for a second person, or not at all; and by whom.

use kaopu::import::upload::hold::Terms;
use kaopu::node::Node;
use kaopu::node::peers::Peers;

use super::Shared;
use super::person::As;

/// How it is published.
#[derive(Debug, clap::Args)]
pub struct How {
    /// Say what would come of it, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Hold it for a second person 复核: judge it, keep what would be published, and publish nothing until another person
    /// approves it by `kaopu upload approve`. Needs --as
    #[arg(long)]
    hold: bool,
    #[command(flatten)]
    person: As,
}

/// By whom.
pub struct By {
    /// Who is named as its operator.
    pub operator: String,
    /// On which terms it is held; None where it is published at once, or not at all.
    pub terms: Option<Terms>,
}

impl How {
    /// Who does it, a person where a second one will look at it.
    pub async fn by(&self, shared: &Shared, node: &Node, peers: &Peers) -> anyhow::Result<By> {
        let holds = holds(node, self.hold, self.dry_run);
        let person = if holds { Some(self.person.needed(peers).await?) } else { self.person.person(peers).await? };
        Ok(By {
            operator: person.as_ref().map_or_else(|| shared.operator(), |person| person.name().to_owned()),
            terms: person.as_ref().filter(|_| holds).map(|person| node.terms(person)),
        })
    }
}

/// Whether a second person looks at it first: where that is asked for, or is the rule here.
pub fn holds(node: &Node, hold: bool, dry_run: bool) -> bool {
    (hold || node.config.import.hold) && !dry_run
}
