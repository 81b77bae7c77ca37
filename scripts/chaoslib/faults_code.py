"""Faults at named places of the code itself (`failpoint::reach` in src/): the daemon dies there, or a stage panics or dawdles."""

import mmap
import re

from .catalogue import fault
from .common import ChaosError
from .run import PARTITIONS, ROOT

ABORTED = -6
WAIT_SECONDS = 15
STAGES = ("KafkaReader", "Parser", "Validator", "ParquetBufferer")


def places():
    """Every named place, in the order of their names."""
    found = set()
    for path in (ROOT / "src").rglob("*.rs"):
        found.update(re.findall(r'failpoint::reach\("([^"]+)"\)', path.read_text(encoding="utf-8")))
    if not found:
        raise ChaosError("no failpoint::reach in src/")
    return sorted(found)


def with_places(run):
    """The program has them: only then does it know the variable by which they are told what to do."""
    with open(run.binary, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as program:
        if program.find(b"FAILPOINTS") < 0:
            raise ChaosError(f"{run.binary} was built without --features failpoints")


def need(happened):
    if not happened:
        raise ChaosError("nothing happened at any named place")


def provoke(run, daemon):
    """Makes the daemon come by where it seldom does."""
    partition, head = run.rng.choice(sorted(run.lanes().items()) or [(0, 0)])
    orders = [("promote",), ("rewind", f"{run.name}:{partition}", "--to", str(run.rng.randint(0, head)), "--reason", "chaos")]
    return daemon.begin(*run.rng.choice(orders))


def die_at(run, daemon, place, which):
    """Starts the daemon so that it dies when it comes by `place` for the time after `which`; whether it did."""
    daemon.kill()
    daemon.variables["FAILPOINTS"] = f"{place}={which}*off->1*return"
    daemon.start()
    daemon.is_wanted = False
    asked = []
    try:
        for _ in range(WAIT_SECONDS):
            if daemon.ends_within(1):
                return daemon.process.returncode == ABORTED
            asked.append(provoke(run, daemon))
        return False
    finally:
        del daemon.variables["FAILPOINTS"]
        for process in asked:
            process.wait(60)
        daemon.kill()
        daemon.start()


@fault(
    "failpoint-kill", "the daemon dies at eight named places of its code, between two steps of a protocol",
    prepare=with_places,
)
def failpoint_kill(run):
    (daemon,) = run.daemons
    all_places = places()
    # Of campaigns with many runs each place has its turn.
    first, deaths = run.number * 8, 0
    for place in [all_places[number % len(all_places)] for number in range(first, first + 8)]:
        run.wait_progress()
        reached = die_at(run, daemon, place, run.rng.choice((0, 0, 1, 3, 9)))
        deaths += reached
        run.did(f"died at {place}" if reached else f"did not come by {place}")
    need(deaths)


@fault(
    "stage-panic", "a stage panics, one after the other: its supervisor starts it again",
    prepare=with_places, may_panic=True,
)
def stage_panic(run):
    (daemon,) = run.daemons
    for stage in run.rng.sample(STAGES, len(STAGES)):
        daemon.kill()
        daemon.variables["FAILPOINTS"] = f"{stage}={run.rng.randint(0, 300)}*off->{run.rng.randint(1, 3)}*panic(chaos)"
        daemon.start()
        run.wait_progress()
        run.pause(1, 4)
        run.did(f"{stage} panics", len(daemon.panics()))
    del daemon.variables["FAILPOINTS"]
    daemon.kill()
    need(daemon.panics())


@fault(
    "stage-slow", "a stage takes 20 to 200 ms for each step: queues fill up, and memory stays where it is",
    prepare=with_places,
)
def stage_slow(run):
    (daemon,) = run.daemons
    for stage in run.rng.sample(STAGES, 3):
        daemon.kill()
        daemon.variables["FAILPOINTS"] = f"{stage}=sleep({run.rng.randint(20, 200)})"
        daemon.start()
        run.did(f"{stage} is slow")
        run.wait_progress()
        run.pause(2, 6)
    del daemon.variables["FAILPOINTS"]
    daemon.kill()
