//! One statement signed and appended, whatever happens to the key meanwhile.

use super::{AppendError, Appended, Appender, Submission};
use crate::statement::{Refused, Statement, Verified, envelope};

/// How often a key may be rotated under a statement's feet.
const TRIES: usize = 10;

impl Appender {
    /// Signs a statement under the key that is active at the end of the log, and appends it. Where another process rotates
    /// that key in between, it is signed anew.
    pub async fn say(&self, statement: Statement) -> Result<(Verified, Appended), AppendError> {
        let mut tries = 0;
        loop {
            let signed = envelope::sign(statement.clone(), &*self.signing()?)?;
            let submission = Submission { statements: vec![signed.clone()], ..Submission::default() };
            match self.append(submission).await {
                Err(AppendError::Refused(_, Refused::UnknownKey)) if tries < TRIES => tries += 1,
                outcome => return Ok((signed, outcome?)),
            }
        }
    }
}
