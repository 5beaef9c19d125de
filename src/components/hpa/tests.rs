//! The autoscaler on cases that can be computed by hand, and what must hold of any.

use super::*;
use proptest::prelude::*;

const REQUEST: i64 = 500;
const DAY: Moment = 86_400_000_000_000;

fn at(s: u64) -> SimTime {
    SimTime::ZERO + SimDuration::from_secs(s)
}

fn ns(s: i64) -> Moment {
    s * 1_000_000_000
}

/// A pod that has been ready for a day.
const OLD: Pod = Pod {
    phase: Phase::Running,
    deleted: false,
    ready: Some(true),
    started: Some(-DAY),
    transition: -DAY,
    request_milli: Some(REQUEST),
};

/// A pod that started at 990 s and is not ready.
const NEW: Pod =
    Pod { ready: Some(false), started: Some(990_000_000_000), transition: 990_000_000_000, ..OLD };

fn used(milli: i64) -> Option<Sample> {
    Some(Sample { milli, at: ns(1000), window_ns: ns(15) })
}

fn config(metric: Metric) -> HpaConfig {
    HpaConfig { max_replicas: 100, metrics: vec![metric], ..HpaConfig::KUBERNETES }
}

const CPU_60: Metric = Metric::Utilization { resource: Resource::Cpu, percent: 60 };

/// What a metric proposes at 1000 s for these pods, all of which there should be.
fn proposed(metric: Metric, pods: &[(Pod, Option<Sample>)]) -> Proposal {
    proposed_by(config(metric), pods)
}

fn proposed_by(config: HpaConfig, pods: &[(Pod, Option<Sample>)]) -> Proposal {
    let scale = Scale { spec: pods.len() as u32, status: pods.len() as u32 };
    let (pods, samples): (Vec<Pod>, Vec<Option<Sample>>) = pods.iter().copied().unzip();
    Hpa::new(config).propose(0, at(1000), scale, &pods, Reading::Pods(&samples))
}

fn old(milli: &[i64]) -> Vec<(Pod, Option<Sample>)> {
    milli.iter().map(|m| (OLD, used(*m))).collect()
}

#[test]
fn usage_over_target_times_pods_rounded_up() {
    assert_eq!(proposed(CPU_60, &old(&[300, 300, 300])), Ok(3));
    // 153 % of the requests; 2.55 of the target; 7.65 pods.
    assert_eq!(proposed(CPU_60, &old(&[767, 767, 766])), Ok(8));
    assert_eq!(proposed(CPU_60, &old(&[56, 56, 57, 56])), Ok(1));
    assert_eq!(proposed(CPU_60, &old(&[0, 0])), Ok(0));
}

#[test]
fn utilisation_is_a_whole_percentage_and_the_tolerance_inclusive() {
    // 66 % is 1.1 times 60 %; what is less than 67 % counts as 66 %.
    assert_eq!(proposed(CPU_60, &old(&[330, 330])), Ok(2));
    assert_eq!(proposed(CPU_60, &old(&[330, 339])), Ok(2));
    assert_eq!(proposed(CPU_60, &old(&[330, 340])), Ok(3));
    // 54 % is 0.9 times 60 %.
    assert_eq!(proposed(CPU_60, &old(&[270; 20])), Ok(20));
    assert_eq!(proposed(CPU_60, &old(&[269; 20])), Ok(18));
    let behavior = |tolerance| {
        let scale_up = Rules { tolerance: Some(tolerance), ..Rules::up() };
        Some(Behavior { scale_up, ..Behavior::default() })
    };
    let strict = HpaConfig { behavior: behavior(0.0), ..config(CPU_60) };
    assert_eq!(proposed_by(strict.clone(), &old(&[305, 305])), Ok(3));
    assert_eq!(proposed_by(strict, &old(&[270; 20])), Ok(20));
    assert_eq!(proposed_by(HpaConfig { behavior: behavior(0.5), ..config(CPU_60) }, &old(&[450; 2])), Ok(2));
}

#[test]
fn pods_without_measurement_count_against_the_change() {
    // On the way down each takes its whole request: 9 x 30 % and 100 % are 37 %; 0.6167 x 10 pods.
    let mut pods = old(&[150; 9]);
    pods.push((OLD, None));
    assert_eq!(proposed(CPU_60, &pods), Ok(7));
    // Or its target, where that is more: 9 x 75 % and 150 % are 82 %; 0.5467 x 10 pods.
    let mut pods = old(&[375; 9]);
    pods.push((OLD, None));
    assert_eq!(proposed(Metric::Utilization { resource: Resource::Cpu, percent: 150 }, &pods), Ok(6));
    // On the way up they use nothing: 4 x 120 % and 2 x 0 are 80 %; 1.333 x 6 pods.
    let mut pods = old(&[600; 4]);
    pods.extend([(OLD, None); 2]);
    assert_eq!(proposed(CPU_60, &pods), Ok(8));
    // They do not turn a change around: 40 % alone, 70 % with the missing.
    assert_eq!(proposed(CPU_60, &[(OLD, used(200)), (OLD, None)]), Ok(2));
    // At the target they are left out.
    assert_eq!(proposed(CPU_60, &[(OLD, used(300)), (OLD, None)]), Ok(2));
}

#[test]
fn pods_that_are_not_ready_damp_growth_and_do_not_hold_back_shrinking() {
    // 4 x 120 % and 2 x 0, as above, although the new ones use more than the old.
    let mut pods = old(&[600; 4]);
    pods.extend([(NEW, used(900)); 2]);
    assert_eq!(proposed(CPU_60, &pods), Ok(8));
    let pending = Pod { phase: Phase::Pending, ..OLD };
    let mut pods = old(&[600; 4]);
    pods.extend([(pending, None), (pending, used(900))]);
    assert_eq!(proposed(CPU_60, &pods), Ok(8));
    // 30 % of the ready: 0.5 x 4 pods.
    let mut pods = old(&[150; 4]);
    pods.extend([(NEW, used(900)); 2]);
    assert_eq!(proposed(CPU_60, &pods), Ok(2));
    // Ready of late, but not for a whole measurement; then for one.
    let fresh = Pod { ready: Some(true), transition: ns(986), ..NEW };
    assert_eq!(proposed(CPU_60, &[(OLD, used(600)), (fresh, used(600))]), Ok(2));
    let fresh = Pod { transition: ns(985), ..fresh };
    assert_eq!(proposed(CPU_60, &[(OLD, used(600)), (fresh, used(600))]), Ok(4));
    // After 300 s a pod that is not ready counts if it ever was: its last change came later than 30 s after start.
    let sick =
        |transition| Pod { ready: Some(false), started: Some(ns(700)), transition: ns(transition), ..OLD };
    assert_eq!(proposed(CPU_60, &[(OLD, used(600)), (sick(729), used(600))]), Ok(2));
    assert_eq!(proposed(CPU_60, &[(OLD, used(600)), (sick(730), used(600))]), Ok(4));
    // A pod without the condition, or without a start, is not ready. Memory asks for neither.
    for unknown in [Pod { ready: None, ..OLD }, Pod { started: None, ..OLD }] {
        let pods = [(OLD, used(600)), (unknown, used(600))];
        assert_eq!(proposed(CPU_60, &pods), Ok(2));
        let memory = Metric::Utilization { resource: Resource::Memory, percent: 60 };
        assert_eq!(proposed(memory, &pods), Ok(4));
    }
}

#[test]
fn who_goes_does_not_count() {
    let gone = Pod { deleted: true, ..OLD };
    let failed = Pod { phase: Phase::Failed, ..OLD };
    let pods = [(OLD, used(600)), (gone, used(9000)), (failed, None)];
    assert_eq!(proposed(CPU_60, &pods), Ok(2));
}

#[test]
fn what_cannot_be_computed_is_an_error() {
    assert_eq!(proposed(CPU_60, &[]), Err(MetricError::NoPods));
    assert_eq!(proposed(CPU_60, &[(OLD, None), (NEW, used(1))]), Err(MetricError::NoSamples));
    let careless = Pod { request_milli: None, deleted: true, ..OLD };
    assert_eq!(proposed(CPU_60, &[(OLD, used(1)), (careless, None)]), Err(MetricError::NoRequest));
    let nothing = Pod { request_milli: Some(0), ..OLD };
    assert_eq!(proposed(CPU_60, &[(nothing, used(1))]), Err(MetricError::NoRequest));
    assert_eq!(proposed(Metric::Value { milli: 1 }, &old(&[1])), Err(MetricError::WrongReading));
}

#[test]
fn averages_of_pods() {
    let ten = Metric::Pods { milli: 10_000 };
    assert_eq!(proposed(ten, &old(&[20_000, 30_000])), Ok(5));
    assert_eq!(proposed(ten, &old(&[11_000, 11_001])), Ok(2), "the mean is whole, too");
    assert_eq!(proposed(ten, &old(&[11_001, 11_001])), Ok(3));
    let careless = Pod { request_milli: None, ..OLD };
    assert_eq!(proposed(ten, &[(careless, used(30_000))]), Ok(3));
    // Nobody asks whether pods are ready, except where the average is one of CPU.
    let pods = [(OLD, used(20_000)), (NEW, used(20_000))];
    assert_eq!(proposed(ten, &pods), Ok(4));
    let cpu = Metric::ResourceAverage { resource: Resource::Cpu, milli: 10_000 };
    assert_eq!(proposed(cpu, &pods), Ok(2));
    // The missing take the target on the way down, and nothing on the way up or in between.
    let with_missing = |milli: i64| {
        let mut pods = old(&[milli; 3]);
        pods.push((OLD, None));
        proposed(ten, &pods)
    };
    assert_eq!(with_missing(2_000), Ok(2)); // (3 x 2 + 10) / 4 = 4
    assert_eq!(with_missing(20_000), Ok(6)); // 60 / 4 = 15
    assert_eq!(with_missing(10_000), Ok(3)); // 30 / 4 = 7.5
}

#[test]
fn one_value_for_all() {
    let pods = [OLD, OLD, NEW, OLD];
    let propose = |metric, current, total| {
        let scale = Scale { spec: current, status: 4 };
        Hpa::new(config(metric)).propose(0, at(1000), scale, &pods, Reading::Total(total))
    };
    let value = Metric::Value { milli: 100_000 };
    assert_eq!(propose(value, 4, Some(110_000)), Ok(4));
    assert_eq!(propose(value, 4, Some(150_000)), Ok(5)); // 1.5 x 3 ready pods
    assert_eq!(propose(value, 0, Some(150_000)), Ok(2));
    assert_eq!(propose(value, 4, None), Err(MetricError::NoSamples));
    let average = Metric::AverageValue { milli: 10_000 };
    assert_eq!(propose(average, 9, Some(44_000)), Ok(4));
    assert_eq!(propose(average, 9, Some(45_000)), Ok(5));
    assert_eq!(propose(average, 9, Some(1)), Ok(1));
    let reading = Reading::Pods(&[]);
    let scale = Scale { spec: 4, status: 4 };
    let wrong = Hpa::new(config(average)).propose(0, at(0), scale, &pods, reading);
    assert_eq!(wrong, Err(MetricError::WrongReading));
}

// ---- decisions ----

/// Plays syncs 15 s apart: what is proposed at each; answers with what there should be after each.
fn follow(config: HpaConfig, start: u32, proposals: &[u32]) -> Vec<u32> {
    let mut hpa = Hpa::new(config);
    let mut current = start;
    let decide = |(number, proposed): (usize, &u32)| {
        current = hpa.decide(at(number as u64 * 15), current, &[Ok(*proposed)]).desired;
        current
    };
    proposals.iter().enumerate().map(decide).collect()
}

fn bounded(min: u32, max: u32, behavior: Option<Behavior>) -> HpaConfig {
    HpaConfig { min_replicas: min, max_replicas: max, behavior, ..config(CPU_60) }
}

fn at_once() -> Behavior {
    let rules = |policy| Rules {
        stabilization_window: Some(SimDuration::ZERO),
        policies: vec![Policy { amount: policy, period: SimDuration::from_secs(15) }],
        ..Rules::up()
    };
    Behavior { scale_up: rules(Amount::Pods(1000)), scale_down: rules(Amount::Percent(100)) }
}

#[test]
fn absent_behavior_is_not_empty_behavior() {
    let (absent, empty) = (bounded(1, 50, None), bounded(1, 50, Some(Behavior::default())));
    assert_eq!(follow(absent.clone(), 1, &[50, 50, 50, 50, 50]), [4, 8, 16, 32, 50]);
    assert_eq!(follow(empty.clone(), 1, &[50, 50, 50, 50]), [5, 10, 20, 40]);
    assert_eq!(follow(absent, 3, &[50]), [6]);
    assert_eq!(follow(empty, 3, &[50]), [7]);
}

#[test]
fn the_first_look_holds_back_for_the_first_five_minutes() {
    // The older rule counts a recommendation that is exactly as old as the window, the newer does not.
    for (behavior, syncs) in [(None, 21), (Some(Behavior::default()), 20)] {
        let followed = follow(bounded(1, 50, behavior), 9, &[2; 30]);
        assert_eq!(followed, [vec![9; syncs], vec![2; 30 - syncs]].concat());
    }
}

#[test]
fn recommendations_hold_back_both_ways() {
    let window = |s| Some(SimDuration::from_secs(s));
    let mut behavior = at_once();
    behavior.scale_up.stabilization_window = window(60);
    behavior.scale_down.stabilization_window = window(30);
    let config = bounded(1, 50, Some(behavior));
    // Up to the lowest of 60 s, down to the highest of 30 s; recommendations are kept raw.
    assert_eq!(follow(config.clone(), 4, &[9, 9, 7, 9, 9, 9, 9]), [4, 4, 4, 4, 7, 7, 9]);
    assert_eq!(follow(config, 4, &[4, 1, 2, 1, 1]), [4, 4, 2, 2, 1]);
}

#[test]
fn rates_count_what_changed_within_their_period() {
    let mut behavior = at_once();
    behavior.scale_up.policies = vec![Policy { amount: Amount::Pods(3), period: SimDuration::from_secs(45) }];
    behavior.scale_down.policies =
        vec![Policy { amount: Amount::Percent(50), period: SimDuration::from_secs(30) }];
    let config = bounded(1, 50, Some(behavior));
    // Up by 3 in 45 s; what went down in that time may come back beside.
    assert_eq!(follow(config.clone(), 4, &[20, 20, 20, 20, 20, 20]), [7, 7, 7, 10, 10, 10]);
    assert_eq!(follow(config.clone(), 8, &[1, 1, 1, 20, 20]), [4, 4, 2, 7, 7]);
    // Half of 5 is cut off to 2, and of 1 to none, which the minimum lifts.
    assert_eq!(follow(config, 5, &[0, 0, 0, 0, 0]), [2, 2, 1, 1, 1]);
}

#[test]
fn percentages_are_rounded_up_on_the_way_up() {
    let mut behavior = at_once();
    let ten = Policy { amount: Amount::Percent(10), period: SimDuration::from_secs(15) };
    behavior.scale_up.policies = vec![ten];
    behavior.scale_down.policies = vec![ten];
    let config = bounded(1, 50, Some(behavior));
    assert_eq!(follow(config.clone(), 1, &[50; 5]), [2, 3, 4, 5, 6]);
    assert_eq!(follow(config, 21, &[1; 3]), [18, 16, 14]);
}

#[test]
fn policies_are_selected() {
    let mut behavior = Behavior::default();
    behavior.scale_down.stabilization_window = Some(SimDuration::ZERO);
    let with = |up, down| {
        let mut behavior = behavior.clone();
        behavior.scale_up.select_policy = up;
        behavior.scale_down.select_policy = down;
        behavior
            .scale_down
            .policies
            .push(Policy { amount: Amount::Pods(2), ..behavior.scale_down.policies[0] });
        bounded(1, 50, Some(behavior))
    };
    assert_eq!(follow(with(SelectPolicy::Max, SelectPolicy::Max), 6, &[30, 0]), [12, 1]);
    assert_eq!(follow(with(SelectPolicy::Min, SelectPolicy::Min), 6, &[30, 0]), [10, 8]);
    assert_eq!(follow(with(SelectPolicy::Disabled, SelectPolicy::Disabled), 6, &[30, 0]), [6, 6]);
}

#[test]
fn the_largest_proposal_counts_and_a_failure_forbids_to_shrink() {
    let failed = Err(MetricError::NoSamples);
    let decide = |proposals: &[Proposal]| {
        let mut hpa = Hpa::new(bounded(1, 50, Some(at_once())));
        hpa.decide(at(0), 5, proposals)
    };
    let is = |desired, reason| Decision { desired, reason };
    assert_eq!(decide(&[Ok(2), Ok(3)]), is(3, Reason::Proposed));
    assert_eq!(decide(&[Ok(7), Ok(3)]), is(7, Reason::Proposed));
    assert_eq!(decide(&[failed, Ok(7)]), is(7, Reason::Proposed));
    assert_eq!(decide(&[failed, Ok(5)]), is(5, Reason::Proposed));
    assert_eq!(decide(&[Ok(3), failed]), is(5, Reason::NoMetrics));
    assert_eq!(decide(&[failed, failed]), is(5, Reason::NoMetrics));
}

#[test]
fn bounds_hold_at_once_and_reasons_are_given() {
    let decide = |config: HpaConfig, current, proposed| {
        let decision = Hpa::new(config).decide(at(0), current, &[proposed]);
        (decision.desired, decision.reason)
    };
    let failed = Err(MetricError::NoSamples);
    let absent = || bounded(2, 10, None);
    let present = || bounded(2, 10, Some(at_once()));
    assert_eq!(decide(absent(), 20, failed), (10, Reason::AboveMaximum));
    assert_eq!(decide(absent(), 1, failed), (2, Reason::BelowMinimum));
    assert_eq!(decide(absent(), 0, Ok(5)), (0, Reason::Disabled));
    assert_eq!(decide(bounded(0, 10, Some(at_once())), 0, Ok(5)), (5, Reason::Proposed));
    assert_eq!(decide(absent(), 6, Ok(20)), (10, Reason::Bounded));
    assert_eq!(decide(absent(), 3, Ok(20)), (6, Reason::RateLimited));
    assert_eq!(decide(absent(), 6, Ok(4)), (6, Reason::Stabilized));
    assert_eq!(decide(present(), 6, Ok(20)), (10, Reason::Bounded));
    assert_eq!(decide(present(), 6, Ok(0)), (2, Reason::Bounded));
    assert_eq!(decide(bounded(2, 10, Some(Behavior::default())), 2, Ok(20)), (6, Reason::RateLimited));
    assert_eq!(decide(bounded(2, 10, Some(Behavior::default())), 6, Ok(4)), (6, Reason::Stabilized));
}

#[test]
fn new_settings_keep_what_is_remembered_and_memory_is_bounded() {
    let mut hpa = Hpa::new(bounded(1, 50, None));
    for sync in 0..1000 {
        hpa.decide(at(sync * 15), 9, &[Ok(9)]);
    }
    assert!(hpa.recommendations.len() <= 22, "{}", hpa.recommendations.len());
    hpa.reconfigure(bounded(1, 7, None));
    assert_eq!(hpa.decide(at(15_000), 9, &[Ok(2)]).desired, 7);
    assert_eq!(hpa.decide(at(15_015), 7, &[Ok(2)]).desired, 7, "9 was recommended of late");
    assert_eq!(hpa.config().max_replicas, 7);
}

fn rules() -> impl Strategy<Value = Rules> {
    let amount = prop_oneof![(1u32..8).prop_map(Amount::Pods), (1u32..150).prop_map(Amount::Percent)];
    let policy =
        (amount, 1u64..120).prop_map(|(amount, s)| Policy { amount, period: SimDuration::from_secs(s) });
    let select = prop::sample::select(vec![SelectPolicy::Max, SelectPolicy::Min, SelectPolicy::Disabled]);
    let window = prop::option::of((0u64..120).prop_map(SimDuration::from_secs));
    (window, select, prop::collection::vec(policy, 1..3)).prop_map(
        |(stabilization_window, select_policy, policies)| Rules {
            stabilization_window,
            select_policy,
            policies,
            tolerance: None,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    /// Whatever metrics say: within the bounds, never past what they proposed at any time, never faster than allowed.
    #[test]
    fn decisions_stay_within_bounds(
        min in 1u32..6, more in 0u32..20, start in 1u32..30,
        behavior in prop::option::of((rules(), rules())),
        syncs in prop::collection::vec((1u64..40, prop::option::weighted(0.9, 0u32..40)), 1..30),
    ) {
        let behavior = behavior.map(|(scale_up, scale_down)| Behavior { scale_up, scale_down });
        let max = min + more;
        let mut hpa = Hpa::new(bounded(min, max, behavior));
        let (mut now, mut current) = (0, start);
        let (mut lowest, mut highest) = (start, start);
        for (pause, proposed) in syncs {
            now += pause;
            let proposal = proposed.ok_or(MetricError::NoSamples);
            let desired = hpa.decide(at(now), current, &[proposal]).desired;
            prop_assert!((min..=max).contains(&desired), "{desired}");
            lowest = lowest.min(proposed.unwrap_or(current));
            highest = highest.max(proposed.unwrap_or(current));
            prop_assert!(desired <= highest.max(min) && desired >= lowest.min(max), "{desired}");
            if (min..=max).contains(&current) {
                prop_assert!(proposed.is_some() || desired == current);
                let rate = hpa.config().behavior.as_ref().map(|b| &b.scale_up);
                let most = match rate {
                    None => current.max(2) * 2,
                    Some(rules) if rules.select_policy == SelectPolicy::Disabled => current,
                    // A period may begin with more than there are now: with the maximum, or with the start.
                    Some(rules) => rules.policies.iter().map(|p| match p.amount {
                        Amount::Pods(n) => start.max(max) + n,
                        Amount::Percent(n) => (start.max(max) * (100 + n)).div_ceil(100),
                    }).max().unwrap_or(current),
                };
                prop_assert!(desired <= most.max(current));
            }
            current = desired;
        }
    }

    /// Pods that are not ready or not measured damp a change and never turn it around.
    #[test]
    fn proposals_keep_their_direction(
        usage in prop::collection::vec(0i64..1500, 1..20), unready in 0usize..10, missing in 0usize..10,
        percent in 1u32..150,
    ) {
        let metric = Metric::Utilization { resource: Resource::Cpu, percent };
        let alone = proposed(metric, &old(&usage));
        let mut pods = old(&usage);
        pods.extend(vec![(NEW, used(900)); unready]);
        pods.extend(vec![(OLD, None); missing]);
        let (all, count) = (proposed(metric, &pods).unwrap(), pods.len() as u32);
        let percentage = usage.iter().sum::<i64>() * 100 / (REQUEST * usage.len() as i64);
        let percent = i64::from(percent);
        if percentage > percent {
            prop_assert!(all >= count);
            // What all use is no more for being divided among more; but for the cut to whole per cent.
            let needed = (usage.iter().sum::<i64>() * 100).div_euclid(REQUEST * percent) as u32 + 1;
            prop_assert!(all <= needed.max(count));
        } else if percentage < percent && unready == 0 {
            prop_assert!(all <= count);
        }
        if missing == 0 && unready == 0 {
            prop_assert_eq!(Ok(all), alone);
        }
    }
}
