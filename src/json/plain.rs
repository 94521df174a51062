//! JSON that Python's `json.loads` surely reads, whatever is set in the process.
//!
//! Everything else may be readable, too: NaN, long numbers (`sys.set_int_max_str_digits`), what is
//! nested so deeply that the stack decides.

use super::eight::{control, equal};

/// More levels are left to Python.
pub const MAX_DEPTH: u32 = 50;
/// The lowest limit that Python can be given is 640 digits.
pub const MAX_DIGITS: usize = 600;

/// What `json.loads` makes of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// JSON (RFC 8259) within these limits.
    Plain,
    /// It surely raises JSONDecodeError.
    Broken,
    /// It does, at the end of the text: so far it is JSON, nested no deeper than this.
    Cut(u32),
    Unsure,
}

/// Whether `text` is JSON (RFC 8259) within these limits.
pub fn is_plain(text: &str) -> bool {
    kind(text) == Kind::Plain
}

pub fn kind(text: &str) -> Kind {
    let mut reader = Reader {
        rest: text.as_bytes(),
        cut: false,
        unsure: false,
        deepest: 0,
    };
    match reader.document() {
        Some(()) => Kind::Plain,
        None if reader.unsure => Kind::Unsure,
        None if reader.cut => Kind::Cut(reader.deepest),
        None => Kind::Broken,
    }
}

/// Whether `joined` has just `count` such texts, a byte 1 between them, none of them a mere number.
pub fn joins_plain_texts(joined: &[u8], count: usize) -> bool {
    let Ok(joined) = std::str::from_utf8(joined) else {
        return false;
    };
    // No JSON has that byte: as many texts as there are cells are the cells.
    let mut found = 0;
    joined.split('\u{1}').all(|text| {
        found += 1;
        !text.starts_with(|first: char| first == '-' || first.is_ascii_digit()) && is_plain(text)
    }) && found == count
}

struct Reader<'a> {
    rest: &'a [u8],
    /// The text ended too early.
    cut: bool,
    /// Beyond the limits, or one of Python's constants.
    unsure: bool,
    deepest: u32,
}

impl Reader<'_> {
    fn document(&mut self) -> Option<()> {
        // Of each open bracket one bit: whether it is an object's.
        let (mut depth, mut objects) = (0u32, 0u64);
        self.space();
        loop {
            match self.next()? {
                open @ (b'{' | b'[') => {
                    let is_object = open == b'{';
                    if depth == MAX_DEPTH {
                        return self.unsure();
                    }
                    self.deepest = self.deepest.max(depth + 1);
                    self.space();
                    // One with nothing in it is a value that has ended.
                    if !self.eat(if is_object { b'}' } else { b']' }) {
                        depth += 1;
                        objects = objects << 1 | u64::from(is_object);
                        if is_object {
                            self.key()?;
                        }
                        continue;
                    }
                }
                b'"' => self.string()?,
                b't' => self.word(b"rue")?,
                b'f' => self.word(b"alse")?,
                b'n' => self.word(b"ull")?,
                first => self.number(first)?,
            }
            // A value has ended, and with it perhaps what it is in.
            loop {
                self.space();
                if depth == 0 {
                    return self.rest.is_empty().then_some(());
                }
                let in_object = objects & 1 == 1;
                match self.next()? {
                    b',' => {
                        self.space();
                        if in_object {
                            self.key()?;
                        }
                        break;
                    }
                    b'}' if in_object => {}
                    b']' if !in_object => {}
                    _ => return None,
                }
                depth -= 1;
                objects >>= 1;
            }
        }
    }

    fn next(&mut self) -> Option<u8> {
        let Some((&first, rest)) = self.rest.split_first() else {
            self.cut = true;
            return None;
        };
        self.rest = rest;
        Some(first)
    }

    fn unsure(&mut self) -> Option<()> {
        self.unsure = true;
        None
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.rest.first() == Some(&byte);
        if found {
            self.next();
        }
        found
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.rest.first() {
            self.next();
        }
    }

    /// A key, and what is before its value.
    fn key(&mut self) -> Option<()> {
        self.is(b'"')?;
        self.string()?;
        self.space();
        self.is(b':')?;
        self.space();
        Some(())
    }

    fn is(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then_some(())
    }

    fn word(&mut self, word: &[u8]) -> Option<()> {
        self.rest = self.rest.strip_prefix(word)?;
        Some(())
    }

    /// What follows a string's first quotation mark.
    fn string(&mut self) -> Option<()> {
        loop {
            self.skip_ordinary();
            match self.next()? {
                b'"' => return Some(()),
                b'\\' => match self.next()? {
                    b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {}
                    b'u' => {
                        let (digits, rest) = self.rest.split_at_checked(4)?;
                        if !digits.iter().all(u8::is_ascii_hexdigit) {
                            return None;
                        }
                        self.rest = rest;
                    }
                    _ => return None,
                },
                _ => return None, // a control character
            }
        }
    }

    /// Up to a quotation mark, a backslash or a control character.
    fn skip_ordinary(&mut self) {
        while let Some((chunk, rest)) = self.rest.split_first_chunk::<8>() {
            let word = u64::from_le_bytes(*chunk);
            let found = control(word) | equal(word, b'"') | equal(word, b'\\');
            if found != 0 {
                let at = found.trailing_zeros() as usize / 8;
                self.rest = self.rest.split_at_checked(at).map_or(&[], |(_, rest)| rest);
                return;
            }
            self.rest = rest;
        }
        while let Some(byte) = self.rest.first() {
            if matches!(byte, b'"' | b'\\' | ..0x20) {
                return;
            }
            self.next();
        }
    }

    fn number(&mut self, first: u8) -> Option<()> {
        let first = if first == b'-' { self.next()? } else { first };
        match first {
            b'0' => {}
            b'1'..=b'9' => {
                if self.digits() >= MAX_DIGITS {
                    return self.unsure();
                }
            }
            b'N' | b'I' => return self.unsure(),
            _ => return None,
        }
        if self.eat(b'.') && self.digits() == 0 {
            return None;
        }
        if self.eat(b'e') || self.eat(b'E') {
            if !self.eat(b'+') {
                self.eat(b'-');
            }
            if self.digits() == 0 {
                return None;
            }
        }
        Some(())
    }

    fn digits(&mut self) -> usize {
        let count = self.rest.iter().take_while(|b| b.is_ascii_digit()).count();
        self.rest = self
            .rest
            .split_at_checked(count)
            .map_or(&[], |(_, rest)| rest);
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::value::RawValue;

    #[test]
    fn texts_side_by_side() {
        for (joined, count) in [("{}", 1), ("{}\u{1}[1]", 2), ("\"é\"\u{1} 1\u{1}null", 3)] {
            assert!(joins_plain_texts(joined.as_bytes(), count), "{joined}");
            for wrong in [0, count - 1, count + 1] {
                assert!(!joins_plain_texts(joined.as_bytes(), wrong), "{joined}");
            }
        }
        for joined in [
            "",
            "1",
            "-1.5",
            "{}\u{1}",
            "\u{1}{}",
            "[\u{1}]",
            "\"\u{1}\"",
            "{}\u{2}{}",
        ] {
            assert!(
                !(0..4).any(|count| joins_plain_texts(joined.as_bytes(), count)),
                "{joined}"
            );
        }
        assert!(!joins_plain_texts(b"\"\xff\"", 1));
        assert!(!joins_plain_texts(b"\"\xc3\x01\xa9\"", 1));
    }

    #[test]
    fn what_is_plain() {
        for text in [
            "{}",
            " [ ] ",
            "null",
            "true",
            "false",
            "0",
            "-0",
            "12",
            "-1.50e+7",
            "1E5",
            "2e-1",
            r#""""#,
            r#""a\"\\\/\b\f\n\r\t\ud800 é""#,
            r#"{"a": [1, {"b": null}], "a":""}"#,
            "\r\n\t[[],{},\"x\" , 1]",
            "\"\u{7f}\u{ff}\"",
        ] {
            assert!(is_plain(text), "{text}");
        }
    }

    #[test]
    fn what_is_not() {
        for text in [
            "",
            " ",
            "{",
            "[",
            "]",
            "}",
            "[1",
            "[1,",
            "[1,]",
            "[,]",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{1:2}",
            "[1}",
            "{\"a\":1]",
            "01",
            "-",
            "-a",
            "+1",
            "1.",
            ".5",
            "1e",
            "1e+",
            "1.e5",
            "NaN",
            "Infinity",
            "-Infinity",
            "tru",
            "nulL",
            "{} {}",
            "1 2",
            "\u{feff}{}",
            "\u{a0}1",
            "\"",
            "\"a",
            "\"\\\"",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\\u12g4\"",
            "\"\t\"",
            "\"abcdefgh\n\"",
            "\"\0\"",
            "1\0",
            "\u{b}1",
            "'a'",
        ] {
            assert!(!is_plain(text), "{text:?}");
        }
    }

    #[test]
    fn what_loads_surely_refuses() {
        for (text, wanted) in [
            ("{}", Kind::Plain),
            ("", Kind::Cut(0)),
            ("[", Kind::Cut(1)),
            ("{\"a\": [{}, \"b", Kind::Cut(3)),
            ("{\"a\"", Kind::Cut(1)),
            ("{\"a\": 1", Kind::Cut(1)),
            ("{\"a\": 1, ", Kind::Cut(1)),
            ("{a", Kind::Broken),
            ("{'a': 1}", Kind::Broken),
            ("[None]", Kind::Unsure),
            ("[x]", Kind::Broken),
            ("[-Infinity", Kind::Unsure),
            ("[Infinity", Kind::Unsure),
            ("[tru", Kind::Broken),
            ("{} x", Kind::Broken),
            ("[\"\n", Kind::Broken),
        ] {
            assert_eq!(kind(text), wanted, "{text}");
        }
        assert_eq!(kind(&"[".repeat(51)), Kind::Unsure);
        assert_eq!(kind(&format!("[{}", "9".repeat(700))), Kind::Unsure);
    }

    #[test]
    fn limits() {
        let nested = |depth: usize| format!("{}1{}", "[{\"a\":".repeat(depth), "}]".repeat(depth));
        assert!(is_plain(&nested(25)));
        assert!(!is_plain(&nested(26)));
        assert!(is_plain(&format!("{}{}", "[".repeat(50), "]".repeat(50))));
        assert!(!is_plain(&format!("{}{}", "[".repeat(51), "]".repeat(51))));
        assert!(is_plain(&"9".repeat(MAX_DIGITS)));
        assert!(!is_plain(&"9".repeat(MAX_DIGITS + 1)));
        assert!(!is_plain(&format!("[-{}]", "9".repeat(700))));
    }

    #[test]
    fn what_ends_a_part_of_a_string_is_found_at_each_place() {
        for before in 0..20 {
            for byte in 0..=127u8 {
                let text = format!(
                    "\"{}{}{}\"",
                    "é".repeat(before),
                    byte as char,
                    "z".repeat(9)
                );
                let known = serde_json::from_str::<&RawValue>(&text).is_ok();
                assert_eq!(is_plain(&text), known, "{text:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn nothing_that_serde_refuses(text in r#"([\[\]{},:"\\ 0-9eE.+-]|"a"|"\\u00e9"|true|null|\{"b":|\[1,)*"#) {
            let known = serde_json::from_str::<&RawValue>(&text).is_ok();
            prop_assert_eq!(is_plain(&text), known);
        }
    }
}
