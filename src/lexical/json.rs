//! Whether a text is one JSON document.

use serde::de::IgnoredAny;

use super::value::Refused;
use crate::model::violation::Code;

/// Looks at the whole text and builds nothing.
pub(super) fn check(text: &str) -> Result<(), Refused> {
    serde_json::from_str::<IgnoredAny>(text).map(|_| ()).map_err(|error| {
        let what = format!("not a JSON document: line {}, column {}", error.line(), error.column());
        Refused::new(Code::TYPE_JSON, what)
    })
}
