//! What the documents point to is there.

use std::fs;
use std::path::{Path, PathBuf};

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
