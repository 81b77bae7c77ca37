//! The sentences that refuse a message as XML, with their codes; those for quick-xml's own errors among them.

use quick_xml::errors::{Error, IllFormedError};

use super::chars::{is_space, is_unqualified_name};
use super::found::{Found, shortened};
use super::names::Resolved;
use super::text::NO_SEMICOLON;
use crate::model::mapping::Limits;
use crate::model::violation::Code;

/// Checks the name of a processing instruction that begins at `at`.
///
/// # Errors
///
/// It is none, or one that is reserved, or too long.
pub(super) fn check_target(target: &str, at: usize, limits: &Limits) -> Result<(), Box<Found>> {
    let at = at + "<?".len();
    if target.eq_ignore_ascii_case("xml") {
        return Err(Found::fatal(Code::XML_INSTRUCTION, at, "a processing instruction has the reserved name xml"));
    }
    if target.len() > limits.name as usize {
        return Err(long_name(at, limits));
    }
    if !is_unqualified_name(target) {
        return Err(Found::fatal(Code::XML_NAME, at, "the name of a processing instruction is not a name"));
    }
    Ok(())
}

/// Text where only elements may be.
pub(super) fn text_outside(at: usize) -> Box<Found> {
    Found::fatal(Code::XML_TEXT_OUTSIDE_ROOT, at, "there is text before or after the root element")
}

/// A document type declaration.
pub(super) fn dtd(at: usize) -> Box<Found> {
    Found::fatal(Code::DTD_REFUSED, at, "the message has a document type declaration, which is refused")
}

/// A name that did not resolve.
#[cold]
pub(super) fn bad_name(bad: Resolved, at: usize, kind: &str) -> Box<Found> {
    match bad {
        Resolved::Unbound => {
            Found::fatal(Code::XML_UNBOUND, at, format!("the prefix of an {kind} is not bound to a namespace"))
        }
        Resolved::Reserved => {
            Found::fatal(Code::XML_RESERVED, at, format!("the name of an {kind} has the reserved prefix xmlns"))
        }
        Resolved::Name(_) | Resolved::Malformed => {
            Found::fatal(Code::XML_NAME, at, format!("the name of an {kind} is not a name"))
        }
    }
}

/// Markup that the message ends in.
#[cold]
pub(super) fn unclosed(at: usize, what: &str) -> Box<Found> {
    Found::fatal(Code::XML_UNCLOSED, at, what)
}

/// More than `limits.attributes`.
#[cold]
pub(super) fn too_many_attributes(at: usize, limits: &Limits) -> Box<Found> {
    let what = format!("an element has more than {} attributes (limits.attributes)", limits.attributes);
    Found::fatal(Code::LIMIT_ATTRIBUTES, at, what)
}

/// More than `limits.bindings`.
#[cold]
pub(super) fn too_many_bindings(at: usize, limits: &Limits) -> Box<Found> {
    let what = format!("more than {} namespace declarations are in scope (limits.bindings)", limits.bindings);
    Found::fatal(Code::LIMIT_BINDINGS, at, what)
}

/// More than `limits.name`.
#[cold]
pub(super) fn long_name(at: usize, limits: &Limits) -> Box<Found> {
    Found::fatal(Code::LIMIT_NAME, at, format!("a name is longer than {} bytes (limits.name)", limits.name))
}

/// More than `limits.text`.
#[cold]
pub(super) fn long_text(at: usize, kind: &str, limits: &Limits) -> Box<Found> {
    Found::fatal(Code::LIMIT_TEXT, at, format!("{kind} is longer than {} bytes (limits.text)", limits.text))
}

/// More than `limits.depth`.
#[cold]
pub(super) fn too_deep(at: usize, limits: &Limits) -> Box<Found> {
    let what = format!("elements are nested deeper than {} levels (limits.depth)", limits.depth);
    Found::fatal(Code::LIMIT_DEPTH, at, what)
}

/// More than `limits.children`.
#[cold]
pub(super) fn too_many_children(at: usize, limits: &Limits) -> Box<Found> {
    let what = format!("an element has more than {} children (limits.children)", limits.children);
    Found::fatal(Code::LIMIT_CHILDREN, at, what)
}

/// What quick-xml found wrong with the markup that begins at `at`. Its errors say little, so the markup is looked at
/// again.
#[cold]
pub(super) fn broken(error: &Error, message: &str, at: usize) -> Box<Found> {
    let markup = message.get(at..).unwrap_or_default();
    let end_tag = |what: &str| {
        let end = markup.find('>').map_or(markup.len(), |end| end + 1);
        let found = Found::at(Code::XML_MISMATCHED_END_TAG, at, what);
        Box::new(Found { value: Some(shortened(&markup[..end])), ..found })
    };
    match error {
        Error::IllFormed(IllFormedError::UnmatchedEndTag(_)) => return end_tag("an end tag closes no element"),
        Error::IllFormed(IllFormedError::MismatchedEndTag { .. }) => {
            return end_tag("an end tag does not match the element that is open");
        }
        _ => {}
    }
    match markup {
        _ if markup.starts_with('&') => Found::fatal(Code::XML_REFERENCE, at, NO_SEMICOLON),
        _ if markup.starts_with("<!--") => unclosed(at, "the message ends inside a comment"),
        _ if markup.starts_with("<![CDATA[") => unclosed(at, "the message ends inside a CDATA section"),
        _ if markup.starts_with("<!") => {
            let is_cut = ["<!--", "<![CDATA[", "<!DOCTYPE"].iter().any(|whole| whole.starts_with(markup));
            if is_cut {
                return unclosed(at, "the message ends inside markup");
            }
            Found::fatal(Code::XML_SYNTAX, at, "markup that begins with <! is none that XML knows")
        }
        _ if markup.starts_with("<?") && !markup.contains("?>") => {
            unclosed(at, "the message ends inside a processing instruction")
        }
        _ if markup.starts_with("<?") => {
            Found::fatal(Code::XML_NAME, at + "<?".len(), "the name of a processing instruction is not a name")
        }
        _ if markup.as_bytes().get(1).copied().is_some_and(is_space) => {
            Found::fatal(Code::XML_NAME, at, "the name of an element is not a name; < itself must be written &lt;")
        }
        _ => unclosed(at, "the message ends inside a tag"),
    }
}
