//! What can only be compared within one process: the same run with and without its metrics.

use brownout::base::SimDuration;
use brownout::experiment::plan::VariantPlan;
use brownout::experiment::run::play;
use brownout::experiment::{Changes, plan};
use brownout::sim::World;
use brownout::spec::load::Loader;
use std::path::Path;

use crate::process::median;
use nix::sys::resource::{UsageWho, getrusage};

const SEED: u64 = 42;

/// The ratios that are promised of metrics.
pub struct Ratios {
    /// Full metrics, to nothing at all.
    pub full: f64,
    /// Full metrics with a series of `columns`, to nothing at all.
    pub both: f64,
    pub columns: usize,
    /// A series of 1,000 metrics, to full metrics without a series.
    pub series: f64,
}

/// Plays a system in turn with metrics and series, with nothing, with metrics alone, and with a series of 1,000.
///
/// # Errors
/// If the file has mistakes.
pub fn ratios(file: &Path, seconds: u64, times: usize) -> Result<Ratios, String> {
    let mut full = planned(file, seconds)?;
    let all: Vec<_> = full.model.catalog.metrics.iter().map(|m| m.source).collect();
    let columns = all.len();
    let thousand: Vec<_> = all.iter().copied().cycle().take(1_000).collect();
    let mut measured: Vec<[f64; 4]> = Vec::new();
    for _ in 0..times.max(1) {
        full.recorded.columns.clone_from(&all);
        let with = time(|| drop(play(&full, SEED, 0)));
        let bare = time(|| drop(World::new(&full.model, &full.script, SEED, 0, ()).run()));
        full.recorded.columns.clone_from(&thousand);
        let long = time(|| drop(play(&full, SEED, 0)));
        full.recorded.columns.clear();
        let alone = time(|| drop(play(&full, SEED, 0)));
        measured.push([with, bare, long, alone]);
    }
    Ok(Ratios {
        full: median(measured.iter().map(|[_, bare, _, alone]| alone / bare)),
        both: median(measured.iter().map(|[with, bare, ..]| with / bare)),
        columns,
        series: median(measured.iter().map(|[.., long, alone]| long / alone)),
    })
}

fn planned(file: &Path, seconds: u64) -> Result<VariantPlan, String> {
    let mut loader = Loader::default();
    let document = loader.load(file, &[]);
    let changes = Changes { duration: Some(SimDuration::from_secs(seconds)), ..Changes::default() };
    let variant = document
        .and_then(|document| plan(&mut loader, document, &changes))
        .and_then(|plan| plan.variants.into_iter().next());
    variant.ok_or_else(|| loader.diagnostics.render(&loader.sources, false))
}

/// Seconds of CPU that this process has used.
fn used() -> f64 {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("a process knows its own use");
    let times = [usage.user_time(), usage.system_time()];
    times.iter().map(|t| t.tv_sec() as f64 + t.tv_usec() as f64 / 1e6).sum()
}

fn time(work: impl FnOnce()) -> f64 {
    let before = used();
    work();
    used() - before
}
