//! The whole daemon on the embedded Kafka and a lake on local disk.

#![expect(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{PATIENCE, Sandbox, eventually, library};
use forebay::app::daemon::Options;

#[test]
fn messages_become_rows_and_broken_ones_are_quarantined() {
    let sandbox = Sandbox::new(2);
    let mut messages: Vec<_> =
        (0..100).map(|id| library(id, "river stone &amp; winter glass", "2026-10-15T18:42:00Z")).collect();
    messages.push(Some("<library".to_owned()));
    messages.push(None);
    sandbox.send(&messages);
    let settings = sandbox.settings();
    let options = Options { until_caught_up: true, ..Options::default() };
    let daemon = sandbox.start(&settings, &options);
    eventually("the daemon has caught up", || daemon.has_ended());
    daemon.wait().unwrap();
    let _ = PATIENCE;
    let files = std::process::Command::new("find").arg(sandbox.lake()).arg("-type").arg("f").output().unwrap();
    println!("{}", String::from_utf8_lossy(&files.stdout));
}
