//! What lies in an element that is taken whole is taken: nothing of it is unmapped.

use super::*;
use crate::model::mapping::{Repeat, Unmapped};

const MESSAGE: &str = "<m><r><v k='1' p:k='2' xmlns:p='urn:p'>a<w l='3'>b<p:x y='4'/></w> c</v></r></m>";

fn whole(kind: Kind, take: Take, repeat: Repeat, unmapped: Unmapped) -> Mapping {
    let mut column = Column { repeat, ..column("v", "v", kind) };
    column.path.take = take;
    Mapping { unmapped, ..mapping(None, "r", vec![column]) }
}

#[test]
fn its_attributes_and_elements_are_neither_counted_nor_refused_nor_collected() {
    for (kind, take, repeat) in [
        (Kind::Xml, Take::Element, Repeat::Only),
        (Kind::Xml, Take::Element, Repeat::List),
        (Kind::String, Take::Element, Repeat::Json),
        (Kind::Json, Take::Element, Repeat::Last),
        (Kind::String, Take::AllText, Repeat::Only),
    ] {
        let with = |unmapped| whole(kind.clone(), take.clone(), repeat.clone(), unmapped);
        assert_eq!(parse(&with(Unmapped::Count), &[MESSAGE]).drift, [], "{kind} {take:?}");
        assert_eq!(parse_one(&with(Unmapped::Reject), MESSAGE).0.violations, [], "{kind} {take:?}");
        let rows = parse_one(&with(Unmapped::Collect("rest".to_owned())), MESSAGE).1;
        assert!(rows[0].ends_with("|-"), "{rows:?}");
    }
    // Of an element of which the own text is taken everything else is unmapped.
    let own = |unmapped| whole(Kind::String, Take::Text, Repeat::Only, unmapped);
    assert_eq!(parse(&own(Unmapped::Count), &[MESSAGE]).drift.len(), 6);
    assert_eq!(codes(&parse_one(&own(Unmapped::Reject), MESSAGE).0), ["shape.unmapped"; 3]);
}

#[test]
fn the_row_itself_may_be_taken_whole() {
    let mut row = column("all", "", Kind::Xml);
    row.path.take = Take::Element;
    let columns = vec![row, column("k", "v @k", Kind::String)];
    let mapping = Mapping { unmapped: Unmapped::Count, ..mapping(None, "r", columns) };
    let told = parse(&mapping, &["<m a='1'><r q='1'><v k='1' z='2'>x</v></r></m>"]).drift;
    assert_eq!(told.iter().map(|count| &*count.path).collect::<Vec<_>>(), ["/@a"]);
}
