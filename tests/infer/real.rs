//! Real documents: UBL and ISO 20022 messages of `$FOREBAY_MESSAGES`, if that is set.

use std::collections::BTreeMap;
use std::path::PathBuf;

use forebay::infer::{RowChoice, Samples};

use super::{assert_takes, infer, oracle};

/// Every document that can be read, by its root.
pub(crate) fn documents() -> BTreeMap<String, Vec<Vec<u8>>> {
    let mut found: BTreeMap<String, Vec<Vec<u8>>> = BTreeMap::new();
    let Some(dir) = std::env::var_os("FOREBAY_MESSAGES").map(PathBuf::from) else { return found };
    for folder in ["iso20022", "ubl"] {
        let mut files: Vec<PathBuf> =
            std::fs::read_dir(dir.join(folder)).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        for file in files {
            let bytes = std::fs::read(file).unwrap();
            if Samples::new(None).add("document", &bytes).is_err() {
                continue;
            }
            let mapping = infer(None, &[&bytes], Some("."));
            let mapping = oracle::Mapping::read(&mapping);
            let root = mapping.document["message"]["root"].as_str().unwrap().to_owned();
            let uri = mapping.document["namespaces"].to_string();
            let family = if folder == "ubl" { root } else { uri };
            found.entry(family).or_default().push(bytes);
        }
    }
    found
}

#[test]
fn each_kind_of_message_is_taken_by_its_mapping() {
    let all = documents();
    for same in all.values() {
        assert_takes(&infer(None, same, None), same, true);
        assert_takes(&infer(None, same, Some(".")), same, true);
        for one in same {
            assert_takes(&infer(None, &[one], None), &[one], true);
        }
    }
}

#[test]
fn all_of_them_together_are_taken_by_one() {
    let all: Vec<Vec<u8>> = documents().into_values().flatten().collect();
    if !all.is_empty() {
        let mapping = infer(None, &all, None);
        assert!(mapping.contains("conflict: the samples have several roots"));
        assert_takes(&mapping, &all, true);
        let mut samples = Samples::new(None);
        for document in &all {
            samples.add("again", document).unwrap();
        }
        assert_eq!(samples.mapping(&RowChoice::Proposed).unwrap(), mapping, "the same documents, the same mapping");
    }
}
