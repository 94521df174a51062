//! Rows by the time of their creation.

use super::mirror::{Mirror, Row, Rows};
use crate::errors::{Result, declined};

impl Mirror {
    /// `size` rows after the `offset` newest, newest first, of those whose scope begins in one way
    /// (`known` as in `taken`).
    /// Declined if texts are equal: which of them comes first is Lance's own matter.
    pub fn newest(
        &self,
        prefix: Option<&str>,
        offset: usize,
        size: usize,
        known: impl Fn(u64, u32) -> bool,
    ) -> Result<Rows> {
        let mut found: Vec<(u32, &Row)> = self
            .numbered()
            .filter(|(_, row)| prefix.is_none_or(|prefix| row.scope.starts_with(prefix)))
            .collect();
        let order = |a: &(u32, &Row), b: &(u32, &Row)| b.1.created.cmp(&a.1.created);
        let end = offset.saturating_add(size);
        if end < found.len() {
            // One more, to see whether the last one has an equal.
            found.select_nth_unstable_by(end, order);
            found.truncate(end + 1);
        }
        found.sort_unstable_by(order);
        let near = &found[offset.saturating_sub(1).min(found.len())..];
        if near.windows(2).any(|w| w[0].1.created == w[1].1.created) {
            return declined("equal times");
        }
        let wanted = found.iter().skip(offset).take(size);
        Ok(self.taken(wanted.map(|&(number, _)| number), known))
    }
}
