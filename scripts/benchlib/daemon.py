"""Runs the program: its configuration, what a run cost, and what a running daemon says of itself."""

import contextlib
import dataclasses
import getpass
import http.client
import json
import os
import pathlib
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

RUN_SECONDS = 900
LOOK_SECONDS = 0.005


class BenchError(Exception):
    """What a person has to be told."""


@dataclasses.dataclass
class Cost:
    """What one process took: CPU of user and system in seconds, time, and the peak of its resident memory in MB (10^6)."""

    cpu: float
    wall: float
    peak: float


@dataclasses.dataclass(frozen=True)
class Topic:
    """A topic of library messages."""

    name: str
    messages: int
    bytes: int


class Program:
    """The program with everything that all measurements share."""

    def __init__(self, path, repository, work, kafka, hdfs, webhdfs, name):
        self.path, self.repository, self.work = path, repository, work
        self.kafka, self.hdfs, self.webhdfs, self.name = kafka, hdfs, webhdfs, name

    def environment(self):
        return {key: value for key, value in os.environ.items() if not key.startswith("FOREBAY")}

    def command(self, config, *arguments):
        return [str(self.path), "--config", str(config), *arguments]

    def ask(self, config, *arguments, codes=(0,)):
        """A command that ends by itself; its answer."""
        done = subprocess.run(
            self.command(config, *arguments), env=self.environment(), capture_output=True, text=True, check=False
        )
        if done.returncode not in codes:
            raise BenchError(f"forebay {' '.join(arguments)}: exit code {done.returncode}\n{done.stderr.strip()}")
        return done.stdout

    # ------------------------------------------------------------------------------------------ topics and lakes

    def produce(self, topic, partitions, messages, *arguments):
        config = self.config(self.lake("produce"), [topic])
        order = ["--json", "-q", "produce", "--topic", topic, "--partitions", str(partitions), "--library", str(messages)]
        done = json.loads(self.ask(config, *order, *arguments))
        if done["delivered"] != messages:
            raise BenchError(f"{topic}: {done['delivered']} of {messages} messages were delivered")
        return Topic(topic, messages, done["bytes"])

    def create_topic(self, topic, partitions):
        config = self.config(self.lake("produce"), [topic])
        self.ask(config, "topic", "create", topic, "--partitions", str(partitions))

    def delete_topic(self, topic):
        self.ask(self.config(self.lake("produce"), [topic]), "topic", "delete", topic)

    def lake(self, name):
        """A lake that nobody has used, and the group that fills it."""
        return f"{self.name}-{name}"

    def delete_lake(self, lake):
        """Through WebHDFS; where that is not known the lake stays."""
        if not self.webhdfs:
            return
        query = urllib.parse.urlencode({"op": "DELETE", "recursive": "true", "user.name": getpass.getuser()})
        request = urllib.request.Request(f"{self.webhdfs}/webhdfs/v1/{lake}?{query}", method="DELETE")
        with contextlib.suppress(OSError):
            urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30).close()

    # ------------------------------------------------------------------------------------------ configuration

    def config(self, lake, topics, processed=False, raw=None):
        """A configuration with nothing but defaults, besides what is given; the file."""
        here = self.work / lake
        here.mkdir(parents=True, exist_ok=True)
        text = json.dumps  # a JSON string, number or list is a TOML one
        lines = ["[kafka]", f'"bootstrap.servers" = {text(self.kafka)}', f'"group.id" = {text(lake)}']
        lines += ["[lake]", f"root = {text(self.hdfs + '/' + lake)}"]
        lines += ["[control]", f"socket = {text(str(self.socket(lake)))}"]
        lines += ["[logs]", f"dir = {text(str(here / 'logs'))}"]
        lines += ["[limits]", f"spool = {{ dir = {text(str(here / 'spool'))}, size = \"8GiB\" }}"]
        lines += ["[[table]]", 'name = "books"', f"topics = {text(topics)}", 'starting_offsets = "earliest"']
        lines += [f"mapping = {text(str(self.repository / 'config/tables/books.toml'))}", "[table.raw]"]
        lines += [f"{key} = {text(value)}" for key, value in (raw or {}).items()]
        if processed:
            lines += ["[table.processed]", 'record_id = ["record_id"]', 'date = "added"']
        path = here / f"{'processed' if processed else 'raw'}{'-rolls' if raw else ''}.toml"
        path.write_text("\n".join(lines) + "\n")
        return path

    def socket(self, lake):
        # The path of a socket may have 107 bytes.
        return self.work / f"{lake[-24:]}.sock"

    # ------------------------------------------------------------------------------------------ the daemon

    def run(self, config):
        """Reads to the end, commits, promotes, ends; what it cost."""
        with Daemon(self, config, "--until-caught-up") as daemon:
            return daemon.wait(RUN_SECONDS)

    def daemon(self, config):
        """A daemon that goes on until it is told to end."""
        return Daemon(self, config)

    def audit(self, config):
        """The promises that do not hold, and how many messages have their one outcome."""
        report = json.loads(self.ask(config, "--json", "audit", codes=(0, 1)))
        broken = [invariant["id"] for invariant in report["invariants"] if not invariant["ok"]]
        return broken, sum(invariant["checked"] for invariant in report["invariants"] if invariant["id"] == "I2")


class Daemon:
    """A daemon; leaving the block kills one that still runs."""

    def __init__(self, program, config, *arguments):
        self.log = config.with_suffix(".out")
        self.started = time.monotonic()
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                program.command(config, "run", *arguments),
                env=program.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.socket = program.socket(config.parent.name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.returncode is None:
            self.kill()

    def wait(self, seconds):
        """Its end, which must be a good one; what it cost."""
        until = self.started + seconds
        while True:
            pid, status, usage = os.wait4(self.process.pid, os.WNOHANG)
            if pid:
                break
            if time.monotonic() > until:
                raise BenchError(f"the daemon did not end within {seconds} s: see {self.log}")
            time.sleep(LOOK_SECONDS)
        wall = time.monotonic() - self.started
        self.process.returncode = os.waitstatus_to_exitcode(status)
        if self.process.returncode != 0:
            tail = pathlib.Path(self.log).read_text(errors="replace").splitlines()[-10:]
            raise BenchError("\n".join([f"the daemon ended with {self.process.returncode}: see {self.log}", *tail]))
        return Cost(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss * 1024 / 1e6)

    def drain(self):
        self.process.send_signal(signal.SIGTERM)
        return self.wait(time.monotonic() - self.started + 60)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def until(self, metric, least, seconds=120):
        """Waits until a metric is at least so much; the time since the start."""
        while (waited := time.monotonic() - self.started) < seconds:
            if self.process.poll() is not None:
                raise BenchError(f"the daemon ended with {self.process.returncode}: see {self.log}")
            if self.metric(metric) >= least:
                return waited
            time.sleep(LOOK_SECONDS)
        raise BenchError(f"{metric} did not reach {least} within {seconds} s: see {self.log}")

    def metric(self, name):
        """The sum of a metric over its labels; 0 while the daemon does not answer."""
        link = http.client.HTTPConnection("localhost")
        link.sock = socket.socket(socket.AF_UNIX)
        link.sock.settimeout(5)
        try:
            link.sock.connect(str(self.socket))
            link.request("GET", "/metrics")
            text = link.getresponse().read().decode()
        except (OSError, http.client.HTTPException):
            return 0.0
        finally:
            link.close()
        lines = (line.rsplit(" ", 1) for line in text.splitlines() if line.startswith((name + "{", name + " ")))
        return sum(float(value) for _, value in lines)
