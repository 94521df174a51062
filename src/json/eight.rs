//! Eight bytes at a time. The lowest bit of a result is exact; those above it may be wrong.

const LOW: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// Marks bytes below a space.
pub fn control(word: u64) -> u64 {
    word.wrapping_sub(LOW * 0x20) & !word & HIGH
}

/// Marks the bytes that are this one.
pub fn equal(word: u64, byte: u8) -> u64 {
    let word = word ^ (LOW * u64::from(byte));
    word.wrapping_sub(LOW) & !word & HIGH
}

/// Where the first byte is that isn't written as it is: all but printable ASCII, `"` and `\`.
#[cfg(any(test, feature = "python"))]
pub fn first_escaped(text: &[u8]) -> Option<usize> {
    let (mut at, mut rest) = (0, text);
    while let Some((chunk, behind)) = rest.split_first_chunk::<8>() {
        let word = u64::from_le_bytes(*chunk);
        let quotes = equal(word, b'"') | equal(word, b'\\');
        if (word & HIGH) | control(word) | quotes | equal(word, 0x7f) != 0 {
            break; // one of these eight
        }
        (at, rest) = (at + 8, behind);
    }
    let escaped = |byte: &u8| !matches!(byte, b' '..=b'~') || matches!(byte, b'"' | b'\\');
    rest.iter().position(escaped).map(|found| at + found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_byte_is_found_at_each_place() {
        for place in 0..20 {
            for byte in 0..=255u8 {
                let mut text = vec![b'x'; 20];
                if let Some(at) = text.get_mut(place) {
                    *at = byte;
                }
                let ordinary = (b' '..=b'~').contains(&byte) && byte != b'"' && byte != b'\\';
                let wanted = (!ordinary).then_some(place);
                assert_eq!(first_escaped(&text), wanted, "{byte} at {place}");
            }
        }
        assert_eq!(first_escaped(b"0123456789\x80\x01\""), Some(10));
        assert_eq!(first_escaped(b""), None);
    }
}
