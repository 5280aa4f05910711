//! Filing, and what is said of an application afterwards.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use super::{ApplicationError, Applications, NewFile};
use crate::about::application::Application;
use crate::about::{Named, Spoken};
use crate::log::event::{Life, RecordPlace, Target, facts};
use crate::record::application::{Side, may_follow, side};
use crate::record::date;
use crate::record::event::{RepairType, Stage};
use crate::record::{NotRepairable, repair_allowed};
use crate::statement::{Digest, NodeId};

/// An application to be filed.
#[derive(Clone, Debug)]
pub struct Filing {
    /// The record of another node, in its current version.
    pub record: Digest,
    /// Which repair is asked for.
    pub of: Option<RepairType>,
    /// The window, as people know it.
    pub window: Option<String>,
    /// The digest of the public commitment.
    pub commitment: Option<Digest>,
    /// What the applicant says, in words.
    pub reason: Option<String>,
    /// When the applicant came; today where it is not said.
    pub on: Option<String>,
}

impl Applications {
    /// Files an application, with files sealed for the city that decides. A rehearsal says whether it may be said, and writes
    /// nothing.
    pub async fn file(
        &self,
        filing: &Filing,
        files: Vec<NewFile>,
        rehearsal: bool,
    ) -> Result<Spoken, ApplicationError> {
        let place = Box::pin(self.place_of(&filing.record)).await?;
        if self.registry.peer(&place.issuer).is_none() {
            return Err(ApplicationError::NotAPeer(place.issuer));
        }
        let body = filing.body(&self.office.clock.today().to_string());
        Box::pin(self.say(&Named::Digest(filing.record), body, files, 0, &place.issuer, rehearsal)).await
    }

    /// Why this node's own rules would not let the record be repaired so today: the city that decides goes by its own, but an
    /// applicant had better know.
    pub async fn advice(&self, filing: &Filing) -> Result<Option<NotRepairable>, ApplicationError> {
        let lives = Box::pin(self.office.db.lives(&[filing.record], &HashSet::new())).await?;
        let (Some(Target::Here(record, place)), Some(of)) = (lives.targets.get(&filing.record), filing.of) else {
            return Ok(None);
        };
        let life = lives.lives.get(place);
        let at = life.and_then(|life| life.version).unwrap_or_default();
        let told = life.map(Life::told).unwrap_or_default();
        let (rules, today) = (self.office.rules.now(), self.office.clock.today());
        Ok(repair_allowed(&facts(record, at, true), &told, &rules, of, today).err())
    }

    /// Supplies what the city that decides has asked for.
    pub async fn supply(
        &self,
        digest: &Digest,
        reason: Option<String>,
        files: Vec<NewFile>,
        rehearsal: bool,
    ) -> Result<Spoken, ApplicationError> {
        let application = self.may(digest, Stage::Supplied).await?;
        let body = self.stage(Stage::Supplied, [("reason", reason)]);
        let filed = application.attachments().len();
        Box::pin(self.say(&Named::Digest(*digest), body, files, filed, application.decider(), rehearsal)).await
    }

    /// Accepts, asks for more until a day, extends the time or rejects; or takes back, at the window.
    pub async fn step(
        &self,
        digest: &Digest,
        stage: Stage,
        reason: Option<String>,
        until: Option<String>,
        rehearsal: bool,
    ) -> Result<Spoken, ApplicationError> {
        self.may(digest, stage).await?;
        let today = self.office.clock.today();
        if until.as_deref().and_then(date::parse_canonical).is_some_and(|until| until < today) {
            return Err(ApplicationError::Over);
        }
        let body = self.stage(stage, [("reason", reason), ("deadline", until)]);
        Ok(Box::pin(self.office.say(self.kind("application")?, &Named::Digest(*digest), body, rehearsal)).await?)
    }

    /// The application, of which this node may say this now.
    pub(super) async fn may(&self, digest: &Digest, stage: Stage) -> Result<Application, ApplicationError> {
        let application = self.one(digest).await?;
        let whose = side(stage);
        let node = application.node(whose);
        if *node != self.office.node {
            return Err(match whose {
                Side::Window => ApplicationError::NotTheWindow(node.clone()),
                Side::Decider => ApplicationError::NotTheDecider(node.clone()),
            });
        }
        may_follow(&application.steps(), stage)?;
        Ok(application)
    }

    /// The body of a stage; what is not given is not there.
    pub(super) fn stage<const N: usize>(
        &self,
        stage: Stage,
        members: [(&str, Option<String>); N],
    ) -> Map<String, Value> {
        let mut body = begin(stage, &self.office.clock.today().to_string());
        let given = members.into_iter().filter_map(|(name, value)| Some((name, value?)));
        body.extend(given.map(|(name, value)| (name.to_owned(), json!(value.trim()))));
        body
    }

    /// The record of another node about which nothing is open here.
    async fn place_of(&self, record: &Digest) -> Result<RecordPlace, ApplicationError> {
        let lives = self.office.db.lives(&[*record], &HashSet::new()).await?;
        let place = match lives.targets.get(record) {
            Some(Target::Here(statement, place)) if statement.typ.kind == place.kind => place.clone(),
            _ => return Err(ApplicationError::NotARecord(*record)),
        };
        if place.issuer == self.office.node {
            return Err(ApplicationError::OwnRecord);
        }
        let said = lives.lives.get(&place).into_iter().flat_map(|life| &life.said);
        let mut own = said.filter(|said| said.statement.iss == self.office.node);
        let open = own.find_map(|said| {
            // what is about this record stands in the same life
            let application = Application::in_life(&lives, &place, &said.digest)?;
            application.ended().is_none().then_some(said.digest)
        });
        match open {
            Some(digest) => Err(ApplicationError::Filed(digest)),
            None => Ok(place),
        }
    }

    /// Says what may name files. They are stored before it is said, and go again if it is not.
    async fn say(
        &self,
        about: &Named,
        mut body: Map<String, Value>,
        files: Vec<NewFile>,
        filed: usize,
        decider: &NodeId,
        rehearsal: bool,
    ) -> Result<Spoken, ApplicationError> {
        let kind = self.kind("application")?;
        self.check_files(&files, filed)?;
        let rehearsed = Box::pin(self.office.say(kind, about, body.clone(), true)).await?;
        if rehearsal {
            return Ok(rehearsed);
        }
        let sealed = self.seal_files(files, decider).await?;
        if !sealed.is_empty() {
            body.insert("attachments".to_owned(), sealed.iter().map(|(_, named)| named.clone()).collect());
        }
        match Box::pin(self.office.say(kind, about, body, false)).await {
            Ok(spoken) => Ok(spoken),
            Err(error) => {
                for (key, _) in &sealed {
                    self.office.db.forget_attachment(key).await?;
                }
                Err(error.into())
            }
        }
    }
}

impl Filing {
    fn body(&self, today: &str) -> Map<String, Value> {
        let mut body = begin(Stage::Filed, self.on.as_deref().unwrap_or(today));
        let commitment = self.commitment.map(|digest| digest.to_string());
        for (name, value) in [
            ("type", self.of.map(|of| of.title().to_owned())),
            ("window", self.window.clone()),
            ("commitment", commitment),
            ("reason", self.reason.clone()),
        ] {
            if let Some(value) = value {
                body.insert(name.to_owned(), json!(value.trim()));
            }
        }
        body
    }
}

fn begin(stage: Stage, on: &str) -> Map<String, Value> {
    Map::from_iter([("stage".to_owned(), json!(stage.as_str())), ("on".to_owned(), json!(on))])
}
