//! Why policies are not taken, and the place of it.

use std::fmt;

use miette::Diagnostic;
use serde::Serialize;

/// What is wrong with a file of policies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PolicyFault {
    /// The file, as it was found.
    pub file: String,
    /// Where in it; None where it is about the file as a whole.
    pub at: Option<Place>,
    /// What is wrong.
    pub reason: String,
}

/// A place in a file, counted from 1; columns are characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// All that is wrong with a set of policies, in the order of files and lines; at least one fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PolicyFaults(pub Vec<PolicyFault>);

impl PolicyFault {
    /// A fault of a whole file.
    pub(super) fn of_file(file: &str, reason: impl fmt::Display) -> Self {
        Self { file: file.to_owned(), at: None, reason: reason.to_string() }
    }

    /// A fault at a byte of a file's text.
    pub(super) fn at(file: &str, text: &str, byte: usize, reason: impl fmt::Display) -> Self {
        Self { file: file.to_owned(), at: Some(Place::of(text, byte)), reason: reason.to_string() }
    }

    /// What Cedar says is wrong, where it points; else at `otherwise`.
    pub(super) fn of(file: &str, text: &str, otherwise: usize, fault: &(impl Diagnostic + ?Sized)) -> Self {
        let label = fault.labels().and_then(|mut labels| labels.next());
        let byte = label.as_ref().map_or(otherwise, |label| label.offset());
        let mut reason = fault.to_string();
        for more in [label.and_then(|l| l.label().map(str::to_owned)), fault.help().map(|help| help.to_string())] {
            if let Some(more) = more.filter(|more| !more.is_empty()) {
                reason.push_str("; ");
                reason.push_str(&more);
            }
        }
        Self::at(file, text, byte, reason)
    }
}

impl Place {
    /// The place of a byte in a text.
    pub(super) fn of(text: &str, byte: usize) -> Self {
        let before: String = text.char_indices().take_while(|(at, _)| *at < byte).map(|(_, c)| c).collect();
        let line = before.rsplit('\n').next().unwrap_or_default();
        Self { line: before.matches('\n').count() + 1, column: line.chars().count() + 1 }
    }
}

impl fmt::Display for PolicyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(Place { line, column }) = self.at {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.reason)
    }
}

impl std::error::Error for PolicyFault {}

impl fmt::Display for PolicyFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, fault) in self.0.iter().enumerate() {
            if n > 0 {
                f.write_str("\n")?;
            }
            fault.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for PolicyFaults {}

impl From<PolicyFault> for PolicyFaults {
    fn from(fault: PolicyFault) -> Self {
        Self(vec![fault])
    }
}
