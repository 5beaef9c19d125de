//! The blast radius as a matrix: what fails in rows, who suffers in columns, dark where much is lost.

use super::paint::text_width;
use super::palette::{Color, FAINT, GRID, INK};
use super::scene::{Align, Scene, Shape};
use crate::base::units::duration_text;
use crate::experiment::blast::{BlastResult, BlastVariant, Failure, Kind};
use crate::report::blast::{client_columns, component_columns, name, shown};

const MARGIN: f64 = 24.0;
const TITLE: f64 = 25.0;
const BODY: f64 = 16.0;
const SMALL: f64 = 13.5;
const ROW: f64 = 34.0;
/// Rows and columns that can be read in one picture.
const ROWS_MAX: usize = 36;
const COLUMNS_MAX: usize = 24;

/// What is lost, from light to dark: three colors of one hue that differ in lightness first.
const LIGHT: Color = Color(0xfd, 0xf3, 0xe4);
const MIDDLE: Color = Color(0xe8, 0x8a, 0x4c);
const DARK: Color = Color(0x8c, 0x1d, 0x18);
/// What was struck.
const STRUCK: Color = Color(0x55, 0x55, 0x55);

struct Page {
    shapes: Vec<Shape>,
}

impl Page {
    fn text(&mut self, at: (f64, f64), text: &str, size: f64, align: Align, color: Color) {
        self.shapes.push(Shape::Text { at, text: text.to_string(), size, align, color });
    }

    fn rect(&mut self, from: (f64, f64), to: (f64, f64), color: Color) {
        self.shapes.push(Shape::Rect { from, to, color });
    }
}

/// A text cut to a width, with an ellipsis where it is.
fn fit(text: &str, size: f64, room: f64) -> String {
    if text_width(text, size) <= room {
        return text.to_string();
    }
    let mut cut: String = text.to_string();
    while cut.pop().is_some() {
        let with = format!("{cut}…");
        if text_width(&with, size) <= room {
            return with;
        }
    }
    String::new()
}

/// The color of a share from 0 to 1.
fn shade(share: f64) -> Color {
    let share = share.clamp(0.0, 1.0);
    let (from, to, at) = match share < 0.5 {
        true => (LIGHT, MIDDLE, share * 2.0),
        false => (MIDDLE, DARK, share * 2.0 - 1.0),
    };
    let mix = |a: u8, b: u8| (f64::from(a) + (f64::from(b) - f64::from(a)) * at).round() as u8;
    Color(mix(from.0, to.0), mix(from.1, to.1), mix(from.2, to.2))
}

/// A cell: what it says, its color and that of its text.
struct Cell {
    text: String,
    color: Color,
    ink: Color,
}

fn cell(variant: &BlastVariant, failure: &Failure, at: usize) -> Cell {
    let suffered = &failure.suffered[at];
    if suffered.is_struck {
        return Cell { text: "struck".into(), color: STRUCK, ink: Color(0xff, 0xff, 0xff) };
    }
    let share = match variant.sufferers[at].kind.is_client() {
        true => suffered.lost,
        false => suffered.errors,
    };
    let share = share.map_or(0.0, |e| e.mean);
    let is_full = suffered.is_full && suffered.fell.share >= 0.5;
    if share < 0.005 {
        let (text, color) = if is_full { ("full", MIDDLE.tint(55)) } else { ("", Color(0xf7, 0xf7, 0xf7)) };
        return Cell { text: text.into(), color, ink: INK };
    }
    let percent =
        if share < 0.0995 { format!("{:.1}", share * 100.0) } else { format!("{:.0}", share * 100.0) };
    let text = if is_full { format!("{percent} full") } else { percent };
    let ink = if share > 0.62 { Color(0xff, 0xff, 0xff) } else { INK };
    Cell { text, color: shade(share), ink }
}

/// The picture, if anything failed.
pub fn scene(result: &BlastResult) -> Option<Scene> {
    let mut page = Page { shapes: Vec::new() };
    let rows = || result.variants.iter().flat_map(|v| shown(v).into_iter().take(ROWS_MAX));
    let label_width = rows().map(|f| text_width(&f.label, BODY)).reduce(f64::max)?.min(420.0);
    let left = MARGIN + label_width + 14.0;
    let first = result.variants.first()?;
    let (clients, components) = (client_columns(first), component_columns(first));
    let columns = (clients.len() + components.len()).min(COLUMNS_MAX);
    let back = 110.0;
    let width = (1200.0 - left - back - MARGIN) / columns as f64;
    let width = width.clamp(52.0, 118.0);
    let right = left + width * columns as f64;
    let total = (right + back + MARGIN).max(880.0);
    let mut y = MARGIN + TITLE * 0.8;
    page.text((MARGIN, y), "If this fails, who suffers?", TITLE, Align::Left, INK);
    y += 26.0;
    let lasts = duration_text(result.end_s - result.start_s);
    let runs = if result.runs == 1 { "one run".into() } else { format!("mean of {} runs", result.runs) };
    let subtitle = format!(
        "{}: per cent of goodput that clients lose, and of errors that components get in addition, while it lasts \
         ({lasts}); {runs}",
        result.name
    );
    page.text(
        (MARGIN, y),
        &fit(&subtitle, SMALL + 1.0, total - 2.0 * MARGIN),
        SMALL + 1.0,
        Align::Left,
        FAINT,
    );
    y += 18.0;
    for variant in &result.variants {
        if result.variants.len() > 1 {
            y += 30.0;
            page.text((MARGIN, y), &variant.name, BODY + 3.0, Align::Left, INK);
        }
        y = matrix(&mut page, variant, (left, width, columns), y);
    }
    y = legend(&mut page, left, y + 30.0);
    Some(Scene {
        title: format!("If this fails, who suffers? {}", result.name),
        width: total.ceil() as u32,
        height: (y + MARGIN).ceil() as u32,
        shapes: page.shapes,
    })
}

/// The matrix of one variant below `y`; returns where it ends.
fn matrix(page: &mut Page, variant: &BlastVariant, (left, width, columns): (f64, f64, usize), y: f64) -> f64 {
    let (clients, components) = (client_columns(variant), component_columns(variant));
    let all: Vec<usize> = clients.iter().chain(&components).copied().take(columns).collect();
    // Narrow columns have their names in steps, so that neighbours do not touch.
    let names: Vec<String> = all.iter().map(|at| name(variant, *at)).collect();
    let widest = names.iter().map(|n| text_width(n, SMALL)).fold(0.0, f64::max);
    let steps = (widest / (width - 6.0)).ceil().clamp(1.0, 4.0) as usize;
    let mut y = y + 26.0;
    let middle = |from: usize, to: usize| left + width * (from + to) as f64 / 2.0;
    let shown_clients = clients.len().min(columns);
    page.text((middle(0, shown_clients), y), "clients: goodput lost", SMALL, Align::Center, FAINT);
    if columns > clients.len() {
        let at = middle(clients.len(), columns);
        page.text((at, y), "components: errors in addition", SMALL, Align::Center, FAINT);
    }
    y += 20.0;
    for (column, text) in names.iter().enumerate() {
        let room = width * steps as f64 - 6.0;
        let at = (left + width * (column as f64 + 0.5), y + 17.0 * (column % steps) as f64);
        let is_whole = variant.sufferers[all[column]].kind == Kind::Clients;
        page.text(at, &fit(text, SMALL, room), SMALL, Align::Center, if is_whole { INK } else { FAINT });
    }
    y += 17.0 * (steps - 1) as f64 + 8.0;
    let gap = |column: usize| if column >= clients.len() && !clients.is_empty() { 6.0 } else { 0.0 };
    let last = left + width * columns as f64;
    page.text((last + 14.0 + gap(columns), y - 8.0), "recovered", SMALL, Align::Left, FAINT);
    let rows = shown(variant);
    for failure in rows.iter().take(ROWS_MAX) {
        let base = y + ROW * 0.5 + BODY * 0.36;
        page.text(
            (left - 12.0, base),
            &fit(&failure.label, BODY, left - MARGIN - 14.0),
            BODY,
            Align::Right,
            INK,
        );
        for (column, at) in all.iter().enumerate() {
            let cell = cell(variant, failure, *at);
            let x = left + width * column as f64 + gap(column);
            page.rect((x + 1.0, y + 1.0), (x + width - 1.0, y + ROW - 1.0), cell.color);
            let size = if cell.text.len() > 6 { SMALL - 1.5 } else { SMALL + 1.0 };
            page.text(
                (x + width / 2.0, base),
                &fit(&cell.text, size, width - 4.0),
                size,
                Align::Center,
                cell.ink,
            );
        }
        page.text((last + 14.0 + gap(columns), base), &back(failure), SMALL, Align::Left, INK);
        y += ROW;
    }
    if rows.len() > ROWS_MAX {
        let more = format!("{} more failures, less bad, are left out", rows.len() - ROWS_MAX);
        page.text((left, y + 16.0), &more, SMALL, Align::Left, FAINT);
        y += 22.0;
    }
    y
}

fn back(failure: &Failure) -> String {
    if failure.metastable.share >= 0.5 {
        return "metastable".to_string();
    }
    match failure.recover_s {
        Some(e) if failure.recovered.share == 1.0 && e.mean < 0.5 => "at once".to_string(),
        Some(e) if failure.recovered.share == 1.0 => duration_text(e.mean.round()),
        _ => format!("{} of {} runs", failure.recovered.successes, failure.recovered.runs),
    }
}

/// What the colors mean.
fn legend(page: &mut Page, left: f64, y: f64) -> f64 {
    let (steps, width) = (50, 4.0);
    for step in 0..steps {
        let x = left + width * f64::from(step);
        page.rect((x, y), (x + width + 1.0, y + 14.0), shade(f64::from(step) / f64::from(steps - 1)));
    }
    let end = left + width * f64::from(steps);
    page.rect((left, y + 16.0), (end, y + 17.0), GRID);
    for (at, text, align) in [(left, "0 %", Align::Left), (end, "100 %", Align::Right)] {
        page.text((at, y + 31.0), text, SMALL, align, FAINT);
    }
    let note = "full: no workers or no CPU left. Recovered: seconds from the start of the failure";
    page.text((end + 20.0, y + 12.0), note, SMALL, Align::Left, FAINT);
    y + 34.0
}
