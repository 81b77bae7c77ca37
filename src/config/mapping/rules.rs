//! The steps from text to value: what a column says of them, and whether they agree with each other and its type.

use crate::config::section::{Item, Section, quoted};
use crate::lexical::{Caster, Wrong};
use crate::model::mapping::{Kind, Repeat, Rounding, Trim, ValueRules};

/// Most characters that a bound on lengths may name: places in a text column are 31 bits.
const MAX_LENGTH: i64 = i32::MAX as i64;

/// The rules of a column as they stand in the file.
pub(super) struct Given {
    /// What could be read, less `trim`.
    rules: ValueRules,
    /// What is to be done with white space, where it is said.
    trim: Option<Trim>,
    /// The keys that are there.
    keys: Vec<&'static str>,
    /// Whether all of them could be read.
    is_complete: bool,
}

/// Reads the rules of a column.
pub(super) fn read(section: &Section<'_>) -> Given {
    let mut reader = Reader { section, keys: Vec::new(), is_complete: true };
    let trims = [("none", Trim::None), ("both", Trim::Both), ("collapse", Trim::Collapse)];
    let roundings = [
        ("error", Rounding::Error),
        ("half_even", Rounding::HalfEven),
        ("half_up", Rounding::HalfUp),
        ("down", Rounding::Down),
    ];
    let length = |item: &Item<'_>| u64::try_from(item.whole(0..=MAX_LENGTH)?).ok();
    let trim = reader.key("trim", |item| item.choice(&trims));
    let rules = ValueRules {
        trim: Trim::None,
        null_values: reader.key("null_values", texts).unwrap_or_default(),
        default: reader.key("default", Item::scalar),
        formats: reader.key("format", at_least_one).unwrap_or_default(),
        zone: reader.key("zone", |item| item.text().map(str::to_owned)),
        decimal: reader.key("decimal", |item| Some(Some(character(item)?))).flatten().filter(|c| *c != '.'),
        group: reader.key("group", group).flatten(),
        rounding: reader.key("rounding", |item| item.choice(&roundings)).unwrap_or_default(),
        allowed: reader.key("enum", at_least_one).unwrap_or_default(),
        regex: reader.key("regex", |item| item.text().map(str::to_owned)),
        min: reader.key("min", Item::scalar),
        max: reader.key("max", Item::scalar),
        min_length: reader.key("min_length", length),
        max_length: reader.key("max_length", length),
    };
    Given { rules, trim, keys: reader.keys, is_complete: reader.is_complete }
}

struct Reader<'r, 'a> {
    section: &'r Section<'a>,
    keys: Vec<&'static str>,
    is_complete: bool,
}

impl<'a> Reader<'_, 'a> {
    fn key<T>(&mut self, key: &'static str, read: impl FnOnce(&Item<'a>) -> Option<T>) -> Option<T> {
        let item = self.section.get(key)?;
        self.keys.push(key);
        let value = read(&item);
        self.is_complete &= value.is_some();
        value
    }
}

/// Texts in a list, or one alone; numbers stand for their texts.
fn texts(item: &Item<'_>) -> Option<Vec<String>> {
    if item.as_text().is_some() {
        return Some(vec![item.scalar()?]);
    }
    let mut texts = Vec::new();
    for item in item.list()? {
        let text = item.scalar()?;
        if texts.contains(&text) {
            item.problem(format!("{} stands twice", quoted(&text)), Some("name it once".to_owned()));
            return None;
        }
        texts.push(text);
    }
    Some(texts)
}

fn at_least_one(item: &Item<'_>) -> Option<Vec<String>> {
    let texts = texts(item)?;
    if texts.is_empty() {
        item.problem("the list is empty", Some("name at least one, or leave the key out".to_owned()));
        return None;
    }
    Some(texts)
}

/// One character; of a number it could not be told from digits and signs.
fn character(item: &Item<'_>) -> Option<char> {
    let text = item.text()?;
    let mut characters = text.chars();
    match (characters.next(), characters.next()) {
        (Some(one), None) if !one.is_alphanumeric() && !matches!(one, '+' | '-') => Some(one),
        _ => {
            let help = "take one character that is no letter, digit or sign".to_owned();
            item.problem(format!("{} does not part digits", quoted(text)), Some(help));
            None
        }
    }
}

fn group(item: &Item<'_>) -> Option<Option<char>> {
    if item.as_text() == Some("") { Some(None) } else { character(item).map(Some) }
}

impl Given {
    /// Whether something stands for a missing value.
    pub(super) fn has_default(&self) -> bool {
        self.keys.contains(&"default")
    }

    /// Notes what is wrong with the rules for values of that kind. `is_whole`: the element is taken, and not its text.
    pub(super) fn judge(&self, section: &Section<'_>, kind: &Kind, repeat: &Repeat, is_whole: bool) {
        let none = match (kind, repeat) {
            (_, Repeat::Count) => Some(("repeat = \"count\" counts, and reads no text", "remove it")),
            (Kind::Struct(_), _) => Some(("a struct has no text of its own", "write it at its fields")),
            (Kind::String, Repeat::Json) if is_whole => Some((
                "repeat = \"json\" takes the element with all that is in it",
                "end the path with text() to take its text alone",
            )),
            _ => None,
        };
        if let Some((message, help)) = none {
            for key in &self.keys {
                section.problem(key, message, Some(help.to_owned()));
            }
            return;
        }
        if *kind == Kind::Xml && self.trim.is_some_and(|trim| trim != Trim::None) {
            section.problem("trim", "type xml takes the element as it is", Some("remove it".to_owned()));
        }
        // What could not be read is told already, and what is left of the rules may not mean what was meant.
        if self.is_complete
            && let Err(wrong) =
                Caster::new(kind, &ValueRules { trim: self.trim.unwrap_or(Trim::of(kind)), ..self.rules.clone() })
        {
            for Wrong { key, message, help } in wrong {
                section.problem(key, message, help);
            }
        }
    }

    /// The rules of a column of that type.
    pub(super) fn into_rules(self, kind: &Kind) -> ValueRules {
        ValueRules { trim: self.trim.unwrap_or(Trim::of(kind)), ..self.rules }
    }
}
