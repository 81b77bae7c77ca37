use std::sync::Arc;

use super::*;

fn path(text: &str) -> LakePath {
    LakePath::parse(text).unwrap()
}

fn both() -> [SimFs; 2] {
    let now = Timestamp::UNIX_EPOCH;
    [SimFs::hdfs(now), SimFs::local(now)]
}

/// Every state that the call goes through, the one after it last, each with the step that would have come next.
fn states(fs: &SimFs, call: impl FnOnce(&SimFs)) -> Vec<(String, SimFs)> {
    let states: Arc<Mutex<Vec<(String, SimFs)>>> = Arc::default();
    let (seen, eye) = (Arc::clone(&states), fs.another());
    fs.watch(move |step| seen.lock().unwrap().push((step.to_string(), eye.fork())));
    call(fs);
    let mut states = std::mem::take(&mut *states.lock().unwrap());
    states.push(("done".to_owned(), fs.fork()));
    states
}

fn lengths(fs: &SimFs) -> Vec<(String, usize)> {
    fs.files("").into_iter().map(|(path, content)| (path, content.len())).collect()
}

#[test]
fn a_fork_goes_its_own_way_and_another_hold_does_not() {
    for fs in both() {
        let (fork, other) = (fs.fork(), fs.another());
        other.create(&path("a"), Content::Bytes(b"x")).unwrap();
        assert_eq!((fs.files("").len(), fork.files("").len()), (1, 0));
        assert_ne!(fs.fingerprint(), fork.fingerprint());
        assert_eq!(fs.fingerprint(), other.fingerprint());
    }
}

#[test]
fn a_file_on_its_way_is_there_and_not_whole() {
    let [hdfs, local] = both();
    let create = |fs: &SimFs| fs.create(&path("a"), Content::Bytes(b"four")).unwrap();
    let sizes = |states: Vec<(String, SimFs)>| -> Vec<Option<usize>> {
        states.iter().map(|(_, fs)| lengths(fs).first().map(|(_, length)| *length)).collect()
    };
    assert_eq!(sizes(states(&hdfs, create)), [None, Some(0), Some(4)]);
    assert_eq!(sizes(states(&local, create)), [None, Some(0), Some(2), Some(4), Some(4), Some(4)]);
}

#[test]
fn an_open_file_follows_its_directory_but_not_its_deletion() {
    for (take_away, on_hdfs, on_disk) in [
        ((|fs: &SimFs| fs.rename(&path("stage"), &path("fenced")).unwrap()) as fn(&SimFs), Some(4), Some(4)),
        (|fs| fs.delete(&path("stage")).unwrap(), None, None),
    ] {
        for (fs, left) in both().into_iter().zip([on_hdfs, on_disk]) {
            fs.make_dirs(&path("stage")).unwrap();
            let other = fs.another();
            fs.watch(move |step| {
                if matches!(step.what, "close" | "write") {
                    take_away(&other);
                }
            });
            let answer = fs.create(&path("stage/a"), Content::Bytes(b"four"));
            assert_eq!(answer.map_err(|error| error.kind), if fs.is_remote() { Err(Kind::NotFound) } else { Ok(()) });
            assert_eq!(lengths(&fs).first().map(|(_, length)| *length), left);
        }
    }
}

#[test]
fn on_hdfs_a_power_cut_takes_nothing_and_deep_calls_are_one_step() {
    let [hdfs, _] = both();
    assert_eq!(states(&hdfs, |fs| fs.make_dirs(&path("a/b/c")).unwrap()).len(), 2);
    hdfs.create(&path("a/b/f"), Content::Bytes(b"x")).unwrap();
    hdfs.power_cut();
    assert_eq!(lengths(&hdfs), [("a/b/f".to_owned(), 1)]);
    assert_eq!(states(&hdfs, |fs| fs.delete(&path("a")).unwrap()).len(), 2);
    assert_eq!(lengths(&hdfs), []);
}

/// What a local disk shows after a power cut at any step is what was there before the call or after it, in part for
/// what is one step to nobody.
#[test]
fn on_a_local_disk_what_was_answered_survives_and_what_was_not_may_not() {
    let [_, local] = both();
    local.make_dirs(&path("a/b")).unwrap();
    local.create(&path("a/b/f"), Content::Bytes(b"four")).unwrap();
    let after_cuts = |call: &dyn Fn(&SimFs)| -> Vec<Vec<(String, usize)>> {
        let states = states(&local, call);
        states.iter().for_each(|(_, fs)| fs.power_cut());
        states.iter().map(|(_, fs)| lengths(fs)).collect()
    };
    let file = |path: &str| vec![(path.to_owned(), 4)];
    let renamed = after_cuts(&|fs| fs.rename(&path("a/b/f"), &path("a/g")).unwrap());
    assert_eq!(renamed, [file("a/b/f"), file("a/b/f"), file("a/g"), file("a/g")], "one rename is one step, cut or not");
    let moved = after_cuts(&|fs| fs.rename(&path("a"), &path("c")).unwrap());
    assert_eq!(moved, [file("a/g"), file("a/g"), file("c/g"), file("c/g")]);
    let created = after_cuts(&|fs| fs.create(&path("c/h"), Content::Bytes(b"four")).unwrap());
    let both = vec![("c/g".to_owned(), 4), ("c/h".to_owned(), 4)];
    assert_eq!(created[..5], [(); 5].map(|()| file("c/g")), "an entry that was not synced is not there");
    assert_eq!(created[5], both);
    let deleted = after_cuts(&|fs| fs.delete(&path("c")).unwrap());
    assert_eq!((deleted.first(), deleted.last()), (Some(&both), Some(&Vec::new())));
    assert_eq!(deleted.len(), 6, "two files, two directories, and one sync");
}

#[test]
fn a_careless_disk_forgets_what_it_answered() {
    let fs = SimFs::careless(Timestamp::UNIX_EPOCH, Care::None);
    fs.create(&path("a"), Content::Bytes(b"four")).unwrap();
    fs.power_cut();
    assert_eq!(lengths(&fs), []);
}

/// A process dies between its rename and the sync; another one looks, and then the power goes.
#[test]
fn what_was_looked_at_survives_whoever_did_it() {
    for (care, is_there) in [(Care::Changes, false), (Care::Grounds, true)] {
        for look in
            [|fs: &SimFs| drop(fs.list(&path("to")).unwrap()), |fs: &SimFs| drop(fs.stat(&path("to/a")).unwrap())]
        {
            let fs = SimFs::careless(Timestamp::UNIX_EPOCH, care);
            fs.make_dirs(&path("to")).unwrap();
            fs.create(&path("a"), Content::Bytes(b"x")).unwrap();
            let states = states(&fs, |fs| fs.rename(&path("a"), &path("to/a")).unwrap());
            let killed = &states[1].1;
            look(killed);
            killed.power_cut();
            assert_eq!(killed.files("to").len(), usize::from(is_there), "{care:?}");
        }
    }
}

/// A process dies between a mkdir and the sync, and another one moves a file into that directory.
#[test]
fn what_was_moved_into_a_directory_does_not_go_with_it() {
    for (care, is_kept) in [(Care::Changes, false), (Care::Grounds, true)] {
        let fs = SimFs::careless(Timestamp::UNIX_EPOCH, care);
        fs.create(&path("a"), Content::Bytes(b"x")).unwrap();
        let states = states(&fs, |fs| fs.make_dirs(&path("to/there")).unwrap());
        let killed = &states[3].1;
        assert_eq!(states[3].0, "sync the entry of to/there");
        killed.rename(&path("a"), &path("to/there/a")).unwrap();
        killed.power_cut();
        assert_eq!(killed.files("").len(), usize::from(is_kept), "{care:?}");
    }
}

#[test]
fn names_that_were_drawn_by_lot_are_alike() {
    for name in [|uuid: uuid::Uuid| format!("e0000000002-{uuid}"), |uuid: uuid::Uuid| format!("{}.new", uuid.simple())]
    {
        let lakes = [0; 2].map(|_| {
            let [fs, _] = both();
            fs.create(&path(&name(uuid::Uuid::new_v4())), Content::Bytes(b"x")).unwrap();
            fs
        });
        assert_eq!(lakes[0].fingerprint(), lakes[1].fingerprint());
        lakes[1].create(&path("00000000000000000003+00000000000000000005+e0000000002"), Content::Bytes(b"")).unwrap();
        assert_ne!(lakes[0].fingerprint(), lakes[1].fingerprint());
    }
}

#[test]
fn a_directory_does_not_outlive_the_entry_it_hangs_on() {
    let fs = SimFs::careless(Timestamp::UNIX_EPOCH, Care::None);
    fs.make_dirs(&path("a/b")).unwrap();
    // Its own entries are synced, and nothing above.
    let dir = fs.disk().find_dir(&path("a/b")).unwrap();
    fs.create(&path("a/b/f"), Content::Bytes(b"x")).unwrap();
    fs.disk().sync_dir(dir);
    fs.power_cut();
    assert_eq!(lengths(&fs), []);
    assert_eq!(fs.stat(&path("a")).unwrap_err().kind, Kind::NotFound);
}

/// Two changes of one directory become durable in their order, whichever of their directories is synced.
#[test]
fn of_two_changes_the_earlier_one_is_never_lost_alone() {
    let fs = SimFs::careless(Timestamp::UNIX_EPOCH, Care::None);
    ["stage", "raw", "ledger"].into_iter().for_each(|dir| fs.make_dirs(&path(dir)).unwrap());
    ["stage/d", "stage/l"].into_iter().for_each(|file| fs.create(&path(file), Content::Bytes(b"x")).unwrap());
    fs.rename(&path("stage/d"), &path("raw/d")).unwrap();
    fs.rename(&path("stage/l"), &path("ledger/l")).unwrap();
    let [root, ledger] = ["", "ledger"].map(|dir| fs.disk().find_dir(&path(dir)).unwrap());
    fs.disk().sync_dir(root);
    fs.disk().sync_dir(ledger);
    fs.power_cut();
    assert_eq!(lengths(&fs), [("ledger/l".to_owned(), 0), ("raw/d".to_owned(), 0)]);
}
