//! A further kind of record is a file and no code: from a department's spreadsheet at one node to the look-up at another.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// 抽查检查: no kind that comes with the program.
const INSPECTION: &str = include_str!("eleventh_kind/inspection.json");

const ROWS: &str = "\
被检查单位,统一社会信用代码,检查文号,检查日期,整改期限,检查结果,是否公开,问题数,整改措施,检查机关,检查人员
示例食品有限公司,91350100M000100Y43,马检[2024]1号,2024年3月5日,2024/4/5,不合格,是,2,更换冷柜,马鞍山市示例局,示例人员
示例食品有限公司,91350100M000100Y43,马检[2024]2号,2024-03-05,2024-03-04,合格,否,0,无需,马鞍山市示例局,示例人员
示例食品有限公司,91350100M000100Y43,马检[2024]3号,2024-03-05,,优秀,否,0,无需,马鞍山市示例局,示例人员
示例食品有限公司,91350100M000100Y43,马检（2024）1号,2024-03-05,,合格,是,0,无需,马鞍山市示例局,示例人员
";

#[test]
fn a_kind_is_added_with_a_file_alone() {
    let folder = tempfile::tempdir().unwrap();
    let city = Node::make(folder.path(), "340500", "马鞍山市");
    let partner = Node::make(folder.path(), "310107", "普陀区");
    let stranger = Node::make(folder.path(), "110000", "示例市");

    let (serving, url) = city.serve();
    for other in [&partner, &stranger] {
        city.run(&["peer", "add", other.descriptor()]);
        other.run(&["peer", "add", city.descriptor(), "--url", &url]);
    }
    let followers = [partner.serve(), stranger.serve()];

    let upload = folder.path().join("inspections.csv");
    fs::write(&upload, ROWS).unwrap();
    let receipt = city.json(&["import", upload.to_str().unwrap(), "--kind", "inspection"]);
    let counts = ["read", "published", "skipped", "refused"].map(|count| receipt[count].as_u64().unwrap());
    assert_eq!(counts, [4, 1, 0, 3], "{receipt:#}");
    let faults: Vec<(u64, Option<&str>, &str)> = receipt["faults"]
        .as_array()
        .unwrap()
        .iter()
        .map(|fault| (fault["row"].as_u64().unwrap(), fault["column"].as_str(), fault["code"].as_str().unwrap()))
        .collect();
    assert_eq!(faults, [(2, Some("整改期限"), "E105"), (3, Some("检查结果"), "E103"), (4, None, "E301")]);

    let found = partner.await_that(&["record", "91350100M000100Y43"], |found| *found != json!([]));
    assert_eq!(found.as_array().unwrap().len(), 1, "{found:#}");
    let record = &found[0];
    assert_eq!(record["kind"], "inspection");
    assert_eq!(record["title"], "抽查检查");
    assert_eq!(record["origin"], "kaopu/340500/records/1");
    assert_eq!((&record["status"], &record["verified"]), (&json!("published"), &json!(true)));
    assert_eq!(
        record["body"],
        json!({
            "name": "示例食品有限公司", "uscc": "91350100M000100Y43", "number": "马检〔2024〕1号",
            "inspected": "2024-03-05", "corrected": "2024-04-05", "result": "责令改正", "open": true, "findings": 2,
            "measures": "更换冷柜", "authority": "马鞍山市示例局",
        })
    );
    assert!(record["checkpoint"]["size"].as_u64() > record["index"].as_u64());
    let by_name = partner.json(&["record", "--name", "示例食品（有限"]);
    assert_eq!(by_name, json!([]), "brackets are no ornament where there are none");
    let by_name = partner.json(&["record", "--name", "食品有限"]);
    assert_eq!(by_name[0]["digest"], record["digest"], "{by_name:#}");

    // the same file again changes nothing; a change becomes a new version there too
    let again = city.json(&["import", upload.to_str().unwrap(), "--kind", "inspection"]);
    assert_eq!((&again["published"], &again["skipped"]), (&json!(0), &json!(1)), "{again:#}");
    fs::write(&upload, ROWS.replace("更换冷柜", "更换冷柜并复查")).unwrap();
    city.json(&["import", upload.to_str().unwrap(), "--kind", "inspection"]);
    let both =
        partner.await_that(&["record", "91350100M000100Y43"], |found| found.as_array().is_some_and(|f| f.len() == 2));
    assert_eq!((&both[0]["status"], &both[1]["status"]), (&json!("published"), &json!("superseded")), "{both:#}");
    assert_eq!(both[0]["replaces"], both[1]["digest"]);

    // who is not of the group has the whole log, but not what it says
    stranger.await_that(&["status"], |status| status["peers"][0]["size"] == both[0]["checkpoint"]["size"]);
    assert_eq!(stranger.json(&["record", "91350100M000100Y43"]), json!([]));
    drop((serving, followers));
}

/// A node in a folder of its own, worked on as a user would.
struct Node {
    folder: PathBuf,
    descriptor: String,
}

/// A node that serves, until this is dropped.
struct Serving {
    process: Child,
}

impl Node {
    fn make(parent: &Path, id: &str, name: &str) -> Self {
        let folder = parent.join(id);
        let node = Self { descriptor: folder.join("descriptor.jws").to_str().unwrap().to_owned(), folder };
        let folder = node.folder.to_str().unwrap();
        let listen = ["--listen", "127.0.0.1:0", "--local", "127.0.0.1:0", "--url", "https://127.0.0.1:7443"];
        run(Command::new(env!("CARGO_BIN_EXE_kaopu"))
            .args(["init", folder, "--node", id, "--name", name])
            .args(listen));
        fs::create_dir(node.folder.join("schemas")).unwrap();
        fs::write(node.folder.join("schemas/inspection.json"), INSPECTION).unwrap();
        let settings = fs::read_to_string(node.folder.join("node.toml")).unwrap();
        let changed = settings.replace("# schemas = \"schemas\"", "schemas = \"schemas\"");
        assert_ne!(changed, settings, "the sample names the folder of schemas");
        fs::write(node.folder.join("node.toml"), changed).unwrap();
        node
    }

    fn descriptor(&self) -> &str {
        &self.descriptor
    }

    /// Starts it, and says where its peers reach it.
    fn serve(&self) -> (Serving, String) {
        let mut command = self.command(&["serve", "--until-stdin-closes"]);
        let mut process =
            command.env("KAOPU_LOG", "warn").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(process.stdout.take().unwrap());
        let serving = Serving { process };
        let lines =
            out.lines().map(Result::unwrap).find_map(|line| line.strip_prefix("peer interface on ").map(str::to_owned));
        (serving, lines.expect("serve says where its peer interface is"))
    }

    fn run(&self, args: &[&str]) -> String {
        run(&mut self.command(args))
    }

    fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.run(&[args, &["--json"]].concat())).unwrap()
    }

    /// Asks until what was hoped for is there.
    fn await_that(&self, args: &[&str], hoped: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let answer = self.json(args);
            if hoped(&answer) {
                return answer;
            }
            assert!(Instant::now() < deadline, "{args:?}: {answer:#}");
        }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kaopu"));
        command.args(args).arg("-c").arg(self.folder.join("node.toml"));
        command
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

/// Runs a command that has to succeed, and hands on what it printed.
fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {out}\n{err}");
    out
}
