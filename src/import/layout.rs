//! Which column is which member: headers matched to the layouts of a kind.

use super::receipt::is_added;
use crate::statement::Kind;
use crate::statement::kind::Form;

/// The columns of a file, matched to one layout of a kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Columns {
    /// The layout's position among the kind's.
    pub layout: usize,
    /// The headers as they came.
    pub headers: Vec<String>,
    /// For each column the position of its member among the kind's; None for one that the layout does not know.
    pub members: Vec<Option<usize>>,
    /// For each column whether it holds dates.
    pub dates: Vec<bool>,
}

impl Columns {
    /// Matches headers to the layout that knows most of them; the earlier layout where two know as many. None where no
    /// layout knows more than one, unless that is all there is.
    pub fn recognise(kind: &Kind, headers: &[String]) -> Option<Self> {
        let plain: Vec<String> = headers.iter().map(|h| plain(h)).collect();
        let named = plain.iter().filter(|h| !h.is_empty()).count();
        let mut best: Option<(usize, Self)> = None;
        for layout in 0..kind.layouts.len() {
            let members: Vec<Option<usize>> = plain.iter().map(|header| member_of(kind, layout, header)).collect();
            let known = members.iter().flatten().count();
            let is_date = |member: &Option<usize>| member.is_some_and(|at| kind.members[at].form == Form::Date);
            let dates = members.iter().map(is_date).collect();
            if best.as_ref().is_none_or(|(most, _)| known > *most) {
                best = Some((known, Self { layout, headers: headers.to_vec(), members, dates }));
            }
        }
        best.filter(|(known, _)| *known >= 2 || (*known == 1 && named == 1)).map(|(_, columns)| columns)
    }

    /// How many columns the layout knows.
    pub fn known(&self) -> usize {
        self.members.iter().flatten().count()
    }

    /// The headers that the layout does not know, as they came; those that a CSV of refused rows brings back are known.
    pub fn unknown(&self) -> Vec<String> {
        let unknown = self.headers.iter().zip(&self.members).filter(|(_, member)| member.is_none());
        let named = unknown.map(|(header, _)| header.trim()).filter(|h| !h.is_empty() && !is_added(h));
        named.map(str::to_owned).collect()
    }

    /// The columns under one of these headers that the layout does not know.
    pub fn unknown_under(&self, headers: &[String]) -> Vec<usize> {
        let is_meant = |came: &String| headers.iter().any(|header| plain(header) == plain(came));
        (0..self.headers.len()).filter(|at| self.members[*at].is_none() && is_meant(&self.headers[*at])).collect()
    }
}

fn member_of(kind: &Kind, layout: usize, header: &str) -> Option<usize> {
    if header.is_empty() {
        return None;
    }
    let (name, _) =
        kind.layouts[layout].columns.iter().find(|(_, headers)| headers.iter().any(|h| plain(h) == *header))?;
    kind.members.iter().position(|m| m.name == *name)
}

/// A header as it is compared: without the `*` of a required column and without white space; brackets, letters and
/// digits of either width and case alike.
fn plain(header: &str) -> String {
    header
        .chars()
        .map(|c| match c {
            '\u{FF01}'..='\u{FF5E}' => char::from_u32(c as u32 - 0xFEE0).unwrap_or(c),
            _ => c,
        })
        .filter(|c| !c.is_whitespace() && !matches!(c, '*' | '\u{FEFF}'))
        .map(|c| c.to_ascii_uppercase())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_compared_without_ornament() {
        for (came, printed) in [
            ("*行政处罚决定书文号", "行政处罚决定书文号"),
            ("＊ 罚款金额（万元） ", "罚款金额(万元)"),
            ("行政相对人代码_1（统一社会\n信用代码）", "行政相对人代码_1(统一社会信用代码)"),
            ("cf_wsh", "CF_WSH"),
            ("\u{feff}企业名称", "企业名称"),
        ] {
            assert_eq!(plain(came), plain(printed));
        }
        assert_ne!(plain("行政处罚决定书"), plain("行政处罚决定书文号"));
    }
}
