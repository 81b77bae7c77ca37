//! All steps of one column.

use super::cast::Cast;
use super::check;
use super::rules::Rules;
use super::text::trimmed;
use super::value::{Memory, Refused, Value, Wrong};
use crate::model::mapping::{Kind, Trim, ValueRules};

/// The value steps of one column, compiled once and shared by threads.
///
/// Memory: what the rules take; a regular expression at most some megabytes, and as much again for each thread.
#[derive(Debug)]
pub struct Caster {
    trim: Trim,
    /// Sorted.
    null_values: Box<[Box<str>]>,
    default: Option<Kept>,
    cast: Cast,
    rules: Option<Box<Rules>>,
}

/// A value that does not belong to a message: a default, a bound.
#[derive(Debug, Clone)]
pub(super) enum Kept {
    Text(Box<str>),
    Bytes(Box<[u8]>),
    Plain(Value<'static>),
}

impl Caster {
    /// Compiles the steps of a column of that type.
    ///
    /// For `xml` and `struct`, which are not made from text, the rules are checked all the same; their caster gives
    /// text back as it is.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the rules.
    pub fn new(kind: &Kind, rules: &ValueRules) -> Result<Self, Vec<Wrong>> {
        let mut wrong = Vec::new();
        check::check(kind, rules, &mut wrong);
        let mut usable = check::usable(kind, rules);
        let cast = Cast::compile(kind, &usable, &mut wrong).unwrap_or_else(|| {
            // Nothing says what a value would be. The rest is checked all the same.
            (usable.allowed, usable.min, usable.max, usable.default) = (Vec::new(), None, None, None);
            Cast::Text
        });
        let bounds = Rules::compile(&cast, &usable, &mut wrong);
        let default = usable.default.as_deref().and_then(|text| match Kept::of(&cast, text) {
            Ok(kept) => {
                let held = bounds.as_ref().map_or(Ok(()), |bounds| bounds.check(kept.value(), text));
                held.map_err(|refused| wrong.push(check::bad_text("default", text, &refused))).ok().map(|()| kept)
            }
            Err(refused) => {
                wrong.push(check::bad_text("default", text, &refused));
                None
            }
        });
        if !wrong.is_empty() {
            return Err(wrong);
        }
        let mut null_values: Vec<Box<str>> = rules.null_values.iter().map(|text| text.as_str().into()).collect();
        null_values.sort();
        Ok(Self { trim: rules.trim, null_values: null_values.into(), default, cast, rules: bounds.map(Box::new) })
    }

    /// The value that a text stands for, after all steps; [`Value::Null`] where the null rules say so and there is no
    /// default.
    ///
    /// # Errors
    ///
    /// The first step that refuses it.
    // Thin: most columns have no more than what is seen here. Out of line it would cost as much as reading a number.
    #[inline(always)]
    pub fn cast<'t>(&'t self, text: &'t str, memory: &'t mut Memory) -> Result<Value<'t>, Refused> {
        let Memory { collapsed, plain, bytes } = memory;
        let text = trimmed(text, self.trim, collapsed);
        if text.is_empty() || (!self.null_values.is_empty() && self.is_null(text)) {
            return Ok(self.missing());
        }
        let value = self.cast.cast(text, plain, bytes).map_err(|refused| *refused)?;
        if let Some(rules) = &self.rules {
            rules.check(value, text).map_err(|refused| *refused)?;
        }
        Ok(value)
    }

    /// What stands for a value that is missing or marked by `xsi:nil`: the default, already cast, or [`Value::Null`].
    #[inline]
    pub fn missing(&self) -> Value<'_> {
        self.default.as_ref().map_or(Value::Null, Kept::value)
    }

    fn is_null(&self, text: &str) -> bool {
        self.null_values.binary_search_by(|value| (**value).cmp(text)).is_ok()
    }
}

impl Kept {
    /// The value that a text of the mapping is.
    pub(super) fn of(cast: &Cast, text: &str) -> Result<Self, Box<Refused>> {
        let (mut plain, mut bytes) = (String::new(), Vec::new());
        Ok(match cast.cast(text, &mut plain, &mut bytes)? {
            Value::Text(text) => Self::Text(text.into()),
            Value::Bytes(bytes) => Self::Bytes(bytes.into()),
            Value::Null => Self::Plain(Value::Null),
            Value::Bool(value) => Self::Plain(Value::Bool(value)),
            Value::Int(value) => Self::Plain(Value::Int(value)),
            Value::Float32(value) => Self::Plain(Value::Float32(value)),
            Value::Float64(value) => Self::Plain(Value::Float64(value)),
            Value::Decimal(value) => Self::Plain(Value::Decimal(value)),
        })
    }

    /// The value.
    pub(super) fn value(&self) -> Value<'_> {
        match self {
            Self::Text(text) => Value::Text(text),
            Self::Bytes(bytes) => Value::Bytes(bytes),
            Self::Plain(value) => *value,
        }
    }
}
