//! Aligned columns for people.

/// Widest cell of a grid, in characters; what is longer is cut.
const WIDEST: usize = 60;

/// Lines of cells under a heading, each column as wide as its widest cell. Columns for which `right` holds are
/// aligned to the right. Control characters are shown as blanks, so that a value cannot steer the terminal.
pub fn grid(heading: &[String], lines: &[Vec<String>], right: &dyn Fn(usize) -> bool) -> String {
    let lines: Vec<Vec<String>> = std::iter::once(heading.to_vec())
        .chain(lines.iter().cloned())
        .map(|line| line.iter().map(|cell| fit(cell)).collect())
        .collect();
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..heading.len()).map(width).collect();
    let mut out = String::new();
    for line in &lines {
        let mut text = String::new();
        for (column, (cell, width)) in line.iter().zip(&widths).enumerate() {
            let blanks = " ".repeat(width.saturating_sub(cell.chars().count()));
            let gap = if column == 0 { "" } else { "  " };
            let (before, after) = if right(column) { (blanks.as_str(), "") } else { ("", blanks.as_str()) };
            text.extend([gap, before, cell, after]);
        }
        out.push_str(text.trim_end());
        out.push('\n');
    }
    out
}

fn fit(cell: &str) -> String {
    let mut shown: String =
        cell.chars().take(WIDEST + 1).map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    if shown.chars().count() > WIDEST {
        shown = shown.chars().take(WIDEST - 1).collect();
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(cells: &[&str]) -> Vec<String> {
        cells.iter().map(|cell| (*cell).to_owned()).collect()
    }

    #[test]
    fn columns_are_aligned_and_lines_end_without_blanks() {
        let lines = [owned(&["river stone", "7", ""]), owned(&["é", "12345", "x"])];
        let text = grid(&owned(&["title", "id", "note"]), &lines, &|column| column == 1);
        assert_eq!(text, "title           id  note\nriver stone      7\né            12345  x\n");
    }

    #[test]
    fn long_and_steering_cells_are_tamed() {
        let text = grid(&owned(&["a"]), &[vec!["x".repeat(500)], owned(&["one\ntwo\x1b[2J"])], &|_| false);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[1].ends_with("x…") && lines[1].chars().count() == WIDEST);
        assert_eq!(lines[2], "one two [2J");
    }
}
