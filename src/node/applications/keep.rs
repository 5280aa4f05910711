//! While the node serves: files are fetched as soon as the application that names them is here, what is due is told each day,
//! and what has been kept long enough is erased.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use rand::RngExt as _;
use tokio::task::JoinSet;

use super::{ApplicationError, Applications, UnderWay, under_way};
use crate::about::application::Application;
use crate::exchange::Fault;
use crate::exchange::attachment::{NotFetched, fetch};
use crate::exchange::pull::Surroundings;
use crate::exchange::source::Backoff;
use crate::node::rng;
use crate::statement::{Digest, NodeId};
use crate::store::attachment::{AttachmentKey, AttachmentRow};

/// How often it is looked whether there is anything to do.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long a process may take over one file before another may try too.
const PATIENCE: Duration = Duration::from_secs(120);
/// A file that is another one, or for which there is no room, is tried again after this; no failure waits for longer.
const LONG_REST: Duration = Duration::from_secs(3600);
/// So many files that wait are looked at at once; of one peer one is fetched at a time.
const AT_ONCE: u32 = 64;
const DAY_MS: i64 = 86_400_000;

impl Applications {
    /// Goes on for ever. Files are fetched where `around` is given: how peers are asked.
    pub async fn keep(self, around: Option<Surroundings>) {
        let mut known = None;
        let mut told = None;
        let mut fetching: JoinSet<NodeId> = JoinSet::new();
        let mut busy = HashSet::new();
        loop {
            let today = self.office.clock.today();
            let turn = async {
                let count = self.office.db.count_of_applications().await?;
                if known != Some(count) {
                    self.want().await?;
                    known = Some(count);
                }
                if told != Some(today) {
                    told = Some(today);
                    self.tell_due().await?;
                    self.clear().await?;
                }
                if let Some(around) = &around {
                    self.begin(around, &mut fetching, &mut busy).await?;
                }
                Ok::<_, ApplicationError>(())
            };
            if let Err(error) = turn.await {
                tracing::error!(%error, "cannot look after applications; trying again");
            }
            let rest = tokio::time::sleep(LOOK_EVERY);
            tokio::pin!(rest);
            loop {
                tokio::select! {
                    () = &mut rest => break,
                    Some(ended) = fetching.join_next() => match ended {
                        Ok(peer) => drop(busy.remove(&peer)),
                        Err(error) => tracing::error!(%error, "fetching an attachment ended badly"),
                    },
                }
            }
        }
    }

    /// What is under way and due.
    pub async fn under_way(&self) -> Result<UnderWay, ApplicationError> {
        let (calendar, rules, all) = (self.calendar.now(), self.office.rules.now(), self.own().await?);
        Ok(under_way(&all, &self.office.node, &calendar, &rules.deadlines, self.office.clock.today()))
    }

    async fn tell_due(&self) -> Result<(), ApplicationError> {
        for one in self.under_way().await?.first {
            tracing::warn!(application = %one.application, deadline = one.deadline, late = one.late, "{}", one.words);
        }
        Ok(())
    }

    /// Puts down which files are to be fetched: those of applications to this node that are under way. What an application that
    /// has ended named is fetched no more; what is wholly here stays for its time.
    pub async fn want(&self) -> Result<(), ApplicationError> {
        let now_ms = self.office.clock.now_ms();
        let (mut wanted, mut ended) = (HashSet::new(), HashSet::new());
        for application in self.own().await?.iter().filter(|one| *one.decider() == self.office.node) {
            let is_under_way = application.ended().is_none();
            for (place, file) in application.attachments().iter().enumerate() {
                let peer = application.window().clone();
                let key = AttachmentKey { digest: file.digest, peer, own: false };
                match is_under_way {
                    false => drop(ended.insert(key)),
                    true if self.too_much(place, file).is_none() => {
                        self.office.db.want_attachment(&key, file.size, now_ms).await?;
                        wanted.insert(key);
                    }
                    true => {}
                }
            }
        }
        for row in self.office.db.attachments().await? {
            let is_waited_for = row.complete_ms.is_none() && row.erased_ms.is_none();
            if is_waited_for && ended.contains(&row.key) && !wanted.contains(&row.key) {
                self.unwant(&row.key).await?;
            }
        }
        Ok(())
    }

    async fn unwant(&self, key: &AttachmentKey) -> Result<(), ApplicationError> {
        if self.office.db.unwant_attachment(key).await? {
            let (attachment, peer) = (key.digest, &key.peer);
            tracing::info!(%attachment, %peer, "an attachment is not fetched any more: its application has ended");
        }
        Ok(())
    }

    /// Erases the files of applications whose time is over, and forgets those that no application names.
    pub async fn clear(&self) -> Result<(), ApplicationError> {
        let now_ms = self.office.clock.now_ms();
        let rows = self.office.db.attachments().await?;
        let all = self.own().await?;
        let mut named: HashMap<Digest, Vec<&Application>> = HashMap::new();
        for application in &all {
            for file in application.attachments() {
                named.entry(file.digest).or_default().push(application);
            }
        }
        for row in rows.iter().filter(|row| row.erased_ms.is_none()) {
            let of = named.get(&row.key.digest).and_then(|all| all.iter().find(|one| self.is_of(row, one)));
            match of {
                Some(application) if self.is_over(application, now_ms) => {
                    let erased = self.office.db.erase_attachment(&row.key, now_ms).await?;
                    let (attachment, application, peer) = (row.key.digest, application.digest, &row.key.peer);
                    if erased {
                        tracing::info!(%attachment, %application, %peer, "erased an attachment: its time was over");
                    }
                }
                // a filing that is under way has a day
                None if row.added_ms.saturating_add(DAY_MS) < now_ms => {
                    self.office.db.forget_attachment(&row.key).await?;
                    tracing::info!(attachment = %row.key.digest, "dropped an attachment that no application names");
                }
                _ => {}
            }
        }
        Ok(self.office.db.drop_stray_parts().await?)
    }

    fn is_of(&self, row: &AttachmentRow, application: &Application) -> bool {
        let (here, there) = match row.key.own {
            true => (application.window(), application.decider()),
            false => (application.decider(), application.window()),
        };
        *here == self.office.node && *there == row.key.peer
    }

    /// Whether an application's files have been kept long enough.
    fn is_over(&self, application: &Application, now_ms: i64) -> bool {
        let kept = i64::from(self.files.keep_days).saturating_mul(DAY_MS);
        application.ended().is_some_and(|ended| ended.saturating_mul(1000).saturating_add(kept) <= now_ms)
    }

    async fn begin(
        &self,
        around: &Surroundings,
        fetching: &mut JoinSet<NodeId>,
        busy: &mut HashSet<NodeId>,
    ) -> Result<(), ApplicationError> {
        let now_ms = self.office.clock.now_ms();
        for row in self.office.db.wanted_attachments(now_ms, AT_ONCE).await? {
            if busy.contains(&row.key.peer) || !self.office.db.take_attachment(&row, self.later(PATIENCE)).await? {
                continue;
            }
            busy.insert(row.key.peer.clone());
            let (this, around) = (self.clone(), around.clone());
            fetching.spawn(async move {
                let peer = row.key.peer.clone();
                if let Err(error) = Box::pin(this.take(&around, &row)).await {
                    tracing::warn!(%error, attachment = %row.key.digest, "could not note how an attachment was fetched");
                }
                peer
            });
        }
        Ok(())
    }

    /// Fetches one that is taken, or puts down why not and when to try again.
    async fn take(&self, around: &Surroundings, row: &AttachmentRow) -> Result<(), ApplicationError> {
        let (db, key) = (&self.office.db, &row.key);
        let longest = Backoff { longest: LONG_REST, ..around.settings.backoff };
        let rest = longest.after(row.failures, rng().random());
        let (rest, why) = if !db.reserve_attachment(key, self.files.room()).await? {
            (LONG_REST, "there is no room for it here ([attachments] in node.toml) 存储空间不足".to_owned())
        } else {
            let client = match self.registry.peer(&key.peer) {
                Some(peer) => around.client(&peer),
                None => Err(Fault::Inactive),
            };
            let fetched = match client {
                Ok(client) => fetch(db, &client, row, self.office.clock.now_ms()).await,
                Err(fault) => Err(fault.into()),
            };
            match fetched {
                Ok(()) => {
                    tracing::info!(attachment = %key.digest, from = %key.peer, bytes = row.size, "fetched an attachment");
                    return Ok(());
                }
                Err(NotFetched::Store(error)) => return Err(error.into()),
                // whoever has found that has told of it
                Err(NotFetched::Unwanted) => return Ok(()),
                Err(error @ NotFetched::Other(_)) => (LONG_REST, error.to_string()),
                Err(NotFetched::Peer(Fault::Limited(wait))) => (rest.max(wait), Fault::Limited(wait).to_string()),
                Err(error) => (rest, error.to_string()),
            }
        };
        tracing::warn!(attachment = %key.digest, from = %key.peer, why, "did not fetch an attachment");
        Ok(db.postpone_attachment(key, self.later(rest), &why).await?)
    }

    fn later(&self, wait: Duration) -> i64 {
        self.office.clock.now_ms().saturating_add(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX))
    }
}
