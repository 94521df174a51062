//! Native core of Fast-CrewAI: pure, hot functions that know no CrewAI module.

pub mod errors;
pub mod json;
pub mod memory;
pub mod message;
pub mod schema;
pub mod search;
#[cfg(feature = "sqlite")]
pub mod sqlite;
pub mod tasks;
pub mod text;

#[cfg(feature = "python")]
mod flow;
#[cfg(feature = "python")]
mod guard;
#[cfg(feature = "python")]
mod live;
#[cfg(feature = "python")]
mod model;
#[cfg(feature = "python")]
mod tracking;

/// `fast_crewai._core`.
#[cfg(feature = "python")]
#[pyo3::pymodule(gil_used = true)]
mod _core {
    #[pymodule_export]
    use crate::errors::python::Declined;
    #[pymodule_export]
    use crate::flow::trigger::{find_triggered_in, find_triggered_methods, start_method_names};
    #[pymodule_export]
    use crate::guard::Guard;
    #[pymodule_export]
    use crate::json::python::{are_plain_texts, rows_to_decode};
    #[pymodule_export]
    use crate::json::repairing::{
        kind_of_json, python_literal, repaired_elements, repaired_members,
    };
    #[pymodule_export]
    use crate::json::serializable::to_serializable;
    #[pymodule_export]
    use crate::json::write::json_text;
    #[pymodule_export]
    use crate::memory::answer::answer_of;
    #[pymodule_export]
    use crate::memory::apart::track_records;
    #[pymodule_export]
    use crate::memory::plain::are_plain_hits;
    #[pymodule_export]
    use crate::memory::python::{MemoryMirror, cosine_similarity};
    #[pymodule_export]
    use crate::memory::records::MemoryRecords;
    #[pymodule_export]
    use crate::memory::scores::score_findings;
    #[pymodule_export]
    use crate::message::python::{AgentMessage, deserialize_messages, serialize_messages};
    #[pymodule_export]
    use crate::model::gather::gather_schemas;
    #[pymodule_export]
    use crate::model::private_attribute::PrivateAttributes;
    #[pymodule_export]
    use crate::schema::python::RustToolExecutor;
    #[pymodule_export]
    use crate::search::python::RustMemoryStorage;
    #[cfg(feature = "sqlite")]
    #[pymodule_export]
    use crate::sqlite::python::{RustSQLiteWrapper, jsonb_of, text_of_jsonb};
    #[pymodule_export]
    use crate::tasks::python::{RustTaskExecutor, shut_down_tasks};
    #[pymodule_export]
    use crate::text::python::{interpolate, sanitize_tool_name};
    #[pymodule_export]
    use crate::tracking::track_again;

    #[pymodule_export]
    #[allow(non_upper_case_globals)]
    const __version__: &str = env!("CARGO_PKG_VERSION");

    #[pymodule_init]
    fn init(module: &pyo3::Bound<'_, pyo3::types::PyModule>) -> pyo3::PyResult<()> {
        use pyo3::types::{PyAnyMethods, PyModuleMethods};
        let errors = module.py().import("fast_crewai.errors")?;
        module.add("CoreError", errors.getattr("NativeError")?)?;
        // A caught panic becomes a CoreError; this library's own std prints nothing about it.
        std::panic::set_hook(Box::new(|_| {}));
        Ok(())
    }
}
