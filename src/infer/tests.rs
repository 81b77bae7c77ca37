//! What is decided of values, rows and names, through the face of the module.

use super::{RowChoice, Samples};

fn infer_with(documents: &[&str], row: &RowChoice) -> String {
    let mut samples = Samples::new(None);
    for (number, document) in documents.iter().enumerate() {
        samples.add(&format!("{number}.xml"), document.as_bytes()).unwrap();
    }
    samples.mapping(row).unwrap()
}

fn infer(document: &str) -> String {
    infer_with(&[document], &RowChoice::Path(".".to_owned()))
}

/// One column: its name, path, type and other keys, and its comments.
fn column<'m>(mapping: &'m str, name: &str) -> (String, Vec<&'m str>) {
    let lines: Vec<&str> = mapping.lines().map(str::trim).collect();
    let at = lines
        .iter()
        .position(|line| *line == format!("name = \"{name}\""))
        .unwrap_or_else(|| panic!("no {name}:\n{mapping}"));
    let keys: Vec<&str> = lines[at + 1..].iter().copied().take_while(|line| !line.is_empty()).collect();
    let comments = lines[..at - 1].iter().rev().copied().take_while(|line| line.starts_with('#')).collect();
    (keys.join(" "), comments)
}

/// The type of a repeated value, and its comments as one text.
fn decided(values: &[&str]) -> (String, String) {
    let items: String = values.iter().map(|value| format!("<v>{value}</v>")).collect();
    let mapping = infer(&format!("<r>{items}<v></v><v/></r>"));
    let (keys, comments) = column(&mapping, "v");
    let kind = keys.split("list<").nth(1).unwrap().split('>').next().unwrap();
    (kind.to_owned(), comments.join("\n"))
}

#[test]
fn a_type_is_the_narrowest_that_keeps_every_value_as_it_is_written() {
    for (values, kind) in [
        (&["1", "-2", "9223372036854775807"][..], "int64"),
        (&["9223372036854775808"], "decimal(19,0)"),
        (&["99999999999999999999999999999999999999", "1"], "decimal(38,0)"),
        (&["999999999999999999999999999999999999999"], "string"),
        (&["44.95", "5.9"], "decimal(4,2)"),
        (&["100", "0.125", "-3"], "decimal(6,3)"),
        (&["12345678901234567890123456789012345678.5"], "string"),
        (&["1.5", "2E-3"], "float64"),
        (&["1", "INF", "NaN", "-INF"], "float64"),
        (&["INF"], "string"),
        (&["1E400"], "string"),
        (&["1E-400"], "string"),
        (&["0E5"], "float64"),
        (&["1234567890123456789.5", "1E1"], "string"),
        (&["00123", "456"], "string"),
        (&["+4930123"], "string"),
        (&["-0"], "string"),
        (&["007.5"], "string"),
        (&["0.5", "0"], "decimal(2,1)"),
        (&["true", "false"], "bool"),
        (&["true", "0", "1"], "bool"),
        (&["0", "1"], "int64"),
        (&["TRUE"], "string"),
        (&["true", "2"], "string"),
        (&["2026-10-15"], "date"),
        (&["2026-10-15", "2026-10-15Z", "2026-10-15+02:00"], "date"),
        (&["2026-02-29"], "string"),
        (&["2026-10-15T18:42:00Z", "2026-10-15T18:42:00.123456+02:00"], "timestamp"),
        (&["2026-10-15T18:42:00", "2026-10-15T24:00:00"], "timestamp_ntz"),
        (&["2026-10-15T18:42:00", "2026-10-15T18:42:00Z"], "string"),
        (&["2026-10-15T18:42:00.123456789Z"], "timestamp(ns)"),
        (&["2026-10-15T18:42:00.123456000Z"], "timestamp"),
        (&["1600-10-15T18:42:00.1234567"], "string"),
        (&["2026-10-15T18:42:00.1234567891"], "string"),
        (&["2026-10-15", "2026-10-15T18:42:00Z"], "string"),
        (&["18:42:00", "18:42:00.5"], "time"),
        (&["18:42:00Z"], "string"),
        (&["2026-10-15 18:42:00"], "string"),
        (&["15.10.2026"], "string"),
        (&["1,000.01"], "string"),
        (&["8E9D"], "string"),
        (&["2026-10-15", "7"], "string"),
        (&[" 7 ", "\n8\n", "   "], "int64"),
        (&[], "string"),
    ] {
        assert_eq!(decided(values).0, kind, "{values:?}");
    }
}

#[test]
fn what_a_person_has_to_decide_is_said() {
    for (values, said) in [
        (&["00123", "456"][..], "would lose leading zeros"),
        (&["2026-10-15T18:42:00", "2026-10-15T18:42:00Z"], "conflict: timestamps with and without zone"),
        (&["2026-10-15", "7"], "conflict: several forms"),
        (&["7", "8", "9", "n/a"], "conflict: without the 1 that are text it would be int64"),
        (&["7", "8", "9", "n/a"], "whole number 3, text 1 such as \"n/a\""),
        (&["7.25", "8", "2026-10-15", "n/a"], "conflict: several forms"),
        (&["15.10.2026"], "every value fits type = \"date\", format = \"%d.%m.%Y\""),
        (&["03/04/2026"], "which of them is meant only a person can say"),
        (&["2026-10-15 18:42:00"], "format = \"%Y-%m-%d %H:%M:%S\""),
        (&["2026-10-15Z"], "a zone after a date"),
        (&["2026-10-15T18:42:00.123456789Z"], "Processed zone cannot hold them"),
        (&[" 7"], "white space at the ends of 1"),
        (&["201904245375204223076552"], "if it is an identifier"),
        (&[], "no value was seen"),
        (&["7", "7"], "empty 50.0 %"),
        (&["a", "b", "a", "b", "a", "b", "a", "b"], "enum = [\"a\", \"b\"]"),
    ] {
        let comments = decided(values).1;
        assert!(comments.contains(said), "{values:?}: {comments}");
    }
    let plain = decided(&["Dune", "1984", "Emma"]).1;
    assert!(!plain.contains("conflict"), "{plain}");
    let many: Vec<String> = (0..30).map(|number| format!("value {number}")).collect();
    let many = decided(&many.iter().map(String::as_str).collect::<Vec<_>>()).1;
    assert!(many.contains("\"value 19\", and more") && !many.contains("value 20"), "{many}");
}

#[test]
fn comments_hold_one_line_whatever_the_values_hold() {
    let mapping = infer("<r><a>x\ny\u{85}\"z\\\u{202E}</a><b k='&#10;#]]'>&#13;</b></r>");
    assert!(
        mapping.lines().all(|line| line.is_empty() || line.starts_with(['#', '[', 'n', 'p', 't', 'v', 'f', 'r', 'u'])),
        "{mapping}"
    );
    assert!(mapping.contains(r#"values: "x\ny\u0085\"z\\\u202E""#), "{mapping}");
    assert!(mapping.parse::<toml_edit::DocumentMut>().is_ok());
}

#[test]
fn an_attribute_makes_room_for_an_element_of_its_name() {
    let mapping = infer("<r id='1'><id>2</id><order id='3' no='4'><id>5</id></order><order_id>6</order_id></r>");
    for (name, path) in [
        ("id", "path = \"id\""),
        ("id_attr", "path = \"@id\""),
        ("order_id", "path = \"order/id\""),
        ("order_id_2", "path = \"order_id\""),
        ("order_id_attr", "path = \"order/@id\""),
        ("order_no", "path = \"order/@no\""),
    ] {
        assert!(column(&mapping, name).0.starts_with(path), "{name}:\n{mapping}");
    }
}

#[test]
fn names_of_columns_are_those_that_every_engine_reads() {
    let long = "Abcdefghij".repeat(20);
    let document = format!(
        "<r><kafka_offset>1</kafka_offset><dt>2</dt><é>3</é><a-b.c>4</a-b.c><A_B_C>5</A_B_C><x><{long}>6</{long}></x></r>"
    );
    let mapping = infer(&document);
    for (name, path) in
        [("x_kafka_offset", "kafka_offset"), ("dt_2", "dt"), ("_", "é"), ("a_b_c", "a-b.c"), ("A_B_C_2", "A_B_C")]
    {
        assert!(column(&mapping, name).0.starts_with(&format!("path = {path:?}")), "{name}:\n{mapping}");
    }
    assert!(mapping.lines().filter(|line| line.starts_with("name")).all(|line| line.len() < 135), "{mapping}");
}

#[test]
fn what_repeats_becomes_a_list_or_a_table_of_its_own() {
    let mapping = infer(
        "<order><no>1</no><tag>a</tag><tag>b</tag><box><line n='1'><sub>x</sub><sub>y</sub><part><q>1</q></part><part><q>2</q></part></line><line n='2'/></box></order>",
    );
    assert!(column(&mapping, "tag").0.ends_with("type = \"list<string>\" repeat = \"list\""), "{mapping}");
    assert!(mapping.contains("[[child]]\nname = \"order_box_line\"\nrows = \"box/line\"\n"), "{mapping}");
    assert!(mapping.contains("  [[child.child]]\n  name = \"order_box_line_part\"\n  rows = \"part\"\n"), "{mapping}");
    assert!(mapping.contains("    [[child.child.column]]\n    name = \"q\"\n"), "{mapping}");
    assert!(mapping.contains("# repeats: up to 2 in one box, 2 in 1 order\n[[child]]"), "{mapping}");
}

#[test]
fn text_between_elements_is_taken_and_told() {
    let prose = infer("<r><p>one <b>two</b> three</p></r>");
    let (keys, comments) = column(&prose, "p");
    assert_eq!(keys, "path = \"p/string()\" type = \"string\"");
    assert!(comments.iter().any(|line| line.contains("mixed content in 1 of 1")), "{prose}");
    let stray = infer("<r><i><b>two</b></i><i><b>two</b></i><i>oops<b>three</b></i></r>");
    assert_eq!(column(&stray, "i").0, "path = \"text()\" type = \"string\"");
    assert_eq!(column(&stray, "i_count").0, "path = \"i\" type = \"int64\" repeat = \"count\"");
}

#[test]
fn the_row_is_the_repeated_child_that_holds_most() {
    let shop = "<shop name='x'><head><day>2026-10-15</day></head><items><item n='1'><price>1.5</price></item>\
                <item n='2'><price>12.25</price></item><item n='3'><price>7</price></item></items><note>a</note><note>b</note></shop>";
    let mapping = infer_with(&[shop], &RowChoice::Proposed);
    assert!(
        mapping.contains("# proposed: item repeats and holds") && mapping.contains("\nrows = \"items/item\"\n"),
        "{mapping}"
    );
    for (name, keys) in [
        ("name", "path = \"/@name\" type = \"string\""),
        ("head_day", "path = \"/head/day\" type = \"date\""),
        ("note", "path = \"/note\" type = \"list<string>\" repeat = \"list\""),
        ("n", "path = \"@n\" type = \"int64\""),
        ("price", "path = \"price\" type = \"decimal(4,2)\""),
    ] {
        assert_eq!(column(&mapping, name).0, keys, "{mapping}");
    }
    let whole = infer_with(&[shop], &RowChoice::Path(".".to_owned()));
    assert!(whole.contains("[[child]]\nname = \"shop_items_item\"\nrows = \"items/item\"\n"), "{whole}");
}

#[test]
fn a_row_within_what_repeats_comes_with_what_is_around_it() {
    let shop = "<s><group id='a'><item>1<x/></item><item>2<x/></item><tag><k>1</k></tag><tag><k>2</k></tag></group><group id='b'/></s>";
    let mapping = infer_with(&[shop], &RowChoice::Path("group/item".to_owned()));
    assert!(mapping.contains("\nrows = [\"group\", \"group/item\"]\n"), "{mapping}");
    assert_eq!(column(&mapping, "group_id").0, "path = \"/group/@id\" type = \"string\"");
    let (keys, comments) = column(&mapping, "group_tag");
    assert_eq!(keys, "path = \"/group/tag\" type = \"list<struct>\" repeat = \"list\"");
    assert!(comments.iter().any(|line| line.contains("outside the row")), "{mapping}");
    assert!(mapping.contains("  [[column.field]]\n  name = \"k\"\n  path = \"k\"\n  type = \"int64\"\n"), "{mapping}");
}

#[test]
fn a_row_is_named_by_prefix_or_by_namespace() {
    let document =
        "<i:inv xmlns:i='urn:i' xmlns='urn:d/x'><line><i:no>1</i:no></line><line><i:no>2</i:no></line></i:inv>";
    for row in ["line", "{urn:d/x}line", "/line"] {
        let mapping = infer_with(&[document], &RowChoice::Path(row.to_owned()));
        assert!(mapping.contains("root = \"i:inv\"\nrows = \"x:line\"\n"), "{mapping}");
        assert!(mapping.contains("i = \"urn:i\"\nx = \"urn:d/x\"\n"), "{mapping}");
    }
    for (row, said) in [
        ("item", "what repeats: line"),
        ("k:line", "the prefix k is not declared"),
        ("line/", "is not a step"),
        ("{urn:d/x}", "is not a step"),
        ("line[1]", "is not a step"),
        ("", "is not a step"),
    ] {
        let mut samples = Samples::new(None);
        samples.add("a", document.as_bytes()).unwrap();
        let error = samples.mapping(&RowChoice::Path(row.to_owned())).unwrap_err();
        assert!(error.contains(said), "{row}: {error}");
    }
}

#[test]
fn a_document_that_cannot_be_read_is_named_and_left_out() {
    let mut samples = Samples::new(None);
    samples.add("good.xml", b"<a><b>1</b></a>").unwrap();
    for bad in [
        "",
        "  ",
        "{}",
        "<a>",
        "<a></b>",
        "<a/><a/>",
        "<a/>x",
        "x<a/>",
        "<a b='1' b='2'/>",
        "<a b=1/>",
        "<a b='<'/>",
        "<a>&x;</a>",
        "<a>&#0;</a>",
        "<a>\u{1}</a>",
        "<p:a/>",
        "<a xmlns:p=''/>",
        "<a>]]></a>",
        "<!-- -- --><a/>",
        "<a><?xml?></a>",
        "<1a/>",
        "<!DOCTYPE a [<!ENTITY x 'y'>]><a/>",
        "<?xml version='1.0' encoding='EBCDIC'?><a/>",
        "<a xmlns:p='u' xmlns:q='u' p:x='1' q:x='2'/>",
    ] {
        assert!(samples.add("bad.xml", bad.as_bytes()).is_err(), "{bad}");
    }
    let deep = "<a>".repeat(300) + &"</a>".repeat(300);
    assert!(samples.add("deep.xml", deep.as_bytes()).unwrap_err().contains("256"));
    assert!(samples.add("latin.xml", b"<a>\xE9</a>").is_err());
    let mapping = samples.mapping(&RowChoice::Proposed).unwrap();
    assert!(
        mapping.contains(
            "# Left out, because they cannot be read: 25\n#   bad.xml: the payload is empty (xml.empty, line 1)\n"
        ),
        "{mapping}"
    );
    assert!(mapping.contains("#   and 5 more\n") && mapping.contains("# seen 1 times in 1 a"), "{mapping}");
    assert!(Samples::new(None).mapping(&RowChoice::Proposed).is_err());
}

#[test]
fn encodings_that_are_not_utf_8() {
    let mut samples = Samples::new(None);
    samples.add("utf8", "\u{FEFF}<a><b>é</b></a>".as_bytes()).unwrap();
    let wide: Vec<u8> = "\u{FEFF}<a><b>é2</b></a>".encode_utf16().flat_map(u16::to_le_bytes).collect();
    samples.add("utf16", &wide).unwrap();
    samples.add("latin", b"<?xml version='1.0' encoding='ISO-8859-1'?><a><b>\xE93</b></a>").unwrap();
    let mapping = samples.mapping(&RowChoice::Proposed).unwrap();
    assert!(mapping.contains("values: \"é\", \"é2\", \"é3\""), "{mapping}");
}

#[test]
fn what_holds_itself_is_cut() {
    let mapping = infer("<r><part><n>1</n><part><n>2</n><part><n>3</n><part><n>4</n></part></part></part></part></r>");
    let (keys, comments) = column(&mapping, "part_part_part");
    assert_eq!(keys, "path = \"part/part/part\" type = \"xml\"");
    assert!(comments.iter().any(|line| line.contains("cut here")), "{mapping}");
}

#[test]
fn several_roots_are_told() {
    let mapping = infer_with(&["<a><x>1</x></a>", "<b xmlns='urn:b'><y>2</y></b>"], &RowChoice::Proposed);
    assert!(mapping.contains("# conflict: the samples have several roots"), "{mapping}");
    assert!(mapping.contains("#   {urn:b}b in 1") && !mapping.contains("\nroot ="), "{mapping}");
}

#[test]
fn paths_are_bounded_and_documents_are_not_kept() {
    let mut samples = Samples::new(None);
    for number in 0..300 {
        let items: String = (0..100).map(|item| format!("<e{number}_{item}>v</e{number}_{item}>")).collect();
        samples.add("a", format!("<r>{items}</r>").as_bytes()).unwrap();
    }
    let mapping = samples.mapping(&RowChoice::Path(".".to_owned())).unwrap();
    assert!(mapping.contains("more distinct paths than are told apart"));
    assert!(mapping.matches("[[column]]").count() < 20_001);
}

#[test]
fn limits_grow_with_what_was_seen() {
    let big = format!("<r><a>{}</a></r>", "x".repeat(11 << 20));
    assert!(infer(&big).contains("\n[limits]\nbytes = \"20MiB\"\ntext = \"20MiB\"\n"));
    let many = format!("<r>{}</r>", "<a n='1'/>".repeat(100_001));
    assert!(infer_with(&[&many], &RowChoice::Proposed).contains("\nrows = 200002\n"));
}

#[test]
fn a_text_with_attributes_that_repeats_is_a_list_of_structs() {
    let mapping = infer(
        "<r><note lang='de'>eins</note><note lang='en'>one</note><deep><p n='1'><q k='a'>x</q><q k='b'>y</q></p><p n='2'/></deep></r>",
    );
    let (keys, comments) = column(&mapping, "note");
    assert_eq!(keys, "path = \"note\" type = \"list<struct>\" repeat = \"list\"");
    assert!(comments.iter().any(|line| line.contains("repeats: up to 2 in one r")), "{comments:?}");
    assert!(comments.iter().any(|line| line.contains("[[child]]")), "the other way is told: {comments:?}");
    assert_eq!(column(&mapping, "value").0, "path = \".\" type = \"string\"");
    assert_eq!(column(&mapping, "lang").0, "path = \"@lang\" type = \"string\"");
    // In a child table too; elements of its own make it one.
    assert!(mapping.contains("[[child]]\nname = \"r_deep_p\"\nrows = \"deep/p\"\n"), "{mapping}");
    assert!(mapping.contains("    [[child.column.field]]\n    name = \"k\"\n    path = \"@k\"\n"), "{mapping}");
}

#[test]
fn what_repeats_around_the_row_keeps_its_structure() {
    let shop = "<s><b t='o'><amt c='EUR'>1.5</amt><tag>a</tag><tag>b</tag></b><b><sub><n>1</n></sub><sub><n>2</n></sub></b>\
                <item><x>1</x></item><item><x>2</x></item></s>";
    let mapping = infer_with(&[shop], &RowChoice::Path("item".to_owned()));
    assert_eq!(column(&mapping, "b").0, "path = \"/b\" type = \"list<struct>\" repeat = \"list\"");
    for (name, keys) in [
        ("t", "path = \"@t\" type = \"string\""),
        ("amt", "path = \"amt\" type = \"decimal(2,1)\""),
        ("amt_c", "path = \"amt/@c\" type = \"string\""),
        ("tag", "path = \"tag\" type = \"list<string>\" repeat = \"list\""),
        ("sub", "path = \"sub\" type = \"list<struct>\" repeat = \"list\""),
        ("n", "path = \"n\" type = \"int64\""),
    ] {
        assert_eq!(column(&mapping, name).0, keys, "{mapping}");
    }
    assert!(mapping.contains("# seen 1 times in 2 b; null 50.0 %; longest 3; decimal"), "{mapping}");
}
