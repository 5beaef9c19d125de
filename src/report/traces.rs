//! Sampled requests as OpenTelemetry's file exporter writes them: one `ExportTraceServiceRequest` per line, in the JSON
//! of OTLP, which Jaeger, Grafana Tempo and the OpenTelemetry collector read.
//!
//! A line is a trace, a trace is a request of a client. Times are simulated: Unix time 0 is the start of the run. The
//! lower half of a trace's id is the key of the request's random numbers, which is the same in every variant: the same
//! request under other settings is found by it. The upper half tells variants and runs apart.

pub mod words;

use crate::base::{mix, salt};
use crate::experiment::results::{ExperimentResult, VariantResult};
use crate::experiment::traces::{Names, RunTraces, TraceBook};
use crate::metrics::trace::{End, NO_SPAN, Note, Span, Traces, What};
use serde::Serialize;
use words::{Named, Role, Value};

/// The traces of all runs of all variants as JSON lines, each run's in order of the requests' beginnings.
pub fn write(result: &ExperimentResult) -> Vec<u8> {
    let mut lines = Lines::default();
    for variant in &result.variants {
        for (book, run) in variant.traces.iter().flat_map(|book| book.runs.iter().map(move |run| (book, run)))
        {
            let notes = Notes::new(&run.traces);
            lines.places.clear();
            lines.places.resize(run.traces.spans.len(), 0);
            for trace in traces(&run.traces) {
                lines.request(result, variant, (book, run, &notes), &trace);
            }
        }
    }
    lines.out
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

/// Lines of JSON. They are put together here, with serde for texts that need escapes: through its structures a traced
/// request took 120,000 instructions, twenty times what it takes to play one, and now it takes 33,000.
#[derive(Default)]
struct Lines {
    out: Vec<u8>,
    /// By span of the run: its place within its request, from 1.
    places: Vec<u64>,
}

impl Lines {
    fn request(
        &mut self,
        result: &ExperimentResult,
        variant: &VariantResult,
        (book, run, notes): (&TraceBook, &RunTraces, &Notes),
        trace: &[u32],
    ) {
        let spans = &run.traces.spans;
        let Some(root) = trace.first().map(|number| &spans[*number as usize]) else { return };
        let id = trace_id(&variant.name, run.run, root);
        let seed = match root.what {
            What::Request { key, .. } => mix(mix(salt(&variant.name), u64::from(run.run)), key),
            _ => 0,
        };
        // By service, in the order in which they come up.
        let mut services: Vec<(&str, Vec<(u32, Named)>)> = Vec::new();
        for (number, place) in trace.iter().zip(1..) {
            // Counted within the request, so that an id does not change with what else is sampled.
            self.places[*number as usize] = place;
            let named = words::named(book, &run.traces, *number);
            match services.iter_mut().find(|(service, _)| *service == named.service) {
                Some((_, members)) => members.push((*number, named)),
                None => services.push((named.service, vec![(*number, named)])),
            }
        }
        let mut before = "{\"resourceSpans\":[";
        for (service, members) in services {
            self.raw(before);
            before = ",";
            self.resource(result, variant, run, service);
            let mut before = "";
            for (number, named) in members {
                self.raw(before);
                before = ",";
                self.span(&id, seed, (number, &spans[number as usize]), named);
                self.events(&book.names, notes.of(number));
                self.status(&spans[number as usize]);
            }
            self.raw("]}]}");
        }
        self.raw("]}\n");
    }

    /// The beginning of what a service has to a trace, up to its first span.
    fn resource(
        &mut self,
        result: &ExperimentResult,
        variant: &VariantResult,
        run: &RunTraces,
        service: &str,
    ) {
        self.raw("{\"resource\":{\"attributes\":[");
        let texts = [
            ("service.name", service),
            ("brownout.experiment", &result.name),
            ("brownout.variant", &variant.name),
        ];
        for (key, text) in texts {
            self.attribute(key, &Value::Text(text.into()));
            self.raw(",");
        }
        self.attribute("brownout.run", &Value::Number(u64::from(run.run)));
        self.raw("]},\"scopeSpans\":[{\"scope\":{\"name\":\"brownout\",\"version\":");
        self.text(env!("CARGO_PKG_VERSION"));
        self.raw("},\"spans\":[");
    }

    /// A span, up to its events.
    fn span(&mut self, trace: &str, seed: u64, (number, span): (u32, &Span), named: Named) {
        self.raw("{\"traceId\":\"");
        self.raw(trace);
        self.raw("\",\"spanId\":\"");
        self.span_id(seed, number);
        if span.parent != NO_SPAN {
            self.raw("\",\"parentSpanId\":\"");
            self.span_id(seed, span.parent);
        }
        self.raw("\",\"name\":");
        self.text(&named.name);
        self.raw(match named.role {
            Role::Internal => ",\"kind\":1,\"startTimeUnixNano\":\"",
            Role::Server => ",\"kind\":2,\"startTimeUnixNano\":\"",
            Role::Client => ",\"kind\":3,\"startTimeUnixNano\":\"",
        });
        self.number(span.from_ns);
        self.raw("\",\"endTimeUnixNano\":\"");
        self.number(span.to_ns);
        self.raw("\",\"attributes\":[");
        let ending = match span.end {
            End::Answered(_) => {
                span.end.outcome().map(|o| ("brownout.outcome", Value::Text(o.name().into())))
            }
            End::Left => Some(("brownout.abandoned", Value::Yes)),
            End::Open => Some(("brownout.unfinished", Value::Yes)),
            End::Over => None,
        };
        let mut before = "";
        for (key, value) in named.attributes.iter().chain(&ending) {
            self.raw(before);
            before = ",";
            self.attribute(key, value);
        }
        self.raw("]");
    }

    /// Zero is no id.
    fn span_id(&mut self, seed: u64, number: u32) {
        let id = mix(seed, self.places[number as usize]).max(1);
        let digits: [u8; 16] =
            std::array::from_fn(|at| b"0123456789abcdef"[(id >> (60 - 4 * at)) as usize & 15]);
        self.out.extend_from_slice(&digits);
    }

    fn events(&mut self, names: &Names, notes: &[&Note]) {
        let mut before = ",\"events\":[";
        for note in notes {
            self.raw(before);
            before = ",";
            self.raw("{\"timeUnixNano\":\"");
            self.number(note.at_ns);
            self.raw("\",\"name\":");
            self.text(&words::note(names, note));
            self.raw("}");
        }
        if !notes.is_empty() {
            self.raw("]");
        }
    }

    /// The status, if it is an error, and the end of a span.
    fn status(&mut self, span: &Span) {
        if let Some(outcome) = span.end.outcome().filter(|outcome| !outcome.is_success()) {
            self.raw(",\"status\":{\"code\":2,\"message\":");
            self.text(outcome.name());
            self.raw("}");
        }
        self.raw("}");
    }

    fn attribute(&mut self, key: &str, value: &Value) {
        self.raw("{\"key\":\"");
        self.raw(key);
        match value {
            Value::Text(text) => {
                self.raw("\",\"value\":{\"stringValue\":");
                self.text(text);
                self.raw("}}");
            }
            // As a string, as it has 64 bits.
            Value::Number(number) => {
                self.raw("\",\"value\":{\"intValue\":\"");
                self.number(*number);
                self.raw("\"}}");
            }
            Value::Yes => self.raw("\",\"value\":{\"boolValue\":true}}"),
        }
    }

    fn number(&mut self, number: u64) {
        self.json(&number);
    }

    /// A text in quotes.
    fn text(&mut self, text: &str) {
        if text.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\') {
            self.raw("\"");
            self.raw(text);
            self.raw("\"");
        } else {
            self.json(text);
        }
    }

    fn json<T: Serialize + ?Sized>(&mut self, value: &T) {
        if serde_json::to_writer(&mut self.out, value).is_err() {
            unreachable!("writing to memory succeeds");
        }
    }

    /// What is JSON already.
    #[inline]
    fn raw(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_as_serde_writes_them() {
        for text in ["plain", "", "a \"b\" \\c", "line\nbreak\u{1}", "é ▏\u{7f}"] {
            let mut lines = Lines::default();
            lines.text(text);
            assert_eq!(lines.out, serde_json::to_vec(text).unwrap());
        }
    }
}
