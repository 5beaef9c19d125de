//! A sweep as columns, for CSV and Parquet alike. Numbers are in base units.

use crate::experiment::results::Verdict;
use crate::experiment::sweep::{PointResult, SweepResult};
use crate::metrics::estimate::stable;

/// A column.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its values, one for each row.
    pub values: Values,
}

/// The values of a column.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Numbers, with twelve significant digits; `None` where there is none.
    Numbers(Vec<Option<f64>>),
    /// Whole numbers.
    Counts(Vec<u64>),
    /// Texts.
    Texts(Vec<String>),
    /// Yes or no.
    Flags(Vec<bool>),
}

fn column(name: impl Into<String>, values: Values) -> Column {
    Column { name: name.into(), values }
}

fn numbers(values: impl Iterator<Item = Option<f64>>) -> Values {
    // Adding zero turns a negative zero into a plain one.
    Values::Numbers(values.map(|v| v.filter(|v| v.is_finite()).map(|v| stable(v) + 0.0)).collect())
}

/// The settings of some points, one for each row.
fn settings(result: &SweepResult, points: &[&PointResult]) -> Vec<Column> {
    let of = |(at, setting): (usize, &crate::experiment::sweep::SettingResult)| {
        let values = points.iter().map(|p| &p.values[at]);
        let values = match setting.unit {
            Some(_) => numbers(values.map(|v| v.number)),
            None => Values::Texts(values.map(|v| v.text.clone()).collect()),
        };
        column(&setting.path, values)
    };
    result.settings.iter().enumerate().map(of).collect()
}

/// One row for each point: its number from 1, its settings, whether requests pile up, and of each measure the mean, the
/// ends of its 95 % confidence interval, the runs that have a value, and the verdict if it is compared with a limit.
pub fn points(result: &SweepResult) -> Vec<Column> {
    let points: Vec<&PointResult> = result.points.iter().collect();
    let mut columns = vec![column("point", Values::Counts((1..=points.len() as u64).collect()))];
    columns.extend(settings(result, &points));
    columns.push(column("overloaded", Values::Flags(points.iter().map(|p| p.overload.is_some()).collect())));
    for (at, measure) in result.measures.iter().enumerate() {
        let name = |what: &str| format!("{} {what}", measure.text);
        let found = || points.iter().map(|p| &p.measures[at]);
        columns.push(column(name("mean"), numbers(found().map(|m| m.value))));
        columns.push(column(name("lo"), numbers(found().map(|m| Some(m.ci95?.0)))));
        columns.push(column(name("hi"), numbers(found().map(|m| Some(m.ci95?.1)))));
        columns.push(column(name("runs"), Values::Counts(found().map(|m| m.runs as u64).collect())));
        if !measure.limits.is_empty() {
            let verdict = |v: Option<Verdict>| v.map_or("", Verdict::name).to_string();
            columns
                .push(column(name("verdict"), Values::Texts(found().map(|m| verdict(m.verdict)).collect())));
        }
    }
    columns
}

/// One row for each run of each point: the number of the point from 1, that of the run from 0 (run k of all points is
/// played on the same random numbers), the settings and the measures.
pub fn runs(result: &SweepResult) -> Vec<Column> {
    let runs = result.runs as usize;
    let rows: Vec<&PointResult> = result.points.iter().flat_map(|p| std::iter::repeat_n(p, runs)).collect();
    let number = |row: usize| (row / runs.max(1)) as u64 + 1;
    let mut columns = vec![
        column("point", Values::Counts((0..rows.len()).map(number).collect())),
        column("run", Values::Counts((0..rows.len()).map(|row| (row % runs.max(1)) as u64).collect())),
    ];
    columns.extend(settings(result, &rows));
    for (at, measure) in result.measures.iter().enumerate() {
        let values = result.points.iter().flat_map(|p| p.measures[at].per_run.iter().copied());
        columns.push(column(&measure.text, numbers(values)));
    }
    columns
}

/// Columns as CSV with a header; a cell is empty where there is no value.
pub fn csv(columns: &[Column]) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let rows = columns.first().map_or(0, |c| c.values.len());
    let mut write = || -> Result<(), csv::Error> {
        writer.write_record(columns.iter().map(|c| &c.name))?;
        for row in 0..rows {
            writer.write_record(columns.iter().map(|c| c.values.text(row)))?;
        }
        Ok(())
    };
    match (write(), writer.into_inner()) {
        (Ok(()), Ok(bytes)) => bytes,
        _ => unreachable!("writing to memory succeeds, and all rows are as long as the header"),
    }
}

impl Values {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Numbers(values) => values.len(),
            Self::Counts(values) => values.len(),
            Self::Texts(values) => values.len(),
            Self::Flags(values) => values.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn text(&self, row: usize) -> String {
        match self {
            Self::Numbers(values) => values[row].map_or_else(String::new, |v| v.to_string()),
            Self::Counts(values) => values[row].to_string(),
            Self::Texts(values) => values[row].clone(),
            Self::Flags(values) => values[row].to_string(),
        }
    }
}
