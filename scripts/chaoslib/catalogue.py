"""What a fault is, and the list of all of them, in the order in which they are run."""

import dataclasses
from collections.abc import Callable

BOTH = ("hdfs", "local")
CATALOGUE = {}


@dataclasses.dataclass(frozen=True)
class Fault:
    """One kind of trouble. It is made while messages come in, and it is over when `inject` returns."""

    name: str
    text: str
    inject: Callable
    # Called before the daemons are started; what it adds to `run.undo` is done at the end.
    prepare: Callable | None = None
    daemons: int = 1
    storages: tuple = BOTH
    # Exit codes that a daemon may give itself, and be started again by whoever keeps it.
    may_end: tuple = ()
    needs_root: bool = False
    # Keywords for the producer.
    load: dict = dataclasses.field(default_factory=dict)
    # How long it may take until lag zero, and until everything is promoted.
    recovery_seconds: int = 120


def fault(name, text, **more):
    """Puts the function into the catalogue."""

    def add(inject):
        CATALOGUE[name] = Fault(name, text, inject, **more)
        return inject

    return add


def load_all():
    """The whole catalogue; importing the modules fills it."""
    from . import faults_daemon, faults_disk, faults_net, faults_servers  # noqa: F401

    return CATALOGUE
