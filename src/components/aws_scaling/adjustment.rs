//! By how much a step or a simple policy changes the capacity, with the product's rounding.

use super::Bounds;

/// What the number of an adjustment means (`AdjustmentType`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AdjustmentType {
    /// So many more, or fewer.
    ChangeInCapacity,
    /// So many in all.
    ExactCapacity,
    /// So many per cent of what there is more, or fewer.
    PercentChangeInCapacity,
}

/// How a number of an adjustment becomes a capacity.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Adjustment {
    /// What the number means.
    pub kind: AdjustmentType,
    /// The least change by per cent (`MinAdjustmentMagnitude`).
    pub min_magnitude: u32,
}

/// What is done at a distance from the threshold.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct StepAdjustment {
    /// From which distance on (`MetricIntervalLowerBound`); minus infinity if `None`.
    pub lower: Option<f64>,
    /// Up to which (`MetricIntervalUpperBound`); infinity if `None`.
    pub upper: Option<f64>,
    /// The number (`ScalingAdjustment`).
    pub adjustment: i32,
}

impl StepAdjustment {
    /// Whether a metric so far above its threshold belongs to this step. The bound that is nearer to the threshold
    /// belongs to it: the lower one of an alarm on high values, the upper one of an alarm on low values.
    pub fn holds(&self, delta: f64, is_high: bool) -> bool {
        let (lower, upper) = (self.lower.unwrap_or(f64::NEG_INFINITY), self.upper.unwrap_or(f64::INFINITY));
        if is_high { lower <= delta && delta < upper } else { lower < delta && delta <= upper }
    }
}

impl Adjustment {
    /// The capacity that comes of this one. Per cent are rounded as the product does: above 1 down, between 0 and 1
    /// up to 1, and the same towards less.
    pub fn apply(&self, capacity: u32, number: i32, bounds: Bounds) -> u32 {
        let here = i64::from(capacity);
        let wanted = match self.kind {
            AdjustmentType::ChangeInCapacity => here + i64::from(number),
            AdjustmentType::ExactCapacity => i64::from(number),
            AdjustmentType::PercentChangeInCapacity => {
                let hundredths = here * i64::from(number);
                // Division cuts off towards 0.
                let whole = if hundredths == 0 { 0 } else { (hundredths / 100).abs().max(1) };
                let least = if hundredths == 0 { 0 } else { i64::from(self.min_magnitude) };
                here + whole.max(least) * hundredths.signum()
            }
        };
        bounds.clamp(wanted.clamp(0, i64::from(u32::MAX)) as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Bounds = Bounds { min: 0, max: 1000 };

    #[test]
    fn per_cent_are_rounded_as_the_guide_says() {
        let percent = Adjustment { kind: AdjustmentType::PercentChangeInCapacity, min_magnitude: 0 };
        // 12.7 is 12, 0.67 is 1, -0.58 is -1, -6.67 is -6.
        assert_eq!(percent.apply(127, 10, ALL), 127 + 12);
        assert_eq!(percent.apply(67, 1, ALL), 67 + 1);
        assert_eq!(percent.apply(58, -1, ALL), 58 - 1);
        assert_eq!(percent.apply(667, -1, ALL), 667 - 6);
        assert_eq!(percent.apply(10, 0, ALL), 10);
        // The guide's own: 25 % of 4 are 1, but at least 2 are added.
        let least = Adjustment { min_magnitude: 2, ..percent };
        assert_eq!(least.apply(4, 25, ALL), 6);
        assert_eq!(least.apply(4, -25, ALL), 2);
        assert_eq!(least.apply(100, 10, ALL), 110);
        assert_eq!(least.apply(100, 10, Bounds { min: 1, max: 105 }), 105);
        assert_eq!(least.apply(100, -100, Bounds { min: 3, max: 105 }), 3);
    }

    #[test]
    fn other_adjustments_are_whole() {
        let change = Adjustment { kind: AdjustmentType::ChangeInCapacity, min_magnitude: 5 };
        assert_eq!((change.apply(3, 2, ALL), change.apply(3, -9, ALL)), (5, 0));
        let exact = Adjustment { kind: AdjustmentType::ExactCapacity, min_magnitude: 5 };
        assert_eq!(exact.apply(3, 7, ALL), 7);
    }

    #[test]
    fn the_bound_nearer_to_the_threshold_belongs_to_a_step() {
        let up = [(Some(0.0), Some(10.0)), (Some(10.0), Some(20.0)), (Some(20.0), None)];
        let step = |(lower, upper)| StepAdjustment { lower, upper, adjustment: 0 };
        let which = |delta: f64, high: bool, steps: &[(Option<f64>, Option<f64>)]| {
            steps.iter().position(|s| step(*s).holds(delta, high))
        };
        let found = [0.0, 9.9, 10.0, 20.0, 1e9].map(|d| which(d, true, &up));
        assert_eq!(found, [Some(0), Some(0), Some(1), Some(2), Some(2)]);
        let down = [(Some(-10.0), Some(0.0)), (Some(-20.0), Some(-10.0)), (None, Some(-20.0))];
        let found = [0.0, -9.9, -10.0, -20.0, -1e9].map(|d| which(d, false, &down));
        assert_eq!(found, [Some(0), Some(0), Some(1), Some(2), Some(2)]);
    }
}
