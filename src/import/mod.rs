//! From a department's file to statements: reading, mending, judging, and the receipt.
//!
//! | file | concept |
//! |---|---|
//! | `sheet.rs` | an upload's file: what it is, its header, its rows |
//! | `not_an_upload.rs` | why a file is no upload at all |
//! | `cell.rs` | a cell as it came |
//! | `decode.rs` | UTF-8 or GB18030 |
//! | `csv.rs`, `xlsx.rs`, `xls.rs` (`xls_guard.rs`), `xml.rs`, `jsonl.rs` | the formats |
//! | `layout.rs` | which column is which member |
//! | `mend.rs` | what is mended silently |
//! | `form.rs` | from a cell to a value |
//! | `person.rs` | natural persons: hashed and masked |
//! | `row.rs` | a row judged: a body and its subject, or faults |
//! | `receipt.rs` | what the department gets back |
//! | `fault_file.rs` | faults of a rehearsal, kept aside |
//! | `kept.rs` | rows kept while an upload waits for a second person |
//! | `weigh.rs` | what a row counts for in the figures of data quality |
//! | `subject_list.rs` | a list of names and codes |
//! | `upload.rs` | an upload run against the store |
//! | `upload/acts.rs` | a list of repairs, withdrawals or answers run against it |
//! | `upload/rehearsal.rs`, `upload/hold.rs` | what a run would do; the same kept for a second person, and published |
//!
//! Every reader runs in constant memory (spreadsheets: in bounded memory) and calls back row by row; a file is read
//! through once before the first row is judged, so that what is no upload changes nothing.

pub mod cell;
mod csv;
pub mod decode;
pub mod fault_file;
pub mod form;
mod jsonl;
pub mod kept;
pub mod layout;
pub mod mend;
pub mod not_an_upload;
pub mod party;
mod person;
pub mod receipt;
pub mod row;
pub mod sheet;
pub mod subject_list;
mod veil;
pub mod weigh;
pub mod upload;
mod xls;
mod xls_guard;
mod xlsx;
mod xml;

pub use cell::Cell;
pub use layout::Columns;
pub use not_an_upload::NotAnUpload;
pub use person::{NotAPersonKey, PersonKey, masked_person as masked};
pub use receipt::Receipt;
pub use sheet::{Sheet, SourceRow, open};

/// The largest row of an upload, in bytes of its text.
pub const MAX_ROW: usize = 256 * 1024;
/// The most columns that an upload may have.
pub const MAX_COLUMNS: usize = 512;
/// The header is looked for in so many rows.
pub const HEADER_ROWS: usize = 10;
