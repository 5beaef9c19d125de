//! Whole processes, and what they cost.
//!
//! The time is that of the CPU, user and system, as the operating system counts it for a process that has ended: a busy
//! machine makes a process wait, not work. (Caches that others fill cost both alike, so what is compared is played in
//! turn, A B A B ..., and the ratio is the median of the ratios of pairs.)
//!
//! The system tells of all children of a process together, the most memory of any one. So each process is started
//! by a small one of its own: `speed measure PROGRAM ...` runs a program and says what it has cost. A child begins with
//! the memory of who starts it, so it matters that this one is small.

use nix::sys::resource::{UsageWho, getrusage};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

/// How the line of costs begins that a measuring process writes after all else.
const MARK: &str = "cost of the process:";

/// What a process has cost, and what it has printed.
#[derive(Clone)]
pub struct Cost {
    /// Seconds of CPU, user and system.
    pub cpu_s: f64,
    /// Seconds of the wall clock.
    pub wall_s: f64,
    /// The most memory that was resident, in bytes.
    pub peak: f64,
    /// Standard output.
    pub output: String,
}

impl Cost {
    /// How many requests it has played, by its output: `requests N` of the floor, `"requests": N` in JSON.
    pub fn requests(&self) -> f64 {
        number_after(&self.output, "requests").unwrap_or_else(|| panic!("no requests in:\n{}", self.output))
    }

    /// How many events it has played.
    pub fn events(&self) -> f64 {
        number_after(&self.output, "events").unwrap_or_else(|| panic!("no events in:\n{}", self.output))
    }
}

/// The number that follows a word, with nothing but quotes, colons and spaces between.
fn number_after(text: &str, word: &str) -> Option<f64> {
    text.match_indices(word).find_map(|(at, _)| {
        let rest = text[at + word.len()..].trim_start_matches(['"', ':', ' ']);
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        rest[..end].parse().ok()
    })
}

/// Runs a program in a measuring process.
///
/// # Errors
/// With what it wrote to its standard error, if it fails.
pub fn run(program: &Path, arguments: &[&str]) -> Result<Cost, String> {
    let own = std::env::current_exe().map_err(|e| e.to_string())?;
    let output = Command::new(own).arg("measure").arg(program).args(arguments).output();
    let output = output.map_err(|e| e.to_string())?;
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    if !output.status.success() {
        return Err(format!("{} {}: {error}", program.display(), arguments.join(" ")));
    }
    let costs = error.lines().rev().find_map(|line| line.strip_prefix(MARK)).ok_or("no costs were told")?;
    let numbers: Vec<f64> = costs.split_whitespace().filter_map(|n| n.parse().ok()).collect();
    let [cpu_s, wall_s, peak] = numbers[..] else { return Err(format!("{costs} are no costs")) };
    Ok(Cost { cpu_s, wall_s, peak, output: String::from_utf8_lossy(&output.stdout).into_owned() })
}

/// What a measuring process does: runs a program, which prints where this one does, and tells what it has cost.
///
/// # Errors
/// If the program fails.
#[allow(clippy::print_stderr, reason = "standard output is the program's")]
#[allow(clippy::disallowed_methods, reason = "a benchmark sees the wall clock")]
pub fn measure(arguments: &[String]) -> Result<(), String> {
    let (program, rest) = arguments.split_first().ok_or("measure what?")?;
    let start = Instant::now();
    let status = Command::new(program).args(rest).stdin(Stdio::null()).status().map_err(|e| e.to_string())?;
    let wall_s = start.elapsed().as_secs_f64();
    if !status.success() {
        return Err(format!("ended with {status}"));
    }
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).map_err(|e| e.to_string())?;
    let times = [usage.user_time(), usage.system_time()];
    let cpu_s: f64 = times.iter().map(|t| t.tv_sec() as f64 + t.tv_usec() as f64 / 1e6).sum();
    // Linux counts in KiB, macOS in bytes.
    let unit = if cfg!(target_os = "macos") { 1.0 } else { 1024.0 };
    eprintln!("{MARK} {cpu_s} {wall_s} {}", usage.max_rss() as f64 * unit);
    Ok(())
}

/// The middle one.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let n = values.len();
    assert!(n > 0, "of nothing");
    (values[(n - 1) / 2] + values[n / 2]) / 2.0
}

/// Two commands in turn.
pub struct Pair {
    /// What the first and the second have cost, in the order in which they were played.
    pub costs: Vec<[Cost; 2]>,
}

impl Pair {
    /// Plays both so many times, first the first.
    ///
    /// # Errors
    /// If one fails.
    pub fn play(
        times: usize,
        first: impl Fn() -> Result<Cost, String>,
        second: impl Fn() -> Result<Cost, String>,
    ) -> Result<Self, String> {
        let costs = (0..times.max(1)).map(|_| Ok([first()?, second()?])).collect::<Result<_, String>>()?;
        Ok(Self { costs })
    }

    /// The median of the ratios of pairs, first to second, of some number.
    pub fn ratio(&self, of: impl Fn(&Cost) -> f64) -> f64 {
        median(self.costs.iter().map(|[a, b]| of(a) / of(b)))
    }

    /// The median of some number of the first (0) or the second (1).
    pub fn median(&self, which: usize, of: impl Fn(&Cost) -> f64) -> f64 {
        median(self.costs.iter().map(|pair| of(&pair[which])))
    }
}

/// Requests per second of CPU.
pub fn speed(cost: &Cost) -> f64 {
    cost.requests() / cost.cpu_s
}
