//! The fields of a message → JSON, as `json.dumps` writes it without spaces and ASCII escapes.

use super::{TEXTS, TIMESTAMP};
use crate::errors::{Error, Result};
use std::io::Write;

/// Appends the JSON of one message. Texts are UTF-8, but may hold encoded lone surrogates, which
/// are written as escapes.
pub fn write(out: &mut Vec<u8>, texts: [&[u8]; 4], timestamp: u64) -> Result<()> {
    for (index, (name, text)) in TEXTS.iter().zip(texts).enumerate() {
        out.push(if index == 0 { b'{' } else { b',' });
        out.push(b'"');
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\":");
        write_text(out, text)?;
    }
    write!(out, ",\"{TIMESTAMP}\":{timestamp}}}").map_err(failed)
}

fn failed(error: impl std::fmt::Display) -> Error {
    Error::Internal(format!("JSON: {error}"))
}

fn write_text(out: &mut Vec<u8>, text: &[u8]) -> Result<()> {
    if let Ok(text) = std::str::from_utf8(text) {
        return serde_json::to_writer(out, text).map_err(failed);
    }
    out.push(b'"');
    let mut rest = text;
    while let Some(at) = first_surrogate(rest) {
        let (before, after) = rest.split_at(at);
        write_inner(out, before)?;
        if let [first, second, third, ..] = after {
            let code = u32::from(first & 0xF) << 12
                | u32::from(second & 0x3F) << 6
                | u32::from(third & 0x3F);
            write!(out, "\\u{code:04x}").map_err(failed)?;
        }
        rest = after.get(3..).unwrap_or_default();
    }
    write_inner(out, rest)?;
    out.push(b'"');
    Ok(())
}

fn first_surrogate(text: &[u8]) -> Option<usize> {
    text.windows(3)
        .position(|w| matches!(w, [0xED, second, _] if *second >= 0xA0))
}

/// A part of a string: JSON's escapes without the quotes.
fn write_inner(out: &mut Vec<u8>, part: &[u8]) -> Result<()> {
    let part = std::str::from_utf8(part).map_err(failed)?;
    let start = out.len();
    serde_json::to_writer(&mut *out, part).map_err(failed)?;
    out.pop();
    out.remove(start);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(content: &[u8]) -> String {
        let mut out = Vec::new();
        write(&mut out, [b"1", b"a", b"b", content], u64::MAX).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn escapes() {
        assert_eq!(
            written("\"\\\n\u{1}é\u{7f}".as_bytes()),
            "{\"id\":\"1\",\"sender\":\"a\",\"recipient\":\"b\",\"content\":\"\\\"\\\\\\n\\u0001é\u{7f}\",\
             \"timestamp\":18446744073709551615}"
        );
    }

    #[test]
    fn lone_surrogates_are_escaped() {
        let json = written(&[b'"', 0xED, 0xA0, 0x80, 0xC3, 0xA9, 0xED, 0xBF, 0xBF]);
        assert!(json.contains(r#""content":"\"\ud800é\udfff""#), "{json}");
    }
}
