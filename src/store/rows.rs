//! Multi-row statements in fixed widths, so that a database prepares each of them once.

use std::fmt::Write as _;

/// Rows in one statement: a hundred at a time where there are many, and few statements for few rows, each of which costs two
/// switches between threads on SQLite.
pub(super) const WIDTHS: [usize; 14] = [100, 40, 30, 20, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1];

/// A statement over a `VALUES` list, written once for each width and each way to name a place.
pub(super) struct MultiRow {
    /// `$1, $2, …`: PostgreSQL.
    numbered: [String; WIDTHS.len()],
    /// `?, ?, …`: SQLite, which looks each name up in a list, but not these. What fails rolls the transaction back, whose end
    /// it is anyway: else SQLite copies each page that it changes, to be able to take back one statement alone.
    plain: [String; WIDTHS.len()],
}

impl MultiRow {
    /// `<before> VALUES (…), (…) <after>` with `columns` values a row.
    pub(super) fn new(before: &str, columns: usize, after: &str) -> Self {
        let text = |width: usize, place: &dyn Fn(usize) -> String| {
            let mut sql = format!("{before} VALUES ");
            for row in 0..width {
                sql.push_str(if row == 0 { "(" } else { ", (" });
                for column in 0..columns {
                    sql.push_str(if column == 0 { "" } else { ", " });
                    sql.push_str(&place(row * columns + column));
                }
                sql.push(')');
            }
            let _ = write!(sql, " {after}");
            sql
        };
        Self {
            numbered: WIDTHS.map(|width| text(width, &|n| format!("${}", n + 1))),
            plain: WIDTHS
                .map(|width| text(width, &|_| "?".to_owned()).replacen("INSERT INTO", "INSERT OR ROLLBACK INTO", 1)),
        }
    }

    /// The statement for PostgreSQL over `WIDTHS[width]` rows.
    pub(super) fn numbered(&self, width: usize) -> &str {
        &self.numbered[width]
    }

    /// The statement for SQLite over `WIDTHS[width]` rows.
    pub(super) fn plain(&self, width: usize) -> &str {
        &self.plain[width]
    }
}

/// Cuts rows into slices of the widths that there are statements for, the widest first.
pub(super) fn slices<T>(mut rows: &[T]) -> impl Iterator<Item = (usize, &[T])> {
    std::iter::from_fn(move || {
        let width = WIDTHS.iter().position(|width| *width <= rows.len())?;
        let (slice, rest) = rows.split_at(WIDTHS[width]);
        rows = rest;
        Some((width, slice))
    })
}

/// Runs a [`MultiRow`] over all rows of a slice; each row binds its values in the order of the columns. Gives back how
/// many rows it changed.
macro_rules! insert {
    ($tx:expr, $statement:expr, $rows:expr, |$query:ident, $row:ident| $bind:expr) => {
        async {
            let mut changed = 0;
            for (width, slice) in $crate::store::rows::slices($rows) {
                changed += match $tx.reborrow() {
                    $crate::store::db::Tx::Sqlite(t) => {
                        let mut $query = sqlx::query::<sqlx::Sqlite>($statement.plain(width));
                        for $row in slice {
                            $query = $bind;
                        }
                        $query.execute(t.connection()?).await.map(|done| done.rows_affected())
                    }
                    $crate::store::db::Tx::Postgres(t) => {
                        let mut $query = sqlx::query::<sqlx::Postgres>($statement.numbered(width));
                        for $row in slice {
                            $query = $bind;
                        }
                        $query.execute(&mut **t).await.map(|done| done.rows_affected())
                    }
                }?;
            }
            Ok::<u64, $crate::store::StoreError>(changed)
        }
    };
}
pub(super) use insert;

/// The same for a statement that returns rows: all of them, as tuples.
macro_rules! insert_returning {
    ($tx:expr, $statement:expr, $rows:expr, |$query:ident, $row:ident| $bind:expr) => {
        async {
            let mut returned = Vec::new();
            for (width, slice) in $crate::store::rows::slices($rows) {
                returned.extend(match $tx.reborrow() {
                    $crate::store::db::Tx::Sqlite(t) => {
                        let mut $query = sqlx::query_as::<sqlx::Sqlite, _>($statement.plain(width));
                        for $row in slice {
                            $query = $bind;
                        }
                        $query.fetch_all(t.connection()?).await
                    }
                    $crate::store::db::Tx::Postgres(t) => {
                        let mut $query = sqlx::query_as::<sqlx::Postgres, _>($statement.numbered(width));
                        for $row in slice {
                            $query = $bind;
                        }
                        $query.fetch_all(&mut **t).await
                    }
                }?);
            }
            Ok::<_, $crate::store::StoreError>(returned)
        }
    };
}
pub(super) use insert_returning;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_cover_all_rows_in_order() {
        for count in [0, 1, 9, 10, 19, 64, 99, 100, 101, 237, 4096] {
            let rows: Vec<usize> = (0..count).collect();
            let mut seen = Vec::new();
            for (width, slice) in slices(&rows) {
                assert_eq!(slice.len(), WIDTHS[width]);
                seen.extend_from_slice(slice);
            }
            assert_eq!(seen, rows);
        }
    }

    #[test]
    fn places_are_numbered_through() {
        let rows = MultiRow::new("INSERT INTO t (a, b)", 2, "ON CONFLICT DO NOTHING");
        let of = |rows| WIDTHS.iter().position(|width| *width == rows).unwrap();
        assert_eq!(rows.numbered(of(1)), "INSERT INTO t (a, b) VALUES ($1, $2) ON CONFLICT DO NOTHING");
        assert!(rows.numbered(of(100)).contains("($199, $200) ON"));
        assert_eq!(rows.plain(of(2)), "INSERT OR ROLLBACK INTO t (a, b) VALUES (?, ?), (?, ?) ON CONFLICT DO NOTHING");
    }
}
