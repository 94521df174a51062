//! Python edge of `plain`.

use super::plain::{is_plain, joins_plain_texts};
use crate::errors::{Result, guarded};
use crate::live::ListWalk;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString, PyTuple};

/// More text than this is read without the GIL.
const MUCH: usize = 50_000;

/// The rows with something at one of the `columns` that `json.loads` might refuse.
#[pyfunction]
pub fn rows_to_decode<'py>(
    rows: &Bound<'py, PyList>,
    columns: Vec<usize>,
) -> Result<Bound<'py, PyList>> {
    guarded(|| {
        let py = rows.py();
        let (mut all, mut cells) = (Vec::with_capacity(rows.len()), Vec::new());
        let mut walk = ListWalk::new(rows);
        while let Some(row) = walk.next()? {
            cells.extend(columns.iter().map(|&column| cell(&row, column)));
            all.push(row);
        }
        let texts: Vec<Option<&str>> = cells
            .iter()
            .map(|cell| cell.as_ref()?.to_str().ok())
            .collect();
        let check = || -> Vec<bool> { texts.iter().map(|t| t.is_some_and(is_plain)).collect() };
        let sure = if texts.iter().flatten().map(|text| text.len()).sum::<usize>() > MUCH {
            py.detach(check)
        } else {
            check()
        };
        let unsure = PyList::empty(py);
        for (row, sure) in all.iter().zip(sure.chunks(columns.len().max(1))) {
            if sure.contains(&false) {
                unsure.append(row)?;
            }
        }
        Ok(unsure)
    })
}

fn cell<'py>(row: &Bound<'py, PyAny>, column: usize) -> Option<Bound<'py, PyString>> {
    let row = row.cast_exact::<PyTuple>().ok()?;
    row.get_item(column).ok()?.cast_into_exact().ok()
}

/// Whether these are `count` texts of JSON, a byte 1 between them, none of them a mere number.
#[pyfunction]
pub fn are_plain_texts(joined: &Bound<'_, PyBytes>, count: usize) -> Result<bool> {
    guarded(|| {
        let bytes = joined.as_bytes();
        Ok(if bytes.len() > MUCH {
            joined.py().detach(|| joins_plain_texts(bytes, count))
        } else {
            joins_plain_texts(bytes, count)
        })
    })
}
