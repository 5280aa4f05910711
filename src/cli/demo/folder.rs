//! The demo's folder: what in it is the demo's, and how far it has come.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::nodes::{SITES, Site};
use super::samples::Sample;

/// Its presence says that a demo made the folder, and that `--fresh` may delete it.
const MARK: &str = "THIS-IS-A-KAOPU-DEMO.txt";
const MARK_TEXT: &str = "Made by `kaopu demo`, which may delete this folder when it is told to begin anew. \
                         Everything in it is invented.\n";
/// Written when all nodes are made and know each other; without it they are made anew.
const MADE: &str = "made";
/// A line for each sample that was imported to its end.
const IMPORTED: &str = "imported";

/// A folder that belongs to the demo.
pub struct Folder {
    root: PathBuf,
}

impl Folder {
    /// Takes an absent or empty folder, or one that an earlier demo made; refuses any other.
    pub fn prepare(root: &Path, fresh: bool) -> Result<Self> {
        let marked = root.join(MARK).is_file();
        if fresh && marked {
            fs::remove_dir_all(root).with_context(|| format!("cannot delete {}", root.display()))?;
        } else if !marked && !is_absent_or_empty(root)? {
            bail!("{} is not empty and no demo made it: name another folder, `kaopu demo FOLDER`", root.display());
        }
        fs::create_dir_all(root).with_context(|| format!("cannot make {}", root.display()))?;
        fs::write(root.join(MARK), MARK_TEXT).with_context(|| format!("cannot write into {}", root.display()))?;
        let folder = Self { root: root.to_owned() };
        folder.write_samples()?;
        Ok(folder)
    }

    /// The folder of a node.
    pub fn of(&self, site: &Site) -> PathBuf {
        self.root.join(site.id)
    }

    /// A node's configuration, as one would type it.
    pub fn config(&self, site: &Site) -> String {
        self.of(site).join("node.toml").display().to_string()
    }

    /// A sample of a node, as one would type it.
    pub fn sample(&self, site: &Site, file: &str) -> String {
        self.root.join("samples").join(site.id).join(file).display().to_string()
    }

    /// Whether all nodes were made; what an interrupted making left is deleted.
    pub fn is_made(&self) -> Result<bool> {
        if self.root.join(MADE).is_file() {
            return Ok(true);
        }
        for folder in SITES.iter().map(|site| self.of(site)).filter(|f| f.exists()) {
            fs::remove_dir_all(&folder).with_context(|| format!("cannot delete {}", folder.display()))?;
        }
        Ok(false)
    }

    /// All nodes are made.
    pub fn note_made(&self) -> Result<()> {
        fs::write(self.root.join(MADE), "").context("cannot write into the demo's folder")
    }

    /// Whether an earlier demo imported this sample to its end.
    pub fn has_imported(&self, site: &Site, sample: &Sample) -> Result<bool> {
        match fs::read_to_string(self.root.join(IMPORTED)) {
            Ok(lines) => Ok(lines.lines().any(|line| line == sample.line(site))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error).context("cannot read how far the demo has come"),
        }
    }

    /// The sample is imported to its end.
    pub fn note_imported(&self, site: &Site, sample: &Sample) -> Result<()> {
        let mut file = OpenOptions::new().create(true).append(true).open(self.root.join(IMPORTED))?;
        writeln!(file, "{}", sample.line(site)).context("cannot note how far the demo has come")
    }

    /// Lays the samples out to be looked at and edited; what is there already stays.
    fn write_samples(&self) -> Result<()> {
        for (site, sample) in SITES.iter().flat_map(|site| site.samples.iter().map(move |sample| (site, sample))) {
            let path = PathBuf::from(self.sample(site, sample.file));
            if path.exists() {
                continue;
            }
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
            }
            fs::write(&path, sample.bytes).with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(())
    }
}

/// This program as one would type it: relative where it lies below the current folder.
pub fn this_program() -> String {
    let Ok(path) = std::env::current_exe() else { return "kaopu".into() };
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(here).unwrap_or(&path).display().to_string()
}

fn is_absent_or_empty(root: &Path) -> Result<bool> {
    match fs::read_dir(root) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", root.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_no_demo_made_is_left_alone() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("letter.txt"), "mine").unwrap();
        for fresh in [false, true] {
            assert!(Folder::prepare(root.path(), fresh).is_err());
        }
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
    }

    #[test]
    fn an_earlier_demo_goes_on_unless_it_is_to_begin_anew() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().join("new");
        let site = &SITES[0];
        let sample = &site.samples[0];
        let folder = Folder::prepare(&root, false).unwrap();
        assert!(!folder.has_imported(site, sample).unwrap());
        folder.note_imported(site, sample).unwrap();
        assert!(Folder::prepare(&root, false).unwrap().has_imported(site, sample).unwrap());
        assert!(!Folder::prepare(&root, true).unwrap().has_imported(site, sample).unwrap());
    }
}
