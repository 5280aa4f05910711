//! Quoting statements, and remembering each for the evidence.

use std::collections::{BTreeMap, HashMap};

use super::super::lookup::{Found, SaidOf};
use super::prove::Behind;
use crate::policy::{Groups, may_read};
use crate::report::model::{Quoted, Repair};
use crate::statement::{Digest, Kinds, NodeId, Statement, Unverified};
use crate::store::statement::Body;
use crate::store::{Db, LogRow, StoreError};
use crate::trust::descriptor::Descriptor;

/// What is quoted so far.
pub(super) struct Quotes<'a> {
    pub db: &'a Db,
    kinds: &'a Kinds,
    logs: HashMap<i64, &'a LogRow>,
    /// By digest: each stands in the evidence once.
    pub behind: BTreeMap<Digest, Behind>,
}

impl<'a> Quotes<'a> {
    pub fn new(db: &'a Db, kinds: &'a Kinds, logs: &'a [LogRow]) -> Self {
        Self { db, kinds, logs: logs.iter().map(|log| (log.id, log)).collect(), behind: BTreeMap::new() }
    }

    /// A record that is here, and whether its place is proven.
    pub async fn record(&mut self, found: &Found) -> Result<(Quoted, bool), StoreError> {
        self.stored(&found.digest, &found.issuer).await
    }

    /// What was said about it, but for repairs and what became of them.
    pub async fn said(&mut self, found: &Found) -> Result<Vec<Quoted>, StoreError> {
        let mut said = Vec::new();
        for event in found.said.iter().filter(|event| !is_of_a_repair(event)) {
            said.push(self.event(event).await?);
        }
        Ok(said)
    }

    /// Its repairs, and what became of each.
    pub async fn repairs(&mut self, found: &Found, partners: &Partners<'_>) -> Result<Vec<Repair>, StoreError> {
        let mut repairs = Vec::new();
        for repair in found.said.iter().filter(|said| said.kind == "repair") {
            let of = |kind: &str, about: &[Digest]| -> Vec<&SaidOf> {
                let names = |said: &&SaidOf| said.kind == kind && said.about.is_some_and(|it| about.contains(&it));
                found.said.iter().filter(names).collect()
            };
            let revoked = of("repair-revocation", &[repair.digest]);
            let decided: Vec<Digest> = revoked.iter().map(|said| said.digest).chain([repair.digest]).collect();
            let recognised = of("recognition", &decided);
            let has_said =
                |node: &NodeId| recognised.iter().any(|said| said.about == Some(repair.digest) && said.issuer == *node);
            let silent = partners.of(repair).filter(|node| !has_said(node)).cloned().collect();
            repairs.push(Repair {
                repair: self.event(repair).await?,
                of: found.title.clone(),
                revocations: self.events(&revoked).await?,
                recognitions: self.events(&recognised).await?,
                silent,
            });
        }
        Ok(repairs)
    }

    /// A statement that is known to hold.
    pub fn quote(&mut self, statement: &Statement, digest: Digest, behind: Behind) -> Quoted {
        self.behind.insert(digest, behind);
        let kind = self.kinds.find(&statement.typ);
        Quoted {
            digest,
            kind: statement.typ.kind.clone(),
            version: statement.typ.version,
            title: kind.map_or_else(|| statement.typ.kind.clone(), |kind| kind.title.clone()),
            issuer: statement.iss.clone(),
            issued: statement.iat,
            about: statement.prev.or_else(|| statement.refs.first().copied()),
            body: statement.body.clone(),
        }
    }

    async fn event(&mut self, said: &SaidOf) -> Result<Quoted, StoreError> {
        Ok(self.stored(&said.digest, &said.issuer).await?.0)
    }

    async fn events(&mut self, said: &[&SaidOf]) -> Result<Vec<Quoted>, StoreError> {
        let mut quoted = Vec::with_capacity(said.len());
        for said in said {
            quoted.push(self.event(said).await?);
        }
        Ok(quoted)
    }

    /// A statement as it stands in its issuer's log.
    async fn stored(&mut self, digest: &Digest, issuer: &NodeId) -> Result<(Quoted, bool), StoreError> {
        for row in self.db.find(digest).await? {
            let (Body::Here(jws), Some(log)) = (&row.body, self.logs.get(&row.log)) else { continue };
            if log.origin.node != *issuer || row.verdict != "accepted" {
                continue;
            }
            let corrupt = |error| StoreError::Corrupt(format!("{} index {}: {error}", log.origin, row.index));
            let statement = Unverified::parse(jws).map_err(corrupt)?.statement().clone();
            let proven = log.complete.as_ref().is_some_and(|head| row.index < head.size);
            let place = proven.then_some((row.log, row.index));
            let behind = Behind { node: issuer.clone(), place, jws: jws.clone() };
            return Ok((self.quote(&statement, *digest, behind), proven));
        }
        Err(StoreError::Corrupt(format!("the statement {digest} of {issuer} is gone")))
    }
}

/// Those that may recognise a repair.
pub(super) struct Partners<'a> {
    /// This node, which holds what it quotes.
    pub own: &'a NodeId,
    /// Its active peers.
    pub peers: Vec<NodeId>,
    /// Its groups, which an audience may name.
    pub groups: &'a Groups,
}

impl Partners<'_> {
    /// Those that are to decide on a repair: of an addressed one, who may read it.
    fn of(&self, repair: &SaidOf) -> impl Iterator<Item = &NodeId> {
        let peers = self.peers.iter().filter(|node| may_read(self.groups, &repair.aud, &repair.issuer, node));
        std::iter::once(self.own).chain(peers).filter(|node| **node != repair.issuer)
    }
}

fn is_of_a_repair(said: &SaidOf) -> bool {
    matches!(said.kind.as_str(), "repair" | "repair-revocation" | "recognition")
}

/// The name that a descriptor gives its node.
pub(super) fn name_in(descriptor: &str) -> Option<String> {
    Descriptor::open(descriptor).ok().map(|(_, descriptor)| descriptor.name)
}
