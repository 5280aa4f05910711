//! What the five cities' departments send: the invented uploads of `config/demo`, held in the program itself so that the
//! demo runs from any folder. `config/demo/README.md` says what each of them shows.

use super::nodes::{SITES, Site};

/// The enterprise that has records in all five cities: its code and name.
pub const ENTERPRISE: (&str, &str) = ("91310107MA1K8P2606", "示例长三角供应链有限公司");

/// An upload; its name begins with its kind.
pub struct Sample {
    /// Its file name.
    pub file: &'static str,
    /// Its content.
    pub bytes: &'static [u8],
}

impl Sample {
    /// The kind of its records: what its name says before the first hyphen or dot.
    pub fn kind(&self) -> &'static str {
        self.file.split(['-', '.']).next().unwrap_or(self.file)
    }

    /// A line that stands for it in the list of what was imported.
    pub fn line(&self, site: &Site) -> String {
        format!("{}/{}", site.id, self.file)
    }
}

/// All uploads in the order in which they are sent: the first of each city, then the second of each, …
pub fn in_turn() -> impl Iterator<Item = (&'static Site, &'static Sample)> {
    let most = SITES.iter().map(|site| site.samples.len()).max().unwrap_or(0);
    (0..most).flat_map(|turn| SITES.iter().filter_map(move |site| site.samples.get(turn).map(|sample| (site, sample))))
}

macro_rules! samples {
    ($node:literal: $($file:literal)*) => {
        &[$(Sample {
            file: $file,
            bytes: include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/config/demo/", $node, "/", $file)),
        }),*]
    };
}

/// 上海市普陀区.
pub const PUTUO: &[Sample] =
    samples!("310107": "registration.csv" "penalty.xlsx" "licence.csv" "honour.jsonl" "commitment.csv");
/// 马鞍山市: every fault there is, and the upload that corrects them.
pub const MAANSHAN: &[Sample] =
    samples!("340500": "registration.csv" "penalty.csv" "licence.csv" "listing.xml" "penalty-corrected.csv");
/// 阜阳市.
pub const FUYANG: &[Sample] =
    samples!("341200": "registration.jsonl" "penalty.csv" "licence.jsonl" "judgment.csv" "contract.jsonl");
/// 滁州市.
pub const CHUZHOU: &[Sample] =
    samples!("341100": "registration.xlsx" "penalty.xml" "licence.xlsx" "grade.csv" "contract.xls");
/// 黄山市.
pub const HUANGSHAN: &[Sample] =
    samples!("341000": "registration.xml" "penalty.jsonl" "licence.csv" "voluntary.xlsx" "honour.csv");
