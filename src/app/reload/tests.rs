use super::*;

#[cfg(feature = "xsd")]
const XSD: &str = r#"<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema"><xs:element name="library"/></xs:schema>"#;

fn shipped() -> Settings {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/forebay.toml");
    config::load(&shipped, std::iter::empty()).unwrap()
}

fn refused(old: &Settings, running: &TableSet, new: Settings) -> Vec<String> {
    let problems = prepare(old, running, new).unwrap_err();
    problems.iter().map(|problem| format!("{}: {}", problem.key, problem.message)).collect()
}

#[test]
fn what_the_client_and_what_the_daemon_say_is_told_together() {
    let old = shipped();
    let running = TableSet::first(&old.tables).unwrap();
    let mut new = old.clone();
    let more = [("enable.auto.commit".to_owned(), "true".to_owned())];
    new.kafka = old.kafka.to_map().into_iter().chain(more).collect();
    new.run.parsers = 77;
    let said = refused(&old, &running, new);
    assert!(said[0].starts_with("kafka: ") && said[0].contains("enable.auto.commit"), "{said:?}");
    assert!(said[1..].iter().any(|problem| problem == "run.parsers: has changed, and needs a restart"), "{said:?}");
    assert!(prepare(&old, &running, old.clone()).is_ok());
}

#[cfg(feature = "xsd")]
#[test]
fn an_xml_schema_that_changes_needs_a_higher_version() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("library.xsd");
    std::fs::write(&file, XSD).unwrap();
    let with_version = |version| {
        let mut settings = shipped();
        let mapping = &settings.tables[0].mapping;
        let (xsd, mapping) = (Some(file.clone()), crate::model::mapping::Mapping::clone(mapping));
        settings.tables[0].mapping = Arc::new(crate::model::mapping::Mapping { version, xsd, ..mapping });
        settings
    };
    let old = with_version(1);
    let running = TableSet::first(&old.tables).unwrap();
    std::fs::write(&file, XSD.replace("library", "shelf")).unwrap();
    let said = refused(&old, &running, with_version(1));
    assert_eq!(said, ["table.mapping: the xml schema of books.toml has changed, and books.toml is still version 1"]);
    assert!(prepare(&old, &running, with_version(2)).is_ok());
}
