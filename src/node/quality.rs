//! The monthly figures of data quality (双公示评估): timeliness, accuracy and completeness of what each department's files
//! brought, from what was really imported. `docs/QUALITY.md` has the formulae.

use std::collections::BTreeMap;
use std::fmt;
use std::io;

use serde::{Serialize, Serializer};

use crate::statement::Kinds;
use crate::store::quality::{Tallied, Tally};
use crate::store::{Db, StoreError};

/// The kinds that the evaluation is about (双公示: 行政许可, 行政处罚); others are shown apart.
pub const PUBLICISED: [&str; 2] = ["licence", "penalty"];
/// From so many percent on a figure has full marks.
pub const FULL_MARKS: u64 = 95;

/// The figures of a month.
#[derive(Clone, Debug, Serialize)]
pub struct Quality {
    /// `YYYY-MM`.
    pub month: String,
    /// 双公示: each department over both kinds, then by kind.
    pub departments: Vec<Figures>,
    /// 双公示: all departments together; None where nothing came.
    pub total: Option<Figures>,
    /// Other kinds, by kind and department.
    pub others: Vec<Figures>,
}

/// What came of some department's rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Figures {
    /// The department; empty where nobody said.
    pub department: String,
    /// The kind; `all` for both.
    pub kind: String,
    /// The kind in Chinese.
    pub title: String,
    /// What was counted.
    #[serde(flatten)]
    pub tally: Tally,
    /// 及时性: published within the working days that the rules allow, of published the first time.
    pub timeliness: Rate,
    /// 准确性: published, of submitted.
    pub accuracy: Rate,
    /// 完整性: values given, of values required.
    pub completeness: Rate,
}

/// A part of a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// The part.
    pub part: u64,
    /// The whole.
    pub whole: u64,
}

/// The text is no month.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no month: 2026-06 is expected")]
pub struct NotAMonth(String);

impl Quality {
    /// The figures of a month, `YYYY-MM`.
    pub async fn of(db: &Db, kinds: &Kinds, month: &str) -> Result<Self, StoreError> {
        Ok(Self::from_tallied(kinds, month, &db.quality(month).await?))
    }

    fn from_tallied(kinds: &Kinds, month: &str, tallied: &[Tallied]) -> Self {
        let title = |kind: &str| kinds.newest(kind).map_or_else(|| kind.to_owned(), |kind| kind.title.clone());
        let of = |t: &Tallied| Figures::of(&t.department, &t.kind, &title(&t.kind), t.tally);
        let (both, others): (Vec<&Tallied>, Vec<&Tallied>) =
            tallied.iter().partition(|t| PUBLICISED.contains(&t.kind.as_str()));
        let mut by_department: BTreeMap<&str, Vec<&Tallied>> = BTreeMap::new();
        for tallied in &both {
            by_department.entry(&tallied.department).or_default().push(tallied);
        }
        let mut departments = Vec::new();
        for (department, kinds) in by_department {
            departments.push(Figures::of(department, "all", "双公示", sum(&kinds)));
            departments.extend(kinds.into_iter().map(of));
        }
        let total = (!both.is_empty()).then(|| Figures::of("", "all", "合计", sum(&both)));
        Self { month: month.to_owned(), departments, total, others: others.into_iter().map(of).collect() }
    }

    /// All figures, one a line: CSV in UTF-8 behind a byte order mark, without which Excel would not read it as such.
    pub fn write_csv(&self, out: &mut impl io::Write) -> io::Result<()> {
        out.write_all("\u{feff}".as_bytes())?;
        let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(out);
        writer.write_record(COLUMNS).map_err(io::Error::other)?;
        for figures in self.departments.iter().chain(&self.others).chain(&self.total) {
            let Tally { submitted, valid, unchanged, required, given, first, in_time } = figures.tally;
            let counts = [submitted, valid, unchanged, first, in_time, required, given].map(|n| n.to_string());
            let rates = [figures.timeliness, figures.accuracy, figures.completeness];
            let percent = rates.map(|rate| rate.percent().map_or_else(String::new, |p| p.to_string()));
            let scores = rates.map(|rate| rate.score().map_or_else(String::new, |p| p.to_string()));
            let named = [self.month.clone(), harmless(&figures.department), figures.title.clone()];
            writer
                .write_record(named.iter().chain(&counts).chain(&percent).chain(&scores))
                .map_err(io::Error::other)?;
        }
        writer.flush()
    }
}

const COLUMNS: [&str; 16] = [
    "月份",
    "数据来源单位",
    "类别",
    "报送条数",
    "合格条数",
    "未变更条数",
    "首次公示条数",
    "及时公示条数",
    "应填项数",
    "已填项数",
    "及时性(%)",
    "准确性(%)",
    "完整性(%)",
    "及时性得分",
    "准确性得分",
    "完整性得分",
];

impl Figures {
    fn of(department: &str, kind: &str, title: &str, tally: Tally) -> Self {
        Self {
            department: department.to_owned(),
            kind: kind.to_owned(),
            title: title.to_owned(),
            tally,
            timeliness: Rate { part: tally.in_time, whole: tally.first },
            accuracy: Rate { part: tally.valid, whole: tally.submitted },
            completeness: Rate { part: tally.given, whole: tally.required },
        }
    }
}

/// Hundredths of a percent, or of a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hundredths(pub u64);

impl Rate {
    /// In percent, not rounded up: 94.999 % is not 95. None: there was nothing.
    pub fn percent(self) -> Option<Hundredths> {
        (self.whole > 0).then(|| Hundredths(of(self.part, 10_000, self.whole)))
    }

    /// Whether it has full marks.
    pub fn is_full(self) -> bool {
        self.whole > 0 && of(self.part, 100, 1) >= of(self.whole, FULL_MARKS, 1)
    }

    /// The points that it gives: 100 from [`FULL_MARKS`] percent on, below that in proportion.
    pub fn score(self) -> Option<Hundredths> {
        let points = of(self.part, 10_000 * 100, self.whole.saturating_mul(FULL_MARKS).max(1));
        (self.whole > 0).then_some(Hundredths(points.min(10_000)))
    }
}

/// `number × times ÷ by`, rounded down.
fn of(number: u64, times: u64, by: u64) -> u64 {
    u64::try_from(u128::from(number) * u128::from(times) / u128::from(by.max(1))).unwrap_or(u64::MAX)
}

impl fmt::Display for Hundredths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}", self.0 / 100, self.0 % 100)
    }
}

impl Serialize for Rate {
    /// Percent and points as numbers, null where there was nothing.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Written {
            percent: Option<f64>,
            full_marks: bool,
            score: Option<f64>,
        }
        // exact: no rate has more than five digits
        let number = |h: Hundredths| f64::from(u32::try_from(h.0).unwrap_or(u32::MAX)) / 100.0;
        let (percent, score) = (self.percent().map(number), self.score().map(number));
        Written { percent, full_marks: self.is_full(), score }.serialize(serializer)
    }
}

/// A month as it is asked for.
pub fn month(text: &str) -> Result<String, NotAMonth> {
    let day = format!("{text}-01");
    let is_month = text.len() == 7 && crate::record::date::parse_canonical(&day).is_some();
    if is_month { Ok(text.to_owned()) } else { Err(NotAMonth(text.to_owned())) }
}

fn sum(all: &[&Tallied]) -> Tally {
    let mut sum = Tally::default();
    all.iter().for_each(|tallied| sum += tallied.tally);
    sum
}

/// Text that no spreadsheet takes for a formula.
fn harmless(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(part: u64, whole: u64) -> (Option<String>, bool, Option<String>) {
        let rate = Rate { part, whole };
        (rate.percent().map(|p| p.to_string()), rate.is_full(), rate.score().map(|p| p.to_string()))
    }

    fn expected(percent: &str, full: bool, score: &str) -> (Option<String>, bool, Option<String>) {
        (Some(percent.to_owned()), full, Some(score.to_owned()))
    }

    #[test]
    fn full_marks_begin_at_95_percent_and_nothing_is_rounded_up_to_them() {
        assert_eq!(rate(0, 0), (None, false, None));
        assert_eq!(rate(100, 100), expected("100.00", true, "100.00"));
        assert_eq!(rate(95, 100), expected("95.00", true, "100.00"));
        assert_eq!(rate(94_999, 100_000), expected("94.99", false, "99.99"));
        assert_eq!(rate(19, 20), expected("95.00", true, "100.00"));
        assert_eq!(rate(1, 3), expected("33.33", false, "35.08"));
        assert_eq!(rate(0, 7), expected("0.00", false, "0.00"));
        assert_eq!(rate(u64::MAX, u64::MAX).0.as_deref(), Some("100.00"));
    }

    #[test]
    fn departments_are_summed_over_both_kinds_and_others_stand_apart() {
        let tallied = |kind: &str, department: &str, submitted, valid| Tallied {
            month: "2026-06".to_owned(),
            kind: kind.to_owned(),
            department: department.to_owned(),
            tally: Tally { submitted, valid, required: 10 * submitted, given: 10 * valid, ..Tally::default() },
        };
        let all = [
            tallied("honour", "示例甲局", 5, 5),
            tallied("licence", "示例甲局", 10, 9),
            tallied("licence", "=示例乙局", 1, 1),
            tallied("penalty", "示例甲局", 30, 29),
        ];
        let quality = Quality::from_tallied(&Kinds::builtin().unwrap(), "2026-06", &all);
        let told: Vec<_> = quality.departments.iter().map(|f| (&*f.department, &*f.kind, f.accuracy)).collect();
        let rate = |part, whole| Rate { part, whole };
        assert_eq!(
            told,
            [
                ("=示例乙局", "all", rate(1, 1)),
                ("=示例乙局", "licence", rate(1, 1)),
                ("示例甲局", "all", rate(38, 40)),
                ("示例甲局", "licence", rate(9, 10)),
                ("示例甲局", "penalty", rate(29, 30)),
            ]
        );
        assert_eq!(quality.total.as_ref().unwrap().accuracy, rate(39, 41));
        assert_eq!((quality.others.len(), &*quality.others[0].title), (1, "诚实守信荣誉"));
        let mut csv = Vec::new();
        quality.write_csv(&mut csv).unwrap();
        let csv = String::from_utf8(csv).unwrap();
        assert!(csv.starts_with("\u{feff}月份,数据来源单位,类别,"), "{csv}");
        assert!(csv.contains("2026-06,示例甲局,双公示,40,38,0,0,0,400,380,,95.00,95.00,,100.00,100.00\r\n"), "{csv}");
        assert!(csv.contains("2026-06,'=示例乙局,行政许可,1,1,"), "{csv}");
        assert_eq!(csv.lines().count(), 1 + 5 + 1 + 1);
    }

    #[test]
    fn a_month_is_a_year_and_a_month() {
        assert_eq!(month("2026-06").as_deref(), Ok("2026-06"));
        for bad in ["2026-13", "2026-6", "2026-00", "202606", "2026-06-01", "", "June"] {
            assert!(month(bad).is_err(), "{bad}");
        }
    }
}
