//! A file that is asked again and again, each time with other settings.

use super::judge::SubjectValue;
use super::plan::{Changes, Plan, plan};
use super::run::{Progress, RunError, examine};
use super::team::Team;
use crate::base::units::parse_cores;
use crate::sim::Stop;
use crate::spec::diagnostic::Diagnostic;
use crate::spec::experiment::Experiment;
use crate::spec::load::{Document, Loader, Override};
use crate::spec::node::{self, Kind, Node};
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

    /// A mistake that no plan shows, with all texts read so far.
    pub fn mistake(&self, diagnostic: Diagnostic) -> Mistakes {
        let mut loader = self.loader.clone();
        loader.diagnostics.push(diagnostic);
        Mistakes(Box::new(loader))
    }

    /// Whole numbers that a setting of the topology can start from: what it is in the file, or in a variant of it.
    /// `None` if it is left to its default, or is no number.
    ///
    /// # Errors
    /// If there is no such setting.
    pub fn number(&self, path: &Spanned<String>, variant: Option<&str>) -> Result<Option<u32>, Diagnostic> {
        let (mut tree, of_variant) = match &self.document {
            Document::Topology(tree) => (tree.clone(), None),
            Document::Experiment(document) => {
                let variant = variant.and_then(|name| document.experiment.variants.get(name));
                (document.topology.clone(), variant.and_then(|v| v.0.set.get(&path.value)))
            }
        };
        let node = match of_variant {
            Some(value) => &value.0,
            None => node::find_path(&mut tree, path, &positional)?,
        };
        let number = match &node.kind {
            Kind::Number(text) => text.replace('_', "").parse::<f64>().ok(),
            Kind::Text(text) => parse_cores(text).ok(),
            _ => None,
        };
        Ok(number.filter(|n| (0.0..=1e6).contains(n)).map(|n| (n.ceil() as u32).max(1)))
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

    /// As [`plan`](Self::plan), with settings that are read already.
    ///
    /// # Errors
    /// If a setting or what it makes of the file is wrong.
    pub fn overridden(&self, settings: Vec<Override>, changes: &Changes) -> Result<Plan, Mistakes> {
        let mut loader = self.loader.clone();
        let document = loader.overridden(&self.document, settings);
        let planned = document.and_then(|document| plan(&mut loader, document, changes));
        planned.ok_or_else(|| Mistakes(Box::new(loader)))
    }

    /// The texts read so far.
    pub fn texts(&self) -> &Loader {
        &self.loader
    }

    /// The names of the client populations of the topology as it stands, in order.
    pub fn clients(&self) -> Vec<String> {
        let topology = match &self.document {
            Document::Experiment(document) => &document.topology,
            Document::Topology(node) => node,
        };
        match topology.field("clients").map(|clients| &clients.kind) {
            Some(Kind::Map(entries)) => {
                let mut names: Vec<String> = entries.iter().map(|(name, _)| name.value.clone()).collect();
                names.sort();
                names
            }
            _ => Vec::new(),
        }
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
