//! A node whose signing key is on a PKCS#11 token: SoftHSM2, from Debian's package of that name.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::ceremony::{fingerprint, secret_of};
use crate::enrolment::post;
use crate::federation::{Federation, Node, free_port, kaopu, said, until};
use crate::figures::local;
use crate::key_command::changes;

const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";
const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config/demo/310107/honour.jsonl");

/// A token in a folder of its own.
struct Token {
    folder: PathBuf,
}

impl Token {
    fn new(folder: &Path) -> Self {
        let token = Self { folder: folder.to_owned() };
        std::fs::create_dir_all(folder.join("tokens")).unwrap();
        let config =
            format!("directories.tokendir = {}\nobjectstore.backend = file\n", folder.join("tokens").display());
        std::fs::write(token.config(), config).unwrap();
        std::fs::write(token.pin(), "8213\n").unwrap();
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(token.pin(), std::fs::Permissions::from_mode(0o600)).unwrap();
        token
            .run("softhsm2-util", &["--init-token", "--free", "--label", "kaopu", "--pin", "8213", "--so-pin", "8213"]);
        token
    }

    fn config(&self) -> PathBuf {
        self.folder.join("softhsm2.conf")
    }

    fn pin(&self) -> PathBuf {
        self.folder.join("pin")
    }

    fn run(&self, program: &str, args: &[&str]) {
        let output = Command::new(program).args(args).env("SOFTHSM2_CONF", self.config()).output();
        let output = output.unwrap_or_else(|error| panic!("{program}: {error}; install softhsm2 and opensc"));
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn make(&self, label: &str, of: &str) -> String {
        self.run(
            "pkcs11-tool",
            &[
                "--module",
                MODULE,
                "--token-label",
                "kaopu",
                "--login",
                "--pin",
                "8213",
                "--keypairgen",
                "--key-type",
                of,
                "--label",
                label,
                "--usage-sign",
            ],
        );
        format!("pkcs11:token=kaopu;object={label}?module-path={MODULE}&pin-source=file:{}", self.pin().display())
    }

    fn command(&self, node: &Node, args: &[&str]) -> std::process::Output {
        kaopu().args(args).arg("-c").arg(node.config()).env("SOFTHSM2_CONF", self.config()).output().unwrap()
    }
}

#[test]
fn a_token_signs_statements_and_a_key_goes_from_a_file_to_a_token_and_on() {
    let folder = tempfile::tempdir().unwrap();
    let token = Token::new(&folder.path().join("token"));
    let (first, second) = (token.make("sign", "EC:edwards25519"), token.make("sign2", "EC:prime256v1"));
    let node = Node::at(folder.path().join("340500"));
    let listen = format!("127.0.0.1:{}", free_port());
    let init = kaopu()
        .args(["init", "--unencrypted", "--node", "340500", "--name", "示例市", "--listen", &listen, "--sign", &first])
        .arg(&node.dir)
        .env("SOFTHSM2_CONF", token.config())
        .output()
        .unwrap();
    assert!(init.status.success(), "{}", said(&init));
    assert!(!node.dir.join("keys/sign.pem").exists());
    let done = |args: &[&str]| {
        let output = token.command(&node, args);
        assert!(output.status.success(), "{args:?}: {}", said(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    done(&["import", SAMPLE, "--kind", "honour"]);

    // on to another key of the token, P-256 this time
    let root = node.dir.join("keys/root.pem").display().to_string();
    done(&["key", "rotate", "sign", "--root", &root, "--token", &second]);
    let early = token.command(&node, &["key", "rotate", "sign", "--root", &root]);
    assert!(said(&early).contains("nor on a token that the configuration names"), "{}", said(&early));
    let config = std::fs::read_to_string(node.config()).unwrap();
    let both = config.replace(&format!("sign = \"{first}\""), &format!("sign = [\"{first}\", \"{second}\"]"));
    assert_ne!(config, both);
    std::fs::write(node.config(), both).unwrap();
    done(&["key", "rotate", "sign", "--root", &root]);
    done(&["key", "rotate", "sign", "--root", &root]);
    let penalties = folder.path().join("示例.csv");
    std::fs::write(&penalties, crate::upload::text(20, "1.5")).unwrap();
    done(&["import", penalties.to_str().unwrap(), "--kind", "penalty"]);
    let listed: serde_json::Value = serde_json::from_str(&done(&["key", "list", "--json"])).unwrap();
    let active = listed["keys"].as_array().unwrap().iter().find(|k| k["use"] == "sign" && k["state"] == "active");
    assert_eq!(active.unwrap()["private"], "token");

    // both logs verify, whichever key signed
    let status: serde_json::Value = serde_json::from_str(&done(&["status", "--json"])).unwrap();
    for log in status["logs"].as_array().unwrap() {
        let (origin, key) = (log["origin"].as_str().unwrap(), log["verifier_keys"][0].as_str().unwrap());
        let taken = folder.path().join(origin.replace('/', "-")).display().to_string();
        done(&["audit", "export", "--origin", origin, &taken]);
        done(&["audit", "verify", "--log", &taken, "--key", key]);
    }

    // the token is pulled out: one sentence, and nothing is lost
    std::fs::rename(token.folder.join("tokens"), token.folder.join("gone")).unwrap();
    std::fs::create_dir(token.folder.join("tokens")).unwrap();
    let gone = token.command(&node, &["import", SAMPLE, "--kind", "honour"]);
    assert_eq!(gone.status.code(), Some(1));
    assert!(said(&gone).contains("no such token is plugged in") && !said(&gone).contains("8213"), "{}", said(&gone));
    let _ = Federation { nodes: vec![node], folder };
}

#[test]
fn a_server_whose_token_is_pulled_out_says_so_once_serves_on_and_signs_when_it_is_back() {
    let federation = Federation::of_strangers(&["310107"]);
    let peer = &federation.nodes[0];
    let folder = tempfile::tempdir().unwrap();
    let token = Token::new(&folder.path().join("token"));
    let sign = token.make("sign", "EC:edwards25519");
    let mut node = Node::at(folder.path().join("340500"));
    node.id = "340500".to_owned();
    let listen = format!("127.0.0.1:{}", free_port());
    let mut init = kaopu();
    init.args([
        "init",
        "--unencrypted",
        "--node",
        "340500",
        "--name",
        "示例市",
        "--local",
        "127.0.0.1:0",
        "--sign",
        &sign,
    ]);
    let init = init.args(["--listen", &listen]).arg(&node.dir).env("SOFTHSM2_CONF", token.config()).output().unwrap();
    assert!(init.status.success(), "{}", said(&init));
    let by = |args: &[&str], name: &str| {
        let mut command = kaopu();
        command.args(args).arg("-c").arg(node.config()).env("SOFTHSM2_CONF", token.config());
        let secret = secret_of(name);
        let output = command.env("KAOPU_NEW_SECRET", &secret).env("KAOPU_SECRET", &secret).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", said(&output));
    };
    by(&["user", "add", "li"], "li");
    by(&["peer", "add", peer.descriptor().to_str().unwrap(), "--as", "li"], "li");
    let mut serve = kaopu();
    serve.env("SOFTHSM2_CONF", token.config());
    node.start_by(serve);
    let running = Federation { nodes: vec![node], folder };
    let node = &running.nodes[0];

    let li = secret_of("li");
    let step = |step: &str, body: &str| post(node, &format!("/peers/310107/{step}"), Some(("li", &li)), body).1;
    let digits = format!(r#"{{"fingerprint": "{}"}}"#, fingerprint(peer));
    assert_eq!(step("confirm", &digits)["state"], "confirmed");
    let logged = || -> Vec<_> { changes(node, "peer").iter().map(|change| change["action"].clone()).collect() };
    assert_eq!(logged(), ["fetch", "confirm"]);

    let (there, away) = (token.folder.join("tokens"), token.folder.join("away"));
    std::fs::rename(&there, &away).unwrap();
    std::fs::create_dir(&there).unwrap();
    let lines = || {
        let journal = node.journal_text();
        journal.lines().filter(|line| line.contains("could not be logged yet")).map(str::to_owned).collect::<Vec<_>>()
    };
    // what is decided meanwhile is done, and kept for the log
    assert_eq!(step("take-back", "{}")["state"], "fetched");
    assert_eq!(step("confirm", &digits)["state"], "confirmed");
    until("it says so", || !lines().is_empty());
    let begun = std::time::Instant::now();
    until("it has tried a few times more", || begun.elapsed().as_secs() >= 7);
    let [line] = &lines()[..] else { panic!("one line, not {:#?}", lines()) };
    assert!(line.contains("token=kaopu") && !line.contains("8213"), "{line}");
    assert!(local(node, "/metrics").contains("kaopu_log_entries"), "it serves on");
    assert_eq!(logged(), ["fetch", "confirm"]);

    std::fs::remove_dir(&there).unwrap();
    std::fs::rename(&away, &there).unwrap();
    until("what was kept is signed and logged", || logged() == ["fetch", "confirm", "take-back", "confirm"]);
    assert!(node.journal_text().contains("changes go into the exchange log again"));
    assert_eq!(lines().len(), 1);
}

#[test]
fn a_root_on_a_token_signs_descriptors() {
    let folder = tempfile::tempdir().unwrap();
    let token = Token::new(&folder.path().join("token"));
    let uri = token.make("next-root", "EC:edwards25519");
    let node = Node::init(folder.path(), "340500", &[]);
    let root = |name: &str| node.dir.join("keys").join(name).display().to_string();
    let done = |args: &[&str]| {
        let output = token.command(&node, args);
        assert!(output.status.success(), "{args:?}: {}", said(&output));
    };
    // the next root takes the root's place and commits to the token's key, which then takes its place
    done(&["key", "rotate", "root", "--root", &root("root-next.pem"), "--next-root", &uri]);
    done(&["key", "rotate", "root", "--root", &uri, "--next-root", &root("root-third.pem")]);
    done(&["key", "renew", "--root", &uri]);
    let _ = Federation { nodes: vec![node], folder };
}
