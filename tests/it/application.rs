//! A repair asked for at another city's window: from the filing to the decision and its recognition, with files that the city
//! that decides alone can have, over real lines and on both databases.

mod taken_back;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use kaopu::about::SayError;
use kaopu::about::{MayNot, Office as Bureau};
use kaopu::clock::{Clock, date_of};
use kaopu::config::Attachments;
use kaopu::exchange::Fault;
use kaopu::in_force::InForce;
use kaopu::log::appender::Appender;
use kaopu::node::applications::{ApplicationError, Applications, Filing, Grant, NewFile, Overview};
use kaopu::node::recognise::Recogniser;
use kaopu::node::settings::Settings;
use kaopu::policy::{Groups, Known, Policies};
use kaopu::record::application::NotNow;
use kaopu::record::event::{RepairType, Stage};
use kaopu::record::{Calendar, Rules};
use kaopu::statement::{Audience, Digest, Reader, SigningKey, Suite};
use kaopu::trust::descriptor::{KeyEntry, KeyState, Purpose};
use kaopu::trust::keys::KeyStore;
use kaopu::trust::registry::Registry;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use crate::city::{City, NOW};
use crate::database::{Database, Kind, on_both};
use crate::line::{Office, place, publish, until};

const DAY: i64 = 86_400;

/// A city that files and decides.
pub struct Desk {
    pub office: Office,
    pub records: Appender,
    seal: Arc<SigningKey>,
    pub files: Attachments,
}

impl Desk {
    /// A city with a sealing key, and where it will listen.
    pub async fn new(database: Database, node: &str) -> (Self, tokio::net::TcpListener) {
        let (tcp, url) = place().await;
        let mut city = City::new(node, &url);
        let seal = Arc::new(SigningKey::from_seed(Suite::Es256, &[node.as_bytes()[1]; 32]).unwrap());
        city.descriptor.keys.push(KeyEntry {
            key: seal.public().clone(),
            purpose: Purpose::Seal,
            state: KeyState::Active,
            valid_below: None,
        });
        city.first = city.descriptor.sign(&city.root, NOW, &mut StdRng::seed_from_u64(8)).unwrap();
        let office = Office::on(Arc::new(city), Arc::new(database)).await;
        let records = office.publishes().await;
        (Self { office, records, seal, files: Attachments::default() }, tcp)
    }

    pub fn applications(&self) -> Applications {
        Applications {
            office: Bureau {
                db: self.office.db.clone(),
                node: self.office.city.node.clone(),
                rules: InForce::new(Rules::built_in().unwrap()),
                records: self.records.clone(),
                clock: self.office.clock.clone(),
                operator: None,
            },
            kinds: self.office.kinds.clone(),
            registry: self.office.registry.clone(),
            calendar: InForce::new(Calendar::built_in().unwrap()),
            keys: KeyStore::of([Arc::clone(&self.seal)]),
            files: self.files,
        }
    }

    /// Fetches what applications to it name, and tells what is due, as a serving node does.
    pub fn keeps(&self) -> tokio::task::JoinHandle<()> {
        tokio::spawn(self.applications().keep(Some(self.office.surroundings())))
    }

    pub async fn sees(&self, application: &Digest) -> Overview {
        self.applications().overview(application).await.unwrap()
    }

    pub async fn has(&self, application: &Digest, stage: &str) {
        until(&format!("{} sees it {stage}", self.office.city.node), || async {
            self.applications().overview(application).await.is_ok_and(|one| one.stage == stage)
        })
        .await;
    }

    async fn step(&self, application: &Digest, stage: Stage) -> Result<Digest, ApplicationError> {
        let reason = Some("示例".to_owned());
        let said = self.applications().step(application, stage, reason, None, false).await?;
        Ok(said.digest.unwrap())
    }

    pub fn sets_its_clock(&self, seconds: i64) {
        let Clock::Fixed(ms) = &self.office.clock else { unreachable!("a test's clock") };
        ms.store(seconds * 1000, Ordering::Relaxed);
    }

    pub async fn penalises(&self, number: u64) -> Digest {
        let penalty = self.office.city.penalty(number);
        publish(&self.records, vec![penalty.clone()]).await;
        penalty.digest()
    }
}

pub fn filing(record: Digest) -> Filing {
    Filing {
        record,
        of: Some(RepairType::EndPublicity),
        window: Some("示例政务服务中心".to_owned()),
        commitment: Some(Digest([7; 32])),
        reason: None,
        on: None,
    }
}

/// A file of so many bytes, unlike others.
pub fn file(name: &str, bytes: usize) -> NewFile {
    let seed = name.as_bytes().iter().fold(1u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(*byte));
    let bytes = (0..bytes).map(|n| (n as u8).wrapping_mul(seed)).collect();
    NewFile { name: name.to_owned(), title: Some(name.to_owned()), bytes: Zeroizing::new(bytes) }
}

fn granted() -> Grant {
    granted_at(NOW)
}

fn granted_at(now: i64) -> Grant {
    let today = date_of(now).to_string();
    let body = json!({"decided": today, "effective": today, "authority": "示例市场监督管理局", "reason": "已履行"});
    Grant::New(Map::clone(body.as_object().unwrap()))
}

fn states(overview: &Overview) -> Vec<&'static str> {
    overview.attachments.iter().map(|file| file.state).collect()
}

async fn two(database: Database) -> (Desk, Desk) {
    let (mut decider, decider_tcp) = Desk::new(database, "340500").await;
    let (mut window, window_tcp) = Desk::new(Database::new(Kind::Sqlite).await, "310107").await;
    decider.office.knows(&[&window.office.city]).await;
    window.office.knows(&[&decider.office.city]).await;
    decider.office.serve(decider_tcp);
    window.office.serve(window_tcp);
    decider.office.pull();
    window.office.pull();
    (decider, window)
}

on_both! {
    async fn an_application_is_filed_supplied_accepted_decided_and_recognised(database: Database) {
        let (decider, window) = Box::pin(two(database)).await;
        let record = decider.penalises(1).await;
        window.office.holds(&decider.office.city.records(), 2).await;

        // what cannot be filed
        let desk = window.applications();
        let refused = desk.file(&filing(Digest([9; 32])), Vec::new(), false).await.unwrap_err();
        assert!(matches!(refused, ApplicationError::NotARecord(_)), "{refused}");
        let own = decider.applications().file(&filing(record), Vec::new(), false).await.unwrap_err();
        assert!(matches!(own, ApplicationError::OwnRecord), "{own}");
        let nowhere = Database::new(Kind::Sqlite).await;
        let alone = Applications { registry: Registry::load(nowhere.open().await).await.unwrap(), ..desk.clone() };
        let stranger = alone.file(&filing(record), Vec::new(), false).await.unwrap_err();
        assert!(matches!(stranger, ApplicationError::NotAPeer(_)), "{stranger}");
        let small = Applications { files: Attachments { file_bytes: 9, files: 1, ..window.files }, ..desk.clone() };
        let too_large = small.file(&filing(record), vec![file("大", 10)], false).await.unwrap_err();
        assert!(matches!(too_large, ApplicationError::TooLarge { bytes: 10, most: 9, .. }), "{too_large}");
        let two_files = vec![file("一", 1), file("二", 1)];
        let too_many = small.file(&filing(record), two_files, false).await.unwrap_err();
        assert!(matches!(too_many, ApplicationError::TooMany(1)), "{too_many}");
        let empty = desk.file(&filing(record), vec![file("空", 0)], false).await.unwrap_err();
        assert!(matches!(empty, ApplicationError::Empty(_)), "{empty}");
        let full = Applications { files: Attachments { total_bytes: 10_000, ..window.files }, ..desk.clone() };
        let no_room = full.file(&filing(record), vec![file("一", 100), file("二", 9_000)], false).await.unwrap_err();
        assert!(matches!(no_room, ApplicationError::NoRoom), "{no_room}");
        assert!(window.office.db.attachments().await.unwrap().is_empty(), "what is not filed leaves nothing");
        assert_eq!(desk.advice(&filing(record)).await.unwrap(), None);
        let rehearsed = desk.file(&filing(record), vec![file("示例", 100)], true).await.unwrap();
        assert_eq!((rehearsed.digest, desk.all().await.unwrap().len()), (None, 0));

        // two parts and some
        let files = vec![file("信用承诺书", 2_000_000), file("营业执照", 100)];
        let plain: Vec<_> = files.iter().map(|file| file.bytes.clone()).collect();
        let filed = desk.file(&filing(record), files, false).await.unwrap();
        let application = filed.digest.unwrap();
        let again = desk.file(&filing(record), Vec::new(), false).await.unwrap_err();
        assert!(matches!(again, ApplicationError::Filed(digest) if digest == application), "{again}");

        // the city that decides has it, and its files
        let kept = decider.keeps();
        decider.has(&application, "filed").await;
        until("the files are there", || async { states(&decider.sees(&application).await) == ["here"; 2] }).await;
        let seen = decider.sees(&application).await;
        // a Monday, and no holiday before Friday
        assert_eq!((seen.deadline.as_deref(), seen.late), (Some("2026-09-23"), false), "{seen:?}");
        assert_eq!(seen.next.as_ref(), Some(&decider.office.city.node));
        for (file, plain) in seen.attachments.iter().zip(&plain) {
            assert_eq!(decider.applications().open(&file.digest, "示例").await.unwrap().as_slice(), plain.as_slice());
            let theirs = desk.open(&file.digest, "示例").await.unwrap_err();
            assert!(matches!(&theirs, ApplicationError::ForAnother(node) if *node == decider.office.city.node), "{theirs}");
            let rows = window.office.db.attachments_of(&file.digest).await.unwrap();
            let stored = window.office.db.attachment_part(&rows[0].key, 0).await.unwrap().unwrap();
            assert!(stored.starts_with(b"eyJ"), "what is stored is sealed");
        }

        // each side says what is its own to say, in order
        let early = decider.applications().decide(&application, granted(), false).await.unwrap_err();
        assert!(matches!(early, ApplicationError::NotNow(NotNow::NotAccepted)), "{early}");
        let theirs = window.step(&application, Stage::Accepted).await.unwrap_err();
        assert!(matches!(theirs, ApplicationError::NotTheDecider(_)), "{theirs}");
        let unasked = desk.supply(&application, None, vec![file("补", 10)], false).await.unwrap_err();
        assert!(matches!(unasked, ApplicationError::NotNow(NotNow::NotAsked)), "{unasked}");
        decider.step(&application, Stage::More).await.unwrap();
        let asked = decider.step(&application, Stage::Accepted).await.unwrap_err();
        assert!(matches!(asked, ApplicationError::NotNow(NotNow::Asked)), "{asked}");
        let own = decider.applications().supply(&application, None, Vec::new(), false).await.unwrap_err();
        assert!(matches!(own, ApplicationError::NotTheWindow(_)), "{own}");
        window.has(&application, "more").await;
        assert_eq!(window.sees(&application).await.next.as_ref(), Some(&window.office.city.node));
        desk.supply(&application, Some("已补".to_owned()), vec![file("补", 10)], false).await.unwrap();
        decider.has(&application, "supplied").await;
        until("the third file is there", || async { states(&decider.sees(&application).await) == ["here"; 3] }).await;

        // two clerks at once: one accepts
        let (one, other) = tokio::join!(decider.step(&application, Stage::Accepted), decider.step(&application, Stage::Accepted));
        let lost = [one, other].into_iter().filter_map(Result::err).collect::<Vec<_>>();
        assert!(
            matches!(lost[..], [ApplicationError::NotNow(NotNow::Accepted) | ApplicationError::Say(SayError::MayNot(MayNot::Event(_)))]),
            "{lost:?}"
        );
        let (repair, decided) = decider.applications().decide(&application, granted(), false).await.unwrap();
        let repair = repair.unwrap();
        assert_eq!(decided.index, repair.index.map(|index| index + 1), "both are said at once");
        assert_eq!(repair.body["commitment"], Digest([7; 32]).to_string());
        assert_eq!(repair.body["evidence"].as_array().unwrap().len(), 3);
        window.has(&application, "decided").await;
        for desk in [&window, &decider] {
            let seen = desk.sees(&application).await;
            assert_eq!((seen.next, seen.deadline, seen.late), (None, None, false));
            assert_eq!(seen.repair, repair.digest.map(|digest| digest.to_string()));
            let stages: Vec<_> = seen.steps.iter().map(|step| (step.stage, step.late)).collect();
            let expected = ["filed", "more", "supplied", "accepted", "decided"].map(|stage| (stage, false));
            assert_eq!(stages, expected);
        }
        for stage in [Stage::Accepted, Stage::Rejected, Stage::More, Stage::Extended] {
            let ended = decider.step(&application, stage).await.unwrap_err();
            assert!(matches!(ended, ApplicationError::NotNow(NotNow::Ended)), "{ended}");
        }

        // the repair takes effect at the window as any other does
        let recogniser = Recogniser {
            db: window.office.db.clone(),
            node: window.office.city.node.clone(),
            kinds: window.office.kinds.clone(),
            registry: window.office.registry.clone(),
            records: window.records.clone(),
            policies: InForce::new(Policies::builtin(Known::new(&window.office.city.node, &window.office.kinds, &Default::default())).unwrap()),
            groups: Groups::default(),
            settings: Settings::new(Rules::built_in().unwrap(), Calendar::built_in().unwrap()),
            clock: window.office.clock.clone(),
        };
        recogniser.decide_new(&mut StdRng::seed_from_u64(1)).await.unwrap();
        let recognised = recogniser.overview(&repair.digest.unwrap()).await.unwrap();
        assert_eq!(recognised.partners[0].outcome, "recognised");

        // files are kept for a year behind the decision
        kept.abort();
        let digests: Vec<Digest> = decider.sees(&application).await.attachments.iter().map(|file| file.digest).collect();
        for (seconds, state) in [(365 * DAY - 1, "here"), (365 * DAY, "erased")] {
            for desk in [&window, &decider] {
                desk.sets_its_clock(NOW + seconds);
                desk.applications().clear().await.unwrap();
                assert_eq!(states(&desk.sees(&application).await), [state; 3], "{seconds}");
            }
        }
        let erased = decider.applications().open(&digests[0], "示例").await.unwrap_err();
        assert!(matches!(erased, ApplicationError::Erased), "{erased}");
        let peer = decider.office.registry.peer(&window.office.city.node).unwrap();
        let opened = decider.office.db.take_change(NOW * 1000).await.unwrap().unwrap();
        assert_eq!((opened.about.as_str(), opened.action.as_str(), opened.done_by.as_str()), ("attachment", "opened", "示例"));
        let client = decider.office.surroundings().client(&peer).unwrap();
        let gone = client.attachment(&digests[0], 0, 10, 100).await.unwrap_err();
        assert!(matches!(&gone, Fault::Http(410, name) if name == "attachment-erased"), "{gone}");
        // and are not fetched again
        decider.applications().want().await.unwrap();
        assert_eq!(states(&decider.sees(&application).await), ["erased"; 3]);
    }

    async fn what_is_late_is_seen_at_both_ends_and_told(database: Database) {
        let (decider, window) = Box::pin(two(database)).await;
        let record = decider.penalises(1).await;
        window.office.holds(&decider.office.city.records(), 2).await;
        let filed = window.applications().file(&filing(record), Vec::new(), false).await.unwrap();
        let application = filed.digest.unwrap();
        decider.has(&application, "filed").await;
        for desk in [&window, &decider] {
            let (own, all) = (desk.applications().overviews(false).await.unwrap(), desk.applications().overviews(true).await.unwrap());
            assert_eq!((own.len(), all.len(), own[0].digest), (1, 1, application));
        }
        let due = async |desk: &Desk, day: i64| {
            desk.sets_its_clock(NOW + day * DAY);
            let due = desk.applications().under_way().await.unwrap().first;
            due.iter().map(|one| (one.deadline.clone(), one.late)).collect::<Vec<_>>()
        };
        // filed on Monday: due on Wednesday; told on Tuesday, before it is late
        let wednesday = |late| vec![("2026-09-23".to_owned(), late)];
        for (day, at_decider, at_window) in
            [(0, vec![], vec![]), (1, wednesday(false), vec![]), (2, wednesday(false), vec![]), (3, wednesday(true), wednesday(true))]
        {
            assert_eq!((due(&decider, day).await, due(&window, day).await), (at_decider, at_window), "{day}");
        }
        decider.step(&application, Stage::Rejected).await.unwrap();
        window.has(&application, "rejected").await;
        for desk in [&window, &decider] {
            let seen = desk.sees(&application).await;
            let last = seen.steps.last().unwrap();
            assert_eq!((last.stage, last.late, last.due.as_deref()), ("rejected", true, Some("2026-09-23")));
            assert_eq!((last.reason.as_deref(), due(desk, 9).await), (Some("示例"), Vec::new()));
        }
        // another may be filed when one is at its end
        window.sets_its_clock(NOW + 3 * DAY);
        window.applications().file(&filing(record), Vec::new(), false).await.unwrap();
    }

    async fn what_is_addressed_is_applied_for_and_answered(database: Database) {
        let (decider, window) = Box::pin(two(database)).await;
        let mut penalty = decider.office.city.draft(1);
        penalty.aud = Audience::Named(vec![Reader::Node(window.office.city.node.clone())]);
        let penalty = decider.office.city.say(penalty);
        publish(&decider.records, vec![penalty.clone()]).await;
        window.office.holds(&decider.office.city.records(), 2).await;
        let filed = window.applications().file(&filing(penalty.digest()), Vec::new(), false).await.unwrap();
        let application = filed.digest.unwrap();
        decider.has(&application, "filed").await;
        decider.step(&application, Stage::More).await.unwrap();
        window.has(&application, "more").await;
        window.applications().supply(&application, Some("已补".to_owned()), Vec::new(), false).await.unwrap();
        decider.has(&application, "supplied").await;
    }

    async fn a_repair_said_before_ends_an_application_and_another_does_not(database: Database) {
        let (decider, window) = Box::pin(two(database)).await;
        let (record, other) = (decider.penalises(1).await, decider.penalises(2).await);
        window.office.holds(&decider.office.city.records(), 3).await;
        let filed = window.applications().file(&filing(record), Vec::new(), false).await.unwrap();
        let application = filed.digest.unwrap();
        decider.has(&application, "filed").await;
        decider.step(&application, Stage::Accepted).await.unwrap();
        let desk = decider.applications();
        let Grant::New(mut body) = granted() else { unreachable!() };
        body.insert("type".to_owned(), Value::from("终止公示"));
        let kind = desk.kinds.newest("repair").unwrap().clone();
        let mut said = Vec::new();
        for record in [other, record] {
            let about = kaopu::about::Named::Digest(record);
            said.push(desk.office.say(&kind, &about, body.clone(), false).await.unwrap().digest.unwrap());
        }
        for wrong in [said[0], application, Digest([1; 32])] {
            let refused = desk.decide(&application, Grant::Said(wrong), false).await.unwrap_err();
            assert!(matches!(refused, ApplicationError::NotARepair(_)), "{refused}");
        }
        // the record is repaired: it is not repaired once more, and nothing of that is said
        let twice = desk.decide(&application, granted(), false).await.unwrap_err();
        assert!(
            matches!(&twice, ApplicationError::Repaired { why: SayError::MayNot(_), repair, .. } if *repair == said[1]),
            "{twice}"
        );
        assert_eq!(decider.sees(&application).await.stage, "accepted");
        desk.decide(&application, Grant::Said(said[1]), false).await.unwrap();
        window.has(&application, "decided").await;
        assert_eq!(window.sees(&application).await.repair, Some(said[1].to_string()));
    }
}
