"""One stack: a folder with settings (`stack.json`) and, for each process, a folder, a log and a pid file."""

import json
import os
import pathlib
import signal
import subprocess
import time

from . import ha, kerberos, secure
from .common import EXIT_USAGE, HOST, StackError, run_once, tail
from .conf import write_client_conf, write_hadoop_conf, write_kafka_conf
from .jars import HADOOP_JARS, KAFKA_JARS, find_java, jar_folder
from .probe import is_free, jmx, jmx_with_ticket, kafka_answers


class Stack:
    """One folder: settings (`stack.json`), a folder, a log and a pid file for each process."""

    def __init__(self, folder):
        self.dir = folder
        self.settings_file = folder / "stack.json"
        # Of the disk of each DataNode that is started by this object: bytes that HDFS may not use.
        self.reserved_bytes = 0
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

    @property
    def is_ha(self):
        return self.settings.get("ha", False)

    @property
    def is_secure(self):
        return self.settings.get("secure", False)

    @property
    def is_kerberos(self):
        return self.settings.get("kerberos", False)

    @property
    def is_quick(self):
        return self.settings.get("quick", False)

    def namenodes(self):
        return ha.NAMENODES if self.is_ha else ["namenode"]

    def datanodes(self):
        return [f"datanode-{n}" for n in range(1, self.settings["datanodes"] + 1)]

    def names(self):
        """All processes, in the order in which they are started."""
        first = (["kdc"] if self.is_kerberos else []) + ["kafka"] + (ha.JOURNALNODES if self.is_ha else [])
        return first + self.namenodes() + self.datanodes()

    def main_port(self, name):
        return self.ports[name]

    def hdfs_url(self):
        return f"hdfs://{ha.NAMESERVICE}" if self.is_ha else f"hdfs://{HOST}:{self.ports['namenode']}"

    def client_conf(self):
        return self.dir / "client"

    def ports_of(self, name):
        return [port for key, port in self.ports.items() if key == name or key.startswith(f"{name}.")]

    def log(self, name):
        return self.dir / "logs" / f"{name}.log"

    def env(self):
        # A standby NameNode refuses WebHDFS, so this is the one that is active now.
        web = (ha.active(self) if self.is_ha else None) or "namenode"
        variables = {
            "FOREBAY_STACK_KAFKA": f"{HOST}:{self.ports['kafka']}",
            "FOREBAY_STACK_HDFS": self.hdfs_url(),
            "FOREBAY_STACK_WEBHDFS": f"{'https://localhost' if self.is_kerberos else f'http://{HOST}'}:{self.ports[f'{web}.http']}",
            "FOREBAY_STACK_DIR": str(self.dir),
        }
        if self.is_ha or self.is_kerberos:
            variables["HADOOP_CONF_DIR"] = str(self.client_conf())
        if self.is_secure:
            variables |= secure.env(self)
        if self.is_kerberos:
            variables |= kerberos.env(self)
        return variables

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

    def command(self, name):
        if name == "kafka":
            return self.kafka_java("-Xmx512m") + ["kafka.Kafka", str(self.dir / "kafka/server.properties")]
        if name == "kdc":
            return kerberos.command()
        conf = self.dir / name / "conf"
        if name in self.namenodes():
            return self.hadoop_java("-Xmx384m", conf) + ["org.apache.hadoop.hdfs.server.namenode.NameNode"]
        if name in self.datanodes():
            return self.hadoop_java("-Xmx256m", conf) + ["org.apache.hadoop.hdfs.server.datanode.DataNode"]
        return self.hadoop_java("-Xmx128m", conf) + ["org.apache.hadoop.hdfs.qjournal.server.JournalNode"]

    def java(self):
        """The program, and what all of its kind are told."""
        # What the second compiler saves, a server that is soon killed and started again never earns.
        return [find_java(), *(["-XX:TieredStopAtLevel=1"] if self.is_quick else [])]

    def kafka_java(self, heap, log_level="INFO"):
        """The start of a command line for one of Kafka's programs."""
        return [
            *self.java(),
            heap,
            f"-Dstack.log.level={log_level}",
            f"-Dlog4j2.configurationFile={self.dir}/kafka/log4j2.properties",
            "-Djava.net.preferIPv4Stack=true",
            "-cp",
            f"{jar_folder(KAFKA_JARS)}/*",
        ]

    def hadoop_tool(self, log_level="ERROR"):
        """The start of a command line for one of Hadoop's tools."""
        return self.hadoop_java("-Xmx128m", self.client_conf(), log_level)

    def hadoop_java(self, heap, conf, log_level="INFO"):
        """The start of a command line for one of Hadoop's programs, with the configuration in the folder `conf`."""
        return [
            *self.java(),
            heap,
            f"-Dstack.log.level={log_level}",
            "-XX:+UseSerialGC",
            "-Djava.net.preferIPv4Stack=true",
            "--add-opens",
            "java.base/java.lang=ALL-UNNAMED",
            *([f"-Djava.security.krb5.conf={kerberos.config(self)}"] if self.is_kerberos else []),
            "-cp",
            f"{conf}:{jar_folder(HADOOP_JARS)}/*",
        ]

    def start(self, name, seconds):
        """Writes the configuration, formats the storage once, and starts the process with its log appended.

        `seconds`: how long to wait for other processes that formatting needs.
        """
        (self.dir / "run").mkdir(parents=True, exist_ok=True)
        (self.dir / "logs").mkdir(exist_ok=True)
        if self.is_secure or self.is_kerberos:
            secure.ensure_certificates(self)
        if name == "kdc":
            kerberos.prepare(self)
        elif name == "kafka":
            if self.is_secure:
                secure.ensure_user(self)
            write_kafka_conf(self)
            if not (self.dir / "kafka/data/meta.properties").exists():
                self.format_kafka()
        else:
            write_client_conf(self)
            write_hadoop_conf(self, name)
            if name in self.namenodes() and not (self.dir / name / "data/current/VERSION").exists():
                self.format_namenode(name, seconds)
        with open(self.log(name), "ab") as log:
            process = subprocess.Popen(
                self.command(name),
                cwd=self.dir / name,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=kerberos.environment(self) if name == "kdc" else None,
            )
        (self.dir / "run" / f"{name}.pid").write_text(f"{process.pid} {process_stat(process.pid)[1]}\n")

    def format_kafka(self):
        order = ["kafka.tools.StorageTool", "format", "--standalone", "-t", self.settings["cluster"]]
        order += ["-c", str(self.dir / "kafka/server.properties")]
        if self.is_secure:
            order += secure.scram_user(self)
        # In a file, since everybody can read command lines, and here is a password.
        arguments = self.dir / "kafka/format.arguments"
        secure.write_secret(arguments, "".join(f'"{word}"\n' for word in order))
        try:
            run_once(self.kafka_java("-Xmx256m") + [f"@{arguments}"], "format Kafka's storage")
        finally:
            arguments.unlink()

    def format_namenode(self, name, seconds):
        """The first NameNode formats the shared journal too; the second one takes over what the first one has."""
        if name == "namenode":
            self.wait_ready([other for other in self.names() if other in ha.JOURNALNODES], seconds)
            run_once(self.command(name) + ["-format", "-nonInteractive"], "format the NameNode's storage")
        else:
            self.wait_ready(["namenode"], seconds)
            run_once(self.command(name) + ["-bootstrapStandby", "-nonInteractive"], "copy the namespace to the second NameNode")

    def tool_environment(self):
        """The environment in which Hadoop's own tools are let in; none: this one will do."""
        return kerberos.tool_environment(self) if self.is_kerberos else None

    def jmx(self, name, service, bean):
        port = self.ports[f"{name}.http"]
        if self.is_kerberos:
            return jmx_with_ticket(port, service, bean, secure.ca_file(self), self.tool_environment())
        return jmx(port, service, bean)

    def is_ready(self, name):
        if name == "kdc":
            return not is_free(self.ports["kdc"])
        if name == "kafka":
            return kafka_answers(self.ports["kafka"])
        if name in self.namenodes():
            return self.jmx(name, "NameNode", "NameNodeInfo").get("Safemode") == ""
        if name in self.datanodes():
            return self.is_datanode_ready(name)
        return bool(self.jmx(name, "JournalNode", "JournalNodeInfo"))

    def is_datanode_ready(self, name):
        """It serves, and every NameNode that can answer knows of it."""
        actors = json.loads(self.jmx(name, "DataNode", "DataNodeInfo").get("BPServiceActorInfo") or "[]")
        if not any(actor.get("ActorState") == "RUNNING" for actor in actors):
            return False
        lives = [
            json.loads(self.jmx(other, "NameNode", "NameNodeInfo").get("LiveNodes") or "{}")
            for other in self.namenodes()
            if self.pid(other)[1] not in (None, "T")
        ]
        here = f"{HOST}:{self.ports[name]}"
        return bool(lives) and all(any(node.get("xferaddr") == here for node in live.values()) for live in lives)

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
        try:
            os.kill(pid, sig)
        except ProcessLookupError:
            return False
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

