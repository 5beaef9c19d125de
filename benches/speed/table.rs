//! The table: what was promised, what was measured, and whether it holds.

use std::fmt::Write as _;

/// What became of a row.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Holds,
    Missed,
    /// Nothing was promised of it.
    Told,
    /// It could not be played.
    Skipped,
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Self::Holds => "yes",
            Self::Missed => "NO",
            Self::Told => "",
            Self::Skipped => "skipped",
        }
    }
}

/// One line of the table.
pub struct Row {
    /// The group by which it is asked for.
    pub group: &'static str,
    pub what: String,
    pub target: String,
    pub measured: String,
    /// The number that is compared with the target.
    pub value: Option<f64>,
    pub verdict: Verdict,
}

impl Row {
    /// A number that must be at most so much.
    pub fn at_most(
        group: &'static str,
        what: &str,
        value: f64,
        limit: f64,
        unit: &str,
        measured: String,
    ) -> Self {
        Self::new(group, what, value, format!("at most {limit}{unit}"), value <= limit, measured)
    }

    /// A number that must be at least so much.
    pub fn at_least(
        group: &'static str,
        what: &str,
        value: f64,
        limit: f64,
        unit: &str,
        measured: String,
    ) -> Self {
        Self::new(group, what, value, format!("at least {limit}{unit}"), value >= limit, measured)
    }

    fn new(
        group: &'static str,
        what: &str,
        value: f64,
        target: String,
        holds: bool,
        measured: String,
    ) -> Self {
        let verdict = if holds { Verdict::Holds } else { Verdict::Missed };
        Self { group, what: what.into(), target, measured, value: Some(value), verdict }
    }

    /// A number of which nothing was promised.
    pub fn told(group: &'static str, what: &str, value: f64, measured: String) -> Self {
        let (target, verdict) = (String::new(), Verdict::Told);
        Self { group, what: what.into(), target, measured, value: Some(value), verdict }
    }

    /// What could not be played, and why.
    pub fn skipped(group: &'static str, what: &str, why: &str) -> Self {
        let (target, verdict) = (String::new(), Verdict::Skipped);
        Self {
            group,
            what: what.into(),
            target,
            measured: why.lines().next().unwrap_or("").into(),
            value: None,
            verdict,
        }
    }
}

/// As a line for people. Lines are printed as soon as they are known.
pub fn line(row: &Row) -> String {
    let Row { group, what, target, measured, verdict, .. } = row;
    format!("{group:9} {what:46} {measured:48} {target:24} {}", verdict.word())
}

/// The head of the table.
pub fn head() -> String {
    format!("{:9} {:46} {:48} {:24} {}", "group", "what", "measured", "target", "holds")
}

/// All rows as JSON.
pub fn json(rows: &[Row]) -> String {
    let mut text = String::from("[\n");
    for (at, row) in rows.iter().enumerate() {
        let object = serde_json::json!({
            "group": row.group,
            "what": row.what,
            "target": row.target,
            "measured": row.measured,
            "value": row.value,
            "verdict": match row.verdict {
                Verdict::Holds => "holds",
                Verdict::Missed => "missed",
                Verdict::Told => "told",
                Verdict::Skipped => "skipped",
            },
        });
        let _ = writeln!(text, "  {object}{}", if at + 1 < rows.len() { "," } else { "" });
    }
    text + "]"
}
