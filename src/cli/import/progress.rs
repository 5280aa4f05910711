//! How far an import has come: a bar on a terminal, a line now and then elsewhere.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressState, ProgressStyle};

use kaopu::import::upload::Progress;

/// Between two lines where there is no terminal.
const BETWEEN_LINES: Duration = Duration::from_secs(5);

/// Shows progress on standard error.
pub enum Bar {
    /// A terminal.
    Terminal(ProgressBar),
    /// Anything else.
    Lines {
        /// The file's name.
        file: String,
        /// When the first rows were done, and how many were done already.
        begun: Option<(Instant, u64)>,
        /// When the last line was written.
        shown: Instant,
    },
}

impl Bar {
    /// For a file.
    pub fn new(file: &str) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self::Lines { file: file.to_owned(), begun: None, shown: Instant::now() };
        }
        let bar = ProgressBar::new(0);
        let style = ProgressStyle::with_template("{msg} [{wide_bar}] {pos}/{len} rows, {rate}, {eta} left")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style.with_key("rate", |state: &ProgressState, out: &mut dyn std::fmt::Write| {
            let _ = write!(out, "{:.0}/s", state.per_sec());
        }));
        bar.set_message(file.to_owned());
        Self::Terminal(bar)
    }

    /// Shows where it stands.
    pub fn show(&mut self, progress: Progress) {
        match self {
            Self::Terminal(bar) => {
                if bar.length() != Some(progress.of) {
                    bar.set_length(progress.of);
                    bar.set_position(progress.done);
                    // rows of an earlier run are not this run's speed
                    bar.reset_eta();
                }
                bar.set_position(progress.done);
            }
            Self::Lines { file, begun, shown } => {
                let now = Instant::now();
                let (start, before) = *begun.get_or_insert((now, progress.done));
                if now.duration_since(*shown) < BETWEEN_LINES {
                    return;
                }
                *shown = now;
                let (done, seconds) = (progress.done - before, now.duration_since(start).as_secs().max(1));
                let rate = (done / seconds).max(1);
                let left = (progress.of - progress.done) / rate;
                let Progress { done, of } = progress;
                let _ = writeln!(std::io::stderr(), "{file}: {done} of {of} rows, {rate}/s, {left} s left");
            }
        }
    }

    /// Leaves the terminal as it was.
    pub fn finish(self) {
        if let Self::Terminal(bar) = self {
            bar.finish_and_clear();
        }
    }
}
