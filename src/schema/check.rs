//! What of a schema a value breaks, in the schema's order. A mirror of `fast_crewai.tools.schema`.

use super::value::{Dict, Value};
use std::cmp::Ordering;
use std::collections::HashSet;

/// Deeper evaluations (schemas that refer to themselves) count as broken references.
const MAX_DEPTH: usize = 180; // the Python twin needs 5 frames for each

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    Key(String),
    Index(usize),
}

/// Where in the value, and which keyword of the schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    pub path: Vec<Step>,
    pub schema_path: Vec<Step>,
}

/// Python's regular expressions: whether a pattern is found in a text; None if it is invalid.
pub trait Patterns {
    fn found(&self, pattern: &str, text: &str) -> Option<bool>;
}

pub struct Checker<'a> {
    root: &'a Value,
    patterns: &'a dyn Patterns,
    path: Vec<Step>,
    schema_path: Vec<Step>,
    found: Vec<Violation>,
    depth: usize,
    /// References that are being followed, each with the value that is looked at.
    open: Vec<(String, *const Value)>,
}

/// What of `schema` the value breaks.
pub fn violations(schema: &Value, value: &Value, patterns: &dyn Patterns) -> Vec<Violation> {
    let mut checker = Checker {
        root: schema,
        patterns,
        path: Vec::new(),
        schema_path: Vec::new(),
        found: Vec::new(),
        depth: 0,
        open: Vec::new(),
    };
    checker.check(schema, value);
    checker.found
}

fn key(name: &str) -> Step {
    Step::Key(name.to_owned())
}

fn count(value: &Value) -> Option<usize> {
    match value {
        Value::Int(number) => Some(usize::try_from((*number).max(0)).unwrap_or(usize::MAX)),
        _ => None,
    }
}

impl Checker<'_> {
    fn check(&mut self, schema: &Value, value: &Value) {
        match schema {
            Value::Bool(false) => self.report(),
            Value::Dict(_) if self.depth >= MAX_DEPTH => self.broken("$ref"),
            Value::Dict(keywords) => {
                self.depth += 1;
                for (name, argument) in keywords.iter() {
                    self.schema_path.push(key(name));
                    self.keyword(keywords, name, argument, value);
                    self.schema_path.pop();
                }
                self.depth -= 1;
            }
            _ => {}
        }
    }

    fn report(&mut self) {
        self.found.push(Violation {
            path: self.path.clone(),
            schema_path: self.schema_path.clone(),
        });
    }

    fn broken(&mut self, keyword: &str) {
        self.schema_path.push(key(keyword));
        self.report();
        self.schema_path.pop();
    }

    fn require(&mut self, holds: bool) {
        if !holds {
            self.report();
        }
    }

    fn valid(&mut self, schema: &Value, value: &Value) -> bool {
        let before = self.found.len();
        self.check(schema, value);
        let valid = self.found.len() == before;
        self.found.truncate(before);
        valid
    }

    fn below(
        &mut self,
        schema_step: Option<Step>,
        step: Option<Step>,
        schema: &Value,
        value: &Value,
    ) {
        let (in_schema, in_value) = (schema_step.is_some(), step.is_some());
        self.schema_path.extend(schema_step);
        self.path.extend(step);
        self.check(schema, value);
        if in_schema {
            self.schema_path.pop();
        }
        if in_value {
            self.path.pop();
        }
    }

    fn keyword(&mut self, all: &Dict, name: &str, argument: &Value, value: &Value) {
        match name {
            "type" => self.type_(argument, value),
            "enum" => {
                if let Value::List(allowed) = argument {
                    self.require(allowed.iter().any(|one| one.equals(value)));
                }
            }
            "const" => self.require(argument.equals(value)),
            "$ref" => self.reference(argument, value),
            "allOf" | "anyOf" | "oneOf" => self.combined(name, argument, value),
            "not" => {
                let valid = self.valid(argument, value);
                self.require(!valid);
            }
            "if" => self.conditional(all, argument, value),
            _ => match value {
                Value::Dict(dict) => self.of_dict(all, name, argument, dict, value),
                Value::List(items) => self.of_list(all, name, argument, items),
                Value::Text(text) => self.of_text(name, argument, text),
                Value::Int(_) | Value::Float(_) => self.of_number(name, argument, value),
                _ => {}
            },
        }
    }

    fn type_(&mut self, argument: &Value, value: &Value) {
        match argument {
            Value::Text(name) => self.require(value.is_type(name)),
            Value::List(names) => {
                let fits = |name: &Value| matches!(name, Value::Text(name) if value.is_type(name));
                self.require(names.iter().any(fits));
            }
            _ => {}
        }
    }

    fn reference(&mut self, argument: &Value, value: &Value) {
        let Value::Text(pointer) = argument else {
            return;
        };
        let root = self.root;
        let here = (pointer.clone(), std::ptr::from_ref(value));
        match resolve(root, pointer) {
            Some(schema) if !self.open.contains(&here) => {
                self.open.push(here);
                self.check(schema, value);
                self.open.pop();
            }
            _ => self.report(), // it doesn't exist, or leads back to itself
        }
    }

    fn combined(&mut self, name: &str, argument: &Value, value: &Value) {
        let Value::List(schemas) = argument else {
            return;
        };
        if name == "allOf" {
            for (index, schema) in schemas.iter().enumerate() {
                self.below(Some(Step::Index(index)), None, schema, value);
            }
            return;
        }
        let enough = if name == "anyOf" { 1 } else { 2 };
        let mut fits = 0;
        for schema in schemas {
            fits += usize::from(self.valid(schema, value));
            if fits == enough {
                break;
            }
        }
        self.require(fits == 1);
    }

    fn conditional(&mut self, all: &Dict, condition: &Value, value: &Value) {
        let branch = if self.valid(condition, value) {
            "then"
        } else {
            "else"
        };
        if let Some(schema) = all.get(branch) {
            self.below(Some(key(branch)), None, schema, value);
        }
    }

    fn of_dict(&mut self, all: &Dict, name: &str, argument: &Value, dict: &Dict, value: &Value) {
        match (name, argument) {
            ("properties", Value::Dict(properties)) => {
                for (name, schema) in properties.iter() {
                    if let Some(inner) = dict.get(name) {
                        self.below(Some(key(name)), Some(key(name)), schema, inner);
                    }
                }
            }
            ("required", Value::List(names)) => {
                for (index, name) in names.iter().enumerate() {
                    if matches!(name, Value::Text(name) if dict.get(name).is_none()) {
                        self.schema_path.push(Step::Index(index));
                        self.report();
                        self.schema_path.pop();
                    }
                }
            }
            ("additionalProperties", schema) => {
                for (name, inner) in dict.iter() {
                    if !self.is_named(all, name) {
                        self.below(None, Some(key(name)), schema, inner);
                    }
                }
            }
            ("patternProperties", Value::Dict(patterns)) => {
                for (pattern, schema) in patterns.iter() {
                    for (name, inner) in dict.iter() {
                        if self.patterns.found(pattern, name) == Some(true) {
                            self.below(Some(key(pattern)), Some(key(name)), schema, inner);
                        }
                    }
                }
            }
            ("propertyNames", schema) => {
                for (name, _) in dict.iter() {
                    self.below(None, Some(key(name)), schema, &Value::Text(name.clone()));
                }
            }
            ("dependentRequired", Value::Dict(rules)) => {
                for (name, needed) in rules.iter() {
                    let (Some(_), Value::List(needed)) = (dict.get(name), needed) else {
                        continue;
                    };
                    let lacks =
                        |one: &Value| matches!(one, Value::Text(n) if dict.get(n).is_none());
                    if needed.iter().any(lacks) {
                        self.broken(name);
                    }
                }
            }
            ("dependentSchemas", Value::Dict(rules)) => {
                for (name, schema) in rules.iter() {
                    if dict.get(name).is_some() {
                        self.below(Some(key(name)), None, schema, value);
                    }
                }
            }
            ("minProperties", limit) => self.at_least(limit, dict.len()),
            ("maxProperties", limit) => self.at_most(limit, dict.len()),
            _ => {}
        }
    }

    fn is_named(&self, all: &Dict, name: &str) -> bool {
        if matches!(all.get("properties"), Some(Value::Dict(own)) if own.get(name).is_some()) {
            return true;
        }
        let Some(Value::Dict(patterns)) = all.get("patternProperties") else {
            return false;
        };
        patterns
            .iter()
            .any(|(pattern, _)| self.patterns.found(pattern, name) == Some(true))
    }

    fn of_list(&mut self, all: &Dict, name: &str, argument: &Value, items: &[Value]) {
        match (name, argument) {
            ("prefixItems" | "items", Value::List(schemas)) => {
                for (index, (schema, item)) in schemas.iter().zip(items).enumerate() {
                    self.below(
                        Some(Step::Index(index)),
                        Some(Step::Index(index)),
                        schema,
                        item,
                    );
                }
            }
            ("items" | "additionalItems", schema) => {
                let first = all.get(if name == "items" {
                    "prefixItems"
                } else {
                    "items"
                });
                let skip = match first {
                    Some(Value::List(schemas)) => schemas.len(),
                    _ if name == "items" => 0,
                    _ => return,
                };
                for (index, item) in items.iter().enumerate().skip(skip) {
                    self.below(None, Some(Step::Index(index)), schema, item);
                }
            }
            ("contains", schema) => {
                let fits = items.iter().filter(|item| self.valid(schema, item)).count();
                let least = all.get("minContains").and_then(count).unwrap_or(1);
                let most = all.get("maxContains").and_then(count);
                self.require(fits >= least && most.is_none_or(|most| fits <= most));
            }
            ("minItems", limit) => self.at_least(limit, items.len()),
            ("maxItems", limit) => self.at_most(limit, items.len()),
            ("uniqueItems", Value::Bool(true)) => {
                let (mut seen, mut fresh) = (HashSet::new(), 0);
                let unique = items.iter().all(|item| {
                    let mut text = String::new();
                    item.key(&mut text, &mut fresh);
                    seen.insert(text)
                });
                self.require(unique);
            }
            _ => {}
        }
    }

    fn of_text(&mut self, name: &str, argument: &Value, text: &str) {
        match (name, argument) {
            ("minLength", limit) => self.at_least(limit, text.chars().count()),
            ("maxLength", limit) => self.at_most(limit, text.chars().count()),
            ("pattern", Value::Text(pattern)) => {
                let found = self.patterns.found(pattern, text);
                self.require(found != Some(false));
            }
            _ => {}
        }
    }

    fn of_number(&mut self, name: &str, argument: &Value, value: &Value) {
        let order = value.compare(argument);
        match name {
            "minimum" => self.require(order != Some(Ordering::Less)),
            "maximum" => self.require(order != Some(Ordering::Greater)),
            "exclusiveMinimum" => {
                self.require(!matches!(order, Some(Ordering::Less | Ordering::Equal)));
            }
            "exclusiveMaximum" => {
                self.require(!matches!(order, Some(Ordering::Greater | Ordering::Equal)));
            }
            "multipleOf" => self.require(value.is_multiple(argument) != Some(false)),
            _ => {}
        }
    }

    fn at_least(&mut self, limit: &Value, length: usize) {
        self.require(count(limit).is_none_or(|limit| length >= limit));
    }

    fn at_most(&mut self, limit: &Value, length: usize) {
        self.require(count(limit).is_none_or(|limit| length <= limit));
    }
}

/// The schema that "#/…" points to.
fn resolve<'a>(root: &'a Value, pointer: &str) -> Option<&'a Value> {
    let rest = pointer.strip_prefix('#')?;
    if rest.is_empty() {
        return Some(root);
    }
    let mut here = root;
    for step in rest.strip_prefix('/')?.split('/') {
        let step = step.replace("~1", "/").replace("~0", "~");
        here = match here {
            Value::Dict(dict) => dict.get(&step)?,
            Value::List(items) => items.get(index(&step)?)?,
            _ => return None,
        };
    }
    Some(here)
}

fn index(step: &str) -> Option<usize> {
    let digits = !step.is_empty() && step.len() < 10 && step.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| step.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    struct None_;

    impl Patterns for None_ {
        fn found(&self, _pattern: &str, _text: &str) -> Option<bool> {
            None
        }
    }

    fn dict(entries: &[(&str, Value)]) -> Value {
        let entries = entries.iter().map(|(k, v)| ((*k).to_owned(), v.clone()));
        Value::Dict(Dict::new(entries.collect()))
    }

    fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    #[test]
    fn names_what_is_broken() {
        let schema = dict(&[
            (
                "properties",
                dict(&[("n", dict(&[("minimum", Value::Int(3))]))]),
            ),
            ("required", Value::List(vec![text("n"), text("m")])),
            ("additionalProperties", Value::Bool(false)),
        ]);
        let value = dict(&[("n", Value::Float(2.5)), ("x", Value::Null)]);
        let found = violations(&schema, &value, &None_);
        let paths: Vec<_> = found.into_iter().map(|v| (v.path, v.schema_path)).collect();
        assert_eq!(
            paths,
            [
                (
                    vec![key("n")],
                    vec![key("properties"), key("n"), key("minimum")]
                ),
                (vec![], vec![key("required"), Step::Index(1)]),
                (vec![key("x")], vec![key("additionalProperties")]),
            ]
        );
    }

    #[test]
    fn references_to_themselves_end() {
        let schema = dict(&[("$ref", text("#"))]);
        assert_eq!(violations(&schema, &Value::Null, &None_).len(), 1);
        let lost = dict(&[("$ref", text("#/$defs/x"))]);
        assert_eq!(violations(&lost, &Value::Null, &None_).len(), 1);
    }
}
