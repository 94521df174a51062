//! What rows have in common: their scopes, categories and times.

use super::mirror::{Mirror, Row, Text};
use super::texts::{is_dict, is_time, labels};
use crate::errors::{Result, declined, internal};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

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

/// Of the rows of one scope.
#[derive(Debug)]
struct Part {
    scope: Text,
    rows: usize,
    /// All times are as Python writes them, so their texts are in the order of the times.
    timely: bool,
    oldest: Text,
    newest: Text,
    labels: HashSet<String>,
    others: Vec<Text>,
    /// Addresses of the texts.
    categories: HashSet<usize>,
}

/// The parts at a state of the mirror's, made when they are first asked for.
#[derive(Default)]
pub struct Parts {
    known: Mutex<Option<(u64, Arc<Vec<Part>>)>>,
}

impl Part {
    fn new(row: &Row) -> Part {
        Part {
            scope: row.scope.clone(),
            rows: 0,
            timely: true,
            oldest: row.created.clone(),
            newest: row.created.clone(),
            labels: HashSet::new(),
            others: Vec::new(),
            categories: HashSet::new(),
        }
    }

    fn add(&mut self, row: &Row) {
        self.rows += 1;
        self.timely &= is_time(&row.created);
        // Equal texts are one.
        if self.categories.insert(row.categories.as_ptr().addr()) {
            match labels(&row.categories) {
                Some(labels) => self.labels.extend(labels),
                None => self.others.push(row.categories.clone()),
            }
        }
        if row.created < self.oldest {
            self.oldest = row.created.clone();
        }
        if row.created > self.newest {
            self.newest = row.created.clone();
        }
    }
}

impl Summary {
    /// Declined if a time isn't as Python writes it.
    fn of<'a>(parts: impl Iterator<Item = &'a Part>) -> Result<Summary> {
        let mut found = Summary::default();
        let (mut known, mut others) = (HashSet::new(), HashSet::new());
        for part in parts {
            if !part.timely {
                return declined("a time of another form");
            }
            found.rows += part.rows;
            found.scopes.push(part.scope.clone());
            known.extend(&part.labels);
            others.extend(&part.others);
            if found
                .oldest
                .as_ref()
                .is_none_or(|oldest| part.oldest < *oldest)
            {
                found.oldest = Some(part.oldest.clone());
            }
            if found
                .newest
                .as_ref()
                .is_none_or(|newest| part.newest > *newest)
            {
                found.newest = Some(part.newest.clone());
            }
        }
        found.labels = known.into_iter().cloned().collect();
        found.others = others.into_iter().cloned().collect();
        Ok(found)
    }
}

fn parts_of<'a>(rows: impl Iterator<Item = &'a Row>) -> Vec<Part> {
    let mut parts: HashMap<*const u8, Part> = HashMap::new();
    for row in rows {
        let part = parts.entry(row.scope.as_ptr());
        part.or_insert_with(|| Part::new(row)).add(row);
    }
    parts.into_values().collect()
}

impl Mirror {
    /// Of those rows that a scan finds that reads no more than `most`.
    /// Declined if a time isn't as Python writes it, or if it isn't known which rows come first.
    pub fn summary(&self, prefix: Option<&str>, most: usize) -> Result<Summary> {
        let under = self.under(prefix);
        if self.rows_under(&under) <= most {
            let parts = self.parts()?;
            let starts = |part: &&Part| prefix.is_none_or(|prefix| part.scope.starts_with(prefix));
            return Summary::of(parts.iter().filter(starts));
        }
        let first = self.first(&under, most)?;
        Summary::of(parts_of(first.map(|(_, row)| row)).iter())
    }

    fn parts(&self) -> Result<Arc<Vec<Part>>> {
        let mut kept = self.parts.known.lock().or_else(|_| internal("poisoned"))?;
        if let Some((state, parts)) = &*kept
            && *state == self.state
        {
            return Ok(parts.clone());
        }
        let parts = Arc::new(parts_of(self.rows()));
        *kept = Some((self.state, parts.clone()));
        Ok(parts)
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
