//! Lists in a query, in fixed widths, so that a database prepares each of them once and plans the short ones as what they
//! are: a look-up.

/// The widths of a list.
const WIDTHS: [usize; 3] = [1, 10, 100];

/// A query with one `IN (…)`, written once for each width of its list.
pub(super) struct InList([String; WIDTHS.len()]);

impl InList {
    /// The query that `sql` makes of a list of places, the first of which is `$first`. No place behind them.
    pub(super) fn new(first: usize, sql: impl Fn(&str) -> String) -> Self {
        let places = |width| (first..first + width).map(|n| format!("${n}")).collect::<Vec<_>>().join(", ");
        Self(WIDTHS.map(|width| sql(&places(width))))
    }

    /// The queries that ask for all of these, each with as many values as it has places: the last one is repeated where
    /// there are fewer.
    pub(super) fn of<T: Copy>(&self, mut asked: &[T]) -> impl Iterator<Item = (&str, impl Iterator<Item = T>)> {
        std::iter::from_fn(move || {
            let last = asked.len().checked_sub(1)?;
            let at = WIDTHS.iter().position(|width| *width > last).unwrap_or(WIDTHS.len() - 1);
            let (now, rest) = asked.split_at(asked.len().min(WIDTHS[at]));
            asked = rest;
            Some((self.0[at].as_str(), (0..WIDTHS[at]).map(move |n| now[n.min(now.len() - 1)])))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_asked_for_in_a_query_that_has_its_places() {
        let list = InList::new(2, |places| places.to_owned());
        for count in [0, 1, 2, 10, 11, 100, 101, 110, 237] {
            let values: Vec<usize> = (0..count).collect();
            let mut asked = Vec::new();
            for (sql, values) in list.of(&values) {
                let values: Vec<usize> = values.collect();
                assert!(sql.starts_with("$2") && sql.ends_with(&format!("${}", values.len() + 1)), "{sql}");
                asked.extend(values);
            }
            asked.dedup();
            assert_eq!(asked, values);
        }
    }
}
