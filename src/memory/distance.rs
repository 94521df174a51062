//! Squared distances, by the very operations of Lance's flat search: sixteen sums side by side, no
//! fused multiplication, the rest of the vector last. So they are equal to the bit.

const LANES: usize = 16;

type Lanes = [f32; LANES];

/// Rows whose distances are computed together: their chains of additions don't wait for each other.
pub const TOGETHER: usize = 4;

/// Groups of lanes between two looks at whether the rows are too far already.
const STEP: usize = 4;

/// Sums of 16 numbers that aren't negative differ by less, whatever their order (20 / 2²⁴).
const ROUNDING: f32 = 1e-5;

/// A row's numbers: those that are looked at first, and the rest.
pub type Vector<'a> = (&'a [f32], &'a [f32]);

/// How many numbers of a row are kept apart, to be read without the rest: most rows are seen to be
/// too far by them. A multiple of all lanes of a step, or all numbers.
pub fn first_part(dim: usize) -> usize {
    let step = LANES * STEP;
    if dim < 4 * step {
        return dim;
    }
    (dim / 2).next_multiple_of(step)
}

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

    /// From each of four rows to the query; all have its length. All are infinite if each is more
    /// than `most`, and that was seen early.
    pub fn four(self, rows: [Vector<'_>; TOGETHER], query: &[f32], most: f32) -> [f32; TOGETHER] {
        match self {
            Kernel::Portable => squared(rows, query, most),
            // SAFETY: `best` has seen that the processor has these instructions.
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx2 => unsafe { avx2(rows, query, most) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx512 => unsafe { avx512(rows, query, most) },
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
unsafe fn avx2(rows: [Vector<'_>; TOGETHER], query: &[f32], most: f32) -> [f32; TOGETHER] {
    squared(rows, query, most)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
unsafe fn avx512(rows: [Vector<'_>; TOGETHER], query: &[f32], most: f32) -> [f32; TOGETHER] {
    squared(rows, query, most)
}

/// Whether the sum in the end will be more than `most`: no lane gets smaller, and neither does a
/// rounded sum of lanes.
#[inline(always)]
fn is_beyond(sum: &Lanes, most: f32) -> bool {
    let mut folded = *sum;
    for half in [8, 4, 2, 1] {
        for lane in 0..half {
            folded[lane] += folded[lane + half];
        }
    }
    folded[0] * (1.0 - ROUNDING) > most
}

/// Add what is whole lanes of a part; whether the rows are too far.
#[inline(always)]
fn adds(sums: &mut [Lanes; TOGETHER], rows: [&[f32]; TOGETHER], query: &[f32], most: f32) -> bool {
    let [mut w, mut x, mut y, mut z] = *sums; // one by one, so that they stay in registers
    let chunks = query.as_chunks::<LANES>().0;
    let [a, b, c, d] = rows.map(|row| row.as_chunks::<LANES>().0.chunks(STEP));
    for ((((q, a), b), c), d) in chunks.chunks(STEP).zip(a).zip(b).zip(c).zip(d) {
        for ((((q, a), b), c), d) in q.iter().zip(a).zip(b).zip(c).zip(d) {
            w = add(w, a, q);
            x = add(x, b, q);
            y = add(y, c, q);
            z = add(z, d, q);
        }
        let all = [w, x, y, z];
        if most < f32::INFINITY && all.iter().all(|sum| is_beyond(sum, most)) {
            return true;
        }
    }
    *sums = [w, x, y, z];
    false
}

#[inline(always)]
fn add(mut sum: Lanes, row: &Lanes, query: &Lanes) -> Lanes {
    for lane in 0..LANES {
        let difference = row[lane] - query[lane];
        sum[lane] += difference * difference;
    }
    sum
}

/// Plain loops that the compiler turns into the instructions its caller may use.
#[inline(always)]
fn squared(rows: [Vector<'_>; TOGETHER], query: &[f32], most: f32) -> [f32; TOGETHER] {
    let (first, last) = query.split_at(rows[0].0.len());
    let mut sums: [Lanes; TOGETHER] = [[0f32; LANES]; TOGETHER];
    if adds(&mut sums, rows.map(|row| row.0), first, most)
        || adds(&mut sums, rows.map(|row| row.1), last, most)
    {
        return [f32::INFINITY; TOGETHER];
    }
    let ends = rows.map(|row| if last.is_empty() { row.0 } else { row.1 });
    let rest = (if last.is_empty() { first } else { last })
        .as_chunks::<LANES>()
        .1;
    let mut out = [0f32; TOGETHER];
    for ((out, sum), row) in out.iter_mut().zip(sums).zip(ends) {
        let mut last = 0f32;
        for (x, q) in row.as_chunks::<LANES>().1.iter().zip(rest) {
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

    fn in_parts(row: &[f32]) -> Vector<'_> {
        row.split_at(first_part(row.len()))
    }

    #[test]
    fn the_first_part_is_of_whole_steps() {
        for dim in 1..3000 {
            let first = first_part(dim);
            assert!(
                first == dim || (first.is_multiple_of(LANES * STEP) && first < dim),
                "{dim}"
            );
        }
    }

    #[test]
    fn what_is_far_is_seen_early() {
        let (far, near, query) = ([2f32; 400], [0.1f32; 400], [0f32; 400]);
        let (far, near) = (in_parts(&far), in_parts(&near));
        for kernel in [Kernel::Portable, Kernel::best()] {
            assert_eq!(
                kernel.four([far; TOGETHER], &query, 300.0),
                [f32::INFINITY; TOGETHER]
            );
            let mixed = kernel.four([far, far, near, far], &query, 300.0);
            assert!(mixed.iter().all(|distance| distance.is_finite()));
        }
    }

    proptest! {
        #[test]
        fn every_kernel_is_equal_to_the_bit(
            values in proptest::collection::vec(-3f32..3f32, 5 * 37..=5 * 37), size in 1usize..=37,
        ) {
            let part = |i: usize| &values[i * 37..i * 37 + size];
            let rows = [part(1), part(2), part(3), part(4)];
            let expected = rows.map(|row| one_by_one(row, part(0)).to_bits());
            let rows = rows.map(in_parts);
            let mut kernels = vec![Kernel::Portable, Kernel::best()];
            #[cfg(target_arch = "x86_64")]
            if std::arch::is_x86_feature_detected!("avx2") {
                kernels.push(Kernel::Avx2);
            }
            for kernel in kernels {
                let found = kernel.four(rows, part(0), f32::INFINITY);
                prop_assert_eq!(found.map(f32::to_bits), expected);
            }
        }

        #[test]
        fn only_what_is_too_far_is_left_out(
            values in proptest::collection::vec(-3f32..3f32, 5 * 400..=5 * 400),
            size in 1usize..=400,
            near in 0f32..1.0,
            times in prop_oneof![0f32..1.5, Just(1.0), 0.99999f32..1.00001],
        ) {
            let part = |i: usize| &values[i * 400..i * 400 + size];
            let query = part(0);
            // Between the query and the values: each row is nearer than the one before.
            let rows = [1, 2, 3, 4].map(|i| {
                let nearness = near * i as f32 / 4.0;
                let pairs = part(i).iter().zip(query);
                pairs.map(|(x, q)| q + (x - q) * (1.0 - nearness)).collect::<Vec<_>>()
            });
            let rows = [&rows[0][..], &rows[1], &rows[2], &rows[3]];
            let expected = rows.map(|row| one_by_one(row, query));
            let rows = rows.map(in_parts);
            let most = times * expected.iter().fold(f32::INFINITY, |a, b| a.min(*b));
            let mut kernels = vec![Kernel::Portable, Kernel::best()];
            #[cfg(target_arch = "x86_64")]
            if std::arch::is_x86_feature_detected!("avx2") {
                kernels.push(Kernel::Avx2);
            }
            for kernel in kernels {
                let found = kernel.four(rows, query, most);
                if found == [f32::INFINITY; TOGETHER] {
                    prop_assert!(expected.iter().all(|distance| *distance > most));
                } else {
                    prop_assert_eq!(found.map(f32::to_bits), expected.map(f32::to_bits));
                }
            }
        }
    }
}
