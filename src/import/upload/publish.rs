//! The last stage of an upload: chunks appended in order, the next one handed in while one commits.

use std::collections::VecDeque;
use std::future::{Future, pending};
use std::pin::Pin;

use futures_util::poll;
use tokio::sync::mpsc;

use super::signed::Signed;
use super::{Import, UploadError};
use crate::log::appender::{AppendError, Appended};
use crate::statement::Refused;

/// Chunks under way at once: half of them commit while the others gather behind them.
const UNDER_WAY: usize = 6;
/// How often a chunk is signed anew before something else must be wrong.
const TRIES: usize = 100;

/// A chunk handed to the appender.
struct UnderWay {
    signed: Signed,
    answer: Answer,
}

type Answer = Pin<Box<dyn Future<Output = Result<Appended, AppendError>> + Send>>;

impl Import {
    /// Appends what comes, and calls back with the rows done after each commit.
    pub(super) async fn publish(
        &self,
        upload: i64,
        mut chunks: mpsc::Receiver<Result<Signed, UploadError>>,
        mut done: impl FnMut(u64),
    ) -> Result<(), UploadError> {
        let mut under_way = VecDeque::new();
        let mut finished = false;
        loop {
            tokio::select! {
                biased;
                answer = first_answer(&mut under_way), if !under_way.is_empty() => {
                    if let Some(UnderWay { signed, .. }) = under_way.pop_front() {
                        let next_row = signed.step().next_row;
                        match answer {
                            Ok(_) => {}
                            Err(error) => self.mend(upload, signed, error, &mut under_way).await?,
                        }
                        done(next_row);
                    }
                }
                chunk = chunks.recv(), if under_way.len() < UNDER_WAY && !finished => {
                    let Some(signed) = chunk.transpose()? else { break };
                    finished = signed.step().finished;
                    under_way.push_back(self.hand_in(signed).await);
                }
                else => break,
            }
        }
        if finished { Ok(()) } else { Err(UploadError::BrokenOff("a stage before ended early".to_owned())) }
    }

    /// Hands a chunk in; what is handed in first goes in first.
    async fn hand_in(&self, signed: Signed) -> UnderWay {
        let (records, submission) = (self.records.clone(), signed.submission());
        let mut answer: Answer = Box::pin(async move { records.append(submission).await });
        // the first poll puts it into the appender's queue
        if let std::task::Poll::Ready(result) = poll!(&mut answer) {
            answer = Box::pin(async move { result });
        }
        UnderWay { signed, answer }
    }

    /// A chunk came back: what was handed in behind it comes back as well, and all go in again one by one.
    async fn mend(
        &self,
        upload: i64,
        signed: Signed,
        error: AppendError,
        behind: &mut VecDeque<UnderWay>,
    ) -> Result<(), UploadError> {
        let mut back = vec![(signed, error)];
        while let Some(UnderWay { signed, answer }) = behind.pop_front() {
            if let Err(error) = answer.await {
                back.push((signed, error));
            }
        }
        for (signed, error) in back {
            self.append_again(upload, signed, error).await?;
        }
        Ok(())
    }

    async fn append_again(&self, upload: i64, mut signed: Signed, mut error: AppendError) -> Result<(), UploadError> {
        let mut tries = 0;
        while tries < TRIES {
            match &error {
                // another process published, or rotated the key
                AppendError::Superseded(_) | AppendError::Refused(_, Refused::UnknownKey) => {
                    tries += 1;
                    signed.again(self).await?;
                }
                // each time a row fewer: that ends by itself
                AppendError::Refused(position, reason) if *position < signed.len() => signed.refuse(*position, reason),
                AppendError::Overtaken => {
                    tries += 1;
                    // either the chunk before it came back too, or another process takes the rows
                    let row = self.db.upload(upload).await?;
                    if row.is_none_or(|row| row.finished_ms.is_some() || row.next_row != signed.step().from_row) {
                        return Err(UploadError::Overtaken(upload));
                    }
                }
                _ => return Err(error.into()),
            }
            match self.records.append(signed.submission()).await {
                Ok(_) => return Ok(()),
                Err(next) => error = next,
            }
        }
        Err(error.into())
    }
}

async fn first_answer(under_way: &mut VecDeque<UnderWay>) -> Result<Appended, AppendError> {
    match under_way.front_mut() {
        Some(first) => (&mut first.answer).await,
        None => pending().await,
    }
}
