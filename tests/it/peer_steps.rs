//! What the store lets happen to a peer, through the library and by bare SQL, on both databases: two persons, one after the
//! other, no step that is none, and nothing after a revocation.

use kaopu::statement::NodeId;
use kaopu::store::account::FREE_TRIES;
use kaopu::store::ceremony::{Fetched, Step};
use kaopu::store::invitation::{InvitationRow, InvitationUse};
use kaopu::store::peer::PeerRow;
use kaopu::store::peer_state::PeerState;
use kaopu::store::pending::Change;
use kaopu::store::{Db, LogState};
use sqlx::{AssertSqlSafe, Connection as _};

use crate::database::{Database, on_both};

fn change<'a>(node: &'a str, by: &'a str) -> Change<'a> {
    let reason = Some("示例");
    Change { about: "peer", subject: node, action: "test", by, reason, digest: None, at_ms: 1000 }
}

fn node() -> NodeId {
    "310107".parse().unwrap()
}

async fn persons(db: &Db) {
    for name in ["li", "wang", "gone"] {
        assert!(db.add_account(name, "hash", &change(name, "li")).await.unwrap());
    }
    assert!(db.disable_account("gone", &change("gone", "li")).await.unwrap());
}

async fn fetch(db: &Db, descriptor: &str, sequence: u64, root: &str) -> bool {
    let node = node();
    let fetched = Fetched { node: &node, descriptor, sequence, root, next_root: "next", url: None };
    db.fetch_peer(&fetched, &change("310107", "li")).await.unwrap()
}

async fn step(db: &Db, step: Step, by: &str) -> bool {
    db.step_peer(step, &node(), "d1", &change("310107", by)).await.unwrap()
}

async fn row(db: &Db) -> PeerRow {
    db.peers().await.unwrap().pop().unwrap()
}

/// Runs bare SQL, as somebody would who has the database's password.
async fn raw(database: &Database, sql: &str) -> Result<u64, String> {
    let words = |error: sqlx::Error| error.to_string();
    let sql = AssertSqlSafe(sql.to_owned());
    match database.url().strip_prefix("sqlite:") {
        Some(path) => {
            let options = sqlx::sqlite::SqliteConnectOptions::new()
                .filename(path.strip_prefix("//").unwrap_or(path))
                .foreign_keys(false);
            let mut connection = sqlx::SqliteConnection::connect_with(&options).await.map_err(words)?;
            sqlx::query(sql).execute(&mut connection).await.map(|done| done.rows_affected()).map_err(words)
        }
        None => {
            let mut connection = sqlx::PgConnection::connect(database.url()).await.map_err(words)?;
            sqlx::query(sql).execute(&mut connection).await.map(|done| done.rows_affected()).map_err(words)
        }
    }
}

on_both! {
    async fn a_peer_becomes_active_by_two_persons_and_the_other_side(database: Database) {
        let db = database.open().await;
        persons(&db).await;
        assert!(fetch(&db, "d1", 1, "root").await);
        for wrong in [Step::Approve, Step::Activate, Step::Suspend, Step::Resume] {
            assert!(!step(&db, wrong, "li").await, "{wrong:?}");
        }
        assert!(!step(&db, Step::Confirm, "gone").await && !step(&db, Step::Confirm, "nobody").await);
        // not with another descriptor than the one that was looked at
        assert!(!db.step_peer(Step::Confirm, &node(), "d0", &change("310107", "li")).await.unwrap());
        assert!(!step(&db, Step::TakeBack, "li").await, "nothing is confirmed yet");
        assert!(step(&db, Step::Confirm, "li").await);
        assert!(!fetch(&db, "other", 9, "root").await, "what is confirmed is not replaced");
        // taken back by one person; who confirms then is the one who may not approve
        assert!(!step(&db, Step::TakeBack, "gone").await && !step(&db, Step::TakeBack, "nobody").await);
        assert!(step(&db, Step::TakeBack, "wang").await && !step(&db, Step::TakeBack, "wang").await);
        assert_eq!((row(&db).await.state, row(&db).await.proposed_by), (PeerState::Fetched, None));
        assert!(!step(&db, Step::Approve, "wang").await, "what nobody stands for is not approved");
        assert!(step(&db, Step::Confirm, "li").await);
        assert!(!step(&db, Step::Approve, "li").await, "the proposer approves");
        assert!(!step(&db, Step::Approve, "gone").await && !step(&db, Step::Activate, "li").await);
        assert!(step(&db, Step::Approve, "wang").await);
        assert!(!step(&db, Step::TakeBack, "li").await, "what is approved is not taken back");
        assert!(!step(&db, Step::Approve, "wang").await && !step(&db, Step::Suspend, "li").await);
        assert!(step(&db, Step::Activate, "340500").await);
        assert!(step(&db, Step::Suspend, "li").await && step(&db, Step::Resume, "wang").await);
        let peer = row(&db).await;
        assert_eq!(peer.state, PeerState::Active);
        assert_eq!((peer.proposed_by.as_deref(), peer.approved_by.as_deref()), (Some("li"), Some("wang")));
        assert!(!peer.by_file);
        // each step that was taken left its change, and no other
        let mut changes = 0;
        while let Some(change) = db.take_change(2000).await.unwrap() {
            db.end_change(change.id).await.unwrap();
            changes += 1;
        }
        assert_eq!(changes, 3 + 1 + 1 + 1 + 1 + 5);
    }

    async fn bare_sql_takes_no_step_that_is_none(database: Database) {
        let db = database.open().await;
        persons(&db).await;
        let inserts = [
            "'active', 0, 'li', 'wang'",
            "'confirmed', 0, 'li', NULL",
            "'fetched', 0, 'li', NULL",
            "'active', 1, NULL, NULL",
            "'fetched', 1, NULL, NULL",
            "'invited', 0, NULL, NULL",
        ];
        for values in inserts {
            let sql = format!(
                "INSERT INTO peer (state, by_file, proposed_by, approved_by, node, descriptor, sequence, changed_ms, added_ms) \
                 VALUES ({values}, '310107', 'd1', 1, 1, 1)"
            );
            assert!(raw(&database, &sql).await.is_err(), "{values}");
        }
        assert!(fetch(&db, "d1", 1, "root").await);
        let refused = async |sets: &[&str]| {
            for set in sets {
                let outcome = raw(&database, &format!("UPDATE peer SET {set}")).await;
                assert!(outcome.is_err(), "{set}: {outcome:?}");
            }
        };
        let skips = ["state = 'active'", "state = 'active', by_file = 1", "state = 'approved', proposed_by = 'li', approved_by = 'wang'",
            "state = 'confirmed'", "state = 'confirmed', proposed_by = 'nobody'", "state = 'confirmed', proposed_by = 'gone'",
            "state = 'confirmed', proposed_by = 'LI'", "by_file = 1", "node = '340500'", "state = 'trusted'"];
        refused(&skips).await;
        assert!(step(&db, Step::Confirm, "li").await);
        let same = ["state = 'approved', approved_by = 'li'", "state = 'approved'", "proposed_by = 'wang'", "proposed_by = NULL",
            "state = 'approved', proposed_by = 'wang', approved_by = 'li'", "state = 'approved', approved_by = 'gone'",
            "state = 'active', approved_by = 'wang'", "state = 'fetched'"];
        refused(&same).await;
        assert!(step(&db, Step::Approve, "wang").await);
        refused(&["state = 'confirmed'", "approved_by = 'li'", "state = 'suspended'", "approved_by = NULL"]).await;
        for sql in ["DELETE FROM peer", "DELETE FROM account", "UPDATE account SET name = 'zhao' WHERE name = 'li'"] {
            assert!(raw(&database, sql).await.is_err(), "{sql}");
        }
        assert_eq!(row(&db).await.state, PeerState::Approved);
    }

    async fn what_was_revoked_comes_back_only_under_other_root_keys(database: Database) {
        let db = database.open().await;
        persons(&db).await;
        assert!(fetch(&db, "d1", 3, "root").await);
        let roots = ["root".to_owned(), "next".to_owned()];
        let mirror = db.create_log(&"kaopu/310107/records/1".parse().unwrap(), false).await.unwrap().origin;
        let own = db.create_log(&"kaopu/340500/records/1".parse().unwrap(), true).await.unwrap().origin;
        assert!(!db.revoke_peer(&node(), &roots, &change("310107", "gone")).await.unwrap());
        assert!(db.revoke_peer(&node(), &roots, &change("310107", "li")).await.unwrap());
        assert!(!db.revoke_peer(&node(), &roots, &change("310107", "li")).await.unwrap());
        let (closed, open) = (db.log(&mirror).await.unwrap().unwrap(), db.log(&own).await.unwrap().unwrap());
        assert_eq!((closed.state, open.state), (LogState::Closed, LogState::Open), "its mirrors end where they are");
        assert!(closed.revoked_ms.is_some() && open.revoked_ms.is_none());
        for wrong in [Step::Confirm, Step::Approve, Step::Activate, Step::Suspend, Step::Resume] {
            assert!(!step(&db, wrong, "li").await, "{wrong:?}");
        }
        let newer = PeerRow { descriptor: "d9".to_owned(), sequence: 9, ..row(&db).await };
        assert!(!db.put_peer(&newer).await.unwrap(), "a newer descriptor changes nothing");
        assert!(!fetch(&db, "d4", 4, "root").await && !fetch(&db, "d4", 4, "next").await);
        for set in ["state = 'fetched'", "state = 'active'", "descriptor = 'd4'", "state = 'fetched', root = 'next'"] {
            assert!(raw(&database, &format!("UPDATE peer SET {set}")).await.is_err(), "{set}");
        }
        assert!(raw(&database, "DELETE FROM revoked_root").await.is_err());
        assert!(raw(&database, "DELETE FROM peer").await.is_err());
        let other = Fetched { node: &node(), descriptor: "e4", sequence: 4, root: "new", next_root: "newer", url: None };
        assert!(db.fetch_peer(&other, &change("310107", "li")).await.unwrap());
        let peer = row(&db).await;
        assert_eq!((peer.state, peer.proposed_by, peer.approved_by), (PeerState::Fetched, None, None));
    }

    async fn a_file_alone_is_enough_only_while_there_are_no_persons(database: Database) {
        let db = database.open().await;
        let by_file = PeerRow::new(node(), PeerState::Active, "d1", 1, 5);
        assert!(db.put_peer(&by_file).await.unwrap());
        persons(&db).await;
        assert!(!db.put_peer(&PeerRow { node: "341200".parse().unwrap(), ..by_file.clone() }).await.unwrap());
        // newer descriptors are taken all the same
        assert!(db.put_peer(&PeerRow { descriptor: "d2".to_owned(), sequence: 2, ..by_file.clone() }).await.unwrap());
        assert!(row(&db).await.by_file);
        let second = |s, by| {
            let db = db.clone();
            async move { db.step_peer(s, &node(), "d2", &change("310107", by)).await.unwrap() }
        };
        assert!(second(Step::Confirm, "li").await && !second(Step::Approve, "li").await && second(Step::Approve, "wang").await);
        let peer = row(&db).await;
        assert_eq!((peer.state, peer.by_file), (PeerState::Active, false));
    }

    async fn an_invitation_is_used_once_in_time_and_by_whom_it_is_for(database: Database) {
        let db = database.open().await;
        let invite = async |secret: u8, made_ms| {
            let row = InvitationRow { node: node(), invited_by: "li".to_owned(), made_ms, until_ms: made_ms + 100 };
            db.add_invitation(&[secret; 32], &row, &change("310107", "li")).await.unwrap();
        };
        let used_with = async |secret: u8, node: &str, descriptor: &str, now| {
            let descriptor = kaopu::statement::Digest::of(descriptor.as_bytes());
            db.use_invitation(&[secret; 32], &node.parse().unwrap(), &descriptor, now).await.unwrap()
        };
        let used = async |secret: u8, node: &str, now| used_with(secret, node, "d1", now).await;
        invite(1, 1000).await;
        assert_eq!(used(9, "310107", 1001).await, InvitationUse::Unknown);
        assert_eq!(used(1, "341200", 1001).await, InvitationUse::Unknown);
        let both = futures_util::future::join(used(1, "310107", 1001), used_with(1, "310107", "d2", 1001)).await;
        assert!(matches!(both, (InvitationUse::Open, InvitationUse::Spent) | (InvitationUse::Spent, InvitationUse::Open)));
        // only who used it is told the same again, and in its time
        let (mine, other) = if both.0 == InvitationUse::Open { ("d1", "d2") } else { ("d2", "d1") };
        assert_eq!(used_with(1, "310107", mine, 1002).await, InvitationUse::Again);
        assert_eq!(used_with(1, "310107", other, 1002).await, InvitationUse::Spent);
        assert_eq!(used_with(1, "341200", mine, 1002).await, InvitationUse::Unknown);
        assert_eq!(used_with(1, "310107", mine, 1100).await, InvitationUse::Spent);
        invite(2, 2000).await;
        assert_eq!(used(2, "310107", 2100).await, InvitationUse::Late);
        invite(3, 3000).await;
        invite(4, 3001).await;
        assert_eq!(used(3, "310107", 3002).await, InvitationUse::Spent);
        assert_eq!(db.invitations(3002).await.unwrap().len(), 1);
        assert_eq!(used(4, "310107", 3002).await, InvitationUse::Open);
    }

    async fn secrets_are_tried_a_few_times_and_then_one_a_minute(database: Database) {
        let db = database.open().await;
        persons(&db).await;
        for _ in 0..FREE_TRIES {
            assert!(db.try_secret("li", 1000).await.unwrap());
        }
        assert!(!db.try_secret("li", 2000).await.unwrap() && !db.try_secret("nobody", 2000).await.unwrap());
        assert!(db.try_secret("wang", 2000).await.unwrap());
        assert!(db.try_secret("li", 61_000).await.unwrap() && !db.try_secret("li", 61_001).await.unwrap());
        db.right_secret("li").await.unwrap();
        assert!(db.try_secret("li", 61_002).await.unwrap());
    }
}
