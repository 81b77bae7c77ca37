//! Aligned columns for people.

use super::glyphs::{tame, width_of};

/// Widest cell of a grid, in characters; what is longer is cut.
const WIDEST: usize = 60;

/// How a cell stands out on a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    /// As the rest.
    Plain,
    /// Dimmed: headings.
    Faint,
    /// Green: as it should be.
    Good,
    /// Yellow: not as usual, and somebody wanted it so or it passes.
    Unusual,
    /// Red: somebody must look.
    Bad,
}

impl Paint {
    /// `text` with the codes of this paint around it.
    pub fn on(self, text: &str) -> String {
        let code = match self {
            Self::Plain => return text.to_owned(),
            Self::Faint => 2,
            Self::Good => 32,
            Self::Unusual => 33,
            Self::Bad => 31,
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

/// One cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    text: String,
    paint: Paint,
}

impl Cell {
    /// A painted cell.
    pub fn new(text: impl Into<String>, paint: Paint) -> Self {
        Self { text: text.into(), paint }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::new(text, Paint::Plain)
    }
}

/// Lines of cells under a heading, each column as wide as its widest cell. Columns for which `right` holds are
/// aligned to the right. Control characters are shown as blanks, so that a value cannot steer the terminal.
pub fn grid(heading: &[&str], lines: &[Vec<Cell>], right: &dyn Fn(usize) -> bool) -> String {
    let heading = heading.iter().map(|name| Cell::new(*name, Paint::Plain)).collect();
    align(std::iter::once(&heading).chain(lines), right, false)
}

/// The same with colours, where they are wanted.
pub fn painted_grid(heading: &[&str], lines: &[Vec<Cell>], right: &dyn Fn(usize) -> bool, colours: bool) -> String {
    let heading = heading.iter().map(|name| Cell::new(*name, Paint::Faint)).collect();
    align(std::iter::once(&heading).chain(lines), right, colours)
}

fn align<'a>(
    lines: impl Iterator<Item = &'a Vec<Cell>> + Clone,
    right: &dyn Fn(usize) -> bool,
    colours: bool,
) -> String {
    let lines: Vec<Vec<Cell>> = lines.map(|line| line.iter().map(fit).collect()).collect();
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        cells.map(|cell| width_of(&cell.text)).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut out = String::new();
    for line in &lines {
        let mut text = String::new();
        for (column, (cell, width)) in line.iter().zip(&widths).enumerate() {
            let blanks = " ".repeat(width.saturating_sub(width_of(&cell.text)));
            let gap = if column == 0 { "" } else { "  " };
            let (before, after) = if right(column) { (blanks.as_str(), "") } else { ("", blanks.as_str()) };
            let shown = if colours { cell.paint.on(&cell.text) } else { cell.text.clone() };
            text.extend([gap, before, &shown, after]);
        }
        out.push_str(text.trim_end());
        out.push('\n');
    }
    out
}

fn fit(cell: &Cell) -> Cell {
    let letters = cell.text.chars().take(WIDEST + 1);
    let mut shown: String = letters.map(|letter| if letter.is_control() { ' ' } else { tame(letter) }).collect();
    if shown.chars().count() > WIDEST {
        shown = shown.chars().take(WIDEST - 1).collect();
        shown.push('…');
    }
    Cell::new(shown, cell.paint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(cells: &[&str]) -> Vec<Cell> {
        cells.iter().map(|cell| Cell::from(*cell)).collect()
    }

    #[test]
    fn columns_are_aligned_and_lines_end_without_blanks() {
        let lines = [line(&["river stone", "7", ""]), line(&["é", "12345", "x"])];
        let text = grid(&["title", "id", "note"], &lines, &|column| column == 1);
        assert_eq!(text, "title           id  note\nriver stone      7\né            12345  x\n");
    }

    #[test]
    fn long_and_steering_cells_are_tamed() {
        let text = grid(&["a"], &[vec!["x".repeat(500).into()], line(&["one\ntwo\x1b[2J"])], &|_| false);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[1].ends_with("x…") && lines[1].chars().count() == WIDEST);
        assert_eq!(lines[2], "one two [2J");
    }

    #[test]
    fn colours_do_not_disturb_the_columns() {
        let lines = [vec![Cell::new("halted", Paint::Bad), "1".into()], line(&["ok", "2"])];
        let text = painted_grid(&["state", "n"], &lines, &|_| false, true);
        assert_eq!(text, "\x1b[2mstate\x1b[0m   \x1b[2mn\x1b[0m\n\x1b[31mhalted\x1b[0m  1\nok      2\n");
        let plain = painted_grid(&["state", "n"], &lines, &|_| false, false);
        assert!(!plain.contains('\x1b'));
    }
}
