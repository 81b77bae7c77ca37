use super::super::tests::{BOOKS, MINIMAL, Sandbox};
use super::*;

/// What is said of a change of the configuration and of the mapping, without the folder.
fn said(config: &str, mapping: &str) -> Vec<String> {
    let old = Sandbox::new(MINIMAL, BOOKS).load(&[]).unwrap();
    let sandbox = Sandbox::new(config, mapping);
    let new = sandbox.load(&[]).unwrap_or_else(|problems| panic!("{problems:#?}"));
    let folder = format!("{}/", sandbox.file().parent().unwrap().display());
    refusals(&old, &new).iter().map(|problem| problem.to_string().replace(&folder, "")).collect()
}

/// The keys of [`said`].
fn keys(config: &str) -> Vec<String> {
    let old = Sandbox::new(MINIMAL, BOOKS).load(&[]).unwrap();
    let new = Sandbox::new(config, BOOKS).load(&[]).unwrap_or_else(|problems| panic!("{problems:#?}"));
    let problems = refusals(&old, &new);
    assert!(problems.iter().all(|problem| problem.message.contains("restart")), "{problems:#?}");
    problems.into_iter().map(|problem| problem.key).collect()
}

fn with_column(mapping: &str, version: u32, more: &str) -> String {
    let column = format!("\n[[column]]\nname = \"shelf\"\npath = \"shelf\"\ntype = \"string\"\n{more}\n");
    mapping.replace("version = 1\n", &format!("version = {version}\n")) + &column
}

#[test]
fn nothing_new_is_no_problem_and_neither_are_comments() {
    assert!(said(MINIMAL, BOOKS).is_empty());
    assert!(said(&format!("# here\n{MINIMAL}"), &format!("# there\n{BOOKS}")).is_empty());
}

#[test]
fn a_table_may_roll_begin_and_stop_otherwise() {
    let table = "starting_offsets = \"latest\"\non_offset_out_of_range = \"latest\"\nwhen = { root = \"library\" }\n\
                 stop_when = { failed = 0.5, of = 10 }\n[table.raw]\nroll_age = \"1s\"\ncompression = \"snappy\"";
    assert!(said(&MINIMAL.replace("[table.raw]", table), BOOKS).is_empty());
}

#[test]
fn a_new_version_may_add_and_may_not_take_away() {
    assert!(said(MINIMAL, &with_column(BOOKS, 2, "")).is_empty());
    let without = with_column(BOOKS, 2, "").replace("name = \"genre\"", "name = \"kind\"");
    assert_eq!(
        said(MINIMAL, &without),
        ["forebay.toml:10:1: table.mapping: column genre would go; keep it, with a path that nothing has if need be; \
          or write compatibility = \"none\" in books.toml: readers then have to cope"]
    );
    assert!(said(MINIMAL, &format!("compatibility = \"none\"\n{without}")).is_empty());
}

#[test]
fn a_mapping_that_changes_needs_a_higher_version() {
    let told = "ledger and quarantine tell by it which mapping read a message";
    assert_eq!(
        said(MINIMAL, &with_column(BOOKS, 1, "")),
        [format!(
            "forebay.toml:10:1: table.mapping: books.toml has changed and is still version 1; take a version above 1: {told}"
        )]
    );
    let higher = Sandbox::new(MINIMAL, &with_column(BOOKS, 5, "")).load(&[]).unwrap();
    let lower = Sandbox::new(MINIMAL, &with_column(BOOKS, 4, "required = true")).load(&[]).unwrap();
    let found = refusals(&higher, &lower);
    let messages: Vec<_> = found.iter().map(|problem| problem.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "books.toml is version 4, and the daemon reads with version 5 of books.toml",
            "column shelf would become required, and old rows may lack it; leave required out",
        ]
    );
}

#[test]
fn everything_else_is_named_key_by_key() {
    let sections = "[limits]\nmemory = \"64MiB\"\nspool = { dir = \"/s\", size = \"1GiB\" }\n[promote]\ninterval = \"30m\"\n\
                    zone = \"Europe/Paris\"\n[run]\nparsers = 77\ndrain = \"1s\"\n[control]\nsocket = \"/c\"\n\
                    allowed_uids = [7]\nallowed_gids = [7]\n[logs]\ndir = \"/l\"\nlevel = \"debug\"\n\
                    [supervise]\nintensity = 9\nhung_after = \"9s\"\n[lake]";
    let config = MINIMAL
        .replace("\"group.id\"", "\"sasl.password\" = \"hush\"\n\"group.id\"")
        .replace(":9092", ":9093")
        .replace("[lake]", sections)
        .replace(":8020/lake", ":8020/pond");
    assert_eq!(
        keys(&config),
        [
            "kafka.bootstrap.servers",
            "kafka.sasl.password",
            "lake.root",
            "control.socket",
            "control.allowed_uids",
            "control.allowed_gids",
            "logs.dir",
            "logs.level",
            "limits.memory",
            "limits.spool.dir",
            "limits.spool.size",
            "promote.interval",
            "promote.zone",
            "run.drain",
            "run.parsers",
            "supervise.intensity",
            "supervise.hung_after",
        ]
    );
    let secret = said(&config, BOOKS).join("\n");
    assert!(secret.contains("kafka.sasl.password: has changed, and needs a restart") && !secret.contains("hush"));
    let table = MINIMAL
        .replace("[\"library\"]", "[\"library\", \"more\"]")
        .replace("date = \"added\"", "version = \"price\"\ndate = \"added\"\ndate_max = \"+2d\"")
        .replace(
            "[table.raw]",
            "[table.lineage]\ninclude = [\"kafka_key\"]\n[table.quarantine]\npayload = \"none\"\ntopic = \"dead\"",
        );
    assert_eq!(
        keys(&table),
        [
            "table.topics",
            "table.lineage",
            "table.quarantine.payload",
            "table.quarantine.topic",
            "table.processed.version",
            "table.processed.date_max",
        ]
    );
    let unprocessed = MINIMAL.split("[table.processed]").next().unwrap().to_owned();
    assert_eq!(keys(&unprocessed), ["table.processed"]);
}

#[test]
fn tables_may_not_come_go_or_change_places() {
    let more = "[[table]]\nname = \"more\"\ntopics = [\"more\"]\nmapping = \"tables/books.toml\"\n";
    let two = format!("{MINIMAL}{more}");
    assert_eq!(keys(&two), ["table.name"]);
    let load = |config: &str| Sandbox::new(config, BOOKS).load(&[]).unwrap();
    let told = |old: &str, new: &str| -> Vec<String> {
        refusals(&load(old), &load(new)).into_iter().map(|problem| problem.message).collect()
    };
    assert_eq!(told(&two, MINIMAL), ["table more is gone, and that needs a restart"]);
    let (head, books) = MINIMAL.split_once("[[table]]").unwrap();
    let turned = format!("{head}{more}[[table]]{books}");
    assert_eq!(told(&two, &turned), ["the tables stand in another order, and that needs a restart"]);
    assert_eq!(
        told(MINIMAL, &MINIMAL.replace("\"books\"", "\"tomes\"")),
        ["table books is gone, and that needs a restart", "table tomes is new, and that needs a restart"]
    );
}
