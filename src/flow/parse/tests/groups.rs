//! Row groups, child tables, and what their rows share.

use super::super::compile::Program;
use super::super::machine::Machine;
use super::routes::table;
use super::*;
use crate::model::batch::Outcome;
use crate::model::catalog::Catalog;
use crate::model::mapping::{Child, Repeat, Step};

fn steps(path: &str) -> Vec<Step> {
    path.split(' ').map(|step| name(step).into()).collect()
}

/// Orders with lines, both row groups.
fn orders() -> Mapping {
    let columns = vec![
        column("branch", "/@branch", Kind::String),
        column("order", "/order @id", Kind::Int32),
        column("note", "/order note", Kind::String),
        column("line", "@n", Kind::Int32),
        column("text", "text()", Kind::String),
    ];
    Mapping { rows: vec![steps("order"), steps("lines line")], ..mapping(None, "", columns) }
}

const ORDERS: &str = "<m branch='L'><order id='1'><lines><line n='1'>a</line></lines><lines><line n='2'>b</line></lines>\
                      <note>x</note></order><order id='2'/><order id='3'><lines/></order>\
                      <order id='4'><note>y</note><lines><line n='1'>c</line></lines></order></m>";

#[test]
fn an_outer_element_without_an_inner_one_is_a_row_as_well() {
    let (verdict, rows) = parse_one(&orders(), ORDERS);
    assert_eq!((verdict.outcome, verdict.rows, verdict.violations), (Outcome::Rows, 5, vec![]));
    assert_eq!(rows, ["L|1|x|1|a", "L|1|x|2|b", "L|2|-|-|-", "L|3|-|-|-", "L|4|y|1|c"]);
    let parsed = parse(&orders(), &[ORDERS]);
    let index = parsed.tables[0].rows.column_by_name("row_index").unwrap();
    assert_eq!(index.as_ref(), &arrow::array::Int32Array::from(vec![0, 1, 2, 3, 4]));
}

#[test]
fn values_of_each_level_are_found_again() {
    let table = ParserTable::compile(&orders()).unwrap();
    let place = |column: usize, row: i32| {
        table.locate(ORDERS.as_bytes(), column, &[row]).of(row).unwrap().path.clone().unwrap()
    };
    assert_eq!([place(0, 0), place(0, 4)], ["/m/@branch", "/m/@branch"]);
    assert_eq!([place(1, 0), place(1, 1), place(1, 2)], ["/m/order[1]/@id", "/m/order[1]/@id", "/m/order[2]/@id"]);
    assert_eq!([place(2, 1), place(2, 4)], ["/m/order[1]/note", "/m/order[4]/note"]);
    assert_eq!([place(3, 1), place(3, 2)], ["/m/order[1]/lines[2]/line/@n", "/m/order[2]"]);
}

#[test]
fn of_the_row_groups_before_the_one_that_is_looked_for_nothing_is_kept() {
    let mut machine = Machine::new(Arc::new(Program::compile(&orders()).unwrap()));
    for (row, range) in [(0, 0..2), (1, 0..2), (2, 2..3), (4, 4..5)] {
        let trace = machine.trace(ORDERS.as_bytes(), 1, &[row]);
        assert_eq!(trace.values.iter().map(|(rows, _)| rows.clone()).collect::<Vec<_>>(), [range], "{row}");
    }
}

#[test]
fn three_groups_lie_in_one_another() {
    let columns =
        vec![column("a", "/a @n", Kind::Int32), column("b", "/a b @n", Kind::Int32), column("c", "@n", Kind::Int32)];
    let mapping = Mapping { rows: vec![steps("a"), steps("b"), steps("c")], ..mapping(None, "", columns) };
    let message = "<m><a n='1'><b n='1'><c n='1'/><c n='2'/></b><b n='2'/></a><a n='2'/></m>";
    assert_eq!(parse_one(&mapping, message).1, ["1|1|1", "1|1|2", "1|2|-", "2|-|-"]);
}

#[test]
fn a_bad_outer_value_takes_its_rows_and_a_bad_inner_one_its_row() {
    let mut mapping = orders();
    mapping.on_bad_message = OnBadMessage::KeepGoodRows;
    let message = ORDERS.replace("order id='1'", "order id='x'").replace("<line n='1'>c", "<line n='2'/><line n='y'>c");
    let (verdict, rows) = parse_one(&mapping, &message);
    assert_eq!((verdict.outcome, codes(&verdict)), (Outcome::Partial, vec!["type.int", "type.int"]));
    assert_eq!(rows, ["L|2|-|-|-", "L|3|-|-|-", "L|4|y|2|-"]);
    mapping.columns[3].required = true;
    let (verdict, rows) = parse_one(&mapping, ORDERS);
    assert_eq!((codes(&verdict), rows.len()), (vec!["rule.required", "rule.required"], 3));
}

#[test]
fn a_path_from_the_root_belongs_to_the_innermost_row_on_its_way() {
    let columns = vec![
        column("own", "/order lines line @n", Kind::Int32),
        column("outer", "/order lines @k", Kind::Int32),
        Column { repeat: Repeat::Count, ..column("all", "/note", Kind::String) },
    ];
    let mapping = Mapping { rows: vec![steps("order"), steps("lines line")], ..mapping(None, "", columns) };
    let message = "<m><note/><order><lines k='1'><line n='1'/><line n='2'/></lines></order>\
                   <order><lines k='2'><line n='3'/></lines></order><note/></m>";
    assert_eq!(parse_one(&mapping, message).1, ["1|1|2", "2|1|2", "3|2|2"]);
    let (verdict, _) = parse_one(&mapping, "<m><order><lines k='1'/><lines k='2'/></order></m>");
    assert_eq!(verdict.violations[0].message, "outer (/order/lines/@k) occurs more than once in its row group");
}

/// Books with authors, these with works.
fn books() -> Mapping {
    let works = Child {
        name: "works".to_owned(),
        rows: steps("work"),
        columns: vec![column("work", "text()", Kind::String)],
        children: vec![],
    };
    let authors = Child {
        name: "authors".to_owned(),
        rows: steps("by author"),
        columns: vec![
            column("name", "@name", Kind::String),
            column("born", "@born", Kind::Int32),
            column("book", "/book @id", Kind::Int32),
            column("branch", "/@branch", Kind::String),
        ],
        children: vec![works],
    };
    let tags = Child {
        name: "tags".to_owned(),
        rows: steps("tag"),
        columns: vec![column("tag", "text()", Kind::String)],
        children: vec![],
    };
    Mapping { children: vec![authors, tags], ..mapping(Some("m"), "book", vec![column("id", "@id", Kind::Int32)]) }
}

/// The rows of each table of a batch, lineage as it is from `row_index` on.
pub(super) fn tables(parsed: &ParsedBatch) -> Vec<(u16, Vec<String>)> {
    let shown = |rows: &RecordBatch| -> Vec<String> {
        let schema = rows.schema();
        let places: Vec<usize> =
            (0..rows.num_columns()).filter(|&at| !schema.field(at).name().starts_with("kafka_")).collect();
        let cell = |at: usize, row: usize| {
            let column = rows.column(at);
            if column.is_null(row) { "-".to_owned() } else { array_value_to_string(column, row).unwrap() }
        };
        (0..rows.num_rows()).map(|row| places.iter().map(|&at| cell(at, row)).collect::<Vec<_>>().join("|")).collect()
    };
    parsed.tables.iter().map(|part| (part.table, shown(&part.rows))).collect()
}

const BOOKS: &str = "<m branch='L'><book id='1'><tag>x</tag><by><author name='A' born='1'><work>a1</work><work>a2</work>\
                     </author></by><by><author name='B'><work>b1</work></author></by><tag>y</tag></book>\
                     <book id='2'/><book id='3'><by><author name='C'/></by></book></m>";

#[test]
fn children_are_joined_by_row_index_and_ordinal() {
    let parsed = parse(&books(), &[BOOKS]);
    assert_eq!((parsed.verdicts[0].outcome, parsed.verdicts[0].rows), (Outcome::Rows, 3));
    assert_eq!(
        tables(&parsed),
        [
            (0, vec!["1|0".to_owned(), "2|1".to_owned(), "3|2".to_owned()]),
            (1, vec!["A|1|1|L|0|0".to_owned(), "B|-|1|L|0|1".to_owned(), "C|-|3|L|2|0".to_owned()]),
            (2, vec!["a1|0|0|0".to_owned(), "a2|0|1|0".to_owned(), "b1|0|2|1".to_owned()]),
            (3, vec!["x|0|0".to_owned(), "y|0|1".to_owned()]),
        ]
    );
    let mapping = books();
    for (part, (child, depth)) in parsed.tables[1..].iter().zip(mapping.descendants()) {
        assert_eq!(part.rows.schema(), child.raw_schema(depth > 1, &mapping.lineage), "{}", child.name);
        assert!(part.message.iter().all(|&message| message == 0));
    }
}

#[test]
fn children_of_a_second_table_come_after_those_of_the_first() {
    let tables = [books(), library(), books()].map(|mapping| ParserTable::compile(&mapping).unwrap());
    let mut parser = Parser::new(Arc::from(tables));
    let parsed = parser.parse(&batch(&[Some(BOOKS.as_bytes())]), Some(2)).unwrap();
    assert_eq!(parsed.tables.iter().map(|part| part.table).collect::<Vec<_>>(), [2, 6, 7, 8]);
    let catalog = Catalog::new([books(), library(), books()].map(|mapping| table("t", None, mapping))).unwrap();
    for part in &parsed.tables {
        assert_eq!(part.rows.schema(), catalog.get(part.table).unwrap().schema, "the catalog numbers them alike");
        assert_eq!(catalog.get(part.table).unwrap().top, 2);
    }
}

#[test]
fn children_of_bad_rows_are_taken_back_with_them() {
    let mut mapping = books();
    mapping.on_bad_message = OnBadMessage::KeepGoodRows;
    let bad_book = BOOKS.replace("id='1'", "id='x'");
    let parsed = parse(&mapping, &[BOOKS, &bad_book, "<m><book id='9'><tag>z</tag></book>", BOOKS]);
    assert_eq!(codes(&parsed.verdicts[1]), ["type.int", "type.int"], "the child rows have it too");
    let rows: Vec<_> = parsed.tables.iter().map(|part| part.message.clone()).collect();
    assert_eq!(
        rows,
        [vec![0, 0, 0, 1, 1, 3, 3, 3], vec![0, 0, 0, 1, 3, 3, 3], vec![0, 0, 0, 3, 3, 3], vec![0, 0, 3, 3]]
    );
}

#[test]
fn a_bad_child_row_goes_with_its_own_children_and_its_parent_stays() {
    let mut mapping = books();
    mapping.on_bad_message = OnBadMessage::KeepGoodRows;
    let parsed = parse(&mapping, &[&BOOKS.replace("born='1'", "born='x'")]);
    assert_eq!((parsed.verdicts[0].outcome, parsed.verdicts[0].rows), (Outcome::Partial, 3));
    let all = tables(&parsed);
    assert_eq!(all[1].1, ["B|-|1|L|0|1", "C|-|3|L|2|0"]);
    assert_eq!(all[2].1, ["b1|0|2|1"]);
    mapping.on_bad_message = OnBadMessage::Quarantine;
    let parsed = parse(&mapping, &[&BOOKS.replace("born='1'", "born='x'")]);
    assert_eq!((parsed.verdicts[0].outcome, parsed.tables.len()), (Outcome::Quarantined, 0));
}

#[test]
fn rows_of_children_count_as_rows() {
    let mut mapping = books();
    mapping.limits.rows = 11;
    assert_eq!(parse(&mapping, &[BOOKS]).verdicts[0].outcome, Outcome::Rows);
    mapping.limits.rows = 10;
    let parsed = parse(&mapping, &[BOOKS]);
    assert_eq!((codes(&parsed.verdicts[0]), parsed.tables.len()), (vec!["limit.rows"], 0));
}

#[test]
fn a_small_message_cannot_make_columns_large() {
    let wide =
        (0..64).map(|at| column(&format!("c{at}"), &format!("@a{at}"), Kind::Decimal(38, 0))).collect::<Vec<_>>();
    let mut list = Column { repeat: Repeat::List, ..column("l", "a", Kind::Struct(wide.into())) };
    list.path.take = Take::Element;
    let structs = mapping(None, "", vec![list]);
    let mut default = Column { repeat: Repeat::List, ..column("l", "a", Kind::String) };
    default.rules.default = Some("x".repeat(1000));
    let defaults = mapping(None, "", vec![default]);
    let mut missing = column("l", "@l", Kind::String);
    missing.rules.default = Some("x".repeat(10_000));
    let missing = mapping(None, "a", vec![missing]);
    let shared = mapping(None, "a", vec![Column { repeat: Repeat::List, ..column("s", "/s", Kind::String) }]);
    let elements = "<a/>".repeat(100_000);
    for (mapping, head) in [(structs, ""), (defaults, ""), (missing, ""), (shared, &*"<s>x</s>".repeat(20_000))] {
        let (verdict, rows) = parse_one(&mapping, &format!("<m>{head}{elements}</m>"));
        assert_eq!((codes(&verdict), rows.len()), (vec!["limit.rows"], 0));
    }
}
