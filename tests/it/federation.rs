//! Nodes as their users know them: real processes of this program, each in a folder of its own, on free ports.
//!
//! When a federation is dropped its processes end, and every log of every node is checked anew.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use kaopu::config::Config;
use kaopu::store::Db;
use serde_json::Value;
use tempfile::TempDir;

use crate::whole;

/// Longer than anything here takes, on a busy machine.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// The files of a new node that hold private keys.
pub const PRIVATE: [&str; 10] = [
    "certs/ca.key",
    "certs/node.key",
    "keys/root.pem",
    "keys/root-next.pem",
    "keys/sign.pem",
    "keys/log-records.pem",
    "keys/log-exchange.pem",
    "keys/witness.pem",
    "keys/seal.pem",
    "keys/person.key",
];

/// Some nodes.
pub struct Federation {
    /// In the order of the ids that they were made from.
    pub nodes: Vec<Node>,
    /// Where they are; deleted at the end.
    pub folder: TempDir,
}

/// One node.
pub struct Node {
    /// Its id.
    pub id: String,
    /// Its folder.
    pub dir: PathBuf,
    /// Where its local API answers, once it runs.
    pub local: Option<String>,
    child: Option<Child>,
}

impl Federation {
    /// Makes nodes; they do not know each other, and do not run.
    pub fn of_strangers(ids: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let nodes = ids.iter().map(|id| Node::init(folder.path(), id, &[])).collect();
        Self { nodes, folder }
    }

    /// Makes nodes that have each other as peers; they do not run.
    pub fn new(ids: &[&str]) -> Self {
        Self::of_strangers(ids).acquainted()
    }

    /// The same, the first of them on a database.
    pub fn on(store: &str, ids: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let first = Node::init(folder.path(), ids[0], &["--store", store]);
        let others = ids[1..].iter().map(|id| Node::init(folder.path(), id, &[]));
        Self { nodes: std::iter::once(first).chain(others).collect(), folder }.acquainted()
    }

    fn acquainted(self) -> Self {
        for node in &self.nodes {
            let others = self.nodes.iter().filter(|other| other.id != node.id);
            let mut add = vec!["peer".to_owned(), "add".to_owned()];
            add.extend(others.map(|other| other.descriptor().display().to_string()));
            node.done(&add);
        }
        self
    }

    /// Starts all.
    pub fn start(&mut self) {
        self.nodes.iter_mut().for_each(Node::start);
    }

    /// Waits until every node holds all that every other has published.
    pub fn until_in_step(&self) {
        until("the nodes are in step", || {
            let all: Vec<Value> = self.nodes.iter().map(|node| node.json(&["status"])).collect();
            all.iter().all(|status| {
                let peers = status["peers"].as_array().unwrap();
                peers.iter().all(|peer| {
                    let owner = all.iter().find(|other| other["node"] == peer["node"]).unwrap();
                    records(owner)["size"] == peer["size"]
                })
            })
        });
    }
}

/// The own records log in a status.
pub fn records(status: &Value) -> &Value {
    let logs = status["logs"].as_array().unwrap();
    logs.iter().find(|log| log["origin"].as_str().unwrap().contains("/records/")).unwrap()
}

/// Waits for something to hold.
#[expect(clippy::disallowed_methods, reason = "a test of processes has no runtime to block, and polls with a deadline")]
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < DEADLINE, "{what}: not within {DEADLINE:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// The program.
pub fn kaopu() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kaopu"));
    command.stdin(Stdio::null()).env_remove("KAOPU_LOG").env_remove("KAOPU_CONFIG").env("KAOPU_OPERATOR", "示例");
    command
}

/// What a command said on standard error.
pub fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A port that is free, below those that the system gives to outgoing connections: it stays free until it is listened on,
/// since other processes of these tests have ports of their own.
pub fn free_port() -> u16 {
    static NEXT: OnceLock<(File, AtomicU16)> = OnceLock::new();
    let (_, next) = NEXT.get_or_init(own_ports);
    let mut ports = std::iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed));
    ports.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).unwrap()
}

/// The first of a hundred ports that are this process's while it holds the file.
fn own_ports() -> (File, AtomicU16) {
    let folder = std::env::temp_dir().join("kaopu-test-ports");
    std::fs::create_dir_all(&folder).unwrap();
    // begun elsewhere each time: a port that was just given up is not the next one taken
    let mut held = (0..120).filter_map(|n| {
        let first = 20_000 + ((std::process::id() + n) % 120) as u16 * 100;
        let file = File::create(folder.join(first.to_string())).unwrap();
        file.try_lock().ok().map(|()| (file, AtomicU16::new(first)))
    });
    held.next().expect("a hundred ports that no other process of these tests has")
}

impl Node {
    /// One that is there.
    pub fn at(dir: PathBuf) -> Self {
        Self { id: String::new(), dir, local: None, child: None }
    }

    /// Makes a node in a folder named after it.
    pub fn init(folder: &Path, id: &str, more: &[&str]) -> Self {
        let node = Self { id: id.to_owned(), dir: folder.join(id), local: None, child: None };
        let listen = format!("127.0.0.1:{}", free_port());
        let output = kaopu()
            .args(["init", "--unencrypted"])
            .arg(&node.dir)
            .args(["--node", id, "--name", "示例市", "--listen", &listen, "--local", "127.0.0.1:0"])
            .args(more)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", said(&output));
        node
    }

    /// Its configuration's file.
    pub fn config(&self) -> PathBuf {
        self.dir.join("node.toml")
    }

    /// Its descriptor's file.
    pub fn descriptor(&self) -> PathBuf {
        self.dir.join("descriptor.jws")
    }

    /// Runs a command of it.
    pub fn run(&self, args: &[impl AsRef<str>]) -> Output {
        kaopu().args(args.iter().map(AsRef::as_ref)).arg("-c").arg(self.config()).output().unwrap()
    }

    /// Runs a command that must succeed, and returns what it printed.
    pub fn done(&self, args: &[impl AsRef<str>]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "{}", said(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    /// The same with `--json`.
    pub fn json(&self, args: &[&str]) -> Value {
        let args: Vec<&str> = args.iter().copied().chain(["--json"]).collect();
        serde_json::from_str(&self.done(&args)).unwrap()
    }

    /// Starts it, and waits until it listens.
    pub fn start(&mut self) {
        self.start_by(kaopu());
    }

    /// The same by a command that runs the program.
    pub fn start_by(&mut self, mut program: Command) {
        let mut child = program
            .args(["serve", "--until-stdin-closes", "-c"])
            .arg(self.config())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::options().create(true).append(true).open(self.journal()).unwrap())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = lines.next();
        self.local = lines.next().map(|line| line.unwrap().strip_prefix("local API on ").unwrap().to_owned());
        self.child = Some(child);
        let first = first.unwrap_or_else(|| panic!("{} did not start: {}", self.id, self.journal_text())).unwrap();
        assert!(first.starts_with("peer interface on https://127.0.0.1:"), "{first}");
    }

    fn journal(&self) -> PathBuf {
        self.dir.join("serve.log")
    }

    /// What it wrote to its journal.
    pub fn journal_text(&self) -> String {
        std::fs::read_to_string(self.journal()).unwrap()
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// Sends it a signal, waits for its end, and says whether that was an orderly one.
    pub fn signal(&mut self, signal: &str) -> bool {
        let mut child = self.child.take().unwrap();
        assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
        child.wait().unwrap().success()
    }
}

impl Drop for Federation {
    #[expect(clippy::print_stderr, reason = "after a failure the journals say why")]
    fn drop(&mut self) {
        for node in &mut self.nodes {
            if let Some(mut child) = node.child.take() {
                drop(child.stdin.take());
                let ended = child.wait();
                assert!(std::thread::panicking() || ended.unwrap().success(), "{}", node.journal_text());
            }
        }
        if std::thread::panicking() {
            for node in self.nodes.iter().filter(|node| node.journal().exists()) {
                eprintln!("--- journal of {}\n{}", node.id, node.journal_text());
            }
            return;
        }
        let runtime = tokio::runtime::Runtime::new().unwrap();
        for node in &self.nodes {
            let config = Config::load(&node.config()).unwrap();
            runtime.block_on(async {
                let db = Db::open(config.store.expose()).await.unwrap();
                whole::check(&db).await;
                db.close().await;
            });
        }
    }
}
