//! SQLite's own `jsonb()` and `json()`, for Pythons whose SQLite lacks the former.

use super::pool::refused;
use crate::errors::Result;
use rusqlite::Connection;

/// The bytes that `jsonb(text)` stores.
pub fn encode(text: &str) -> Result<Vec<u8>> {
    let memory = Connection::open_in_memory().map_err(refused)?;
    memory
        .query_row("SELECT jsonb(?1)", [text], |row| row.get(0))
        .map_err(refused)
}

/// What `json()` makes of such bytes.
pub fn decode(blob: &[u8]) -> Result<String> {
    let memory = Connection::open_in_memory().map_err(refused)?;
    memory
        .query_row("SELECT json(?1)", [blob], |row| row.get(0))
        .map_err(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_comes_back() {
        for text in ["{}", "[1,\"a\",null]", "{\"ä\":[1.5,\"\\ud800\"]}"] {
            let blob = encode(text).ok();
            assert!(blob.as_deref().is_some_and(|b| b != text.as_bytes()));
            assert_eq!(blob.and_then(|b| decode(&b).ok()).as_deref(), Some(text));
        }
    }

    #[test]
    fn what_is_no_json_is_refused() {
        assert!(encode("{").is_err());
        assert!(decode(&[0xff, 1, 2]).is_err());
    }
}
