//! Alerts: rules that are evaluated on what a run recorded, as a monitoring system would have done.

use super::decode::{Context, Decode};
use super::node::{Kind, Node};
use super::quantity::{Ratio, Seconds};
use super::source::Spanned;
use crate::{choice, record};

choice! {
    /// When an alert fires.
    pub enum Alert {
        /// When errors use up the error budget too fast.
        BurnRate(BurnRate),
        /// When a metric is above or below a limit.
        Threshold(Threshold),
    }
}

record! {
    /// Fires when the error budget of a client population burns too fast: when its error ratio, over its budget of
    /// 1 - `objective`, reaches `threshold` in the long window and in the short one (Google, The Site Reliability
    /// Workbook, chapter 5). Before the run there were no requests.
    pub struct BurnRate [client] {
        /// The client population.
        client: Spanned<String>,
        /// The share of requests that must succeed, below 100 %.
        objective: Ratio,
        /// The burn rate: 1 uses up the budget in exactly one `period`, 14.4 uses up a 50th of 30 days' in an hour.
        threshold: f64,
        /// The long window.
        window: Seconds,
        /// A short window that must burn as fast, so that the alert ends soon after its cause; none if not given.
        short: Option<Seconds> = None,
        /// How long the rule must hold at every evaluation before the alert fires.
        r#for: Seconds = "0s",
        /// From one evaluation to the next.
        interval: Seconds = "1s",
        /// The time that the error budget is for.
        period: Seconds = "30d",
    }
}

record! {
    /// Fires when a metric is beyond a limit, as a rule of Prometheus does. The value is that of the last `window`:
    /// the mean of its values of all seconds, those without one left out; for an error ratio that of all its requests;
    /// for a highest value (`.max`) the highest; for a total the sum. Without a value the rule does not hold.
    pub struct Threshold [metric] {
        /// The path of the metric.
        metric: Spanned<String>,
        /// The rule holds above this, in the unit of the metric.
        above: Option<Spanned<Limit>> = None,
        /// The rule holds below this, in the unit of the metric.
        below: Option<Spanned<Limit>> = None,
        /// The time that the value is of.
        window: Seconds = "15s",
        /// How long the rule must hold at every evaluation before the alert fires; once it does not, the wait begins
        /// anew.
        r#for: Seconds = "0s",
        /// From one evaluation to the next.
        interval: Seconds = "15s",
    }
}

/// A limit, as written: what its unit is depends on the metric.
#[derive(Clone, Debug)]
pub struct Limit(pub String);

impl Decode for Limit {
    fn decode(node: &Node, cx: &mut Context) -> Option<Self> {
        match &node.kind {
            Kind::Text(text) | Kind::Number(text) => Some(Self(text.clone())),
            _ => cx.expected(node, "a number or a quantity in the unit of the metric"),
        }
    }
    fn type_name() -> String {
        "number or quantity".into()
    }
}
