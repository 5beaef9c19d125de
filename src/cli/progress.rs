//! A progress bar on a terminal, silence elsewhere.

use super::interrupt;
use crate::experiment::run::Progress;
use indicatif::{ProgressBar, ProgressStyle};

/// Shows how many runs are done, with an estimate of the time left; `indicatif` hides it when standard error is no
/// terminal.
pub struct Bar {
    bar: ProgressBar,
}

impl Bar {
    /// A bar, hidden if `quiet`.
    pub fn new(quiet: bool) -> Self {
        let bar = if quiet { ProgressBar::hidden() } else { ProgressBar::new(0) };
        let style = ProgressStyle::with_template("{bar:40} {pos}/{len} runs, {eta} left");
        if let Ok(style) = style {
            bar.set_style(style);
        }
        Self { bar }
    }
}

impl Progress for Bar {
    fn runs_done(&self, done: usize, total: usize) -> bool {
        self.bar.set_length(total as u64);
        self.bar.set_position(done as u64);
        if done == total || interrupt::is_asked() {
            self.bar.finish_and_clear();
        }
        // Who has finished needs not be stopped.
        done == total || self.goes_on()
    }

    fn goes_on(&self) -> bool {
        !interrupt::is_asked()
    }
}
