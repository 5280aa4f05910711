//! `kaopu peer list` and `kaopu peer show`: need no running server and no keys.

use std::process::ExitCode;

use kaopu::clock::Clock;
use kaopu::exchange::standing::RefusedStanding;
use kaopu::node::peers::{PeerView, Peers, PeersError};
use kaopu::statement::NodeId;
use kaopu::store::Db;

use super::{Shared, print_json, print_line};

/// Lists the peers.
pub async fn list(shared: &Shared) -> anyhow::Result<ExitCode> {
    let views = views(shared).await?;
    if shared.json {
        print_json(&views)?;
    } else if views.is_empty() {
        print_line("no peers yet; `kaopu peer invite NODE` invites another node, `kaopu peer add` takes one");
    } else {
        for view in &views {
            let (name, url) = (view.name.as_deref().unwrap_or(""), view.url.as_deref().unwrap_or(""));
            print_line(&format!("{} {name}  {url}  {}", view.node, view.state));
            if let (Some(descriptor), Some(fingerprint)) = (view.descriptor, &view.fingerprint) {
                print_line(&format!("  descriptor {descriptor}, fingerprint {fingerprint}"));
            }
            print_line(&format!("  {}", view.next));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Shows one.
pub async fn show(shared: &Shared, node: &NodeId) -> anyhow::Result<ExitCode> {
    let views = views(shared).await?;
    let view = views.iter().find(|view| view.node == *node).ok_or_else(|| PeersError::Unknown(node.clone()))?;
    if shared.json {
        print_json(view)?;
    } else {
        tell(view);
    }
    Ok(ExitCode::SUCCESS)
}

async fn views(shared: &Shared) -> anyhow::Result<Vec<PeerView>> {
    let config = shared.config()?;
    let db = Db::open(config.store.expose()).await?;
    let views = Peers::views(&db, Clock::System.now_ms()).await;
    db.close().await;
    Ok(views?)
}

fn tell(view: &PeerView) {
    let line = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            print_line(&format!("  {name:<14} {value}"));
        }
    };
    let since = view.since.as_deref().map(|since| format!(" since {since}")).unwrap_or_default();
    print_line(&format!("{} {}", view.node, view.name.as_deref().unwrap_or("")));
    line("state", Some(format!("{}{since}", view.state)));
    line("reason", view.reason.clone());
    line("next", Some(view.next.clone()));
    line(
        "there",
        view.state_there.map(|state| {
            let heard = view.heard.as_deref().unwrap_or("?");
            if view.missing_there.is_empty() {
                format!("{state} (heard {heard})")
            } else {
                format!("{state}, missing: {} (heard {heard})", view.missing_there.join(", "))
            }
        }),
    );
    line("missing here", (!view.missing_here.is_empty()).then(|| view.missing_here.join(", ")));
    line("address", view.url.clone());
    line("fingerprint", view.fingerprint.clone());
    line("root", view.root.clone());
    line(
        "descriptor",
        view.descriptor
            .map(|sequence| format!("{sequence}, holds until {}", view.valid_until.as_deref().unwrap_or("?"))),
    );
    line("proposed by", view.proposed_by.clone());
    line("approved by", view.approved_by.clone());
    line(
        "invited by",
        view.invited
            .as_ref()
            .map(|invited| format!("{}, until {}", invited.by, invited.until.as_deref().unwrap_or("?"))),
    );
    line("picked up", view.picked_up.map(|sequence| format!("descriptor {sequence} of this node")));
    line("last contact", view.last_success.clone());
    line(
        "last failure",
        view.last_error.as_ref().map(|error| format!("{}: {error}", view.last_error_time.as_deref().unwrap_or("?"))),
    );
    let refused = |it: &RefusedStanding| Some(format!("descriptor {}: {} ({})", it.sequence, it.words, it.reason));
    view.refused.iter().for_each(|it| line("refused here", refused(it)));
    view.refused_there.iter().for_each(|it| line("refused there", refused(it)));
    line("cosignatures", view.descriptor.map(|_| view.cosignatures.to_string()));
    view.cosigned.iter().for_each(|newest| line("cosigned", Some(newest.words())));
    for key in &view.keys {
        let state = serde_json::to_value(key.state).ok().and_then(|state| state.as_str().map(str::to_owned));
        print_line(&format!("    {:<14} {}  {}", key.purpose, key.id, state.unwrap_or_default()));
    }
}
