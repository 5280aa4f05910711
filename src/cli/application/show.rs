//! `kaopu application list` and `show`.

use kaopu::node::Node;
use kaopu::node::applications::{Applications, Overview};
use kaopu::statement::Digest;

use crate::cli::{Shared, print_json, print_line};

/// List applications
#[derive(Debug, clap::Args)]
pub struct List {
    /// Also those that are at their end, and those between others
    #[arg(long)]
    all: bool,
    /// Only those of which this node does the next step 本地待办
    #[arg(long)]
    mine: bool,
    /// Only those that are late 逾期
    #[arg(long)]
    late: bool,
}

/// Show an application
#[derive(Debug, clap::Args)]
pub struct Show {
    /// Its digest
    #[arg(value_name = "DIGEST", value_parser = crate::cli::digest::digest)]
    digest: Digest,
}

impl List {
    pub(super) async fn run(self, shared: &Shared, node: &Node) -> anyhow::Result<()> {
        let mut all = Applications::of(node).overviews(self.all).await?;
        all.retain(|one| {
            (self.all || (one.role.is_some() && one.next.is_some()))
                && (!self.mine || one.next.as_ref() == Some(&node.id))
                && (!self.late || one.late)
        });
        if shared.json {
            return print_json(&all);
        }
        if all.is_empty() {
            print_line("no application is under way 没有办理中的申请");
        }
        for one in &all {
            head(one);
        }
        Ok(())
    }
}

impl Show {
    pub(super) async fn run(self, shared: &Shared, node: &Node) -> anyhow::Result<()> {
        let one = Applications::of(node).overview(&self.digest).await?;
        if shared.json {
            return print_json(&one);
        }
        head(&one);
        for step in &one.steps {
            let due = step.due.as_deref().map(|due| format!(", due {due}")).unwrap_or_default();
            let late = if step.late { " LATE 逾期" } else { "" };
            let reason = step.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
            print_line(&format!("  {}  {} {} by {}{due}{late}{reason}", step.when, step.stage, step.title, step.by));
        }
        if let Some(repair) = &one.repair {
            print_line(&format!("  granted by the repair {repair}; `kaopu recognise show` tells who recognises it"));
        }
        for file in &one.attachments {
            let title = file.title.as_deref().unwrap_or("—");
            let reason = file.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
            let state = match file.state {
                "here" => "here",
                "wanted" => "not here yet 待取",
                "refused" => "not taken 未收取",
                "unwanted" => "not fetched, since the application has ended 已办结，不再收取",
                "erased" => "erased 已清除",
                _ => "between the two nodes alone",
            };
            print_line(&format!("  file {} {title}  {} bytes sealed, {state}{reason}", file.digest, file.size));
        }
        Ok(())
    }
}

fn head(one: &Overview) {
    let whom = [one.name.as_deref(), one.subject.as_deref()].into_iter().flatten().collect::<Vec<_>>().join(" ");
    let of = one.of.as_deref().unwrap_or_default();
    print_line(&format!("{}  {of} {} {}  {whom}", one.digest, one.record_title, one.words));
    let window = one.window_name.as_deref().map(|name| format!(" {name}")).unwrap_or_default();
    let next = match (&one.next, &one.deadline) {
        (Some(next), Some(deadline)) => {
            let unsure = if one.uncertain { " (the calendar does not have that year)" } else { "" };
            let late = if one.late { " LATE 逾期" } else { "" };
            format!("next: {next} by {deadline}{unsure}{late}")
        }
        _ => "at its end 已办结".to_owned(),
    };
    print_line(&format!("  {}{window} → {}  {} {}; {next}", one.window, one.decider, one.stage, one.title));
}
