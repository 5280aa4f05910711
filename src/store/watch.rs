//! Who follows which subject, what for, and where they want to be told.

use std::sync::LazyLock;

use sqlx::FromRow;

use super::db::{Tx, clean, nat, on, retry};
use super::rows::{MultiRow, insert};
use super::{Db, StoreError};
use crate::record::Purpose;
use crate::statement::Digest;

/// A subject that is to be followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Followed {
    /// The subject's key.
    pub subject: String,
    /// The subject's name, as the follower has it.
    pub name: Option<String>,
}

/// On what it rests that a subject may be followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedBy {
    /// Ids of the policies that permit it.
    pub policies: Vec<String>,
    /// The digest of the whole set.
    pub policy_set: Digest,
    /// The digest of what the subject authorised it by, where that was given.
    pub authorisation: Option<Digest>,
}

/// On whose behalf subjects are followed, and what for.
#[derive(Clone, Debug)]
pub struct Following<'a> {
    /// Who.
    pub follower: &'a str,
    /// What for.
    pub purpose: Purpose,
    /// Nothing is told from then on, milliseconds since 1970.
    pub until_ms: Option<i64>,
    /// Where it is told beside the inbox.
    pub webhook: Option<i64>,
    /// Who says so.
    pub added_by: &'a str,
    /// On what it rests that they may be followed.
    pub allowed_by: Option<AllowedBy>,
    /// Now, milliseconds since 1970.
    pub now_ms: i64,
}

/// A watch.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct WatchRow {
    /// Its number.
    pub id: i64,
    /// The subject's key.
    pub subject: String,
    /// Who follows it.
    pub follower: String,
    /// What for.
    pub purpose: String,
    /// The subject's name, as the follower has it.
    pub name: Option<String>,
    /// Since when.
    pub since_ms: i64,
    /// Until when.
    pub until_ms: Option<i64>,
    /// The address of its webhook.
    pub webhook: Option<String>,
    /// Who added it.
    pub added_by: String,
    /// Ids of the policies that permit it, a space between; None of one that was added before policies were asked.
    pub policies: Option<String>,
    /// The digest of the set that they were in.
    pub policy_set: Option<String>,
    /// The digest of what the subject authorised it by.
    pub authorisation: Option<String>,
}

/// Which watches are meant: all that fit whatever is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Which {
    /// Of this follower.
    pub follower: Option<String>,
    /// Of this subject.
    pub subject: Option<String>,
    /// For this purpose.
    pub purpose: Option<Purpose>,
}

static ADD: LazyLock<MultiRow> = LazyLock::new(|| {
    MultiRow::new(
        "INSERT INTO watch (subject, follower, purpose, name, since_ms, until_ms, webhook, added_by, \
         policies, policy_set, authorisation)",
        11,
        "ON CONFLICT (subject, follower, purpose) DO UPDATE SET name = COALESCE(excluded.name, watch.name), \
         until_ms = excluded.until_ms, webhook = COALESCE(excluded.webhook, watch.webhook), \
         policies = excluded.policies, policy_set = excluded.policy_set, authorisation = excluded.authorisation",
    )
});
/// Whoever tells, or changes who is told, does it alone.
const ALONE: &str = "UPDATE telling SET turn = turn + 1 WHERE id = 1";
const ANY: &str = "SELECT id FROM watch LIMIT 1";
const LAST: &str = "SELECT COALESCE(MAX(id), 0) FROM watch";
const ADDED: &str = "SELECT COUNT(*) FROM watch WHERE id > $1";
const FORGET_FOLLOWED: &str = "DELETE FROM followed";
const FORGET_TURNED: &str = "DELETE FROM turned";
const FROM_NOW_ON: &str = "INSERT INTO followed (log, idx) SELECT id, size FROM log WHERE name = 'records' \
     ON CONFLICT (log) DO NOTHING";
/// Lists and ends watches, each by what narrows them down most: the subject, the follower, or nothing.
static BY: LazyLock<[(String, String); 3]> = LazyLock::new(|| {
    let fits = |column: &str, place: u8| format!("(${place} = '' OR {column} = ${place})");
    let narrowed = |subject: String, follower: String| {
        let fit = format!("{subject} AND {follower} AND {}", fits("purpose", 3));
        let list = format!(
            "SELECT w.id, subject, follower, purpose, name, since_ms, until_ms, url AS webhook, added_by, \
             policies, policy_set, authorisation FROM watch w LEFT JOIN webhook h ON h.id = w.webhook WHERE {fit} AND w.id > $4 ORDER BY w.id LIMIT $5"
        );
        (list, format!("DELETE FROM watch WHERE {fit}"))
    };
    [
        narrowed("subject = $2".to_owned(), fits("follower", 1)),
        narrowed(fits("subject", 2), "follower = $1".to_owned()),
        narrowed(fits("subject", 2), fits("follower", 1)),
    ]
});
const COUNT: &str = "SELECT COUNT(*) FROM watch";
const HOOK: &str =
    "INSERT INTO webhook (url, added_ms, failures, next_ms) VALUES ($1, $2, 0, 0) ON CONFLICT (url) DO NOTHING";
const HOOK_ID: &str = "SELECT id FROM webhook WHERE url = $1";
const UNHOOK: [&str; 4] = [
    "UPDATE watch SET webhook = NULL WHERE webhook = $1",
    "DELETE FROM delivery WHERE webhook = $1",
    "DELETE FROM line WHERE webhook = $1",
    "DELETE FROM webhook WHERE id = $1",
];

/// Keeps others who tell, and who change who is told, out until the transaction ends.
pub(super) async fn alone(tx: &mut Tx) -> Result<(), StoreError> {
    on!(change tx, c => sqlx::query(ALONE).execute(c))?;
    Ok(())
}

impl Db {
    /// Whether anybody follows anything.
    pub async fn any_watch(&self) -> Result<bool, StoreError> {
        let row: Option<(i64,)> = on!(read self, c => sqlx::query_as(ANY).fetch_optional(c))?;
        Ok(row.is_some())
    }

    /// How many watches there are.
    pub async fn watches_counted(&self) -> Result<i64, StoreError> {
        let (count,): (i64,) = on!(read self, c => sqlx::query_as(COUNT).fetch_one(c))?;
        Ok(count)
    }

    /// Follows these subjects, each of them named once, from now on; gives how many were not followed like that before. One
    /// that was is followed until the new date and told to the new webhook.
    ///
    /// The logs are followed from where they end now. Where watches were there already, they go on from where they had come.
    pub async fn follow(&self, following: &Following<'_>, subjects: &[&Followed]) -> Result<u64, StoreError> {
        // in one order everywhere, so that two who add the same subjects do not wait for each other
        let mut subjects: Vec<&Followed> = subjects.to_vec();
        let allowed = following.allowed_by.as_ref();
        let policies = allowed.map(|allowed| allowed.policies.join(" "));
        let policy_set = allowed.map(|allowed| allowed.policy_set.to_string());
        let authorisation = allowed.and_then(|allowed| allowed.authorisation).map(|digest| digest.to_string());
        subjects.sort_by(|a, b| a.subject.cmp(&b.subject));
        subjects.dedup_by(|a, b| a.subject == b.subject);
        retry(|| async {
            let mut tx = self.begin().await?;
            alone(&mut tx).await?;
            let any: Option<(i64,)> = on!(tx tx, c => sqlx::query_as(ANY).fetch_optional(c))?;
            if any.is_none() {
                for forget in [FORGET_FOLLOWED, FORGET_TURNED] {
                    on!(change tx, c => sqlx::query(forget).execute(c))?;
                }
            }
            on!(change tx, c => sqlx::query(FROM_NOW_ON).execute(c))?;
            let (last,): (i64,) = on!(tx tx, c => sqlx::query_as(LAST).fetch_one(c))?;
            insert!(tx, ADD, &subjects, |query, followed| query
                .bind(followed.subject.as_str())
                .bind(following.follower)
                .bind(following.purpose.as_str())
                .bind(followed.name.as_deref())
                .bind(following.now_ms)
                .bind(following.until_ms)
                .bind(following.webhook)
                .bind(following.added_by)
                .bind(policies.as_deref())
                .bind(policy_set.as_deref())
                .bind(authorisation.as_deref()))
            .await?;
            let (added,): (i64,) = on!(tx tx, c => sqlx::query_as(ADDED).bind(last).fetch_one(c))?;
            tx.commit().await?;
            nat(added)
        })
        .await
    }

    /// Watches behind a number, in the order of their numbers, at most `limit`.
    pub async fn watches(&self, which: &Which, behind: i64, limit: u32) -> Result<Vec<WatchRow>, StoreError> {
        let [follower, subject, purpose] = which.texts();
        on!(read self, c => sqlx::query_as(which.by().0.as_str())
            .bind(follower)
            .bind(subject)
            .bind(purpose)
            .bind(behind)
            .bind(i64::from(limit))
            .fetch_all(c))
    }

    /// Ends watches; gives how many. What was told stays in the inbox, and is still delivered.
    pub async fn unfollow(&self, which: &Which) -> Result<u64, StoreError> {
        let [follower, subject, purpose] = which.texts();
        retry(|| async {
            on!(write self, c => sqlx::query(which.by().1.as_str()).bind(follower).bind(subject).bind(purpose).execute(c))
        })
        .await
    }

    /// The number of the webhook of this address, which is made if it is not there.
    pub async fn webhook(&self, url: &str, now_ms: i64) -> Result<i64, StoreError> {
        let url = clean(url);
        retry(|| async { on!(write self, c => sqlx::query(HOOK).bind(&url).bind(now_ms).execute(c)) }).await?;
        let (id,): (i64,) = on!(read self, c => sqlx::query_as(HOOK_ID).bind(&url).fetch_one(c))?;
        Ok(id)
    }

    /// Drops a webhook and whatever was still to be delivered to it; its watches tell the inbox alone from then on. False
    /// if there is none.
    pub async fn drop_webhook(&self, id: i64) -> Result<bool, StoreError> {
        retry(|| async {
            let mut tx = self.begin().await?;
            alone(&mut tx).await?;
            let mut dropped = 0;
            for statement in UNHOOK {
                dropped = on!(change tx, c => sqlx::query(statement).bind(id).execute(c))?;
            }
            tx.commit().await?;
            Ok(dropped == 1)
        })
        .await
    }
}

impl Which {
    fn by(&self) -> &'static (String, String) {
        let [subject, follower, all] = &*BY;
        match self {
            Self { subject: Some(_), .. } => subject,
            Self { follower: Some(_), .. } => follower,
            _ => all,
        }
    }

    /// Each as its column has it, empty where anything fits.
    fn texts(&self) -> [&str; 3] {
        [
            self.follower.as_deref().unwrap_or_default(),
            self.subject.as_deref().unwrap_or_default(),
            self.purpose.map_or("", Purpose::as_str),
        ]
    }
}
