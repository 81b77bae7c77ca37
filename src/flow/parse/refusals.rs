//! The sentences that refuse a message as XML, with their codes; those for quick-xml's own errors among them.

use quick_xml::errors::{Error, IllFormedError, SyntaxError};

use super::chars;
use super::found::Found;
use super::names::Resolved;
use crate::model::violation::Code;

/// Checks the name of a processing instruction.
///
/// # Errors
///
/// It is none, or one that is reserved.
pub(super) fn check_target(target: &str, at: usize) -> Result<(), Box<Found>> {
    if target.eq_ignore_ascii_case("xml") || !chars::is_unqualified_name(target) {
        return Err(Found::fatal(
            Code::XML_SYNTAX,
            at,
            "a processing instruction has a name that is reserved or malformed",
        ));
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
pub(super) fn bad_name(bad: Resolved, at: usize, kind: &str) -> Box<Found> {
    match bad {
        Resolved::Unbound => {
            Found::fatal(Code::XML_NAMESPACE, at, format!("the prefix of an {kind} is not bound to a namespace"))
        }
        _ => Found::fatal(Code::XML_SYNTAX, at, format!("the name of an {kind} is not a name")),
    }
}

/// What quick-xml found wrong.
pub(super) fn broken(error: &Error, at: usize) -> Box<Found> {
    let code = match error {
        Error::Syntax(SyntaxError::InvalidBangMarkup) => Code::XML_SYNTAX,
        Error::Syntax(SyntaxError::UnclosedDoctype) | Error::IllFormed(IllFormedError::MissingDoctypeName) => {
            return dtd(at);
        }
        Error::Syntax(_) => Code::XML_UNCLOSED,
        Error::IllFormed(IllFormedError::MismatchedEndTag { .. } | IllFormedError::UnmatchedEndTag(_)) => {
            Code::XML_MISMATCHED_END_TAG
        }
        Error::IllFormed(IllFormedError::UnclosedReference) => Code::XML_REFERENCE,
        Error::Encoding(_) => Code::XML_ENCODING,
        Error::InvalidAttr(_) => Code::XML_ATTRIBUTE,
        Error::Escape(_) => Code::XML_REFERENCE,
        Error::Namespace(_) => Code::XML_NAMESPACE,
        _ => Code::XML_SYNTAX,
    };
    let what = match error {
        Error::IllFormed(IllFormedError::MismatchedEndTag { .. }) => {
            "an end tag does not match the element that is open".to_owned()
        }
        Error::IllFormed(IllFormedError::UnmatchedEndTag(_)) => "an end tag closes no element".to_owned(),
        Error::IllFormed(IllFormedError::DoubleHyphenInComment) => "a comment holds --".to_owned(),
        Error::IllFormed(IllFormedError::UnclosedReference) => "a reference has no closing semicolon".to_owned(),
        Error::Syntax(SyntaxError::InvalidBangMarkup) => "markup that begins with <! is none that XML knows".to_owned(),
        Error::Syntax(_) => "the message ends inside markup".to_owned(),
        other => other.to_string(),
    };
    Found::fatal(code, at, what)
}
