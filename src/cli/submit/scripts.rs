//! Shell scripts that submit: for Slurm and for GNU parallel. Every word of a user is quoted.

use super::Work;
use crate::cli::run::quoted;
use std::fmt::Write;

/// Words as a line for a shell.
pub fn line(words: &[String]) -> String {
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

fn head(work: &Work) -> String {
    format!(
        "#!/bin/sh\n# Plays {} in {} shards and merges them. Made by brownout {}.\nset -eu\nmkdir -p {} {}\n",
        work.name,
        work.shards,
        env!("CARGO_PKG_VERSION"),
        quoted(&work.folder),
        quoted(&work.logs)
    )
}

/// An array job, and one that depends on it. Shards have their numbers as those of the array, so that
/// `sbatch --array=3` plays the third again.
pub fn slurm(work: &Work) -> String {
    // `%` begins a variable in names of output files.
    let log = |name: &str| quoted(&format!("{}/{name}", work.logs.replace('%', "%%")));
    let with = work.with.iter().fold(String::new(), |all, flag| all + " " + &quoted(flag));
    let at_once = work.at_once.map_or(String::new(), |n| format!("%{n}"));
    let (name, shards) = (&work.name, work.shards);
    let mut script = head(work);
    let _ = writeln!(
        script,
        "shards=$(sbatch --parsable --job-name={name} --array=1-{shards}{at_once} \\\n    --output={}{with} <<'SHARD'",
        log("shard-%a.log")
    );
    let _ = writeln!(
        script,
        "#!/bin/sh\nexec {} --shard \"$SLURM_ARRAY_TASK_ID/{shards}\"\nSHARD\n)",
        line(&work.run)
    );
    let _ = writeln!(
        script,
        "merge=$(sbatch --parsable --job-name={name}-merge --dependency=\"afterok:${{shards%%;*}}\" \\\n    \
         --kill-on-invalid-dep=yes --output={}{with} <<'MERGE'",
        log("merge.log")
    );
    let _ = writeln!(script, "#!/bin/sh\nexec {}\nMERGE\n)", line(&work.merge));
    script + "echo \"shards: job ${shards%%;*}; merging: job ${merge%%;*}\"\n"
}

/// GNU parallel. The command is handed on in a variable: parallel puts arguments wherever it sees braces.
pub fn parallel(work: &Work) -> String {
    let shards = work.shards;
    let with = work.with.iter().fold(String::new(), |all, flag| all + " " + &quoted(flag));
    let at_once = work.at_once.map_or(String::new(), |n| format!(" --jobs {n}"));
    let command = format!("exec {} --shard \"$1/{shards}\"", line(&work.run));
    let log = quoted(&format!("{}/parallel.log", work.logs));
    head(work)
        + &format!(
            "PLAY_SHARD={}\nexport PLAY_SHARD\nPARALLEL_SHELL=/bin/sh\nexport PARALLEL_SHELL\n",
            quoted(&command)
        )
        + &format!("seq 1 {shards} | parallel --env PLAY_SHARD --joblog {log} --resume --resume-failed \\\n")
        + &format!("    --halt soon,fail=1{at_once}{with} 'sh -c \"$PLAY_SHARD\" shard' ||\n")
        + "    { echo \"not all shards were played; the same command goes on\" >&2; exit 2; }\n"
        + &format!("exec {}\n", line(&work.merge))
}
