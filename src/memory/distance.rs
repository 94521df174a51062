//! Squared distances, by the very operations of Lance's flat search: sixteen sums side by side, no
//! fused multiplication, the rest of the vector last. So they are equal to the bit.

const LANES: usize = 16;

/// Rows whose distances are computed together: their chains of additions don't wait for each other.
pub const TOGETHER: usize = 4;

/// How this processor computes them; chosen once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernel {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Kernel {
    pub fn best() -> Kernel {
        #[cfg(target_arch = "x86_64")]
        {
            if std::arch::is_x86_feature_detected!("avx512f") {
                return Kernel::Avx512;
            }
            if std::arch::is_x86_feature_detected!("avx2") {
                return Kernel::Avx2;
            }
        }
        Kernel::Portable
    }

    /// From each of four rows to the query; all have its length.
    pub fn four(self, rows: [&[f32]; TOGETHER], query: &[f32]) -> [f32; TOGETHER] {
        match self {
            Kernel::Portable => squared(rows, query),
            // SAFETY: `best` has seen that the processor has these instructions.
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx2 => unsafe { avx2(rows, query) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx512 => unsafe { avx512(rows, query) },
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
unsafe fn avx2(rows: [&[f32]; TOGETHER], query: &[f32]) -> [f32; TOGETHER] {
    squared(rows, query)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
unsafe fn avx512(rows: [&[f32]; TOGETHER], query: &[f32]) -> [f32; TOGETHER] {
    squared(rows, query)
}

/// Plain loops that the compiler turns into the instructions its caller may use.
#[inline(always)]
fn squared(rows: [&[f32]; TOGETHER], query: &[f32]) -> [f32; TOGETHER] {
    let (chunks, rest) = query.as_chunks::<LANES>();
    let [a, b, c, d] = rows.map(|row| row.as_chunks::<LANES>());
    let mut sums = [[0f32; LANES]; TOGETHER];
    for ((((q, a), b), c), d) in chunks.iter().zip(a.0).zip(b.0).zip(c.0).zip(d.0) {
        for (sum, row) in sums.iter_mut().zip([a, b, c, d]) {
            for lane in 0..LANES {
                let difference = row[lane] - q[lane];
                sum[lane] += difference * difference;
            }
        }
    }
    let mut out = [0f32; TOGETHER];
    for ((out, sum), row) in out.iter_mut().zip(sums).zip([a.1, b.1, c.1, d.1]) {
        let mut last = 0f32;
        for (x, q) in row.iter().zip(rest) {
            let difference = x - q;
            last += difference * difference;
        }
        let mut total = 0f32;
        for lane in sum {
            total += lane;
        }
        *out = last + total;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one_by_one(row: &[f32], query: &[f32]) -> f32 {
        let whole = query.len() / LANES * LANES;
        let mut sums = [0f32; LANES];
        for i in 0..whole {
            sums[i % LANES] += (row[i] - query[i]) * (row[i] - query[i]);
        }
        let rest = (whole..query.len()).map(|i| (row[i] - query[i]) * (row[i] - query[i]));
        rest.fold(0.0, |a, b| a + b) + sums.iter().fold(0.0, |a, b| a + b)
    }

    proptest! {
        #[test]
        fn every_kernel_is_equal_to_the_bit(
            values in proptest::collection::vec(-3f32..3f32, 5 * 37..=5 * 37), size in 1usize..=37,
        ) {
            let part = |i: usize| &values[i * 37..i * 37 + size];
            let rows = [part(1), part(2), part(3), part(4)];
            let expected = rows.map(|row| one_by_one(row, part(0)).to_bits());
            let mut kernels = vec![Kernel::Portable, Kernel::best()];
            #[cfg(target_arch = "x86_64")]
            if std::arch::is_x86_feature_detected!("avx2") {
                kernels.push(Kernel::Avx2);
            }
            for kernel in kernels {
                prop_assert_eq!(kernel.four(rows, part(0)).map(f32::to_bits), expected);
            }
        }
    }
}
