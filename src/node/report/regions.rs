//! How far each region is covered: what is mirrored, how old that is, and what was said when it was asked.

use std::collections::HashMap;

use super::super::lookup::{Found, MOST};
use super::super::status::state_name;
use super::Around;
use crate::exchange::finding::{Came, Finding};
use crate::log::origin::LogName;
use crate::report::model::{Asked, Coverage, Region};
use crate::statement::NodeId;
use crate::store::{LogRow, LogState};
use crate::trust::state::PeerState;

/// Each region, the own one first.
pub(super) fn regions(
    own: &NodeId,
    around: &Around,
    found: &[Found],
    items: &HashMap<NodeId, u64>,
    findings: Option<&[Finding]>,
) -> Vec<Region> {
    let mirrored = around.logs.iter().filter(|log| log.origin.log == LogName::Records).map(|log| &log.origin.node);
    let active = around.peers.iter().filter(|peer| peer.state == PeerState::Active).map(|peer| &peer.node);
    let heard = findings.unwrap_or_default().iter().map(|finding| &finding.node);
    let mut nodes: Vec<&NodeId> = mirrored.chain(active).chain(heard).chain([own]).collect();
    nodes.sort_by_key(|node| (*node != own, (*node).clone()));
    nodes.dedup();
    let region = |node: &NodeId| {
        let logs = around.logs.iter().filter(|log| log.origin.log == LogName::Records && log.origin.node == *node);
        let logs: Vec<Coverage> = logs.map(|log| coverage(log, found)).collect();
        let asked = findings.and_then(|all| all.iter().find(|finding| finding.node == *node)).map(asked);
        let covered = match (&asked, findings) {
            (Some(asked), _) => asked.complete && matches!(asked.result.as_str(), "yes" | "none"),
            // all were to be asked, and this one was not
            (None, Some(_)) if node != own => false,
            (None, _) => is_whole(&logs),
        };
        Region {
            node: node.clone(),
            name: around.name(node),
            logs,
            items: items.get(node).copied().unwrap_or(0),
            asked,
            covered,
        }
    };
    nodes.into_iter().map(region).collect()
}

/// Whether what is here of a region's logs is all that it had said by then.
fn is_whole(logs: &[Coverage]) -> bool {
    let holds = |log: &Coverage| log.size.is_some() && log.state != "frozen" && !log.truncated && log.revoked.is_none();
    !logs.is_empty() && logs.iter().all(holds)
}

fn coverage(log: &LogRow, found: &[Found]) -> Coverage {
    let complete = log.complete.as_ref();
    let size = complete.map(|head| head.size);
    let newest = log.head.as_ref().map_or(0, |head| head.size);
    // events of the log count too towards what is read of it
    let said = found.iter().flat_map(|found| &found.said).filter(|said| said.issuer == log.origin.node).count();
    let read = found.iter().filter(|found| found.origin == log.origin).count() + said;
    Coverage {
        origin: log.origin.clone(),
        size,
        seen: complete.map(|head| head.seen_ms.div_euclid(1000)),
        behind: newest.saturating_sub(size.unwrap_or(0)),
        state: if log.state == LogState::Open { "open" } else { state_name(log.state) }.to_owned(),
        revoked: log.revoked_ms.map(|ms| ms.div_euclid(1000)),
        truncated: read >= MOST as usize,
    }
}

fn asked(finding: &Finding) -> Asked {
    // what came of some pages is not all, whatever it says
    let came = if finding.complete || finding.came != Came::None { finding.came } else { Came::Unavailable };
    Asked {
        result: came.as_str().to_owned(),
        title: came.title().to_owned(),
        reason: finding.reason.clone(),
        complete: finding.complete,
        withheld: finding.withheld.iter().map(|it| (it.kind.clone(), it.reason.clone())).collect(),
        looked_through: finding.coverage.as_ref().map(|coverage| coverage.size),
        answers: finding.answers.clone(),
    }
}
