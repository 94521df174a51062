//! Tool names as model providers accept them: lower case, digits, single underscores.

/// The sanitized form of an ASCII name, or `None` when it needs the original's
/// Unicode normalisation or its hashed suffix (longer than `max_length`).
pub fn sanitize(name: &str, max_length: i64) -> Option<String> {
    if !name.is_ascii() {
        return None;
    }
    let bytes = name.as_bytes();
    let mut out = String::with_capacity(bytes.len() + 8);
    let mut gap = false;
    for (i, &byte) in bytes.iter().enumerate() {
        gap |= starts_word(bytes, i);
        if byte.is_ascii_alphanumeric() {
            if gap && !out.is_empty() {
                out.push('_');
            }
            gap = false;
            out.push(char::from(byte.to_ascii_lowercase()));
        } else if byte != b'\'' && byte != b'"' {
            gap = true;
        }
    }
    let fits = i64::try_from(out.len()).is_ok_and(|length| length <= max_length);
    fits.then_some(out)
}

/// Whether camel case begins a new word at `i`: `aB`, or the `C` of `ABCd`.
fn starts_word(bytes: &[u8], i: usize) -> bool {
    if i == 0 || !bytes[i].is_ascii_uppercase() {
        return false;
    }
    let before = bytes[i - 1];
    let lower_next = bytes.get(i + 1).is_some_and(u8::is_ascii_lowercase);
    before.is_ascii_lowercase() || (before.is_ascii_uppercase() && lower_next)
}

#[cfg(test)]
mod tests {
    use super::sanitize;
    use proptest::prelude::*;

    #[test]
    fn table() {
        for (name, expected) in [
            ("", ""),
            ("Search the web", "search_the_web"),
            ("getHTTPResponse", "get_http_response"),
            ("HTTPServer", "http_server"),
            ("ABc", "a_bc"),
            ("aBcD", "a_bc_d"),
            ("a'B", "ab"),
            ("Bob's \"tool\"", "bobs_tool"),
            ("__a--b__", "a_b"),
            ("tool2Use", "tool2use"),
            ("'''", ""),
            ("a\n\tb\0c", "a_b_c"),
        ] {
            assert_eq!(sanitize(name, 64).as_deref(), Some(expected), "{name:?}");
        }
    }

    #[test]
    fn limits() {
        assert_eq!(sanitize("abc", 3).as_deref(), Some("abc"));
        assert_eq!(sanitize("abc", 2), None);
        assert_eq!(sanitize("", -1), None);
        assert_eq!(sanitize("é", 64), None);
    }

    proptest! {
        #[test]
        fn shape(name in "[ -~]{0,80}") {
            if let Some(out) = sanitize(&name, 200) {
                let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
                prop_assert!(out.bytes().all(plain));
                prop_assert!(!out.contains("__"));
                prop_assert!(!out.starts_with('_') && !out.ends_with('_'));
                prop_assert_eq!(sanitize(&out, 200), Some(out.clone()));
            }
        }
    }
}
