//! What every question about an experiment is made of: settings that win, more load, numbers wanted of every run.

use crate::support;

use brownout::experiment::{Changes, ExperimentResult, plan, run};
use brownout::spec::load::Loader;
use support::Files;

const SYSTEM: &str = r#"Topology(
    name: "one worker",
    clients: { "users": Clients(arrivals: Poisson("40/s"), requests: { "server/serve": 1 }) },
    services: { "server": Service(workers: 1, endpoints: { "serve": [ Wait(Exponential("10ms")) ] }) },
)"#;

const EXPERIMENT: &str = r#"Experiment(
    topology: "topology.ron",
    variants: { "narrow": {}, "wide": { "services.server.workers": 3 } },
    warmup: "1s",
    duration: "21s",
    runs: 4,
)"#;

/// Plays the experiment with other settings and changes; mistakes as text.
fn played(
    settings: &[&str],
    change: impl FnOnce(&mut Loader, &mut Changes),
) -> Result<ExperimentResult, String> {
    let files = Files::new(SYSTEM, Some(EXPERIMENT));
    let (mut loader, mut changes) = (Loader::default(), Changes::default());
    change(&mut loader, &mut changes);
    let settings: Vec<String> = settings.iter().map(|s| (*s).to_string()).collect();
    let document = loader.load(&files.path("experiment.ron"), &[]);
    let document = document.and_then(|document| loader.changed(&document, "--setting", &settings));
    let plan = document.and_then(|document| plan(&mut loader, document, &changes));
    match plan {
        Some(plan) => Ok(run(&plan, 2, &()).unwrap()),
        None => Err(loader.diagnostics.render(&loader.sources, false)),
    }
}

fn metric(result: &ExperimentResult, variant: usize, path: &str) -> f64 {
    let metrics = &result.variants[variant].metrics;
    metrics.iter().find(|m| m.path == path).unwrap().estimate.unwrap().mean
}

#[test]
fn settings_of_a_question_win_over_those_of_variants() {
    let result = played(&["services.server.workers=2"], |_, _| ()).unwrap();
    assert_eq!(result.variants[0].fingerprints, result.variants[1].fingerprints);
    let untouched = played(&[], |_, _| ()).unwrap();
    assert_ne!(untouched.variants[0].fingerprints, untouched.variants[1].fingerprints);
    // Fields of the experiment are settings, too.
    assert_eq!(played(&["runs=2"], |_, _| ()).unwrap().runs, 2);
    let mistake = played(&["services.server.wrkers=2"], |_, _| ()).unwrap_err();
    assert!(mistake.contains("did you mean `workers`?") && mistake.contains("--setting"), "{mistake}");
}

#[test]
fn twice_the_load_sends_the_same_requests_twice_as_fast() {
    let (once, twice) =
        (played(&[], |_, _| ()).unwrap(), played(&[], |_, changes| changes.load = Some(2.0)).unwrap());
    let rate = |result: &ExperimentResult| metric(result, 0, "clients.users.rate");
    // 3,200 and 6,400 requests: the standard error of their ratio is 2 %, less what they have in common.
    assert!((rate(&twice) / rate(&once) - 2.0).abs() < 0.12, "{} {}", rate(&once), rate(&twice));
}

#[test]
fn numbers_that_are_wanted_are_there_run_by_run() {
    let result = played(&[], |loader, changes| {
        changes.variant = Some("wide".into());
        changes.measures = vec![
            loader.quoted("--measure", "p(99) of clients.users.latency - 1ms"),
            loader.quoted("--measure", "P(clients.users.error_ratio < 1%)"),
        ];
        changes.expect = vec![loader.quoted("--expect", "clients.users.rate > 0/s")];
        changes.series = Some(false);
    });
    let result = result.unwrap();
    assert_eq!(result.variants.len(), 1);
    let [latency, share] = result.variants[0].measures.as_slice() else { panic!("two measures") };
    assert_eq!((latency.per_run.len(), latency.is_share, share.is_share), (4, false, true));
    let p99 = metric(&result, 0, "clients.users.latency.p99");
    assert!((latency.value.unwrap() - (p99 - 1e-3)).abs() < 1e-12);
    assert_eq!(share.per_run, vec![Some(1.0); 4]);
    assert_eq!((share.value, result.expectations.len()), (Some(1.0), 1));
    assert_eq!(result.expectations[0].per_run.len(), 4);
    let mistake = played(&[], |_, changes| changes.variant = Some("wied".into())).unwrap_err();
    assert!(mistake.contains("did you mean `wide`?"), "{mistake}");
}
