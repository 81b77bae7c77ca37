//! Characters as a terminal shows them.

use unicode_width::UnicodeWidthChar;

/// How many columns of a terminal a character takes: two for the wide ones of East Asia and for pictures, none for
/// marks that go onto the character before (Unicode Standard Annex 11). One that steers is shown by [`tame`], in one
/// column.
pub(super) fn width(character: char) -> usize {
    UnicodeWidthChar::width(character).unwrap_or(1)
}

/// How many columns a text takes.
pub(super) fn width_of(text: &str) -> usize {
    text.chars().map(width).sum()
}

/// A character that cannot steer the terminal: a picture of it where it could, U+FFFD where there is no picture.
pub(super) fn tame(character: char) -> char {
    match u32::from(character) {
        code @ 0..0x20 => char::from_u32(0x2400 + code).unwrap_or(char::REPLACEMENT_CHARACTER),
        0x7F => '\u{2421}',
        // What turns the direction of a line would show a text as another one.
        0x80..=0x9F | 0x200E | 0x200F | 0x2028..=0x202E | 0x2066..=0x2069 => char::REPLACEMENT_CHARACTER,
        _ => character,
    }
}

/// A text that cannot steer the terminal.
pub(super) fn tamed(text: &str) -> String {
    text.chars().map(tame).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_take_what_a_terminal_gives_them() {
        assert_eq!(width_of("abc"), 3);
        assert_eq!(width_of("é e\u{301}"), 3);
        assert_eq!(width_of("漢字😀"), 6);
        assert_eq!(width_of(&tamed("\u{1b}[2J\u{202e}x\u{85}")), 7);
    }

    #[test]
    fn nothing_that_steers_is_left() {
        assert_eq!(tamed("a\0\t\u{7f}\u{9b}"), "a␀␉␡\u{FFFD}");
        assert!((0..0x3000).filter_map(char::from_u32).all(|character| !tame(character).is_control()));
    }
}
