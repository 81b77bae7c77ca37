//! The daemon's answers for people. Colours only where the caller says so.

use jiff::Timestamp;

use super::grid::{Cell, Paint, painted_grid};
use crate::control::api::{
    AcceptedLoss, AcceptedTopic, Change, Daemon, DaemonState, DeadLetters, Lane, LaneState, Lanes, Node, Reloaded,
    RequeueElsewhere, Requeued, RequeuedLane, Rewound, Status, TableView, Tables, Time, Trouble,
};
use crate::observe::escaped;

/// How answers are shown.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// With colours.
    pub colours: bool,
    /// What ages are told from.
    pub now: Timestamp,
}

impl Look {
    /// `forebay status`: the daemon in a few lines, its lanes, its tables.
    pub fn status(self, status: &Status) -> String {
        let Status { version, host, pid, group, lake, .. } = status;
        let state = self.paint(paint_daemon(status.state), daemon_name(status.state));
        let up = duration(status.uptime_seconds);
        let mut out = format!("forebay {version} on {host} (pid {pid}): {state}, up {up}\n");
        out.push_str(&format!("group {group}, lake {lake}\n"));
        if let Some(fault) = &status.kafka_fault {
            out.push_str(&format!("kafka: {}\n", self.paint(Paint::Bad, fault)));
            out.push_str(&self.course(status.kafka_trouble.as_ref()));
        }
        if !status.lanes.is_empty() {
            out.push('\n');
            out.push_str(&self.lanes(&status.lanes));
        }
        if !status.tables.is_empty() {
            out.push('\n');
            out.push_str(&self.tables(&status.tables));
        }
        out
    }

    /// The lanes, one a line, and below them what went wrong.
    pub fn lanes(self, lanes: &[Lane]) -> String {
        let heading = ["lane", "state", "position", "committed", "lag", "buffered", "last commit", "epoch"];
        let line = |lane: &Lane| -> Vec<Cell> {
            vec![
                lane.name().into(),
                Cell::new(lane.state.name(), paint_lane(lane.state)),
                optional(lane.position),
                optional(lane.committed),
                optional(lane.lag),
                show_about(lane.buffered_bytes).into(),
                self.age(lane.last_commit_at).into(),
                optional(lane.epoch),
            ]
        };
        let lines: Vec<Vec<Cell>> = lanes.iter().map(line).collect();
        let mut out = painted_grid(&heading, &lines, &|column| (2..=5).contains(&column) || column == 7, self.colours);
        for lane in lanes {
            if let Some(fault) = &lane.last_fault {
                let name = format!("{}: ", lane.name());
                let fault = fault.strip_prefix(&name).unwrap_or(fault);
                out.push_str(&format!("{name}{}\n", self.paint(Paint::Bad, fault)));
                out.push_str(&self.course(lane.trouble.as_ref()));
            }
            for letters in &lane.dead_letters {
                out.push_str(&self.dead_letters(lane, letters));
            }
        }
        out
    }

    /// How far dead letters are behind; nothing when they are not.
    fn dead_letters(self, lane: &Lane, letters: &DeadLetters) -> String {
        let behind = match letters.lag {
            Some(0) if letters.fault.is_none() => return String::new(),
            Some(lag) => format!("{lag} offsets behind"),
            None => "not looked at yet".to_owned(),
        };
        let fault = letters.fault.as_ref().map(|fault| format!(": {}", self.paint(Paint::Bad, fault)));
        let (lane, DeadLetters { table, topic, .. }) = (lane.name(), letters);
        let course = self.course(letters.trouble.as_ref());
        format!("{lane} dead letters of {table} to {topic}: {behind}{}\n{course}", fault.unwrap_or_default())
    }

    /// Since when, what Forebay does about it, and what can be done; below the line that says what is wrong.
    fn course(self, trouble: Option<&Trouble>) -> String {
        let Some(Trouble { since, times, does, again_at, help, .. }) = trouble else { return String::new() };
        let seconds = |time: i64| duration(time.max(0).unsigned_abs());
        let lasts = seconds(self.now.duration_since(since.0).as_secs());
        let times = if *times > 1 { format!(", {times} times") } else { String::new() };
        let again = match again_at.map(|time| time.0.duration_since(self.now).as_secs()) {
            None => String::new(),
            Some(left) if left > 0 => format!(" in {}", seconds(left)),
            Some(_) => " now".to_owned(),
        };
        format!("  for {lasts}{times}: {does}{again}\n  you can do: {}\n", escaped(help))
    }

    /// The tables, one a line, and below them why messages are in quarantine and what failed.
    pub fn tables(self, tables: &[TableView]) -> String {
        let heading = ["table", "mapping", "rows", "files", "quarantined", "last promotion"];
        let line = |table: &TableView| -> Vec<Cell> {
            let mapping = table.mapping.as_ref();
            let quarantined: u64 = table.quarantined.values().sum();
            let paint = if quarantined > 0 { Paint::Unusual } else { Paint::Plain };
            vec![
                table.name.clone().into(),
                mapping.map_or_else(|| "-".to_owned(), |of| format!("{} v{}", of.name, of.version)).into(),
                table.rows.to_string().into(),
                table.files.to_string().into(),
                Cell::new(quarantined.to_string(), paint),
                self.age(table.last_promotion.as_ref().map(|promotion| promotion.at)).into(),
            ]
        };
        let lines: Vec<Vec<Cell>> = tables.iter().map(line).collect();
        let mut out = painted_grid(&heading, &lines, &|column| (2..=4).contains(&column), self.colours);
        for table in tables {
            for (lane, version) in table.mapping.iter().flat_map(|mapping| &mapping.behind) {
                out.push_str(&format!("{} mapping: {lane} still reads with version {version}\n", table.name));
            }
            if !table.quarantined.is_empty() {
                let codes: Vec<_> = table.quarantined.iter().map(|(code, count)| format!("{code} {count}")).collect();
                out.push_str(&format!("{} quarantined: {}\n", table.name, codes.join(", ")));
            }
            if table.unmapped > 0 {
                let (name, count) = (&table.name, table.unmapped);
                out.push_str(&format!(
                    "{name} unmapped: {count} values that no column takes; see `forebay drift {name}`\n"
                ));
            }
            if let Some(fault) = table.last_promotion.as_ref().and_then(|promotion| promotion.fault.as_deref()) {
                out.push_str(&format!("{} promotion: {}\n", table.name, self.paint(Paint::Bad, fault)));
                let promotion = table.last_promotion.as_ref();
                out.push_str(&self.course(promotion.and_then(|promotion| promotion.trouble.as_ref())));
            }
            for left_out in table.last_promotion.iter().flat_map(|promotion| &promotion.left_out) {
                out.push_str(&format!("{} promotion left out {}\n", table.name, escaped(left_out)));
            }
        }
        out
    }

    /// The tree of actors, children below their supervisor.
    pub fn supervision(self, root: &Node) -> String {
        let mut out = String::new();
        self.node(root, "", "", &mut out);
        out
    }

    fn node(self, node: &Node, branch: &str, indent: &str, out: &mut String) {
        let mut line = format!("{branch}{} {}", node.kind, node.name);
        if node.kind == node.name {
            line = format!("{branch}{}", node.name);
        }
        let state = self.paint(paint_state(&node.state), &node.state);
        line.push_str(&format!(" [{state}] generation {}", node.generation));
        if node.restarts > 0 {
            line.push_str(&format!(", {} restarts", node.restarts));
        }
        if let Some(fault) = &node.last_fault {
            line.push_str(&format!(": {}", self.paint(Paint::Bad, fault)));
        }
        out.push_str(&line);
        out.push('\n');
        for (index, child) in node.children.iter().enumerate() {
            let is_last = index + 1 == node.children.len();
            let (fork, below) = if is_last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
            self.node(child, &format!("{indent}{fork}"), &format!("{indent}{below}"), out);
        }
    }

    /// What `pause` or `resume` changed: each lane whose state is another now.
    pub fn lane_change(self, change: &Change<Lanes>) -> String {
        let mut out = String::new();
        for after in &change.after.lanes {
            let before = change.before.lanes.iter().find(|lane| lane.name() == after.name());
            let is = self.paint(paint_lane(after.state), after.state.name());
            match before {
                Some(before) if before.state == after.state => {
                    out.push_str(&format!("{}: {is} already\n", after.name()));
                }
                Some(before) => out.push_str(&format!("{}: {} → {is}\n", after.name(), before.state.name())),
                None => out.push_str(&format!("{}: {is}\n", after.name())),
            }
        }
        if out.is_empty() { "no lane here\n".to_owned() } else { out }
    }

    /// What `rewind` did, or would do.
    pub fn rewound(self, rewound: &Rewound) -> String {
        let Rewound { to, intervals, messages, .. } = rewound;
        let lane = rewound.before.name();
        let from = rewound.before.committed.map_or_else(String::new, |from| format!(" from offset {from}"));
        if let Some(back) = &rewound.undone {
            let said = if rewound.dry_run { "would go" } else { "goes" };
            return format!(
                "{lane} {said} on at offset {to}, its rewind to {} is taken back: {} intervals, {} messages come back; \
                 {intervals} intervals, {messages} messages read since are taken out\n",
                back.from, back.intervals, back.messages
            );
        }
        let said = if rewound.dry_run { "would be rewound" } else { "is rewound" };
        format!("{lane} {said}{from} to offset {to}: {intervals} intervals, {messages} messages are read again\n")
    }

    /// What `requeue` did, or would do.
    pub fn requeued(self, requeued: &Requeued) -> String {
        let mut out = String::new();
        let said = if requeued.dry_run { "would leave" } else { "left" };
        for lane in &requeued.lanes {
            let RequeuedLane { topic, partition, messages, released, intervals, .. } = lane;
            let rows: Vec<String> = lane.rows.iter().map(|(table, rows)| format!("{rows} rows in {table}")).collect();
            let rows = if rows.is_empty() { String::new() } else { format!(" ({})", rows.join(", ")) };
            out.push_str(&format!(
                "{topic}:{partition}: {released} of {messages} messages {said} quarantine{rows}, {intervals} intervals revised\n"
            ));
            let stay = [
                (lane.partial, "stay with the good ones of their rows in raw"),
                (lane.renewed, "stay for other reasons"),
                (lane.unchanged, "stay as they were"),
                (lane.redacted.len() as u64, "stay, their payload was not kept"),
            ];
            for (count, what) in stay.into_iter().filter(|(count, _)| *count > 0) {
                out.push_str(&format!("  {count} {what}\n"));
            }
            if !lane.redacted.is_empty() {
                let offsets: Vec<String> = lane.redacted.iter().take(20).map(ToString::to_string).collect();
                let more = if lane.redacted.len() > offsets.len() { ", …" } else { "" };
                out.push_str(&format!("    offsets {}{more}\n", offsets.join(", ")));
            }
            for skipped in &lane.skipped {
                out.push_str(&format!("  left as it is: {}\n", self.paint(Paint::Bad, skipped)));
            }
        }
        for RequeueElsewhere { topic, partition, messages, closed, owner } in &requeued.elsewhere {
            if *closed {
                let why = "the topic was created again since";
                out.push_str(&format!("{topic}:{partition}: closed, {messages} messages stay: {why}\n"));
                continue;
            }
            let owner = owner.as_ref().map(|owner| format!(", its last owner is {owner}")).unwrap_or_default();
            out.push_str(&format!("{topic}:{partition}: not assigned to this daemon, {messages} messages{owner}\n"));
        }
        if out.is_empty() { format!("nothing is in quarantine of {}\n", requeued.table) } else { out }
    }

    /// What `accept-topic` decided.
    pub fn accepted(self, accepted: &AcceptedTopic) -> String {
        let AcceptedTopic { topic, topic_id, lineage, was_accepted, .. } = accepted;
        let said = if *was_accepted { "was accepted before" } else { "is accepted" };
        format!("{topic} (id {topic_id}) {said}: the lake calls it {lineage}, from its first message on\n")
    }

    /// What `accept-loss` recorded, or would record.
    pub fn loss(self, accepted: &AcceptedLoss) -> String {
        let AcceptedLoss { before, from, to, .. } = accepted;
        let (lane, said) = (before.name(), if accepted.dry_run { "would be recorded" } else { "are recorded" });
        format!("offsets {from} to {to} of {lane} {said} as lost: reading goes on at offset {to}\n")
    }

    /// What `promote` did.
    pub fn promoted(self, change: &Change<Tables>) -> String {
        let mut out = String::new();
        for table in &change.after.tables {
            let said = match &table.last_promotion {
                None => "not promoted".to_owned(),
                Some(done) => match (&done.fault, done.sequence) {
                    (Some(fault), _) => self.paint(Paint::Bad, fault),
                    (None, None) => "nothing to promote".to_owned(),
                    (None, Some(sequence)) => format!(
                        "promotion {sequence}, {} rows written, {} files added, {} replaced",
                        done.rows, done.files_added, done.files_removed
                    ),
                },
            };
            out.push_str(&format!("{}: {said}\n", table.name));
            let done = table.last_promotion.iter().filter(|done| done.fault.is_none());
            for left_out in done.flat_map(|done| &done.left_out) {
                out.push_str(&format!("  left out {left_out}\n"));
            }
        }
        if out.is_empty() { "no table has a processed zone\n".to_owned() } else { out }
    }

    /// What `reload` changed.
    pub fn reloaded(self, reloaded: &Reloaded) -> String {
        let mut out = String::new();
        let version = |tables: &Tables, name: &str| {
            let table = tables.tables.iter().find(|table| table.name == name);
            table.and_then(|table| table.mapping.as_ref()).map(|mapping| (mapping.name.clone(), mapping.version))
        };
        for name in &reloaded.changed {
            let said = match (version(&reloaded.before, name), version(&reloaded.after, name)) {
                (before, Some((mapping, now))) if before.as_ref().is_some_and(|before| before.1 != now) => {
                    let was = before.map_or(0, |before| before.1);
                    format!("{mapping}, version {was} → {now}")
                }
                _ => "its settings have changed".to_owned(),
            };
            out.push_str(&format!("{name}: {said}\n"));
        }
        if out.is_empty() {
            return "nothing has changed\n".to_owned();
        }
        for lane in &reloaded.lanes {
            let state = self.paint(paint_lane(lane.state), lane.state.name());
            let fault = lane.last_fault.as_ref().map(|fault| format!(": {}", self.paint(Paint::Bad, fault)));
            out.push_str(&format!("{}: {state}{}\n", lane.name(), fault.unwrap_or_default()));
        }
        out
    }

    /// What `drain` began.
    pub fn drained(self, change: &Change<Daemon>) -> String {
        let (before, after) = (change.before.state, change.after.state);
        format!("{} → {}\n", daemon_name(before), self.paint(paint_daemon(after), daemon_name(after)))
    }

    /// The text in colour, where that is wanted. A fault may quote what came from outside: nothing of it acts.
    fn paint(self, paint: Paint, text: &str) -> String {
        let text = escaped(text);
        if self.colours { paint.on(&text) } else { text.into_owned() }
    }

    fn age(self, time: Option<Time>) -> String {
        match time {
            None => "-".to_owned(),
            Some(time) => {
                let seconds = self.now.duration_since(time.0).as_secs();
                // Clocks of two machines may differ by a little.
                format!("{} ago", duration(seconds.max(0).unsigned_abs()))
            }
        }
    }
}

fn optional<T: ToString>(value: Option<T>) -> Cell {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string()).into()
}

/// A size in the largest binary unit it fills, to a tenth: a picture needs no more.
fn show_about(bytes: u64) -> String {
    let unit = bytes.checked_ilog2().map_or(0, |bits| bits / 10);
    let tenths = (u128::from(bytes) * 10) >> (10 * unit);
    match ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"].get(unit as usize) {
        Some(name) if unit > 0 => format!("{}.{} {name}", tenths / 10, tenths % 10),
        _ => format!("{bytes} B"),
    }
}

fn duration(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m {}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h {}m", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{}d {}h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

fn daemon_name(state: DaemonState) -> &'static str {
    match state {
        DaemonState::Starting => "starting",
        DaemonState::Running => "running",
        DaemonState::Draining => "draining",
    }
}

fn paint_daemon(state: DaemonState) -> Paint {
    if state == DaemonState::Running { Paint::Good } else { Paint::Unusual }
}

fn paint_lane(state: LaneState) -> Paint {
    match state {
        LaneState::Running => Paint::Good,
        LaneState::Acquiring | LaneState::Waiting | LaneState::Paused | LaneState::Draining | LaneState::Ended => {
            Paint::Unusual
        }
        LaneState::Halted | LaneState::Parked | LaneState::Fenced => Paint::Bad,
    }
}

fn paint_state(state: &str) -> Paint {
    match state {
        "running" => Paint::Good,
        "halted" | "parked" | "fenced" | "failed" | "hung" => Paint::Bad,
        _ => Paint::Unusual,
    }
}

#[cfg(test)]
mod tests;
