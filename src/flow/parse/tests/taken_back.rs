//! What is taken back takes nothing else along, and leaves nothing behind.

use proptest::prelude::*;
use serde_json::json;

use super::properties::is_conserved;
use super::*;
use crate::model::batch::Outcome;
use crate::model::mapping::{Child, Repeat, Step, Unmapped};

/// An element around orders, of which a struct keeps the last.
#[derive(Debug, Clone)]
struct Page {
    is_bad: bool,
    notes: u8,
    orders: Vec<Order>,
}

#[derive(Debug, Clone)]
struct Order {
    is_bad: bool,
    notes: u8,
    lines: Vec<Line>,
}

#[derive(Debug, Clone)]
struct Line {
    is_bad: bool,
    notes: u8,
    /// Rows of a child table, and whether each is bad.
    parts: Vec<bool>,
}

prop_compose! {
    fn line()(
        is_bad in proptest::bool::weighted(0.3),
        notes in 0_u8..3,
        parts in proptest::collection::vec(proptest::bool::weighted(0.3), 0..3),
    ) -> Line {
        Line { is_bad, notes, parts }
    }
}

prop_compose! {
    fn order()(
        is_bad in proptest::bool::weighted(0.3),
        notes in 0_u8..3,
        lines in proptest::collection::vec(line(), 0..3),
    ) -> Order {
        Order { is_bad, notes, lines }
    }
}

prop_compose! {
    fn page()(
        is_bad in proptest::bool::weighted(0.3),
        notes in 0_u8..2,
        orders in proptest::collection::vec(order(), 0..4),
    ) -> Page {
        Page { is_bad, notes, orders }
    }
}

/// Pages of orders with lines, both row groups, and parts in a table of their own.
fn pages() -> Mapping {
    let mut page = column("page", "/page", Kind::Struct(vec![column("n", "@n", Kind::Int32)].into()));
    (page.path.take, page.repeat) = (Take::Element, Repeat::Last);
    let columns = vec![page, column("order", "/page order @n", Kind::Int32), column("line", "@n", Kind::Int32)];
    let parts = Child {
        name: "parts".to_owned(),
        rows: vec![name("part").into()],
        columns: vec![column("part", "@n", Kind::Int32)],
        children: vec![],
    };
    Mapping {
        rows: vec![vec![name("page").into(), name("order").into()], vec![name("line").into()]],
        children: vec![parts],
        unmapped: Unmapped::Collect("rest".to_owned()),
        on_bad_message: OnBadMessage::KeepGoodRows,
        ..mapping(None, "", columns)
    }
}

/// A message, the rows that come of it, and how much is wrong with it.
#[derive(Debug, Default)]
struct Expected {
    message: String,
    rows: Vec<String>,
    parts: usize,
    violations: usize,
    /// Tells values from one another.
    next: u32,
}

impl Expected {
    fn begin(&mut self, element: &str, is_bad: bool) -> String {
        self.next += 1;
        self.violations += usize::from(is_bad);
        let n = if is_bad { "x".to_owned() } else { self.next.to_string() };
        self.message.push_str(&format!("<{element} n='{n}'>"));
        n
    }

    /// Something that no column takes; its text is added to what the rows around it collect.
    fn note(&mut self, collected: &mut Vec<u32>) {
        self.next += 1;
        self.message.push_str(&format!("<note>{}</note>", self.next));
        collected.push(self.next);
    }

    fn of(pages: &[Page]) -> Self {
        let mut all = Self { message: "<m>".to_owned(), ..Self::default() };
        let mut of_message = Vec::new();
        let mut rows = Vec::new();
        for page in pages {
            // Only what is wrong with the last page counts.
            let n = all.begin("page", false);
            if page.is_bad {
                let at = all.message.rfind(&n).unwrap();
                all.message.replace_range(at.., "x'>");
            }
            for _ in 0..page.notes {
                all.note(&mut of_message);
            }
            for order in &page.orders {
                rows.extend(all.order(order));
            }
            all.message.push_str("</page>");
        }
        all.message.push_str("</m>");
        if pages.last().is_some_and(|page| page.is_bad) {
            all.violations += 1;
            rows.clear();
        }
        if rows.is_empty() {
            all.parts = 0;
        }
        all.rows = rows.into_iter().map(|(row, rest)| format!("{row} {}", shown_rest(&of_message, rest))).collect();
        all
    }

    fn order(&mut self, order: &Order) -> Vec<(String, [Vec<u32>; 2])> {
        let n = self.begin("order", order.is_bad);
        let parts_before = self.parts;
        let (mut of_order, mut rows) = (Vec::new(), Vec::new());
        for (at, line) in order.lines.iter().enumerate() {
            if at < usize::from(order.notes) {
                self.note(&mut of_order);
            }
            let parts_before = self.parts;
            let line_n = self.begin("line", line.is_bad);
            let mut of_line = Vec::new();
            for (at, &is_bad) in line.parts.iter().enumerate() {
                if at < usize::from(line.notes) {
                    self.note(&mut of_line);
                }
                self.begin("part", is_bad);
                self.message.push_str("</part>");
                self.parts += usize::from(!is_bad);
            }
            self.message.push_str("</line>");
            if line.is_bad {
                self.parts = parts_before;
            } else {
                rows.push((format!("{n} {line_n}"), of_line));
            }
        }
        self.note(&mut of_order);
        self.message.push_str("</order>");
        if order.lines.is_empty() {
            rows.push((format!("{n} -"), Vec::new()));
        }
        if order.is_bad {
            self.parts = parts_before;
            rows.clear();
        }
        rows.into_iter().map(|(row, of_line)| (row, [of_order.clone(), of_line])).collect()
    }
}

fn shown_rest(of_message: &[u32], [of_order, of_line]: [Vec<u32>; 2]) -> String {
    let mut rest = serde_json::Map::new();
    for (key, texts) in [("/page/note", of_message), ("/page/order/note", &of_order), ("note", &of_line)] {
        let texts: Vec<_> = texts.iter().map(u32::to_string).collect();
        match &texts[..] {
            [] => {}
            [only] => drop(rest.insert(key.to_owned(), json!(only))),
            many => drop(rest.insert(key.to_owned(), json!(many))),
        }
    }
    json!(rest).to_string()
}

proptest! {
    #[test]
    fn bad_rows_go_with_all_that_is_theirs_and_with_nothing_else(pages in proptest::collection::vec(page(), 0..4)) {
        let expected = Expected::of(&pages);
        let parsed = parse(&super::taken_back::pages(), &[&expected.message]);
        is_conserved(&parsed);
        prop_assert_eq!(parsed.verdicts[0].violations.len(), expected.violations, "{}", &expected.message);
        let rows = parsed.tables.first().map(|part| shown(&part.rows)).unwrap_or_default();
        let shown_row = |row: &String| {
            let cells: Vec<&str> = row.splitn(4, '|').collect();
            let rest: serde_json::Value = serde_json::from_str(cells[3]).unwrap();
            format!("{} {} {rest}", cells[1], cells[2])
        };
        prop_assert_eq!(rows.iter().map(shown_row).collect::<Vec<_>>(), expected.rows, "{}", &expected.message);
        let parts = parsed.tables.iter().filter(|part| part.table == 1).map(|part| part.rows.num_rows()).sum::<usize>();
        prop_assert_eq!(parts, expected.parts, "{}", &expected.message);
    }
}

#[test]
fn a_row_group_taken_back_leaves_what_lies_around_it() {
    let columns = vec![column("a", "/a @n", Kind::Int32), column("b", "/a b @n", Kind::Int32)];
    let mapping = Mapping {
        rows: ["a", "b", "c"].map(|step| vec![name(step).into()]).to_vec(),
        unmapped: Unmapped::Collect("rest".to_owned()),
        on_bad_message: OnBadMessage::KeepGoodRows,
        ..mapping(None, "", columns)
    };
    let message = "<m><x>1</x><a n='1'><x>2</x><b n='x'><x>3</x><c/></b><x>4</x><b n='1'><x>5</x><c/></b></a>\
                   <a n='x'><b n='2'><x>6</x><c/></b><x>7</x></a><x>8</x><a n='2'><b n='3'><c/></b></a></m>";
    let (verdict, rows) = parse_one(&mapping, message);
    assert_eq!(codes(&verdict), ["type.int"; 2]);
    assert_eq!(rows, [r#"1|1|{"/x":["1","8"],"/a/x":["2","4"],"/a/b/x":"5"}"#, r#"2|3|{"/x":["1","8"]}"#]);
}

/// Of the elements at a path the last one is taken, as a struct of `n`.
fn last_of(path: &str) -> Column {
    let mut last = column("last", path, Kind::Struct(vec![column("n", "n", Kind::Int32)].into()));
    (last.path.take, last.repeat) = (Take::Element, Repeat::Last);
    last
}

#[test]
fn a_struct_that_does_not_count_takes_no_violation_of_others_along() {
    let first = Column { repeat: Repeat::First, ..column("zip", "a zip", Kind::Int32) };
    let zip = mapping(None, "", vec![last_of("a"), first]);
    let (verdict, rows) = parse_one(&zip, "<m><a><zip>x</zip></a><a><n>1</n></a></m>");
    assert_eq!((codes(&verdict), rows.len()), (vec!["type.int"], 0));

    let mut only = column("only", "b", Kind::Struct(vec![column("n", "n", Kind::Int32)].into()));
    only.path.take = Take::Element;
    let any = Column {
        path: Path { steps: vec![Step { name: None, condition: None }], ..last_of("a").path },
        ..last_of("a")
    };
    let (verdict, rows) = parse_one(&mapping(None, "", vec![only, any]), "<m><b><n>x</n></b><c/></m>");
    assert_eq!((codes(&verdict), rows.len()), (vec!["type.int"], 0));

    let mut number = column("n", "n", Kind::Int32);
    number.required = true;
    let mut around = mapping(None, "a b", vec![number, last_of("/a")]);
    let message = "<m><a><b><n>x</n></b></a><a><b><n>2</n></b><b/></a><a><n>3</n></a></m>";
    let (verdict, rows) = parse_one(&around, message);
    assert_eq!((codes(&verdict), rows.len()), (vec!["type.int", "rule.required"], 0));
    around.on_bad_message = OnBadMessage::KeepGoodRows;
    let (verdict, rows) = parse_one(&around, message);
    assert_eq!((verdict.outcome, rows), (Outcome::Partial, vec!["2|{n: 3}".to_owned()]));
}

#[test]
fn of_the_last_struct_in_the_last_struct_only_the_last_is_judged() {
    let mut inner = last_of("b");
    inner.required = true;
    let mut outer = column("outer", "a", Kind::Struct(vec![inner].into()));
    (outer.path.take, outer.repeat, outer.required) = (Take::Element, Repeat::Last, true);
    let mapping = mapping(None, "", vec![outer]);
    let xsi = "xmlns:i='http://www.w3.org/2001/XMLSchema-instance'";
    for (message, expected) in [
        ("<a/><a><b><n>x</n></b></a><a><b><n>x</n></b><b><n>1</n></b></a>", vec![]),
        ("<a><b/></a><a><b/><b><n>x</n></b></a>", vec!["type.int"]),
        ("<a><b/></a><a/>", vec!["rule.required"]),
        ("", vec!["rule.required"]),
        ("<a i:nil='1'>x</a><a><b i:nil='1'>x</b><b/></a>", vec![]),
        ("<a><b/></a><a i:nil='1'>x</a>", vec!["rule.required", "shape.nil"]),
        ("<a><b/></a><a><b/><b i:nil='1'>x</b></a>", vec!["rule.required", "shape.nil"]),
    ] {
        let (verdict, rows) = parse_one(&mapping, &format!("<m {xsi}>{message}</m>"));
        assert_eq!((codes(&verdict), rows.len()), (expected.clone(), usize::from(expected.is_empty())), "{message}");
    }
}
