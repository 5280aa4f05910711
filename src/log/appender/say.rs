//! One statement signed and appended, whatever happens to the key meanwhile.

use super::{AppendError, Appended, Appender, Said};
use crate::statement::{Refused, Statement, Verified, envelope};

/// How often a key may be rotated under a statement's feet.
const TRIES: usize = 10;

impl Appender {
    /// Signs a statement under the key that is active at the end of the log, and appends it. Where another process rotates
    /// that key in between, it is signed anew.
    pub async fn say(&self, statement: Statement) -> Result<(Verified, Appended), AppendError> {
        self.say_for(statement, None).await
    }

    /// The same, with the name of whoever had it said kept beside it.
    pub async fn say_for(&self, statement: Statement, by: Option<&str>) -> Result<(Verified, Appended), AppendError> {
        let mut tries = 0;
        loop {
            let signed = envelope::sign(statement.clone(), &*self.signing()?)?;
            let said = Said { statements: vec![signed.clone()], by: by.map(str::to_owned) };
            match self.append(said).await {
                Err(AppendError::Refused(_, Refused::UnknownKey)) if tries < TRIES => tries += 1,
                outcome => return Ok((signed, outcome?)),
            }
        }
    }
}
