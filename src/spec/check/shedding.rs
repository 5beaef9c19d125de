//! Values of shedding by priority.

use crate::spec::decode::Context;
use crate::spec::diagnostic::Diagnostic;
use crate::spec::shedding::Shedding;
use crate::spec::source::Span;
use crate::spec::topology::Service;

pub(super) fn shedding(s: &Shedding, service: &Service, cx: &mut Context) {
    let at = service.place("shedding");
    if service.workers.is_none() {
        cx.diagnostics.push(
            Diagnostic::error(at, "a service without `workers` never queues, and is never busy")
                .help("give `workers`, the requests that an instance executes at once"),
        );
    }
    let is_empty = match s {
        Shedding::Queue(q) => {
            for t in &q.thresholds {
                let until = t.until.unwrap_or(t.from);
                threshold(f64::from(t.from), f64::from(until), (t.place("from"), t.place("until")), cx);
            }
            q.thresholds.is_empty()
        }
        Shedding::Busy(b) => {
            for t in &b.thresholds {
                let until = t.until.unwrap_or(t.from);
                threshold(t.from.0, until.0, (t.place("from"), t.place("until")), cx);
            }
            b.thresholds.is_empty()
        }
    };
    if is_empty {
        cx.fail::<()>(at, "`shedding` needs at least one threshold");
    }
}

fn threshold(from: f64, until: f64, (from_at, until_at): (Span, Span), cx: &mut Context) {
    if from <= 0.0 {
        cx.fail::<()>(from_at, "`from` must be more than 0: nothing would ever be let in");
    }
    if until > from {
        cx.fail::<()>(until_at, "`until` must not be more than `from`");
    } else if until <= 0.0 {
        cx.fail::<()>(until_at, "`until` must be more than 0: it would never be let in again");
    }
}
