//! `--precision`, `--precision-of` and `--warmup`: how precise an answer is to be.

use super::{interrupt, threads};
use crate::base::SimDuration;
use crate::base::units::{parse_duration, parse_ratio};
use crate::experiment::Changes;
use crate::experiment::ledger::{Asked, AskedPrecision, AskedWarmup};
use crate::experiment::precision::PrecisionChange;
use crate::experiment::warmup::Pilot;
use crate::spec::load::Loader;
use crate::spec::quantity::Seconds;
use crate::spec::runs::Warmup;
use clap::Args;
use std::fmt::Write;

/// How precise the answer is to be.
#[derive(Clone, Debug, Args)]
pub struct PrecisionArgs {
    /// Adds runs until the 95 % intervals are so narrow, such as 2%; --runs is the most [default: 200]
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub precision: Option<f64>,
    /// What is to be that precise; may be given again [default: p(99) of all clients' latency]
    #[arg(long, value_name = "METRIC", requires = "precision")]
    pub precision_of: Vec<String>,
    /// Simulated time before measuring begins, such as 30s, or auto.
    #[arg(long, value_parser = warmup)]
    pub warmup: Option<Warmup>,
}

impl PrecisionArgs {
    /// Adds what they say to the changes.
    pub fn change(&self, loader: &mut Loader, jobs: Option<u16>, changes: Changes) -> Changes {
        let metrics = self.precision_of.iter().map(|text| loader.quoted("--precision-of", text)).collect();
        Changes {
            precision: self.precision.map(|within| PrecisionChange { within, metrics }),
            warmup: self.warmup,
            pilot: Pilot {
                jobs: Some(jobs.map_or_else(threads, usize::from)),
                go_on: Some(|| !interrupt::is_asked()),
            },
            ..changes
        }
    }

    /// As whoever played the runs of a ledger gave them.
    pub fn again_as(asked: &Asked) -> Self {
        let (precision, precision_of) = asked.precision.clone().unzip();
        let warmup = asked.warmup_ns.map(|ns| match ns {
            Some(ns) => Warmup::For(Seconds(SimDuration::from_ns(ns).seconds())),
            None => Warmup::Auto,
        });
        Self { precision, precision_of: precision_of.unwrap_or_default(), warmup }
    }

    /// The precision and the warm-up that were asked for, as ledgers keep them.
    pub fn asked(&self) -> (AskedPrecision, AskedWarmup) {
        let warmup = self.warmup.map(|warmup| match warmup {
            Warmup::For(seconds) => Some(seconds.duration().ns()),
            Warmup::Auto => None,
        });
        (self.precision.map(|within| (within, self.precision_of.clone())), warmup)
    }

    /// The flags again, each behind a space.
    pub fn again(&self, quoted: &dyn Fn(&str) -> String) -> String {
        let mut line = String::new();
        if let Some(within) = self.precision {
            let _ = write!(line, " --precision {within}");
        }
        for metric in &self.precision_of {
            let _ = write!(line, " --precision-of {}", quoted(metric));
        }
        match self.warmup {
            Some(Warmup::Auto) => line.push_str(" --warmup auto"),
            Some(Warmup::For(seconds)) => {
                let _ = write!(line, " --warmup {}ns", seconds.duration().ns());
            }
            None => {}
        }
        line
    }
}

fn share(text: &str) -> Result<f64, String> {
    match parse_ratio(text).map_err(|e| e.to_string())? {
        0.0 => Err("no number of runs is perfect: write a share such as 2%".into()),
        share => Ok(share),
    }
}

fn warmup(text: &str) -> Result<Warmup, String> {
    if text.eq_ignore_ascii_case("auto") {
        return Ok(Warmup::Auto);
    }
    let seconds = parse_duration(text).map_err(|e| format!("{e}, or `auto`"))?;
    Ok(Warmup::For(Seconds(seconds)))
}
