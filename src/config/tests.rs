//! The configuration through its public face: files in, settings or problems out.

mod readme;
mod sharing;

use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::check::report;
use super::{Problem, Settings, load, mapping};
use crate::model::mapping::Lineage;
use crate::model::table::{
    Compression, DateBound, PayloadKept, QuarantineSettings, StartingOffsets, StopRule, UnroutedSettings,
};

const SHIPPED: &str = include_str!("../../config/forebay.toml");
pub(super) const BOOKS: &str = include_str!("../../config/tables/books.toml");

/// The least that a configuration has to say.
pub(super) const MINIMAL: &str = r#"
[kafka]
"bootstrap.servers" = "127.0.0.1:9092"
"group.id" = "forebay"
[lake]
root = "hdfs://127.0.0.1:8020/lake"
[[table]]
name = "books"
topics = ["library"]
mapping = "tables/books.toml"
[table.raw]
[table.processed]
record_id = ["record_id"]
date = "added"
"#;

/// A folder with a configuration and the mapping of the books.
pub(super) struct Sandbox(tempfile::TempDir);

impl Sandbox {
    pub(super) fn new(config: &str, mapping: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("tables")).unwrap();
        std::fs::write(folder.path().join("tables/books.toml"), mapping).unwrap();
        std::fs::write(folder.path().join("forebay.toml"), config).unwrap();
        Self(folder)
    }

    pub(super) fn file(&self) -> PathBuf {
        self.0.path().join("forebay.toml")
    }

    pub(super) fn load(&self, env: &[(&str, &str)]) -> Result<Settings, Vec<Problem>> {
        load(&self.file(), env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }
}

fn good(config: &str, env: &[(&str, &str)]) -> Settings {
    Sandbox::new(config, BOOKS).load(env).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

/// The problems as people see them, without the folder and the column.
fn said(sandbox: &Sandbox, env: &[(&str, &str)]) -> Vec<String> {
    let mut problems = sandbox.load(env).err().unwrap_or_default();
    for problem in &mut problems {
        problem.column = None;
        if let Ok(file) = problem.file.strip_prefix(sandbox.0.path()) {
            problem.file = file.to_owned();
        }
    }
    let folder = format!("{}/", sandbox.0.path().display());
    problems.iter().map(|problem| problem.to_string().replace(&folder, "")).collect()
}

fn said_of(config: &str) -> Vec<String> {
    said(&Sandbox::new(config, BOOKS), &[])
}

fn said_of_mapping(mapping: &str) -> Vec<String> {
    said(&Sandbox::new(MINIMAL, mapping), &[])
}

#[test]
fn the_shipped_configuration_equals_the_defaults() {
    let shipped = load(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/config/forebay.toml")), std::iter::empty());
    assert_eq!(format!("{:#?}", shipped.unwrap()), format!("{:#?}", good(MINIMAL, &[])));
    assert_eq!(format!("{:#?}", good(SHIPPED, &[])), format!("{:#?}", good(MINIMAL, &[])));
}

#[test]
fn the_shipped_mappings_are_good() {
    let read = |name: &str| {
        mapping::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("config/tables").join(name), &Lineage::default())
            .unwrap()
    };
    assert_eq!(read("books.toml").columns.len(), 12);
    let invoice = read("ubl_invoice.toml");
    assert_eq!((invoice.rows.len(), invoice.columns.len()), (1, 22));
    assert!(invoice.root.unwrap().namespace.unwrap().ends_with(":Invoice-2"));
}

#[test]
fn the_defaults_are_the_documented_ones() {
    let settings = good(MINIMAL, &[]);
    let table = &settings.tables[0];
    let processed = table.processed.as_ref().unwrap();
    assert_eq!(settings.limits.memory, 256 << 20);
    assert_eq!((settings.limits.spool.size, settings.run.drain.as_secs()), (8 << 30, 30));
    assert_eq!((settings.promote.interval.as_secs(), settings.promote.zone.as_str()), (3600, "UTC"));
    assert_eq!(settings.control.socket, Path::new("/run/forebay/control.sock"));
    assert_eq!((table.raw.roll_bytes, table.raw.roll_rows, table.raw.roll_age.as_secs()), (128 << 20, 5_000_000, 300));
    assert_eq!((table.raw.roll_idle, table.raw.compression), (None, Compression::Zstd(1)));
    assert_eq!(table.starting_offsets, StartingOffsets::Earliest);
    assert_eq!((processed.date_zone.as_str(), processed.date_max), ("UTC", DateBound::Relative(1)));
}

#[test]
fn every_problem_is_told_at_once() {
    let config = r#"
[kafka]
"bootstrap.servers" = "broker:port"
"auto.offset.reset" = "latest"
[lake]
root = "s3://bucket/lake"
[limits]
memory = 256
[promote]
zone = "Mars/Olympus_Mons"
[[table]]
name = "Books"
topics = ["library", "library"]
mapping = "tables/boks.toml"
[table.raw]
roll_bytse = "128MiB"
roll_age = "5 minutes"
compression = "gzip"
[table.processed]
record_id = ["record_id"]
retire = "vacuum(7d)"
"#;
    let expected = [
        "forebay.toml:2: kafka.group.id: missing; write \"group.id\" = \"forebay\"",
        "forebay.toml:3: kafka.bootstrap.servers: \"broker:port\" is not an address; write host:port, with commas between several",
        "forebay.toml:4: kafka.auto.offset.reset: cannot be set (it is error): a position comes from the ledger, or else from table.starting_offsets; remove it",
        "forebay.toml:6: lake.root: a lake on s3 is not available in this version; write hdfs://namenode:8020/lake or file:///var/lib/forebay/lake",
        "forebay.toml:8: limits.memory: expected a size such as \"128MiB\" or \"64kB\", found 256",
        "forebay.toml:10: promote.zone: \"Mars/Olympus_Mons\" is not a time zone that this machine knows; take an IANA name such as UTC or Europe/Paris",
        "forebay.toml:12: table.name: \"Books\" is not the name of a table; take small letters, digits and _",
        "forebay.toml:13: table.topics: topic library stands twice; name it once",
        "forebay.toml:14: table.mapping: there is no such file; it is looked for at tables/boks.toml, relative to this file",
        "forebay.toml:16: table.raw.roll_bytse: unknown key; did you mean roll_bytes?",
        "forebay.toml:17: table.raw.roll_age: expected a duration such as \"30s\", \"5m\" or \"500ms\", found \"5 minutes\"",
        "forebay.toml:18: table.raw.compression: \"gzip\" is not a compression; take zstd(1) to zstd(22), snappy, lz4 or none",
        "forebay.toml:19: table.processed.date: missing; name the column that gives dt=YYYY-MM-DD",
        "forebay.toml:21: table.processed.retire: \"vacuum(7d)\" is not available in this version; take \"immediate\"",
    ];
    assert_eq!(said_of(config), expected);
}

#[test]
fn what_happens_to_messages_that_fail_is_read() {
    let table = |more: &str, section: &str| {
        let config = MINIMAL.replace("[table.raw]", &format!("{more}\n[table.quarantine]\n{section}\n[table.raw]"));
        good(&config, &[]).tables[0].clone()
    };
    let plain = table("", "");
    assert_eq!((plain.quarantine, plain.stop_when), (QuarantineSettings::default(), None));
    let full = table("stop_when = { failed = 0.29, of = 100 }", "payload = \"digest\"\ntopic = \"library-dead\"");
    assert_eq!(full.quarantine.payload, PayloadKept::Digest);
    assert_eq!(full.quarantine.topic.as_deref(), Some("library-dead"));
    assert_eq!(full.stop_when, Some(StopRule { failed_ppm: 290_000, of: 100 }));
    assert_eq!(table("stop_when = { failed = 0, of = 1 }", "").stop_when, Some(StopRule { failed_ppm: 0, of: 1 }));
    let nearly_all = table("stop_when = { failed = 0.9999999, of = 1 }", "").stop_when;
    assert_eq!(nearly_all, Some(StopRule { failed_ppm: 999_999, of: 1 }), "it stops when all fail");
}

#[test]
fn what_cannot_happen_to_messages_that_fail_is_told() {
    let config = MINIMAL.replace(
        "[table.raw]",
        "stop_when = { failed = 1.0, off = 5 }\n[table.quarantine]\npayload = \"hash\"\ntopic = \"a b\"\n[table.raw]",
    );
    let expected = [
        "forebay.toml:11: table.stop_when.failed: 1 is not a share that may fail; take 0 (none may fail) or more, and less than 1",
        "forebay.toml:11: table.stop_when.of: missing; write how many messages the share is of, such as of = 1000",
        "forebay.toml:11: table.stop_when.off: unknown key; did you mean of?",
        "forebay.toml:13: table.quarantine.payload: \"hash\" is not a choice; take keep or digest or none",
        "forebay.toml:14: table.quarantine.topic: \"a b\" is not the name of a topic; kafka takes letters, digits, dots, _ and -",
    ];
    let mut told = said_of(&config);
    told.sort();
    assert_eq!(told, expected);
}

#[test]
fn dead_letters_do_not_come_back_as_messages() {
    let expected = "forebay.toml:12: table.quarantine.topic: topic library feeds table books: its dead letters would come back as \
                    messages; take a topic that no table reads";
    let config = MINIMAL.replace("[table.raw]", "[table.quarantine]\ntopic = \"library\"\n[table.raw]");
    assert_eq!(said_of(&config), [expected]);
    let pattern = config.replace("topics = [\"library\"]", "topic_pattern = \"^lib\"");
    assert_eq!(said_of(&pattern), [expected]);
    assert!(said_of(&config.replace("topic = \"library\"", "topic = \"library-dead\"")).is_empty());
    let nobodys = format!("{MINIMAL}[unrouted]\ntopic = \"library\"\n");
    let said = said_of(&nobodys);
    assert!(said.len() == 1 && said[0].contains("unrouted.topic: topic library feeds table books"), "{said:?}");
}

#[test]
fn what_no_table_takes_has_a_dead_letter_topic_and_a_stop_rule_of_its_own() {
    let of = |lines: &str| good(&format!("{MINIMAL}{lines}"), &[]).unrouted;
    assert_eq!(of(""), UnroutedSettings::default());
    let full = of("[unrouted]\ntopic = \"nobodys\"\nstop_when = { failed = 0.01, of = 500 }\n");
    let stop_when = Some(StopRule { failed_ppm: 10_000, of: 500 });
    assert_eq!(full, UnroutedSettings { topic: Some("nobodys".to_owned()), stop_when });
    let wrong = said_of(&format!(
        "{MINIMAL}[unrouted]\ntopic = \"a b\"\nstop_when = {{ failed = 2, of = 5 }}\nmapping = \"m\"\n"
    ));
    assert_eq!(wrong.len(), 3, "{wrong:?}");
}

#[test]
fn a_mapping_is_judged_with_its_own_lines() {
    let mapping = r#"
version = 1
format = "xml"
[message]
rows = "book"
dtd = "ignore-external"
unmapped = "count"
[[column]]
name = "record_id"
path = "/book/record_id"
type = "long"
[[column]]
name = "kafka_offset"
path = "cbc:ID"
type = "list<string>"
[[column]]
name = "added"
path = "added"
type = "timestamp"
format = "%d/%m/%Y"
[[child]]
name = "authors"
"#;
    let expected = [
        "tables/books.toml:11: column.type: \"long\" is not a type; did you mean int64?",
        "tables/books.toml:13: column.name: kafka_offset is a column that forebay adds; take another name, or give that of forebay another in [table.lineage] of the configuration",
        "tables/books.toml:14: column.path: prefix cbc is not in [namespaces]; add cbc = \"…\" to [namespaces]",
        "tables/books.toml:21: child.column: there is no column; write a [[column]] with name, path and type",
        "tables/books.toml:21: child.rows: missing; write rows = \"…\", steps from the row it lies in",
    ];
    assert_eq!(said_of_mapping(mapping), expected);
}

#[test]
fn columns_of_processed_have_to_exist_and_fit() {
    let config = MINIMAL.replace("\"record_id\"]", "\"genre\", \"recordid\"]").replace("\"added\"", "\"price\"");
    let expected = [
        "forebay.toml:13: table.processed.record_id: column genre may be missing; write required = true in the mapping: a record without its id cannot be told from another",
        "forebay.toml:13: table.processed.record_id: there is no column recordid; did you mean record_id?",
        "forebay.toml:14: table.processed.date: column price is neither a date nor a timestamp; take a column that is",
    ];
    assert_eq!(said_of(&config), expected);
}

#[test]
fn two_tables_do_not_share_a_name_or_a_topic() {
    let second = "[[table]]\nname = \"books\"\ntopic_pattern = \"^lib.*\"\nmapping = \"tables/books.toml\"\n";
    let said = said_of(&format!("{MINIMAL}{second}"));
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].contains("table.name: a second table books"), "{said:?}");
    assert!(said[1].contains("topic library feeds table books already"), "{said:?}");
}

#[test]
fn limits_and_files_have_to_fit_each_other() {
    let config = MINIMAL
        .replace("[[table]]", "[limits]\nmemory = \"16MiB\"\nspool = { size = \"64MiB\" }\n[[table]]")
        .replace("[table.raw]", "[table.raw]\nroll_idle = \"10m\"");
    let mapping = BOOKS.replace("bytes = \"10MiB\"", "bytes = \"32MiB\"");
    let said = said(&Sandbox::new(&config, &mapping), &[]);
    assert_eq!(said.len(), 3, "{said:?}");
    assert!(
        said[0].contains("messages of 32MiB (limits.bytes of books.toml) do not fit limits.memory of 16MiB"),
        "{said:?}"
    );
    assert!(said[1].contains("128MiB would never fit limits.spool of 64MiB"), "{said:?}");
    assert!(said[2].contains("longer than roll_age"), "{said:?}");
}

#[test]
fn what_is_not_of_the_lake_does_not_lie_in_it() {
    let config = MINIMAL.replace("hdfs://127.0.0.1:8020/lake", "file:///srv/lake").replace(
        "[[table]]",
        "[logs]\ndir = \"/srv/lakeside\"\n[limits]\nspool = { dir = \"/srv/lake/spool\" }\n[[table]]",
    );
    let said = said_of(&config);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        said[0].contains("limits.spool.dir: /srv/lake/spool lies inside the lake; take a folder outside"),
        "{said:?}"
    );
}

#[test]
fn the_environment_goes_before_the_file() {
    let env = [
        ("FOREBAY__LIMITS__MEMORY", "512MiB"),
        ("FOREBAY__LIMITS__SPOOL__DIR", "/tmp/spool"),
        ("FOREBAY__LAKE__ROOT", "file:///srv/lake/"),
        ("FOREBAY__KAFKA__BOOTSTRAP_SERVERS", "one:9092,two:9092"),
        ("FOREBAY__KAFKA__SASL__PASSWORD", "00123"),
        ("FOREBAY__SUPERVISE__INTENSITY", "7"),
        ("FOREBAY__CONTROL__ALLOWED_UIDS", "1000, 1001"),
        ("FOREBAY_CONFIG", "/etc/forebay/forebay.toml"),
    ];
    let settings = good(MINIMAL, &env);
    assert_eq!((settings.limits.memory, settings.limits.spool.size), (512 << 20, 8 << 30));
    assert_eq!(settings.limits.spool.dir, Path::new("/tmp/spool"));
    assert_eq!(settings.lake.root, "file:///srv/lake");
    assert_eq!(settings.kafka.get("bootstrap.servers"), Some("one:9092,two:9092"));
    assert_eq!(settings.kafka.get("sasl.password"), Some("00123"));
    assert_eq!((settings.supervise.intensity, settings.control.allowed_uids), (7, vec![1000, 1001]));
}

#[test]
fn a_wrong_variable_is_named() {
    let env = [
        ("FOREBAY__LIMITS__MEMROY", "512MiB"),
        ("FOREBAY__PROMOTE__INTERVAL", "hourly"),
        ("FOREBAY__TABLE__0__NAME", "x"),
        ("FOREBAY__X[9999999999999]", "x"),
    ];
    let expected = [
        "environment: FOREBAY__LIMITS__MEMROY: unknown key; did you mean memory?",
        "environment: FOREBAY__PROMOTE__INTERVAL: expected a duration such as \"30s\", \"5m\" or \"500ms\", found \"hourly\"",
        "environment: FOREBAY__TABLE__0__NAME: tables are read from the file alone; write FOREBAY__SECTION__KEY, such as FOREBAY__LIMITS__MEMORY",
        "environment: FOREBAY__X[9999999999999]: not the name of a setting; write FOREBAY__SECTION__KEY, such as FOREBAY__LIMITS__MEMORY",
    ];
    assert_eq!(said(&Sandbox::new(MINIMAL, BOOKS), &env), expected);
}

#[test]
fn secrets_come_from_files_and_never_show() {
    let config = MINIMAL.replace(
        "[lake]",
        "\"sasl.password\" = \"credential:kafka\"\n\"ssl.key.password\" = \"file:key.txt\"\n\"sasl.mechanism\" = \"PLAIN\"\n[lake]",
    );
    let sandbox = Sandbox::new(&config, BOOKS);
    std::fs::write(sandbox.0.path().join("kafka"), "hunter2\n").unwrap();
    std::fs::write(sandbox.0.path().join("key.txt"), "opensesame").unwrap();
    let folder = sandbox.0.path().display().to_string();
    let settings = sandbox.load(&[("CREDENTIALS_DIRECTORY", folder.as_str())]).unwrap();
    assert_eq!(settings.kafka.get("sasl.password"), Some("hunter2"));
    assert_eq!(settings.kafka.get("ssl.key.password"), Some("opensesame"));
    let shown = format!("{settings:?}");
    assert!(!shown.contains("hunter2") && !shown.contains("opensesame") && shown.contains("PLAIN"), "{shown}");
    let said = said(&sandbox, &[]);
    assert!(said[0].contains("$CREDENTIALS_DIRECTORY is not set"), "{said:?}");
}

#[test]
fn starting_offsets_in_all_their_forms() {
    let with = |start: &str| MINIMAL.replace("[table.raw]", &format!("starting_offsets = {start}\n[table.raw]"));
    let start = |start: &str| good(&with(start), &[]).tables[0].starting_offsets.clone();
    assert_eq!(start("\"latest\""), StartingOffsets::Latest);
    assert_eq!(start("\"1970-01-01T00:00:01Z\""), StartingOffsets::Timestamp(1_000_000));
    let StartingOffsets::Offsets(offsets) = start("{ library-0 = 5, library-12 = 0 }") else { panic!("not offsets") };
    assert_eq!(
        offsets.iter().map(|(source, offset)| (source.partition, *offset)).collect::<Vec<_>>(),
        [(0, 5), (12, 0)]
    );
    for (bad, why) in [
        ("\"yesterday\"", "not a start"),
        ("{ other-0 = 5 }", "topic other is not one of this table; take one of library"),
        ("{ library-0 = -1 }", "-1 is out of bounds; take at least 0"),
        ("{ library = 1 }", "\"library\" is not a topic and a partition"),
    ] {
        let said = said_of(&with(bad));
        assert!(said.len() == 1 && said[0].contains(why), "{bad}: {said:?}");
    }
}

#[test]
fn what_is_not_toml_or_not_there_is_said_with_its_place() {
    let said = said_of("[kafka]\nx = \n");
    assert!(said.len() == 1 && said[0].starts_with("forebay.toml:2: not TOML: "), "{said:?}");
    let problems = load(Path::new("/nowhere/forebay.toml"), std::iter::empty()).unwrap_err();
    assert!(problems[0].to_string().starts_with("/nowhere/forebay.toml: cannot be read: "), "{problems:?}");
}

#[test]
fn the_report_for_people_and_for_machines() {
    let sandbox = Sandbox::new(MINIMAL, BOOKS);
    let checked = report(&sandbox.file(), std::iter::empty(), |_| Vec::new());
    assert!(checked.is_good() && checked.text().ends_with("forebay.toml: good, 1 table (books)"));
    let refuse = |settings: &Settings| vec![settings.problem("kafka.group.id", "the client says no", None)];
    let checked = report(&sandbox.file(), std::iter::empty(), refuse);
    assert!(checked.text().contains("forebay.toml:4:1: kafka.group.id: the client says no\n"), "{}", checked.text());
    let json = checked.json();
    assert_eq!((json["ok"].as_bool(), json["problems"][0]["line"].as_u64()), (Some(false), Some(4)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever happens to a file, reading it ends in settings or in problems whose lines are in the file.
    #[test]
    fn mutated_files_never_fail_otherwise_than_with_problems(
        in_mapping in any::<bool>(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0usize..4, "[a-z0-9\"\\[\\]=.{}#/@ \\n-]{0,12}"), 1..4),
    ) {
        let mut lines: Vec<String> = if in_mapping { BOOKS } else { SHIPPED }.lines().map(str::to_owned).collect();
        for (place, edit, text) in edits {
            let at = place.index(lines.len());
            match edit {
                0 => { lines.remove(at); }
                1 => lines[at].push_str(&text),
                2 => lines.insert(at, text),
                _ => {
                    let key = lines[at].split('=').next().unwrap_or_default().to_owned();
                    lines[at] = format!("{key}= {text}");
                }
            }
            if lines.is_empty() {
                lines.push(String::new());
            }
        }
        let mutated = lines.join("\n");
        let sandbox = if in_mapping { Sandbox::new(MINIMAL, &mutated) } else { Sandbox::new(&mutated, BOOKS) };
        let problems = sandbox.load(&[]).err().unwrap_or_default();
        for problem in problems {
            let text = std::fs::read_to_string(&problem.file).unwrap();
            let lines = text.lines().count().max(1);
            prop_assert!(problem.line.is_none_or(|line| (1..=lines + 1).contains(&(line as usize))), "{}", problem);
            prop_assert!(!problem.message.is_empty());
        }
    }

    /// A key that nobody knows is reported wherever it stands, at its line.
    #[test]
    fn an_unknown_key_is_found_in_every_section(at in any::<prop::sample::Index>()) {
        let headers: Vec<usize> =
            SHIPPED.lines().enumerate().filter(|(_, line)| line.starts_with('[') && !line.starts_with("[kafka")).map(|(at, _)| at).collect();
        let header = headers[at.index(headers.len())];
        let mut lines: Vec<&str> = SHIPPED.lines().collect();
        lines.insert(header + 1, "qwertyuiop = 1");
        let said = said_of(&lines.join("\n"));
        prop_assert_eq!(said.len(), 1, "{:?}", said);
        let start = format!("forebay.toml:{}: ", header + 2);
        prop_assert!(said[0].starts_with(&start) && said[0].contains("unknown key"), "{:?}", said);
    }
}
