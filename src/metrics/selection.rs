//! Selection of the best of several systems with a stated probability.
//!
//! The fully sequential procedure KN of Kim and Nelson, "A fully sequential procedure for indifference-zone selection
//! in simulation", ACM Transactions on Modeling and Computer Simulation 11 (2001), pages 251 to 273, with c = 1 and
//! constants that allow systems to depend on each other, as they do on common random numbers. After a first stage of
//! n0 runs of every system, one run of each that is still in contention is added at a time, and who is clearly worse
//! than another leaves.
//!
//! If the values of a run are jointly normal and the best mean exceeds all others by at least the indifference, the
//! best is selected with at least the probability asked for. If others are closer to it, one of those is selected that
//! are within the indifference, which is as good by the asker's own word.
//!
//! A pure state machine: it is told values and answers who is still in contention.

/// The fewest runs of a first stage that estimate variances well enough (Kim and Nelson, section 3).
pub const FIRST_MIN: u32 = 10;

/// A selection under way. Greater is better.
#[derive(Clone, Debug)]
pub struct Selection {
    /// Runs of the first stage.
    first: u32,
    /// The difference that matters.
    indifference: f64,
    /// The constant h² of the procedure.
    h_squared: f64,
    /// Runs taken of those in contention.
    runs: u32,
    /// Values of the first stage, by system.
    values: Vec<Vec<f64>>,
    /// Sums over the runs taken, by system.
    sums: Vec<f64>,
    /// Runs taken of each system.
    taken: Vec<u32>,
    /// Systems in contention, in order.
    contenders: Vec<usize>,
    /// The variances of the differences in the first stage, by system and system.
    variances: Vec<Vec<f64>>,
    /// After more runs than this, the greatest mean is selected.
    runs_max: u32,
}

impl Selection {
    /// A selection among `systems` (at least two) that is right with `probability`, where a difference of less than
    /// `indifference` (positive, in the unit of the values) does not matter. The first stage has `first` runs, at
    /// least two.
    pub fn new(systems: usize, probability: f64, indifference: f64, first: u32) -> Self {
        assert!(systems >= 2 && first >= 2 && indifference > 0.0 && 0.0 < probability && probability < 1.0);
        let error = (1.0 - probability) / (systems - 1) as f64;
        let freedom = f64::from(first - 1);
        // The solution of g(η) = error for c = 1: (1 + 2 η)^(-(n0 - 1) / 2) / 2 = error.
        let eta = 0.5 * (libm::pow(2.0 * error, -2.0 / freedom) - 1.0);
        Self {
            first,
            indifference,
            h_squared: 2.0 * eta * freedom,
            runs: 0,
            values: vec![Vec::new(); systems],
            sums: vec![0.0; systems],
            taken: vec![0; systems],
            contenders: (0..systems).collect(),
            variances: Vec::new(),
            runs_max: u32::MAX,
        }
    }

    /// The systems still in contention, in order; the next run is to be played of these.
    pub fn contenders(&self) -> &[usize] {
        &self.contenders
    }

    /// The system selected, once there is only one left.
    pub fn winner(&self) -> Option<usize> {
        match self.contenders.as_slice() {
            [winner] => Some(*winner),
            _ => None,
        }
    }

    /// Runs taken of those in contention.
    pub fn runs(&self) -> u32 {
        self.runs
    }

    /// Runs taken of a system, and their mean.
    pub fn of(&self, system: usize) -> (u32, f64) {
        (self.taken[system], self.sums[system] / f64::from(self.taken[system].max(1)))
    }

    /// After so many runs at most there is a winner; known once the first stage is over.
    pub fn runs_at_most(&self) -> Option<u32> {
        (self.runs >= self.first).then(|| self.runs_max.saturating_add(1).max(self.first))
    }

    /// Takes one more run: the values of the contenders, in their order. Returns who has left.
    pub fn take(&mut self, values: &[f64]) -> Vec<usize> {
        assert_eq!(values.len(), self.contenders.len(), "one value of each contender");
        if self.winner().is_some() {
            return Vec::new();
        }
        self.runs += 1;
        for (system, value) in self.contenders.iter().zip(values) {
            self.sums[*system] += value;
            self.taken[*system] += 1;
            if self.runs <= self.first {
                self.values[*system].push(*value);
            }
        }
        if self.runs < self.first {
            return Vec::new();
        }
        if self.runs == self.first {
            self.estimate_variances();
        }
        let before = self.contenders.clone();
        let is_over =
            if self.runs == self.first { self.first > self.runs_max } else { self.runs > self.runs_max };
        self.contenders = if is_over { vec![self.leader()] } else { self.screened() };
        before.into_iter().filter(|system| !self.contenders.contains(system)).collect()
    }

    /// The variances of the differences after the first stage, and from them how long the procedure can last.
    fn estimate_variances(&mut self) {
        let systems = self.values.len();
        self.variances = vec![vec![0.0; systems]; systems];
        let mut runs_max = 0.0f64;
        for i in 0..systems {
            for l in i + 1..systems {
                let pairs = self.values[i].iter().zip(&self.values[l]);
                let differences: Vec<f64> = pairs.map(|(x, y)| x - y).collect();
                let variance = super::comparison::moments(&differences).map_or(0.0, |m| m.variance);
                self.variances[i][l] = variance;
                self.variances[l][i] = variance;
                runs_max = runs_max.max(libm::floor(self.reach(variance)));
            }
        }
        self.runs_max = runs_max.min(f64::from(u32::MAX - 1)) as u32;
    }

    /// h² S² / δ²: after so many runs two systems can be told apart whatever their means.
    fn reach(&self, variance: f64) -> f64 {
        self.h_squared * variance / (self.indifference * self.indifference)
    }

    /// The contender with the greatest mean; the first of equals.
    fn leader(&self) -> usize {
        let mut leader = self.contenders[0];
        for system in &self.contenders[1..] {
            if self.sums[*system] > self.sums[leader] {
                leader = *system;
            }
        }
        leader
    }

    /// Those contenders whose mean is not below any other's by more than chance explains.
    fn screened(&self) -> Vec<usize> {
        let r = f64::from(self.runs);
        let mean = |system: usize| self.sums[system] / r;
        let stays = |i: usize, l: usize| {
            let slack = self.indifference / (2.0 * r) * (self.reach(self.variances[i][l]) - r);
            mean(i) >= mean(l) - slack.max(0.0)
        };
        let all = &self.contenders;
        let stay = all.iter().filter(|i| all.iter().all(|l| l == *i || stays(**i, *l)));
        stay.copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::dist::normal_quantile;
    use crate::base::rng::Rng;

    /// Selects among normal systems with these means, whose values share a part of their variance of one (as on
    /// common random numbers); the winner and the runs that all systems took.
    fn select(means: &[f64], shared: f64, indifference: f64, rng: &mut Rng) -> (usize, u32) {
        let mut selection = Selection::new(means.len(), 0.95, indifference, FIRST_MIN);
        while selection.winner().is_none() {
            let common = normal_quantile(rng.uniform()) * shared.sqrt();
            let mut value = |system: &usize| {
                means[*system] + common + normal_quantile(rng.uniform()) * (1.0 - shared).sqrt()
            };
            let values: Vec<f64> = selection.contenders().to_vec().iter().map(&mut value).collect();
            selection.take(&values);
        }
        let runs = (0..means.len()).map(|system| selection.of(system).0).sum();
        (selection.winner().unwrap(), runs)
    }

    /// The share of right selections and the mean number of runs, over 1,000 repetitions.
    fn repeated(means: &[f64], shared: f64, indifference: f64) -> (f64, f64) {
        let best = means.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mut rng = Rng::from_seed(20_010_703);
        let (mut right, mut runs) = (0, 0);
        for _ in 0..1_000 {
            let (winner, taken) = select(means, shared, indifference, &mut rng);
            right += u32::from(means[winner] == best);
            runs += taken;
        }
        (f64::from(right) / 1_000.0, f64::from(runs) / 1_000.0)
    }

    #[test]
    fn the_constants_are_those_of_the_paper() {
        // η = ((2 α / (k - 1))^(-2 / (n0 - 1)) - 1) / 2 and h² = 2 η (n0 - 1), evaluated in Python for α = 5 %.
        for (systems, first, eta) in
            [(2, 10, 0.334_050_268_6), (5, 10, 0.634_967_265_2), (10, 24, 0.239_442_035_6)]
        {
            let selection = Selection::new(systems, 0.95, 1.0, first);
            let expected = 2.0 * eta * f64::from(first - 1);
            assert!(
                (selection.h_squared / expected - 1.0).abs() < 1e-9,
                "{} {expected}",
                selection.h_squared
            );
        }
    }

    #[test]
    fn the_best_is_found_as_often_as_promised() {
        // The hardest case: all others are worse by exactly the indifference, a third of a standard deviation. 1,000
        // repetitions of a probability of 95 % stray by 0.7 %.
        let (right, independent) = repeated(&[0.0, 0.0, 0.33, 0.0, 0.0], 0.0, 0.33);
        assert!(right >= 0.95, "{right}");
        // As right on common random numbers, with far fewer runs: differences have a tenth of the variance.
        let (right, common) = repeated(&[0.0, 0.0, 0.33, 0.0, 0.0], 0.9, 0.33);
        assert!(right >= 0.95, "{right}");
        assert!(common < independent / 4.0, "{common} and {independent} runs");
        // Two systems, and means that spread.
        let (right, _) = repeated(&[0.0, 0.5], 0.0, 0.5);
        assert!(right >= 0.95, "{right}");
        let (right, spread) = repeated(&[0.0, 0.33, 0.66, 0.99, 1.32], 0.0, 0.33);
        assert!(right >= 0.95 && spread < independent, "{right} {spread}");
    }

    #[test]
    fn it_could_fail() {
        // A fixed sample of ten runs, as a control: far from 95 %.
        let mut rng = Rng::from_seed(1);
        let mut right = 0;
        for _ in 0..1_000 {
            let mean = |extra: f64, rng: &mut Rng| -> f64 {
                (0..10).map(|_| extra + normal_quantile(rng.uniform())).sum::<f64>() / 10.0
            };
            let best = mean(0.33, &mut rng);
            right += u32::from((0..4).all(|_| mean(0.0, &mut rng) < best));
        }
        assert!(right < 700, "{right}");
    }

    #[test]
    fn without_chance_the_first_stage_decides() {
        let mut selection = Selection::new(3, 0.95, 0.1, 10);
        for run in 0..10 {
            assert_eq!((selection.winner(), selection.runs_at_most()), (None, None));
            let luck = f64::from(run * run);
            selection.take(&[luck, luck + 1.0, luck + 0.5]);
        }
        assert_eq!((selection.winner(), selection.runs(), selection.runs_at_most()), (Some(1), 10, Some(10)));
        assert_eq!(selection.of(1), (10, 29.5));
        assert!(selection.take(&[1e9]).is_empty());
        assert_eq!(selection.winner(), Some(1));
    }

    #[test]
    fn it_ends_after_as_many_runs_as_it_says() {
        let mut rng = Rng::from_seed(7);
        let mut selection = Selection::new(2, 0.95, 0.2, 10);
        while selection.winner().is_none() {
            // Equal systems: nobody is worse, and one is selected in the end.
            let values = [normal_quantile(rng.uniform()), normal_quantile(rng.uniform())];
            let left = selection.take(&values[..selection.contenders().len()]);
            assert_eq!(left.is_empty(), selection.winner().is_none());
        }
        let at_most = selection.runs_at_most().unwrap();
        assert!(selection.runs() <= at_most && at_most > 10, "{} {at_most}", selection.runs());
    }
}
