//! What is counted of times as they come: the front of a [`Histogram`].
//!
//! Every request comes here several times, and from one metric to the next each time, so what is touched must be
//! little: a byte for a bucket, 128 for an octave, and one line beside them. What is rare, and every bucket that has
//! gone round, is entered into the histogram at once, and all the rest when a second ends: then it is the histogram of
//! the same values, to the bit.

use super::Histogram;
use super::histogram::{SUB, SUB_BITS, WORD, bucket_of};

/// Greater values are rare, 19 hours and more: the squares of many of them need not fit.
const USUAL_BITS: u32 = 46;
/// The buckets from 128 ns on, before which each value has one, to there.
const BUCKETS: usize = (USUAL_BITS - SUB_BITS) as usize * SUB;
/// What a float's bits are shifted by to leave those that number a bucket.
const FLOAT_SHIFT: u32 = f64::MANTISSA_DIGITS - 1 - SUB_BITS;
/// That number for the float 2^7.
const FLOAT_FIRST: usize = (f64::MAX_EXP as usize - 1 + SUB_BITS as usize) << SUB_BITS;
/// How many values of a bucket make its byte go round.
const ROUND: u64 = 1 << u8::BITS;

/// Times in whole nanoseconds, as far as they are not in the histogram behind it.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    sum_ns: u128,
    sum_squares: u128,
    /// The range of the values: from here, and as many more.
    least: u64,
    span: u64,
    /// Counts of the buckets, less whole rounds; none before there is a value.
    counts: Option<Box<[u8; BUCKETS]>>,
}

impl Default for Tally {
    fn default() -> Self {
        // The least of all spans is one value, so there is none of no values; but that one has no bucket.
        Self { sum_ns: 0, sum_squares: 0, least: u64::MAX, span: 0, counts: None }
    }
}

impl Tally {
    /// Counts one value of `ns` nanoseconds, in front of the histogram that `whole` lends.
    ///
    /// All that is rare is in a function of its own, and what is left are twenty instructions without a call. Rare are
    /// a value that is the least or the greatest so far, is below 128 ns or above 19 hours.
    #[inline(always)]
    pub(super) fn record<'a>(&mut self, ns: u64, whole: impl FnOnce() -> &'a mut Histogram) {
        if ns.wrapping_sub(self.least) > self.span {
            return self.record_rare(ns, whole());
        }
        // The exponent of a float and the first bits after its point are the number of the octave and of the bucket in
        // it: half the instructions of counting leading zeros and shifting.
        let number = ((ns as i64 as f64).to_bits() >> FLOAT_SHIFT) as usize;
        let index = number.wrapping_sub(FLOAT_FIRST);
        let Some(n) = self.counts.as_mut().and_then(|counts| counts.get_mut(index)) else {
            return self.record_rare(ns, whole());
        };
        *n = n.wrapping_add(1);
        if *n == 0 {
            whole().count_in(SUB + index, ROUND);
        }
        self.sum_ns += u128::from(ns);
        // It does not overflow before there are 2^36 such values: a run has fewer events.
        self.sum_squares = self.sum_squares.wrapping_add(u128::from(ns) * u128::from(ns));
    }

    #[cold]
    #[inline(never)]
    fn record_rare(&mut self, ns: u64, whole: &mut Histogram) {
        if !(SUB as u64..1 << USUAL_BITS).contains(&ns) {
            return whole.record(ns);
        }
        let greatest = if self.is_empty() { ns } else { (self.least + self.span).max(ns) };
        self.least = self.least.min(ns);
        self.span = greatest - self.least;
        self.counts.get_or_insert_with(|| Box::new([0; BUCKETS]));
        self.record(ns, || whole);
    }

    fn is_empty(&self) -> bool {
        self.least == u64::MAX
    }

    /// Enters all that has been counted into the histogram behind it, and begins anew.
    pub(super) fn settle(&mut self, whole: &mut Histogram) {
        let Some(counts) = self.counts.as_mut().filter(|_| self.least != u64::MAX) else { return };
        let greatest = self.least + self.span;
        let [first, last] = [self.least, greatest].map(|ns| (bucket_of(ns) - SUB) / WORD);
        let words = counts.as_chunks_mut::<WORD>().0.iter_mut().enumerate();
        for (word, counts) in words.take(last + 1).skip(first) {
            if *counts != [0; WORD] {
                whole.count_word(SUB + word * WORD, counts);
                *counts = [0; WORD];
            }
        }
        whole.add_moments((self.sum_ns, self.sum_squares), (self.least, greatest));
        (self.sum_ns, self.sum_squares) = (0, 0);
        (self.least, self.span) = (u64::MAX, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What is counted of values in parts, each of which is settled.
    fn tallied(parts: &[&[u64]]) -> Histogram {
        let (mut tally, mut whole) = (Tally::default(), Histogram::new());
        for part in parts {
            part.iter().for_each(|ns| tally.record(*ns, || &mut whole));
            tally.settle(&mut whole);
            assert!(tally.is_empty());
        }
        whole
    }

    fn assert_counted(parts: &[&[u64]]) {
        let mut histogram = Histogram::new();
        parts.concat().iter().for_each(|ns| histogram.record(*ns));
        assert_eq!(ron::to_string(&tallied(parts)), ron::to_string(&histogram));
    }

    #[test]
    fn values_of_all_magnitudes_are_counted() {
        for exponent in 0..64 {
            let octave = 1u64 << exponent;
            let bucket = octave >> SUB_BITS;
            let offsets = [0, 1, 2, bucket, bucket.saturating_sub(1), octave >> 1, octave - 1];
            let values = offsets.map(|offset| octave.saturating_add(offset));
            assert_counted(&[&values, &values[3..], &[]]);
        }
        assert_counted(&[&[]]);
    }

    #[test]
    fn bytes_go_round() {
        let values = vec![1_000_000; 3 * ROUND as usize + 7];
        assert_counted(&[&values, &values]);
    }

    proptest! {
        #[test]
        fn is_the_histogram_of_the_same_values(
            values in prop::collection::vec((0u32..64, any::<u64>()).prop_map(|(shift, bits)| bits >> shift), 1..600),
            at in any::<prop::sample::Index>(),
        ) {
            let (before, after) = values.split_at(at.index(values.len()));
            assert_counted(&[before, after]);
        }
    }
}
