//! The sample uploads of `config/demo` show every kind, layout, format and fault, and fare as their README says.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use kaopu::statement::Kinds;
use serde_json::Value;

/// Files in the order of a folder's listing, with the faults that their receipts must name: row and code.
const FAULTS: &[(&str, &[(u64, &str)])] = &[
    ("310107/commitment.csv", &[(6, "E103"), (10, "E105")]),
    ("310107/honour.jsonl", &[]),
    ("310107/licence.csv", &[(6, "E103"), (7, "E102")]),
    ("310107/penalty.xlsx", &[(10, "E201"), (13, "E101")]),
    ("310107/registration.csv", &[]),
    ("340500/licence.csv", &[]),
    ("340500/listing.xml", &[(8, "E103")]),
    (
        "340500/penalty.csv",
        &[
            (3, "E101"),
            (5, "E102"),
            (7, "E103"),
            (9, "E104"),
            (10, "E105"),
            (12, "E105"),
            (14, "E106"),
            (16, "E201"),
            (18, "E202"),
            (20, "W102"),
            (22, "W201"),
            (24, "E203"),
            (26, "E203"),
            (28, "E301"),
        ],
    ),
    ("340500/penalty-corrected.csv", &[(22, "W201")]),
    ("340500/registration.csv", &[(8, "E202"), (9, "W201"), (10, "E201"), (11, "E104")]),
    ("341000/honour.csv", &[]),
    ("341000/licence.csv", &[]),
    ("341000/penalty.jsonl", &[]),
    ("341000/registration.xml", &[]),
    ("341000/voluntary.xlsx", &[]),
    ("341100/contract.xls", &[]),
    ("341100/grade.csv", &[]),
    ("341100/licence.xlsx", &[(9, "E105")]),
    ("341100/penalty.xml", &[(7, "E101")]),
    ("341100/registration.xlsx", &[(6, "E201")]),
    ("341200/contract.jsonl", &[]),
    ("341200/judgment.csv", &[]),
    ("341200/licence.jsonl", &[]),
    ("341200/penalty.csv", &[(11, "E103"), (12, "E103"), (15, "E104")]),
    ("341200/registration.jsonl", &[]),
];
/// Every fault of a receipt but E302, which is counted and not listed.
const CODES: [&str; 12] =
    ["E101", "E102", "E103", "E104", "E105", "E106", "E201", "E202", "E203", "E301", "W102", "W201"];

#[test]
fn every_sample_fares_as_it_says_and_together_they_show_everything() {
    let nodes = tempfile::tempdir().unwrap();
    let mut shown = BTreeSet::new();
    for (file, faults) in FAULTS {
        let receipt = import(nodes.path(), file);
        let listed: Vec<(u64, &str)> = receipt["faults"]
            .as_array()
            .unwrap()
            .iter()
            .map(|fault| (fault["row"].as_u64().unwrap(), fault["code"].as_str().unwrap()))
            .collect();
        assert_eq!(&listed, faults, "{file}");
        let count = |name: &str| receipt[name].as_u64().unwrap();
        assert_eq!(count("read"), count("published") + count("skipped") + count("refused"), "{file}");
        for member in ["kind", "layout", "encoding"] {
            shown.insert(receipt[member].as_str().unwrap().to_owned());
        }
        shown.extend(faults.iter().map(|(_, code)| (*code).to_owned()));
        shown.insert(file.rsplit('.').next().unwrap().to_owned());
        if *file == "340500/penalty-corrected.csv" {
            assert!(count("skipped") > 0, "what was published before is E302 now");
            assert!(count("published") > 11, "the corrected rows, and a new version of one");
        }
    }
    let kinds = Kinds::builtin().unwrap();
    let kinds =
        kinds.all().filter(|kind| kind.is_record && !kind.layouts.is_empty()).map(|kind| kind.typ.kind.as_str());
    let others = ["code", "chinese", "older", "utf-8", "utf-8-sig", "gb18030", "csv", "xlsx", "xls", "xml", "jsonl"];
    for wanted in CODES.into_iter().chain(kinds).chain(others) {
        assert!(shown.contains(wanted), "no sample shows {wanted}");
    }
}

#[test]
fn every_sample_is_told_of_here() {
    let mut files = Vec::new();
    for folder in fs::read_dir(samples()).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()) {
        for file in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            files.push(file.strip_prefix(samples()).unwrap().display().to_string());
        }
    }
    let mut told: Vec<_> = FAULTS.iter().map(|(file, _)| (*file).to_owned()).collect();
    files.sort();
    told.sort();
    assert_eq!(files, told);
}

/// The receipt of a sample at its city's node, which is made for the first of them.
fn import(nodes: &Path, file: &str) -> Value {
    let (city, name) = file.split_once('/').unwrap();
    let node = nodes.join(city);
    if !node.exists() {
        let (url, name) = ("https://127.0.0.1:7443", format!("示例{city}"));
        kaopu(&["init", "--unencrypted", node.to_str().unwrap(), "--node", city, "--name", &name, "--url", url]);
    }
    let kind = name.split(['-', '.']).next().unwrap();
    let (config, path) = (node.join("node.toml"), samples().join(file));
    let receipt = kaopu(&["import", "-c", config.to_str().unwrap(), "--json", "--kind", kind, path.to_str().unwrap()]);
    serde_json::from_slice(&receipt).unwrap()
}

fn kaopu(arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(env!("CARGO_BIN_EXE_kaopu")).args(arguments).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn samples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config/demo")
}
