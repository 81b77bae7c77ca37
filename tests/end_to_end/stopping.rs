//! How the daemon ends: by SIGTERM, by `drain`, and by itself when it has caught up.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::lake::{Account, Load, Production, audit};
use crate::site::{Disk, Recipe, Site, until};
use crate::stack::Stack;

/// Long intervals: whatever is read stays in flight until the daemon ends.
const SLOW_ROLL: &str = "roll_age = \"1h\"";

/// Folders of processes in the spool.
fn left_in_spool(site: &Site) -> Vec<String> {
    let names = std::fs::read_dir(site.dir.join("spool/lanes")).unwrap().map(|entry| entry.unwrap().file_name());
    names.map(|name| name.to_string_lossy().into_owned()).filter(|name| name.starts_with("run-")).collect()
}

#[test]
fn sigterm_under_load_commits_what_is_in_flight_and_the_rest_comes_with_the_next_run() {
    let Some(stack) = Stack::find("SIGTERM under load on HDFS") else { return };
    let mut site = Site::new(&stack, &Recipe { disk: Disk::Hdfs, raw: SLOW_ROLL, ..Recipe::default() });
    let topic = site.topic.clone();
    site.create_topic(&topic, 4);
    let production = Production::start(&site, &Load { messages: 6000, rate: Some(800), seed: 11 });
    let mut daemon = site.start();
    let read = |site: &Site| -> BTreeMap<i64, i64> {
        let lanes = site.lanes();
        lanes.iter().filter_map(|lane| Some((lane["partition"].as_i64()?, lane["position"].as_i64()?))).collect()
    };
    let mut seen = BTreeMap::new();
    until("every partition is being read", || {
        seen = read(&site);
        seen.len() == 4 && seen.values().all(|position| *position >= 100)
    });
    let committed: Vec<_> = site.lanes().iter().map(|lane| lane["committed"].clone()).collect();
    assert!(committed.iter().all(|head| *head == 0), "nothing rolls by itself here: {committed:?}");

    daemon.terminate();
    let begun = Instant::now();
    assert_eq!(daemon.wait(), Some(0));
    println!("drained within {:.1} s", begun.elapsed().as_secs_f64());
    let mut heads: BTreeMap<i64, i64> = BTreeMap::new();
    for line in site.events("interval.committed") {
        heads.insert(line["partition"].as_i64().unwrap(), line["to"].as_i64().unwrap());
    }
    for (partition, position) in &seen {
        assert!(heads.get(partition) >= Some(position), "{partition}: read to {position}, committed {heads:?}");
    }
    let reasons: Vec<_> = site.events("drain.started").iter().map(|line| line["reason"].clone()).collect();
    assert_eq!(reasons, ["signal"], "said once, and by whom");
    assert_eq!(site.events("drain.overdue").len(), 0);
    assert_eq!(site.events("daemon.stopped").last().unwrap()["code"], 0);
    assert_eq!(left_in_spool(&site), [""; 0], "who ends well takes its files along");

    let account = production.finish();
    let mut rest = site.start_with(&["--until-caught-up"]);
    assert_eq!(rest.wait(), Some(0), "--until-caught-up");
    audit(&site);
    account.compare(&site);
}

#[test]
fn until_caught_up_reads_to_the_ends_promotes_and_ends_and_has_nothing_to_do_the_next_time() {
    let Some(stack) = Stack::find("--until-caught-up") else { return };
    let mut site = Site::new(&stack, &Recipe { raw: SLOW_ROLL, ..Recipe::default() });
    let topic = site.topic.clone();
    site.create_topic(&topic, 4);
    assert_eq!(site.start_with(&["--until-caught-up"]).wait(), Some(0), "an empty topic");
    let account = Account::produce(&site, &Load { messages: 800, rate: None, seed: 12 });
    assert_eq!(site.start_with(&["--until-caught-up"]).wait(), Some(0));
    let intervals = site.events("interval.committed").len();
    audit(&site);
    account.compare(&site);
    assert_eq!(site.start_with(&["--until-caught-up"]).wait(), Some(0), "nothing new");
    assert_eq!(site.events("interval.committed").len(), intervals, "nothing new is committed");
    account.compare(&site);
}

#[test]
fn until_caught_up_says_no_where_a_topic_is_not_there() {
    let Some(stack) = Stack::find("--until-caught-up without a topic") else { return };
    let topics = Some("topics = [\"LIBRARY\", \"LIBRARY-absent\"]".to_owned());
    let mut site = Site::new(&stack, &Recipe { topics, ..Recipe::default() });
    let topic = site.topic.clone();
    site.create_topic(&topic, 1);
    let mut daemon = site.start_with(&["--until-caught-up"]);
    assert_eq!(daemon.wait(), Some(75));
    let said = std::fs::read_to_string(site.dir.join("daemon.log")).unwrap();
    let last = said.lines().last().unwrap();
    assert!(last.contains(&format!("{topic}-absent")) && last.contains("create the topic"), "{last}");
}
