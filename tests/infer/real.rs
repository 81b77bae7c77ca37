//! Real documents: UBL and ISO 20022 messages of `$FOREBAY_MESSAGES`, and the schemas of `$FOREBAY_SCHEMAS` (a folder
//! of `.xsd` files), if those are set.

use std::collections::BTreeMap;
use std::path::PathBuf;

use forebay::infer::{RowChoice, Samples, Schema};

use super::{assert_takes, infer, oracle, reader};

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

#[test]
fn documents_are_taken_with_their_schemas_too() {
    let Some(folder) = std::env::var_os("FOREBAY_SCHEMAS") else {
        eprintln!("LEFT OUT: real documents with their schemas; set FOREBAY_SCHEMAS to a folder of .xsd files");
        return;
    };
    let all = documents();
    let (mut schemas, mut taken) = (0, 0);
    for file in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if file.extension().is_none_or(|extension| extension != "xsd") {
            continue;
        }
        // One with a document type definition of its own is not read.
        if Schema::load(&file).is_err() {
            continue;
        }
        schemas += 1;
        let load = || Schema::load(&file).unwrap();
        if let Ok(mapping) = Samples::new(Some(load())).mapping(&RowChoice::Proposed) {
            reader::assert_takes(&mapping, &[] as &[&[u8]]);
        }
        for same in all.values() {
            if infer(Some(load()), &same[..1], None).contains("the schema does not declare the root") {
                continue;
            }
            taken += same.len();
            assert_takes(&infer(Some(load()), same, None), same, true);
            assert_takes(&infer(Some(load()), same, Some(".")), same, true);
            for one in same {
                assert_takes(&infer(Some(load()), &[one], None), &[one], true);
            }
        }
    }
    println!("{taken} documents with their schemas, of {schemas}");
}
