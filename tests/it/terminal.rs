//! What a person at a terminal is asked, and that what must not be seen is not: on a real terminal (script, of Debian's
//! bsdutils), typed as somebody types who waits for the question.

use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use crate::ceremony::{done_by, fingerprint, persons, secret_of, shown};
use crate::federation::{Federation, Node, free_port, until};

const PASSPHRASE: &str = "示例口令一二三四五六七八";

/// A command on a terminal.
struct Terminal {
    child: Child,
    screen: Arc<Mutex<Vec<u8>>>,
}

impl Terminal {
    fn run(args: &[&str]) -> Self {
        let quoted = |text: &str| format!("'{}'", text.replace('\'', r"'\''"));
        let line: Vec<String> = [env!("CARGO_BIN_EXE_kaopu")].iter().chain(args).map(|arg| quoted(arg)).collect();
        let mut child = Command::new("script")
            .args(["-q", "-e", "-f", "-c", &line.join(" "), "/dev/null"])
            .env_remove("KAOPU_SECRET")
            .env_remove("KAOPU_PASSPHRASE")
            .env("KAOPU_OPERATOR", "示例")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let screen = Arc::new(Mutex::new(Vec::new()));
        let (mut out, seen) = (child.stdout.take().unwrap(), Arc::clone(&screen));
        std::thread::spawn(move || {
            let mut bytes = [0; 1024];
            while let Ok(count @ 1..) = out.read(&mut bytes) {
                seen.lock().unwrap().extend_from_slice(&bytes[..count]);
            }
        });
        Self { child, screen }
    }

    fn screen(&self) -> String {
        String::from_utf8_lossy(&self.screen.lock().unwrap()).into_owned()
    }

    /// Waits for a question, and for the program to have fallen silent behind it, and answers.
    fn answer(&mut self, question: &str, words: &str) {
        let mut before = String::new();
        until(question, || {
            let now = self.screen();
            let silent = now == before && now.trim_end().ends_with(question.trim_end());
            before = now;
            silent
        });
        let stdin = self.child.stdin.as_mut().unwrap();
        stdin.write_all(format!("{words}\n").as_bytes()).unwrap();
        stdin.flush().unwrap();
        // so that the same question can come again
        until("it goes on", || self.screen() != before);
    }

    /// Waits for its end; whether that was a good one, and all that stood on the screen.
    fn end(mut self) -> (bool, String) {
        let good = self.child.wait().unwrap().success();
        (good, self.screen())
    }
}

#[test]
fn a_passphrase_is_asked_for_twice_when_it_is_new_and_is_never_seen() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("340500");
    let (place, listen) = (dir.display().to_string(), format!("127.0.0.1:{}", free_port()));
    let init = ["init", &place, "--node", "340500", "--name", "x", "--listen", &listen, "--local", "127.0.0.1:0"];
    // mistyped
    let mut terminal = Terminal::run(&init);
    terminal.answer("New passphrase for the node's keys: ", PASSPHRASE);
    terminal.answer("The same again: ", "another one, long enough");
    let (good, screen) = terminal.end();
    assert!(!good && screen.contains("the two passphrases differ") && !screen.contains("示例口令"), "{screen}");
    assert!(!dir.join("node.toml").exists());
    let mut terminal = Terminal::run(&init);
    terminal.answer("New passphrase for the node's keys: ", PASSPHRASE);
    terminal.answer("The same again: ", PASSPHRASE);
    let (good, screen) = terminal.end();
    assert!(good && !screen.contains("示例口令"), "{screen}");

    let config = dir.join("node.toml").display().to_string();
    for (typed, taken) in [("not the passphrase", false), (PASSPHRASE, true)] {
        let mut terminal = Terminal::run(&["key", "list", "-c", &config]);
        terminal.answer(": ", typed);
        let (good, screen) = terminal.end();
        assert_eq!(good, taken, "{screen}");
        assert!(!screen.contains(typed), "{screen}");
        assert_eq!(screen.contains("the passphrase does not open it"), !taken, "{screen}");
    }
    let _ = Federation { nodes: vec![Node::at(dir)], folder };
}

#[test]
fn digits_and_a_secret_are_asked_for_where_a_fingerprint_is_confirmed() {
    let federation = Federation::of_strangers(&["340500", "310107"]);
    let [here, peer] = &federation.nodes[..] else { unreachable!() };
    persons(here);
    done_by(here, "li", &["peer", "add", peer.descriptor().to_str().unwrap()]);
    let config = here.config().display().to_string();
    let confirm = |digits: &str| {
        let mut terminal = Terminal::run(&["peer", "confirm", "310107", "--as", "li", "-c", &config]);
        terminal.answer("Secret of li: ", &secret_of("li"));
        terminal.answer("(there: `kaopu status`):", digits);
        let (good, screen) = terminal.end();
        assert!(!screen.contains(&secret_of("li")), "{screen}");
        (good, screen)
    };
    let (good, screen) = confirm("12345 67890");
    assert!(!good && screen.contains("30 digits; 10 were given"), "{screen}");
    let right = fingerprint(peer);
    let wrong = format!("{}{}", &right[..right.len() - 1], if right.ends_with('7') { '8' } else { '7' });
    let (good, screen) = confirm(&wrong);
    assert!(!good && screen.contains("are not the fingerprint"), "{screen}");
    assert_eq!(shown(here, peer)["state"], "fetched");
    let (good, screen) = confirm(&right);
    assert!(good && screen.contains("310107 is confirmed here"), "{screen}");
    assert_eq!(shown(here, peer)["state"], "confirmed");
}

#[test]
fn a_rotation_is_begun_at_a_terminal_by_a_yes_alone() {
    let federation = Federation::of_strangers(&["340500"]);
    let node = &federation.nodes[0];
    let (config, root) = (node.config().display().to_string(), node.dir.join("keys/root.pem").display().to_string());
    let rotate = ["key", "rotate", "sign", "--root", &root, "-c", &config];
    let question = "No rotation of sign is under way. Begin one? [y/N] ";
    for (answer, begun) in [("", false), ("n", false), ("y", true)] {
        let mut terminal = Terminal::run(&rotate);
        terminal.answer(question, answer);
        let (good, screen) = terminal.end();
        assert_eq!(good, begun, "{screen}");
        assert_eq!(screen.contains("sign: announce"), begun, "{screen}");
    }
    // what is under way goes on unasked
    let (good, screen) = Terminal::run(&rotate).end();
    assert!(good && screen.contains("sign: activate") && !screen.contains("Begin one?"), "{screen}");
}
