//! The files of a schema, looked at before they are compiled: uppsala passes over a part that is not there, a type that
//! nothing declares and what it does not know, and then every message would be refused, or some taken that should not
//! be.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use uppsala::{Document, NodeId, QName};

use super::{no_schema, parse_schema, read};

const XSD: &str = "http://www.w3.org/2001/XMLSchema";

/// What XML Schema 1.1 has beyond 1.0 that would go unseen.
const UNKNOWN: [&str; 6] = ["assert", "assertion", "alternative", "openContent", "defaultOpenContent", "override"];

/// Attributes of a schema whose values name types.
const NAMING: [&str; 4] = ["type", "base", "itemType", "memberTypes"];

/// Whether this is one of these elements of XML Schema.
pub(super) fn is_of_schema(name: &QName<'_>, local: &[&str]) -> bool {
    name.namespace_uri.as_deref() == Some(XSD) && local.contains(&&*name.local_name)
}

/// Sees to it that every part of a schema is there and nothing in it goes unseen; what tells its content from another.
///
/// # Errors
///
/// What is wrong with it, a sentence for a person.
pub(super) fn check(file: &Path) -> Result<u64, String> {
    let home = file.canonicalize().map_err(|error| format!("{} cannot be read: {error}", file.display()))?;
    let mut parts = Parts { whole: file, home, ..Parts::default() };
    parts.add(file)?;
    match parts.named.iter().find(|(name, _)| !parts.declared.contains(name)) {
        Some((name, place)) => Err(no_schema(place, &format!("it names a type {name} that nothing declares"))),
        None => Ok(parts.digest.finish()),
    }
}

struct Parts<'f> {
    whole: &'f Path,
    home: PathBuf,
    seen: HashSet<PathBuf>,
    digest: DefaultHasher,
    /// Local names of the types that the parts declare: what namespace a part belongs to may be up to who includes it.
    declared: HashSet<String>,
    /// Local names of the types that are used, and where.
    named: Vec<(String, PathBuf)>,
}

impl Default for Parts<'_> {
    fn default() -> Self {
        Self {
            whole: Path::new(""),
            home: PathBuf::new(),
            seen: HashSet::new(),
            digest: DefaultHasher::new(),
            declared: HashSet::new(),
            named: Vec::new(),
        }
    }
}

impl Parts<'_> {
    fn add(&mut self, file: &Path) -> Result<(), String> {
        let canonical = file.canonicalize().map_err(|error| format!("{} cannot be read: {error}", file.display()))?;
        if self.home.parent().is_some_and(|home| !canonical.starts_with(home)) {
            return Err(format!("{} lies outside the folder of {}", file.display(), self.whole.display()));
        }
        if !self.seen.insert(canonical) {
            return Ok(());
        }
        let text = read(file)?;
        text.hash(&mut self.digest);
        let document = parse_schema(file, &text)?;
        let Some(root) = document.document_element() else { return Ok(()) };
        let mut waiting = vec![root];
        while let Some(node) = waiting.pop() {
            let Some(element) = document.element(node) else { continue };
            if element.name.namespace_uri.as_deref() != Some(XSD) || is_of_schema(&element.name, &["annotation"]) {
                continue;
            }
            waiting.extend(document.children(node));
            if is_of_schema(&element.name, &UNKNOWN) {
                let what =
                    format!("it has xs:{}, which is XML Schema 1.1; only 1.0 is checked", element.name.local_name);
                return Err(no_schema(file, &what));
            }
            let names = NAMING.iter().filter_map(|attribute| element.get_attribute(attribute));
            for name in names.flat_map(str::split_ascii_whitespace).filter(|name| !is_built_in(&document, node, name)) {
                let local = name.rsplit(':').next().unwrap_or(name);
                self.named.push((local.to_owned(), file.to_owned()));
            }
        }
        for part in document.children(root).into_iter().filter_map(|child| document.element(child)) {
            let is_type = is_of_schema(&part.name, &["simpleType", "complexType"]);
            self.declared.extend(part.get_attribute("name").filter(|_| is_type).map(str::to_owned));
            let location = part.get_attribute("schemaLocation");
            let Some(location) = location.filter(|_| is_of_schema(&part.name, &["include", "import", "redefine"]))
            else {
                continue;
            };
            if location.contains("://") {
                let what = format!("it takes {location}, and nothing is fetched: put a copy beside it and name that");
                return Err(no_schema(file, &what));
            }
            self.add(&file.with_file_name(location))
                .map_err(|error| format!("{error} (which {} takes)", file.display()))?;
        }
        Ok(())
    }
}

/// Whether a name in an attribute of a node is one of XML Schema itself.
fn is_built_in(document: &Document<'_>, node: NodeId, name: &str) -> bool {
    let prefix = name.split_once(':').map_or("", |(prefix, _)| prefix);
    let around = std::iter::successors(Some(node), |&node| document.parent(node));
    let mut declarations =
        around.filter_map(|node| document.element(node)).flat_map(|element| &element.namespace_declarations);
    declarations.find(|(declared, _)| declared == prefix).is_some_and(|(_, namespace)| namespace == XSD)
}
