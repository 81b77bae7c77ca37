"""The clock of a daemon's machine is set, forward and back; those of Kafka and of the storage go on."""

import datetime

from .catalogue import fault
from .common import ChaosError
from .run import SESSION_SECONDS
from .shim import add_daemon

HOUR, DAY = 3600, 86_400
STEPS = {"by +1 h": HOUR, "by -1 h": -HOUR, "by +2 days": 2 * DAY, "by -2 days": -2 * DAY, "to midnight": None}


def two_with_shims(run):
    for _ in range(2):
        add_daemon(run)
    run.dates = {today()}


def today():
    return datetime.datetime.now(datetime.UTC).date().isoformat()


def to_midnight(run):
    """Seconds until shortly before the next midnight, or back to the last: that the daemon sees a date end.

    Of the two the one that is farther away: times that a daemon has told meanwhile are not to be taken for right ones.
    """
    now = datetime.datetime.now(datetime.UTC)
    gone = (now - now.replace(hour=0, minute=0, second=0, microsecond=0)).total_seconds()
    return max(DAY - gone, -gone, key=abs) - run.rng.uniform(0.5, 2)


def dates_are_those_of_the_storage(run, why):
    """The clock that names folders is the storage's, and that was never wrong."""
    run.dates.add(today())
    for path in run.lake_folders("ledger", "raw"):
        if path.name.startswith("dt=") and path.name.removeprefix("dt=") not in run.dates:
            why.append(f"{path} is of no day on which the run took place")


@fault(
    "clock-step", "the clock of one of two daemons is set by an hour, two days, to midnight, and back",
    prepare=two_with_shims, daemons=2, check=dates_are_those_of_the_storage,
)
def clock_step(run):
    for name in run.rng.sample(list(STEPS), len(STEPS)):
        run.wait_progress()
        daemon = run.rng.choice(run.daemons)
        for other in run.daemons:
            # With both a day off nobody may commit, and nothing would go on until that is over.
            if other is not daemon:
                other.shim.set_clock(0)
        before = daemon.shim.control.wrong_times
        daemon.shim.set_clock(STEPS[name] or to_midnight(run))
        run.did(f"clock set {name}")
        # Now and then for longer than a session lasts: a wait until a time takes so much longer when the clock is set back.
        run.pause(2, SESSION_SECONDS + 4)
        if run.rng.random() < 0.3:
            daemon.kill()
            run.did("kill")
            daemon.start()
            run.pause(1, 3)
        if daemon.shim.control.wrong_times == before:
            raise ChaosError("the daemon has not asked for the time: nothing happened")
        # Else its next step is from one wrong time to another.
        if run.rng.random() < 0.5:
            daemon.shim.set_clock(0)
    for daemon in run.daemons:
        daemon.shim.set_clock(0)
