use std::sync::Arc;

use super::*;
use crate::model::mapping::{BinaryText, Kind, Lineage, Path, Precision, Repeat, Take, Unmapped};

fn column(name: &str, kind: Kind) -> Column {
    Column::new(name, Path { from_root: false, steps: Vec::new(), take: Take::Text }, kind)
}

fn required(name: &str, kind: Kind) -> Column {
    Column { required: true, ..column(name, kind) }
}

fn base() -> Mapping {
    let fields = Arc::from([column("city", Kind::String)]);
    let columns = vec![column("a", Kind::Int32), required("b", Kind::String), column("s", Kind::Struct(fields))];
    let inner =
        Child { name: "inner".into(), rows: Vec::new(), columns: vec![column("y", Kind::Date)], children: vec![] };
    let outer =
        Child { name: "outer".into(), rows: Vec::new(), columns: vec![column("x", Kind::Json)], children: vec![inner] };
    Mapping { children: vec![outer], ..Mapping::new("m", columns) }
}

/// What is said of a change.
fn said(change: impl FnOnce(&mut Mapping)) -> Vec<String> {
    let mut new = base();
    change(&mut new);
    incompatibilities(&base(), &new)
}

#[test]
fn columns_and_tables_may_come_and_move_and_become_optional() {
    let found = said(|new| {
        new.columns.insert(0, column("z", Kind::Xml));
        new.columns.reverse();
        new.columns.iter_mut().for_each(|column| column.required = false);
        new.unmapped = Unmapped::Collect("rest".into());
        new.lineage.key = Some("kafka_key".into());
        new.lineage.headers = Some("kafka_headers".into());
        new.children[0].columns.push(column("more", Kind::Int8));
        let more = Child { name: "more".into(), ..new.children[0].clone() };
        new.children.push(more);
    });
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn text_by_another_name_is_the_same_type() {
    let found = said(|new| new.columns[1] = required("b", Kind::Json));
    assert_eq!(found, Vec::<String>::new());
    let found = said(|new| new.columns[1] = Column { repeat: Repeat::Join(",".into()), ..required("b", Kind::String) });
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn what_is_not_compatible_is_named_with_what_to_do() {
    for (found, what) in [
        (
            said(|new| drop(new.columns.remove(0))),
            "column a would go; keep it, with a path that nothing has if need be",
        ),
        (said(|new| new.columns[0].name = "A".into()), "column a would be called A; keep its name as it was written"),
        (
            said(|new| new.columns[0].kind = Kind::Int64),
            "column a would change from int32 to int64; keep the type, and add a column beside it",
        ),
        (
            said(|new| new.columns[0].repeat = Repeat::List),
            "column a would change from int32 to list<int32>; keep the type, and add a column beside it",
        ),
        (
            said(|new| new.columns[0] = column("a", Kind::Timestamp(Precision::Nano))),
            "column a would change from int32 to timestamp(ns); keep the type, and add a column beside it",
        ),
        (
            said(|new| new.columns[0].required = true),
            "column a would become required, and old rows may lack it; leave required out",
        ),
        (
            said(|new| new.columns.push(required("n", Kind::Bool))),
            "column n is new and required, and old rows lack it; leave required out",
        ),
        (
            said(|new| {
                let fields = Arc::from([column("city", Kind::String), column("zip", Kind::String)]);
                new.columns[2].kind = Kind::Struct(fields);
            }),
            "column s would get other fields; keep them, and put what is new into a column beside",
        ),
        (
            said(|new| new.columns[2].kind = Kind::Struct(Arc::from([required("city", Kind::String)]))),
            "column s would get other fields; keep them, and put what is new into a column beside",
        ),
        (
            said(|new| new.children[0].children[0].columns[0].kind = Kind::String),
            "column y of child table inner would change from date to string; keep the type, and add a column beside it",
        ),
        (said(|new| new.children.clear()), "child table outer would go from its place; keep it, and what it lies in"),
    ] {
        assert_eq!(found, [what]);
    }
    let mut names = Lineage::default();
    names.names[4] = "n".into();
    assert_eq!(
        said(|new| new.lineage = names),
        [
            "column row_index would go; keep its name",
            "column n is new and required, and old rows lack it; leave required out",
            "column row_index of child table outer would go; keep its name",
            "column n of child table outer is new and required, and old rows lack it; leave required out",
            "column row_index of child table inner would go; keep its name",
            "column n of child table inner is new and required, and old rows lack it; leave required out",
        ]
    );
    let moved = said(|new| {
        let inner = new.children[0].children.remove(0);
        new.children.push(inner);
    });
    assert_eq!(moved, ["child table inner would go from its place; keep it, and what it lies in"]);
}

#[test]
fn files_know_no_mapping_and_are_held_against_one_all_the_same() {
    let files = |mapping: &Mapping| {
        let schema = mapping.raw_schema();
        let fields = schema.fields().iter().map(|field| match field.data_type() {
            DataType::Dictionary(_, values) => field.as_ref().clone().with_data_type(values.as_ref().clone()),
            _ => field.as_ref().clone(),
        });
        Schema::new(fields.collect::<Vec<_>>())
    };
    let said = |change: fn(&mut Mapping)| {
        let mut new = base();
        change(&mut new);
        clashes_with_files(&files(&base()), &new, None).unwrap()
    };
    assert_eq!(said(|new| new.columns.push(column("z", Kind::Xml))), Vec::<String>::new());
    assert_eq!(
        said(|new| drop(new.columns.remove(0))),
        ["column a would go; keep it, with a path that nothing has if need be"]
    );
    assert_eq!(
        said(|new| new.columns[0].kind = Kind::Decimal(9, 2)),
        ["column a would change from int32 to decimal(9,2); keep the type, and add a column beside it"]
    );
    let inner = base().children[0].children[0].raw_schema(true, &base().lineage);
    assert_eq!(clashes_with_files(&inner, &base(), Some("inner")), Some(Vec::new()));
    let clashes = clashes_with_files(&inner, &base(), Some("outer")).unwrap();
    assert!(clashes[0].starts_with("column y of child table outer would go"), "{clashes:?}");
    assert_eq!(clashes_with_files(&inner, &base(), Some("gone")), None);
}

#[test]
fn types_are_called_as_a_mapping_writes_them() {
    let precisions = [Precision::Milli, Precision::Micro, Precision::Nano];
    let timed = [Kind::Time, Kind::Timestamp, Kind::LocalTimestamp].map(|kind| precisions.map(kind)).concat();
    let plain = [Kind::String, Kind::Bool, Kind::Int8, Kind::Int16, Kind::Int32, Kind::Int64, Kind::Float32];
    let more = [Kind::Float64, Kind::Decimal(10, 2), Kind::Date, Kind::Binary(BinaryText::Base64)];
    for kind in plain.into_iter().chain(more).chain(timed) {
        assert_eq!(plain_name(&kind.data_type()), kind.to_string());
        let list = Column { repeat: Repeat::List, ..column("l", kind) };
        assert_eq!(plain_name(&list.data_type()), list.type_name());
    }
}
