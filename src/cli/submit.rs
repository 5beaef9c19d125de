//! `brownout submit FILE --engine ENGINE --shards N`: hands shards, and the merging of them, to a queue of jobs.
//!
//! What is submitted is made of `brownout run --shard` and `brownout merge` alone, and `--dry-run` shows all of it.

mod containers;
mod scripts;

use super::args::{PlayArgs, duration};
use super::run::folder;
use super::{Ending, message, print, show_diagnostics};
use crate::base::SimDuration;
use crate::experiment::shards::{SHARDS_MAX, runs_to_divide};
use crate::experiment::{Changes, Plan, plan};
use crate::spec::load::Loader;
use clap::{Args, ValueEnum};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What `submit` takes.
#[derive(Debug, Args)]
pub struct SubmitArgs {
    /// A topology or an experiment, as the machines that play see it.
    pub file: PathBuf,
    /// Who distributes the work.
    #[arg(long, value_enum)]
    pub engine: Engine,
    /// How many shards there are.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=i64::from(SHARDS_MAX)))]
    pub shards: u32,
    /// Shows what would be submitted, and submits nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// How it is played.
    #[command(flatten)]
    pub play: PlayArgs,
    /// Simulated time of each run, such as 10m.
    #[arg(long, value_parser = duration)]
    pub duration: Option<SimDuration>,
    /// Folder for the results, in which the shards are kept as well; all machines must share it [default: out/NAME]
    #[arg(long)]
    pub out: Option<PathBuf>,
    /// How many shards may be played at once.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub at_once: Option<u32>,
    /// The program on the machines that play [default: this one; `brownout` in containers]
    #[arg(long, value_name = "PATH")]
    pub program: Option<String>,
    /// A flag for `sbatch` or `parallel`, such as --with=--partition=long; may be given again.
    #[arg(long, value_name = "FLAG", allow_hyphen_values = true)]
    pub with: Vec<String>,
    /// Kubernetes: the image that has the program.
    #[arg(long)]
    pub image: Option<String>,
    /// Kubernetes: the persistent volume claim that all pods share; paths are relative to it.
    #[arg(long, value_name = "NAME")]
    pub claim: Option<String>,
    /// AWS Batch: the job queue.
    #[arg(long)]
    pub queue: Option<String>,
    /// AWS Batch: the job definition, with a file system that all jobs share.
    #[arg(long, value_name = "NAME")]
    pub job_definition: Option<String>,
}

/// Who distributes the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Engine {
    /// An array job, and a job that merges once all of it has ended well.
    Slurm,
    /// An indexed job of Kubernetes (1.33 or newer).
    K8s,
    /// An array job of AWS Batch, and a job that merges once all of it has ended well.
    AwsBatch,
    /// GNU parallel, on this machine or on those that it is told of.
    Parallel,
}

/// What is submitted, apart from how.
struct Work {
    /// What jobs are called: lower-case letters, digits and hyphens.
    name: String,
    /// How many shards there are.
    shards: u32,
    /// How many may be played at once.
    at_once: Option<u32>,
    /// Threads of each, if that was said.
    jobs: Option<u16>,
    /// The command that plays a shard, but for which.
    run: Vec<String>,
    /// The command that merges them.
    merge: Vec<String>,
    /// The folder of the shards.
    folder: String,
    /// The folder of what jobs print.
    logs: String,
    /// Flags for the engine.
    with: Vec<String>,
}

/// Submits, or shows what would be.
pub fn submit(args: &SubmitArgs) -> Ending {
    let mut loader = Loader::default();
    let document = loader.load(&args.file, &args.play.sets);
    let changes =
        Changes { seed: args.play.seed, runs: args.play.runs, duration: args.duration, ..Changes::default() };
    let plan = document.and_then(|d| plan(&mut loader, d, &changes));
    if show_diagnostics(&loader) {
        return Ending::Wrong;
    }
    let Some(plan) = plan else { return Ending::Wrong };
    submitted(args, &plan).unwrap_or_else(|error| {
        message(&format!("error: {error}\n"));
        Ending::Wrong
    })
}

fn submitted(args: &SubmitArgs, plan: &Plan) -> Result<Ending, String> {
    let runs = runs_to_divide(plan)?;
    if args.shards > runs {
        return Err(format!("--shards {}: there are only {runs} runs to divide", args.shards));
    }
    belongs(args)?;
    let work = work(args, plan)?;
    match args.engine {
        Engine::Slurm => script(args, &work, "sbatch", &scripts::slurm(&work)),
        Engine::Parallel => script(args, &work, "parallel", &scripts::parallel(&work)),
        Engine::K8s => {
            let (image, claim) = (wanted(&args.image, "--image")?, wanted(&args.claim, "--claim")?);
            let manifest = text_of(&containers::kubernetes(&work, image, claim));
            if !args.dry_run {
                present("kubectl")?;
                let mut apply = Command::new("kubectl");
                run(apply.args(["apply", "-f", "-"]), &manifest)?;
            }
            print(if args.dry_run { &manifest } else { "" });
            message(&format!(
                "once it is complete (kubectl wait --for=condition=complete job/{}), merge where the volume is:\n{}\n",
                work.name,
                scripts::line(&work.merge)
            ));
            Ok(Ending::Held)
        }
        Engine::AwsBatch => {
            let queue = wanted(&args.queue, "--queue")?;
            let definition = wanted(&args.job_definition, "--job-definition")?;
            let [shards, merge] = containers::aws_batch(&work, queue, definition)?;
            if args.dry_run {
                print(&text_of(
                    &serde_json::json!({ "shards": shards(""), "merge": merge("ID OF THE SHARDS") }),
                ));
                return Ok(Ending::Held);
            }
            present("aws")?;
            let submit = |job: &serde_json::Value| {
                let mut aws = Command::new("aws");
                aws.args(["batch", "submit-job", "--query", "jobId", "--output", "text", "--cli-input-json"]);
                run(aws.arg(job.to_string()), "").map(|id| id.trim().to_string())
            };
            let of_shards = submit(&shards(""))?;
            let of_merge = submit(&merge(&of_shards))?;
            print(&format!("shards: job {of_shards}; merging: job {of_merge}\n"));
            Ok(Ending::Held)
        }
    }
}

/// Refuses flags that the engine has no use for: they would be taken for heard.
fn belongs(args: &SubmitArgs) -> Result<(), String> {
    let (script, k8s, aws) = (
        matches!(args.engine, Engine::Slurm | Engine::Parallel),
        args.engine == Engine::K8s,
        args.engine == Engine::AwsBatch,
    );
    let flags = [
        ("--with", !args.with.is_empty(), script),
        ("--image", args.image.is_some(), k8s),
        ("--claim", args.claim.is_some(), k8s),
        ("--queue", args.queue.is_some(), aws),
        ("--job-definition", args.job_definition.is_some(), aws),
        ("--at-once", args.at_once.is_some(), !aws),
    ];
    let engine = args.engine.to_possible_value().map_or(String::new(), |v| v.get_name().to_string());
    match flags.iter().find(|(_, given, has)| *given && !has) {
        Some((flag, ..)) => Err(format!("the engine {engine} has no use for {flag}")),
        None => Ok(()),
    }
}

fn wanted<'a>(value: &'a Option<String>, flag: &str) -> Result<&'a str, String> {
    value.as_deref().ok_or_else(|| format!("this engine needs {flag}"))
}

fn work(args: &SubmitArgs, plan: &Plan) -> Result<Work, String> {
    let in_container = matches!(args.engine, Engine::K8s | Engine::AwsBatch);
    let program = match &args.program {
        Some(program) => program.clone(),
        None if in_container => "brownout".to_string(),
        None => {
            text(&std::env::current_exe().map_err(|e| format!("cannot tell where this program is: {e}"))?)?
        }
    };
    let out = folder(args.out.as_deref(), &plan.name);
    let folder = text(&out.join("shards"))?;
    // One shard takes all cores, unless several are played on one machine.
    let jobs = args.play.jobs.or((args.engine == Engine::Parallel).then_some(1));
    // A file that looks like a flag is none.
    let file =
        if args.file.starts_with("-") { PathBuf::from(".").join(&args.file) } else { args.file.clone() };
    let mut run = vec![program.clone(), "run".into(), text(&file)?];
    run.extend(args.play.sets.iter().map(|set| format!("--set={set}")));
    // Said, so that no variable of another machine says otherwise.
    run.extend(["--seed".into(), plan.seed.to_string(), "--runs".into(), plan.runs.to_string()]);
    if let Some(duration) = args.duration {
        run.extend(["--duration".into(), format!("{}ns", duration.ns())]);
    }
    if let Some(jobs) = jobs {
        run.extend(["--jobs".into(), jobs.to_string()]);
    }
    run.extend(["--resume".into(), "--out".into(), folder.clone()]);
    let merge = vec![program, "merge".into(), folder.clone(), "--out".into(), text(&out)?];
    let words = run.iter().chain(&merge).chain(&args.with);
    if let Some(word) = words.into_iter().find(|word| word.contains(['\n', '\r', '\0'])) {
        return Err(format!("`{}` goes over several lines: that cannot be handed on", word.escape_debug()));
    }
    Ok(Work {
        name: job_name(&plan.name),
        shards: args.shards,
        at_once: args.at_once,
        jobs,
        run,
        merge,
        folder,
        logs: text(&out.join("jobs"))?,
        with: args.with.clone(),
    })
}

fn text(path: &Path) -> Result<String, String> {
    let text = path.to_str().map(str::to_string);
    text.ok_or_else(|| format!("{} has a name that is not UTF-8: give it another", path.display()))
}

/// A name that every engine takes: it may be part of a host's name.
fn job_name(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let name: String = name.chars().map(plain).take(40).collect();
    match name.trim_matches('-') {
        "" => "brownout".to_string(),
        name => format!("brownout-{name}"),
    }
}

/// Shows a script, or writes it beside the results and carries it out.
fn script(args: &SubmitArgs, work: &Work, needs: &str, script: &str) -> Result<Ending, String> {
    if args.dry_run {
        print(script);
        return Ok(Ending::Held);
    }
    present(needs)?;
    let written = super::files::write_all(Path::new(&work.logs), &[("submit.sh".into(), script.into())]);
    written.map_err(|error| format!("{error:#}"))?;
    let path = Path::new(&work.logs).join("submit.sh");
    let status = Command::new("/bin/sh").arg("--").arg(&path).status();
    match status.map_err(|error| format!("cannot run {}: {error}", path.display()))?.code() {
        Some(0) => Ok(Ending::Held),
        Some(1) => Ok(Ending::Failed),
        Some(3) => Ok(Ending::Inconclusive),
        Some(130) => Ok(Ending::Interrupted),
        _ => Err(format!("{} has failed; what it printed says why", path.display())),
    }
}

/// Whether a program can be called.
fn present(program: &str) -> Result<(), String> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    match std::env::split_paths(&folders).any(|folder| folder.join(program).is_file()) {
        true => Ok(()),
        false => Err(format!(
            "this engine needs the program `{program}`, which is not installed; --dry-run shows the jobs"
        )),
    }
}

/// Runs a program that reads `input`, and answers with what it prints.
fn run(command: &mut Command, input: &str) -> Result<String, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let cannot = |error: std::io::Error| format!("cannot run {name}: {error}");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(cannot)?;
    if let Some(mut stdin) = child.stdin.take() {
        // Who does not read to the end says why by its status.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().map_err(cannot)?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(format!("{name} has failed; what it printed says why")),
    }
}

fn text_of(value: &serde_json::Value) -> String {
    format!("{value:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn job_names_are_those_of_hosts() {
        assert_eq!(
            job_name("Dashboard behind a load balancer, twice over!"),
            "brownout-dashboard-behind-a-load-balancer--twice"
        );
        assert_eq!(job_name("…"), "brownout");
        assert_eq!(job_name("smoke_2"), "brownout-smoke-2");
    }
}
