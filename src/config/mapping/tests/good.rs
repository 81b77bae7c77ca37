//! Every key and value of the language, as the model has it.

use std::path::Path;

use super::*;
use crate::model::mapping::{
    BinaryText, Compatibility, Dtd, Kind, Limits, Name, OnBadField, OnBadMessage, Precision, Repeat, Rounding, Step,
    Take, Trim, Unmapped, ValueRules,
};

/// Keys of the language, each by the table it stands in.
const KEYS: [&str; 43] = [
    "version",
    "format",
    "compatibility",
    "message",
    "root",
    "rows",
    "dtd",
    "unmapped",
    "xsd",
    "namespaces",
    "limits",
    "bytes",
    "depth",
    "attributes",
    "bindings",
    "name",
    "text",
    "children",
    "on_error",
    "field",
    "column",
    "path",
    "type",
    "required",
    "repeat",
    "trim",
    "null_values",
    "default",
    "zone",
    "decimal",
    "group",
    "rounding",
    "enum",
    "regex",
    "min",
    "max",
    "min_length",
    "max_length",
    "child",
    "child.column",
    "child.child",
    "column.field",
    "column.field.field",
];

fn find<'m>(mapping: &'m Mapping, name: &str) -> &'m Column {
    mapping.columns.iter().find(|column| column.name == name).unwrap()
}

fn steps(names: &[&str]) -> Vec<Step> {
    let name = |local: &&str| Step::from(Name { namespace: None, local: (*local).into() });
    names.iter().map(name).collect()
}

#[test]
fn the_shipped_example_has_every_key_and_means_what_it_says() {
    for key in KEYS {
        let is_there = |line: &str| {
            let line = line.trim_start().trim_start_matches("# ");
            line.starts_with(&format!("{key} =")) || line.contains(&format!("[{key}]"))
        };
        assert!(ORDERS.lines().any(is_there), "{key} is not in orders.toml");
    }
    let orders = good(ORDERS);
    assert_eq!((orders.version, orders.compatibility), (1, Compatibility::Backward));
    assert_eq!((orders.dtd, &orders.unmapped), (Dtd::Refuse, &Unmapped::Collect("rest".into())));
    assert_eq!(orders.limits, Limits::default());
    assert_eq!(orders.rows.len(), 1);
    let placed = find(&orders, "placed");
    assert_eq!(placed.kind, Kind::Timestamp(Precision::Micro));
    assert_eq!((placed.rules.formats.len(), placed.rules.zone.as_deref()), (2, Some("Europe/Paris")));
    let total = &find(&orders, "total").rules;
    assert_eq!((total.decimal, total.group, total.rounding), (Some(','), Some('.'), Rounding::HalfEven));
    assert_eq!(find(&orders, "phones").repeat, Repeat::List);
    assert_eq!(find(&orders, "phone_kinds").repeat, Repeat::Join("; ".into()));
    let Kind::Struct(fields) = &find(&orders, "ship_to").kind else { panic!("no struct") };
    assert_eq!((fields[1].type_name().as_str(), fields[1].repeat.clone()), ("list<struct>", Repeat::List));
    let child = &orders.children[0];
    assert_eq!((child.name.as_str(), child.children[0].name.as_str()), ("order_lines", "order_serials"));
    assert_eq!(child.columns[1].rules.min.as_deref(), Some("1"));
    let names: Vec<String> = orders.raw_schema().fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(
        names[names.len() - 6..],
        ["rest", "kafka_topic", "kafka_partition", "kafka_offset", "kafka_timestamp", "row_index"]
    );
    let names: Vec<String> =
        child.children[0].raw_schema(true, &orders.lineage).fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(names[names.len() - 3..], ["row_index", "ordinal", "parent_ordinal"]);
}

#[test]
fn what_holds_when_nothing_is_said() {
    let mapping = good(&with_column("path = \"a\"\ntype = \"int8\""));
    let plain = Mapping::new("m.toml", vec![Column::new("c", mapping.columns[0].path.clone(), Kind::Int8)]);
    assert_eq!(mapping, plain);
}

#[test]
fn every_choice_of_the_message() {
    let dtd = |text: &str| good(&with_message(&format!("dtd = \"{text}\""))).dtd;
    assert_eq!((dtd("refuse"), dtd("ignore-external")), (Dtd::Refuse, Dtd::IgnoreExternal));
    let unmapped = |text: &str| good(&with_message(&format!("unmapped = \"{text}\""))).unmapped;
    assert_eq!(unmapped("ignore"), Unmapped::Ignore);
    assert_eq!(unmapped("count"), Unmapped::Count);
    assert_eq!(unmapped("reject"), Unmapped::Reject);
    assert_eq!(unmapped("collect( rest )"), Unmapped::Collect("rest".into()));
    let none = good(&format!("compatibility = \"none\"\n{HEAD}{COLUMN}"));
    assert_eq!(none.compatibility, Compatibility::None);
    let errors = good(&format!("{HEAD}[on_error]\nmessage = \"keep-good-rows\"\nfield = \"null\"\n{COLUMN}"));
    assert_eq!((errors.on_bad_message, errors.on_bad_field), (OnBadMessage::KeepGoodRows, OnBadField::Null));
}

#[test]
fn every_limit() {
    let text =
        "bytes = \"1MiB\"\ndepth = 2\nattributes = 3\nbindings = 4\nname = \"1kB\"\ntext = 6\nchildren = 7\nrows = 8";
    let limits = good(&format!("{HEAD}[limits]\n{text}\n{COLUMN}")).limits;
    let wanted =
        Limits { bytes: 1 << 20, depth: 2, attributes: 3, bindings: 4, name: 1000, text: 6, children: 7, rows: 8 };
    assert_eq!(limits, wanted);
}

#[test]
fn rows_are_one_path_or_several_inside_each_other() {
    let rows = |text: &str| good(&with_message(&format!("rows = {text}"))).rows;
    assert_eq!(rows("\".\""), Vec::<Vec<Step>>::new());
    assert_eq!(rows("\"a/b\""), [steps(&["a", "b"])]);
    assert_eq!(rows("[\"a\", \"a/b/c\"]"), [steps(&["a"]), steps(&["b", "c"])]);
    assert_eq!(rows("[\".\", \"b\"]"), [vec![], steps(&["b"])]);
    let any = rows("\"*/b[@k='v']\"");
    assert_eq!(any[0][0].name, None);
    assert_eq!(any[0][1].condition.as_ref().map(|is| &*is.value), Some("v"));
}

#[test]
fn a_schema_is_looked_for_beside_the_mapping() {
    let folder = tempfile::tempdir().unwrap();
    let schema = "<xs:schema xmlns:xs='http://www.w3.org/2001/XMLSchema'><xs:element name='x'/></xs:schema>";
    std::fs::write(folder.path().join("s.xsd"), schema).unwrap();
    let text = with_message("xsd = \"s.xsd\"");
    let mapping = read_text(&text, &folder.path().join("m.toml"), &Lineage::default()).unwrap();
    assert_eq!(mapping.xsd.as_deref(), Some(&*folder.path().join("s.xsd")));
    std::fs::write(folder.path().join("s.xsd"), "<x/>").unwrap();
    let problems = read_text(&text, &folder.path().join("m.toml"), &Lineage::default()).unwrap_err();
    assert!(problems.len() == 1 && problems[0].to_string().contains("is no schema"), "{problems:?}");
}

#[test]
fn every_type() {
    let kind = |text: &str| column(&format!("path = \"a\"\ntype = \"{text}\"")).kind;
    for (text, wanted) in [
        ("string", Kind::String),
        ("bool", Kind::Bool),
        ("int8", Kind::Int8),
        ("int16", Kind::Int16),
        ("int32", Kind::Int32),
        ("int64", Kind::Int64),
        ("float32", Kind::Float32),
        ("float64", Kind::Float64),
        ("decimal(38, 10)", Kind::Decimal(38, 10)),
        ("date", Kind::Date),
        ("time", Kind::Time(Precision::Micro)),
        ("time(ms)", Kind::Time(Precision::Milli)),
        ("timestamp", Kind::Timestamp(Precision::Micro)),
        ("timestamp(ns)", Kind::Timestamp(Precision::Nano)),
        ("timestamp_ntz", Kind::LocalTimestamp(Precision::Micro)),
        ("timestamp_ntz(us)", Kind::LocalTimestamp(Precision::Micro)),
        ("binary", Kind::Binary(BinaryText::Base64)),
        ("binary(base64)", Kind::Binary(BinaryText::Base64)),
        ("binary(hex)", Kind::Binary(BinaryText::Hex)),
        ("json", Kind::Json),
        ("xml", Kind::Xml),
    ] {
        assert_eq!(kind(text), wanted, "{text}");
        let shown = wanted.to_string();
        assert_eq!(kind(&shown), wanted, "{shown} is the name of {text}");
        let list = column(&format!("path = \"a\"\ntype = \"list<{text}>\""));
        assert_eq!((list.kind, list.repeat), (wanted, Repeat::List), "list<{text}>");
    }
}

#[test]
fn every_repeat() {
    let repeat = |text: &str, kind: &str| column(&format!("path = \"a\"\ntype = \"{kind}\"\nrepeat = '{text}'")).repeat;
    assert_eq!(repeat("only", "int8"), Repeat::Only);
    assert_eq!(repeat("first", "int8"), Repeat::First);
    assert_eq!(repeat("last", "xml"), Repeat::Last);
    assert_eq!(repeat("list", "list<int8>"), Repeat::List);
    assert_eq!(repeat("list", "int8"), Repeat::List);
    assert_eq!(repeat("json", "int8"), Repeat::Json);
    assert_eq!(repeat("count", "int64"), Repeat::Count);
    assert_eq!(repeat("index(3)", "int8"), Repeat::Index(3));
    for (text, separator) in
        [("join(,)", ","), ("join(, )", ", "), ("join(\" | \")", " | "), ("join()", ""), ("join())", ")")]
    {
        assert_eq!(repeat(text, "string"), Repeat::Join(separator.into()), "{text}");
    }
}

#[test]
fn what_of_the_element_is_taken() {
    let take = |path: &str, rest: &str| column(&format!("path = \"{path}\"\n{rest}")).path.take;
    assert_eq!(take("a", "type = \"int8\""), Take::Text);
    assert_eq!(take("a/text()", "type = \"int8\""), Take::Text);
    assert_eq!(take("a/string()", "type = \"string\""), Take::AllText);
    assert_eq!(take(".", "type = \"xml\""), Take::Element);
    assert_eq!(take("/a", "type = \"list<xml>\""), Take::Element);
    assert_eq!(take("a", "type = \"json\""), Take::Text);
    assert_eq!(take("a", "type = \"string\"\nrepeat = \"json\""), Take::Element);
    assert_eq!(take("a/text()", "type = \"string\"\nrepeat = \"json\""), Take::Text);
    assert!(matches!(take("a/@b", "type = \"string\"\nrepeat = \"json\""), Take::Attribute(_)));
}

#[test]
fn every_rule() {
    let text = "path = \"a\"\ntype = \"decimal(9,3)\"\ntrim = \"collapse\"\ndefault = 1.50\nnull_values = [\"n/a\", 0]\n\
                decimal = \",\"\ngroup = \".\"\nrounding = \"down\"\nregex = \".*\"\nmin = \"-1\"\nmax = 1_000";
    let wanted = ValueRules {
        trim: Trim::Collapse,
        null_values: vec!["n/a".into(), "0".into()],
        default: Some("1,50".into()),
        decimal: Some(','),
        group: Some('.'),
        rounding: Rounding::Down,
        regex: Some(".*".into()),
        min: Some("-1".into()),
        max: Some("1000".into()),
        ..ValueRules::default()
    };
    assert_eq!(column(&text.replace("1.50", "\"1,50\"")).rules, wanted);
    let text = "path = \"a\"\ntype = \"string\"\nenum = [\"a\", 1, 1.50, true]\nmin_length = 1\nmax_length = 4";
    let rules = column(text).rules;
    assert_eq!(rules.allowed, ["a", "1", "1.50", "true"]);
    assert_eq!((rules.trim, rules.min_length, rules.max_length), (Trim::None, Some(1), Some(4)));
    let text =
        "path = \"a\"\ntype = \"date\"\nformat = \"%d.%m.%Y\"\nmin = \"1.1.2020\"\ngroup = \"\"\ndecimal = \".\"";
    assert_eq!(column(text).rules.formats, ["%d.%m.%Y"]);
}

#[test]
fn numbers_keep_the_digits_that_the_file_has() {
    let default = |number: &str, kind: &str| {
        column(&format!("path = \"a\"\ntype = \"{kind}\"\ndefault = {number}")).rules.default.unwrap()
    };
    assert_eq!(default("12345678901234567890.123456789", "decimal(38,9)"), "12345678901234567890.123456789");
    assert_eq!(default("1_000.50", "decimal(9,2)"), "1000.50");
    assert_eq!(default("-inf", "float64"), "-INF");
    assert_eq!(default("nan", "float64"), "NaN");
    assert_eq!(default("1e3", "float64"), "1e3");
    assert_eq!(default("2026-10-15", "date"), "2026-10-15");
    assert_eq!(default("true", "bool"), "true");
}

#[test]
fn an_xsd_that_is_not_there_and_a_file_that_is_not_there() {
    let said = said(&with_message("xsd = \"nowhere.xsd\""));
    assert_eq!(
        said,
        ["m.toml:5: message.xsd: there is no such file; it is looked for at nowhere.xsd, relative to this file"]
    );
    let problems = super::super::read(Path::new("/nowhere/m.toml"), &Lineage::default()).unwrap_err();
    assert!(problems[0].to_string().starts_with("/nowhere/m.toml: cannot be read: "));
}

#[test]
fn tables_may_be_written_in_one_line() {
    let text = r#"
version = 1
format = "xml"
message = { root = "inv:Invoice", rows = "cac:InvoiceLine", dtd = "refuse", unmapped = "count" }
namespaces = { inv = "urn:invoice", cac = "urn:aggregate", cbc = "urn:basic" }
limits = { bytes = "10MiB", depth = 256, attributes = 4096, bindings = 128 }
on_error = { message = "quarantine", field = "null" }
column = [
  { name = "invoice_id", path = "/cbc:ID", type = "string", required = true, trim = "both", max_length = 35 },
  { name = "issued", path = "/cbc:IssueDate", type = "date", format = "%Y-%m-%d", zone = "UTC" },
  { name = "amount", path = "cbc:Amount", type = "decimal(18,2)", rounding = "error", decimal = ".", group = "" },
  { name = "currency", path = "cbc:Amount/@currencyID", type = "string", enum = ["EUR", "USD"], regex = "[A-Z]{3}" },
  { name = "notes", path = "/cbc:Note", type = "list<string>", repeat = "list" },
  { name = "line_xml", path = ".", type = "xml" },
]
child = [ { name = "invoice_tax", rows = "cac:TaxTotal", column = [ { name = "tax", path = "cbc:TaxAmount", type = "string" } ] } ]
"#;
    let mapping = good(text);
    assert_eq!((mapping.columns.len(), mapping.children[0].columns.len()), (6, 1));
    let amount = &find(&mapping, "amount").rules;
    assert_eq!((amount.decimal, amount.group), (None, None));
    let broken = text.replace("\"/cbc:Note\"", "\"/cbd:Note\"");
    assert_eq!(said(&broken), ["m.toml:13: column.path: prefix cbd is not in [namespaces]; did you mean cbc?"]);
}
