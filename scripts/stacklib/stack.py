"""One stack: a folder with settings (`stack.json`) and, for each process, a folder, a log and a pid file."""

import base64
import json
import os
import pathlib
import signal
import subprocess
import time
import uuid

from .common import EXIT_USAGE, HOST, StackError, tail
from .conf import write_hadoop_conf, write_kafka_conf
from .jars import HADOOP_JARS, KAFKA_JARS, find_java, jar_folder
from .probe import is_free, jmx, kafka_answers, pick_port


class Stack:
    """One folder: settings (`stack.json`), a folder, a log and a pid file for each process."""

    def __init__(self, folder):
        self.dir = folder
        self.settings_file = folder / "stack.json"
        self.load()

    def load(self):
        self.settings = json.loads(self.settings_file.read_text()) if self.settings_file.exists() else None

    def need(self):
        if self.settings is None:
            raise StackError(f"no stack in {self.dir}: run `scripts/stack up` first, or name another with --dir or --name")
        return self

    def save(self):
        self.dir.mkdir(parents=True, exist_ok=True)
        whole = self.settings_file.with_suffix(".new")
        whole.write_text(json.dumps(self.settings, indent=2) + "\n")
        os.replace(whole, self.settings_file)

    @property
    def ports(self):
        return self.settings["ports"]

    def names(self):
        return ["kafka", "namenode"] + [f"datanode-{n}" for n in range(1, self.settings["datanodes"] + 1)]

    def main_port(self, name):
        return self.ports[name]

    def ports_of(self, name):
        return [port for key, port in self.ports.items() if key == name or key.startswith(f"{name}.")]

    def log(self, name):
        return self.dir / "logs" / f"{name}.log"

    def env(self):
        return {
            "FOREBAY_STACK_KAFKA": f"{HOST}:{self.ports['kafka']}",
            "FOREBAY_STACK_HDFS": f"hdfs://{HOST}:{self.ports['namenode']}",
            "FOREBAY_STACK_WEBHDFS": f"http://{HOST}:{self.ports['namenode.http']}",
            "FOREBAY_STACK_DIR": str(self.dir),
        }

    # A pid alone may name a stranger after a reboot or a wrap: the start time of the process makes it unique.
    def pid(self, name):
        """(pid, state) of the running process, or (None, None)."""
        try:
            pid, started = map(int, (self.dir / "run" / f"{name}.pid").read_text().split())
            state, now_started = process_stat(pid)
        except (OSError, ValueError):
            return None, None
        return (pid, state) if now_started == started and state not in "ZX" else (None, None)

    def is_running(self, name):
        return self.pid(name)[0] is not None

    def check_name(self, name):
        if name not in self.names():
            raise StackError(f"no process {name} in this stack: it has {', '.join(self.names())}", EXIT_USAGE)

    def plan(self, args):
        """Settles count and ports before anything is started; what was settled once stays for the life of the folder."""
        if self.settings is None:
            cluster = ""
            while not cluster or cluster.startswith("-"):
                cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
            self.settings = {"datanodes": 1, "cluster": cluster, "ports": {}}
        count = args.datanodes or self.settings["datanodes"]
        if count < self.settings["datanodes"]:
            raise StackError(
                f"this stack has {self.settings['datanodes']} DataNodes and cannot shrink: `scripts/stack down --purge` first",
                EXIT_USAGE,
            )
        self.settings["datanodes"] = count
        auto = args.ports == "auto"
        wanted = {"kafka": (args.kafka_port, 9092), "namenode": (args.namenode_port, 8020)}
        for name, (asked, usual) in wanted.items():
            known = self.ports.get(name)
            if asked and known and asked != known and any(map(self.is_running, self.names())):
                raise StackError(f"{name} has port {known}: `scripts/stack down` first to move it to {asked}", EXIT_USAGE)
            if asked or not known:
                self.ports[name] = asked or (pick_port(None, self.ports.values()) if auto else usual)
        # The well-known side ports go with the well-known main port, so that two stacks do not race for them.
        is_known = self.ports["kafka"] == 9092
        usual = {"kafka.controller": 9093, "kafka.beside": 9094, "kafka.proxy": 9095}
        usual = {key: port if is_known else None for key, port in usual.items()}
        known_main = self.ports["namenode"] == 8020
        usual["namenode.http"] = 9870 if known_main else None
        for n in range(1, count + 1):
            base = 9864 if n == 1 else 9864 + 100 * n
            for key, port in ((f"datanode-{n}", base + 2), (f"datanode-{n}.http", base), (f"datanode-{n}.ipc", base + 3)):
                usual[key] = port if known_main else None
        for name, port in usual.items():
            if name not in self.ports:
                self.ports[name] = pick_port(None if auto else port, self.ports.values())
        for name in self.names():
            for port in self.ports_of(name):
                if not self.is_running(name) and not is_free(port):
                    raise StackError(
                        f"port {port} for {name} is taken by another program: choose --kafka-port and --namenode-port, or --ports auto in a new --dir"
                    )

    def command(self, name):
        if name == "kafka":
            return self.kafka_java("-Xmx512m") + ["kafka.Kafka", str(self.dir / "kafka/server.properties")]
        if name == "namenode":
            return self.hadoop_java("-Xmx384m", name) + ["org.apache.hadoop.hdfs.server.namenode.NameNode"]
        return self.hadoop_java("-Xmx256m", name) + ["org.apache.hadoop.hdfs.server.datanode.DataNode"]

    def kafka_java(self, heap, log_level="INFO"):
        """The start of a command line for one of Kafka's programs."""
        return [
            find_java(),
            heap,
            f"-Dstack.log.level={log_level}",
            f"-Dlog4j2.configurationFile={self.dir}/kafka/log4j2.properties",
            "-Djava.net.preferIPv4Stack=true",
            "-cp",
            f"{jar_folder(KAFKA_JARS)}/*",
        ]

    def hadoop_java(self, heap, name, log_level="INFO"):
        """The start of a command line for one of Hadoop's programs, with the configuration of process `name`."""
        return [
            find_java(),
            heap,
            f"-Dstack.log.level={log_level}",
            "-XX:+UseSerialGC",
            "-Djava.net.preferIPv4Stack=true",
            "--add-opens",
            "java.base/java.lang=ALL-UNNAMED",
            "-cp",
            f"{self.dir}/{name}/conf:{jar_folder(HADOOP_JARS)}/*",
        ]

    def start(self, name):
        """Writes the configuration, formats the storage once, and starts the process with its log appended."""
        (self.dir / "run").mkdir(parents=True, exist_ok=True)
        (self.dir / "logs").mkdir(exist_ok=True)
        if name == "kafka":
            write_kafka_conf(self)
            if not (self.dir / "kafka/data/meta.properties").exists():
                run_once(
                    self.kafka_java("-Xmx256m")
                    + [
                        "kafka.tools.StorageTool",
                        "format",
                        "--standalone",
                        "-t",
                        self.settings["cluster"],
                        "-c",
                        str(self.dir / "kafka/server.properties"),
                    ],
                    "format Kafka's storage",
                )
        else:
            write_hadoop_conf(self, name)
            if name == "namenode" and not (self.dir / "namenode/data/current/VERSION").exists():
                run_once(self.command(name) + ["-format", "-nonInteractive"], "format the NameNode's storage")
        with open(self.log(name), "ab") as log:
            process = subprocess.Popen(
                self.command(name), cwd=self.dir / name, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        (self.dir / "run" / f"{name}.pid").write_text(f"{process.pid} {process_stat(process.pid)[1]}\n")

    def is_ready(self, name):
        if name == "kafka":
            return kafka_answers(self.ports["kafka"])
        if name == "namenode":
            return jmx(self.ports["namenode.http"], "NameNode", "NameNodeInfo").get("Safemode") == ""
        actors = json.loads(jmx(self.ports[f"{name}.http"], "DataNode", "DataNodeInfo").get("BPServiceActorInfo") or "[]")
        live = json.loads(jmx(self.ports["namenode.http"], "NameNode", "NameNodeInfo").get("LiveNodes") or "{}")
        registered = any(node.get("xferaddr") == f"{HOST}:{self.ports[name]}" for node in live.values())
        return registered and any(actor.get("ActorState") == "RUNNING" for actor in actors)

    def wait_ready(self, names, seconds):
        deadline = time.monotonic() + seconds
        waiting = list(names)
        while waiting:
            waiting = [name for name in waiting if not self.is_ready(name)]
            for name in waiting:
                if not self.is_running(name):
                    raise StackError(
                        f"{name} ended while starting; the end of {self.log(name)}:\n{tail(self.log(name).read_text(errors='replace'))}"
                    )
            if waiting and time.monotonic() > deadline:
                ends = "\n".join(f"--- {self.log(name)}\n{tail(self.log(name).read_text(errors='replace'))}" for name in waiting)
                raise StackError(f"not ready after {seconds} s: {', '.join(waiting)}\n{ends}")
            if waiting:
                time.sleep(0.2)

    def send(self, name, sig):
        pid, _ = self.pid(name)
        if pid is None:
            return False
        os.kill(pid, sig)
        return True

    def down(self, seconds=15):
        for name in self.names():
            self.send(name, signal.SIGCONT)
            self.send(name, signal.SIGTERM)
        deadline = time.monotonic() + seconds
        while left := [name for name in self.names() if self.is_running(name)]:
            if time.monotonic() > deadline:
                for name in left:
                    self.send(name, signal.SIGKILL)
            time.sleep(0.1)


def process_stat(pid):
    """(state letter, start time) from /proc; the command name may hold spaces and brackets, so count from its end."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return fields[0], int(fields[19])


def tail(text, lines=25):
    return "\n".join(text.rstrip().splitlines()[-lines:])


def run_once(command, what):
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode != 0:
        raise StackError(f"could not {what}:\n{tail(done.stdout)}")
