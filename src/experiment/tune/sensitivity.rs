//! Which settings matter: elementary effects and shares of variance, over any function of the unit box.

use crate::base::rng::Rng;
use crate::metrics::Estimate;

/// How much one setting matters to one output.
#[derive(Clone, Debug, PartialEq)]
pub struct Effect {
    /// The setting, by number.
    pub setting: usize,
    /// Morris: the mean of the sizes of elementary effects (mu*, Campolongo, Cariboni and Saltelli, "An effective
    /// screening design for sensitivity analysis of large models", 2007), in the output's unit, for a change through
    /// the whole range. Sobol: the share of the variance that vanishes on average if this setting and nothing else is
    /// known (first order).
    pub main: Option<Estimate>,
    /// Morris: the standard deviation of the elementary effects; large beside the mean if the effect depends on where
    /// the others are, or is not straight.
    pub spread: Option<f64>,
    /// Sobol: the share of the variance that is left on average if everything but this setting is known (total).
    pub total: Option<Estimate>,
}

/// The levels of Morris's grid, an even number.
const LEVELS: u64 = 4;

/// The candidates of Morris's design: `trajectories` paths of one more point than there are settings; from one point to
/// the next one setting moves, by two thirds of its range.
pub fn morris_points(settings: usize, trajectories: usize, rng: &mut Rng) -> Vec<Vec<f64>> {
    let mut points = Vec::new();
    let delta = morris_delta();
    for _ in 0..trajectories {
        // The lower half of the grid, from which a step up stays in the box; a step down begins in the upper half.
        let base: Vec<f64> =
            (0..settings).map(|_| rng.below(LEVELS / 2) as f64 / (LEVELS - 1) as f64).collect();
        let is_up: Vec<bool> = (0..settings).map(|_| rng.chance(0.5)).collect();
        let mut point: Vec<f64> =
            base.iter().zip(&is_up).map(|(at, up)| if *up { *at } else { at + delta }).collect();
        let mut order: Vec<usize> = (0..settings).collect();
        for at in (1..settings).rev() {
            order.swap(at, rng.below(at as u64 + 1) as usize);
        }
        points.push(point.clone());
        for setting in order {
            point[setting] = if is_up[setting] { base[setting] + delta } else { base[setting] };
            points.push(point.clone());
        }
    }
    points
}

fn morris_delta() -> f64 {
    LEVELS as f64 / (2.0 * (LEVELS - 1) as f64)
}

/// The effects, from the output at each point of the design, the greatest first. Steps at whose ends there is no value
/// are left out.
pub fn morris(settings: usize, points: &[Vec<f64>], outputs: &[Option<f64>]) -> Vec<Effect> {
    let mut effects = vec![Vec::new(); settings];
    for (path, values) in points.chunks(settings + 1).zip(outputs.chunks(settings + 1)) {
        for step in 0..path.len().saturating_sub(1) {
            let moved = (0..settings).find(|s| path[step][*s] != path[step + 1][*s]);
            if let (Some(setting), Some(before), Some(after)) = (moved, values[step], values[step + 1]) {
                effects[setting].push((after - before) / (path[step + 1][setting] - path[step][setting]));
            }
        }
    }
    let effect = |(setting, effects): (usize, &Vec<f64>)| {
        let sizes: Vec<f64> = effects.iter().map(|e| e.abs()).collect();
        Effect { setting, main: Estimate::of(&sizes), spread: deviation(effects), total: None }
    };
    sorted(effects.iter().enumerate().map(effect).collect(), |effect| effect.main)
}

/// The sample's standard deviation.
fn deviation(values: &[f64]) -> Option<f64> {
    let mean = Estimate::of(values)?.mean;
    let sum = values.iter().fold(0.0, |sum, v| sum + (v - mean) * (v - mean));
    (values.len() > 1).then(|| (sum / (values.len() - 1) as f64).sqrt())
}

/// The candidates of Saltelli's design: for each sample a point of A, a point of B, and for each setting the point of A
/// with that setting from B. Both are Latin hypercubes.
pub fn sobol_points(settings: usize, samples: usize, rng: &mut Rng) -> Vec<Vec<f64>> {
    let columns: Vec<Vec<f64>> = (0..2 * settings).map(|_| stratified(samples, rng)).collect();
    let mut points = Vec::new();
    let point = |columns: &[Vec<f64>], sample: usize| columns.iter().map(|c| c[sample]).collect::<Vec<f64>>();
    for sample in 0..samples {
        let a = point(&columns[..settings], sample);
        let b = point(&columns[settings..], sample);
        points.push(a.clone());
        points.push(b.clone());
        for setting in 0..settings {
            let mut mixed = a.clone();
            mixed[setting] = b[setting];
            points.push(mixed);
        }
    }
    points
}

/// One number in each of `count` equal parts of (0, 1), in random order.
fn stratified(count: usize, rng: &mut Rng) -> Vec<f64> {
    let mut values: Vec<f64> = (0..count).map(|part| (part as f64 + rng.uniform()) / count as f64).collect();
    for at in (1..count).rev() {
        values.swap(at, rng.below(at as u64 + 1) as usize);
    }
    values
}

/// The shares of variance, from the output at each point of the design, the greatest total first: first order by
/// Saltelli et al. 2010, table 2 (b), total by Jansen 1999, table 2 (f). Outputs are centred, which changes nothing in
/// the mean and makes the estimates steadier. Samples without all values are left out; there is no share of no
/// variance. The intervals take the variance as known.
pub fn sobol(settings: usize, outputs: &[Option<f64>]) -> Vec<Effect> {
    let whole = outputs.chunks(settings + 2).filter_map(|c| c.iter().copied().collect::<Option<Vec<f64>>>());
    let samples: Vec<Vec<f64>> = whole.filter(|sample| sample.len() == settings + 2).collect();
    let both: Vec<f64> = samples.iter().flat_map(|sample| [sample[0], sample[1]]).collect();
    let (Some(mean), Some(deviation)) = (Estimate::of(&both).map(|e| e.mean), deviation(&both)) else {
        return Vec::new();
    };
    let variance = deviation * deviation;
    let share = |term: &dyn Fn(&Vec<f64>) -> f64| {
        if deviation <= 1e-12 * mean.abs() {
            return None;
        }
        let terms: Vec<f64> = samples.iter().map(|sample| term(sample) / variance).collect();
        Estimate::of(&terms)
    };
    let effect = |setting: usize| Effect {
        setting,
        main: share(&|s| (s[1] - mean) * (s[2 + setting] - s[0])),
        spread: None,
        total: share(&|s| (s[0] - s[2 + setting]) * (s[0] - s[2 + setting]) / 2.0),
    };
    sorted((0..settings).map(effect).collect(), |effect| effect.total)
}

/// The greatest first; equal ones in order of setting.
fn sorted(mut effects: Vec<Effect>, by: impl Fn(&Effect) -> Option<Estimate>) -> Vec<Effect> {
    let size = |effect: &Effect| by(effect).map_or(f64::NEG_INFINITY, |e| e.mean);
    effects.sort_by(|a, b| size(b).total_cmp(&size(a)).then(a.setting.cmp(&b.setting)));
    effects
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::PI;

    #[test]
    fn effects_of_a_straight_line_are_its_slopes() {
        let mut rng = Rng::from_seed(1);
        let points = morris_points(4, 6, &mut rng);
        assert_eq!(points.len(), 30);
        assert!(points.iter().flatten().all(|at| (0.0..=1.0).contains(at)));
        let line = |p: &Vec<f64>| Some(1.0 + 2.0 * p[0] - 7.0 * p[1] + 0.5 * p[3]);
        let outputs: Vec<_> = points.iter().map(line).collect();
        let effects = morris(4, &points, &outputs);
        let found: Vec<(usize, f64)> = effects.iter().map(|e| (e.setting, e.main.unwrap().mean)).collect();
        for ((setting, size), (expected, slope)) in found.iter().zip([(1, 7.0), (0, 2.0), (3, 0.5), (2, 0.0)])
        {
            assert!(*setting == expected && (size - slope).abs() < 1e-9, "{found:?}");
        }
        assert!(effects.iter().all(|e| e.spread.unwrap() < 1e-9));
        // Where there is no value, there is no effect; the others stay.
        let holes: Vec<_> = outputs.iter().enumerate().map(|(n, o)| o.filter(|_| n % 5 != 2)).collect();
        assert!((morris(4, &points, &holes)[0].main.unwrap().mean - 7.0).abs() < 1e-9);
    }

    #[test]
    fn an_interaction_shows_as_a_spread() {
        let mut rng = Rng::from_seed(2);
        let points = morris_points(2, 40, &mut rng);
        let outputs: Vec<_> = points.iter().map(|p| Some(p[0] * p[1])).collect();
        for effect in morris(2, &points, &outputs) {
            // The effect of one is the level of the other, 0, 1/3, 2/3 or 1: mean 1/2, deviation sqrt(5)/6 = 0.373.
            assert!((effect.main.unwrap().mean - 0.5).abs() < 0.15, "{effect:?}");
            assert!((effect.spread.unwrap() - 0.373).abs() < 0.08, "{effect:?}");
        }
    }

    #[test]
    fn shares_of_variance_of_ishigami_are_the_known_ones() {
        // Ishigami and Homma 1990 with a = 7, b = 0.1; the shares in closed form as in Saltelli et al., "Global
        // Sensitivity Analysis: The Primer", 2008, section 4.4.
        let (a, b) = (7.0, 0.1);
        let function = |p: &Vec<f64>| {
            let x: Vec<f64> = p.iter().map(|u| PI * (2.0 * u - 1.0)).collect();
            let sine = libm::sin(x[1]);
            Some(libm::sin(x[0]) * (1.0 + b * x[2] * x[2] * x[2] * x[2]) + a * sine * sine)
        };
        let (p4, p8) = (PI * PI * PI * PI, libm::pow(PI, 8.0));
        let variance = a * a / 8.0 + b * p4 / 5.0 + b * b * p8 / 18.0 + 0.5;
        let (v1, v2, v13) =
            ((1.0 + b * p4 / 5.0) * (1.0 + b * p4 / 5.0) / 2.0, a * a / 8.0, b * b * p8 * 8.0 / 225.0);
        let first = [v1 / variance, v2 / variance, 0.0];
        let total = [(v1 + v13) / variance, v2 / variance, v13 / variance];
        let mut rng = Rng::from_seed(3);
        let points = sobol_points(3, 8192, &mut rng);
        let outputs: Vec<_> = points.iter().map(function).collect();
        let effects = sobol(3, &outputs);
        assert_eq!(effects.iter().map(|e| e.setting).collect::<Vec<_>>(), [0, 1, 2]);
        for effect in &effects {
            let (main, all) = (effect.main.unwrap(), effect.total.unwrap());
            assert!((main.mean - first[effect.setting]).abs() < 0.02, "{effect:?} {first:?}");
            assert!((all.mean - total[effect.setting]).abs() < 0.02, "{effect:?} {total:?}");
            // Three half widths: this is one sample of a random number.
            assert!((main.mean - first[effect.setting]).abs() < 1.5 * main.half_width.unwrap());
        }
    }

    #[test]
    fn no_variance_has_no_shares() {
        let points = sobol_points(2, 16, &mut Rng::from_seed(4));
        let effects = sobol(2, &vec![Some(3.0); points.len()]);
        assert!(effects.iter().all(|e| e.main.is_none() && e.total.is_none()));
        assert!(sobol(2, &vec![None; points.len()]).is_empty());
    }
}
