//! One Kafka partition, its lake in memory, and an owner that works on it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use forebay::clock::{Clock, ManualClock};
use forebay::fault::{Fault, Verdict};
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

use forebay::storage::sim::SimFs;

/// Where the configured start resolves to.
pub(crate) const START: i64 = 3;
/// Takes the newest rewind back.
pub(crate) const UNDO: UndoOrder<'static> = UndoOrder { expect: None, reason: "test" };
/// High watermark of the topic.
pub(crate) const END: i64 = 13;

/// What tells one end of a story from another: what the lake shows, and the least position from which anybody read.
pub(crate) type State = (u64, Option<i64>);

/// Footers of ledger files, by path and checksum.
type Footers = BTreeMap<(String, u32), Arc<serde_json::Value>>;

pub(crate) struct World {
    pub(crate) memory: Arc<SimFs>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) source: TopicPartition,
    spool: Arc<Spool>,
    /// Those that were read.
    pub(super) footers: Arc<Mutex<Footers>>,
    /// Fingerprints of states that were found sound.
    pub(super) sound: Arc<Mutex<HashSet<u64>>>,
    /// States from which a recovery has ended well.
    pub(super) settled: Arc<Mutex<HashSet<State>>>,
    /// Where owners were told to begin reading, in order.
    pub(crate) started: Mutex<Vec<i64>>,
    /// Head of the chain when the last call of an owner was answered; 0 while one that cuts the chain has no answer
    /// yet.
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
    /// Files by what is in them: one that is asked for again is another name of it, which costs less than a file.
    kept: (tempfile::TempDir, Mutex<HashMap<String, PathBuf>>),
}

impl Spool {
    fn new() -> Self {
        let dir = || tempfile::tempdir().unwrap();
        Self { dir: dir(), files: AtomicU64::new(0), kept: (dir(), Mutex::default()) }
    }
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
            spool: Arc::new(Spool::new()),
            footers: Arc::default(),
            sound: Arc::default(),
            settled: Arc::default(),
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
            sound: Arc::clone(&self.sound),
            settled: Arc::clone(&self.settled),
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

    pub(crate) fn state(&self) -> State {
        (self.memory.fingerprint(), self.started.lock().unwrap().iter().min().copied())
    }

    fn answer(&self, head: i64) {
        *self.answered.lock().unwrap() = head;
    }

    fn spool_path(&self) -> PathBuf {
        self.spool.dir.path().join(self.spool.files.fetch_add(1, Ordering::SeqCst).to_string())
    }

    pub(crate) fn spool_is_empty(&self) -> bool {
        std::fs::read_dir(self.spool.dir.path()).unwrap().next().is_none()
    }

    fn spool(&self, content: &str, rows: u64) -> Spooled {
        let (path, (dir, kept)) = (self.spool_path(), &self.spool.kept);
        let mut kept = kept.lock().unwrap();
        let fresh = dir.path().join(kept.len().to_string());
        let same = kept.entry(content.to_owned()).or_insert_with(|| {
            std::fs::write(&fresh, content).unwrap();
            fresh
        });
        std::fs::hard_link(same, &path).unwrap();
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
        // Whatever happened meanwhile: it was in place, or a later rewind has taken it out; when that was taken back,
        // it has another epoch.
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
}
