//! The rows that a scan finds which reads no more than a number of them.

use super::mirror::{Mirror, Row, Text};
use crate::errors::{Result, declined};

impl Mirror {
    /// Of each scope, by its number, whether it begins in one way.
    pub(super) fn under(&self, prefix: Option<&str>) -> Vec<bool> {
        let starts = |scope: &Text| prefix.is_none_or(|prefix| scope.starts_with(prefix));
        self.scopes.iter().map(starts).collect()
    }

    pub(super) fn rows_under(&self, under: &[bool]) -> usize {
        let sizes = self.scope_sizes.iter().zip(under);
        sizes
            .filter(|(_, is_under)| **is_under)
            .map(|(n, _)| n)
            .sum()
    }

    /// The scopes of those rows that a scan finds that reads no more than `most`; each once, in no
    /// order. Declined if it isn't known which rows come first.
    pub fn scopes(&self, prefix: Option<&str>, most: usize) -> Result<Vec<Text>> {
        let under = self.under(prefix);
        let mut found = vec![false; under.len()];
        if self.rows_under(&under) <= most {
            for (scope, is_under) in under.iter().enumerate() {
                found[scope] = *is_under && self.scope_sizes[scope] > 0;
            }
        } else {
            for (scope, _) in self.first(&under, most)? {
                found[scope] = true;
            }
        }
        let scopes = self.scopes.iter().zip(found);
        Ok(scopes
            .filter(|s| s.1)
            .map(|(text, _)| text.clone())
            .collect())
    }

    /// The `most` rows that a scan finds first, with their scopes' numbers; there are more.
    pub(super) fn first<'a>(
        &'a self,
        under: &'a [bool],
        most: usize,
    ) -> Result<impl Iterator<Item = (usize, &'a Row)>> {
        if !self.in_order {
            return declined("rows in another order than their ids");
        }
        let rows = || {
            let all = self.scope_of.iter().zip(self.slots.iter());
            all.filter_map(|(&scope, row)| {
                let scope = scope as usize;
                under.get(scope)?.then_some((scope, row.as_ref()?))
            })
        };
        let mut ids: Vec<u64> = rows().map(|(_, row)| row.row_id).collect();
        match most.checked_sub(1) {
            Some(place) if place < ids.len() => {
                let last = *ids.select_nth_unstable(place).1;
                Ok(rows().filter(move |(_, row)| row.row_id <= last))
            }
            _ => declined("no rows are read"),
        }
    }
}
