"""The clock of the daemon's machine is set, forward and back; that of the storage goes on."""

from .catalogue import fault
from .common import FAKETIME

# From a day on the daemon stops and asks for a person, since names with dates would lie.
MOST_HOURS = 20


def with_false_clock(run):
    """Both daemons ask a clock that reads its offset from a file whenever it is asked."""
    for _ in range(2):
        daemon = run.add_daemon()
        set_clock(daemon, 0)
        daemon.variables |= {
            "LD_PRELOAD": str(FAKETIME), "FAKETIME_TIMESTAMP_FILE": str(daemon.folder / "clock"), "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }


def set_clock(daemon, seconds):
    (daemon.folder / "clock").write_text(f"{seconds:+}s\n")


@fault(
    "clock-step", "the clocks of two daemons are set by up to 20 hours, forward and back, and one is killed meanwhile",
    prepare=with_false_clock, daemons=2, needs_faketime=True,
)
def clock_step(run):
    for _ in range(run.rng.randint(4, 6)):
        run.wait_progress()
        daemon = run.rng.choice(run.daemons)
        set_clock(daemon, run.rng.randint(-MOST_HOURS * 3600, MOST_HOURS * 3600))
        run.did("clock set")
        run.pause(1, 4)
        if run.rng.random() < 0.3:
            daemon.kill()
            run.did("kill")
            daemon.start()
    for daemon in run.daemons:
        set_clock(daemon, 0)
