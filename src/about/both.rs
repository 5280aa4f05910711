//! A repair and the end of the application for it: both are said or neither, so that no application is open whose repair is
//! out, and none names a repair that there is not.

use serde_json::{Map, Value};

use super::say::TRIES;
use super::{Named, Office, SayError, Spoken};
use crate::log::appender::{AppendError, Said};
use crate::statement::{Digest, Kind, Refused, envelope};

/// A body that is made of the digest of what was said before it; None in a rehearsal.
pub type MadeOf<'a> = dyn Fn(Option<Digest>) -> Map<String, Value> + Sync + 'a;

impl Office {
    /// Says a first event, and a second one that is made of the first one's digest, in one transaction. A rehearsal gives
    /// the first one, which has no digest.
    pub async fn say_both(
        &self,
        first: (&Kind, &Named, Map<String, Value>),
        second: (&Kind, &Named, &MadeOf<'_>),
        rehearsal: bool,
    ) -> Result<(Spoken, Spoken), SayError> {
        let mut tries = 0;
        loop {
            let (event, mut one) = Box::pin(self.prepare(first.0, first.1, first.2.clone())).await?;
            if rehearsal {
                let (_, two) = Box::pin(self.prepare(second.0, second.1, (second.2)(None))).await?;
                return Ok((one, two));
            }
            let key = self.records.signing()?;
            let event = envelope::sign(event, &key).map_err(AppendError::from)?;
            let of_it = (second.2)(Some(event.digest()));
            let (after, mut two) = Box::pin(self.prepare(second.0, second.1, of_it)).await?;
            let after = envelope::sign(after, &key).map_err(AppendError::from)?;
            (one.digest, two.digest) = (Some(event.digest()), Some(after.digest()));
            match self.records.append(Said { statements: vec![event, after], by: self.operator.clone() }).await {
                Ok(appended) => {
                    (one.index, two.index) = (Some(appended.first), Some(appended.first + 1));
                    return Ok((one, two));
                }
                Err(AppendError::Refused(_, Refused::UnknownKey)) if tries < TRIES => tries += 1,
                Err(error) => return Err(error.into()),
            }
        }
    }
}
