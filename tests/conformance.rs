//! The components against recordings of the real things.
//!
//! A recording says, line by line, what happened to a real component and what it did then. A test tells ours the
//! same and compares what it does, on every line. One module per product; the recordings lie beside it.

mod balancing;
mod botocore;
mod concurrency_limits;
mod envoy;
mod envoy_circuit_breakers;
mod haproxy;
mod hpa;
mod nginx;
mod opossum;
mod resilience4j;
mod sequelize_pool;

use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;

/// A recording: a name, a first line that says how it was made, and the lines that follow.
struct Recording {
    name: String,
    header: Value,
    lines: Vec<Value>,
}

/// All recordings `tests/conformance/<product>/*.jsonl.gz`, by name.
fn recordings(product: &str) -> Vec<Recording> {
    files(product, ".jsonl.gz").iter().map(|path| read(path)).collect()
}

/// All recordings of one format (the `format` of their first lines), of a product that has several.
#[allow(dead_code, reason = "for products with several formats")]
fn recordings_in(product: &str, format: &str) -> Vec<Recording> {
    let mut recordings = recordings(product);
    recordings.retain(|recording| recording.header["format"] == format);
    assert!(!recordings.is_empty(), "no recordings of {product} in {format}");
    recordings
}

/// All documents `tests/conformance/<product>/*.json`, by name.
#[allow(dead_code, reason = "for products whose recordings are documents")]
fn documents(product: &str) -> Vec<(String, Value)> {
    let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    let value = |path: &Path| serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    files(product, ".json").iter().map(|path| (name(path), value(path))).collect()
}

fn files(product: &str, ending: &str) -> Vec<std::path::PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance").join(product);
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.to_string_lossy().ends_with(ending));
    paths.sort();
    assert!(!paths.is_empty(), "no recordings of {product}");
    paths
}

fn read(path: &Path) -> Recording {
    let text = BufReader::new(flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap()));
    let mut lines = text.lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap());
    let header = lines.next().unwrap();
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    Recording { name, header, lines: lines.collect() }
}

/// Says how much was compared, past the capture of the test harness.
fn report(component: &str, recordings: usize, steps: usize, deviations: usize) {
    let line =
        format!("{component}: {steps} steps of {recordings} recordings compared, {deviations} deviate\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}
