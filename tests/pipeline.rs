//! The whole daemon on the embedded Kafka and a lake on local disk.

#![expect(clippy::unwrap_used, reason = "tests")]

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use common::{Sandbox, eventually, library};
use forebay::app::audit::audit;
use forebay::app::daemon::Options;
use forebay::storage::{self, Storage};

#[test]
fn messages_become_rows_and_broken_ones_are_quarantined() {
    let sandbox = Sandbox::new(2);
    let mut messages: Vec<_> =
        (0..100).map(|id| library(id, "river stone &amp; winter glass", "2026-10-15T18:42:00Z")).collect();
    messages.push(Some("<library".to_owned()));
    messages.push(None);
    messages.push(library(7, "river stone, second edition", "2026-10-16T08:00:00Z"));
    sandbox.send(&messages);
    let settings = sandbox.settings();
    let daemon = sandbox.start(&settings, &Options { until_caught_up: true, ..Options::default() });
    eventually("the daemon has caught up", || daemon.has_ended());
    daemon.wait().unwrap();

    let lake: Arc<dyn Storage> = storage::open_to_look(&settings.lake.root, BTreeMap::new()).unwrap();
    let report = audit(&lake, &settings.tables, &sandbox.dir.path().join("audit"));
    assert!(report.ok, "{report:?}");
    let books = report.tables.iter().find(|table| table.table == "books").unwrap();
    assert_eq!((books.rows, books.quarantined), (101, 1), "{books:?}");
    let checked = |id| report.invariants.iter().find(|invariant| invariant.id == id).unwrap().checked;
    assert_eq!(checked("I2"), 103, "every message has its row in the ledger, the tombstone too");
    assert_eq!(checked("I5"), 100, "the second edition has replaced the first");
}

#[test]
fn a_tick_that_passed_while_nobody_ran_is_made_up_for_at_the_start() {
    let sandbox = Sandbox::new(1);
    sandbox.send(&[library(1, "first", "2026-10-15T18:42:00Z")]);
    let mut settings = sandbox.settings();
    let once = Options { until_caught_up: true, ..Options::default() };
    let daemon = sandbox.start(&settings, &once);
    eventually("the first run has caught up", || daemon.has_ended());
    daemon.wait().unwrap();
    // A second run commits without a Processed zone, so what it read waits for a promotion.
    sandbox.send(&[library(2, "second", "2026-10-15T18:42:00Z")]);
    let processed = settings.tables[0].processed.take();
    let daemon = sandbox.start(&settings, &once);
    eventually("the second run has caught up", || daemon.has_ended());
    daemon.wait().unwrap();
    // The last promotion was days ago.
    let plan = sandbox.lake().join("_forebay/processed/books/plan/00000000000000000001.json");
    let days_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(3 * 86_400);
    std::fs::File::options().append(true).open(&plan).unwrap().set_modified(days_ago).unwrap();

    settings.tables[0].processed = processed;
    settings.promote.interval = std::time::Duration::from_secs(86_400);
    let daemon = sandbox.start(&settings, &Options::default());
    let promoted = || daemon.snapshot().unwrap().promotions[0].last_seq == Some(2);
    eventually("the missed tick is made up for", promoted);
    daemon.drain("test");
    daemon.wait().unwrap();
}
