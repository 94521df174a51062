//! A table of memories in RAM: vectors side by side, and the texts that make a record.

use super::distance::{Kernel, TOGETHER, Vector, first_part};
use super::summary::Parts;
use crate::errors::{Result, declined};
use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::sync::Arc;

/// Rows that are allocated together.
const BLOCK: usize = 1024;
/// Larger values could make distances that aren't numbers, which Lance treats in ways of its own.
const LARGEST: f32 = 1e15;

pub type Text = Arc<str>;

/// One row without its vector.
#[derive(Clone, Debug)]
pub struct Row {
    pub row_id: u64,
    pub id: Text,
    pub content: Text,
    pub scope: Text,
    pub categories: Text,
    pub metadata: Text,
    pub importance: f64,
    pub created: Text,
    pub accessed: Text,
    pub source: Text,
    pub private: bool,
}

/// The scope of an empty slot.
const NONE: u32 = u32::MAX;

/// Equal texts, stored once.
#[derive(Default)]
struct Shared {
    texts: HashSet<Text>,
}

impl Shared {
    fn get(&mut self, text: &Text) -> Text {
        if let Some(found) = self.texts.get(text) {
            return found.clone();
        }
        self.texts.insert(text.clone());
        text.clone()
    }
}

/// Rows with their vectors, of those that weren't known. While `state` is the same, equal slots have equal vectors.
#[derive(Default)]
pub struct Rows {
    pub state: u64,
    pub rows: Vec<(u32, Row, Option<Vec<f32>>)>,
}

/// What a search found: for each task (index into `rows`, distance), nearest first.
#[derive(Default)]
pub struct Found {
    pub tasks: Vec<Vec<(u32, f32)>>,
    pub rows: Rows,
}

pub struct Mirror {
    dim: usize,
    first: usize,
    kernel: Kernel,
    blocks: Vec<Box<[f32]>>,
    pub(super) slots: Vec<Option<Row>>,
    /// The number of each slot's scope: a search looks at rows only where they are near.
    pub(super) scope_of: Vec<u32>,
    free: Vec<u32>,
    pub(super) scopes: Vec<Text>,
    /// How many rows have each.
    pub(super) scope_sizes: Vec<usize>,
    scope_numbers: HashMap<Text, u32>,
    by_id: HashMap<Text, u32>,
    /// Two rows have one id: changes by id can't be followed.
    ambiguous: bool,
    /// A scan of Lance's finds rows in the order of their row ids.
    pub(super) in_order: bool,
    shared: Shared,
    /// Changes with what the slots hold.
    pub(super) state: u64,
    pub(super) parts: Parts,
}

#[derive(Clone, Copy, PartialEq)]
struct Hit {
    distance: f32,
    row_id: u64,
    slot: u32,
}

impl Eq for Hit {}

impl PartialOrd for Hit {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Hit {
    fn cmp(&self, other: &Self) -> Ordering {
        self.distance
            .total_cmp(&other.distance)
            .then(self.row_id.cmp(&other.row_id))
    }
}

/// The nearest `size`, with the farthest of them on top.
struct Nearest {
    size: usize,
    heap: BinaryHeap<Hit>,
}

impl Nearest {
    /// What is farther is of no interest.
    fn limit(&self) -> f32 {
        match self.heap.peek() {
            Some(farthest) if self.heap.len() >= self.size => farthest.distance,
            _ => f32::INFINITY,
        }
    }

    fn offer(&mut self, hit: Hit) {
        if self.heap.len() < self.size {
            self.heap.push(hit);
        } else if let Some(mut farthest) = self.heap.peek_mut()
            && hit < *farthest
        {
            *farthest = hit;
        }
    }
}

impl Mirror {
    pub fn new(dim: usize) -> Mirror {
        Mirror {
            dim,
            first: first_part(dim),
            kernel: Kernel::best(),
            blocks: Vec::new(),
            slots: Vec::new(),
            scope_of: Vec::new(),
            free: Vec::new(),
            scopes: Vec::new(),
            scope_sizes: Vec::new(),
            scope_numbers: HashMap::new(),
            by_id: HashMap::new(),
            ambiguous: false,
            in_order: false,
            shared: Shared::default(),
            state: 0,
            parts: Parts::default(),
        }
    }

    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn max_row_id(&self) -> Option<u64> {
        self.rows().map(|row| row.row_id).max()
    }

    /// All rows were added, in the order in which a scan finds them. Those that Lance writes from
    /// now on are found after them, in the order of their row ids, which are greater.
    pub fn scanned(&mut self) {
        self.in_order = self.rows().is_sorted_by_key(|row| row.row_id);
    }

    /// Add a row with its vector. Declined, unchanged, for a vector that isn't plain numbers.
    pub fn add(
        &mut self,
        mut row: Row,
        vector: impl ExactSizeIterator<Item = f32> + Clone,
    ) -> Result<()> {
        if vector.len() != self.dim {
            return declined("a vector of another length");
        }
        if !vector.clone().all(|x| x.abs() <= LARGEST) {
            return declined("a vector with a value that isn't finite");
        }
        if !(0.0..=1.0).contains(&row.importance) {
            return declined("an importance that no record has");
        }
        let number = match self.free.pop() {
            Some(number) => number,
            None => {
                let Ok(number) = u32::try_from(self.slots.len()) else {
                    return declined("too many rows");
                };
                self.slots.push(None);
                self.scope_of.push(NONE);
                number
            }
        };
        let (block, place) = (number as usize / BLOCK, number as usize % BLOCK);
        if block == self.blocks.len() {
            self.blocks
                .push(vec![0f32; BLOCK * self.dim].into_boxed_slice());
        }
        let (firsts, rests) = self.blocks[block].split_at_mut(BLOCK * self.first);
        let rest = self.dim - self.first;
        let target = firsts[place * self.first..][..self.first]
            .iter_mut()
            .chain(&mut rests[place * rest..][..rest]);
        for (to, from) in target.zip(vector) {
            *to = from;
        }
        let scope = self.scope_number(&row.scope);
        row.scope = self.scopes[scope as usize].clone();
        for text in [&mut row.categories, &mut row.source, &mut row.metadata] {
            *text = self.shared.get(text);
        }
        if self.by_id.insert(row.id.clone(), number).is_some() {
            self.ambiguous = true;
        }
        self.slots[number as usize] = Some(row);
        self.scope_of[number as usize] = scope;
        self.scope_sizes[scope as usize] += 1;
        self.state += 1;
        Ok(())
    }

    fn scope_number(&mut self, scope: &Text) -> u32 {
        if let Some(&number) = self.scope_numbers.get(scope) {
            return number;
        }
        // No more scopes than rows, and those are counted.
        let number = self.scopes.len() as u32;
        self.scopes.push(scope.clone());
        self.scope_sizes.push(0);
        self.scope_numbers.insert(scope.clone(), number);
        number
    }

    /// The row id of each of `ids` that is here. Declined if ids are ambiguous.
    pub fn row_id_of(&self, ids: &[String]) -> Result<Vec<Option<u64>>> {
        if self.ambiguous {
            return declined("two rows have one id");
        }
        let find = |id: &String| self.by_id.get(id.as_str()).and_then(|&slot| self.row(slot));
        Ok(ids
            .iter()
            .map(|id| find(id).map(|row| row.row_id))
            .collect())
    }

    /// Rows that Lance has written again: (id, new row id, new time of access).
    pub fn touch(&mut self, rows: &[(String, u64, String)]) -> Result<()> {
        if !rows
            .iter()
            .all(|(id, _, _)| self.by_id.contains_key(id.as_str()))
        {
            return declined("a row that isn't known");
        }
        for (id, row_id, accessed) in rows {
            let slot = self.by_id.get(id.as_str());
            if let Some(Some(slot)) = slot.and_then(|&number| self.slots.get_mut(number as usize)) {
                slot.row_id = *row_id;
                slot.accessed = self.shared.get(&accessed.as_str().into());
            }
        }
        Ok(())
    }

    /// Forget the rows of these ids.
    pub fn remove(&mut self, ids: &[String]) {
        self.state += 1;
        for id in ids {
            if let Some(number) = self.by_id.remove(id.as_str()) {
                self.slots[number as usize] = None;
                let scope = std::mem::replace(&mut self.scope_of[number as usize], NONE);
                if let Some(size) = self.scope_sizes.get_mut(scope as usize) {
                    *size -= 1;
                }
                self.free.push(number);
            }
        }
    }

    /// The `size` nearest rows for every query and every scope prefix, in one pass.
    pub fn search(
        &self,
        queries: &[Vec<f32>],
        prefixes: &[Option<String>],
        size: usize,
        known: impl Fn(u64, u32) -> bool,
    ) -> Result<Found> {
        if queries.iter().any(|query| query.len() != self.dim) {
            return declined("a query of another length");
        }
        if !queries.iter().flatten().all(|x| x.abs() <= LARGEST) {
            return declined("a query with a value that isn't finite");
        }
        let wanted = self.prefixes_of_scopes(prefixes);
        let mut nearest: Vec<Nearest> = (0..queries.len() * prefixes.len())
            .map(|_| Nearest {
                size,
                heap: BinaryHeap::with_capacity(size.min(self.len()) + 1),
            })
            .collect();
        let mut candidates = (0u32..).zip(&self.scope_of).filter_map(|(number, &scope)| {
            let scopes: &[u32] = wanted.get(scope as usize)?;
            (!scopes.is_empty()).then_some((number, scopes))
        });
        let mut next_group = || {
            let mut group = [candidates.next()?; TOGETHER];
            let mut size = 1;
            while size < TOGETHER
                && let Some(next) = candidates.next()
            {
                group[size] = next;
                size += 1;
            }
            Some((group, size))
        };
        while let Some((group, size)) = next_group() {
            let vectors = group.map(|(number, _)| self.vector(number));
            for (q, query) in queries.iter().enumerate() {
                let tasks = &mut nearest[q * prefixes.len()..][..prefixes.len()];
                let of_row = |(_, scopes): &(u32, &[u32])| {
                    let limits = scopes.iter().map(|&p| tasks[p as usize].limit());
                    limits.fold(0.0, f32::max)
                };
                let most = group.iter().map(of_row).fold(0.0, f32::max);
                let distances = self.kernel.four(vectors, query, most);
                for ((number, scopes), distance) in group.iter().zip(distances).take(size) {
                    if distance > most {
                        continue;
                    }
                    let Some(row) = self.row(*number) else {
                        continue;
                    };
                    let hit = Hit {
                        distance,
                        row_id: row.row_id,
                        slot: *number,
                    };
                    for &p in *scopes {
                        tasks[p as usize].offer(hit);
                    }
                }
            }
        }
        Ok(self.collect(nearest, known))
    }

    /// For each scope the prefixes that it starts with.
    fn prefixes_of_scopes(&self, prefixes: &[Option<String>]) -> Vec<Vec<u32>> {
        let matching = |scope: &Text| {
            let starts = |p: &Option<String>| p.as_deref().is_none_or(|p| scope.starts_with(p));
            let all = prefixes.iter().zip(0u32..);
            all.filter(|(p, _)| starts(p))
                .map(|(_, number)| number)
                .collect()
        };
        self.scopes.iter().map(matching).collect()
    }

    fn collect(&self, nearest: Vec<Nearest>, known: impl Fn(u64, u32) -> bool) -> Found {
        let mut found = Found::default();
        let mut slots = Vec::new();
        let mut places: HashMap<u32, u32> = HashMap::new();
        for task in nearest {
            let mut hits = Vec::with_capacity(task.heap.len());
            for hit in task.heap.into_sorted_vec() {
                let place = *places.entry(hit.slot).or_insert_with(|| {
                    slots.push(hit.slot);
                    slots.len() as u32 - 1
                });
                hits.push((place, hit.distance));
            }
            found.tasks.push(hits);
        }
        found.rows = self.taken(slots.into_iter(), known);
        found
    }

    /// The rows in these slots, which are not empty; `known` says, of a state and a slot, whether
    /// that vector isn't needed.
    pub fn taken(
        &self,
        slots: impl Iterator<Item = u32>,
        known: impl Fn(u64, u32) -> bool,
    ) -> Rows {
        let vector = |slot| {
            let (first, rest) = self.vector(slot);
            (!known(self.state, slot)).then(|| [first, rest].concat())
        };
        let row = |slot| Some((slot, self.row(slot)?.clone(), vector(slot)));
        Rows {
            state: self.state,
            rows: slots.filter_map(row).collect(),
        }
    }

    pub fn rows(&self) -> impl Iterator<Item = &Row> {
        self.slots.iter().flatten()
    }

    pub fn numbered(&self) -> impl Iterator<Item = (u32, &Row)> {
        let slots = (0u32..).zip(&self.slots);
        slots.filter_map(|(number, slot)| Some((number, slot.as_ref()?)))
    }

    fn row(&self, number: u32) -> Option<&Row> {
        self.slots.get(number as usize)?.as_ref()
    }

    /// Its numbers: the first part of all rows of a block is before the rest of all.
    fn vector(&self, number: u32) -> Vector<'_> {
        let (block, place) = (number as usize / BLOCK, number as usize % BLOCK);
        let (firsts, rests) = self.blocks[block].split_at(BLOCK * self.first);
        let rest = self.dim - self.first;
        (
            &firsts[place * self.first..][..self.first],
            &rests[place * rest..][..rest],
        )
    }
}
