//! The line around a place in a payload, for a person to look at. Nothing else may read messages this way: what an
//! encoding does not have is shown as U+FFFD.

use std::collections::VecDeque;

use super::decode::{Decoding, likely_form};

/// Characters kept before a place, and from it on.
const KEPT: usize = 200;
/// Bytes decoded at a time.
const CHUNK: usize = 2048;

/// A place in its line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt {
    /// Which character of the line it is, 1-based.
    pub column: u64,
    /// The end of what stands before it in the line: all of it, or 200 characters.
    pub before: String,
    /// The beginning of what stands in the line from it on: all of it, or 200 characters.
    pub after: String,
    /// Whether the line goes on after that.
    pub is_cut: bool,
}

/// The lines around these byte offsets of a payload, in the same order. A line ends at a line feed, as the lines of
/// violations are counted.
///
/// The payload is decoded once, up to the end of the last line; memory is bounded by the number of places.
pub fn excerpts(payload: &[u8], offsets: &[u64]) -> Vec<Excerpt> {
    let form = likely_form(payload);
    let mut reader = Reader { payload, at: form.mark, decoding: Decoding::of(form), text: String::new() };
    let mut line = Line { column: 1, before: VecDeque::new() };
    let mut order: Vec<usize> = (0..offsets.len()).collect();
    order.sort_by_key(|&index| offsets[index]);
    let mut found =
        vec![Excerpt { column: 1, before: String::new(), after: String::new(), is_cut: false }; order.len()];
    // Places whose line has not ended yet.
    let mut open: Vec<usize> = Vec::new();
    for index in order {
        let place = usize::try_from(offsets[index]).unwrap_or(usize::MAX);
        while let Some(text) = reader.up_to(place) {
            line.take(text, &mut open, &mut found);
        }
        found[index].column = line.column;
        found[index].before = line.before.iter().collect();
        open.push(index);
    }
    while !open.is_empty()
        && let Some(text) = reader.up_to(usize::MAX)
    {
        line.take(text, &mut open, &mut found);
    }
    found
}

/// A payload that is decoded piece by piece.
struct Reader<'p> {
    payload: &'p [u8],
    at: usize,
    decoding: Decoding,
    text: String,
}

impl Reader<'_> {
    /// The next piece that ends at `place` or before it; none when that is reached.
    fn up_to(&mut self, place: usize) -> Option<&str> {
        let end = place.min(self.at.saturating_add(CHUNK)).min(self.payload.len());
        let bytes = self.payload.get(self.at..end).filter(|bytes| !bytes.is_empty())?;
        self.at = end;
        self.decoding.show(bytes, end == self.payload.len(), &mut self.text);
        Some(&self.text)
    }
}

/// The line that is being read.
struct Line {
    column: u64,
    before: VecDeque<char>,
}

impl Line {
    fn take(&mut self, text: &str, open: &mut Vec<usize>, found: &mut [Excerpt]) {
        for character in text.chars() {
            if character == '\n' {
                for index in open.drain(..) {
                    if found[index].after.ends_with('\r') {
                        found[index].after.pop();
                    }
                }
                *self = Self { column: 1, before: VecDeque::new() };
                continue;
            }
            open.retain(|&index| {
                let excerpt = &mut found[index];
                excerpt.is_cut = excerpt.after.chars().count() == KEPT;
                if !excerpt.is_cut {
                    excerpt.after.push(character);
                }
                !excerpt.is_cut
            });
            self.column += 1;
            if self.before.len() == KEPT {
                self.before.pop_front();
            }
            self.before.push_back(character);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(payload: &[u8], offset: u64) -> (u64, String, String) {
        let excerpt = excerpts(payload, &[offset]).remove(0);
        (excerpt.column, excerpt.before, excerpt.after)
    }

    fn parts(column: u64, before: &str, after: &str) -> (u64, String, String) {
        (column, before.to_owned(), after.to_owned())
    }

    #[test]
    fn a_place_is_shown_in_its_line() {
        let text = "<a>\r\n\tÄ<b>x</b>\r\n</a>";
        assert_eq!(shown(text.as_bytes(), 8), parts(3, "\tÄ", "<b>x</b>"));
        assert_eq!(shown(text.as_bytes(), 0), parts(1, "", "<a>"));
        assert_eq!(shown(text.as_bytes(), text.len() as u64), parts(5, "</a>", ""));
        assert_eq!(shown(text.as_bytes(), u64::MAX), parts(5, "</a>", ""));
        assert_eq!(shown(b"", 0), parts(1, "", ""));
        assert_eq!(shown(b"\xEF\xBB\xBF<a/>", 0), parts(1, "", "<a/>"));
    }

    #[test]
    fn bytes_that_are_none_of_the_encoding_are_shown_as_such() {
        assert_eq!(shown(b"<a>\xFF b</a>", 3), parts(4, "<a>", "\u{FFFD} b</a>"));
        assert_eq!(shown(b"<a>\xC3", 3), parts(4, "<a>", "\u{FFFD}"));
        let latin = b"<?xml version='1.0' encoding='ISO-8859-1'?>\n<a>\xE9\x85</b>";
        assert_eq!(shown(latin, 49), parts(6, "<a>é\u{85}", "</b>"));
    }

    #[test]
    fn a_long_line_is_cut_on_both_sides() {
        let text = "é".repeat(10_000);
        let cut = excerpts(text.as_bytes(), &[10_000]).remove(0);
        assert_eq!((cut.column, cut.before.chars().count(), cut.after.chars().count()), (5001, KEPT, KEPT));
        assert!(cut.is_cut);
        let whole = excerpts("é".repeat(KEPT).as_bytes(), &[0]).remove(0);
        assert!(!whole.is_cut && whole.after.chars().count() == KEPT);
    }

    fn utf16(text: &str, little: bool) -> Vec<u8> {
        let unit = |unit: u16| if little { unit.to_le_bytes() } else { unit.to_be_bytes() };
        std::iter::once(0xFEFF).chain(text.encode_utf16()).flat_map(unit).collect()
    }

    proptest! {
        #[test]
        fn any_bytes_can_be_shown(
            start in prop::sample::select(vec![
                &b""[..],
                b"\xFF\xFE",
                b"\xEF\xBB\xBF",
                b"<?xml version='1.0' encoding='Shift_JIS'?>",
                b"<?xml version='1.0' encoding='ISO-2022-JP'?>",
                b"<?xml version='1.0' encoding='ISO-8859-1'?>",
            ]),
            bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(b'\n'), Just(0x1B), Just(b'<')], 0..600),
            offsets in prop::collection::vec(0u64..700, 0..5),
        ) {
            let payload = [start, &bytes].concat();
            for excerpt in excerpts(&payload, &offsets) {
                let before = excerpt.before.chars().count();
                prop_assert!(before <= KEPT && excerpt.after.chars().count() <= KEPT && excerpt.column > before as u64);
                prop_assert!(!excerpt.before.contains('\n') && !excerpt.after.contains('\n'));
            }
        }

        #[test]
        fn what_is_shown_is_what_stands_there_in_any_encoding(
            text in "[a-z<é漢😀\t\n]{0,80}", places in prop::collection::vec(0usize..80, 1..6), form in 0..3,
        ) {
            let text = format!("<r>{text}");
            let characters: Vec<char> = text.chars().collect();
            let places: Vec<usize> = places.into_iter().map(|place| place.min(characters.len())).collect();
            let prefix = |place: &usize| characters[..*place].iter().collect::<String>();
            let encode = |text: &str| if form == 0 { text.as_bytes().to_vec() } else { utf16(text, form == 1) };
            let offsets: Vec<u64> = places.iter().map(|place| encode(&prefix(place)).len() as u64).collect();
            for (place, found) in places.iter().zip(excerpts(&encode(&text), &offsets)) {
                let before = prefix(place);
                let before = before.rsplit('\n').next().unwrap();
                let after: String = characters[*place..].iter().collect();
                let after = after.split('\n').next().unwrap();
                prop_assert_eq!((found.before.as_str(), found.after.as_str()), (before, after));
                prop_assert_eq!(found.column, before.chars().count() as u64 + 1);
            }
        }
    }
}
