//! A file that is asked again and again, each time with other settings.

use super::judge::SubjectValue;
use super::plan::{Changes, Plan, plan};
use super::run::{Progress, RunError, examine};
use super::team::Team;
use crate::base::units::parse_cores;
use crate::sim::Stop;
use crate::spec::diagnostic::Diagnostic;
use crate::spec::experiment::Experiment;
use crate::spec::load::{Document, Loader};
use crate::spec::node::{self, Kind};
use crate::spec::policy::positional;
use crate::spec::source::Spanned;
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
