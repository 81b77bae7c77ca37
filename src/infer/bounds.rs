//! What a mapping has to allow so that the daemon takes the documents it is inferred from.

use crate::flow::parse::WellFormed;
use crate::model::mapping::{Dtd, Limits};
use crate::model::violation::Code;

/// The widest limits that are proposed; what needs more is left out. Nesting stays as it is: what is deeper than that
/// is made to be deep.
const WIDEST: Limits = Limits {
    bytes: 1 << 30,
    depth: 256,
    attributes: 1 << 16,
    bindings: 1 << 12,
    name: u16::MAX as u32,
    text: 1 << 30,
    children: 1 << 30,
    rows: 100_000_000,
};

/// Limits, and whether a message may have a document type declaration: as narrow as a mapping has them by itself, and
/// wider only where a document needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bounds {
    limits: Limits,
    pub(super) dtd: Dtd,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { limits: Limits::default(), dtd: Dtd::Refuse }
    }
}

impl Bounds {
    /// The daemon's judge of well-formedness within these bounds.
    pub(super) fn judge(&self) -> WellFormed {
        WellFormed::new(self.limits, self.dtd)
    }

    /// Wider bounds for a document that broke these; none when it is not for a mapping to allow.
    pub(super) fn wider(mut self, broken: Code) -> Option<Self> {
        let before = self;
        let limits = &mut self.limits;
        let more = |limit: &mut u32, most: u32| *limit = limit.saturating_mul(2).min(most);
        let more_bytes = |limit: &mut u64, most: u64| *limit = limit.saturating_mul(2).min(most);
        match broken {
            Code::DTD_REFUSED => self.dtd = Dtd::IgnoreExternal,
            Code::LIMIT_BYTES => more_bytes(&mut limits.bytes, WIDEST.bytes),
            Code::LIMIT_TEXT => more_bytes(&mut limits.text, WIDEST.text),
            Code::LIMIT_ATTRIBUTES => more(&mut limits.attributes, WIDEST.attributes),
            Code::LIMIT_BINDINGS => more(&mut limits.bindings, WIDEST.bindings),
            Code::LIMIT_NAME => more(&mut limits.name, WIDEST.name),
            Code::LIMIT_CHILDREN => more(&mut limits.children, WIDEST.children),
            _ => return None,
        }
        (self != before).then_some(self)
    }

    /// The limits that a mapping has to write down for messages with so many rows, as keys and TOML values.
    pub(super) fn written(&self, rows: u64) -> Vec<(&'static str, String)> {
        let (own, usual) = (&self.limits, Limits::default());
        let size = |bytes: u64| format!("\"{}MiB\"", bytes >> 20);
        let mut written = Vec::new();
        let mut write = |key, is_wider: bool, value: String| {
            if is_wider {
                written.push((key, value));
            }
        };
        write("bytes", own.bytes > usual.bytes, size(own.bytes));
        write("attributes", own.attributes > usual.attributes, own.attributes.to_string());
        write("bindings", own.bindings > usual.bindings, own.bindings.to_string());
        write("name", own.name > usual.name, own.name.to_string());
        write("text", own.text > usual.text, size(own.text));
        write("children", own.children > usual.children, own.children.to_string());
        let needed = rows.saturating_mul(2).min(u64::from(WIDEST.rows));
        write("rows", rows > u64::from(usual.rows), needed.to_string());
        written
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_mapping_may_allow_is_allowed_and_only_so_far() {
        let bounds = Bounds::default();
        assert!(bounds.written(100_000).is_empty());
        assert_eq!(bounds.wider(Code::LIMIT_DEPTH), None);
        assert_eq!(bounds.wider(Code::XML_UNCLOSED), None);
        let mut wide = bounds;
        while let Some(wider) = wide.wider(Code::LIMIT_TEXT).or_else(|| wide.wider(Code::LIMIT_NAME)) {
            wide = wider;
        }
        let text = wide.written(200_000);
        let expected = [("name", "65535"), ("text", "\"1024MiB\""), ("rows", "400000")];
        assert_eq!(text, expected.map(|(key, value)| (key, value.to_owned())));
    }
}
