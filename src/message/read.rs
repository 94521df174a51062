//! JSON → the fields of a message.
//!
//! Accepts what `json.loads` accepts, but NaN and infinities: fields in any order, unknown fields,
//! repeated ones (the last counts), lone surrogates.

use super::{TEXTS, TIMESTAMP};
use crate::errors::{Error, MessageProblem, Result};
use memchr::{memchr, memchr2};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::fmt;

/// Deeper documents are refused, as Python's parser can't read them at every place.
pub const MAX_DEPTH: usize = 200;

/// A text that may hold lone surrogates, which UTF-8 can't.
#[derive(Debug, PartialEq, Eq)]
pub enum Text<'a> {
    Borrowed(&'a str),
    Owned(String),
    /// UTF-8 but for lone surrogates, which are encoded as if they were characters.
    Surrogates(Vec<u8>),
}

#[derive(Debug, PartialEq, Eq)]
pub struct Fields<'a> {
    pub texts: [Text<'a>; 4],
    pub timestamp: u64,
}

/// The fields of the message that `json` is.
pub fn read(json: &str) -> Result<Fields<'_>> {
    match usual(json) {
        Some(fields) => Ok(fields),
        None => read_any(json),
    }
}

/// The fields of a message as `to_json` and `json.dumps` write it; None for everything else.
fn usual(json: &str) -> Option<Fields<'_>> {
    let mut rest = json.strip_prefix('{')?;
    let mut texts = [const { Text::Borrowed("") }; 4];
    for (slot, name) in texts.iter_mut().zip(TEXTS) {
        (*slot, rest) = usual_text(after_key(rest, name)?)?;
        rest = rest.strip_prefix(',')?;
        rest = rest.strip_prefix(' ').unwrap_or(rest);
    }
    let digits = after_key(rest, TIMESTAMP)?.strip_suffix('}')?;
    let plain = (1..=19).contains(&digits.len())
        && digits.bytes().all(|b| b.is_ascii_digit())
        && (digits.len() == 1 || !digits.starts_with('0'));
    let timestamp = if plain {
        digits.parse().ok()?
    } else {
        return None;
    };
    Some(Fields { texts, timestamp })
}

fn after_key<'a>(rest: &'a str, name: &str) -> Option<&'a str> {
    let rest = rest.strip_prefix('"')?.strip_prefix(name)?;
    let rest = rest.strip_prefix("\":")?;
    Some(rest.strip_prefix(' ').unwrap_or(rest))
}

/// (the text, what follows it) of a JSON string without \u escapes.
fn usual_text(rest: &str) -> Option<(Text<'_>, &str)> {
    let mut rest = rest.strip_prefix('"')?;
    let mut out = String::new();
    loop {
        let at = memchr2(b'"', b'\\', rest.as_bytes())?;
        let (part, after) = rest.split_at_checked(at)?;
        if part
            .bytes()
            .fold(false, |found, byte| found | (byte < 0x20))
        {
            return None;
        }
        if let Some(end) = after.strip_prefix('"') {
            if out.is_empty() {
                return Some((Text::Borrowed(part), end));
            }
            out.push_str(part);
            return Some((Text::Owned(out), end));
        }
        let letter = *after.as_bytes().get(1)?;
        if !matches!(
            letter,
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't'
        ) {
            return None;
        }
        if out.is_empty() {
            out.reserve(rest.len());
        }
        out.push_str(part);
        out.push(char::from(plain_escape(letter)));
        rest = after.get(2..)?;
    }
}

fn read_any(json: &str) -> Result<Fields<'_>> {
    let raw = match serde_json::from_str::<Raw<'_>>(json) {
        Ok(raw) => raw,
        Err(error) if error.is_data() && is_json(json) => {
            return problem("type", None, "a message is a JSON object".to_owned());
        }
        Err(error) => return problem("syntax", None, format!("not JSON: {error}")),
    };
    if raw.control_in_key && !is_json(json) {
        let text = "not JSON: a control character in a key".to_owned();
        return problem("syntax", None, text);
    }
    check_depth(json)?;
    let mut texts = [const { Text::Borrowed("") }; 4];
    for (slot, (value, name)) in texts.iter_mut().zip(raw.texts.into_iter().zip(TEXTS)) {
        *slot = text(present(value, name)?, name)?;
    }
    let timestamp = timestamp(present(raw.timestamp, TIMESTAMP)?)?;
    Ok(Fields { texts, timestamp })
}

/// The text that a record of a memory store is found by: the JSON string itself, or an object's
/// "value" that is one. Lone surrogates are replaced. None for anything else.
pub fn text_of_json(json: &str) -> Option<String> {
    if let Ok(raw) = serde_json::from_str::<&RawValue>(json)
        && raw.get().starts_with('"')
    {
        return Some(lossy(raw.get()));
    }
    let mut fields = serde_json::from_str::<HashMap<String, &RawValue>>(json).ok()?;
    let value = fields.remove("value")?.get();
    value.starts_with('"').then(|| lossy(value))
}

/// The text of a valid JSON string.
fn lossy(quoted: &str) -> String {
    let inner = quoted.get(1..quoted.len() - 1).unwrap_or_default();
    String::from_utf8_lossy(&unescaped(inner.as_bytes())).into_owned()
}

fn problem<T>(kind: &'static str, field: Option<&'static str>, text: String) -> Result<T> {
    Err(Error::Message(MessageProblem {
        text,
        kind,
        field,
        index: None,
    }))
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<&RawValue>(text).is_ok()
}

fn check_depth(json: &str) -> Result<()> {
    let openings = |bytes: &[u8]| bytes.iter().filter(|b| matches!(b, b'[' | b'{')).count();
    if openings(json.as_bytes()) > MAX_DEPTH && depth(json.as_bytes()) > MAX_DEPTH {
        return problem("syntax", None, format!("nested over {MAX_DEPTH} levels"));
    }
    Ok(())
}

/// How deeply valid JSON is nested.
fn depth(json: &[u8]) -> usize {
    let (mut now, mut most) = (0usize, 0usize);
    let (mut quoted, mut escaped) = (false, false);
    for &byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = quoted,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'[' | b'{' => {
                now += 1;
                most = most.max(now);
            }
            b']' | b'}' => now = now.saturating_sub(1),
            _ => {}
        }
    }
    most
}

fn present<'a>(value: Option<&'a RawValue>, name: &'static str) -> Result<&'a str> {
    match value {
        Some(value) => Ok(value.get()),
        None => problem("missing", Some(name), format!("{name} is missing")),
    }
}

fn text<'a>(raw: &'a str, name: &'static str) -> Result<Text<'a>> {
    let Some(inner) = raw
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
    else {
        return problem("type", Some(name), format!("{name} is not a string"));
    };
    if memchr(b'\\', inner.as_bytes()).is_none() {
        return Ok(Text::Borrowed(inner));
    }
    match String::from_utf8(unescaped(inner.as_bytes())) {
        Ok(text) => Ok(Text::Owned(text)),
        Err(error) => Ok(Text::Surrogates(error.into_bytes())),
    }
}

/// The inside of a valid JSON string without its escapes; lone surrogates as if characters.
fn unescaped(mut rest: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(rest.len());
    while let Some(at) = memchr(b'\\', rest) {
        let (before, escape) = rest.split_at(at);
        out.extend_from_slice(before);
        let (code, length) = match escape {
            [_, b'u', digits @ ..] => unicode_escape(digits),
            [_, letter, ..] => (u32::from(plain_escape(*letter)), 2),
            _ => (0, escape.len()), // not in valid JSON
        };
        push_code(&mut out, code);
        rest = escape.get(length..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
    out
}

fn plain_escape(letter: u8) -> u8 {
    match letter {
        b'b' => 8,
        b'f' => 12,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        other => other,
    }
}

/// (code point, bytes of the escape) of what follows `\u`; two surrogates may be one character.
fn unicode_escape(digits: &[u8]) -> (u32, usize) {
    let first = hexadecimal(digits);
    if let (0xD800..=0xDBFF, Some([b'\\', b'u', more @ ..])) = (first, digits.get(4..)) {
        let second = hexadecimal(more);
        if (0xDC00..=0xDFFF).contains(&second) {
            return (0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00), 12);
        }
    }
    (first, 6)
}

fn hexadecimal(digits: &[u8]) -> u32 {
    digits.iter().take(4).fold(0, |value, &digit| {
        value << 4 | char::from(digit).to_digit(16).unwrap_or(0)
    })
}

fn push_code(out: &mut Vec<u8>, code: u32) {
    match char::from_u32(code) {
        Some(character) => {
            out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
        None => out.extend([
            0xE0 | (code >> 12) as u8,
            0x80 | (code >> 6 & 0x3F) as u8,
            0x80 | (code & 0x3F) as u8,
        ]),
    }
}

fn timestamp(raw: &str) -> Result<u64> {
    let digits = raw.strip_prefix('-').unwrap_or(raw);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return problem(
            "type",
            Some(TIMESTAMP),
            "timestamp is not an integer".to_owned(),
        );
    }
    match digits.parse::<u64>() {
        Ok(0) => Ok(0),
        Ok(value) if digits.len() == raw.len() => Ok(value),
        _ => problem(
            "range",
            Some(TIMESTAMP),
            "timestamp is not between 0 and 2**64-1".to_owned(),
        ),
    }
}

/// The values of the known fields, not yet looked at.
struct Raw<'a> {
    texts: [Option<&'a RawValue>; 4],
    timestamp: Option<&'a RawValue>,
    /// Escaped or not: serde_json doesn't say when it reads bytes.
    control_in_key: bool,
}

impl<'de> Deserialize<'de> for Raw<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_map(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Raw<'de>, A::Error> {
        let mut raw = Raw {
            texts: [None; 4],
            timestamp: None,
            control_in_key: false,
        };
        while let Some(key) = map.next_key()? {
            match key {
                Key::Known(index) if index < TEXTS.len() => {
                    if let Some(slot) = raw.texts.get_mut(index) {
                        *slot = Some(map.next_value()?);
                    }
                }
                Key::Known(_) => raw.timestamp = Some(map.next_value()?),
                Key::Unknown { control } => {
                    raw.control_in_key |= control;
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(raw)
    }
}

/// Which field a key names.
enum Key {
    Known(usize),
    Unknown { control: bool },
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_bytes(KeyVisitor)
    }
}

struct KeyVisitor;

impl Visitor<'_> for KeyVisitor {
    type Value = Key;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a key")
    }

    fn visit_bytes<E>(self, key: &[u8]) -> std::result::Result<Key, E> {
        Ok(match key {
            b"id" => Key::Known(0),
            b"sender" => Key::Known(1),
            b"recipient" => Key::Known(2),
            b"content" => Key::Known(3),
            b"timestamp" => Key::Known(4),
            _ => Key::Unknown {
                control: key.iter().any(|&byte| byte < 0x20),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(json: &str) -> (&'static str, Option<&'static str>) {
        match read(json) {
            Err(Error::Message(problem)) => (problem.kind, problem.field),
            other => panic!("{json}: {other:?}"),
        }
    }

    fn message(content: &str, timestamp: &str) -> String {
        format!(
            r#"{{"id":"1","sender":"a","recipient":"b","content":{content},"timestamp":{timestamp}}}"#
        )
    }

    #[test]
    fn any_order_unknown_and_repeated_fields() {
        let fields = read(
            r#" {"timestamp": 5, "x": [1, {"y": null}], "id": "0", "content": "c",
                 "recipient": "b", "sender": "a", "id": "1"} "#,
        )
        .unwrap();
        assert_eq!(fields.timestamp, 5);
        assert_eq!(fields.texts[0], Text::Borrowed("1"));
    }

    #[test]
    fn the_usual_is_read_as_anything_else() {
        let escapes = r#""\"\\\/\b\f\n\r\té""#;
        for content in [
            r#""""#,
            r#""é a""#,
            escapes,
            r#""\u0041""#,
            r#""\ud800""#,
            "\"\t\"",
            "1",
        ] {
            for timestamp in [
                "0",
                "7",
                "01",
                "-0",
                "1.0",
                "18446744073709551615",
                "",
                "5 ",
            ] {
                let json = message(content, timestamp);
                for json in [json.replace(':', ": ").replace(',', ", "), json] {
                    let (first, second) = (read(&json), read_any(&json));
                    assert_eq!(format!("{first:?}"), format!("{second:?}"), "{json}");
                }
            }
        }
        assert!(usual(&message(escapes, "1")).is_some());
        assert!(usual(&message(r#""""#, "1")).is_some());
    }

    #[test]
    fn surrogates() {
        let json = message(r#""a\ud800b""#, "0");
        let fields = read(&json).unwrap();
        assert_eq!(
            fields.texts[3],
            Text::Surrogates(vec![b'a', 0xED, 0xA0, 0x80, b'b'])
        );
        let json = message(r#""\ud83d\ude00""#, "0");
        assert_eq!(read(&json).unwrap().texts[3], Text::Owned("😀".to_owned()));
    }

    #[test]
    fn the_range_of_a_timestamp() {
        assert_eq!(
            read(&message("\"\"", "18446744073709551615"))
                .unwrap()
                .timestamp,
            u64::MAX
        );
        assert_eq!(read(&message("\"\"", "-0")).unwrap().timestamp, 0);
        for wrong in [
            "18446744073709551616",
            "-1",
            "123456789012345678901234567890",
        ] {
            assert_eq!(kind(&message("\"\"", wrong)), ("range", Some(TIMESTAMP)));
        }
        for wrong in ["1.0", "1e3", "\"1\"", "true", "null", "-0.0"] {
            assert_eq!(kind(&message("\"\"", wrong)), ("type", Some(TIMESTAMP)));
        }
    }

    #[test]
    fn what_is_wrong() {
        assert_eq!(kind("{"), ("syntax", None));
        assert_eq!(kind("[1,"), ("syntax", None));
        assert_eq!(kind("[1]"), ("type", None));
        assert_eq!(kind("{} {}"), ("syntax", None));
        assert_eq!(kind(r#"{"id": NaN}"#), ("syntax", None));
        assert_eq!(kind(r#"{"id": "1"}"#), ("missing", Some("sender")));
        assert_eq!(kind(&message("5", "5")), ("type", Some("content")));
        let deep = format!(r#"{{"x":{}{}}}"#, "[".repeat(200), "]".repeat(200));
        assert_eq!(kind(&deep), ("syntax", None));
        let shallow = format!(r#"{{"x":{}{}}}"#, "[".repeat(199), "]".repeat(199));
        assert_eq!(kind(&shallow), ("missing", Some("id")));
    }
}
