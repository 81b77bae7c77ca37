//! Produce, run, kill, run again, promote, rewind, promote: nothing lost, nothing twice, every value as it was sent.

use std::time::Duration;

use serde_json::{Value, json};

use crate::lake::{Account, Load, Production, audit};
use crate::site::{Disk, Recipe, Site, until};
use crate::stack::Stack;

const PARTITIONS: usize = 4;
/// Of the four, the one that is rewound.
const REWOUND: i64 = 2;

#[test]
fn kills_and_a_rewind_neither_lose_nor_double_anything_on_hdfs() {
    main_path(Disk::Hdfs, 4);
}

#[test]
fn kills_and_a_rewind_neither_lose_nor_double_anything_on_local_disk() {
    main_path(Disk::Local, 6);
}

fn main_path(disk: Disk, kills: usize) {
    let Some(stack) = Stack::find("the main path on a real Kafka and HDFS") else { return };
    let seed = fastrand::u64(..1 << 40);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut site = Site::new(&stack, &Recipe { disk, ..Recipe::default() });
    let topic = site.topic.clone();
    site.create_topic(&topic, PARTITIONS as u32);

    let production = Production::start(&site, &Load { messages: 12_000, rate: Some(1000), seed });
    for kill in 0..kills {
        let daemon = site.start();
        if kill % 2 == 0 {
            // At any moment: while it starts, takes its partitions over, begins to read.
            std::thread::sleep(Duration::from_millis(random.u64(100..2000)));
        } else {
            // At any moment of its work.
            until("a commit", || site.lanes().iter().any(|lane| !lane["last_commit_at"].is_null()));
            std::thread::sleep(Duration::from_millis(random.u64(0..700)));
        }
        daemon.kill();
    }
    let mut account = production.finish();

    let daemon = site.start();
    site.wait_committed(&account.ends());
    kill_while_promoting(&site, daemon, &mut random);

    let daemon = site.start();
    site.wait_committed(&account.ends());
    let (status, body) = site.http("POST", "/v1/promote", "{}").unwrap();
    assert_eq!(status, 200, "{body}");
    audit(&site);
    account.compare(&site);

    rewind(&site, account.ends()[REWOUND as usize]);
    // What comes while the partition is read again is promoted in the same go.
    account.add(Account::produce(&site, &Load { messages: 1000, rate: None, seed: seed + 1 }));
    site.wait_committed(&account.ends());
    let promoted = site.json(&["promote", "books"]);
    let sequence = |document: &Value| document["tables"][0]["last_promotion"]["sequence"].as_u64();
    assert!(sequence(&promoted["after"]) > sequence(&promoted["before"]), "{promoted}");
    daemon.stop();
    audit(&site);
    account.compare(&site);
}

/// A promotion is cut off at some moment, or is just done.
fn kill_while_promoting(site: &Site, daemon: crate::site::Daemon, random: &mut fastrand::Rng) {
    let mut promotion = site.command(&["--quiet", "promote"]).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(random.u64(30..900)));
    daemon.kill();
    let code = promotion.wait().unwrap().code();
    assert!(code == Some(0) || code == Some(75), "promote with the daemon gone: {code:?}");
}

/// Rewinds one partition to its middle, after a dry run and one that is refused.
fn rewind(site: &Site, end: i64) {
    let lane = format!("{}:{REWOUND}", site.topic);
    let (to, head, wrong) = ((end / 2).to_string(), end.to_string(), (end + 1).to_string());
    let heads = || site.lane(REWOUND).map(|lane| lane["committed"].clone());

    let preview = site.json(&["rewind", &lane, "--to", &to, "--dry-run"]);
    assert_eq!(preview["dry_run"], true, "{preview}");
    let begin = preview["to"].as_i64().unwrap();
    assert!((0..=end / 2).contains(&begin), "{preview}");
    assert_eq!(preview["messages"].as_i64(), Some(end - begin), "{preview}");
    assert_eq!(heads(), Some(end.into()), "a dry run changes nothing");

    let refused = site.run(&["rewind", &lane, "--to", &to, "--expect", &wrong]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.err.contains(&wrong) && refused.err.contains(&head), "{refused:?}");
    assert_eq!(heads(), Some(end.into()), "a refused rewind changes nothing");

    let arguments = ["rewind", &lane, "--to", &to, "--expect", &head, "--reason", "a test"];
    let done = site.json(&arguments);
    assert_eq!((&done["dry_run"], &done["to"]), (&json!(false), &preview["to"]), "{done}");
    assert_eq!(done["before"]["committed"], end, "{done}");
    assert_eq!(done["intervals"], preview["intervals"], "{done}");
    until("the rewound partition is read again", || heads().and_then(|head| head.as_i64()) >= Some(end));
}
