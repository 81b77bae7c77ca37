//! A line of a message with a caret under a place in it.

use std::io::{self, Write};

use crate::app::glyphs::{tame, width, width_of};
use crate::app::grid::Paint;
use crate::flow::parse::Excerpt;

/// Columns of a terminal that the piece of the line may take.
const WIDEST: usize = 70;
/// Columns of it that stand before the place, where there are that many.
const BEFORE: usize = 45;
/// What a tab is shown as: it would be as wide as the terminal likes.
const TAB: &str = "    ";

/// Writes the piece of the line around a place, and below it the caret. Nothing for an empty line.
///
/// # Errors
///
/// What `out` says.
pub(super) fn write(excerpt: &Excerpt, line: u64, colours: bool, out: &mut dyn Write) -> io::Result<()> {
    let Piece { text, caret } = piece(excerpt);
    if text.is_empty() {
        return Ok(());
    }
    let paint = |paint: Paint, text: &str| if colours { paint.on(text) } else { text.to_owned() };
    let number = format!("{line:>4} |");
    let margin = format!("{:>width$}", "|", width = number.len());
    writeln!(out, "{} {text}", paint(Paint::Faint, &number))?;
    writeln!(out, "{} {}{}", paint(Paint::Faint, &margin), " ".repeat(caret), paint(Paint::Bad, "^"))
}

/// What is shown of a line, and how many columns stand before the place.
#[derive(Debug, PartialEq, Eq)]
struct Piece {
    text: String,
    caret: usize,
}

fn piece(excerpt: &Excerpt) -> Piece {
    let (before, after) = (visible(&excerpt.before), visible(&excerpt.after));
    let is_short = width_of(&before) + width_of(&after) <= WIDEST;
    let has_all = excerpt.column == excerpt.before.chars().count() as u64 + 1;
    let mut text = match has_all && (is_short || width_of(&before) <= BEFORE) {
        true => before,
        false => format!("…{}", tail(&before, BEFORE - 1)),
    };
    let caret = width_of(&text);
    let room = WIDEST - caret.min(WIDEST);
    if width_of(&after) <= room && !excerpt.is_cut {
        text.push_str(&after);
    } else {
        text.extend(head(&after, room.saturating_sub(1)).chars().chain(['…']));
    }
    Piece { text: text.trim_end().to_owned(), caret }
}

fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\t' => shown.push_str(TAB),
            other => shown.push(tame(other)),
        }
    }
    shown
}

/// As much of the beginning as fits.
fn head(text: &str, room: usize) -> &str {
    let mut used = 0;
    let end = text.char_indices().find(|(_, character)| {
        used += width(*character);
        used > room
    });
    &text[..end.map_or(text.len(), |(end, _)| end)]
}

/// As much of the end as fits.
fn tail(text: &str, room: usize) -> &str {
    let mut used = 0;
    let start = text.char_indices().rev().find(|(_, character)| {
        used += width(*character);
        used > room
    });
    &text[start.map_or(0, |(at, character)| at + character.len_utf8())..]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::parse::excerpts;

    fn shown(payload: &str, at: &str) -> (String, usize) {
        let offset = payload.find(at).unwrap() as u64;
        let Piece { text, caret } = piece(&excerpts(payload.as_bytes(), &[offset]).remove(0));
        (text, caret)
    }

    /// What stands above the caret.
    fn above(payload: &str, at: &str) -> char {
        let (text, caret) = shown(payload, at);
        let mut column = 0;
        let above = text.chars().find(|character| {
            column += width(*character);
            column > caret
        });
        above.unwrap_or(' ')
    }

    #[test]
    fn the_caret_is_under_the_place() {
        assert_eq!(shown("<a>\n  <b>x</b>", "x"), ("  <b>x</b>".to_owned(), 5));
        assert_eq!(shown("\t<b>x</b>\r\n", "x"), ("    <b>x</b>".to_owned(), 7));
        assert_eq!(above("<a>漢字é</a>!x", "!"), '!');
        assert_eq!(above("<a>e\u{301}</a>\u{1b}!x", "!"), '!');
    }

    #[test]
    fn a_long_line_is_cut_around_the_place() {
        for (before, after) in [(0, 500), (30, 500), (500, 0), (500, 500), (60, 5), (150, 150), (46, 30), (45, 30)] {
            for filler in ["x", "漢", "\t"] {
                let line = format!("{}!{}", filler.repeat(before), filler.repeat(after));
                let (text, _) = shown(&line, "!");
                assert_eq!(above(&line, "!"), '!', "{text}");
                assert!(width_of(&text) <= WIDEST, "{before} {after} {filler:?}: {text}");
            }
        }
        assert_eq!(shown(&format!("{}!", "x".repeat(500)), "!").0, format!("…{}!", "x".repeat(BEFORE - 1)));
    }
}
