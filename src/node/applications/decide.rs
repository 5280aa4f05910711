//! The decision: a repair of the record, said together with the end of the application; or one that was said before.

use serde_json::{Map, Value, json};

use super::{ApplicationError, Applications};
use crate::about::application::{Application, stage};
use crate::about::{Named, SayError, Spoken};
use crate::record::event::Stage;
use crate::statement::Digest;

/// What is granted.
#[derive(Clone, Debug)]
pub enum Grant {
    /// A repair that this node has said already.
    Said(Digest),
    /// One that is said now. What it does not say the application does: type, dates, commitment, evidence.
    New(Map<String, Value>),
}

impl Applications {
    /// Grants what was applied for: the repair, where it is said now, and the end of the application.
    pub async fn decide(
        &self,
        digest: &Digest,
        grant: Grant,
        rehearsal: bool,
    ) -> Result<(Option<Spoken>, Spoken), ApplicationError> {
        let application = self.may(digest, Stage::Decided).await?;
        let (kind, about) = (self.kind("application")?, Named::Digest(*digest));
        let decided =
            |repair: Option<Digest>| self.stage(Stage::Decided, [("repair", repair.map(|repair| repair.to_string()))]);
        let repair = match grant {
            Grant::Said(repair) => {
                Box::pin(self.stands(&application, &repair)).await?;
                let spoken = Box::pin(self.office.say(kind, &about, decided(Some(repair)), rehearsal)).await?;
                return Ok((None, spoken));
            }
            Grant::New(repair) => completed(repair, &application)?,
        };
        let record = Named::Digest(Box::pin(self.current(&application)).await?);
        let first = (self.kind("repair")?, &record, repair);
        match Box::pin(self.office.say_both(first, (kind, &about, &decided), rehearsal)).await {
            Ok((repair, spoken)) => Ok((Some(repair), spoken)),
            Err(why @ SayError::MayNot(_)) => match Box::pin(self.standing(&application)).await?.pop() {
                Some(repair) => Err(ApplicationError::Repaired { why, application: *digest, repair }),
                None => Err(why.into()),
            },
            Err(error) => Err(error.into()),
        }
    }

    /// The version of the record that stands now: the application may name an older one.
    async fn current(&self, application: &Application) -> Result<Digest, ApplicationError> {
        let place = &application.place;
        let current = self.office.db.current(&place.issuer, &place.kind, &[place.identity]).await?;
        let named = application.record().ok_or(ApplicationError::Unknown(application.digest))?;
        Ok(current.get(&place.identity).map_or(named, |current| current.digest))
    }

    /// Whether a digest is that of a repair of the record that was not revoked.
    async fn stands(&self, application: &Application, repair: &Digest) -> Result<(), ApplicationError> {
        let standing = self.standing(application).await?;
        if standing.contains(repair) { Ok(()) } else { Err(ApplicationError::NotARepair(*repair)) }
    }

    /// This node's repairs of the record that were not revoked, in order.
    async fn standing(&self, application: &Application) -> Result<Vec<Digest>, ApplicationError> {
        let lives = self.office.db.lives(&[application.digest], &Default::default()).await?;
        let said = || {
            let life = lives.lives.get(&application.place);
            life.into_iter().flat_map(|life| &life.said).filter(|said| said.statement.iss == self.office.node)
        };
        let of = |kind: &'static str| said().filter(move |said| said.statement.typ.kind == kind);
        let revoked: Vec<_> = of("repair-revocation").filter_map(|said| said.statement.refs.first().copied()).collect();
        Ok(of("repair").map(|said| said.digest).filter(|digest| !revoked.contains(digest)).collect())
    }
}

/// What the repair does not say, as the application has it.
fn completed(
    mut repair: Map<String, Value>,
    application: &Application,
) -> Result<Map<String, Value>, ApplicationError> {
    let accepted = application.said.iter().find(|(_, statement)| stage(statement) == Some(Stage::Accepted));
    let attachments = application.attachments();
    let evidence: Vec<Value> = attachments.iter().map(|file| json!(file.digest.to_string())).collect();
    for (name, value) in [
        ("type", application.filed.body.get("type").cloned()),
        ("applied", application.filed.body.get("on").cloned()),
        ("accepted", accepted.and_then(|(_, statement)| statement.body.get("on").cloned())),
        ("commitment", application.filed.body.get("commitment").cloned()),
        ("evidence", (!evidence.is_empty()).then(|| evidence.into())),
    ] {
        if let Some(value) = value
            && !repair.contains_key(name)
        {
            repair.insert(name.to_owned(), value);
        }
    }
    if repair.contains_key("type") { Ok(repair) } else { Err(ApplicationError::NoType) }
}
