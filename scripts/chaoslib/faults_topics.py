"""Faults of the topics: Kafka loses under us what it has confirmed, by compaction, by retention, or with the whole topic."""

from .catalogue import fault
from .common import Broken, ChaosError, until
from .producer import read_topic
from .run import PARTITIONS

# Everything about compaction as soon as the broker can: segments of a second, and no message is too young for it.
COMPACTED = {
    "cleanup.policy": "compact",
    "segment.ms": "1000",
    "min.cleanable.dirty.ratio": "0.01",
    "max.compaction.lag.ms": "1000",
    "delete.retention.ms": "100",
}


def missing(run, since):
    """Offsets from `since` on that were given to messages and cannot be read any more, over all Kafka partitions."""
    # The ends first: what comes in while the topic is read is not missing.
    ends = run.servers.ends(run.name)
    there = {(answer.partition(), answer.offset()) for answer in read_topic(run.servers.kafka, run.name)}
    return sum((number, offset) not in there for number in since for offset in range(since[number], ends[number]))


@fault(
    "compacted",
    "a compacted topic with few keys: offsets vanish while the daemon reads, and above its position while it is down",
    topic=COMPACTED,
    load={"keys": 40, "may_lose": "compacted"},
)
def compacted(run):
    (daemon,) = run.daemons
    for _ in range(2):
        run.wait_progress()
        run.pause(0, 2)
        daemon.kill()
        # What is missing from here on was never read.
        since = run.servers.ends(run.name)
        until("offsets are missing above the daemon's position", lambda: missing(run, since), 90, every=1)
        run.did("offset missing that was never read", missing(run, since))
        daemon.start()
        run.wait_progress()
    # Beside the reader now: the log is compacted again and again, and what is read of it is full of holes.
    run.pause(3, 6)
    run.did("offset missing in all", missing(run, dict.fromkeys(range(PARTITIONS), 0)))


# ------------------------------------------------------------------------------------------ retention


def grown(run, since, least):
    """Waits until each Kafka partition has `least` messages more than `since`; the ends then."""

    def ends():
        found = run.servers.ends(run.name)
        return found if all(found[number] >= since[number] + least for number in since) else None

    return until("messages come in", ends, 60)


def lose(run, is_frozen):
    """Messages that the daemon has never read are deleted while it is down, or stands still; of which Kafka partitions."""
    (daemon,) = run.daemons
    run.wait_progress()
    run.pause(0, 2)
    if is_frozen:
        daemon.freeze()
    else:
        daemon.kill()
    # A fetch that was under way is answered by the next messages, and they wait in the socket of a frozen daemon.
    never_read = grown(run, run.servers.ends(run.name), 5)
    below = grown(run, never_read, run.rng.randint(5, 30))
    victims = run.rng.sample(range(PARTITIONS), run.rng.randint(1, PARTITIONS))
    run.servers.delete_records(run.name, {number: below[number] for number in victims})
    lows = run.servers.watermarks(run.name)
    if any(lows[number][0] != below[number] for number in victims):
        raise Broken(f"records were not deleted: {lows} instead of {below} of {victims}")
    run.did("message deleted that was never read", sum(below[number] - never_read[number] for number in victims))
    if is_frozen:
        daemon.thaw()
    else:
        daemon.start()
    return victims


def in_state(run, state):
    """Kafka partitions of lanes in that state."""
    (daemon,) = run.daemons
    status = daemon.status() or {"lanes": []}
    return {lane["partition"] for lane in status["lanes"] if lane["state"] == state}


def halted(run, cause, since):
    """Kafka partitions of lanes that wait for a person, as the status says, and why, as the log does after so many halts."""
    (daemon,) = run.daemons
    told = {line["partition"] for line in daemon.events("lane.halted")[since:] if line["cause"] == cause}
    return in_state(run, "halted") & told


def halts(run):
    return len(run.daemons[0].events("lane.halted"))


def both_ways(run):
    """Down and frozen, which first is for chance to say."""
    return run.rng.sample((False, True), 2)


@fault(
    "retention",
    "records are deleted that were never read, while the daemon is down, and while it is frozen: its lanes halt until "
    "`forebay accept-loss`",
    load={"may_lose": "deleted"},
)
def retention(run):
    (daemon,) = run.daemons
    for is_frozen in both_ways(run):
        since = halts(run)
        victims = set(lose(run, is_frozen))
        until("the lanes halt", lambda: halted(run, "kafka.offset-out-of-range", since) == victims, 60)
        heads = {number: run.lanes().get(number) for number in victims}
        run.pause(1, 3)
        if any(run.lanes().get(number) != head for number, head in heads.items()):
            raise Broken(f"a halted lane went on by itself: {heads}, then {run.lanes()}")
        for number in victims:
            answer = daemon.ask("accept-loss", f"{run.name}:{number}", "--reason", "chaos")
            if answer.returncode != 0:
                raise Broken(f"accept-loss of {number}: {answer.returncode}, {answer.stderr.strip()}")
            run.did("accept-loss")
        until("all lanes go on", lambda: in_state(run, "running") == set(range(PARTITIONS)), 30)


def goes_on(run):
    run.add_daemon(out_of_range="earliest")


@fault(
    "retention-earliest",
    'the same with on_offset_out_of_range = "earliest": the lanes go on by themselves, and the hole is told',
    prepare=goes_on,
    load={"may_lose": "deleted"},
)
def retention_earliest(run):
    (daemon,) = run.daemons
    for is_frozen in both_ways(run):
        told = len(daemon.events("offsets.lost"))
        victims = lose(run, is_frozen)
        until("every hole is told", lambda: len(daemon.events("offsets.lost")) >= told + len(victims), 60)


# ------------------------------------------------------------------------------------------ the end of the log


@fault(
    "broker-loss",
    "the broker comes back without the end of its log: while the daemon runs, while it is down, and with new messages in "
    "its place; the lanes halt until `forebay rewind`",
    load={"may_lose": "rewound"},
    needs_own_topic=True,
)
def broker_loss(run):
    (daemon,) = run.daemons
    for when in run.rng.sample(("running", "down", "replaced"), 3):
        run.wait_progress()
        run.pause(0, 2)
        since = halts(run)
        with run.producer.silence(run.producer.lineage):
            run.wait_lag_zero(60)
            heads = run.lanes()
            if when != "running":
                daemon.kill()
            victims = run.rng.sample(range(PARTITIONS), run.rng.randint(1, PARTITIONS))
            run.servers.lose_end(run.name, {number: run.rng.uniform(0.3, 0.95) for number in victims})
            ends = run.servers.ends(run.name)
            lost = {number: head - ends[number] for number, head in heads.items() if ends[number] < head}
            if not lost:
                raise ChaosError("the broker has lost nothing")
            run.did(f"message lost by the broker, {when}", sum(lost.values()))
            refuse = lambda: until("lanes halt", lambda: halted(run, "kafka.offsets-went-back", since) == set(lost), 90)
            if when != "replaced":
                daemon.start()
                refuse()
        if when == "replaced":
            is_beyond = lambda: all(end > heads[number] for number, end in run.servers.ends(run.name).items() if number in lost)
            until("there is more in the topic than the lake has", is_beyond, 60)
            daemon.start()
            refuse()
        run.pause(0, 2)
        for number in lost:
            answer = daemon.ask("rewind", f"{run.name}:{number}", "--to", str(ends[number]), "--reason", "chaos")
            if answer.returncode != 0:
                raise Broken(f"rewind of {number}: {answer.returncode}, {answer.stderr.strip()}")
            run.did("rewind")
        # What is rewound is promoted again when as much is read again as there was before.
        until("all lanes are beyond", lambda: all(run.lanes().get(number, 0) >= heads[number] for number in lost), 120)


# ------------------------------------------------------------------------------------------ another topic


@fault(
    "topic-recreated",
    "the topic is deleted and created again, while the daemon runs, and while it is down: its lanes halt until "
    "`forebay accept-topic`",
    needs_own_topic=True,
)
def topic_recreated(run):
    (daemon,) = run.daemons
    for number, is_running in enumerate(both_ways(run), 2):
        run.wait_progress()
        run.pause(0, 2)
        since = halts(run)
        if not is_running:
            daemon.kill()
        with run.producer.silence(f"{run.name}~{number}"):
            run.servers.recreate_topic(run.name, PARTITIONS)
        run.did("recreated under a running daemon" if is_running else "recreated while it was down")
        daemon.start()
        everywhere = set(range(PARTITIONS))
        until("all lanes refuse the new topic", lambda: halted(run, "lake.topic-recreated", since) == everywhere, 90)
        run.pause(0, 2)
        answer = daemon.ask("accept-topic", run.name, "--reason", "chaos")
        if answer.returncode != 0:
            raise Broken(f"accept-topic: {answer.returncode}, {answer.stderr.strip()}")
        run.did("accept-topic")
        # Offsets begin anew.
        run.heads.clear()
        until("all lanes go on", lambda: in_state(run, "running") == everywhere, 60)
