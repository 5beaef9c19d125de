//! Bad input gets one clear message, exit code 2, and never a panic.
//!
//! Each file of `tests/bad-input` holds one mistake; what the command says about it stands beside it. Arguments come
//! from a first line such as `// args: --set a.b=c`. `UPDATE_GOLDEN=1` writes the messages anew: read the diff.

#![allow(clippy::disallowed_methods, reason = "tests of the command line may see the wall clock")]

use brownout::experiment::{Changes, plan};
use brownout::spec::load::Loader;
use proptest::prelude::*;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad-input")
}

fn brownout(args: &[&str], cwd: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_brownout"))
        .args(args)
        .current_dir(cwd)
        .env_remove("BROWNOUT_SEED")
        .env("NO_COLOR", "1")
        .output()
        .expect("the command starts")
}

fn arguments(text: &[u8]) -> Vec<String> {
    let first = text.split(|b| *b == b'\n').next().unwrap_or_default();
    let first = String::from_utf8_lossy(first);
    let Some(list) = first.strip_prefix("// args: ") else { return Vec::new() };
    // Words, or what stands between double quotes.
    let parts = list.split('"').enumerate();
    parts
        .flat_map(|(at, part)| {
            let words: Vec<String> = if at % 2 == 1 {
                vec![part.to_string()]
            } else {
                part.split_whitespace().map(String::from).collect()
            };
            words
        })
        .collect()
}

#[test]
fn every_mistake_gets_its_message() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder())
        .expect("the folder is there")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|e| e == "ron"))
        .collect();
    files.sort();
    assert!(files.len() >= 150, "only {} inputs", files.len());
    let mut wrong = Vec::new();
    for file in files {
        let name = file.file_name().and_then(|n| n.to_str()).expect("a name");
        let extra = arguments(&std::fs::read(&file).expect("readable"));
        let mut args = vec!["run", name, "--no-out"];
        args.extend(extra.iter().map(String::as_str));
        let output = brownout(&args, &folder());
        let said = String::from_utf8(output.stderr).expect("text");
        let golden = file.with_extension("stderr");
        if update {
            std::fs::write(&golden, &said).expect("writable");
        }
        let expected = std::fs::read_to_string(&golden).unwrap_or_default().replace("\r\n", "\n");
        if output.status.code() != Some(2) || !output.stdout.is_empty() || said != expected || said.is_empty()
        {
            wrong.push(format!("{name}: {}\n--- expected\n{expected}--- found\n{said}", output.status));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Runs a file made up on the spot; it must be refused within a few seconds.
fn refused(name: &str, bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join(name), bytes).expect("writable");
    refused_in(folder.path(), name)
}

fn refused_in(folder: &Path, name: &str) -> String {
    let begun = Instant::now();
    let output = brownout(&["run", name, "--no-out"], folder);
    let said = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(output.stdout.is_empty());
    assert!(said.starts_with("error: "), "{said}");
    assert!(said.len() < 20_000, "{} bytes of messages", said.len());
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    said
}

#[test]
fn brackets_without_end_are_refused() {
    assert!(refused("huge.ron", &vec![b'['; 100 << 20]).contains("larger than 16 MiB"));
    assert!(refused("deep.ron", &vec![b'['; 15 << 20]).contains("nested more than"));
    assert!(refused("records.ron", "A(a:".repeat(1 << 20).as_bytes()).contains("nested more than"));
    assert!(refused("somes.ron", "Some(".repeat(1 << 20).as_bytes()).contains("nested more than"));
    assert!(refused("comments.ron", "/*".repeat(1 << 20).as_bytes()).contains("never closed"));
    assert!(refused("closing.ron", &vec![b']'; 15 << 20]).contains("closes nothing"));
    refused("quotes.ron", &vec![b'"'; 15 << 20]);
    refused("apostrophes.ron", &vec![b'\''; 4 << 20]);
    refused("zeros.ron", &vec![0; 1 << 20]);
}

#[test]
fn one_long_line_is_cut() {
    let names: Vec<String> = (0..60_000).map(|n| format!("\"p{n}\": []")).collect();
    let text =
        format!("Topology(name: \"long\", policies: {{ {}, \"x\": [ Tiemout(\"1s\") ] }})", names.join(", "));
    assert!(text.len() > 800_000);
    let said = refused("long.ron", text.as_bytes());
    assert!(said.contains("Timeout") && said.len() < 2_000, "{said}");
}

#[test]
fn big_maps_and_many_mistakes_take_no_time() {
    let entries = |value: &str| (0..100_000).map(|n| format!("\"p{n}\": {value},\n")).collect::<String>();
    let many = format!("Topology(name: \"big\", policies: {{ {} }})", entries("[ Tiemout(\"1s\") ]"));
    assert!(refused("many.ron", many.as_bytes()).contains("and 99980 more"));
    let big = format!("Topology(name: \"big\", policies: {{ {} }})", entries("[]"));
    assert!(refused("big.ron", big.as_bytes()).contains("no clients"));
    let twice = format!("Topology(name: \"big\", policies: {{ {} }})", "\"p\": [],\n".repeat(100_000));
    assert!(refused("twice.ron", twice.as_bytes()).contains("given twice"));
}

#[test]
fn what_is_no_file_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("sub.ron")).expect("a folder");
    assert!(refused_in(folder.path(), "sub.ron").contains("sub.ron"));
    assert!(refused_in(folder.path(), "nothing.ron").contains("cannot open nothing.ron"));
    assert!(refused_in(folder.path(), "-").contains("cannot open"));
    std::fs::write(folder.path().join("latin.ron"), b"Topology(name: \"caf\xe9\")").expect("writable");
    assert!(refused_in(folder.path(), "latin.ron").contains("not UTF-8"));
}

#[cfg(unix)]
#[test]
fn a_file_that_may_not_be_read_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("secret.ron");
    std::fs::write(&path, "Topology(name: \"secret\")").expect("writable");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o000)).expect("permissions");
    if std::fs::read(&path).is_ok() {
        return; // The superuser may read everything.
    }
    assert!(refused_in(folder.path(), "secret.ron").contains("cannot open"));
}

#[test]
fn a_long_chain_of_includes_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    for n in 0..40 {
        let text = format!("Topology(name: \"chain\", include: [ \"{}.ron\" ])", n + 1);
        std::fs::write(folder.path().join(format!("{n}.ron")), text).expect("writable");
    }
    assert!(refused_in(folder.path(), "0.ron").contains("nested more than 16 deep"));
    // Each file includes the next twice: 2^16 readings, were they not counted.
    for n in 0..40 {
        let text = format!("Topology(name: \"tree\", include: [ \"{0}.ron\", \"{0}.ron\" ])", n + 1);
        std::fs::write(folder.path().join(format!("{n}.ron")), text).expect("writable");
    }
    refused_in(folder.path(), "0.ron");
    let last = "Topology(name: \"tree\")";
    std::fs::write(folder.path().join("12.ron"), last).expect("writable");
    assert!(refused_in(folder.path(), "0.ron").contains("more than 256 files"));
}

// ---- mutations ----

const SHIPPED: [&str; 5] = [
    "models/lb-timeout-cascade.ron",
    "models/queueing/mm1.ron",
    "models/queueing/mmc.ron",
    "experiments/lb-timeout-cascade.ron",
    "tests/bad-input/good/base.ron",
];

/// Bits of the language and of nonsense that replace parts of a file.
const TOKENS: [&str; 40] = [
    "0",
    "1",
    "-1",
    "1e308",
    "4294967295",
    "18446744073709551616",
    "NaN",
    "inf",
    "None",
    "Some(1)",
    "true",
    "\"\"",
    "\"0s\"",
    "\"1ns\"",
    "\"1e300s\"",
    "\"100000h\"",
    "\"1/s\"",
    "\"100%\"",
    "\"api/login\"",
    "\"é\"",
    "()",
    "[]",
    "{}",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ":",
    ",",
    "\"",
    "'",
    "/*",
    "//",
    "Pool",
    "Work(\"0s\")",
    "Constant(\"1s\")",
    "Users(count: 1, think: \"0s\")",
    "Retry(max: 4294967295)",
];

fn mutate(text: &str, changes: &[(usize, usize, usize, usize)]) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for (how, at, length, what) in changes {
        if bytes.is_empty() {
            break;
        }
        let start = at % bytes.len();
        let end = (start + length % 24).min(bytes.len());
        // The token around `start`, for changes that keep the rest intact.
        let is_word = |b: &u8| b.is_ascii_alphanumeric() || b"_./%\"-".contains(b);
        let left = bytes[..start].iter().rev().take_while(|b| is_word(b)).count();
        let right = bytes[start..].iter().take_while(|b| is_word(b)).count();
        let token = start - left..(start + right).max(start);
        match how % 5 {
            0 => drop(bytes.drain(start..end)),
            1 => {
                let copy = bytes[start..end].to_vec();
                bytes.splice(start..start, copy);
            }
            2 => drop(bytes.splice(token, TOKENS[what % TOKENS.len()].bytes())),
            3 => drop(bytes.drain(token)),
            _ => bytes[start] = *what as u8,
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Loads and plans a text; there is a plan, or an error says why not.
fn plan_or_say(root: &Path, file: &Path, text: &str) -> Result<(), String> {
    std::fs::write(file, text).map_err(|e| e.to_string())?;
    let mut loader = Loader::default();
    let document = loader.load(file, &[]);
    let planned = document.and_then(|d| plan(&mut loader, d, &Changes::default()));
    let _ = loader.diagnostics.render(&loader.sources, false);
    match (planned.is_some(), loader.diagnostics.has_errors()) {
        (true, false) | (false, true) => Ok(()),
        (true, true) => Err("a plan in spite of errors".into()),
        (false, false) => Err(format!("neither a plan nor an error, below {}", root.display())),
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: std::env::var("FUZZ_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(2_000),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn no_mutation_panics(
        which in 0..SHIPPED.len(),
        changes in prop::collection::vec((0_usize..5, any::<usize>(), any::<usize>(), any::<usize>()), 1..5),
    ) {
        thread_local! {
            static ROOT: tempfile::TempDir = tempfile::tempdir().expect("a folder");
        }
        ROOT.with(|root| {
            let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
            let model = root.path().join("models/lb-timeout-cascade.ron");
            if !model.exists() {
                std::fs::create_dir_all(root.path().join("models")).expect("a folder");
                std::fs::create_dir_all(root.path().join("experiments")).expect("a folder");
                std::fs::copy(repository.join("models/lb-timeout-cascade.ron"), &model).expect("a copy");
            }
            let text = std::fs::read_to_string(repository.join(SHIPPED[which])).expect("readable");
            let mutated = mutate(&text, &changes);
            let file = root.path().join("experiments/mutated.ron");
            let said = plan_or_say(root.path(), &file, &mutated);
            prop_assert!(said.is_ok(), "{}\n{mutated}", said.unwrap_err());
            Ok(())
        })?;
    }
}

// ---- plain RON ----

#[test]
fn shipped_files_are_plain_ron() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![repository.join("models"), repository.join("experiments")];
    let mut seen = 0;
    let options = ron::Options::default().with_default_extension(ron::extensions::Extensions::IMPLICIT_SOME);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "ron") {
                let text = std::fs::read_to_string(&path).expect("readable");
                let parsed = options.from_str::<serde::de::IgnoredAny>(&text);
                assert!(parsed.is_ok(), "{}: {:?}", path.display(), parsed.err());
                seen += 1;
            }
        }
    }
    assert!(seen >= 4, "only {seen} files");
}
