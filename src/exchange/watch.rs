//! News of grown logs, for those who hold a request open until there is some.
//!
//! What this process appends or mirrors itself is told at once. Another process may grow the same store (a command
//! beside a running server, a second server), so while somebody listens, and only then, the store is looked at every
//! 100 ms.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::store::Db;

/// How often the store is looked at while somebody listens.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Where growth is told and heard. Cheap to clone; the looking ends with the last clone.
#[derive(Clone)]
pub struct News {
    grown: Arc<watch::Sender<u64>>,
    listeners: Arc<watch::Sender<usize>>,
}

/// One who listens for growth since it began to.
pub struct Listener {
    grown: watch::Receiver<u64>,
    listeners: Arc<watch::Sender<usize>>,
}

impl News {
    /// Starts to look after the logs of this store.
    pub fn start(db: Db) -> Self {
        let grown = Arc::new(watch::Sender::new(0));
        let listeners = Arc::new(watch::Sender::new(0));
        tokio::spawn(look(db, Arc::downgrade(&grown), listeners.subscribe()));
        Self { grown, listeners }
    }

    /// Some log has grown.
    pub fn tell(&self) {
        self.grown.send_modify(|n| *n = n.wrapping_add(1));
    }

    /// Tells whenever this log of this process grows, until its appender stops.
    pub fn follow(&self, mut sizes: watch::Receiver<u64>) {
        let news = self.clone();
        tokio::spawn(async move {
            while sizes.changed().await.is_ok() {
                news.tell();
            }
        });
    }

    /// Begins to listen: whatever grows after this call is heard. Listen first, then read, and nothing slips between.
    pub fn listen(&self) -> Listener {
        self.listeners.send_modify(|n| *n += 1);
        let mut grown = self.grown.subscribe();
        grown.mark_unchanged();
        Listener { grown, listeners: Arc::clone(&self.listeners) }
    }
}

impl Listener {
    /// Waits until some log has grown since the last call. Never ends when nobody is left to tell.
    pub async fn heard(&mut self) {
        if self.grown.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.listeners.send_modify(|n| *n -= 1);
    }
}

async fn look(db: Db, grown: std::sync::Weak<watch::Sender<u64>>, mut listeners: watch::Receiver<usize>) {
    let mut known = None;
    // ends when `News` is dropped: then the wait fails
    while listeners.wait_for(|n| *n > 0).await.is_ok() {
        match db.head_sizes().await {
            // the first look after a pause counts as news: the listener may have read before what grew in the meantime
            Ok(sizes) => {
                if known.as_ref() != Some(&sizes) {
                    let Some(grown) = grown.upgrade() else { return };
                    grown.send_modify(|n| *n = n.wrapping_add(1));
                    known = Some(sizes);
                }
            }
            Err(error) => tracing::warn!(%error, "could not look for news"),
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
