//! A picture as a list of shapes in pixels, from back to front.

use super::palette::{Color, Mark, Stroke};

/// Where a text stands relative to its point.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Align {
    /// It begins there.
    Left,
    /// Its middle is there.
    Center,
    /// It ends there.
    Right,
}

/// Something to draw; pixels count from the upper left corner.
#[derive(Clone, PartialEq, Debug)]
pub enum Shape {
    /// A line through points.
    Line {
        /// The points.
        points: Vec<(f64, f64)>,
        /// Its look.
        stroke: Stroke,
    },
    /// What lies between two lines over the same stretch of x, both from left to right.
    Band {
        /// The upper line.
        upper: Vec<(f64, f64)>,
        /// The lower line.
        lower: Vec<(f64, f64)>,
        /// Its color.
        color: Color,
    },
    /// A filled rectangle.
    Rect {
        /// Left and top.
        from: (f64, f64),
        /// Right and bottom.
        to: (f64, f64),
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
        /// Half its size.
        radius: f64,
    },
    /// A text on one line.
    Text {
        /// Where its base line begins, has its middle or ends.
        at: (f64, f64),
        /// The text.
        text: String,
        /// Pixels of an em.
        size: f64,
        /// Which part of it is at the point.
        align: Align,
        /// Its color.
        color: Color,
    },
}

/// A picture.
#[derive(Clone, PartialEq, Debug)]
pub struct Scene {
    /// What it shows, for those who cannot see it.
    pub title: String,
    /// Its width in pixels.
    pub width: u32,
    /// Its height in pixels.
    pub height: u32,
    /// What is drawn, from back to front.
    pub shapes: Vec<Shape>,
}

/// The strokes of a dashed line: the line through `points` cut by a pattern of lengths drawn and left out.
pub fn dashes(points: &[(f64, f64)], pattern: &[f64]) -> Vec<Vec<(f64, f64)>> {
    let Some(&first) = points.first() else { return Vec::new() };
    if pattern.is_empty() {
        return vec![points.to_vec()];
    }
    let (mut strokes, mut stroke) = (Vec::new(), vec![first]);
    let (mut phase, mut left) = (0, pattern[0]);
    for pair in points.windows(2) {
        let (mut from, to) = (pair[0], pair[1]);
        let mut length = distance(from, to);
        while length > left {
            let share = left / length;
            from = (from.0 + (to.0 - from.0) * share, from.1 + (to.1 - from.1) * share);
            if phase % 2 == 0 {
                stroke.push(from);
                strokes.push(std::mem::take(&mut stroke));
            } else {
                stroke = vec![from];
            }
            length -= left;
            phase = (phase + 1) % pattern.len();
            left = pattern[phase];
        }
        left -= length;
        if phase % 2 == 0 {
            stroke.push(to);
        }
    }
    if stroke.len() > 1 {
        strokes.push(stroke);
    }
    strokes
}

fn distance(a: (f64, f64), b: (f64, f64)) -> f64 {
    ((a.0 - b.0) * (a.0 - b.0) + (a.1 - b.1) * (a.1 - b.1)).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dashes_follow_the_pattern_around_corners() {
        let line = [(0.0, 0.0), (6.0, 0.0), (6.0, 6.0)];
        let cut = dashes(&line, &[4.0, 1.0]);
        assert_eq!(cut[0], [(0.0, 0.0), (4.0, 0.0)]);
        assert_eq!(cut[1], [(5.0, 0.0), (6.0, 0.0), (6.0, 3.0)]);
        assert_eq!(cut[2], [(6.0, 4.0), (6.0, 6.0)]);
        assert_eq!(dashes(&line, &[]), [line.to_vec()]);
        assert!(dashes(&[], &[1.0, 1.0]).is_empty());
    }
}
