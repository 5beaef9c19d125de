//! Colors, dashes and marks that can be told apart: by the color-blind, and in print without colors.
//!
//! Variants have the colors of Okabe and Ito ("Color Universal Design", 2008), each with a dash and a mark of its own;
//! outcomes have fixed colors of differing lightness.

use crate::base::Outcome;

/// A color: red, green, blue.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Color(pub u8, pub u8, pub u8);

/// Text and axes.
pub const INK: Color = Color(0x22, 0x22, 0x22);
/// Text of lesser weight.
pub const FAINT: Color = Color(0x55, 0x55, 0x55);
/// The paper.
pub const GROUND: Color = Color(0xff, 0xff, 0xff);
/// Grid lines.
pub const GRID: Color = Color(0xe2, 0xe2, 0xe2);
/// Periods in which something was wrong.
pub const SHADE: Color = Color(0xee, 0xee, 0xee);
/// The bar that names a fault.
pub const FAULT_BAR: Color = Color(0xcc, 0xcc, 0xcc);

impl Color {
    /// Mixed with white; 0 leaves it as it is and 100 makes it white.
    pub fn tint(self, percent: u8) -> Self {
        let mix = |part: u8| {
            let (part, percent) = (u32::from(part), u32::from(percent.min(100)));
            ((part * (100 - percent) + 255 * percent) / 100) as u8
        };
        Self(mix(self.0), mix(self.1), mix(self.2))
    }
}

/// How a line is interrupted.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Dash {
    /// Not at all.
    Solid,
    /// In strokes.
    Strokes,
    /// In dots.
    Dots,
    /// In strokes and dots.
    Mixed,
    /// In long strokes.
    Long,
}

impl Dash {
    /// Lengths in pixels: drawn, left out, drawn, …; empty for a line without interruptions.
    pub fn pattern(self) -> &'static [f64] {
        match self {
            Self::Solid => &[],
            Self::Strokes => &[10.0, 6.0],
            Self::Dots => &[2.5, 5.0],
            Self::Mixed => &[12.0, 5.0, 2.5, 5.0],
            Self::Long => &[22.0, 7.0],
        }
    }
}

/// How a line looks.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Stroke {
    /// Its color.
    pub color: Color,
    /// Its width in pixels.
    pub width: f64,
    /// Its dash.
    pub dash: Dash,
}

/// The shape of a point.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Mark {
    /// A disk.
    Circle,
    /// A square.
    Square,
    /// A triangle.
    Triangle,
    /// A square on its corner.
    Diamond,
    /// An x.
    Cross,
}

/// How a variant looks in every plot.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Look {
    /// Its line.
    pub stroke: Stroke,
    /// Its points.
    pub mark: Mark,
}

/// The look of a variant, by its place among the variants.
pub fn variant(index: usize) -> Look {
    const COLORS: [Color; 7] = [
        Color(0x00, 0x72, 0xb2),
        Color(0xd5, 0x5e, 0x00),
        Color(0x00, 0x9e, 0x73),
        Color(0xcc, 0x79, 0xa7),
        Color(0xe6, 0x9f, 0x00),
        Color(0x56, 0xb4, 0xe9),
        Color(0x40, 0x40, 0x40),
    ];
    const DASHES: [Dash; 5] = [Dash::Solid, Dash::Strokes, Dash::Mixed, Dash::Dots, Dash::Long];
    const MARKS: [Mark; 4] = [Mark::Circle, Mark::Square, Mark::Triangle, Mark::Diamond];
    let stroke =
        Stroke { color: COLORS[index % COLORS.len()], width: 3.0, dash: DASHES[index % DASHES.len()] };
    Look { stroke, mark: MARKS[index % MARKS.len()] }
}

/// The color of an outcome: calm where all is well, dark where nothing was there.
pub fn outcome(outcome: Outcome) -> Color {
    match outcome {
        Outcome::Ok => Color(0xd3, 0xee, 0xdf),
        Outcome::Degraded => Color(0xec, 0xcc, 0x30),
        Outcome::Error => Color(0xc0, 0x40, 0x00),
        Outcome::Timeout => Color(0xe2, 0x8a, 0x1e),
        Outcome::Rejected => Color(0x4a, 0x86, 0xc5),
        Outcome::Unavailable => Color(0x6b, 0x1f, 0x4f),
        Outcome::Cancelled => Color(0xb4, 0xb4, 0xb4),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_can_be_told_apart_without_colors() {
        let light = |o: Outcome| {
            let Color(r, g, b) = outcome(o);
            (299 * i32::from(r) + 587 * i32::from(g) + 114 * i32::from(b)) / 1000
        };
        for pair in Outcome::ALL.windows(2) {
            let apart = (light(pair[0]) - light(pair[1])).abs();
            assert!(apart >= 25, "{pair:?} differ by {apart} of 255");
        }
    }
}
