//! Traces of sampled requests: who is sampled, what the spans are, and that nothing else changes.

#![allow(clippy::disallowed_methods, reason = "tests of the command line may see the wall clock")]

use crate::support;

use brownout::base::Outcome;
use brownout::experiment::plan::Sampling;
use brownout::experiment::results::ExperimentResult;
use brownout::experiment::{Changes, run};
use brownout::metrics::trace::{End, NO_SPAN, Noted, Span, TRACE_SPANS_MAX, Traces, Wait, What};
use brownout::report::{events_jsonl, json, series_csv, traces};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Output};
use support::{Files, load, repository, whole_experiment};

/// A service with workers and a CPU, which asks a database.
const CHAIN: &str = r#"Topology(
    name: "chain",
    clients: { "users": Clients(arrivals: Poisson("100/s"), requests: { "api/get": 1 }) },
    services: { "api": Service(replicas: 2, workers: 3, cpu: Cpu(cores: 1), endpoints: {
        "get": [ Work(Exponential("6ms")), Call("db/read", "db"), Wait("1ms"), Work("1ms") ] }) },
    databases: { "db": Database(cores: 1, max_connections: 20, queries: { "read": [ Work(Exponential("5ms")) ] }) },
    policies: { "db": [ Pool(max: 2), Network(latency: Exponential("500us")) ] },
)"#;

fn traced(topology: &str, seconds: u64, share: f64) -> ExperimentResult {
    let files = Files::new(topology, Some(&whole_experiment(&format!("duration: \"{seconds}s\", runs: 1"))));
    let changes = Changes { traces: Sampling::Share(share), ..Changes::default() };
    run(&files.try_plan(&changes).unwrap_or_else(|m| panic!("{m}")), 1, &()).unwrap()
}

fn checkout(share: Sampling, jobs: usize) -> ExperimentResult {
    let changes = Changes { traces: share, ..Changes::default() };
    let plan = load(repository("tests/traces/checkout.ron"), &[], &changes).unwrap_or_else(|m| panic!("{m}"));
    run(&plan, jobs, &()).unwrap()
}

fn first(result: &ExperimentResult) -> &Traces {
    &result.variants[0].traces.as_ref().unwrap().runs[0].traces
}

fn roots(traces: &Traces) -> impl Iterator<Item = &Span> {
    traces.spans.iter().filter(|span| span.parent == NO_SPAN)
}

fn count(traces: &Traces, is: impl Fn(&Span) -> bool) -> usize {
    traces.spans.iter().filter(|span| is(span)).count()
}

#[test]
fn as_many_are_sampled_as_were_to_be() {
    let result = traced(CHAIN, 120, 0.05);
    let traces = first(&result);
    let requests = result.variants[0].requests as f64;
    let (sampled, wanted) = (traces.sampled as f64, requests * 0.05);
    let error = (requests * 0.05 * 0.95).sqrt();
    assert!((sampled - wanted).abs() < 4.0 * error, "{sampled} of {requests}");
    assert_eq!(roots(traces).count() as u64, traces.sampled);
    assert_eq!((traces.left_out, traces.cut), (0, 0));
}

#[test]
fn the_same_requests_are_sampled_whatever_else_changes() {
    let keys = |topology: &str, share: f64| {
        let result = traced(topology, 20, share);
        let key = |span: &Span| match span.what {
            What::Request { key, .. } => key,
            _ => unreachable!("a root is a request"),
        };
        roots(first(&result)).map(key).collect::<BTreeSet<u64>>()
    };
    let few = keys(CHAIN, 0.05);
    assert_eq!(few, keys(&CHAIN.replace("max: 2", "max: 1"), 0.05));
    let more = keys(CHAIN, 0.2);
    assert!(few.len() > 50 && more.len() > 3 * few.len() && few.is_subset(&more));
}

#[test]
fn all_are_sampled_if_all_are_to_be() {
    let result = traced(CHAIN, 10, 1.0);
    assert_eq!(first(&result).sampled, result.variants[0].requests);
}

#[test]
fn the_parts_of_a_simple_chain_add_up_to_its_latency() {
    let result = traced(CHAIN, 60, 0.2);
    let traces = first(&result);
    let parents: BTreeSet<u32> = traces.spans.iter().map(|span| span.parent).collect();
    let mut sums: BTreeMap<u32, u64> = BTreeMap::new();
    for (number, span) in traces.spans.iter().enumerate() {
        if !parents.contains(&(number as u32)) {
            *sums.entry(span.root).or_default() += span.to_ns - span.from_ns;
        }
    }
    let mut looked_at = 0;
    for (number, root) in traces.spans.iter().enumerate().filter(|(_, span)| span.parent == NO_SPAN) {
        if root.end == End::of(Outcome::Ok) {
            assert_eq!(sums[&(number as u32)], root.to_ns - root.from_ns, "{root:?}");
            looked_at += 1;
        }
    }
    assert!(looked_at > 1000, "{looked_at}");
    let waits = |wait: Wait| count(traces, |span| span.what == What::Wait(wait));
    let at_layers = count(traces, |span| matches!(span.what, What::Wait(Wait::Layer(_))));
    assert!(waits(Wait::Queue) > 50, "some waited for a worker");
    // Each crosses the network twice, and some wait for a connection.
    assert!(at_layers > 2 * looked_at, "{at_layers}");
}

#[test]
fn spans_lie_within_their_parents_unless_those_gave_up() {
    for result in [traced(CHAIN, 20, 0.5), checkout(Sampling::Share(0.5), 1)] {
        let traces = first(&result);
        assert!(traces.spans.len() > 2000);
        for (number, span) in traces.spans.iter().enumerate() {
            assert!(span.from_ns <= span.to_ns, "{span:?}");
            let Some(parent) = traces.spans.get(span.parent as usize) else {
                assert_eq!((span.parent, span.root), (NO_SPAN, number as u32));
                continue;
            };
            assert_eq!(parent.root, span.root);
            assert!((span.parent as usize) < number, "a parent comes first");
            assert!(parent.from_ns <= span.from_ns, "{parent:?} {span:?}");
            let gave_up = |span: &Span| match span.end.outcome() {
                Some(outcome) => !outcome.is_success(),
                None => span.end == End::Left,
            };
            let mut above = parent;
            while !gave_up(above) && above.parent != NO_SPAN {
                above = &traces.spans[above.parent as usize];
            }
            assert!(span.to_ns <= parent.to_ns || gave_up(above), "{parent:?} {span:?}");
        }
    }
}

#[test]
fn retries_timeouts_rejections_pools_and_locks_are_told() {
    let result = checkout(Sampling::Share(1.0), 1);
    let traces = first(&result);
    let attempts = |wanted| {
        let is = |span: &Span| matches!(span.what, What::Attempt { number, .. } if number == wanted);
        count(traces, is)
    };
    assert!(attempts(1) > attempts(2) && attempts(2) > attempts(3) && attempts(3) > 0);
    let waits = |is: &dyn Fn(Wait) -> bool| count(traces, |s| matches!(s.what, What::Wait(w) if is(w)));
    assert!(waits(&|wait| matches!(wait, Wait::Backoff(_))) > 5);
    assert!(waits(&|wait| matches!(wait, Wait::Lock(_))) > 5);
    assert!(waits(&|wait| matches!(wait, Wait::Layer(_))) > 5);
    assert!(count(traces, |span| span.end == End::of(Outcome::Timeout)) > 5);
    assert!(traces.notes.iter().any(|note| note.what == Noted::GaveUp));
    // An attempt that ends with a timeout is as long as the timeout.
    let late = traces
        .spans
        .iter()
        .filter(|span| matches!(span.what, What::Attempt { .. }) && span.end == End::of(Outcome::Timeout));
    let lengths: BTreeSet<u64> = late.map(|span| span.to_ns - span.from_ns).collect();
    assert_eq!(lengths, BTreeSet::from([50_000_000]));
}

#[test]
fn nothing_else_changes_with_traces_or_threads() {
    let without = checkout(Sampling::Nothing, 1);
    let with = checkout(Sampling::AsWritten, 1);
    assert!(without.variants[0].traces.is_none());
    let bytes = |result: &ExperimentResult| {
        [json::summary(result).into_bytes(), series_csv::write(result), events_jsonl::write(result)]
    };
    assert_eq!(bytes(&without), bytes(&with));
    let lines = traces::write(&with);
    assert!(lines.len() > 10_000);
    assert_eq!(lines, traces::write(&checkout(Sampling::AsWritten, 2)));
    assert!(traces::write(&without).is_empty());
}

#[test]
fn what_does_not_fit_is_left_out_and_that_is_said() {
    let result = traced(&CHAIN.replace("100/s", "2000/s"), 12, 1.0);
    let traces = first(&result);
    assert_eq!(traces.spans.len(), TRACE_SPANS_MAX);
    assert_eq!(traces.sampled, result.variants[0].requests);
    assert_eq!(roots(traces).count() as u64 + traces.left_out, traces.sampled);
    assert!(traces.left_out > 1000);
    assert!(result.warnings.iter().any(|w| w.contains("left no trace")), "{:?}", result.warnings);
}

#[test]
fn requests_under_way_at_the_end_are_told_as_such() {
    let result = traced(&CHAIN.replace("100/s", "900/s"), 3, 1.0);
    let traces = first(&result);
    let open: Vec<&Span> = roots(traces).filter(|span| span.end == End::Open).collect();
    assert!(!open.is_empty() && open.iter().all(|span| span.to_ns == 3_000_000_000));
}

#[test]
fn lines_are_otlp() {
    let result = checkout(Sampling::AsWritten, 1);
    let text = String::from_utf8(traces::write(&result)).unwrap();
    let mut ids = BTreeSet::new();
    let mut services = BTreeSet::new();
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let mut spans = BTreeMap::new();
        for resource in line["resourceSpans"].as_array().unwrap() {
            let attributes = resource["resource"]["attributes"].as_array().unwrap();
            let value = |key: &str| &attributes.iter().find(|a| a["key"] == key).unwrap()["value"];
            services.insert(value("service.name")["stringValue"].as_str().unwrap().to_string());
            assert!(["0", "1"].contains(&value("brownout.run")["intValue"].as_str().unwrap()));
            assert_eq!(value("brownout.variant")["stringValue"], "base");
            for span in resource["scopeSpans"][0]["spans"].as_array().unwrap() {
                let id = span["spanId"].as_str().unwrap().to_string();
                assert!(id.len() == 16 && id.chars().all(|c| c.is_ascii_hexdigit() && !c.is_uppercase()));
                assert!(spans.insert(id, span.clone()).is_none(), "ids differ");
            }
        }
        let trace: BTreeSet<&str> = spans.values().map(|s| s["traceId"].as_str().unwrap()).collect();
        assert_eq!(trace.len(), 1, "a line is a trace");
        let trace = trace.into_iter().next().unwrap();
        assert!(trace.len() == 32 && ids.insert(trace.to_string()));
        let ns = |span: &Value, key: &str| span[key].as_str().unwrap().parse::<u64>().unwrap();
        for span in spans.values() {
            assert!(ns(span, "startTimeUnixNano") <= ns(span, "endTimeUnixNano"));
            if let Some(parent) = span.get("parentSpanId") {
                assert!(spans.contains_key(parent.as_str().unwrap()));
            }
        }
        assert_eq!(spans.values().filter(|s| s.get("parentSpanId").is_none()).count(), 1);
    }
    assert!(ids.len() > 50);
    assert_eq!(services, ["bank", "buyers", "db", "shop"].map(String::from).into());
}

// ---- the command ----

fn brownout(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_brownout"));
    command.args(args).current_dir(folder).env_remove("BROWNOUT_SEED").env("NO_COLOR", "1").output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn the_slowest_requests_are_told_step_by_step() {
    let folder = repository("tests/traces");
    let output = brownout(&folder, &["trace", "checkout.ron", "--slowest", "2", "--quiet"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let golden = folder.join("checkout.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&golden, &output.stdout).unwrap();
    }
    let expected = std::fs::read_to_string(golden).unwrap_or_default().replace("\r\n", "\n");
    assert_eq!(text(&output.stdout), expected);
    let timeouts =
        brownout(&folder, &["trace", "checkout.ron", "--outcome", "timeout", "--traces", "20%", "-q"]);
    assert!(text(&timeouts.stdout).contains("of them ended as timeout"), "{}", text(&timeouts.stdout));
    for wrong in [["--traces", "0"], ["--traces", "150%"], ["--outcome", "late"], ["--variant", "other"]] {
        let output = brownout(&folder, &["trace", "checkout.ron", wrong[0], wrong[1]]);
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
        assert!(!output.stderr.is_empty() && output.stdout.is_empty());
    }
}

#[test]
fn shards_carry_their_traces() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(repository("tests/traces/checkout.ron"), folder.path().join("checkout.ron")).unwrap();
    let play = |args: &[&str]| {
        let output = brownout(folder.path(), args);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    };
    let whole = ["run", "checkout.ron", "--quiet", "--traces", "2%"];
    play(&[&whole[..], &["--out", "whole"]].concat());
    for shard in ["1/2", "2/2"] {
        play(&[&whole[..], &["--out", "shards", "--shard", shard]].concat());
    }
    play(&["merge", "shards", "--out", "merged", "--quiet"]);
    let read = |path: &str| std::fs::read(folder.path().join(path)).unwrap();
    assert!(!read("whole/traces.jsonl").is_empty());
    for file in ["traces.jsonl", "summary.json"] {
        assert_eq!(read(&format!("whole/{file}")), read(&format!("merged/{file}")), "{file}");
    }
    // Without files there are no traces, which is said.
    let output = brownout(folder.path(), &["run", "checkout.ron", "--quiet", "--no-out"]);
    assert!(text(&output.stderr).contains("--no-out writes none"), "{}", text(&output.stderr));
}
