//! From a file and flags to a study with one question.

use crate::experiment::study::Study;
use crate::experiment::warmup;
use crate::spec::blast::Blast;
use crate::spec::decode::{Decode, Map};
use crate::spec::experiment::{Experiment, Variant};
use crate::spec::failure::FailureEffect;
use crate::spec::load::{Document, ExperimentDocument, Loader};
use crate::spec::node::{self, Node};
use crate::spec::quantity::{Ratio, Seconds};
use std::path::Path;

/// What flags ask for; it wins over what the file asks for.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    /// What happens to each component, as in the language, such as `Slow(10)`.
    pub faults: Vec<String>,
    /// Which components.
    pub targets: Vec<String>,
    /// Whether one instance of several also fails alone.
    pub instances: Option<bool>,
    /// Whether pairs fail, too.
    pub pairs: Option<bool>,
    /// When, in seconds after the warm-up.
    pub at_s: Option<f64>,
    /// For how many seconds.
    pub lasts_s: Option<f64>,
    /// Seconds afterwards.
    pub rest_s: Option<f64>,
    /// What a single point of failure takes, as a share.
    pub spof: Option<f64>,
}

/// A topology that is asked on its own is played so often, after a warm-up of ten seconds.
const OF_A_TOPOLOGY: &str =
    "Experiment(topology: Topology(name: \"\"), warmup: \"10s\", duration: \"60s\", runs: 5, seed: 42)";

/// The study of a document in which one thing fails at a time; mistakes are left in the loader.
pub fn study(mut loader: Loader, document: Document, wishes: &Wishes) -> Result<Study, Box<Loader>> {
    match prepared(&mut loader, document, wishes) {
        Some(document) if !loader.diagnostics.has_errors() => Ok(Study::new(loader, document)),
        _ => Err(Box::new(loader)),
    }
}

/// The document as an experiment without events, with a question.
fn prepared(loader: &mut Loader, document: Document, wishes: &Wishes) -> Option<Document> {
    let mut document = match document {
        Document::Experiment(document) => *document,
        Document::Topology(topology) => of_topology(loader, topology)?,
    };
    undisturbed(&mut document.experiment);
    warmup::settle(loader, &mut document);
    let asked = document.experiment.blast.take();
    let mut question = match asked {
        Some(question) => question,
        None => decoded(loader, "the question", "Blast()")?,
    };
    wish(loader, &mut question, wishes)?;
    document.experiment.blast = Some(question);
    Some(Document::Experiment(Box::new(document)))
}

fn of_topology(loader: &mut Loader, topology: Node) -> Option<ExperimentDocument> {
    let name = loader.topology(&topology)?.name;
    let source = loader.sources.add("a quick look", OF_A_TOPOLOGY, Path::new("."));
    let tree = node::parse(source, OF_A_TOPOLOGY, &mut loader.diagnostics)?;
    let mut experiment: Experiment = loader.decode(&tree)?;
    experiment.name = Some(name);
    Some(ExperimentDocument { experiment, tree, topology, pinned: Vec::new(), pinned_of: Vec::new() })
}

/// Takes away whatever else would happen, and what is expected of it.
pub fn undisturbed(experiment: &mut Experiment) {
    experiment.timeline.clear();
    experiment.failures = Map::default();
    experiment.expect = Map::default();
    experiment.alerts = Map::default();
    experiment.theory = None;
    experiment.when.clear();
    experiment.runbooks = Map::default();
    experiment.cascades = Map::default();
    let mut variants = Map::default();
    for (name, span, variant) in experiment.variants.spanned() {
        let mut settings = variant.0.clone();
        settings.timeline.clear();
        settings.failures = Map::default();
        settings.when.clear();
        settings.runbooks = Map::default();
        variants.insert(name, span, Variant(settings));
    }
    experiment.variants = variants;
}

fn wish(loader: &mut Loader, question: &mut Blast, wishes: &Wishes) -> Option<()> {
    if !wishes.faults.is_empty() {
        let mut faults = Vec::new();
        for text in &wishes.faults {
            faults.push(decoded::<FailureEffect>(loader, "--fault", text)?);
        }
        question.faults = faults;
    }
    if !wishes.targets.is_empty() {
        question.targets = wishes.targets.iter().map(|name| loader.quoted("--target", name)).collect();
    }
    question.instances = wishes.instances.unwrap_or(question.instances);
    question.pairs = wishes.pairs.unwrap_or(question.pairs);
    question.at = wishes.at_s.map_or(question.at, Seconds);
    question.lasts = wishes.lasts_s.map_or(question.lasts, Seconds);
    question.rest = wishes.rest_s.map_or(question.rest, Seconds);
    question.spof = wishes.spof.map_or(question.spof, Ratio);
    Some(())
}

/// A text of the language that stands in no file; mistakes are left in the loader, and shown as of `name`.
pub fn decoded<T: Decode>(loader: &mut Loader, name: &str, text: &str) -> Option<T> {
    let source = loader.sources.add(name, text, Path::new("."));
    let tree = node::parse(source, text, &mut loader.diagnostics)?;
    loader.decode(&tree)
}
