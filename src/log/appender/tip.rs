//! The end of a log, and the keys that are valid there.

use std::sync::Arc;

use super::AppendError;
use crate::log::{Hash, Origin};
use crate::statement::{KeyRing, Kinds};
use crate::store::statement::{Body, StatementRow};
use crate::store::{Db, LogRow, StoreError};
use crate::trust::compromise::{self, VoidError};
use crate::trust::descriptor::Descriptor;

/// The end of a log: its row, and the descriptor whose keys are valid for the next entry.
#[derive(Clone)]
pub(super) struct Tip {
    pub(super) row: LogRow,
    pub(super) keys: Option<Keys>,
}

/// A descriptor, and the keys that it makes valid.
#[derive(Clone)]
pub(super) struct Keys {
    pub(super) descriptor: Arc<Descriptor>,
    pub(super) ring: Arc<KeyRing>,
}

impl Tip {
    /// The log as it stands now, with the keys that are valid at its end; what compromised keys signed is taken back first.
    pub(super) async fn load(db: &Db, kinds: &Kinds, origin: &Origin) -> Result<Self, AppendError> {
        let gone = || AppendError::Stopped(format!("{origin} is not in the store; `kaopu init` makes it"));
        let mut row = db.log(origin).await?.ok_or_else(gone)?;
        while row.unvoided.is_some() {
            row = match compromise::void(db, kinds, row).await {
                Ok(row) => row,
                Err(VoidError::Moved) => db.log(origin).await?.ok_or_else(gone)?,
                Err(VoidError::Store(error)) => return Err(error.into()),
                Err(VoidError::Descriptor(error)) => return Err(StoreError::Corrupt(error.to_string()).into()),
            };
        }
        let descriptor = match row.descriptor {
            None => None,
            Some(index) => db.statements(row.id, index, 1).await?.pop(),
        };
        Self::of(row, descriptor)
    }

    fn of(row: LogRow, descriptor: Option<StatementRow>) -> Result<Self, AppendError> {
        let corrupt = |what: String| AppendError::from(StoreError::Corrupt(format!("{}: {what}", row.origin)));
        if row.size > 0 && row.head.as_ref().is_none_or(|head| head.size != row.size || head.root != row.edge.root()) {
            return Err(corrupt("its entries do not agree with its head".to_owned()));
        }
        let keys = match descriptor.map(|descriptor| descriptor.body) {
            None if row.size == 0 => None,
            Some(Body::Here(jws)) => {
                let (_, descriptor) = Descriptor::open(&jws).map_err(|error| corrupt(error.to_string()))?;
                Some(Keys::of(descriptor))
            }
            _ => return Err(corrupt("its last descriptor is not there".to_owned())),
        };
        Ok(Self { row, keys })
    }

    pub(super) fn row(&self) -> &LogRow {
        &self.row
    }

    pub(super) fn size(&self) -> u64 {
        self.row.size
    }

    /// Its newest signed checkpoint; nothing while it is empty.
    pub(super) fn note(&self) -> &str {
        self.row.head.as_ref().map_or("", |head| &head.note)
    }

    pub(super) fn root(&self) -> Hash {
        self.row.edge.root()
    }

    /// Its last descriptor.
    pub(super) fn descriptor(&self) -> Option<Arc<Descriptor>> {
        self.keys.as_ref().map(|keys| Arc::clone(&keys.descriptor))
    }
}

impl Keys {
    pub(super) fn of(descriptor: Descriptor) -> Self {
        Self { ring: Arc::new(descriptor.key_ring()), descriptor: Arc::new(descriptor) }
    }
}
