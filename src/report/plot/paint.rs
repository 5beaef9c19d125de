//! Scenes to SVG and PNG, by plotters.
//!
//! Both media get the same whole numbers of half pixels. The bitmap is drawn at twice its size and then reduced, which
//! smooths edges better than any drawing of lines does; the SVG says in its view box that its units are half pixels.

use super::palette::{Color, Mark, Stroke};
use super::scene::{Align, Scene, Shape, dashes};
use super::{Plot, PlotError};
use plotters::backend::{BitMapBackend, DrawingBackend, SVGBackend};
use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, DrawingAreaErrorKind, IntoDrawingArea};
use plotters::element::{Circle, PathElement, Polygon, Rectangle, Text};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{
    Color as _, FontStyle, IntoFont, RGBColor, ShapeStyle, TextStyle, register_font as register,
};
use std::sync::OnceLock;

/// The family under which the built-in font is known; in SVG it names whatever the reader's machine has.
const FAMILY: &str = "sans-serif";
/// DejaVu Sans, cut down to Latin, Greek, Cyrillic and some symbols. Its licence stands beside it.
static FONT: &[u8] = include_bytes!("../font/DejaVuSans-subset.ttf");
/// Pixels painted for each pixel of a scene.
const SCALE: u32 = 2;

/// Makes the built-in font known, once.
pub fn register_font() -> Result<(), PlotError> {
    static DONE: OnceLock<bool> = OnceLock::new();
    match DONE.get_or_init(|| register(FAMILY, FontStyle::Normal, FONT).is_ok()) {
        true => Ok(()),
        false => Err(PlotError::Font),
    }
}

/// How many pixels wide a text is.
pub fn text_width(text: &str, size: f64) -> f64 {
    // Measured large, as plotters answers in whole pixels.
    let font = (FAMILY, BITMAP.font_height * size * 16.0).into_font();
    let measured = register_font().ok().and_then(|()| font.layout_box(text).ok());
    match measured {
        Some(((left, _), (right, _))) => f64::from(right - left) / 16.0,
        None => text.chars().count() as f64 * size * 0.6,
    }
}

/// What differs between the media in how plotters takes texts and lines.
#[derive(Clone, Copy)]
struct Medium {
    /// Plotters' size of a font of one pixel.
    font_height: f64,
    /// How far plotters' upper edge of a text is above the base line, in ems.
    ascent: f64,
    /// Whether a line of many points can be left to the medium.
    joins_lines: bool,
}

/// SVG: plotters divides sizes by 1.24, and puts the base line 0.76 em below.
const SVG: Medium = Medium { font_height: 1.24, ascent: 0.76, joins_lines: true };
/// Bitmap: sizes are from ascent to descent, 1.164 em in DejaVu, and the base line is half of that below.
const BITMAP: Medium = Medium { font_height: 1.164, ascent: 0.582, joins_lines: false };

/// Paints a scene on both media.
pub fn plot(stem: &str, scene: &Scene) -> Result<Plot, PlotError> {
    register_font()?;
    let (width, height) = (scene.width * SCALE, scene.height * SCALE);
    let failed = |reason: String| PlotError::Drawing { plot: stem.to_string(), reason };
    let mut svg = String::new();
    paint(SVGBackend::with_string(&mut svg, (width, height)), scene, SVG).map_err(failed)?;
    let mut pixels = vec![0; (width * height * 3) as usize];
    paint(BitMapBackend::with_buffer(&mut pixels, (width, height)), scene, BITMAP).map_err(failed)?;
    let png = encode(&reduce(&pixels, scene.width, scene.height), scene.width, scene.height)?;
    Ok(Plot { file_stem: stem.to_string(), svg: with_head(&svg, scene), png })
}

/// The SVG with its size in pixels, half pixels as units, and a title.
fn with_head(svg: &str, scene: &Scene) -> String {
    let (width, height) = (scene.width, scene.height);
    let body = svg.split_once('>').map_or("", |(_, body)| body);
    let title = scene.title.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    format!(
        "<svg width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {} {}\" xmlns=\"http://www.w3.org/2000/svg\" \
         role=\"img\">\n<title>{title}</title>{body}",
        width * SCALE,
        height * SCALE
    )
}

/// A bitmap reduced to half its size: each pixel is the mean of four.
fn reduce(pixels: &[u8], width: u32, height: u32) -> Vec<u8> {
    let row = width as usize * 2 * 3;
    let mut reduced = vec![0; (width * height * 3) as usize];
    // Row by row in slices of known length, which compilers turn into wide instructions.
    for (rows, reduced) in pixels.chunks_exact(2 * row).zip(reduced.chunks_exact_mut(row / 2)) {
        let (upper, lower) = rows.split_at(row);
        let fours = upper.chunks_exact(6).zip(lower.chunks_exact(6));
        for ((upper, lower), reduced) in fours.zip(reduced.chunks_exact_mut(3)) {
            for part in 0..3 {
                let four = [upper[part], upper[part + 3], lower[part], lower[part + 3]];
                reduced[part] = ((four.into_iter().map(u16::from).sum::<u16>() + 2) / 4) as u8;
            }
        }
    }
    reduced
}

fn encode(pixels: &[u8], width: u32, height: u32) -> Result<Vec<u8>, png::EncodingError> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    // Large areas of one color and no photographs: without filters, which look at neighbouring pixels, a middling level
    // makes smaller files than filters and the highest level do, in a tenth of the time.
    encoder.set_compression(png::Compression::Balanced);
    encoder.set_filter(png::Filter::NoFilter);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(pixels)?;
    writer.finish()?;
    Ok(bytes)
}

/// What drawing on an area can answer.
type Drawn<DB> = Result<(), DrawingAreaErrorKind<<DB as DrawingBackend>::ErrorType>>;

fn paint<DB: DrawingBackend>(backend: DB, scene: &Scene, medium: Medium) -> Result<(), String> {
    let area = backend.into_drawing_area();
    let all = || -> Drawn<DB> {
        area.fill(&RGBColor(255, 255, 255))?;
        for shape in &scene.shapes {
            paint_shape(&area, shape, medium)?;
        }
        area.present()
    };
    all().map_err(|error| error.to_string())
}

fn rgb(color: Color) -> RGBColor {
    RGBColor(color.0, color.1, color.2)
}

/// A point in whole units of the medium.
fn pixel((x, y): (f64, f64)) -> (i32, i32) {
    ((x * f64::from(SCALE)).round() as i32, (y * f64::from(SCALE)).round() as i32)
}

fn pixels(points: &[(f64, f64)]) -> Vec<(i32, i32)> {
    let mut pixels: Vec<(i32, i32)> = points.iter().copied().map(pixel).collect();
    pixels.dedup();
    pixels
}

fn paint_shape<DB: DrawingBackend>(
    area: &DrawingArea<DB, Shift>,
    shape: &Shape,
    medium: Medium,
) -> Drawn<DB> {
    match shape {
        Shape::Line { points, stroke } => {
            for part in dashes(points, stroke.dash.pattern()) {
                paint_line(area, &pixels(&part), stroke, medium)?;
            }
            Ok(())
        }
        Shape::Band { upper, lower, color } => paint_band(area, upper, lower, *color, medium),
        Shape::Rect { from, to, color } => {
            let (from, mut to) = (pixel(*from), pixel(*to));
            if !medium.joins_lines {
                // A bitmap's rectangle includes its last row and column.
                to = (to.0 - 1, to.1 - 1);
            }
            area.draw(&Rectangle::new([from, to], rgb(*color).filled()))
        }
        Shape::Point { at, mark, color, radius } => paint_mark(area, *at, *mark, *color, *radius, medium),
        Shape::Text { at, text, size, align, color } => {
            let (size, color) = (size * f64::from(SCALE), rgb(*color));
            let h_pos = match align {
                Align::Left => HPos::Left,
                Align::Center => HPos::Center,
                Align::Right => HPos::Right,
            };
            let style = TextStyle::from((FAMILY, size * medium.font_height).into_font())
                .color(&color)
                .pos(Pos::new(h_pos, VPos::Top));
            let (x, y) = pixel(*at);
            area.draw(&Text::new(text.as_str(), (x, y - (medium.ascent * size).round() as i32), style))
        }
    }
}

/// A line without interruptions. Bitmaps get it piece by piece with disks at the joints: plotters' joined lines have
/// spikes where the line turns sharply.
fn paint_line<DB: DrawingBackend>(
    area: &DrawingArea<DB, Shift>,
    points: &[(i32, i32)],
    stroke: &Stroke,
    medium: Medium,
) -> Drawn<DB> {
    let width = (stroke.width * f64::from(SCALE)).round().max(1.0) as u32;
    let style = ShapeStyle { color: rgb(stroke.color).into(), filled: true, stroke_width: width };
    if medium.joins_lines {
        return area.draw(&PathElement::new(points.to_vec(), style));
    }
    for pair in points.windows(2) {
        area.draw(&PathElement::new(pair.to_vec(), style))?;
    }
    let inner = points.len().saturating_sub(2);
    for &joint in points.iter().skip(1).take(inner).filter(|_| width > 3) {
        area.draw(&Circle::new(joint, width / 2 - 1, style))?;
    }
    Ok(())
}

/// A band. Bitmaps get it column by column: plotters' polygons of thousands of corners have holes.
fn paint_band<DB: DrawingBackend>(
    area: &DrawingArea<DB, Shift>,
    upper: &[(f64, f64)],
    lower: &[(f64, f64)],
    color: Color,
    medium: Medium,
) -> Drawn<DB> {
    let (upper, lower) = (pixels(upper), pixels(lower));
    if medium.joins_lines {
        let corners: Vec<(i32, i32)> = upper.iter().chain(lower.iter().rev()).copied().collect();
        return area.draw(&Polygon::new(corners, rgb(color)));
    }
    let (Some(first), Some(last)) = (upper.first(), upper.last()) else { return Ok(()) };
    let (mut above, mut below) = (0, 0);
    for x in first.0..=last.0 {
        let (top, bottom) = (height_at(&upper, &mut above, x), height_at(&lower, &mut below, x));
        if bottom > top {
            area.draw(&PathElement::new(vec![(x, top), (x, bottom - 1)], rgb(color)))?;
        }
    }
    Ok(())
}

/// The height of a line at `x`; `at` remembers the piece of the line, as `x` only grows.
fn height_at(line: &[(i32, i32)], at: &mut usize, x: i32) -> i32 {
    while *at + 2 < line.len() && line[*at + 1].0 <= x {
        *at += 1;
    }
    let Some(&to) = line.get(*at + 1) else { return line[*at].1 };
    let from = line[*at];
    if to.0 <= from.0 || x >= to.0 {
        return to.1;
    }
    let share = f64::from(x - from.0) / f64::from(to.0 - from.0);
    (f64::from(from.1) + f64::from(to.1 - from.1) * share).round() as i32
}

fn paint_mark<DB: DrawingBackend>(
    area: &DrawingArea<DB, Shift>,
    (x, y): (f64, f64),
    mark: Mark,
    color: Color,
    radius: f64,
    medium: Medium,
) -> Drawn<DB> {
    let r = radius;
    let style = rgb(color).filled();
    match mark {
        Mark::Circle => {
            let radius = (r * f64::from(SCALE)).round() as i32;
            area.draw(&Circle::new(pixel((x, y)), radius, style))
        }
        Mark::Square => {
            let r = r * 0.9;
            area.draw(&Rectangle::new([pixel((x - r, y - r)), pixel((x + r, y + r))], style))
        }
        Mark::Triangle => {
            let corners = [(x, y - 1.2 * r), (x + 1.1 * r, y + 0.8 * r), (x - 1.1 * r, y + 0.8 * r)];
            area.draw(&Polygon::new(pixels(&corners), rgb(color)))
        }
        Mark::Diamond => {
            let d = 1.25 * r;
            let corners = [(x, y - d), (x + d, y), (x, y + d), (x - d, y)];
            area.draw(&Polygon::new(pixels(&corners), rgb(color)))
        }
        Mark::Cross => {
            let stroke = Stroke { color, width: 2.5, dash: super::palette::Dash::Solid };
            for ends in [[(x - r, y - r), (x + r, y + r)], [(x - r, y + r), (x + r, y - r)]] {
                paint_line(area, &pixels(&ends), &stroke, medium)?;
            }
            Ok(())
        }
    }
}
