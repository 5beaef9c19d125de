//! Tables with one column for each variant, split into several where the width does not suffice.

use comfy_table::{CellAlignment, LineStyle, Table, TableStyle};

/// A row of a table.
pub struct Row {
    /// What stands at the left.
    pub label: String,
    /// One cell for each variant; none in a row that heads those below it.
    pub cells: Vec<String>,
}

/// Columns between two columns.
const GAP: usize = 2;

/// The table, in as many parts as it takes to stay within the width.
pub fn render(variants: &[&str], rows: &[Row], width: usize) -> String {
    let first = rows.iter().map(|row| text_width(&row.label)).max().unwrap_or(0);
    let widths: Vec<usize> = (0..variants.len()).map(|at| column_width(variants, rows, at)).collect();
    let mut text = String::new();
    let mut begin = 0;
    while begin < variants.len() {
        let end = fitting(&widths, begin, width.saturating_sub(GAP + first));
        if begin > 0 {
            text.push('\n');
        }
        text.push_str(&part(variants, rows, begin..end));
        begin = end;
    }
    text
}

/// The end of the columns from `begin` on that fit side by side; one does in any case.
fn fitting(widths: &[usize], begin: usize, room: usize) -> usize {
    let mut used = 0;
    for (at, width) in widths.iter().enumerate().skip(begin) {
        used += width + GAP;
        if used > room && at > begin {
            return at;
        }
    }
    widths.len()
}

fn column_width(variants: &[&str], rows: &[Row], at: usize) -> usize {
    let cells = rows.iter().filter_map(|row| row.cells.get(at)).map(|cell| text_width(cell));
    cells.chain([text_width(variants[at])]).max().unwrap_or(0)
}

/// The width of the widest line.
fn text_width(text: &str) -> usize {
    text.lines().map(|line| line.chars().count()).max().unwrap_or(0)
}

fn part(variants: &[&str], rows: &[Row], columns: std::ops::Range<usize>) -> String {
    let mut table = Table::new();
    table.load_style(TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─')));
    let header = [""].into_iter().chain(variants[columns.clone()].iter().copied());
    table.set_header(header.map(str::to_string).collect::<Vec<_>>());
    for row in rows {
        let cells = columns.clone().map(|at| row.cells.get(at).cloned().unwrap_or_default());
        table.add_row([row.label.clone()].into_iter().chain(cells).collect::<Vec<_>>());
    }
    for (at, column) in table.column_iter_mut().enumerate() {
        column.set_padding((if at == 0 { 2 } else { GAP as u16 }, 0));
        if at > 0 {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_string()).collect();
    lines.join("\n") + "\n"
}
