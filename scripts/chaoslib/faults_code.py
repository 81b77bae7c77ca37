"""Faults at named places of the code itself (`failpoint::reach` in src/): the daemon dies or stands still there, or a stage
panics or dawdles."""

import mmap
import re
import time

from .catalogue import fault
from .common import ChaosError
from .daemon import ABORTED
from .run import ROOT, SESSION_SECONDS

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


def come_by(run, daemon, place, which, deed, is_done):
    """Starts the daemon anew; it does `deed` when it comes by `place` for the time after `which`. Whether it came by."""
    daemon.kill()
    daemon.variables["FAILPOINTS"] = f"{place}={which}*off->1*{deed}"
    daemon.start()
    daemon.is_wanted = False
    del daemon.variables["FAILPOINTS"]
    end, asked = time.monotonic() + WAIT_SECONDS, []
    while not (done := is_done()) and time.monotonic() < end:
        if all(process.poll() is not None for process in asked):
            asked.append(provoke(run, daemon))
        time.sleep(0.1)
    return done, asked


def die_at(run, daemon, place, which):
    """The daemon dies there and stays dead; whether it came by."""
    reached, asked = come_by(run, daemon, place, which, "return", lambda: not daemon.is_running)
    reached = reached and daemon.process.returncode == ABORTED
    daemon.kill()
    daemon.wait_answered(asked)
    run.did(f"died at {place}" if reached else f"did not come by {place}")
    return reached


def places_in_turn(run, count):
    """So many places: over a campaign with many runs each has its turn."""
    all_places, first = places(), run.turn * count
    return [all_places[number % len(all_places)] for number in range(first, first + count)]


@fault(
    "failpoint-kill", "the daemon dies at eight named places of its code, between two steps of a protocol, and in its recovery",
    prepare=with_places,
)
def failpoint_kill(run):
    (daemon,) = run.daemons
    deaths = 0
    for place in places_in_turn(run, 8):
        run.wait_progress()
        reached = die_at(run, daemon, place, run.rng.choice((0, 0, 1, 3, 9)))
        deaths += reached
        if reached and run.rng.random() < 0.5:
            protocol = place.split(".")[0]
            deaths += die_at(run, daemon, run.rng.choice([name for name in places() if name.startswith(protocol)]), 0)
        daemon.start()
    need(deaths)


@fault(
    "failpoint-freeze", "the daemon stands still at three named places, between two steps, until another has taken over",
    prepare=with_places,
)
def failpoint_freeze(run):
    (victim,) = run.daemons
    other = run.add_daemon()
    other.start()
    frozen = 0
    for place in places_in_turn(run, 3):
        run.wait_progress()
        reached, asked = come_by(run, victim, place, run.rng.choice((0, 0, 1, 3)), "return(freeze)", lambda: victim.is_frozen)
        if reached:
            frozen += 1
            run.did(f"frozen at {place}")
            run.pause(SESSION_SECONDS + 1, SESSION_SECONDS + 6)
            victim.thaw()
        else:
            run.did(f"did not come by {place}")
            # It may do so in a moment, when nobody would thaw it any more.
            victim.kill()
        victim.wait_answered(asked)
        # As it is, if it still runs: what it was about to do comes now.
        victim.start()
    need(frozen)


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
