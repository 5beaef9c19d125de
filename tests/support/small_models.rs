//! Small models that show one thing each: an experiment with its topology, whose variant `with` has the thing, and in
//! whose variant `without` it is taken out. What is expected of both must hold; and of what is expected of `with`,
//! something must fail under the settings of `without`.

use brownout::experiment::results::Verdict;
use brownout::experiment::{Changes, plan, run};
use brownout::spec::load::{Document, Loader, Override};
use brownout::spec::node::{Kind, Node};
use brownout::spec::source::Spanned;
use std::path::{Path, PathBuf};

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = std::fs::read_dir(super::repository(folder)).unwrap();
    let mut files: Vec<PathBuf> = folder.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

/// An entry of a map of the experiment.
fn entry(experiment: &Node, map: &str, name: &str) -> Node {
    let Some(Node { kind: Kind::Map(entries), .. }) = experiment.field(map) else {
        panic!("no map `{map}`");
    };
    let found = entries.iter().find(|(key, _)| key.value == name);
    found.unwrap_or_else(|| panic!("no `{name}` in `{map}`")).1.clone()
}

/// An experiment with some of its parts replaced.
fn changed(loader: &mut Loader, document: &Document, parts: Vec<(&str, Node)>) -> Option<Document> {
    let over = parts
        .into_iter()
        .map(|(path, value)| Override { path: Spanned { value: path.into(), span: value.span }, value });
    loader.overridden(document, over.collect())
}

/// What is expected and how that went. The settings of `without` can be put in place of those of `with`; then there is
/// only what is expected of `with`, without expectations that make no sense there.
fn verdicts(path: &Path, take_out: bool) -> Vec<(String, Verdict)> {
    let mut loader = Loader::default();
    let Some(mut document) = loader.load(path, &[]) else {
        panic!("{}", loader.diagnostics.render(&loader.sources, false));
    };
    if take_out {
        let Document::Experiment(experiment) = &document else { panic!("no experiment") };
        let without = entry(&experiment.tree, "variants", "without");
        let Kind::List(expected) = entry(&experiment.tree, "expect", "with").kind else { panic!("no list") };
        let span = without.span;
        let expect = |list: Vec<Node>| {
            let name = Spanned { value: "with".to_string(), span };
            Node { kind: Kind::Map(vec![(name, Node { kind: Kind::List(list), span })]), span }
        };
        let mut judged = expected;
        judged.retain(|one| {
            let mut loader = loader.clone();
            let parts = vec![("variants.with", without.clone()), ("expect", expect(vec![one.clone()]))];
            let document = changed(&mut loader, &document, parts);
            document.and_then(|d| plan(&mut loader, d, &Changes::default())).is_some()
        });
        assert!(!judged.is_empty(), "{}: nothing can be asked of `without`", path.display());
        let parts = vec![("variants.with", without), ("expect", expect(judged))];
        document = changed(&mut loader, &document, parts).expect("the settings of `without`");
    }
    let Some(plan) = plan(&mut loader, document, &Changes::default()) else {
        panic!("{}", loader.diagnostics.render(&loader.sources, false));
    };
    let result = run(&plan, 2, &()).unwrap();
    let all = result.expectations.iter();
    all.map(|e| (format!("{}: {}: {:?} {:?}", e.variant, e.text, e.value, e.ci95), e.verdict)).collect()
}

/// Plays every file of a folder, with and without what it shows.
#[track_caller]
pub fn each_shows_something(folder: &str) {
    let mut wrong = String::new();
    for file in files(folder) {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let all = verdicts(&file, false);
        let failed: Vec<_> = all.iter().filter(|(_, v)| *v != Verdict::Held).collect();
        if all.is_empty() || !failed.is_empty() {
            wrong += &format!("{name}: of {} expectations, these do not hold: {failed:?}\n", all.len());
        }
        if verdicts(&file, true).iter().all(|(_, v)| *v == Verdict::Held) {
            wrong += &format!("{name}: everything expected of `with` holds in `without`, too\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
