//! Cosine similarity of two vectors, by the operations of `EncodingFlow._cosine_similarity`.

/// How Python's `sum` adds floats.
#[derive(Clone, Copy, Debug)]
pub enum Sum {
    /// CPython up to 3.11: from left to right.
    Plain,
    /// CPython 3.12 and later: Neumaier's compensated summation.
    Compensated,
}

impl Sum {
    /// `sum(x * y for x, y in zip(a, b))`.
    pub fn products(self, a: &[f64], b: &[f64]) -> f64 {
        let products = a.iter().zip(b).map(|(x, y)| x * y);
        match self {
            Sum::Plain => products.fold(0.0, |sum, value| sum + value),
            Sum::Compensated => compensated(products),
        }
    }

    pub fn cosine(self, a: &[f64], b: &[f64]) -> f64 {
        if a.len() != b.len() || a.is_empty() {
            return 0.0;
        }
        let product = self.products(a, b);
        let norms = [a, b].map(|v| self.products(v, v).sqrt());
        if norms.contains(&0.0) {
            return 0.0;
        }
        product / (norms[0] * norms[1])
    }
}

fn compensated(values: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, mut lost) = (0.0f64, 0.0f64);
    for value in values {
        let next = sum + value;
        lost += if sum.abs() >= value.abs() {
            (sum - next) + value
        } else {
            (value - next) + sum
        };
        sum = next;
    }
    if lost != 0.0 && lost.is_finite() {
        sum += lost;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compensation_finds_what_is_lost() {
        let (a, ones) = ([1e100, 1.0, -1e100], [1.0; 3]);
        assert_eq!(Sum::Plain.products(&a, &ones), 0.0);
        assert_eq!(Sum::Compensated.products(&a, &ones), 1.0);
    }

    #[test]
    fn what_has_no_direction_is_like_nothing() {
        for sum in [Sum::Plain, Sum::Compensated] {
            assert_eq!(sum.cosine(&[], &[]), 0.0);
            assert_eq!(sum.cosine(&[1.0], &[1.0, 2.0]), 0.0);
            assert_eq!(sum.cosine(&[0.0, 0.0], &[1.0, 2.0]), 0.0);
            assert_eq!(sum.cosine(&[3.0, 4.0], &[3.0, 4.0]), 1.0);
        }
    }
}
