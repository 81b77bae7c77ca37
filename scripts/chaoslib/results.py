"""The results: one JSON line a run as it ends, and the table of all of them."""

import json
import statistics
import time


class Results:
    """A file of JSON lines. With `resume` it goes on, else an older one is put aside."""

    def __init__(self, path, resume):
        self.path = path
        if path.exists() and not resume:
            ended = time.strftime("%Y%m%d-%H%M%S", time.gmtime(path.stat().st_mtime))
            path.rename(path.with_name(f"{path.stem}-{ended}.jsonl"))
        self.lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def add(self, line):
        self.lines.append(line)
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")

    def has(self, fault, number, storage):
        """Whether the run is done; one that says nothing about Forebay is done again."""
        return any(
            (line["fault"], line["run"], line["storage"]) == (fault, number, storage) and line["outcome"] != "void"
            for line in self.lines
        )

    @property
    def seed(self):
        """The seed of the campaign that is gone on with."""
        return self.lines[-1]["seed"] if self.lines else None

    @property
    def is_good(self):
        return bool(self.lines) and all(line["outcome"] == "good" for line in self.latest())

    def latest(self):
        """The last result of each run."""
        return list({(line["fault"], line["run"], line["storage"]): line for line in self.lines}.values())

    def table(self):
        rows = [("fault", "on", "runs", "good", "injected", "messages", "lag zero s", "promoted s", "MB", "fds")]
        by_fault = {}
        for line in self.latest():
            by_fault.setdefault((line["fault"], line["storage"]), []).append(line)
        for (name, storage), lines in by_fault.items():
            good = sum(line["outcome"] == "good" for line in lines)
            rows.append((
                name, storage, str(len(lines)), str(good), injections(lines),
                f"{sum(line.get('ledger', {}).get('messages', 0) for line in lines):,}",
                spread(lines, "recovery_seconds"), spread(lines, "promoted_seconds"),
                f"{max(line.get('memory_mb', 0) for line in lines):.0f}",
                f"{max(line.get('descriptors', 0) for line in lines)}",
            ))
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        told = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
        told.append("")
        told.append("checked: every message and row by an independent reader, the table log; audit, logs, exits, bounds")
        for line in self.latest():
            if line["outcome"] != "good":
                head = "{outcome} {fault} run {run} on {storage}".format(**line)
                told.append("; ".join([head, *line["why"]])[:600])
                told.append("  kept: {kept}\n  again: {again}".format(**{"kept": "nothing", **line}))
        return "\n".join(told)


def injections(lines):
    total = {}
    for line in lines:
        for what, count in line["injected"].items():
            total[what] = total.get(what, 0) + count
    return ", ".join(f"{count} {what}" for what, count in total.items()) or "-"


def spread(lines, key):
    """Median and maximum."""
    values = [line[key] for line in lines if key in line]
    return f"{statistics.median(values):.1f} / {max(values):.1f}" if values else "-"
