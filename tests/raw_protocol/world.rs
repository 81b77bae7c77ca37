//! One Kafka partition, its lake in memory, an owner that works on it, and a checker that knows only the manual.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use forebay::clock::{Clock, ManualClock};
use forebay::fault::{Fault, Verdict};
use forebay::lake::audit::{Depth, audit_raw};
use forebay::lake::chain::{LedgerFile, read_chain};
use forebay::lake::fence::Owner;
use forebay::lake::footer::Zone;
use forebay::lake::ledger::{LedgerWriter, Spooled};
use forebay::lake::names::UNROUTED;
use forebay::lake::{
    Committed, LakeError, LaneLedger, PendingInterval, RewindOrder, SpooledData, StartPosition, UndoOrder, acquire,
};
use forebay::model::batch::{LedgerRow, Outcome};
use forebay::model::offset::{OffsetRange, TopicPartition};
use forebay::model::violation::Code;
use forebay::storage::Storage;
use jiff::Timestamp;
use parquet::file::reader::{FileReader, SerializedFileReader};

use forebay::storage::sim::SimFs;

/// Where the configured start resolves to.
pub(crate) const START: i64 = 3;
/// Takes the newest rewind back.
pub(crate) const UNDO: UndoOrder<'static> = UndoOrder { expect: None, reason: "test" };
/// High watermark of the topic.
pub(crate) const END: i64 = 13;

pub(crate) struct World {
    pub(crate) memory: Arc<SimFs>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) source: TopicPartition,
    spool: Arc<Spool>,
    /// Footers of ledger files that were read, by path and checksum.
    footers: Arc<Mutex<BTreeMap<(String, u32), serde_json::Value>>>,
    /// Where owners were told to begin reading, in order.
    pub(crate) started: Mutex<Vec<i64>>,
    /// Head of the chain when the last call of an owner was answered; 0 while one that cuts the chain has no answer yet.
    pub(crate) answered: Mutex<i64>,
    /// Where the configured start resolves to, for whoever asks next.
    latest: Latest,
    /// What owners do before they read on.
    first: First,
    /// Whether every good message has rows of a child table too.
    has_children: bool,
    /// Whether every other broken message is one that no table takes.
    pub(crate) has_nobodys: bool,
}

struct Spool {
    dir: tempfile::TempDir,
    files: AtomicU64,
}

/// What an owner does before it reads on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum First {
    Nothing,
    /// Takes a rewind back, see [`World::rewound`].
    Undo,
    /// Revises two intervals, see [`World::revised`].
    Revise,
}

/// `latest` on a topic that goes on: every answer is another one.
pub(crate) struct Latest(AtomicU64);

impl Latest {
    pub(crate) fn new() -> Self {
        Self(AtomicU64::new(START as u64))
    }
}

impl StartPosition for Latest {
    fn resolve(&self, _: &TopicPartition) -> Result<i64, Fault> {
        Ok(self.0.fetch_add(1, Ordering::SeqCst) as i64)
    }
}

pub(crate) fn owner(instance: &str) -> Owner {
    Owner {
        host: "h".into(),
        pid: 1,
        boot_id: "b".into(),
        group: "forebay".into(),
        cluster_id: Some("c".into()),
        topic_id: Some("t".into()),
        instance: instance.into(),
        software: "0.1.0".into(),
        taken_at: Timestamp::UNIX_EPOCH,
        takes_over: false,
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self::at("2026-11-20T23:59:30Z".parse().unwrap())
    }

    pub(crate) fn at(now: Timestamp) -> Self {
        Self::on(SimFs::hdfs(now), now)
    }

    fn on(memory: SimFs, now: Timestamp) -> Self {
        Self {
            memory: Arc::new(memory),
            clock: Arc::new(ManualClock::new(now)),
            source: TopicPartition::new("library", 7),
            spool: Arc::new(Spool { dir: tempfile::tempdir().unwrap(), files: AtomicU64::new(0) }),
            footers: Arc::default(),
            started: Mutex::default(),
            answered: Mutex::default(),
            latest: Latest::new(),
            first: First::Nothing,
            has_children: false,
            has_nobodys: false,
        }
    }

    /// An empty lake of that make, for messages with child rows.
    pub(crate) fn of(make: fn(Timestamp) -> SimFs) -> Self {
        let now = "2026-11-20T23:59:30Z".parse().unwrap();
        Self { has_children: true, ..Self::on(make(now), now) }
    }

    /// The world as it would be if all that is alive died now.
    pub(crate) fn fork(&self) -> Self {
        Self {
            memory: Arc::new(self.memory.fork()),
            clock: Arc::clone(&self.clock),
            source: self.source.clone(),
            spool: Arc::clone(&self.spool),
            footers: Arc::clone(&self.footers),
            started: Mutex::new(self.started.lock().unwrap().clone()),
            answered: Mutex::new(*self.answered.lock().unwrap()),
            latest: Latest(AtomicU64::new(self.latest.0.load(Ordering::SeqCst))),
            first: self.first,
            has_children: self.has_children,
            has_nobodys: self.has_nobodys,
        }
    }

    /// A lake whose owner has read [3, 9), rewound to 5 and read [5, 6) again. Owners take that rewind back first.
    pub(crate) fn rewound(self) -> Self {
        let world = Self { first: First::Undo, ..self };
        let storage = Arc::clone(&world.memory) as Arc<dyn Storage>;
        let mut lane = world.acquire(&storage, "earlier").unwrap();
        (0..3).for_each(|_| world.commit_next(&mut lane, 2, "earlier").unwrap());
        lane.rewind(RewindOrder { target: 6, expect: Some(9), broker_low: 0, reason: "test" }).unwrap();
        world.commit_next(&mut lane, 1, "again").unwrap();
        world
    }

    /// A lake whose owner has read [3, 9) in three intervals. Owners revise the last two first.
    pub(crate) fn revised(self) -> Self {
        let world = Self { first: First::Revise, ..self };
        let storage = Arc::clone(&world.memory) as Arc<dyn Storage>;
        let mut lane = world.acquire(&storage, "earlier").unwrap();
        (0..3).for_each(|_| world.commit_next(&mut lane, 2, "earlier").unwrap());
        world
    }

    /// Revises every interval that begins in `[from, to)`, going on after faults that may pass.
    pub(crate) fn revise(&self, lane: &mut LaneLedger, from: i64, to: i64, by: &str) -> Result<(), LakeError> {
        // What an owner reads it reads from the real lake: a look changes nothing.
        let state = read_chain(&*self.memory, &self.source)?;
        let is_meant = |file: &&LedgerFile| (from..to).contains(&file.name.range.from());
        for old in state.chain.live.iter().filter(is_meant) {
            let mut pending = self.interval(old.name.range.from(), old.name.range.to(), by);
            let mut attempt = 0;
            while let Err(error) = lane.revise(&mut pending, old, "test") {
                attempt += 1;
                if Fault::from(error.clone()).verdict != Verdict::Retry || attempt == 3 {
                    pending.discard();
                    return Err(error);
                }
            }
        }
        lane.end_revisions()
    }

    pub(crate) fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock) as Arc<dyn Clock>
    }

    pub(crate) fn acquire(&self, storage: &Arc<dyn Storage>, instance: &str) -> Result<LaneLedger, LakeError> {
        let lane = acquire(storage, &self.clock(), &owner(instance), &self.source, &self.latest)?;
        self.started.lock().unwrap().push(lane.head());
        self.answer(lane.head());
        Ok(lane)
    }

    fn answer(&self, head: i64) {
        *self.answered.lock().unwrap() = head;
    }

    fn spool_path(&self) -> std::path::PathBuf {
        self.spool.dir.path().join(self.spool.files.fetch_add(1, Ordering::SeqCst).to_string())
    }

    pub(crate) fn spool_is_empty(&self) -> bool {
        std::fs::read_dir(self.spool.dir.path()).unwrap().next().is_none()
    }

    fn spool(&self, content: &str, rows: u64) -> Spooled {
        let path = self.spool_path();
        std::fs::write(&path, content).unwrap();
        Spooled { path, bytes: content.len() as u64, rows, checksum: crc32fast::hash(content.as_bytes()) }
    }

    pub(crate) fn ledger_writer(&self) -> LedgerWriter {
        LedgerWriter::create(self.spool_path(), [Arc::from("books")].into()).unwrap()
    }

    /// The interval `[from, to)` as a reader of the topic makes it: every third message is broken.
    pub(crate) fn interval(&self, from: i64, to: i64, by: &str) -> PendingInterval {
        let mut ledger = self.ledger_writer();
        let (good, bad): (Vec<i64>, Vec<i64>) = (from..to).partition(|offset| offset % 3 != 0);
        for offset in from..to {
            let is_good = offset % 3 != 0;
            let row = LedgerRow {
                offset,
                timestamp_us: Some(offset),
                outcome: if is_good { Outcome::Rows } else { Outcome::Quarantined },
                table: (is_good || !self.is_nobodys(offset)).then_some(0),
                rows: u32::from(is_good),
                code: (!is_good).then_some(Code::XML_EMPTY),
            };
            ledger.append(&[row]).unwrap();
        }
        let mut data = Vec::new();
        if self.has_children && !good.is_empty() {
            let file = self.spool(&format!("{by}: {}", "chapter ".repeat(good.len())), 2 * good.len() as u64);
            data.push(SpooledData { zone: Zone::Raw, table: "chapters".into(), file });
        }
        let (nobodys, bad): (Vec<i64>, Vec<i64>) = bad.into_iter().partition(|offset| self.is_nobodys(*offset));
        let files =
            [(Zone::Raw, "books", good), (Zone::Quarantine, "books", bad), (Zone::Quarantine, UNROUTED, nobodys)];
        for (zone, table, offsets) in files {
            if !offsets.is_empty() {
                let content = format!("{by}: {offsets:?}");
                let file = self.spool(&content, offsets.len() as u64);
                data.push(SpooledData { zone, table: table.into(), file });
            }
        }
        PendingInterval::new(OffsetRange::new(from, to).unwrap(), ledger, data, Vec::new())
    }

    fn is_nobodys(&self, offset: i64) -> bool {
        self.has_nobodys && offset % 2 == 0
    }

    /// Commits the next `len` messages to the lake in memory.
    pub(crate) fn commit_next(&self, lane: &mut LaneLedger, len: i64, by: &str) -> Result<(), LakeError> {
        let committed = self.commit_next_on(lane, len, by)?;
        // Whatever happened meanwhile: it was in place, or a later rewind has taken it out; when that was taken back, it
        // has another epoch.
        let name = committed.ledger.name().rsplit_once("+e").unwrap().0;
        let is_anywhere = |dir: &str| self.memory.files(dir).keys().any(|path| path.contains(name));
        assert!(is_anywhere("ledger") || is_anywhere(&self.home("superseded")), "{name} is not committed");
        Ok(())
    }

    /// Commits the next `len` messages, going on after faults that may pass as the buffer does.
    pub(crate) fn commit_next_on(&self, lane: &mut LaneLedger, len: i64, by: &str) -> Result<Committed, LakeError> {
        let from = lane.head();
        let mut pending = self.interval(from, from + len, by);
        let mut attempt = 0;
        loop {
            let error = match lane.commit(&mut pending) {
                Ok(committed) => {
                    self.answer(lane.head());
                    return Ok(committed);
                }
                Err(error) => error,
            };
            attempt += 1;
            if Fault::from(error.clone()).verdict != Verdict::Retry || attempt == 3 {
                pending.discard();
                return Err(error);
            }
        }
    }

    /// Everything an owner does: acquire, take a rewind back or revise where the world says so, commit, rewind, commit.
    pub(crate) fn script(&self, storage: &Arc<dyn Storage>, by: &str) -> Result<(), LakeError> {
        let mut lane = self.acquire(storage, by)?;
        let commit = |lane: &mut LaneLedger, len| match storage.url() {
            "sim://hdfs" | "sim://local" => self.commit_next(lane, len, by),
            _ => self.commit_next_on(lane, len, by).map(drop),
        };
        match self.first {
            First::Nothing => {}
            First::Undo => {
                self.answer(0);
                match lane.undo(UNDO) {
                    // Refused: another owner has done it.
                    Ok(_) | Err(LakeError::Refused(_)) => self.started.lock().unwrap().push(lane.head()),
                    Err(error) => return Err(error),
                }
                self.answer(lane.head());
            }
            First::Revise => self.revise(&mut lane, 5, 9, by)?,
        }
        if lane.head() + 4 <= END {
            commit(&mut lane, 2)?;
            commit(&mut lane, 2)?;
            let back = lane.head() - 1;
            self.answer(0);
            lane.rewind(RewindOrder { target: back, expect: None, broker_low: 0, reason: "test" })?;
            self.answer(lane.head());
            commit(&mut lane, 1)?;
        }
        Ok(())
    }

    /// What a restarted daemon does when nothing fails: acquire, and read to the end.
    pub(crate) fn recover(&self, by: &str) -> LaneLedger {
        self.recover_on(&(Arc::clone(&self.memory) as Arc<dyn Storage>), by, END).unwrap()
    }

    /// The same on a storage that may fail, so many messages an interval at most.
    pub(crate) fn recover_on(&self, storage: &Arc<dyn Storage>, by: &str, most: i64) -> Result<LaneLedger, LakeError> {
        let mut lane = self.acquire(storage, by)?;
        while lane.head() < END {
            let len = (END - lane.head()).min(most);
            self.commit_next(&mut lane, len, by)?;
        }
        Ok(lane)
    }

    /// What must hold in every state of storage, in the middle of everything: the chain has no hole and no overlap,
    /// what it names is there, and whoever lists the data directories sees no offset twice, unless a revision goes on.
    pub(crate) fn check_any_state(&self) -> Result<(), String> {
        self.chain()?;
        let table = |path: &str| path.split('/').nth(1).unwrap().to_owned();
        let raw = self.memory.files("raw");
        let mut ranges: Vec<_> = raw.keys().map(|path| (table(path), interval_of(path).0)).collect();
        ranges.sort_unstable();
        let is_revising = self.is_revising();
        let is_twice = |one: &(String, (i64, i64)), next: &(String, (i64, i64))| {
            one.0 == next.0 && next.1.0 < one.1.1 && !(is_revising && one == next)
        };
        match ranges.windows(2).find(|pair| is_twice(&pair[0], &pair[1])) {
            Some(pair) => Err(format!("a directory reader sees offsets twice: {pair:?}")),
            None => Ok(()),
        }
    }

    fn floor(&self) -> Option<i64> {
        self.memory.files(&self.home("floor")).keys().map(|path| number(path, 0)).max()
    }

    /// What must hold when one owner at a time is at work: whatever it was answered is still so.
    pub(crate) fn check_answered(&self) -> Result<(), String> {
        let head = self.chain()?.last().map(|(path, _)| interval_of(path).0.1).or(self.floor()).unwrap_or(0);
        let answered = *self.answered.lock().unwrap();
        if head < answered {
            return Err(format!("an owner was told that the chain ends at {answered}, and it ends at {head}"));
        }
        Ok(())
    }

    /// Whether revisions were begun and are not done.
    fn is_revising(&self) -> bool {
        let files = self.memory.files(&self.home("revision"));
        let count = |ending: &str| files.keys().filter(|path| path.ends_with(ending)).count();
        count(".json") > count(".done")
    }

    /// What must hold besides when an owner has settled in and read to the end.
    pub(crate) fn check_at_rest(&self) -> Result<(), String> {
        self.check_any_state()?;
        let chain = self.chain()?;
        if self.is_revising() || chain.len() != self.memory.files("ledger").len() {
            return Err("a revision is not finished".into());
        }
        let started = self.started.lock().unwrap();
        let floor = self.floor().ok_or("no floor")?;
        if started.iter().any(|start| *start < floor) {
            return Err(format!("an owner read from {started:?}, the chain begins at {floor}: skipped"));
        }
        let mut named: BTreeMap<String, String> = BTreeMap::new();
        let mut seen = Vec::new();
        for (path, footer) in &chain {
            let ((from, to), _) = interval_of(path);
            for file in footer["files"].as_array().unwrap() {
                named.insert(file["path"].as_str().unwrap().to_owned(), path.clone());
            }
            let text: String = footer["files"].as_array().unwrap().iter().map(|file| self.text(file)).collect();
            let offsets = text.split(|c: char| !c.is_ascii_digit()).filter_map(|number| number.parse::<i64>().ok());
            let mut offsets: Vec<i64> = offsets.collect();
            offsets.sort_unstable();
            if offsets != (from..to).collect::<Vec<_>>() {
                return Err(format!("{path} covers [{from}, {to}), its files hold {offsets:?}"));
            }
            seen.extend(offsets);
        }
        if seen != (floor..END).collect::<Vec<_>>() {
            return Err(format!("from {floor} to {END} the lake holds {seen:?}"));
        }
        let data = self.memory.files("raw").into_keys().chain(self.memory.files("quarantine").into_keys());
        if let Some(orphan) = data.into_iter().find(|path| !named.contains_key(path)) {
            return Err(format!("no ledger file names {orphan}"));
        }
        let fenced = self.memory.files(&self.home("fenced"));
        if !fenced.is_empty() {
            return Err(format!("left behind: {:?}", fenced.keys()));
        }
        Ok(())
    }

    /// What `audit` says of the lake as it is.
    pub(crate) fn audit(&self) -> Result<(), String> {
        let audit = audit_raw(&*self.memory, Depth::Ledger).map_err(|error| error.to_string())?;
        let violations = audit.chain.violations.iter().chain(&audit.complete.violations);
        let violations: Vec<String> = violations.map(ToString::to_string).collect();
        if violations.is_empty() { Ok(()) } else { Err(format!("the audit says: {}", violations.join("; "))) }
    }

    pub(crate) fn home(&self, what: &str) -> String {
        format!("_forebay/raw/library/p00007/{what}")
    }

    fn text(&self, file: &serde_json::Value) -> String {
        let content = self.content(file["path"].as_str().unwrap()).unwrap();
        String::from_utf8(content.to_vec()).unwrap().split_once(':').unwrap().1.to_owned()
    }

    /// What a file holds; not through the storage, whose looks make durable what they show.
    fn content(&self, path: &str) -> Option<bytes::Bytes> {
        self.memory.files(path.rsplit_once('/')?.0).remove(path)
    }

    /// Ledger files that count, by offset, each with its footer; an error when they are no chain or name what is not there.
    /// Of two that begin at one offset the higher epoch counts, and it has to cover the other.
    fn chain(&self) -> Result<Vec<(String, serde_json::Value)>, String> {
        let mut files: Vec<_> = self.memory.files("ledger").into_iter().collect();
        files.sort_by_key(|(path, _)| {
            let ((from, to), epoch) = interval_of(path);
            (from, Reverse(epoch), to)
        });
        let mut at = None;
        let mut chain: Vec<(String, serde_json::Value)> = Vec::new();
        for (path, content) in files {
            let ((from, to), epoch) = interval_of(&path);
            let newest = chain.last().map(|(path, _)| interval_of(path));
            if newest.is_some_and(|(range, newer)| range.0 <= from && to <= range.1 && newer > epoch) {
                continue;
            }
            if at.is_some_and(|at| at != from) {
                return Err(format!("expected {at:?}, found {path}"));
            }
            at = Some(to);
            let footer = self.footer(&path, content)?;
            for file in footer["files"].as_array().unwrap() {
                let path = file["path"].as_str().unwrap();
                let content = self.content(path).ok_or_else(|| format!("{path} is named and not there"))?;
                if file["bytes"] != content.len() || file["crc32"] != crc32fast::hash(&content) {
                    return Err(format!("{path} is not what its ledger file says"));
                }
            }
            chain.push((path, footer));
        }
        Ok(chain)
    }

    fn footer(&self, path: &str, content: bytes::Bytes) -> Result<serde_json::Value, String> {
        let key = (path.to_owned(), crc32fast::hash(&content));
        if let Some(footer) = self.footers.lock().unwrap().get(&key) {
            return Ok(footer.clone());
        }
        let reader = SerializedFileReader::new(content).map_err(|error| format!("{path}: {error}"))?;
        let metadata = reader.metadata().file_metadata();
        let pairs = metadata.key_value_metadata().unwrap();
        let footer = pairs.iter().find(|pair| pair.key == "forebay.interval").unwrap().value.clone().unwrap();
        let footer: serde_json::Value = serde_json::from_str(&footer).unwrap();
        if footer["messages"] != metadata.num_rows() || footer["ledger"] != path {
            return Err(format!("{path} says something else of itself"));
        }
        self.footers.lock().unwrap().insert(key, footer.clone());
        Ok(footer)
    }
}

fn number(path: &str, part: usize) -> i64 {
    path.rsplit('/').next().unwrap().split('+').nth(part).unwrap().parse().unwrap()
}

/// Offsets and epoch that a file name tells.
fn interval_of(path: &str) -> ((i64, i64), u64) {
    let epoch = path.rsplit("+e").next().unwrap().trim_end_matches(".parquet").parse().unwrap();
    ((number(path, 2), number(path, 3)), epoch)
}
