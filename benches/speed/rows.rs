//! The rows of the table, group by group.

use crate::process::{Cost, Pair, median, run, speed};
use crate::table::Row;
use crate::topologies;
use std::path::{Path, PathBuf};

/// How to measure.
pub struct Setting {
    /// The binary of brownout.
    pub brownout: PathBuf,
    /// How often each pair is played.
    pub times: usize,
    /// Whether to take long: a billion events.
    pub is_long: bool,
    /// For what is made.
    pub folder: PathBuf,
}

/// The groups of rows, by name, in the order of the table.
pub const GROUPS: [(&str, Group); 10] = [
    ("w3", w3),
    ("stations", stations),
    ("large", large),
    ("mesh", mesh),
    ("metrics", metrics),
    ("memory", memory),
    ("events", events),
    ("pending", pending),
    ("threads", threads),
    ("start", start),
];

/// Measures, and says what it found row by row.
pub type Group = fn(&Setting, &mut dyn FnMut(Row)) -> Result<(), String>;

/// What W3 plays: a million requests.
const W3_SECONDS: u64 = 298;
const MIB: f64 = 1_048_576.0;

impl Setting {
    /// Plays one run of a topology, without warm-up, so that all of it is measured.
    fn topology(&self, file: &Path, duration: &str, more: &[&str]) -> Result<Cost, String> {
        let file = file.display().to_string();
        let fixed = ["run", &file, "--runs", "1", "--warmup", "0s", "--duration", duration];
        let quiet = ["--jobs", "1", "--no-out", "--format", "json"];
        run(&self.brownout, &[&fixed[..], &quiet, more].concat())
    }

    fn model(&self, name: &str, seconds: u64) -> Result<Cost, String> {
        self.topology(&shipped(name), &format!("{seconds}s"), &[])
    }

    /// The median of one number of a model that is played again and again.
    fn often(
        &self,
        play: impl Fn() -> Result<Cost, String>,
        of: impl Fn(&Cost) -> f64,
    ) -> Result<f64, String> {
        let values: Result<Vec<f64>, String> =
            (0..self.times.max(1)).map(|_| play().map(|c| of(&c))).collect();
        Ok(median(values?))
    }

    /// Writes a topology that was made.
    fn made(&self, name: &str, text: &str) -> Result<PathBuf, String> {
        let path = self.folder.join(name);
        std::fs::write(&path, text).map_err(|e| e.to_string())?;
        Ok(path)
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn shipped(name: &str) -> PathBuf {
    root().join(format!("models/bench/{name}.ron"))
}

fn floor(name: &str, seconds: u64) -> Result<Cost, String> {
    let own = std::env::current_exe().map_err(|e| e.to_string())?;
    run(&own, &["floor", name, &seconds.to_string()])
}

/// A system against the same by hand.
fn against_floor(
    s: &Setting,
    group: &'static str,
    name: &str,
    seconds: u64,
    limit: f64,
) -> Result<Row, String> {
    let pair = Pair::play(s.times, || s.model(name, seconds), || floor(name, seconds))?;
    let [ours, theirs] = &pair.costs[0];
    if ours.requests() != theirs.requests() {
        return Err(format!("{name}: {} requests, and {} by hand", ours.requests(), theirs.requests()));
    }
    let ratio = pair.ratio(|c| c.cpu_s);
    let speeds = [0, 1].map(|which| pair.median(which, speed) / 1e6);
    let measured = format!("{ratio:.2} x ({:.2} and {:.2} million requests/s)", speeds[0], speeds[1]);
    Ok(Row::at_most(group, &format!("{name}: time, to the floor's"), ratio, limit, " x", measured))
}

fn w3(s: &Setting, tell: &mut dyn FnMut(Row)) -> Result<(), String> {
    tell(against_floor(s, "w3", "w3", W3_SECONDS, 2.0)?);
    Ok(())
}

fn stations(s: &Setting, tell: &mut dyn FnMut(Row)) -> Result<(), String> {
    for name in ["mm1", "mm10"] {
        tell(against_floor(s, "stations", name, W3_SECONDS, 3.0)?);
    }
    Ok(())
}

/// 300,000 requests per second with timeouts of 30 s: longer than that, so that as many timers are pending as ever.
fn large(s: &Setting, tell: &mut dyn FnMut(Row)) -> Result<(), String> {
    const WHAT: &str = "large: requests/s, to W3's";
    if !shipped("large").exists() {
        tell(Row::skipped("large", WHAT, "models/bench/large.ron is not there"));
        return Ok(());
    }
    let pair = Pair::play(s.times, || s.model("large", 40), || s.model("w3", W3_SECONDS))?;
    let ratio = pair.ratio(speed);
    let measured = format!("{ratio:.2} x ({:.2} million requests/s)", pair.median(0, speed) / 1e6);
    tell(Row::at_least("large", WHAT, ratio, 0.7, " x", measured));
    Ok(())
}

fn mesh(s: &Setting, tell: &mut dyn FnMut(Row)) -> Result<(), String> {
    const WHAT: &str = "mesh: end-to-end requests/s";
    if !shipped("mesh").exists() {
        tell(Row::skipped("mesh", WHAT, "models/bench/mesh.ron is not there"));
        return Ok(());
    }
    let per_second = s.often(|| s.model("mesh", 120), speed)?;
    tell(Row::at_least("mesh", WHAT, per_second, 150_000.0, "/s", format!("{per_second:.0}/s")));
    Ok(())
}

fn metrics(s: &Setting, tell: &mut dyn FnMut(Row)) -> Result<(), String> {
    let own = std::env::current_exe().map_err(|e| e.to_string())?;
    let (file, seconds) = (shipped("w3").display().to_string(), W3_SECONDS.to_string());
    let told = run(&own, &["inside", &file, &seconds, &s.times.to_string()])?.output;
    let numbers: Vec<f64> = told.split_whitespace().filter_map(|n| n.parse().ok()).collect();
    let [full, both, columns, series] = numbers[..] else { return Err(format!("{told} are no ratios")) };
    let what = "w3: full metrics, to none (one process)";
    tell(Row::at_most("metrics", what, full, 1.1, " x", format!("{full:.3} x")));
    let what = "w3: metrics and series, to neither (one process)";
    tell(Row::told("metrics", what, both, format!("{both:.3} x ({columns} metrics each second)")));
    let what = "w3: a series of 1,000 metrics, to none";
    tell(Row::at_most("metrics", what, series, 1.1, " x", format!("{series:.3} x")));

    let what = "w3: traces of 0.1 %, to none";
    let help = run(&s.brownout, &["run", "--help"])?.output;
    if !help.contains("--traces") {
        tell(Row::skipped("metrics", what, "brownout run has no --traces"));
        return Ok(());
    }
    // Traces are written, so both write their files.
    let out = s.folder.join("traces").display().to_string();
    let file = shipped("w3").display().to_string();
    let play = |more: &[&str]| {
        let duration = format!("{W3_SECONDS}s");
        let fixed = ["run", &file, "--runs", "1", "--warmup", "0s", "--duration", &duration];
        run(&s.brownout, &[&fixed[..], &["--jobs", "1", "--quiet", "--out", &out], more].concat())
    };
    let pair = Pair::play(s.times, || play(&["--traces", "0.001"]), || play(&[]))?;
    let ratio = pair.ratio(|c| c.cpu_s);
    tell(Row::at_most("metrics", what, ratio, 1.03, " x", format!("{ratio:.3} x")));
    Ok(())
}

fn memory(s: &Setting, tell: &mut dyn FnMut(Row)) -> Result<(), String> {
    for seconds in [W3_SECONDS, 10 * W3_SECONDS] {
        let cost = s.model("w3", seconds)?;
        let what = format!("w3: most memory, {:.1} million requests", cost.requests() / 1e6);
        let measured = format!("{:.1} MiB", cost.peak / MIB);
        tell(Row::at_most("memory", &what, cost.peak / MIB, 10.0, " MiB", measured));
    }
    let peaks = |name: &str, few: String, many: String, duration: &str| {
        let (few, many) = (s.made("few.ron", &few)?, s.made("many.ron", &many)?);
        let few = s.topology(&few, duration, &[])?.peak;
        let many = s.topology(&many, duration, &[])?.peak;
        Ok::<_, String>((many - few, format!("{name}: {:.1} MiB, to {:.1}", many / MIB, few / MIB)))
    };
    let (few, many) = (topologies::instances(1_000), topologies::instances(50_000));
    let (more, what) = peaks("50,000 instances, to 1,000", few, many, "20s")?;
    let each = more / 49_000.0;
    tell(Row::at_most("memory", &what, each, 1_024.0, " B each", format!("{each:.0} B each")));
    let (few, many) = (topologies::in_flight(100), topologies::in_flight(100_000));
    let (more, what) = peaks("1,000,000 in flight, to 1,000", few, many, "12s")?;
    let each = more / 999_000.0;
    tell(Row::at_most("memory", &what, each, 200.0, " B each", format!("{each:.0} B each")));
    Ok(())
}

/// Nanoseconds per event of runs ten times as long each, without what it takes to start.
fn events(s: &Setting, tell: &mut dyn FnMut(Row)) -> Result<(), String> {
    let idle = s.often(|| s.topology(&shipped("mm1"), "1ns", &[]), |c| c.cpu_s)?;
    let longest = if s.is_long { 9 } else { 8 };
    let mut first = None;
    for power in 6..=longest {
        // An arrival and a completion for each of 9,000 requests per second.
        let seconds = 10u64.pow(power) / 18_000;
        let mut costs = Vec::new();
        let times = if power < 8 { s.times } else { 1 };
        for _ in 0..times.max(1) {
            costs.push(s.model("mm1", seconds)?);
        }
        let ns = median(costs.iter().map(|c| (c.cpu_s - idle) * 1e9 / c.events()));
        let peak = median(costs.iter().map(|c| c.peak / MIB));
        let what = format!("mm1: ns per event, 10^{power} events");
        match first {
            None => {
                tell(Row::told("events", &what, ns, format!("{ns:.1} ns ({peak:.1} MiB)")));
                first = Some(ns);
            }
            Some(first) => {
                let ratio = ns / first;
                let measured = format!("{ns:.1} ns ({peak:.1} MiB), {ratio:.2} x that of 10^6");
                tell(Row::at_most("events", &what, ratio, 1.1, " x", measured));
            }
        }
    }
    Ok(())
}

/// Nanoseconds per event with more and more of them pending: like the logarithm at most.
fn pending(s: &Setting, tell: &mut dyn FnMut(Row)) -> Result<(), String> {
    let mut first = None;
    for power in 2..=6u32 {
        let text = topologies::pending(10u32.pow(power), 100_000);
        let file = s.made("pending.ron", &text)?;
        // Ten seconds until a million are there; what came before costs less, so the difference of two lengths counts.
        let (short, long) = ("30s", "60s");
        let pair = Pair::play(s.times, || s.topology(&file, long, &[]), || s.topology(&file, short, &[]))?;
        let ns = median(
            pair.costs
                .iter()
                .map(|[long, short]| (long.cpu_s - short.cpu_s) * 1e9 / (long.events() - short.events())),
        );
        let what = format!("ns per event, 10^{power} pending");
        match first {
            None => {
                tell(Row::told("pending", &what, ns, format!("{ns:.1} ns")));
                first = Some(ns);
            }
            Some(first) => {
                let (ratio, limit) = (ns / first, f64::from(power) / 2.0);
                let measured = format!("{ns:.1} ns, {ratio:.2} x that of 10^2");
                tell(Row::at_most("pending", &what, ratio, limit, " x", measured));
            }
        }
    }
    Ok(())
}

fn threads(s: &Setting, tell: &mut dyn FnMut(Row)) -> Result<(), String> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    for (name, seconds) in [("mm1", "60s"), ("w3", "60s")] {
        let what = format!("{name}: 64 runs, two threads to one");
        if cores < 2 {
            tell(Row::skipped("threads", &what, "this machine has one core"));
            continue;
        }
        let file = shipped(name).display().to_string();
        let play = |jobs: &str| {
            let fixed = ["run", &file, "--runs", "64", "--warmup", "0s", "--duration", seconds, "--no-out"];
            run(&s.brownout, &[&fixed[..], &["--format", "json", "--jobs", jobs]].concat())
        };
        let pair = Pair::play(s.times, || play("1"), || play("2"))?;
        let ratio = pair.ratio(|c| c.wall_s);
        let walls = [0, 1].map(|which| pair.median(which, |c| c.wall_s));
        let measured = format!("{ratio:.2} x as fast ({:.2} s and {:.2} s)", walls[0], walls[1]);
        tell(Row::at_least("threads", &what, ratio, 1.85, " x", measured));
    }
    Ok(())
}

fn start(s: &Setting, tell: &mut dyn FnMut(Row)) -> Result<(), String> {
    let text = topologies::lines(10_000);
    let file = s.made("lines.ron", &text)?;
    let ms = 1e3 * s.often(|| s.topology(&file, "1ns", &[]), |c| c.cpu_s)?;
    let what = format!("a run of 1 ns of {} lines", text.lines().count());
    tell(Row::at_most("start", &what, ms, 100.0, " ms", format!("{ms:.0} ms")));

    let file = root().join("experiments/lb-timeout-cascade.ron").display().to_string();
    let out = s.folder.join("cascade").display().to_string();
    let wall = s.often(|| run(&s.brownout, &["run", &file, "--quiet", "--out", &out]), |c| c.wall_s)?;
    let what = "brownout run on the cascade, with plots";
    tell(Row::at_most("start", what, wall, 5.0, " s", format!("{wall:.2} s of the wall clock")));
    Ok(())
}
