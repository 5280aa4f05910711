//! Why a file is no upload at all: one sentence in English and in Chinese, and nothing was changed.

/// Why a file is no upload at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotAnUpload {
    /// It could not be read.
    #[error("the file cannot be read: {0}（文件无法读取）")]
    Unreadable(String),
    /// A folder, a pipe, a device: what cannot be read twice.
    #[error("not a regular file（不是普通文件）")]
    NotAFile,
    /// Nothing in it, or nothing below the header.
    #[error("the file holds no rows（文件中没有数据行）")]
    Empty,
    /// Bytes that no text has.
    #[error(
        "the file is not text: a zero byte at offset {0}; save it as CSV in UTF-8 or GB18030, or as XLSX（文件不是文本：请另存为 UTF-8 或 GB18030 编码的 CSV，或存为 XLSX）"
    )]
    Binary(u64),
    /// Neither UTF-8 nor GB18030.
    #[error(
        "the file is neither UTF-8 (first wrong byte at offset {utf8}) nor GB18030 (at offset {gb18030})（文件既不是 UTF-8 也不是 GB18030 编码，出错的字节位置见前）"
    )]
    Encoding {
        /// Where UTF-8 breaks.
        utf8: u64,
        /// Where GB18030 breaks.
        gb18030: u64,
    },
    /// No row among the first ten holds headers that a layout knows.
    #[error(
        "none of the first {} rows holds column headers of {kind}; the nearest reads {seen}（前十行中找不到“{title}”的表头，请使用模板）",
        super::HEADER_ROWS
    )]
    HeadersUnknown {
        /// The kind's name.
        kind: String,
        /// Its Chinese title.
        title: String,
        /// What stands there instead.
        seen: String,
    },
    /// Two worksheets could each be the upload.
    #[error(
        "two worksheets hold rows: “{first}” and “{second}”; save each as a file of its own（工作表“{first}”与“{second}”都有数据，请分别另存为单独的文件）"
    )]
    SeveralSheets {
        /// The name of the first.
        first: String,
        /// The name of the second.
        second: String,
    },
    /// The kind has no layouts, so nobody uploads it.
    #[error("{0} is not a kind that comes in files（该类信息不通过文件报送）")]
    NoLayout(String),
    /// A row beyond 256 KiB, or a line that never ends.
    #[error("a row is longer than {} KiB, near line {line}（第 {line} 行附近的一行超过 {} KiB）", super::MAX_ROW / 1024, super::MAX_ROW / 1024)]
    RowTooLong {
        /// Line or row of the file, from 1.
        line: u64,
    },
    /// More columns than any layout could have.
    #[error(
        "more than {} columns, near line {line}（第 {line} 行附近超过 {} 列）",
        super::MAX_COLUMNS,
        super::MAX_COLUMNS
    )]
    TooManyColumns {
        /// Line or row of the file, from 1.
        line: u64,
    },
    /// Larger unpacked than is taken.
    #[error("the file unpacks to more than {} MiB; split it or save it as CSV（解压后超过 {} MiB，请拆分或另存为 CSV）", .limit / 1024 / 1024, .limit / 1024 / 1024)]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// It is no longer the file that was read through at first.
    #[error("the file was changed while it was read（读取过程中文件被改动）")]
    Changed,
    /// The format's reader gave up.
    #[error("a damaged or truncated {format} file: {reason}（{format} 文件已损坏或不完整）")]
    Damaged {
        /// `XLSX`, `XLS`, `XML`, `JSON Lines`, `CSV`.
        format: &'static str,
        /// Where and why.
        reason: String,
    },
}

impl NotAnUpload {
    pub(super) fn unreadable(error: &std::io::Error) -> Self {
        Self::Unreadable(error.to_string())
    }

    pub(super) fn damaged(format: &'static str, reason: &dyn std::fmt::Display) -> Self {
        // a reader may quote what it choked on; a sentence stays a sentence
        let reason: String =
            reason.to_string().chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect();
        Self::Damaged { format, reason }
    }
}
