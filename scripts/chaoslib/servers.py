"""The stack under the run: its processes killed, frozen and healed; topics; what has to go from HDFS when a run was good."""

import contextlib
import getpass
import json
import os
import pathlib
import resource
import signal
import time
import urllib.parse
import urllib.request

import confluent_kafka as kafka
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic

from stacklib import ha
from stacklib.common import StackError

from .common import ChaosError

READY_SECONDS = 150
# What was asked for a second time, because the first answer was lost.
CODES = kafka.KafkaError
DONE_BEFORE = (CODES.TOPIC_ALREADY_EXISTS, CODES.INVALID_PARTITIONS, CODES.UNKNOWN_TOPIC_OR_PART)


class Servers:
    """A stack of `scripts/stack`, seen as the things that a fault can do to it."""

    def __init__(self, stack):
        self.stack = stack.need()
        env = stack.env()
        self.kafka, self.hdfs = env["FOREBAY_STACK_KAFKA"], env["FOREBAY_STACK_HDFS"]
        # What a client of this stack has to have in its environment.
        self.variables = {name: env[name] for name in ("HADOOP_CONF_DIR",) if name in env}

    @property
    def webhdfs(self):
        """Of the NameNode that is active now."""
        return self.stack.env()["FOREBAY_STACK_WEBHDFS"]

    @property
    def is_ha(self):
        return self.stack.is_ha

    @property
    def active(self):
        """The NameNode that says it is the active one, if any does."""
        return ha.active(self.stack)

    def fail_over(self, is_forced):
        """The other NameNode takes over; which one that is. Forced: without asking the active one."""
        try:
            return ha.failover(self.stack, None, is_forced, READY_SECONDS)[0]
        except StackError as error:
            raise ChaosError(str(error)) from None

    @property
    def datanodes(self):
        return [name for name in self.stack.names() if name.startswith("datanode")]

    def kill(self, *names):
        for name in names:
            self.stack.send(name, signal.SIGKILL)
        while any(map(self.stack.is_running, names)):
            time.sleep(0.02)

    def start(self, *names, is_awaited=True):
        try:
            for name in names:
                if not self.stack.is_running(name):
                    self.stack.start(name, READY_SECONDS)
            if is_awaited:
                self.stack.wait_ready(names, READY_SECONDS)
        except StackError as error:
            raise ChaosError(str(error)) from None

    def freeze(self, *names):
        for name in names:
            self.stack.send(name, signal.SIGSTOP)

    def thaw(self, *names):
        for name in names:
            self.stack.send(name, signal.SIGCONT)

    def reserve(self, size):
        """So many bytes of the disk of every DataNode are not for HDFS. They are started anew for that, one after the other."""
        if self.stack.reserved_bytes == size:
            return
        self.stack.reserved_bytes = size
        for name in self.datanodes:
            self.kill(name)
            self.start(name)

    def limit_files(self, size):
        """No file of a DataNode gets longer than so many bytes."""
        for name in self.datanodes:
            resource.prlimit(self.stack.pid(name)[0], resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    def heal(self):
        """Everything runs and serves again, whatever the last fault has left behind."""
        self.thaw(*self.stack.names())
        self.start(*self.stack.names())
        if self.is_ha and not self.active:
            ha.ensure_active(self.stack, READY_SECONDS)

    # ------------------------------------------------------------------------------------------ topics, lakes

    def patiently(self, what, ask):
        """The answer of `ask()`. A broker that has just been started, or stalled, is not yet let into its own cluster."""
        end = time.monotonic() + READY_SECONDS
        while True:
            try:
                return ask()
            except kafka.KafkaException as error:
                if time.monotonic() > end:
                    raise ChaosError(f"{what}: {error}") from None
                time.sleep(0.5)

    def administer(self, topic, ask):
        """Does `ask(client)[topic]`, and waits until Kafka has done it."""
        client = AdminClient({"bootstrap.servers": self.kafka, "log_level": 0})

        def done():
            try:
                ask(client)[topic].result(60)
            except kafka.KafkaException as error:
                if error.args[0].code() not in DONE_BEFORE:
                    raise

        self.patiently(f"topic {topic}", done)

    def create_topic(self, topic, partitions, settings=None):
        new = NewTopic(topic, partitions, 1, config=settings or {})
        self.administer(topic, lambda client: client.create_topics([new]))

    def add_partitions(self, topic, total):
        self.administer(topic, lambda client: client.create_partitions([NewPartitions(topic, total)]))

    def delete_topic(self, topic):
        self.administer(topic, lambda client: client.delete_topics([topic]))

    def recreate_topic(self, topic, partitions):
        """Another topic of the same name; it has another id."""
        self.delete_topic(topic)
        client = AdminClient({"bootstrap.servers": self.kafka, "log_level": 0})
        # Not like `create_topic`: that the name is taken means that the old topic is not gone yet.
        new = NewTopic(topic, partitions, 1)
        self.patiently(f"topic {topic} again", lambda: client.create_topics([new])[topic].result(60))

    def delete_records(self, topic, below):
        """Deletes what lies below an offset of each Kafka partition that is named."""
        client = AdminClient({"bootstrap.servers": self.kafka, "log_level": 0})
        places = [kafka.TopicPartition(topic, number, offset) for number, offset in below.items()]
        self.patiently(f"records of {topic}", lambda: [done.result(60) for done in client.delete_records(places).values()])

    def lose_end(self, topic, kept):
        """The broker dies and comes back with a share of the bytes of Kafka partitions: it had written no more to disk."""
        self.kill("kafka")
        for number, share in kept.items():
            log = self.stack.dir / f"kafka/data/{topic}-{number}/00000000000000000000.log"
            os.truncate(log, int(log.stat().st_size * share))
        self.start("kafka")

    def ends(self, topic):
        """End of each Kafka partition, markers of transactions included."""
        return {number: marks[1] for number, marks in self.watermarks(topic).items()}

    def watermarks(self, topic):
        """First offset and end of each Kafka partition."""
        reader = kafka.Consumer({"bootstrap.servers": self.kafka, "group.id": f"{topic}-ends", "log_level": 0})

        def marks():
            numbers = reader.list_topics(topic, 30).topics[topic].partitions
            return {number: reader.get_watermark_offsets(kafka.TopicPartition(topic, number), 30) for number in numbers}

        try:
            return self.patiently(f"the ends of {topic}", marks)
        finally:
            reader.close()

    # ------------------------------------------------------------------------------------------ WebHDFS

    def web(self, method, operation, path, **query):
        """What the NameNode answers to a request by WebHDFS."""
        query |= {"op": operation, "user.name": getpass.getuser()}
        url = f"{self.webhdfs}/webhdfs/v1/{path}?{urllib.parse.urlencode(query)}"
        request = urllib.request.Request(url, method=method)
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as answer:
                return json.loads(answer.read() or "{}")
        except OSError as error:
            raise ChaosError(f"{operation} of {path} by WebHDFS: {error}") from None

    def set_quota(self, folder, **quotas):
        """`namespacequota`, `storagespacequota`: how much may be in the folder; -1: no matter how much."""
        self.web("PUT", "SETQUOTA", folder, **quotas)

    def delete_lake(self, folder):
        with contextlib.suppress(ChaosError):
            self.web("DELETE", "DELETE", folder, recursive="true")

    def folders(self, top):
        """Every folder below `top`."""
        for entry in self.web("GET", "LISTSTATUS", top)["FileStatuses"]["FileStatus"]:
            if entry["type"] == "DIRECTORY":
                folder = pathlib.PurePosixPath(top, entry["pathSuffix"])
                yield folder
                yield from self.folders(folder)
