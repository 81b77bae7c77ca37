"""What is measured. Every case takes fresh lakes and groups, and proves the promises on each lake before it goes."""

import dataclasses

from .daemon import BenchError

SEED = 5
BOOKS_10K, BOOKS_1M = 27, 2500  # a book has about 380 bytes; a message of Kafka has at most a million by default


@dataclasses.dataclass
class Measure:
    """One line of the table. `whole`: the goal is for a million messages and says nothing about fewer."""

    id: str
    what: str
    unit: str
    goal: float | None = None
    later: float | None = None
    at_least: bool = False
    whole: bool = False


MEASURES = [
    Measure("raw.cpu", "Kafka → RAW, CPU", "s", 12, 7, whole=True),
    Measure("raw.wall", "Kafka → RAW, time", "s", 12, 5, whole=True),
    Measure("raw.memory", "Kafka → RAW, peak memory", "MB", 512, 256),
    Measure("promote.cpu", "RAW → Processed, CPU", "s", 8, 4, whole=True),
    Measure("promote.wall", "RAW → Processed, time", "s"),
    Measure("promote.memory", "RAW → Processed, peak memory", "MB", 512, 256),
    Measure("few.cpu", "1 % new records against it, CPU", "s"),
    Measure("few.share", "  of the CPU of the full promotion", "×", 0.25, whole=True),
    Measure("few.memory", "  peak memory", "MB", 512, 256),
    Measure("changed.cpu", "1 % more, 3 % of it changes on all dates, CPU", "s"),
    Measure("changed.share", "  of the CPU of the full promotion", "×"),
    Measure("changed.memory", "  peak memory", "MB", 512, 256),
    Measure("wide.cpu", "Kafka → RAW with 24 partitions, CPU", "s"),
    Measure("wide.share", "  of the CPU with 4 partitions", "×", 1.2, whole=True),
    Measure("wide.memory", "  peak memory", "MB", 512, 256),
    Measure("long10k.rate", "messages of 10 kB, by CPU second", "MB/s"),
    Measure("long10k.share", "  of that with messages of 1 kB", "×", 1.0, at_least=True),
    Measure("long10k.memory", "  peak memory", "MB", 512, 256),
    Measure("long1m.rate", "messages of 1 MB, by CPU second", "MB/s"),
    Measure("long1m.share", "  of that with messages of 1 kB", "×", 1.0, at_least=True),
    Measure("long1m.memory", "  peak memory", "MB", 512, 256),
    Measure("chain.files", "ledger files before kill -9 at full speed", ""),
    Measure("chain.fetch", "  then start to first message", "s", 2, 1),
    Measure("chain.commit", "  then start to first commit", "s", 5, 2),
]


class Bench:
    """All cases, and what they found."""

    def __init__(self, program, topics, messages, runs, say):
        self.program, self.topics, self.messages, self.runs, self.say = program, topics, messages, runs, say
        self.found = {}
        self.broken = []
        self.audits = 0

    def note(self, **values):
        for key, value in values.items():
            self.found.setdefault(key.replace("_", ".", 1), []).append(value)

    def audit(self, config, messages=None):
        """Every promise, and that as many messages are there as were sent."""
        broken, accounted = self.program.audit(config)
        self.audits += 1
        self.broken += [f"{invariant} in {config.parent.name}" for invariant in broken]
        if messages is not None and accounted != messages:
            self.broken.append(f"{accounted} of {messages} messages in {config.parent.name}")

    # ------------------------------------------------------------------------------------------ topics

    def whole(self):
        return self.topics.get("4", 4, self.messages)

    # ------------------------------------------------------------------------------------------ cases

    def full(self, run):
        """Kafka → RAW, RAW → Processed, a hundredth more of new records, and one that changes old ones too."""
        program, topic = self.program, self.whole()
        lake, more = program.lake(f"full-{run}"), f"{program.name}-more-{run}"
        # Empty at first, and there from the start: a static member that comes back is not asked for its topics again.
        program.create_topic(more, 4)
        topics = [topic.name, more]
        raw = program.run(program.config(lake, topics))
        self.note(raw_cpu=raw.cpu, raw_wall=raw.wall, raw_memory=raw.peak)
        full = program.run(program.config(lake, topics, processed=True))
        self.note(promote_cpu=full.cpu, promote_wall=full.wall, promote_memory=full.peak)
        self.audit(program.config(lake, topics, processed=True), self.messages)
        # Processed files are written whole: what counts is how many of them hold a record that has changed.
        sent = self.messages
        for name, repeated in (("few", 0), ("changed", 0.03)):
            count = self.messages // 100
            order = ("--seed", str(SEED), "--first", str(sent), "--repeated", str(repeated))
            program.produce(more, 4, count, *order)
            sent += count
            program.run(program.config(lake, topics))
            cost = program.run(program.config(lake, topics, processed=True))
            figures = {"cpu": cost.cpu, "share": cost.cpu / full.cpu, "memory": cost.peak}
            self.note(**{f"{name}_{key}": value for key, value in figures.items()})
            self.audit(program.config(lake, topics, processed=True), sent)
        program.delete_lake(lake)
        program.delete_topic(more)

    def wide(self, run):
        """The same messages over 24 partitions."""
        topic = self.topics.get("24", 24, self.messages)
        lake = self.program.lake(f"wide-{run}")
        cost = self.to_raw(lake, topic)
        self.note(wide_cpu=cost.cpu, wide_share=cost.cpu / self.base("raw.cpu", run), wide_memory=cost.peak)
        self.finish(lake, topic)

    def long(self, run):
        """As many bytes in fewer, longer messages."""
        short = self.whole()
        rate = short.bytes / 1e6 / self.base("raw.cpu", run)
        for name, books in (("long10k", BOOKS_10K), ("long1m", BOOKS_1M)):
            topic = self.topics.get(name, 4, max(100, self.messages * 3 // books), "--books", str(books))
            lake = self.program.lake(f"{name}-{run}")
            cost = self.to_raw(lake, topic)
            own = topic.bytes / 1e6 / cost.cpu
            self.note(**{f"{name}_rate": own, f"{name}_share": own / rate, f"{name}_memory": cost.peak})
            self.finish(lake, topic)

    def chain(self, run):
        """A chain of many ledger files, kill -9 while it grows, and how long the next start takes."""
        program, topic = self.program, self.whole()
        lake = program.lake(f"chain-{run}")
        # Every batch is an interval of its own, and has about nine hundred messages.
        wanted = self.messages // 1000
        with program.daemon(program.config(lake, [topic.name], raw={"roll_rows": 1})) as daemon:
            daemon.until("forebay_commits_total", wanted, 300)
            files = daemon.metric("forebay_commits_total")
            daemon.kill()
        # An interval of five thousand messages: what is measured is the start, not how long an interval is filled.
        config = program.config(lake, [topic.name], raw={"roll_rows": 15_000})
        with program.daemon(config) as daemon:
            fetch = daemon.until("forebay_messages_read_total", 1)
            commit = daemon.until("forebay_commits_total", 1)
            daemon.drain()
        self.note(chain_files=files, chain_fetch=fetch, chain_commit=commit)
        self.finish(lake, topic, is_whole=False)

    # ------------------------------------------------------------------------------------------ pieces

    def to_raw(self, lake, topic):
        return self.program.run(self.program.config(lake, [topic.name]))

    def base(self, key, run):
        """A figure of the same run of the case `full`; measured now if that was left out."""
        if len(self.found.get(key, [])) <= run:
            topic, lake = self.whole(), self.program.lake(f"base-{run}")
            cost = self.to_raw(lake, topic)
            self.note(raw_cpu=cost.cpu, raw_wall=cost.wall, raw_memory=cost.peak)
            self.finish(lake, topic)
        return self.found[key][run]

    def finish(self, lake, topic, is_whole=True):
        self.audit(self.program.config(lake, [topic.name]), topic.messages if is_whole else None)
        self.program.delete_lake(lake)

    CASES = ("full", "wide", "long", "chain")

    def run(self, cases):
        for run in range(self.runs):
            for case in cases:
                self.say(f"run {run + 1} of {self.runs}: {getattr(self, case).__doc__}")
                getattr(self, case)(run)


class Topics:
    """Topics that are filled once and read by every run."""

    def __init__(self, program, known, say):
        self.program, self.known, self.say, self.made = program, known, say, []

    def get(self, name, partitions, messages, *arguments):
        key = f"{name}-{messages}"
        if key not in self.known:
            self.say(f"writing {messages} messages to {partitions} partitions")
            topic = f"{self.program.name}-{key}"
            self.made.append(topic)
            order = ("--seed", str(SEED), *arguments)
            self.known[key] = self.program.produce(topic, partitions, messages, *order)
        return self.known[key]

    def remove(self):
        for topic in self.made:
            try:
                self.program.delete_topic(topic)
            except BenchError as error:
                self.say(str(error))
