//! One column: where its value is, its type, and the steps from text to value.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field};

use super::kind::Kind;
use super::path::Path;

/// One column, or one field of a struct.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Name in the table.
    pub name: String,
    /// Where its value is: from the row, for a field from the element of its struct.
    pub path: Path,
    /// Its type; of a list that of its items.
    pub kind: Kind,
    /// Whether a row without it is a violation.
    pub required: bool,
    /// What happens when it occurs more than once in its row (in its message, in its struct).
    pub repeat: Repeat,
    /// From text to value.
    pub rules: ValueRules,
}

/// What happens to a value that occurs more than once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Repeat {
    /// It is a violation.
    Only,
    /// The first one is taken.
    First,
    /// The last one is taken.
    Last,
    /// All are taken, into a list. None at all is null.
    List,
    /// All are taken, joined by this text; nulls are left out.
    Join(Arc<str>),
    /// All are taken, as a JSON array.
    Json,
    /// How many there are.
    Count,
    /// The one of that number, the first being 1.
    Index(u32),
}

/// The steps from text to value, in this order: text is joined and its line ends are made one kind, then trimming, then
/// the null rules, the default, the cast, and the bounds. A default stands for a null, never for a failed cast.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ValueRules {
    /// What happens to white space.
    pub trim: Trim,
    /// Texts that mean null, besides the empty one; compared after trimming.
    pub null_values: Vec<String>,
    /// What stands for null, written as the values of the column are.
    pub default: Option<String>,
    /// `strftime` patterns, of which the first that fits is taken; empty: ISO 8601 as XML Schema writes it.
    pub formats: Vec<String>,
    /// Zone (IANA name) of values that carry none; of a local timestamp the one whose local time values with an offset
    /// become.
    pub zone: Option<String>,
    /// What stands between whole and fraction, if not a point.
    pub decimal: Option<char>,
    /// What may stand between groups of digits.
    pub group: Option<char>,
    /// What happens to digits that a decimal, or the unit of a time, has no room for.
    pub rounding: Rounding,
    /// The only values that are allowed, compared in the type of the column; empty: any.
    pub allowed: Vec<String>,
    /// Regular expression that the whole text, trimmed, must match.
    pub regex: Option<String>,
    /// Lowest value, written as the values of the column are.
    pub min: Option<String>,
    /// Highest value, written as the values of the column are.
    pub max: Option<String>,
    /// Fewest characters (bytes of a binary).
    pub min_length: Option<u64>,
    /// Most characters (bytes of a binary).
    pub max_length: Option<u64>,
}

/// White space at the ends of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Trim {
    /// Kept.
    #[default]
    None,
    /// Removed at both ends.
    Both,
    /// Removed at both ends, and inner runs become one blank.
    Collapse,
}

/// What happens to digits that a decimal, or the unit of a time, has no room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rounding {
    /// They are a violation, unless they are zeros.
    #[default]
    Error,
    /// To the nearest, halves to the even neighbour.
    HalfEven,
    /// To the nearest, halves away from zero.
    HalfUp,
    /// They are cut off.
    Down,
}

impl Trim {
    /// What holds where nothing is said: text keeps its white space, everything else loses it.
    pub fn of(kind: &Kind) -> Self {
        if *kind == Kind::String { Self::None } else { Self::Both }
    }
}

impl Column {
    /// A column that may be missing and comes once, with white space kept in text and removed around anything else.
    pub fn new(name: impl Into<String>, path: Path, kind: Kind) -> Self {
        let rules = ValueRules { trim: Trim::of(&kind), ..ValueRules::default() };
        Self { name: name.into(), path, kind, required: false, repeat: Repeat::Only, rules }
    }

    /// The Arrow field.
    pub fn field(&self) -> Field {
        Field::new(&self.name, self.data_type(), !self.required)
    }

    /// Its type as a mapping writes it.
    pub fn type_name(&self) -> String {
        match self.repeat {
            Repeat::List => format!("list<{}>", self.kind),
            Repeat::Count => Kind::Int64.to_string(),
            Repeat::Join(_) => Kind::String.to_string(),
            Repeat::Json => Kind::Json.to_string(),
            Repeat::Only | Repeat::First | Repeat::Last | Repeat::Index(_) => self.kind.to_string(),
        }
    }

    /// The Arrow type of the column.
    pub fn data_type(&self) -> DataType {
        match self.repeat {
            Repeat::List => DataType::List(Arc::new(Field::new("item", self.kind.data_type(), true))),
            Repeat::Count => DataType::Int64,
            Repeat::Join(_) | Repeat::Json => DataType::Utf8,
            Repeat::Only | Repeat::First | Repeat::Last | Repeat::Index(_) => self.kind.data_type(),
        }
    }
}
