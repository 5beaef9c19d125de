//! What tests of whole systems share: RON text in, a played run out.

#![allow(dead_code, reason = "each test file uses a part")]

pub mod ron;
pub mod small_models;

use brownout::base::SimTime;
use brownout::experiment::run::{Played, merged, play};
use brownout::experiment::{Changes, Plan, plan};
use brownout::metrics::Meters;
use brownout::spec::load::Loader;
use std::path::{Path, PathBuf};

/// A folder with the files of one test; it goes with the value.
pub struct Files(tempfile::TempDir);

impl Files {
    /// A folder with a topology, and an experiment on it if there is one.
    pub fn new(topology: &str, experiment: Option<&str>) -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        files.write("topology.ron", topology);
        if let Some(experiment) = experiment {
            files.write("experiment.ron", experiment);
        }
        files
    }

    /// Where a file is.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Adds a file.
    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.0.path().join(name), text).unwrap();
    }

    /// The plan of the experiment, or of the topology if there is none; mistakes as text.
    pub fn try_plan(&self, changes: &Changes) -> Result<Plan, String> {
        let experiment = self.0.path().join("experiment.ron");
        load(if experiment.exists() { experiment } else { self.0.path().join("topology.ron") }, &[], changes)
    }

    /// The plan, which must be without mistakes.
    pub fn plan(&self) -> Plan {
        self.try_plan(&Changes::default()).unwrap_or_else(|mistakes| panic!("{mistakes}"))
    }
}

/// The plan of a file; mistakes as text.
pub fn load(path: PathBuf, sets: &[String], changes: &Changes) -> Result<Plan, String> {
    let mut loader = Loader::default();
    let document = loader.load(&path, sets);
    let plan = document.and_then(|d| plan(&mut loader, d, changes));
    if loader.diagnostics.has_errors() {
        return Err(loader.diagnostics.render(&loader.sources, false));
    }
    plan.ok_or_else(|| "no plan, and no mistake".into())
}

/// A file of the repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// One run and the plan it was played by.
pub struct Run {
    pub plan: Plan,
    pub played: Played,
}

/// Plays the first run of a topology on its own, without warm-up, for so many seconds.
pub fn quick(topology: &str, seconds: u64) -> Run {
    experiment(topology, &format!("duration: \"{seconds}s\""))
}

/// Plays the first run of an experiment on a topology; `fields` are the experiment's, without the topology.
pub fn experiment(topology: &str, fields: &str) -> Run {
    let files = Files::new(topology, Some(&whole_experiment(fields)));
    run_of(files.plan(), 0)
}

/// The text of an experiment on `topology.ron`.
pub fn whole_experiment(fields: &str) -> String {
    format!("Experiment(topology: \"topology.ron\", {fields})")
}

/// Plays one run of the first variant.
pub fn run_of(plan: Plan, number: u64) -> Run {
    let played = play(&plan.variants[0], plan.seed, number);
    Run { plan, played }
}

impl Run {
    /// All meters after the warm-up.
    pub fn meters(&self) -> Meters {
        merged(&self.played.record.windows, self.plan.warmup, self.plan.end, &self.plan.variants[0])
            .into_owned()
    }

    /// All meters between two instants at which windows end.
    pub fn meters_between(&self, from_s: u64, to_s: u64) -> Meters {
        let at = |s: u64| SimTime::ZERO + brownout::base::SimDuration::from_secs(s);
        merged(&self.played.record.windows, at(from_s), at(to_s), &self.plan.variants[0]).into_owned()
    }

    /// A metric over the measured time; NaN if it has no value.
    pub fn value(&self, path: &str) -> f64 {
        let catalog = &self.plan.variants[0].model.catalog;
        let metric = catalog.find(path).unwrap_or_else(|| {
            let all: Vec<&str> = catalog.metrics.iter().map(|m| m.path.as_str()).collect();
            panic!("no metric {path} among {all:#?}")
        });
        self.meters().value(metric.source).unwrap_or(f64::NAN)
    }

    /// A metric second by second; NaN where it has no value.
    pub fn series(&self, path: &str) -> Vec<f64> {
        let variant = &self.plan.variants[0];
        let metric = variant.model.catalog.find(path).unwrap_or_else(|| panic!("no metric {path}"));
        let columns = &variant.recorded.columns;
        let column = columns.iter().position(|source| *source == metric.source);
        let column = column.unwrap_or_else(|| panic!("{path} is not kept second by second"));
        self.played.record.rows.chunks(columns.len()).map(|row| row[column]).collect()
    }

    /// The sum over seconds `from..to` of a rate: how often something happened.
    pub fn count(&self, path: &str, from: usize, to: usize) -> f64 {
        self.series(path)[from..to].iter().filter(|v| !v.is_nan()).sum()
    }

    /// How often something happened in the whole run.
    pub fn total(&self, path: &str) -> f64 {
        let series = self.series(path);
        series.iter().filter(|v| !v.is_nan()).sum()
    }

    /// The event log as lines `time kind component instance`.
    pub fn log(&self) -> Vec<String> {
        let lines = brownout::experiment::log::lines(&self.plan.variants[0], &self.played.record);
        let text = |l: &brownout::experiment::results::LogLine| {
            format!("{:.3} {} {} {}", l.time_s, l.kind, l.component, l.instance).trim_end().to_string()
        };
        lines.iter().map(text).collect()
    }

    /// The times at which something of a kind happened.
    pub fn times_of(&self, kind: &str) -> Vec<f64> {
        let lines = brownout::experiment::log::lines(&self.plan.variants[0], &self.played.record);
        lines.iter().filter(|l| l.kind == kind).map(|l| l.time_s).collect()
    }
}

/// Asserts that two numbers are equal but for a relative error.
#[track_caller]
pub fn close(what: &str, ours: f64, expected: f64, relative: f64) {
    let error = (ours - expected).abs() / expected.abs().max(1e-12);
    assert!(error <= relative, "{what}: {ours} is not {expected} (off by {:.3} %)", error * 100.0);
}
