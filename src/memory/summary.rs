//! What rows have in common: their scopes, categories and times.

use super::mirror::{Mirror, Row, Text};
use super::texts::{is_dict, is_time, labels};
use crate::errors::{Result, declined};
use std::collections::{HashMap, HashSet};

/// Of all rows whose scope begins in one way; each text once, in no order.
#[derive(Debug, Default)]
pub struct Summary {
    pub rows: usize,
    pub scopes: Vec<Text>,
    pub labels: Vec<String>,
    /// Categories that are more than a list of strings.
    pub others: Vec<Text>,
    pub oldest: Option<Text>,
    pub newest: Option<Text>,
}

fn is_under(row: &Row, prefix: Option<&str>) -> bool {
    prefix.is_none_or(|prefix| row.scope.starts_with(prefix))
}

impl Mirror {
    /// Declined if there are `most` rows or more, or a time isn't as Python writes it.
    pub fn summary(&self, prefix: Option<&str>, most: usize) -> Result<Summary> {
        let mut found = Summary::default();
        let (mut scopes, mut categories) = (HashSet::new(), HashSet::new());
        let mut known = HashSet::new();
        let (mut oldest, mut newest): (Option<&Text>, Option<&Text>) = (None, None);
        for row in self.rows().filter(|row| is_under(row, prefix)) {
            found.rows += 1;
            if found.rows >= most {
                return declined("more rows than one scan reads");
            }
            // Equal texts are one.
            if scopes.insert(row.scope.as_ptr()) {
                found.scopes.push(row.scope.clone());
            }
            if categories.insert(row.categories.as_ptr()) {
                match labels(&row.categories) {
                    Some(labels) => known.extend(labels),
                    None => found.others.push(row.categories.clone()),
                }
            }
            if !is_time(&row.created) {
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
        found.labels = known.into_iter().collect();
        Ok(found)
    }

    /// The ids of the rows whose scope begins in one way, and that have one of the labels.
    /// Declined if one under the prefix, with a label or without, may be no record.
    pub fn labelled(&self, prefix: Option<&str>, wanted: &[String]) -> Result<Vec<Text>> {
        let mut found = Vec::new();
        let mut known: HashMap<*const u8, bool> = HashMap::new();
        let mut dicts: HashSet<*const u8> = HashSet::new();
        for row in self.rows().filter(|row| is_under(row, prefix)) {
            if !is_time(&row.created) || !is_time(&row.accessed) {
                return declined("a time of another form");
            }
            if dicts.insert(row.metadata.as_ptr()) && !is_dict(&row.metadata) {
                return declined("metadata of another form");
            }
            let text = row.categories.as_ptr();
            let has = match known.get(&text) {
                Some(&has) => has,
                None => {
                    let Some(labels) = labels(&row.categories) else {
                        return declined("categories of another form");
                    };
                    let has = labels.iter().any(|label| wanted.contains(label));
                    known.insert(text, has);
                    has
                }
            };
            if has {
                found.push(row.id.clone());
            }
        }
        Ok(found)
    }
}
