//! Making a credit report 信用报告: what is known here about a subject and may be shared, what peers answered beside it, how far
//! each region is covered, and the proofs.

mod prove;
mod quote;
mod regions;

use std::collections::{BTreeMap, HashMap, HashSet};

use self::prove::Behind;
use self::quote::{Partners, Quotes};
use super::lookup::{self, Found};
use super::view::View;
use crate::exchange::finding::{Finding, Stated};
use crate::log::event::{Life, Said};
use crate::policy::Groups;
use crate::record::{Purpose, Standing};
use crate::report::Evidence;
use crate::report::model::{FORMAT, Item, Maker, Report, Section};
use crate::statement::{Digest, NodeId, Subject};
use crate::store::peer::PeerRow;
use crate::store::{Db, LogRow, StoreError};
use crate::trust::state::PeerState;

/// In which order kinds come; others behind them, by name.
const ORDER: [&str; 10] = [
    "registration",
    "penalty",
    "listing",
    "judgment",
    "licence",
    "honour",
    "commitment",
    "grade",
    "contract",
    "voluntary",
];

/// What a report is asked for.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The subject's key.
    pub subject: String,
    /// What for.
    pub purpose: Purpose,
    /// On which legal basis.
    pub basis: String,
    /// Digest of what the subject authorised this by.
    pub authorisation: Option<Digest>,
    /// Who runs it.
    pub operator: String,
}

/// A report was not made.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// 个人信息保护法: with consent or a legal duty alone.
    #[error(
        "a report of a natural person needs --authorisation, the digest of what the person authorised it by \
         自然人信用报告须有本人授权书"
    )]
    Unauthorised,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It cannot be written as JSON.
    #[error("the report cannot be written: {0}")]
    Write(#[from] serde_json::Error),
}

/// Makes a report. `groups` are those of this node's configuration, `findings` is what peers said when they were asked; None:
/// nobody was.
///
/// What has ended (repaired, shielded, expired, withdrawn, replaced) is not in it, nor are its repairs: but for the subject
/// itself ([`Purpose::Own`]), which is told of those and of who recognised them, not of the record. One of a natural person
/// needs an authorisation, whatever it is for.
pub async fn make(
    db: &Db,
    view: &View<'_>,
    groups: &Groups,
    wanted: &Wanted,
    findings: Option<&[Finding]>,
) -> Result<(Report, Evidence), ReportError> {
    if Subject::is_key_of_a_person(&wanted.subject) && wanted.authorisation.is_none() {
        return Err(ReportError::Unauthorised);
    }
    let found = lookup::about(db, view, &wanted.subject).await?;
    // read after the records, so that its checkpoints cover them
    let surroundings = Around::read(db).await?;
    let heard = findings.unwrap_or_default();
    let mut quotes = Quotes::new(db, view.kinds, &surroundings.logs);
    let (shown, ended) = part(&found, view, heard);

    let mut sections: BTreeMap<(usize, String), Section> = BTreeMap::new();
    let mut items: HashMap<NodeId, u64> = HashMap::new();
    for it in &shown {
        let item = it.item(&mut quotes, heard).await?;
        *items.entry(item.stated.issuer.clone()).or_default() += 1;
        let kind = item.stated.kind.clone();
        let place = ORDER.iter().position(|known| *known == kind).unwrap_or(ORDER.len());
        let new = || Section { kind: kind.clone(), title: item.stated.title.clone(), items: Vec::new() };
        sections.entry((place, kind.clone())).or_insert_with(new).items.push(item);
    }
    let partners = surroundings.partners(view.node, groups);
    let mut repairs = Vec::new();
    let told = shown.iter().filter_map(|shown| shown.found());
    let to_the_subject = ended.iter().copied().filter(|_| wanted.purpose == Purpose::Own);
    for found in told.chain(to_the_subject) {
        repairs.extend(quotes.repairs(found, &partners).await?);
    }
    repairs.sort_by_key(|repair| std::cmp::Reverse((repair.repair.issued, repair.repair.digest)));
    repairs.dedup_by_key(|repair| repair.repair.digest);

    let mut report = Report {
        format: FORMAT.to_owned(),
        subject: wanted.subject.clone(),
        names: names(&shown),
        made: view.clock.now(),
        by: Maker { node: view.node.clone(), name: surroundings.name(view.node), operator: wanted.operator.clone() },
        purpose: wanted.purpose,
        basis: wanted.basis.clone(),
        authorisation: wanted.authorisation,
        rules: view.rules.in_force(view.clock.today()).to_owned(),
        asked: findings.is_some(),
        regions: regions::regions(view.node, &surroundings, &found, &items, findings),
        sections: sections.into_values().collect(),
        repairs,
        evidence: Digest::of(b""),
    };
    let sources = quotes.sources(&surroundings).await?;
    let evidence = Evidence::write(&mut report, &sources)?;
    Ok((report, evidence))
}

/// The logs and peers of this node, read once.
pub(super) struct Around {
    pub logs: Vec<LogRow>,
    pub peers: Vec<PeerRow>,
    names: HashMap<NodeId, String>,
}

impl Around {
    async fn read(db: &Db) -> Result<Self, StoreError> {
        let (logs, peers) = (db.logs().await?, db.peers().await?);
        let mut names = HashMap::new();
        for peer in &peers {
            names.extend(quote::name_in(&peer.descriptor).map(|name| (peer.node.clone(), name)));
        }
        for log in logs.iter().filter(|log| log.own) {
            let newest = db.descriptors_from(log.id, log.descriptor.unwrap_or(0)).await?.pop();
            let name = newest.and_then(|(_, jws)| quote::name_in(&jws));
            names.extend(name.map(|name| (log.origin.node.clone(), name)));
        }
        Ok(Self { logs, peers, names })
    }

    fn name(&self, node: &NodeId) -> String {
        self.names.get(node).cloned().unwrap_or_default()
    }

    /// This node and its active peers: those that may recognise a repair.
    fn partners<'a>(&self, own: &'a NodeId, groups: &'a Groups) -> Partners<'a> {
        let active = self.peers.iter().filter(|peer| peer.state == PeerState::Active);
        Partners { own, peers: active.map(|peer| peer.node.clone()).collect(), groups }
    }
}

/// A record that is shown: known here, or only heard of.
enum Shown<'a> {
    Found(&'a Found),
    Heard(&'a Stated, Box<Standing>),
}

/// Which records are shown, and which have ended.
fn part<'a>(found: &'a [Found], view: &View<'_>, heard: &'a [Finding]) -> (Vec<Shown<'a>>, Vec<&'a Found>) {
    let known: HashSet<Digest> = found.iter().map(|found| found.digest).collect();
    let stated = heard.iter().flat_map(|finding| &finding.statements).filter(|it| !known.contains(&it.digest));
    let stated: Vec<&Stated> = stated.collect();
    // a version that came with an answer stands in the place of the one in the mirror
    let replaced: HashSet<Digest> = stated.iter().filter_map(|it| it.statement.prev).collect();
    let mut shown = Vec::new();
    let mut ended = Vec::new();
    for found in found {
        match found.standing.shared && !replaced.contains(&found.digest) {
            true => shown.push(Shown::Found(found)),
            false => ended.push(found),
        }
    }
    for stated in stated {
        // it comes behind all that is here, and what it is marked by in the answer is all that is known to be said of it
        let behind = u64::MAX / 2;
        let said = stated.events.iter().zip(behind + 1..).map(|(event, index)| Said {
            digest: event.digest,
            at: (1, index),
            statement: event.statement.clone(),
        });
        let life = Life { version: None, said: said.collect() };
        let standing = view.standing(&stated.statement, (1, behind), true, &life);
        if standing.shared {
            shown.push(Shown::Heard(stated, Box::new(standing)));
        }
    }
    (shown, ended)
}

impl Shown<'_> {
    fn found(&self) -> Option<&Found> {
        if let Self::Found(found) = self { Some(found) } else { None }
    }

    fn name(&self) -> Option<&str> {
        match self {
            Self::Found(found) => Some(&found.name),
            Self::Heard(stated, _) => stated.statement.sub.as_ref().map(|sub| sub.name()),
        }
    }

    async fn item(&self, quotes: &mut Quotes<'_>, heard: &[Finding]) -> Result<Item, StoreError> {
        let (stated, proven, standing, mut said) = match self {
            Self::Found(found) => {
                let (stated, proven) = quotes.record(found).await?;
                (stated, proven, &found.standing, quotes.said(found).await?)
            }
            Self::Heard(stated, standing) => {
                let behind = Behind { node: stated.statement.iss.clone(), place: None, jws: stated.jws.clone() };
                (quotes.quote(&stated.statement, stated.digest, behind), false, &**standing, Vec::new())
            }
        };
        // what an answer says may not have come to the mirror yet
        let told = heard.iter().flat_map(|finding| &finding.statements).find(|it| it.digest == stated.digest);
        for event in told.into_iter().flat_map(|told| &told.events) {
            if !said.iter().any(|known| known.digest == event.digest) {
                let behind = Behind { node: event.statement.iss.clone(), place: None, jws: event.jws.clone() };
                said.push(quotes.quote(&event.statement, event.digest, behind));
            }
        }
        let whole = heard.iter().find(|finding| finding.complete && finding.node == stated.issuer);
        let not_in_answer = whole.is_some_and(|finding| {
            let withheld = finding.withheld.iter().any(|withheld| withheld.kind == stated.kind);
            !withheld && !finding.statements.iter().any(|it| it.digest == stated.digest)
        });
        Ok(Item {
            proven,
            status: standing.status.as_str().to_owned(),
            status_title: standing.status.title().to_owned(),
            why: standing.reason.title(),
            severity: standing.terms.as_ref().map(|terms| terms.severity.title().to_owned()),
            used: standing.used,
            disputed: standing.dispute.is_some() || told.is_some_and(Stated::is_disputed),
            under_repair: standing.under_repair.is_some(),
            not_in_answer,
            said,
            stated,
        })
    }
}

fn names(shown: &[Shown<'_>]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in shown.iter().filter_map(Shown::name) {
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    names
}
