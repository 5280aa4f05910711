//! A federation's member list from node to node: drawn up, signed by some administrators, taken by all.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::ceremony::{by, done_by, fingerprint, persons, refused, shown};
use crate::database::on_both;
use crate::federation::{Federation, Node, said};
use kaopu::statement::Digest;
use kaopu::store::member_list::{Done, MemberListRow};

/// Three nodes that are peers and administrators, of whom two must stand by a list.
fn administrators() -> Federation {
    let federation = Federation::new(&["310107", "340500", "341200"]);
    federation.nodes.iter().for_each(join);
    federation
}

fn join(node: &Node) {
    let mut config = fs::read_to_string(node.config()).unwrap();
    config.push_str(
        "\n[federation]\nname = \"示例联盟\"\nadministrators = [\"310107\", \"340500\", \"341200\"]\nquorum = 2\n",
    );
    fs::write(node.config(), config).unwrap();
}

fn refused_output(node: &Node, args: &[&str]) -> String {
    let output = node.run(args);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    said(&output)
}

fn standing(shown: &Value) -> Vec<Value> {
    shown["standing"].as_array().unwrap().iter().map(|s| json!([s["node"], s["standing"]])).collect()
}

#[test]
fn a_list_is_taken_when_enough_administrators_stand_by_it_and_never_an_older_one() {
    let mut federation = administrators();
    let newcomer = Node::init(federation.folder.path(), "341100", &[]);
    federation.nodes.push(newcomer);
    let [first, second, third, newcomer] = &federation.nodes[..] else { unreachable!() };
    let path = |name: &str| federation.folder.path().join(name).to_str().unwrap().to_owned();
    let (list, descriptor) = (path("1.members"), newcomer.descriptor());
    let drafted = first.json(&["federation", "draft", &list, "--with", descriptor.to_str().unwrap()]);
    assert_eq!((&drafted["sequence"], drafted["members"].as_array().unwrap().len()), (&json!(1), 4));
    assert!(refused_output(first, &["federation", "draft", &list]).contains("is there"));

    // one of them is not enough; a copy with another signature is
    assert!(refused_output(third, &["federation", "take", &list]).contains("0 of the 3 administrators"));
    let copy = path("copy.members");
    fs::copy(&list, &copy).unwrap();
    first.done(&["federation", "sign", &list]);
    assert!(refused_output(third, &["federation", "take", &list]).contains("1 of the 3 administrators"));
    second.done(&["federation", "sign", &copy]);
    let taken = third.json(&["federation", "take", &list, &copy]);
    assert_eq!(taken["signers"]["good"], json!(["310107", "340500"]));
    let here = [
        json!(["310107", "known"]),
        json!(["340500", "known"]),
        json!(["341100", "unknown"]),
        json!(["341200", "own"]),
    ];
    assert_eq!(standing(&taken), here);
    let exchange = third.json(&["status"])["logs"][0].clone();
    assert!(exchange["origin"].as_str().unwrap().contains("/exchange/"));
    third.done(&["federation", "take", &list, &copy]);
    assert_eq!(third.json(&["status"])["logs"][0], exchange, "what was taken before is not said again");
    assert_eq!(standing(&third.json(&["federation", "show"])), here);

    // a newer one, without the newcomer; then the older one is not taken any more, nor another one of that sequence
    let newer = path("2.members");
    first.done(&["federation", "draft", &newer, "--valid", "30"]);
    first.done(&["federation", "sign", &newer]);
    second.done(&["federation", "sign", &newer]);
    assert!(standing(&third.json(&["federation", "take", &newer])).len() == 3);
    assert!(refused_output(third, &["federation", "take", &list, &copy]).contains("list 1 is not taken"));
    let rival = path("rival.members");
    second.done(&["federation", "draft", &rival, "--sequence", "2", "--valid", "31"]);
    assert!(refused_output(second, &["federation", "sign", &rival]).contains("list 2 is not signed"));
    third.json(&["federation", "show", &newer]);
}

#[test]
fn members_are_fetched_as_proposals_and_confirmed_by_the_list_only_where_the_policy_says_so() {
    let mut federation = administrators();
    let folder = federation.folder.path().to_owned();
    let mut newcomer = Node::init(&folder, "341100", &[]);
    // somebody answers at the address of 341300 under keys of his own; 341400 is away
    let mut impostor = Node::init(&folder.join("impostor"), "341300", &[]);
    let url = impostor.json(&["status"])["url"].as_str().unwrap().to_owned();
    let true_one = Node::init(&folder, "341300", &["--url", &url]);
    let away = Node::init(&folder, "341400", &[]);
    newcomer.start();
    impostor.start();
    let list = folder.join("1.members").to_str().unwrap().to_owned();
    let mut draft = vec!["federation".to_owned(), "draft".to_owned(), list.clone()];
    for named in [&newcomer, &true_one, &away] {
        draft.extend(["--with".to_owned(), named.descriptor().display().to_string()]);
    }
    let [first, second, third] = &federation.nodes[..] else { unreachable!() };
    first.done(&draft);
    first.done(&["federation", "sign", &list]);
    second.done(&["federation", "sign", &list]);

    let take = ["federation", "take", &list];
    persons(third);
    let output = by(third, "li", &take);
    assert_eq!(output.status.code(), Some(1), "not all could be fetched: {}", said(&output));
    let taken: Value = serde_json::from_slice(&output.stdout).unwrap();
    let [fetched, other_root, not_there] = &taken["fetched"].as_array().unwrap()[..] else { panic!("{taken:#}") };
    assert_eq!((&fetched["node"], &fetched["state"]), (&json!("341100"), &json!("fetched")), "{taken:#}");
    assert_eq!(
        (&fetched["fetched"], &fetched["listed"]),
        (&json!(fingerprint(&newcomer)), &json!(fingerprint(&newcomer)))
    );
    assert!(other_root["error"].as_str().unwrap().contains("under another root key than the list names"), "{taken:#}");
    assert!(not_there["error"].as_str().unwrap().contains("cannot be reached"), "{taken:#}");
    assert_eq!(shown(third, &newcomer)["state"], "fetched");
    assert!(refused_output(third, &["peer", "show", "341300"]).contains("not known here"));
    // by itself that is all that a list ever does
    by(third, "li", &take);
    assert_eq!(shown(third, &newcomer)["state"], "fetched");

    let config = fs::read_to_string(third.config()).unwrap();
    fs::write(third.config(), config.replace("\nquorum = 2\n", "\nquorum = 2\nconfirms = true\n")).unwrap();
    by(third, "li", &take);
    let view = shown(third, &newcomer);
    assert_eq!((&view["state"], &view["proposed_by"]), (&json!("confirmed"), &json!("li")), "{view:#}");
    refused(third, "li", &["peer", "approve", "341100"], "may not approve it too");
    assert_eq!(done_by(third, "wang", &["peer", "approve", "341100"])["state"], "approved");
    federation.nodes.extend([newcomer, impostor]);
}

#[test]
fn what_counts_for_nothing_is_said() {
    let federation = administrators();
    let outsider = Node::init(federation.folder.path(), "341100", &[]);
    let [first, ..] = &federation.nodes[..] else { unreachable!() };
    let list = federation.folder.path().join("1.members").to_str().unwrap().to_owned();
    first.done(&["federation", "draft", &list, "--valid", "1"]);
    assert!(refused_output(&outsider, &["federation", "sign", &list]).contains("belongs to no federation"));
    join(&outsider);
    assert!(
        refused_output(&outsider, &["federation", "sign", &list]).contains("341100 is not among the administrators")
    );
    // an administrator whom this node has not as a peer says nothing here
    first.done(&["federation", "sign", &list]);
    let shown = outsider.done(&["federation", "show", &list]);
    assert!(shown.contains("it is not to be taken: 0 of the 3 administrators"), "{shown}");
    assert!(shown.contains("by 310107 says nothing: it is no active peer of this node"), "{shown}");
    // a byte of it changed
    let text = fs::read_to_string(&list).unwrap().replacen("示例市", "示例县", 1);
    fs::write(&list, text).unwrap();
    assert!(first.done(&["federation", "show", &list]).contains("it stands by another list"));
    fs::write(&list, "{}").unwrap();
    assert!(refused_output(first, &["federation", "show", &list]).contains("not a member list"));
    let file = PathBuf::from(&list);
    assert_eq!(fs::read_dir(file.parent().unwrap()).unwrap().filter(|f| is_part(f.as_ref().unwrap())).count(), 0);
}

fn is_part(file: &fs::DirEntry) -> bool {
    file.file_name().to_string_lossy().ends_with(".part")
}

on_both! {
    async fn a_kept_list_never_goes_back(database: Database) {
        let db = database.open().await;
        let row = |done, sequence, list: &str| MemberListRow {
            federation: "示例联盟".to_owned(),
            done,
            sequence,
            digest: Digest::of(list.as_bytes()),
            file: list.to_owned(),
            at_ms: 1,
        };
        for (done, sequence, list, kept) in [
            (Done::Taken, 2, "a", true),
            (Done::Taken, 2, "a", true),
            (Done::Taken, 2, "b", false),
            (Done::Taken, 1, "c", false),
            // it may stand by a list that is not taken yet, and take the one before it meanwhile
            (Done::Signed, 1, "c", false),
            (Done::Signed, 2, "b", false),
            (Done::Signed, 4, "e", true),
            (Done::Taken, 3, "d", true),
            (Done::Taken, 4, "f", false),
            (Done::Signed, 3, "d", false),
            (Done::Taken, 4, "e", true),
        ] {
            assert_eq!(db.put_member_list(&row(done, sequence, list)).await.unwrap(), kept, "{done:?} {sequence} {list}");
        }
        let taken = db.member_list("示例联盟", Done::Taken).await.unwrap().unwrap();
        assert_eq!(taken, row(Done::Taken, 4, "e"));
        assert_eq!(db.member_list("别的", Done::Taken).await.unwrap(), None);
    }
}
