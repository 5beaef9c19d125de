//! Linux' CFS bandwidth control: so much CPU time in each period, for all threads together, and then nothing.
//!
//! Intuition: a limit of one core on a machine of eight is not a slower core. Eight threads that run burn the quota of
//! 100 ms in 12.5 ms of wall time, and then all of them stand still for 87.5 ms. What is left at the end of a period
//! is lost (no burst); what threads use is taken from one pool, not from each core's own.
//!
//! Periods follow each other at fixed distances. While nothing changes, use grows in a straight line, so the moment
//! at which the quota is used up can be named ahead, even if that is in the next period.
//!
//! Source: Linux, `Documentation/scheduler/sched-bwc.rst` (6.1); `cpu.cfs_period_us` 100 ms. The slices of 5 ms in
//! which the quota is handed to CPUs are left out: they let a group overrun its quota, or stop before its end, by as
//! much.

use crate::base::{SimDuration, SimTime};

/// A limit on CPU time.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct QuotaConfig {
    /// The length of a period (`cpu.cfs_period_us`).
    pub period: SimDuration,
    /// CPU time in each period (`cpu.cfs_quota_us`), in core-nanoseconds.
    pub quota_ns: f64,
}

/// How much of it is used.
#[derive(Clone, Copy, Debug)]
pub struct Quota {
    config: QuotaConfig,
    /// When the present period ends.
    end: SimTime,
    updated: SimTime,
    /// Core-nanoseconds used in this period.
    used: f64,
    is_throttled: bool,
}

impl Quota {
    /// A group of which nothing has run so far, and whose present period ends after `rest`.
    pub fn new(config: QuotaConfig, now: SimTime, rest: SimDuration) -> Self {
        assert!(config.quota_ns > 0.0 && !config.period.is_zero());
        Self { config, end: now + rest, updated: now, used: 0.0, is_throttled: false }
    }

    /// Whether everything stands still until the period ends.
    #[inline]
    pub fn is_throttled(&self) -> bool {
        self.is_throttled
    }

    /// Time has gone by up to `now`, in which so many cores were used all the while. Answers whether it has begun or
    /// ceased to stand still.
    pub fn advance(&mut self, now: SimTime, cores: f64) -> bool {
        debug_assert!(now >= self.updated);
        let was = self.is_throttled;
        if now >= self.end {
            let period_ns = self.config.period.ns();
            let into_period = now.since(self.end).ns() % period_ns;
            self.end = SimTime::from_ns(now.ns() - into_period + period_ns);
            // Who stood still did so to the end of the period.
            let cores = if was { 0.0 } else { cores };
            self.is_throttled = false;
            self.used = cores * into_period as f64;
        } else if !was {
            self.used += cores * now.since(self.updated).ns() as f64;
        }
        self.updated = now;
        // Less than a nanosecond of a core is nothing that could be run.
        self.is_throttled |= self.used + 1.0 > self.config.quota_ns && cores > 0.0;
        self.is_throttled != was
    }

    /// When it will begin or cease to stand still, if so many cores are used from now on; `None` if never.
    pub fn next(&self, cores: f64) -> Option<SimTime> {
        if self.is_throttled {
            return Some(self.end);
        }
        if cores <= 0.0 {
            return None;
        }
        let left = (self.config.quota_ns - self.used).max(0.0) / cores;
        let until_end = self.end.since(self.updated).ns();
        if left < until_end as f64 {
            return Some(self.updated + up(left));
        }
        let whole = self.config.quota_ns / cores;
        (whole < self.config.period.ns() as f64).then(|| self.end + up(whole))
    }
}

/// A whole number of nanoseconds, not less.
fn up(ns: f64) -> SimDuration {
    let whole = ns as u64;
    SimDuration::from_ns(whole + u64::from((whole as f64) < ns))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MS: u64 = 1_000_000;

    fn quota(quota_ms: u64) -> Quota {
        let config = QuotaConfig { period: SimDuration::from_ms(100), quota_ns: (quota_ms * MS) as f64 };
        Quota::new(config, SimTime::ZERO, config.period)
    }

    fn ms(ms: u64) -> SimTime {
        SimTime::from_ns(ms * MS)
    }

    #[test]
    fn eight_threads_burn_one_core_in_an_eighth_of_the_period() {
        let mut q = quota(100);
        let out = q.next(8.0).unwrap();
        assert_eq!(out.ns(), 12_500_000);
        assert!(q.advance(out, 8.0) && q.is_throttled());
        assert_eq!(q.next(0.0), Some(ms(100)));
        assert!(q.advance(ms(100), 0.0) && !q.is_throttled());
        assert_eq!(q.next(8.0).unwrap().ns(), 112_500_000);
    }

    #[test]
    fn what_is_not_used_is_not_kept() {
        let mut q = quota(50);
        assert!(!q.advance(ms(1_000), 0.0));
        assert_eq!(q.next(1.0), Some(ms(1_050)));
    }

    #[test]
    fn who_uses_less_than_the_quota_never_stands_still() {
        let q = quota(100);
        assert_eq!((q.next(0.5), q.next(1.0)), (None, None));
    }

    #[test]
    fn use_that_goes_over_in_the_next_period_is_named_ahead() {
        let mut q = quota(100);
        // Idle until 90 ms: 20 ms of two cores are left of this period, and fit.
        q.advance(ms(90), 0.0);
        assert_eq!(q.next(2.0), Some(ms(150)));
        q.advance(ms(150), 2.0);
        assert!(q.is_throttled());
    }

    /// Plays jobs on so many cores with a quota, driven by alarms alone: completions, and core-nanoseconds used in each
    /// period.
    fn play(cores: f64, config: QuotaConfig, jobs: &[(u64, u64)]) -> (Vec<(usize, u64)>, Vec<f64>) {
        use crate::components::cpu::{Cpu, CpuDiscipline};
        let mut cpu = Cpu::new(cores, CpuDiscipline::ProcessorSharing);
        cpu.set_quota(SimTime::ZERO, Some(Quota::new(config, SimTime::ZERO, config.period)));
        let (mut alarms, mut done, mut used) = (Vec::<u64>::new(), Vec::new(), vec![0.0; 500]);
        let (mut now, mut next) = (0u64, 0usize);
        loop {
            let alarm = alarms.iter().copied().min();
            let come = jobs.get(next).map(|(at, _)| *at);
            let Some(at) = [alarm, come].into_iter().flatten().min() else { return (done, used) };
            let runs = cpu.busy_cores();
            while now < at {
                let period = now / config.period.ns();
                let end = at.min((period + 1) * config.period.ns());
                used[period as usize] += runs * (end - now) as f64;
                now = end;
            }
            let time = SimTime::from_ns(at);
            if alarm == Some(at) {
                alarms.retain(|alarm| *alarm != at);
                cpu.on_alarm(time);
                while let Some(job) = cpu.complete(time) {
                    done.push((job, at));
                }
            } else {
                cpu.start(time, next, SimDuration::from_ns(jobs[next].1), 0);
                next += 1;
            }
            alarms.extend(cpu.alarm().map(SimTime::ns));
        }
    }

    #[test]
    fn a_job_that_ends_with_the_quota_has_ended() {
        let config = QuotaConfig { period: SimDuration::from_ns(100), quota_ns: 50.0 };
        assert_eq!(play(1.0, config, &[(0, 50), (10, 50)]).0, [(0, 140), (1, 150)]);
        assert_eq!(play(1.0, config, &[(0, 50)]).0, [(0, 50)]);
        // 50 run, 50 stall, 10 more.
        assert_eq!(play(1.0, config, &[(0, 60)]).0, [(0, 110)]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]
        #[test]
        fn no_period_gets_more_than_its_quota(
            quota_us in 1_000u64..300_000,
            changes in prop::collection::vec((0u64..150_000, 0u32..9), 1..30),
        ) {
            let config =
                QuotaConfig { period: SimDuration::from_ms(100), quota_ns: (quota_us * 1_000) as f64 };
            let mut q = Quota::new(config, SimTime::ZERO, config.period);
            let (mut now, mut cores) = (SimTime::ZERO, 0.0f64);
            let mut used = vec![0.0f64; 100];
            // Between changes, all that the quota names ahead.
            let mut use_until = |q: &mut Quota, now: &mut SimTime, to: SimTime, cores: f64| {
                let runs = if q.is_throttled() { 0.0 } else { cores };
                let mut at = now.ns();
                while at < to.ns() {
                    let period = at / (100 * MS);
                    let end = to.ns().min((period + 1) * 100 * MS);
                    used[period as usize] += runs * (end - at) as f64;
                    at = end;
                }
                q.advance(to, runs);
                *now = to;
            };
            for (wait_us, threads) in changes {
                let until = now + SimDuration::from_ns(wait_us * 1_000);
                while let Some(at) = q.next(if q.is_throttled() { 0.0 } else { cores }).filter(|at| *at <= until) {
                    prop_assert!(at >= now);
                    use_until(&mut q, &mut now, at, cores);
                }
                use_until(&mut q, &mut now, until, cores);
                cores = f64::from(threads);
            }
            for of_period in used {
                prop_assert!(of_period <= config.quota_ns + 9.0, "{} of {}", of_period, config.quota_ns);
            }
        }

        #[test]
        fn work_is_done_whole_and_never_faster_than_the_quota(
            cores in 1u32..9,
            quota_ns in 100u64..4_000,
            jobs in prop::collection::vec((0u64..3_000, 1u64..3_000), 1..12),
        ) {
            let config = QuotaConfig { period: SimDuration::from_ns(1_000), quota_ns: quota_ns as f64 };
            let mut at = 0;
            let jobs: Vec<(u64, u64)> = jobs.iter().map(|(wait, work)| { at += wait; (at, *work) }).collect();
            let (done, used) = play(f64::from(cores), config, &jobs);
            prop_assert_eq!(done.len(), jobs.len());
            let work: f64 = jobs.iter().map(|(_, work)| *work as f64).sum();
            let sum: f64 = used.iter().sum();
            // Each completion and each end of a quota is rounded up to a nanosecond of all cores.
            let periods = used.iter().filter(|u| **u > 0.0).count() as f64;
            let slack = f64::from(cores) * (periods + jobs.len() as f64 + 1.0);
            prop_assert!((sum - work).abs() <= slack, "{} used for {} of work", sum, work);
            for of_period in used {
                prop_assert!(of_period <= config.quota_ns + f64::from(cores), "{} in a period", of_period);
            }
        }
    }
}
