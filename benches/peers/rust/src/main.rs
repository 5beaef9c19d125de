//! W3 and M/M/1 in the words of other simulators: `peers PACKAGE SYSTEM SECONDS` plays one and prints what came out.

#![allow(clippy::print_stdout, reason = "that is all it is for")]

#[cfg(feature = "with_desru")]
mod with_desru;
#[cfg(feature = "with_nexosim")]
mod with_nexosim;
#[cfg(feature = "with_simcore")]
mod with_simcore;

/// W3: arrivals per second, instances, cores of each and of the database, mean work in seconds, connections of each
/// instance, and the timeout.
pub const RATE: f64 = 3_360.0;
pub const INSTANCES: usize = 12;
pub const CORES: usize = 4;
pub const APP_MEAN: f64 = 0.010;
pub const POOL: usize = 20;
pub const DB_MEAN: f64 = 1.0 / 1_200.0;
pub const TIMEOUT: f64 = 1.0;

/// M/M/1.
pub const MM1_RATE: f64 = 9_000.0;
pub const MM1_MEAN: f64 = 0.000_1;

/// What came out: latencies in seconds, of all requests that were answered.
#[derive(Default)]
pub struct Found {
    pub latencies: Vec<f64>,
    pub timeouts: u64,
}

impl Found {
    fn print(mut self) {
        let n = self.latencies.len();
        let mean = self.latencies.iter().sum::<f64>() / n as f64;
        let rank = (0.99 * n as f64) as usize;
        let (_, p99, _) = self.latencies.select_nth_unstable_by(rank, f64::total_cmp);
        println!("{n} {:.6} {:.6} {}", mean * 1e3, *p99 * 1e3, self.timeouts);
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [package, system, seconds] = &arguments[..] else { panic!("PACKAGE SYSTEM SECONDS") };
    let seconds: f64 = seconds.parse().expect("a number of seconds");
    let found = match (package.as_str(), system.as_str()) {
        #[cfg(feature = "with_desru")]
        ("desru", "w3") => with_desru::w3(seconds),
        #[cfg(feature = "with_desru")]
        ("desru", "mm1") => with_desru::mm1(seconds),
        #[cfg(feature = "with_simcore")]
        ("simcore", "w3") => with_simcore::w3(seconds),
        #[cfg(feature = "with_simcore")]
        ("simcore", "mm1") => with_simcore::mm1(seconds),
        #[cfg(feature = "with_nexosim")]
        ("nexosim", "w3") => with_nexosim::w3(seconds),
        #[cfg(feature = "with_nexosim")]
        ("nexosim", "mm1") => with_nexosim::mm1(seconds),
        _ => panic!("{package} plays no {system}"),
    };
    found.print();
}
