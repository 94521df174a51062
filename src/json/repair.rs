//! Parts of a text that json_repair reads in one certain way, whatever is around them.
//!
//! Elements of a list and members of an object: JSON without escapes, and what models write in its
//! stead: single quotes, words without quotes, Python's constants. All else ends the run; what a
//! value means must not depend on more than the few characters that are looked at behind it.

use std::collections::HashSet;

/// Lists and objects in each other.
const DEEPEST: u32 = 6;
/// How far behind a word without quotes is looked for what tells that it ends.
const AHEAD: usize = 512;
/// More digits are left to Python.
const DIGITS: usize = 18;

#[derive(Debug, PartialEq)]
pub enum Value<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(&'a str),
    List(Vec<Value<'a>>),
    Object(Vec<(&'a str, Value<'a>)>),
}

impl Value<'_> {
    /// The number that a text is; None if it is too large.
    pub fn of_number(text: &str, float: bool) -> Option<Self> {
        if float {
            text.parse().ok().map(Value::Float)
        } else {
            text.parse().ok().map(Value::Int)
        }
    }
}

/// How many digits stand from there on.
pub fn count_digits(bytes: &[u8], at: usize) -> usize {
    let rest = bytes.get(at..).unwrap_or_default();
    rest.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

/// What a run has read: `read`, each with where the text behind it begins, and how far was looked.
#[derive(Debug)]
pub struct Run<T> {
    pub read: Vec<(T, usize)>,
    pub reached: usize,
}

/// Elements of a list. Behind each of them is a comma, or anything behind a list or an object.
/// `quoteless`: there is no double quote in all of the text that this is a part of.
pub fn elements(text: &str, quoteless: bool) -> Run<Value<'_>> {
    let mut reader = Reader::new(text, quoteless);
    let mut read = Vec::new();
    loop {
        reader.separators();
        let Some(value) = reader.element(0) else {
            break;
        };
        let end = reader.at;
        let empty = is_empty(&value);
        if !empty {
            reader.space();
        }
        match reader.peek() {
            Some(b',') => {}
            // Not the end of the list: whether it is one is json_repair's to say.
            Some(byte) if !empty && is_container(&value) && starts_value(byte) => {}
            _ => break,
        }
        read.push((value, end));
    }
    reader.ran(read)
}

/// Members of an object. Behind each of them another key begins.
pub fn members(text: &str, quoteless: bool) -> Run<(&str, Value<'_>)> {
    let mut reader = Reader::new(text, quoteless);
    let mut read = Vec::new();
    while let Some(member) = reader.member(0) {
        if !reader.eat(b',') {
            break;
        }
        reader.space();
        if !reader.peek().is_some_and(starts_key) {
            break;
        }
        read.push((member, reader.at));
    }
    reader.ran(read)
}

fn is_container(value: &Value<'_>) -> bool {
    matches!(value, Value::List(_) | Value::Object(_))
}

fn is_empty(value: &Value<'_>) -> bool {
    match value {
        Value::List(list) => list.is_empty(),
        Value::Object(object) => object.is_empty(),
        _ => false,
    }
}

fn starts_key(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || matches!(byte, b'"' | b'\'')
}

fn starts_value(byte: u8) -> bool {
    starts_key(byte) || byte.is_ascii_digit() || matches!(byte, b'{' | b'[')
}

/// Words without quotes go no further, or aren't read here.
fn ends_words(byte: u8) -> bool {
    matches!(byte, b',' | b']' | b'"' | b'\\' | ..=0x1f | 0x7f..)
}

fn means_something_in_object(byte: u8) -> bool {
    matches!(byte, b'\'' | b'{' | b'}' | b'[' | b'(' | b')' | b':' | b'`')
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

struct Reader<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    reached: usize,
    quoteless: bool,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str, quoteless: bool) -> Self {
        Reader {
            text,
            bytes: text.as_bytes(),
            at: 0,
            reached: 0,
            quoteless,
        }
    }

    fn ran<T>(self, read: Vec<(T, usize)>) -> Run<T> {
        Run {
            read,
            reached: self.reached.max(self.at + 1).min(self.bytes.len()),
        }
    }

    fn byte(&mut self, place: usize) -> Option<u8> {
        self.reached = self.reached.max(place + 1);
        self.bytes.get(place).copied()
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn space(&mut self) {
        self.at = self.behind_space(self.at);
    }

    fn behind_space(&self, mut place: usize) -> usize {
        while self.bytes.get(place).copied().is_some_and(is_space) {
            place += 1;
        }
        place
    }

    fn separators(&mut self) {
        while self
            .peek()
            .is_some_and(|byte| is_space(byte) || byte == b',')
        {
            self.at += 1;
        }
    }

    fn slice(&self, start: usize, end: usize) -> Option<&'a str> {
        self.text.get(start..end)
    }

    /// Where the next of `wanted` is, if no backslash is before it.
    fn find(&mut self, wanted: u8, start: usize, most: usize) -> Option<usize> {
        let end = self.bytes.len().min(start.saturating_add(most));
        let found = self
            .bytes
            .get(start..end)?
            .iter()
            .position(|&byte| byte == wanted || byte == b'\\');
        let place = found.map_or(end, |offset| start + offset);
        (self.byte(place)? == wanted && place < end).then_some(place)
    }

    fn element(&mut self, depth: u32) -> Option<Value<'a>> {
        let first = self.peek()?;
        match first {
            b'{' | b'[' => self.container(first, depth),
            b'"' | b'\'' => {
                let inside = self.quoted(first, b"")?;
                let behind = self.behind_space(self.at);
                // json_repair takes what is behind an empty one for granted.
                if inside.is_empty() && behind != self.at {
                    return None;
                }
                matches!(self.byte(behind)?, b',' | b']').then_some(Value::Text(inside))
            }
            b'-' | b'0'..=b'9' => {
                let number = self.number()?;
                let behind = self.behind_space(self.at);
                matches!(self.byte(behind)?, b',' | b']').then_some(number)
            }
            _ => {
                let value = self.word(false)?;
                let behind = self.behind_space(self.at);
                matches!(self.byte(behind)?, b',' | b']').then_some(value)
            }
        }
    }

    fn container(&mut self, opening: u8, depth: u32) -> Option<Value<'a>> {
        if depth == DEEPEST {
            return None;
        }
        self.at += 1;
        if opening == b'{' {
            self.object(depth + 1).map(Value::Object)
        } else {
            self.list(depth + 1).map(Value::List)
        }
    }

    fn list(&mut self, depth: u32) -> Option<Vec<Value<'a>>> {
        let mut made = Vec::new();
        self.space();
        loop {
            if self.eat(b']') {
                return Some(made);
            }
            let value = self.element(depth)?;
            let end = self.at;
            self.separators();
            let next = self.peek()?;
            // json_repair takes what is behind an empty one for granted.
            let right_behind = self.bytes.get(end).copied()?;
            if is_empty(&value) && !matches!(right_behind, b',' | b']') {
                return None;
            }
            if !(next == b']' || starts_value(next) || next == b'-') {
                return None;
            }
            made.push(value);
        }
    }

    fn object(&mut self, depth: u32) -> Option<Vec<(&'a str, Value<'a>)>> {
        let mut made: Vec<(&'a str, Value<'a>)> = Vec::new();
        let mut keys: Option<HashSet<&str>> = None;
        if self.eat(b'}') {
            return Some(made);
        }
        self.space();
        loop {
            let (key, value) = self.member(depth)?;
            let known = if made.len() < 8 {
                made.iter().any(|(other, _)| *other == key)
            } else {
                let others = || made.iter().map(|(other, _)| *other).collect();
                !keys.get_or_insert_with(others).insert(key)
            };
            if known {
                return None;
            }
            made.push((key, value));
            if self.eat(b',') {
                self.space();
                if self.peek().is_some_and(starts_key) {
                    continue;
                }
            } else {
                self.space();
            }
            return self.eat(b'}').then_some(made);
        }
    }

    /// A key and its value, in front of `,` or `}`.
    fn member(&mut self, depth: u32) -> Option<(&'a str, Value<'a>)> {
        let key = self.key()?;
        self.space();
        if !self.eat(b':') {
            return None;
        }
        self.space();
        let first = self.peek()?;
        let value = match first {
            b'{' | b'[' => self.container(first, depth)?,
            b'"' => Value::Text(self.quoted(first, b"")?),
            b'\'' => {
                let inside = self.quoted(first, b",")?;
                // A quote that begins the next key: others might be the end that is meant.
                let right_behind = self.byte(self.at)?;
                if inside.is_empty() && !matches!(right_behind, b',' | b'}') {
                    return None;
                }
                if !inside.is_empty() && right_behind == b',' {
                    let next = self.behind_space(self.at + 1);
                    let begins = self.byte(next)? == b'\'';
                    if !begins || !self.byte(next + 1)?.is_ascii_alphanumeric() {
                        return None;
                    }
                }
                Value::Text(inside)
            }
            b'-' | b'0'..=b'9' => {
                let number = self.number()?;
                // A letter or a number behind the comma would belong to it.
                if self.byte(self.at)? == b',' {
                    let next = self.byte(self.at + 1)?;
                    if !is_space(next) && !matches!(next, b'"' | b'\'' | b'}') {
                        return None;
                    }
                }
                number
            }
            _ => {
                let value = self.word(true)?;
                if matches!(value, Value::Text(_)) {
                    self.ends_member()?;
                }
                value
            }
        };
        let right_behind = self.byte(self.at)?;
        let behind = self.behind_space(self.at);
        (right_behind == b',' || self.byte(behind)? == b'}').then_some((key, value))
    }

    fn key(&mut self) -> Option<&'a str> {
        let first = self.peek()?;
        let key = match first {
            b'"' => self.quoted(first, b"")?,
            b'\'' => self.quoted(first, b":")?,
            _ => {
                let start = self.at;
                let end = self.behind_bare_key(start);
                self.at = end;
                self.slice(start, end)
                    .filter(|_| first.is_ascii_alphabetic())?
            }
        };
        (!key.is_empty()).then_some(key)
    }

    fn behind_bare_key(&mut self, mut place: usize) -> usize {
        while self
            .byte(place)
            .is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
        {
            place += 1;
        }
        place
    }

    /// What is between two quotes, if nothing in it means anything to json_repair.
    fn quoted(&mut self, quote: u8, special: &[u8]) -> Option<&'a str> {
        let start = self.at + 1;
        let mut place = start;
        loop {
            let byte = self.byte(place)?;
            if byte == quote {
                break;
            }
            let other = match byte {
                b'\\' | b'\n' | b'\r' => true,
                _ if quote == b'"' => false,
                b'"' | b'\0' | b'{' | b'}' | b'[' | b']' => true,
                b'`' => place == start,
                0xe2 => is_curly(self.bytes, place),
                _ => special.contains(&byte),
            };
            if other {
                return None;
            }
            place += 1;
        }
        self.at = place + 1;
        self.slice(start, place)
    }

    fn number(&mut self) -> Option<Value<'a>> {
        let start = self.at;
        self.eat(b'-');
        let whole = self.digits(DIGITS)?;
        let mut float = false;
        if self.eat(b'.') {
            self.digits(DIGITS - whole.min(DIGITS - 1))?;
            float = true;
        }
        if self.eat(b'e') || self.eat(b'E') {
            self.eat(b'-');
            self.digits(3)?;
            float = true;
        }
        self.byte(self.at)?;
        let text = self.slice(start, self.at)?;
        Value::of_number(text, float)
    }

    fn digits(&mut self, most: usize) -> Option<usize> {
        let count = count_digits(self.bytes, self.at);
        self.at += count;
        (1..=most).contains(&count).then_some(count)
    }

    /// A constant, or words up to a comma, a list's end or (in an object) a brace.
    fn word(&mut self, in_object: bool) -> Option<Value<'a>> {
        let start = self.at;
        let first = self.peek()?;
        if !first.is_ascii_alphabetic() {
            return None;
        }
        let constant = match first | 0x20 {
            b't' => Some((&b"true"[..], Value::Bool(true))),
            b'f' => Some((&b"false"[..], Value::Bool(false))),
            b'n' => Some((&b"null"[..], Value::Null)),
            _ => None,
        };
        if let Some((name, value)) = constant {
            let end = start + name.len();
            let found = self.bytes.get(start..end);
            if found.is_some_and(|word| word.eq_ignore_ascii_case(name)) {
                self.at = end;
                return Some(value);
            }
        }
        let mut rest = self.bytes.get(start..)?.iter();
        let size = if in_object {
            rest.position(|&byte| ends_words(byte) || means_something_in_object(byte))
        } else {
            rest.position(|&byte| ends_words(byte))
        };
        let place = size.map_or(self.bytes.len(), |size| start + size);
        match self.byte(place)? {
            b',' | b']' | b'\n' | b'\r' | b'\t' => {}
            b'}' if in_object => {}
            _ => return None,
        }
        let words = self.slice(start, place)?.trim_end_matches(' ');
        self.at = start + words.len();
        Some(Value::Text(words))
    }

    /// Words that are an object's value end here: moves to the comma or the brace.
    fn ends_member(&mut self) -> Option<()> {
        self.at = self.behind_space(self.at);
        let ends = match self.byte(self.at)? {
            b',' => {
                let next = self.behind_space(self.at + 1);
                match self.byte(next)? {
                    b'}' => true,
                    quote @ (b'"' | b'\'') => {
                        let end = self.find(quote, next + 1, usize::MAX)?;
                        self.is_colon(end + 1)
                    }
                    _ => {
                        let end = self.behind_bare_key(next);
                        end > next && self.is_colon(end)
                    }
                }
            }
            b'}' if self.quoteless => self.find(b':', self.at + 1, AHEAD).is_some(),
            b'}' => {
                // The next quote begins a key.
                let next = self.find(b'"', self.at + 1, AHEAD)? + 1;
                let first = self.byte(next)?;
                if !first.is_ascii_alphanumeric() {
                    return None;
                }
                let end = self.find(b'"', next, AHEAD)?;
                self.is_colon(end + 1)
            }
            _ => false,
        };
        ends.then_some(())
    }

    fn is_colon(&mut self, place: usize) -> bool {
        let behind = self.behind_space(place);
        self.byte(behind) == Some(b':')
    }
}

/// One of „ “ ”.
fn is_curly(bytes: &[u8], place: usize) -> bool {
    matches!(bytes.get(place..place + 3), Some([0xe2, 0x80, 0x9c..=0x9e]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Vec<Value<'_>>, usize) {
        let run = elements(text, false);
        let end = run.read.last().map_or(0, |(_, end)| *end);
        (run.read.into_iter().map(|(value, _)| value).collect(), end)
    }

    #[test]
    fn words_and_constants() {
        let (values, end) = read("None, TRUE,some words , 'a, b', \"c\", -1.5, 7, x] ");
        assert_eq!(
            values,
            [
                Value::Text("None"),
                Value::Bool(true),
                Value::Text("some words"),
                Value::Text("a, b"),
                Value::Text("c"),
                Value::Float(-1.5),
                Value::Int(7),
            ]
        );
        assert_eq!(end, "None, TRUE,some words , 'a, b', \"c\", -1.5, 7".len());
    }

    #[test]
    fn objects_and_what_ends_their_words() {
        let (values, _) = read("{'a': 'b', 'c': None}, {\"d\": [1, x]}, ");
        assert_eq!(
            values,
            [
                Value::Object(vec![("a", Value::Text("b")), ("c", Value::Text("None"))]),
                Value::Object(vec![(
                    "d",
                    Value::List(vec![Value::Int(1), Value::Text("x")])
                )])
            ]
        );
        assert!(read("{\"c\": None}, 1").0.is_empty());
        assert!(read("{\"c\": 1, \"c\": 2}, 1").0.is_empty());
        assert_eq!(elements("{'c': None}, {'d': 1}, ", true).read.len(), 2);
    }

    #[test]
    fn members_stop_in_front_of_a_key() {
        let run = members("\"a\": 1, b: {}, 'c': x, \"d\": 2}", false);
        let keys: Vec<&str> = run.read.iter().map(|((key, _), _)| *key).collect();
        assert_eq!(keys, ["a", "b", "c"]);
    }

    #[test]
    fn no_more_is_looked_at_than_is_said() {
        for text in [
            "",
            "[",
            "{\"a",
            "'",
            "„“",
            "[[[[[[[[1",
            "x\u{a0},",
            "1, \u{2028}2,",
        ] {
            assert!(elements(text, false).reached <= text.len());
            assert!(members(text, true).reached <= text.len());
        }
    }
}
