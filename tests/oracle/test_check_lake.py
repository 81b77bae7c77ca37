#!/usr/bin/env python3
"""The checker on a tiny lake made by hand: it accepts the lake as it should be, and finds each single thing that is wrong."""

import base64
import datetime
import decimal
import json
import pathlib
import sys
import tempfile
import unittest

import deltalake
import pyarrow as pa
import pyarrow.parquet as pq

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).parent))
import check_lake  # noqa: E402

UTC = datetime.timezone.utc
START = datetime.datetime(2026, 10, 15, 18, 0, tzinfo=UTC)
BOOKS = pa.schema({**check_lake.TABLES["books"], **check_lake.LINEAGE})
WORD = pa.dictionary(pa.int8(), pa.string())
LEDGER = pa.schema(
    {
        "kafka_offset": pa.int64(),
        "kafka_timestamp": pa.timestamp("us", "UTC"),
        "outcome": WORD,
        "table": WORD,
        "rows": pa.int32(),
        "code": WORD,
    }
)
QUARANTINE = pa.schema(
    {"kafka_topic": pa.string(), "kafka_partition": pa.int32(), "kafka_offset": pa.int64(), "payload": pa.binary()}
)


def message(partition, offset, ids, day=15):
    """A message with a row for each record id; without ids it is one that is quarantined."""
    stamp = START + datetime.timedelta(minutes=offset)
    rows = [
        {
            "branch": "L7",
            "book_id": f"B{record_id:09}",
            "lang": "en",
            "record_id": record_id,
            "title": f"river & glass {offset}",
            "author_name": "Silent Harbour",
            "author_country": "India",
            "genre": None,
            "price": "17.95",
            "currency": "EUR",
            "publication_year": 1987,
            "added": f"2026-10-{day}T18:42:00Z",
        }
        for record_id in ids
    ]
    whole = {
        "topic": "library",
        "partition": partition,
        "offset": offset,
        "timestamp_ms": int(stamp.timestamp() * 1000),
        "rows": rows,
    }
    if not ids:
        whole["payload_base64"] = base64.b64encode(b"<libary>").decode()
    return {**whole, "outcome": "rows" if ids else "quarantined"}


# Record 2 comes again with another date, record 3 with a later offset; 1:3 is a hole as log compaction leaves them.
MESSAGES = [
    message(0, 0, [1, 2]),
    message(0, 1, []),
    message(0, 2, [3]),
    message(0, 3, [2], day=17),
    message(1, 0, [4]),
    message(1, 1, [5, 6]),
    message(1, 2, [3]),
    message(1, 4, [7]),
]
CHAINS = {0: [(0, 2, 1), (2, 3, 1), (3, 4, 2)], 1: [(0, 3, 1), (3, 5, 1)]}


def lineage(source, index):
    return {
        "kafka_topic": source["topic"],
        "kafka_partition": source["partition"],
        "kafka_offset": source["offset"],
        "kafka_timestamp": datetime.datetime.fromtimestamp(source["timestamp_ms"] / 1000, UTC),
        "row_index": index,
    }


def book_rows(messages):
    return [
        {
            **row,
            "price": decimal.Decimal(row["price"]),
            "added": datetime.datetime.fromisoformat(row["added"].replace("Z", "+00:00")),
            **lineage(source, index),
        }
        for source in messages
        for index, row in enumerate(source["rows"])
    ]


def write(path, rows, schema):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema), path)


class TinyLake(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name, "lake")
        self.expected = pathlib.Path(folder.name, "expected.jsonl")
        self.expected.write_text("".join(json.dumps(entry) + "\n" for entry in MESSAGES))
        for partition, chain in CHAINS.items():
            for interval in chain:
                self.write_interval(partition, *interval)
        winners = {}
        for row in book_rows(MESSAGES):
            rank = (row["kafka_timestamp"], row["kafka_topic"], row["kafka_partition"], row["kafka_offset"], row["row_index"])
            if rank > winners.get(row["record_id"], (rank[:0], None))[0]:
                winners[row["record_id"]] = (rank, row)
        self.processed = self.root / "processed/books"
        self.write_processed([row for _, row in winners.values()])

    def path(self, zone, partition, start, end, epoch):
        name = f"library+{partition:05}+{start:020}+{end:020}+e{epoch:010}.parquet"
        folder = {
            "ledger": f"ledger/library/p={partition:05}/dt=2026-11-21",
            "raw": "raw/books/dt=2026-11-21/hr=08",
            "quarantine": "quarantine/books/dt=2026-11-21",
        }[zone]
        return self.root / folder / name

    def write_interval(self, partition, start, end, epoch):
        inside = [entry for entry in MESSAGES if entry["partition"] == partition and start <= entry["offset"] < end]
        ledger = [
            {
                "kafka_offset": entry["offset"],
                "kafka_timestamp": lineage(entry, 0)["kafka_timestamp"],
                "outcome": entry["outcome"],
                "table": "books",
                "rows": len(entry["rows"]),
                "code": None if entry["rows"] else "xml.syntax",
            }
            for entry in inside
        ]
        write(self.path("ledger", partition, start, end, epoch), ledger, LEDGER)
        write(self.path("raw", partition, start, end, epoch), book_rows(inside), BOOKS)
        bad = [{**lineage(entry, 0), "payload": b"<libary>"} for entry in inside if entry["outcome"] == "quarantined"]
        if bad:
            write(self.path("quarantine", partition, start, end, epoch), bad, QUARANTINE)

    def write_processed(self, rows, mode="overwrite"):
        table = pa.Table.from_pylist(rows, BOOKS).append_column("dt", pa.array([row["added"].date().isoformat() for row in rows]))
        deltalake.write_deltalake(str(self.processed), table, partition_by=["dt"], mode=mode)

    def edit(self, path, change):
        """Writes a Parquet file again after `change` has worked on the list of its rows."""
        table = pq.ParquetFile(path).read()
        rows = table.to_pylist()
        change(rows)
        write(path, rows, table.schema)

    def expect(self, *messages):
        """Also these, or the same with something else said of them."""
        places = [(entry["partition"], entry["offset"]) for entry in messages]
        kept = [entry for entry in MESSAGES if (entry["partition"], entry["offset"]) not in places]
        self.expected.write_text("".join(json.dumps(entry) + "\n" for entry in [*kept, *messages]))

    def write_lost(self, partition, start, end, epoch):
        path = self.path("ledger", partition, start, end, epoch)
        footer = {"forebay.interval": json.dumps({"lost": {"from": start, "to": end, "reason": "retention"}})}
        pq.write_table(pa.Table.from_pylist([], LEDGER.with_metadata(footer)), path)

    def check(self, **options):
        return check_lake.check(self.root, self.expected, "books", **options)

    def assert_found(self, promise, what, **options):
        document = self.check(**options)
        self.assertFalse(document["ok"])
        found = {
            entry["what"] for violated in document["violated"] if violated["id"] == promise for entry in violated["violations"]
        }
        self.assertTrue(any(what in entry for entry in found), f"{promise} {what!r} not in {document['violated']}")

    # -------------------------------------------------------------------------------------------- as it should be

    def test_a_lake_as_it_should_be(self):
        document = self.check()
        self.assertEqual(document["violated"], [])
        self.assertTrue(document["ok"])
        self.assertEqual(
            (document["checked"]["ledger rows"], document["checked"]["raw rows"], document["checked"]["processed rows"]),
            (8, 9, 7),
        )

    def test_an_interval_that_a_higher_epoch_covers_is_dead(self):
        self.write_interval(0, 2, 4, 5)
        for zone in ("raw", "ledger"):
            self.path(zone, 0, 3, 4, 2).unlink()
        self.path("raw", 0, 2, 3, 1).unlink()
        self.assertEqual(self.check()["violated"], [])

    def test_nothing_promoted_yet(self):
        for path in self.processed.rglob("*"):
            if path.is_file():
                path.unlink()
        self.assertTrue(self.check(with_processed=False)["ok"])

    # -------------------------------------------------------------------------------------------- ledger and chain

    def test_a_hole_in_the_chain(self):
        self.path("ledger", 0, 2, 3, 1).unlink()
        self.assert_found("I1", "not in the chain")

    def test_a_chain_that_ends_early(self):
        for zone in ("ledger", "raw"):
            self.path(zone, 1, 3, 5, 1).unlink()
        self.assert_found("I2", "a message without a ledger row")

    def test_overlapping_intervals(self):
        self.write_interval(0, 1, 3, 9)
        self.assert_found("I1", "not in the chain")

    def test_a_covered_interval_of_a_higher_epoch(self):
        self.write_interval(0, 0, 4, 2)
        self.path("ledger", 0, 3, 4, 2).rename(self.path("ledger", 0, 3, 4, 3))
        self.assert_found("I1", "not in the chain")

    def test_a_date_that_goes_back(self):
        path = self.path("ledger", 0, 3, 4, 2)
        earlier = path.parent.parent / "dt=2026-11-20" / path.name
        earlier.parent.mkdir()
        path.rename(earlier)
        self.assert_found("I1", "an earlier date")

    def test_another_outcome(self):
        self.edit(self.path("ledger", 0, 0, 2, 1), lambda rows: rows[1].update(outcome="filtered"))
        self.assert_found("I2", "another outcome")

    def test_all_violations_are_counted_and_the_first_ones_shown(self):
        self.edit(
            self.path("ledger", 1, 3, 5, 1),
            lambda rows: rows.extend({**rows[0], "kafka_offset": offset} for offset in range(5, 105)),
        )
        violated = {entry["id"]: entry for entry in self.check()["violated"]}
        self.assertEqual((violated["I3"]["count"], len(violated["I3"]["violations"])), (100, check_lake.SHOWN))

    def test_a_ledger_row_twice(self):
        self.edit(self.path("ledger", 0, 0, 2, 1), lambda rows: rows.append(rows[0]))
        self.assert_found("I2", "two ledger rows")

    def test_a_ledger_row_that_nobody_produced(self):
        self.edit(self.path("ledger", 1, 3, 5, 1), lambda rows: rows.append({**rows[0], "kafka_offset": 3}))
        self.assert_found("I3", "was not produced")

    # -------------------------------------------------------------------------------------------- gone from Kafka

    def test_a_message_that_was_compacted_away_may_be_missing(self):
        self.expect({**message(1, 3, [8]), "gone": "compacted"})
        document = self.check()
        self.assertEqual((document["violated"], document["checked"]["gone and never read"]), ([], 1))

    def test_a_message_that_was_read_before_it_was_gone_is_compared_like_any_other(self):
        for gone in ("compacted", "deleted"):
            self.expect({**message(0, 2, [3]), "gone": gone})
            document = self.check()
            self.assertEqual((document["violated"], document["checked"]["gone and never read"]), ([], 0))
        self.edit(self.path("raw", 0, 2, 3, 1), lambda rows: rows.clear())
        self.assert_found("I2", "missing in raw")

    def test_half_of_a_message_that_is_gone(self):
        self.expect({**message(0, 2, [3]), "gone": "compacted"})
        self.edit(self.path("ledger", 0, 2, 3, 1), lambda rows: rows.clear())
        self.assert_found("I3", "not expected in raw")

    def test_a_deleted_message_that_nobody_tells_of(self):
        self.expect({**message(1, 3, [8]), "gone": "deleted"})
        self.assert_found("I12", "the ledger does not say so")

    def test_a_deleted_message_in_an_interval_that_is_called_lost(self):
        self.expect({**message(1, 5, [8]), "gone": "deleted"}, {**message(1, 6, [9]), "gone": "deleted"})
        self.write_lost(1, 5, 7, 2)
        self.assertEqual(self.check()["violated"], [])

    def test_a_deleted_message_after_the_end_of_its_chain(self):
        self.expect({**message(1, 5, [8]), "gone": "deleted"})
        self.assertEqual(self.check()["violated"], [])

    def test_a_message_that_is_called_lost_and_can_still_be_read(self):
        self.expect(message(1, 5, [8]))
        self.write_lost(1, 5, 7, 2)
        self.assert_found("I2", "lost, and Kafka has it")
        self.assert_found("I2", "a message without a ledger row")

    # -------------------------------------------------------------------------------------------- raw and quarantine

    def test_a_doubled_row(self):
        self.edit(self.path("raw", 0, 0, 2, 1), lambda rows: rows.append(rows[0]))
        self.assert_found("I2", "doubled in raw")

    def test_a_missing_row(self):
        self.edit(self.path("raw", 0, 0, 2, 1), lambda rows: rows.pop())
        self.assert_found("I2", "missing in raw")

    def test_a_missing_raw_file(self):
        self.path("raw", 1, 3, 5, 1).unlink()
        self.assert_found("I2", "missing in raw")

    def test_a_raw_file_that_no_ledger_names(self):
        write(self.path("raw", 1, 5, 6, 1), book_rows([message(1, 5, [8])]), BOOKS)
        self.assert_found("I3", "a data file without its ledger file")

    def test_each_column_is_compared(self):
        others = {
            "price": decimal.Decimal("17.96"),
            "added": START,
            "publication_year": None,
            "genre": "",
            "kafka_timestamp": START + datetime.timedelta(microseconds=1),
        }
        for column in check_lake.TABLES["books"]:
            if column not in others and column != "record_id":
                others[column] = "other"
        for column, value in {**others, "record_id": 99}.items():
            with self.subTest(column):
                self.edit(self.path("raw", 0, 0, 2, 1), lambda rows: rows[0].update({column: value}))
                self.assert_found("I4", f"another value of {column} in raw")
                self.write_interval(0, 0, 2, 1)

    def test_a_row_in_the_file_of_another_interval(self):
        moved = []
        self.edit(self.path("raw", 0, 2, 3, 1), lambda rows: moved.extend(rows) or rows.clear())
        self.edit(self.path("raw", 0, 3, 4, 2), lambda rows: rows.extend(moved))
        self.assert_found("I2", "another interval")

    def test_another_type(self):
        path = self.path("raw", 0, 0, 2, 1)
        table = pq.ParquetFile(path).read()
        pq.write_table(table.set_column(table.schema.get_field_index("price"), "price", table["price"].cast(pa.float64())), path)
        self.assert_found("I4", "column price is double")

    def test_a_broken_file(self):
        path = self.path("raw", 0, 0, 2, 1)
        path.write_bytes(path.read_bytes()[:-5])
        self.assert_found("I11", "unreadable")

    def test_a_quarantined_message_that_is_nowhere(self):
        self.path("quarantine", 0, 0, 2, 1).unlink()
        self.assert_found("I2", "missing in quarantine")

    def test_quarantined_bytes_that_changed(self):
        self.edit(self.path("quarantine", 0, 0, 2, 1), lambda rows: rows[0].update(payload=b"<library>"))
        self.assert_found("I4", "other bytes")

    # -------------------------------------------------------------------------------------------- processed

    def live_file(self, day):
        return next((self.processed / f"dt=2026-10-{day}").glob("*.parquet"))

    def test_an_old_version_in_processed(self):
        self.edit(self.live_file(17), lambda rows: rows[0].update(book_rows(MESSAGES)[1]))
        self.assert_found("I5", "missing in processed")
        self.assert_found("I5", "rows dated")

    def test_a_record_under_two_dates(self):
        self.write_processed([book_rows(MESSAGES)[1]], mode="append")
        self.assert_found("I5", "a record id twice")

    def test_a_file_that_the_log_does_not_know(self):
        path = self.live_file(17)
        path.with_name("left-over.parquet").write_bytes(path.read_bytes())
        self.assert_found("I8", "in the folder and not in the table log")

    def test_a_file_that_only_the_log_knows(self):
        self.live_file(17).unlink()
        self.assert_found("I8", "in the table log and not in the folder")

    def test_a_file_of_another_length_than_the_log_says(self):
        self.edit(self.live_file(15), lambda rows: rows.pop())
        self.assert_found("I8", "by the table log")
        self.assert_found("I8", "cannot be read through the table log")

    def test_no_table_log(self):
        for path in (self.processed / "_delta_log").iterdir():
            path.unlink()
        (self.processed / "_delta_log").rmdir()
        self.assert_found("I7", "no table log")


if __name__ == "__main__":
    unittest.main()
