//! A TOML file as values that know their lines, with the environment laid over it.
//!
//! The `config` crate merges the layers; `toml_edit` says where each key stands. Reading by serde alone would stop at
//! the first thing that is wrong, and people want to see all of it at once.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use ::config::{Config, ConfigError, Environment, Map, Source, Value, ValueKind};
use toml_edit::{Item, TableLike};

use super::problem::{ENVIRONMENT, Problem};
use super::section::Section;

/// What the `config` crate calls values of its environment source.
const FROM_ENVIRONMENT: &str = "the environment";

/// Prefix of the variables that are settings.
const PREFIX: &str = "FOREBAY__";

/// Line and column of a key, 1-based.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    line: u32,
    column: u32,
}

/// Where each key stands: what turns a key into the place of a problem, long after the file was read.
#[derive(Debug, Clone, Default)]
pub(super) struct Places {
    file: PathBuf,
    /// By path: `table[0].raw.roll_bytes`.
    in_file: BTreeMap<String, Place>,
    /// Names of the variables that were laid over the file, by path.
    in_environment: BTreeMap<String, String>,
    /// Numbers with a fraction or an exponent as the file writes them, by path: where a text is meant, digits that a
    /// float has no room for still count.
    written: BTreeMap<String, String>,
}

/// One TOML file while it is read: its values, their places, and what is wrong with it so far.
#[derive(Debug)]
pub(super) struct Document {
    root: Value,
    places: Places,
    problems: RefCell<Vec<Problem>>,
}

impl Document {
    /// Reads and parses `file`, with the settings among `environment` laid over it.
    pub(super) fn read(file: &Path, environment: impl IntoIterator<Item = (String, String)>) -> Result<Self, Problem> {
        let text = std::fs::read_to_string(file)
            .map_err(|error| whole_file(file, format!("cannot be read: {error}"), None))?;
        Self::parse(file, &text, environment)
    }

    /// Parses `text` as if it were what `file` holds.
    pub(super) fn parse(
        file: &Path,
        text: &str,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Problem> {
        let parsed = toml_edit::Document::parse(text).map_err(|error| {
            let place = error.span().map(|span| Lines::of(text).place(text, span.start));
            Problem {
                file: file.to_owned(),
                line: place.map(|place| place.line),
                column: place.map(|place| place.column),
                key: String::new(),
                message: format!("not TOML: {}", error.message().lines().collect::<Vec<_>>().join(", ")),
                help: None,
            }
        })?;
        let mut places = Places { file: file.to_owned(), ..Places::default() };
        let layer =
            FileLayer(Reader { lines: Lines::of(text), text, places: &mut places }.table(parsed.as_table(), ""));
        let mut problems = Vec::new();
        let variables = settings_among(environment, &mut places, &mut problems);
        let environment = Environment::with_prefix("FOREBAY").separator("__").source(Some(variables));
        let merged = Config::builder().add_source(layer).add_source(environment).build();
        let merged = merged.map_err(|error| whole_file(file, format!("cannot be merged: {error}"), None))?;
        Ok(Self { root: merged.cache, places, problems: RefCell::new(problems) })
    }

    /// The whole file as a section.
    pub(super) fn root(&self) -> Section<'_> {
        Section::of(self, String::new(), Some(&self.root))
    }

    /// Notes a problem of the key at `path`.
    pub(super) fn problem(&self, path: &str, message: impl Into<String>, help: Option<String>) {
        self.problems.borrow_mut().push(self.places.problem(path, message.into(), help));
    }

    /// Notes problems of another file that this one names.
    pub(super) fn adopt(&self, problems: Vec<Problem>) {
        self.problems.borrow_mut().extend(problems);
    }

    /// Everything that is wrong, in the order of the file, and where its keys stand.
    pub(super) fn finish(self) -> (Vec<Problem>, Places) {
        let mut problems = self.problems.into_inner();
        problems.sort();
        problems.dedup();
        (problems, self.places)
    }

    /// A number with a fraction or an exponent as the file writes it.
    pub(super) fn written(&self, path: &str) -> Option<&str> {
        self.places.written.get(path).map(String::as_str)
    }

    /// The folder that relative paths of this file begin at.
    pub(super) fn folder(&self) -> &Path {
        self.places.file.parent().unwrap_or(Path::new(""))
    }
}

impl Places {
    /// A problem of the key at `path`: at its line, or at that of the nearest key around it.
    pub(super) fn problem(&self, path: &str, message: String, help: Option<String>) -> Problem {
        if let Some(variable) = around(path).find_map(|path| self.in_environment.get(path)) {
            return Problem {
                file: PathBuf::from(ENVIRONMENT),
                line: None,
                column: None,
                key: variable.clone(),
                message,
                help,
            };
        }
        let place = around(path).find_map(|path| self.in_file.get(path));
        Problem {
            file: self.file.clone(),
            line: place.map(|place| place.line),
            column: place.map(|place| place.column),
            key: for_people(path),
            message,
            help,
        }
    }
}

/// The values of the file as a source of the `config` crate.
#[derive(Debug, Clone)]
struct FileLayer(Map<String, Value>);

impl Source for FileLayer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        Ok(self.0.clone())
    }

    fn collect_to(&self, cache: &mut Value) -> Result<(), ConfigError> {
        // Not by path expressions, as the default would: a quoted key may hold dots and brackets.
        cache.kind = ValueKind::Table(self.0.clone());
        Ok(())
    }
}

/// Whether a value was laid over the file by a variable.
pub(super) fn is_from_environment(value: &Value) -> bool {
    value.origin() == Some(FROM_ENVIRONMENT)
}

/// `path` of a key below `parent`.
pub(super) fn join(parent: &str, key: &str) -> String {
    if parent.is_empty() { key.to_owned() } else { format!("{parent}.{key}") }
}

fn whole_file(file: &Path, message: String, help: Option<String>) -> Problem {
    Problem { file: file.to_owned(), line: None, column: None, key: String::new(), message, help }
}

/// The path itself, then each path around it.
fn around(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(path), |path| path.rfind(['.', '[']).map(|end| &path[..end]))
}

/// A path without the places in lists: the line says which one is meant.
fn for_people(path: &str) -> String {
    let mut shown = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(open) = rest.find('[') {
        shown.push_str(&rest[..open]);
        let after = rest[open + 1..].trim_start_matches(|c: char| c.is_ascii_digit());
        rest = after.strip_prefix(']').unwrap_or(after);
    }
    shown + rest
}

/// Where the lines of a text begin.
#[derive(Debug)]
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        Self(std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect())
    }

    /// Line and column of a byte.
    fn place(&self, text: &str, byte: usize) -> Place {
        let line = self.0.partition_point(|start| *start <= byte).max(1);
        let start = self.0.get(line - 1).copied().unwrap_or(0);
        let before = text.get(start..byte).unwrap_or_default();
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Place { line: number(line), column: number(before.chars().count() + 1) }
    }
}

/// From the parsed file to plain values, with the place of each noted.
struct Reader<'r> {
    lines: Lines,
    text: &'r str,
    places: &'r mut Places,
}

impl Reader<'_> {
    fn note(&mut self, path: &str, span: Option<Range<usize>>) {
        if let Some(span) = span {
            self.places.in_file.insert(path.to_owned(), self.lines.place(self.text, span.start));
        }
    }

    fn table(&mut self, table: &dyn TableLike, path: &str) -> Map<String, Value> {
        let mut map = Map::new();
        for (name, item) in table.iter() {
            let path = join(path, name);
            self.note(&path, table.get_key_value(name).and_then(|(key, _)| key.span()).or_else(|| item.span()));
            map.insert(name.to_owned(), self.item(item, &path));
        }
        map
    }

    fn item(&mut self, item: &Item, path: &str) -> Value {
        match item {
            Item::None => Value::new(None, ValueKind::Nil),
            Item::Table(table) => Value::new(None, self.table(table, path)),
            Item::Value(value) => self.value(value, path),
            Item::ArrayOfTables(tables) => {
                let mut list = Vec::new();
                for (index, table) in tables.iter().enumerate() {
                    let path = self.element(path, index, table.span());
                    list.push(Value::new(None, self.table(table, &path)));
                }
                Value::new(None, list)
            }
        }
    }

    /// Path of an element of a list, its place noted.
    fn element(&mut self, list: &str, index: usize, span: Option<Range<usize>>) -> String {
        let path = format!("{list}[{index}]");
        self.note(&path, span);
        path
    }

    fn value(&mut self, value: &toml_edit::Value, path: &str) -> Value {
        use toml_edit::Value as Toml;
        let kind: ValueKind = match value {
            Toml::String(text) => text.value().clone().into(),
            Toml::Integer(number) => (*number.value()).into(),
            Toml::Float(number) => {
                if let Some(text) = number.span().and_then(|span| self.text.get(span)) {
                    // As XML Schema writes what has no digits.
                    let text = text.replace('_', "").replace("inf", "INF").replace("nan", "NaN");
                    self.places.written.insert(path.to_owned(), text);
                }
                (*number.value()).into()
            }
            Toml::Boolean(flag) => (*flag.value()).into(),
            Toml::Datetime(time) => time.value().to_string().into(),
            Toml::InlineTable(table) => self.table(table, path).into(),
            Toml::Array(array) => {
                let mut list = Vec::new();
                for (index, element) in array.iter().enumerate() {
                    let path = self.element(path, index, element.span());
                    list.push(self.value(element, &path));
                }
                list.into()
            }
        };
        Value::new(None, kind)
    }
}

/// The variables that are settings, named as the `config` crate reads them. Notes the path of each, and a problem for
/// each that cannot be one.
fn settings_among(
    environment: impl IntoIterator<Item = (String, String)>,
    places: &mut Places,
    problems: &mut Vec<Problem>,
) -> Map<String, String> {
    let mut settings = Map::new();
    for (name, value) in environment {
        let Some((prefix, rest)) = name.split_at_checked(PREFIX.len()) else { continue };
        if !prefix.eq_ignore_ascii_case(PREFIX) {
            continue;
        }
        let mut key: Vec<String> = rest.split("__").map(str::to_lowercase).collect();
        if key.first().is_some_and(|section| section == "kafka") {
            // librdkafka's names have dots where the name of a variable can only have underscores.
            key = key.iter().flat_map(|part| part.split(['_', '.'])).map(str::to_owned).collect();
        }
        // Only what the path expressions of the `config` crate take for plain names.
        let plain = |part: &String| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        let message = if key.first().is_some_and(|section| section == "table") {
            "tables are read from the file alone"
        } else if key.len() < 2 || !key.iter().all(plain) {
            "not the name of a setting"
        } else {
            places.in_environment.insert(key.join("."), name);
            settings.insert(format!("{PREFIX}{}", key.join("__")), value);
            continue;
        };
        problems.push(Problem {
            file: PathBuf::from(ENVIRONMENT),
            line: None,
            column: None,
            key: name,
            message: message.into(),
            help: Some("write FOREBAY__SECTION__KEY, such as FOREBAY__LIMITS__MEMORY".into()),
        });
    }
    settings
}
