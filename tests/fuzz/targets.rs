//! What is fuzzed, and what is claimed of it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use forebay::config::mapping;
use forebay::flow::parse::{Parser, ParserTable, WellFormed};
use forebay::model::batch::{Outcome, Piece, RawBatch, RawMessage};
use forebay::model::budget::MemoryBudget;
use forebay::model::mapping::{Dtd, Limits, Lineage};
use forebay::model::offset::{OffsetRange, TopicPartition};
use forebay::model::violation::Violation;

use crate::engine::Target;

const XML: &[&str] = &[
    "<",
    ">",
    "/>",
    "</",
    "<a>",
    "</a>",
    "<a/>",
    "=",
    "''",
    "\"",
    " ",
    "\r\n",
    "&amp;",
    "&#x10FFFF;",
    "&#0;",
    "&nbsp;",
    "&",
    ";",
    "<!--",
    "-->",
    "--",
    "<![CDATA[",
    "]]>",
    "<?p ",
    "?>",
    "<?xml version='1.0'",
    " encoding='",
    "UTF-8",
    "UTF-16",
    "ISO-8859-1",
    "windows-1252",
    "Shift_JIS",
    "ISO-2022-JP",
    "GB18030",
    "Big5",
    "US-ASCII",
    " standalone='yes'",
    "?><a/>",
    "<!DOCTYPE a",
    " SYSTEM ''",
    " PUBLIC '' ''",
    " [",
    "xmlns",
    " xmlns='u'",
    " xmlns:p='u'",
    " xmlns:q='u'",
    " xmlns:p=''",
    "p:",
    "q:",
    " p:b=''",
    " q:b=''",
    " b=''",
    "xml:",
    ":",
    "\u{FEFF}",
    "\u{FFFE}",
    "\0",
    "é",
    "\u{10000}",
    "\u{85}",
    "<library>",
    "<book>",
    "</book>",
    "<record_id>1</record_id>",
    "<price currency='EUR'>1.5</price>",
    "<added>2026-10-15T18:42:00Z</added>",
];

fn told(violation: &Violation) -> String {
    let depth = violation.path.as_deref().map_or(0, |path| path.matches('/').count());
    format!("{} {} {depth}", violation.code, violation.message)
}

fn has_its_place(violation: &Violation, input: &[u8]) {
    assert!(violation.byte_offset.unwrap() <= input.len() as u64, "{violation:?}");
    let lines = 1 + input.iter().filter(|&&byte| byte == b'\n').count() as u32;
    assert!((1..=lines).contains(&violation.line.unwrap()), "{violation:?}");
}

/// Bytes to a verdict on well-formedness.
pub(crate) struct Bytes {
    /// Has seen all inputs before.
    seasoned: WellFormed,
}

impl Default for Bytes {
    fn default() -> Self {
        Self { seasoned: WellFormed::new(Limits::default(), Dtd::IgnoreExternal) }
    }
}

impl Target for Bytes {
    fn name(&self) -> &'static str {
        "bytes"
    }

    fn tokens(&self) -> &'static [&'static str] {
        XML
    }

    fn try_one(&mut self, input: &[u8]) -> String {
        let verdict = self.seasoned.check(input);
        let fresh = WellFormed::new(Limits::default(), Dtd::IgnoreExternal).check(input);
        assert_eq!(verdict, fresh, "what was seen before does not matter");
        let strict = WellFormed::new(Limits::default(), Dtd::Refuse).check(input);
        assert!(verdict.is_ok() || strict.is_err(), "the stricter policy accepts nothing more");
        let small = Limits { depth: 3, attributes: 3, bindings: 2, name: 4, text: 8, children: 3, ..Limits::default() };
        let bounded = WellFormed::new(small, Dtd::IgnoreExternal).check(input);
        assert!(verdict.is_ok() || bounded.is_err(), "limits accept nothing more");
        for violation in [&verdict, &strict, &bounded].into_iter().filter_map(|verdict| verdict.as_ref().err()) {
            has_its_place(violation, input);
        }
        let code = bounded.map_or_else(|violation| violation.code.name(), |()| "-");
        format!("{} {code}", verdict.map_or_else(|violation| told(&violation), |()| String::new()))
    }
}

/// A mapping file to its check.
pub(crate) struct MappingFile {
    folder: tempfile::TempDir,
    file: PathBuf,
}

impl MappingFile {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("fuzz.toml");
        Self { folder, file }
    }
}

impl Target for MappingFile {
    fn name(&self) -> &'static str {
        "mapping"
    }

    fn tokens(&self) -> &'static [&'static str] {
        &[
            "[message]\n",
            "[[column]]\n",
            "[[child]]\n",
            "[[child.column]]\n",
            "[[column.field]]\n",
            "[limits]\n",
            "[namespaces]\n",
            "[on_error]\n",
            "name = \"a\"\n",
            "path = \"a/b/@c\"\n",
            "path = \"/\"\n",
            "type = \"int64\"\n",
            "type = \"decimal(38,38)\"\n",
            "type = \"list<string>\"\n",
            "type = \"struct\"\n",
            "required = true\n",
            "repeat = \"join(,)\"\n",
            "repeat = \"index(0)\"\n",
            "format = \"%Y\"\n",
            "default = \"x\"\n",
            "regex = \"(\"\n",
            "enum = [\"a\"]\n",
            "min = 1\n",
            "zone = \"UTC\"\n",
            "dtd = \"ignore-external\"\n",
            "unmapped = \"collect(a)\"\n",
            "rows = \"a/b\"\n",
            "root = \"p:a\"\n",
            "text()",
            "string()",
            "*",
            "[@k='v']",
            "\"",
            "=",
            "\n",
            "(",
            ")",
            "version = 1\n",
        ]
    }

    fn try_one(&mut self, input: &[u8]) -> String {
        assert!(self.folder.path().is_dir());
        std::fs::write(&self.file, input).unwrap();
        match mapping::read(&self.file, &Lineage::default()) {
            Ok(mapping) => {
                // What was found good can be worked with.
                let _ = mapping.raw_schema();
                ParserTable::compile(&mapping).unwrap();
                format!("{} columns", mapping.columns.len())
            }
            Err(problems) => {
                assert!(!problems.is_empty());
                problems
                    .iter()
                    .map(|problem| {
                        format!("{problem:?}").chars().filter(char::is_ascii_alphabetic).take(60).collect::<String>()
                    })
                    .collect()
            }
        }
    }
}

/// Bytes to rows, by the mapping of the demo.
pub(crate) struct Rows {
    parser: Parser,
    judge: WellFormed,
}

impl Rows {
    pub(crate) fn new() -> Self {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/tables/books.toml");
        let mapping = mapping::read(&file, &Lineage::default()).unwrap();
        let judge = WellFormed::new(mapping.limits, mapping.dtd);
        Self { parser: Parser::new(Arc::from(vec![ParserTable::compile(&mapping).unwrap()])), judge }
    }
}

impl Target for Rows {
    fn name(&self) -> &'static str {
        "rows"
    }

    fn tokens(&self) -> &'static [&'static str] {
        XML
    }

    fn try_one(&mut self, input: &[u8]) -> String {
        let message = RawMessage {
            offset: 0,
            timestamp_us: None,
            key: None,
            payload: Some(0..input.len() as u32),
            headers: vec![],
        };
        let batch = Arc::new(RawBatch {
            source: TopicPartition::new("library", 0),
            generation: 0,
            seq: 0,
            piece: Piece::WHOLE,
            slot: None,
            range: OffsetRange::new(0, 1).unwrap(),
            permit: MemoryBudget::new(u64::MAX).take(input.len() as u64),
            bytes: input.to_vec(),
            messages: vec![message],
        });
        let parsed = self.parser.parse(&batch, Some(0)).unwrap();
        let verdict = &parsed.verdicts[0];
        let rows: usize = parsed.tables.iter().map(|part| part.rows.num_rows()).sum();
        assert_eq!(rows, verdict.rows as usize);
        match verdict.outcome {
            Outcome::Rows => assert!(verdict.violations.is_empty()),
            Outcome::Partial => assert!(!verdict.violations.is_empty()),
            _ => assert!(!verdict.violations.is_empty() && rows == 0),
        }
        let is_of_xml = |violation: &&Violation| violation.code.name().starts_with("xml.");
        match self.judge.check(input) {
            Ok(()) => assert!(!verdict.violations.iter().any(|violation| is_of_xml(&violation)), "{verdict:?}"),
            Err(judged) => assert_eq!(verdict.violations[0].code, judged.code, "both say the same"),
        }
        verdict.violations.iter().for_each(|violation| has_its_place(violation, input));
        let all: Vec<String> = verdict.violations.iter().take(3).map(told).collect();
        format!("{} rows, {all:?}", rows.min(3))
    }
}
