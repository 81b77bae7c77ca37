//! `forebay infer`: whatever documents it is given, the mapping it writes takes each of them.
//!
//! A mapping is carried out here by the daemon's own parser (`reader`) and by a second, plain reading of the mapping
//! language (`oracle`), which also sees what no column takes.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod command;
mod declared;
mod generated;
mod hostile;
mod oracle;
mod reader;
mod real;
mod schema;

use forebay::infer::{RowChoice, Samples, Schema};

/// The mapping of documents that can all be read.
fn infer(schema: Option<Schema>, documents: &[impl AsRef<[u8]>], row: Option<&str>) -> String {
    let mut samples = Samples::new(schema);
    for (number, document) in documents.iter().enumerate() {
        samples.add(&format!("{number}.xml"), document.as_ref()).unwrap();
    }
    let row = row.map_or(RowChoice::Proposed, |path| RowChoice::Path(path.to_owned()));
    samples.mapping(&row).unwrap()
}

/// That a mapping takes every document, and, where it should, every value in them.
fn assert_takes(mapping: &str, documents: &[impl AsRef<[u8]>], is_whole: bool) {
    reader::assert_takes(mapping, documents);
    let program = oracle::Mapping::read(mapping);
    for document in documents {
        let text = oracle::text(document.as_ref());
        let root = oracle::Element::read(&text);
        let verdict = program.apply(&root);
        assert!(verdict.violations.is_empty(), "{:#?}\n{text}\n{mapping}", verdict.violations);
        // A message without a row has nothing to be in.
        if is_whole && verdict.rows > 0 {
            assert!(verdict.left.is_empty(), "no column takes {:#?}\n{text}\n{mapping}", verdict.left);
        }
    }
}
