//! What one metric proposes.
//!
//! Usage over target, times the pods that it was measured of. Where pods are missing from the measurement, they are
//! taken to use what works against a change: their whole request on the way down, nothing on the way up. Numbers are
//! whole per cent and whole thousandths, divided as the product divides them.

use super::{HpaConfig, Metric, MetricError, Moment, Phase, Pod, Proposal, Reading, Resource, Sample, Scale};
use crate::base::{SimDuration, SimTime};

/// Where usage is measured against: the request of each pod, or a value that is the same for all.
#[derive(Clone, Copy)]
enum Against {
    Requests { percent: i64 },
    Value { milli: i64 },
}

pub(super) fn propose(
    config: &HpaConfig,
    metric: Metric,
    now: SimTime,
    scale: Scale,
    pods: &[Pod],
    reading: Reading<'_>,
) -> Proposal {
    match (metric, reading) {
        (Metric::Utilization { resource, percent }, Reading::Pods(samples)) => {
            let against = Against::Requests { percent: i64::from(percent) };
            by_pods(config, against, resource == Resource::Cpu, now, scale.spec, pods, samples)
        }
        (Metric::ResourceAverage { resource, milli }, Reading::Pods(samples)) => {
            let is_cpu = resource == Resource::Cpu;
            by_pods(config, Against::Value { milli }, is_cpu, now, scale.spec, pods, samples)
        }
        (Metric::Pods { milli }, Reading::Pods(samples)) => {
            by_pods(config, Against::Value { milli }, false, now, scale.spec, pods, samples)
        }
        (Metric::Value { milli }, Reading::Total(total)) => {
            let total = total.ok_or(MetricError::NoSamples)?;
            by_value(config, total as f64 / milli as f64, scale.spec, pods)
        }
        (Metric::AverageValue { milli }, Reading::Total(total)) => {
            let total = total.ok_or(MetricError::NoSamples)? as f64;
            let ratio = total / (milli as f64 * f64::from(scale.status));
            let is_steady = is_within(config, ratio);
            Ok(if is_steady { scale.status } else { ceil(total / milli as f64) })
        }
        _ => Err(MetricError::WrongReading),
    }
}

/// Pods of one kind: how many, what they use and what they request.
#[derive(Clone, Copy, Default)]
struct Sum {
    count: u32,
    usage: i64,
    request: i64,
}

impl Sum {
    fn add(&mut self, usage: i64, request: i64) {
        self.count += 1;
        self.usage += usage;
        self.request += request;
    }

    fn with(self, other: Self) -> Self {
        Self {
            count: self.count + other.count,
            usage: self.usage + other.usage,
            request: self.request + other.request,
        }
    }

    /// Usage over target: whole per cent of the requests, or the whole mean of the pods.
    fn ratio(self, against: Against) -> Option<f64> {
        match against {
            Against::Requests { .. } if self.request == 0 => None,
            Against::Requests { percent } => Some((self.usage * 100 / self.request) as f64 / percent as f64),
            Against::Value { milli } => Some((self.usage / i64::from(self.count)) as f64 / milli as f64),
        }
    }
}

fn by_pods(
    config: &HpaConfig,
    against: Against,
    is_cpu: bool,
    now: SimTime,
    current: u32,
    pods: &[Pod],
    samples: &[Option<Sample>],
) -> Proposal {
    if pods.is_empty() {
        return Err(MetricError::NoPods);
    }
    let needs_request = matches!(against, Against::Requests { .. });
    // Missing pods: what they use if they use nothing, and if they use what holds back a scale-down.
    let (mut ready, mut unready, mut idle, mut full) =
        (Sum::default(), Sum::default(), Sum::default(), Sum::default());
    for (pod, sample) in pods.iter().zip(samples) {
        let request = match pod.request_milli {
            Some(request) => request,
            None if needs_request => return Err(MetricError::NoRequest),
            None => 0,
        };
        if pod.deleted || pod.phase == Phase::Failed {
            continue;
        }
        match sample {
            _ if pod.phase == Phase::Pending => unready.add(0, request),
            None => {
                idle.add(0, request);
                full.add(
                    match against {
                        Against::Requests { percent } => request * percent.max(100) / 100,
                        Against::Value { milli } => milli,
                    },
                    request,
                );
            }
            Some(sample) if is_cpu && !is_believed(config, now, pod, sample) => unready.add(0, request),
            Some(sample) => ready.add(sample.milli, request),
        }
    }
    if ready.count == 0 {
        return Err(MetricError::NoSamples);
    }
    let ratio = ready.ratio(against).ok_or(MetricError::NoRequest)?;
    let is_damped = unready.count > 0 && ratio > 1.0;
    if !is_damped && idle.count == 0 {
        let is_steady = is_within(config, ratio);
        return Ok(if is_steady { current } else { ceil(ratio * f64::from(ready.count)) });
    }
    let mut all = ready;
    if ratio < 1.0 {
        all = all.with(full);
    } else if ratio > 1.0 || !needs_request {
        // At exactly 1 a utilisation leaves the missing out, and an average counts them.
        all = all.with(idle);
    }
    if is_damped {
        all = all.with(unready);
    }
    let damped = all.ratio(against).ok_or(MetricError::NoRequest)?;
    if is_within(config, damped) || (ratio < 1.0 && damped > 1.0) || (ratio > 1.0 && damped < 1.0) {
        return Ok(current);
    }
    let replicas = ceil(damped * f64::from(all.count));
    let turns_around = (damped < 1.0 && replicas > current) || (damped > 1.0 && replicas < current);
    Ok(if turns_around { current } else { replicas })
}

/// Whether a pod's CPU counts: it does not while the pod starts.
fn is_believed(config: &HpaConfig, now: SimTime, pod: &Pod, sample: &Sample) -> bool {
    let (Some(ready), Some(started)) = (pod.ready, pod.started) else { return false };
    if started + length(config.cpu_initialization_period) > moment(now) {
        ready && sample.at >= pod.transition + sample.window_ns
    } else {
        ready || started + length(config.initial_readiness_delay) <= pod.transition
    }
}

fn by_value(config: &HpaConfig, ratio: f64, current: u32, pods: &[Pod]) -> Proposal {
    if current == 0 {
        return Ok(ceil(ratio));
    }
    if is_within(config, ratio) {
        return Ok(current);
    }
    if pods.is_empty() {
        return Err(MetricError::NoPods);
    }
    let ready = pods.iter().filter(|p| p.phase == Phase::Running && p.ready == Some(true)).count();
    Ok(ceil(ratio * ready as f64))
}

/// Whether a ratio of usage to target is near enough to 1; both limits are.
fn is_within(config: &HpaConfig, ratio: f64) -> bool {
    let behavior = config.behavior.as_ref();
    let up = behavior.and_then(|b| b.scale_up.tolerance).unwrap_or(config.tolerance);
    let down = behavior.and_then(|b| b.scale_down.tolerance).unwrap_or(config.tolerance);
    (1.0 - down..=1.0 + up).contains(&ratio)
}

/// Rounded up; the cast keeps what is too large or no number within bounds.
fn ceil(replicas: f64) -> u32 {
    libm::ceil(replicas) as u32
}

fn length(time: SimDuration) -> Moment {
    time.ns() as Moment
}

fn moment(time: SimTime) -> Moment {
    time.ns() as Moment
}
