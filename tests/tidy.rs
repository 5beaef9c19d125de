//! The shape of the source: who may know whom, how long a file may be, and what may not be left lying about.

use std::fs;
use std::path::{Path, PathBuf};

/// The rooms, and what each may use beside itself. `ARCHITECTURE.md` explains them.
const ROOMS: &[(&str, &[&str])] = &[
    ("base", &[]),
    ("components", &["base"]),
    ("engine", &["base"]),
    ("metrics", &["base"]),
    ("spec", &["base"]),
    ("model", &["spec", "components", "metrics", "base"]),
    ("sim", &["model", "engine", "components", "metrics", "base"]),
    ("experiment", &["sim", "model", "spec", "metrics", "base"]),
    ("report", &["experiment", "metrics", "base"]),
    ("cli", &["report", "experiment", "model", "spec", "base"]),
    ("main", &["cli"]),
];

/// The most lines of a file, and those that are allowed more: none.
const LINES_MAX: usize = 800;
const LONG: &[(&str, usize)] = &[];

/// The most characters of a line. A text that cannot be broken may be longer.
const COLUMNS_MAX: usize = 120;

/// What is not finished, in the words in which people say so; spelt in halves, so that this file is tidy, too.
const UNFINISHED: &[&str] = &[
    concat!("todo", "!"),
    concat!("unimpl", "emented!"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("for ", "now"),
];

/// Functions of `f64` whose last bits differ between platforms: `libm` has them all.
const PLATFORM: &[&str] = &[
    "ln", "ln_1p", "log10", "log2", "exp", "exp2", "exp_m1", "powf", "sin", "cos", "tan", "asin", "acos",
    "atan", "atan2", "sinh", "cosh", "tanh", "cbrt", "hypot", "mul_add",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All Rust files below the folders: path from the root, and text.
fn sources(folders: &[&str]) -> Vec<(String, String)> {
    let mut open: Vec<PathBuf> = folders.iter().map(|f| root().join(f)).collect();
    let mut found = Vec::new();
    while let Some(folder) = open.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for path in entries.map(|e| e.expect("an entry").path()) {
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let name =
                    path.strip_prefix(root()).expect("below the root").to_string_lossy().replace('\\', "/");
                found.push((name, fs::read_to_string(&path).expect("a text")));
            }
        }
    }
    found.sort();
    assert!(!found.is_empty());
    found
}

fn everything() -> Vec<(String, String)> {
    sources(&["src", "tests", "benches"])
}

/// The room that a file of `src` belongs to.
fn room(file: &str) -> &str {
    let file = file.trim_start_matches("src/");
    file.split(['/', '.']).next().expect("a name")
}

/// The rooms that a line of code mentions after `crate::`.
fn mentioned(line: &str) -> impl Iterator<Item = String> {
    let code = line.split("//").next().unwrap_or("");
    let names = code.split("crate::").skip(1).flat_map(|rest| {
        let rest = rest.trim_start_matches('{');
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        std::iter::once(rest[..end].to_string())
    });
    names.collect::<Vec<_>>().into_iter()
}

#[test]
fn rooms_know_only_whom_they_may() {
    let mut wrong = Vec::new();
    for (file, text) in sources(&["src"]).iter().filter(|(file, _)| file != "src/lib.rs") {
        let here = room(file);
        let Some((_, may)) = ROOMS.iter().find(|(name, _)| *name == here) else {
            panic!("{file} is in no room of the table");
        };
        for (number, line) in text.lines().enumerate() {
            let is_grouped = line.contains("use crate::{")
                && mentioned(line).any(|n| !["choice", "record"].contains(&n.as_str()));
            let is_allowed = |name: &String| {
                name == here || may.contains(&name.as_str()) || !ROOMS.iter().any(|(room, _)| room == name)
            };
            if is_grouped || !mentioned(line).all(|name| is_allowed(&name)) {
                wrong.push(format!("{file}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "a room knows whom it should not:\n{}", wrong.join("\n"));
}

/// What is kept of a run can be written to a file, so that other machines can play a part of them.
const KEPT: [&str; 7] = [
    "src/experiment/cascade/path.rs",
    "src/experiment/fold.rs",
    "src/experiment/judge.rs",
    "src/experiment/ledger.rs",
    "src/experiment/results.rs",
    "src/metrics/histogram.rs",
    "src/metrics/trace.rs",
];

#[test]
fn nothing_but_spec_and_reports_and_kept_runs_is_serializable() {
    for (file, text) in sources(&["src"]) {
        let uses_serde = text.contains("use serde") || text.contains("serde::");
        let may = ["spec", "report", "cli"].contains(&room(&file)) || KEPT.contains(&file.as_str());
        assert!(!uses_serde || may, "{file} uses serde");
    }
}

#[test]
fn every_test_is_played() {
    let all = fs::read_to_string(root().join("tests/all.rs")).expect("the tests are there");
    let cargo = fs::read_to_string(root().join("Cargo.toml")).expect("the manifest is there");
    for (file, _) in sources(&["tests"]) {
        let Some(name) = file.strip_prefix("tests/").and_then(|file| file.strip_suffix(".rs")) else {
            continue;
        };
        let is_played = all.lines().any(|line| line == format!("mod {name};"))
            || cargo.contains(&format!("[[test]]\nname = \"{name}\"\n"));
        assert!(is_played || name.contains('/'), "{file} is not in tests/all.rs: nobody plays it");
    }
}

#[test]
fn every_file_says_what_it_is() {
    for (file, text) in everything() {
        assert!(text.starts_with("//! "), "{file} does not open with `//!`");
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "the longest file is worth knowing")]
fn no_file_is_too_long() {
    let mut longest = (String::new(), 0);
    let mut wrong = Vec::new();
    for (file, text) in sources(&["src"]) {
        let lines = text.lines().count();
        let limit = LONG.iter().find(|(long, _)| *long == file).map_or(LINES_MAX, |(_, limit)| *limit);
        if lines > limit {
            wrong.push(format!("{file} has {lines} lines, {limit} are allowed"));
        }
        if lines > longest.1 {
            longest = (file, lines);
        }
    }
    println!("the longest file is {} with {} lines", longest.0, longest.1);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_line_is_too_long() {
    for (file, text) in everything() {
        for (number, line) in text.lines().enumerate() {
            // Text that is quoted as it is, and models within tests.
            let is_text = line.trim().starts_with(['"', '\''])
                || line.trim().starts_with("r#\"")
                || file.starts_with("tests") && (line.contains("\\\"") || line.contains("{}"));
            let columns = line.chars().count();
            assert!(is_text || columns <= COLUMNS_MAX, "{file}:{} has {columns} columns", number + 1);
        }
    }
}

#[test]
fn nothing_is_unfinished() {
    for (file, text) in everything() {
        for (number, line) in text.lines().enumerate() {
            let found = UNFINISHED.iter().find(|mark| line.contains(**mark));
            assert!(found.is_none(), "{file}:{}: {}", number + 1, found.unwrap_or(&""));
        }
    }
}

#[test]
fn elementary_functions_come_from_libm() {
    for (file, text) in sources(&["src"]) {
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or("");
            for name in PLATFORM {
                let is_called = code.contains(&format!(".{name}(")) || code.contains(&format!("f64::{name}"));
                assert!(!is_called, "{file}:{}: call libm instead of `{name}`", number + 1);
            }
        }
    }
}

/// Whatever looks like a file of this project must be one. Results in `out` come and go.
#[test]
fn documents_mention_only_files_that_exist() {
    const TOP: [&str; 7] =
        ["src", "tests", "benches", "models", "experiments", "README.md", "ARCHITECTURE.md"];
    for document in ["README.md", "ARCHITECTURE.md", "CHANGELOG.md"] {
        let text = fs::read_to_string(root().join(document)).expect("the document is there");
        let words = text.split(|c: char| c.is_whitespace() || "`()[]\"'<>,;|#".contains(c));
        for word in words.map(|w| w.trim_end_matches(['.', ':'])) {
            let first = word.split('/').next().unwrap_or("");
            let is_path = TOP.contains(&first) && !word.contains(['*', '{', '…']);
            assert!(!is_path || root().join(word).exists(), "{document} mentions {word}");
        }
    }
}
