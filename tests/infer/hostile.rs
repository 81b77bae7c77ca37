//! Documents that are made to be much: many names, many roots, deep, wide, heavy. The mapping stays of a size that the
//! daemon reads, and takes them all the same.

use forebay::infer::{RowChoice, Samples};

use super::{infer, reader};

/// What is inferred without a wish takes them, and so does the root as the row.
fn assert_takes(documents: &[String]) -> String {
    let mapping = infer(None, documents, None);
    reader::assert_takes(&mapping, documents);
    reader::assert_takes(&infer(None, documents, Some(".")), documents);
    mapping
}

#[test]
fn names_that_are_data() {
    let one = (0..100_000).map(|number| format!("<n{number} k=\"1\">{number}</n{number}>")).collect::<String>();
    let mapping = assert_takes(&[format!("<r><head>1</head><all>{one}</all><tail>2</tail></r>")]);
    assert!(mapping.contains("path = \"all\"\ntype = \"xml\"") && mapping.contains("they look like data"), "{mapping}");
    assert!(mapping.contains("name = \"tail\""), "what comes after them is not forgotten: {mapping}");
    assert!(mapping.len() < 10_000, "{}", mapping.len());
    let mapping = assert_takes(&[format!("<r>{one}</r>")]);
    assert!(mapping.contains("path = \".\"\ntype = \"xml\""), "{mapping}");
}

#[test]
fn new_names_in_every_message() {
    let named = |number: usize| {
        format!("<r><a><b{number} c{number}='1'><d{number}/></b{number}></a><x xmlns='urn:{number}'>1</x></r>")
    };
    let documents: Vec<String> = (0..5_000).map(named).collect();
    let mapping = assert_takes(&documents);
    assert!(mapping.matches("[[column]]").count() <= 5_000, "{}", mapping.len());
    let roots: Vec<String> = (0..5_000).map(|number| format!("<r{number}><a>{number}</a></r{number}>")).collect();
    let mapping = assert_takes(&roots);
    assert!(mapping.contains("#   r0 in 1\n") && mapping.contains("#   others in 4980\n"), "{mapping}");
}

#[test]
fn deep_and_wide_at_once() {
    let chain = |number: usize| {
        let opened: String = (2..256).map(|depth| format!("<e{number}_{depth}>")).collect();
        let closed: String = (2..256).rev().map(|depth| format!("{depth}</e{number}_{depth}>")).collect();
        format!("<r>{opened}<z k=\"1\"/>{closed}</r>")
    };
    // One way down alone has more steps than columns; many of them more than a mapping may hold.
    let documents: Vec<String> = (0..60).map(chain).collect();
    let mapping = assert_takes(&documents);
    assert!(mapping.contains("paths have no column"), "{}", mapping.len());
    let mut samples = Samples::new(None);
    let deep = "<a>".repeat(257) + &"</a>".repeat(257);
    assert!(samples.add("deep", deep.as_bytes()).unwrap_err().contains("limit.depth"));
    // A table in a table in a table, as deep as it goes; and more of them side by side than anybody wants files.
    let inside = (1..120).rev().fold("<z>1</z>".to_owned(), |inner, depth| {
        format!("<t{depth}><k>{depth}</k></t{depth}><t{depth}>{inner}</t{depth}>")
    });
    let mapping = assert_takes(&[format!("<r>{inside}</r>")]);
    assert!(mapping.contains("structs instead") && mapping.contains("type = \"list<struct>\""), "{mapping}");
    let beside: String = (0..300).map(|n| format!("<t{n}><k>1</k></t{n}><t{n}><k>2</k></t{n}>")).collect();
    let mapping = assert_takes(&[format!("<r>{beside}</r>")]);
    assert_eq!(mapping.matches("[[child]]").count(), 100);
    let nested = "<a><t>1</t>".repeat(200) + &"</a>".repeat(200);
    assert_takes(&[nested]);
}

#[test]
fn rows_that_would_repeat_too_much() {
    let header: String = (0..50).map(|number| format!("<h{number}>{}</h{number}>", "x".repeat(500))).collect();
    let rows = "<i k=\"1\"/>".repeat(9_000);
    let documents = [format!("<r>{header}{rows}</r>")];
    let mapping = assert_takes(&documents);
    assert!(!mapping.contains("\nrows = "), "{mapping}");
    let asked = infer(None, &documents, Some("i"));
    assert!(asked.contains("# conflict: 49 values around the row have no column"), "{asked}");
    reader::assert_takes(&asked, &documents);
    // Structs with more fields than their elements have bytes for.
    let field = |number: usize| format!("<f{}>1</f{}>", number % 200, number % 200);
    let structs: String = (0..20_000).map(|number| format!("<s>{}</s>", field(number))).collect();
    let item = format!("<i>{}</i>", "<v>some text</v>".repeat(100));
    let documents = [format!("<r>{structs}{}</r>", item.repeat(1_000))];
    let mapping = infer(None, &documents, Some("i"));
    reader::assert_takes(&mapping, &documents);
    assert!(mapping.contains("around the row have no column"), "{mapping}");
    let once = infer(None, &[&documents[0]], Some("."));
    assert!(once.contains("name = \"r_s\"") && once.contains("name = \"r_i\""), "{once}");
}

#[test]
fn elements_that_need_many_namespaces() {
    let declared: String = (0..200).map(|number| format!(" xmlns:p{number}=\"urn:long:name:{number:0100}\"")).collect();
    let cut = "<a><a><a><a>1</a></a></a></a>".repeat(3_000);
    let documents = [format!("<r{declared}>{cut}</r>")];
    let mapping = assert_takes(&documents);
    assert!(mapping.contains("[limits]\nbindings = 256\n"), "{mapping}");
    let taken_back = "<r xmlns='urn:a'><x xmlns=''><y>1</y></x><x xmlns=''><y>2</y></x></r>".to_owned();
    assert_takes(&[taken_back]);
}

#[test]
fn what_is_larger_than_a_mapping_allows_by_itself() {
    let text = format!("<r><a k='{0}'>{0}</a></r>", "x".repeat(11 << 20));
    let mapping = assert_takes(&[text]);
    assert!(mapping.contains("bytes = \"40MiB\"\ntext = \"20MiB\"\n"), "{}", &mapping[..500]);
    let wide = format!("<r {}/>", (0..5_000).map(|number| format!("a{number}=''")).collect::<Vec<_>>().join(" "));
    assert!(assert_takes(&[wide]).contains("attributes = 8192\n"));
    let long = format!("<r><{0}>1</{0}></r>", "n".repeat(3_000));
    assert!(assert_takes(&[long]).contains("name = 4096\n"));
    let many = format!("<r>{}</r>", "<a/>".repeat(1_000_001));
    assert!(assert_takes(&[many]).contains("children = 2000000\n"));
    let rows = format!("<r>{}</r>", "<a k=\"12345\"/>".repeat(100_001));
    assert!(infer(None, std::slice::from_ref(&rows), Some("a")).contains("rows = 200002\n"));
    assert_takes(&[rows]);
}

#[test]
fn a_bad_document_changes_nothing() {
    let mut samples = Samples::new(None);
    samples.add("good", b"<r><a>1</a></r>").unwrap();
    let bad = format!("<r><b {}>2</b></r><", (0..5_000).map(|n| format!("a{n}=''")).collect::<Vec<_>>().join(" "));
    samples.add("bad", bad.as_bytes()).unwrap_err();
    samples.add("worse", b"<!DOCTYPE r SYSTEM 'r.dtd'><r><c>3</c>").unwrap_err();
    let mapping = samples.mapping(&RowChoice::Proposed).unwrap();
    assert!(!mapping.contains("[limits]") && !mapping.contains("dtd = ") && mapping.matches("[[column]]").count() == 1);
}
