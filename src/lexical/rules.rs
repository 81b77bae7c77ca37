//! What a value has to be besides being of its type.

use std::cmp::Ordering;

use regex::{Regex, RegexBuilder};

use super::cast::Cast;
use super::caster::Kept;
use super::check;
use super::text::listed;
use super::value::{Refused, Value, Wrong};
use crate::model::mapping::ValueRules;
use crate::model::violation::Code;

/// Most bytes of a compiled regular expression.
const REGEX_BYTES: usize = 4 << 20;

/// Most bytes that a regular expression remembers of its work, for each thread.
const REGEX_CACHE_BYTES: usize = 1 << 20;

/// Deepest nesting in a regular expression.
const REGEX_DEPTH: u32 = 100;

/// The rules of a column that has any.
#[derive(Debug)]
pub(super) struct Rules {
    allowed: Option<Allowed>,
    regex: Option<(Regex, Box<str>)>,
    min_length: u64,
    max_length: u64,
    min: Option<Bound>,
    max: Option<Bound>,
}

/// The only values that are allowed, sorted.
#[derive(Debug)]
struct Allowed {
    values: Vec<Kept>,
    /// As the mapping writes them.
    shown: Box<str>,
}

/// The lowest or the highest value.
#[derive(Debug)]
struct Bound {
    value: Kept,
    /// As the mapping writes it.
    shown: Box<str>,
}

impl Rules {
    /// The rules, or none when there are none. `wrong` takes what is wrong with them.
    pub(super) fn compile(cast: &Cast, rules: &ValueRules, wrong: &mut Vec<Wrong>) -> Option<Self> {
        let compiled = Self {
            allowed: Allowed::compile(cast, &rules.allowed, wrong),
            regex: rules.regex.as_deref().and_then(|text| regex(text, wrong)),
            min_length: rules.min_length.unwrap_or(0),
            max_length: rules.max_length.unwrap_or(u64::MAX),
            min: Bound::compile(cast, "min", rules.min.as_deref(), wrong),
            max: Bound::compile(cast, "max", rules.max.as_deref(), wrong),
        };
        if compiled.min_length > compiled.max_length {
            let message = format!("more than max_length, {}: no value is of such a length", compiled.max_length);
            wrong.push(Wrong::new("min_length", message, "take a min_length of at most max_length"));
        }
        if let (Some(min), Some(max)) = (&compiled.min, &compiled.max)
            && order(min.value.value(), max.value.value()) == Ordering::Greater
        {
            let message = format!("above max, {}: no value is in such a range", max.shown);
            wrong.push(Wrong::new("min", message, "take a min that is not above max"));
        }
        let has_length = rules.min_length.is_some() || rules.max_length.is_some();
        let Self { allowed, regex, min, max, .. } = &compiled;
        let is_any = allowed.is_some() || regex.is_some() || min.is_some() || max.is_some() || has_length;
        is_any.then_some(compiled)
    }

    /// Whether a value, and the text that it was, keeps the rules.
    pub(super) fn check(&self, value: Value<'_>, text: &str) -> Result<(), Box<Refused>> {
        if let Some(allowed) = &self.allowed {
            allowed.check(value)?;
        }
        if let Some((regex, written)) = &self.regex
            && !regex.is_match(text)
        {
            return Err(Refused::new(Code::RULE_REGEX, format!("not of the form {}", listed(&[written]))));
        }
        self.check_length(value)?;
        self.check_range(value)
    }

    fn check_length(&self, value: Value<'_>) -> Result<(), Box<Refused>> {
        if self.min_length == 0 && self.max_length == u64::MAX {
            return Ok(());
        }
        let (length, unit) = match value {
            // A character has at least one byte and four at most, so most lengths need no count.
            Value::Text(text) if text.len() as u64 <= self.max_length && text.len() as u64 / 4 >= self.min_length => {
                return Ok(());
            }
            Value::Text(text) => (text.chars().count() as u64, "character"),
            Value::Bytes(bytes) => (bytes.len() as u64, "byte"),
            _ => return Ok(()),
        };
        let plural = if length == 1 { "" } else { "s" };
        let what = if length < self.min_length {
            format!("{length} {unit}{plural} long, shorter than {} (min_length)", self.min_length)
        } else if length > self.max_length {
            format!("{length} {unit}{plural} long, longer than {} (max_length)", self.max_length)
        } else {
            return Ok(());
        };
        Err(Refused::new(Code::RULE_LENGTH, what))
    }

    fn check_range(&self, value: Value<'_>) -> Result<(), Box<Refused>> {
        if self.min.is_none() && self.max.is_none() {
            return Ok(());
        }
        let what = match (&self.min, &self.max) {
            _ if is_nan(value) => "NaN, which is in no range".to_owned(),
            (Some(min), _) if order(value, min.value.value()) == Ordering::Less => format!("below {} (min)", min.shown),
            (_, Some(max)) if order(value, max.value.value()) == Ordering::Greater => {
                format!("above {} (max)", max.shown)
            }
            _ => return Ok(()),
        };
        Err(Refused::new(Code::RULE_RANGE, what))
    }
}

impl Allowed {
    fn compile(cast: &Cast, texts: &[String], wrong: &mut Vec<Wrong>) -> Option<Self> {
        if texts.is_empty() {
            return None;
        }
        let mut values = Vec::with_capacity(texts.len());
        for text in texts {
            match Kept::of(cast, text) {
                Ok(value) => values.push(value),
                Err(refused) => wrong.push(check::bad_text("enum", text, &refused)),
            }
        }
        values.sort_by(|one, other| order(one.value(), other.value()));
        Some(Self { values, shown: listed(texts).into() })
    }

    fn check(&self, value: Value<'_>) -> Result<(), Box<Refused>> {
        match self.values.binary_search_by(|allowed| order(allowed.value(), value)) {
            Ok(_) => Ok(()),
            Err(_) => Err(Refused::new(Code::RULE_ENUM, format!("none of those that are allowed: {}", self.shown))),
        }
    }
}

impl Bound {
    fn compile(cast: &Cast, key: &'static str, text: Option<&str>, wrong: &mut Vec<Wrong>) -> Option<Self> {
        let text = text?;
        match Kept::of(cast, text) {
            Ok(value) if is_nan(value.value()) => {
                wrong.push(Wrong::new(key, "NaN is no bound", "take a number, INF or -INF"));
                None
            }
            Ok(value) => Some(Self { value, shown: text.into() }),
            Err(refused) => {
                wrong.push(check::bad_text(key, text, &refused));
                None
            }
        }
    }
}

/// Order of two values of one column. Zero is zero with either sign; NaN comes last.
fn order(one: Value<'_>, other: Value<'_>) -> Ordering {
    match (one, other) {
        (Value::Int(one), Value::Int(other)) => one.cmp(&other),
        (Value::Decimal(one), Value::Decimal(other)) => one.cmp(&other),
        (Value::Float32(one), Value::Float32(other)) => (one + 0.0).total_cmp(&(other + 0.0)),
        (Value::Float64(one), Value::Float64(other)) => (one + 0.0).total_cmp(&(other + 0.0)),
        (Value::Text(one), Value::Text(other)) => one.cmp(other),
        (Value::Bytes(one), Value::Bytes(other)) => one.cmp(other),
        (Value::Bool(one), Value::Bool(other)) => one.cmp(&other),
        // Values of one column are of one type.
        _ => Ordering::Equal,
    }
}

fn is_nan(value: Value<'_>) -> bool {
    match value {
        Value::Float32(value) => value.is_nan(),
        Value::Float64(value) => value.is_nan(),
        _ => false,
    }
}

/// Compiles a regular expression that has to match the whole text.
fn regex(written: &str, wrong: &mut Vec<Wrong>) -> Option<(Regex, Box<str>)> {
    let compile = |text: &str| {
        let mut builder = RegexBuilder::new(text);
        builder.size_limit(REGEX_BYTES).dfa_size_limit(REGEX_CACHE_BYTES).nest_limit(REGEX_DEPTH).build()
    };
    // By itself first, so that `a)|(b` is not made whole by what stands around it; the second way is for one that ends
    // with a comment.
    let compiled = compile(written)
        .and_then(|_| compile(&format!(r"\A(?:{written})\z")).or_else(|_| compile(&format!("\\A(?:{written}\n)\\z"))));
    match compiled {
        Ok(regex) => Some((regex, written.into())),
        Err(regex::Error::CompiledTooBig(_)) => {
            let help = "take smaller repetitions, or max_length for a bound on the length";
            wrong.push(Wrong::new("regex", "too large a regular expression", help));
            None
        }
        Err(error) => {
            let text = error.to_string();
            let reason = text.lines().last().unwrap_or_default().trim().trim_start_matches("error: ");
            let help = "look-around and back-references are not available: matching takes linear time";
            wrong.push(Wrong::new("regex", format!("not a regular expression: {reason}"), help));
            None
        }
    }
}
