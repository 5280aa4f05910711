//! A node that is killed while it pulls, again and again, ends with the whole log all the same, each entry once.

use std::fmt::Write as _;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::federation::{Federation, records};

/// Entries to pull: several transactions' worth.
const ROWS: u64 = 12_000;
const KILLS: u32 = 8;

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "a test of processes has no runtime to block; it kills at random moments"
)]
fn a_node_that_is_killed_while_it_pulls_neither_loses_nor_repeats() {
    let mut federation = Federation::new(&["310107", "340500"]);
    let upload = federation.folder.path().join("示例.csv");
    std::fs::write(&upload, penalties()).unwrap();
    federation.nodes[0].done(&["import", upload.to_str().unwrap(), "--kind", "penalty"]);
    let size = records(&federation.nodes[0].json(&["status"]))["size"].as_u64().unwrap();
    assert_eq!(size, ROWS + 1);

    federation.nodes[0].start();
    let mut rng = StdRng::seed_from_u64(5);
    for _ in 0..KILLS {
        federation.nodes[1].start();
        std::thread::sleep(Duration::from_millis(rng.random_range(50..800)));
        assert!(!federation.nodes[1].signal("-KILL"));
    }
    federation.nodes[1].start();
    federation.until_in_step();
    let peer = federation.nodes[1].json(&["status"])["peers"][0].clone();
    assert_eq!(peer["size"], size);
    // that every entry stands there once, proven, is checked when the federation is dropped
}

/// Invented penalties in the older layout, which asks for least.
fn penalties() -> String {
    let mut csv = "CF_XDR_MC,CF_WSH,CF_CFMC,CF_SY,CF_YJ,CF_CFLB1,CF_JG,CF_JDRQ,CF_XZJG\n".to_owned();
    for n in 0..ROWS {
        writeln!(
            csv,
            "示例{n}有限公司,示例罚字〔2025〕第{n}号,示例违法行为,示例事实,示例依据,1,罚款,2025-01-15,示例市场监督管理局"
        )
        .unwrap();
    }
    csv
}
