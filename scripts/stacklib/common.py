"""What every part needs: the error a person reads, messages, the shared cache folder and its lock."""

import contextlib
import fcntl
import os
import pathlib
import subprocess
import sys

HOST = "127.0.0.1"
EXIT_FAILED, EXIT_USAGE, EXIT_UNAVAILABLE = 1, 2, 69


class StackError(Exception):
    """What a person has to be told; `code` is the exit code."""

    def __init__(self, text, code=EXIT_FAILED):
        super().__init__(text)
        self.code = code


def say(text):
    print(text, file=sys.stderr, flush=True)


def tail(text, lines=25):
    """The last lines; Java's class path in them would hide all else."""
    return "\n".join(line[:400] for line in text.rstrip().splitlines()[-lines:])


def run_once(command, what, env=None, answers=""):
    """Runs a program to its end and gives what it said; when it fails, that is told."""
    done = subprocess.run(
        command, input=answers, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, env=env
    )
    if done.returncode != 0:
        raise StackError(f"could not {what}:\n{tail(done.stdout)}")
    return done.stdout


def cache_home():
    return pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "forebay"


@contextlib.contextmanager
def only_one():
    """One download, and one stack that picks its ports and starts, at a time for all stacks of this user."""
    cache_home().mkdir(parents=True, exist_ok=True)
    with open(cache_home() / "stack.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
