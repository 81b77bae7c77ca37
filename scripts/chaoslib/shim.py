"""What stands between a daemon and its C library (shim.c), and how it is told what to do."""

import ctypes
import mmap
import subprocess

from .common import ChaosError
from .run import ROOT

SOURCE = ROOT / "scripts/chaoslib/shim.c"
# As in shim.c.
KINDS = ("open", "read", "write", "sync", "rename", "mkdir", "unlink")
PORTS, FOLDERS, PATH_BYTES = 8, 2, 512
SECOND_NS = 1_000_000_000


class Control(ctypes.Structure):
    """`struct control` of shim.c."""

    _fields_ = [
        ("clock_offset_ns", ctypes.c_int64),
        ("fail_one_in", ctypes.c_int64),
        ("fail_kinds", ctypes.c_int64),
        ("error", ctypes.c_int64),
        ("seed", ctypes.c_int64),
        ("tried", ctypes.c_int64),
        ("failed", ctypes.c_int64 * len(KINDS)),
        ("wrong_times", ctypes.c_int64),
        ("ports", ctypes.c_int64 * 2 * PORTS),
        ("redirected", ctypes.c_int64),
        ("folders", ctypes.c_char * PATH_BYTES * FOLDERS),
    ]


class Shim:
    """Of one daemon. What is set is in force at once, and outlives the process."""

    def __init__(self, run, daemon):
        path = daemon.folder / "shim"
        path.write_bytes(bytes(ctypes.sizeof(Control)))
        with open(path, "r+b") as file:
            self.control = Control.from_buffer(mmap.mmap(file.fileno(), 0))
        self.control.seed = run.rng.getrandbits(62)
        daemon.variables |= {"LD_PRELOAD": str(built(run.folder.parent)), "CHAOS_SHIM": str(path)}

    def set_clock(self, seconds):
        """The clock is wrong by so much."""
        self.control.clock_offset_ns = round(seconds * SECOND_NS)

    def fail(self, error, kinds, one_in, folders):
        """One of so many calls of these kinds on files below these folders fails with `error`, on the average."""
        for number, folder in enumerate(folders):
            self.control.folders[number].value = str(folder).encode()
        self.control.error = error
        self.control.fail_kinds = sum(1 << KINDS.index(kind) for kind in kinds)
        self.control.fail_one_in = one_in

    def fail_no_more(self):
        self.control.fail_one_in = 0

    @property
    def failed(self):
        """Failures so far, by kind."""
        return dict(zip(KINDS, self.control.failed))

    def lead(self, ports):
        """Connections to these ports go to those."""
        for number, both in enumerate(ports.items()):
            self.control.ports[number][:] = both


def add_daemon(run, **changes):
    """A further daemon of the run, with a shim."""
    daemon = run.add_daemon(**changes)
    daemon.shim = Shim(run, daemon)
    return daemon


def built(folder):
    """The library, compiled when the source is newer."""
    library = folder / "shim.so"
    if not library.exists() or library.stat().st_mtime < SOURCE.stat().st_mtime:
        order = ["cc", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o", library, SOURCE]
        try:
            done = subprocess.run(order, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            raise ChaosError("no C compiler `cc`: the shim cannot be built") from None
        if done.returncode != 0:
            raise ChaosError(f"cc: {done.stderr.strip()[-500:]}")
    return library
