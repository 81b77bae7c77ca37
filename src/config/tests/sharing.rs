//! Tables that share a topic, the names of Forebay's columns, and child tables among the tables of the lake.

use super::{BOOKS, MINIMAL, Sandbox, good, said, said_of};
use crate::model::mapping::Lineage;
use crate::model::table::{HeaderIs, When};

/// A configuration with these keys of the first table, and a second one on its topic.
fn two(first: &str, second: &str) -> String {
    let first = MINIMAL.replace("[table.raw]", &format!("{first}\n[table.raw]"));
    format!("{first}[[table]]\nname = \"more\"\ntopics = [\"library\"]\nmapping = \"tables/books.toml\"\n{second}\n")
}

#[test]
fn a_condition_on_the_root_and_on_a_header() {
    let config = two("when = { root = \"library\", header = \"type=book\" }", "");
    let tables = good(&config, &[]).tables;
    let root = tables[0].mapping.root.clone();
    let header = Some(HeaderIs { name: "type".into(), value: "book".into() });
    assert_eq!(tables[0].when, Some(When { root, header }));
    assert_eq!(tables[1].when, None);
}

#[test]
fn the_prefix_of_a_root_is_one_of_the_mapping() {
    let mapping = BOOKS.replace("root = \"library\"", "").replace("[limits]", "[namespaces]\nl = \"urn:l\"\n[limits]");
    let sandbox = Sandbox::new(&two("when = { root = \"l:library\" }", ""), &mapping);
    let when = sandbox.load(&[]).unwrap().tables[0].when.clone().unwrap();
    assert_eq!(when.root.unwrap().namespace.as_deref(), Some("urn:l"));
    let sandbox = Sandbox::new(&two("when = { root = \"k:library\" }", ""), &mapping);
    assert_eq!(
        said(&sandbox, &[]),
        ["forebay.toml:11: table.when.root: prefix k is not in [namespaces]; did you mean l?"]
    );
}

#[test]
fn what_is_wrong_with_a_condition() {
    for (when, what) in [
        ("{}", "table.when: there is no condition; write root = \"…\", or header = \"NAME=VALUE\", or both"),
        ("\"library\"", "table.when: expected a table, found \"library\""),
        (
            "{ header = \"book\" }",
            "table.when.header: \"book\" is not a header and its value; write header = \"NAME=VALUE\", such as \"type=book\"",
        ),
        (
            "{ header = \"=book\" }",
            "table.when.header: \"=book\" is not a header and its value; write header = \"NAME=VALUE\", such as \"type=book\"",
        ),
        (
            "{ root = \"books\" }",
            "table.when.root: books.toml expects another root element, and would refuse these messages; write the root of its [message]",
        ),
        ("{ roots = \"library\" }", "table.when.roots: unknown key; did you mean root?"),
    ] {
        let said = said_of(&two(&format!("when = {when}"), ""));
        assert_eq!(said.last(), Some(&format!("forebay.toml:11: {what}")), "{when}");
    }
}

#[test]
fn the_first_table_that_takes_a_message_gets_it() {
    let by_type = |kind: &str| format!("when = {{ header = \"type={kind}\" }}");
    for (first, second, what) in [
        (
            "",
            "",
            "18: table.topics: topic library feeds table books already; give table books a when = { root = \"…\" }, or take another topic",
        ),
        (
            "",
            &*by_type("a"),
            "18: table.topics: topic library feeds table books already; put table books last, or give it a when: the first that takes a message gets it",
        ),
        (
            &*by_type("a"),
            &*by_type("a"),
            "20: table.when: table books takes all of these messages of topic library already; put the narrower condition first, or change it: the first that takes a message gets it",
        ),
        (
            "when = { root = \"library\" }",
            "when = { root = \"library\", header = \"type=a\" }",
            "20: table.when: table books takes all of these messages of topic library already; put the narrower condition first, or change it: the first that takes a message gets it",
        ),
    ] {
        assert_eq!(said_of(&two(first, second)), [format!("forebay.toml:{what}")]);
    }
    for (first, second) in [
        (by_type("a"), String::new()),
        (by_type("a"), by_type("b")),
        ("when = { root = \"library\", header = \"type=a\" }".to_owned(), "when = { root = \"library\" }".to_owned()),
    ] {
        assert_eq!(said_of(&two(&first, &second)), Vec::<String>::new(), "{first} {second}");
    }
}

#[test]
fn tables_that_share_a_topic_begin_at_one_place() {
    let second = "starting_offsets = \"latest\"\non_offset_out_of_range = \"earliest\"";
    let said = said_of(&two("when = { root = \"library\" }", second));
    let what = |key: &str| {
        format!(
            "table.{key}: table books shares topic library and says otherwise; write the same {key} for both: a topic is read once"
        )
    };
    assert_eq!(
        said,
        [
            format!("forebay.toml:20: {}", what("starting_offsets")),
            format!("forebay.toml:21: {}", what("on_offset_out_of_range"))
        ]
    );
}

#[test]
fn a_child_table_has_a_name_of_its_own_in_the_lake() {
    let child = "[[child]]\nname = \"NAME\"\nrows = \"author\"\n[[child.column]]\nname = \"name\"\npath = \"name\"\ntype = \"string\"\n";
    let mapping = |name: &str| format!("{BOOKS}{}", child.replace("NAME", name));
    let of = |config: &str, name: &str| said(&Sandbox::new(config, &mapping(name)), &[]);
    assert_eq!(of(MINIMAL, "book_authors"), Vec::<String>::new());
    assert_eq!(
        of(MINIMAL, "books"),
        [
            "forebay.toml:10: table.mapping: child table books of books.toml has the name of table books; take another name in the mapping: each is a table of the lake"
        ]
    );
    let config = two("when = { root = \"library\" }", "");
    assert_eq!(
        of(&config, "book_authors"),
        [
            "forebay.toml:19: table.mapping: child table book_authors of books.toml has the name of a child table of books; take another name in the mapping: each is a table of the lake"
        ]
    );
}

#[test]
fn the_columns_of_forebay_can_have_other_names() {
    let with = |lineage: &str| MINIMAL.replace("[table.raw]", &format!("[table.lineage]\n{lineage}\n[table.raw]"));
    let lineage = |text: &str| good(&with(text), &[]).tables[0].mapping.lineage.clone();
    assert_eq!(lineage(""), Lineage::default());
    let changed = lineage(
        "include = [\"kafka_key\", \"kafka_headers\"]\nkafka_topic = \"source\"\nkafka_headers = \"headers\"\nordinal = \"n\"",
    );
    assert_eq!(
        changed.all_names().collect::<Vec<_>>(),
        ["source", "kafka_partition", "kafka_offset", "kafka_timestamp", "row_index", "kafka_key", "headers"]
    );
    assert_eq!(&*changed.child_names[0], "n");
    // A name that is given up can be a mapped column's, and the other way round.
    let mapping = BOOKS.replace("\"title\"\npath", "\"kafka_topic\"\npath");
    let free = Sandbox::new(&with("kafka_topic = \"source\""), &mapping).load(&[]).unwrap();
    assert_eq!(free.tables[0].mapping.raw_schema().field(12).name(), "source");
    for (text, what) in [
        (
            "kafka_topic = \"Price\"",
            "tables/books.toml:65: column.name: price is a column that forebay adds; take another name, or give that of forebay another in [table.lineage] of the configuration",
        ),
        (
            "kafka_topic = \"row_index\"",
            "forebay.toml:12: table.lineage.kafka_topic: row_index is a column that forebay adds; take another name, or give that of forebay another in [table.lineage] of the configuration",
        ),
        (
            "kafka_topic = \"x\"\nkafka_offset = \"X\"",
            "forebay.toml:13: table.lineage.kafka_offset: a second column X; take another name; engines compare names without regard to case",
        ),
        (
            "row_index = \"dt\"",
            "forebay.toml:12: table.lineage.row_index: dt is a column that the folders of the table give; take another name",
        ),
        (
            "kafka_key = \"k\"",
            "forebay.toml:12: table.lineage.kafka_key: the table does not have it; write include = [\"kafka_key\"] besides",
        ),
        (
            "include = [\"kafka_ky\"]",
            "forebay.toml:12: table.lineage.include: \"kafka_ky\" is not a choice; did you mean kafka_key?",
        ),
        ("kafka_tpic = \"x\"", "forebay.toml:12: table.lineage.kafka_tpic: unknown key; did you mean kafka_topic?"),
    ] {
        assert_eq!(said_of(&with(text)), [what], "{text}");
    }
}

#[test]
fn what_promotion_goes_by_is_one_exact_value() {
    let change = |from: &str, to: &str| {
        let mapping = BOOKS.replace(from, to);
        assert_ne!(mapping, BOOKS);
        said(&Sandbox::new(MINIMAL, &mapping), &[])
    };
    let id = "path = \"record_id\"\ntype = \"int64\"";
    for (kind, what) in [
        ("list<int64>", "a list"),
        ("float64", "a float"),
        ("json", "json"),
        ("xml", "xml"),
        ("binary", "binary"),
        ("string\"\nrepeat = \"json", "json"),
    ] {
        let said = change(id, &format!("path = \"record_id\"\ntype = \"{kind}\""));
        let wanted = format!(
            "forebay.toml:13: table.processed.record_id: column record_id is {what}; take an exact type for an id"
        );
        assert!(said.len() == 1 && said[0].starts_with(&wanted), "{said:?}");
    }
    for kind in ["int8", "bool", "decimal(38,0)", "date", "timestamp(ms)", "timestamp_ntz", "int64\"\nrepeat = \"count"]
    {
        let said = change(id, &format!("path = \"record_id\"\ntype = \"{kind}\""));
        assert_eq!(said, Vec::<String>::new(), "{kind}");
    }
    let dated = "path = \"added\"\ntype = \"timestamp\"";
    for kind in ["date", "timestamp(ms)", "timestamp_ntz(us)", "timestamp_ntz\"\nrepeat = \"last"] {
        assert_eq!(change(dated, &format!("path = \"added\"\ntype = \"{kind}\"")), Vec::<String>::new(), "{kind}");
    }
    let said = change(dated, "path = \"added\"\ntype = \"list<date>\"");
    assert!(said.len() == 1 && said[0].contains("column added is neither a date nor a timestamp"), "{said:?}");
}

#[test]
fn a_type_that_the_table_log_cannot_hold_is_named_with_another() {
    let add =
        |kind: &str, more: &str| format!("{BOOKS}[[column]]\nname = \"x\"\npath = \"x\"\ntype = \"{kind}\"\n{more}");
    let field = "[[column.field]]\nname = \"f\"\npath = \"f\"\ntype = \"timestamp_ntz(ns)\"\n";
    let raw_only = &MINIMAL[..MINIMAL.find("[table.processed]").unwrap()];
    for (mapping, kind, instead) in [
        (add("time", ""), "time", "string"),
        (add("timestamp(ns)", ""), "timestamp(ns)", "timestamp"),
        (add("list<time(ms)>", ""), "time(ms)", "string"),
        (add("struct", field), "timestamp_ntz(ns)", "timestamp_ntz"),
    ] {
        let what = format!(
            "forebay.toml:10: table.mapping: column x of books.toml has type {kind}, which the table log cannot hold; \
             take {instead}, or leave [table.processed] out"
        );
        assert_eq!(said(&Sandbox::new(MINIMAL, &mapping), &[]), [what]);
        assert_eq!(said(&Sandbox::new(raw_only, &mapping), &[]), Vec::<String>::new());
    }
    assert_eq!(said(&Sandbox::new(MINIMAL, &add("timestamp(ms)", "")), &[]), Vec::<String>::new());
}
