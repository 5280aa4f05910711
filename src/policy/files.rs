//! The texts of a set of policies: those that come with the program, or those of a folder. And its digest, which statements
//! name.

use std::path::Path;

use super::fault::{PolicyFault, PolicyFaults};
use crate::statement::Digest;

/// The schema: what policies can speak of. It belongs to the program, so a folder may hold a copy but no other.
pub(super) const SCHEMA: (&str, &str) = ("kaopu.cedarschema", include_str!("../../config/policy/kaopu.cedarschema"));

macro_rules! policies {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../config/policy/", $name)))),*]
    };
}

const BUILTIN: &[(&str, &str)] = policies!["ask.cedar", "follow.cedar", "hold.cedar", "recognise.cedar"];

/// Files of policies, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// Where they were found; None where they came with the program.
    folder: Option<String>,
    /// Names and texts, in the order of names.
    all: Vec<(String, String)>,
}

impl Files {
    /// Those that come with the program.
    pub fn builtin() -> Self {
        let all = BUILTIN.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        Self { folder: None, all }
    }

    /// The `*.cedar` of a folder, not of those in it. Other files are left alone.
    pub fn of_folder(folder: &Path) -> Result<Self, PolicyFaults> {
        let shown = folder.display().to_string();
        let failed = |error: std::io::Error| PolicyFault::of_file(&shown, error);
        let (mut all, mut faults) = (Vec::new(), Vec::new());
        for entry in std::fs::read_dir(folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let Some(name) = path.file_name() else { continue };
            let is_schema = name == SCHEMA.0;
            if !is_schema && path.extension().is_none_or(|extension| extension != "cedar") {
                continue;
            }
            let text = std::fs::read(&path).map_err(|error| error.to_string());
            let text = text.and_then(|bytes| String::from_utf8(bytes).map_err(|_| "not UTF-8".to_owned()));
            match (text, name.to_str()) {
                (Ok(text), _) if is_schema && text == SCHEMA.1 => {}
                (Ok(_), _) if is_schema => faults.push(PolicyFault::of_file(&path.display().to_string(), OTHER_SCHEMA)),
                (Ok(text), Some(name)) => all.push((name.to_owned(), text)),
                (Ok(_), None) => {
                    faults.push(PolicyFault::of_file(&path.display().to_string(), "its name is not UTF-8"));
                }
                (Err(error), _) => faults.push(PolicyFault::of_file(&path.display().to_string(), error)),
            }
        }
        if all.is_empty() && faults.is_empty() {
            faults.push(PolicyFault::of_file(&shown, "no *.cedar in it, so everything would be denied"));
        }
        all.sort();
        faults.sort_by(|a, b| a.file.cmp(&b.file));
        if faults.is_empty() { Ok(Self { folder: Some(shown), all }) } else { Err(PolicyFaults(faults)) }
    }

    /// SHA-256 over each file in the order of names: the lengths of name and text (8 bytes, big-endian), name and text.
    pub fn digest(&self) -> Digest {
        let mut bytes = Vec::new();
        for (name, text) in &self.all {
            for part in [name, text] {
                bytes.extend((part.len() as u64).to_be_bytes());
                bytes.extend(part.as_bytes());
            }
        }
        Digest::of(&bytes)
    }

    /// Name and text of each.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.all.iter().map(|(name, text)| (name.as_str(), text.as_str()))
    }

    /// As JSON: an object of names and texts.
    pub fn to_json(&self) -> String {
        let all: serde_json::Map<_, _> = self.iter().map(|(name, text)| (name.to_owned(), text.into())).collect();
        serde_json::Value::Object(all).to_string()
    }

    /// Writes them and the schema into a folder; leaves what is there.
    pub fn write(&self, folder: &Path) -> std::io::Result<()> {
        std::fs::create_dir_all(folder)?;
        for (name, text) in self.iter().chain([SCHEMA]) {
            let mut file = std::fs::File::create_new(folder.join(name))?;
            std::io::Write::write_all(&mut file, text.as_bytes())?;
        }
        Ok(())
    }

    /// The name of a file as a fault shows it.
    pub(super) fn shown(&self, name: &str) -> String {
        let folder = self.folder.as_deref().unwrap_or("(built in)");
        Path::new(folder).join(name).display().to_string()
    }

    #[cfg(test)]
    pub(super) fn of(all: &[(&str, &str)]) -> Self {
        let mut all: Vec<_> = all.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        all.sort();
        Self { folder: Some("policy".to_owned()), all }
    }
}

const OTHER_SCHEMA: &str = "not the schema of this program; take it away, or write it anew with `kaopu policy export`";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_of_names_and_bytes_and_of_nothing_else() {
        let digest = |all: &[(&str, &str)]| Files::of(all).digest();
        let one = digest(&[("a.cedar", "x"), ("b.cedar", "y")]);
        assert_eq!(one, digest(&[("b.cedar", "y"), ("a.cedar", "x")]));
        for other in [
            digest(&[("a.cedar", "y"), ("b.cedar", "x")]),
            digest(&[("a.cedar", "xb.cedary")]),
            digest(&[("a.cedar", "x")]),
            digest(&[("a.cedar", "x"), ("b.cedar", "y ")]),
        ] {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn what_is_written_is_read_back_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let there = folder.path().join("policy");
        Files::builtin().write(&there).unwrap();
        std::fs::write(there.join("README"), "not a policy").unwrap();
        let read = Files::of_folder(&there).unwrap();
        assert_eq!(read.digest(), Files::builtin().digest());
        assert!(Files::builtin().write(&there).is_err(), "what is there stays");
    }

    #[test]
    fn a_folder_without_policies_or_with_another_schema_is_a_fault() {
        let folder = tempfile::tempdir().unwrap();
        let faults = Files::of_folder(folder.path()).unwrap_err().to_string();
        assert!(faults.contains("no *.cedar"), "{faults}");
        std::fs::write(folder.path().join("a.cedar"), [0xff, 0xfe]).unwrap();
        std::fs::write(folder.path().join("kaopu.cedarschema"), "entity Node;").unwrap();
        let faults = Files::of_folder(folder.path()).unwrap_err();
        let [a, schema] = &faults.0[..] else { panic!("{faults}") };
        assert!(a.file.ends_with("a.cedar") && a.reason == "not UTF-8", "{a}");
        assert!(schema.file.ends_with("kaopu.cedarschema"), "{schema}");
        assert!(Files::of_folder(&folder.path().join("nowhere")).is_err());
    }
}
