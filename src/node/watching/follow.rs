//! Following subjects: for a stated purpose, as far as this node's policies let whoever follows do so.

use serde::Serialize;

use crate::clock::Clock;
use crate::config::Config;
use crate::exchange::reach::Reach;
use crate::exchange::webhook::{self, BadAddress};
use crate::policy::{FollowCase, Policies, Verdict};
use crate::record::Purpose;
use crate::statement::{Digest, Subject};
use crate::store::watch::{AllowedBy, Followed, Following};
use crate::store::{Db, StoreError};

/// Watches in one transaction.
const AT_ONCE: usize = 5000;
/// A follower's name is no longer, in characters.
const MAX_FOLLOWER: usize = 100;

/// Why subjects are not followed.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// No name of a follower.
    #[error("a follower is named in 1 to {MAX_FOLLOWER} characters, without control characters")]
    Follower,
    /// The end.
    #[error(
        "the last day is over: nothing would ever be told 截止日期已过; `kaopu watch remove` ends what is followed"
    )]
    Over,
    /// The webhook.
    #[error(transparent)]
    Webhook(#[from] BadAddress),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Who follows, what for, until when, and where it is told.
#[derive(Clone, Debug)]
pub struct Wish {
    /// Who.
    pub follower: String,
    /// What for.
    pub purpose: Purpose,
    /// The digest of what the subjects authorised it by 授权书.
    pub authorisation: Option<Digest>,
    /// Nothing is told from then on, milliseconds since 1970.
    pub until_ms: Option<i64>,
    /// The address of a webhook, beside the inbox.
    pub webhook: Option<String>,
    /// Who says so.
    pub added_by: String,
}

/// What came of a wish.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Granted {
    /// Subjects that are followed.
    pub followed: u64,
    /// Of them those that were not followed like that before.
    pub added: u64,
    /// Subjects that may not be followed.
    pub refused: Vec<NotFollowed>,
    /// Ids of the policies that decided, each once, in their order.
    pub policies: Vec<String>,
    /// The digest of the whole set.
    pub policy_set: Digest,
}

/// A subject that may not be followed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NotFollowed {
    /// Its key.
    pub subject: String,
    /// Ids of the policies that forbid it; none where none permits it.
    pub policies: Vec<String>,
    /// Why, in words for whom it concerns.
    pub reason: String,
}

/// Follows those of the subjects that the policies let be followed. What was added before a failure stays.
pub async fn follow(
    db: &Db,
    config: &Config,
    policies: &Policies,
    clock: &Clock,
    wish: &Wish,
    subjects: &[Followed],
) -> Result<Granted, WatchError> {
    let count = wish.follower.chars().count();
    if !(1..=MAX_FOLLOWER).contains(&count) || wish.follower.chars().any(char::is_control) {
        return Err(WatchError::Follower);
    }
    let now_ms = clock.now_ms();
    if wish.until_ms.is_some_and(|until_ms| until_ms <= now_ms) {
        return Err(WatchError::Over);
    }
    let address = match &wish.webhook {
        None => None,
        Some(url) => Some(webhook::address(url, &Reach { allow: config.webhooks.allow.clone() })?),
    };
    let mut granted =
        Granted { followed: 0, added: 0, refused: Vec::new(), policies: Vec::new(), policy_set: policies.digest() };
    let mut webhook = None;
    let (persons, others): (Vec<&Followed>, Vec<&Followed>) =
        subjects.iter().partition(|followed| Subject::is_key_of_a_person(&followed.subject));
    for (person, some) in [(false, others), (true, persons)] {
        if some.is_empty() {
            continue;
        }
        let authorised = wish.authorisation.is_some();
        let case = FollowCase { follower: &wish.follower, purpose: wish.purpose, person, authorised };
        let verdict = policies.may_follow(&case);
        granted.policies.extend_from_slice(&verdict.policies);
        if let Some(reason) = &verdict.reason {
            granted.refused.extend(some.into_iter().map(|followed| NotFollowed::of(followed, &verdict, reason)));
            continue;
        }
        // nobody is told at an address for whom nothing may be followed
        if let (Some(url), None) = (&address, webhook) {
            webhook = Some(db.webhook(url.as_str(), now_ms).await?);
        }
        let following = Following {
            follower: &wish.follower,
            purpose: wish.purpose,
            until_ms: wish.until_ms,
            webhook,
            added_by: &wish.added_by,
            allowed_by: Some(AllowedBy {
                policies: verdict.policies,
                policy_set: policies.digest(),
                authorisation: wish.authorisation,
            }),
            now_ms,
        };
        for some in some.chunks(AT_ONCE) {
            granted.added += db.follow(&following, some).await?;
            granted.followed += some.len() as u64;
        }
    }
    granted.policies.sort();
    granted.policies.dedup();
    Ok(granted)
}

impl NotFollowed {
    fn of(followed: &Followed, verdict: &Verdict, reason: &str) -> Self {
        Self { subject: followed.subject.clone(), policies: verdict.policies.clone(), reason: reason.to_owned() }
    }
}
