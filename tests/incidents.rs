//! The library of incidents: each has a page and a picture, its figures hold, and it is proven by its mechanism.
//!
//! An incident is an experiment with the variants `before` (what failed), `after` (the fix), and one or more whose
//! names begin with `without`: the settings of `before` with the mechanism taken out that causes or sustains the
//! failure. What is expected of `before` must be violated there in at least one point: expectations that hold without
//! the mechanism show nothing.
//!
//! To be quick, at most two runs of each variant are played; they are the first of those that the experiment asks
//! for. An expectation then counts as missed if its mean over these runs is beyond the limit, or its whole interval
//! is; of a probability, which two runs hardly know, only the interval decides. `brownout check experiments` plays
//! all runs and wants every interval within its limits.

use crate::support;

use brownout::experiment::results::{ExpectationResult, Verdict};
use brownout::experiment::{Changes, Plan, plan, run};
use brownout::spec::load::{Document, Loader};
use brownout::spec::node::{Kind, Node};
use brownout::spec::source::Spanned;
use std::path::{Path, PathBuf};

/// The most runs of each variant.
const RUNS: u32 = 2;

/// The most lines of a page, and the most bytes of a picture.
const LINES: usize = 64;
const BYTES: u64 = 100_000;

/// Incidents whose experiments lie elsewhere, for they were there before the library; their pages are in it.
const ELSEWHERE: [&str; 2] = ["experiments/lb-timeout-cascade.ron", "experiments/pool-exhaustion.ron"];

/// What is in the library without being an incident with a before and an after: its name, the page that tells of it,
/// and what it has instead.
const OTHERS: [(&str, &str, &str); 5] = [
    ("disaster-recovery", "disaster-recovery", "four strategies side by side"),
    ("metastable-controls", "metastable-controls", "systems that look metastable and are not"),
    ("deployment-strategies", "deployment-strategies", "ways to bring the same version out, side by side"),
    ("planner", "cost-explosion", "a search for settings, and what it found"),
    ("sizes", "cost-explosion", "a search for sizes"),
];

fn files() -> Vec<PathBuf> {
    let folder = std::fs::read_dir(support::repository("experiments/incidents")).unwrap();
    let all = folder.map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = all.filter(|path| path.extension().is_some_and(|e| e == "ron")).collect();
    files.extend(ELSEWHERE.map(support::repository));
    files.sort();
    files
}

fn name(file: &Path) -> String {
    file.file_stem().unwrap().to_string_lossy().into_owned()
}

fn is_incident(file: &Path) -> bool {
    OTHERS.iter().all(|(other, _, _)| *other != name(file))
}

/// The page that tells of an experiment of the library.
fn page(file: &Path) -> PathBuf {
    let own = name(file);
    let told = OTHERS.iter().find(|(other, _, _)| *other == own).map_or(own.as_str(), |(_, page, _)| page);
    support::repository("experiments/incidents").join(told).with_extension("md")
}

/// The pictures that a page shows: what stands in parentheses after `![…]`.
fn pictures(page: &str) -> Vec<&str> {
    let after = page.split("![").skip(1).filter_map(|rest| rest.split_once("]("));
    after.filter_map(|(_, rest)| rest.split_once(')')).map(|(path, _)| path).collect()
}

#[test]
fn each_incident_has_a_page_with_a_picture_and_its_command() {
    let mut wrong = String::new();
    for file in files() {
        let page = page(&file);
        let Ok(text) = std::fs::read_to_string(&page) else {
            wrong += &format!("{} is missing\n", page.display());
            continue;
        };
        let mut say = |what: String| wrong += &format!("{}: {what}\n", page.display());
        let mut lines = text.lines().filter(|line| !line.is_empty());
        if !lines.next().is_some_and(|line| line.starts_with("# ")) {
            say("does not begin with its title".into());
        }
        if !lines.next().is_some_and(|line| line.starts_with(|c: char| c.is_uppercase() || c.is_numeric())) {
            say("does not say below its title what fails and why".into());
        }
        if text.lines().count() > LINES {
            say(format!("{} lines; {LINES} are allowed", text.lines().count()));
        }
        let own = file.strip_prefix(support::repository("")).unwrap().to_string_lossy().replace('\\', "/");
        if !text.contains(&format!(" {own}")) {
            say(format!("does not give the command that plays it: brownout run {own}"));
        }
        let pictures = pictures(&text);
        if pictures.is_empty() {
            say("shows no picture".into());
        }
        for picture in pictures {
            match std::fs::metadata(page.with_file_name(picture)) {
                Err(_) => say(format!("{picture} is missing")),
                Ok(it) if it.len() > BYTES => {
                    say(format!("{picture} has {} bytes; {BYTES} are allowed", it.len()))
                }
                Ok(_) => {}
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// The entries of a map of an experiment.
fn entries<'a>(experiment: &'a Node, map: &str) -> &'a [(Spanned<String>, Node)] {
    match experiment.field(map) {
        Some(Node { kind: Kind::Map(entries), .. }) => entries,
        _ => &[],
    }
}

/// What is expected of a variant.
fn expected(experiment: &Node, variant: &str) -> Vec<Spanned<String>> {
    let list = entries(experiment, "expect").iter().find(|(name, _)| name.value == variant);
    let Some((_, Node { kind: Kind::List(list), .. })) = list else { return Vec::new() };
    let text = |node: &Node| match &node.kind {
        Kind::Text(text) => Spanned { value: text.clone(), span: node.span },
        other => panic!("an expectation that is no string: {other:?}"),
    };
    list.iter().map(text).collect()
}

/// How one variant is played, with more expectations than its own.
fn planned(
    loader: &mut Loader,
    document: &Document,
    variant: &str,
    expect: Vec<Spanned<String>>,
) -> Option<Plan> {
    let changes = Changes {
        variant: Some(variant.into()),
        runs: Some(RUNS),
        series: Some(false),
        expect,
        ..Changes::default()
    };
    plan(loader, document.clone(), &changes)
}

fn is_missed(it: &ExpectationResult) -> bool {
    let is_probability = it.text.starts_with("P(") || it.text.starts_with("cascade(");
    it.verdict == Verdict::Failed || (!is_probability && it.margin.is_none_or(|margin| margin < 0.0))
}

/// What is wrong with an experiment of the library.
fn mistakes(file: &Path) -> Vec<String> {
    let mut loader = Loader::default();
    let Some(document) = loader.load(file, &[]) else {
        return vec![loader.diagnostics.render(&loader.sources, false)];
    };
    let Document::Experiment(experiment) = &document else { return vec!["not an experiment".into()] };
    let tree = &experiment.tree;
    let variants: Vec<&str> = entries(tree, "variants").iter().map(|(name, _)| name.value.as_str()).collect();
    let mut wrong = Vec::new();
    if is_incident(file) {
        let needed = ["before", "after", "without"];
        let lacks =
            needed.iter().filter(|needed| !variants.iter().any(|variant| variant.starts_with(*needed)));
        wrong.extend(lacks.map(|needed| format!("no variant `{needed}`")));
    } else if variants.len() < 2 {
        wrong.push("nothing to compare".into());
    }
    for variant in variants {
        let own = expected(tree, variant).len();
        if own == 0 && !variant.starts_with("without") {
            wrong.push(format!("nothing is expected of `{variant}`"));
        }
        // What `before` speaks of and this variant has not cannot be asked.
        let asks = variant.starts_with("without") && is_incident(file);
        let mut added = Vec::new();
        if asks {
            added = expected(tree, "before");
            added.retain(|one| planned(&mut loader.clone(), &document, variant, vec![one.clone()]).is_some());
        }
        let asked = added.len();
        let Some(plan) = planned(&mut loader, &document, variant, added) else {
            wrong.push(loader.diagnostics.render(&loader.sources, false));
            continue;
        };
        let result = run(&plan, 2, &()).unwrap();
        // What stands in `expect`, what was added, and then what else the variant is judged by: paths of cascades.
        let (of_its_own, others) = result.expectations.split_at(own);
        let (of_before, cascades) = others.split_at(asked);
        for it in of_its_own.iter().chain(cascades).filter(|it| is_missed(it)) {
            wrong.push(format!("{variant}: {}: {:?}, {:?}", it.text, it.value, it.ci95));
        }
        if asks && !of_before.iter().any(is_missed) {
            wrong.push(format!("{variant}: what is expected of `before` happens without the mechanism, too"));
        }
    }
    wrong
}

#[test]
fn each_incident_is_proven_by_its_mechanism() {
    let mut wrong = String::new();
    for file in files() {
        for mistake in mistakes(&file) {
            wrong += &format!("{}: {mistake}\n", file.display());
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
