//! What becomes of calls when parts of a real HDFS hang or die, or one NameNode takes over from another. They break
//! what they run on, so each test starts a stack of its own, beside the one that `FOREBAY_STACK_HDFS` says is there
//! (which shows that one can be).

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use forebay::lake::mutate;
use forebay::storage::hdfs::HdfsStorage;
use forebay::storage::{Content, Deadlines, Kind, LakePath, Storage, StorageError};

/// A stack of our own, and a lake on it.
struct Bench {
    dir: tempfile::TempDir,
    storage: HdfsStorage,
    options: BTreeMap<String, String>,
    lake: LakePath,
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = script(self.dir.path(), &["down", "--purge"]).status();
    }
}

const SHORT: Deadlines = Deadlines {
    look: Duration::from_secs(3),
    mutation: Duration::from_secs(3),
    write: Duration::from_secs(8),
    bytes_per_second: 1024 * 1024,
};
/// What a busy machine may add to a deadline.
const SLACK: Duration = Duration::from_secs(3);

impl Bench {
    fn open(made: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        run(dir.path(), &[&["up", "--quick", "--ports", "auto"], made].concat());
        let env = run(dir.path(), &["env"]);
        let variable = |name: &str| env.lines().find_map(|line| line.strip_prefix(&format!("export {name}=")));
        let conf = variable("HADOOP_CONF_DIR").map(|dir| ("hadoop.conf.dir".to_owned(), dir.to_owned()));
        let options: BTreeMap<_, _> = conf.into_iter().collect();
        let storage = HdfsStorage::open(variable("FOREBAY_STACK_HDFS").unwrap(), options.clone(), SHORT).unwrap();
        Self { dir, storage, options, lake: LakePath::root().join("lake") }
    }

    /// As a process that has just been started.
    fn another(&self) -> HdfsStorage {
        HdfsStorage::open(self.storage.url(), self.options.clone(), SHORT).unwrap()
    }

    /// By its own address, whatever the nameservice says.
    fn to_namenode(&self, name: &str) -> HdfsStorage {
        let status = run(self.dir.path(), &["status"]);
        let line = status.lines().find(|line| line.split_whitespace().next() == Some(name)).unwrap();
        let port = line.split_whitespace().skip_while(|word| *word != "port").nth(1).unwrap();
        let patient = Deadlines { look: Duration::from_secs(30), ..SHORT };
        HdfsStorage::open(&format!("hdfs://127.0.0.1:{port}/"), BTreeMap::new(), patient).unwrap()
    }

    fn stack(&self, arguments: &[&str]) {
        run(self.dir.path(), arguments);
    }

    fn path(&self, name: &str) -> LakePath {
        self.lake.join(name)
    }

    fn put(&self, name: &str, bytes: &[u8]) -> LakePath {
        let path = self.path(name);
        self.storage.create(&path, Content::Bytes(bytes)).unwrap();
        path
    }

    /// Until HDFS takes a file again.
    fn wait_until_it_works(&self) -> Duration {
        let started = Instant::now();
        loop {
            let path = self.path(&format!("probe-{}", uuid::Uuid::new_v4()));
            match self.storage.make_dirs(&self.lake).and_then(|()| self.storage.create(&path, Content::Bytes(b"x"))) {
                Ok(()) => return started.elapsed(),
                Err(error) => assert!(started.elapsed() < Duration::from_secs(120), "still {error}"),
            }
        }
    }
}

fn script(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/stack"));
    command.arg("--dir").arg(dir).args(arguments);
    command
}

fn run(dir: &Path, arguments: &[&str]) -> String {
    let output = script(dir, arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Runs `call`, which has to fail with `kind` within `limit`.
#[track_caller]
fn fails<T: std::fmt::Debug>(kind: Kind, limit: Duration, call: impl FnOnce() -> Result<T, StorageError>) {
    let started = Instant::now();
    let error = call().expect_err("this had to fail");
    println!("{:>6.2} s  {:?}: {error}", started.elapsed().as_secs_f64(), error.kind);
    assert_eq!(error.kind, kind, "{error}");
    assert!(started.elapsed() < limit + SLACK, "took {:?}, not {limit:?}", started.elapsed());
}

fn a_hung_namenode_costs_a_deadline(bench: &Bench) {
    let (from, to) = (bench.put("from", b"x"), bench.path("to"));
    bench.stack(&["stop", "namenode"]);
    fails(Kind::Unavailable, SHORT.look, || bench.storage.stat(&from));
    fails(Kind::Unavailable, SHORT.look, || bench.storage.list(&bench.lake));
    fails(Kind::Unavailable, SHORT.look, || bench.storage.read(&from, 0, 1));
    fails(Kind::Unknown, SHORT.mutation, || bench.storage.rename(&from, &to));
    fails(Kind::Unknown, SHORT.mutation, || bench.storage.make_dirs(&bench.path("dir")));
    fails(Kind::Unknown, SHORT.write, || bench.storage.create(&bench.path("file"), Content::Bytes(b"x")));
    let opened = bench.another();
    fails(Kind::Unavailable, SHORT.look, || opened.stat(&from));
    bench.stack(&["cont", "namenode"]);
    println!("{:>6.2?} until it works again", bench.wait_until_it_works());
    // The rename may have been done after its deadline: never both, never neither.
    let at = |path| <dyn Storage>::look(&bench.storage, path).unwrap().is_some();
    println!("          the rename whose answer was lost was {}", if at(&to) { "done" } else { "not done" });
    assert_ne!(at(&from), at(&to));
}

fn a_dead_namenode_is_told_at_once(bench: &Bench) {
    let from = bench.put("still", b"x");
    bench.stack(&["kill", "namenode"]);
    let limit = Duration::from_secs(3);
    fails(Kind::Unavailable, limit, || bench.storage.stat(&from));
    fails(Kind::Unavailable, limit, || bench.storage.rename(&from, &bench.path("moved")));
    fails(Kind::Unavailable, limit, || bench.storage.create(&bench.path("file-2"), Content::Bytes(b"x")));
    let opened = bench.another();
    fails(Kind::Unavailable, limit, || opened.list(&bench.lake));
    bench.stack(&["start", "namenode"]);
    println!("{:>6.2?} until it works again", bench.wait_until_it_works());
    assert!(<dyn Storage>::look(&bench.storage, &bench.path("moved")).unwrap().is_none());
    bench.storage.stat(&from).unwrap();
}

const FILES: usize = 16;

fn write_some(bench: &Bench, name: &str) -> usize {
    let bytes = vec![7; 200_000];
    let mut took = Vec::new();
    let mut done = 0;
    for index in 0..FILES {
        let started = Instant::now();
        match bench.storage.create(&bench.path(&format!("{name}-{index}")), Content::Bytes(&bytes)) {
            Ok(()) => done += 1,
            Err(error) => println!("          {:?}: {error}", error.kind),
        }
        took.push(started.elapsed());
    }
    took.sort();
    println!(
        "          {name}: {done} of {FILES} written, median {:.2?}, slowest {:.2?}",
        took[FILES / 2],
        took[FILES - 1]
    );
    done
}

fn a_dead_datanode_does_not_stop_writes(bench: &Bench) {
    bench.stack(&["kill", "datanode-2"]);
    // Two DataNodes, one dead: a rung with one copy finds the living one every other time.
    let done = write_some(bench, "one-dead");
    assert!(done >= FILES - 1, "{done} of {FILES}");
    let paths: Vec<_> = (0..30).map(|index| bench.path(&format!("many-{index}"))).collect();
    let files: Vec<_> = paths.iter().map(|path| (path.clone(), Content::Bytes(&[1; 50_000]))).collect();
    let started = Instant::now();
    let answers = bench.storage.write_all(&files);
    let done = answers.iter().filter(|answer| answer.is_ok()).count();
    println!("          write_all: {done} of 30 in {:.2?}", started.elapsed());
    assert!(done >= 29, "{done} of 30");
    for entry in bench.storage.list(&bench.lake).unwrap() {
        if entry.path.name().starts_with("many-") {
            assert_eq!(entry.bytes, 50_000);
            assert_eq!(bench.storage.read(&entry.path, 0, entry.bytes).unwrap().len(), 50_000);
        }
    }
    bench.stack(&["start", "datanode-2"]);
    bench.wait_until_it_works();
}

fn without_any_datanode_a_write_fails_and_leaves_nothing(bench: &Bench) {
    bench.stack(&["kill", "datanode-1", "datanode-2"]);
    let path = bench.path("nowhere");
    fails(Kind::Unavailable, SHORT.write, || bench.storage.create(&path, Content::Bytes(b"x")));
    assert!(<dyn Storage>::look(&bench.storage, &path).unwrap().is_none());
    bench.stack(&["start", "datanode-1", "datanode-2"]);
    println!("{:>6.2?} until it works again", bench.wait_until_it_works());
}

fn a_hung_datanode_costs_tries(bench: &Bench) {
    bench.stack(&["stop", "datanode-2"]);
    let storage = HdfsStorage::open(bench.storage.url(), BTreeMap::new(), Deadlines::default()).unwrap();
    for index in 0..2 {
        let started = Instant::now();
        let answer = storage.create(&bench.path(&format!("hung-{index}")), Content::Bytes(&[7; 200_000]));
        println!("{:>6.2?} {answer:?}", started.elapsed());
        assert!(started.elapsed() < Deadlines::default().write + SLACK * 3);
    }
    bench.stack(&["cont", "datanode-2"]);
    println!("{:>6.2?} until it works again", bench.wait_until_it_works());
}

/// Small changes as protocols make them, as long as the other NameNode is being made the active one.
fn a_handover_costs_seconds(bench: &Bench) {
    let (mut slowest, mut changes) = (Duration::ZERO, 0);
    std::thread::scope(|scope| {
        let handover = scope.spawn(|| bench.stack(&["failover"]));
        while !handover.is_finished() {
            let to = bench.path(&format!("after-{changes}"));
            let started = Instant::now();
            while let Err(error) = mutate::publish(&bench.storage, &bench.lake, b"x", &to) {
                println!("          {error}");
                assert!(started.elapsed() < Duration::from_secs(10), "still {error}");
            }
            assert_eq!(bench.storage.confirm(&to).unwrap(), bench.storage.stat(&to).unwrap());
            slowest = slowest.max(started.elapsed());
            changes += 1;
        }
    });
    println!("          {changes} changes, the slowest took {slowest:.2?}");
    // Back to the one that is named first.
    bench.stack(&["failover"]);
}

/// The active NameNode stands still with a rename in its queue, the other one takes over, the first one goes on.
fn what_a_deposed_namenode_shows_is_never_confirmed(bench: &Bench) {
    let (from, to) = (bench.put("from", b"x"), bench.path("to"));
    // Looks that are under way when it stops, and are answered when it goes on.
    let lookers = [(); 4].map(|()| bench.to_namenode("namenode"));
    let (is_over, shown, asked) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for storage in &lookers {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    asked.fetch_add(1, Ordering::Relaxed);
                    shown.fetch_add(u64::from(storage.stat(&to).is_ok()), Ordering::Relaxed);
                    let confirmed = storage.confirm(&to);
                    assert!(confirmed.is_err(), "confirmed, though no journal has it: {confirmed:?}");
                }
            });
        }
        bench.stack(&["stop", "namenode"]);
        fails(Kind::Unknown, SHORT.mutation, || bench.storage.rename(&from, &to));
        bench.stack(&["failover", "--force"]);
        // Whoever has found the one that answers stays with it, and whoever comes new loses one deadline.
        bench.wait_until_it_works();
        let opened = bench.another();
        fails(Kind::Unavailable, SHORT.look, || opened.stat(&from));
        for storage in [&bench.storage, &opened] {
            let started = Instant::now();
            for _ in 0..5 {
                storage.stat(&from).unwrap();
                storage.confirm(&from).unwrap();
            }
            println!("{:>6.2?} for ten looks", started.elapsed());
            assert!(started.elapsed() < SHORT.look, "one deadline was enough");
        }
        bench.stack(&["cont", "namenode"]);
        let patience = Instant::now();
        while patience.elapsed() < Duration::from_secs(5) {
            assert_eq!(bench.storage.confirm(&to).unwrap_err().kind, Kind::NotFound);
        }
        is_over.store(true, Ordering::Relaxed);
    });
    println!("          the deposed one showed it {shown:?} of {asked:?} times");
    bench.storage.rename(&from, &to).unwrap();
    assert_eq!(bench.another().confirm(&to).unwrap().bytes, 1);
}

/// Whether there is a real HDFS; CI leaves nothing out.
fn is_there() -> bool {
    let is_there = std::env::var_os("FOREBAY_STACK_HDFS").is_some();
    if !is_there {
        println!("LEFT OUT: faults of a real HDFS; start one with scripts/stack and set FOREBAY_STACK_HDFS");
        assert!(std::env::var_os("CI").is_none(), "FOREBAY_STACK_HDFS is not set, and CI leaves nothing out");
    }
    is_there
}

/// One test, since each part breaks what the next one needs whole.
#[test]
fn of_two_namenodes_one_is_believed() {
    if !is_there() {
        return;
    }
    let bench = Bench::open(&["--ha", "--datanodes", "1"]);
    bench.wait_until_it_works();
    println!("a handover costs seconds");
    a_handover_costs_seconds(&bench);
    println!("what a deposed namenode shows is never confirmed");
    what_a_deposed_namenode_shows_is_never_confirmed(&bench);
}

/// One test, since each part breaks what the next one needs whole.
#[test]
fn faults_become_answers() {
    if !is_there() {
        return;
    }
    let bench = Bench::open(&["--datanodes", "2"]);
    bench.wait_until_it_works();
    for (name, part) in [
        ("a hung namenode costs a deadline", a_hung_namenode_costs_a_deadline as fn(&Bench)),
        ("a dead namenode is told at once", a_dead_namenode_is_told_at_once),
        ("a dead datanode does not stop writes", a_dead_datanode_does_not_stop_writes),
        (
            "without any datanode a write fails and leaves nothing",
            without_any_datanode_a_write_fails_and_leaves_nothing,
        ),
        ("a hung datanode costs tries", a_hung_datanode_costs_tries),
    ] {
        println!("{name}");
        part(&bench);
    }
}
