//! The demo comes to its end, and leaves no node behind however it ends.

use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

#[test]
fn a_demo_that_is_killed_when_all_is_in_step_leaves_no_node_behind() {
    let folder = tempfile::tempdir().unwrap();
    let mut demo = Command::new(env!("CARGO_BIN_EXE_kaopu"))
        .arg("demo")
        .arg(folder.path().join("demo"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let mut said = Vec::new();
    for line in BufReader::new(demo.stdout.take().unwrap()).lines().map_while(Result::ok) {
        let is_last = line.starts_with("The nodes run until Ctrl-C");
        said.push(line);
        if is_last {
            break;
        }
    }
    let all = said.join("\n");
    assert!(all.contains("All five nodes hold the same five logs"), "{all}");
    for both in ["310107 上海市普陀区 sees it: decided 已修复", "341100 滁州市 sees it: decided 已修复"]
    {
        assert!(all.contains(both), "{both}: {all}");
    }
    let nodes: Vec<SocketAddr> = said
        .iter()
        .filter_map(|line| line.split_once(" serves on https://"))
        .map(|(_, address)| address.parse().unwrap())
        .collect();
    assert_eq!(nodes.len(), 5, "{all}");
    assert!(nodes.iter().all(answers), "they serve as long as the demo runs");

    demo.kill().unwrap();
    demo.wait().unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    while nodes.iter().any(answers) {
        assert!(Instant::now() < deadline, "nodes that outlive the demo");
        std::thread::yield_now();
    }
}

fn answers(address: &SocketAddr) -> bool {
    TcpStream::connect_timeout(address, Duration::from_secs(1)).is_ok()
}
