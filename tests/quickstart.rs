//! The files that `README.md` walks through load without a warning, run, and show what it says they show.

use brownout::experiment::results::Verdict;
use brownout::experiment::{Changes, ExperimentResult, plan, run};
use brownout::spec::load::Loader;
use std::path::Path;

fn played(file: &str) -> ExperimentResult {
    let mut loader = Loader::default();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let document = loader.load(&path, &[]);
    let plan = document.and_then(|d| plan(&mut loader, d, &Changes::default()));
    assert!(loader.diagnostics.is_empty(), "{}", loader.diagnostics.render(&loader.sources, false));
    run(&plan.expect("a plan"), 2, &()).expect("results")
}

#[test]
fn the_topology_runs_on_its_own() {
    let result = played("models/quickstart.ron");
    let goodput = result.variants[0].metrics.iter().find(|m| m.path == "clients.shoppers.goodput");
    let goodput = goodput.and_then(|m| m.estimate).expect("requests were served").mean;
    assert!((45.0..55.0).contains(&goodput), "{goodput}/s of 50/s are served");
}

#[test]
fn all_expectations_of_the_experiment_hold() {
    let result = played("experiments/quickstart.ron");
    assert!(!result.expectations.is_empty());
    for e in &result.expectations {
        assert_eq!(e.verdict, Verdict::Held, "{}: {}: {:?} {:?}", e.variant, e.text, e.value, e.ci95);
    }
}
