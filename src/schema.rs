//! Whole messages against an XML schema: what `[message] xsd` asks for.
//!
//! The work is done by uppsala. It never fetches anything: `include` and `import` are followed in the folder of the
//! schema alone, and a message's own `xsi:schemaLocation` is not looked at.
//!
//! Cost: the message is made a tree, which takes several times its length of memory while it is checked, and about ten
//! milliseconds a megabyte. Checked after everything else, so that the limits of the mapping hold by then.

mod parts;
mod rules;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use uppsala::{Document, ValidationError, XsdValidator};

/// Deepest message that is checked: both the tree and the check go down by recursion.
pub const MAX_DEPTH: u32 = 128;

/// A message up to this length is checked with the places of its breaches at once.
const SHORT: usize = 64 << 10;

/// For each place the message is counted through from its beginning: this many bytes are, at most.
const MAX_COUNTED: usize = 1 << 30;

/// A compiled schema. Cheap to clone, shared by threads.
#[derive(Clone)]
pub struct Schema {
    validator: Arc<XsdValidator>,
    digest: u64,
}

/// What a message has that its schema does not allow, or the other way round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breach {
    /// The rule of the recommendation, e.g. `cvc-complex-type.2.4`.
    pub rule: &'static str,
    /// Byte offset in the message; none where it was not worked out.
    pub at: Option<usize>,
    /// The value it is about, where it is about one.
    pub value: Option<String>,
    /// What is wrong, a clause without the value.
    pub what: String,
}

impl Schema {
    /// Reads and compiles a schema with what it includes and imports from its own folder.
    ///
    /// # Errors
    ///
    /// What is wrong with it, a sentence for a person.
    pub fn load(file: &Path) -> Result<Self, String> {
        let digest = parts::check(file)?;
        let text = read(file)?;
        let document = parse_schema(file, &text)?;
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let validator = XsdValidator::from_schema_with_base_path(&document, Some(folder));
        let validator = Arc::new(validator.map_err(|error| no_schema(file, &error.to_string()))?);
        Ok(Self { validator, digest })
    }

    /// Tells a schema from one whose files had other content, in this process.
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// What of a well-formed message is against the schema, `most` at most, in the order of the message as far as that
    /// is known.
    ///
    /// # Errors
    ///
    /// A message that cannot be made a tree: deeper than [`MAX_DEPTH`].
    pub fn breaches(&self, message: &str, most: usize) -> Result<Vec<Breach>, String> {
        let document = parse(message)?;
        if message.len() <= SHORT {
            return Ok(place(message, &self.validator.validate(&document), most));
        }
        // Without the text the places are not looked up, which would take the length of the message for each.
        let found = self.validator.validate(&document.into_static());
        if found.is_empty() || found.len().saturating_mul(message.len()) > MAX_COUNTED {
            return Ok(found.iter().take(most).map(|error| breach(error, None)).collect());
        }
        Ok(place(message, &self.validator.validate(&parse(message)?), most))
    }
}

fn parse(message: &str) -> Result<Document<'_>, String> {
    let parser = uppsala::Parser::new().with_max_depth(MAX_DEPTH).with_max_entity_expansion(0);
    parser.parse(message).map_err(|error| one_line(&error.to_string()))
}

fn read(file: &Path) -> Result<Vec<u8>, String> {
    fs::read(file).map_err(|error| format!("{} cannot be read: {error}", file.display()))
}

fn parse_schema(file: &Path, text: &[u8]) -> Result<Document<'static>, String> {
    let document = uppsala::parse_bytes(text).map_err(|error| no_schema(file, &error.to_string()))?;
    let root = document.document_element().and_then(|root| document.element(root));
    match root {
        Some(root) if parts::is_of_schema(&root.name, &["schema"]) => Ok(document),
        _ => Err(no_schema(file, "its root element is not xs:schema")),
    }
}

fn no_schema(file: &Path, why: &str) -> String {
    format!("{} is no schema: {}", file.display(), one_line(why))
}

fn place(message: &str, found: &[ValidationError], most: usize) -> Vec<Breach> {
    let mut starts = vec![0];
    if !found.is_empty() {
        starts.extend(memchr::memchr_iter(b'\n', message.as_bytes()).map(|at| at + 1));
    }
    let offset = |error: &ValidationError| {
        let start = starts.get(error.line?.checked_sub(1)?)?;
        Some((start + error.column?.saturating_sub(1)).min(message.len()))
    };
    found.iter().take(most).map(|error| breach(error, offset(error))).collect()
}

fn breach(error: &ValidationError, at: Option<usize>) -> Breach {
    let (rule, value, what) = rules::read(&error.message);
    Breach { rule, at, value: value.map(str::to_owned), what: one_line(&what) }
}

fn one_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

impl std::fmt::Debug for Schema {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Schema").finish_non_exhaustive()
    }
}

impl PartialEq for Schema {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.validator, &other.validator)
    }
}

#[cfg(test)]
mod tests;
