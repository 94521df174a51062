//! An inverted index with TF-IDF weights and cosine similarity, exact at any time.
//!
//! The weight of a term in a document is `tf · idf`, `idf = ln((1 + n) / (1 + df)) + 1`. Norms
//! depend on all documents, so they are made anew at the first search after a change. The order of
//! every sum is fixed: the Python twin gets the same bits.

use super::words::for_each_word;
use std::collections::HashMap;

#[derive(Clone, Copy)]
struct Posting {
    document: u32,
    count: u32,
}

#[derive(Default)]
pub struct Index {
    terms: HashMap<Box<str>, u32>,
    postings: Vec<Vec<Posting>>,
    /// (term, count) of all documents, one after the other, in the order of their words.
    entries: Vec<(u32, u32)>,
    /// Where each document's entries end.
    ends: Vec<usize>,
    norms: Vec<f64>,
    stale: bool,
}

/// A document and its similarity, over 0 and at most 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hit {
    pub document: u32,
    pub score: f64,
}

/// What a search needs, reused by the next one of the thread.
#[derive(Default)]
pub struct Scratch {
    sums: Vec<f64>,
    touched: Vec<u32>,
}

impl Index {
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Adds a document and returns its number; None if there are 2^32 of them.
    pub fn add(&mut self, text: &str) -> Option<u32> {
        let document = u32::try_from(self.len()).ok()?;
        let begin = self.entries.len();
        let mut counts: HashMap<u32, usize> = HashMap::new();
        for_each_word(text, |word| {
            let term = match self.terms.get(word) {
                Some(&term) => term,
                None => {
                    let term = self.postings.len() as u32;
                    self.terms.insert(word.into(), term);
                    self.postings.push(Vec::new());
                    term
                }
            };
            let at = *counts.entry(term).or_insert(self.entries.len());
            match self.entries.get_mut(at) {
                Some(entry) => entry.1 += 1,
                None => self.entries.push((term, 1)),
            }
        });
        for &(term, count) in self.entries.get(begin..).unwrap_or_default() {
            if let Some(postings) = self.postings.get_mut(term as usize) {
                postings.push(Posting { document, count });
            }
        }
        self.ends.push(self.entries.len());
        self.stale = true;
        Some(document)
    }

    /// Whether `refresh` is needed before a search.
    pub fn is_stale(&self) -> bool {
        self.stale
    }

    /// Makes the norms anew.
    pub fn refresh(&mut self) {
        let idfs: Vec<f64> = (0..self.postings.len())
            .map(|term| self.idf(term))
            .collect();
        self.norms.clear();
        let mut begin = 0;
        for &end in &self.ends {
            let mut sum = 0.0;
            for &(term, count) in self.entries.get(begin..end).unwrap_or_default() {
                let weight = f64::from(count) * idfs.get(term as usize).copied().unwrap_or(0.0);
                sum += weight * weight;
            }
            self.norms.push(sum.sqrt());
            begin = end;
        }
        self.stale = false;
    }

    fn idf(&self, term: usize) -> f64 {
        let with = self.postings.get(term).map_or(0, Vec::len) as f64;
        ((1.0 + self.len() as f64) / (1.0 + with)).ln() + 1.0
    }

    /// The `limit` documents most similar to `query`, `threshold` at least, best first, older ones
    /// first among equals. Needs fresh norms.
    pub fn search(
        &self,
        query: &str,
        limit: usize,
        threshold: f64,
        scratch: &mut Scratch,
    ) -> Vec<Hit> {
        let counts = self.query(query);
        let mut norm = 0.0;
        scratch.sums.resize(self.len(), 0.0);
        for &(term, count) in &counts {
            let idf = self.idf(term as usize);
            let weight = f64::from(count) * idf;
            norm += weight * weight;
            let factor = weight * idf;
            for posting in self.postings.get(term as usize).into_iter().flatten() {
                if let Some(sum) = scratch.sums.get_mut(posting.document as usize) {
                    if *sum == 0.0 {
                        scratch.touched.push(posting.document);
                    }
                    *sum += factor * f64::from(posting.count);
                }
            }
        }
        self.best(norm.sqrt(), limit, threshold, scratch)
    }

    /// (term, count) of the query's known words, in their order.
    fn query(&self, query: &str) -> Vec<(u32, u32)> {
        let mut counts: Vec<(u32, u32)> = Vec::new();
        let mut places: HashMap<u32, usize> = HashMap::new();
        for_each_word(query, |word| {
            if let Some(&term) = self.terms.get(word) {
                let at = *places.entry(term).or_insert(counts.len());
                match counts.get_mut(at) {
                    Some(entry) => entry.1 += 1,
                    None => counts.push((term, 1)),
                }
            }
        });
        counts
    }

    /// Takes the sums out of `scratch`, which is all zero afterwards.
    fn best(&self, norm: f64, limit: usize, threshold: f64, scratch: &mut Scratch) -> Vec<Hit> {
        let mut hits = Vec::with_capacity(scratch.touched.len());
        for document in scratch.touched.drain(..) {
            let Some(sum) = scratch.sums.get_mut(document as usize) else {
                continue;
            };
            let own = self.norms.get(document as usize).copied().unwrap_or(0.0);
            let score = (*sum / (norm * own)).min(1.0);
            *sum = 0.0;
            if score >= threshold {
                hits.push(Hit { document, score });
            }
        }
        let order = |a: &Hit, b: &Hit| {
            b.score
                .total_cmp(&a.score)
                .then(a.document.cmp(&b.document))
        };
        if limit < hits.len() {
            if limit > 0 {
                hits.select_nth_unstable_by(limit - 1, order);
            }
            hits.truncate(limit);
        }
        hits.sort_unstable_by(order);
        hits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn index(texts: &[&str]) -> Index {
        let mut index = Index::default();
        for text in texts {
            index.add(text);
        }
        index.refresh();
        index
    }

    fn found(index: &Index, query: &str, limit: usize) -> Vec<u32> {
        let hits = index.search(query, limit, 0.0, &mut Scratch::default());
        hits.iter().map(|hit| hit.document).collect()
    }

    #[test]
    fn rare_words_count_more() {
        let index = index(&["the cat", "the dog", "the the the", "cat and the dog", ""]);
        assert_eq!(found(&index, "Cat!", 9), [0, 3]);
        assert_eq!(found(&index, "the dog", 2), [1, 3]);
        assert_eq!(found(&index, "nothing", 9), Vec::<u32>::new());
        assert_eq!(found(&index, "the cat", 0), Vec::<u32>::new());
    }

    #[test]
    fn equals_keep_their_order_and_the_same_text_is_1() {
        let index = index(&["a b", "b a", "a b"]);
        let hits = index.search("a b", 2, 0.0, &mut Scratch::default());
        assert_eq!((hits[0].document, hits[1].document), (0, 1));
        assert!((hits[0].score - 1.0).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn any_text(texts in prop::collection::vec(".{0,20}", 0..8), query in ".{0,20}") {
            let mut index = Index::default();
            for text in &texts {
                index.add(text);
            }
            index.refresh();
            let mut scratch = Scratch::default();
            let all = index.search(&query, 99, 0.0, &mut scratch);
            prop_assert!(all.iter().all(|hit| hit.score > 0.0 && hit.score <= 1.0));
            prop_assert!(all.windows(2).all(|w| w[0].score >= w[1].score));
            let few = index.search(&query, 2, 0.0, &mut scratch);
            prop_assert_eq!(few.as_slice(), all.get(..2).unwrap_or(&all));
        }
    }
}
