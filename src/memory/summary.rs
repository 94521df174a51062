//! What rows have in common: their scopes, categories and times.

use super::mirror::{Mirror, Text};
use crate::errors::{Result, declined};
use std::collections::HashSet;

/// Of all rows whose scope begins in one way; texts in no order, each once.
#[derive(Debug, Default)]
pub struct Summary {
    pub rows: usize,
    pub scopes: Vec<Text>,
    pub categories: Vec<Text>,
    pub oldest: Option<Text>,
    pub newest: Option<Text>,
}

impl Mirror {
    /// Declined if there are `most` rows or more, or a time isn't as Python writes it.
    pub fn summary(&self, prefix: Option<&str>, most: usize) -> Result<Summary> {
        let mut found = Summary::default();
        let (mut scopes, mut categories) = (HashSet::new(), HashSet::new());
        let (mut oldest, mut newest): (Option<&Text>, Option<&Text>) = (None, None);
        for row in self.rows() {
            if prefix.is_some_and(|prefix| !row.scope.starts_with(prefix)) {
                continue;
            }
            found.rows += 1;
            if found.rows >= most {
                return declined("more rows than one scan reads");
            }
            if scopes.insert(row.scope.as_ptr()) {
                found.scopes.push(row.scope.clone());
            }
            if categories.insert(row.categories.as_ptr()) {
                found.categories.push(row.categories.clone());
            }
            if !is_time(row.created.as_bytes()) {
                return declined("a time of another form");
            }
            // Texts of this form are in the order of their times.
            if oldest.is_none_or(|oldest| row.created < *oldest) {
                oldest = Some(&row.created);
            }
            if newest.is_none_or(|newest| row.created > *newest) {
                newest = Some(&row.created);
            }
        }
        (found.oldest, found.newest) = (oldest.cloned(), newest.cloned());
        Ok(found)
    }
}

/// `2026-11-26T03:00:00`, perhaps with six digits of a second's fraction; a day that exists.
fn is_time(text: &[u8]) -> bool {
    const FORM: &[u8] = b"0000-00-00T00:00:00.000000";
    let fits = |(at, form): (&u8, &u8)| match form {
        b'0' => at.is_ascii_digit(),
        form => at == form,
    };
    if !(text.len() == 19 || text.len() == 26) || !text.iter().zip(FORM).all(fits) {
        return false;
    }
    let number = |from: usize, to: usize| {
        let digits = text[from..to].iter();
        digits.fold(0u32, |sum, digit| sum * 10 + u32::from(digit - b'0'))
    };
    let (year, month, day) = (number(0, 4), number(5, 7), number(8, 10));
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return false,
    };
    year > 0
        && (1..=days).contains(&day)
        && number(11, 13) < 24
        && number(14, 16) < 60
        && number(17, 19) < 60
}

#[cfg(test)]
mod tests {
    use super::is_time;

    #[test]
    fn times_are_those_that_python_writes() {
        for good in [
            "2026-11-26T03:00:00",
            "0001-01-01T00:00:00",
            "2024-02-29T23:59:59.000001",
            "2000-02-29T00:00:00",
        ] {
            assert!(is_time(good.as_bytes()), "{good}");
        }
        for bad in [
            "",
            "2026-11-26",
            "2026-11-26 03:00:00",
            "2026-11-26T03:00:00Z",
            "2026-11-26T03:00:00.001",
            "2026-02-29T00:00:00",
            "1900-02-29T00:00:00",
            "2026-13-01T00:00:00",
            "2026-00-01T00:00:00",
            "2026-04-31T00:00:00",
            "2026-04-00T00:00:00",
            "0000-01-01T00:00:00",
            "2026-11-26T24:00:00",
            "2026-11-26T03:60:00",
            "2026-11-26T03:00:60",
            "2026-11-26T03:00:0a",
            "2026-11-26T03:00:00.0000000",
        ] {
            assert!(!is_time(bad.as_bytes()), "{bad}");
        }
    }
}
