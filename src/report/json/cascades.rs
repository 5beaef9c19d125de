//! Cascades for machines.

use super::Number;
use crate::experiment::results::{CascadeOrder, CascadeResult, CascadeShown, CascadeStep};
use serde::Serialize;

/// In which order components fell after something struck.
#[derive(Serialize)]
pub(super) struct Cascade<'a> {
    of: &'a str,
    runs: u32,
    /// Every order that there was, most frequent first.
    orders: Vec<Order<'a>>,
    /// The run whose steps these are.
    shown_run: u32,
    steps: Vec<Step<'a>>,
}

#[derive(Serialize)]
struct Order<'a> {
    path: &'a [String],
    runs: u32,
}

#[derive(Serialize)]
struct Step<'a> {
    component: &'a str,
    #[serde(flatten)]
    first: Shown,
    through: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    load_per_s: Option<[Number; 2]>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    later: Vec<Shown>,
}

#[derive(Serialize)]
struct Shown {
    after_s: Number,
    sign: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    normal: Option<Number>,
}

impl<'a> Cascade<'a> {
    pub(super) fn of(cascade: &'a CascadeResult) -> Self {
        let order = |order: &'a CascadeOrder| Order { path: &order.path, runs: order.runs };
        Self {
            of: &cascade.name,
            runs: cascade.runs,
            orders: cascade.orders.iter().map(order).collect(),
            shown_run: cascade.run,
            steps: cascade.steps.iter().map(Step::of).collect(),
        }
    }
}

impl<'a> Step<'a> {
    fn of(step: &'a CascadeStep) -> Self {
        Self {
            component: &step.component,
            first: Shown::of(&step.first),
            through: step.carrier.as_deref(),
            load_per_s: step.load.map(|(normal, then)| [Number(normal), Number(then)]),
            later: step.later.iter().map(Shown::of).collect(),
        }
    }
}

impl Shown {
    fn of(shown: &CascadeShown) -> Self {
        let is_measured = shown.sign != "struck";
        Self {
            after_s: Number(shown.after_s),
            sign: shown.sign,
            value: is_measured.then_some(Number(shown.value)),
            normal: is_measured.then_some(Number(shown.normal)),
        }
    }
}
