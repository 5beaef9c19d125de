//! The series for spreadsheets and notebooks: one row for each variant and window, one column for each metric.
//!
//! Values are means over runs, with six significant digits; a cell is empty where there is no value. Variants may
//! differ in their metrics (a breaker that only one of them has): the columns are those of all.

use crate::experiment::results::{ExperimentResult, SeriesColumn, VariantResult};
use std::collections::BTreeSet;

/// The series of all variants as CSV.
pub fn write(result: &ExperimentResult) -> Vec<u8> {
    let paths: BTreeSet<&str> =
        result.variants.iter().flat_map(|v| v.series.columns.iter().map(|c| c.path.as_str())).collect();
    let mut writer = csv::Writer::from_writer(Vec::new());
    let written = rows(&mut writer, result, &paths);
    match (written, writer.into_inner()) {
        (Ok(()), Ok(bytes)) => bytes,
        _ => unreachable!("writing to memory succeeds, and all rows are as long as the header"),
    }
}

fn rows(
    writer: &mut csv::Writer<Vec<u8>>,
    result: &ExperimentResult,
    paths: &BTreeSet<&str>,
) -> Result<(), csv::Error> {
    writer.write_record(["variant", "time_s"].iter().chain(paths.iter()))?;
    for variant in &result.variants {
        variant_rows(writer, variant, paths)?;
    }
    Ok(())
}

fn variant_rows(
    writer: &mut csv::Writer<Vec<u8>>,
    variant: &VariantResult,
    paths: &BTreeSet<&str>,
) -> Result<(), csv::Error> {
    let columns: Vec<Option<&SeriesColumn>> = paths.iter().map(|path| variant.series.column(path)).collect();
    for (row, &time) in variant.series.times_s.iter().enumerate() {
        writer.write_field(&variant.name)?;
        writer.write_field(short(time))?;
        for column in &columns {
            let value = column.and_then(|c| c.mean.get(row)).copied().unwrap_or(f64::NAN);
            writer.write_field(short(value))?;
        }
        writer.write_record(None::<&[u8]>)?;
    }
    Ok(())
}

/// Six significant digits, as short as it gets; nothing for what is not finite.
fn short(value: f64) -> String {
    if !value.is_finite() {
        return String::new();
    }
    if value == 0.0 {
        return "0".to_string();
    }
    let rounded: f64 = format!("{value:.5e}").parse().unwrap_or(value);
    match rounded.abs() {
        1e-5..1e15 => format!("{rounded}"),
        _ => format!("{rounded:e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    #[test]
    fn numbers_are_short() {
        let table = [
            (0.0, "0"),
            (-0.0, "0"),
            (1200.0, "1200"),
            (0.187_123_456, "0.187123"),
            (1_234_567.0, "1234570"),
            (2.5e-9, "2.5e-9"),
            (1e20, "1e20"),
            (f64::NAN, ""),
            (f64::INFINITY, ""),
        ];
        for (value, text) in table {
            assert_eq!(short(value), text);
        }
    }

    #[test]
    fn a_tiny_table() {
        let text = String::from_utf8(write(&fixture::tiny())).unwrap();
        assert_eq!(
            text,
            "variant,time_s,clients.users.latency.p99,clients.users.rate\nbase,1,,0\nbase,2,0.25,10\n"
        );
    }

    #[test]
    fn all_rows_are_as_long_as_the_header() {
        let bytes = write(&fixture::incident());
        let mut reader = csv::Reader::from_reader(bytes.as_slice());
        let header = reader.headers().unwrap().clone();
        assert_eq!((&header[0], &header[1]), ("variant", "time_s"));
        let rows: Vec<csv::StringRecord> = reader.records().collect::<Result<_, _>>().unwrap();
        assert_eq!(rows.len(), 3 * 1800);
        // Only one variant has a breaker.
        let breaker = header.iter().position(|h| h.ends_with("breaker.open")).unwrap();
        assert!(rows.iter().any(|r| r[breaker].is_empty()) && rows.iter().any(|r| !r[breaker].is_empty()));
    }
}
