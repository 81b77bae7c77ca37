//! Whole messages against an XML schema, in the daemon: what it refuses, and a schema that changes under it.

use std::fs;

use serde_json::Value;

use crate::bad_input::send;
use crate::lake::audit;
use crate::site::{Recipe, Site, mapping};
use crate::stack::Stack;

/// The site's books held to a schema in which a book has so many pages at most.
fn map(site: &Site, version: u32, pages: u32) {
    let books = fs::read_to_string(mapping("books.toml")).unwrap();
    let text = books.replace("version = 1\n", &format!("version = {version}\n"));
    fs::write(site.dir.join("books.toml"), text.replace("[message]\n", "[message]\nxsd = \"schema/books.xsd\"\n"))
        .unwrap();
    let config = fs::read_to_string(site.config()).unwrap();
    fs::write(site.config(), config.replace(&mapping("books.toml"), "books.toml")).unwrap();
    fs::create_dir_all(site.dir.join("schema")).unwrap();
    let schema = "<xs:schema xmlns:xs='http://www.w3.org/2001/XMLSchema'><xs:include schemaLocation='pages.xsd'/>\
                  <xs:element name='library'><xs:complexType><xs:sequence>\
                  <xs:element name='book' maxOccurs='unbounded'><xs:complexType><xs:sequence>\
                  <xs:element name='record_id' type='xs:long'/><xs:element name='title' type='xs:string'/>\
                  <xs:element name='added' type='xs:dateTime'/><xs:element name='pages' type='Pages'/>\
                  </xs:sequence><xs:attribute name='id'/></xs:complexType></xs:element>\
                  </xs:sequence><xs:attribute name='branch'/></xs:complexType></xs:element></xs:schema>";
    fs::write(site.dir.join("schema/books.xsd"), schema).unwrap();
    let part = format!(
        "<xs:schema xmlns:xs='http://www.w3.org/2001/XMLSchema'><xs:simpleType name='Pages'><xs:restriction base='xs:int'>\
         <xs:maxInclusive value='{pages}'/></xs:restriction></xs:simpleType></xs:schema>"
    );
    fs::write(site.dir.join("schema/pages.xsd"), part).unwrap();
}

fn message(number: u32, pages: u32) -> String {
    format!(
        "<library branch='L1'><book id='B{number}'><record_id>{number}</record_id><title>t</title>\
         <added>2026-10-15T18:42:00Z</added><pages>{pages}</pages></book></library>"
    )
}

fn quarantined(site: &Site) -> Vec<(i64, String)> {
    let text = site.ok(&["--json", "show", "quarantine.books", "--columns", "kafka_offset,violations"]).out;
    let rows = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    rows.map(|row| (row["kafka_offset"].as_i64().unwrap(), row["violations"].to_string())).collect()
}

#[test]
fn a_message_against_its_schema_is_in_quarantine_and_a_schema_that_changes_is_a_new_version() {
    let Some(stack) = Stack::find("an XML schema under the daemon") else { return };
    let mut site = Site::new(&stack, &Recipe::default());
    let topic = site.topic.clone();
    site.create_topic(&topic, 1);
    map(&site, 1, 500);
    let messages = [message(1, 500), message(2, 501), message(3, 1)];
    let payloads: Vec<Option<&[u8]>> = messages.iter().map(|message| Some(message.as_bytes())).collect();
    send(&site, &topic, 0, &payloads);
    let daemon = site.start();
    site.wait_committed(&[3]);
    let found = quarantined(&site);
    assert!(
        matches!(&found[..], [(1, why)] if why.contains("rule.xsd") && why.contains("cvc-maxInclusive-valid")),
        "{found:?}"
    );

    map(&site, 1, 600);
    let refused = site.run(&["reload"]);
    assert!(refused.code == Some(1) && refused.err.contains("version"), "{refused:?}");
    map(&site, 2, 600);
    site.ok(&["reload"]);
    let messages = [message(4, 600), message(5, 601)];
    send(&site, &topic, 0, &[Some(messages[0].as_bytes()), Some(messages[1].as_bytes())]);
    site.wait_committed(&[5]);
    let offsets = || quarantined(&site).into_iter().map(|(offset, _)| offset).collect::<Vec<_>>();
    assert_eq!(offsets(), [1, 4]);
    // By today's schema the first is good.
    site.ok(&["requeue", "books"]);
    assert_eq!(offsets(), [4]);
    site.ok(&["promote"]);
    daemon.stop();
    audit(&site);
    let processed = site.ok(&["--json", "show", "processed.books", "--columns", "record_id"]).out;
    assert_eq!(processed.lines().count(), 4, "{processed}");
}
