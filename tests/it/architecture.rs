//! Imports point one way, and a file is one concept: read off the sources themselves, so that it cannot be forgotten.

use std::fs;
use std::path::{Path, PathBuf};

/// Longer than this, tests included, and a file is more than one concept.
const MOST_LINES: usize = 400;

/// A crate that only some files may name.
struct Reserved {
    crates: &'static [&'static str],
    /// Files, or folders with a slash at the end.
    may: &'static [&'static str],
    why: &'static str,
}

const RESERVED: &[Reserved] = &[
    Reserved { crates: &["sqlx"], may: &["store/"], why: "SQL is written once, in `store` alone" },
    Reserved {
        crates: &["reqwest"],
        may: &["exchange/client.rs", "exchange/webhook.rs"],
        why: "limits, timeouts and TLS of a request are set in one place: to a peer, and to a webhook, which is no node",
    },
    Reserved {
        crates: &["rustls", "tokio_rustls"],
        may: &["trust/tls.rs", "trust/tls/", "http/listener.rs"],
        why: "whom a connection trusts is decided in one place; listeners only shake hands",
    },
    Reserved { crates: &["axum", "tower"], may: &["http/"], why: "what handlers call is tested without HTTP" },
    Reserved {
        crates: &["josekit"],
        may: &[
            "statement/sealed.rs",
            "statement/suite.rs",
            "statement/suite/",
            "statement/envelope.rs",
            "statement/envelope/",
        ],
        why: "its error type stays behind the suites",
    },
    Reserved { crates: &["cedar_policy", "miette"], may: &["policy/"], why: "what policies see is made in one place" },
    Reserved { crates: &["anyhow"], may: &["cli/", "main.rs"], why: "everywhere else a caller can tell errors apart" },
    Reserved { crates: &["clap", "indicatif"], may: &["cli/", "main.rs"], why: "the command line is `cli`" },
];

/// Folders whose files compute and do nothing else: no runtime, no network, and no disk but for reading what is configured.
const PURE: &[&str] = &["statement/", "record/", "policy/", "log/"];
/// In those folders, but not of that kind: the appender drives the store.
const NOT_PURE: &[&str] = &["log/appender.rs", "log/appender/"];
const IMPURE_CRATES: &[&str] = &["tokio", "axum", "sqlx", "reqwest", "rustls", "tokio_rustls", "hyper", "hyper_util"];

/// A module and those of this crate that it must not name: the way of a record, told in `lib.rs`, is not walked backwards.
const BELOW: &[(&str, &[&str])] = &[
    ("statement/", &["policy", "import", "log", "store", "about", "trust", "exchange", "audit", "node", "http", "cli"]),
    ("record/", &["policy", "import", "log", "store", "about", "trust", "exchange", "audit", "node", "http", "cli"]),
    ("policy/", &["import", "log", "store", "about", "trust", "exchange", "audit", "config", "node", "http", "cli"]),
    ("log/", &["import", "about", "trust", "exchange", "audit", "node", "http", "cli"]),
    ("store/", &["import", "about", "trust", "exchange", "audit", "node", "http", "cli"]),
    ("import/", &["trust", "exchange", "audit", "node", "http", "cli"]),
    ("about/", &["import", "trust", "exchange", "audit", "node", "http", "cli"]),
    ("trust/", &["import", "exchange", "audit", "node", "http", "cli"]),
    ("exchange/", &["import", "audit", "node", "http", "cli"]),
    ("audit/", &["import", "exchange", "node", "http", "cli"]),
    ("report/", &["import", "exchange", "node", "http", "cli"]),
    ("config.rs", &["import", "exchange", "audit", "node", "http", "cli"]),
    ("http/", &["import", "cli"]),
    ("node.rs", &["import", "cli"]),
];

/// In `log/`, these alone see the store: the judge for the plain data of a projection, the appender to append.
const LOG_FILES_OF_THE_STORE: &[&str] = &["log/judge.rs", "log/judged.rs", "log/appender.rs", "log/appender/"];

#[test]
fn only_the_files_meant_for_it_name_a_crate() {
    let mut faults = Vec::new();
    for source in sources() {
        for reserved in RESERVED.iter().filter(|r| !source.is_one_of(r.may)) {
            for name in reserved.crates.iter().filter(|name| source.names(name)) {
                faults.push(format!("{} names {name}, only {:?} may: {}", source.path, reserved.may, reserved.why));
            }
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn pure_files_know_no_runtime_no_disk_and_no_network() {
    let mut faults = Vec::new();
    for source in sources().into_iter().filter(|s| s.is_one_of(PURE) && !s.is_one_of(NOT_PURE)) {
        for name in IMPURE_CRATES.iter().filter(|name| source.names(name)) {
            faults.push(format!("{} is pure and names {name}", source.path));
        }
        if !source.is_one_of(LOG_FILES_OF_THE_STORE) && source.imports("store") {
            faults.push(format!("{} is pure and names crate::store", source.path));
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn no_module_names_one_that_stands_after_it() {
    let mut faults = Vec::new();
    for source in sources() {
        for (_, forbidden) in BELOW.iter().filter(|(from, _)| source.is_one_of(&[from])) {
            // the appender takes keys from descriptors
            let may = |module: &str| module == "trust" && source.is_one_of(NOT_PURE);
            for module in forbidden.iter().filter(|module| source.imports(module) && !may(module)) {
                faults.push(format!("{} names crate::{module}: imports point the other way", source.path));
            }
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn a_file_is_one_concept() {
    let long: Vec<_> = sources()
        .into_iter()
        .filter(|s| s.lines > MOST_LINES)
        .map(|s| format!("{} has {} lines, more than {MOST_LINES}: which concept can move out?", s.path, s.lines))
        .collect();
    assert!(long.is_empty(), "\n{}", long.join("\n"));
}

#[test]
fn names_and_paths_are_found_in_code_and_nowhere_else() {
    let text = r##"
        //! Not sqlx.
        use axum::Router; /* nor reqwest */
        use crate::{log::{Edge, http}, store};
        const A: &str = "rustls \" tokio"; const B: &str = r#"hyper " "#; const C: char = '"';
        fn sqlx_like() { my_axum(); crate :: trust::tls(); }
    "##;
    let source = Source::new("x.rs".into(), text);
    assert!(source.names("axum"));
    for absent in ["sqlx", "reqwest", "rustls", "tokio", "hyper"] {
        assert!(!source.names(absent), "{absent}");
    }
    for module in ["log", "store", "trust"] {
        assert!(source.imports(module), "{module}");
    }
    assert!(!source.imports("http"), "the http of a group inside log is not the module");
}

/// A file of `src`, its path relative to that and its code without comments and literals.
struct Source {
    path: String,
    lines: usize,
    code: String,
}

impl Source {
    fn new(path: String, text: &str) -> Self {
        Self { path, lines: text.lines().count(), code: bare(text) }
    }

    fn is_one_of(&self, places: &[&str]) -> bool {
        places.iter().any(|p| if p.ends_with('/') { self.path.starts_with(p) } else { self.path == *p })
    }

    /// Whether the code has this identifier, but not within a path.
    fn names(&self, name: &str) -> bool {
        self.identifiers().any(|(at, word)| word == name && !self.code[..at].trim_end().ends_with("::"))
    }

    /// Whether the code names this module of the crate: `crate::module`, or in a group `crate::{…, module…}`.
    fn imports(&self, module: &str) -> bool {
        let tight: String =
            self.code.split_whitespace().collect::<Vec<_>>().join(" ").replace(" ::", "::").replace(":: ", "::");
        let crates = ["crate::", "kaopu::"];
        crates.iter().any(|root| {
            tight.match_indices(root).any(|(at, _)| {
                let rest = &tight[at + root.len()..];
                match rest.strip_prefix('{') {
                    Some(group) => first_words(group).any(|word| word == module),
                    None => first_word(rest) == module,
                }
            })
        })
    }

    fn identifiers(&self) -> impl Iterator<Item = (usize, &str)> {
        self.code.split(|c: char| !is_word(c)).filter(|w| !w.is_empty()).map(|w| {
            let at = w.as_ptr() as usize - self.code.as_ptr() as usize;
            (at, w)
        })
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn first_word(text: &str) -> &str {
    let text = text.trim_start();
    &text[..text.find(|c| !is_word(c)).unwrap_or(text.len())]
}

/// The first words of the members of a group whose opening brace was taken off.
fn first_words(group: &str) -> impl Iterator<Item = &str> {
    let mut depth = 1;
    let mut begins = vec![0];
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => begins.push(at + 1),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    begins.into_iter().map(move |at| first_word(&group[at..]))
}

/// The code without comments, strings and characters: a space stands for each.
fn bare(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let skipped = match c {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            'r' if !out.ends_with(is_word) && raw_string(rest) > 0 => raw_string(rest),
            '"' => string(rest),
            '\'' => character(rest),
            _ => 0,
        };
        if skipped > 0 {
            out.push(' ');
            rest = &rest[skipped..];
        } else {
            out.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    out
}

/// The length of the string literal at the beginning.
fn string(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The length of the raw string literal at the beginning, 0 where there is none.
fn raw_string(text: &str) -> usize {
    let hashes = text[1..].bytes().take_while(|b| *b == b'#').count();
    if !text[1 + hashes..].starts_with('"') {
        return 0;
    }
    let close = format!("\"{}", "#".repeat(hashes));
    let begin = hashes + 2;
    text[begin..].find(&close).map_or(text.len(), |at| begin + at + close.len())
}

/// The length of the character literal at the beginning, 0 for a lifetime.
fn character(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    match chars.next() {
        Some((_, '\\')) => text[3..].find('\'').map_or(0, |at| at + 4),
        Some(_) => chars.next().filter(|(_, c)| *c == '\'').map_or(0, |(at, _)| at + 1),
        None => 0,
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut sources = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for path in entries(&folder) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let relative = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
                sources.push(Source::new(relative, &fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(!sources.is_empty(), "no sources in {}", root.display());
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    sources
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}
