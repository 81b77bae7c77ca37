use super::*;
use crate::control::api::{MappingView, Promotion, Undone};

fn time(text: &str) -> Time {
    Time(text.parse().unwrap())
}

fn look() -> Look {
    Look { colours: false, now: time("2026-10-01T01:01:05Z").0 }
}

fn lane(partition: i32, state: LaneState) -> Lane {
    Lane {
        topic: "library".to_owned(),
        partition,
        state,
        generation: 1,
        epoch: Some(3),
        position: Some(120),
        committed: Some(100),
        high_watermark: Some(150),
        lag: Some(50),
        buffered_bytes: 4196,
        buffered_rows: 60,
        last_commit_at: Some(time("2026-10-01T01:01:00Z")),
        last_fault: None,
        trouble: None,
        dead_letters: Vec::new(),
    }
}

fn mapping(version: u32) -> MappingView {
    MappingView { name: "books.toml".to_owned(), version, behind: Default::default() }
}

fn status() -> Status {
    let mut halted = lane(11, LaneState::Halted);
    halted.last_fault = Some("no permission to write".to_owned());
    (halted.position, halted.lag, halted.last_commit_at) = (None, None, None);
    Status {
        version: "0.1.0".to_owned(),
        state: DaemonState::Running,
        started_at: time("2026-10-01T00:00:00Z"),
        uptime_seconds: 3665,
        host: "node-1".to_owned(),
        pid: 7,
        group: "forebay".to_owned(),
        lake: "hdfs://namenode:8020/lake".to_owned(),
        kafka_fault: None,
        kafka_trouble: None,
        lanes: vec![lane(0, LaneState::Running), halted],
        tables: vec![TableView {
            name: "books".to_owned(),
            mapping: Some(mapping(2)),
            rows: 30_000,
            files: 4,
            quarantined: [("type.int".to_owned(), 2), ("xml.syntax".to_owned(), 1)].into(),
            unmapped: 0,
            last_promotion: None,
        }],
    }
}

#[test]
fn a_kafka_that_is_away_is_told_above_the_lanes() {
    let status = Status { kafka_fault: Some("no broker answers".to_owned()), ..status() };
    assert!(look().status(&status).lines().any(|line| line == "kafka: no broker answers"));
}

#[test]
fn dead_letters_that_are_behind_are_told_and_others_are_not() {
    let told = |lag, fault: Option<&str>| {
        let (table, topic) = ("books".to_owned(), "dead".to_owned());
        let fault = fault.map(str::to_owned);
        let letters = DeadLetters { table, topic, position: Some(90), lag, sent: 3, fault, trouble: None };
        let lane = Lane { dead_letters: vec![letters], ..lane(0, LaneState::Running) };
        look().lanes(&[lane]).lines().skip(2).map(str::to_owned).collect::<Vec<_>>()
    };
    assert!(told(Some(0), None).is_empty());
    assert_eq!(told(None, None), ["library:0 dead letters of books to dead: not looked at yet"]);
    assert_eq!(told(Some(10), Some("away")), ["library:0 dead letters of books to dead: 10 offsets behind: away"]);
}

#[test]
fn status_is_one_aligned_picture() {
    let expected = "\
forebay 0.1.0 on node-1 (pid 7): running, up 1h 1m
group forebay, lake hdfs://namenode:8020/lake

lane        state    position  committed  lag  buffered  last commit  epoch
library:0   running       120        100   50   4.0 KiB  5s ago           3
library:11  halted          -        100    -   4.0 KiB  -                3
library:11: no permission to write

table  mapping         rows  files  quarantined  last promotion
books  books.toml v2  30000      4            3  -
books quarantined: type.int 2, xml.syntax 1
";
    assert_eq!(look().status(&status()), expected);
}

#[test]
fn trouble_is_told_with_its_age_its_course_and_what_can_be_done() {
    let trouble = |again_at: Option<&str>, times| crate::control::api::Trouble {
        event: "storage.unavailable".to_owned(),
        message: "no namenode answers".to_owned(),
        since: time("2026-10-01T00:59:00Z"),
        at: time("2026-10-01T01:01:00Z"),
        times,
        does: "tries again".to_owned(),
        again_at: again_at.map(time),
        help: "nothing if it passes".to_owned(),
    };
    let told = |trouble: crate::control::api::Trouble| {
        let last_fault = Some(trouble.message.clone());
        let lane = Lane { last_fault, trouble: Some(trouble), ..lane(0, LaneState::Waiting) };
        look().lanes(&[lane]).lines().skip(2).map(str::to_owned).collect::<Vec<_>>()
    };
    let first = "library:0: no namenode answers";
    let last = "  you can do: nothing if it passes";
    let often = told(trouble(Some("2026-10-01T01:01:12Z"), 14));
    assert_eq!(often, [first, "  for 2m 5s, 14 times: tries again in 7s", last]);
    assert_eq!(told(trouble(Some("2026-10-01T01:01:00Z"), 1)), [first, "  for 2m 5s: tries again now", last]);
    assert_eq!(told(trouble(None, 1)), [first, "  for 2m 5s: tries again", last]);
    let by_name = crate::control::api::Trouble { message: first.to_owned(), ..trouble(None, 1) };
    assert_eq!(told(by_name)[0], first, "the lane is named once, whoever names it");
    let kafka = Status { kafka_fault: Some("no broker".to_owned()), kafka_trouble: Some(trouble(None, 1)), ..status() };
    assert!(
        look()
            .status(&kafka)
            .contains("kafka: no broker\n  for 2m 5s: tries again\n  you can do: nothing if it passes\n")
    );
}

#[test]
fn sizes_and_times_are_told_in_the_unit_that_fits() {
    let sizes = [0, 1023, 1024, 1_600_000, 128 << 20, u64::MAX].map(show_about);
    assert_eq!(sizes, ["0 B", "1023 B", "1.0 KiB", "1.5 MiB", "128.0 MiB", "15.9 EiB"]);
    let times = [59, 60, 3_599, 3_600, 200_000].map(duration);
    assert_eq!(times, ["59s", "1m 0s", "59m 59s", "1h 0m", "2d 7h"]);
}

#[test]
fn colours_are_shown_only_where_they_are_wanted() {
    let colours = Look { colours: true, ..look() };
    assert!(colours.status(&status()).contains("\x1b[31mhalted\x1b[0m"));
    assert!(!look().status(&status()).contains('\x1b'));
}

#[test]
fn the_tree_shows_who_supervises_whom() {
    let node = |name: &str, kind: &str, children| Node {
        name: name.to_owned(),
        kind: kind.to_owned(),
        state: "running".to_owned(),
        generation: 1,
        restarts: u64::from(kind == "reader"),
        last_fault: (kind == "reader").then(|| "no route to host".to_owned()),
        children,
    };
    let lane = node("library:0", "lane", vec![node("reader", "reader", vec![]), node("buffer", "buffer", vec![])]);
    let root = node("root", "root", vec![lane, node("promoter", "promoter", vec![])]);
    let expected = "\
root [running] generation 1
├─ lane library:0 [running] generation 1
│  ├─ reader [running] generation 1, 1 restarts: no route to host
│  └─ buffer [running] generation 1
└─ promoter [running] generation 1
";
    assert_eq!(look().supervision(&root), expected);
}

#[test]
fn changes_are_told_one_a_line() {
    let lanes = |state| Lanes { lanes: vec![lane(0, state), lane(1, LaneState::Paused)] };
    let change = Change { before: lanes(LaneState::Running), after: lanes(LaneState::Paused) };
    assert_eq!(look().lane_change(&change), "library:0: running → paused\nlibrary:1: paused already\n");
    let nothing = Change { before: Lanes::default(), after: Lanes::default() };
    assert_eq!(look().lane_change(&nothing), "no lane here\n");
    let (before, after) = (lane(0, LaneState::Running), lane(0, LaneState::Running));
    let rewound = Rewound { before, after, dry_run: true, to: 90, intervals: 2, messages: 10, undone: None };
    let said = "library:0 would be rewound from offset 100 to offset 90: 2 intervals, 10 messages are read again\n";
    assert_eq!(look().rewound(&rewound), said);
    let undone = Some(Undone { from: 60, intervals: 3, messages: 30 });
    let said = "library:0 goes on at offset 90, its rewind to 60 is taken back: 3 intervals, 30 messages come back; \
                2 intervals, 10 messages read since are taken out\n";
    assert_eq!(look().rewound(&Rewound { dry_run: false, undone, ..rewound }), said);
}

#[test]
fn a_requeue_tells_every_message_and_every_partition() {
    let lane = |partition| RequeuedLane {
        topic: "library".to_owned(),
        partition,
        messages: 9,
        released: 3,
        partial: 1,
        renewed: 1,
        unchanged: 2,
        redacted: vec![17, 19],
        rows: [("books".to_owned(), 7)].into(),
        intervals: 2,
        skipped: vec!["library:0 [0, 5)e1: column id has two types".to_owned()],
    };
    let elsewhere = |topic: &str, closed, owner| RequeueElsewhere {
        topic: topic.to_owned(),
        partition: 3,
        messages: 4,
        closed,
        owner,
    };
    let owner = Some("node-2 (pid 7, group g)".to_owned());
    let requeued = Requeued {
        before: Lanes::default(),
        after: Lanes::default(),
        dry_run: false,
        table: "books".to_owned(),
        lanes: vec![lane(0)],
        elsewhere: vec![elsewhere("library~2", false, owner), elsewhere("library", true, None)],
    };
    let expected = "\
library:0: 3 of 9 messages left quarantine (7 rows in books), 2 intervals revised
  1 stay with the good ones of their rows in raw
  1 stay for other reasons
  2 stay as they were
  2 stay, their payload was not kept
    offsets 17, 19
  left as it is: library:0 [0, 5)e1: column id has two types
library~2:3: not assigned to this daemon, 4 messages, its last owner is node-2 (pid 7, group g)
library:3: closed, 4 messages stay: the topic was created again since
";
    assert_eq!(look().requeued(&requeued), expected);
    let nothing = Requeued { lanes: Vec::new(), elsewhere: Vec::new(), ..requeued };
    assert_eq!(look().requeued(&nothing), "nothing is in quarantine of books\n");
}

#[test]
fn a_lane_that_still_reads_with_an_earlier_mapping_is_told() {
    let mut status = status();
    status.tables[0].mapping = Some(MappingView { behind: [("library:3".to_owned(), 1)].into(), ..mapping(2) });
    let told = look().status(&status);
    assert!(told.contains("\nbooks mapping: library:3 still reads with version 1\n"), "{told}");
}

#[test]
fn a_reload_says_what_is_read_otherwise_now_and_by_whom() {
    let tables = |version| {
        let table = TableView { mapping: Some(mapping(version)), ..status().tables[0].clone() };
        let other = TableView { name: "notes".to_owned(), ..table.clone() };
        Tables { tables: vec![table, TableView { mapping: Some(mapping(1)), ..other }] }
    };
    let lanes = status().lanes;
    let changed = vec!["books".to_owned(), "notes".to_owned()];
    let mut reloaded = Reloaded { before: tables(1), after: tables(2), changed, lanes };
    let expected = "\
books: books.toml, version 1 → 2
notes: its settings have changed
library:0: running
library:11: halted: no permission to write
";
    assert_eq!(look().reloaded(&reloaded), expected);
    reloaded.changed.clear();
    assert_eq!(look().reloaded(&reloaded), "nothing has changed\n");
}

#[test]
fn a_promotion_says_what_it_did_or_why_it_did_not() {
    let table = |sequence, fault: Option<&str>| TableView {
        name: "books".to_owned(),
        mapping: None,
        rows: 0,
        files: 0,
        quarantined: Default::default(),
        unmapped: 0,
        last_promotion: Some(Promotion {
            at: time("2026-10-01T01:00:00Z"),
            sequence,
            rows: 10,
            left_out: vec!["library:1: not read again yet".to_owned()],
            files_added: 2,
            files_removed: 1,
            fault: fault.map(str::to_owned),
            trouble: None,
        }),
    };
    let said = |view| {
        let after = Tables { tables: vec![view] };
        look().promoted(&Change { before: Tables::default(), after })
    };
    assert_eq!(
        said(table(Some(4), None)),
        "books: promotion 4, 10 rows written, 2 files added, 1 replaced\n  left out library:1: not read again yet\n"
    );
    assert_eq!(said(table(None, None)), "books: nothing to promote\n  left out library:1: not read again yet\n");
    assert_eq!(said(table(None, Some("fenced"))), "books: fenced\n");
}

#[test]
fn the_status_names_what_the_last_promotion_left_out() {
    let mut status = status();
    status.tables[0].last_promotion = Some(Promotion {
        at: time("2026-10-01T01:00:00Z"),
        sequence: None,
        rows: 0,
        left_out: vec!["library:1: it was rewound and is not read again up to 30 yet".to_owned()],
        files_added: 0,
        files_removed: 0,
        fault: None,
        trouble: None,
    });
    let said = look().status(&status);
    let expected = "books promotion left out library:1: it was rewound and is not read again up to 30 yet";
    assert!(said.lines().any(|line| line == expected), "{said}");
}

#[test]
fn a_fault_does_nothing_to_the_terminal() {
    let look = Look { colours: false, now: Timestamp::UNIX_EPOCH };
    assert_eq!(look.paint(Paint::Bad, "broker \u{1b}[2J\nlied\u{9b}"), "broker \\u{1b}[2J\\nlied\\u{9b}");
}
