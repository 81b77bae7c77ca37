//! Rows know nothing of their neighbours: what becomes of one does not hang on what stood before it, in its message or
//! in another, nor on how its batch was cut. Mappings and messages are made at random.

use fastrand::Rng;

use super::super::batch::{Care, Room};
use super::properties::is_conserved;
use super::*;
use crate::model::mapping::{Child, Repeat, Step, Unmapped};

const NAMES: [&str; 4] = ["a", "b", "c", "{urn:p}a"];

/// What rows, violations and counts come of messages, without what says where they are.
type Told = (Vec<String>, Vec<String>, Vec<String>);

fn step(rng: &mut Rng) -> Step {
    if rng.u8(..8) == 0 { Step { name: None, condition: None } } else { name(NAMES[rng.usize(..NAMES.len())]).into() }
}

/// A column of a row, or of a struct that many `levels` above the innermost.
fn any_column(rng: &mut Rng, number: usize, levels: u8) -> Column {
    let mut steps: Vec<Step> = (0..rng.usize(1..3)).map(|_| step(rng)).collect();
    let number_of = format!("c{number}");
    let repeats = [
        Repeat::Only,
        Repeat::First,
        Repeat::Last,
        Repeat::List,
        Repeat::Index(2),
        Repeat::Count,
        Repeat::Json,
        Repeat::Join("+".into()),
    ];
    let mut repeat = repeats[rng.usize(..repeats.len())].clone();
    let (kind, take) = match (&repeat, rng.u8(..6)) {
        (Repeat::Count, _) => (Kind::Int64, [Take::Text, Take::Element][rng.usize(..2)].clone()),
        (Repeat::Join(_), _) => (Kind::String, Take::Text),
        (Repeat::Json, 0..3) => (Kind::Json, Take::Element),
        (Repeat::Json, _) => (Kind::Int32, Take::Text),
        (_, 0) if levels > 0 => {
            let fields: Vec<Column> = (0..rng.usize(1..4)).map(|at| any_column(rng, at, levels - 1)).collect();
            (Kind::Struct(fields.into()), Take::Element)
        }
        (_, 1) => (Kind::Xml, Take::Element),
        (_, 2) => (Kind::Json, Take::Element),
        (_, 3) => (Kind::String, Take::AllText),
        (_, 4) => (Kind::Int32, Take::Attribute(name("k"))),
        _ => (Kind::Int32, Take::Text),
    };
    if matches!(take, Take::Attribute(_)) && rng.bool() {
        (steps, repeat) = (Vec::new(), Repeat::Only);
    }
    let mut column = Column::new(number_of, Path { from_root: false, steps, take }, kind);
    (column.repeat, column.required) = (repeat, rng.u8(..8) == 0);
    if column.kind == Kind::Int32 && rng.u8(..5) == 0 {
        column.rules.default = Some("7".to_owned());
    }
    column
}

fn columns(rng: &mut Rng) -> Vec<Column> {
    (0..rng.usize(1..6)).map(|number| any_column(rng, number, 2)).collect()
}

fn any_mapping(rng: &mut Rng) -> Mapping {
    let has_groups = rng.bool();
    let row: Vec<Step> = vec![name("r").into()];
    let rows = if has_groups { vec![vec![name("g").into()], row] } else { vec![row] };
    let mut all = columns(rng);
    for number in 0..if has_groups { rng.usize(..3) } else { 0 } {
        let mut shared = any_column(rng, number, 2);
        shared.path.steps.insert(0, name("g").into());
        (shared.path.from_root, shared.name) = (true, format!("s{number}"));
        all.push(shared);
    }
    let grandchild = Child { name: "y".into(), rows: vec![step(rng)], columns: columns(rng), children: vec![] };
    let children = if rng.bool() { vec![grandchild] } else { vec![] };
    let child = Child { name: "x".into(), rows: vec![step(rng)], columns: columns(rng), children };
    let unmapped =
        [Unmapped::Ignore, Unmapped::Count, Unmapped::Reject, Unmapped::Collect("rest".into())][rng.usize(..4)].clone();
    Mapping {
        rows,
        children: if rng.bool() { vec![child] } else { vec![] },
        unmapped,
        on_bad_message: OnBadMessage::KeepGoodRows,
        on_bad_field: if rng.bool() { OnBadField::Null } else { OnBadField::Quarantine },
        ..mapping(None, "", all)
    }
}

fn element(rng: &mut Rng, tag: &str, depth: u8, out: &mut String) {
    out.push('<');
    out.push_str(tag);
    for attribute in [" k='1'", " k2='x'", " p:k='2'", " i:nil='true'", " xmlns:q='urn:q'"] {
        if rng.u8(..7) == 0 {
            out.push_str(attribute);
        }
    }
    out.push('>');
    for _ in 0..rng.usize(..4) {
        match rng.u8(..8) {
            0 => out.push('x'),
            1 | 2 => out.push('1'),
            3 => out.push(' '),
            4 => out.push_str("&#50;<!-- c --><![CDATA[3]]>"),
            _ if depth == 0 => {}
            _ => {
                let tag = ["a", "b", "c", "p:a", "d"][rng.usize(..5)];
                element(rng, tag, depth - 1, out);
            }
        }
    }
    out.push_str("</");
    out.push_str(tag);
    out.push('>');
}

/// A row, or a group of them with something around each.
fn unit(rng: &mut Rng, has_groups: bool) -> String {
    let mut out = String::new();
    if !has_groups {
        element(rng, "r", 3, &mut out);
        return out;
    }
    out.push_str(if rng.u8(..5) == 0 { "<g k='x'>" } else { "<g>" });
    for _ in 0..rng.usize(..5) {
        let tag = ["r", "r", "a", "b"][rng.usize(..4)];
        element(rng, tag, 2, &mut out);
    }
    out.push_str("</g>");
    out
}

fn message(units: &[String]) -> String {
    let xsi = "http://www.w3.org/2001/XMLSchema-instance";
    format!("<m xmlns:p='urn:p' xmlns:i='{xsi}'>{}</m>", units.concat())
}

fn told(parsed: &ParsedBatch, into: &mut Told) {
    for part in &parsed.tables {
        let schema = part.rows.schema();
        let is_of_place = |name: &str| name.starts_with("kafka_") || name == "row_index";
        let columns: Vec<usize> =
            (0..schema.fields().len()).filter(|&at| !is_of_place(schema.field(at).name())).collect();
        let cell = |column: usize, row: usize| {
            let column = part.rows.column(column);
            if column.is_null(row) { "-".to_owned() } else { array_value_to_string(column, row).unwrap() }
        };
        let line = |row| columns.iter().map(|&column| cell(column, row)).collect::<Vec<_>>().join("|");
        into.0.extend((0..part.rows.num_rows()).map(|row| format!("{}: {}", part.table, line(row))));
    }
    for violation in parsed.verdicts.iter().flat_map(|verdict| &verdict.violations) {
        into.1.push(format!("{} {:?} {:?} {}", violation.code, violation.column, violation.value, violation.message));
    }
    for found in &parsed.drift {
        let line = format!("{} {:?} {}", found.table, found.kind, found.path);
        into.2.extend(std::iter::repeat_n(line, usize::try_from(found.count).unwrap()));
    }
}

/// Rows by table and counts by path; within a table the order of rows says something.
fn sorted(mut told: Told) -> Told {
    told.0.sort_by_key(|row| row.split(':').next().map(str::to_owned));
    told.2.sort();
    told
}

#[test]
fn what_becomes_of_a_row_does_not_hang_on_those_before_it() {
    for seed in 0..1000 {
        let rng = &mut Rng::with_seed(seed);
        let mapping = any_mapping(rng);
        let table = ParserTable::compile(&mapping).unwrap();
        let fresh = || Parser::new(Arc::from(vec![table.clone()]));
        let units: Vec<String> = (0..rng.usize(2..5)).map(|_| unit(rng, mapping.rows.len() > 1)).collect();
        let alone: Vec<String> = units.iter().map(|unit| message(std::slice::from_ref(unit))).collect();
        let mut expected = Told::default();
        for one in &alone {
            told(&fresh().parse(&batch(&[Some(one.as_bytes())]), Some(0)).unwrap(), &mut expected);
        }
        let expected = sorted(expected);
        let whole = message(&units);
        let mut parser = fresh();
        for messages in [vec![&whole], alone.iter().collect()] {
            let payloads: Vec<Option<&[u8]>> = messages.iter().map(|one| Some(one.as_bytes())).collect();
            let parsed = parser.parse(&batch(&payloads), Some(0)).unwrap();
            is_conserved(&parsed);
            let mut found = Told::default();
            told(&parsed, &mut found);
            assert_eq!(sorted(found), expected, "seed {seed}: {messages:?}\n{mapping:#?}");
        }
    }
}

#[test]
fn a_batch_in_pieces_says_what_it_says_at_once() {
    for seed in 0..60 {
        let rng = &mut Rng::with_seed(seed);
        let mapping = any_mapping(rng);
        let table: Arc<[ParserTable]> = Arc::from(vec![ParserTable::compile(&mapping).unwrap()]);
        let any_message = |_| {
            let units: Vec<String> = (0..3).map(|_| unit(rng, mapping.rows.len() > 1)).collect();
            message(&[units.concat().repeat([1, 1, 200][rng.usize(..3)])])
        };
        let messages: Vec<String> = (0..6).map(any_message).collect();
        let payloads: Vec<Option<&[u8]>> = messages.iter().map(|one| Some(one.as_bytes())).collect();
        let mut rest = batch(&payloads);
        let (mut expected, mut found) = (Told::default(), Told::default());
        told(&Parser::new(Arc::clone(&table)).parse(&rest, Some(0)).unwrap(), &mut expected);
        let mut parser = Parser::new(table);
        let mut room = Room { batch: [1000, 10_000, 100_000][rng.usize(..3)], first: None };
        loop {
            let care = Care { room: Some(room), ..Care::default() };
            let parsed = parser.parse_with_care(&rest, Some(0), &care).unwrap();
            let done = parsed.verdicts.len();
            if done == 0 {
                // As a worker does that has the turn.
                assert_eq!(room.first.replace(usize::MAX), None, "seed {seed}");
                continue;
            }
            told(&parsed, &mut found);
            room.first = None;
            match rest.cut(done) {
                Some((_, tail)) => rest = Arc::new(tail),
                None => break,
            }
        }
        assert_eq!(sorted(found), sorted(expected), "seed {seed}: {messages:?}\n{mapping:#?}");
    }
}
