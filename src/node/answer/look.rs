//! What the store knows for queries that wait together: what was answered to them before, how far the own records log has
//! come, and the first records about their subjects with what was said about these.

use std::collections::{HashMap, HashSet};

use super::found::Read;
use crate::log::Origin;
use crate::log::event::RecordPlace;
use crate::statement::NodeId;
use crate::store::gather::Gather;
use crate::store::query::{Extent, Stored};
use crate::store::{Db, StoreError};

/// Queries that are looked up at once.
const MOST: usize = 100;

/// Looks up for queries. Cheap to clone.
#[derive(Clone)]
pub struct Look(Gather<Wanted, Known>);

/// What one query needs to know.
pub(super) struct Wanted {
    /// Who asks.
    pub asker: NodeId,
    /// With which nonce.
    pub nonce: String,
    /// About whom, where it is told something about somebody.
    pub subject: Option<String>,
}

/// What is known for one query.
pub(super) struct Known {
    /// What was answered to its nonce before.
    pub stored: Option<Stored>,
    /// How far the records log had come before the records were looked for.
    pub extent: Extent,
    /// The first records about its subject. None where they are to be looked for alone.
    pub first: Option<Read>,
}

impl Look {
    /// Starts looking up for queries, over one own records log's extent.
    pub fn start(db: Db, records: Origin) -> Self {
        Self(Gather::start(MOST, move |wanted| {
            let (db, records) = (db.clone(), records.clone());
            async move { look(&db, &records, wanted).await }
        }))
    }

    pub(super) async fn up(&self, wanted: Wanted) -> Result<Known, StoreError> {
        self.0.ask(wanted).await
    }
}

async fn look(db: &Db, records: &Origin, wanted: Vec<Wanted>) -> Result<Vec<Known>, StoreError> {
    let mut nonces: HashMap<&NodeId, Vec<&str>> = HashMap::new();
    for one in &wanted {
        nonces.entry(&one.asker).or_default().push(&one.nonce);
    }
    let mut stored = HashMap::new();
    for (asker, nonces) in nonces {
        stored.insert(asker, db.answered_to(asker, &nonces).await?);
    }
    // before the look-up: all up to here is looked through, and perhaps more
    let extent = db.extent(records).await?;
    let extent = extent.ok_or_else(|| StoreError::Corrupt(format!("{records} has no checkpoint")))?;
    let subjects: HashSet<&str> = wanted.iter().filter_map(|one| one.subject.as_deref()).collect();
    let about = db.first_about(&subjects.into_iter().collect::<Vec<_>>()).await?;
    let places: HashSet<RecordPlace> = about.values().flatten().filter_map(|record| record.life.clone()).collect();
    let lives = db.said_of(&places).await?;
    let known = wanted.iter().map(|one| {
        let first = one.subject.as_ref().and_then(|subject| about.get(subject)).map(|records| {
            let places = records.iter().filter_map(|record| record.life.as_ref());
            let lives = places.filter_map(|place| Some((place.clone(), lives.get(place)?.clone()))).collect();
            Read { records: records.clone(), lives }
        });
        let stored = stored.get(&one.asker).and_then(|stored| stored.get(&one.nonce)).copied();
        Known { stored, extent, first }
    });
    Ok(known.collect())
}
