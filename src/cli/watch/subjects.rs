//! Which subjects are meant: codes that were typed, and a list.

use anyhow::{Result, bail};
use kaopu::import::subject_list::{self, Listed};
use kaopu::record::name::fold;
use kaopu::statement::Kinds;
use kaopu::store::Db;
use kaopu::store::upload::FaultRow;
use kaopu::store::watch::Followed;
use serde_json::{Value, json};

use super::Subjects;
use crate::cli::print_line;

/// Subjects of this name are looked at to see whether there is one alone.
const OF_ONE_NAME: u32 = 50;

/// What was named.
pub struct Named {
    /// Who can be followed, each once.
    pub subjects: Vec<Followed>,
    faults: Vec<FaultRow>,
}

/// Reads the list, and finds those whom it names by name alone.
pub async fn named(meant: &Subjects, kinds: &Kinds, db: &Db) -> Result<Named> {
    if meant.codes.is_empty() && meant.file.is_none() {
        bail!("no subject: name one or more 统一社会信用代码, or a list with --file FILE");
    }
    let mut subjects: Vec<Followed> =
        meant.codes.iter().map(|code| Followed { subject: code.clone(), name: None }).collect();
    let mut faults = Vec::new();
    if let Some(file) = &meant.file {
        let list = subject_list::read(file, kinds)?;
        faults = list.faults;
        for listed in list.good {
            match known(listed, db).await? {
                Ok(followed) => subjects.push(followed),
                Err(fault) => faults.push(fault),
            }
        }
    }
    faults.sort_by_key(|fault| fault.row);
    subjects.sort_by(|a, b| a.subject.cmp(&b.subject));
    subjects.dedup_by(|a, b| a.subject == b.subject);
    Ok(Named { subjects, faults })
}

/// One who is named by name alone is followed if exactly one subject of that name is known here.
async fn known(listed: Listed, db: &Db) -> Result<Result<Followed, FaultRow>> {
    let Listed { row, key, name } = listed;
    if let Some(subject) = key {
        return Ok(Ok(Followed { subject, name }));
    }
    let wanted = name.clone().unwrap_or_default();
    let found = db.subjects_named(&wanted, OF_ONE_NAME).await?;
    let mut keys: Vec<String> =
        found.into_iter().filter(|it| fold(&it.name) == fold(&wanted)).map(|it| it.key).collect();
    keys.sort();
    keys.dedup();
    // a key of a name stands for whoever has no code: it adds nothing to a code
    if keys.iter().any(|key| !key.starts_with("name:")) {
        keys.retain(|key| !key.starts_with("name:"));
    }
    if let [key] = &keys[..] {
        return Ok(Ok(Followed { subject: key.clone(), name }));
    }
    let message = if keys.is_empty() {
        "只填了名称，本节点尚未见过该名称，请填写统一社会信用代码".to_owned()
    } else {
        format!("只填了名称，本节点有 {} 个同名主体，请填写统一社会信用代码", keys.len())
    };
    Ok(Err(FaultRow { row, column: None, code: "E101".to_owned(), message }))
}

impl Named {
    /// No row was left out.
    pub fn is_clean(&self) -> bool {
        self.faults.iter().all(|fault| fault.code.starts_with('W'))
    }

    /// Says what is wrong with which row.
    pub fn tell_faults(&self) {
        for fault in &self.faults {
            let column = fault.column.as_deref().map(|column| format!(" {column}")).unwrap_or_default();
            print_line(&format!("第 {} 行{column} {}: {}", fault.row, fault.code, fault.message));
        }
    }

    /// The same as JSON.
    pub fn faults_json(&self) -> Value {
        let fault = |fault: &FaultRow| json!({"row": fault.row, "column": fault.column, "code": fault.code, "message": fault.message});
        self.faults.iter().map(fault).collect()
    }
}
