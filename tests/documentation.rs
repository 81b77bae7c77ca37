//! What the README and the table of events say is what the code has.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use forebay::model::violation::Code;

#[test]
fn the_readme_lists_every_violation_code() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let expected: String = Code::ALL.iter().map(|(code, what)| format!("| `{code}` | {what} |\n")).collect();
    let head = "| code | what is wrong |\n|---|---|\n";
    let (_, table) = readme.split_once(head).unwrap();
    let end = table.find("\n\n").unwrap();
    assert_eq!(&table[..=end], expected, "the table of codes in README.md has to be\n{head}{expected}");
}

/// What the name of an event comes after in a source, and the kind of fault that it then is.
const NAMED_BY: &[(&str, &str)] = &[
    ("Fault::retry(", "passes"),
    ("Fault::fenced(", "fenced"),
    ("Fault::halt(", "stops"),
    ("Fault::internal(", "bug"),
    ("Self::retry(", "passes"),
    ("Self::fenced(", "fenced"),
    ("Self::halt(", "stops"),
    ("Self::internal(", "bug"),
    ("left_undone(", "minor"),
    (", Retry,", ""),
    (", Halt,", "stops"),
    ("Verdict::Retry,", "passes"),
    ("Verdict::Halt,", "stops"),
    ("event:", ""),
    ("event =", ""),
    ("const", ""),
];

/// Every event that the code names, with its kinds and the files that do.
fn events_of_the_source() -> BTreeMap<String, BTreeSet<(&'static str, String)>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![root.join("src")];
    let mut events: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.file_stem().is_some_and(|stem| stem == "tests") {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            for (event, kind) in events_of(&std::fs::read_to_string(&path).unwrap()) {
                let file = path.strip_prefix(root).unwrap().display().to_string();
                events.entry(event).or_default().insert((kind, file));
            }
        }
    }
    events
}

fn events_of(text: &str) -> Vec<(String, &'static str)> {
    let code = text.split("#[cfg(test)]").next().unwrap();
    // In one line: a name may stand on the line after what it comes after.
    let code = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join(" ");
    let mut found = Vec::new();
    for (word, kind) in NAMED_BY {
        for (at, _) in code.match_indices(word) {
            let mut rest = code[at + word.len()..].trim_start();
            if *word == "const" {
                let Some((declared, value)) = rest.split_once('=') else { continue };
                if !declared.trim_end().ends_with(": &str") {
                    continue;
                }
                rest = value.trim_start();
            }
            let name = rest.strip_prefix('"').and_then(|rest| rest.split('"').next()).unwrap_or_default();
            if is_event(name) {
                found.push((name.to_owned(), *kind));
            }
        }
    }
    found
}

fn is_event(name: &str) -> bool {
    let is_word = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c == '-');
    let is_dotted = |(of, what)| is_word(of) && is_word(what) && of != "forebay" && what != "jsonl";
    name == "panic" || name.split_once('.').is_some_and(is_dotted)
}

#[test]
fn every_event_is_in_the_reference_and_the_reference_has_no_other() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/config/EVENTS.md")).unwrap();
    let (of_the_log, of_commands) = text.split_once("## Answers to commands").unwrap();
    let rows = |text| -> Vec<(String, String)> {
        let lines = str::lines(text).filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
        lines.map(|(event, rest)| (event.to_owned(), rest.split(" | ").next().unwrap().to_owned())).collect()
    };
    let mut told = BTreeMap::new();
    for (event, kinds) in rows(of_the_log) {
        assert_eq!(told.insert(event.clone(), Some(kinds)), None, "{event} is told twice");
    }
    for (event, _) in rows(of_commands) {
        assert_eq!(told.insert(event.clone(), None), None, "{event} is told twice");
    }
    let events = events_of_the_source();
    assert!(events.len() > 150, "{} events: the source was not read", events.len());
    for (event, places) in &events {
        let kinds =
            told.get(event).unwrap_or_else(|| panic!("config/EVENTS.md does not tell of {event} of {places:?}"));
        for (kind, file) in places {
            let is_right = kinds.as_ref().is_none_or(|kinds| kinds.contains(kind));
            assert!(is_right, "{event} is of the kind `{kind}` in {file}, config/EVENTS.md says {kinds:?}");
        }
    }
    // Lines of libraries have the one name that stands beside no event.
    let gone: Vec<_> = told.keys().filter(|event| !events.contains_key(*event) && *event != "log").collect();
    assert!(gone.is_empty(), "no event of the source any more: {gone:?}");
}

#[test]
fn an_event_is_found_wherever_its_name_stands() {
    let names = |text| events_of(text).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    assert_eq!(events_of("Fault::halt(\n    \"promote.schema\",\n what)"), [("promote.schema".to_owned(), "stops")]);
    assert_eq!(
        names("const DENIED: &str = \"kafka.denied\";\nconst FILE: &str = \"control.jsonl\";"),
        ["kafka.denied"]
    );
    assert_eq!(names("(External, Retry, \"kafka.corrupt-message\", \"x\")"), ["kafka.corrupt-message"]);
    assert_eq!(names("fault.event = \"kafka.fatal\"; Self { event: \"lake.corrupt\", message }").len(), 2);
    assert!(names("// Fault::halt(\"a.b\", x)\n#[cfg(test)]\nmod tests { Fault::halt(\"c.d\", x) }").is_empty());
}

#[test]
fn the_list_of_tests_has_every_fault_of_scripts_chaos() {
    let list = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/README.md")).unwrap();
    let folder = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/chaoslib")).unwrap();
    let modules = folder.map(|entry| entry.unwrap().path());
    let mut count = 0;
    for module in modules.filter(|path| path.extension().is_some_and(|ending| ending == "py")) {
        let text = std::fs::read_to_string(module).unwrap();
        // Its name is the first argument.
        for name in text.split("\n@fault(").skip(1).filter_map(|rest| rest.split('"').nth(1)) {
            assert!(list.contains(&format!("| `{name}` |")), "tests/README.md has no row for the fault `{name}`");
            count += 1;
        }
    }
    assert!(count > 40, "{count} faults found");
}
