//! In which order components fall, in the incidents that ship with brownout.

use brownout::base::SimDuration;
use brownout::experiment::results::{CascadeResult, ExperimentResult};
use brownout::experiment::{Changes, plan, run};
use brownout::spec::load::Loader;
use std::path::Path;

/// One run of one variant of a shipped experiment.
fn played(file: &str, variant: &str, minutes: u64) -> ExperimentResult {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments").join(file);
    let mut loader = Loader::default();
    let document = loader.load(&path, &[]).expect("a document");
    let changes = Changes {
        runs: Some(1),
        variant: Some(variant.into()),
        duration: Some(SimDuration::from_secs(60 * minutes)),
        ..Changes::default()
    };
    let plan = plan(&mut loader, document, &changes).expect("a plan");
    run(&plan, 1, &()).expect("a result")
}

fn fallen(cascade: &CascadeResult) -> Vec<&str> {
    cascade.steps.iter().map(|step| step.component.as_str()).collect()
}

fn carriers(cascade: &CascadeResult) -> Vec<&str> {
    cascade.steps.iter().filter_map(|step| step.carrier.as_deref()).collect()
}

/// The weather API takes the dashboards, and those take the health checks.
#[test]
fn the_load_balancers_cascade_goes_as_its_report_tells() {
    let result = played("lb-timeout-cascade.ron", "before", 12);
    let cascade = &result.variants[0].cascades[0];
    assert_eq!(fallen(cascade), ["externals.weather", "services.api", "balancers.alb", "clients.users"]);
    assert_eq!(
        carriers(cascade),
        ["services.api.calls.weather", "balancers.alb to services.api", "clients.users.calls.alb"]
    );
    // Two checks in a row must time out after 30 s each before a target is out.
    let unhealthy = cascade.steps[2].later.iter().find(|shown| shown.sign == "health").expect("targets out");
    assert!((60.0..=95.0).contains(&unhealthy.after_s), "{unhealthy:?}");
    // Requests are cut after 30 s.
    let errors = cascade.steps[3].later.iter().find(|shown| shown.sign == "errors").expect("errors");
    assert!((29.0..=31.0).contains(&errors.after_s), "{errors:?}");
    let expected = result.expectations.iter().find(|e| e.text.starts_with("cascade(")).expect("a path");
    assert_eq!((expected.verdict.name(), expected.value), ("held", Some(1.0)));
}

/// With timeout, breaker and fallback dashboards wait until the breakers open, but nothing fails and no target is out.
#[test]
fn the_fix_ends_the_cascade_before_anything_fails() {
    let result = played("lb-timeout-cascade.ron", "after", 12);
    let cascade = &result.variants[0].cascades[0];
    assert_eq!(fallen(cascade)[..2], ["externals.weather", "services.api"]);
    let mut signs = cascade.steps.iter().flat_map(|step| step.later.iter().chain([&step.first]));
    assert!(!signs.any(|shown| shown.sign == "errors" || shown.sign == "health"), "{cascade:?}");
    let expected = result.expectations.iter().find(|e| e.text.starts_with("cascade(")).expect("a path");
    assert_eq!(expected.verdict.name(), "held");
}

/// A query takes the database, then the pools that lead to it, and then everybody.
#[test]
fn the_pools_cascade_goes_as_its_report_tells() {
    let result = played("pool-exhaustion.ron", "before", 4);
    let cascade = &result.variants[0].cascades[0];
    assert!(!cascade.is_fault);
    assert_eq!(fallen(cascade), ["databases.db", "services.api", "clients.users"]);
    assert_eq!(carriers(cascade), ["services.api.calls.db.pool", "clients.users.calls.api"]);
    let mut signs = [&cascade.steps[1].first].into_iter().chain(&cascade.steps[1].later);
    assert!(signs.any(|shown| shown.sign == "pool"), "{cascade:?}");
}
