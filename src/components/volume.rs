//! A block volume: so many operations and bytes per second, and credits for bursts.
//!
//! Operations are served in order of arrival at the volume's rate. A volume with credits works at its burst rate while
//! it has any and at its baseline from then on; credits accrue at the baseline all the time and are spent by
//! operations, so a burst ends suddenly. Running out shows as time in line, never as an error.
//!
//! Source: Amazon EBS user guide (2023), "General Purpose SSD volumes", and the EC2 API (2026). gp2: 3 operations per
//! second and GiB, at least 100 and at most 16,000; 5.4 million credits, full at the start; bursts of 3,000. gp3: 3,000
//! operations and 125 MiB per second whatever the size, more for money. What lies in line is not known to AWS's users:
//! one line served in order is our model of it.

use crate::base::{SimDuration, SimTime};

/// How a [`Volume`] behaves.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct VolumeConfig {
    /// Operations per second that it always does.
    pub baseline: f64,
    /// Operations per second while there are credits; no less than the baseline.
    pub burst: f64,
    /// The most credits, one for each operation; full at the start.
    pub credits: f64,
    /// Bytes per second.
    pub throughput: f64,
    /// The time of an operation beside its time in line, in seconds.
    pub latency: f64,
    /// The share of its credits that are there at the start.
    pub start: f64,
}

impl VolumeConfig {
    /// The credits of a full gp2 volume.
    pub const GP2_CREDITS: f64 = 5.4e6;

    /// A gp2 volume of so many GiB.
    pub fn gp2(gib: f64, latency: f64) -> Self {
        let baseline = (3.0 * gib).clamp(100.0, 16_000.0);
        let mib = if gib <= 170.0 { 128.0 } else { 250.0 };
        Self {
            baseline,
            burst: baseline.max(3_000.0),
            credits: Self::GP2_CREDITS,
            throughput: mib * 1_048_576.0,
            latency,
            start: 1.0,
        }
    }

    /// A volume that does so many operations and bytes per second, always.
    pub fn provisioned(iops: f64, throughput: f64, latency: f64) -> Self {
        Self { baseline: iops, burst: iops, credits: 0.0, throughput, latency, start: 1.0 }
    }
}

/// A volume.
#[derive(Clone, Debug)]
pub struct Volume {
    config: VolumeConfig,
    /// Operations and bytes take so many times as long.
    factor: f64,
    /// When it has done all that was asked of it, and its credits then.
    free_at: SimTime,
    credits: f64,
}

impl Volume {
    /// An idle volume.
    pub fn new(config: VolumeConfig) -> Self {
        Self { config, factor: 1.0, free_at: SimTime::ZERO, credits: config.credits * config.start }
    }

    /// Changes its size or kind: credits stay, as far as there is room for them, and what is in line keeps its time.
    pub fn reconfigure(&mut self, config: VolumeConfig) {
        let was = std::mem::replace(&mut self.config, config);
        self.credits =
            if was.credits > 0.0 { self.credits.min(config.credits) } else { config.credits * config.start };
    }

    /// From now on operations and bytes take so many times as long as its settings say. Credits accrue by the clock.
    pub fn set_factor(&mut self, factor: f64) {
        self.factor = factor;
    }

    /// Uses up all credits.
    pub fn use_up_credits(&mut self, now: SimTime) {
        self.free_at = now.max(self.free_at);
        self.credits = 0.0;
    }

    /// Asks for so many operations with so many bytes together; the time until they are done.
    pub fn submit(&mut self, now: SimTime, operations: u32, bytes: u64) -> SimDuration {
        let VolumeConfig { baseline, burst, throughput, latency, .. } = self.config;
        let start = now.max(self.free_at);
        self.credits = self.credits_after(start.since(self.free_at).seconds());
        let count = f64::from(operations);
        let spare = burst - baseline;
        // How long the credits last at the burst rate, and what is done in that time.
        let lasts = if spare > 0.0 { self.credits / spare } else { 0.0 };
        let in_burst = lasts * burst;
        let by_count = if spare > 0.0 && count <= in_burst {
            count / burst
        } else {
            lasts + (count - in_burst) / baseline
        };
        let time = by_count.max(bytes as f64 / throughput) * self.factor;
        self.credits = (self.credits + baseline * time - count).clamp(0.0, self.config.credits);
        self.free_at = start + SimDuration::from_seconds(time);
        self.free_at.since(now) + SimDuration::from_seconds(latency * self.factor)
    }

    /// The share of its credits that it has now, from 0 to 1; of a volume without credits, 1.
    pub fn credit_ratio(&self, now: SimTime) -> f64 {
        if self.config.credits <= 0.0 {
            return 1.0;
        }
        self.credits_after(now.max(self.free_at).since(self.free_at).seconds()) / self.config.credits
    }

    fn credits_after(&self, idle: f64) -> f64 {
        (self.credits + self.config.baseline * idle).min(self.config.credits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(seconds: f64) -> SimTime {
        SimTime::ZERO + SimDuration::from_seconds(seconds)
    }

    #[test]
    fn a_burst_of_gp2_ends_after_2000_seconds() {
        // 100 GiB: 5.4e6 / (3000 - 300) s at 3,000 per second, then 300.
        let mut volume = Volume::new(VolumeConfig::gp2(100.0, 0.0));
        for second in 0..2_000 {
            let done = volume.submit(at(f64::from(second)), 3_000, 0).seconds();
            assert!((done - 1.0).abs() < 1e-6, "{second}: {done}");
        }
        assert!(volume.credit_ratio(at(2_000.0)) < 1e-6);
        assert!((volume.submit(at(2_000.0), 3_000, 0).seconds() - 10.0).abs() < 1e-3);
        // Idle, it fills at the baseline.
        let full = volume.credit_ratio(at(2_010.0 + 9_000.0));
        assert!((full - 0.5).abs() < 1e-3, "{full}");
    }

    #[test]
    fn sizes_have_their_limits() {
        assert_eq!(VolumeConfig::gp2(1.0, 0.0).baseline, 100.0);
        assert_eq!(VolumeConfig::gp2(6_000.0, 0.0).baseline, 16_000.0);
        assert_eq!(VolumeConfig::gp2(2_000.0, 0.0).burst, 6_000.0);
    }

    #[test]
    fn throughput_is_a_limit_of_its_own() {
        let mut volume = Volume::new(VolumeConfig::provisioned(3_000.0, 125.0 * 1_048_576.0, 0.001));
        let done = volume.submit(at(0.0), 1, 125 * 1_048_576).seconds();
        assert!((done - 1.001).abs() < 1e-6, "{done}");
    }

    #[test]
    fn a_slow_disk_takes_so_many_times_as_long_and_one_without_credits_its_baseline() {
        let mut disk = Volume::new(VolumeConfig::provisioned(100.0, 1e9, 0.01));
        disk.set_factor(3.0);
        assert!((disk.submit(at(0.0), 10, 0).seconds() - (0.3 + 0.03)).abs() < 1e-9);
        disk.set_factor(1.0);
        assert!((disk.submit(at(10.0), 10, 0).seconds() - 0.11).abs() < 1e-9);
        let mut volume = Volume::new(VolumeConfig::gp2(100.0, 0.0));
        volume.use_up_credits(at(5.0));
        assert_eq!(volume.credit_ratio(at(5.0)), 0.0);
        assert!((volume.submit(at(5.0), 300, 0).seconds() - 1.0).abs() < 1e-6);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]

        /// It never does more than rate x time + burst, serves in order, and its credits stay within bounds.
        #[test]
        fn never_does_more_than_its_credits_allow(
            gib in 10.0..2_000.0f64,
            credits in 0.0..10_000.0f64,
            asked in prop::collection::vec((0.0..2.0f64, 1u32..5_000), 1..40),
        ) {
            let config = VolumeConfig { credits, ..VolumeConfig::gp2(gib, 0.0) };
            let mut volume = Volume::new(config);
            let (mut now, mut total, mut last) = (0.0, 0.0, 0.0);
            for (gap, operations) in asked {
                now += gap;
                let done = now + volume.submit(at(now), operations, 0).seconds();
                prop_assert!(done + 1e-6 >= last);
                last = done;
                total += f64::from(operations);
                prop_assert!(total <= config.baseline * done + credits + 1e-3 * total + 1.0);
                let ratio = volume.credit_ratio(at(now));
                prop_assert!((0.0..=1.0).contains(&ratio));
            }
        }
    }
}
