//! The texts of a row as `_record_to_row` writes them: what they say, without Python.

use crate::json::plain::is_plain;

/// Longer ones are left to Python.
const SHORT: usize = 4000;

/// `2026-11-26T03:00:00`, perhaps with six digits of a second's fraction; a day that exists.
pub fn is_time(text: &str) -> bool {
    const FORM: &[u8] = b"0000-00-00T00:00:00.000000";
    let text = text.as_bytes();
    let fits = |(at, form): (&u8, &u8)| match form {
        b'0' => at.is_ascii_digit(),
        form => at == form,
    };
    if !(text.len() == 19 || text.len() == 26) || !text.iter().zip(FORM).all(fits) {
        return false;
    }
    let number = |from: usize, to: usize| {
        let digits = text[from..to].iter();
        digits.fold(0u32, |sum, digit| sum * 10 + u32::from(digit - b'0'))
    };
    let (year, month, day) = (number(0, 4), number(5, 7), number(8, 10));
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return false,
    };
    year > 0
        && (1..=days).contains(&day)
        && number(11, 13) < 24
        && number(14, 16) < 60
        && number(17, 19) < 60
}

/// The strings of a JSON list (none for an empty text); None for anything else.
pub fn labels(text: &str) -> Option<Vec<String>> {
    if text.is_empty() {
        return Some(Vec::new());
    }
    serde_json::from_str(text).ok()
}

/// Whether Python reads a dict that has strings of Unicode as keys, or nothing.
pub fn is_dict(text: &str) -> bool {
    if text.is_empty() || text == "{}" {
        return true;
    }
    text.starts_with('{')
        && text.len() <= SHORT
        && !text.contains("\\ud") // a half of a pair is no Unicode
        && !text.contains("\\uD")
        && is_plain(text) // whatever limit Python has for digits
}

#[cfg(test)]
mod tests {
    use super::{is_dict, is_time, labels};

    #[test]
    fn times_are_those_that_python_writes() {
        for good in [
            "2026-11-26T03:00:00",
            "0001-01-01T00:00:00",
            "2024-02-29T23:59:59.000001",
            "2000-02-29T00:00:00",
        ] {
            assert!(is_time(good), "{good}");
        }
        for bad in [
            "",
            "2026-11-26",
            "2026-11-26 03:00:00",
            "2026-11-26T03:00:00Z",
            "2026-11-26T03:00:00.001",
            "2026-02-29T00:00:00",
            "1900-02-29T00:00:00",
            "2026-13-01T00:00:00",
            "2026-00-01T00:00:00",
            "2026-04-31T00:00:00",
            "2026-04-00T00:00:00",
            "0000-01-01T00:00:00",
            "2026-11-26T24:00:00",
            "2026-11-26T03:60:00",
            "2026-11-26T03:00:60",
            "2026-11-26T03:00:0a",
            "2026-11-26T03:00:00.0000000",
        ] {
            assert!(!is_time(bad), "{bad}");
        }
    }

    #[test]
    fn labels_are_read_as_by_python() {
        for (text, expected) in [
            ("", vec![]),
            ("[]", vec![]),
            (r#"["a"]"#, vec!["a"]),
            (r#" ["a","", "é, ü"]"#, vec!["a", "", "é, ü"]),
            (
                r#"["[\"]", "\u00e9\ud83d\ude00\u0000"]"#,
                vec!["[\"]", "é😀\0"],
            ),
        ] {
            assert_eq!(labels(text).unwrap_or_default(), expected, "{text}");
        }
        for bad in [
            "[",
            "[\"]",
            "{}",
            "null",
            "\"a\"",
            r#"["a", 1]"#,
            r#"["a", null]"#,
            r#"["a", "b"#,
            r#"[["a"]]"#,
            "[\"a\nb\"]",
            r#"["\ud800"]"#,
            r#"["a"] ,"#,
        ] {
            assert_eq!(labels(bad), None, "{bad}");
        }
    }

    #[test]
    fn dicts_are_known() {
        for good in [
            "",
            "{}",
            r#"{"k": 1}"#,
            r#"{"k": [1, {"n": null}], "é": "\u00e9"}"#,
        ] {
            assert!(is_dict(good), "{good}");
        }
        for bad in [
            "[]",
            "null",
            "{",
            r#"{"k": 1"#,
            r#"{"k": 1} 2"#,
            r#"{"k": NaN}"#,
            r#"{"\ud800": 1}"#,
            r#"{"\uDBFF": 1}"#,
            " {}",
        ] {
            assert!(!is_dict(bad), "{bad}");
        }
        let digits = "9".repeat(641); // what Python may be told to refuse
        assert!(!is_dict(&format!(r#"{{"k": {digits}}}"#)));
        assert!(!is_dict(&format!("{{\"k\": {}}}", "1".repeat(4301))));
    }
}
