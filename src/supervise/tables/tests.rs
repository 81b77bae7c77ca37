use super::*;
use crate::model::batch::{DriftCount, DriftKind};
use crate::model::mapping::{Child, Column, Kind, Mapping, Path, Take};
use crate::model::table::{OnOutOfRange, QuarantineSettings, RawSettings, StartingOffsets, TopicChoice};
use crate::storage::local::LocalStorage;

#[cfg(feature = "xsd")]
const XSD: &str = r#"<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema"><xs:element name="library"/></xs:schema>"#;

/// Two tables of one mapping, each on a topic of its own.
fn two() -> Vec<Table> {
    let path = Path { from_root: false, steps: Vec::new(), take: Take::Text };
    let mapping = Arc::new(Mapping::new("books.toml", vec![Column::new("title", path, Kind::String)]));
    let table = |name: &str, topic: &str| Table {
        name: name.into(),
        topics: TopicChoice::List(vec![topic.to_owned()]),
        when: None,
        mapping: Arc::clone(&mapping),
        starting_offsets: StartingOffsets::Earliest,
        on_offset_out_of_range: OnOutOfRange::Fail,
        raw: RawSettings::default(),
        quarantine: QuarantineSettings::default(),
        stop_when: None,
        processed: None,
    };
    vec![table("books", "library"), table("notes", "notes")]
}

fn remap(table: &mut Table, change: impl FnOnce(&mut Mapping)) {
    let mut mapping = Mapping::clone(&table.mapping);
    change(&mut mapping);
    table.mapping = Arc::new(mapping);
}

#[test]
fn what_has_not_changed_is_shared_and_serves_alike() {
    let first = TableSet::first(&two()).unwrap();
    let again = first.next(&two()).unwrap();
    assert!((0..2).all(|index| again.is_same(&first, index)));
    assert!(again.serves_alike(&first, "library") && again.serves_alike(&first, "nobody"));
    let mut tables = two();
    remap(&mut tables[0], |mapping| mapping.version = 2);
    let next = first.next(&tables).unwrap();
    assert_eq!([0, 1].map(|index| next.is_same(&first, index)), [false, true]);
    assert!(!next.serves_alike(&first, "library") && next.serves_alike(&first, "notes"));
    let mut tables = two();
    tables[1].raw.roll_rows = 7;
    let next = first.next(&tables).unwrap();
    assert!(next.serves_alike(&first, "library") && !next.serves_alike(&first, "notes"));
    assert!(next.parser_tables[1].is(&first.parser_tables[1]), "the mapping is the same, and what parsers keep for it");
}

#[test]
fn counts_follow_their_table_when_child_tables_move_its_index() {
    let mut tables = two();
    let child = |name: &str| Child { name: name.into(), rows: Vec::new(), columns: Vec::new(), children: Vec::new() };
    remap(&mut tables[1], |mapping| mapping.children.push(child("pages")));
    let first = TableSet::first(&tables).unwrap();
    let count = |set: &TableSet, index, rows| set.tally(index).unwrap().update(|tally| tally.rows += rows);
    count(&first, Some(2), 5);
    count(&first, None, 7);
    let arrived =
        |table, count| DriftCount { table, kind: DriftKind::Element, path: "isbn".into(), count, examples: Vec::new() };
    first.drift.add(&[arrived(0, 3), arrived(1, 4), arrived(2, 5)]);
    remap(&mut tables[0], |mapping| mapping.children.push(child("authors")));
    let next = first.next(&tables).unwrap();
    // A lane that goes on with the first set still counts; of what has changed it counts for nobody.
    count(&first, Some(2), 1);
    first.drift.add(&[arrived(0, 1), arrived(2, 1)]);
    assert_eq!([0, 1, 2, 3].map(|table| next.drift.total(table)), [0, 4, 0, 6]);
    let rows = |index| next.tally(index).unwrap().get().rows;
    assert_eq!((rows(Some(2)), rows(Some(3)), rows(None)), (0, 6, 7));
    assert_eq!(next.names_of("library").as_deref(), Some("books"));
}

#[test]
fn only_what_has_not_changed_is_known_to_fit_what_is_in_the_lake() {
    let dir = tempfile::tempdir().unwrap();
    let lake = LocalStorage::open(dir.path()).unwrap();
    let first = TableSet::first(&two()).unwrap();
    first.refuse_clashes(&lake, "library").unwrap();
    let fits = |set: &TableSet| set.fits.iter().map(|fits| fits.load(Ordering::Acquire)).collect::<Vec<_>>();
    assert_eq!(fits(&first), [true, false]);
    assert_eq!(fits(&first.next(&two()).unwrap()), [true, false]);
    // The mapping before does not say what an earlier one has written, such as a child table of this name.
    let mut tables = two();
    let pages = Child { name: "pages".into(), rows: Vec::new(), columns: Vec::new(), children: Vec::new() };
    remap(&mut tables[0], |mapping| mapping.children.push(pages));
    assert_eq!(fits(&first.next(&tables).unwrap()), [false, false]);
}

#[cfg(feature = "xsd")]
#[test]
fn an_xml_schema_that_changes_is_another_mapping() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("library.xsd");
    std::fs::write(&file, XSD).unwrap();
    let mut tables = two();
    remap(&mut tables[0], |mapping| mapping.xsd = Some(file.clone()));
    let first = TableSet::first(&tables).unwrap();
    assert!(first.next(&tables).unwrap().serves_alike(&first, "library"));
    std::fs::write(&file, XSD.replace("library", "shelf")).unwrap();
    let next = first.next(&tables).unwrap();
    assert_eq!([0, 1].map(|index| next.is_same(&first, index)), [false, true]);
    std::fs::write(&file, "<shelf/>").unwrap();
    assert!(first.next(&tables).unwrap_err().message.contains("library.xsd"));
}
