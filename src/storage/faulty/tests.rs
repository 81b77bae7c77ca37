use std::sync::mpsc::channel;
use std::time::Duration;

use super::*;
use crate::storage::local::LocalStorage;

struct Bench {
    _dir: tempfile::TempDir,
    below: Arc<dyn Storage>,
    faulty: Arc<FaultyStorage>,
}

fn bench() -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let below: Arc<dyn Storage> = Arc::new(LocalStorage::open(dir.path()).unwrap());
    Bench { _dir: dir, faulty: Arc::new(FaultyStorage::new(below.clone())), below }
}

fn path(name: &str) -> LakePath {
    LakePath::root().join(name)
}

fn kind<T: fmt::Debug>(answer: Result<T, StorageError>) -> Kind {
    answer.unwrap_err().kind
}

#[test]
fn a_call_that_fails_before_is_not_done() {
    let bench = bench();
    bench.faulty.inject_once(Injected::Fail(Kind::NoSpace), |call| call.operation == Operation::Create);
    assert_eq!(kind(bench.faulty.create(&path("a"), Content::Bytes(b"x"))), Kind::NoSpace);
    assert_eq!(bench.below.look(&path("a")).unwrap(), None);
    bench.faulty.create(&path("a"), Content::Bytes(b"x")).unwrap();
}

#[test]
fn a_call_whose_answer_is_lost_is_done() {
    let bench = bench();
    bench.faulty.inject(Injected::LoseAnswer, |call| call.path == path("a"));
    assert_eq!(kind(bench.faulty.create(&path("a"), Content::Bytes(b"x"))), Kind::Unknown);
    assert_eq!(kind(bench.faulty.stat(&path("a"))), Kind::Unavailable);
    assert_eq!(kind(bench.faulty.rename(&path("a"), &path("b"))), Kind::Unknown);
    assert_eq!(&bench.below.read_whole(&path("b")).unwrap()[..], b"x");
}

#[test]
fn a_torn_file_is_half_there() {
    let bench = bench();
    bench.faulty.inject_once(Injected::Tear, |_| true);
    assert_eq!(kind(bench.faulty.create(&path("a"), Content::Bytes(b"1234"))), Kind::Unknown);
    assert_eq!(&bench.below.read_whole(&path("a")).unwrap()[..], b"12");
}

#[test]
fn after_a_crash_nothing_is_done_any_more() {
    for k in 0..4 {
        let bench = bench();
        bench.faulty.crash_after(k);
        let names = ["a", "b", "c", "d"];
        let answers = names.map(|name| bench.faulty.create(&path(name), Content::Bytes(b"x")));
        let done = answers.iter().filter(|answer| answer.is_ok()).count();
        assert_eq!((done as u64, bench.below.list(&LakePath::root()).unwrap().len() as u64), (k, k));
        assert!(bench.faulty.is_crashed());
        bench.faulty.heal();
        bench.faulty.make_dirs(&path("e")).unwrap();
    }
}

#[test]
fn crash_points_can_be_counted_in_mutations() {
    let bench = bench();
    bench.faulty.make_dirs(&path("before")).unwrap();
    bench.faulty.crash_after_mutations(1);
    bench.faulty.list(&LakePath::root()).unwrap();
    bench.faulty.create(&path("a"), Content::Bytes(b"x")).unwrap();
    bench.faulty.stat(&path("a")).unwrap();
    assert_eq!(kind(bench.faulty.delete(&path("a"))), Kind::Unavailable);
    assert_eq!(kind(bench.faulty.stat(&path("a"))), Kind::Unavailable);
    assert_eq!((bench.faulty.mutations(), bench.faulty.calls()), (3, 6));
    assert_eq!(bench.faulty.count(Operation::Stat), 2);
    assert_eq!(bench.faulty.history()[4].to_string(), "4 delete a");
}

#[test]
fn each_file_of_many_is_a_call_of_its_own() {
    let bench = bench();
    bench.faulty.inject(Injected::Fail(Kind::Denied), |call| call.path.name() == "b");
    let files = ["a", "b", "c"].map(|name| (path(name), Content::Bytes(b"x")));
    let answers = bench.faulty.write_all(&files);
    assert!(answers[0].is_ok() && answers[1].is_err() && answers[2].is_ok());
    assert_eq!(bench.faulty.count(Operation::Create), 3);
}

#[test]
fn a_zombie_can_be_held_between_two_calls() {
    let bench = bench();
    bench.below.make_dirs(&path("stage")).unwrap();
    bench.below.create(&path("stage").join("file"), Content::Bytes(b"x")).unwrap();
    let ((arrived, arrives), (release, released)) = (channel(), channel::<()>());
    let released = Mutex::new(released);
    bench.faulty.before_each(move |call| {
        if call.operation == Operation::Rename {
            arrived.send(()).unwrap();
            released.lock().unwrap().recv().unwrap();
        }
    });
    let zombie = {
        let faulty = bench.faulty.clone();
        std::thread::spawn(move || faulty.rename(&path("stage").join("file"), &path("file")))
    };
    arrives.recv_timeout(Duration::from_secs(60)).unwrap();
    bench.below.rename(&path("stage"), &path("fenced")).unwrap();
    release.send(()).unwrap();
    assert_eq!(kind(zombie.join().unwrap()), Kind::NotFound);
}
