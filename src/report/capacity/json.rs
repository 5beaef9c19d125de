//! The answer for machines. Names of fields are a contract.

use crate::experiment::capacity::{Bounds, CapacityResult, Found, Point, Sized};
use crate::metrics::estimate::stable;
use serde_json::{Value, json};

/// The answer as pretty JSON, with a newline at the end.
pub fn write(result: &CapacityResult) -> String {
    let multiples = result.multiples.iter().map(|multiple| {
        let mut value = point(&multiple.point, result);
        value["needs"] = multiple.sized.as_ref().map_or(Value::Null, |s| sized(s, result));
        value
    });
    let without = result.without.iter().map(|row| {
        let mut value = found(&row.found, result);
        value["name"] = json!(row.name);
        value["what"] = json!(row.what);
        value["note"] = if row.note.is_empty() { Value::Null } else { json!(row.note) };
        value
    });
    let full = result.full.iter().map(|full| {
        json!({
            "resource": result.resources[full.resource],
            "load": number(full.load),
            "measured": full.is_measured,
        })
    });
    let document = json!({
        "brownout": env!("CARGO_PKG_VERSION"),
        "name": result.name,
        "seed": result.seed,
        "variant": result.variant,
        "confidence": number(result.confidence),
        "within": number(result.within),
        "up_to": number(result.up_to),
        "runs_max": result.runs,
        "simulated_seconds": number(result.duration_s),
        "warmup_seconds": number(result.warmup_s),
        "objectives": result.objectives.iter()
            .map(|o| json!({ "text": o.text, "unit": o.unit.symbol() }))
            .collect::<Vec<_>>(),
        "at_least": { "load": number(result.at_least.0), "verdict": result.at_least.1.name() },
        "capacity": found(&result.found, result),
        "knee": result.knee.map(|knee| json!({
            "load": number(knee.load), "between": [number(knee.between.0), number(knee.between.1)],
        })),
        "gives_out": full.collect::<Vec<_>>(),
        "multiples": multiples.collect::<Vec<_>>(),
        "without": without.collect::<Vec<_>>(),
        "curve": result.found.points.iter().map(|p| point(p, result)).collect::<Vec<_>>(),
        "runs": result.runs_played,
        "events": result.events,
        "warnings": result.warnings,
    });
    match serde_json::to_string_pretty(&document) {
        Ok(text) => text + "\n",
        Err(_) => unreachable!("keys are strings and numbers are finite"),
    }
}

fn found(found: &Found, result: &CapacityResult) -> Value {
    let load = |load: Option<f64>| {
        load.map(|load| json!({ "load": number(load), "rate": found.rate(load).map(number) }))
    };
    json!({
        "holds_up_to": load(found.holds),
        "estimate": load(found.estimate),
        "fails_from": load(found.fails),
        "breaks": found.broken().map(|at| result.objectives[at].text.clone()),
    })
}

fn point(point: &Point, result: &CapacityResult) -> Value {
    let objectives = point.objectives.iter().zip(&result.objectives).map(|(measured, info)| {
        json!({
            "text": info.text,
            "value": measured.value.map(|v| number(v.mean)),
            "interval": measured.value.map(|v| [number(v.lo), number(v.hi)]),
            "margin": measured.margin.map(number),
            "verdict": measured.verdict.name(),
        })
    });
    let resources = result.resources.iter().zip(point.usage.iter().zip(&point.wait));
    let resources = resources.map(
        |(name, (usage, wait))| json!({ "resource": name, "usage": bounds(*usage), "wait_s": bounds(*wait) }),
    );
    json!({
        "load": number(point.load),
        "runs": point.runs,
        "verdict": point.verdict.name(),
        "rate": bounds(point.rate),
        "goodput": bounds(point.goodput),
        "latency_mean_s": bounds(point.latency),
        "cost_per_hour": bounds(point.cost),
        "piles_up": point.pile.as_ref().map(|pile| json!({
            "place": pile.place, "early": number(pile.early), "late": number(pile.late),
        })),
        "two_worlds": point.split.map(|split| json!({ "wrong": split.wrong, "runs": split.runs })),
        "objectives": objectives.collect::<Vec<_>>(),
        "resources": resources.collect::<Vec<_>>(),
    })
}

fn sized(sized: &Sized, result: &CapacityResult) -> Value {
    let sizes = sized.sizes.iter().map(|size| {
        json!({ "path": size.path, "now": size.now, "needed": size.needed, "at_limit": size.is_at_limit })
    });
    json!({
        "holds": sized.holds,
        "sizes": sizes.collect::<Vec<_>>(),
        "cost_per_hour": bounds(sized.point.cost),
        "fullest": sized.fullest.map(|(resource, usage)| json!({
            "resource": result.resources[resource], "usage": number(usage),
        })),
        "out_of_tries": sized.out_of_tries,
    })
}

fn bounds(bounds: Option<Bounds>) -> Value {
    bounds
        .map_or(Value::Null, |b| json!({ "mean": number(b.mean), "interval": [number(b.lo), number(b.hi)] }))
}

/// Twelve significant digits; `null` if it is not finite.
fn number(value: f64) -> Value {
    // Adding zero turns a negative zero into a plain one.
    if value.is_finite() { json!(stable(value) + 0.0) } else { Value::Null }
}
