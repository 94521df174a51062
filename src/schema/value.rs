//! JSON values as JSON Schema compares them: 1 equals 1.0, but not true.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::fmt::Write;

#[derive(Debug, Clone)]
pub enum Value {
    Null,
    Bool(bool),
    Int(i128),
    Float(f64),
    Text(String),
    List(Vec<Value>),
    Dict(Dict),
    /// Not JSON: of no type, and equal to nothing.
    Other,
}

/// A dict with its order, and an index if it is large.
#[derive(Debug, Clone, Default)]
pub struct Dict {
    entries: Vec<(String, Value)>,
    index: HashMap<String, usize>,
}

const LINEAR: usize = 24;

impl Dict {
    /// Keys are different from each other.
    pub fn new(entries: Vec<(String, Value)>) -> Self {
        let index = if entries.len() > LINEAR {
            let keys = entries.iter().enumerate();
            keys.map(|(at, (key, _))| (key.clone(), at)).collect()
        } else {
            HashMap::new()
        };
        Dict { entries, index }
    }

    pub fn get(&self, key: &str) -> Option<&Value> {
        let at = if self.entries.len() > LINEAR {
            *self.index.get(key)?
        } else {
            self.entries.iter().position(|(own, _)| own == key)?
        };
        self.entries.get(at).map(|entry| &entry.1)
    }

    pub fn iter(&self) -> impl Iterator<Item = &(String, Value)> {
        self.entries.iter()
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl Value {
    pub fn is_type(&self, name: &str) -> bool {
        match name {
            "null" => matches!(self, Value::Null),
            "boolean" => matches!(self, Value::Bool(_)),
            "integer" => match self {
                Value::Int(_) => true,
                Value::Float(value) => value.is_finite() && value.fract() == 0.0,
                _ => false,
            },
            "number" => matches!(self, Value::Int(_) | Value::Float(_)),
            "string" => matches!(self, Value::Text(_)),
            "array" => matches!(self, Value::List(_)),
            "object" => matches!(self, Value::Dict(_)),
            _ => false,
        }
    }

    /// The order of two numbers; None if one isn't one, or not a number.
    pub fn compare(&self, other: &Value) -> Option<Ordering> {
        match (self, other) {
            (Value::Int(a), Value::Int(b)) => Some(a.cmp(b)),
            (Value::Float(a), Value::Float(b)) => a.partial_cmp(b),
            (Value::Int(a), Value::Float(b)) => int_to_float(*a, *b),
            (Value::Float(a), Value::Int(b)) => int_to_float(*b, *a).map(Ordering::reverse),
            _ => None,
        }
    }

    pub fn equals(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::Null, Value::Null) => true,
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::Text(a), Value::Text(b)) => a == b,
            (Value::List(a), Value::List(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.equals(b))
            }
            (Value::Dict(a), Value::Dict(b)) => {
                a.len() == b.len()
                    && a.iter()
                        .all(|(key, value)| b.get(key).is_some_and(|other| value.equals(other)))
            }
            _ => self.compare(other) == Some(Ordering::Equal),
        }
    }

    /// A text that two values share if they are equal; `fresh` makes texts of no other value.
    pub fn key(&self, out: &mut String, fresh: &mut usize) {
        match self {
            Value::Null => out.push('n'),
            Value::Bool(value) => out.push(if *value { 't' } else { 'f' }),
            Value::Int(value) => {
                let _ = write!(out, "{value}");
            }
            Value::Float(value) => match exact(*value) {
                Some(value) => {
                    let _ = write!(out, "{value}");
                }
                None if value.is_nan() => unlike(out, fresh),
                None => {
                    let _ = write!(out, "d{:x}", value.to_bits());
                }
            },
            Value::Text(text) => {
                let _ = write!(out, "{text:?}");
            }
            Value::List(items) => {
                out.push('[');
                for item in items {
                    item.key(out, fresh);
                    out.push(',');
                }
                out.push(']');
            }
            Value::Dict(dict) => {
                let mut entries: Vec<_> = dict.iter().collect();
                entries.sort_unstable_by(|a, b| a.0.cmp(&b.0));
                out.push('{');
                for (key, value) in entries {
                    let _ = write!(out, "{key:?}:");
                    value.key(out, fresh);
                    out.push(',');
                }
                out.push('}');
            }
            Value::Other => unlike(out, fresh),
        }
    }

    /// Whether the number is a multiple of another; None if one isn't a number, or it is zero.
    pub fn is_multiple(&self, of: &Value) -> Option<bool> {
        let quotient = match (self, of) {
            (_, Value::Int(0)) => return None,
            (Value::Int(a), Value::Int(b)) => return Some(a.checked_rem(*b).unwrap_or(0) == 0),
            _ => self.float()? / of.float().filter(|of| *of != 0.0)?,
        };
        Some(quotient.is_finite() && quotient.fract() == 0.0)
    }

    fn float(&self) -> Option<f64> {
        match self {
            Value::Int(value) => Some(*value as f64),
            Value::Float(value) => Some(*value),
            _ => None,
        }
    }
}

fn unlike(out: &mut String, fresh: &mut usize) {
    *fresh += 1;
    let _ = write!(out, "?{fresh}");
}

/// The integer that a float is exactly, if it is one that fits.
fn exact(value: f64) -> Option<i128> {
    let limit = 2f64.powi(127);
    (value.fract() == 0.0 && value >= -limit && value < limit).then_some(value as i128)
}

fn int_to_float(a: i128, b: f64) -> Option<Ordering> {
    if b.is_nan() {
        return None;
    }
    if let Some(whole) = exact(b.trunc()) {
        let order = a.cmp(&whole);
        return Some(order.then_with(|| 0.0f64.partial_cmp(&b.fract()).unwrap_or(Ordering::Equal)));
    }
    Some(if b > 0.0 {
        Ordering::Less
    } else {
        Ordering::Greater
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_compare_exactly() {
        let big = 1i128 << 60;
        let float = Value::Float(big as f64);
        assert!(Value::Int(big).equals(&float));
        assert!(!Value::Int(big + 1).equals(&float));
        assert_eq!(
            Value::Int(1).compare(&Value::Float(1.5)),
            Some(Ordering::Less)
        );
        assert_eq!(
            Value::Int(-1).compare(&Value::Float(-1.5)),
            Some(Ordering::Greater)
        );
        assert_eq!(Value::Int(1).compare(&Value::Float(f64::NAN)), None);
        assert_eq!(
            Value::Int(1).compare(&Value::Float(1e300)),
            Some(Ordering::Less)
        );
        assert!(!Value::Bool(true).equals(&Value::Int(1)));
        assert_eq!(
            Value::Float(0.3).is_multiple(&Value::Float(0.1)),
            Some(false)
        );
        assert_eq!(Value::Int(6).is_multiple(&Value::Int(-3)), Some(true));
    }
}
