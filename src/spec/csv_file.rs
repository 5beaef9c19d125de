//! Numbers from CSV files: samples, quantiles, arrival times, rates.

use super::decode::{Context, Decode};
use super::diagnostic::Diagnostic;
use super::node::Node;
use super::source::Spanned;
use std::path::PathBuf;

/// Reads `columns` columns of finite, non-negative numbers from the CSV file that `path` names, relative to the
/// folder of the file it is named in. One header line is allowed. Mistakes point at the path and name the line.
pub fn read_numbers(path: &Spanned<String>, columns: usize, cx: &mut Context) -> Option<Vec<Vec<f64>>> {
    let full =
        cx.folders.get(path.span.source as usize).cloned().unwrap_or_else(PathBuf::new).join(&path.value);
    let bytes = match cx.files.read(&full, u64::MAX) {
        Ok(bytes) => bytes,
        Err(error) => return cx.fail(path.span, format!("cannot read {}: {error}", full.display())),
    };
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .trim(csv::Trim::All)
        .flexible(true)
        .comment(Some(b'#'))
        .from_reader(&*bytes);
    let mut rows = Vec::new();
    for (index, record) in reader.records().enumerate() {
        let record = match record {
            Ok(record) => record,
            Err(error) => return cx.fail(path.span, format!("cannot read {}: {error}", full.display())),
        };
        let numbers: Option<Vec<f64>> = record
            .iter()
            .take(columns)
            .map(|field| field.parse::<f64>().ok().filter(|v| v.is_finite() && *v >= 0.0))
            .collect();
        match numbers {
            Some(numbers) if numbers.len() == columns => rows.push(numbers),
            _ if index == 0 => {} // a header
            _ => {
                let line = record.position().map_or(index as u64 + 1, csv::Position::line);
                cx.diagnostics.push(
                    Diagnostic::error(
                        path.span,
                        format!(
                            "line {line} of {} is not {}",
                            full.display(),
                            if columns == 1 { "a number" } else { "two numbers" }
                        ),
                    )
                    .help("each line holds finite numbers of zero or more, in seconds where they are times"),
                );
                return None;
            }
        }
    }
    if rows.is_empty() {
        return cx.fail(path.span, format!("{} holds no numbers", full.display()));
    }
    Some(rows)
}

/// A CSV file of moments, in seconds, in order.
#[derive(Clone, Debug)]
pub struct TimesFile(pub Vec<Vec<f64>>);

/// A CSV file of moments and rates, in order of time.
#[derive(Clone, Debug)]
pub struct RatesFile(pub Vec<Vec<f64>>);

/// A CSV file of weights, not all of them 0.
#[derive(Clone, Debug)]
pub struct WeightsFile(pub Vec<f64>);

impl Decode for WeightsFile {
    fn decode(node: &Node, cx: &mut Context) -> Option<Self> {
        let path = Spanned::<String>::decode(node, cx)?;
        let weights: Vec<f64> = read_numbers(&path, 1, cx)?.into_iter().map(|row| row[0]).collect();
        let sum: f64 = weights.iter().sum();
        if !(sum > 0.0 && sum.is_finite()) {
            return cx.fail(path.span, format!("the weights in {} add up to {sum}", path.value));
        }
        Some(Self(weights))
    }
    fn type_name() -> String {
        "file name".into()
    }
}

fn ordered(node: &Node, columns: usize, strictly: bool, cx: &mut Context) -> Option<Vec<Vec<f64>>> {
    let path = Spanned::<String>::decode(node, cx)?;
    let rows = read_numbers(&path, columns, cx)?;
    let falls = |pair: &[Vec<f64>]| pair[1][0] < pair[0][0] || strictly && pair[1][0] == pair[0][0];
    match rows.windows(2).position(falls) {
        Some(at) => {
            cx.fail(path.span, format!("{}: number {} is not later than the one before", path.value, at + 2))
        }
        None => Some(rows),
    }
}

impl Decode for TimesFile {
    fn decode(node: &Node, cx: &mut Context) -> Option<Self> {
        ordered(node, 1, false, cx).map(Self)
    }
    fn type_name() -> String {
        "file name".into()
    }
}

impl Decode for RatesFile {
    fn decode(node: &Node, cx: &mut Context) -> Option<Self> {
        let rows = ordered(node, 2, true, cx)?;
        if rows.iter().all(|row| row[1] <= 0.0) {
            return cx.fail(node.span, "all rates in this file are 0");
        }
        Some(Self(rows))
    }
    fn type_name() -> String {
        "file name".into()
    }
}
