//! What a schema says of one path, and how far the samples keep to it.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use regex::Regex;

use super::lexical::Type;
use super::source::is_space;
use super::xsd::Piece;

/// Characters kept of a value that breaks a rule.
const SHOWN: usize = 40;

/// What happens to white space before a value is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Space {
    Kept,
    Trimmed,
    Collapsed,
}

/// A rule of the schema that samples may break.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rule {
    Type,
    Enum,
    Pattern,
    Min,
    Max,
    MinLength,
    MaxLength,
}

/// The rules for a value.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    pub(super) kind: Type,
    pub(super) space: Space,
    pub(super) allowed: Vec<String>,
    /// Linear-time regular expression for the whole text, as written in a mapping.
    pub(super) regex: Option<(String, Regex)>,
    pub(super) min: Option<String>,
    pub(super) max: Option<String>,
    pub(super) min_length: Option<u64>,
    pub(super) max_length: Option<u64>,
}

/// What the schema says of one path.
#[derive(Debug, Clone)]
pub(super) struct Declared {
    /// The value, if it has one.
    pub(super) rules: Option<Rules>,
    /// The complex type, if it has one.
    pub(super) complex: Option<Piece>,
    pub(super) min: u64,
    /// None: any number.
    pub(super) most: Option<u64>,
    pub(super) is_nillable: bool,
    pub(super) is_mixed: bool,
    /// What stands for an attribute that is not there.
    pub(super) default: Option<String>,
    /// What else has to be told.
    pub(super) notes: Vec<String>,
    /// How often samples break a rule, and the first value that does.
    pub(super) broken: BTreeMap<Rule, (u64, String)>,
}

impl Declared {
    /// Whether one parent may have more than one.
    pub(super) fn repeats(&self) -> bool {
        self.most.is_none_or(|most| most > 1)
    }

    /// Judges a sample's value; an empty one is null and breaks nothing.
    pub(super) fn check(&mut self, text: &str, fits: fn(Type, &str) -> bool) {
        let Some(rules) = &self.rules else { return };
        let text = rules.space.apply(text);
        if text.is_empty() {
            return;
        }
        let mut note = |rule: Rule| {
            let shown = || text.chars().take(SHOWN).collect::<String>();
            self.broken.entry(rule).or_insert_with(|| (0, shown())).0 += 1;
        };
        if !fits(rules.kind, &text) {
            note(Rule::Type);
        }
        if !rules.allowed.is_empty() && !rules.allowed.contains(&text) {
            note(Rule::Enum);
        }
        if rules.regex.as_ref().is_some_and(|(_, regex)| !regex.is_match(&text)) {
            note(Rule::Pattern);
        }
        let is = |bound: &Option<String>, wrong: Ordering| {
            bound.as_ref().is_some_and(|bound| order(&text, bound) == Some(wrong))
        };
        if is(&rules.min, Ordering::Less) {
            note(Rule::Min);
        }
        if is(&rules.max, Ordering::Greater) {
            note(Rule::Max);
        }
        let length = text.chars().count() as u64;
        if rules.kind == Type::String && rules.min_length.is_some_and(|least| length < least) {
            note(Rule::MinLength);
        }
        if rules.kind == Type::String && rules.max_length.is_some_and(|most| length > most) {
            note(Rule::MaxLength);
        }
    }
}

impl Space {
    fn apply(self, text: &str) -> String {
        match self {
            Self::Kept => text.to_owned(),
            Self::Trimmed => text.trim_matches(is_space).to_owned(),
            Self::Collapsed => text.split(is_space).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" "),
        }
    }
}

/// The order of two decimal numbers as texts, exact whatever their length; none when one is not a decimal number.
pub(super) fn order(left: &str, right: &str) -> Option<Ordering> {
    let (left_negative, left_whole, left_fraction) = parts(left)?;
    let (right_negative, right_whole, right_fraction) = parts(right)?;
    let by_size = left_whole
        .len()
        .cmp(&right_whole.len())
        .then_with(|| left_whole.cmp(right_whole))
        .then_with(|| left_fraction.cmp(right_fraction));
    Some(match (left_negative, right_negative) {
        (false, false) => by_size,
        (true, true) => by_size.reverse(),
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
    })
}

/// Sign, digits before the point without zeros at their start, digits after it without zeros at their end.
fn parts(text: &str) -> Option<(bool, &str, &str)> {
    let (is_negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_number = !digits.is_empty() && whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
    let is_zero = whole.is_empty() && fraction.is_empty();
    is_number.then_some((is_negative && !is_zero, whole, fraction))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_ordered_by_value_and_not_by_spelling() {
        for (left, right, order_of_them) in [
            ("1", "2", Ordering::Less),
            ("10", "9", Ordering::Greater),
            ("-10", "-9", Ordering::Less),
            ("1.50", "1.5", Ordering::Equal),
            ("-0", "0.00", Ordering::Equal),
            ("007", "7", Ordering::Equal),
            (
                "99999999999999999999999999999999999999999.1",
                "99999999999999999999999999999999999999999.2",
                Ordering::Less,
            ),
        ] {
            assert_eq!(order(left, right), Some(order_of_them), "{left} {right}");
        }
        assert_eq!(order("2026-01-01", "1"), None);
        assert_eq!(order("", "1"), None);
    }
}
