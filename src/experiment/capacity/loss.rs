//! What may be missing when the load comes: instances, a zone, or what a fault takes.

use crate::experiment::plan::Plan;
use crate::experiment::study::{Mistakes, Study};
use crate::model::{GroupKind, Model};
use crate::spec::capacity::Loss;
use crate::spec::decode::Map;
use crate::spec::experiment::{At, Experiment};
use crate::spec::node;
use crate::spec::source::Spanned;

/// Something that may be missing.
#[derive(Clone, Debug)]
pub struct LossPlan {
    /// What it is called.
    pub name: String,
    /// What is missing, in words.
    pub what: String,
    /// What to know about it; empty if nothing.
    pub note: String,
    /// What happens then.
    pub timeline: Vec<At>,
}

/// What was asked for, or one instance of each service that has several, and one of three zones.
pub fn plans(
    study: &mut Study,
    plan: &Plan,
    experiment: Option<&Experiment>,
    asked: Option<&Map<Loss>>,
) -> Result<Vec<LossPlan>, Mistakes> {
    let model = &plan.variants[0].model;
    let mut found = Vec::new();
    let Some(asked) = asked else {
        let several = services(model, &[], 1);
        for service in &several {
            let name = format!("one instance of `{service}`");
            found.push(down(study, model, &name, &[*service], "Number(1)", "one instance is gone")?);
        }
        if !several.is_empty() {
            let what = "a third of the instances of each service is gone";
            found.push(down(study, model, "one zone of three", &several, "Share(\"33%\")", what)?);
        }
        return Ok(found);
    };
    for (name, loss) in asked.iter() {
        found.push(match loss {
            Loss::Instances(lost) => {
                let services = services(model, &lost.of, lost.count);
                let what = format!("{} of each: {}", lost.count, services.join(", "));
                down(study, model, name, &services, &format!("Number({})", lost.count), &what)?
            }
            Loss::Zone(lost) => {
                let services = services(model, &lost.of, 1);
                let share = lost.share.0;
                let what = format!(
                    "{} of the instances of each: {}",
                    crate::base::units::ratio_text(share),
                    services.join(", ")
                );
                down(study, model, name, &services, &format!("Share({share})"), &what)?
            }
            Loss::Fault(lost) => {
                let timeline = experiment.map(|e| e.timeline.as_slice()).unwrap_or_default();
                let is_it = |at: &&At| at.action.fault().is_some_and(|f| f.name == lost.name.value);
                LossPlan {
                    name: name.to_string(),
                    what: format!("the fault `{}` of the timeline", lost.name.value),
                    note: String::new(),
                    timeline: timeline.iter().filter(is_it).cloned().collect(),
                }
            }
        });
    }
    Ok(found)
}

/// The services that are named, or all that have more instances than are lost.
fn services<'m>(model: &'m Model, named: &[Spanned<String>], lost: u32) -> Vec<&'m str> {
    let groups = model.groups.iter().zip(&model.epochs[0].groups);
    let services = groups.filter(|(group, settings)| {
        let is_named = named.iter().any(|name| name.value == group.name);
        group.kind == GroupKind::Service && if named.is_empty() { settings.replicas > lost } else { is_named }
    });
    services.map(|(group, _)| group.name.as_str()).collect()
}

/// Instances of services that are down from the start to the end.
fn down(
    study: &mut Study,
    model: &Model,
    name: &str,
    services: &[&str],
    which: &str,
    what: &str,
) -> Result<LossPlan, Mistakes> {
    let mut timeline = Vec::new();
    for service in services {
        let text = format!("At(\"0s\", Down(target: {service:?}, instances: {which}))");
        let loader = study.loader();
        let source = loader.sources.add("without", &text, std::path::Path::new("."));
        let tree = node::parse(source, &text, &mut loader.diagnostics);
        match tree.and_then(|tree| loader.decode::<At>(&tree)) {
            Some(at) => timeline.push(at),
            None => return Err(Mistakes(Box::new(loader.clone()))),
        }
    }
    let groups: Vec<u32> = (0..model.groups.len() as u32)
        .filter(|group| services.contains(&model.groups[*group as usize].name.as_str()))
        .collect();
    let blind = model.balancers.iter().zip(&model.epochs[0].balancers);
    let blind: Vec<String> = blind
        .filter(|(shape, settings)| groups.contains(&shape.group) && settings.is_blind())
        .map(|(shape, _)| format!("`{}`", shape.name))
        .collect();
    let note = match blind.as_slice() {
        [] => String::new(),
        names => format!(
            "{} without `health_check`: requests go on being sent to who is gone",
            names.join(" and ")
        ),
    };
    Ok(LossPlan { name: name.to_string(), what: what.to_string(), note, timeline })
}
