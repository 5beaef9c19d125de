//! What is counted of times as they come: the front of a [`Histogram`].
//!
//! Every request comes here several times, and from one metric to the next each time, so what is touched must be
//! little: a byte for a bucket, 128 for an octave, and one line beside them. A bucket that has gone round is entered
//! into the histogram, all others when a second ends. What comes out is the histogram of the same values, to the bit.

use super::Histogram;
use super::histogram::{SUB, SUB_BITS, WORD, bucket_of};

/// What a float's bits are shifted by to leave those that number a bucket.
const FLOAT_SHIFT: u32 = f64::MANTISSA_DIGITS - 1 - SUB_BITS;
/// That number for the float 2^7, whose bucket is number 128.
const FLOAT_FIRST: usize = ((f64::MAX_EXP as usize - 1 + SUB_BITS as usize) << SUB_BITS) - SUB;
/// Greater values are rare, 19 hours and more: the squares of many of them need not fit.
const USUAL_MAX: u64 = 1 << 46;
/// How many values of a bucket make its byte go round.
const ROUND: u64 = 1 << u8::BITS;

/// Times in whole nanoseconds that have been counted since they were last asked for.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    /// Counts of the buckets, less whole rounds; whole octaves.
    counts: Vec<u8>,
    /// The number of the first bucket, as the bits of a float number it.
    first: usize,
    /// The range of the values in `counts`: from here, and as many more.
    least: u64,
    span: u64,
    sum_ns: u128,
    sum_squares: u128,
    /// Whatever is not in the fields above.
    whole: Histogram,
}

impl Default for Tally {
    fn default() -> Self {
        // The least of all spans is one value, so there is none of no values; but that one has no octave.
        let least = u64::MAX;
        Self { counts: Vec::new(), first: 0, least, span: 0, sum_ns: 0, sum_squares: 0, whole: Histogram::new() }
    }
}

impl Tally {
    /// Counts one value of `ns` nanoseconds.
    ///
    /// All that is rare is in a function of its own, and what is left are twenty instructions without a call. Rare are
    /// a value that is the least or the greatest so far, is below 128 ns or above 19 hours, and one in an octave
    /// without room.
    #[inline(always)]
    pub(super) fn record(&mut self, ns: u64) {
        if ns.wrapping_sub(self.least) > self.span {
            return self.record_rare(ns);
        }
        // The exponent of a float and the first bits after its point are the number of the octave and of the bucket in
        // it: half the instructions of counting leading zeros and shifting.
        let bucket = ((ns as i64 as f64).to_bits() >> FLOAT_SHIFT) as usize;
        let Some(n) = self.counts.get_mut(bucket.wrapping_sub(self.first)) else { return self.record_rare(ns) };
        *n = n.wrapping_add(1);
        if *n == 0 {
            self.whole.count_in(bucket - FLOAT_FIRST, ROUND);
        }
        self.sum_ns += u128::from(ns);
        // It does not saturate before there are 2^36 such values, more than a second has events.
        self.sum_squares = self.sum_squares.wrapping_add(u128::from(ns) * u128::from(ns));
    }

    #[cold]
    #[inline(never)]
    fn record_rare(&mut self, ns: u64) {
        if !(SUB as u64..=USUAL_MAX).contains(&ns) {
            return self.whole.record_n(ns, 1);
        }
        let greatest = if self.is_empty() { ns } else { (self.least + self.span).max(ns) };
        self.least = self.least.min(ns);
        self.span = greatest - self.least;
        self.make_room(bucket_of(ns) + FLOAT_FIRST);
        self.record(ns);
    }

    fn is_empty(&self) -> bool {
        self.least == u64::MAX
    }

    /// Makes room for the octave of a bucket, and for all between it and those that have room.
    fn make_room(&mut self, bucket: usize) {
        let octave = bucket / SUB * SUB;
        if self.counts.is_empty() {
            self.first = octave;
        }
        let first = self.first.min(octave);
        let end = (self.first + self.counts.len()).max(octave + SUB);
        if end - first > self.counts.len() {
            let mut counts = vec![0; end - first];
            counts[self.first - first..][..self.counts.len()].copy_from_slice(&self.counts);
            (self.counts, self.first) = (counts, first);
        }
    }

    /// All that has been counted, as a histogram, which may be exchanged for an empty one: then nothing has been.
    pub(super) fn settled(&mut self) -> &mut Histogram {
        if !self.is_empty() {
            let words = (self.first - FLOAT_FIRST..).step_by(WORD).zip(self.counts.as_chunks_mut().0);
            for (first, counts) in words.filter(|(_, counts)| **counts != [0; WORD]) {
                self.whole.count_word(first, counts);
                *counts = [0; WORD];
            }
            self.whole.add_moments((self.sum_ns, self.sum_squares), (self.least, self.least + self.span));
            (self.sum_ns, self.sum_squares) = (0, 0);
            (self.least, self.span) = (u64::MAX, 0);
        }
        &mut self.whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn asserts_same(mut tally: Tally, values: &[u64]) {
        let mut histogram = Histogram::new();
        values.iter().for_each(|ns| histogram.record(*ns));
        assert_eq!(ron::to_string(tally.settled()), ron::to_string(&histogram));
    }

    #[test]
    fn values_of_all_magnitudes_are_counted() {
        for exponent in 0..64 {
            let octave = 1u64 << exponent;
            let bucket = octave >> SUB_BITS;
            let offsets = [0, 1, 2, bucket, bucket.saturating_sub(1), octave >> 1, octave - 1];
            let values = offsets.map(|offset| octave.saturating_add(offset));
            let mut tally = Tally::default();
            values.iter().for_each(|ns| tally.record(*ns));
            asserts_same(tally, &values);
        }
        asserts_same(Tally::default(), &[]);
    }

    #[test]
    fn bytes_go_round() {
        let values = vec![1_000_000; 3 * ROUND as usize + 7];
        let mut tally = Tally::default();
        values.iter().for_each(|ns| tally.record(*ns));
        asserts_same(tally, &values);
    }

    #[test]
    fn what_was_taken_is_forgotten() {
        let mut tally = Tally::default();
        [5, 700, 1 << 50].iter().for_each(|ns| tally.record(*ns));
        let taken = std::mem::take(tally.settled());
        assert_eq!(taken.count(), 3);
        assert!(tally.settled().is_empty());
        [700, 90_000].iter().for_each(|ns| tally.record(*ns));
        let room = tally.counts.len();
        tally.settled();
        assert_eq!(tally.counts.len(), room);
        tally.record(800);
        asserts_same(tally, &[700, 90_000, 800]);
    }

    proptest! {
        #[test]
        fn is_the_histogram_of_the_same_values(
            values in prop::collection::vec((0u32..64, any::<u64>()).prop_map(|(shift, bits)| bits >> shift), 1..600),
            at in any::<prop::sample::Index>(),
        ) {
            let (before, after) = values.split_at(at.index(values.len()));
            let mut tally = Tally::default();
            before.iter().for_each(|ns| tally.record(*ns));
            tally.settled();
            after.iter().for_each(|ns| tally.record(*ns));
            asserts_same(tally, &values);
        }
    }
}
