//! A figure in the units of its data: panels one below the other, each with axes, layers, a legend and its faults.

use super::axis::Axis;
use super::palette::{Color, Look, Mark, Stroke};
use super::series::Line;
use crate::experiment::results::{ExperimentResult, VariantResult};

/// Panels of a figure; what is beyond them is named in the subtitle and left out.
pub const PANELS_MAX: usize = 12;

/// A figure.
#[derive(Clone, PartialEq, Debug)]
pub struct Figure {
    /// What is seen.
    pub title: String,
    /// How to read it.
    pub subtitle: String,
    /// The panels, from top to bottom.
    pub panels: Vec<Panel>,
    /// What is along the axis below.
    pub x_title: String,
    /// Whether each panel has its labels below, or the last one for all.
    pub labels: Labels,
}

/// Which panels have labels below.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Labels {
    /// All.
    Each,
    /// The last one.
    Last,
}

/// A panel.
#[derive(Clone, PartialEq, Debug)]
pub struct Panel {
    /// What is seen in it.
    pub title: String,
    /// The color of its variant, if it is about one.
    pub color: Option<Color>,
    /// The legend.
    pub keys: Vec<Key>,
    /// What happened when.
    pub lanes: Vec<Lane>,
    /// Pixels from top to bottom of what the axes enclose.
    pub height: f64,
    /// The axis below.
    pub x: Axis,
    /// The axis at the left.
    pub y: Axis,
    /// What is drawn, from back to front.
    pub layers: Vec<Layer>,
    /// What is written in the middle of an empty panel.
    pub note: Option<String>,
}

/// An entry of a legend.
#[derive(Clone, PartialEq, Debug)]
pub struct Key {
    /// What it looks like.
    pub sign: Sign,
    /// What it means.
    pub text: String,
}

impl Key {
    /// An entry for a line.
    pub fn line(stroke: Stroke, text: impl Into<String>) -> Self {
        Self { sign: Sign::Line(stroke), text: text.into() }
    }

    /// An entry for an area.
    pub fn area(color: Color, text: impl Into<String>) -> Self {
        Self { sign: Sign::Area(color), text: text.into() }
    }

    /// An entry for a line with points.
    pub fn curve(look: Look, text: impl Into<String>) -> Self {
        Self { sign: Sign::Curve(look.stroke, look.mark), text: text.into() }
    }
}

/// What something looks like in a legend.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Sign {
    /// A line.
    Line(Stroke),
    /// A line with points.
    Curve(Stroke, Mark),
    /// An area.
    Area(Color),
    /// A point.
    Mark(Mark, Color),
    /// An area with strokes over it.
    Hatched(Color),
}

/// A period that is named above the panel.
#[derive(Clone, PartialEq, Debug)]
pub struct Lane {
    /// Its name.
    pub label: String,
    /// Its beginning.
    pub from: f64,
    /// Its end.
    pub to: f64,
    /// Whether the panel is shaded behind it.
    pub shaded: bool,
}

/// Something drawn in a panel, in the units of the data.
#[derive(Clone, PartialEq, Debug)]
pub enum Layer {
    /// A line.
    Line {
        /// Its points.
        points: Line,
        /// Its look.
        stroke: Stroke,
    },
    /// The area between two lines.
    Band {
        /// The upper line.
        upper: Line,
        /// The lower line.
        lower: Line,
        /// Its color.
        color: Color,
    },
    /// A moment, as a line from top to bottom that is seen on any color.
    Moment(f64),
    /// A stretch of the vertical axis.
    Stripe {
        /// Where it begins.
        from: f64,
        /// Where it ends.
        to: f64,
        /// Its color.
        color: Color,
    },
    /// A point.
    Point {
        /// Where.
        at: (f64, f64),
        /// Its shape.
        mark: Mark,
        /// Its color.
        color: Color,
        /// Half its size in pixels.
        radius: f64,
    },
    /// A text.
    Text {
        /// Its middle.
        at: (f64, f64),
        /// What it says, on one line.
        text: String,
        /// Pixels of an em.
        size: f64,
        /// Its color.
        color: Color,
    },
}

/// The warm-up and the faults of a variant.
pub fn lanes(result: &ExperimentResult, variant: &VariantResult) -> Vec<Lane> {
    let mut lanes = Vec::new();
    if result.warmup_s > 0.0 {
        let label = "warm-up".to_string();
        lanes.push(Lane { label, from: 0.0, to: result.warmup_s, shaded: false });
    }
    for fault in &variant.faults {
        let to = fault.end_s.unwrap_or(result.duration_s);
        lanes.push(Lane { label: fault.name.clone(), from: fault.start_s, to, shaded: true });
    }
    lanes
}

/// How the values of a series come about, for subtitles.
pub fn spread(result: &ExperimentResult) -> String {
    match result.runs {
        0 | 1 => "one run".to_string(),
        runs => format!("mean of {runs} runs, light band from the least to the greatest"),
    }
}

/// Cuts panels to [`PANELS_MAX`] and says so.
pub fn limited(mut figure: Figure) -> Figure {
    let beyond = figure.panels.len().saturating_sub(PANELS_MAX);
    if beyond > 0 {
        figure.panels.truncate(PANELS_MAX);
        figure.subtitle += &left_out(beyond);
    }
    figure
}

/// What the subtitle says about panels that are not there.
pub fn left_out(panels: usize) -> String {
    match panels {
        0 => String::new(),
        1 => " (1 more panel left out)".to_string(),
        _ => format!(" ({panels} more panels left out)"),
    }
}

/// The height of a panel in a figure of so many.
pub fn panel_height(panels: usize) -> f64 {
    match panels {
        0..=1 => 330.0,
        2..=3 => 230.0,
        _ => 190.0,
    }
}

/// How many points a line may have if there are so many of them: the whole picture stays within some 60,000.
pub fn points_max(lines: usize) -> usize {
    (60_000 / lines.max(1)).clamp(300, 2_000)
}
