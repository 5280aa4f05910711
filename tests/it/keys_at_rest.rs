//! Private keys at rest and in use: encrypted, never printed; an authority of a city's own; a key in other hands.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Instant;

use kaopu::clock::Clock;
use kaopu::trust::certificates::{Wanted, make_ca, make_node};
use kaopu::trust::descriptor::{Descriptor, KeyState};

use crate::federation::{Federation, Node, PRIVATE, free_port, kaopu, said, until};

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config/demo/310107/honour.jsonl");
const PASSPHRASE: &str = "示例 correct horse battery";
const OF_ROOT: &str = "示例 another for the roots";

fn run(node: &Node, passphrase: &str, args: &[&str]) -> Output {
    let mut command = kaopu();
    command.args(args).arg("-c").arg(node.config()).env("KAOPU_PASSPHRASE", passphrase).env("KAOPU_LOG", "trace");
    command.env("KAOPU_ROOT_PASSPHRASE", OF_ROOT).output().unwrap()
}

fn init(folder: &Path, more: &[&str]) -> (Node, Output) {
    let node = Node::at(folder.join("340500"));
    let listen = format!("127.0.0.1:{}", free_port());
    let mut init = kaopu();
    init.args(["init", "--node", "340500", "--name", "示例市", "--listen", &listen, "--local", "127.0.0.1:0"]);
    let output = init.args(more).arg(&node.dir).env("KAOPU_PASSPHRASE", PASSPHRASE);
    let output = output.env("KAOPU_ROOT_PASSPHRASE", OF_ROOT).output().unwrap();
    (node, output)
}

#[test]
#[expect(clippy::print_stderr, reason = "how long it takes is part of what the test is about")]
fn keys_are_encrypted_at_rest_and_nothing_secret_is_printed() {
    let folder = tempfile::tempdir().unwrap();
    let (node, made) = init(folder.path(), &[]);
    assert!(made.status.success(), "{}", said(&made));
    assert!(String::from_utf8_lossy(&made.stdout).contains("Now move"));
    for name in PRIVATE {
        let text = std::fs::read_to_string(node.dir.join(name)).unwrap();
        assert!(text.contains("-----BEGIN ENCRYPTED "), "{name}");
    }
    // OpenSSL reads them too
    let openssl = Command::new("openssl")
        .args(["pkey", "-noout", "-passin", &format!("pass:{PASSPHRASE}"), "-in"])
        .arg(node.dir.join("keys/sign.pem"))
        .output();
    assert!(openssl.is_ok_and(|output| output.status.success()));

    let wrong = run(&node, "示例 incorrect horse", &["status"]);
    assert!(wrong.status.success(), "what needs no key asks for none: {}", said(&wrong));
    let wrong = run(&node, "示例 incorrect horse", &["import", SAMPLE, "--kind", "honour"]);
    assert_eq!(wrong.status.code(), Some(1));
    assert!(said(&wrong).contains("the passphrase does not open it"), "{}", said(&wrong));
    let none = node.run(&["import", SAMPLE, "--kind", "honour"]);
    assert!(said(&none).contains("KAOPU_PASSPHRASE_FILE, or run this on a terminal"), "{}", said(&none));

    let mut printed = vec![made, wrong, none];
    let begun = Instant::now();
    printed.push(run(&node, PASSPHRASE, &["key", "list"]));
    eprintln!("opening every key of a node took {:?}", begun.elapsed());
    let root = node.dir.join("keys/root.pem").display().to_string();
    let next = node.dir.join("keys/root-next.pem").display().to_string();
    for args in [
        &["import", SAMPLE, "--kind", "honour"] as &[&str],
        &["key", "rotate", "sign", "--begin", "--root", &root],
        &["key", "rotate", "sign", "--root", &root],
        &["key", "rotate", "certificate"],
        &["key", "rotate", "ca", "--begin", "--root", &root],
        &["key", "rotate", "root", "--root", &next],
    ] {
        let output = run(&node, PASSPHRASE, args);
        assert!(output.status.success(), "{args:?}: {}", said(&output));
        printed.push(output);
    }
    // the server too, which says what it does in detail
    let mut serve = kaopu();
    serve.args(["serve", "--until-stdin-closes", "-c"]).arg(node.config()).env("KAOPU_PASSPHRASE", PASSPHRASE);
    let mut serve = serve
        .env("KAOPU_LOG", "trace")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    until("the server has run for a while", || begun.elapsed().as_secs() >= 2);
    drop(serve.stdin.take());
    printed.push(serve.wait_with_output().unwrap());

    let secrets = secrets(&node.dir);
    assert!(secrets.len() > 12, "{}", secrets.len());
    for output in printed {
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), said(&output));
        for (name, secret) in &secrets {
            assert!(!text.contains(secret), "{name} is printed");
        }
    }
    assert!(std::fs::read_dir(node.dir.join("keys")).unwrap().count() > 7, "new keys stand beside the old ones");
    let _ = Federation { nodes: vec![node], folder };
}

/// What must not be printed: passphrases, and a line of each private key as it stands in the clear and as it is kept.
fn secrets(dir: &Path) -> BTreeMap<String, String> {
    let mut secrets =
        BTreeMap::from([("passphrase", PASSPHRASE), ("of the roots", OF_ROOT)].map(|(n, s)| (n.into(), s.into())));
    for folder in ["keys", "certs"] {
        for entry in std::fs::read_dir(dir.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            if !text.contains("ENCRYPTED") {
                continue;
            }
            let name = path.display().to_string();
            let line = text.lines().filter(|line| !line.starts_with("-----") && !line.contains(':')).nth(1).unwrap();
            secrets.insert(format!("{name} as kept"), line.to_owned());
            let clear = Command::new("openssl")
                .args(["pkey", "-passin", &format!("pass:{PASSPHRASE}"), "-in"])
                .arg(&path)
                .output()
                .unwrap();
            let clear = String::from_utf8(clear.stdout).unwrap();
            if let Some(line) = clear.lines().filter(|line| !line.starts_with("-----")).max_by_key(|line| line.len()) {
                secrets.insert(format!("{name} in the clear"), line.to_owned());
            }
        }
    }
    secrets
}

#[test]
fn a_city_brings_its_own_authority_and_what_peers_would_refuse_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let id = "340500".parse().unwrap();
    let other = "340100".parse().unwrap();
    let wanted = |node, now| Wanted { node, host: Some("127.0.0.1"), now };
    let now = Clock::System.now();
    let (ca, another) = (make_ca(&wanted(&id, now)).unwrap(), make_ca(&wanted(&other, now)).unwrap());
    let write = |name: &str, text: &str| {
        use std::os::unix::fs::PermissionsExt as _;
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path.display().to_string()
    };
    let good = make_node(&wanted(&id, now), &ca).unwrap();
    let (ca_file, key_file) = (write("ca.pem", &ca.certificate), write("node.key", &good.key));
    let attempt = |certificate: &str, key: &str| {
        init(
            folder.path(),
            &["--unencrypted", "--ca", &ca_file, "--certificate", certificate, "--certificate-key", key],
        )
    };
    for (what, made) in [
        ("another authority", make_node(&wanted(&id, now), &another).unwrap()),
        ("another node", make_node(&wanted(&other, now), &ca).unwrap()),
        ("long over", make_node(&wanted(&id, now - 400 * 86_400), &ca).unwrap()),
    ] {
        let (node, refused) = attempt(&write("bad.pem", &made.certificate), &write("bad.key", &made.key));
        assert_eq!(refused.status.code(), Some(1), "{what}");
        assert!(said(&refused).contains("no peer would take --certificate"), "{what}: {}", said(&refused));
        assert!(!node.dir.join("keys").exists(), "{what}");
    }
    let foreign = make_node(&wanted(&id, now), &ca).unwrap();
    let certificate = write("node.pem", &good.certificate);
    assert_eq!(attempt(&certificate, &write("foreign.key", &foreign.key)).1.status.code(), Some(1), "another key");
    let (mut node, made) = attempt(&certificate, &key_file);
    assert!(made.status.success(), "{}", said(&made));
    assert!(!node.dir.join("certs/ca.key").exists());
    node.start();
    // without the authority's key a certificate is brought
    let refused = node.run(&["key", "rotate", "certificate"]);
    assert!(said(&refused).contains("bring a certificate with --certificate"), "{}", said(&refused));
    node.done(&[
        "key",
        "rotate",
        "certificate",
        "--certificate",
        &write("new.pem", &foreign.certificate),
        "--certificate-key",
        &write("new.key", &foreign.key),
    ]);
    until("the new certificate is shown", || node.journal_text().contains("took in the renewed certificate"));
    let _ = Federation { nodes: vec![node], folder };
}

#[test]
fn a_compromised_key_is_named_with_where_it_ends_and_another_signs_at_once() {
    let federation = Federation::new(&["340500", "310107"]);
    let here = &federation.nodes[0];
    let list = here.json(&["key", "list"]);
    let kid = list["keys"][0]["kid"].as_str().unwrap();
    let root = here.dir.join("keys/root.pem").display().to_string();
    let refused = here.run(&["key", "compromise", kid, "--valid-below", "records", "--root", &root]);
    assert!(said(&refused).contains("records=N,exchange=M is expected"), "{}", said(&refused));
    let refused = here.run(&["key", "compromise", "nobody", "--root", &root]);
    assert!(said(&refused).contains("names no key nobody"), "{}", said(&refused));
    let size = |log: &str| {
        let status = here.json(&["status"]);
        let logs = status["logs"].as_array().unwrap();
        logs.iter().find(|l| l["origin"].as_str().unwrap().contains(log)).unwrap()["size"].as_u64().unwrap()
    };
    let below = format!("records={},exchange={}", size("records"), size("exchange"));
    here.done(&["key", "compromise", kid, "--valid-below", &below, "--root", &root, "--reason", "示例: 服务器失窃"]);
    here.done(&["import", SAMPLE, "--kind", "honour"]);
    let (_, newest) = Descriptor::open(std::fs::read_to_string(here.descriptor()).unwrap().trim()).unwrap();
    let entry = newest.keys.iter().find(|entry| entry.key.kid() == kid).unwrap();
    assert_eq!(entry.state, KeyState::Compromised);
    let below = entry.valid_below.clone().unwrap();
    assert_eq!(below.of(&"kaopu/340500/records/1".parse().unwrap()), 1);
    assert!(!newest.key_ring().sign.contains_key(kid) && newest.key_ring().sign.len() == 1);
}

#[test]
fn a_script_that_sets_no_passphrase_gets_one_in_a_file_of_its_own() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let node = Node::at(folder.path().join("340500"));
    let listen = format!("127.0.0.1:{}", free_port());
    let made = kaopu()
        .args(["init", "--node", "340500", "--name", "示例市", "--listen", &listen, "--local", "127.0.0.1:0"])
        .arg(&node.dir)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", said(&made));
    let file = node.dir.join("passphrase");
    let passphrase = std::fs::read_to_string(&file).unwrap();
    assert!(passphrase.len() >= 32 && !said(&made).contains(&passphrase));
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    for name in PRIVATE {
        let text = std::fs::read_to_string(node.dir.join(name)).unwrap();
        assert!(text.contains("-----BEGIN ENCRYPTED "), "{name}");
    }
    let good = node.run(&["import", SAMPLE, "--kind", "honour"]);
    assert!(good.status.success(), "{}", said(&good));
    std::fs::remove_file(&file).unwrap();
    let lost = node.run(&["import", SAMPLE, "--kind", "honour"]);
    assert_eq!(lost.status.code(), Some(1));
    assert!(said(&lost).contains("passphrase"), "{}", said(&lost));
}
