//! Several tables on one topic: what fails goes to its own table's dead-letter topic, and stops the lane by its own
//! table's rule; so does what no table takes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use forebay::app::daemon::{Daemon, Options};
use forebay::config::Settings;
use forebay::model::mapping::{Mapping, Name};
use forebay::model::status::LaneState;
use forebay::model::table::{StopRule, Table, When};
use forebay::supervise::parts::TreeProbe;
use forebay::supervise::root::{Selection, SetPaused};
use futures::executor::block_on;

use crate::common::{eventually, library};
use crate::letters::{all_sent, keys};
use crate::world::{Fate, World, drain, in_state, lane, snapshot};

/// Who takes a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    Books,
    Shelves,
    Nobody,
}

use Whose::{Books, Nobody, Shelves};

impl Whose {
    /// The name of its table, which is that of its root element too.
    fn table(self) -> &'static str {
        match self {
            Books => "books",
            Shelves => "shelves",
            Nobody => "_unrouted",
        }
    }

    fn dead(self) -> String {
        format!("dead-{}", self.table())
    }
}

/// Two tables on the topic, told apart by the root element.
fn settings(world: &World) -> Settings {
    let mut settings = world.settings();
    let template = settings.tables.remove(0);
    let table = |whose: Whose| {
        let root = Name { namespace: None, local: whose.table().into() };
        let mapping = Mapping { root: Some(root.clone()), ..(*template.mapping).clone() };
        let mut table = Table { name: whose.table().into(), mapping: Arc::new(mapping), ..template.clone() };
        table.when = Some(When { root: Some(root), header: None });
        table.quarantine.topic = Some(whose.dead());
        table
    };
    settings.tables = vec![table(Books), table(Shelves)];
    settings.unrouted.topic = Some(Nobody.dead());
    settings
}

/// A message of somebody: good, or one that fails. What nobody takes always fails.
fn message(whose: Whose, is_good: bool) -> (Option<String>, Fate) {
    let root = whose.table();
    let date = if is_good { "2026-10-15T18:42:00Z" } else { "yesterday" };
    let text = library(1, "t", date)
        .unwrap()
        .replace("<library ", &format!("<{root} "))
        .replace("</library>", &format!("</{root}>"));
    let fate = if is_good {
        Fate::Row { id: 1, title: "t".to_owned(), date: "2026-10-15" }
    } else {
        Fate::Quarantined { code: "" }
    };
    (Some(text), fate)
}

/// The keys of the letters of somebody's messages: all that were sent and fail.
fn expected(world: &World, whose: Whose) -> BTreeSet<String> {
    let sent = world.sent.lock().unwrap();
    let is_its = |text: &str| text.contains(&format!("<{} ", whose.table()));
    let failed = sent.iter().filter(|(_, sent)| {
        matches!(sent.fate, Fate::Quarantined { .. }) && sent.payload.as_deref().is_some_and(is_its)
    });
    failed.map(|((partition, offset), _)| format!("library:{partition}:{offset}")).collect()
}

fn assert_letters(world: &World) {
    for whose in [Books, Shelves, Nobody] {
        let found = keys(world, &whose.dead()).into_iter().collect::<BTreeSet<_>>();
        assert_eq!(found, expected(world, whose), "{whose:?}");
        assert!(!found.is_empty(), "{whose:?}");
    }
}

fn some(world: &World) -> Vec<(Option<String>, Fate)> {
    let message = |_| match world.below(8) {
        0 => message(Books, false),
        1 => message(Shelves, false),
        2 => message(Nobody, false),
        3 => (None, Fate::Tombstone),
        at => message(if at < 6 { Books } else { Shelves }, true),
    };
    (0..200).map(message).collect()
}

#[test]
fn what_fails_goes_to_the_dead_letter_topic_of_its_own_table_whatever_happens() {
    let world = World::new(2);
    let settings = settings(&world);
    let (steps, panics) = (AtomicU64::new(0), Arc::new(AtomicU64::new(0)));
    let (at, counted) = (3 + world.below(9) as u64, Arc::clone(&panics));
    let probe: TreeProbe = Arc::new(move |role, _| {
        let is_meant = role == "LetterSender" && steps.fetch_add(1, Ordering::SeqCst) % at == at - 1;
        if is_meant && counted.fetch_add(1, Ordering::SeqCst) < 12 {
            panic!("on purpose");
        }
    });
    let daemon = world.sandbox.start(&settings, &Options { probe: Some(probe), ..Options::default() });
    for _ in 0..4 {
        world.send_these(some(&world));
    }
    world.caught_up(&daemon);
    eventually("all panics happened, and all letters are sent", || {
        panics.load(Ordering::SeqCst) >= 12 && all_sent(&daemon)
    });
    let view = lane(&daemon, 0).unwrap();
    let of: Vec<_> = view.letters.iter().map(|letters| (&*letters.table, &*letters.topic)).collect();
    assert_eq!(of, [("books", "dead-books"), ("shelves", "dead-shelves"), ("_unrouted", "dead-_unrouted")]);
    let sent = |at: usize| snapshot(&daemon).lanes.iter().map(|lane| lane.letters[at].sent).sum::<u64>();
    assert!((0..3).all(|at| sent(at) > 0), "{view:?}");
    assert_letters(&world);
    drain(daemon).unwrap();

    // The next daemon knows how far each of them is.
    let counts = || [Books, Shelves, Nobody].map(|whose| keys(&world, &whose.dead()).len());
    let before = counts();
    let daemon = world.sandbox.start(&settings, &Options::default());
    eventually("the lanes are there", || snapshot(&daemon).lanes.len() == 2 && all_sent(&daemon));
    assert_eq!(counts(), before);
    world.send_these(some(&world));
    world.caught_up(&daemon);
    eventually("all letters are sent", || all_sent(&daemon));
    assert_letters(&world);
    drain(daemon).unwrap();
}

/// Sends messages to the one lane and tells why it halts, and how many messages are committed.
fn halts(daemon: &Daemon, world: &World, messages: Vec<(Option<String>, Fate)>) -> (String, i64) {
    world.send_these(messages);
    let view = in_state(daemon, 0, LaneState::Halted);
    let fault = view.last_fault.unwrap().fault;
    assert_eq!(fault.event, "lane.too-many-failed");
    (fault.message, view.committed.unwrap())
}

fn resume(daemon: &Daemon) {
    block_on(daemon.root().send(SetPaused { selection: Selection::All, is_paused: false })).unwrap();
}

#[test]
fn a_lane_halts_by_the_rule_of_the_table_that_fails_and_says_which() {
    let world = World::new(1);
    let mut settings = settings(&world);
    // Books may fail; of the shelves, which are rare, no more than half of the last four.
    settings.tables[1].stop_when = Some(StopRule { failed_ppm: 500_000, of: 4 });
    settings.unrouted.stop_when = Some(StopRule { failed_ppm: 100_000, of: 50 });
    let daemon = world.sandbox.start(&settings, &Options::default());
    let good = |count: usize| vec![message(Books, true); count];
    let mut messages = vec![message(Books, false); 20];
    for is_good in [true, false, true, false, false] {
        messages.extend(good(30));
        messages.push(message(Shelves, is_good));
    }
    messages.extend(good(5));
    let (said, committed) = halts(&daemon, &world, messages);
    let why = "library:0: 3 of the last 4 messages of table shelves failed, and its stop_when allows 0.5 of 4, the last at \
               offset 174; when the mapping or the messages are put right: forebay resume library:0";
    assert_eq!(said, why);
    assert!(committed >= 175, "the message that stopped it is committed: {committed}");

    // It goes on from zero. Five of fifty messages that nobody takes are allowed, one more is not.
    resume(&daemon);
    eventually("it has gone on", || lane(&daemon, 0).unwrap().committed == Some(world.end_of(0)));
    let nobodys = |count: usize| vec![message(Nobody, false); count];
    world.send_these([nobodys(5), good(60), nobodys(5), vec![(None, Fate::Tombstone); 60]].concat());
    eventually("five of fifty are allowed", || lane(&daemon, 0).unwrap().committed == Some(world.end_of(0)));
    // The tombstones have put nobody's messages out of no window.
    let (said, _) = halts(&daemon, &world, nobodys(1));
    assert!(
        said.contains(": no table took 6 of the last 50 messages, and unrouted.stop_when allows 0.1 of 50, "),
        "{said}"
    );
    resume(&daemon);
    world.caught_up(&daemon);
    eventually("all letters are sent", || all_sent(&daemon));
    for whose in [Books, Shelves, Nobody] {
        assert_eq!(
            keys(&world, &whose.dead()).into_iter().collect::<BTreeSet<_>>(),
            expected(&world, whose),
            "{whose:?}"
        );
    }
    drain(daemon).unwrap();
}
