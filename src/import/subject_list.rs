//! A list of subjects: names and codes in any file that an upload may be, under the headers that uploads have.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use super::form::{self, Reading};
use super::{Cell, NotAnUpload, Sheet, SourceRow, sheet};
use crate::record::{FaultCode, Uscc, identifier};
use crate::statement::kind::Member;
use crate::statement::{Kind, Kinds};
use crate::store::upload::FaultRow;

/// Kinds whose headers a list may have: of registrations 企业名称 and 统一社会信用代码, of penalties those of 行政相对人.
const KINDS: [&str; 2] = ["registration", "penalty"];

/// Headers that a list alone has.
const SCHEMA: &str = include_str!("subject_list.json");

/// A subject of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Counted from 1 over the data rows.
    pub row: u64,
    /// The key that the subject is known by; None where the row gives a name alone.
    pub key: Option<String>,
    /// The name, where it is given.
    pub name: Option<String>,
}

/// What a list holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubjectList {
    /// The rows that name somebody.
    pub good: Vec<Listed>,
    /// What is wrong with the others, and what is to be known of these.
    pub faults: Vec<FaultRow>,
}

/// A file that is a list.
#[derive(Clone, Debug)]
pub struct List {
    /// The file.
    pub sheet: Sheet,
    kind: Arc<Kind>,
}

/// A row of a list as it came, and whom it names.
#[derive(Clone, Debug)]
pub struct Row {
    /// The row.
    pub source: SourceRow,
    /// Whom it names, or what is wrong with it.
    pub judged: Result<Listed, FaultRow>,
    /// What is to be known of one that names somebody.
    pub warning: Option<FaultRow>,
}

/// Opens a list; it is read through once.
pub fn open(path: &Path, kinds: &Kinds) -> Result<List, NotAnUpload> {
    let mut first = None;
    let own = Kind::read("subject_list.json", SCHEMA).ok().map(Arc::new);
    for kind in own.into_iter().chain(KINDS.iter().filter_map(|name| kinds.newest(name).cloned())) {
        match sheet::open(path, &kind) {
            Ok(sheet) => return Ok(List { sheet, kind }),
            Err(error) => first = first.or(Some(error)),
        }
    }
    Err(first.unwrap_or(NotAnUpload::Empty))
}

/// Reads a list through.
pub fn read(path: &Path, kinds: &Kinds) -> Result<SubjectList, NotAnUpload> {
    let mut list = SubjectList::default();
    open(path, kinds)?.each::<NotAnUpload>(|row| {
        match row.judged {
            Ok(listed) => list.good.push(listed),
            Err(fault) => list.faults.push(fault),
        }
        list.faults.extend(row.warning);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(list)
}

impl List {
    /// Calls back with each row until it breaks off.
    pub fn each<E: From<NotAnUpload>>(&self, mut each: impl FnMut(Row) -> Result<ControlFlow<()>, E>) -> Result<(), E> {
        let columns = self.columns();
        self.sheet.each(|source| {
            let (judged, warning) = match columns.judge(&source) {
                Ok((listed, warning)) => (Ok(listed), warning),
                Err(fault) => (Err(fault), None),
            };
            each(Row { source, judged, warning })
        })
    }

    /// Which columns hold codes.
    pub fn code_columns(&self) -> Vec<usize> {
        let columns = self.columns();
        [columns.uscc, columns.registration].into_iter().flatten().map(|(at, _)| at).collect()
    }

    fn columns(&self) -> Of<'_> {
        let Self { sheet, kind } = self;
        let members = kind.subject.as_ref();
        let column = |name: Option<&String>| -> Option<(usize, &Member)> {
            let at = kind.position(name?)?;
            let column = sheet.columns.members.iter().position(|member| *member == Some(at))?;
            Some((column, &kind.members[at]))
        };
        Of {
            name: column(members.map(|members| &members.name)),
            uscc: column(members.and_then(|members| members.uscc.as_ref())),
            registration: column(members.and_then(|members| members.registration.as_ref())),
            layout: &kind.layouts[sheet.columns.layout].name,
            headers: &sheet.columns.headers,
        }
    }
}

/// Where the columns are.
struct Of<'a> {
    name: Option<(usize, &'a Member)>,
    uscc: Option<(usize, &'a Member)>,
    registration: Option<(usize, &'a Member)>,
    layout: &'a str,
    headers: &'a [String],
}

impl Of<'_> {
    /// Who a row names: by the code, else the 工商注册号, else the name alone; and a warning.
    fn judge(&self, row: &SourceRow) -> Result<(Listed, Option<FaultRow>), FaultRow> {
        let name = self.read(self.name, row)?;
        let uscc = self.read(self.uscc, row)?.filter(|code| code != identifier::UNKNOWN);
        let mut warning = None;
        let key = match uscc {
            Some(code) => {
                let uscc = Uscc::parse(&code).map_err(|_| self.fault(self.uscc, row, FaultCode::E202))?;
                if !uscc.organisation_code_checks() {
                    warning = Some(self.fault(self.uscc, row, FaultCode::W201));
                }
                Some(code)
            }
            None => match self.read(self.registration, row)? {
                Some(number) if identifier::registration_number_checks(&number) == Some(false) => {
                    return Err(self.fault(self.registration, row, FaultCode::E203));
                }
                number => number.map(|number| format!("reg:{number}")),
            },
        };
        if key.is_none() && name.is_none() {
            return Err(self.fault(self.uscc.or(self.name), row, FaultCode::E101));
        }
        Ok((Listed { row: row.number, key, name }, warning))
    }

    fn read(&self, column: Option<(usize, &Member)>, row: &SourceRow) -> Result<Option<String>, FaultRow> {
        let Some((at, member)) = column else { return Ok(None) };
        match form::read(member, self.layout, row.cells.get(at).unwrap_or(&Cell::Blank)) {
            Reading::Value(Value::String(text)) => Ok(Some(text)),
            Reading::Fault(code, _) => Err(self.fault(column, row, code)),
            Reading::Value(_) | Reading::Nothing => Ok(None),
        }
    }

    fn fault(&self, column: Option<(usize, &Member)>, row: &SourceRow, code: FaultCode) -> FaultRow {
        FaultRow {
            row: row.number,
            column: column.and_then(|(at, _)| self.headers.get(at).cloned()),
            code: code.as_str().to_owned(),
            message: column.map(|(_, member)| member.fault(code).message).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> SubjectList {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list.csv");
        std::fs::write(&path, text).unwrap();
        read(&path, &Kinds::builtin().unwrap()).unwrap()
    }

    #[test]
    fn a_list_names_subjects_by_code_by_number_and_by_name() {
        let listed = list(
            "企业名称,统一社会信用代码\n示例一公司,91350100M000100Y43\n示例二公司,９1350100m000100y43\n示例三公司,\n,\n\
             示例四公司,91350100M000100Y44\n示例五公司,9.13E+17\n",
        );
        let keys: Vec<_> = listed.good.iter().map(|it| (it.row, it.key.as_deref())).collect();
        assert_eq!(keys, [(1, Some("91350100M000100Y43")), (2, Some("91350100M000100Y43")), (3, None)]);
        let faults: Vec<_> = listed.faults.iter().map(|it| (it.row, it.code.as_str())).collect();
        assert_eq!(faults, [(4, "E202"), (5, "E201")]);
        assert!(listed.faults.iter().all(|fault| !fault.message.is_empty()));

        let by_number = list(
            "行政相对人名称,行政相对人代码_1(统一社会信用代码),行政相对人代码_2(工商注册号)\n示例,,110108000000016\n示例,,110108000000017\n",
        );
        assert_eq!(by_number.good[0].key.as_deref(), Some("reg:110108000000016"));
        assert_eq!(by_number.faults[0].code, "E203");
        let named = list("序号,名称,社会信用代码\n1,示例,91350100M000100Y43\n");
        assert_eq!(named.good[0].name.as_deref(), Some("示例"));
        assert_eq!(list("统一社会信用代码\n91350100M000100Y43\n").good.len(), 1);
    }
}
