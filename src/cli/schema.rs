//! `brownout schema`

use crate::experiment::{Changes, plan};
use crate::model::catalog::Metric;
use crate::spec::load::Loader;
use crate::spec::reference;
use std::fmt::Write;

/// A system that has everything that is measured, with names that read as placeholders.
const EVERYTHING: &str = r#"Topology(
    name: "everything",
    clients: { "CLIENT": Clients(
        arrivals: Poisson("1/s"),
        requests: { "BALANCER/ENDPOINT": 1 },
        tenants: { "TENANT": Tenant(share: 1) },
    ) },
    balancers: { "BALANCER": Balancer(targets: "SERVICE") },
    services: { "SERVICE": Service(workers: 1, endpoints: { "ENDPOINT": [ Call("DATABASE/ENDPOINT", "all") ] }) },
    databases: { "DATABASE": Database(cores: 1, queries: { "ENDPOINT": [ Work("1ms") ] }) },
    externals: { "EXTERNAL": External(latency: "1ms", endpoints: { "ENDPOINT": ExternalEndpoint(latency: "1ms") }) },
    policies: { "all": [ Breaker(), Retry(budget: Budget()), Bulkhead(1), Pool() ] },
)"#;

const INTRODUCTION: &str = "
## Metrics

What is measured depends on the system: `brownout metrics FILE` lists it all. The paths are made of names as follows;
words in capitals stand for yours. `CALLEE` in `calls.CALLEE` is a balancer, service, database or external; where one
callee is called through several policies, it is `CALLEE:POLICY`, and `CALLEE:direct` without one. A second layer of a
kind on one edge is called `pool2`, and so on.
";

/// The reference of the language, with the metrics.
pub fn reference() -> String {
    let mut text = reference::markdown();
    text.push_str(INTRODUCTION);
    text.push_str(&metrics());
    text
}

/// What is counted wherever something is asked and answered, and then everything else.
fn metrics() -> String {
    let all = catalog();
    let reds: Vec<&str> = all.iter().filter_map(|m| m.path.strip_suffix(".error_ratio")).collect();
    let mut text = String::from("\n### Requests and calls\n\n| prefix | what is counted |\n| --- | --- |\n");
    for red in &reds {
        let rate = all.iter().find(|m| m.path == format!("{red}.rate"));
        let what = rate.map_or("", |m| m.meaning.trim_end_matches(" begun"));
        let _ = writeln!(text, "| `{}` | {what} |", shown(red));
    }
    text.push_str("\nEach of these prefixes has:\n\n| metric | unit | meaning |\n| --- | --- | --- |\n");
    let belongs = |m: &Metric, red: &str| {
        let rest = m.path.strip_prefix(red).and_then(|rest| rest.strip_prefix('.'));
        rest.is_some_and(|rest| RED.iter().any(|first| rest.split('.').next() == Some(first)))
    };
    if let Some(red) = reds.first() {
        let (prefix, mut rows) = (format!("{red}."), Rows::default());
        let what = all.iter().find(|m| m.path == format!("{red}.rate"));
        let what = what.map_or("", |m| m.meaning.trim_end_matches(" begun"));
        for metric in all.iter().filter(|m| belongs(m, red)) {
            let path = metric.path.trim_start_matches(&prefix);
            rows.add(path, metric.unit.symbol(), &metric.meaning.replace(what, "requests or calls"));
        }
        text.push_str(&rows.text);
    }
    text.push_str("\n### Everything else\n\n| metric | unit | meaning |\n| --- | --- | --- |\n");
    let mut rows = Rows::default();
    for metric in all.iter().filter(|m| !reds.iter().any(|red| belongs(m, red))) {
        rows.add(&shown(&metric.path), metric.unit.symbol(), &metric.meaning);
    }
    text + &rows.text
}

/// The metrics of everything.
fn catalog() -> Vec<Metric> {
    let mut loader = Loader::default();
    let document = loader.load_text("everything", EVERYTHING);
    let plan = document.and_then(|d| plan(&mut loader, d, &Changes::default()));
    let Some(plan) = plan else {
        unreachable!("{}", loader.diagnostics.render(&loader.sources, false));
    };
    let model = plan.variants.into_iter().next().map(|v| v.model);
    model.map(|m| m.catalog.metrics).unwrap_or_default()
}

/// What a red has beside its name.
const RED: [&str; 6] = ["rate", "throughput", "goodput", "error_ratio", "outcomes", "latency"];

/// The path as a pattern: every callee of the system is any callee.
fn shown(path: &str) -> String {
    let path = path.replace("requests.BALANCER/ENDPOINT", "requests.COMPONENT/ENDPOINT");
    let mut parts: Vec<&str> = path.split('.').collect();
    if let Some(at) = parts.iter().position(|p| *p == "calls")
        && at + 1 < parts.len()
    {
        parts[at + 1] = "CALLEE";
    }
    parts.join(".")
}

/// Rows of a table, those of one family of metrics drawn together.
#[derive(Default)]
struct Rows {
    text: String,
    families: Vec<String>,
}

impl Rows {
    fn add(&mut self, path: &str, unit: &str, meaning: &str) {
        const TIMES: [&str; 7] = ["mean", "p50", "p90", "p95", "p99", "p999", "max"];
        let (family, last) = path.rsplit_once('.').unwrap_or(("", path));
        let (path, meaning) = match last {
            _ if family.ends_with("outcomes") => {
                (format!("{family}.OUTCOME"), "those that ended so: `ok`, `degraded`, …".to_string())
            }
            _ if TIMES.contains(&last) && (unit == "s" || family.ends_with(".slowdown")) => {
                let of = meaning.split_once(": ").map_or(meaning, |(_, of)| of);
                (format!("{family}.{{{}}}", TIMES.join(", ")), of.to_string())
            }
            _ => (path.to_string(), meaning.to_string()),
        };
        if self.families.contains(&path) {
            return;
        }
        let _ = writeln!(self.text, "| `{path}` | {unit} | {meaning} |");
        self.families.push(path);
    }
}
