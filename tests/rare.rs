//! Rare events: against what is known of them, against the world itself, and with intervals that keep their word.

#![allow(clippy::disallowed_methods, reason = "tests of the command line may see the wall clock")]

use crate::support;

use brownout::experiment::rare::{RareResult, RareVariant, Wishes, ask, rare};
use brownout::experiment::{Changes, plan, run};
use brownout::report::rare as report;
use brownout::spec::load::Loader;
use std::process::Command;
use support::{Files, close, repository};

const YEAR: f64 = 365.0 * 86_400.0;
const DAY: f64 = 86_400.0;
const HOUR: f64 = 3_600.0;

const NODES: &str = r#"Topology(name: "nodes", services: {
    "a": Service(replicas: 5, endpoints: { "get": [] }),
    "b": Service(replicas: 2, endpoints: { "get": [] }),
    "c": Service(replicas: 1, endpoints: { "get": [] }),
})"#;

fn asked(topology: &str, fields: &str, changes: &Changes, jobs: usize) -> RareResult {
    let files = Files::new(topology, Some(&support::whole_experiment(fields)));
    let mut loader = Loader::default();
    let document = loader.load(&files.path("experiment.ron"), &[]);
    let document =
        document.unwrap_or_else(|| panic!("{}", loader.diagnostics.render(&loader.sources, false)));
    let asked = ask(loader, document, &Wishes::default())
        .unwrap_or_else(|loader| panic!("{}", loader.diagnostics.render(&loader.sources, false)));
    rare(&asked, changes, jobs, &()).unwrap_or_else(|error| panic!("{error:?}"))
}

/// What is out, with failures and a question.
fn nodes(failures: &str, question: &str, seed: u64) -> RareVariant {
    let fields = format!("duration: \"1m\", failures: {{ {failures} }}, rare: Rare({question})");
    let result = asked(NODES, &fields, &Changes { seed: Some(seed), ..Changes::default() }, 2);
    result.variants.into_iter().next().unwrap()
}

const FIVE: &str = r#""a": Failures(target: "a", up: Exponential("30d"), down: Exponential("1h"))"#;

/// Outages per year and seconds out per year of `n` machines of which fewer than `k` may be down: a birth and death
/// process (Trivedi, "Probability and Statistics with Reliability, Queuing and Computer Science Applications", 2002,
/// section 8.2), by its product form.
fn birth_and_death(n: u32, k: u32, up: f64, down: f64) -> (f64, f64) {
    let mut pi = vec![1.0];
    for j in 0..n {
        pi.push(pi[j as usize] * f64::from(n - j) / up * down / f64::from(j + 1));
    }
    let sum: f64 = pi.iter().sum();
    let rate = pi[k as usize - 1] / sum * f64::from(n - k + 1) / up;
    let out: f64 = pi[k as usize..].iter().sum::<f64>() / sum;
    (rate * YEAR, out * YEAR)
}

#[test]
fn k_of_n_down_to_one_in_billions() {
    for k in 1..=5 {
        let question = format!("outage: [ \"failures.a.down >= {k}\" ], samples: 400_000");
        let found = nodes(FIVE, &question, 1);
        let (rate, out) = birth_and_death(5, k, 30.0 * DAY, HOUR);
        let exact = found.exact.unwrap();
        close("exact rate", exact.rate * YEAR, rate, 1e-9);
        close("exact time out", exact.unavailability * YEAR, out, 1e-9);
        let (outages, seconds) = (found.sampled.outages.unwrap(), found.sampled.seconds.unwrap());
        close(&format!("outages, {k} of 5"), outages.mean, rate, 0.05);
        close(&format!("seconds, {k} of 5"), seconds.mean, out, 0.05);
        let error = outages.relative_half_width().unwrap();
        assert!(error < 0.05, "{k} of 5: {error}");
    }
    // What was asked for: far below one in a hundred million.
    assert!(birth_and_death(5, 5, 30.0 * DAY, HOUR).0 < 1e-8);
}

#[test]
#[expect(clippy::print_stdout, reason = "how many cover is worth knowing")]
fn intervals_keep_their_word() {
    let (rate, out) = birth_and_death(5, 4, 30.0 * DAY, HOUR);
    let (mut of_rate, mut of_out) = (0, 0);
    for seed in 0..100 {
        let found = nodes(FIVE, "outage: [ \"failures.a.down >= 4\" ], samples: 10_000", seed).sampled;
        let covers = |e: brownout::metrics::Estimate, x: f64| e.lo.unwrap() <= x && x <= e.hi.unwrap();
        of_rate += u32::from(covers(found.outages.unwrap(), rate));
        of_out += u32::from(covers(found.seconds.unwrap(), out));
    }
    // Of a hundred 95 % intervals 88 to 100 cover, but for one time in two hundred.
    println!("{of_rate} and {of_out} of 100 intervals cover what is known");
    assert!(of_rate >= 88 && of_out >= 88, "{of_rate} and {of_out} of 100");
}

#[test]
fn series_and_parallel_of_any_distribution() {
    // Both of b, or c: what is known holds for all distributions with these means.
    let failures = r#"
        "b": Failures(target: "b", up: Gamma(mean: "20d", cv: 0.5), down: LogNormal(mean: "2h", cv: 1.5)),
        "c": Failures(target: "c", up: Weibull(mean: "400d", shape: 2), down: "30m")"#;
    let question = "outage: [ \"failures.b.down > 1\", \"failures.c.down >= 1\" ], samples: 400_000";
    let found = nodes(failures, question, 3);
    let (b, c) = (2.0 * HOUR / (20.0 * DAY + 2.0 * HOUR), 0.5 * HOUR / (400.0 * DAY + 0.5 * HOUR));
    let per = |up: f64, down: f64| YEAR / (up + down);
    let of_b = 2.0 * per(20.0 * DAY, 2.0 * HOUR) * b * (1.0 - c);
    let of_c = per(400.0 * DAY, 0.5 * HOUR) * (1.0 - b * b);
    let out = (1.0 - (1.0 - b * b) * (1.0 - c)) * YEAR;
    close("exact", found.exact.unwrap().rate * YEAR, of_b + of_c, 1e-9);
    close("exact time out", found.exact.unwrap().unavailability * YEAR, out, 1e-9);
    close("outages", found.sampled.outages.unwrap().mean, of_b + of_c, 0.02);
    close("seconds", found.sampled.seconds.unwrap().mean, out, 0.02);
    let [first, second] = found.sampled.shares.as_slice() else { panic!("two ways to be out") };
    assert_eq!((first.down.as_slice(), second.down.as_slice()), (&[0, 1][..], &[2, 0][..]));
    close("because of c", first.outages.unwrap().mean, of_c, 0.02);
    close("because of b", second.outages.unwrap().mean, of_b, 0.02);
}

#[test]
fn what_is_over_soon_does_not_count() {
    let failures = r#""c": Failures(target: "c", up: Exponential("90d"), down: Exponential("1h"))"#;
    let question = "outage: [ \"failures.c.down >= 1\" ], lasting: \"3h\", samples: 200_000";
    let found = nodes(failures, question, 4).sampled;
    let rate = YEAR / (90.0 * DAY + HOUR) * libm::exp(-3.0);
    close("outages of three hours", found.outages.unwrap().mean, rate, 0.03);
    // Without memory: three hours, and then as long as ever.
    close("and how long they last", found.duration_s.unwrap(), 4.0 * HOUR, 0.02);
}

#[test]
fn together_and_by_one_cause() {
    let failures = format!(
        "{FIVE}, \"rack\": Failures(target: \"a\", each: Component, \
         up: Exponential(\"700d\"), down: Exponential(\"20m\"))"
    );
    let question =
        "outage: [ \"failures.a.down + failures.rack.down + failures.rack.down >= 4\" ], samples: 400_000";
    let found = nodes(&failures, question, 5);
    let (rack, a) = ((20.0 / 60.0) * HOUR / (700.0 * DAY + HOUR / 3.0), HOUR / (30.0 * DAY + HOUR));
    assert_eq!(found.classes.iter().map(|c| c.members).collect::<Vec<_>>(), [5, 1]);
    close("rack", found.classes[1].unavailability(), rack, 1e-9);
    close("outages", found.sampled.outages.unwrap().mean, found.exact.unwrap().rate * YEAR, 0.05);
    // Two machines and the rack, in either order, to the first order.
    let either = 10.0 * a * a * YEAR / (700.0 * DAY) + 20.0 * a * rack * YEAR / (30.0 * DAY);
    close("by hand", found.sampled.outages.unwrap().mean, either, 0.1);
}

#[test]
fn the_world_itself_agrees() {
    let path = repository("models/oracle/avail-2of3.ron");
    let mut loader = Loader::default();
    let document = loader.load(&path, &[]).unwrap();
    let rises = loader.quoted("--measure", "rises(1) of failures.replicas.down / 100");
    let above = loader.quoted("--measure", "above(1) of failures.replicas.down");
    let changes = Changes { runs: Some(8), measures: vec![rises, above], ..Changes::default() };
    let planned = plan(&mut loader, document, &changes).unwrap();
    let world = run(&planned, 2, &()).unwrap();
    let [per_day, share] = world.variants[0].measures.as_slice() else { panic!("two measures") };
    let mut loader = Loader::default();
    let document = loader.load(&path, &[]).unwrap();
    let wishes = Wishes {
        outage: vec!["failures.replicas.down >= 2".into()],
        per_s: Some(DAY),
        samples: Some(400_000),
        ..Wishes::default()
    };
    let asked = ask(loader, document, &wishes).unwrap();
    let result = rare(&asked, &Changes::default(), 2, &()).unwrap();
    let found = &result.variants[0].sampled;
    for (what, world, ours, unit) in
        [("outages per day", per_day, found.outages, 1.0), ("share of time", share, found.seconds, DAY)]
    {
        let (mean, half) = ours.map(|e| (e.mean / unit, e.half_width.unwrap() / unit)).unwrap();
        let (value, (lo, hi)) = (world.value.unwrap(), world.ci95.unwrap());
        let apart = (value - mean).abs();
        assert!(apart <= (hi - lo) / 2.0 + half, "{what}: {value} and {mean}");
        close(what, mean, value, 0.03);
    }
}

/// Everybody must log in; of two banks one suffices, and of two web servers one.
const SHOP: &str = r#"Topology(
    name: "shop",
    clients: { "people": Clients(
        arrivals: Poisson("40/s"), requests: { "web/pay": 1 }, through: "web", timeout: "2s",
    ) },
    services: {
        "web": Service(replicas: 2, workers: 32, endpoints: {
            "pay": [ Call("login/who", "none"), Call("bank-a/charge", "bank"), Work("1ms") ],
        }),
        "login": Service(replicas: 1, workers: 8, endpoints: { "who": [ Work("1ms") ] }),
    },
    externals: { "bank-a": External(latency: "5ms"), "bank-b": External(latency: "5ms") },
    policies: {
        "none": [],
        "web": [ Retry(max: 3, backoff: Constant("5ms")) ],
        "bank": [ Fallback([ Call("bank-b/charge") ]), Timeout("200ms") ],
    },
)"#;

const SHOP_FAILURES: &str = r#"warmup: "2s", duration: "8s", runs: 3,
    objectives: { "people": Objective(availability: "95%") },
    failures: {
        "web": Failures(target: "web", up: Exponential("10d"), down: Exponential("1h")),
        "login": Failures(target: "login", up: Exponential("300d"), down: Exponential("10m")),
        "bank-a": Failures(target: "bank-a", up: Exponential("50d"), down: Exponential("2h")),
        "bank-b": Failures(target: "bank-b", up: Exponential("50d"), down: Exponential("2h")),
    }"#;

#[test]
fn what_an_outage_is_can_be_found_by_playing() {
    let found =
        asked(SHOP, &format!("{SHOP_FAILURES}, rare: Rare(samples: 200_000)"), &Changes::default(), 2);
    let [variant] = found.variants.as_slice() else { panic!("one variant") };
    let names: Vec<&str> = variant.classes.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names, ["bank-a", "bank-b", "login", "web"]);
    let out: Vec<&[u32]> =
        variant.played.iter().filter(|p| p.is_outage()).map(|p| p.down.as_slice()).collect();
    assert_eq!(out, [&[0, 0, 1, 0][..], &[0, 0, 0, 2], &[1, 1, 0, 0]]);
    let day = |up: f64, down: f64| HOUR * down / (up * DAY + HOUR * down);
    let (bank, web) = (day(50.0, 2.0), day(10.0, 1.0));
    let rare_event = YEAR / (300.0 * DAY)
        + 2.0 * web * YEAR / (10.0 * DAY + HOUR)
        + 2.0 * bank * YEAR / (50.0 * DAY + 2.0 * HOUR);
    close("outages", variant.sampled.outages.unwrap().mean, rare_event, 0.03);
    close("exact", variant.exact.unwrap().rate * YEAR, rare_event, 0.02);
    // One web server and one bank: no three can fail without one of these outages among them.
    close("beyond", variant.beyond.unwrap(), variant.exact.unwrap().unavailability, 1e-9);
}

#[test]
fn any_number_of_threads_gives_the_same_bytes() {
    let text = format!("{SHOP_FAILURES}, rare: Rare(samples: 20_000)");
    let bytes = |jobs| report::json(&asked(SHOP, &text, &Changes::default(), jobs));
    assert!(bytes(1) == bytes(3));
}

#[test]
fn the_command_answers_and_refuses() {
    let files = Files::new(SHOP, Some(&support::whole_experiment(SHOP_FAILURES)));
    let clock =
        SHOP_FAILURES.replace("Exponential(\"300d\"), down: Exponential(\"10m\")", "\"300d\", down: \"10m\"");
    files.write("clock.ron", &support::whole_experiment(&clock));
    let said = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_brownout"));
        let output =
            command.arg("rare").args(args).arg("--no-out").current_dir(files.path("")).output().unwrap();
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.code(), text)
    };
    let stated = ["experiment.ron", "--outage", "failures.bank-a.down >= 1 and failures.bank-b.down >= 1"];
    let (code, text) = said(&[&stated[..], &["--samples", "20000", "--per", "1d"]].concat());
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("Outages in 1 d") && text.contains("bank-a + bank-b"), "{text}");
    assert!(text.lines().last().unwrap().contains("--per 86400s --samples 20000 --seed 42"), "{text}");
    for (args, says) in [
        (&["topology.ron"][..], "nothing fails at random in a topology"),
        (&["clock.ron"], "fails by the clock"),
        (&["experiment.ron", "--outage", "failures.bank-c.down >= 1"], "did you mean `bank-a`?"),
        (&["experiment.ron", "--outage", "failures.web.down < 1"], "repairs cannot make an outage"),
        (&["experiment.ron", "--outage", "failures.web.down"], "error"),
        (&["experiment.ron", "--outage", "clients.people.rate > 1/s"], "error"),
        (&["experiment.ron", "--outage", "failures.web.down >= 0"], "always holds"),
        (&["experiment.ron", "--size", "9"], "from 1 to 4"),
        (&["experiment.ron", "--samples", "10"], "from 1,000"),
        (&["experiment.ron", "--per", "0s"], "more than 0"),
    ] {
        let (code, text) = said(args);
        assert_eq!(code, Some(2), "{args:?}: {text}");
        assert!(text.contains(says) && text.starts_with("error"), "{args:?}: {text}");
    }
}
