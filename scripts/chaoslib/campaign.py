"""A campaign: the runs one after the other, and what is told of them."""

import fcntl
import os
import random
import shutil
import signal
import subprocess
import sys
import time

from stacklib.common import StackError, cache_home
from stacklib.stack import Stack

from . import self_test, soak
from .catalogue import load_all
from .common import ChaosError, say
from .results import Results
from .run import ROOT, Run
from .servers import Servers

EXIT_BAD, EXIT_USAGE, EXIT_FAILED = 1, 2, 70


def build():
    say("building (the first time takes some minutes)")
    order = ["cargo", "build", "--locked", "--bin", "forebay", "--features", "failpoints"]
    if subprocess.run(order, cwd=ROOT, stdout=sys.stderr, check=False).returncode != 0:
        raise ChaosError("the build failed")
    return ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "debug" / "forebay"


class OwnStack:
    """The stack that is given, or one of our own while the block lasts."""

    def __init__(self, given, work, kind):
        self.folder, self.is_own, self.kind = given or work / "stack", given is None, kind

    def __enter__(self):
        if self.is_own:
            say("starting a stack")
            order = [ROOT / "scripts/stack", "up", "--dir", self.folder, "--ports", "auto", "--datanodes", "2", "--quick"]
            if subprocess.run([*order, *self.kind], stdout=sys.stderr, check=False).returncode != 0:
                raise ChaosError("the stack does not start")
        return Servers(Stack(self.folder.absolute()))

    def __exit__(self, *_):
        if self.is_own:
            subprocess.run([ROOT / "scripts/stack", "down", "--dir", self.folder, "--purge"], check=False)


def planned(args, faults, results):
    """The runs that are still to be made, all faults in turn."""
    if args.soak:
        storage = args.storage or "hdfs"
        yield soak.soak(args.soak, [fault for fault in faults if soak.suits(fault, storage)]), args.first, storage
        return
    for number in range(args.first, args.first + args.runs):
        for fault in faults:
            storage = args.storage or ("hdfs" if number % 2 else "local")
            if storage not in fault.storages:
                if args.storage:
                    continue
                storage = fault.storages[0]
            if not results.has(fault.name, number, storage):
                yield fault, number, storage


def campaign(args, faults, seed, binary, servers, work, results):
    begun = time.monotonic()
    for fault, number, storage in planned(args, faults, results):
        if args.minutes and time.monotonic() > begun + args.minutes * 60:
            say(f"{args.minutes:g} minutes are over")
            break
        run = Run(fault, number, seed, storage, binary, servers, work)
        shutil.rmtree(run.folder, ignore_errors=True)
        line = run.execute()
        line["seed"] = seed
        line["again"] = f"scripts/chaos --only {fault.name} --first {number} --seed {seed} --storage {storage}"
        if args.soak:
            line["again"] = f"scripts/chaos --soak {args.soak:g} --seed {seed} --storage {storage}"
        if line["outcome"] == "bad":
            line["kept"] = str(run.folder) + (f" and {servers.hdfs}/{run.name}" if storage == "hdfs" else "")
        else:
            run.forget()
        results.add(line)
        tell(line)


def tell(line):
    text = "{fault} {run} on {storage}: {outcome} in {seconds} s".format(**line)
    if "recovery_seconds" in line:
        text += f", lag zero after {line['recovery_seconds']} s"
    say("; ".join([text, *line["why"]])[:500])


def chosen(only, left_out, catalogue, servers):
    """The faults that were asked for, in their order; those that cannot be made here are told."""
    names = [name for name in only or catalogue if name not in left_out]
    needs_root = [name for name in names if catalogue[name].needs_root and os.geteuid() != 0]
    needs_ha = [name for name in names if catalogue[name].needs_ha and not servers.is_ha]
    needs_one = [name for name in names if catalogue[name].needs_one_namenode and servers.is_ha]
    for what, needy in (("root", needs_root), ("two NameNodes (--ha)", needs_ha), ("one NameNode (no --ha)", needs_one)):
        if needy:
            say(f"LEFT OUT, they need {what}: {', '.join(needy)}")
    return [catalogue[name] for name in names if name not in needs_root + needs_ha + needs_one]


def show_list(catalogue):
    for fault in catalogue.values():
        needs = [*(["root"] if fault.needs_root else []), *(["--ha"] if fault.needs_ha else [])]
        print(f"{fault.name:<20} {fault.text} ({', '.join([' and '.join(fault.storages), *needs])})")


def main(args):
    catalogue = load_all()
    if args.list:
        show_list(catalogue)
        return 0
    only, left_out = [list(filter(None, (names or "").split(","))) for names in (args.only, args.left_out)]
    if unknown := [name for name in only + left_out if name not in catalogue]:
        say(f"no such fault: {', '.join(unknown)} (see --list)")
        return EXIT_USAGE
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    work = (args.dir or cache_home() / "chaos").absolute()
    work.mkdir(parents=True, exist_ok=True)
    # Held until the process ends. Two campaigns would break each other's stack, and share the folders of their runs.
    lock = open(work / "lock", "w", encoding="utf-8")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say(f"another campaign works in {work}: wait for its end, or take another --dir")
        return EXIT_USAGE
    results = Results(work / "results.jsonl", args.resume or args.self_test)
    seed = args.seed or results.seed or f"{random.randrange(16**6):06x}"
    say(f"seed {seed}, results in {results.path}")
    try:
        binary = args.binary.absolute() if args.binary else build()
        with OwnStack(args.stack, work, ["--ha"] if args.ha else []) as servers:
            servers.heal()
            if args.self_test:
                return 0 if self_test.passes(seed, binary, servers, work) else EXIT_BAD
            try:
                campaign(args, chosen(only, left_out, catalogue, servers), seed, binary, servers, work, results)
            finally:
                print(results.table(), flush=True)
    except (ChaosError, StackError) as error:
        say(str(error))
        return EXIT_FAILED
    except KeyboardInterrupt:
        return 130
    return 0 if results.is_good else EXIT_BAD
