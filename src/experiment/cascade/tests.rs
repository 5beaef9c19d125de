//! Made-up records: who falls first, and by what.

use super::map::Seen;
use super::*;

/// Seconds of the made-up series; the trigger strikes at 60.
const LENGTH: usize = 120;
const START: usize = 60;

/// A component has five columns: asked, ended, good, held, healthy.
const WIDTH: usize = 5;

/// A system in which everything is normal: 100 requests per second, 10 in flight, 4 healthy.
struct System {
    map: Map,
    rows: Vec<f64>,
    width: usize,
}

impl System {
    fn new(names: &[&str], calls: &[(usize, usize)]) -> Self {
        let width = names.len() * WIDTH;
        let mut map = Map::default();
        for (at, name) in names.iter().enumerate() {
            let first = at * WIDTH;
            let seen = vec![
                Seen::Errors { ended: first + 1, good: first + 2 },
                Seen::Rises { column: first + 3, sign: Sign::Held },
                Seen::Fewer { column: first + 4, sign: Sign::Health },
            ];
            let depth = (names.len() - at) as u32;
            let path = name.to_string();
            map.components.push(Component { path, depth, asked: Some(first), instances: 0..0, seen });
        }
        for (from, to) in calls {
            // What the callee is asked is what the link carries.
            let first = to * WIDTH;
            map.links.push(Link {
                from: *from,
                to: *to,
                path: format!("{} to {}", names[*from], names[*to]),
                is_checks: false,
                calls: Some((first, first + 1, first + 2)),
                load: Some(first),
            });
        }
        let row: Vec<f64> = names.iter().flat_map(|_| [100.0, 100.0, 100.0, 10.0, 4.0]).collect();
        Self { map, rows: row.repeat(LENGTH), width }
    }

    fn set(&mut self, component: usize, column: usize, from: usize, value: f64) {
        for second in from..LENGTH {
            self.rows[second * self.width + component * WIDTH + column] = value;
        }
    }

    /// So many requests more fail.
    fn fails(&mut self, component: usize, from: usize, bad: f64) {
        self.set(component, 2, from, 100.0 - bad);
    }

    fn held(&mut self, component: usize, from: usize, level: f64) {
        self.set(component, 3, from, level);
    }

    fn asked(&mut self, component: usize, from: usize, rate: f64) {
        [0, 1, 2].into_iter().for_each(|column| self.set(component, column, from, rate));
    }

    fn follow(&self, target: Option<usize>) -> Path {
        let trigger = Trigger {
            name: "f".into(),
            text: "Slow".into(),
            targets: target.into_iter().collect(),
            target: "somewhere".into(),
            at: None,
        };
        let columns = Columns { rows: &self.rows, width: self.width };
        let start = SimTime::ZERO + crate::base::SimDuration::from_secs(START as u64);
        let span = Followed { start, normal: normal_before(START, 0), until: LENGTH };
        follow(&self.map, &trigger, &Record::default(), &columns, span)
    }

    fn names(&self, path: &Path) -> Vec<&str> {
        let name = |step: &Step| step.component.map_or("", |c| self.map.components[c].path.as_str());
        path.iter().map(name).collect()
    }

    fn carriers(&self, path: &Path) -> Vec<&str> {
        let name = |step: &Step| step.carrier.map_or("", |c| self.map.links[c.link].path.as_str());
        path.iter().map(name).collect()
    }
}

/// Clients call an API, which calls a database and something else.
fn chain() -> System {
    System::new(&["clients", "api", "db", "mail"], &[(0, 1), (1, 2), (1, 3)])
}

#[test]
fn nothing_falls_but_what_is_struck() {
    let system = chain();
    assert_eq!(system.names(&system.follow(Some(2))), ["db"]);
    assert_eq!(system.names(&system.follow(None)), [""]);
}

#[test]
fn errors_travel_up_in_order_of_time_along_the_calls() {
    let mut system = chain();
    system.fails(2, START, 50.0);
    system.fails(1, START + 5, 50.0);
    system.fails(0, START + 9, 50.0);
    let path = system.follow(Some(2));
    assert_eq!(system.names(&path), ["db", "api", "clients"]);
    assert_eq!(system.carriers(&path), ["", "api to db", "clients to api"]);
    assert_eq!(path.iter().map(|s| s.first.after_s).collect::<Vec<_>>(), [0.0, 5.0, 9.0]);
    // What is struck shows it as well, later.
    assert_eq!((path[0].first.sign, path[0].later[0].sign), (Sign::Struck, Sign::Errors));
    assert_eq!((path[1].first.value, path[1].first.normal), (0.5, 0.0));
}

#[test]
fn who_is_called_falls_before_who_calls_in_the_same_second() {
    let mut system = chain();
    for component in [0, 1, 2] {
        system.held(component, START + 3, 80.0);
    }
    // The clients seem to be a second earlier: within a second, the calls decide.
    system.held(0, START + 2, 80.0);
    assert_eq!(system.names(&system.follow(Some(3))), ["mail", "db", "api", "clients"]);
    // More than that, and it is what time says.
    system.held(0, START + 1, 80.0);
    assert_eq!(system.names(&system.follow(Some(3))), ["mail", "clients", "db", "api"]);
}

#[test]
fn who_sends_more_than_it_is_asked_for_falls_before_what_it_overloads() {
    let mut system = chain();
    system.held(1, START + 3, 80.0);
    system.held(2, START + 3, 80.0);
    system.asked(2, START + 2, 300.0);
    let path = system.follow(Some(3));
    assert_eq!(system.names(&path), ["mail", "api", "db"]);
    assert_eq!(system.carriers(&path), ["", "api to mail", "api to db"]);
    assert_eq!(path[2].carrier.unwrap().load, Some((100.0, 300.0)));
    // It only passes on what it is asked for: then the database fell first, and the load is not the API's doing.
    system.asked(1, START + 2, 300.0);
    assert_eq!(system.names(&system.follow(Some(3))), ["mail", "db", "api"]);
}

#[test]
fn chance_is_no_fall() {
    let mut system = chain();
    // A second alone, errors below a percentage point, a level not twice the normal one, one target of four.
    system.held(1, START + 20, 80.0);
    system.held(1, START + 21, 10.0);
    system.fails(2, START, 0.9);
    system.held(3, START, 19.0);
    system.set(0, 4, START, 3.0);
    assert_eq!(system.names(&system.follow(Some(3))), ["mail"]);
    // Three seconds, three percentage points and more, half of the targets.
    system.held(1, START + 20, 80.0);
    system.fails(2, START, 8.0);
    system.set(0, 4, START, 2.0);
    assert_eq!(system.names(&system.follow(Some(3))), ["mail", "db", "clients", "api"]);
}

#[test]
fn what_was_always_so_is_normal() {
    let mut system = chain();
    system.fails(1, 0, 30.0);
    system.held(2, 0, 500.0);
    system.set(0, 4, 0, 1.0);
    assert_eq!(system.names(&system.follow(Some(3))), ["mail"]);
}

#[test]
fn a_path_may_have_others_in_between_and_must_lack_the_absent() {
    let mut system = chain();
    system.fails(2, START, 50.0);
    system.fails(1, START + 5, 50.0);
    system.fails(0, START + 9, 50.0);
    let taken = |path: Vec<usize>, absent: Vec<usize>| {
        ExpectedPath { trigger: 0, path, absent }.is_taken(&system.follow(Some(2)))
    };
    assert!(taken(vec![2, 1, 0], vec![3]) && taken(vec![2, 0], vec![]) && taken(vec![], vec![3]));
    assert!(!taken(vec![1, 2, 0], vec![]) && !taken(vec![2, 3], vec![]) && !taken(vec![2], vec![1]));
}

#[test]
fn without_a_measured_minute_normal_is_the_last_half_before() {
    assert_eq!(normal_before(300, 120), (240, 300));
    assert_eq!(normal_before(130, 120), (120, 130));
    assert_eq!(normal_before(30, 120), (15, 30));
    assert_eq!(normal_before(0, 0), (0, 0));
}
