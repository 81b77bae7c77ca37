//! The examples of the README are true.

use super::{MINIMAL, Sandbox};

const README: &str = include_str!("../../../README.md");

/// The TOML blocks of the section on mappings.
fn examples() -> Vec<&'static str> {
    let section = README.split("\n## ").find(|section| section.starts_with("Mappings\n")).unwrap();
    section.split("```toml\n").skip(1).map(|block| block.split("```").next().unwrap()).collect()
}

/// A block with what it leaves out of a mapping.
fn whole(block: &str) -> String {
    let head = if block.contains("version = ") { "" } else { "version = 1\nformat = \"xml\"\n" };
    let column = "[[column]]\nname = \"c\"\npath = \"c\"\ntype = \"string\"\n";
    format!("{head}{block}{}", if block.contains("[[column]]") { "" } else { column })
}

#[test]
fn every_example_is_a_good_mapping_or_a_good_configuration() {
    let (tables, mappings): (Vec<&str>, Vec<&str>) =
        examples().into_iter().partition(|block| block.contains("[[table]]"));
    assert_eq!((tables.len(), mappings.len()), (1, 4));
    for block in &mappings {
        let raw_only = MINIMAL.split("[table.processed]").next().unwrap();
        let problems = Sandbox::new(raw_only, &whole(block)).load(&[]).err().unwrap_or_default();
        assert!(problems.is_empty(), "{block}\n{problems:#?}");
    }
    let config = format!("{}{}", MINIMAL.split("[[table]]").next().unwrap(), tables[0]);
    let sandbox = Sandbox::new(&config, "");
    for (file, mapping) in [("invoices", mappings[0]), ("orders", mappings[3])] {
        std::fs::write(sandbox.file().with_file_name("tables").join(format!("{file}.toml")), whole(mapping)).unwrap();
    }
    let settings = sandbox.load(&[]).unwrap_or_else(|problems| panic!("{problems:#?}"));
    assert_eq!(settings.tables[1].mapping.lineage.key.as_deref(), Some("message_key"));
}
