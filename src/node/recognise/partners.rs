//! Which partners are late to decide on this node's own repairs: an enterprise that was repaired here is still refused there.
//! Told in the journal each day, in `status`, in the figures and by `doctor`.

use std::collections::{HashMap, HashSet};

use jiff::civil::Date;
use serde::Serialize;

use crate::clock::{Clock, begin_of, date_of};
use crate::config::Config;
use crate::log::origin::LogName;
use crate::node::settings::Settings;
use crate::node::status::spoken_span;
use crate::record::Event;
use crate::record::event::RecognitionOutcome;
use crate::statement::{Digest, NodeId, Statement};
use crate::store::peer::PeerRow;
use crate::store::recognised::OfRepair;
use crate::store::{Db, LogRow, StoreError};
use crate::trust::state::PeerState;

/// So many own repairs and revocations are looked at, the newest of those past their deadline: what a look costs does not
/// grow with the log, and a partner that decides on nothing is late with these too.
pub const LOOKED_AT: u32 = 100;
/// A partner that has not answered for so long may have decided meanwhile.
const QUIET_MS: i64 = 3_600_000;

/// Which partners are late.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LatePartners {
    /// Own repairs and revocations past their deadline that were looked at: the newest ones, [`LOOKED_AT`] at most.
    pub looked_at: usize,
    /// Those late with any of these, the longest late first.
    pub partners: Vec<LatePartner>,
    /// In one sentence, and what to do, where one is late.
    pub words: Option<String>,
}

/// A partner that is late.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LatePartner {
    /// Which.
    pub node: NodeId,
    /// With so many repairs and revocations.
    pub repairs: usize,
    /// The one that was due first.
    pub first: Digest,
    /// When that was due.
    pub deadline: String,
    /// What was heard of it: `silent`, or `pending`: it waits for a person there.
    pub outcome: &'static str,
    /// What it means and what to do, in one sentence.
    pub words: String,
}

/// Own repairs past their deadline, and what was made of them.
struct Said {
    /// The oldest first.
    repairs: Vec<(Digest, Statement)>,
    revoked: HashSet<Digest>,
    decided: HashMap<(Digest, NodeId), RecognitionOutcome>,
}

impl LatePartners {
    /// Looks at the store.
    pub async fn of(
        db: &Db,
        config: &Config,
        logs: &[LogRow],
        peers: &[PeerRow],
        settings: &Settings,
        clock: &Clock,
    ) -> Result<Self, StoreError> {
        let within = settings.rules.now().deadlines.recognise;
        let before = begin_of(settings.calendar.now().oldest_in_time(clock.today(), within));
        let said = Said::before(db, logs, before).await?;
        let partners = peers.iter().filter(|peer| peer.state == PeerState::Active);
        let late = partners.filter_map(|peer| late(&said, peer, config, settings, clock));
        let mut late: Vec<(Date, LatePartner)> = late.collect();
        late.sort_by(|(a, one), (b, other)| (a, &one.node).cmp(&(b, &other.node)));
        let partners: Vec<LatePartner> = late.into_iter().map(|(_, partner)| partner).collect();
        let words = partners.first().map(|first| {
            let (count, are) = if partners.len() == 1 { ("1 partner", "is") } else { ("partners", "are") };
            let count = if partners.len() == 1 { count.to_owned() } else { format!("{} {count}", partners.len()) };
            format!("{count} {are} late to decide on repairs of this node 对方互认逾期. First, {}", first.words)
        });
        Ok(Self { looked_at: said.repairs.len(), partners, words })
    }

    /// One of them.
    pub fn find(&self, node: &NodeId) -> Option<&LatePartner> {
        self.partners.iter().find(|partner| partner.node == *node)
    }
}

impl Said {
    async fn before(db: &Db, logs: &[LogRow], before: i64) -> Result<Self, StoreError> {
        let mut own: Vec<&LogRow> = logs.iter().filter(|log| log.own && log.origin.log == LogName::Records).collect();
        own.sort_by_key(|log| std::cmp::Reverse(log.origin.generation));
        let mut repairs = Vec::new();
        for log in own {
            let room = LOOKED_AT.saturating_sub(u32::try_from(repairs.len()).unwrap_or(LOOKED_AT));
            if room > 0 {
                repairs.extend(db.repairs_said_before(log.id, before, room).await?);
            }
        }
        repairs.reverse();
        let digests: Vec<Digest> = repairs.iter().map(|(digest, _)| *digest).collect();
        let (mut revoked, mut decided) = (HashSet::new(), HashMap::new());
        for OfRepair { repair, by, statement } in db.said_of_repairs(&digests).await? {
            match Event::of(&statement.typ.kind, &statement.refs, &statement.body) {
                Some(Event::Recognition { outcome, .. }) => drop(decided.insert((repair, by), outcome)),
                Some(Event::Revocation { .. }) => drop(revoked.insert(repair)),
                _ => {}
            }
        }
        Ok(Self { repairs, revoked, decided })
    }
}

/// The day from which an active peer is a partner: what it could not know before is not counted from before.
pub(super) fn partner_from(peer: &PeerRow) -> Date {
    date_of(peer.changed_ms.div_euclid(1000))
}

/// What a partner is late with.
fn late(
    said: &Said,
    peer: &PeerRow,
    config: &Config,
    settings: &Settings,
    clock: &Clock,
) -> Option<(Date, LatePartner)> {
    let today = clock.today();
    let active_from = partner_from(peer);
    let mut late = said.repairs.iter().filter_map(|(digest, repair)| {
        if said.revoked.contains(digest) || !config.may_read(&repair.aud, &repair.iss, &peer.node) {
            return None;
        }
        let deadline = settings.recognised_by(date_of(repair.iat).max(active_from)).date;
        let outcome = match said.decided.get(&(*digest, peer.node.clone())) {
            Some(RecognitionOutcome::Recognised | RecognitionOutcome::Refused) => return None,
            Some(RecognitionOutcome::Pending) => "pending",
            None => "silent",
        };
        (deadline < today).then_some((deadline, *digest, outcome))
    });
    let first = late.next()?;
    let (deadline, digest, outcome) = first;
    let repairs = 1 + late.count();
    let words = words(peer, repairs, first, clock);
    let node = peer.node.clone();
    Some((deadline, LatePartner { node, repairs, first: digest, deadline: deadline.to_string(), outcome, words }))
}

fn words(peer: &PeerRow, repairs: usize, first: (Date, Digest, &str), clock: &Clock) -> String {
    let (node, (deadline, digest, outcome)) = (&peer.node, first);
    let which = if repairs == 1 { "the repair".to_owned() } else { format!("{repairs} repairs, the first") };
    let heard = if outcome == "pending" {
        "it waits for a person there 待对方人工决定"
    } else {
        "it is silent 未答复"
    };
    let quiet = clock.now_ms().saturating_sub(peer.success_ms.unwrap_or(peer.added_ms));
    let remedy = if quiet > QUIET_MS {
        format!(
            "what it decided may not be here, since it has not answered for {}: `kaopu doctor {node}`",
            spoken_span(quiet)
        )
    } else {
        format!("ask its administrator; `kaopu recognise show {digest}` tells how all partners stand")
    };
    format!("{node} has not decided on {which} {digest}, due on {deadline}: {heard}; {remedy}")
}
