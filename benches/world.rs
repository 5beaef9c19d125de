//! Events played per second, on one thread: of the two queues that theory knows, and of the cascade's system while all
//! is well and while the weather API is slow. `full` records every metric, as `brownout run` does; `bare` nothing.
//! Each case is named with its events per request, since events alone flatter models with more hops.

use brownout::base::SimDuration;
use brownout::experiment::plan::VariantPlan;
use brownout::experiment::run::play;
use brownout::experiment::{Changes, plan};
use brownout::sim::{RunSummary, World};
use brownout::spec::load::Loader;
use divan::Bencher;
use divan::counter::ItemsCount;
use std::fmt;
use std::path::Path;
use std::sync::LazyLock;

const SEED: u64 = 42;

/// What is played, ready to be.
struct Case {
    name: &'static str,
    variant: VariantPlan,
    summary: RunSummary,
}

static CASES: LazyLock<[Case; 4]> = LazyLock::new(|| {
    let cascade = "models/lb-timeout-cascade.ron";
    let slow = r#"externals.weather.latency=Constant("47s")"#;
    [
        case("mm1", "models/queueing/mm1.ron", 600, &[]),
        case("mmc", "models/queueing/mmc.ron", 600, &[]),
        case("cascade, all well", cascade, 60, &[]),
        case("cascade, weather slow", cascade, 300, &[slow.to_string()]),
    ]
});

fn main() {
    divan::main();
}

fn case(name: &'static str, file: &str, seconds: u64, sets: &[String]) -> Case {
    let mut loader = Loader::default();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let document = loader.load(&path, sets);
    let changes = Changes { duration: Some(SimDuration::from_secs(seconds)), ..Changes::default() };
    let variant = document
        .and_then(|document| plan(&mut loader, document, &changes))
        .and_then(|plan| plan.variants.into_iter().next());
    let Some(variant) = variant else { unreachable!("{file} is a topology without mistakes") };
    let summary = bare_run(&variant);
    Case { name, variant, summary }
}

fn bare_run(variant: &VariantPlan) -> RunSummary {
    World::new(&variant.model, &variant.script, SEED, 0, ()).run().0
}

/// Names a case, by its number.
struct Name(usize);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Case { name, summary, .. } = &CASES[self.0];
        let requests: u64 = summary.tallies.iter().map(|tally| tally.sent).sum();
        write!(f, "{name} ({:.1} events/request)", summary.events as f64 / requests as f64)
    }
}

fn names() -> impl Iterator<Item = Name> {
    (0..CASES.len()).map(Name)
}

#[divan::bench(args = names(), sample_count = 20, sample_size = 1)]
fn full(bencher: Bencher, name: &Name) {
    let case = &CASES[name.0];
    bencher.counter(ItemsCount::new(case.summary.events)).bench(|| play(&case.variant, SEED, 0));
}

#[divan::bench(args = names(), sample_count = 20, sample_size = 1)]
fn bare(bencher: Bencher, name: &Name) {
    let case = &CASES[name.0];
    bencher.counter(ItemsCount::new(case.summary.events)).bench(|| bare_run(&case.variant));
}
