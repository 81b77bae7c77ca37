"""HDFS has no more room for the lake, by a quota of its folder or because the DataNodes have none; or the daemon has no more
memory. Then there is some again."""

import resource

from .catalogue import fault
from .common import until
from .daemon import ABORTED

HDFS = {"storages": ("hdfs",), "recovery_seconds": 180}
TOLD_SECONDS = 60
# More than any disk has.
ALL_BYTES = 1 << 60


def wait_told(run, words):
    """Until a daemon says, of some lane, what is wrong, in these words."""

    def is_told():
        found = [lane["last_fault"] for daemon in run.daemons for lane in (daemon.status() or {"lanes": []})["lanes"]]
        return any(fault and words in fault.lower() for fault in found)

    until(f"the status says “{words}”", is_told, TOLD_SECONDS)


@fault("namenode-quota", "the folder of the lake may hold no more names, then no more bytes, for 2 to 10 s each", **HDFS)
def namenode_quota(run):
    for kind in run.rng.sample(("namespacequota", "storagespacequota"), 2):
        run.wait_progress()
        run.pause(0, 2)
        # Less than is there: that much HDFS allows.
        run.servers.set_quota(run.name, **{kind: 1})
        run.undo.callback(run.servers.set_quota, run.name, **{kind: -1})
        wait_told(run, "quota")
        run.did(f"{kind.removesuffix('quota')} quota reached")
        run.pause(2, 10)
        run.servers.set_quota(run.name, **{kind: -1})


@fault("cluster-full", "no DataNode has room for another block, for 2 to 10 s", **HDFS)
def cluster_full(run):
    run.undo.callback(run.servers.reserve, 0)
    run.pause(0, 2)
    run.servers.reserve(ALL_BYTES)
    wait_told(run, "could only be written to 0 of the")
    run.did("cluster full")
    run.pause(2, 10)
    run.servers.reserve(0)


def writes_failed(run):
    return sum(len(daemon.events("storage.unavailable")) for daemon in run.daemons)


@fault("datanode-full", "the DataNodes run out of room in the middle of a block, for 2 to 10 s, twice", **HDFS)
def datanode_full(run):
    nothing = resource.RLIM_INFINITY
    run.undo.callback(run.servers.limit_files, nothing)
    for _ in range(2):
        run.wait_progress()
        run.pause(0, 2)
        before = writes_failed(run)
        # Their own limit makes their calls fail as a full disk does, and not before the first byte.
        run.servers.limit_files(run.rng.choice((512, 1024, 2048)))
        until("a write fails", lambda: writes_failed(run) > before, TOLD_SECONDS)
        run.did("DataNodes full")
        run.pause(2, 10)
        run.servers.limit_files(nothing)


@fault("memory-limit", "the daemon gets no more memory than it has, for 2 to 8 s, twice", may_end=(ABORTED,), may_panic=True)
def memory_limit(run):
    (daemon,) = run.daemons
    for _ in range(2):
        run.wait_progress()
        run.pause(0, 2)
        daemon.limit_memory(run.rng.randrange(4 << 20))
        run.did("memory limited")
        run.pause(2, 8)
        daemon.limit_memory(None)
    run.did("end for want of memory", daemon.unasked.count(ABORTED))
