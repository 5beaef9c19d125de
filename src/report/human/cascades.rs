//! In which order components fell after each fault, what was seen, and by which edge it came.

use crate::base::units::{Unit, count_text, ratio_text};
use crate::experiment::results::{CascadeResult, CascadeShown, CascadeStep, ExperimentResult, VariantResult};
use std::fmt::Write as _;

/// One list for each variant and what struck it, or nothing if nothing did.
pub fn section(result: &ExperimentResult, width: usize) -> String {
    let lists = result.variants.iter().flat_map(|v| v.cascades.iter().map(move |c| list(v, c, width)));
    lists.filter(|list| !list.is_empty()).collect::<Vec<_>>().join("\n")
}

fn list(variant: &VariantResult, cascade: &CascadeResult, width: usize) -> String {
    if cascade.steps.is_empty() {
        return String::new();
    }
    let same = cascade.orders.first().map_or(0, |o| o.runs);
    let of = if cascade.is_fault { cascade.name.as_str() } else { "the change of settings" };
    let order = match (cascade.runs, cascade.orders.len()) {
        (1, _) => String::new(),
        (runs, 1) => format!(": the same order in all {runs} runs, here of run {}", cascade.run),
        (runs, orders) => {
            format!(": this order in {same} of {runs} runs ({orders} orders), here of run {}", cascade.run)
        }
    };
    let head = format!("Cascade of {of}, {}{order}", variant.name);
    let mut text = super::wrapped(&head, "", width);
    for (number, step) in cascade.steps.iter().enumerate() {
        let line = format!("{} {}: {}", clock(step.first.after_s), step.component, seen(step));
        text.push_str(&super::wrapped(&line, &format!("  {:>2}. ", number + 1), width));
        if let Some(through) = through(step) {
            text.push_str(&super::wrapped(&through, "        ", width));
        }
        for later in &step.later {
            let line = format!("{} {}", clock(later.after_s), shown(later, &step.component));
            text.push_str(&super::wrapped(&line, "        ", width));
        }
    }
    text
}

fn seen(step: &CascadeStep) -> String {
    if step.text.is_empty() { shown(&step.first, &step.component) } else { format!("struck ({})", step.text) }
}

fn through(step: &CascadeStep) -> Option<String> {
    let carrier = step.carrier.as_ref()?;
    let mut text = format!("through {carrier}");
    if let Some((normal, then)) = step.load {
        let rate = |value: f64| Unit::PerSecond.text(value);
        let _ = write!(text, ", with a load of {} ({} before)", rate(then), rate(normal));
    }
    Some(text)
}

/// Minutes and seconds: "0:31".
fn clock(seconds: f64) -> String {
    let seconds = seconds.max(0.0) as u64;
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

/// What was seen: "12 of 12 targets unhealthy".
fn shown(shown: &CascadeShown, component: &str) -> String {
    let (value, normal) = (shown.value, shown.normal);
    let number = |value: f64| count_text(value.round());
    let ratio = |value: f64| ratio_text((value * 1e3).round() / 1e3);
    match shown.sign {
        "errors" => format!("{} fail ({} before)", ratio(value), ratio(normal)),
        "held" if component.starts_with("clients.") => {
            format!("{} requests without an answer ({} before)", number(value), number(normal))
        }
        "held" => format!("{} requests in flight ({} before)", number(value), number(normal)),
        "latency" => {
            let time = |value: f64| Unit::Seconds.text(value);
            format!("answers take {} ({} before)", time(value), time(normal))
        }
        "waiting" => format!("{} requests wait for a worker ({} before)", number(value), number(normal)),
        "workers" => format!("all workers busy ({} before)", ratio(normal)),
        "cpu" => format!("no CPU left ({} used before)", ratio(normal)),
        "pool" => format!("no connection left in the pool, {} calls wait", number(value)),
        "health" => format!(
            "{} of {} targets unhealthy, by their health checks",
            number(normal - value),
            number(normal)
        ),
        "up" => format!("{} of {} instances run", number(value), number(normal)),
        "memory" => "an instance is killed for its memory".to_string(),
        "backlog" => format!("{} messages not handled ({} before)", number(value), number(normal)),
        sign => sign.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::results::CascadeOrder;
    use crate::report::fixture;

    #[test]
    fn a_cascade_is_a_numbered_list() {
        let sign = |after_s, sign, value, normal| CascadeShown { after_s, sign, value, normal };
        let step = |component: &str, first, carrier: Option<&str>| CascadeStep {
            component: component.into(),
            first,
            text: if carrier.is_none() { "Slow".into() } else { String::new() },
            later: Vec::new(),
            carrier: carrier.map(str::to_string),
            load: None,
        };
        let steps = vec![
            step("externals.weather", sign(0.0, "struck", 0.0, 0.0), None),
            CascadeStep {
                load: Some((100.0, 300.0)),
                later: vec![sign(62.0, "health", 2.0, 12.0)],
                ..step("balancers.alb", sign(31.0, "errors", 0.5, 0.001), Some("clients.users.calls.alb"))
            },
        ];
        let path = steps.iter().map(|s| s.component.clone()).collect();
        let orders = vec![CascadeOrder { path, runs: 4 }, CascadeOrder { path: Vec::new(), runs: 1 }];
        let cascade =
            CascadeResult { name: "weather".into(), is_fault: true, run: 0, runs: 5, steps, orders };
        let mut result = fixture::tiny();
        result.variants[0].cascades = vec![cascade];
        assert_eq!(
            section(&result, 100),
            "Cascade of weather, base: this order in 4 of 5 runs (2 orders), here of run 0\n   \
             1. 0:00 externals.weather: struck (Slow)\n   \
             2. 0:31 balancers.alb: 50 % fail (0.1 % before)\n        \
             through clients.users.calls.alb, with a load of 300/s (100/s before)\n        \
             1:02 10 of 12 targets unhealthy, by their health checks\n"
        );
    }
}
