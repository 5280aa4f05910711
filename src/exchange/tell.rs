//! Telling those who follow a subject 动态监测: all logs of records, own and mirrored, are followed from where they were
//! followed to. Each statement about somebody costs one look-up of who follows them, however many are followed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::News;
use crate::clock::Clock;
use crate::statement::Unverified;
use crate::store::notice::{Behind, Envelope, NewNotice, Said, Step, Watcher};
use crate::store::{Db, StoreError};

/// Entries that are looked through in one step, of all logs together.
const ENTRIES: u64 = 4096;
/// Of one log at least.
const ENTRIES_OF_ONE: u64 = 64;
/// Turns that are told in one step.
const TURNS: u32 = 500;
/// How often it is looked for what no log's growth tells of: turns, watches, growth by other processes.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Steps gather what comes meanwhile: each that moves something is a commit.
const GATHER: Duration = Duration::from_millis(50);
/// How often it is looked for notices that are old.
const CLEAR_EVERY_MS: i64 = 3_600_000;
const DAY_MS: i64 = 86_400_000;

/// Tells followers.
#[derive(Clone)]
pub struct Teller {
    /// The store.
    pub db: Db,
    /// The present.
    pub clock: Clock,
    /// Days after which notices leave the inbox.
    pub keep_days: u32,
    /// Is notified when there is something to deliver.
    pub deliveries: Arc<Notify>,
}

impl Teller {
    /// Goes on for ever. What fails is tried again.
    pub async fn keep_telling(self, news: News) {
        let mut cleared_ms = i64::MIN;
        loop {
            // nobody needs to be told: then nothing is looked at, and the store is not polled for growth
            let mut listener = match self.db.any_watch().await {
                Ok(true) => Some(news.listen()),
                Ok(false) => None,
                Err(error) => {
                    tracing::warn!(%error, "could not look who follows what");
                    None
                }
            };
            while let Some(heard) = &mut listener {
                match self.step().await {
                    Ok(Stepped::More) => {}
                    Ok(Stepped::Whole) => {
                        sleep(GATHER).await;
                        let _ = timeout(LOOK_EVERY, heard.heard()).await;
                    }
                    Ok(Stepped::Unwatched) => break,
                    Err(error) => {
                        tracing::warn!(%error, "could not tell those who follow a subject");
                        sleep(LOOK_EVERY).await;
                    }
                }
                self.clear(&mut cleared_ms).await;
            }
            drop(listener);
            self.clear(&mut cleared_ms).await;
            sleep(LOOK_EVERY).await;
        }
    }

    /// Tells what can be told in one step.
    pub async fn step(&self) -> Result<Stepped, StoreError> {
        let now_ms = self.clock.now_ms();
        if !self.db.any_watch().await? {
            return Ok(Stepped::Unwatched);
        }
        let turns = self.db.turns(TURNS).await?;
        let behind = self.db.behind().await?;
        if turns.is_empty() && behind.is_empty() {
            return Ok(Stepped::Whole);
        }
        let each = (ENTRIES / behind.len().max(1) as u64).max(ENTRIES_OF_ONE);
        let mut step = Step { turns: turns.iter().map(|said| said.turn).collect(), ..Step::default() };
        let mut pages = Vec::new();
        let mut more = turns.len() >= TURNS as usize;
        for Behind { log, followed, size, .. } in behind {
            let first = followed.unwrap_or(0);
            let end = size.min(first + each);
            more |= end < size;
            pages.push(self.db.said(log, first, end).await?);
            step.followed.push((log, followed, end));
        }
        let said: Vec<Said> = turns.into_iter().chain(by_time(pages)).collect();
        step.notices = self.notices(said, now_ms).await?;
        if !self.db.tell(&step, now_ms).await? {
            // another process was first: what it has left is there to be told
            return Ok(Stepped::More);
        }
        if !step.notices.is_empty() {
            self.deliveries.notify_one();
        }
        Ok(if more { Stepped::More } else { Stepped::Whole })
    }

    /// A notice for each who follows what a statement is about.
    async fn notices(&self, said: Vec<Said>, now_ms: i64) -> Result<Vec<NewNotice>, StoreError> {
        let subjects: BTreeSet<&str> = said.iter().map(|said| said.subject.as_str()).collect();
        let subjects: Vec<&str> = subjects.into_iter().collect();
        let watchers = self.db.watchers(&subjects, now_ms).await?;
        let mut notices = Vec::new();
        for said in said {
            let Some(watching) = watchers.get(&said.subject) else { continue };
            let Some(envelope) = self.db.envelope(said.log, said.index).await? else { continue };
            for watcher in watching {
                notices.push(notice(&said, watcher, &envelope));
            }
        }
        Ok(notices)
    }

    /// Drops what is old, from time to time.
    async fn clear(&self, cleared_ms: &mut i64) {
        let now_ms = self.clock.now_ms();
        if now_ms < cleared_ms.saturating_add(CLEAR_EVERY_MS) {
            return;
        }
        *cleared_ms = now_ms;
        let before_ms = now_ms.saturating_sub(i64::from(self.keep_days) * DAY_MS);
        loop {
            match self.db.drop_old_notices(before_ms).await {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) => return tracing::warn!(%error, "could not drop old notices"),
            }
        }
    }
}

/// How a step went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stepped {
    /// There is more to tell.
    More,
    /// All was told.
    Whole,
    /// Nobody follows anything.
    Unwatched,
}

/// The pages of several logs as one list. Each log keeps its own order; between logs the time counts that each statement
/// gives itself, so that an answer to what another log says stands behind it wherever clocks agree.
fn by_time(pages: Vec<Vec<Said>>) -> Vec<Said> {
    let mut pages: Vec<_> = pages.into_iter().map(|page| page.into_iter().peekable()).collect();
    let mut all = Vec::new();
    loop {
        let soonest = pages.iter_mut().enumerate().filter_map(|(at, page)| Some((page.peek()?.iat, at))).min();
        let Some((_, at)) = soonest else { return all };
        all.extend(pages[at].next());
    }
}

fn notice(said: &Said, watcher: &Watcher, envelope: &Envelope) -> NewNotice {
    let stated = envelope.jws.as_deref().and_then(|jws| Unverified::parse(jws).ok());
    let stated = stated.as_ref().map(Unverified::statement);
    let name = stated.and_then(|stated| stated.sub.as_ref()).map(|subject| subject.name().to_owned());
    let about = stated.map(|stated| stated.refs.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "));
    NewNotice {
        said: said.clone(),
        watcher: watcher.clone(),
        // of a body that was erased since then
        name: name.or_else(|| watcher.name.clone()).unwrap_or_default(),
        digest: envelope.digest,
        kind: envelope.kind.clone(),
        version: envelope.version,
        about: about.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn said(log: i64, index: u64, iat: i64) -> Said {
        Said { log, index, subject: String::new(), iat, turn: 0, stands: true }
    }

    proptest! {
        #[test]
        fn logs_keep_their_order_and_stand_side_by_side_in_time(times in prop::collection::vec(prop::collection::vec(0_i64..20, 0..8), 0..5)) {
            let pages: Vec<Vec<Said>> = (0..).zip(&times)
                .map(|(log, times)| (0..).zip(times).map(|(index, iat)| said(log, index, *iat)).collect())
                .collect();
            let all = by_time(pages.clone());
            for (log, page) in (0..).zip(&pages) {
                prop_assert_eq!(&all.iter().filter(|said| said.log == log).cloned().collect::<Vec<_>>(), page);
            }
            if times.iter().all(|times| times.is_sorted()) {
                prop_assert!(all.is_sorted_by_key(|said| said.iat));
            }
        }
    }
}
