//! Python literals that `ast.literal_eval` surely evaluates: lists and objects of plain values.
//!
//! No escapes, comments, tuples, sets, prefixes or numbers in other forms; nothing that Python
//! would warn of.

use super::repair::{Value, count_digits};

/// Python's parser counts brackets; `literal_eval` takes frames for them.
const DEEPEST: u32 = 16;
const DIGITS: usize = 18;

/// The list or dict that `text` is, or None: that is Python's to say.
pub fn literal(text: &str) -> Option<Value<'_>> {
    let text = text.trim_start_matches([' ', '\t']);
    if !text.starts_with(['[', '{']) {
        return None;
    }
    let mut reader = Reader {
        text,
        bytes: text.as_bytes(),
        at: 0,
    };
    let value = reader.value(0)?;
    // A line that begins with spaces would be indented.
    let behind = text.get(reader.at..)?.trim_start_matches([' ', '\t']);
    behind.chars().all(|c| c == '\n').then_some(value)
}

struct Reader<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n') = self.peek() {
            self.at += 1;
        }
    }

    fn value(&mut self, depth: u32) -> Option<Value<'a>> {
        let first = self.peek()?;
        let value = match first {
            b'{' | b'[' if depth == DEEPEST => return None,
            b'[' => {
                self.at += 1;
                let mut made = Vec::new();
                while !self.ends(b']') {
                    made.push(self.value(depth + 1)?);
                    self.separator(b']')?;
                }
                Value::List(made)
            }
            b'{' => {
                self.at += 1;
                let mut made = Vec::new();
                while !self.ends(b'}') {
                    let key = self.string()?;
                    self.space();
                    if !self.eat(b':') {
                        return None;
                    }
                    self.space();
                    made.push((key, self.value(depth + 1)?));
                    self.separator(b'}')?;
                }
                Value::Object(made)
            }
            b'"' | b'\'' => Value::Text(self.string()?),
            b'-' | b'0'..=b'9' => self.number()?,
            _ => {
                let rest = self.bytes.get(self.at..)?;
                let (value, size) = if rest.starts_with(b"None") {
                    (Value::Null, 4)
                } else if rest.starts_with(b"True") {
                    (Value::Bool(true), 4)
                } else if rest.starts_with(b"False") {
                    (Value::Bool(false), 5)
                } else {
                    return None;
                };
                self.at += size;
                value
            }
        };
        Some(value)
    }

    /// At the end of what is in brackets; it is passed then.
    fn ends(&mut self, closing: u8) -> bool {
        self.space();
        self.eat(closing)
    }

    /// A comma, or the bracket that closes, which is not passed.
    fn separator(&mut self, closing: u8) -> Option<()> {
        self.space();
        (self.eat(b',') || self.peek() == Some(closing)).then_some(())
    }

    fn string(&mut self) -> Option<&'a str> {
        let quote = self.peek().filter(|byte| matches!(byte, b'"' | b'\''))?;
        let start = self.at + 1;
        let size = self
            .bytes
            .get(start..)?
            .iter()
            .position(|&byte| byte == quote || byte == b'\\' || byte < 0x20)?;
        let end = start + size;
        if self.bytes.get(end) != Some(&quote) {
            return None;
        }
        self.at = end + 1;
        self.text.get(start..end)
    }

    fn number(&mut self) -> Option<Value<'a>> {
        let start = self.at;
        self.eat(b'-');
        let (zero, whole) = (self.peek() == Some(b'0'), self.digits(DIGITS)?);
        if zero && whole > 1 {
            return None;
        }
        let mut float = false;
        if self.eat(b'.') {
            self.digits(DIGITS)?;
            float = true;
        }
        if self.eat(b'e') || self.eat(b'E') {
            if !self.eat(b'+') {
                self.eat(b'-');
            }
            self.digits(3)?;
            float = true;
        }
        let text = self.text.get(start..self.at)?;
        Value::of_number(text, float)
    }

    fn digits(&mut self, most: usize) -> Option<usize> {
        let count = count_digits(self.bytes, self.at);
        self.at += count;
        (1..=most).contains(&count).then_some(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals() {
        let value = literal(" {'a': [None, True, -1.5e+3,], \"b\": {},\n'c': 'd'}\n");
        let list = Value::List(vec![Value::Null, Value::Bool(true), Value::Float(-1500.0)]);
        let wanted = vec![
            ("a", list),
            ("b", Value::Object(vec![])),
            ("c", Value::Text("d")),
        ];
        assert_eq!(value, Some(Value::Object(wanted)));
        assert_eq!(literal("[]"), Some(Value::List(vec![])));
    }

    #[test]
    fn what_python_decides() {
        for text in [
            "",
            "{",
            "[1",
            "[,]",
            "[1,,]",
            "[01]",
            "[1_0]",
            "[1.]",
            "[.5]",
            "[1e]",
            "['a' 'b']",
            "['''a''']",
            "['a\\n']",
            "['a\nb']",
            "[b'a']",
            "{'a'}",
            "{1: 2}",
            "(1, 2)",
            "[null]",
            "[Nonex]",
            "[1 2]",
            "[1if]",
            "{'a': 1]",
            "[1] # c",
            "\n[1]",
            "[1]]",
            "1",
            "'a'",
            "[1\u{a0}]",
            "[1\u{c}]",
            "[--1]",
            "[+1]",
            "[\0]",
            "['a\0']",
            "[1]\r",
            "[1j]",
            "[1]\n ",
        ] {
            assert_eq!(literal(text), None, "{text:?}");
        }
    }
}
