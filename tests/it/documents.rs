//! What the documents point to is there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

#[test]
fn every_link_of_a_document_leads_to_a_file_of_the_repository() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut dead = Vec::new();
    for document in documents(root) {
        let text = fs::read_to_string(&document).unwrap();
        for target in links(&text).filter(|t| !t.contains("://") && !t.starts_with('#')) {
            let file = target.split('#').next().unwrap_or(target);
            if !document.parent().unwrap().join(file).exists() {
                dead.push(format!("{}: {target}", document.strip_prefix(root).unwrap().display()));
            }
        }
    }
    assert!(dead.is_empty(), "these lead nowhere:\n{}", dead.join("\n"));
}

#[test]
fn the_walk_through_names_commands_and_options_that_there_are_and_its_twin_the_same() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let [english, chinese] = ["docs/PEERS.md", "docs/PEERS.zh-CN.md"].map(|name| {
        let text = fs::read_to_string(root.join(name)).unwrap();
        let commands = text.lines().filter_map(|line| line.strip_prefix("$ kaopu ")).map(str::to_owned);
        (text.matches("\n## ").count(), commands.collect::<Vec<_>>())
    });
    assert_eq!(english.0, chinese.0, "headings");
    assert_eq!(english.1.len(), chinese.1.len(), "commands");
    assert!(english.1.len() > 8);
    for command in english.1.iter().chain(&chinese.1) {
        let words: Vec<&str> = command.split_whitespace().collect();
        let help = Command::new(env!("CARGO_BIN_EXE_kaopu")).args(&words[..2]).arg("--help").output().unwrap();
        assert!(help.status.success(), "{command}");
        let help = String::from_utf8(help.stdout).unwrap();
        for option in words.iter().filter(|word| word.starts_with("--")) {
            assert!(help.contains(&format!("{option} ")), "{command}: no {option}");
        }
    }
}

/// The targets of `[text](target)` outside code.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let code = text.split("```").step_by(2);
    code.flat_map(|prose| prose.match_indices("](").filter_map(|(at, _)| prose[at + 2..].split(')').next()))
}

/// The Markdown files of the repository's own folders.
fn documents(root: &Path) -> Vec<PathBuf> {
    let folders =
        ["", "docs", "docker", "certs", "config", "config/demo", "schemas", "tests", "tests/vectors", "benches"];
    let entries = folders.iter().filter_map(|folder| fs::read_dir(root.join(folder)).ok()).flatten();
    let mut documents: Vec<_> =
        entries.map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_some_and(|e| e == "md")).collect();
    documents.sort();
    assert!(!documents.is_empty(), "no documents in {}", root.display());
    documents
}
