//! Each algorithm by hand, and what holds for all of them.

use super::*;
use proptest::prelude::*;

fn at(ms: u64) -> SimTime {
    SimTime::ZERO + SimDuration::from_ms(ms)
}

fn plain(limit: LimitConfig) -> LimiterConfig {
    LimiterConfig { limit, window: None, backlog: None }
}

fn sample(ms: u64, rtt_ms: u64, in_flight: u32, dropped: bool) -> Sample {
    Sample { since: at(ms), rtt: SimDuration::from_ms(rtt_ms), in_flight, dropped, dice: 0.5 }
}

/// The limits after samples of (time in ms, calls in progress, dropped).
fn limits(config: LimitConfig, samples: &[(u64, u32, bool)]) -> Vec<u32> {
    let mut limiter: Limiter<u32> = Limiter::new(plain(config), SimTime::ZERO);
    let after = |(rtt, in_flight, dropped): &(u64, u32, bool)| {
        limiter.on_sample(sample(0, *rtt, *in_flight, *dropped));
        limiter.limit()
    };
    samples.iter().map(after).collect()
}

#[test]
fn aimd_grows_by_one_when_half_is_used_and_shrinks_by_a_share() {
    let config = AimdConfig { min_limit: 5, initial_limit: 10, ..AimdConfig::DEFAULT };
    let samples = [(9, 5, false), (9, 5, false), (9, 6, true), (5_000, 9, false), (5_001, 9, false)];
    // 11 is more than twice 5; 11 x 0.9 is 9.9; five seconds are not too long.
    assert_eq!(limits(LimitConfig::Aimd(config), &samples), [11, 11, 9, 10, 9]);
}

#[test]
fn vegas_first_sample_only_sets_the_time() {
    let samples = [(10, 20, false), (10, 20, false), (9, 20, false), (10, 20, true), (10, 9, false)];
    assert_eq!(limits(LimitConfig::Vegas(VegasConfig::DEFAULT), &samples), [20, 26, 26, 25, 25]);
}

#[test]
fn vegas_measures_the_time_anew() {
    let config = VegasConfig { probe_multiplier: Some(1), ..VegasConfig::DEFAULT };
    // With a jitter of 0.75 the 15th sample is the probe: 20 ms count as without load from then on.
    let mut samples = vec![(10, 1, false)];
    samples.extend([(20, 1, false); 14]);
    samples.push((20, 20, false));
    assert_eq!(limits(LimitConfig::Vegas(config), &samples).last(), Some(&26));
    let never = VegasConfig { probe_multiplier: None, ..VegasConfig::DEFAULT };
    assert_eq!(limits(LimitConfig::Vegas(never), &samples).last(), Some(&19));
}

#[test]
fn gradient_cuts_the_limit_to_its_queue_to_measure_anew() {
    let config = GradientConfig { probe_interval: Some(2), ..GradientConfig::DEFAULT };
    // The countdown begins at 2 + 1.
    let samples = [(10, 0, false), (10, 0, false), (10, 0, false), (10, 0, false), (10, 50, false)];
    assert_eq!(limits(LimitConfig::Gradient(config), &samples), [50, 50, 50, 7, 11]);
}

#[test]
fn gradient2_ignores_drops() {
    let config = Gradient2Config { min_limit: 1, ..Gradient2Config::DEFAULT };
    let dropped: Vec<_> = (0..100).map(|_| (10, 200, true)).collect();
    let answered: Vec<_> = (0..100).map(|_| (10, 200, false)).collect();
    let ours = limits(LimitConfig::Gradient2(config), &dropped);
    assert_eq!(ours, limits(LimitConfig::Gradient2(config), &answered));
    assert!(*ours.last().unwrap() > 90);
}

#[test]
fn a_window_tells_the_mean_the_most_and_any_drop() {
    let window = WindowConfig {
        min_window_time: SimDuration::from_secs(1),
        max_window_time: SimDuration::from_secs(1),
        window_size: 10,
        min_rtt_threshold: SimDuration::from_ns(100_000),
    };
    let aimd = AimdConfig { min_limit: 1, ..AimdConfig::DEFAULT };
    let config = LimiterConfig { window: Some(window), ..plain(LimitConfig::Aimd(aimd)) };
    let mut limiter: Limiter<u32> = Limiter::new(config, SimTime::ZERO);
    // The first sample ends a window of one, which is too small.
    limiter.on_sample(sample(100, 10, 20, true));
    assert_eq!(limiter.limit(), 20);
    for i in 0..9 {
        limiter.on_sample(sample(200 + i, 10, 20, i == 3));
    }
    assert_eq!(limiter.limit(), 20);
    // At the very end it is not over yet.
    limiter.on_sample(sample(1_100, 10, 1, false));
    assert_eq!(limiter.limit(), 20);
    limiter.on_sample(sample(1_101, 10, 1, false));
    assert_eq!(limiter.limit(), 18);
}

#[test]
fn the_last_that_came_goes_on_first_and_one_at_a_time() {
    let config = LimiterConfig {
        backlog: Some(Backlog { size: 2, timeout: SimDuration::from_secs(1) }),
        ..plain(LimitConfig::Fixed(1))
    };
    let mut limiter = Limiter::new(config, SimTime::ZERO);
    let entries: Vec<Entry> = (0..4).map(|who| limiter.enter(at(0), who)).collect();
    assert_eq!(entries, [Entry::Admitted(1), Entry::Queued, Entry::Queued, Entry::Rejected]);
    limiter.leave(at(5), Finish::Ignored, at(0), 1, 0.5);
    assert_eq!(limiter.admit(), Some((2, 1)));
    assert_eq!(limiter.admit(), None);
    assert!(limiter.abandon(1) && !limiter.abandon(1));
    limiter.leave(at(6), Finish::Success, at(5), 1, 0.5);
    assert_eq!((limiter.admit(), limiter.in_use()), (None, 0));
}

#[test]
fn settings_that_change_keep_the_limit() {
    let aimd = |max_limit| LimitConfig::Aimd(AimdConfig { max_limit, ..AimdConfig::DEFAULT });
    let mut limiter: Limiter<u32> = Limiter::new(plain(aimd(200)), SimTime::ZERO);
    (0..50).for_each(|_| limiter.on_sample(sample(0, 1, 100, false)));
    assert_eq!(limiter.limit(), 70);
    limiter.reconfigure(plain(aimd(300)), at(0));
    assert_eq!(limiter.limit(), 70);
    limiter.reconfigure(plain(aimd(30)), at(0));
    assert_eq!(limiter.limit(), 30);
    limiter.reconfigure(plain(LimitConfig::Fixed(7)), at(0));
    assert_eq!(limiter.limit(), 7);
}

/// Calls one after the other from `from` on, a millisecond apart, each of so many milliseconds.
fn calls(limiter: &mut Limiter<u32>, from: u64, count: u64, rtt: u64) {
    for i in 0..count {
        limiter.advance(at(from + i + rtt));
        limiter.on_sample(sample(from + i, rtt, 1, false));
    }
}

#[test]
fn envoy_is_pinned_while_it_measures() {
    let envoy = EnvoyConfig { interval: SimDuration::from_secs(10), jitter: 0.1, ..EnvoyConfig::DEFAULT };
    let mut limiter: Limiter<u32> = Limiter::new(plain(LimitConfig::Envoy(envoy)), SimTime::ZERO);
    calls(&mut limiter, 0, 49, 10);
    assert_eq!(limiter.limit(), 3);
    // The 50th ends it, at 59 ms; a window later: 3 x 1.25 + the root of that.
    calls(&mut limiter, 49, 90, 10);
    assert_eq!(limiter.limit(), 3);
    calls(&mut limiter, 150, 1, 10);
    assert_eq!(limiter.limit(), 5);
    // Windows without samples change nothing; five of 10 ms grow, and twice the time halves it.
    limiter.advance(at(9_000));
    let grown = limiter.limit();
    assert_eq!(grown, 8);
    calls(&mut limiter, 9_000, 40, 200);
    limiter.advance(at(9_400));
    // Gradient 12.5 / 200, not below one half: of 8, 4 + 2; the second window again: 3 + the root.
    assert!(limiter.limit() < grown);
    // Ten seconds after the measurement, and half of a tenth of jitter.
    limiter.advance(at(59 + 10_499));
    let before = limiter.limit();
    limiter.advance(at(59 + 10_500));
    assert!(before > 3 && limiter.limit() == 3);
    // Samples of requests from before do not count.
    calls(&mut limiter, 10_500, 59, 100);
    assert_eq!(limiter.limit(), 3);
    calls(&mut limiter, 10_559, 50, 100);
    assert_eq!(limiter.limit(), before);
}

#[test]
fn envoy_measures_anew_after_five_windows_at_the_minimum() {
    let mut envoy = EnvoyAdaptive::new(EnvoyConfig::DEFAULT, SimTime::ZERO);
    (0..50).for_each(|i| envoy.on_sample(&sample(i, 1, 1, false)));
    assert!(!envoy.is_measuring());
    // Answers take a hundred times as long: 3 x 0.5 + the root is below 3.
    for window in 0..5 {
        assert!(!envoy.is_measuring());
        envoy.on_sample(&sample(51 + 100 * window, 99, 1, false));
        envoy.advance(at(150 + 100 * window));
    }
    assert!(envoy.is_measuring());
}

fn any_limit() -> impl Strategy<Value = (LimitConfig, u32, u32)> {
    prop_oneof![
        (1u32..30, 30u32..60).prop_map(|(low, high)| {
            let config =
                AimdConfig { min_limit: low, max_limit: high, initial_limit: low, ..AimdConfig::DEFAULT };
            (LimitConfig::Aimd(config), low, high)
        }),
        (1u32..60).prop_map(|high| {
            let config = VegasConfig {
                max_concurrency: high,
                initial_limit: 1,
                probe_multiplier: Some(3),
                ..VegasConfig::DEFAULT
            };
            (LimitConfig::Vegas(config), 1, high)
        }),
        (1u32..30, 30u32..60).prop_map(|(low, high)| {
            let config = GradientConfig {
                min_limit: low,
                max_concurrency: high,
                initial_limit: low,
                probe_interval: Some(9),
                ..GradientConfig::DEFAULT
            };
            (LimitConfig::Gradient(config), low, high)
        }),
        (1u32..30, 30u32..60).prop_map(|(low, high)| {
            let config = Gradient2Config {
                min_limit: low,
                max_concurrency: high,
                initial_limit: low,
                ..Gradient2Config::DEFAULT
            };
            (LimitConfig::Gradient2(config), low, high)
        }),
        (1u32..30, 30u32..60).prop_map(|(low, high)| {
            let config = EnvoyConfig {
                min_concurrency: low,
                max_concurrency_limit: high,
                request_count: 5,
                interval: SimDuration::from_ms(400),
                ..EnvoyConfig::DEFAULT
            };
            (LimitConfig::Envoy(config), low, high)
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn limits_stay_within_their_bounds_and_nobody_passes_beyond(
        (limit, low, high) in any_limit(), backlog in 0u32..4, windowed: bool,
        steps in prop::collection::vec((0u64..30, 0u8..7, 0usize..50), 1..40),
    ) {
        let window = WindowConfig {
            min_window_time: SimDuration::from_ms(20),
            max_window_time: SimDuration::from_ms(40),
            window_size: 2,
            min_rtt_threshold: SimDuration::ZERO,
        };
        let backlog = (backlog > 0).then_some(Backlog { size: backlog, timeout: SimDuration::from_secs(1) });
        let config = LimiterConfig { limit, window: windowed.then_some(window), backlog };
        let mut limiter: Limiter<usize> = Limiter::new(config, SimTime::ZERO);
        let (mut now, mut running, mut waiting) = (SimTime::ZERO, Vec::new(), Vec::new());
        for (number, (wait, step, pick)) in steps.into_iter().enumerate() {
            now += SimDuration::from_ms(wait);
            match step {
                0..=3 => match limiter.enter(now, number) {
                    Entry::Admitted(n) => {
                        prop_assert!(n <= limiter.limit() && n as usize == running.len() + 1);
                        running.push((number, now, n));
                    }
                    Entry::Queued => {
                        prop_assert!(running.len() as u32 >= limiter.limit());
                        waiting.push(number);
                        prop_assert!(waiting.len() as u32 <= backlog.map_or(0, |b| b.size));
                    }
                    Entry::Rejected => prop_assert!(running.len() as u32 >= limiter.limit()),
                },
                4 | 5 if !running.is_empty() => {
                    let (_, since, n) = running.swap_remove(pick % running.len());
                    let finish = [Finish::Success, Finish::Success, Finish::Dropped, Finish::Ignored][pick % 4];
                    limiter.leave(now, finish, since, n, pick as f64 / 50.0);
                    let room = (running.len() as u32) < limiter.limit();
                    match limiter.admit() {
                        Some((who, n)) => {
                            prop_assert!(room && n <= limiter.limit());
                            prop_assert_eq!(Some(who), waiting.pop());
                            running.push((who, now, n));
                        }
                        None => prop_assert!(!room || waiting.is_empty()),
                    }
                }
                6 if !waiting.is_empty() => {
                    let who = waiting.remove(pick % waiting.len());
                    prop_assert!(limiter.abandon(who));
                }
                _ => {}
            }
            prop_assert!((low..=high).contains(&limiter.limit()), "{}", limiter.limit());
            prop_assert_eq!((limiter.in_use(), limiter.waiting()), (running.len() as u32, waiting.len() as u32));
        }
    }
}
