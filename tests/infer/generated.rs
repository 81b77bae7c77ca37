//! Documents that nobody would write, by the hundred.

use proptest::prelude::*;
use serde_json::Value;

use super::{assert_takes, infer};

/// A value as documents have it: of every form, and of none.
pub(crate) fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        "-?[0-9]{1,22}(\\.[0-9]{1,20})?",
        "[+-]?0?[0-9]{0,3}\\.?[0-9]{0,3}([eE][+-]?[0-9]{1,3})?",
        "(true|false|0|1|INF|NaN|TRUE)",
        "(19|20)[0-9]{2}-[01][0-9]-[0-3][0-9]",
        "(20|99)[0-9]{2}-0[1-9]-[12][0-9]T[012][0-9]:[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,10})?(Z|[+-]0[0-9]:30)?",
        "[012][0-9]:[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,8})?Z?",
        "[ a-zäß\\n\"'\\\\#=\\[\\]\u{85}\u{202E}\u{1F600}]{0,12}",
        "[ \\n]{0,3}",
        "[ ]?[0-9]{1,3}[ ]?",
    ]
}

pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\n', "&#10;")
}

/// A name in one of three spellings of two namespaces, or in none; names that differ in case alone are among them.
fn name() -> impl Strategy<Value = String> {
    let local = prop_oneof![
        "[a-d]",
        Just("A".to_owned()),
        Just("id".to_owned()),
        Just("kafka_offset".to_owned()),
        Just("dt".to_owned()),
        Just("é-1".to_owned()),
        Just("a_b".to_owned())
    ];
    (prop_oneof![4 => Just(""), 1 => Just("p:"), 1 => Just("q:"), 1 => Just("xmlish:")], local)
        .prop_map(|(prefix, local)| format!("{prefix}{local}"))
}

fn attributes() -> impl Strategy<Value = String> {
    prop::collection::vec(
        (prop_oneof!["[a-c]", Just("id".to_owned()), Just("xml:lang".to_owned()), Just("p:k".to_owned())], value()),
        0..3,
    )
    .prop_map(|all| {
        let mut seen = std::collections::BTreeSet::new();
        let all = all.into_iter().filter(|(name, _)| seen.insert(name.clone()));
        all.map(|(name, value)| format!(" {name}=\"{}\"", escaped(&value))).collect()
    })
}

fn element(is_mixed: bool) -> impl Strategy<Value = String> {
    let leaf = (name(), attributes(), value())
        .prop_map(|(name, attributes, value)| format!("<{name}{attributes}>{}</{name}>", escaped(&value)));
    leaf.prop_recursive(4, 40, 6, move |inner| {
        let text = if is_mixed {
            prop_oneof![3 => Just(String::new()), 1 => value()].boxed()
        } else {
            Just(String::new()).boxed()
        };
        (name(), attributes(), prop::collection::vec((inner, text), 0..6)).prop_map(|(name, attributes, children)| {
            let children: String =
                children.into_iter().map(|(child, text)| format!("{}{child}", escaped(&text))).collect();
            format!("<{name}{attributes}>{children}</{name}>")
        })
    })
}

fn documents(is_mixed: bool) -> impl Strategy<Value = Vec<String>> {
    let declarations = "xmlns:p=\"urn:p\" xmlns:q=\"urn:q\" xmlns:xmlish=\"urn:p\"";
    let document =
        (prop_oneof![Just(""), Just(" xmlns=\"urn:p\"")], attributes(), prop::collection::vec(element(is_mixed), 0..8));
    let document = document.prop_map(move |(default, attributes, children)| {
        format!("<r {declarations}{default}{attributes}>{}</r>", children.concat())
    });
    prop::collection::vec(document, 1..5)
}

/// Paths, as `--row` takes them, of what a mapping makes child tables and lists of, to any depth.
fn repeated(program: &super::oracle::Mapping, table: &Value, above: &str) -> Vec<String> {
    let all = |key: &str| table.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    let written = |path: &str| {
        let steps = path.split('/').map(|step| match step.split_once(':') {
            Some((prefix, local)) => format!("{{{}}}{local}", program.document["namespaces"][prefix].as_str().unwrap()),
            None => format!("{{}}{step}"),
        });
        format!("{above}{}", steps.collect::<Vec<_>>().join("/"))
    };
    let mut found = Vec::new();
    for list in all("column").iter().filter(|column| column.get("repeat").is_some_and(|repeat| repeat == "list")) {
        found.push(written(list["path"].as_str().unwrap()));
    }
    for child in all("child") {
        let rows = written(child["rows"].as_str().unwrap());
        found.extend(repeated(program, &child, &format!("{rows}/")));
        found.push(rows);
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn a_mapping_takes_every_document_it_was_inferred_from(documents in documents(true)) {
        assert_takes(&infer(None, &documents, None), &documents, true);
        assert_takes(&infer(None, &documents, Some(".")), &documents, true);
    }

    #[test]
    fn and_every_value_in_them_whatever_the_row(documents in documents(false), choice in any::<prop::sample::Index>()) {
        // Any element that a document has below its root may be the row.
        let whole = infer(None, &documents, Some("."));
        let program = super::oracle::Mapping::read(&whole);
        let rows = repeated(&program, &program.document, "");
        if !rows.is_empty() {
            assert_takes(&infer(None, &documents, Some(&rows[choice.index(rows.len())])), &documents, true);
        }
    }

    #[test]
    fn no_bytes_make_it_fail(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "[<>/a\"'= &;!\\[\\]?xml:-]{0,60}") {
        let mut samples = forebay::infer::Samples::new(None);
        let _verdict = samples.add("bytes", &bytes);
        if samples.add("text", text.as_bytes()).is_ok() {
            let mapping = samples.mapping(&forebay::infer::RowChoice::Proposed).unwrap();
            super::assert_takes(&mapping, &[text], true);
        }
    }
}
