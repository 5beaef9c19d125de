//! Systems whose answers theory knows: every file of `models/oracle` is simulated and compared.
//!
//! `public.json` is the reference for its own cases; the files state their values themselves, and must state those.
//! `UPDATE_GOLDEN=1 cargo test --test all oracle` writes the table of `models/oracle/README.md` anew. What was found is
//! in `out/validation/` afterwards.

use brownout::experiment::results::Verdict;
use brownout::experiment::{Changes, Plan, plan, run};
use brownout::report::validation::{self, Case};
use brownout::spec::experiment::Experiment;
use brownout::spec::load::{Document, Loader};
use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

const FOLDER: &str = "models/oracle";
const PAGE: &str = "models/oracle/README.md";

/// All files, in order of name.
fn files() -> Vec<PathBuf> {
    let entries = fs::read_dir(FOLDER).expect("a folder").map(|entry| entry.expect("an entry").path());
    let mut files: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|e| e == "ron")).collect();
    files.sort();
    files
}

fn stem(path: &Path) -> String {
    path.file_stem().expect("a name").to_string_lossy().into_owned()
}

fn load(path: &Path, sets: &[String]) -> (Loader, Experiment, Document) {
    let mut loader = Loader::default();
    let document = loader.load(path, sets);
    let shown = loader.diagnostics.render(&loader.sources, false);
    let Some(Document::Experiment(document)) = document else { panic!("{}: {shown}", path.display()) };
    (loader, document.experiment.clone(), Document::Experiment(document))
}

fn planned(path: &Path, sets: &[String]) -> Plan {
    let (mut loader, _, document) = load(path, sets);
    let plan = plan(&mut loader, document, &Changes::default());
    plan.unwrap_or_else(|| {
        panic!("{}: {}", path.display(), loader.diagnostics.render(&loader.sources, false))
    })
}

fn simulated(path: &Path, sets: &[String]) -> Case {
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    let result = run(&planned(path, sets), jobs, &()).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    Case { name: stem(path), result }
}

#[test]
fn oracle_every_system_agrees_with_theory() {
    let cases: Vec<Case> = files().iter().map(|path| simulated(path, &[])).collect();
    fs::create_dir_all("out/validation").expect("a folder");
    fs::write("out/validation/validation.md", validation::markdown(&cases)).expect("written");
    fs::write("out/validation/validation.csv", validation::csv(&cases)).expect("written");
    let tally = validation::tally(&cases);
    // Not by a macro, whose words a test that passes keeps to itself.
    std::io::stderr().write_all(validation::tally_text(&tally).as_bytes()).expect("standard error");
    assert_eq!((tally.failed, tally.inconclusive), (0, 0), "\n{}", validation::human(&cases, false, true));
    let page = fs::read_to_string(PAGE).expect("a page");
    let (text, table) = page.split_once("## All values\n").expect("the heading of the table");
    let found = validation::markdown(&cases);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(PAGE, format!("{text}## All values\n\n{found}")).expect("written");
    } else {
        assert_eq!(
            table.trim(),
            found.trim(),
            "{PAGE} is out of date: UPDATE_GOLDEN=1 cargo test --test all oracle"
        );
    }
}

#[test]
fn oracle_files_state_the_values_of_the_reference() {
    let text = fs::read_to_string("tests/oracle/public.json").expect("the reference");
    let reference: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let cases = reference["cases"].as_array().expect("cases");
    assert!(cases.len() >= 87);
    let known: BTreeSet<String> = files().iter().map(|path| stem(path)).collect();
    let own = known.len() - cases.len();
    assert!(own >= 20, "{own} systems of our own");
    for case in cases {
        let id = case["id"].as_str().expect("an id");
        assert!(known.contains(id), "{id} has no file");
        let (_, experiment, _) = load(&Path::new(FOLDER).join(format!("{id}.ron")), &[]);
        let theory = experiment.theory.as_ref().unwrap_or_else(|| panic!("{id} states no theory"));
        assert!(!theory.source.is_empty(), "{id} names no source");
        for metric in case["metrics"].as_array().expect("metrics") {
            let name = metric["name"].as_str().expect("a name");
            let tolerance = |key: &str| metric[key].as_f64().unwrap_or(0.0);
            let values: Vec<(String, f64)> = match metric["value"].as_array() {
                Some(list) => {
                    let numbered = list.iter().enumerate();
                    numbered.map(|(i, v)| (format!("{name} {i}"), v.as_f64().expect("a number"))).collect()
                }
                None => vec![(name.to_string(), metric["value"].as_f64().expect("a number"))],
            };
            for (name, value) in values {
                let stated = theory.values.get(&name).unwrap_or_else(|| panic!("{id} does not state {name}"));
                assert_eq!(stated.is, value, "{id} {name}");
                let (within, absolute) = (tolerance("rel_tol"), tolerance("abs_tol"));
                assert!(stated.within.0 <= within * (1.0 + 1e-12), "{id} {name}: {}", stated.within.0);
                assert!(stated.absolute <= absolute, "{id} {name}: {}", stated.absolute);
            }
        }
    }
}

#[test]
fn oracle_a_wrong_parameter_is_noticed() {
    // Each is off by no more than twice the tolerance of some value, and must not agree any more.
    let wrong = [
        ("mm1-rho50", "services.server.endpoints.serve.0.time=Exponential(mean: \"10.3ms\")"),
        ("mmc-c4-rho75", "clients.users.arrivals.rate=\"30.6/s\""),
    ];
    for (name, set) in wrong {
        let case = simulated(&Path::new(FOLDER).join(format!("{name}.ron")), &[set.to_string()]);
        let verdicts: Vec<Verdict> = case.result.theory.agreements.iter().map(|a| a.verdict).collect();
        assert!(verdicts.contains(&Verdict::Failed), "{name} with {set}: {verdicts:?}");
    }
}

#[test]
fn oracle_files_begin_with_what_they_show() {
    for path in files() {
        let text = fs::read_to_string(&path).expect("a file");
        let comment = text.lines().take_while(|line| line.starts_with("//")).count();
        assert!(comment >= 2, "{} says nothing of itself", path.display());
    }
}
