"""A daemon with its configuration, and the keeper that watches all of them as systemd would."""

import contextlib
import http.client
import json
import os
import pathlib
import resource
import signal
import socket
import subprocess
import threading
import time

from .common import Broken, until

STOP_SECONDS = 60
KEEPER_SECONDS = 0.25
# As in the unit file: what a person has to put right is not started again.
NOT_AGAIN = (77, 78)
RESTART_SECONDS = 1.0
# The process has given itself up.
ABORTED = -6
# Variables by which a fault reaches into the daemon.
TROUBLE = ("FAILPOINTS", "LD_PRELOAD")


class Daemon:
    """One place of a daemon: its folder, and the process that runs there now, if any."""

    def __init__(self, binary, folder, config):
        self.binary, self.folder, self.config = binary, folder, config
        self.socket = folder / "c.sock"
        self.out = folder / "daemon.out"
        # Of its environment, besides that of the runner.
        self.variables = {}
        # A program that starts the daemon, and its arguments.
        self.prefix = ()
        self.process = None
        # Held by whoever starts or ends the process: the keeper must not bring back what a fault has just killed.
        self.lock = threading.RLock()
        self.is_wanted = False
        # Its part is over: it is not started again when the fault is.
        self.is_retired = False
        self.ended_at = None
        # Ends that nobody asked for, as exit codes.
        self.unasked = []
        self.now = {"memory_mb": 0.0, "descriptors": 0}
        self.peak = dict(self.now)

    def command(self, *arguments):
        return [str(self.binary), "--config", str(self.config), *arguments]

    def environment(self):
        return {key: value for key, value in os.environ.items() if not key.startswith("FOREBAY")} | self.variables

    def calm(self):
        """The environment of a command that no fault is meant for."""
        return {key: value for key, value in self.environment().items() if key not in TROUBLE}

    def ask(self, *arguments, seconds=120):
        """A command of `forebay` that ends by itself."""
        try:
            return subprocess.run(
                self.command(*arguments), env=self.calm(), cwd=self.folder, capture_output=True, text=True,
                timeout=seconds, check=False,
            )
        except subprocess.TimeoutExpired:
            raise Broken(f"forebay {' '.join(arguments)}: no end within {seconds} s") from None

    def begin(self, *arguments):
        """A command of `forebay` that nobody waits for yet."""
        with open(self.folder / "commands.out", "ab") as out:
            return subprocess.Popen(self.command(*arguments), env=self.calm(), cwd=self.folder, stdout=out, stderr=out)

    @staticmethod
    def wait_answered(processes, seconds=60):
        """Until commands that have begun have ended, in whatever way."""
        for process in processes:
            try:
                process.wait(seconds)
            except subprocess.TimeoutExpired:
                process.kill()
                raise Broken(f"forebay {' '.join(process.args[3:])}: no answer within {seconds} s") from None

    # ------------------------------------------------------------------------------------------ its life

    @property
    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def start(self):
        with self.lock:
            self.is_wanted = True
            if self.is_running:
                return
            with open(self.out, "ab") as out:
                self.process = subprocess.Popen(
                    [*self.prefix, *self.command("run")], env=self.environment(), cwd=self.folder, stdin=subprocess.DEVNULL,
                    stdout=out, stderr=out,
                )

    def kill(self):
        """kill -9; whether it was running."""
        with self.lock:
            self.is_wanted = False
            was_running = self.is_running
            if self.process:
                self.process.kill()
                self.process.wait()
            return was_running

    def terminate(self, codes=(0,), seconds=STOP_SECONDS):
        """SIGTERM, and the end, which has to come in time and with one of these codes; the code."""
        with self.lock:
            self.is_wanted = False
            if not self.is_running:
                return 0
            self.process.send_signal(signal.SIGTERM)
            try:
                code = self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                raise Broken(f"{self.folder.name} did not end within {seconds} s of SIGTERM") from None
            # Before it says that it has started there is nothing to drain, and nobody who would listen.
            is_too_early = code == -signal.SIGTERM and not self.has_said_started()
            if code not in codes and not is_too_early:
                raise Broken(f"{self.folder.name} ended with {code} after SIGTERM")
            return code

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        if self.is_running:
            self.process.send_signal(signal.SIGCONT)

    @property
    def is_frozen(self):
        """Whether it stands still by SIGSTOP."""
        with contextlib.suppress(OSError):
            return pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
        return False

    def limit_descriptors(self, most):
        """How many the process may have from now on; how many it could have until now. One that has ended has no limits."""
        with contextlib.suppress(ProcessLookupError):
            before, hard = resource.prlimit(self.process.pid, resource.RLIMIT_NOFILE)
            resource.prlimit(self.process.pid, resource.RLIMIT_NOFILE, (min(most, hard), hard))
            return before
        return most

    def limit_memory(self, more):
        """How many bytes the process may take besides those that it has; none: any. One that has ended has no limits."""
        with contextlib.suppress(ProcessLookupError, OSError, KeyError):
            most = resource.RLIM_INFINITY if more is None else self.field("VmData") * 1024 + more
            resource.prlimit(self.process.pid, resource.RLIMIT_DATA, (most, resource.RLIM_INFINITY))

    def field(self, name):
        """A number of `/proc/PID/status`."""
        lines = pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return int(dict(line.split(":", 1) for line in lines)[name].split()[0])

    def wait_end(self, codes, seconds):
        """Its end by itself, with one of these exit codes. The keeper leaves it alone meanwhile."""
        self.is_wanted = False
        until(f"{self.folder.name} ends by itself", lambda: not self.is_running, seconds)
        if self.process.returncode not in codes:
            raise Broken(f"{self.folder.name} ended with {self.process.returncode} instead of {' or '.join(map(str, codes))}")

    # ------------------------------------------------------------------------------------------ what it says

    def status(self):
        """`/v1/status`; nothing while it does not answer."""
        link = http.client.HTTPConnection("localhost")
        link.sock = socket.socket(socket.AF_UNIX)
        link.sock.settimeout(3)
        try:
            link.sock.connect(str(self.socket))
            link.request("GET", "/v1/status")
            answer = link.getresponse()
            return json.loads(answer.read()) if answer.status == 200 else None
        except (OSError, http.client.HTTPException, ValueError):
            return None
        finally:
            link.close()

    def events(self, name):
        """Lines of its log with this event."""
        found = []
        with contextlib.suppress(OSError), open(self.folder / "logs/forebay.jsonl", encoding="utf-8") as lines:
            for line in lines:
                # The last line may not be whole yet.
                if f'"event":"{name}"' in line and line.endswith("}\n"):
                    found.append(json.loads(line))
        return found

    def has_said_started(self):
        return any(line["pid"] == self.process.pid for line in self.events("daemon.started"))

    def panics(self):
        """Lines of all its logs that tell of a panic."""
        found = []
        for path in [self.out, *sorted((self.folder / "logs").glob("forebay*.jsonl"))]:
            with contextlib.suppress(OSError), open(path, encoding="utf-8", errors="replace") as lines:
                found += [line.strip()[:400] for line in lines if "panicked at" in line or '"event":"panic"' in line]
        return found

    def sample(self):
        """Notes how much memory and how many descriptors the process has."""
        try:
            memory = self.field("RssAnon") * 1024 / 1e6
            self.now = {"memory_mb": round(memory, 1), "descriptors": len(os.listdir(f"/proc/{self.process.pid}/fd"))}
            self.peak = {name: max(self.peak[name], now) for name, now in self.now.items()}
        except (OSError, KeyError, ValueError):
            pass  # it is just ending


class Keeper(threading.Thread):
    """Starts again what has ended by itself, as systemd does, and samples memory and descriptors of all."""

    def __init__(self, daemons):
        super().__init__(name="keeper", daemon=True)
        self.daemons = daemons
        self.ended = threading.Event()

    def run(self):
        while not self.ended.wait(KEEPER_SECONDS):
            for daemon in list(self.daemons):
                # A fault that holds the daemon is about to change its state.
                if daemon.process is None or not daemon.lock.acquire(blocking=False):
                    continue
                try:
                    self.look(daemon)
                finally:
                    daemon.lock.release()

    def look(self, daemon):
        if daemon.is_running:
            daemon.ended_at = None
            daemon.sample()
        elif daemon.is_wanted:
            if daemon.ended_at is None:
                daemon.ended_at = time.monotonic()
                daemon.unasked.append(daemon.process.returncode)
            if daemon.process.returncode not in NOT_AGAIN and time.monotonic() > daemon.ended_at + RESTART_SECONDS:
                daemon.ended_at = None
                daemon.start()

    def close(self):
        self.ended.set()
        self.join(10)
