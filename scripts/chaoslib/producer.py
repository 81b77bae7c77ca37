"""The producer and its ledger: what was sent, what Kafka confirmed, and what is unknown until the topic is read again."""

import base64
import contextlib
import hashlib
import json
import threading
import time

import confluent_kafka as kafka

from .common import ChaosError
from .messages import Library

READ_SECONDS = 90
CLOSE_SECONDS = 150
ID = "chaos-id"


class Sent:
    """One message that was handed to Kafka. `state`: unknown, confirmed, failed, aborted. `lineage` is what the lake calls its topic."""

    def __init__(self, message, timestamp_ms, transaction, lineage):
        self.message, self.timestamp_ms, self.transaction, self.lineage = message, timestamp_ms, transaction, lineage
        self.state, self.partition, self.offset = "unknown", None, None

    @property
    def digest(self):
        return None if self.message.payload is None else hashlib.sha256(self.message.payload).hexdigest()


class Producer(threading.Thread):
    """Sends at a steady rate until it is closed.

    `in_transactions`: in short transactions, of which a third are aborted. `keys`: with so many different keys.
    `may_lose`: how Kafka may lose what it has confirmed, `compacted` or `deleted`, as tests/oracle/check_lake.py says it;
    `rewound`: so that it has to be gone from the lake as well.
    """

    def __init__(
        self, servers, topic, partitions, rng, ledger, rate, poison_share=0.0, in_transactions=False, keys=0, may_lose=None
    ):
        super().__init__(name="producer", daemon=True)
        self.servers, self.topic, self.partitions, self.rng, self.rate = servers, topic, partitions, rng, rate
        self.library = Library(rng, poison_share)
        self.in_transactions, self.keys, self.may_lose = in_transactions, keys, may_lose
        # What the lake calls the topic: another name when it was deleted and created again.
        self.lineage = topic
        # Held for each message, and by whoever must have silence.
        self.turn = threading.RLock()
        self.live = None
        self.ledger_file = open(ledger, "a", encoding="utf-8")
        self.sent, self.transactions = [], {}
        self.ended = threading.Event()
        self.fault = None
        # Short: what is under way while the broker is down ends as unknown. Long: it is sent again until it is confirmed.
        self.timeout_ms = rng.choice((4_000, 120_000))

    def client(self):
        settings = {
            "bootstrap.servers": self.servers,
            "enable.idempotence": True,
            "linger.ms": 5,
            "message.max.bytes": 32 << 20,
            "message.timeout.ms": 60_000 if self.in_transactions else self.timeout_ms,
            "reconnect.backoff.max.ms": 1000,
            "topic.metadata.refresh.interval.ms": 1000,
            "log_level": 0,
        }
        if self.in_transactions:
            settings["transactional.id"] = f"chaos-{self.topic}"
        client = kafka.Producer(settings)
        if self.in_transactions:
            client.init_transactions(60)
        return client

    def run(self):
        try:
            while not self.ended.is_set():
                with self.turn:
                    self.live = self.live or self.client()
                    if self.in_transactions:
                        self.send_transaction(self.live)
                    else:
                        self.send(self.live, None)
                    self.live.poll(0)
                self.ended.wait(1 / self.rate)
            with self.turn:
                self.settle_client()
        except (kafka.KafkaException, BufferError) as error:
            self.fault = f"the producer failed: {error}"

    def settle_client(self):
        """Waits until Kafka has answered for everything, or given up."""
        left = self.live.flush(CLOSE_SECONDS) if self.live else 0
        if left:
            self.fault = f"{left} messages had no answer from Kafka after {CLOSE_SECONDS} s"

    @contextlib.contextmanager
    def silence(self, lineage):
        """Nothing is under way within; afterwards a new client goes on, in a topic that the lake calls `lineage`."""
        with self.turn:
            self.settle_client()
            self.live = None
            yield
            self.lineage = lineage

    def send(self, client, transaction):
        message = self.library.message()
        # Not in order: which version of a book is the newest is for the timestamp to say.
        sent = Sent(message, int(time.time() * 1000) - self.rng.randrange(3000), transaction, self.lineage)
        number = len(self.sent)
        self.sent.append(sent)

        def confirmed(error, answer):
            if error is None:
                sent.state, sent.partition, sent.offset = "confirmed", answer.partition(), answer.offset()
            self.note(number, sent, str(error) if error else None)

        client.produce(
            self.topic, value=message.payload, partition=self.rng.randrange(self.partitions), timestamp=sent.timestamp_ms,
            key=str(self.rng.randrange(self.keys)) if self.keys else None, headers={ID: str(number)}, on_delivery=confirmed,
        )

    def send_transaction(self, client):
        number = len(self.transactions)
        client.begin_transaction()
        for _ in range(self.rng.randint(1, 40)):
            self.send(client, number)
            client.poll(0)
            self.ended.wait(1 / self.rate)
        if self.rng.random() < 1 / 3:
            # Some of it is in the log by then, and must never be seen.
            client.flush(30)
            client.abort_transaction(60)
            self.transactions[number] = "aborted"
        else:
            client.commit_transaction(60)
            self.transactions[number] = "committed"

    def note(self, number, sent, error):
        line = {
            "id": number, "topic": sent.lineage, "partition": sent.partition, "offset": sent.offset, "sha256": sent.digest,
            "timestamp_ms": sent.timestamp_ms, "outcome": sent.message.outcome, "state": sent.state,
        }
        if error:
            line["error"] = error
        with contextlib.suppress(ValueError):  # a report that comes after the end
            self.ledger_file.write(json.dumps(line) + "\n")

    def close(self):
        """Sends no more, and waits until Kafka has answered for everything, or given up."""
        self.ended.set()
        self.join(CLOSE_SECONDS + 30)
        if self.is_alive():
            raise ChaosError("the producer does not end")
        self.ledger_file.close()
        if self.fault:
            raise ChaosError(self.fault)

    # ------------------------------------------------------------------------------------------ what is in the topic

    def is_aborted(self, sent):
        return self.transactions.get(sent.transaction) == "aborted"

    def settle(self, expected):
        """Reads the topic and writes to `expected` what the lake must hold; counts, and what Kafka itself has wrong."""
        found = read_topic(self.servers, self.topic)
        wrong, seen = [], set()
        with open(expected, "w", encoding="utf-8") as file:
            for answer in found:
                number = int(dict(answer.headers())[ID])
                sent = self.sent[number]
                seen.add((number, answer.partition(), answer.offset()))
                if answer.value() != sent.message.payload:
                    wrong.append(f"{answer.partition()}:{answer.offset()} has other bytes than were sent")
                if self.is_aborted(sent):
                    wrong.append(f"{answer.partition()}:{answer.offset()} was aborted, and can be read")
                write_expected(file, sent, answer.partition(), answer.offset(), answer.timestamp()[1])
            arrived, gone = {number for number, _, _ in seen}, 0
            for number, sent in enumerate(self.sent):
                # Of what Kafka has had already when it was sent again it does not say where it lies.
                has_place = sent.offset is not None
                is_missing = (number, sent.partition, sent.offset) not in seen if has_place else number not in arrived
                if sent.state != "confirmed" or not is_missing or self.is_aborted(sent):
                    continue
                how = "deleted" if sent.lineage != self.lineage else self.may_lose
                if how == "rewound":
                    # Gone from the lake too, by the operator's order.
                    gone += 1
                elif how:
                    write_expected(file, sent, sent.partition, sent.offset, sent.timestamp_ms, how)
                    gone += 1
                else:
                    wrong.append(f"{sent.partition}:{sent.offset} was confirmed, and is not there")
        unknown = [number for number, sent in enumerate(self.sent) if sent.state == "unknown"]
        if gone and self.may_lose != "rewound":
            # Whether Kafka had them, and where, nobody can say any more.
            wrong += [f"message {number} has an unknown outcome" for number in unknown if number not in arrived]
        counts = {
            "sent": len(self.sent), "messages": len(found), "gone": gone, "unknown": len(unknown),
            "unknown_arrived": sum(number in arrived for number in unknown),
            "aborted": sum(map(self.is_aborted, self.sent)),
            "quarantined": sum(self.sent[number].message.outcome == "quarantined" for number in arrived),
        }
        return counts, wrong


def write_expected(file, sent, partition, offset, timestamp_ms, gone=None):
    """One line of what the lake must hold; of a message that is gone from Kafka, only if it was read before."""
    line = {
        "topic": sent.lineage, "partition": partition, "offset": offset, "timestamp_ms": timestamp_ms,
        "outcome": sent.message.outcome, "rows": sent.message.rows,
    }
    if gone:
        line["gone"] = gone
    if sent.message.outcome == "quarantined":
        line["payload_base64"] = base64.b64encode(sent.message.payload).decode()
    file.write(json.dumps(line, ensure_ascii=False) + "\n")


def read_topic(servers, topic):
    """Every message that a reader of committed messages sees."""
    consumer = kafka.Consumer({
        "bootstrap.servers": servers, "group.id": f"{topic}-settle", "enable.auto.commit": False, "log_level": 0,
        "isolation.level": "read_committed", "enable.partition.eof": True, "auto.offset.reset": "error",
    })
    try:
        numbers = list(consumer.list_topics(topic, 30).topics[topic].partitions)
        consumer.assign([kafka.TopicPartition(topic, number, kafka.OFFSET_BEGINNING) for number in numbers])
        left, found, until = set(numbers), [], time.monotonic() + READ_SECONDS
        while left:
            if time.monotonic() > until:
                raise ChaosError(f"the topic could not be read within {READ_SECONDS} s")
            for answer in consumer.consume(1000, 1):
                if answer.error() is None:
                    found.append(answer)
                elif answer.error().code() == kafka.KafkaError._PARTITION_EOF:
                    left.discard(answer.partition())
        return found
    except kafka.KafkaException as error:
        raise ChaosError(f"the topic cannot be read: {error}") from None
    finally:
        consumer.close()
