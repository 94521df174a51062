//! Which task waits for which, and what state each is in.

use crate::errors::{Error, Result, TaskProblem};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Pending,
    Running,
    Completed,
    Failed,
}

impl State {
    pub fn name(self) -> &'static str {
        match self {
            State::Pending => "pending",
            State::Running => "running",
            State::Completed => "completed",
            State::Failed => "failed",
        }
    }
}

struct Task {
    id: String,
    dependencies: Vec<String>,
    state: State,
}

#[derive(Default)]
pub struct Graph {
    places: HashMap<String, usize>,
    tasks: Vec<Task>,
}

fn problem<T>(problem: TaskProblem) -> Result<T> {
    Err(Error::Task(problem))
}

impl Graph {
    /// Adds a task, or makes it pending again with other dependencies.
    pub fn register(&mut self, id: &str, dependencies: Vec<String>) -> Result<()> {
        let task = Task {
            id: id.to_owned(),
            dependencies,
            state: State::Pending,
        };
        match self
            .places
            .get(id)
            .and_then(|&place| self.tasks.get_mut(place))
        {
            Some(old) if old.state == State::Running => {
                let text = format!("task {id} is running");
                return problem(TaskProblem::State(text));
            }
            Some(old) => *old = task,
            None => {
                self.places.insert(id.to_owned(), self.tasks.len());
                self.tasks.push(task);
            }
        }
        Ok(())
    }

    pub fn state(&self, id: &str) -> Result<State> {
        match self.find(id) {
            Some(task) => Ok(task.state),
            None => problem(TaskProblem::Unknown(id.to_owned())),
        }
    }

    fn find(&self, id: &str) -> Option<&Task> {
        self.tasks.get(*self.places.get(id)?)
    }

    /// Moves a task from one of the states `from` to another.
    pub fn mark(&mut self, id: &str, from: &[State], to: State) -> Result<()> {
        let place = self.places.get(id);
        let Some(task) = place.and_then(|&place| self.tasks.get_mut(place)) else {
            return problem(TaskProblem::Unknown(id.to_owned()));
        };
        if !from.contains(&task.state) {
            let (now, then) = (task.state.name(), to.name());
            let text = format!("task {id} is {now}: it can't become {then}");
            return problem(TaskProblem::State(text));
        }
        task.state = to;
        Ok(())
    }

    /// Pending tasks whose dependencies are completed, in the order of registration.
    pub fn ready(&self) -> Vec<String> {
        let completed = |id: &String| {
            self.find(id)
                .is_some_and(|task| task.state == State::Completed)
        };
        let ready =
            |task: &&Task| task.state == State::Pending && task.dependencies.iter().all(completed);
        self.tasks
            .iter()
            .filter(ready)
            .map(|t| t.id.clone())
            .collect()
    }

    /// All tasks, each after those that it depends on; otherwise in the order of registration.
    pub fn order(&self) -> Result<Vec<String>> {
        let dependencies = self.dependencies()?;
        let mut dependents = vec![Vec::new(); self.tasks.len()];
        let mut waits: Vec<usize> = dependencies.iter().map(Vec::len).collect();
        for (place, needed) in dependencies.iter().enumerate() {
            for &one in needed {
                if let Some(list) = dependents.get_mut(one) {
                    list.push(place);
                }
            }
        }
        let free = waits.iter().enumerate().filter(|(_, n)| **n == 0);
        let mut ready: BinaryHeap<_> = free.map(|(place, _)| Reverse(place)).collect();
        let mut order = Vec::with_capacity(self.tasks.len());
        while let Some(Reverse(place)) = ready.pop() {
            order.push(place);
            for &dependent in dependents.get(place).into_iter().flatten() {
                if let Some(count) = waits.get_mut(dependent) {
                    *count -= 1;
                    if *count == 0 {
                        ready.push(Reverse(dependent));
                    }
                }
            }
        }
        if order.len() < self.tasks.len() {
            return problem(TaskProblem::Cycle(self.cycle(&dependencies, &waits)));
        }
        Ok(self.ids(&order))
    }

    fn ids(&self, places: &[usize]) -> Vec<String> {
        let tasks = places.iter().filter_map(|&place| self.tasks.get(place));
        tasks.map(|task| task.id.clone()).collect()
    }

    /// The places of each task's dependencies.
    fn dependencies(&self) -> Result<Vec<Vec<usize>>> {
        let place = |id: &String| match self.places.get(id) {
            Some(&place) => Ok(place),
            None => problem(TaskProblem::Unknown(id.clone())),
        };
        let of = |task: &Task| task.dependencies.iter().map(place).collect();
        self.tasks.iter().map(of).collect()
    }

    /// Ids that wait for each other, the first one again at the end.
    fn cycle(&self, dependencies: &[Vec<usize>], waits: &[usize]) -> Vec<String> {
        let stuck = |place: usize| waits.get(place).is_some_and(|&count| count > 0);
        let mut path: Vec<usize> = Vec::new();
        let mut seen = vec![false; waits.len()];
        let mut here = (0..waits.len()).find(|&place| stuck(place));
        while let Some(place) = here {
            if seen.get(place).copied().unwrap_or(true) {
                let start = path.iter().position(|&one| one == place);
                path.drain(..start.unwrap_or(0));
                path.push(place);
                break;
            }
            path.push(place);
            if let Some(flag) = seen.get_mut(place) {
                *flag = true;
            }
            let needed = dependencies.get(place).into_iter().flatten();
            here = needed.copied().find(|&one| stuck(one));
        }
        self.ids(&path)
    }

    /// How many tasks are pending, running, completed, failed.
    pub fn counts(&self) -> [usize; 4] {
        let mut counts = [0; 4];
        for task in &self.tasks {
            if let Some(count) = counts.get_mut(task.state as usize) {
                *count += 1;
            }
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(tasks: &[(&str, &[&str])]) -> Graph {
        let mut graph = Graph::default();
        for (id, dependencies) in tasks {
            let dependencies = dependencies.iter().map(|d| (*d).to_owned()).collect();
            graph.register(id, dependencies).unwrap();
        }
        graph
    }

    #[test]
    fn orders_and_cycles() {
        let fine = graph(&[("c", &["a", "b"]), ("b", &["a"]), ("a", &[]), ("d", &[])]);
        assert_eq!(fine.order().unwrap(), ["a", "b", "c", "d"]);
        let cycle = graph(&[("x", &["a"]), ("a", &["b"]), ("b", &["c"]), ("c", &["a"])]);
        match cycle.order() {
            Err(Error::Task(TaskProblem::Cycle(ids))) => assert_eq!(ids, ["a", "b", "c", "a"]),
            other => panic!("{other:?}"),
        }
        assert!(matches!(
            graph(&[("a", &["z"])]).order(),
            Err(Error::Task(TaskProblem::Unknown(id))) if id == "z"
        ));
    }

    #[test]
    fn states() {
        let mut graph = graph(&[("a", &[]), ("b", &["a"])]);
        assert_eq!(graph.ready(), ["a"]);
        graph.mark("a", &[State::Pending], State::Running).unwrap();
        assert!(graph.mark("a", &[State::Pending], State::Running).is_err());
        assert!(graph.register("a", vec![]).is_err());
        graph
            .mark("a", &[State::Running], State::Completed)
            .unwrap();
        assert_eq!(graph.ready(), ["b"]);
        assert_eq!(graph.counts(), [1, 0, 1, 0]);
    }
}
