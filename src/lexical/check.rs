//! Which rules make sense for which type, and what would be right.

use super::marks::is_mark;
use super::text::trimmed;
use super::value::{Refused, Wrong};
use crate::model::mapping::{Kind, Rounding, ValueRules};

/// What the types have in common for their rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Text,
    Bool,
    Whole,
    Float,
    Decimal,
    Date,
    Time,
    Instant,
    Local,
    Binary,
    Json,
    Xml,
    Struct,
}

impl Family {
    fn of(kind: &Kind) -> Self {
        match kind {
            Kind::String => Self::Text,
            Kind::Bool => Self::Bool,
            Kind::Int8 | Kind::Int16 | Kind::Int32 | Kind::Int64 => Self::Whole,
            Kind::Float32 | Kind::Float64 => Self::Float,
            Kind::Decimal(..) => Self::Decimal,
            Kind::Date => Self::Date,
            Kind::Time(_) => Self::Time,
            Kind::Timestamp(_) => Self::Instant,
            Kind::LocalTimestamp(_) => Self::Local,
            Kind::Binary(_) => Self::Binary,
            Kind::Json => Self::Json,
            Kind::Xml => Self::Xml,
            Kind::Struct(_) => Self::Struct,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Text => "a string",
            Self::Bool => "a bool",
            Self::Whole => "a whole number",
            Self::Float => "a float",
            Self::Decimal => "a decimal",
            Self::Date => "a date",
            Self::Time => "a time",
            Self::Instant => "a timestamp",
            Self::Local => "a timestamp_ntz",
            Self::Binary => "binary",
            Self::Json => "json",
            Self::Xml => "xml",
            Self::Struct => "a struct",
        }
    }

    fn is_element(self) -> bool {
        matches!(self, Self::Xml | Self::Struct)
    }

    fn is_number(self) -> bool {
        matches!(self, Self::Whole | Self::Float | Self::Decimal)
    }

    fn is_moment(self) -> bool {
        matches!(self, Self::Date | Self::Time | Self::Instant | Self::Local)
    }

    /// Whether a rule makes sense.
    fn takes(self, key: &str) -> bool {
        match key {
            "default" | "null_values" | "regex" => !self.is_element(),
            "format" => self.is_moment(),
            // A date has none of its own, and one that is written does not move it; a zone says so to readers.
            "zone" => self.is_moment() && self != Self::Time,
            "decimal" => matches!(self, Self::Float | Self::Decimal),
            "group" => self.is_number(),
            "rounding" => matches!(self, Self::Decimal | Self::Time | Self::Instant | Self::Local),
            "enum" => !self.is_element() && self != Self::Json,
            "min" | "max" => self.is_number() || self.is_moment(),
            "min_length" | "max_length" => matches!(self, Self::Text | Self::Binary | Self::Json),
            _ => true,
        }
    }

    fn help(self, key: &str) -> String {
        match (self, key) {
            (Self::Struct, _) => "set it on the fields".to_owned(),
            (Self::Xml, _) => "remove it: the element is taken as it is".to_owned(),
            (_, "min" | "max") if self == Self::Text => "take min_length, max_length, enum or regex".to_owned(),
            (_, "min_length" | "max_length") if self.takes("min") => "take min and max, or regex".to_owned(),
            (Self::Whole, "decimal" | "rounding") => "take type = \"decimal(18,0)\" and rounding".to_owned(),
            (Self::Float, "rounding") => "remove it: the nearest number is always taken".to_owned(),
            (Self::Json, "enum") => "take type = \"string\", or regex".to_owned(),
            (_, "format" | "zone") => "take it for a date or a timestamp".to_owned(),
            (_, "decimal" | "group") => "take it for a number".to_owned(),
            (_, "rounding") => "take it for a decimal, a time or a timestamp".to_owned(),
            _ => "remove it".to_owned(),
        }
    }
}

/// Keys that are set.
fn set(rules: &ValueRules) -> impl Iterator<Item = &'static str> {
    [
        ("null_values", !rules.null_values.is_empty()),
        ("default", rules.default.is_some()),
        ("format", !rules.formats.is_empty()),
        ("zone", rules.zone.is_some()),
        ("decimal", rules.decimal.is_some()),
        ("group", rules.group.is_some()),
        ("rounding", rules.rounding != Rounding::Error),
        ("enum", !rules.allowed.is_empty()),
        ("regex", rules.regex.is_some()),
        ("min", rules.min.is_some()),
        ("max", rules.max.is_some()),
        ("min_length", rules.min_length.is_some()),
        ("max_length", rules.max_length.is_some()),
    ]
    .into_iter()
    .filter_map(|(key, is_set)| is_set.then_some(key))
}

/// Notes what is wrong before anything is compiled.
pub(super) fn check(kind: &Kind, rules: &ValueRules, wrong: &mut Vec<Wrong>) {
    let family = Family::of(kind);
    for key in set(rules).filter(|key| !family.takes(key)) {
        wrong.push(Wrong::new(key, format!("{key} means nothing for {}", family.name()), family.help(key)));
    }
    check_marks(family, rules, wrong);
    check_texts(family, rules, wrong);
}

fn check_marks(family: Family, rules: &ValueRules, wrong: &mut Vec<Wrong>) {
    if let Some(decimal) = rules.decimal.filter(|_| family.takes("decimal"))
        && !is_mark(decimal, false)
    {
        let message = format!("{decimal:?} cannot stand between whole and fraction");
        wrong.push(Wrong::new("decimal", message, "take \".\" or \",\""));
    }
    let Some(group) = rules.group.filter(|_| family.takes("group")) else { return };
    let help = "take \",\", \".\", \"'\" or \" \"";
    if !is_mark(group, true) {
        wrong.push(Wrong::new("group", format!("{group:?} cannot stand between digits"), help));
    } else if family.takes("decimal") && group == rules.decimal.unwrap_or('.') {
        let message = format!("{group:?} is the decimal mark too");
        wrong.push(Wrong::new("group", message, "set decimal to another character, such as decimal = \",\""));
    }
}

/// Texts that no value can be equal to.
fn check_texts(family: Family, rules: &ValueRules, wrong: &mut Vec<Wrong>) {
    let mut buffer = String::new();
    let mut check = |key: &'static str, texts: &[String]| {
        for text in texts {
            if trimmed(text, rules.trim, &mut buffer) != text {
                let message = format!("{text:?} has white space that trim removes, so no value equals it");
                wrong.push(Wrong::new(key, message, "write it without, or set trim = \"none\""));
            }
        }
    };
    check("null_values", &rules.null_values);
    if family == Family::Text {
        check("enum", &rules.allowed);
        for text in rules.allowed.iter().filter(|text| rules.null_values.contains(text)) {
            let message = format!("{text:?} is one of null_values, so no value equals it");
            wrong.push(Wrong::new("enum", message, "remove it from enum or from null_values"));
        }
    }
}

/// The rules that make sense for the type.
pub(super) fn usable(kind: &Kind, rules: &ValueRules) -> ValueRules {
    let family = Family::of(kind);
    let mut usable = rules.clone();
    for key in set(rules).filter(|key| !family.takes(key)) {
        match key {
            "null_values" => usable.null_values.clear(),
            "default" => usable.default = None,
            "format" => usable.formats.clear(),
            "zone" => usable.zone = None,
            "decimal" => usable.decimal = None,
            "group" => usable.group = None,
            "rounding" => usable.rounding = Rounding::Error,
            "enum" => usable.allowed.clear(),
            "regex" => usable.regex = None,
            "min" => usable.min = None,
            "max" => usable.max = None,
            "min_length" => usable.min_length = None,
            _ => usable.max_length = None,
        }
    }
    usable
}

/// A text of the mapping that is no value of the column.
pub(super) fn bad_text(key: &'static str, text: &str, refused: &Refused) -> Wrong {
    Wrong::new(key, format!("{text:?} is {}", refused.what), "write it as the values of the column are written")
}
