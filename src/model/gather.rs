//! What pydantic looks for in a finished core schema: `_schema_gather.gather_schemas_for_cleaning`.

use crate::errors::{Error, Result, declined, guarded};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyTuple};

const DEEPEST: usize = 150; // levels; what is deeper is pydantic's, and may be too deep for it
const DISCRIMINATOR: &str = "pydantic_internal_union_discriminator";

/// A schema's definition references and its unions with a discriminator to be applied.
///
/// Raises Declined for whatever pydantic's own function may refuse.
#[pyfunction]
pub fn gather_schemas<'py>(
    schema: &Bound<'py, PyAny>,
    definitions: &Bound<'py, PyAny>,
) -> Result<(Bound<'py, PyDict>, Bound<'py, PyList>)> {
    guarded(|| {
        let mut gathering = Gathering {
            definitions: exact(definitions)?.clone(),
            references: PyDict::new(schema.py()),
            unions: PyList::empty(schema.py()),
        };
        gathering.schema(schema, 0)?;
        Ok((gathering.references, gathering.unions))
    })
}

struct Gathering<'py> {
    definitions: Bound<'py, PyDict>,
    references: Bound<'py, PyDict>,
    unions: Bound<'py, PyList>,
}

impl<'py> Gathering<'py> {
    fn schema(&mut self, given: &Bound<'py, PyAny>, depth: usize) -> Result<()> {
        if depth > DEEPEST {
            return declined("a deep schema");
        }
        let schema = exact(given)?;
        let py = schema.py();
        let kind = needed(schema, intern!(py, "type"))?;
        let Ok(kind) = kind.cast_exact::<PyString>() else {
            return declined("a schema of another kind");
        };
        let inner = depth + 1;
        let Ok(kind) = kind.to_str() else {
            return declined("a schema of another kind");
        };
        match kind {
            "definition-ref" => return self.reference(schema, inner),
            "definitions" => {
                self.schema(&needed(schema, intern!(py, "schema"))?, inner)?;
                self.every(&needed(schema, intern!(py, "definitions"))?, inner)?;
            }
            "list" | "set" | "frozenset" | "generator" => {
                self.maybe(schema, intern!(py, "items_schema"), inner)?;
            }
            "tuple" => self.maybe_every(schema, intern!(py, "items_schema"), inner)?,
            "dict" => {
                self.maybe(schema, intern!(py, "keys_schema"), inner)?;
                self.maybe(schema, intern!(py, "values_schema"), inner)?;
            }
            "union" => {
                let choices = needed(schema, intern!(py, "choices"))?;
                for choice in list(&choices)?.iter() {
                    match choice.cast_exact::<PyTuple>() {
                        Ok(pair) => self.schema(&pair.get_item(0)?, inner)?,
                        Err(_) => self.schema(&choice, inner)?,
                    }
                }
            }
            "tagged-union" => {
                self.values(&needed(schema, intern!(py, "choices"))?, inner)?;
            }
            "chain" => self.every(&needed(schema, intern!(py, "steps"))?, inner)?,
            "lax-or-strict" => {
                self.schema(&needed(schema, intern!(py, "lax_schema"))?, inner)?;
                self.schema(&needed(schema, intern!(py, "strict_schema"))?, inner)?;
            }
            "json-or-python" => {
                self.schema(&needed(schema, intern!(py, "json_schema"))?, inner)?;
                self.schema(&needed(schema, intern!(py, "python_schema"))?, inner)?;
            }
            "model-fields" | "typed-dict" => {
                self.maybe(schema, intern!(py, "extras_schema"), inner)?;
                self.maybe_every(schema, intern!(py, "computed_fields"), inner)?;
                self.values(&needed(schema, intern!(py, "fields"))?, inner)?;
            }
            "dataclass-args" => {
                self.maybe_every(schema, intern!(py, "computed_fields"), inner)?;
                self.every(&needed(schema, intern!(py, "fields"))?, inner)?;
            }
            "arguments" => {
                self.arguments(schema, inner)?;
                self.maybe(schema, intern!(py, "var_args_schema"), inner)?;
                self.maybe(schema, intern!(py, "var_kwargs_schema"), inner)?;
            }
            "arguments-v3" => self.arguments(schema, inner)?,
            "call" => {
                self.schema(&needed(schema, intern!(py, "arguments_schema"))?, inner)?;
                self.maybe(schema, intern!(py, "return_schema"), inner)?;
            }
            "computed-field" => {
                self.schema(&needed(schema, intern!(py, "return_schema"))?, inner)?;
            }
            "function-before" => {
                self.maybe(schema, intern!(py, "schema"), inner)?;
                self.maybe(schema, intern!(py, "json_schema_input_schema"), inner)?;
            }
            "function-plain" => {
                self.maybe(schema, intern!(py, "return_schema"), inner)?;
                self.maybe(schema, intern!(py, "json_schema_input_schema"), inner)?;
            }
            "function-wrap" => {
                self.maybe(schema, intern!(py, "return_schema"), inner)?;
                self.maybe(schema, intern!(py, "schema"), inner)?;
                self.maybe(schema, intern!(py, "json_schema_input_schema"), inner)?;
            }
            _ => self.maybe(schema, intern!(py, "schema"), inner)?,
        }
        self.maybe(schema, intern!(py, "serialization"), inner)?;
        self.metadata(schema)
    }

    /// The first reference to a definition may be replaced by it, unless there is another.
    fn reference(&mut self, schema: &Bound<'py, PyDict>, depth: usize) -> Result<()> {
        let py = schema.py();
        let name = needed(schema, intern!(py, "schema_ref"))?;
        if !name.is_exact_instance_of::<PyString>() {
            return declined("a reference of another kind");
        }
        if self.references.contains(&name)? {
            self.references.set_item(&name, py.None())?;
            return Ok(());
        }
        let definition = needed(&self.definitions, &name)?;
        self.references.set_item(&name, schema)?;
        self.schema(&definition, depth)?;
        self.maybe(schema, intern!(py, "serialization"), depth)?;
        self.metadata(schema)
    }

    fn metadata(&self, schema: &Bound<'py, PyDict>) -> Result<()> {
        let py = schema.py();
        let found = schema.get_item(intern!(py, "metadata"))?;
        let known = found.filter(|metadata| !metadata.is_none());
        if let Some(metadata) = known
            && exact(&metadata)?.contains(intern!(py, DISCRIMINATOR))?
        {
            self.unions.append(schema)?;
        }
        Ok(())
    }

    fn maybe(
        &mut self,
        schema: &Bound<'py, PyDict>,
        key: &Bound<'py, PyString>,
        depth: usize,
    ) -> Result<()> {
        let found = schema.get_item(key)?;
        found.map_or(Ok(()), |found| self.schema(&found, depth))
    }

    fn maybe_every(
        &mut self,
        schema: &Bound<'py, PyDict>,
        key: &Bound<'py, PyString>,
        depth: usize,
    ) -> Result<()> {
        let found = schema.get_item(key)?;
        found.map_or(Ok(()), |found| self.every(&found, depth))
    }

    fn every(&mut self, schemas: &Bound<'py, PyAny>, depth: usize) -> Result<()> {
        for schema in list(schemas)?.iter() {
            self.schema(&schema, depth)?;
        }
        Ok(())
    }

    fn values(&mut self, schemas: &Bound<'py, PyAny>, depth: usize) -> Result<()> {
        for (_, schema) in exact(schemas)?.iter() {
            self.schema(&schema, depth)?;
        }
        Ok(())
    }

    fn arguments(&mut self, schema: &Bound<'py, PyDict>, depth: usize) -> Result<()> {
        let py = schema.py();
        for argument in list(&needed(schema, intern!(py, "arguments_schema"))?)?.iter() {
            let found = needed(exact(&argument)?, intern!(py, "schema"))?;
            self.schema(&found, depth)?;
        }
        Ok(())
    }
}

fn exact<'a, 'py>(value: &'a Bound<'py, PyAny>) -> Result<&'a Bound<'py, PyDict>> {
    value
        .cast_exact::<PyDict>()
        .map_err(|_| Error::Declined("not a dictionary".into()))
}

fn list<'a, 'py>(value: &'a Bound<'py, PyAny>) -> Result<&'a Bound<'py, PyList>> {
    value
        .cast_exact::<PyList>()
        .map_err(|_| Error::Declined("not a list".into()))
}

fn needed<'py>(schema: &Bound<'py, PyDict>, key: &Bound<'py, PyAny>) -> Result<Bound<'py, PyAny>> {
    schema
        .get_item(key)?
        .ok_or_else(|| Error::Declined("a part is missing".into()))
}
