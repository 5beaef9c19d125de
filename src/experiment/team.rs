//! Threads: independent pieces of work, done in any order and taken in order of number.

use super::run::RunError;
use std::collections::BTreeMap;
use std::panic;
use std::sync::mpsc;

/// How many pieces for each thread may be begun and not yet taken. With two, a piece that takes three times as long as
/// the others makes threads wait; variants of one experiment often differ more than that.
const AHEAD: usize = 8;

/// A pool of threads.
///
/// Results are taken in the order of the work, whoever finishes first, so nothing that is made of them can depend on
/// the number of threads. At most eight pieces for each thread are begun and not yet taken: memory is bounded by
/// the number of threads and not by that of pieces, and no thread waits for the slowest of a batch.
#[derive(Debug)]
pub struct Team {
    /// None for one: the thread that takes does the work itself, so that one job is one thread.
    pool: Option<rayon::ThreadPool>,
    jobs: usize,
}

impl Team {
    /// A pool of `jobs` threads, at least one.
    ///
    /// # Errors
    /// If they cannot be started.
    pub fn new(jobs: usize) -> Result<Self, RunError> {
        let jobs = jobs.max(1);
        let pool = (jobs > 1).then(|| rayon::ThreadPoolBuilder::new().num_threads(jobs).build());
        Ok(Self { pool: pool.transpose().map_err(|_| RunError::Threads { jobs })?, jobs })
    }

    /// Does `work` for every unit and hands the results to `take`, with the number of the unit, in order. After an
    /// error of `take` nothing new is begun.
    ///
    /// # Errors
    /// The first error of `take`.
    pub fn each<U: Sync, R: Send, E>(
        &self,
        units: &[U],
        work: impl Fn(&U) -> R + Sync,
        mut take: impl FnMut(usize, R) -> Result<(), E>,
    ) -> Result<(), E> {
        let Some(pool) = &self.pool else {
            return units.iter().enumerate().try_for_each(|(number, unit)| take(number, work(unit)));
        };
        let (sender, receiver) = mpsc::channel();
        let work = &work;
        pool.in_place_scope(|scope| {
            let mut begun = 0;
            let begin = |number: usize| {
                let sender = sender.clone();
                scope.spawn(move |_| {
                    let result = panic::catch_unwind(panic::AssertUnwindSafe(|| work(&units[number])));
                    // Who no longer listens has seen an error, and wants no more.
                    drop(sender.send((number, result)));
                });
            };
            while begun < units.len().min(AHEAD * self.jobs) {
                begin(begun);
                begun += 1;
            }
            let mut finished = BTreeMap::new();
            for number in 0..units.len() {
                let result = loop {
                    if let Some(result) = finished.remove(&number) {
                        break result;
                    }
                    let (other, result) = receiver.recv().expect("a sender is kept");
                    finished.insert(other, result);
                };
                take(number, result.unwrap_or_else(|panicked| panic::resume_unwind(panicked)))?;
                if begun < units.len() {
                    begin(begun);
                    begun += 1;
                }
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn results_are_taken_in_order_and_few_are_kept() {
        let units: Vec<usize> = (0..100).collect();
        for jobs in [1, 2, 5] {
            let (begun, mut taken) = (AtomicUsize::new(0), Vec::new());
            let outcome: Result<(), ()> = Team::new(jobs).unwrap().each(
                &units,
                |unit| {
                    begun.fetch_add(1, Ordering::SeqCst);
                    // Some take longer than those after them.
                    std::thread::sleep(std::time::Duration::from_micros((unit % 7) as u64 * 100));
                    unit * 2
                },
                |number, result| {
                    assert!(begun.load(Ordering::SeqCst) <= number + AHEAD * jobs);
                    assert_eq!(result, number * 2);
                    taken.push(number);
                    Ok(())
                },
            );
            assert_eq!(outcome, Ok(()));
            assert_eq!(taken, units);
        }
    }

    #[test]
    fn an_error_ends_it() {
        let begun = AtomicUsize::new(0);
        let outcome = Team::new(2).unwrap().each(
            &[(); 1000],
            |()| begun.fetch_add(1, Ordering::SeqCst),
            |number, _| if number == 9 { Err("enough") } else { Ok(()) },
        );
        assert_eq!(outcome, Err("enough"));
        assert!(begun.load(Ordering::SeqCst) <= 10 + 2 * AHEAD);
    }
}
