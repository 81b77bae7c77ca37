//! Messages made to fill the memory of the daemon: a few bytes that are a row each.

use std::fs;
use std::time::Instant;

use crate::bad_input::send;
use crate::site::{Recipe, Site};
use crate::stack::Stack;

/// `limits.memory` as it is by default.
const BUDGET_MIB: u64 = 256;

/// Most resident memory that a process ever had, in MiB.
fn peak_mib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() >> 10
}

/// A mapping of `<m><a/>…</m>`.
struct Rows {
    limit: u32,
    /// Columns that are not there, with a default; and such without one.
    defaults: usize,
    nulls: usize,
    /// Columns that every row has from the root.
    shared: usize,
    /// Whether each row has rows of a child table.
    children: bool,
}

impl Rows {
    fn mapping(&self) -> String {
        let mut text = format!(
            "version = 1\nformat = \"xml\"\n[message]\nroot = \"m\"\nrows = \"a\"\n[limits]\nrows = {}\nchildren = 10_000_000\n",
            self.limit
        );
        for number in 0..self.defaults {
            text.push_str(&format!("[[column]]\nname = \"d{number}\"\npath = \"d{number}\"\ntype = \"string\"\ndefault = \"none {number}\"\n"));
        }
        for number in 0..self.nulls {
            text.push_str(&format!("[[column]]\nname = \"n{number}\"\npath = \"n{number}\"\ntype = \"int64\"\n"));
        }
        for number in 0..self.shared {
            text.push_str(&format!("[[column]]\nname = \"s{number}\"\npath = \"/@s{number}\"\ntype = \"string\"\n"));
        }
        if self.children {
            text.push_str("[[child]]\nname = \"bs\"\nrows = \"b\"\n[[child.column]]\nname = \"x\"\npath = \".\"\ntype = \"string\"\ndefault = \"x\"\n");
        }
        text
    }

    fn row(&self) -> &'static str {
        if self.children { "<a><b/><b/></a>" } else { "<a/>" }
    }

    /// Rows of a message, and rows of its child table.
    fn count(&self, bytes: usize) -> (usize, usize) {
        let rows = bytes / self.row().len();
        (rows, if self.children { 2 * rows } else { 0 })
    }

    fn message(&self, bytes: usize) -> String {
        let attributes: String = (0..self.shared).map(|number| format!(" s{number}=\"shared {number}\"")).collect();
        format!("<m{attributes}>{}</m>", self.row().repeat(self.count(bytes).0))
    }
}

/// What has to become of the messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// All their rows are in RAW.
    Rows,
    /// They are in quarantine: there are too many rows, or they are too large.
    Refused,
}

/// Sends `count` messages of about so many bytes through a daemon with the memory it has by default.
fn run(what: &str, rows: &Rows, bytes: usize, count: usize, fate: Fate) {
    let Some(stack) = Stack::find(what) else { return };
    let tables = "[[table]]\nname = \"rows\"\ntopics = [\"TOPIC-rows\"]\nmapping = \"rows.toml\"\n\
                  [table.raw]\nroll_age = \"2s\"\n";
    let mut site = Site::new(&stack, &Recipe { memory: "256MiB", tables: tables.to_owned(), ..Recipe::default() });
    fs::write(site.dir.join("rows.toml"), rows.mapping()).unwrap();
    let (books, topic) = (site.topic.clone(), format!("{}-rows", site.topic));
    let config = fs::read_to_string(site.config()).unwrap().replace("TOPIC-rows", &topic);
    fs::write(site.config(), config).unwrap();
    site.create_topic(&books, 1);
    site.create_topic(&topic, 1);
    let message = rows.message(bytes);
    send(&site, &topic, 0, &vec![Some(message.as_bytes()); count]);
    let daemon = site.start();
    let good = "<library branch=\"L1\"><book id=\"B1\"><record_id>1</record_id><title>t</title>\
                <added>2026-10-15T18:42:00Z</added></book></library>";
    send(&site, &books, 0, &[Some(good.as_bytes())]);
    // The other lane does not wait for it to end.
    site.wait_committed(&[1]);
    site.topic = topic;
    let begun = Instant::now();
    site.wait_committed(&[i64::try_from(count).unwrap()]);
    let (peak, took) = (peak_mib(daemon.pid()), begun.elapsed());
    let tables = site.get("/v1/tables").unwrap();
    let table = |name: &str| tables["tables"].as_array().unwrap().iter().find(|table| table["name"] == name).unwrap();
    let (parents, children) = rows.count(bytes);
    println!("{what}: {count} messages of {parents} rows: {peak} MiB of {BUDGET_MIB}, {took:?}");
    assert!(peak < 2 * BUDGET_MIB, "{what}: {peak} MiB");
    let all = |each: usize| (each * count) as u64;
    match fate {
        Fate::Rows => {
            assert_eq!(table("rows")["rows"], all(parents), "{what}");
            assert!(!rows.children || table("bs")["rows"] == all(children), "{what}: {tables}");
        }
        Fate::Refused => assert_eq!(table("rows")["quarantined"]["limit.rows"], count as u64, "{what}: {tables}"),
    }
    daemon.stop();
    assert_eq!(site.run(&["audit"]).code, Some(0), "{what}");
    site.topic = books;
}

const MB: usize = 1_000_000;

fn plain() -> Rows {
    Rows { limit: 300_000, defaults: 1, nulls: 2, shared: 1, children: false }
}

#[test]
fn a_message_of_a_quarter_of_a_million_rows_goes_through() {
    run("one of few columns", &plain(), MB, 1, Fate::Rows);
    run("many of few columns", &plain(), MB, 12, Fate::Rows);
    let columns = Rows { limit: 300_000, defaults: 15, nulls: 20, shared: 10, children: false };
    run("one of many columns", &columns, MB, 1, Fate::Rows);
    run("some of many columns", &columns, MB, 4, Fate::Rows);
}

#[test]
fn rows_of_child_tables_count_too() {
    let children = Rows { limit: 300_000, defaults: 10, nulls: 10, shared: 3, children: true };
    run("with child tables", &children, MB, 4, Fate::Rows);
}

#[test]
fn more_rows_than_the_limit_are_refused() {
    run("more than limits.rows", &Rows { limit: 100_000, ..plain() }, MB, 12, Fate::Refused);
}

#[test]
fn rows_that_would_not_fit_are_refused_and_leave_the_daemon_alone() {
    let nulls = Rows { limit: 300_000, defaults: 0, nulls: 200, shared: 0, children: false };
    run("200 columns of nothing", &nulls, MB, 3, Fate::Refused);
    let values = Rows { limit: 300_000, defaults: 100, nulls: 0, shared: 100, children: false };
    run("200 columns of defaults and of the root's values", &values, MB, 3, Fate::Refused);
}

#[test]
fn many_messages_that_are_a_few_rows_too_wide_go_through() {
    let nulls = Rows { limit: 300_000, defaults: 0, nulls: 200, shared: 0, children: false };
    run("200 columns, 100 kB", &nulls, MB / 10, 12, Fate::Rows);
    run("200 columns, 10 kB", &nulls, MB / 100, 120, Fate::Rows);
    let values = Rows { limit: 300_000, defaults: 25, nulls: 150, shared: 25, children: false };
    run("200 columns with values, 10 kB", &values, MB / 100, 60, Fate::Rows);
}
