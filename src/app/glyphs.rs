//! Characters as a terminal shows them.

/// How many columns of a terminal a character takes: two for the wide ones of East Asia and for pictures, none for marks
/// that go onto the character before.
pub(super) fn width(character: char) -> usize {
    match u32::from(character) {
        ..0x0300 => 1,
        0x0300..=0x036F
        | 0x0483..=0x0489
        | 0x0591..=0x05BD
        | 0x0610..=0x061A
        | 0x064B..=0x065F
        | 0x0E31
        | 0x0E34..=0x0E3A
        | 0x0E47..=0x0E4E
        | 0x1AB0..=0x1AFF
        | 0x1DC0..=0x1DFF
        | 0x200B..=0x200D
        | 0x20D0..=0x20FF
        | 0xFE00..=0xFE0F
        | 0xFE20..=0xFE2F
        | 0xFEFF => 0,
        0x1100..=0x115F
        | 0x2E80..=0x303E
        | 0x3041..=0xA4CF
        | 0xAC00..=0xD7A3
        | 0xF900..=0xFAFF
        | 0xFE30..=0xFE6F
        | 0xFF00..=0xFF60
        | 0xFFE0..=0xFFE6
        | 0x1F300..=0x1F64F
        | 0x1F680..=0x1F6FF
        | 0x1F900..=0x1FAFF
        | 0x20000..=0x3FFFD => 2,
        _ => 1,
    }
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
