//! The search for the best variant: runs are added to those still in contention until one is left.

use super::direction::Direction;
use super::results::{Contender, Selected};
use super::{Bench, BestPlan, CompareError};
use crate::experiment::run::Progress;
use crate::metrics::selection::Selection;

/// Plays as many runs as it takes. Those that were played already count, in their order.
pub fn select(
    best: &BestPlan,
    bench: &mut Bench<'_>,
    jobs: usize,
    progress: &dyn Progress,
) -> Result<Selected, CompareError> {
    let variants = bench.plan.variants.len();
    let sign = if best.better == Direction::More { 1.0 } else { -1.0 };
    let mut selection = Selection::new(variants, best.probability, best.indifference, best.first);
    let mut left_after = vec![None; variants];
    while selection.winner().is_none() && selection.runs() < best.at_most {
        let run = selection.runs();
        let contenders = selection.contenders().to_vec();
        // A few runs ahead, so that every thread has something to do; what is not needed is not looked at.
        let ahead = (2 * jobs).div_ceil(contenders.len()) as u32;
        if contenders.iter().any(|v| bench.values[*v].len() as u32 <= run) {
            let until = if run < best.first { best.first } else { run + ahead.max(1) };
            bench.play(&contenders, until.min(best.at_most), progress)?;
        }
        let mut values = Vec::new();
        for variant in &contenders {
            let value = bench.values[*variant][run as usize][best.measure].number();
            values.push(
                sign * value.ok_or_else(|| CompareError::NoValue {
                    measure: best.text.clone(),
                    variant: bench.plan.variants[*variant].name.clone(),
                    run,
                })?,
            );
        }
        for variant in selection.take(&values) {
            left_after[variant] = Some(selection.runs());
        }
    }
    let contender = |variant: usize| {
        let (runs, mean) = selection.of(variant);
        Contender { runs, mean: sign * mean, left_after: left_after[variant] }
    };
    Ok(Selected {
        text: best.text.clone(),
        unit: best.unit,
        better: best.better,
        indifference: best.indifference,
        probability: best.probability,
        first: best.first,
        at_most: best.at_most,
        winner: selection.winner(),
        contenders: (0..variants).map(contender).collect(),
        runs_needed: selection.runs_at_most().unwrap_or(best.first),
    })
}
