//! What fails: one component after another, one instance of several, and pairs.

use super::compare::Frame;
use crate::experiment::plan::Plan;
use crate::model::{GroupKind, Model};
use crate::spec::blast::Blast;
use crate::spec::experiment::{Action, At, Down, Errors, Hang, Instances, Number, Slow};
use crate::spec::failure::FailureEffect;
use crate::spec::quantity::{Ratio, Seconds};
use crate::spec::source::{Places, Span, Spanned};

/// What is struck, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Struck {
    /// The component.
    pub target: String,
    /// How many of its instances; none for all of them.
    pub instances: Option<u32>,
    /// What happens to it.
    pub what: Blow,
}

/// What happens to what is struck.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Blow {
    /// It is taken away.
    Down,
    /// It stops working.
    Hang,
    /// This share of the requests gets errors.
    Errors(f64),
    /// It takes so many times as long.
    Slow(f64),
}

impl Blow {
    /// What a failure does.
    pub fn of(effect: &FailureEffect) -> Self {
        match effect {
            FailureEffect::Down => Self::Down,
            FailureEffect::Hang => Self::Hang,
            FailureEffect::Errors(errors) => Self::Errors(errors.ratio.0),
            FailureEffect::Slow(slow) => Self::Slow(slow.factor),
        }
    }

    fn id(self) -> String {
        match self {
            Self::Down => "down".into(),
            Self::Hang => "hang".into(),
            Self::Errors(ratio) => format!("errors*{ratio}"),
            Self::Slow(factor) => format!("slow*{factor}"),
        }
    }

    /// For people.
    pub fn text(self) -> String {
        match self {
            Self::Down => "down".into(),
            Self::Hang => "hangs".into(),
            Self::Errors(1.0) => "errors".into(),
            Self::Errors(ratio) => format!("{} errors", crate::base::units::ratio_text(ratio)),
            Self::Slow(factor) => format!("slow ×{factor}"),
        }
    }
}

/// A failure to be played.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its name for machines.
    pub id: String,
    /// Its name for people.
    pub label: String,
    /// What is struck.
    pub struck: Vec<Struck>,
}

impl Row {
    fn of(struck: Vec<Struck>, model: &Model) -> Self {
        let id = |s: &Struck| {
            let part = s.instances.map_or_else(String::new, |n| format!("/{n}"));
            format!("{}{part}:{}", s.target, s.what.id())
        };
        let label = |s: &Struck| {
            let part =
                s.instances.map_or_else(String::new, |n| format!(" ({n} of {})", replicas(model, &s.target)));
            format!("{}{part} {}", s.target, s.what.text())
        };
        let joined = |parts: Vec<String>, by: &str| parts.join(by);
        Self {
            id: joined(struck.iter().map(id).collect(), "+"),
            label: joined(struck.iter().map(label).collect(), " + "),
            struck,
        }
    }
}

fn replicas(model: &Model, name: &str) -> u32 {
    let group = model.groups.iter().position(|g| g.name == name);
    group.and_then(|g| model.epochs[0].groups.get(g)).map_or(1, |g| g.replicas)
}

/// All failures that the question asks for.
pub fn rows(question: &Blast, plan: &Plan) -> Vec<Row> {
    let Some(model) = plan.variants.first().map(|v| &v.model) else { return Vec::new() };
    let is_target = |name: &str| {
        question.targets.is_empty() || question.targets.iter().any(|target| target.value == name)
    };
    let groups: Vec<_> = model.groups.iter().filter(|g| is_target(&g.name)).collect();
    let mut rows = Vec::new();
    for effect in &question.faults {
        let what = Blow::of(effect);
        let struck = |target: &str, instances| Struck { target: target.to_string(), instances, what };
        for group in &groups {
            rows.push(Row::of(vec![struck(&group.name, None)], model));
            let has_several = plan.variants.iter().any(|v| replicas(&v.model, &group.name) > 1);
            if question.instances && group.kind == GroupKind::Service && has_several {
                rows.push(Row::of(vec![struck(&group.name, Some(1))], model));
            }
        }
        if !question.pairs {
            continue;
        }
        for (at, first) in groups.iter().enumerate() {
            for second in &groups[at + 1..] {
                rows.push(Row::of(vec![struck(&first.name, None), struck(&second.name, None)], model));
            }
        }
    }
    rows.dedup_by(|a, b| a.id == b.id);
    rows
}

/// The row as a timeline.
pub fn timeline(row: &Row, frame: &Frame) -> Vec<At> {
    let at = Seconds(frame.start.seconds());
    let lasts = Some(Seconds(frame.end.since(frame.start).seconds()));
    let (span, places) = (Span::default(), Places::default());
    let actions = row.struck.iter().enumerate().map(|(number, struck)| action(number, struck, lasts));
    actions.map(|action| At { at, action, span, places: places.clone() }).collect()
}

/// What strikes, as something on the timeline. The instances that are struck are found by the fault's name, which is
/// its number: the same for every kind of fault.
pub fn action(number: usize, struck: &Struck, lasts: Option<Seconds>) -> Action {
    let (span, places) = (Span::default(), Places::default());
    let target = Spanned { value: struck.target.clone(), span };
    let instances = struck
        .instances
        .map_or(Instances::All, |count| Instances::Number(Number { count, span, places: places.clone() }));
    let name = Some(format!("blast-{}", number + 1));
    let ramp = Seconds(0.0);
    match struck.what {
        Blow::Down => Action::Down(Down { target, instances, lasts, name, span, places }),
        Blow::Hang => Action::Hang(Hang { target, instances, lasts, name, span, places }),
        Blow::Errors(ratio) => {
            let ratio = Ratio(ratio);
            Action::Errors(Errors { target, ratio, instances, lasts, name, ramp, span, places })
        }
        Blow::Slow(factor) => {
            let (factor, latency) = (Some(factor), None);
            Action::Slow(Slow { target, factor, latency, instances, lasts, name, ramp, span, places })
        }
    }
}
