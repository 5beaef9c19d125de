//! Sampled requests as OpenTelemetry's file exporter writes them: one `ExportTraceServiceRequest` per line, in the JSON
//! of OTLP, which Jaeger, Grafana Tempo and the OpenTelemetry collector read.
//!
//! A line is a trace, a trace is a request of a client. Times are simulated: Unix time 0 is the start of the run. The
//! lower half of a trace's id is the key of the request's random numbers, which is the same in every variant: the same
//! request under other settings is found by it. The upper half tells variants and runs apart.

pub mod words;

use crate::base::{mix, salt};
use crate::experiment::results::{ExperimentResult, VariantResult};
use crate::experiment::traces::{RunTraces, TraceBook};
use crate::metrics::trace::{End, NO_SPAN, Note, Span, Traces, What};
use serde::Serialize;
use std::collections::BTreeMap;
use words::{Role, Value};

/// The traces of all runs of all variants as JSON lines, each run's in order of the requests' beginnings.
pub fn write(result: &ExperimentResult) -> Vec<u8> {
    let mut bytes = Vec::new();
    for variant in &result.variants {
        for (book, run) in variant.traces.iter().flat_map(|book| book.runs.iter().map(move |run| (book, run)))
        {
            let notes = Notes::new(&run.traces);
            for trace in traces(&run.traces) {
                let line = request(result, variant, (book, run, &notes), &trace);
                if serde_json::to_writer(&mut bytes, &line).is_err() {
                    unreachable!("writing to memory succeeds, and all keys are strings");
                }
                bytes.push(b'\n');
            }
        }
    }
    bytes
}

/// The spans of each trace, by number, in order of time; a parent comes before its children.
pub fn traces(traces: &Traces) -> Vec<Vec<u32>> {
    let mut of_root: Vec<Vec<u32>> = Vec::new();
    let mut places = vec![NO_SPAN; traces.spans.len()];
    for (number, span) in traces.spans.iter().enumerate() {
        let number = number as u32;
        if span.parent == NO_SPAN {
            places[number as usize] = of_root.len() as u32;
            of_root.push(Vec::new());
        }
        if let Some(all) = of_root.get_mut(places[span.root as usize] as usize) {
            all.push(number);
        }
    }
    for all in &mut of_root {
        // Waits are written down when they are over: stable, so that what began first stays in front.
        all.sort_by_key(|number| traces.spans[*number as usize].from_ns);
    }
    of_root
}

/// The notes of a run, found by their span.
pub struct Notes<'a>(Vec<&'a Note>);

impl<'a> Notes<'a> {
    /// The notes of a run.
    pub fn new(traces: &'a Traces) -> Self {
        let mut notes: Vec<&Note> = traces.notes.iter().collect();
        notes.sort_by_key(|note| note.span);
        Self(notes)
    }

    /// Those of a span, in order of time.
    pub fn of(&self, span: u32) -> &[&'a Note] {
        let from = self.0.partition_point(|note| note.span < span);
        let to = self.0.partition_point(|note| note.span <= span);
        &self.0[from..to]
    }
}

/// The id of a trace: which variant and run, and which request.
pub fn trace_id(variant: &str, run: u32, root: &Span) -> String {
    let What::Request { key, .. } = root.what else { return "0".repeat(32) };
    format!("{:016x}{key:016x}", mix(salt(variant), u64::from(run)))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ExportRequest {
    resource_spans: Vec<ResourceSpans>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResourceSpans {
    resource: Resource,
    scope_spans: [ScopeSpans; 1],
}

#[derive(Serialize)]
struct Resource {
    attributes: Vec<Attribute>,
}

#[derive(Serialize)]
struct ScopeSpans {
    scope: Scope,
    spans: Vec<OtlpSpan>,
}

#[derive(Serialize)]
struct Scope {
    name: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OtlpSpan {
    trace_id: String,
    span_id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    parent_span_id: String,
    name: String,
    kind: u8,
    start_time_unix_nano: String,
    end_time_unix_nano: String,
    attributes: Vec<Attribute>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    events: Vec<Event>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    time_unix_nano: String,
    name: String,
}

#[derive(Serialize)]
struct Status {
    code: u8,
    message: &'static str,
}

#[derive(Serialize)]
struct Attribute {
    key: &'static str,
    value: Value,
}

/// The status code of an error.
const ERROR: u8 = 2;

fn request(
    result: &ExperimentResult,
    variant: &VariantResult,
    (book, run, notes): (&TraceBook, &RunTraces, &Notes),
    trace: &[u32],
) -> ExportRequest {
    let mut resources: Vec<(String, Vec<OtlpSpan>)> = Vec::new();
    let spans = &run.traces.spans;
    let Some(root) = trace.first().map(|number| &spans[*number as usize]) else {
        return ExportRequest { resource_spans: Vec::new() };
    };
    let id = trace_id(&variant.name, run.run, root);
    let seed = match root.what {
        What::Request { key, .. } => mix(mix(salt(&variant.name), u64::from(run.run)), key),
        _ => 0,
    };
    // Counted within the request, so that an id does not change with what else is sampled.
    let places: BTreeMap<u32, u64> = trace.iter().copied().zip(1..).collect();
    // Zero is no id.
    let span_id = |number: u32| format!("{:016x}", mix(seed, places[&number]).max(1));
    for number in trace {
        let span = &spans[*number as usize];
        let named = words::named(book, &run.traces, *number);
        let notes = notes.of(*number).iter();
        let error = span.end.outcome().filter(|outcome| !outcome.is_success());
        let mut attributes: Vec<Attribute> =
            named.attributes.into_iter().map(|(key, value)| Attribute { key, value }).collect();
        if let Some(outcome) = span.end.outcome() {
            attributes.push(Attribute {
                key: "brownout.outcome",
                value: Value::StringValue(outcome.name().into()),
            });
        }
        match span.end {
            End::Left => {
                attributes.push(Attribute { key: "brownout.abandoned", value: Value::BoolValue(true) });
            }
            End::Open => {
                attributes.push(Attribute { key: "brownout.unfinished", value: Value::BoolValue(true) });
            }
            End::Over | End::Answered(_) => {}
        }
        let otlp = OtlpSpan {
            trace_id: id.clone(),
            span_id: span_id(*number),
            parent_span_id: if span.parent == NO_SPAN { String::new() } else { span_id(span.parent) },
            name: named.name,
            kind: match named.role {
                Role::Internal => 1,
                Role::Server => 2,
                Role::Client => 3,
            },
            start_time_unix_nano: span.from_ns.to_string(),
            end_time_unix_nano: span.to_ns.to_string(),
            attributes,
            events: notes
                .map(|note| Event {
                    time_unix_nano: note.at_ns.to_string(),
                    name: words::note(&book.names, note),
                })
                .collect(),
            status: error.map(|outcome| Status { code: ERROR, message: outcome.name() }),
        };
        match resources.iter_mut().find(|(service, _)| *service == named.service) {
            Some((_, spans)) => spans.push(otlp),
            None => resources.push((named.service, vec![otlp])),
        }
    }
    let text = |key, value: &str| Attribute { key, value: Value::StringValue(value.into()) };
    let of_service = |(service, spans): (String, Vec<OtlpSpan>)| ResourceSpans {
        resource: Resource {
            attributes: vec![
                text("service.name", &service),
                text("brownout.experiment", &result.name),
                text("brownout.variant", &variant.name),
                Attribute { key: "brownout.run", value: Value::of(u64::from(run.run)) },
            ],
        },
        scope_spans: [ScopeSpans {
            scope: Scope { name: "brownout", version: env!("CARGO_PKG_VERSION") },
            spans,
        }],
    };
    ExportRequest { resource_spans: resources.into_iter().map(of_service).collect() }
}
