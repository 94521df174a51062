//! A run of tasks: what may start next, and what became of each. A mirror of
//! `fast_crewai.tasks.progress`.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// What became of a task; the value is its result or exception.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome<T> {
    Completed(T),
    Failed(T),
    TimedOut,
    /// Not started, because the run was stopped.
    Cancelled,
    /// Not started, because this dependency has no result.
    Skipped(usize),
}

pub struct Progress<T> {
    ready: BinaryHeap<Reverse<usize>>,
    waits: Vec<usize>,
    dependents: Vec<Vec<usize>>,
    started: Vec<bool>,
    outcomes: Vec<Option<Outcome<T>>>,
    left: usize,
    stop_on_error: bool,
}

impl<T> Progress<T> {
    /// `dependencies`: for each task, smaller or larger numbers of others; without cycles.
    pub fn new(dependencies: &[Vec<usize>], stop_on_error: bool) -> Self {
        let count = dependencies.len();
        let mut dependents = vec![Vec::new(); count];
        for (task, needed) in dependencies.iter().enumerate() {
            for &one in needed {
                if let Some(list) = dependents.get_mut(one) {
                    list.push(task);
                }
            }
        }
        let waits: Vec<usize> = dependencies.iter().map(Vec::len).collect();
        let free = waits.iter().enumerate().filter(|(_, n)| **n == 0);
        Progress {
            ready: free.map(|(task, _)| Reverse(task)).collect(),
            waits,
            dependents,
            started: vec![false; count],
            outcomes: (0..count).map(|_| None).collect(),
            left: count,
            stop_on_error,
        }
    }

    /// The next task to start.
    pub fn take(&mut self) -> Option<usize> {
        while let Some(Reverse(task)) = self.ready.pop() {
            if self.is_open(task) {
                if let Some(started) = self.started.get_mut(task) {
                    *started = true;
                }
                return Some(task);
            }
        }
        None
    }

    /// Whether nothing is known of a task yet.
    pub fn is_open(&self, task: usize) -> bool {
        matches!(self.outcomes.get(task), Some(None))
    }

    pub fn is_done(&self) -> bool {
        self.left == 0
    }

    /// Notes what became of a task, unless it is known; returns whether it wasn't.
    pub fn finish(&mut self, task: usize, outcome: Outcome<T>) -> bool {
        let good = matches!(outcome, Outcome::Completed(_));
        if !self.note(task, outcome) {
            return false;
        }
        if good {
            for dependent in self.dependents.get(task).cloned().unwrap_or_default() {
                if let Some(count) = self.waits.get_mut(dependent) {
                    *count -= 1;
                    if *count == 0 {
                        self.ready.push(Reverse(dependent));
                    }
                }
            }
        } else {
            self.skip_dependents(task);
            if self.stop_on_error {
                self.stop();
            }
        }
        true
    }

    fn note(&mut self, task: usize, outcome: Outcome<T>) -> bool {
        match self.outcomes.get_mut(task) {
            Some(slot @ None) => {
                *slot = Some(outcome);
                self.left -= 1;
                true
            }
            _ => false,
        }
    }

    fn skip_dependents(&mut self, task: usize) {
        let mut above = vec![task];
        while let Some(cause) = above.pop() {
            for dependent in self.dependents.get(cause).cloned().unwrap_or_default() {
                if self.note(dependent, Outcome::Skipped(cause)) {
                    above.push(dependent);
                }
            }
        }
    }

    /// Cancels everything that hasn't started.
    pub fn stop(&mut self) {
        for task in 0..self.outcomes.len() {
            if !self.started.get(task).copied().unwrap_or(true) {
                self.note(task, Outcome::Cancelled);
            }
        }
    }

    /// What became of each; None for those that still run.
    pub fn take_outcomes(&mut self) -> Vec<Option<Outcome<T>>> {
        std::mem::take(&mut self.outcomes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_in_order_and_skips() {
        let mut run = Progress::new(&[vec![1], vec![], vec![1], vec![2], vec![]], false);
        assert_eq!(
            (run.take(), run.take(), run.take()),
            (Some(1), Some(4), None)
        );
        assert!(run.finish(1, Outcome::Completed(10)));
        assert!(!run.finish(1, Outcome::TimedOut));
        assert_eq!((run.take(), run.take()), (Some(0), Some(2)));
        run.finish(2, Outcome::Failed(20));
        run.finish(0, Outcome::Completed(0));
        run.finish(4, Outcome::TimedOut);
        assert!(run.is_done());
        assert_eq!(run.take_outcomes()[3], Some(Outcome::Skipped(2)));
    }

    #[test]
    fn stops() {
        let mut run = Progress::new(&[vec![], vec![], vec![]], true);
        assert_eq!(run.take(), Some(0));
        run.finish(0, Outcome::Failed(1));
        assert!(run.is_done() && run.take().is_none());
    }
}
