//! New versions of a mapping under the living daemon: by its command, its socket and SIGHUP, under load, refused, and
//! killed on the way.

use std::fs;

use serde_json::{Value, json};

use crate::lake::{Account, Load, Production, audit};
use crate::site::{Disk, Recipe, Site, mapping, until};
use crate::stack::Stack;

/// The site's books with a mapping of their own: each version has one column more, with the values of the genre.
fn map(site: &Site, version: u32) {
    let books = fs::read_to_string(mapping("books.toml")).unwrap();
    let mut text = books.replace("version = 1\n", &format!("version = {version}\n"));
    for number in 2..=version {
        text.push_str(&format!("\n[[column]]\nname = \"since_{number}\"\npath = \"genre\"\ntype = \"string\"\n"));
    }
    fs::write(site.dir.join("books.toml"), text).unwrap();
    let config = fs::read_to_string(site.config()).unwrap();
    // At once: a producer may be reading it.
    let new = site.dir.join("forebay.toml.new");
    fs::write(&new, config.replace(&mapping("books.toml"), "books.toml")).unwrap();
    fs::rename(new, site.config()).unwrap();
}

/// The version that the status tells, once no lane reads with another.
fn version(site: &Site) -> Option<u64> {
    let tables = site.get("/v1/tables")?;
    let mapping = &tables["tables"][0]["mapping"];
    mapping.get("behind").is_none().then(|| mapping["version"].as_u64()).flatten()
}

fn generations(site: &Site) -> Vec<u64> {
    site.lanes().iter().map(|lane| lane["generation"].as_u64().unwrap()).collect()
}

/// The rows of a zone, each with its place in Kafka and the columns that came with versions.
fn rows(site: &Site, zone: &str, columns: &str) -> Vec<Value> {
    let columns = format!("kafka_partition,kafka_offset,genre,{columns}");
    let text = site.ok(&["--json", "show", &format!("{zone}.books"), "--limit", "10000000", "--columns", &columns]).out;
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Rows from `new` on have the column, rows before `old` do not, and in between an interval is one or the other.
#[track_caller]
fn assert_parted(rows: &[Value], column: &str, old: &[i64], new: &[i64]) {
    let place =
        |row: &Value| (row["kafka_partition"].as_u64().unwrap() as usize, row["kafka_offset"].as_i64().unwrap());
    let with_genre: Vec<_> = rows.iter().filter(|row| !row["genre"].is_null()).collect();
    for row in &with_genre {
        let (partition, offset) = place(row);
        let is_there = !row[column].is_null();
        assert!(!is_there || row[column] == row["genre"], "{row}");
        assert!(offset >= old[partition] || !is_there, "read before {column} was there: {row}");
        assert!(offset < new[partition] || is_there, "read after {column} was there: {row}");
    }
    let (with, without): (Vec<_>, Vec<_>) = with_genre.into_iter().partition(|row| !row[column].is_null());
    assert!(!with.is_empty() && !without.is_empty(), "{} rows with {column}, {} without", with.len(), without.len());
    for partition in 0..old.len() {
        let of = |rows: &[&Value]| -> Vec<i64> {
            rows.iter().map(|row| place(row)).filter(|place| place.0 == partition).map(|place| place.1).collect()
        };
        let (last_without, first_with) = (of(&without).into_iter().max(), of(&with).into_iter().min());
        assert!(last_without < first_with || first_with.is_none(), "partition {partition} goes back");
    }
}

/// A reload that is refused: all that is wrong, everywhere where it is told, and nothing else.
fn refuse(site: &Site) {
    let (good, config) = (fs::read(site.dir.join("books.toml")).unwrap(), fs::read_to_string(site.config()).unwrap());
    let before = generations(site);
    map(site, 2);
    let text = fs::read_to_string(site.dir.join("books.toml")).unwrap();
    fs::write(site.dir.join("books.toml"), text.replace("name = \"lang\"", "name = \"language\"")).unwrap();
    fs::write(site.config(), config.replace("64MiB", "65MiB")).unwrap();
    let refused = site.run(&["reload"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    for word in ["nothing has changed", "limits.memory: has changed, and needs a restart", "column lang would go"] {
        assert!(refused.err.contains(word), "{word} is not in {refused:?}");
    }
    let (status, body) = site.http("POST", "/v1/reload", "").unwrap();
    let problem: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, problem["problems"].as_array().map(Vec::len)), (422, Some(2)), "{body}");
    fs::write(site.dir.join("books.toml"), "version = 2\nformat = \"xlm\"\n[[column]]\nname = \"a\"\n").unwrap();
    let broken = site.run(&["reload"]);
    assert!(broken.code == Some(1) && broken.err.contains("xlm") && broken.err.contains("path"), "{broken:?}");
    fs::write(site.dir.join("books.toml"), good).unwrap();
    fs::write(site.config(), config).unwrap();
    assert_eq!((version(site), generations(site)), (Some(1), before), "nobody was disturbed");
    assert_eq!(site.events("config.refused").len(), 3);
    assert!(site.ok(&["reload"]).out.contains("nothing has changed"));
}

fn new_versions(disk: Disk, what: &str) {
    let Some(stack) = Stack::find(what) else { return };
    let mut site = Site::new(&stack, &Recipe { disk, ..Recipe::default() });
    let topic = site.topic.clone();
    site.create_topic(&topic, 4);
    map(&site, 1);
    let mut account = Account::produce(&site, &Load { messages: 600, rate: None, seed: 41 });
    let daemon = site.start();
    site.wait_committed(&account.ends());
    let first_ends = account.ends();
    site.ok(&["promote"]);
    assert_eq!(version(&site), Some(1));
    refuse(&site);

    // Under load, by the command.
    let production = Production::start(&site, &Load { messages: 1500, rate: Some(400), seed: 42 });
    until("some of it is committed", || {
        site.lanes().iter().zip(&first_ends).any(|(lane, end)| lane["committed"].as_i64() > Some(*end))
    });
    map(&site, 2);
    let reloaded = site.ok(&["reload"]).out;
    assert!(reloaded.contains("books: books.toml, version 1 → 2\n"), "{reloaded}");
    assert!(reloaded.contains(&format!("{topic}:3: running")), "{reloaded}");
    assert_eq!((version(&site), generations(&site)), (Some(2), vec![2; 4]));
    assert!(site.ok(&["status"]).out.contains("books.toml v2"));
    account.add(production.finish());
    site.wait_committed(&account.ends());
    let second_from = account.ends();
    account.add(Account::produce(&site, &Load { messages: 400, rate: None, seed: 43 }));
    site.wait_committed(&account.ends());
    assert_parted(&rows(&site, "raw", "since_2"), "since_2", &first_ends, &second_from);

    // By SIGHUP, and a promotion of all three versions at once.
    let third_from = account.ends();
    map(&site, 3);
    daemon.hang_up();
    until("the third version is in use", || version(&site) == Some(3));
    assert_eq!(site.events("config.reloaded").last().unwrap()["changed"], "books");
    account.add(Account::produce(&site, &Load { messages: 400, rate: None, seed: 44 }));
    site.wait_committed(&account.ends());
    assert_parted(&rows(&site, "raw", "since_3"), "since_3", &third_from, &third_from);
    site.ok(&["promote"]);
    assert_parted(&rows(&site, "processed", "since_2"), "since_2", &first_ends, &second_from);
    assert_parted(&rows(&site, "processed", "since_3"), "since_3", &third_from, &third_from);

    // Killed on the way to the fourth: the next daemon goes on with it.
    let production = Production::start(&site, &Load { messages: 600, rate: Some(400), seed: 45 });
    map(&site, 4);
    let mut asked = site.command(&["reload"]).spawn().unwrap();
    until("it begins", || version(&site) != Some(3) || generations(&site).iter().any(|generation| *generation > 3));
    daemon.kill();
    asked.wait().unwrap();
    account.add(production.finish());
    let daemon = site.start();
    site.wait_committed(&account.ends());
    assert_eq!(version(&site), Some(4));
    let ends = account.ends();
    account.add(Account::produce(&site, &Load { messages: 200, rate: None, seed: 46 }));
    site.wait_committed(&account.ends());
    site.ok(&["promote"]);
    assert_parted(&rows(&site, "raw", "since_4"), "since_4", &third_from, &ends);
    account.compare(&site);
    audit(&site);
    record(&site);
    daemon.stop();
    refused_at_the_start(&site);
}

fn record(site: &Site) {
    let text = fs::read_to_string(site.dir.join("logs/control.jsonl")).unwrap();
    let records: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let reloads: Vec<_> = records.iter().filter(|line| line["command"] == "reload").collect();
    assert!(reloads[0]["refused"].as_str().is_some_and(|why| why.contains("limits.memory")), "{text}");
    let version = |line: &Value, state: &str| line[state]["tables"][0]["mapping"]["version"].clone();
    let done = reloads.iter().find(|line| version(line, "after") == 2).unwrap();
    assert_eq!(version(done, "before"), json!(1), "{done}");
}

/// A mapping that changed while no daemon ran, and does not fit what is there.
fn refused_at_the_start(site: &Site) {
    let text = fs::read_to_string(site.dir.join("books.toml")).unwrap();
    let changed = text.replace("version = 4\n", "version = 5\n").replace("name = \"price\"", "name = \"cost\"");
    fs::write(site.dir.join("books.toml"), changed).unwrap();
    assert_eq!(site.run(&["check"]).code, Some(0), "the file alone is good");
    let checked = site.run(&["check", "--connect"]);
    assert!(checked.code == Some(1) && checked.out.contains("column price would go"), "{checked:?}");
    let mut daemon = site.start();
    assert_eq!(daemon.wait(), Some(78), "nothing that could be read together would be written");
    assert!(site.events("lane.halted").iter().any(|event| event["cause"] == "lane.schema-clash"));
    fs::write(site.dir.join("books.toml"), text).unwrap();
    assert_eq!(site.run(&["check", "--connect"]).code, Some(0));
}

#[test]
fn new_versions_of_a_mapping_are_taken_up_by_the_living_daemon() {
    new_versions(Disk::Local, "new versions of a mapping on local disk");
}

#[test]
fn new_versions_of_a_mapping_are_taken_up_on_hdfs() {
    new_versions(Disk::Hdfs, "new versions of a mapping on HDFS");
}
