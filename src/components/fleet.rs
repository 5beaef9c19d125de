//! Fleets of instances that are bought in different ways: which place is of which kind, and what all cost per hour.
//!
//! The rule is that of a mixed instances policy of EC2 Auto Scaling: the first so many instances are on demand, then a
//! share of those above, rounded up in favour of on demand ("Configure an Auto Scaling group with a mixed instances
//! policy", Amazon EC2 Auto Scaling User Guide). Each place of a group has its kind, so a group that grows and shrinks
//! at its end has the right number of each at any size.

/// How the instances of a service are bought.
#[derive(Clone, Debug, PartialEq)]
pub struct Fleet {
    /// What an instance on demand costs per hour.
    pub price: f64,
    /// The first so many are on demand.
    pub base: u32,
    /// The share on demand of those above, from 0 to 1.
    pub above_base: f64,
    /// What spot costs less, from 0 to 1.
    pub spot_discount: f64,
    /// How many instances are reserved, and what each costs less, from 0 to 1.
    pub reserved: (u32, f64),
}

impl Fleet {
    /// How many of `size` instances are on demand.
    pub fn on_demand_of(&self, size: u32) -> u32 {
        let above = size.saturating_sub(self.base);
        // A share such as 10 % is not exact: a hair more than a whole number is that number.
        let on_demand = libm::ceil(f64::from(above) * self.above_base - 1e-9).max(0.0) as u32;
        size.min(self.base) + on_demand.min(above)
    }

    /// Whether the instance at a place, counted from 0, is on demand.
    pub fn is_on_demand(&self, place: u32) -> bool {
        self.on_demand_of(place + 1) > self.on_demand_of(place)
    }

    /// Whether any instance can be spot.
    pub fn has_spot(&self) -> bool {
        self.above_base < 1.0
    }

    /// What so many instances cost per hour. Reserved ones are paid for whether they are used or not.
    pub fn per_hour(&self, on_demand: u32, spot: u32) -> f64 {
        let (reserved, discount) = self.reserved;
        let more = on_demand.saturating_sub(reserved);
        let full = f64::from(reserved) * (1.0 - discount) + f64::from(more);
        self.price * (full + f64::from(spot) * (1.0 - self.spot_discount))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fleet(base: u32, above_base: f64) -> Fleet {
        Fleet { price: 0.1, base, above_base, spot_discount: 0.7, reserved: (0, 0.4) }
    }

    #[test]
    fn base_first_then_a_share_rounded_up() {
        let on_demand = |f: &Fleet| (0..=9).map(|n| f.on_demand_of(n)).collect::<Vec<_>>();
        assert_eq!(on_demand(&fleet(1, 0.25)), [0, 1, 2, 2, 2, 2, 3, 3, 3, 3]);
        assert_eq!(on_demand(&fleet(2, 0.0)), [0, 1, 2, 2, 2, 2, 2, 2, 2, 2]);
        assert_eq!(on_demand(&fleet(0, 1.0)), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        // Ten places, a tenth of them: one, not two.
        assert_eq!(fleet(0, 0.1).on_demand_of(10), 1);
    }

    #[test]
    fn places_add_up_to_the_fleet() {
        for (base, above) in [(0, 0.0), (1, 0.25), (3, 0.5), (2, 0.33), (0, 1.0)] {
            let fleet = fleet(base, above);
            for size in 0..40 {
                let places = (0..size).filter(|p| fleet.is_on_demand(*p)).count() as u32;
                assert_eq!(places, fleet.on_demand_of(size), "{base} {above} {size}");
            }
        }
    }

    #[test]
    fn reserved_instances_are_paid_for_unused() {
        let fleet = Fleet { reserved: (3, 0.4), ..fleet(1, 0.25) };
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} {b}");
        close(fleet.per_hour(0, 0), 0.1 * 3.0 * 0.6);
        close(fleet.per_hour(3, 0), 0.1 * 3.0 * 0.6);
        close(fleet.per_hour(5, 4), 0.1 * (3.0 * 0.6 + 2.0 + 4.0 * 0.3));
    }
}
