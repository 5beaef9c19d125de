//! The orders against lists that are sorted anew at every step.

use super::*;
use proptest::prelude::*;

fn at(ms: u64) -> SimTime {
    SimTime::ZERO + SimDuration::from_ms(ms)
}

fn config(discipline: Discipline, capacity: Option<u32>) -> QueueConfig {
    QueueConfig { discipline, capacity, ..QueueConfig::UNBOUNDED }
}

fn newcomer<W>(waiter: W, priority: u8) -> Newcomer<W> {
    let (class, deadline) = (u32::from(priority), at(100 - u64::from(priority)));
    Newcomer { waiter, at: SimTime::ZERO, priority, class, deadline, bytes: 1 }
}

/// Plays a script: a letter joins with priority by case (upper 1, lower 0), `.` calls the next, `-x` x gives up.
fn replay(discipline: Discipline, capacity: Option<u32>, script: &str) -> String {
    let mut queue = WaitQueue::new(config(discipline, capacity));
    let mut called = String::new();
    let mut letters = script.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '.' => match queue.pop(SimTime::ZERO) {
                Some(Called::Serve(letter)) => called.push(letter),
                Some(Called::Shed(_)) => called.push('#'),
                None => called.push('_'),
            },
            '-' => called.push(if queue.remove(letters.next().unwrap()) { '-' } else { '?' }),
            _ => {
                let entry = newcomer(letter, u8::from(letter.is_ascii_uppercase()));
                if queue.push(SimTime::ZERO, entry, 0.5) == Entry::Full {
                    called.push('!');
                }
            }
        }
    }
    called
}

#[test]
fn each_discipline_calls_in_its_order() {
    assert_eq!(replay(Discipline::Fifo, None, "abC....ab.."), "abC_ab");
    assert_eq!(replay(Discipline::Lifo, None, "abC....ab.."), "Cba_ba");
    assert_eq!(replay(Discipline::Priority, None, "aBcD.b....."), "BDacb_");
    // Above two the last, up to two the first.
    assert_eq!(replay(Discipline::AdaptiveLifo { above: 2 }, None, "abcd....."), "dcab_");
    // Capitals are due one millisecond earlier.
    assert_eq!(replay(Discipline::EarliestDeadline, None, "aBcD.b....."), "BDacb_");
}

#[test]
fn fair_shares_follow_the_weights() {
    let fair = || Discipline::WeightedFair { weights: vec![1.0, 2.0] };
    assert_eq!(replay(fair(), None, "abcABCD......."), "AaBCbDc");
    // Who comes late gets no credit for the time away: B and C come once a and b are served.
    assert_eq!(replay(fair(), None, "abcd..BCDE......"), "abBcCDdE");
}

#[test]
fn a_full_room_sends_away_and_a_departure_makes_room() {
    assert_eq!(replay(Discipline::Fifo, Some(2), "abc.c..."), "!abc_");
    assert_eq!(replay(Discipline::Fifo, Some(2), "ab-ac.."), "-bc");
    assert_eq!(replay(Discipline::Fifo, Some(0), "a."), "!_");
}

#[test]
fn bytes_are_bounded_too() {
    let bounds = QueueConfig { bytes_max: Some(10), ..QueueConfig::UNBOUNDED };
    let mut queue = WaitQueue::new(bounds);
    let sized = |waiter, bytes| Newcomer { bytes, ..newcomer(waiter, 0) };
    assert_eq!(queue.push(at(0), sized('a', 6), 0.5), Entry::Waits(None));
    assert_eq!(queue.push(at(0), sized('b', 5), 0.5), Entry::Full);
    assert_eq!(queue.push(at(0), sized('c', 4), 0.5), Entry::Waits(None));
    assert!(queue.remove('a'));
    assert_eq!(queue.push(at(0), sized('b', 6), 0.5), Entry::Waits(None));
}

#[test]
fn who_gave_up_is_not_called() {
    assert_eq!(replay(Discipline::Fifo, None, "abcd-b-b.-d.."), "-?a-c_");
    assert_eq!(replay(Discipline::Lifo, None, "abcd-d-b.-a.."), "--c-__");
    assert_eq!(replay(Discipline::Priority, None, "aBcD-B-c..."), "--Da_");
}

#[test]
fn those_who_waited_too_long_are_turned_away_when_called() {
    let (target, interval) = (SimDuration::from_ms(5), SimDuration::from_ms(100));
    let shed = ShedConfig::CoDel { target, interval };
    let mut queue = WaitQueue::new(QueueConfig { shed, ..QueueConfig::UNBOUNDED });
    for letter in ['a', 'b', 'c', 'd'] {
        queue.push(at(0), newcomer(letter, 0), 0.5);
    }
    assert_eq!(queue.pop(at(50)), Some(Called::Serve('a')));
    assert_eq!(queue.pop(at(151)), Some(Called::Serve('b')));
    assert_eq!(queue.pop(at(152)), Some(Called::Shed('c')));
    assert_eq!(queue.len(), 1);
}

fn disciplines() -> impl Strategy<Value = Discipline> {
    prop_oneof![
        Just(Discipline::Fifo),
        Just(Discipline::Lifo),
        Just(Discipline::Priority),
        Just(Discipline::EarliestDeadline),
        (0u32..8).prop_map(|above| Discipline::AdaptiveLifo { above }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn behaves_like_a_sorted_list(
        discipline in disciplines(),
        capacity in prop_oneof![Just(None), (0u32..20).prop_map(Some)],
        steps in prop::collection::vec((0u8..10, 0u8..4, any::<prop::sample::Index>()), 0..60),
    ) {
        let mut queue = WaitQueue::new(config(discipline.clone(), capacity));
        let mut model: Vec<(u8, u32)> = Vec::new();
        for (number, (action, priority, index)) in (0u32..).zip(steps) {
            match action {
                0..5 => {
                    let has_room = capacity.is_none_or(|c| model.len() < c as usize);
                    let entry = queue.push(SimTime::ZERO, newcomer(number, priority), 0.5);
                    prop_assert_eq!(entry, if has_room { Entry::Waits(None) } else { Entry::Full });
                    if has_room {
                        model.push((priority, number));
                    }
                }
                5..8 => {
                    let last = model.len().checked_sub(1);
                    let first = (!model.is_empty()).then_some(0);
                    let next = match discipline {
                        Discipline::Fifo => first,
                        Discipline::Lifo => last,
                        Discipline::AdaptiveLifo { above } if model.len() > above as usize => last,
                        Discipline::AdaptiveLifo { .. } => first,
                        // Deadlines are the earlier, the higher the priority.
                        _ => (0..model.len()).max_by_key(|i| (model[*i].0, std::cmp::Reverse(*i))),
                    };
                    let next = next.map(|i| Called::Serve(model.remove(i).1));
                    prop_assert_eq!(queue.pop(SimTime::ZERO), next);
                }
                _ if model.is_empty() => prop_assert!(!queue.remove(number)),
                _ => {
                    let (_, gone) = model.remove(index.index(model.len()));
                    prop_assert!(queue.remove(gone));
                    prop_assert!(!queue.remove(gone));
                }
            }
            prop_assert_eq!(queue.len(), model.len());
        }
        let mut rest = Vec::new();
        queue.drain(&mut rest);
        prop_assert_eq!(rest.len(), model.len());
        prop_assert!(queue.is_empty());
    }

    /// Among classes that always have somebody waiting, each gets its share to within one call of every class
    /// (Golestani 1994), and nobody who came is lost.
    #[test]
    fn fair_shares_are_exact_to_a_call(weights in prop::collection::vec(1u8..6, 2..5), calls in 1usize..120) {
        let weights: Vec<f64> = weights.into_iter().map(f64::from).collect();
        let total: f64 = weights.iter().sum();
        let mut queue = WaitQueue::new(config(Discipline::WeightedFair { weights: weights.clone() }, None));
        for _ in 0..calls {
            for class in 0..weights.len() as u8 {
                queue.push(SimTime::ZERO, newcomer(class, class), 0.5);
            }
        }
        let mut served = vec![0.0; weights.len()];
        // Until the first class could run out.
        for _ in 0..calls {
            let Some(Called::Serve(class)) = queue.pop(SimTime::ZERO) else { panic!("somebody waits") };
            served[class as usize] += 1.0;
        }
        for (class, served) in served.iter().enumerate() {
            let share = calls as f64 * weights[class] / total;
            prop_assert!((served - share).abs() <= weights.len() as f64, "{class}: {served} of {share}");
        }
    }

    #[test]
    fn red_and_bounds_keep_the_room_small(
        script in prop::collection::vec((any::<bool>(), 0.0..1.0f64, 1u64..50), 1..200),
    ) {
        let service = SimDuration::from_ms(1);
        let shed = ShedConfig::RandomEarly { min: 3.0, max: 8.0, probability: 0.2, weight: 0.5, service };
        let bounds = QueueConfig { shed, capacity: Some(12), bytes_max: Some(300), ..QueueConfig::UNBOUNDED };
        let mut queue = WaitQueue::new(bounds);
        let mut bytes = std::collections::VecDeque::new();
        for (number, (comes, random, size)) in (0u64..).zip(script) {
            if comes {
                let entry = queue.push(at(number), Newcomer { bytes: size, ..newcomer(number, 0) }, random);
                if entry == Entry::Waits(None) {
                    bytes.push_back(size);
                }
            } else if queue.pop(at(number)).is_some() {
                bytes.pop_front();
            }
            prop_assert_eq!(queue.len(), bytes.len());
            prop_assert!(bytes.len() <= 12 && bytes.iter().sum::<u64>() <= 300);
        }
    }
}
