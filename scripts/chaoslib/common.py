"""What every part needs: the error that ends a run, messages to the person, time that passes."""

import sys
import time


class ChaosError(Exception):
    """The run itself failed, so that it says nothing about Forebay."""


class Broken(Exception):
    """A promise is broken."""


def say(text):
    print(f"chaos: {text}", file=sys.stderr, flush=True)


def until(what, holds, seconds, every=0.2):
    """Waits until `holds()` is true; its value. `Broken` when that takes too long."""
    end = time.monotonic() + seconds
    while not (value := holds()):
        if time.monotonic() > end:
            raise Broken(f"{what}: not within {seconds:.0f} s")
        time.sleep(every)
    return value
