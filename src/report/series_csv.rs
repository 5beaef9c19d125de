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
    if value.fract() == 0.0 && value.abs() < 1e6 {
        return (value as i64).to_string();
    }
    let scientific = format!("{value:.5e}");
    let Some((digits, exponent)) = scientific.split_once('e') else { return scientific };
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |digits| ("-", digits));
    let digits = digits.trim_end_matches('0').trim_end_matches('.');
    let Ok(exponent @ -5..15) = exponent.parse::<i32>() else { return format!("{sign}{digits}e{exponent}") };
    place_point(sign, &digits.replace('.', ""), exponent)
}

/// A number of at most six digits, with the point where it belongs: `exponent` places behind the first digit.
fn place_point(sign: &str, digits: &str, exponent: i32) -> String {
    const ZEROS: &str = "00000000000000";
    let whole = (exponent + 1).max(0) as usize;
    match (exponent < 0, digits.len() <= whole) {
        (true, _) => [sign, "0.", &ZEROS[..(-1 - exponent) as usize], digits].concat(),
        (false, true) => [sign, digits, &ZEROS[..whole - digits.len()]].concat(),
        (false, false) => [sign, &digits[..whole], ".", &digits[whole..]].concat(),
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
    fn numbers_are_those_of_the_standard_library() {
        let mut bits = 1_u64;
        for round in 0..20_000 {
            bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let share = (bits >> 11) as f64 / (1_u64 << 53) as f64 - 0.5;
            let value = match round % 3 {
                // All sizes, those of metrics, and short ones.
                0 => f64::from_bits(bits),
                1 => share * 10_f64.powi((bits % 24) as i32 - 8),
                _ => (share * 1e4).round() / 10_f64.powi((bits % 7) as i32),
            };
            if !value.is_finite() || value == 0.0 {
                continue;
            }
            let rounded: f64 = format!("{value:.5e}").parse().unwrap();
            let expected = match rounded.abs() {
                1e-5..1e15 => format!("{rounded}"),
                _ => format!("{rounded:e}"),
            };
            assert_eq!(short(value), expected, "{value:e}");
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
