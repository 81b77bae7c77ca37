"""Faults of the local disk: a small file system for the lake or the spool, which root can fill and forbid; calls that fail."""

import contextlib
import errno
import os
import pathlib
import shutil
import subprocess
import tempfile

from .catalogue import fault
from .common import ChaosError
from .faults_daemon import drain
from .shim import KINDS, add_daemon

LOCAL = ("local",)
# Root without these is bound by the permissions of files, as everybody is.
WITHOUT_ROOTS_RIGHTS = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search,-fowner")


def order(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ChaosError(f"{' '.join(map(str, command))}: {done.stderr.strip()}")


def mount(run, mebibytes=64):
    """A small disk in the folder of the run; gone at its end, what lay on it is kept."""
    disk = pathlib.Path(tempfile.mkdtemp(prefix="disk-", dir=run.folder))
    order("mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "tmpfs", disk)

    def unmount():
        kept = disk.with_suffix(".kept")
        with contextlib.suppress(shutil.Error):  # single files that are gone
            shutil.copytree(disk, kept)
        order("umount", disk)
        disk.rmdir()
        kept.rename(disk)

    run.undo.callback(unmount)
    return disk


def lake_on_small_disk(run):
    run.disk = mount(run)
    run.lake = run.disk / "lake"


def spool_on_small_disk(run):
    run.disk = mount(run)
    run.add_daemon(spool=run.disk)


def lake_with_permissions(run):
    daemon = run.add_daemon()
    daemon.prefix = WITHOUT_ROOTS_RIGHTS


def fill(run):
    """Fills the disk but for a little, and says with what."""
    filler = run.disk / "filler"
    room = os.statvfs(run.disk)
    size = room.f_bavail * room.f_frsize - run.rng.randrange(200_000)
    with contextlib.suppress(OSError), open(filler, "wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(size, 1))
    run.did("disk filled")
    return filler


ON_SMALL_DISK = {"prepare": lake_on_small_disk, "storages": LOCAL, "needs_root": True, "needs_own_lake": True}


@fault("disk-full", "the disk of the lake is full for 2 to 8 s, twice", **ON_SMALL_DISK)
def disk_full(run):
    for _ in range(2):
        run.pause(1, 3)
        filler = fill(run)
        run.pause(2, 8)
        filler.unlink()


@fault("spool-full", "the disk of the spool is full for 2 to 8 s, twice", prepare=spool_on_small_disk, needs_root=True)
def spool_full(run):
    disk_full(run)


@fault("mix-disk-term", "SIGTERM while the disk of the lake is full: the end is in time, whatever it is", **ON_SMALL_DISK)
def mix_disk_term(run):
    daemon = run.daemons[0]
    for _ in range(2):
        run.pause(1, 3)
        filler = fill(run)
        run.pause(0, 2)
        drain(run, daemon)
        if run.rng.random() < 0.5:
            daemon.start()
            run.pause(1, 3)
        filler.unlink()
        daemon.start()


@fault("disk-read-only", "the disk of the lake is read-only for 2 to 8 s, twice", **ON_SMALL_DISK)
def disk_read_only(run):
    for _ in range(2):
        run.pause(1, 3)
        # Refused while a file is open for writing.
        while subprocess.run(["mount", "-o", "remount,ro", run.disk], capture_output=True, check=False).returncode != 0:
            run.pause(0, 0.05)
        run.did("read-only")
        run.pause(2, 8)
        order("mount", "-o", "remount,rw", run.disk)


@fault(
    "denied", "the daemon may not touch a zone for 2 to 8 s, twice", prepare=lake_with_permissions,
    storages=LOCAL, needs_root=True,
)
def denied(run):
    for _ in range(2):
        run.pause(1, 3)
        zone = run.lake / run.rng.choice(("raw", "ledger", "_forebay", "processed", "quarantine", "."))
        if not zone.is_dir():
            continue
        mode = zone.stat().st_mode
        zone.chmod(0)
        run.did("permission taken away")
        run.pause(2, 8)
        zone.chmod(mode)


# ------------------------------------------------------------------------------------------ calls that fail

# What a disk without room refuses.
ADDING = ("write", "sync", "rename", "mkdir")


def with_shim(run):
    add_daemon(run)


@fault("disk-eio", "calls on files of lake and spool fail at random for 2 to 6 s, with EIO or ENOSPC, six times", prepare=with_shim)
def disk_eio(run):
    (daemon,) = run.daemons
    spool = daemon.folder / "spool"
    folders = {"spool": [spool], "lake": [run.lake], "both": [run.lake, spool]} if run.storage == "local" else {"spool": [spool]}
    for error in run.rng.sample((errno.EIO, errno.EIO, errno.EIO, errno.ENOSPC, errno.ENOSPC, errno.ENOSPC), 6):
        run.wait_progress()
        where = run.rng.choice(list(folders))
        before = daemon.shim.failed
        kinds = KINDS if error == errno.EIO else ADDING
        daemon.shim.fail(error, kinds, run.rng.choice((3, 10, 40, 200)), folders[where])
        run.pause(2, 6)
        daemon.shim.fail_no_more()
        for kind, count in daemon.shim.failed.items():
            if count > before[kind]:
                run.did(f"{errno.errorcode[error]} of {kind}", count - before[kind])
    if not any(daemon.shim.failed.values()):
        raise ChaosError("no call came by that could fail")
