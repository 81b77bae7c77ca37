"""What a fault is, and the list of all of them, in the order in which they are run."""

import dataclasses
import importlib
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
    # Called at the end: what else has to hold; what does not goes to the list that it is given.
    check: Callable | None = None
    daemons: int = 1
    storages: tuple = BOTH
    # Exit codes that a daemon may give itself, and be started again by whoever keeps it.
    may_end: tuple = ()
    # A panic of a stage is what the fault is about.
    may_panic: bool = False
    # Two NameNodes, or one only.
    needs_ha: bool = False
    needs_one_namenode: bool = False
    # It is about the place where the lake lies.
    needs_own_lake: bool = False
    # What was in the topic before cannot be read again, so that nobody knows what had arrived of what is unknown.
    needs_own_topic: bool = False
    needs_root: bool = False
    # Settings of the topic.
    topic: dict = dataclasses.field(default_factory=dict)
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
    """The whole catalogue: each module puts in its own when it is imported, so that their order here is that of the runs."""
    for name in ("daemon", "topics", "code", "clock", "servers", "room", "net", "disk"):
        importlib.import_module(f".faults_{name}", __package__)
    return CATALOGUE
