//! Shards: the runs of an experiment, divided among machines, and put together again.
//!
//! A shard is a contiguous range of runs of every variant. Which random numbers a run sees depends on its number alone,
//! so how many shards there are, who plays them, in which order and how often, does not show in what comes out.

use super::fold::RunData;
use super::ledger::{Header, Ledger, LedgerError};
use super::plan::Plan;
use super::run::{Folding, Keep, Outcome, Progress, RunError};
use std::collections::BTreeMap;
use std::fmt;
use std::io::{Read, Seek};
use std::ops::Range;
use std::str::FromStr;

/// The most shards that there may be.
pub const SHARDS_MAX: u32 = 1_000_000;

/// One shard of so many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Which, counted from 1.
    pub index: u32,
    /// Of how many.
    pub count: u32,
}

impl Shard {
    /// Shard `index` of `count`, counted from 1.
    ///
    /// # Errors
    /// If there is no such shard, in words.
    pub fn new(index: u32, count: u32) -> Result<Self, String> {
        if count == 0 || count > SHARDS_MAX {
            return Err(format!("there can be 1 to {SHARDS_MAX} shards, not {count}"));
        }
        if index == 0 || index > count {
            return Err(format!("there is no shard {index} of {count}: they are counted from 1 to {count}"));
        }
        Ok(Self { index, count })
    }

    /// The runs that it plays, of `runs`; as many as the others, or one more or less. None if there are more shards
    /// than runs and it is one too many.
    pub fn range(self, runs: u32) -> Range<u32> {
        let bound = |index: u32| (u64::from(runs) * u64::from(index) / u64::from(self.count)) as u32;
        bound(self.index - 1)..bound(self.index)
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('/').and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
        let (index, count) = parts.ok_or("a shard is written I/N, such as 3/8, or `auto`")?;
        Self::new(index, count)
    }
}

/// How many runs of each variant there are to divide.
///
/// # Errors
/// If that is not known before they are played: then a shard cannot tell which runs are its own.
pub fn runs_to_divide(plan: &Plan) -> Result<u32, String> {
    match (plan.at_least, plan.runs) {
        (Some(_), _) => {
            Err("how many runs there are depends on what the first ones show (`Precise`): shards need a \
                             number of runs"
                .into())
        }
        (None, 0) => Err("there are no runs to divide".into()),
        (None, runs) => Ok(runs),
    }
}

/// Why shards cannot be put together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    /// There are none.
    #[error("there are no shards to merge")]
    Nothing,
    /// One cannot be read, or is not whole.
    #[error("{name}: {error}")]
    Unusable {
        /// Which.
        name: String,
        /// Why.
        error: LedgerError,
    },
    /// One is of another experiment than the first.
    #[error("{name} does not belong to {first}: {difference}")]
    Mixed {
        /// The first.
        first: String,
        /// The other.
        name: String,
        /// What differs.
        difference: String,
    },
    /// Two have the same run, and not the same of it.
    #[error(
        "{first} and {second} disagree about run {run} of `{variant}`: one of them is not what was played"
    )]
    Contradiction {
        /// One.
        first: String,
        /// The other.
        second: String,
        /// The run.
        run: u32,
        /// The variant.
        variant: String,
    },
    /// A run is missing in a shard that should have it.
    #[error("{name} should have run {run} of `{variant}` and has not")]
    Hole {
        /// The shard.
        name: String,
        /// The run.
        run: u32,
        /// The variant.
        variant: String,
    },
    /// Runs are in none of them.
    #[error("{0}")]
    Missing(String),
}

/// Shards that belong together.
#[derive(Debug)]
pub struct Gathered<R> {
    ledgers: Vec<(String, Ledger<R>)>,
    /// Which ledger has a run of a variant.
    places: BTreeMap<(u32, usize), usize>,
}

impl<R: Read + Seek> Gathered<R> {
    /// Puts ledgers together, in any order; each has a name for messages. Runs that several have must be the same.
    ///
    /// # Errors
    /// If one is not whole, or they do not belong together.
    pub fn new(ledgers: Vec<(String, Ledger<R>)>) -> Result<Self, MergeError> {
        let Some((first, model)) = ledgers.first() else { return Err(MergeError::Nothing) };
        for (name, ledger) in &ledgers {
            if let Some(error) = ledger.fault() {
                return Err(MergeError::Unusable { name: name.clone(), error: error.clone() });
            }
            if ledger.header.digest != model.header.digest {
                let difference = ledger.header.difference(&model.header);
                return Err(MergeError::Mixed { first: first.clone(), name: name.clone(), difference });
            }
        }
        let variants = model.header.variants.clone();
        let mut gathered = Self { ledgers, places: BTreeMap::new() };
        for number in 0..gathered.ledgers.len() {
            let (name, ledger) = &gathered.ledgers[number];
            let all = ledger.header.range.clone().flat_map(|run| (0..variants.len()).map(move |v| (run, v)));
            if let Some((run, v)) = all.into_iter().find(|(run, v)| !ledger.has(*run, *v)) {
                return Err(MergeError::Hole { name: name.clone(), run, variant: variants[v].clone() });
            }
            for (run, v) in ledger.runs().collect::<Vec<_>>() {
                let other = *gathered.places.entry((run, v)).or_insert(number);
                if other != number && gathered.bytes(other, run, v)? != gathered.bytes(number, run, v)? {
                    return Err(MergeError::Contradiction {
                        first: gathered.ledgers[other].0.clone(),
                        second: gathered.ledgers[number].0.clone(),
                        run,
                        variant: variants[v].clone(),
                    });
                }
            }
        }
        Ok(gathered)
    }

    fn bytes(&mut self, number: usize, run: u32, variant: usize) -> Result<Option<Vec<u8>>, MergeError> {
        let (name, ledger) = &mut self.ledgers[number];
        ledger.bytes(run, variant).map_err(|error| MergeError::Unusable { name: name.clone(), error })
    }

    /// What all of them are about.
    pub fn header(&self) -> &Header {
        &self.ledgers[0].1.header
    }

    /// Which runs are missing, in words, with the shards that should have them; none if none is.
    pub fn missing(&self) -> Option<MergeError> {
        let Header { runs, variants, .. } = self.header();
        let is_there = |run: &u32| (0..variants.len()).all(|v| self.places.contains_key(&(*run, v)));
        let missing: Vec<u32> = (0..*runs).filter(|run| !is_there(run)).collect();
        let (first, last) = (*missing.first()?, *missing.last()?);
        let is_one_gap = (last - first) as usize + 1 == missing.len();
        let mut text = match (missing.len(), is_one_gap) {
            (1, _) => format!("run {first} of {runs} is missing"),
            (_, true) => format!("runs {first} to {last} of {runs} are missing"),
            (many, false) => format!("{many} of {runs} runs are missing, from {first} to {last}"),
        };
        // If all are cut alike, it is known which shards are missing.
        let mut counts: Vec<Option<u32>> =
            self.ledgers.iter().map(|(_, l)| l.header.shard.map(|s| s.1)).collect();
        counts.dedup();
        if let [Some(count)] = counts[..] {
            let shards = (1..=count).filter_map(|index| Shard::new(index, count).ok());
            let lack: Vec<String> = shards
                .filter(|shard| shard.range(*runs).any(|run| missing.binary_search(&run).is_ok()))
                .map(|shard| shard.to_string())
                .collect();
            let (shown, more) = (lack.len().min(10), lack.len().saturating_sub(10));
            text += &format!(": shard {}", lack[..shown].join(", "));
            if more > 0 {
                text += &format!(" and {more} more");
            }
        }
        Some(MergeError::Missing(text))
    }
}

impl<R: Read + Seek> Keep for Gathered<R> {
    fn has(&self, run: u32, variant: usize) -> bool {
        self.places.contains_key(&(run, variant))
    }

    fn recall(&mut self, run: u32, variant: usize) -> Result<RunData, RunError> {
        let (name, ledger) = &mut self.ledgers[self.places[&(run, variant)]];
        let found = ledger.run(run, variant).map_err(|error| RunError::Kept(format!("{name}: {error}")))?;
        found.ok_or_else(|| RunError::Kept(format!("{name}: run {run} is no longer there")))
    }

    fn keep(&mut self, _: u32, _: usize, _: &RunData) -> Result<(), RunError> {
        Ok(())
    }
}

/// What runs mean that were all played before, in memory for one run at a time. Those that are missing are left out.
///
/// # Errors
/// If a run cannot be read.
pub fn fold_kept(plan: &Plan, kept: &mut dyn Keep, progress: &dyn Progress) -> Result<Outcome, RunError> {
    let mut folding = Folding::new(plan);
    let (mut done, total) = (0, plan.runs as usize * plan.variants.len());
    for run in 0..plan.runs {
        for variant in (0..plan.variants.len()).filter(|v| kept.has(run, *v)).collect::<Vec<_>>() {
            folding.add(run, variant, kept.recall(run, variant)?);
            done += 1;
            if !progress.runs_done(done, total) {
                return Err(RunError::Interrupted { done, total });
            }
        }
    }
    Ok(Outcome { result: folding.result(done == total), done, total })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_divide_the_runs() {
        for (runs, count) in [(1, 1), (10, 3), (7, 8), (1_000_000, 7), (u32::MAX, 1000)] {
            let mut next = 0;
            for index in 1..=count {
                let range = Shard::new(index, count).unwrap().range(runs);
                assert_eq!(range.start, next);
                assert!([runs / count, runs / count + 1].contains(&(range.end - range.start)));
                next = range.end;
            }
            assert_eq!(next, runs);
        }
    }

    #[test]
    fn shards_are_counted_from_one() {
        assert_eq!("3/8".parse(), Shard::new(3, 8));
        for wrong in ["0/8", "9/8", "1/0", "3", "3/", "/8", "a/b", "-1/3", "1/2/3", "1/1000001", ""] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
    }
}
