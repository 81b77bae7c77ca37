//! The text of a panic, without what it may quote.

use std::any::Any;

/// Where the standard library begins to quote the text that was cut at a wrong place.
const QUOTES: [&str; 3] = ["; it is inside '", " of `", " when slicing `"];

/// The text of a panic, for people. A text that was being cut may be a payload, and is not told.
pub fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    let text = text.unwrap_or("a panic without a message");
    let quote = QUOTES.iter().filter_map(|quote| text.find(quote)).min();
    quote.map_or(text, |at| &text[..at])
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;
    use std::panic::{UnwindSafe, catch_unwind};

    use super::*;

    const PAYLOAD: &str = "éSECRET";

    fn told(panics: impl FnOnce() + UnwindSafe) -> String {
        panic_text(&*catch_unwind(panics).unwrap_err()).to_owned()
    }

    #[test]
    fn a_text_that_was_cut_wrongly_is_not_quoted() {
        let cuts: [fn() -> usize; 5] = [
            || PAYLOAD[..black_box(1)].len(),
            || PAYLOAD[black_box(1)..].len(),
            || PAYLOAD[black_box(5)..black_box(2)].len(),
            || PAYLOAD[black_box(50)..].len(),
            || PAYLOAD.split_at(black_box(1)).0.len(),
        ];
        for cut in cuts {
            let told = told(move || assert_eq!(cut(), 0));
            assert!(!told.contains("SECRET") && !told.contains('é') && told.len() > 10, "{told}");
        }
    }

    #[test]
    fn any_other_text_is_told_whole() {
        let number = 7;
        assert_eq!(told(|| panic!("on purpose")), "on purpose");
        assert_eq!(told(move || panic!("number {number}")), "number 7");
        assert_eq!(told(|| std::panic::panic_any(7)), "a panic without a message");
    }
}
