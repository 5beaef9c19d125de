//! How one version of a service takes the place of another: how many instances may start and how many may end.
//!
//! Intuition: a rollout is a loan. Surge is how many instances are borrowed on top, unavailability how many are owed.
//! Old instances are paid back only for new ones that are *available*, so a version that never becomes ready stops the
//! rollout with `replicas - max_unavailable` good instances left.
//!
//! What surprises:
//!
//! - Instances that are ending count for nothing: with a long grace period there are far more than
//!   `replicas + max_surge` of them.
//! - Old instances that are not available are ended first, and for free.
//! - With shares, surge is rounded up and unavailability down; 25 % of 3 replicas is a surge of 1 and 0 missing.
//!
//! Sources: `pkg/controller/deployment/rolling.go`, `sync.go` and `util/deployment_util.go` of Kubernetes 1.30
//! (`reconcileNewReplicaSet`, `reconcileOldReplicaSets`, `cleanupUnhealthyReplicas`, `ResolveFenceposts`, `scale`);
//! `utils/replicaset/canary.go` of Argo Rollouts 1.7.

/// A number of instances, or a share of the replicas.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Amount {
    /// So many.
    Number(u32),
    /// Such a share, from 0 to 1.
    Share(f64),
}

impl Amount {
    /// How many of `replicas` that is, a part of one counted as a whole.
    pub fn up(self, replicas: u32) -> u32 {
        match self {
            Self::Number(number) => number,
            Self::Share(share) => libm::ceil(share * f64::from(replicas) - 1e-9).max(0.0) as u32,
        }
    }

    /// How many of `replicas` that is, a part of one left out.
    pub fn down(self, replicas: u32) -> u32 {
        match self {
            Self::Number(number) => number,
            Self::Share(share) => libm::floor(share * f64::from(replicas) + 1e-9) as u32,
        }
    }
}

/// Surge and unavailability of a number of replicas. If both come to nothing, one replica may be missing: otherwise
/// nothing could ever happen.
pub fn fenceposts(surge: Amount, unavailable: Amount, replicas: u32) -> (u32, u32) {
    let (surge, unavailable) = (surge.up(replicas), unavailable.down(replicas));
    if surge == 0 && unavailable == 0 { (0, 1) } else { (surge, unavailable) }
}

/// The instances of one version.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Side {
    /// Those that are there and not ending.
    pub active: u32,
    /// Those of them that are available.
    pub available: u32,
    /// How many there should be in the end.
    pub goal: u32,
}

/// A fleet on its way from one version to another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fleet {
    /// How many replicas there should be.
    pub desired: u32,
    /// How many more there may be.
    pub surge: u32,
    /// How many may be missing.
    pub unavailable: u32,
    /// The version that comes.
    pub new: Side,
    /// All others.
    pub old: Side,
}

/// What is to be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Move {
    /// So many new instances start.
    StartNew(u32),
    /// So many old instances start.
    StartOld(u32),
    /// So many new instances end, those that are not available first.
    EndNew(u32),
    /// So many old instances end, those that are not available first.
    EndOld(u32),
}

impl Fleet {
    /// The next thing to do, if there is any; to be asked again once it is done.
    pub fn next(&self) -> Option<Move> {
        let total = self.new.active + self.old.active;
        let room = (self.desired + self.surge).saturating_sub(total);
        if self.new.active < self.new.goal {
            let start = room.min(self.new.goal - self.new.active);
            if start > 0 {
                return Some(Move::StartNew(start));
            }
        }
        if self.new.active > self.new.goal {
            return Some(Move::EndNew(self.new.active - self.new.goal));
        }
        if self.old.active < self.old.goal {
            let start = room.min(self.old.goal - self.old.active);
            return (start > 0).then_some(Move::StartOld(start));
        }
        let end = self.ends_old();
        (end > 0).then_some(Move::EndOld(end))
    }

    /// How many old instances may end.
    fn ends_old(&self) -> u32 {
        let total = self.new.active + self.old.active;
        let least = self.desired.saturating_sub(self.unavailable);
        let too_many = self.old.active.saturating_sub(self.old.goal);
        let new_unavailable = self.new.active.saturating_sub(self.new.available);
        let may = total.saturating_sub(least).saturating_sub(new_unavailable).min(too_many);
        let sick = may.min(self.old.active.saturating_sub(self.old.available));
        if sick > 0 {
            return sick;
        }
        let spare = (self.new.available + self.old.available).saturating_sub(least);
        may.min(spare)
    }
}

/// How many instances more (or fewer, if negative) each side of a rollout gets when the number of replicas changes on
/// the way, in proportion to what it has: first the new side, then the old one. `most_before` is replicas and surge
/// before the change, `most` after it.
pub fn proportional(new: u32, old: u32, most_before: u32, most: u32) -> (i64, i64) {
    let all = i64::from(new) + i64::from(old);
    let add = i64::from(most) - all;
    if add == 0 || most_before == 0 {
        return (0, 0);
    }
    let fraction = |side: u32| {
        let size = f64::from(side) * f64::from(most) / f64::from(most_before);
        libm::round(size) as i64 - i64::from(side)
    };
    // Growing, the larger side comes first, of equals the newer one; shrinking, the older one.
    let new_first = if add > 0 { new >= old } else { new > old };
    let (first, second) = if new_first { (new, old) } else { (old, new) };
    let bounded = |wish: i64, left: i64| if add > 0 { wish.clamp(0, left) } else { wish.clamp(left, 0) };
    let mut of_first = bounded(fraction(first), add);
    let of_second = bounded(fraction(second), add - of_first);
    of_first = (of_first + add - of_first - of_second).max(-i64::from(first));
    if new_first { (of_first, of_second) } else { (of_second, of_first) }
}

/// How many of `replicas` a canary has whose share of the requests is its share of the instances.
pub fn canary_replicas(weight: f64, replicas: u32) -> u32 {
    if weight <= 0.0 || replicas == 0 {
        0
    } else if weight >= 1.0 {
        replicas
    } else {
        let nearest = libm::round(weight * f64::from(replicas)) as u32;
        // Some requests go to either as long as there are two instances.
        nearest.clamp(1, replicas.saturating_sub(1).max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fleet(desired: u32, surge: u32, unavailable: u32, new: [u32; 2], old: [u32; 2]) -> Fleet {
        Fleet {
            desired,
            surge,
            unavailable,
            new: Side { active: new[0], available: new[1], goal: desired },
            old: Side { active: old[0], available: old[1], goal: 0 },
        }
    }

    #[test]
    fn shares_are_rounded_as_kubernetes_does() {
        let quarter = Amount::Share(0.25);
        assert_eq!(fenceposts(quarter, quarter, 3), (1, 0));
        assert_eq!(fenceposts(quarter, quarter, 10), (3, 2));
        assert_eq!(fenceposts(quarter, quarter, 4), (1, 1));
        assert_eq!(fenceposts(Amount::Share(0.0), quarter, 3), (0, 1), "nothing could ever happen");
        assert_eq!(Amount::Share(0.1).up(30), 3, "a tenth of 30 is not 4 for the last bit");
    }

    #[test]
    fn three_replicas_with_one_more_and_none_missing() {
        assert_eq!(fleet(3, 1, 0, [0, 0], [3, 3]).next(), Some(Move::StartNew(1)));
        assert_eq!(fleet(3, 1, 0, [1, 0], [3, 3]).next(), None, "it waits until the new one is available");
        assert_eq!(fleet(3, 1, 0, [1, 1], [3, 3]).next(), Some(Move::EndOld(1)));
        assert_eq!(fleet(3, 1, 0, [1, 1], [2, 2]).next(), Some(Move::StartNew(1)));
        assert_eq!(fleet(3, 1, 0, [3, 3], [1, 1]).next(), Some(Move::EndOld(1)));
        assert_eq!(fleet(3, 1, 0, [3, 3], [0, 0]).next(), None);
    }

    #[test]
    fn ten_replicas_as_in_the_tests_of_kubernetes() {
        // TestDeploymentController_reconcileNewReplicaSet and ..OldReplicaSets of rolling_test.go.
        assert_eq!(fleet(10, 2, 0, [0, 0], [10, 10]).next(), Some(Move::StartNew(2)));
        assert_eq!(fleet(10, 2, 0, [5, 5], [10, 10]).next(), Some(Move::EndOld(5)));
        assert_eq!(fleet(10, 0, 2, [0, 0], [10, 10]).next(), Some(Move::EndOld(2)));
        assert_eq!(fleet(10, 0, 2, [0, 0], [10, 8]).next(), Some(Move::EndOld(2)), "the two that are ill");
        assert_eq!(fleet(10, 0, 2, [2, 0], [8, 8]).next(), None);
        assert_eq!(fleet(10, 0, 2, [2, 2], [8, 0]).next(), Some(Move::EndOld(2)));
    }

    #[test]
    fn more_replicas_are_shared_out() {
        // TestScale of sync_test.go: 5 and 5 of 10 become 6 and 6 of 12; 10 and 2 of 12 become 20 and 4 of 24.
        assert_eq!(proportional(5, 5, 10, 12), (1, 1));
        assert_eq!(proportional(10, 2, 12, 24), (10, 2));
        assert_eq!(proportional(2, 10, 12, 6), (-1, -5));
        assert_eq!(proportional(3, 3, 6, 6), (0, 0));
    }

    #[test]
    fn a_canary_has_at_least_one_instance() {
        assert_eq!(canary_replicas(0.05, 10), 1);
        assert_eq!(canary_replicas(0.25, 10), 3);
        assert_eq!(canary_replicas(0.99, 10), 9);
        assert_eq!(canary_replicas(1.0, 10), 10);
        assert_eq!(canary_replicas(0.0, 10), 0);
        assert_eq!(canary_replicas(0.5, 1), 1);
    }

    #[derive(Clone, Debug)]
    enum Happens {
        Ready(u32),
        Next,
    }

    proptest! {
        #[test]
        fn it_never_borrows_or_owes_too_much(
            desired in 1u32..30,
            surge in 0u32..10,
            unavailable in 0u32..10,
            steps in prop::collection::vec(
                prop_oneof![(1u32..4).prop_map(Happens::Ready), Just(Happens::Next)], 1..200),
        ) {
            let (surge, unavailable) =
                fenceposts(Amount::Number(surge), Amount::Number(unavailable), desired);
            let mut f = fleet(desired, surge, unavailable, [0, 0], [desired, desired]);
            for step in steps {
                match step {
                    Happens::Ready(n) => f.new.available = (f.new.available + n).min(f.new.active),
                    Happens::Next => match f.next() {
                        Some(Move::StartNew(n)) => f.new.active += n,
                        Some(Move::EndOld(n)) => {
                            let sick = (f.old.active - f.old.available).min(n);
                            f.old.active -= n;
                            f.old.available -= n - sick;
                        }
                        Some(other) => prop_assert!(false, "{other:?}"),
                        None => {}
                    },
                }
                prop_assert!(f.new.active + f.old.active <= desired + surge);
                prop_assert!(f.new.available + f.old.available >= desired.saturating_sub(unavailable));
            }
            // As long as new ones become available, it ends.
            for _ in 0..500 {
                f.new.available = f.new.active;
                match f.next() {
                    Some(Move::StartNew(n)) => f.new.active += n,
                    Some(Move::EndOld(n)) => {
                        let sick = (f.old.active - f.old.available).min(n);
                        f.old.active -= n;
                        f.old.available -= n - sick;
                    }
                    _ => break,
                }
            }
            prop_assert_eq!((f.new.active, f.old.active), (desired, 0));
        }

        #[test]
        fn a_change_of_replicas_is_shared_out_exactly(new in 0u32..50, old in 0u32..50, most in 0u32..120) {
            let before = new + old;
            prop_assume!(before > 0);
            let (more_new, more_old) = proportional(new, old, before, most);
            prop_assert_eq!(i64::from(before) + more_new + more_old, i64::from(most));
            prop_assert!(i64::from(new) + more_new >= 0 && i64::from(old) + more_old >= 0);
        }
    }
}
