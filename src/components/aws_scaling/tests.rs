//! Policies of Amazon's Auto Scaling: what they do when, and what always holds.

use super::super::AdjustmentType;
use super::*;
use proptest::prelude::*;

const MINUTE: SimDuration = SimDuration::from_secs(60);
const COOLDOWN: Pace =
    Pace::Cooldown { scale_out: SimDuration::from_secs(300), scale_in: SimDuration::from_secs(300) };

fn bounds(min: u32, max: u32) -> Bounds {
    Bounds { min, max }
}

fn tracking(pace: Pace) -> TargetTrackingConfig {
    TargetTrackingConfig { target_value: 50.0, disable_scale_in: false, pace, bounds: bounds(1, 100) }
}

fn high(threshold: f64) -> AlarmConfig {
    AlarmConfig {
        evaluation_periods: 1,
        datapoints_to_alarm: 1,
        threshold,
        comparison: Comparison::GreaterOrEqual,
        treat_missing_data: TreatMissingData::Missing,
    }
}

fn steady(desired: u32) -> Fleet {
    Fleet { desired, warming: 0, settled: Some(SimTime::ZERO), may_shrink: true }
}

/// Plays a datapoint a minute against a fleet that is in service at once; capacities after each.
fn play(policy: &mut ScalingPolicy, mut desired: u32, points: &[f64]) -> Vec<u32> {
    let mut now = SimTime::ZERO;
    let mut all = Vec::new();
    for point in points {
        now += MINUTE;
        policy.observe(Some(*point));
        desired = policy.act(now, steady(desired)).unwrap_or(desired);
        all.push(desired);
    }
    all
}

#[test]
fn three_minutes_above_the_target_add_in_proportion_rounded_up() {
    let mut policy = ScalingPolicy::new(PolicyConfig::TargetTracking(tracking(COOLDOWN)));
    // 4 x 70 / 50 = 5.6. In the cooldown it is still of the 4 that there were: 4 x 80 / 50 = 6.4.
    assert_eq!(play(&mut policy, 4, &[70.0, 70.0, 70.0, 60.0, 80.0]), [4, 4, 6, 6, 7]);
}

#[test]
fn fifteen_minutes_clearly_below_take_away_and_a_cooldown_waits() {
    let mut policy = ScalingPolicy::new(PolicyConfig::TargetTracking(tracking(COOLDOWN)));
    // 44.9 is below 90 % of the target and 45 is not: 10 x 44.9 / 50 = 8.98, so that one goes.
    assert!(play(&mut policy, 10, &[45.0; 20]).iter().all(|c| *c == 10));
    let all = play(&mut policy, 10, &[44.9; 21]);
    assert_eq!(all[13..20], [10, 9, 9, 9, 9, 9, 9]);
    let mut never = PolicyConfig::TargetTracking(tracking(COOLDOWN));
    if let PolicyConfig::TargetTracking(config) = &mut never {
        config.disable_scale_in = true;
    }
    assert!(play(&mut ScalingPolicy::new(never), 10, &[1.0; 40]).iter().all(|c| *c == 10));
}

#[test]
fn instances_that_warm_up_count_as_there_and_hold_back_a_scale_in() {
    let mut policy =
        ScalingPolicy::new(PolicyConfig::TargetTracking(tracking(Pace::Warmup(SimDuration::from_secs(300)))));
    (0..3).for_each(|_| _ = policy.observe(Some(100.0)));
    let now = SimTime::ZERO + MINUTE;
    assert_eq!(policy.act(now, steady(4)), Some(8));
    let fleet = Fleet { desired: 8, warming: 4, settled: None, may_shrink: true };
    assert_eq!(policy.act(now, fleet), None);
    (0..3).for_each(|_| _ = policy.observe(Some(130.0)));
    // 4 x 130 / 50 = 10.4
    assert_eq!(policy.act(now, fleet), Some(11));
    (0..15).for_each(|_| _ = policy.observe(Some(10.0)));
    assert_eq!(policy.act(now, Fleet { desired: 11, warming: 1, settled: None, may_shrink: true }), None);
    assert_eq!(policy.act(now, Fleet { may_shrink: false, ..steady(11) }), None);
    assert_eq!(policy.act(now, steady(11)), Some(3));
}

#[test]
fn missing_data_take_nothing_away() {
    let mut policy = ScalingPolicy::new(PolicyConfig::TargetTracking(tracking(COOLDOWN)));
    (0..15).for_each(|_| _ = policy.observe(Some(10.0)));
    assert!(policy.agrees_to_scale_in());
    (0..17).for_each(|_| _ = policy.observe(None));
    assert!(!policy.agrees_to_scale_in());
    assert_eq!(policy.act(SimTime::ZERO + MINUTE, steady(4)), None);
}

fn steps(pace: Pace) -> StepConfig {
    let step = |lower, upper, adjustment| StepAdjustment { lower, upper, adjustment };
    StepConfig {
        alarm: high(60.0),
        steps: vec![step(Some(0.0), Some(10.0), 1), step(Some(10.0), None, 3)],
        adjustment: Adjustment { kind: AdjustmentType::ChangeInCapacity, min_magnitude: 1 },
        pace,
        bounds: bounds(1, 100),
    }
}

#[test]
fn a_larger_step_passes_a_cooldown_with_what_was_added_counted() {
    let mut policy = ScalingPolicy::new(PolicyConfig::Step(steps(COOLDOWN)));
    // +1, then nothing, then +3 of which one is there; after five minutes without a change +3 again.
    let points = [60.0, 60.0, 70.0, 75.0, 75.0, 75.0, 75.0, 75.0, 59.0, 70.0];
    assert_eq!(play(&mut policy, 10, &points), [11, 11, 13, 13, 13, 13, 13, 16, 16, 16]);
}

#[test]
fn a_simple_policy_waits_until_all_is_in_service_and_then_its_cooldown() {
    let mut policy = ScalingPolicy::new(PolicyConfig::Simple(SimpleConfig {
        alarm: high(60.0),
        number: 2,
        adjustment: Adjustment { kind: AdjustmentType::ChangeInCapacity, min_magnitude: 1 },
        cooldown: SimDuration::from_secs(300),
        bounds: bounds(1, 100),
    }));
    let at = |s: u64| SimTime::ZERO + SimDuration::from_secs(s);
    policy.observe(Some(99.0));
    assert_eq!(policy.act(at(60), steady(2)), Some(4));
    assert_eq!(policy.act(at(1000), Fleet { desired: 4, warming: 2, settled: None, may_shrink: true }), None);
    let settled = Fleet { desired: 4, warming: 0, settled: Some(at(1030)), may_shrink: true };
    assert_eq!(policy.act(at(1060), settled), None);
    assert_eq!(policy.act(at(1320), settled), None);
    assert_eq!(policy.act(at(1380), settled), Some(6));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    /// Whatever the metric does: the bounds hold; nothing is taken away while an instance warms up or within the
    /// cooldown of what was taken away before; and more is added only with an alarm on high values.
    #[test]
    fn bounds_and_cooldowns_hold(
        points in prop::collection::vec(prop::option::weighted(0.9, 0.0f64..200.0), 1..60),
        start in 1u32..30, min in 1u32..5, more in 0u32..20, warms in any::<bool>(), by_steps in any::<bool>(),
    ) {
        let pace = if warms { Pace::Warmup(SimDuration::from_secs(150)) } else { COOLDOWN };
        let bounds = bounds(min, min + more);
        let config = if by_steps {
            PolicyConfig::Step(StepConfig { bounds, ..steps(pace) })
        } else {
            PolicyConfig::TargetTracking(TargetTrackingConfig { bounds, ..tracking(pace) })
        };
        let mut policy = ScalingPolicy::new(config);
        let (mut now, mut desired, mut last_in) = (SimTime::ZERO, start, None);
        let mut warming: Vec<(SimTime, u32)> = Vec::new();
        for point in points {
            now += MINUTE;
            policy.observe(point);
            warming.retain(|(until, _)| now < *until);
            let warm: u32 = warming.iter().map(|(_, n)| n).sum::<u32>().min(desired);
            let was_within = bounds.clamp(desired) == desired;
            let fleet = Fleet { desired, warming: warm, settled: Some(now), may_shrink: true };
            let Some(to) = policy.act(now, fleet) else {
                prop_assert!(was_within);
                continue;
            };
            prop_assert!(to != desired && bounds.clamp(to) == to);
            if was_within && to < desired {
                prop_assert!(!warms || warm == 0);
                prop_assert!(warms || last_in.is_none_or(|at| now.since(at) >= SimDuration::from_secs(300)));
                prop_assert!(!by_steps);
                last_in = Some(now);
            } else if was_within {
                last_in = None;
                if warms {
                    warming.push((now + SimDuration::from_secs(150), to - desired));
                }
            }
            desired = to;
        }
    }
}
