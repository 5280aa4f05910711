//! What happens among the five, read off their stores: who published, who pulled and verified it, and how fast.

use std::future::Future;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::time::{Instant, sleep};

use super::folder::Folder;
use super::nodes::{SITES, Site};
use crate::cli::print_line as say;
use kaopu::config::Config;
use kaopu::log::Hash;
use kaopu::store::Db;

/// How often the stores are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How long the peers may take before the demo goes on without them.
const PATIENCE: Duration = Duration::from_secs(15);

/// The stores of the nodes.
pub struct News {
    stores: Vec<(&'static Site, Db)>,
    begun: Instant,
}

/// How far a node holds a log, all of it proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Held {
    size: u64,
    root: Hash,
}

impl News {
    /// Opens the stores, to read.
    pub async fn watch(folder: &Folder) -> Result<Self> {
        let mut stores = Vec::new();
        for site in &SITES {
            let config = Config::load(folder.config(site).as_ref())?;
            stores.push((
                site,
                Db::open(config.store.expose()).await.with_context(|| format!("the store of {}", site.id))?,
            ));
        }
        Ok(Self { stores, begun: Instant::now() })
    }

    /// Runs work that publishes at one node, and tells when each of the others had pulled and verified all of it.
    pub async fn follow<T>(&self, site: &Site, work: impl Future<Output = Result<T>>) -> Result<T> {
        let before = self.published(site).await?;
        let mut growth = Growth::new(site, before);
        tokio::pin!(work);
        let result = loop {
            tokio::select! {
                result = &mut work => break result?,
                () = sleep(LOOK_EVERY) => self.look(site, &mut growth).await?,
            }
        };
        let until = Instant::now() + PATIENCE;
        self.look(site, &mut growth).await?;
        while growth.is_under_way() && Instant::now() < until {
            sleep(LOOK_EVERY).await;
            self.look(site, &mut growth).await?;
        }
        if growth.size > before {
            say(&format!("[{:6.1} s] {}", self.begun.elapsed().as_secs_f64(), growth.tale(before)));
        }
        Ok(result)
    }

    /// Tells of what anybody publishes, until this is dropped.
    pub async fn tell_for_ever(&self) -> Result<()> {
        let mut growths = Vec::new();
        for site in &SITES {
            let size = self.published(site).await?;
            growths.push((site, size, Growth::new(site, size)));
        }
        loop {
            for (site, told, growth) in &mut growths {
                self.look(site, growth).await?;
                if growth.size > *told && !growth.is_under_way() {
                    let tale = growth.tale(*told);
                    say(&format!("[{:6.1} s] {} {}  {tale}", self.begun.elapsed().as_secs_f64(), site.id, site.name));
                    *told = growth.size;
                }
            }
            sleep(LOOK_EVERY * 10).await;
        }
    }

    /// Waits until all five hold the same five logs; false when that takes too long.
    pub async fn until_in_step(&self, within: Duration) -> Result<bool> {
        let until = Instant::now() + within;
        while !self.in_step().await? {
            if Instant::now() > until {
                return Ok(false);
            }
            sleep(LOOK_EVERY * 5).await;
        }
        Ok(true)
    }

    /// A line for each log: its size, its root, and who holds all of it.
    pub async fn tell_who_holds_what(&self) -> Result<()> {
        for owner in &SITES {
            let mut holders = Vec::new();
            let own = self.held_by_owner(owner).await?;
            for (site, db) in &self.stores {
                let held = held(db, owner).await?;
                holders.push(match (held, own) {
                    (Some(held), Some(own)) if held == own => site.id.to_owned(),
                    (Some(held), _) => format!("{} ({} only)", site.id, held.size),
                    (None, _) => format!("{} (nothing)", site.id),
                });
            }
            let (size, root) = own.map_or((0, String::new()), |own| (own.size, short(&own.root)));
            say(&format!("  {:<24} {size:>4} entries  root {root}…  at {}", origin(owner), holders.join(" ")));
        }
        Ok(())
    }

    async fn in_step(&self) -> Result<bool> {
        for owner in &SITES {
            let Some(own) = self.held_by_owner(owner).await? else { return Ok(false) };
            for (_, db) in &self.stores {
                if held(db, owner).await? != Some(own) {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    async fn published(&self, site: &Site) -> Result<u64> {
        Ok(self.held_by_owner(site).await?.map_or(0, |held| held.size))
    }

    async fn held_by_owner(&self, owner: &Site) -> Result<Option<Held>> {
        match self.stores.iter().find(|(site, _)| site.id == owner.id) {
            Some((_, db)) => held(db, owner).await,
            None => Ok(None),
        }
    }

    /// Looks at one log in all stores and notes what is new.
    async fn look(&self, owner: &Site, growth: &mut Growth) -> Result<()> {
        for (site, db) in &self.stores {
            let size = held(db, owner).await?.map_or(0, |held| held.size);
            growth.note(site, size);
        }
        Ok(())
    }
}

/// How a growth of a log spreads: when its owner had it, and when each peer.
struct Growth {
    owner: &'static str,
    size: u64,
    since: Instant,
    peers: Vec<(&'static str, u64, Instant)>,
}

impl Growth {
    fn new(owner: &Site, size: u64) -> Self {
        let since = Instant::now();
        let peers = SITES.iter().filter(|site| site.id != owner.id).map(|site| (site.id, size, since)).collect();
        Self { owner: owner.id, size, since, peers }
    }

    fn note(&mut self, site: &Site, size: u64) {
        let now = Instant::now();
        if site.id == self.owner && size > self.size {
            (self.size, self.since) = (size, now);
        }
        for (_, held, since) in self.peers.iter_mut().filter(|(id, held, _)| *id == site.id && size > *held) {
            (*held, *since) = (size, now);
        }
    }

    fn is_under_way(&self) -> bool {
        self.peers.iter().any(|(_, held, _)| *held < self.size)
    }

    fn tale(&self, before: u64) -> String {
        let peers: Vec<_> = self
            .peers
            .iter()
            .map(|(id, held, when)| {
                if *held < self.size {
                    format!("{id} not yet")
                } else {
                    format!("{id} +{:.2} s", when.saturating_duration_since(self.since).as_secs_f64())
                }
            })
            .collect();
        format!("{} published; pulled and verified: {}", self.size - before, peers.join(", "))
    }
}

/// What a store holds of a city's records log.
async fn held(db: &Db, owner: &Site) -> Result<Option<Held>> {
    let Some(log) = db.log(&origin(owner).parse()?).await? else { return Ok(None) };
    Ok(log.complete.map(|head| Held { size: head.size, root: head.root }))
}

fn origin(owner: &Site) -> String {
    format!("kaopu/{}/records/1", owner.id)
}

fn short(root: &Hash) -> String {
    root.iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}
