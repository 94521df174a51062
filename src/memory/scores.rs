//! The scores of a deep recall's hits: the loop of `RecallFlow.synthesize_results`, and
//! `compute_composite_score`, step by step as Python computes it.

use crate::errors::{Result, declined, guarded};
use crate::live::{exact_i64, generic_getattr};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{
    PyDateTime, PyDict, PyFloat, PyList, PySet, PyString, PyTuple, PyType, PyTzInfoAccess,
};

const DAY: f64 = 86_400.0;
/// Larger ints may not be floats.
const LARGEST: i64 = 1 << 53;

/// Score the hits of `findings` that are plain, up to the first one that isn't; what is left.
#[pyfunction]
#[pyo3(text_signature = "(findings, seen, matches, kind, now, weights, /)")]
pub fn score_findings<'py>(
    findings: &Bound<'py, PyList>,
    seen: &Bound<'py, PySet>,
    matches: &Bound<'py, PyList>,
    kind: &Bound<'py, PyType>,
    now: &Bound<'py, PyAny>,
    weights: &Bound<'py, PyTuple>,
) -> Result<Bound<'py, PyList>> {
    guarded(|| {
        let scorer = Scorer::new(seen, matches, kind, now, weights)?;
        for (place, finding) in findings.iter().enumerate() {
            let rest = || findings.get_slice(place, findings.len());
            let Some(results) = results_of(&finding)? else {
                return Ok(rest());
            };
            for (number, hit) in results.iter().enumerate() {
                if scorer.takes(&hit)? {
                    continue;
                }
                let rest = rest();
                if let Ok(finding) = finding.cast_exact::<PyDict>() {
                    let finding = finding.copy()?;
                    let results = results.get_slice(number, results.len());
                    finding.set_item(intern!(finding.py(), "results"), results)?;
                    rest.set_item(0, finding)?;
                }
                return Ok(rest);
            }
        }
        Ok(PyList::empty(findings.py()))
    })
}

fn results_of<'py>(finding: &Bound<'py, PyAny>) -> Result<Option<Bound<'py, PyList>>> {
    let Ok(finding) = finding.cast_exact::<PyDict>() else {
        return Ok(None);
    };
    let results = finding.get_item(intern!(finding.py(), "results"))?;
    Ok(results.and_then(|results| results.cast_into_exact().ok()))
}

struct Scorer<'a, 'py> {
    seen: &'a Bound<'py, PySet>,
    matches: &'a Bound<'py, PyList>,
    kind: &'a Bound<'py, PyType>,
    now: &'a Bound<'py, PyAny>,
    half: Bound<'py, PyFloat>,
    semantic: f64,
    recency: f64,
    importance: f64,
    half_life: f64,
}

impl<'a, 'py> Scorer<'a, 'py> {
    fn new(
        seen: &'a Bound<'py, PySet>,
        matches: &'a Bound<'py, PyList>,
        kind: &'a Bound<'py, PyType>,
        now: &'a Bound<'py, PyAny>,
        weights: &Bound<'py, PyTuple>,
    ) -> Result<Self> {
        if weights.len() != 4 {
            return declined("other weights");
        }
        let weight = |place| match float(&weights.get_item(place)?) {
            Some(weight) => Ok(weight),
            None => declined("a weight that isn't a float"),
        };
        let days = exact_i64(&weights.get_item(3)?, "a half-life that isn't an int")?;
        if !(1..LARGEST).contains(&days) {
            return declined("an odd half-life");
        }
        Ok(Scorer {
            seen,
            matches,
            kind,
            now,
            half: PyFloat::new(seen.py(), 0.5),
            semantic: weight(0)?,
            recency: weight(1)?,
            importance: weight(2)?,
            half_life: days as f64,
        })
    }

    /// Whether a hit was plain, and is scored or was seen before. What the clock raises is raised.
    fn takes(&self, hit: &Bound<'py, PyAny>) -> Result<bool> {
        let py = hit.py();
        let Ok(hit) = hit.cast_exact::<PyTuple>() else {
            return Ok(false);
        };
        if hit.len() < 2 {
            return Ok(false);
        }
        let (record, Some(similarity)) = (hit.get_item(0)?, float(&hit.get_item(1)?)) else {
            return Ok(false);
        };
        if record.get_type_ptr() != self.kind.as_type_ptr() {
            return Ok(false);
        }
        let values = generic_getattr(&record, intern!(py, "__dict__"))?;
        let Ok(values) = values.cast_exact::<PyDict>() else {
            return Ok(false);
        };
        let (Some(id), Some(created), Some(importance)) = (
            values.get_item(intern!(py, "id"))?,
            values.get_item(intern!(py, "created_at"))?,
            values.get_item(intern!(py, "importance"))?,
        ) else {
            return Ok(false);
        };
        let (true, Some(importance)) = (id.is_exact_instance_of::<PyString>(), float(&importance))
        else {
            return Ok(false);
        };
        if self.seen.contains(&id)? {
            return Ok(true);
        }
        // What can't be subtracted from a naive clock's time raises in CrewAI's function.
        match created.cast_exact::<PyDateTime>() {
            Ok(time) if time.get_tzinfo().is_none() => {}
            _ => return Ok(false),
        }
        let age = self.now.call0()?.sub(created)?;
        let Some(age) = float(&age.call_method0(intern!(py, "total_seconds"))?) else {
            return Ok(false);
        };
        let age = age / DAY;
        let age = if 0.0 > age { 0.0 } else { age };
        let Some(decay) = float(&self.half.pow(age / self.half_life, py.None())?) else {
            return Ok(false);
        };
        let score =
            self.semantic * similarity + self.recency * decay + self.importance * importance;
        let reasons = PyList::new(py, [intern!(py, "semantic")])?;
        if decay > 0.5 {
            reasons.append(intern!(py, "recency"))?;
        }
        if importance > 0.5 {
            reasons.append(intern!(py, "importance"))?;
        }
        self.seen.add(id)?;
        let score = PyFloat::new(py, score);
        self.matches.append((record, score, reasons))?;
        Ok(true)
    }
}

fn float(value: &Bound<'_, PyAny>) -> Option<f64> {
    Some(value.cast_exact::<PyFloat>().ok()?.value())
}
