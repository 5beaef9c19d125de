//! Series to lines: gaps where there is no value, no more points than can be seen, and the extremes kept.

/// A line in the units of the data.
pub type Line = Vec<(f64, f64)>;

/// The points with a finite value for which `keep` holds, cut where one is missing.
pub fn pieces(points: impl Iterator<Item = (f64, f64)>, keep: fn(f64) -> bool) -> Vec<Line> {
    let mut lines = vec![Line::new()];
    for (x, y) in points {
        match (y.is_finite() && keep(y), lines.last_mut()) {
            (true, Some(line)) => line.push((x, y)),
            (false, Some(line)) if !line.is_empty() => lines.push(Line::new()),
            _ => {}
        }
    }
    lines.retain(|line| !line.is_empty());
    lines
}

/// At most about `points_max` points: of each stretch the first and the last, and where it is lowest and highest for
/// the first and for the last time (a step has two ends).
pub fn thin(line: &[(f64, f64)], points_max: usize) -> Line {
    if line.len() <= points_max {
        return line.to_vec();
    }
    let stretch = (line.len() * 6).div_ceil(points_max.max(6));
    let mut thinned = Line::new();
    for points in line.chunks(stretch) {
        let (mut kept, mut lowest, mut highest) =
            ([0, 0, 0, 0, 0, points.len() - 1], points[0].1, points[0].1);
        for (at, &(_, y)) in points.iter().enumerate() {
            if y < lowest {
                (lowest, kept[1]) = (y, at);
            }
            if y > highest {
                (highest, kept[3]) = (y, at);
            }
            kept[2] = if y == lowest { at } else { kept[2] };
            kept[4] = if y == highest { at } else { kept[4] };
        }
        kept.sort_unstable();
        for (i, &at) in kept.iter().enumerate() {
            if i == 0 || kept[i - 1] != at {
                thinned.push(points[at]);
            }
        }
    }
    thinned
}

/// Levels over windows that end at `times`, as a line of steps; equal neighbors become one step.
pub fn steps(times: &[f64], levels: &[f64], points_max: usize) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    let mut begin = 0.0;
    let mut open = false;
    for (&end, &level) in times.iter().zip(levels) {
        if !level.is_finite() {
            open = false;
        } else if let (true, Some(line)) = (open, lines.last_mut()) {
            step_on(line, (begin, end), level);
        } else {
            lines.push(vec![(begin, level), (end, level)]);
            open = true;
        }
        begin = end;
    }
    lines.iter().map(|line| thin(line, points_max)).collect()
}

fn step_on(line: &mut Line, (begin, end): (f64, f64), level: f64) {
    match line.last_mut() {
        Some(last) if last.1 == level => last.0 = end,
        _ => line.extend([(begin, level), (end, level)]),
    }
}

/// The band from `lo` to `hi`: for each piece without gaps its upper and lower edge, each stretch with its extremes.
pub fn bands(
    times: &[f64],
    lo: &[f64],
    hi: &[f64],
    points_max: usize,
    keep: fn(f64) -> bool,
) -> Vec<(Line, Line)> {
    let width = |i: usize| if keep(lo[i]) && keep(hi[i]) { hi[i] - lo[i] } else { f64::NAN };
    let length = times.len().min(lo.len()).min(hi.len());
    let stretch = length.div_ceil(points_max.max(1)).max(1);
    let whole = pieces((0..length).map(|i| (i as f64, width(i))), |_| true);
    whole
        .iter()
        .map(|piece| {
            let edge = |values: &[f64], pick: fn(f64, f64) -> f64| -> Line {
                piece
                    .chunks(stretch)
                    .map(|part| {
                        let indices = part.iter().map(|(i, _)| *i as usize);
                        let extreme = indices.clone().map(|i| values[i]).reduce(pick).unwrap_or(f64::NAN);
                        (times[part[part.len() / 2].0 as usize], extreme)
                    })
                    .collect()
            };
            (edge(hi, f64::max), edge(lo, f64::min))
        })
        .filter(|(upper, _)| upper.len() > 1)
        .collect()
}

/// Means over stretches, so that at most `points_max` remain; what is not finite counts as zero.
pub fn averages(values: &[f64], points_max: usize) -> Vec<f64> {
    let stretch = values.len().div_ceil(points_max.max(1)).max(1);
    values
        .chunks(stretch)
        .map(|part| part.iter().filter(|v| v.is_finite()).sum::<f64>() / part.len() as f64)
        .collect()
}

/// The least and the greatest finite value for which `keep` holds.
pub fn range(values: impl Iterator<Item = f64>, keep: fn(f64) -> bool) -> Option<(f64, f64)> {
    values.filter(|v| v.is_finite() && keep(*v)).fold(None, |range, v| match range {
        None => Some((v, v)),
        Some((lo, hi)) => Some((f64::min(lo, v), f64::max(hi, v))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    const NAN: f64 = f64::NAN;

    #[test]
    fn gaps_cut_lines() {
        let points = [(0.0, NAN), (1.0, 1.0), (2.0, 0.0), (3.0, 3.0), (4.0, NAN), (5.0, NAN), (6.0, 1.0)];
        let cut = pieces(points.into_iter(), |v| v > 0.0);
        assert_eq!(cut, [vec![(1.0, 1.0)], vec![(3.0, 3.0)], vec![(6.0, 1.0)]]);
        assert!(pieces([(0.0, NAN)].into_iter(), |_| true).is_empty());
    }

    #[test]
    fn thinning_keeps_extremes_and_order() {
        let mut line: Line = (0..10_000).map(|i| (f64::from(i), f64::from(i % 7))).collect();
        line[4321].1 = 99.0;
        line[8765].1 = -99.0;
        let thinned = thin(&line, 400);
        assert!(thinned.len() <= 400, "{}", thinned.len());
        assert!(thinned.contains(&(4321.0, 99.0)) && thinned.contains(&(8765.0, -99.0)));
        assert!(thinned.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert_eq!((thinned[0], thinned[thinned.len() - 1]), (line[0], line[9_999]));
    }

    #[test]
    fn levels_make_steps() {
        let lines = steps(&[1.0, 2.0, 3.0, 4.0, 5.0], &[12.0, 12.0, 2.0, NAN, 0.0], 100);
        assert_eq!(lines[0], [(0.0, 12.0), (2.0, 12.0), (2.0, 2.0), (3.0, 2.0)]);
        assert_eq!(lines[1], [(4.0, 0.0), (5.0, 0.0)]);
        assert!(steps(&[], &[], 10).is_empty());
    }

    #[test]
    fn thinned_steps_stay_steps() {
        let times: Vec<f64> = (1..=3000).map(f64::from).collect();
        let levels: Vec<f64> =
            (0..3000).map(|i| if i < 1000 { 0.0 } else { 300.0 + f64::from(i % 2) }).collect();
        let line = &steps(&times, &levels, 300)[0];
        assert!(line.len() <= 300 && line[0] == (0.0, 0.0) && line[1] == (1000.0, 0.0), "{:?}", &line[..4]);
    }

    #[test]
    fn bands_enclose() {
        let times = [1.0, 2.0, 3.0, 4.0, 5.0];
        let found = bands(&times, &[1.0, 2.0, NAN, 4.0, 3.0], &[5.0, 6.0, NAN, 8.0, 9.0], 100, |_| true);
        assert_eq!(found[0], (vec![(1.0, 5.0), (2.0, 6.0)], vec![(1.0, 1.0), (2.0, 2.0)]));
        assert_eq!(found.len(), 2);
        let coarse = bands(&times, &[1.0; 5], &[2.0, 9.0, 3.0, 4.0, 5.0], 2, |_| true);
        assert_eq!(coarse[0].0, [(2.0, 9.0), (5.0, 5.0)]);
    }

    #[test]
    fn averages_and_ranges() {
        assert_eq!(averages(&[1.0, 3.0, NAN, 4.0, 5.0], 3), [2.0, 2.0, 5.0]);
        assert_eq!(range([NAN, 3.0, -1.0].into_iter(), |_| true), Some((-1.0, 3.0)));
        assert_eq!(range([NAN, -1.0].into_iter(), |v| v > 0.0), None);
    }
}
