//! Latency histograms: log-linear, mergeable, exact where it costs nothing.
//!
//! Think of floating-point numbers with seven bits after the point: each octave from 2^e to 2^(e+1) nanoseconds is
//! cut into 128 buckets of equal width. So a bucket is never wider than 1/128 (0.79 %) of the values in it, whether
//! they are microseconds or hours, and values below 256 ns have a bucket each. The scheme is that of HdrHistogram
//! (Tene), without a range to be set beforehand.
//!
//! Invariants: count, sum, sum of squares, least and greatest are exact integers, and merging adds integers, so the
//! order of merging never shows in a result. Octaves outside those that hold values take no memory: 512 bytes per
//! octave between the least and the greatest, about 5 KiB for latencies from 1 ms to 1 s; nothing while empty; 30 KiB
//! at most. Counts of buckets are half words; what is beyond 2^32 is kept apart. A bit for each bucket says whether it
//! is in use: a second's worth of values fills few of them, and every second they are merged, cleared and asked for
//! quantiles. What a run plays is counted by a tally in front of it, which has a byte for a bucket.

use serde::{Deserialize, Serialize};

/// Buckets per octave, as a power of two.
pub(super) const SUB_BITS: u32 = 7;
/// Buckets per octave.
pub(super) const SUB: usize = 1 << SUB_BITS;
/// Buckets that share a word of bits.
pub(super) const WORD: usize = u64::BITS as usize;
/// So many buckets of a word in use, and it is quicker to go through all of them than from bit to bit.
const DENSE: u32 = 10;

/// A histogram of lengths of time in whole nanoseconds, of any size up to `u64::MAX`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Histogram {
    /// Counts of the buckets from number `first` on; `first` and the length are whole octaves.
    buckets: Vec<u32>,
    /// How many times 2^32 more were counted in which bucket, if any.
    over: Vec<(usize, u64)>,
    /// One bit for each bucket, set if it is not empty; lowest bit first.
    used: Vec<u64>,
    first: usize,
    count: u64,
    sum_ns: u128,
    /// In ns²; saturates, which takes 2^16 values of 833 days.
    sum_squares: u128,
    min_ns: u64,
    max_ns: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            buckets: Vec::new(),
            over: Vec::new(),
            used: Vec::new(),
            first: 0,
            count: 0,
            sum_ns: 0,
            sum_squares: 0,
            min_ns: u64::MAX,
            max_ns: 0,
        }
    }
}

/// The number of the bucket of `ns`, counted from zero upwards without gaps.
#[inline]
pub(super) fn bucket_of(ns: u64) -> usize {
    // How many low bits the bucket ignores: none below 256 ns.
    let ignored = (ns | SUB as u64).ilog2() - SUB_BITS;
    ((ignored as usize) << SUB_BITS) + (ns >> ignored) as usize
}

/// The least value of a bucket, and how many values it has.
fn bounds_of(bucket: usize) -> (u64, u64) {
    let ignored = (bucket >> SUB_BITS).saturating_sub(1);
    (((bucket - (ignored << SUB_BITS)) as u64) << ignored, 1 << ignored)
}

impl Histogram {
    /// An empty histogram. Allocates nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts one value of `ns` nanoseconds.
    #[inline]
    pub fn record(&mut self, ns: u64) {
        self.record_n(ns, 1);
    }

    /// So many times 2^32 more were counted in a bucket.
    #[cold]
    #[inline(never)]
    fn carry(&mut self, bucket: usize, times: u64) {
        match self.over.iter_mut().find(|(over, _)| *over == bucket) {
            Some((_, known)) => *known += times,
            None => self.over.push((bucket, times)),
        }
    }

    /// How many values were counted in the bucket of this index.
    #[inline]
    fn counted(&self, index: usize) -> u64 {
        let counted = u64::from(self.buckets[index]);
        if self.over.is_empty() {
            return counted;
        }
        let over = self.over.iter().find(|(bucket, _)| *bucket == self.first + index);
        counted + over.map_or(0, |(_, times)| times << u32::BITS)
    }

    /// Notes that a bucket is in use.
    #[inline]
    fn mark(&mut self, index: usize) {
        self.used[index / WORD] |= 1 << (index % WORD);
    }

    /// Counts `n` values of `ns` nanoseconds each.
    #[inline]
    pub fn record_n(&mut self, ns: u64, n: u64) {
        if n == 0 {
            return;
        }
        let (value, times) = (u128::from(ns), u128::from(n));
        self.count += n;
        self.sum_ns += value * times;
        self.sum_squares = self.sum_squares.saturating_add((value * value).saturating_mul(times));
        self.min_ns = self.min_ns.min(ns);
        self.max_ns = self.max_ns.max(ns);
        self.add(bucket_of(ns), n);
    }

    /// Counts all that `other` has counted.
    pub fn merge(&mut self, other: &Self) {
        let fits = self.count.saturating_add(other.count) <= u64::from(u32::MAX);
        self.count += other.count;
        self.sum_ns += other.sum_ns;
        self.sum_squares = self.sum_squares.saturating_add(other.sum_squares);
        self.min_ns = self.min_ns.min(other.min_ns);
        self.max_ns = self.max_ns.max(other.max_ns);
        let (Some(from), Some(to)) =
            (other.used.iter().position(|u| *u != 0), other.used.iter().rposition(|u| *u != 0))
        else {
            return;
        };
        for word in [from, to] {
            let bucket = other.first + word * WORD;
            if bucket.wrapping_sub(self.first) >= self.buckets.len() {
                self.grow(bucket);
            }
        }
        if !fits {
            return other.nonempty().for_each(|(bucket, n)| self.add(bucket, n));
        }
        // Whole octaves are whole words.
        let start = (other.first + from * WORD - self.first) / WORD;
        let theirs = other.used[from..=to].iter().zip(other.buckets[from * WORD..].chunks_exact(WORD));
        let mine = self.used[start..].iter_mut().zip(self.buckets[start * WORD..].chunks_exact_mut(WORD));
        for ((used, counts), (more, added)) in mine.zip(theirs) {
            *used |= more;
            if more.count_ones() > DENSE {
                counts.iter_mut().zip(added).for_each(|(mine, theirs)| *mine += theirs);
            } else {
                bits_of(*more).for_each(|bit| counts[bit] += added[bit]);
            }
        }
    }

    /// Forgets all values and keeps the memory.
    pub fn clear(&mut self) {
        let (mut buckets, mut used) = (std::mem::take(&mut self.buckets), std::mem::take(&mut self.used));
        let mut over = std::mem::take(&mut self.over);
        over.clear();
        for (used, counts) in used.iter_mut().zip(buckets.chunks_exact_mut(WORD)) {
            if *used != 0 {
                *used = 0;
                counts.fill(0);
            }
        }
        *self = Self { buckets, over, used, first: self.first, ..Self::default() };
    }

    /// How many values were counted.
    #[inline]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Whether nothing was counted.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The sum of all values, in nanoseconds; exact.
    pub fn sum_ns(&self) -> u128 {
        self.sum_ns
    }

    /// The least value, in nanoseconds; exact.
    pub fn min_ns(&self) -> Option<u64> {
        (self.count > 0).then_some(self.min_ns)
    }

    /// The greatest value, in nanoseconds; exact.
    pub fn max_ns(&self) -> Option<u64> {
        (self.count > 0).then_some(self.max_ns)
    }

    /// The mean, in seconds; exact but for the last rounding.
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum_ns as f64 / self.count as f64 / 1e9)
    }

    /// The variance with divisor n - 1, in s². None below two values, or if the sum of squares has overflowed.
    ///
    /// With m the mean rounded down and r the remainder, sum (x - m)² = sum x² - m (sum x + r) in whole numbers, from
    /// which r²/n leads to the sum about the true mean: no digits cancel.
    pub fn variance(&self) -> Option<f64> {
        if self.count < 2 || self.sum_squares == u128::MAX {
            return None;
        }
        let n = u128::from(self.count);
        let (mean, rest) = (self.sum_ns / n, self.sum_ns % n);
        let about_mean = self.sum_squares - mean.checked_mul(self.sum_ns + rest)?;
        let squares = about_mean as f64 - rest as f64 * (rest as f64 / n as f64);
        Some(squares.max(0.0) / (n - 1) as f64 / 1e18)
    }

    /// The quantile of order `p` in [0, 1], in seconds: the value of rank ceil(p n), for which the values of its bucket
    /// are taken to be spread evenly over it.
    ///
    /// Off by less than the width of the bucket, 0.79 %, whatever the values; by half of that if the value is alone in
    /// its bucket; by much less if they are many and smooth. The least and the greatest value are exact.
    pub fn quantile(&self, p: f64) -> Option<f64> {
        debug_assert!((0.0..=1.0).contains(&p), "{p} is not a probability");
        // The product is off by a few units in its last place: 0.07 x 100 must be rank 7, not 8.
        let rank = ((p * self.count as f64 * (1.0 - 1e-14)).ceil() as u64).clamp(1, self.count.max(1));
        if rank == 1 || rank == self.count {
            let ns = if rank == self.count { self.max_ns() } else { self.min_ns() };
            return ns.map(seconds);
        }
        let (bucket, n, below) = self.bucket_of_rank(rank)?;
        let (least, width) = bounds_of(bucket);
        // The k-th of n values that share a bucket is taken to be in the middle of the k-th of n parts.
        let part = ((rank - below) as f64 - 0.5) / n as f64;
        let ns = least as f64 + (width - 1) as f64 * part;
        Some(ns.clamp(self.min_ns as f64, self.max_ns as f64) / 1e9)
    }

    /// The bucket of the value of that rank, how many values it has, and how many are in buckets below it. Searched
    /// from the top, as most questions are about the tail.
    fn bucket_of_rank(&self, rank: u64) -> Option<(usize, u64, u64)> {
        let mut below = self.count;
        for (word, (&used, counts)) in self.used.iter().zip(self.buckets.chunks_exact(WORD)).enumerate().rev()
        {
            if used.count_ones() > DENSE && self.over.is_empty() {
                let sum: u64 = counts.iter().map(|n| u64::from(*n)).sum();
                if below - sum >= rank {
                    below -= sum;
                    continue;
                }
            }
            let mut bits = used;
            while bits != 0 {
                let bit = bits.ilog2() as usize;
                bits ^= 1 << bit;
                let index = word * WORD + bit;
                let n = self.counted(index);
                below -= n;
                if below < rank {
                    return Some((self.first + index, n, below));
                }
            }
        }
        None
    }

    /// The fraction of values greater than `threshold_ns`. Exact if the threshold is the last value of its bucket;
    /// otherwise values in that bucket are taken to be spread evenly over it. To be exact at a limit, count at it.
    pub fn fraction_above(&self, threshold_ns: u64) -> Option<f64> {
        if self.count == 0 || threshold_ns < self.min_ns || threshold_ns >= self.max_ns {
            return (self.count > 0).then_some(if threshold_ns < self.min_ns { 1.0 } else { 0.0 });
        }
        let limit = bucket_of(threshold_ns);
        let mut above = 0.0;
        for (bucket, n) in self.nonempty().filter(|&(bucket, _)| bucket >= limit) {
            let (least, width) = bounds_of(bucket);
            let part =
                if bucket > limit { 1.0 } else { (width - 1 - (threshold_ns - least)) as f64 / width as f64 };
            above += n as f64 * part;
        }
        Some(above / self.count as f64)
    }

    /// Points of the complementary distribution for plots, from the least value up: (seconds, fraction of values
    /// greater than that). Exact; one point at the upper end of each bucket in use, the last at the greatest value with
    /// fraction zero, and one just below a bucket above an empty one: straight lines between the points
    /// do not cut across gaps.
    pub fn ccdf(&self) -> impl Iterator<Item = (f64, f64)> {
        let mut above = self.count;
        let mut below = None;
        self.nonempty().flat_map(move |(bucket, n)| {
            let (least, width) = bounds_of(bucket);
            let fraction = above as f64 / self.count as f64;
            let gap = below.is_some_and(|b| b + 1 < bucket).then(|| (seconds(least - 1), fraction));
            below = Some(bucket);
            above -= n;
            let end = (seconds((least + (width - 1)).min(self.max_ns)), above as f64 / self.count as f64);
            gap.into_iter().chain([end])
        })
    }

    /// The memory in use, in bytes.
    pub fn memory_bytes(&self) -> usize {
        size_of::<Self>()
            + self.buckets.capacity() * size_of::<u32>()
            + self.used.capacity() * size_of::<u64>()
            + self.over.capacity() * size_of::<(usize, u64)>()
    }

    /// Buckets in use with their counts, in order of value.
    fn nonempty(&self) -> impl Iterator<Item = (usize, u64)> {
        self.used.iter().enumerate().flat_map(move |(word, &used)| {
            bits_of(used).map(move |bit| (self.first + word * WORD + bit, self.counted(word * WORD + bit)))
        })
    }

    /// Counts `n` values in a bucket, of which nothing is said but that.
    pub(super) fn count_in(&mut self, bucket: usize, n: u64) {
        self.count += n;
        self.add(bucket, n);
    }

    /// The same for the buckets of a word, of which the first has this number; some of them have values.
    pub(super) fn count_word(&mut self, first: usize, counts: &[u8; WORD]) {
        let n: u16 = counts.iter().map(|n| u16::from(*n)).sum();
        if self.count + u64::from(n) > u64::from(u32::MAX) {
            let some = (first..).zip(counts).filter(|(_, n)| **n > 0);
            return some.for_each(|(bucket, n)| self.count_in(bucket, u64::from(*n)));
        }
        if first.wrapping_sub(self.first) >= self.buckets.len() {
            self.grow(first);
        }
        let word = (first - self.first) / WORD;
        let mine = &mut self.buckets[word * WORD..][..WORD];
        mine.iter_mut().zip(counts).for_each(|(mine, n)| *mine += u32::from(*n));
        let eights = counts.as_chunks().0.iter().rev();
        self.used[word] |= eights.fold(0, |used, eight| used << 8 | in_use(u64::from_le_bytes(*eight)));
        self.count += u64::from(n);
    }

    /// What is to be said of values that were counted so: their sum, that of their squares, the least, the greatest.
    pub(super) fn add_moments(&mut self, (sum, squares): (u128, u128), (least, greatest): (u64, u64)) {
        self.sum_ns += sum;
        self.sum_squares = self.sum_squares.saturating_add(squares);
        self.min_ns = self.min_ns.min(least);
        self.max_ns = self.max_ns.max(greatest);
    }

    /// Counts `n` values in a bucket.
    #[inline]
    fn add(&mut self, bucket: usize, n: u64) {
        // Below `first` the difference wraps and is out of range too.
        if bucket.wrapping_sub(self.first) >= self.buckets.len() {
            self.grow(bucket);
        }
        let index = bucket - self.first;
        let sum = u64::from(self.buckets[index]) + n;
        self.buckets[index] = sum as u32;
        self.mark(index);
        if sum >> u32::BITS != 0 {
            self.carry(bucket, sum >> u32::BITS);
        }
    }

    /// Makes room for the octave of `bucket`, and for all between it and those in use.
    #[cold]
    fn grow(&mut self, bucket: usize) {
        let octave = bucket / SUB * SUB;
        if self.buckets.is_empty() {
            self.first = octave;
        }
        let first = self.first.min(octave);
        let end = (self.first + self.buckets.len()).max(octave + SUB);
        let mut grown = Vec::with_capacity(end - first);
        grown.resize(self.first - first, 0);
        grown.append(&mut self.buckets);
        grown.resize(end - first, 0);
        // Whole octaves are whole words.
        let mut used = vec![0; (self.first - first) / WORD];
        used.append(&mut self.used);
        used.resize((end - first) / WORD, 0);
        (self.buckets, self.used, self.first) = (grown, used, first);
    }
}

/// A bit for each of eight bytes, lowest first, set if it is not zero.
fn in_use(bytes: u64) -> u64 {
    const LOW: u64 = u64::from_ne_bytes([0x7f; 8]);
    // The highest bit of a byte is set if any is; the product brings all of them together.
    let highest = (((bytes & LOW) + LOW) | bytes) & !LOW;
    (highest >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56
}

/// The numbers of the bits that are set, from the lowest up.
fn bits_of(mut bits: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let bit = (bits != 0).then(|| bits.trailing_zeros() as usize)?;
        bits &= bits - 1;
        Some(bit)
    })
}

fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn histogram(values: &[u64]) -> Histogram {
        let mut h = Histogram::new();
        values.iter().for_each(|&ns| h.record(ns));
        h
    }

    /// All that a histogram can be asked, as bits.
    fn facts(h: &Histogram) -> Vec<u64> {
        let quantiles = (0..=20).map(|i| h.quantile(f64::from(i) / 20.0));
        let moments = [h.mean(), h.variance(), h.fraction_above(1_000_000), Some(h.count() as f64)];
        let points = h.ccdf().flat_map(|(x, y)| [Some(x), Some(y)]);
        quantiles.chain(moments).chain(points).map(|x| x.map_or(u64::MAX, f64::to_bits)).collect()
    }

    #[test]
    fn buckets_follow_one_another_without_gaps() {
        let mut next = 0u128;
        for bucket in 0..=bucket_of(u64::MAX) {
            let (least, width) = bounds_of(bucket);
            assert_eq!(u128::from(least), next);
            assert_eq!(bucket_of(least), bucket);
            assert_eq!(bucket_of(least + (width - 1)), bucket);
            assert!(width == 1 || width * 128 <= least);
            next = u128::from(least) + u128::from(width);
        }
        assert_eq!(next, 1 << 64);
    }

    #[test]
    fn empty_knows_nothing_and_owns_nothing() {
        let h = Histogram::new();
        assert_eq!((h.count(), h.mean(), h.variance(), h.quantile(0.5)), (0, None, None, None));
        assert_eq!((h.min_ns(), h.max_ns(), h.fraction_above(0)), (None, None, None));
        assert_eq!(h.ccdf().count(), 0);
        assert_eq!(h.memory_bytes(), size_of::<Histogram>());
    }

    #[test]
    fn extremes() {
        let mut h = histogram(&[0, u64::MAX]);
        assert_eq!((h.min_ns(), h.max_ns()), (Some(0), Some(u64::MAX)));
        assert_eq!((h.quantile(0.0), h.quantile(0.5)), (Some(0.0), Some(0.0)));
        assert_eq!(h.quantile(1.0), Some(u64::MAX as f64 / 1e9));
        assert_eq!(h.fraction_above(0), Some(0.5));
        assert_eq!(h.fraction_above(u64::MAX), Some(0.0));
        assert_eq!(h.ccdf().last(), Some((u64::MAX as f64 / 1e9, 0.0)));
        assert!(h.variance().is_some());
        h.record(u64::MAX);
        assert_eq!(h.variance(), None);
        assert!(h.memory_bytes() < 32_000);
    }

    #[test]
    fn small_and_constant_values_are_exact() {
        let h = histogram(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
        for rank in 1..=10u32 {
            assert_eq!(h.quantile(f64::from(rank) / 10.0), Some(f64::from(rank) / 1e9));
        }
        assert_eq!(h.fraction_above(7), Some(0.3));
        assert!((h.variance().unwrap() * 1e18 - 55.0 / 6.0).abs() < 1e-12);

        let mut h = Histogram::new();
        h.record_n(47_000_000_001, 1_000);
        assert_eq!(h.quantile(0.3), Some(47.000_000_001));
        assert_eq!((h.mean(), h.variance()), (Some(47.000_000_001), Some(0.0)));
        assert_eq!(h.fraction_above(47_000_000_000), Some(1.0));
        assert_eq!(h.fraction_above(47_000_000_001), Some(0.0));
    }

    #[test]
    fn variance_loses_no_digits_to_a_large_mean() {
        // Minutes that differ by nanoseconds.
        let h = histogram(&[600_000_000_001, 600_000_000_002, 600_000_000_003, 600_000_000_005]);
        let exact = (1.75f64.powi(2) + 0.75f64.powi(2) + 0.25f64.powi(2) + 2.25f64.powi(2)) / 3.0;
        assert!((h.variance().unwrap() * 1e18 - exact).abs() < 1e-12);
    }

    #[test]
    fn clear_keeps_memory_and_nothing_else() {
        let mut h = histogram(&[5, 1_000_000_000]);
        let bytes = h.memory_bytes();
        h.clear();
        assert_eq!(facts(&h), facts(&Histogram::new()));
        assert_eq!(h.memory_bytes(), bytes);
        h.record(77);
        assert_eq!(facts(&h), facts(&histogram(&[77])));
    }

    #[test]
    fn more_than_half_a_word_of_values_are_counted() {
        let half = u64::from(u32::MAX);
        // One by one over the limit, all at once, and from two parts.
        let mut slowly = histogram(&[700, 900]);
        slowly.record_n(800, half);
        (0..3).for_each(|_| slowly.record(800));
        let mut at_once = histogram(&[700, 900]);
        at_once.record_n(800, half + 3);
        let mut parts = histogram(&[700]);
        parts.record_n(800, half);
        let mut other = histogram(&[900]);
        other.record_n(800, 3);
        parts.merge(&other);
        assert_eq!(facts(&slowly), facts(&at_once));
        assert_eq!(facts(&slowly), facts(&parts));
        assert_eq!(slowly.counted(bucket_of(800) - slowly.first), half + 3);
        assert!(slowly.quantile(0.5).is_some_and(|at| (at - 800e-9).abs() < 8e-9));
        parts.merge(&slowly);
        assert_eq!(parts.counted(bucket_of(800) - parts.first), 2 * (half + 3));
        parts.clear();
        assert_eq!(facts(&parts), facts(&Histogram::new()));
    }

    /// Values over all magnitudes, with repetitions.
    fn values() -> impl Strategy<Value = Vec<u64>> {
        let value = prop_oneof![
            4 => (0u32..64, any::<u64>()).prop_map(|(shift, bits)| bits >> shift),
            1 => prop::sample::select(vec![0, 1, 127, 128, 255, 256, 1_000_000, 5_000_000_000]),
        ];
        prop::collection::vec(value, 1..300)
    }

    proptest! {
        #[test]
        fn quantiles_are_within_a_bucket_of_the_sorted_values(values in values(), p in 0.0f64..=1.0) {
            let h = histogram(&values);
            let mut sorted = values.clone();
            sorted.sort_unstable();
            let rank = ((p * sorted.len() as f64).ceil() as usize).max(1);
            let exact = sorted[rank - 1] as f64 / 1e9;
            let got = h.quantile(p).unwrap();
            prop_assert!((got - exact).abs() <= exact / 128.0, "{} instead of {}", got, exact);
            let alone = sorted.iter().filter(|&&x| bucket_of(x) == bucket_of(sorted[rank - 1])).count() == 1;
            prop_assert!(!alone || (got - exact).abs() <= exact / 255.0, "{} instead of {}", got, exact);
        }

        #[test]
        fn moments_and_fractions_agree_with_the_values(values in values(), threshold in any::<u32>()) {
            let h = histogram(&values);
            prop_assert_eq!(h.count(), values.len() as u64);
            prop_assert_eq!(h.sum_ns(), values.iter().map(|&x| u128::from(x)).sum::<u128>());
            prop_assert_eq!(h.min_ns(), values.iter().min().copied());
            prop_assert_eq!(h.max_ns(), values.iter().max().copied());
            for (x, fraction) in h.ccdf() {
                let above = values.iter().filter(|&&v| v as f64 / 1e9 > x).count();
                // Beyond 2^53 ns neighbours are the same float.
                prop_assert!(x > 9e6 || fraction == above as f64 / values.len() as f64);
            }
            let threshold = u64::from(threshold);
            let beyond = |from: u64| values.iter().filter(|&&v| v > from).count() as f64 / values.len() as f64;
            let (least, width) = bounds_of(bucket_of(threshold));
            let got = h.fraction_above(threshold).unwrap();
            prop_assert!(got <= beyond(least.saturating_sub(1)) + f64::from(u8::from(least == 0)) + 1e-12);
            prop_assert!(got >= beyond(least + (width - 1)) - 1e-12);
        }

        #[test]
        fn the_order_of_merging_never_shows(parts in prop::collection::vec(values(), 1..6)) {
            let whole = histogram(&parts.concat());
            let mut forward = Histogram::new();
            parts.iter().for_each(|part| forward.merge(&histogram(part)));
            let mut backward = Histogram::new();
            parts.iter().rev().for_each(|part| backward.merge(&histogram(part)));
            backward.merge(&Histogram::new());
            prop_assert_eq!(facts(&whole), facts(&forward));
            prop_assert_eq!(facts(&whole), facts(&backward));
        }
    }
}
