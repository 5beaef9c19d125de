//! Results for tests: an incident as it might have been simulated, and corner cases.

use crate::base::units::Unit;
use crate::experiment::results::*;
use crate::metrics::Estimate;
use crate::metrics::estimate::binomial;

/// One variant, one run, two windows.
pub fn tiny() -> ExperimentResult {
    let line = LogLine {
        time_s: 1.5,
        kind: "target_unhealthy".into(),
        component: "balancers.alb".into(),
        instance: "api.3".into(),
        detail: "2 checks \"timed out\"".into(),
    };
    let variant = VariantResult {
        name: "base".into(),
        requests: 10,
        events: 42,
        measures: Vec::new(),
        fingerprints: vec![0xff],
        metrics: vec![
            metric("clients.users.latency.p99", Unit::Seconds, &[]),
            metric("clients.users.rate", Unit::PerSecond, &[10.0]),
        ],
        faults: Vec::new(),
        alerts: Vec::new(),
        objectives: Vec::new(),
        cascades: Vec::new(),
        series: Series {
            times_s: vec![1.0, 2.0],
            columns: vec![
                exact("clients.users.latency.p99", Unit::Seconds, vec![f64::NAN, 0.25]),
                exact("clients.users.rate", Unit::PerSecond, vec![0.0, 10.0]),
            ],
        },
        latency: Vec::new(),
        log: vec![RunLog { run: 0, lines: vec![line], dropped: 7 }],
        stationary: Vec::new(),
        traces: None,
    };
    ExperimentResult {
        name: "tiny".into(),
        seed: 42,
        runs: 1,
        runs_at_most: 1,
        precision: Vec::new(),
        duration_s: 2.0,
        warmup_s: 0.0,
        warmup_method: None,
        events: 42,
        variants: vec![variant],
        expectations: vec![expectation(
            "base",
            "clients.users.rate > 1/s",
            Some(10.0),
            9.0,
            Unit::PerSecond,
            Verdict::Held,
        )],
        theory: Default::default(),
        warnings: vec!["one run has no interval".into()],
    }
}

/// Every number that can be undefined is.
pub fn all_nan() -> ExperimentResult {
    let mut result = incident();
    result.variants.truncate(1);
    let variant = &mut result.variants[0];
    variant.name = "base".into();
    let nan = Estimate {
        mean: f64::NAN,
        half_width: Some(f64::NAN),
        lo: Some(f64::NAN),
        hi: Some(f64::INFINITY),
        runs: 5,
    };
    variant.metrics.iter_mut().for_each(|m| m.estimate = Some(nan));
    for column in &mut variant.series.columns {
        for values in [&mut column.mean, &mut column.lo, &mut column.hi] {
            values.iter_mut().for_each(|v| *v = f64::NAN);
        }
    }
    variant.latency[0].points.iter_mut().for_each(|p| *p = (f64::NAN, f64::NAN));
    let fault = &mut variant.faults[0];
    (fault.detect_s, fault.recover_s, fault.depth) = (Some(nan), Some(nan), Some(nan));
    (fault.goodput_before, fault.unserved) = (Some(nan), Some(nan));
    for run in &mut fault.per_run {
        (run.detect_s, run.recover_s, run.depth) = (Some(f64::NAN), Some(f64::NAN), f64::NAN);
    }
    result.expectations[0].value = Some(f64::NAN);
    result.expectations[0].ci95 = Some((f64::NEG_INFINITY, f64::NAN));
    result.expectations[0].margin = Some(f64::NAN);
    result
}

/// A third party stalls from 300 s to 1020 s and takes all targets with it; the same with breaker and fallback; the
/// same with an operator who acts after 8 minutes.
pub fn incident() -> ExperimentResult {
    let variants = vec![
        variant("after", Behavior { collapse: false, healed_s: 1020.0, breaker: true }),
        variant("before", Behavior { collapse: true, healed_s: f64::INFINITY, breaker: false }),
        variant("operator", Behavior { collapse: true, healed_s: 780.0, breaker: false }),
    ];
    let p99 = "p(99) of clients.users.latency < 1s";
    let unit = Unit::Seconds;
    ExperimentResult {
        name: "weather-cascade".into(),
        seed: 42,
        runs: 5,
        runs_at_most: 5,
        precision: Vec::new(),
        duration_s: 1800.0,
        warmup_s: 120.0,
        warmup_method: None,
        events: 123_456_789,
        variants,
        expectations: vec![
            expectation("after", p99, Some(0.187), 0.813, unit, Verdict::Held),
            expectation(
                "after",
                "clients.users.error_ratio < 0.1%",
                Some(0.0008),
                0.0002,
                Unit::Ratio,
                Verdict::Inconclusive,
            ),
            expectation("before", p99, Some(30.0), -29.0, unit, Verdict::Failed),
            expectation("operator", "P(recovered) >= 0.95", None, 0.0, Unit::Ratio, Verdict::Inconclusive),
        ],
        theory: Default::default(),
        warnings: vec![
            "balancers.alb: the health check of service `api` calls `weather`, which has no timeout; a slow third \
             party takes all targets out at once"
                .into(),
        ],
    }
}

/// How a variant of the incident behaves.
#[derive(Clone, Copy)]
struct Behavior {
    collapse: bool,
    healed_s: f64,
    breaker: bool,
}

impl Behavior {
    /// How far the collapse is at a time, from 0 to 1.
    fn down(self, t: f64) -> f64 {
        if !self.collapse || t < 360.0 {
            return 0.0;
        }
        let fall = ((t - 360.0) / 40.0).min(1.0);
        let heal = if t > self.healed_s { ((t - self.healed_s) / 30.0).min(1.0) } else { 0.0 };
        fall * (1.0 - heal)
    }

    /// Whether the third party stalls.
    fn stalled(t: f64) -> bool {
        t > 300.0 && t <= 1020.0
    }

    /// Whether requests wait for the third party.
    fn waits(self, t: f64) -> bool {
        (Self::stalled(t) && (self.collapse || t < 311.0)) || self.down(t) > 0.0
    }
}

fn variant(name: &str, b: Behavior) -> VariantResult {
    let times_s: Vec<f64> = (1..=1800).map(f64::from).collect();
    let columns = columns(&times_s, b);
    let metrics = columns
        .iter()
        .map(|c| {
            let present: Vec<f64> = c.mean.iter().copied().filter(|v| v.is_finite()).collect();
            let mean = present.iter().sum::<f64>() / present.len() as f64;
            let mean = if c.path.ends_with("error_ratio") && b.collapse { 0.671 } else { mean };
            metric(&c.path, c.unit, &[mean * 0.99, mean * 1.005, mean, mean * 0.995, mean * 1.01])
        })
        .collect();
    VariantResult {
        name: name.into(),
        requests: 10_800_000,
        events: 41_152_263,
        measures: Vec::new(),
        fingerprints: (0..5).map(|run| 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(run + 1)).collect(),
        metrics,
        faults: vec![fault(b)],
        alerts: vec![alert(b)],
        objectives: Vec::new(),
        cascades: Vec::new(),
        series: Series { times_s, columns },
        latency: vec![LatencyCurve { client: "users".into(), points: curve(b) }],
        log: Vec::new(),
        stationary: Vec::new(),
        traces: None,
    }
}

fn columns(times: &[f64], b: Behavior) -> Vec<SeriesColumn> {
    let down = move |t: f64| b.down(t);
    let rate = |_: f64| 1200.0;
    let waiting = move |t: f64| if b.waits(t) { 1.0 } else { 0.0 };
    let timeouts = move |t: f64| waiting(t) * (10.0 + 400.0 * (1.0 - down(t)));
    let unavailable = move |t: f64| 1060.0 * down(t);
    let degraded = move |t: f64| if b.breaker && Behavior::stalled(t) && t > 311.0 { 780.0 } else { 0.0 };
    let ok = move |t: f64| (1200.0 - timeouts(t) - unavailable(t) - degraded(t)).max(0.0);
    let p99 = move |t: f64| if waiting(t) > 0.0 { 30.0 } else { 0.187 };
    let p95 = move |t: f64| if waiting(t) > 0.0 { 21.0 } else { 0.121 };
    let p50 = move |t: f64| if down(t) > 0.5 { 0.004 } else { 0.062 + waiting(t) * 0.9 };
    let healthy = move |t: f64| {
        let flapping = if (t / 30.0) as u64 % 4 == 3 { 2.0 } else { 0.0 };
        12.0 * (1.0 - down(t)).max(0.0) + if down(t) >= 1.0 { flapping } else { 0.0 }
    };
    let open = move |t: f64| if degraded(t) > 0.0 { 12.0 } else { 0.0 };
    let in_flight = move |t: f64| 74.0 + waiting(t) * 2200.0 * (1.0 - 0.9 * down(t));
    let outcomes = Unit::PerSecond;
    let mut all = vec![
        column(times, "balancers.alb.healthy", Unit::Count("targets"), 0.0, |t| healthy(t).round()),
        column(times, "clients.users.error_ratio", Unit::Ratio, 0.02, move |t| {
            (timeouts(t) + unavailable(t)) / 1200.0
        }),
        column(times, "clients.users.goodput", outcomes, 0.03, move |t| ok(t) + degraded(t)),
        column(times, "clients.users.latency.p50", Unit::Seconds, 0.05, p50),
        column(times, "clients.users.latency.p95", Unit::Seconds, 0.08, p95),
        column(times, "clients.users.latency.p99", Unit::Seconds, 0.12, move |t| p99(t) * 0.9),
        column(times, "clients.users.outcomes.cancelled", outcomes, 0.0, |_| 0.0),
        column(times, "clients.users.outcomes.degraded", outcomes, 0.03, degraded),
        column(times, "clients.users.outcomes.error", outcomes, 0.4, |_| 0.6),
        column(times, "clients.users.outcomes.ok", outcomes, 0.03, ok),
        column(times, "clients.users.outcomes.rejected", outcomes, 0.0, |_| 0.0),
        column(times, "clients.users.outcomes.timeout", outcomes, 0.1, timeouts),
        column(times, "clients.users.outcomes.unavailable", outcomes, 0.03, unavailable),
        column(times, "clients.users.rate", outcomes, 0.03, rate),
        column(times, "databases.db.connections", Unit::Count("connections"), 0.0, |_| 120.0),
        column(times, "databases.db.cpu_utilization", Unit::Ratio, 0.05, move |t| {
            0.31 * (1.0 - 0.9 * down(t))
        }),
        column(times, "services.api.calls.db.pool.in_use", Unit::Count("connections"), 0.1, move |t| {
            31.0 * (1.0 - 0.9 * down(t)) + 60.0 * waiting(t) * (1.0 - down(t))
        }),
        column(times, "services.api.calls.db.pool.waiting", Unit::Count("calls"), 0.2, move |t| {
            140.0 * waiting(t) * (1.0 - down(t))
        }),
        column(times, "services.api.calls.weather.amplification", Unit::Level, 0.0, |_| 1.0),
        column(times, "services.api.cpu_utilization", Unit::Ratio, 0.05, move |t| {
            0.42 * (1.0 - 0.88 * down(t))
        }),
        column(times, "services.api.in_flight", Unit::Count("requests"), 0.1, in_flight),
        column(times, "services.api.queue", Unit::Count("requests"), 0.2, move |t| {
            waiting(t) * 260.0 * (1.0 - 0.8 * down(t))
        }),
        column(times, "services.api.up", Unit::Count("instances"), 0.0, |_| 12.0),
        column(times, "services.api.work_for_nobody", Unit::Ratio, 0.1, move |t| waiting(t) * 0.4),
    ];
    if b.breaker {
        let breakers = Unit::Count("breakers");
        all.push(column(times, "services.api.calls.weather.breaker.open", breakers, 0.0, open));
    }
    all.sort_by(|x, y| x.path.cmp(&y.path));
    all
}

/// A column with noise, the same for the same path.
fn column(times: &[f64], path: &str, unit: Unit, noise: f64, level: impl Fn(f64) -> f64) -> SeriesColumn {
    let mut state =
        path.bytes().fold(7_u64, |hash, byte| hash.wrapping_mul(31).wrapping_add(u64::from(byte)));
    let mut dice = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 40) as f64 / (1_u64 << 24) as f64 - 0.5) * 2.0
    };
    let mean: Vec<f64> = times.iter().map(|&t| level(t) * (1.0 + noise * dice())).collect();
    let lo = mean.iter().map(|m| m * (1.0 - noise)).collect();
    let hi = mean.iter().map(|m| m * (1.0 + noise)).collect();
    SeriesColumn { path: path.into(), unit, mean, lo, hi }
}

fn exact(path: &str, unit: Unit, mean: Vec<f64>) -> SeriesColumn {
    SeriesColumn { path: path.into(), unit, lo: mean.clone(), hi: mean.clone(), mean }
}

fn metric(path: &str, unit: Unit, values: &[f64]) -> MetricResult {
    MetricResult {
        path: path.into(),
        unit,
        estimate: Estimate::of(values),
        per_run: values.iter().copied().map(Some).collect(),
    }
}

fn fault(b: Behavior) -> FaultResult {
    let recover = |run: u32| match (b.collapse, b.healed_s.is_finite()) {
        (true, false) => None,
        (true, true) => Some(505.0 + 7.0 * f64::from(run)),
        (false, _) => Some(11.0 + 0.8 * f64::from(run)),
    };
    let per_run: Vec<FaultRun> = (0..5)
        .map(|run| FaultRun {
            detect_s: Some(if b.breaker { 5.0 } else { 60.0 } + f64::from(run)),
            recover_s: recover(run),
            depth: if b.collapse { 0.0 } else { 786.0 + f64::from(run) },
            goodput_before: 1199.0,
            unserved: if b.collapse { 1_240_000.0 } else { 4_400.0 } + 100.0 * f64::from(run),
            cost: None,
            metastable: recover(run).is_none(),
            struck: true,
            ..FaultRun::default()
        })
        .collect();
    let present = |value: fn(&FaultRun) -> Option<f64>| {
        Estimate::of_present(&per_run.iter().map(value).collect::<Vec<_>>())
    };
    let share = |count: usize| binomial(count as u64, 5).unwrap();
    FaultResult {
        name: "weather-stall".into(),
        kind: "Slow".into(),
        target: "externals.weather".into(),
        start_s: 300.0,
        end_s: Some(1020.0),
        detect_s: present(|r| r.detect_s),
        recover_s: present(|r| r.recover_s),
        recovered: share(per_run.iter().filter(|r| r.recover_s.is_some()).count()),
        depth: present(|r| Some(r.depth)),
        goodput_before: present(|r| Some(r.goodput_before)),
        unserved: present(|r| Some(r.unserved)),
        cost: None,
        metastable: share(per_run.iter().filter(|r| r.metastable).count()),
        measures: Vec::new(),
        during: Vec::new(),
        per_run,
    }
}

/// An alert that fires while most requests fail.
fn alert(b: Behavior) -> AlertResult {
    let per_run: Vec<AlertRun> = (0..5)
        .map(|run| match b.collapse {
            false => AlertRun { fired_s: None, firing_s: 0.0, budget_spent: None, changes: Vec::new() },
            true => AlertRun {
                fired_s: Some(372.0 + f64::from(run)),
                firing_s: b.healed_s.min(1800.0) - 360.0,
                budget_spent: Some(0.02 + 0.000_1 * f64::from(run)),
                changes: vec![(372.0 + f64::from(run), true)],
            },
        })
        .collect();
    let present = |value: fn(&AlertRun) -> Option<f64>| {
        Estimate::of_present(&per_run.iter().map(value).collect::<Vec<_>>())
    };
    AlertResult {
        name: "fast-burn".into(),
        kind: "BurnRate".into(),
        text: "burn rate of users at least 14.4 over 1 h and 5 min".into(),
        fired: binomial(if b.collapse { 5 } else { 0 }, 5).unwrap(),
        fired_s: present(|r| r.fired_s),
        firing_s: present(|r| Some(r.firing_s)),
        budget_spent: present(|r| r.budget_spent),
        per_run,
    }
}

fn curve(b: Behavior) -> Vec<(f64, f64)> {
    let slow = match (b.collapse, b.healed_s.is_finite()) {
        (false, _) => 0.0006,
        (true, true) => 0.08,
        (true, false) => 0.2,
    };
    (0..200)
        .map(|i| {
            let latency = 0.008 * libm::pow(30.0 / 0.008, f64::from(i) / 199.0);
            let normal = libm::exp(-libm::pow(latency / 0.075, 1.7));
            let tail = if latency < 30.0 { slow * (1.0 - latency / 90.0) } else { 0.0 };
            (latency, if i == 0 { 1.0 } else { (normal * (1.0 - slow) + tail).max(0.0) })
        })
        .collect()
}

fn expectation(
    variant: &str,
    text: &str,
    value: Option<f64>,
    margin: f64,
    unit: Unit,
    verdict: Verdict,
) -> ExpectationResult {
    ExpectationResult {
        variant: variant.into(),
        text: text.into(),
        file: "experiment.ron".into(),
        line: 12,
        value,
        ci95: value.filter(|_| variant != "base").map(|v| (v * 0.98, v * 1.02)),
        margin: value.map(|_| margin),
        unit,
        verdict,
        per_run: value.map_or(Vec::new(), |v| vec![Some(v * 0.99), Some(v * 1.01)]),
    }
}

/// The incident with many variants that differ in nothing but their names.
pub fn many_variants(count: usize) -> ExperimentResult {
    let mut result = incident();
    let first = result.variants[1].clone();
    result.variants =
        (0..count).map(|i| VariantResult { name: format!("replicas-{i:02}"), ..first.clone() }).collect();
    result
}
