//! What the mirrors here say of statements that came from elsewhere: looked up for many answers together.

use std::collections::HashMap;

use crate::statement::Digest;
use crate::store::Db;
use crate::store::StoreError;
use crate::store::gather::Gather;

/// Answers whose statements are looked up at once.
const MOST: usize = 100;

/// What a mirror says of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mirrored {
    /// It stands there, proven and judged good.
    Accepted,
    /// It stands there, and was refused.
    Refused,
}

/// Looks up statements. Cheap to clone.
#[derive(Clone)]
pub struct Mirrors(Gather<Vec<Digest>, HashMap<Digest, Mirrored>>);

impl Mirrors {
    /// Starts looking them up.
    pub fn start(db: Db) -> Self {
        Self(Gather::start(MOST, move |asked| {
            let db = db.clone();
            async move { look(&db, &asked).await }
        }))
    }

    /// What is known of statements; those of which nothing is, or nothing yet, are left out.
    pub async fn of(&self, digests: Vec<Digest>) -> Result<HashMap<Digest, Mirrored>, StoreError> {
        if digests.is_empty() { Ok(HashMap::new()) } else { self.0.ask(digests).await }
    }
}

async fn look(db: &Db, asked: &[Vec<Digest>]) -> Result<Vec<HashMap<Digest, Mirrored>>, StoreError> {
    let all: Vec<Digest> = asked.iter().flatten().copied().collect();
    let mut known = HashMap::new();
    // the first that counts: a statement may stand in two logs
    for (digest, verdict) in db.verdicts(&all).await? {
        match verdict.as_str() {
            "accepted" => drop(known.entry(digest).or_insert(Mirrored::Accepted)),
            "refused" => drop(known.entry(digest).or_insert(Mirrored::Refused)),
            _ => {}
        }
    }
    let of = |digests: &Vec<Digest>| digests.iter().filter_map(|it| Some((*it, known.get(it)?.clone()))).collect();
    Ok(asked.iter().map(of).collect())
}
