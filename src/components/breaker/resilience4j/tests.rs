//! Scripts, and a list of results as the model.

use super::*;
use proptest::prelude::*;

const CONFIG: Resilience4jConfig = Resilience4jConfig {
    sliding_window: SlidingWindow::Count(4),
    minimum_number_of_calls: 4,
    permitted_number_of_calls_in_half_open_state: 3,
    wait_in_open_state: OpenWait::Constant(SimDuration::from_secs(2)),
    ..Resilience4jConfig::DEFAULT
};

fn at(ms: u64) -> SimTime {
    SimTime::ZERO + SimDuration::from_ms(ms)
}

/// Plays a script, a second for each step. Steps: `?` a call arrives; `+` some call ends well, `x` fails, `s` was
/// slow, `-` is called off; `.` nothing; `!` the timer goes off. Marks: `P` pass, `R` rejected, `_` nothing to tell;
/// or the new state `O`, `H` (rejected), `T` (half open, and the call passes), `C`.
fn play(config: Resilience4jConfig, script: &str) -> String {
    let mut breaker = Resilience4jBreaker::new(config, SimTime::ZERO);
    let mut now = SimTime::ZERO;
    let step = |step: char| {
        now += SimDuration::from_secs(1);
        let transition = match step {
            '?' => {
                return match breaker.on_request(now) {
                    (true, None) => 'P',
                    (true, Some(_)) => 'T',
                    (false, _) => 'R',
                };
            }
            '.' => None,
            '!' => breaker.on_timer(now),
            '-' => {
                breaker.on_cancelled();
                None
            }
            's' => breaker.on_result(now, SimDuration::from_secs(61), false),
            _ => breaker.on_result(now, SimDuration::ZERO, step == 'x'),
        };
        match transition.map(|t| t.to) {
            None => '_',
            Some(BreakerState::Open) => 'O',
            Some(BreakerState::HalfOpen) => 'H',
            Some(BreakerState::Closed) => 'C',
        }
    };
    script.chars().map(step).collect()
}

#[test]
fn it_opens_at_the_threshold_once_there_are_enough() {
    assert_eq!(play(CONFIG, "xxx"), "___");
    assert_eq!(play(CONFIG, "xx++"), "___O");
    assert_eq!(play(CONFIG, "x+++x"), "_____");
    // A success can open it, as any result is looked at.
    assert_eq!(play(CONFIG, "+xx+"), "___O");
    // A window of calls never forgets by time, only by calls.
    assert_eq!(play(CONFIG, "x+++.........+++xx"), "_________________O");
}

#[test]
fn it_is_half_open_lazily_and_strictly_after_the_wait() {
    // It opens in second 4: two seconds later is not late enough.
    assert_eq!(play(CONFIG, "xxxx.??"), "___O_RT");
    assert_eq!(play(CONFIG, "xxxx.!?"), "___O__T");
    let automatic =
        Resilience4jConfig { automatic_transition_from_open_to_half_open_enabled: true, ..CONFIG };
    assert_eq!(play(automatic, "xxxx!!?"), "___O_HP");
}

#[test]
fn so_many_trials_in_all() {
    assert_eq!(play(CONFIG, "xxxx..?????"), "___O__TPPRR");
    assert_eq!(play(CONFIG, "xxxx..??+?+?+"), "___O__TP_P_RC");
    assert_eq!(play(CONFIG, "xxxx..???xx+"), "___O__TPP__O");
    // One of three is below half.
    assert_eq!(play(CONFIG, "xxxx..???x++"), "___O__TPP__C");
    // The place of one that is called off is free again.
    assert_eq!(play(CONFIG, "xxxx..???-??"), "___O__TPP_PR");
}

#[test]
fn late_results_count_toward_half_open() {
    assert_eq!(play(CONFIG, "xxxx..?+++"), "___O__T__C");
    // While it is open they are only counted, in the window that it opened with.
    assert_eq!(play(CONFIG, "xxxx++..?"), "___O____T");
}

#[test]
fn fewer_calls_than_trials_decide_early() {
    let early = Resilience4jConfig { minimum_number_of_calls: 2, ..CONFIG };
    assert_eq!(play(early, "xx..?"), "_O__T");
    assert_eq!(play(early, "xx..???++"), "_O__TPP_C");
}

#[test]
fn half_open_ends_only_if_told_so() {
    let open = Resilience4jConfig {
        max_wait_duration_in_half_open_state: Some(SimDuration::from_secs(3)),
        ..CONFIG
    };
    assert_eq!(play(CONFIG, "xxxx..???????!"), "___O__TPPRRRR_");
    assert_eq!(play(open, "xxxx..?..!"), "___O__T__O");
    assert_eq!(play(open, "xxxx..?.!"), "___O__T__");
    let close = Resilience4jConfig { closes_after_wait_in_half_open_state: true, ..open };
    assert_eq!(play(close, "xxxx..?..!"), "___O__T__C");
}

#[test]
fn slow_calls_open_it_too() {
    let slow = Resilience4jConfig { slow_call_rate_threshold: 75.0, ..CONFIG };
    assert_eq!(play(slow, "ss+s"), "___O");
    assert_eq!(play(slow, "s+s+"), "____");
    // As long as the threshold is not slow.
    let mut breaker =
        Resilience4jBreaker::new(Resilience4jConfig { minimum_number_of_calls: 1, ..CONFIG }, SimTime::ZERO);
    assert!(breaker.on_result(at(1), SimDuration::from_secs(60), false).is_none());
    assert!(breaker.on_result(at(1), SimDuration::from_ms(60_001), false).is_none());
    assert_eq!(breaker.stats(at(1)).slow, 1);
}

#[test]
fn waits_grow_until_it_closes() {
    let wait = |attempt| {
        let grows = OpenWait::Exponential {
            initial: SimDuration::from_ms(1_001),
            multiplier: 1.5,
            max: Some(SimDuration::from_ms(3_000)),
        };
        grows.of(attempt).ns() / 1_000_000
    };
    assert_eq!([1, 2, 3, 4, 1_000_000].map(wait), [1_001, 1_501, 2_251, 3_000, 3_000]);
}

#[test]
fn a_window_of_time_is_one_of_whole_seconds() {
    let config = Resilience4jConfig {
        sliding_window: SlidingWindow::Time(2),
        minimum_number_of_calls: 2,
        ..Resilience4jConfig::DEFAULT
    };
    let mut breaker = Resilience4jBreaker::new(config, SimTime::ZERO);
    assert!(breaker.on_result(at(999), SimDuration::ZERO, true).is_none());
    assert_eq!(breaker.stats(at(1_999)).buffered, 1);
    assert_eq!(breaker.stats(at(2_000)).buffered, 0);
    // 1.001 s apart, and not in the same window of two seconds.
    assert!(breaker.on_result(at(2_000), SimDuration::ZERO, true).is_none());
    assert!(breaker.on_result(at(3_999), SimDuration::ZERO, true).is_some());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn it_does_what_a_list_of_results_says(
        size in 1u32..6, minimum in 1u32..7, permitted in 1u32..5, by_time: bool, percent in 1u32..=100,
        steps in prop::collection::vec((0u64..1_500, 0u8..8), 1..100),
    ) {
        let sliding_window = if by_time { SlidingWindow::Time(size) } else { SlidingWindow::Count(size) };
        let config = Resilience4jConfig {
            sliding_window,
            minimum_number_of_calls: minimum,
            failure_rate_threshold: percent as f32,
            permitted_number_of_calls_in_half_open_state: permitted,
            ..CONFIG
        };
        let mut breaker = Resilience4jBreaker::new(config, SimTime::ZERO);
        let (mut now, mut opened_at) = (SimTime::ZERO, SimTime::ZERO);
        // Results of the state, and calls that passed half open, less those given back.
        let (mut results, mut passed): (Vec<(u64, bool)>, i64) = (Vec::new(), 0);
        for (wait, step) in steps {
            now += SimDuration::from_ms(wait);
            let before = breaker.state();
            match step {
                0..=2 => {
                    let (passes, transition) = breaker.on_request(now);
                    let is_due = now.since(opened_at) > SimDuration::from_secs(2);
                    prop_assert_eq!(transition.is_some(), before == BreakerState::Open && is_due);
                    if transition.is_some() {
                        results.clear();
                        passed = 0;
                    }
                    match breaker.state() {
                        BreakerState::Closed => prop_assert!(passes),
                        BreakerState::Open => prop_assert!(!passes),
                        BreakerState::HalfOpen => prop_assert_eq!(passes, passed < i64::from(permitted)),
                    }
                    passed += i64::from(passes && breaker.state() == BreakerState::HalfOpen);
                }
                3 => {
                    breaker.on_cancelled();
                    passed -= i64::from(before == BreakerState::HalfOpen);
                }
                _ => {
                    let transition = breaker.on_result(now, SimDuration::ZERO, step < 6);
                    results.push((now.ns() / 1_000_000_000, step < 6));
                    let second = now.ns() / 1_000_000_000;
                    let (kept, fewest): (Vec<_>, u32) = match (before, by_time) {
                        (BreakerState::HalfOpen, _) => {
                            (results.iter().rev().take(permitted as usize).collect(), minimum.min(permitted))
                        }
                        (_, false) => (results.iter().rev().take(size as usize).collect(), minimum.min(size)),
                        (_, true) => (results.iter().filter(|r| r.0 + u64::from(size) > second).collect(), minimum),
                    };
                    let failed = kept.iter().filter(|r| r.1).count();
                    let rate = failed as f32 * 100.0 / kept.len() as f32;
                    let is_enough = kept.len() as u32 >= fewest;
                    let expected = match before {
                        BreakerState::Open => None,
                        _ if !is_enough => None,
                        _ if rate >= percent as f32 => Some(BreakerState::Open),
                        BreakerState::HalfOpen => Some(BreakerState::Closed),
                        BreakerState::Closed => None,
                    };
                    prop_assert_eq!(transition.map(|t| t.to), expected);
                    if let Some(Transition { to, .. }) = transition {
                        opened_at = now;
                        if to == BreakerState::Closed {
                            results.clear();
                        }
                    }
                }
            }
        }
    }
}
