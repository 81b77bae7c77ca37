"""The soak: one topic and one lake for a long time, and in random turn every fault that can be made there.

A daemon stays, as far as faults let it, and others come and go. After each fault everything that is in the topic has to be
committed by itself, under load; at the end all of it is checked as after any run.
"""

import contextlib
import time

from .catalogue import Fault
from .common import Broken, ChaosError, say

# So that the lake of some hours can still be read in minutes by readers that are not made for speed.
ROLL_MS, MESSAGES_A_SECOND = 3000, 30
LOAD = {"poison_share": 0.0005}


def suits(fault, storage):
    """Whether a fault can be made again and again in one lake."""
    return storage in fault.storages and not (fault.needs_own_lake or fault.needs_own_topic or fault.load)


def unhurried(run):
    run.roll_ms, run.roll_rows = ROLL_MS, 100_000


def soak(minutes, faults):
    """A fault that is all of these for some minutes."""

    def inject(run):
        run.producer.rate = MESSAGES_A_SECOND
        end, turn = time.monotonic() + minutes * 60, []
        run.told["steps"] = []
        # Those that had their turn; the first daemon stays the first one.
        (resident,), former = run.daemons, []
        while time.monotonic() < end:
            turn = turn or run.rng.sample(faults, len(faults))
            run.turn += 1
            former += step(run, resident, turn.pop())
        run.daemons[1:] = former

    text = f"faults in random turn for {minutes:g} minutes"
    codes = tuple({code for fault in faults for code in fault.may_end})
    return Fault("soak", text, inject, prepare=unhurried, load=LOAD, may_end=codes, may_panic=True, recovery_seconds=300)


def step(run, resident, fault):
    """One fault, and the recovery from it; the daemons that it has brought."""
    begun = time.monotonic()
    run.note(f"begin of {fault.name}")
    with contextlib.ExitStack() as undo:
        outer, run.undo = run.undo, undo
        undo.callback(setattr, run, "undo", outer)
        # Those of the fault before are gone.
        run.proxies, run.disk = [], None
        if fault.prepare:
            resident.terminate(codes=(0, 75))
            run.daemons.clear()
            fault.prepare(run)
        run.add_daemons(fault.daemons)
        run.start_daemons()
        run.wait_progress()
        panics, void = count_panics(run), None
        try:
            fault.inject(run)
        except ChaosError as error:
            # The next one is made all the same. Without a producer there is no soak.
            void = str(error)
            if run.producer.fault:
                raise
            run.servers.heal()
        healed = time.monotonic()
        run.start_daemons()
        run.wait_lag_zero(fault.recovery_seconds)
        lag_zero = time.monotonic()
        if not fault.may_panic and count_panics(run) > panics:
            raise Broken(f"a daemon panicked during {fault.name}")
        brought = [daemon for daemon in run.daemons if daemon is not resident]
        for daemon in brought:
            daemon.terminate(codes=(0, 75))
            daemon.is_retired = True
    run.daemons[:] = [resident]
    resident.start()
    told = {"fault": fault.name, "lag_zero": round(lag_zero - healed, 1), "seconds": round(time.monotonic() - begun, 1)}
    told["memory_mb"], told["descriptors"] = resident.now["memory_mb"], resident.now["descriptors"]
    told["messages"] = len(run.producer.sent)
    if void:
        told["void"] = void[:200]
    run.told["steps"].append(told)
    say(f"soak: {told}")
    return brought


def count_panics(run):
    return sum(len(daemon.panics()) for daemon in run.daemons)
