"""What lies in a lake, by name: ledger, raw, quarantine and processed files, and the walk along a chain.

Written from the description of the layout alone; nothing here shares code with the daemon.
"""

import concurrent.futures
import datetime
import getpass
import json
import pathlib
import re
import urllib.parse
import urllib.request

NAME = re.compile(r"(?P<topic>[^+]+)\+(?P<partition>\d{5})\+(?P<from>\d{20})\+(?P<to>\d{20})\+e(?P<epoch>\d{10})\.parquet")

# Key of what a ledger file says of its interval, in the metadata of the Parquet file.
FOOTER = b"forebay.interval"


class Interval:
    """One ledger file: `[start, end)` of one Kafka partition, written in one epoch."""

    def __init__(self, path, topic, partition, start, end, epoch, dt):
        self.path, self.topic, self.partition, self.start, self.end, self.epoch, self.dt = (
            path,
            topic,
            partition,
            start,
            end,
            epoch,
            dt,
        )


def find(root, zone):
    """All files of one zone, whatever they are called."""
    return sorted(path for path in (root / zone).rglob("*") if path.is_file()) if (root / zone).is_dir() else []


def parse_ledger(root, report):
    """Intervals by Kafka partition; a file that is not where its name says is told."""
    chains = {}
    for path in find(root, "ledger"):
        inside = path.relative_to(root / "ledger")
        match = NAME.fullmatch(path.name)
        if not match or len(inside.parts) != 4:
            report.violation("I11", "a file in the ledger that is none", path=path)
            continue
        topic, partition, dt = match["topic"], int(match["partition"]), inside.parts[2]
        if inside.parts[:2] != (topic, f"p={partition:05}") or not re.fullmatch(r"dt=\d{4}-\d\d-\d\d", dt):
            report.violation("I1", "a ledger file lies in a folder of another partition or date", path=path)
        interval = Interval(path, topic, partition, int(match["from"]), int(match["to"]), int(match["epoch"]), dt)
        chains.setdefault((topic, partition), []).append(interval)
    return chains


def walk(intervals, report):
    """The living intervals in order: at each position the one of the highest epoch; the others must be covered by it."""
    position = min(interval.start for interval in intervals)
    by_start = {}
    for interval in intervals:
        by_start.setdefault(interval.start, []).append(interval)
    taken = []
    while position in by_start:
        best = max(by_start[position], key=lambda interval: interval.epoch)
        if best.end <= position:
            report.violation("I1", "an interval that ends where it starts", path=best.path)
            break
        taken.append(best)
        position = best.end
    living = {interval.path for interval in taken}
    for interval in intervals:
        if interval.path in living:
            continue
        over = [other for other in taken if other.start < interval.end and interval.start < other.end]
        covered = over and over[0].start <= interval.start and over[-1].end >= interval.end
        if not covered or any(other.epoch <= interval.epoch for other in over):
            report.violation("I1", f"not in the chain and not covered by it (the chain ends at {position})", path=interval.path)
    for before, after in zip(taken, taken[1:]):
        if after.dt < before.dt:
            report.violation("I1", f"an earlier date than the interval before it, {before.dt}", path=after.path)
    return taken


def lost(metadata):
    """The offsets that a ledger file says are lost, as the first and the one after the last; none when it has messages."""
    told = json.loads((metadata.metadata or {}).get(FOOTER, b"{}")).get("lost")
    return (told["from"], told["to"]) if told else None


def utc_date(microseconds):
    return (datetime.datetime(1970, 1, 1) + datetime.timedelta(microseconds=microseconds)).date().isoformat()


def download(webhdfs, root, target):
    """Copies the data zones of a lake on HDFS through the NameNode's HTTP interface; `_forebay` is the daemon's own affair."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    user = urllib.parse.quote(getpass.getuser())

    def call(path, operation):
        url = f"{webhdfs.rstrip('/')}/webhdfs/v1{urllib.parse.quote(str(path))}?op={operation}&user.name={user}"
        with opener.open(url, timeout=60) as answer:
            return answer.read()

    def fetch(source, destination):
        destination.parent.mkdir(parents=True, exist_ok=True)
        destination.write_bytes(call(source, "OPEN"))

    root = pathlib.PurePosixPath(root)
    folders, files = [root], []
    while folders:
        folder = folders.pop()
        for entry in json.loads(call(folder, "LISTSTATUS"))["FileStatuses"]["FileStatus"]:
            path = folder / entry["pathSuffix"]
            if entry["type"] == "FILE":
                files.append(path)
            elif path != root / "_forebay":
                folders.append(path)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda path: fetch(path, pathlib.Path(target) / path.relative_to(root)), files))
