//! A file that is asked again and again, each time with other settings.

use super::judge::SubjectValue;
use super::plan::{Changes, Plan, plan};
use super::run::{Progress, RunError, examine};
use super::team::Team;
use crate::sim::Stop;
use crate::spec::experiment::Experiment;
use crate::spec::load::{Document, Loader, Override};
use crate::spec::node::{self, Node};
use crate::spec::policy::positional;
use crate::spec::source::{Span, Spanned};
use std::ops::Range;

/// A file, read once.
#[derive(Clone, Debug)]
pub struct Study {
    loader: Loader,
    document: Document,
}

/// Settings that make no sense: the texts and what is wrong with them, ready to be shown.
#[derive(Debug)]
pub struct Mistakes(pub Box<Loader>);

impl Study {
    /// The file that a loader has read.
    pub fn new(loader: Loader, document: Document) -> Self {
        Self { loader, document }
    }

    /// The experiment; none if the file is a topology.
    pub fn experiment(&self) -> Option<&Experiment> {
        match &self.document {
            Document::Experiment(document) => Some(&document.experiment),
            Document::Topology(_) => None,
        }
    }

    /// The texts read so far, to which those of flags may be added.
    pub fn loader(&mut self) -> &mut Loader {
        &mut self.loader
    }

    /// How a setting of a variant is written, if it is written at all and not left to its default.
    pub fn written(&self, variant: &str, path: &str) -> Option<String> {
        let written = |node: &Node| {
            let text = self.loader.sources.text(node.span);
            text.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        match &self.document {
            Document::Topology(root) => node::get_path(root, path, &positional).map(written),
            Document::Experiment(document) => {
                let mut topology = document.topology.clone();
                let mut scratch = self.loader.clone();
                let own =
                    document.experiment.variants.get(variant).into_iter().flat_map(|v| v.0.set.spanned());
                let own = own.map(|(path, span, value)| Override {
                    path: Spanned { value: path.to_string(), span },
                    value: value.0.clone(),
                });
                scratch.apply(&mut topology, &own.chain(document.pinned_for(variant)).collect::<Vec<_>>());
                let found = node::get_path(&topology, path, &positional);
                found.or_else(|| node::get_path(&document.tree, path, &positional)).map(written)
            }
        }
    }

    /// The text that a span covers.
    pub fn text(&self, span: Span) -> &str {
        self.loader.sources.text(span)
    }

    /// The plan with settings, each written `PATH=VALUE`, that win over those of the file and of its variants. `name`
    /// is what messages call the place where the settings stand.
    ///
    /// # Errors
    /// If a setting or what it makes of the file is wrong.
    pub fn plan(&self, name: &str, settings: &[String], changes: &Changes) -> Result<Plan, Mistakes> {
        let mut loader = self.loader.clone();
        let document = loader.changed(&self.document, name, settings);
        let planned = document.and_then(|document| plan(&mut loader, document, changes));
        planned.ok_or_else(|| Mistakes(Box::new(loader)))
    }
}

/// What every expectation and then every measure of a plan is, in some of its runs: by variant, then by run. Nothing
/// else is kept.
///
/// # Errors
/// If a model lets time stand still, or `progress` says to stop.
pub fn sample(
    plan: &Plan,
    runs: Range<u32>,
    team: &Team,
    progress: &dyn Progress,
) -> Result<Vec<Vec<Vec<SubjectValue>>>, RunError> {
    let variants = plan.variants.len();
    let units: Vec<(u32, usize)> = runs.flat_map(|r| (0..variants).map(move |v| (r, v))).collect();
    let mut found = vec![Vec::new(); variants];
    team.each(
        &units,
        |(run, variant)| {
            let data = examine(plan, &plan.variants[*variant], *run);
            (data.stop, data.subjects)
        },
        |done, (stop, subjects)| {
            let variant = units[done].1;
            if stop == Stop::TimeStandsStill {
                return Err(RunError::TimeStandsStill { variant: plan.variants[variant].name.clone() });
            }
            found[variant].push(subjects);
            match progress.runs_done(done + 1, units.len()) {
                true => Ok(()),
                false => Err(RunError::Interrupted { done: done + 1, total: units.len() }),
            }
        },
    )?;
    Ok(found)
}
