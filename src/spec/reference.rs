//! The language reference, written from the declarations themselves: it cannot differ from the code.

mod groups;

use super::decode::{Declaration, Declarations, Decode};
use super::experiment::Experiment;
use super::expression::GRAMMAR;
use super::topology::Topology;
use groups::GROUPS;
use std::fmt::Write;

/// All declarations of the language, topology first.
pub fn declarations() -> Declarations {
    let mut all = Declarations::default();
    Topology::declare(&mut all);
    Experiment::declare(&mut all);
    all
}

/// The reference as Markdown.
pub fn markdown() -> String {
    let mut text = String::from(INTRODUCTION);
    let all = declarations();
    let is_grouped = |name: &str| GROUPS.iter().any(|(_, _, names)| names.contains(&name));
    for (title, introduction, names) in GROUPS {
        let _ = write!(text, "\n## {title}\n\n{introduction}\n");
        for declaration in names.iter().filter_map(|name| all.list.iter().find(|d| d.name == *name)) {
            write_declaration(&mut text, declaration);
        }
    }
    for declaration in all.list.iter().filter(|d| !is_grouped(d.name)) {
        write_declaration(&mut text, declaration);
    }
    let _ = write!(text, "{EXPECTATIONS}\n```text\n{GRAMMAR}```\n{EXPECTATIONS_EXPLAINED}");
    text
}

const INTRODUCTION: &str = "\
# The language

Every type of a topology file and of an experiment file, with its fields, units and defaults, the grammar of
expectations, and the metrics. This page is printed by `brownout schema` from the declarations in the code, and a test
keeps it up to date.

## Files

Files are [RON](https://github.com/ron-rs/ron): `Name(field: value)`, `[list]`, `{ \"key\": value }`, comments after
`//`. A file holds one `Topology(…)` or one `Experiment(…)`. `implicit_some` is always on: an optional value is written
as it is, and `None` means none. Maps are in no order: declaring things in another order changes nothing. Fields that
are listed *by position* may be written without their names, in that order: `Work(\"5ms\")`, `At(\"5m\", …)`.

Names of components consist of letters, digits, `_` and `-`. What is called is written `component/endpoint`, such as
`\"db/user\"`; a balancer has the endpoints of the service behind it, and an external answers to any name.

A topology may `include` others. They are merged beneath it in the order listed: maps and records field by field,
anything else as a whole, and whoever includes has the last word.

## Quantities

A quantity is a string with a unit. A number without one is refused, except where the table says otherwise.

| quantity | examples | units |
| --- | --- | --- |
| duration | `\"250ms\"`, `\"1.5s\"`, `\"1h30m\"` | `ns`, `us`, `ms`, `s`, `m` or `min`, `h`, `d` and \
their long names; several add up. At most about 833 days |
| rate | `\"1200/s\"`, `\"90/min\"`, `\"5/h\"` | so many per unit of time. At most 10^9 per second |
| ratio | `\"99.9%\"`, `0.999` | from 0 to 1; per cent, or a plain number |
| size | `\"512MiB\"`, `\"1500B\"` | `B`; `kB`, `MB`, `GB` by thousands; `KiB`, `MiB`, `GiB` by 1,024 |
| number of cores | `2`, `\"0.5 cores\"`, `\"500m\"` | cores, or `m` for thousandths; a plain number will do |

## Paths of settings

Every setting has a path: the names of fields and the keys of maps, joined by dots. An element of a list is found by its
position, from 0, or by the name before its parenthesis.

| path | what it changes |
| --- | --- |
| `services.api.replicas` | the number of instances |
| `balancers.alb.health_check.interval` | one field of the health check |
| `balancers.alb.health_check` | the whole of it |
| `policies.weather` | the whole stack |
| `policies.weather.Retry.max` | a field of the first `Retry` in the stack |
| `services.api.endpoints.login.0.through` | the policy of the endpoint's first step |
| `timeline.weather.lasts` | how long a fault of the experiment lasts, by its name; also `timeline.0.lasts` and \
`timeline.Slow.lasts` |

One mechanism serves all who change settings: `--set PATH=VALUE` on the command line (where a bare word or quantity
needs no quotes), the `variants` of an experiment, and `Set` on its timeline. The system that results is checked as if
it had been written so.
";

const EXPECTATIONS: &str = "
## Expectations

An expectation is a string in the experiment's `expect`, under the name of the variant that it is about.
";

const EXPECTATIONS_EXPLAINED: &str = "
| expectation | how it is read |
| --- | --- |
| `clients.users.error_ratio <= 0.1%` | over all that is measured, from the warm-up to the end |
| `p(99) of clients.users.latency during(weather) < 200ms` | any percentile of a latency, while the fault lasted |
| `above(1s) of clients.users.latency < 0.1%` | the share of a latency's values that are greater |
| `above(20) of services.api.queue < 5%` | the share of time that a level is greater; `p(99) of` a \
level is over time, too |
| `rises(0) of services.api.queue <= 3` | how often a level rises above a value |
| `last(0) of services.api.queue - 110s < 30s` | until when a level is above a value (`first`: from when), in seconds \
from the start of the run; and arithmetic, with blanks around its signs |
| `clients.users.rate / services.api.rate > 0.9` | the quotient of two measures |
| `variance of clients.users.latency < 0.01` | in square seconds; also `moment(2) of`, the mean of the squares, and \
`count of` |
| `at(90s) of services.api.up >= 3` | the value of the second that ends at that time of the run |
| `cycle_max(24h) of clients.users.rate < 900/s` | of the series, folded by a period and averaged over the cycles: \
the greatest value, the least (`cycle_min`), or when in the cycle the first harmonic peaks (`cycle_peak`) |
| `min of balancers.alb.healthy > 2` | the least of the values of all seconds; likewise `max of` and `mean of` |
| `clients.users.throughput in 1150/s..1350/s` | both limits included |
| `faults.weather.recover <= 2m` | what a fault did, by its name; without statistic and window |
| `P(recovered within 60s) >= 95%` | the share of runs that recovered from every fault, each in time |
| `P(metastable from weather) <= 5%` | the share of runs that stayed down after one fault |
| `P(clients.users.error_ratio < 1%) >= 0.95` | the share of runs in which a measure meets a limit |

Limits have the unit of the metric. What is compared is the mean over runs, or the share of runs, with its 95 %
confidence interval: the expectation has **held** if the value and its whole interval meet the limits, **failed** if
nothing of it does, and is **inconclusive** otherwise. What no run has a value for has failed, and so has an upper limit
on `recover` or `mitigate` if a single run did not.

What faults did is measured in each run:

| metric | unit | meaning |
| --- | --- | --- |
| `faults.NAME.detect` | s | from the fault's start to the first reaction or to the first alert that fires, \
whichever comes first |
| `faults.NAME.reaction` | s | to the first reaction of the system: a target taken for unhealthy, a breaker opened, an \
instance out of memory |
| `faults.NAME.recover` | s | from the fault's start until the objectives hold again and stay held |
| `faults.NAME.depth` | 1/s | lowest goodput between the fault's start and recovery |
| `faults.NAME.unserved` | requests | requests that did not end well until recovery |
| `faults.NAME.mitigate` | s | until goodput is back above half of what was lost, and stays there |
| `faults.NAME.late` | requests | requests that ended well, but above the greatest latency of their objective |
| `faults.NAME.lost_messages` | messages | messages that queues lost: too old, or no room; dead letters are not lost |
| `faults.NAME.duplicated_messages` | messages | times that a message was handled well again |
| `faults.NAME.budget_burnt` | 1 | share of the error budget of the objective's `period` that failed requests used up; \
of the population that is worst off |
| `faults.NAME.retry_amplification` | 1 | attempts for each call, over what was normal |
| `faults.NAME.work_for_nobody` | 1 | share of the requests finished that nobody waited for any more |
| `faults.NAME.rpo` | s | age of the oldest write that was acknowledged and lost; 0 if none was |
| `faults.NAME.sustained_by.retries` | 1 | after the fault's end: share of attempts that are not the first |
| `faults.NAME.sustained_by.cold_cache` | 1 | share of the misses of caches beyond normal |
| `faults.NAME.sustained_by.contention` | 1 | share of the CPU used beyond what the requests finished normally take |
| `faults.NAME.sustained_by.restarts` | 1 | share of the instances that normally run that are away, in the worst group |
| `faults.NAME.sustained_by.work_for_nobody` | 1 | share of the requests finished for nobody |

From `late` to `rpo` they are about the time until both the fault and its effects are over; `sustained_by` about the
time from the fault's end to recovery, or to the next fault or the end of the run without one, above what was normal
before the fault. A fault that never began in a run has no measures in it.

How objectives are met is a number, too, over any part of the run, such as `objectives.users.budget_left
during(weather)`:

| metric | unit | meaning |
| --- | --- | --- |
| `objectives.NAME.availability` | 1 | share of the requests ended that ended well |
| `objectives.NAME.budget_left` | 1 | share of the error budget of the `period` that is left; negative if overdrawn |
| `objectives.NAME.burn_rate` | 1 | share that failed over the share that may: at 1 the budget lasts for its period |

`NAME` is the population, or population and request: `objectives.users.api/list.budget_left`.

So are alerts, by their names:

| metric | unit | meaning |
| --- | --- | --- |
| `alerts.NAME.fired` | s | when the alert first fired, from the start of the run; without value if it never did |
| `alerts.NAME.firing` | s | how long it was firing, all times together |
| `alerts.NAME.budget_spent` | 1 | share of the error budget of a period that was spent when it first fired (burn \
rates only) |

An upper limit on `fired` is missed by a run in which the alert never fired.
";

fn write_declaration(text: &mut String, d: &Declaration) {
    let _ = write!(text, "\n### {}\n\n{}\n", d.name, d.doc);
    if !d.shorthand.is_empty() {
        let _ = write!(text, "\nShort form: {}.\n", d.shorthand);
    }
    if !d.positional.is_empty() {
        let names: Vec<String> = d.positional.iter().map(|name| format!("`{name}`")).collect();
        let _ = write!(text, "\nBy position: {}.\n", names.join(", "));
    }
    if !d.variants.is_empty() {
        let _ = write!(text, "\n| variant | meaning | settings |\n| --- | --- | --- |\n");
        for (name, doc, payload) in &d.variants {
            let payload = payload.as_deref().map_or(String::new(), link);
            let _ = writeln!(text, "| `{name}` | {doc} | {payload} |");
        }
    }
    if !d.fields.is_empty() {
        let _ = write!(text, "\n| field | type | default | meaning |\n| --- | --- | --- | --- |\n");
        for field in &d.fields {
            let default = field.default.map_or("*required*".to_string(), |d| format!("`{d}`"));
            let _ = writeln!(
                text,
                "| `{}` | {} | {default} | {} |",
                field.name,
                link(&field.type_name),
                field.doc
            );
        }
    }
}

/// Links the last word of a type's name to its section, if there is one.
fn link(type_name: &str) -> String {
    let (before, last) = match type_name.rsplit_once(" of ") {
        Some((before, last)) if !last.starts_with("cores") => (format!("{before} of "), last),
        _ => (String::new(), type_name),
    };
    let (last, after) = match last.split_once(" or ") {
        Some((last, after)) => (last, format!(" or {after}")),
        None => (last, String::new()),
    };
    let linked = match last.strip_prefix("a ") {
        Some(quantity) => format!("[{quantity}](#quantities)"),
        None if last.starts_with(char::is_uppercase) => {
            format!("[{last}](#{})", last.to_lowercase().replace(' ', "-"))
        }
        None => last.to_string(),
    };
    format!("{before}{linked}{after}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::diagnostic::Diagnostics;
    use crate::spec::node;

    #[test]
    fn every_type_and_field_is_explained_and_every_default_is_ron() {
        for d in declarations().list {
            assert!(d.doc.ends_with('.'), "{}: {}", d.name, d.doc);
            assert!(!d.fields.is_empty() || !d.variants.is_empty(), "{} has nothing", d.name);
            for field in d.fields {
                assert!(field.doc.ends_with('.'), "{}.{}", d.name, field.name);
                if let Some(default) = field.default {
                    let mut diagnostics = Diagnostics::default();
                    assert!(node::parse(0, default, &mut diagnostics).is_some(), "{default}");
                }
            }
        }
    }

    #[test]
    fn every_type_has_its_place_and_every_link_its_target() {
        let names: Vec<&str> = declarations().list.iter().map(|d| d.name).collect();
        let placed: Vec<&str> = GROUPS.iter().flat_map(|(_, _, names)| names.iter().copied()).collect();
        let is_misplaced = |name: &&str| placed.iter().filter(|p| *p == name).count() != 1;
        let misplaced: Vec<&str> = names.iter().copied().filter(is_misplaced).collect();
        assert!(misplaced.is_empty(), "each type has one place: {misplaced:?}");
        for name in &placed {
            assert!(names.contains(name), "{name} does not exist");
        }
        let page = markdown();
        let headings: Vec<String> = page
            .lines()
            .filter_map(|line| line.strip_prefix("###").or(line.strip_prefix("##")))
            .map(|title| title.trim().to_lowercase().replace(' ', "-").replace(',', ""))
            .collect();
        for (at, heading) in headings.iter().enumerate() {
            assert!(!headings[..at].contains(heading), "two headings are called {heading}");
        }
        for target in page.split("](#").skip(1).filter_map(|rest| rest.split(')').next()) {
            assert!(headings.iter().any(|h| h == target), "nothing is called #{target}");
        }
    }
}
