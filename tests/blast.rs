//! The blast radius: a single point of failure is found, what is redundant or may be missing is none, and pairs hurt
//! that only hurt together.

#![allow(clippy::disallowed_methods, reason = "tests of the command line may see the wall clock")]

use crate::support;

use brownout::experiment::Changes;
use brownout::experiment::blast::{BlastResult, BlastVariant, Failure, Suffered, Wishes, blast, study};
use brownout::experiment::results::Verdict;
use brownout::report::blast as report;
use brownout::spec::load::Loader;
use std::process::{Command, Output};
use support::{Files, close};

/// Everybody must log in; a web server of two may go; hints may be missing; of two banks one suffices.
const SYSTEM: &str = r#"Topology(
    name: "shop",
    clients: { "people": Clients(
        arrivals: Poisson("40/s"), requests: { "web/read": 1, "web/pay": 3 }, through: "web", timeout: "2s",
    ) },
    services: {
        "web": Service(replicas: 2, workers: 32, endpoints: {
            "read": [ Call("login/who", "none"), Call("hints/alike", "hints"), Work("1ms") ],
            "pay": [ Call("login/who", "none"), Call("bank-a/charge", "bank"), Work("1ms") ],
        }),
        "login": Service(replicas: 1, workers: 8, endpoints: { "who": [ Work("1ms") ] }),
    },
    externals: {
        "hints": External(latency: Exponential("5ms")),
        "bank-a": External(latency: Exponential("5ms")),
        "bank-b": External(latency: Exponential("5ms")),
    },
    policies: {
        "none": [],
        "web": [ Retry(max: 3, backoff: Constant("5ms")) ],
        "hints": [ Fallback([ Value ]), Timeout("100ms") ],
        "bank": [ Fallback([ Call("bank-b/charge") ]), Timeout("200ms") ],
    },
)"#;

const SHORT: &str = r#"warmup: "2s", duration: "30s", runs: 3,
    recovery: Recovery(window: "2s", stable: "4s", goodput: "80%")"#;

fn asked(question: &str, changes: &Changes, jobs: usize) -> BlastResult {
    let text = format!(
        "{SHORT}, blast: Blast(at: \"3s\", lasts: \"10s\", rest: \"12s\", {question}),
         timeline: [ At(\"5s\", Down(target: \"login\")) ],
         failures: {{ \"often\": Failures(target: \"web\", up: \"3s\", down: \"1s\") }},
         expect: {{ \"base\": [ \"faults.login.depth >= 0/s\" ] }}"
    );
    let files = Files::new(SYSTEM, Some(&support::whole_experiment(&text)));
    let mut loader = Loader::default();
    let document = loader.load(&files.path("experiment.ron"), &[]);
    let document =
        document.unwrap_or_else(|| panic!("{}", loader.diagnostics.render(&loader.sources, false)));
    let study = study(loader, document, &Wishes::default()).unwrap_or_else(|loader| {
        panic!("{}", loader.diagnostics.render(&loader.sources, false));
    });
    blast(&study, changes, jobs, &()).unwrap_or_else(|error| panic!("{error:?}"))
}

fn ids(failures: &[&Failure]) -> Vec<String> {
    failures.iter().map(|f| f.id.clone()).collect()
}

fn failure<'v>(variant: &'v BlastVariant, id: &str) -> &'v Failure {
    let all: Vec<&str> = variant.failures.iter().map(|f| f.id.as_str()).collect();
    variant.failures.iter().find(|f| f.id == id).unwrap_or_else(|| panic!("no {id} among {all:?}"))
}

fn of<'f>(variant: &BlastVariant, failure: &'f Failure, name: &str) -> &'f Suffered {
    &failure.suffered[variant.sufferers.iter().position(|s| s.name == name).unwrap()]
}

fn lost(variant: &BlastVariant, id: &str, name: &str) -> f64 {
    of(variant, failure(variant, id), name).lost.unwrap().mean
}

#[test]
fn a_single_point_of_failure_is_found_and_what_is_redundant_is_none() {
    // Neither the experiment's own timeline nor its random failures are played, or everything would be down.
    let result = asked("pairs: true", &Changes::default(), 2);
    assert_eq!((result.start_s, result.end_s, result.duration_s), (5.0, 15.0, 27.0));
    let [variant] = result.variants.as_slice() else { panic!("one variant") };
    let points: Vec<&Failure> = variant.single_points().into_iter().map(|(f, ..)| f).collect();
    let mut points = ids(&points);
    points.sort();
    assert_eq!(points, ["login:down", "web:down"]);
    assert_eq!(result.has_single_point(), Verdict::Held);
    for id in ["login:down", "web:down"] {
        close(id, lost(variant, id, "people"), 1.0, 0.02);
        let hit = of(variant, failure(variant, id), "people");
        // Ten seconds of forty a second, and back within the window over which that is judged.
        close("requests", hit.lost_requests.unwrap().mean, 400.0, 0.15);
        assert!((8.0..=11.0).contains(&hit.over_s.unwrap().mean), "{:?}", hit.over_s);
        assert_eq!(hit.not_over.successes, 0);
        assert!(failure(variant, id).is_noticed);
    }
    // One of two instances: whoever meets it asks again.
    assert!(lost(variant, "web/1:down", "people").abs() < 0.02);
    for id in ["hints:down", "bank-a:down", "bank-b:down"] {
        assert!(lost(variant, id, "people").abs() < 0.02, "{id}");
    }
    assert_eq!(ids(&variant.unnoticed()).iter().filter(|id| *id == "hints:down").count(), 1);
    // With both banks away nobody can pay, and three requests in four are payments.
    let together = variant.only_together();
    assert_eq!(ids(&together.iter().map(|(f, _)| *f).collect::<Vec<_>>()), ["bank-a:down+bank-b:down"]);
    close("both banks", lost(variant, "bank-a:down+bank-b:down", "people"), 0.75, 0.08);
    close("payments", lost(variant, "bank-a:down+bank-b:down", "web/pay"), 1.0, 0.02);
    assert!(lost(variant, "bank-a:down+bank-b:down", "web/read").abs() < 0.05);
    // The worst come first, and of 5 components 10 pairs can be made.
    assert!(
        variant
            .failures
            .is_sorted_by_key(|f| { -(of(variant, f, "people").lost.unwrap().mean.max(0.0) * 1e4).round() })
    );
    assert_eq!(variant.failures.len(), 5 + 1 + 10);
}

#[test]
fn what_falls_with_it_falls_in_order() {
    let result = asked("targets: [ \"login\" ]", &Changes::default(), 2);
    let variant = &result.variants[0];
    let login = failure(variant, "login:down");
    let cascade: Vec<&str> = login.cascade.iter().map(|at| variant.sufferers[*at].name.as_str()).collect();
    assert_eq!(cascade, ["web"]);
    assert!(of(variant, login, "login").is_struck);
    assert!(of(variant, login, "web").fell_s.unwrap().mean < 1.5);
    // Each request is tried four times instead of once.
    close("load", of(variant, login, "web").load.unwrap().mean, 4.0, 0.1);
    // Nobody asks the bank any more, and that is no fall.
    let bank = of(variant, login, "bank-a");
    assert!(bank.lost.unwrap().mean > 0.95 && bank.fell.successes == 0);
}

#[test]
fn workers_that_wait_for_what_hangs_come_to_their_end() {
    let result = asked("targets: [ \"login\" ], faults: [ Hang ]", &Changes::default(), 2);
    let variant = &result.variants[0];
    let web = of(variant, failure(variant, "login:hang"), "web");
    // 64 workers and 40 requests a second that wait for ever: full after two seconds or so.
    assert!(web.is_full && web.fell.share == 1.0, "{web:?}");
    assert!((1.0..=4.0).contains(&web.fell_s.unwrap().mean), "{:?}", web.fell_s);
}

#[test]
fn what_changes_nothing_differs_in_nothing() {
    let result = asked("faults: [ Slow(1) ]", &Changes::default(), 2);
    for failure in &result.variants[0].failures {
        assert!(!failure.is_noticed && failure.takes.is_empty() && failure.cascade.is_empty());
        for suffered in &failure.suffered {
            for estimate in [suffered.lost, suffered.errors, suffered.slower_s, suffered.lost_requests] {
                assert!(
                    estimate.is_none_or(|e| e.mean == 0.0 && e.hi == Some(0.0)),
                    "{}: {estimate:?}",
                    failure.id
                );
            }
            assert_eq!(suffered.over_s.unwrap().mean, 0.0);
        }
    }
    assert_eq!(result.has_single_point(), Verdict::Failed);
}

#[test]
fn any_number_of_threads_gives_the_same_bytes() {
    let bytes = |jobs| {
        let result =
            asked("faults: [ Down, Slow(30) ]", &Changes { runs: Some(2), ..Changes::default() }, jobs);
        (report::json(&result), report::csv(&result), report::markdown(&result))
    };
    let one = bytes(1);
    assert!(one == bytes(3));
    assert!(one.0.contains("\"failure\": \"login:slow*30\""));
    // A header, then 5 components and an instance of one, each down and slow, for 3 clients and 5 components.
    assert_eq!(String::from_utf8(one.1).unwrap().lines().count(), 1 + 2 * 6 * 8);
}

fn brownout(folder: &Files, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_brownout"));
    command.args(args).current_dir(folder.path("")).env_remove("BROWNOUT_SEED").env("NO_COLOR", "1");
    command.output().unwrap()
}

#[test]
fn a_bare_topology_is_asked_by_flags() {
    let folder = Files::new(SYSTEM, None);
    let short = ["blast", "topology.ron", "--at", "2s", "--lasts", "5s", "--rest", "5s", "--runs", "2"];
    let with = |more: &[&str]| brownout(&folder, &[&short[..], more].concat());
    let output = with(&["--fail-on-spof"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(output.stderr.is_empty());
    assert!(text.contains("✗ login down: 100 % of people"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    let reproduce = text.lines().last().unwrap().strip_prefix("reproduce: brownout ").unwrap();
    assert!(reproduce.ends_with("--at 2s --lasts 5s --rest 5s --seed 42 --runs 2"), "{reproduce}");
    for file in ["blast.json", "blast.csv", "blast.md", "blast.svg", "blast.png"] {
        assert!(folder.path("out/shop").join(file).exists(), "{file}");
    }
    let again = brownout(&folder, &reproduce.split(' ').collect::<Vec<_>>());
    assert_eq!(again.status.code(), Some(0));
    assert_eq!(String::from_utf8(again.stdout).unwrap(), text);
    let harmless = ["--target", "hints", "--fail-on-spof", "--no-out", "--quiet"];
    let output = with(&harmless);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(0), 0));
    for (wrong, says) in [
        (&["--target", "hnts"][..], "did you mean `hints`?"),
        (&["--fault", "Dwon"], "did you mean `Down`?"),
        (&["--fault", "Slow(-1)"], "must not be negative"),
        (&["--variant", "bas"], "did you mean `base`?"),
        (&["--spof", "0%"], "must be more than 0"),
        (&["--set", "services.web.replcas=3"], "did you mean `replicas`?"),
        (&["--format", "junit"], "no format `junit`"),
    ] {
        let output = with(&[wrong, &["--no-out"]].concat());
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{wrong:?}: {said}");
        assert!(said.contains(says), "{wrong:?}: {said}");
    }
}
