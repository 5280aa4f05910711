//! The window takes an application back: nothing is due any more at either end, and nothing is decided on it.

use kaopu::config::Attachments;
use kaopu::exchange::attachment::{NotFetched, fetch};
use kaopu::node::applications::ApplicationError;
use kaopu::record::application::NotNow;
use kaopu::record::event::Stage;
use kaopu::store::attachment::PART;

use super::{DAY, Desk, file, filing, granted, granted_at, states, two};
use crate::city::NOW;
use crate::database::on_both;
use crate::line::until;

on_both! {
    async fn the_window_takes_back_what_is_not_decided(database: Database) {
        let (decider, window) = Box::pin(two(database)).await;
        let record = decider.penalises(1).await;
        window.office.holds(&decider.office.city.records(), 2).await;
        let desk = window.applications();
        let file_one = async || {
            let filed = desk.file(&filing(record), vec![file("示例", 100)], false).await.unwrap().digest.unwrap();
            decider.has(&filed, "filed").await;
            filed
        };
        let kept = decider.keeps();
        let due = async |desk: &Desk| {
            let all = desk.applications().under_way().await.unwrap();
            (all.waiting, all.elsewhere, all.due, all.late)
        };

        let application = file_one().await;
        until("the file is there", || async { states(&decider.sees(&application).await) == ["here"] }).await;
        kept.abort();
        decider.step(&application, Stage::Accepted).await.unwrap();
        window.has(&application, "accepted").await;
        // only the window does, and only of what is an application
        let theirs = decider.step(&application, Stage::Withdrawn).await.unwrap_err();
        assert!(matches!(&theirs, ApplicationError::NotTheWindow(node) if *node == window.office.city.node), "{theirs}");
        let none = window.step(&record, Stage::Withdrawn).await.unwrap_err();
        assert!(matches!(none, ApplicationError::Unknown(_)), "{none}");
        let rehearsed = desk.step(&application, Stage::Withdrawn, Some("示例".to_owned()), None, true).await.unwrap();
        assert_eq!((rehearsed.digest, window.sees(&application).await.stage), (None, "accepted"));
        // on a day on which the other side is late
        for desk in [&window, &decider] {
            desk.sets_its_clock(NOW + 30 * DAY);
        }
        assert_eq!((due(&window).await, due(&decider).await), ((0, 1, 1, 1), (1, 0, 1, 1)));
        window.step(&application, Stage::Withdrawn).await.unwrap();
        decider.has(&application, "withdrawn").await;
        for desk in [&window, &decider] {
            assert_eq!(due(desk).await, (0, 0, 0, 0), "nobody is late any more");
            let seen = desk.sees(&application).await;
            assert_eq!((seen.next, seen.deadline, seen.late, seen.title), (None, None, false, "已撤回"));
            let last = seen.steps.last().unwrap();
            assert_eq!((last.stage, last.due.as_deref(), last.reason.as_deref()), ("withdrawn", None, Some("示例")));
        }
        for stage in [Stage::More, Stage::Extended, Stage::Rejected] {
            let behind = decider.step(&application, stage).await.unwrap_err();
            assert!(matches!(behind, ApplicationError::NotNow(NotNow::TakenBack)), "{behind}");
        }
        let granted_behind = decider.applications().decide(&application, granted(), false).await.unwrap_err();
        assert!(matches!(granted_behind, ApplicationError::NotNow(NotNow::TakenBack)), "{granted_behind}");
        for refused in [
            window.step(&application, Stage::Withdrawn).await.unwrap_err(),
            desk.supply(&application, None, vec![file("补", 10)], false).await.unwrap_err(),
        ] {
            assert!(matches!(refused, ApplicationError::NotNow(NotNow::TakenBack)), "{refused}");
        }
        // its files are kept as long as those of what was decided
        for (days, erased) in [(364, false), (365, true)] {
            for desk in [&window, &decider] {
                desk.applications().want().await.unwrap();
                desk.sets_its_clock(NOW + (30 + days) * DAY);
                desk.applications().clear().await.unwrap();
            }
            for desk in [&window, &decider] {
                assert_eq!(states(&desk.sees(&application).await), [if erased { "erased" } else { "here" }], "{days}");
            }
        }

        // the enterprise may ask again; what is decided is not taken back
        for desk in [&window, &decider] {
            desk.sets_its_clock(NOW + 31 * DAY);
        }
        let again = file_one().await;
        decider.step(&again, Stage::Accepted).await.unwrap();
        let (repair, _) = decider.applications().decide(&again, granted_at(NOW + 31 * DAY), false).await.unwrap();
        // before the window hears of it
        let crossed = window.step(&again, Stage::Withdrawn).await;
        window.has(&again, "decided").await;
        let late = window.step(&again, Stage::Withdrawn).await.unwrap_err();
        assert!(matches!(late, ApplicationError::NotNow(NotNow::Ended)), "{late}");
        // both were said where the window had not heard: the decision stands at both ends
        if let Ok(crossed) = crossed {
            until("the other side has heard", || async {
                decider.sees(&again).await.steps.iter().any(|step| step.digest == crossed)
            })
            .await;
        }
        for desk in [&window, &decider] {
            let seen = desk.sees(&again).await;
            let repair = repair.as_ref().unwrap().digest.map(|digest| digest.to_string());
            assert_eq!((seen.stage, seen.next, seen.repair), ("decided", None, repair));
        }
    }

    async fn what_had_not_come_by_the_end_is_not_fetched_any_more(database: Database) {
        let (mut decider, window) = Box::pin(two(database)).await;
        let records = [decider.penalises(1).await, decider.penalises(2).await, decider.penalises(3).await];
        window.office.holds(&decider.office.city.records(), 4).await;
        let file_for = async |decider: &Desk, record, bytes| {
            let filed = window.applications().file(&filing(record), vec![file("示例", bytes)], false).await.unwrap();
            decider.has(&filed.digest.unwrap(), "filed").await;
            filed.digest.unwrap()
        };
        // one that is taken back before it was looked at, one that is rejected, one of which a part has come
        let before = file_for(&decider, records[0], 100).await;
        window.step(&before, Stage::Withdrawn).await.unwrap();
        decider.has(&before, "withdrawn").await;
        let (rejected, begun) = (file_for(&decider, records[1], 100).await, file_for(&decider, records[2], 2_000_000).await);
        decider.files.total_bytes = 10;
        let kept = decider.keeps();
        until("there is no room", || async {
            let rows = decider.office.db.attachments().await.unwrap();
            rows.len() == 2 && rows.iter().all(|row| row.failures == 1)
        })
        .await;
        assert_eq!(states(&decider.sees(&before).await), ["unwanted"]);
        let digest = decider.sees(&begun).await.attachments[0].digest;
        let row = decider.office.db.attachments_of(&digest).await.unwrap().remove(0);
        let client = || {
            let peer = decider.office.registry.peer(&window.office.city.node).unwrap();
            decider.office.surroundings().client(&peer).unwrap()
        };
        let part = client().attachment(&digest, 0, PART, row.size).await.unwrap();
        assert!(decider.office.db.put_attachment_part(&row.key, 0, &part).await.unwrap());
        decider.step(&rejected, Stage::Rejected).await.unwrap();
        window.step(&begun, Stage::Withdrawn).await.unwrap();
        until("both are forgotten", || async { decider.office.db.attachments().await.unwrap().is_empty() }).await;
        assert_eq!(decider.office.db.attachment_part(&row.key, 0).await.unwrap(), None, "with the part that had come");
        // whoever is at it ends
        let ended = fetch(&decider.office.db, &client(), &row, NOW * 1000).await.unwrap_err();
        assert!(matches!(ended, NotFetched::Unwanted), "{ended}");
        assert_eq!(decider.office.db.attachment_part(&row.key, 0).await.unwrap(), None);
        let unknown = decider.applications().open(&digest, "示例").await.unwrap_err();
        assert!(matches!(unknown, ApplicationError::NoFile(_)), "{unknown}");
        kept.abort();

        // where there is room again only what is under way comes
        decider.files = Attachments::default();
        let again = file_for(&decider, records[0], 300).await;
        let kept = decider.keeps();
        until("the file is there", || async { states(&decider.sees(&again).await) == ["here"] }).await;
        assert_eq!(decider.office.db.attachments().await.unwrap().len(), 1);
        for ended in [&before, &rejected, &begun] {
            assert_eq!(states(&decider.sees(ended).await), ["unwanted"]);
            assert_eq!(states(&window.sees(ended).await), ["here"], "the window keeps it for its time");
        }
        // and what is here stays beyond the end
        window.step(&again, Stage::Withdrawn).await.unwrap();
        decider.has(&again, "withdrawn").await;
        decider.applications().want().await.unwrap();
        assert_eq!(states(&decider.sees(&again).await), ["here"]);
        kept.abort();
    }
}
