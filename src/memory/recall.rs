//! The rows that decide a recall: the best of what all scopes hold, by CrewAI's composite score.

use super::mirror::{Hit, Mirror, Row, Rows};
use super::texts::{is_dict, labels, micros};
use crate::errors::{Result, declined};
use std::collections::HashSet;
use std::hint::black_box;

/// Scores are computed again by CrewAI, a little later: who is this near the last one stays.
const MARGIN: f64 = 1e-3;
const MICROS_A_DAY: f64 = 86_400e6;

/// Who asks, and what counts.
#[derive(Debug)]
pub struct Asker {
    /// The time, as Python writes it.
    pub now: String,
    pub private: bool,
    pub source: Option<String>,
    /// Of nearness, recency and importance.
    pub weights: [f64; 3],
    pub half_life_days: f64,
    /// Results that are wanted.
    pub wanted: usize,
}

#[derive(Default)]
pub struct Recalled {
    /// For each scope its deciding rows (index into `rows`, distance), nearest first; a row is
    /// with the first scope that has it.
    pub scopes: Vec<Vec<(u32, f32)>>,
    /// Those of the nearest rows of each scope that may have the highest score.
    pub nearest: Vec<(u32, f32)>,
    pub rows: Rows,
}

struct Candidate {
    hit: Hit,
    scope: usize,
    score: f64,
}

impl Mirror {
    /// What decides a recall that asks for `size` rows of each scope. Declined if a row that it
    /// would see may be no record, or two are equally near.
    pub fn recall(
        &self,
        query: Vec<f32>,
        prefixes: &[Option<String>],
        size: usize,
        asker: &Asker,
    ) -> Result<Recalled> {
        let Some(now) = micros(&asker.now) else {
            return declined("a time of another form");
        };
        let mut seen: HashSet<&str> = HashSet::new();
        let mut checked = Checked::default();
        let mut candidates: Vec<Candidate> = Vec::new();
        let mut firsts: Vec<Candidate> = Vec::new();
        for (scope, hits) in (self.nearest(&[query], prefixes, size + 1)?.into_iter()).enumerate() {
            if hits.windows(2).any(|w| w[0].distance == w[1].distance) {
                return declined("equal distances");
            }
            let mut first = true;
            for hit in hits.into_iter().take(size) {
                let Some(row) = self.row(hit.slot) else {
                    continue;
                };
                if !checked.makes_record(row) {
                    return declined("a row that may be no record");
                }
                if !asker.may_see(row) {
                    continue;
                }
                let new = seen.insert(&row.id);
                if !(new || first) {
                    continue;
                }
                let score = asker.score(row, hit.distance, now)?;
                if first {
                    firsts.push(Candidate { hit, scope, score });
                }
                if new {
                    candidates.push(Candidate { hit, scope, score });
                }
                first = false;
            }
        }
        Ok(self.decided(candidates, firsts, prefixes.len(), asker.wanted))
    }

    fn decided(
        &self,
        candidates: Vec<Candidate>,
        firsts: Vec<Candidate>,
        scopes: usize,
        wanted: usize,
    ) -> Recalled {
        let mut slots: Vec<u32> = Vec::new();
        let mut place = |slot: u32| {
            let known = slots.iter().position(|&other| other == slot);
            known.unwrap_or_else(|| {
                slots.push(slot);
                slots.len() - 1
            }) as u32
        };
        let mut found = Recalled {
            scopes: vec![Vec::new(); scopes],
            ..Recalled::default()
        };
        let least = nth_highest(&candidates, wanted) - MARGIN;
        for one in candidates.iter().filter(|one| one.score >= least) {
            found.scopes[one.scope].push((place(one.hit.slot), one.hit.distance));
        }
        let least = nth_highest(&firsts, 1) - MARGIN;
        for one in firsts.iter().filter(|one| one.score >= least) {
            found.nearest.push((place(one.hit.slot), one.hit.distance));
        }
        found.rows = self.taken(slots.into_iter());
        found
    }
}

impl Asker {
    fn may_see(&self, row: &Row) -> bool {
        let own = |source: &String| !source.is_empty() && **source == *row.source;
        self.private || !row.private || self.source.as_ref().is_some_and(own)
    }

    /// `compute_composite_score`, but for the time that passes meanwhile.
    fn score(&self, row: &Row, distance: f32, now: i64) -> Result<f64> {
        let Some(created) = micros(&row.created) else {
            return declined("a time of another form");
        };
        let age = ((now - created) as f64 / MICROS_A_DAY).max(0.0) / self.half_life_days;
        let nearness = 1.0 / (1.0 + f64::from(distance));
        let [near, recent, important] = self.weights;
        Ok(near * nearness + recent * black_box(0.5f64).powf(age) + important * row.importance)
    }
}

/// Lowest of all if there are fewer.
fn nth_highest(candidates: &[Candidate], n: usize) -> f64 {
    let mut scores: Vec<f64> = candidates.iter().map(|one| one.score).collect();
    if n == 0 || scores.len() <= n {
        return f64::NEG_INFINITY;
    }
    let (_, nth, _) = scores.select_nth_unstable_by(n - 1, |a, b| b.total_cmp(a));
    *nth
}

/// Addresses of texts that have been looked at: equal ones are one.
#[derive(Default)]
struct Checked {
    metadata: HashSet<*const u8>,
    categories: HashSet<*const u8>,
}

impl Checked {
    fn makes_record(&mut self, row: &Row) -> bool {
        let (metadata, categories) = (&row.metadata, &row.categories);
        micros(&row.created).is_some()
            && micros(&row.accessed).is_some()
            && (!self.metadata.insert(metadata.as_ptr()) || is_dict(metadata))
            && (!self.categories.insert(categories.as_ptr()) || labels(categories).is_some())
    }
}
