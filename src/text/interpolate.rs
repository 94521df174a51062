//! `{variable}` templates, with the result of replacing one variable after the other.

use memchr::memchr;

/// Larger results are left to Python, where running out of memory is an exception.
const MAX_RESULT: usize = 16 << 20;

/// The placeholders of a template, in order.
#[derive(Debug, PartialEq, Eq)]
pub struct Template<'a> {
    text: &'a str,
    /// Byte ranges of `{name}`, braces included; never overlapping.
    spans: Vec<(usize, usize)>,
    /// Whether some other `{` could become part of a placeholder once values are filled in.
    unstable: bool,
}

impl<'a> Template<'a> {
    pub fn parse(text: &'a str) -> Self {
        let bytes = text.as_bytes();
        let mut template = Template {
            text,
            spans: Vec::new(),
            unstable: false,
        };
        let mut from = 0;
        while let Some(open) = memchr(b'{', &bytes[from..]).map(|found| from + found) {
            let stop = name_end(bytes, open + 1);
            if is_placeholder(bytes, open, stop) {
                template.spans.push((open, stop + 1));
                from = stop + 1;
            } else {
                template.unstable |= joins_placeholder(bytes, stop);
                from = open + 1;
            }
        }
        template
    }

    /// The variable names, one for each occurrence.
    pub fn names(&self) -> impl Iterator<Item = &'a str> {
        let text = self.text;
        self.spans
            .iter()
            .map(move |&(start, end)| &text[start + 1..end - 1])
    }

    /// The text with `values[i]` for the i-th occurrence; `None` when it grows too large.
    ///
    /// All occurrences of one name must have the same value.
    pub fn render(&self, values: &[&str]) -> Option<String> {
        if self.unstable || values.iter().any(|v| memchr(b'{', v.as_bytes()).is_some()) {
            self.render_in_turn(values)
        } else {
            self.render_at_once(values)
        }
    }

    // Equal to `render_in_turn` as long as no `{` besides the placeholders' own can take part
    // in a placeholder: then replacing one never makes or unmakes another.
    fn render_at_once(&self, values: &[&str]) -> Option<String> {
        let filled: usize = values.iter().map(|value| value.len()).sum();
        let size = self.text.len().checked_add(filled)?;
        if size > MAX_RESULT {
            return None;
        }
        let mut out = String::with_capacity(size);
        let mut copied = 0;
        for (&(start, end), value) in self.spans.iter().zip(values) {
            out.push_str(&self.text[copied..start]);
            out.push_str(value);
            copied = end;
        }
        out.push_str(&self.text[copied..]);
        Some(out)
    }

    fn render_in_turn(&self, values: &[&str]) -> Option<String> {
        let mut out = self.text.to_owned();
        for (&(start, end), value) in self.spans.iter().zip(values) {
            let placeholder = &self.text[start..end];
            let count = out.matches(placeholder).count();
            if count == 0 {
                continue;
            }
            let grown = count.checked_mul(value.len())?.checked_add(out.len())?;
            if grown > MAX_RESULT {
                return None;
            }
            out = out.replace(placeholder, value);
        }
        Some(out)
    }
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

/// The first position from `at` on that is no part of a name.
fn name_end(bytes: &[u8], at: usize) -> usize {
    let rest = bytes.get(at..).unwrap_or_default();
    at + rest.iter().take_while(|&&byte| is_name_byte(byte)).count()
}

/// Whether `{` at `open`, with name characters up to `stop`, is a placeholder.
fn is_placeholder(bytes: &[u8], open: usize, stop: usize) -> bool {
    let starts_name = |byte: &u8| byte.is_ascii_alphabetic() || *byte == b'_';
    bytes.get(stop) == Some(&b'}') && bytes.get(open + 1).is_some_and(starts_name)
}

/// Whether a placeholder begins at `at`, directly after an unmatched `{` and its name
/// characters: its value may complete them to a new placeholder.
fn joins_placeholder(bytes: &[u8], at: usize) -> bool {
    bytes.get(at) == Some(&b'{') && is_placeholder(bytes, at, name_end(bytes, at + 1))
}

#[cfg(test)]
mod tests {
    use super::Template;
    use proptest::prelude::*;

    fn fill(text: &str, value_of: impl Fn(&str) -> &'static str) -> Option<String> {
        let template = Template::parse(text);
        let values: Vec<&str> = template.names().map(value_of).collect();
        template.render(&values)
    }

    #[test]
    fn names() {
        let names = |text| Template::parse(text).names().collect::<Vec<_>>();
        assert_eq!(names("{a} {b-1} {_x} {a}"), ["a", "b-1", "_x", "a"]);
        assert_eq!(names("{1a} {} {-a} {a b} {{a}} {a"), ["a"]);
        assert_eq!(names("{é} {aé} é{b}é"), ["b"]);
    }

    #[test]
    fn values_are_replaced_again() {
        let value = |name: &str| match name {
            "a" => "{b}",
            "b" => "B",
            _ => "",
        };
        assert_eq!(fill("{a}{b}", value).as_deref(), Some("BB"));
        assert_eq!(fill("{b}{a}", value).as_deref(), Some("B{b}"));
        assert_eq!(fill("{b}{a}{b}", value).as_deref(), Some("BBB"));
    }

    #[test]
    fn pieces_join() {
        let value = |name: &str| match name {
            "a" => "b",
            "c" => "}",
            _ => "B",
        };
        assert_eq!(fill("{{a}} {b}", value).as_deref(), Some("B B"));
        assert_eq!(fill("{b{c} {b}", value).as_deref(), Some("B B"));
        assert_eq!(
            fill("{\"k\": {a}} {b}", value).as_deref(),
            Some("{\"k\": b} B")
        );
    }

    #[test]
    fn explosions_are_refused() {
        assert_eq!(fill(&"{a}".repeat(40), |_| "{a}{a}"), None);
    }

    proptest! {
        #[test]
        fn both_ways_agree(
            text in "[{}ab1é \"-]{0,24}",
            a in "[}ab1 ]{0,3}",
            b in "[}ab1 ]{0,3}",
        ) {
            let template = Template::parse(&text);
            let values: Vec<&str> = template
                .names()
                .map(|name| if name.starts_with('a') { &a[..] } else { &b[..] })
                .collect();
            if !template.unstable {
                prop_assert_eq!(template.render_at_once(&values), template.render_in_turn(&values));
            }
        }
    }
}
