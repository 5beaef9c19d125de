//! What the floor measures: times in the buckets of `src/metrics/histogram.rs`, and levels over time. Each counts by
//! the row (a second, or the run), fills its part when it ends, and adds it to the whole.

/// Buckets per octave, as a power of two.
const SUB_BITS: u32 = 7;
/// More buckets than there are, so that a mask stands for the check of an index.
const BUCKETS: usize = 8_192;
/// The quantiles of a row, greatest first.
const QUANTILES: [f64; 5] = [0.999, 0.99, 0.95, 0.9, 0.5];

#[inline]
fn bucket_of(ns: u64) -> usize {
    let ignored = (ns | 1 << SUB_BITS).ilog2() - SUB_BITS;
    (((ignored as usize) << SUB_BITS) + (ns >> ignored) as usize) & (BUCKETS - 1)
}

/// Times of requests.
pub struct Timer {
    /// What was counted in this second. Its number of values and the buckets in use are found when it ends.
    recent: Box<[u32; BUCKETS]>,
    recent_sum: u64,
    recent_max: u64,
    buckets: Box<[u64; BUCKETS]>,
    /// How many values there were, all told.
    pub count: u64,
    /// Their sum, in nanoseconds.
    pub sum_ns: u128,
    /// The greatest, in nanoseconds.
    pub max_ns: u64,
}

impl Timer {
    pub fn new() -> Self {
        Self {
            recent: Box::new([0; BUCKETS]),
            recent_sum: 0,
            recent_max: 0,
            buckets: Box::new([0; BUCKETS]),
            count: 0,
            sum_ns: 0,
            max_ns: 0,
        }
    }

    #[inline]
    pub fn record(&mut self, ns: u64) {
        self.recent[bucket_of(ns)] += 1;
        self.recent_sum += ns;
        self.recent_max = self.recent_max.max(ns);
    }

    /// A second ends: throughput, mean, quantiles and maximum.
    pub fn second(&mut self, row: &mut Vec<f64>) {
        let used = bucket_of(self.recent_max) + 1;
        let count: u32 = self.recent[..used].iter().sum();
        let max = self.recent_max;
        row.push(f64::from(count));
        row.push(self.recent_sum as f64 / f64::from(count) / 1e9);
        row.extend(quantiles(&self.recent[..used], u64::from(count), max, |n| u64::from(*n)));
        row.push(max as f64 / 1e9);
        for (whole, recent) in self.buckets[..used].iter_mut().zip(&mut self.recent[..used]) {
            *whole += u64::from(*recent);
            *recent = 0;
        }
        self.count += u64::from(count);
        self.sum_ns += u128::from(self.recent_sum);
        self.max_ns = self.max_ns.max(max);
        (self.recent_sum, self.recent_max) = (0, 0);
    }

    /// The mean in seconds.
    pub fn mean(&self) -> f64 {
        self.sum_ns as f64 / self.count as f64 / 1e9
    }

    /// Quantiles over all seconds, of the orders 0.999, 0.99, 0.95, 0.9 and 0.5.
    pub fn quantiles(&self) -> [f64; 5] {
        quantiles(&self.buckets[..=bucket_of(self.max_ns)], self.count, self.max_ns, |n| *n)
    }
}

/// All quantiles in one pass from the top, as `Histogram::quantile` defines them.
fn quantiles<T>(buckets: &[T], count: u64, max: u64, n: impl Fn(&T) -> u64) -> [f64; 5] {
    let ranks = QUANTILES.map(|p| ((p * count as f64 * (1.0 - 1e-14)).ceil() as u64).clamp(1, count.max(1)));
    let mut found = [f64::NAN; 5];
    let (mut below, mut next) = (count, 0);
    for (bucket, n) in buckets.iter().map(n).enumerate().rev() {
        below -= n;
        while n > 0 && next < ranks.len() && below < ranks[next] {
            let ignored = (bucket >> SUB_BITS).saturating_sub(1);
            let least = ((bucket - (ignored << SUB_BITS)) as u64) << ignored;
            let part = ((ranks[next] - below) as f64 - 0.5) / n as f64;
            let value = least as f64 + ((1u64 << ignored) - 1) as f64 * part;
            found[next] = if ranks[next] == count { max as f64 } else { value.min(max as f64) } / 1e9;
            next += 1;
        }
        if next == ranks.len() {
            break;
        }
    }
    found
}

/// A level over time. Its integral from a to b is level(b) b - level(a) a - (the sum of each change times its moment),
/// so that a change costs one addition. Sums wrap around, and their difference is right all the same.
pub struct Level {
    level: u64,
    area: u64,
    recent_max: u64,
    since: u64,
    /// The integral over all seconds, in level-nanoseconds.
    pub whole_area: u128,
    /// The greatest level.
    pub max: u64,
}

impl Level {
    pub fn new() -> Self {
        Self { level: 0, area: 0, recent_max: 0, since: 0, whole_area: 0, max: 0 }
    }

    #[inline]
    pub fn up(&mut self, now: u64) {
        self.level += 1;
        self.area = self.area.wrapping_sub(now);
        self.recent_max = self.recent_max.max(self.level);
    }

    #[inline]
    pub fn down(&mut self, now: u64) {
        self.level -= 1;
        self.area = self.area.wrapping_add(now);
    }

    /// A second ends: mean and maximum.
    pub fn second(&mut self, now: u64, row: &mut Vec<f64>) {
        let area = self.area.wrapping_add(self.level.wrapping_mul(now));
        row.push(area as f64 / (now - self.since) as f64);
        row.push(self.recent_max as f64);
        self.whole_area += u128::from(area);
        self.max = self.max.max(self.recent_max);
        self.since = now;
        self.area = 0u64.wrapping_sub(self.level.wrapping_mul(now));
        self.recent_max = self.level;
    }

    /// The mean level from the beginning to the last second.
    pub fn mean(&self) -> f64 {
        self.whole_area as f64 / self.since.max(1) as f64
    }
}
