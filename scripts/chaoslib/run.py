"""One run: a fresh topic, a fresh lake, daemons under load, one fault; then quiet, and everything is checked."""

import contextlib
import datetime
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import time

from .common import Broken, ChaosError, until
from .daemon import Daemon, Keeper
from .producer import Producer

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PARTITIONS = 4
PROMOTE_SECONDS = 2
SESSION_SECONDS = 6
# What the clock of a machine shows is nobody's business: everything is UTC.
TIME_ZONES = ("UTC0", "LINT-14", "NST3:30NDT,M3.2.0,M11.1.0")
# What all buffers of a daemon may hold, and what the process may have besides.
MEMORY_MIB, MEMORY_BOUND_MB = 96, 320
# A lane has threads of its own, each with a runtime: about 14 descriptors. A soak adds Kafka partitions all the time.
DESCRIPTORS, DESCRIPTORS_A_PARTITION = 200, 20

# For each block that was begun and given up the NameNode holds the room of a whole one free, for ten minutes and more. With
# blocks of the usual 128 MiB some hundred connections that were cut would fill the disk of a small machine.
ON_HDFS = '[lake.hdfs]\n"dfs.blocksize" = 1048576'

CONFIG = """\
[kafka]
"bootstrap.servers" = "{kafka}"
"group.id" = "{name}"
"group.instance.id" = "{name}-{instance}"
"session.timeout.ms" = {session_ms}
"heartbeat.interval.ms" = 1000
"max.poll.interval.ms" = 20000
"topic.metadata.refresh.interval.ms" = 2000
"reconnect.backoff.max.ms" = 1000
[lake]
root = "{root}"
{lake_settings}
[control]
socket = "{folder}/c.sock"
[logs]
dir = "{folder}/logs"
[limits]
memory = "{memory}MiB"
spool = {{ dir = "{spool}", size = "1GiB" }}
[promote]
interval = "{promote}s"
[supervise]
backoff_max = "1s"
parked_retry = "3s"
[[table]]
name = "books"
topics = ["{name}"]
mapping = "{mapping}"
starting_offsets = "earliest"
on_offset_out_of_range = "{out_of_range}"
[table.raw]
roll_age = "{roll_ms}ms"
roll_rows = {roll_rows}
[table.processed]
record_id = ["record_id"]
date = "added"
"""


class Run:
    """What a fault works with: `rng` for every choice, `daemons`, `servers`, and the words in which it tells what it did."""

    def __init__(self, fault, number, seed, storage, binary, servers, work):
        self.fault, self.number, self.storage, self.binary, self.servers = fault, number, storage, binary, servers
        self.rng = random.Random(f"{seed}/{fault.name}/{number}")
        # Kafka and HDFS keep what earlier campaigns with the same seed have left.
        self.name = f"chaos-{fault.name}-{number}-{os.urandom(3).hex()}"
        self.folder = work / f"{fault.name}-{seed}-{number}"
        self.lake = self.folder / "lake"
        self.daemons, self.injected = [], {}
        self.last_daemon = 0
        # For what has its turn from run to run.
        self.turn = number
        # What a fault adds to the result.
        self.told = {}
        self.keeper = Keeper(self.daemons)
        self.producer = None
        # The best that was ever seen of each Kafka partition.
        self.heads = {}
        # What a fault has put between the daemons and the rest of the world.
        self.proxies, self.disk = [], None
        self.undo = contextlib.ExitStack()
        # Taken once, so that all daemons of a run roll alike.
        self.roll_ms, self.roll_rows = self.rng.choice((300, 500, 1500)), self.rng.choice((400, 100_000))

    # ------------------------------------------------------------------------------------------ what a fault says and does

    def did(self, what, count=1):
        self.injected[what] = self.injected.get(what, 0) + count
        self.note(what)

    def note(self, what):
        with open(self.folder / "injections.log", "a", encoding="utf-8") as log:
            log.write(f"{datetime.datetime.now(datetime.UTC).isoformat(timespec='milliseconds')} {what}\n")

    def pause(self, low, high):
        """Lets the load go on for a random time."""
        time.sleep(self.rng.uniform(low, high))

    def config(self, number, instance, **changes):
        folder = self.folder / f"d{number}"
        folder.mkdir(parents=True, exist_ok=True)
        hdfs = changes.pop("hdfs", self.servers.hdfs)
        values = {
            "kafka": self.servers.kafka, "name": self.name, "instance": instance, "session_ms": SESSION_SECONDS * 1000,
            "root": f"file://{self.lake}" if self.storage == "local" else f"{hdfs}/{self.name}", "folder": folder,
            "lake_settings": ON_HDFS if self.storage == "hdfs" else "",
            "spool": folder / "spool", "memory": MEMORY_MIB, "promote": PROMOTE_SECONDS,
            "mapping": ROOT / "config/tables/books.toml", "roll_ms": self.roll_ms, "roll_rows": self.roll_rows,
            "out_of_range": "fail",
        }
        path = folder / "forebay.toml"
        path.write_text(CONFIG.format(**{**values, **changes}))
        return folder, path

    def add_daemon(self, instance=None, **changes):
        """A further daemon of the group, not started yet."""
        self.last_daemon += 1
        number = self.last_daemon
        folder, path = self.config(number, instance or number, **changes)
        daemon = Daemon(self.binary, folder, path)
        daemon.variables.update(self.servers.variables)
        # What an audit remembers of the lake goes with it.
        daemon.variables["XDG_CACHE_HOME"] = str(folder / "cache")
        daemon.variables["TZ"] = self.rng.choice(TIME_ZONES)
        self.daemons.append(daemon)
        return daemon

    def add_daemons(self, total):
        while len(self.daemons) < total:
            self.add_daemon()

    def start_daemons(self):
        """Starts all whose part is not over."""
        for daemon in self.daemons:
            if not daemon.is_retired:
                daemon.start()

    def lanes(self):
        """The best that any daemon says of each Kafka partition."""
        best = {}
        for status in filter(None, (daemon.status() for daemon in self.daemons if daemon.is_running)):
            for lane in status["lanes"]:
                if lane["committed"] is not None:
                    best[lane["partition"]] = max(best.get(lane["partition"], 0), lane["committed"])
        return best

    def lake_folders(self, *zones):
        """Every folder below these zones of the lake."""
        for zone in zones:
            if self.storage == "hdfs":
                yield from self.servers.folders(f"{self.name}/{zone}")
            else:
                yield from (path for path in (self.lake / zone).rglob("*") if path.is_dir())

    def wait_committed(self, least, seconds=120):
        """Waits until so many messages are committed: a fault that came earlier would find nothing to harm."""

        def is_committed():
            if self.producer.fault:
                raise ChaosError(self.producer.fault)
            # A lane that halts before it has worked does not tell its head.
            for number, head in self.lanes().items():
                self.heads[number] = max(self.heads.get(number, 0), head)
            return sum(self.heads.values()) >= least

        until(f"{least} messages are committed", is_committed, seconds, every=0.05)

    def wait_progress(self):
        """Waits until more is committed than was ever seen, however busy the machine is."""
        self.wait_committed(sum(self.heads.values()) + 1)

    # ------------------------------------------------------------------------------------------ the run

    def execute(self):
        """The whole run; its result as one JSON line."""
        self.folder.mkdir(parents=True)
        begun, why, kind, found = time.monotonic(), [], "good", {}
        try:
            self.set_up()
            self.fault.inject(self)
            self.note("end of the fault")
            found.update(self.recover())
            self.stop_all()
            found.update(self.check(why))
        except Broken as broken:
            why.append(str(broken))
        except ChaosError as error:
            kind = "void"
            why.append(str(error))
        finally:
            found.update(self.clean_up(why))
        if kind == "good" and why:
            kind = "bad"
        return {
            "fault": self.fault.name, "run": self.number, "storage": self.storage, "outcome": kind, "why": why,
            "seconds": round(time.monotonic() - begun, 1), "injected": self.injected, **self.told, **found,
        }

    def set_up(self):
        self.servers.create_topic(self.name, PARTITIONS, self.fault.topic)
        if self.fault.prepare:
            self.fault.prepare(self)
        self.add_daemons(self.fault.daemons)
        self.producer = Producer(
            self.servers.kafka, self.name, PARTITIONS, random.Random(self.rng.random()), self.folder / "ledger.jsonl",
            rate=self.rng.uniform(40, 150), **self.fault.load,
        )
        self.producer.start()
        self.start_daemons()
        self.keeper.start()
        self.wait_committed(1)

    def wait_lag_zero(self, seconds):
        """Waits until everything that is in the topic now is committed."""
        ends = self.servers.ends(self.name)

        def is_committed():
            lanes = self.lanes()
            return all(lanes.get(number, 0) >= end for number, end in ends.items())

        try:
            until("lag zero", is_committed, seconds)
        except Broken as broken:
            raise Broken(f"{broken}: {self.lanes()} of {ends}") from None

    def recover(self):
        """The fault is over and the load ends: all is committed and promoted, by itself; how long that took."""
        healed = time.monotonic()
        self.start_daemons()
        self.producer.close()
        seconds = self.fault.recovery_seconds
        self.wait_lag_zero(seconds)
        lag_zero, at = time.monotonic(), datetime.datetime.now(datetime.UTC)
        # A promotion that began before may have missed the last commit.
        at += datetime.timedelta(seconds=PROMOTE_SECONDS)
        until("everything is promoted", lambda: self.is_promoted(at), seconds)
        return {
            "recovery_seconds": round(lag_zero - healed, 1), "promoted_seconds": round(time.monotonic() - healed, 1),
        }

    def is_promoted(self, since):
        """Whether some daemon has found nothing to promote after `since`, and had left out nothing."""
        for status in filter(None, (daemon.status() for daemon in self.daemons if daemon.is_running)):
            for table in status["tables"]:
                last = table["last_promotion"]
                if table["name"] != "books" or last is None or last["fault"] or last["left_out"]:
                    continue
                # A time that is still to come was told by a clock that was wrong.
                at, now = datetime.datetime.fromisoformat(last["at"]), datetime.datetime.now(datetime.UTC)
                if last["sequence"] is None and since < at <= now:
                    return True
        return False

    def stop_all(self):
        for daemon in self.daemons:
            daemon.terminate()

    # ------------------------------------------------------------------------------------------ checks

    def check(self, why):
        """Everything that has to hold at the end; what does not goes to `why`."""
        counts, wrong = self.producer.settle(self.folder / "expected.jsonl")
        if wrong:
            raise ChaosError(f"Kafka itself: {'; '.join(wrong[:5])}")
        checked = self.check_lake(why)
        if self.fault.check:
            self.fault.check(self, why)
        audit = self.daemons[0].ask("--json", "audit", seconds=300)
        if audit.returncode != 0:
            (self.folder / "audit.json").write_text(audit.stdout + audit.stderr)
            why.append(f"audit says {audit.returncode}, see audit.json")
        return {"ledger": counts, "checked": checked, "checks": ["check_lake", "audit", "logs", "exits", "bounds"]}

    def check_lake(self, why):
        """The independent reader over the ledger of the producer."""
        order = [sys.executable, ROOT / "tests/oracle/check_lake.py", "--table", "books"]
        order += ["--expected", self.folder / "expected.jsonl"]
        where = [self.lake] if self.storage == "local" else [f"/{self.name}", "--webhdfs", self.servers.webhdfs]
        done = subprocess.run([*order, "--root", *where], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            (self.folder / "check_lake.json").write_text(done.stdout + done.stderr)
        try:
            report = json.loads(done.stdout)
        except ValueError:
            why.append(f"check_lake failed: {done.stderr.strip()[-300:]}")
            return {}
        for promise in report["violated"]:
            why.append(f"{promise['id']}: {promise['count']} × {promise['violations'][0]}")
        return report["checked"]

    def check_daemons(self, why):
        """No panic, no end that nobody asked for, nothing above its bound."""
        # A set-up that failed has no producer.
        partitions = self.producer.partitions if self.producer else PARTITIONS
        most = DESCRIPTORS + DESCRIPTORS_A_PARTITION * partitions
        for daemon in self.daemons:
            name = daemon.folder.name
            if not self.fault.may_panic:
                why += [f"{name}: {line}" for line in daemon.panics()[:3]]
            strange = [code for code in daemon.unasked if code not in self.fault.may_end]
            if strange:
                why.append(f"{name} ended by itself with {', '.join(map(str, strange))}")
            if daemon.peak["memory_mb"] > MEMORY_BOUND_MB or daemon.peak["descriptors"] > most:
                why.append(f"{name} is above its bounds: {daemon.peak}")
        return {
            "memory_mb": max((daemon.peak["memory_mb"] for daemon in self.daemons), default=0),
            "descriptors": max((daemon.peak["descriptors"] for daemon in self.daemons), default=0),
            "restarts": sum(len(daemon.unasked) for daemon in self.daemons),
        }

    # ------------------------------------------------------------------------------------------ the end

    def clean_up(self, why):
        """Nothing of the run goes on, whatever has happened; what the daemons have to say for themselves."""
        if self.keeper.is_alive():
            self.keeper.close()
        if self.producer:
            self.producer.ended.set()
        for daemon in self.daemons:
            daemon.thaw()
            daemon.kill()
        self.undo.close()
        found = self.check_daemons(why)
        if left := processes_of(self.folder):
            why.append(f"processes are left over: {left}")
        self.servers.heal()
        return found

    def forget(self):
        """A good run leaves nothing behind."""
        self.servers.delete_topic(self.name)
        if self.storage == "hdfs":
            self.servers.delete_lake(self.name)
        shutil.rmtree(self.folder, ignore_errors=True)


def processes_of(folder):
    """Process ids whose command line names the folder of the run."""
    found = []
    for proc in pathlib.Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if proc.name.isdigit() and f"{folder}/".encode() in (proc / "cmdline").read_bytes():
                found.append(int(proc.name))
    return found
