use std::fs;
use std::path::PathBuf;

use super::*;

const BOOKS: &str = r#"<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns="urn:b" targetNamespace="urn:b"
  elementFormDefault="qualified">
  <xs:include schemaLocation="parts/types.xsd"/>
  <xs:element name="books"><xs:complexType><xs:sequence>
    <xs:element name="book" maxOccurs="unbounded"><xs:complexType><xs:sequence>
      <xs:element name="isbn" type="Isbn"/>
      <xs:element name="added" type="xs:dateTime"/>
      <xs:element name="price" type="xs:decimal" minOccurs="0"/>
    </xs:sequence><xs:attribute name="id" type="xs:int" use="required"/></xs:complexType></xs:element>
  </xs:sequence></xs:complexType></xs:element>
</xs:schema>"#;
const TYPES: &str = r#"<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns="urn:b" targetNamespace="urn:b">
  <xs:simpleType name="Isbn"><xs:restriction base="xs:string"><xs:pattern value="[0-9]{3,13}"/></xs:restriction></xs:simpleType>
</xs:schema>"#;

fn folder(books: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("parts")).unwrap();
    fs::write(dir.path().join("parts/types.xsd"), TYPES).unwrap();
    let file = dir.path().join("books.xsd");
    fs::write(&file, books).unwrap();
    (dir, file)
}

fn books() -> Schema {
    let (_dir, file) = folder(BOOKS);
    Schema::load(&file).unwrap()
}

fn book(id: &str, isbn: &str, rest: &str) -> String {
    format!("<book id='{id}'><isbn>{isbn}</isbn><added>2026-10-01T00:00:00Z</added>{rest}</book>\n")
}

fn message(books: &str) -> String {
    format!("<?xml version='1.0'?>\n<books xmlns='urn:b'>\n{books}</books>")
}

#[test]
fn a_message_that_follows_its_schema_has_no_breach() {
    let schema = books();
    assert_eq!(schema.breaches(&message(&book("1", "978", "<price>1.50</price>")), 100), Ok(vec![]));
    let long = message(&book("1", "978", "<price>1.50</price>").repeat(2000));
    assert!(long.len() > SHORT);
    assert_eq!(schema.breaches(&long, 100), Ok(vec![]));
}

#[test]
fn a_breach_names_the_rule_the_place_and_the_value() {
    let text = message(&(book("1", "978", "") + &book("two", "97x", "<pages>3</pages>")));
    let found = books().breaches(&text, 100).unwrap();
    let of =
        |rule: &str| found.iter().find(|breach| breach.rule == rule).unwrap_or_else(|| panic!("{rule}: {found:?}"));
    let pattern = of("cvc-pattern-valid");
    assert_eq!((pattern.value.as_deref(), pattern.what.contains("97x")), (Some("97x"), false));
    assert_eq!(pattern.at, text.find("<isbn>97x"));
    assert_eq!(of("cvc-datatype-valid.1").value.as_deref(), Some("two"));
    assert_eq!(of("cvc-complex-type.2.4").at.map(|at| &text[at..at + 2]), Some("<p"), "{found:?}");
    assert_eq!(books().breaches(&text, 1).unwrap().len(), 1);
}

#[test]
fn places_in_long_messages_are_worked_out_as_far_as_that_takes_no_time() {
    let few = message(&(book("1", "978", "").repeat(2000) + &book("1", "97x", "")));
    let found = books().breaches(&few, 100).unwrap();
    assert_eq!(found.iter().map(|breach| breach.at).collect::<Vec<_>>(), [few.find("<isbn>97x")]);
    let many = message(&book("x", "97x", "<pages/>").repeat(20_000));
    assert!(books().validator.validate(&parse(&message(&book("x", "97x", "<pages/>"))).unwrap()).len() >= 3);
    let found = books().breaches(&many, 100).unwrap();
    assert_eq!((found.len(), found[0].at), (100, None));
}

#[test]
fn a_message_too_deep_to_be_checked_is_refused() {
    let depth = MAX_DEPTH as usize + 1;
    let deep = "<a>".repeat(depth) + &"</a>".repeat(depth);
    assert!(books().breaches(&deep, 100).is_err());
}

#[test]
fn what_is_no_schema_or_lacks_a_part_is_refused_at_once() {
    let refused = |books: &str| {
        let (_dir, file) = folder(books);
        Schema::load(&file).unwrap_err()
    };
    assert!(refused("<a/>").contains("its root element is not xs:schema"));
    assert!(refused("<xs:schema").contains("is no schema"));
    let gone = refused(&BOOKS.replace("types.xsd", "gone.xsd"));
    assert!(gone.contains("gone.xsd cannot be read") && gone.contains("books.xsd takes"), "{gone}");
    let outside = refused(&BOOKS.replace("parts/types.xsd", "../../etc/passwd"));
    assert!(outside.contains("outside the folder") || outside.contains("cannot be read"), "{outside}");
    let fetched = refused(&BOOKS.replace("parts/types.xsd", "http://example.org/types.xsd"));
    assert!(fetched.contains("nothing is fetched"), "{fetched}");
    assert!(Schema::load(Path::new("nowhere.xsd")).unwrap_err().contains("cannot be read"));
}

/// A message says itself where its schema lies; nobody looks there.
#[test]
fn the_message_does_not_choose_its_schema() {
    let text = message(&book("1", "978", "")).replace(
        "<books ",
        "<books xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance' xsi:schemaLocation='urn:b http://127.0.0.1:1/x.xsd' ",
    );
    assert_eq!(books().breaches(&text, 100), Ok(vec![]));
}

#[test]
fn a_schema_of_which_something_would_go_unseen_is_refused() {
    let refused = |from: &str, to: &str| {
        let (_dir, file) = folder(&BOOKS.replacen(from, to, 1));
        Schema::load(&file).unwrap_err()
    };
    let assertion =
        refused("</xs:complexType></xs:element>\n", "<xs:assert test='isbn'/></xs:complexType></xs:element>\n");
    assert!(assertion.contains("books.xsd is no schema: it has xs:assert, which is XML Schema 1.1"), "{assertion}");
    let nothing = refused("type=\"Isbn\"", "type=\"Isbm\"");
    assert!(nothing.contains("books.xsd is no schema: it names a type Isbm that nothing declares"), "{nothing}");
    // What is only told to people is not looked at, and a prefix may be declared anywhere.
    let told = "<xs:annotation><xs:appinfo><xs:assert test='1'/></xs:appinfo></xs:annotation>";
    let (_dir, file) =
        folder(&BOOKS.replacen("<xs:element name=\"books\">", &format!("{told}<xs:element name=\"books\">"), 1));
    Schema::load(&file).unwrap();
    let (_dir, file) = folder(&BOOKS.replacen(
        "type=\"xs:decimal\"",
        "type=\"y:decimal\" xmlns:y=\"http://www.w3.org/2001/XMLSchema\"",
        1,
    ));
    Schema::load(&file).unwrap();
}
