//! Numbers from CSV files: samples, quantiles, arrival times, rates.

use super::decode::Context;
use super::diagnostic::Diagnostic;
use super::source::Spanned;
use std::path::PathBuf;

/// Reads `columns` columns of finite, non-negative numbers from the CSV file that `path` names, relative to the
/// folder of the file it is named in. One header line is allowed. Mistakes point at the path and name the line.
pub fn read_numbers(path: &Spanned<String>, columns: usize, cx: &mut Context) -> Option<Vec<Vec<f64>>> {
    let full = cx.folders.get(path.span.source as usize).cloned().unwrap_or_else(PathBuf::new).join(&path.value);
    let mut reader = match csv::ReaderBuilder::new()
        .has_headers(false)
        .trim(csv::Trim::All)
        .flexible(true)
        .comment(Some(b'#'))
        .from_path(&full)
    {
        Ok(reader) => reader,
        Err(error) => return cx.fail(path.span, format!("cannot read {}: {error}", full.display())),
    };
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
                        format!("line {line} of {} is not {columns} numbers", full.display()),
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
