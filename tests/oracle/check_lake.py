#!/usr/bin/env python3
"""Compares a lake with what was produced, row by row, with readers that are not Forebay's: pyarrow, DuckDB, deltalake.

The lake must be at rest: everything read, committed and promoted. `--expected` holds one JSON object a message:

    {"topic": "library", "partition": 0, "offset": 7, "timestamp_ms": 1760553720000, "outcome": "rows",
     "rows": [{"record_id": 42, "title": "…", "price": "17.95", "added": "2026-10-15T18:42:00Z"}]}

A column that a row does not name is null. `row_index` may be given in a row, else it is the place in the list.
`payload_base64` of a quarantined message is compared with the bytes that were kept. `gone` is for a message that Kafka has
no more, so that the lake holds it if it was read before: `compacted` need not be told by anybody; one that was `deleted` (by
retention, or with its topic) and is not there has to be in an interval that the ledger calls lost, unless it is above the end of its chain.
Whatever is there has to be what was sent. Prints one JSON document; exit code 0
when the lake keeps its promises, 1 when not, 2 on wrong usage.
"""

import argparse
import json
import pathlib
import sys
import tempfile
import urllib.parse

import deltalake
import deltalake.exceptions
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).parent))
import lake  # noqa: E402

LINEAGE = {
    "kafka_topic": pa.string(),
    "kafka_partition": pa.int32(),
    "kafka_offset": pa.int64(),
    "kafka_timestamp": pa.timestamp("us", "UTC"),
    "row_index": pa.int32(),
}
TABLES = {
    "books": {
        "branch": pa.string(),
        "book_id": pa.string(),
        "lang": pa.string(),
        "record_id": pa.int64(),
        "title": pa.string(),
        "author_name": pa.string(),
        "author_country": pa.string(),
        "genre": pa.string(),
        "price": pa.decimal128(10, 2),
        "currency": pa.string(),
        "publication_year": pa.int32(),
        "added": pa.timestamp("us", "UTC"),
    }
}
RECORD_ID, DATE = "record_id", "added"
KEY = ["kafka_topic", "kafka_partition", "kafka_offset", "row_index"]
SHOWN = 20


class Report:
    """Violations by promise: all are counted, the first ones are shown."""

    def __init__(self, root):
        self.root, self.found, self.hidden, self.counts = root, {}, {}, {}

    def violation(self, promise, what, **where):
        if "path" in where:
            where["path"] = str(where["path"]).removeprefix(f"{self.root}/")
        self.found.setdefault(promise, []).append(
            {"what": what, **{key: value if isinstance(value, int) else str(value) for key, value in where.items()}}
        )

    def more(self, promise, number):
        """So many that are not shown."""
        self.hidden[promise] = self.hidden.get(promise, 0) + number

    def checked(self, what, number):
        self.counts[what] = number

    def document(self):
        promises = [
            {"id": promise, "count": len(found) + self.hidden.get(promise, 0), "violations": found[:SHOWN]}
            for promise, found in sorted(self.found.items(), key=lambda entry: int(entry[0][1:]))
        ]
        return {"ok": not self.found, "checked": self.counts, "violated": promises}


class Checker:
    """Everything is loaded into an in-memory DuckDB and compared there, so that millions of rows are no matter."""

    def __init__(self, root, table, report):
        self.root, self.table, self.report = root, table, report
        self.columns = {**TABLES[table], **LINEAGE}
        self.db = duckdb.connect()

    def rows(self, sql):
        return self.db.execute(sql).fetchall()

    def count(self, relation):
        return self.rows(f"select count(*) from {relation}")[0][0]

    def each(self, promise, what, sql, *names):
        """One violation for each row that `sql` finds; its first columns are what `names` says."""
        found = self.rows(f"select count(*) over () as whole, * from ({sql}) limit {SHOWN}")
        for row in found:
            self.report.violation(promise, what, **dict(zip(names, row[1:])))
        if found:
            self.report.more(promise, found[0][0] - len(found))

    # ---------------------------------------------------------------------------------------- loading

    def canonical(self, source=""):
        """The table's columns as plain SQL values: points in time as microseconds, so that no time zone can creep in."""
        return ", ".join(
            f"epoch_us({source}{name}) as {name}" if pa.types.is_timestamp(kind) else f"{source}{name}"
            for name, kind in self.columns.items()
        )

    def load_expected(self, file):
        fields = "".join(f", {name} {sql_type(kind)}" for name, kind in TABLES[self.table].items())
        spec = (
            "{topic: 'VARCHAR', partition: 'INTEGER', \"offset\": 'BIGINT', timestamp_ms: 'BIGINT', outcome: 'VARCHAR', "
            f"payload_base64: 'VARCHAR', gone: 'VARCHAR', \"rows\": 'STRUCT(row_index INTEGER{fields})[]'}}"
        )
        self.db.execute(
            f"create table message as select * from read_json('{quoted(file)}', format = 'newline_delimited', columns = {spec}, maximum_object_size = 268435456)"
        )
        own = ", ".join(f"row.{name} as {name}" for name in TABLES[self.table])
        self.db.execute(
            f"""create table expected as select {self.canonical()} from (
                select {own}, topic as kafka_topic, partition as kafka_partition, "offset" as kafka_offset,
                       make_timestamp(timestamp_ms * 1000) as kafka_timestamp, coalesce(row.row_index, place - 1)::integer as row_index
                from (select *, unnest("rows") as row, generate_subscripts("rows", 1) as place from message where len("rows") > 0))"""
        )
        self.report.checked("messages", self.count("message"))
        twice = 'select topic, partition, "offset", count(*) from message group by all having count(*) > 1 limit 1'
        if self.rows(twice):
            raise SystemExit("check_lake: the expected file names a message twice")

    def load_zone(self, name, files, columns):
        """A zone's readable files as a table with the path of each row; what cannot be read, or is typed differently, is told."""
        good = []
        for path in files:
            try:
                schema = pq.read_schema(path)
                pq.ParquetFile(path).metadata
            except (pa.ArrowException, OSError) as error:
                self.report.violation("I11", f"unreadable: {str(error).splitlines()[0]}", path=path)
                continue
            for column, kind in columns.items():
                found = schema.field(column).type if column in schema.names else None
                if plain(found) != kind:
                    self.report.violation("I4", f"column {column} is {found} and not {kind}", path=path)
                    break
            else:
                good.append(path)
        selected = self.canonical() if columns is self.columns else ", ".join(columns)
        paths = "[" + ", ".join(f"'{quoted(path)}'" for path in good) + "]"
        if good:
            self.db.execute(
                f"create table {name} as select {selected}, filename from read_parquet({paths}, filename = true, hive_partitioning = false)"
            )
        else:
            nothing = ", ".join(
                f"null::{'BIGINT' if pa.types.is_timestamp(kind) else sql_type(kind)} as {column}"
                for column, kind in columns.items()
            )
            self.db.execute(f"create table {name} as select {nothing}, null::varchar as filename limit 0")
        self.report.checked(f"{name} files", len(good))
        self.report.checked(f"{name} rows", self.count(name))

    # ---------------------------------------------------------------------------------------- the ledger

    def check_ledger(self):
        """I1 and I2: the chain, and exactly one row with the right outcome for each message."""
        chains = {key: lake.walk(intervals, self.report) for key, intervals in lake.parse_ledger(self.root, self.report).items()}
        living = [interval for chain in chains.values() for interval in chain]
        self.report.checked("kafka partitions", len(chains))
        columns = {
            "kafka_offset": pa.int64(),
            "kafka_timestamp": pa.timestamp("us", "UTC"),
            "outcome": pa.string(),
            "table": pa.string(),
            "rows": None,
            "code": pa.string(),
        }
        parts, told = [], []
        for interval in living:
            try:
                file = pq.ParquetFile(interval.path)
                part = file.read()
            except (pa.ArrowException, OSError) as error:
                self.report.violation("I11", f"unreadable: {str(error).splitlines()[0]}", path=interval.path)
                continue
            bad = [
                name
                for name, kind in columns.items()
                if name not in part.schema.names or (kind and plain(part.schema.field(name).type) != kind)
            ]
            if bad:
                self.report.violation("I2", f"ledger columns missing or of another type: {', '.join(bad)}", path=interval.path)
                continue
            told += [(interval.topic, interval.partition, *span) for span in [lake.lost(file.metadata)] if span]
            part = pa.table({name: part[name].cast(kind or pa.int64()) for name, kind in columns.items()})
            size = part.num_rows
            for name, value, kind in (
                ("topic", interval.topic, pa.string()),
                ("partition", interval.partition, pa.int32()),
                ("first", interval.start, pa.int64()),
                ("past", interval.end, pa.int64()),
                ("path", str(interval.path), pa.string()),
            ):
                part = part.append_column(name, pa.repeat(pa.scalar(value, kind), size))
            parts.append(part)
        if parts:
            whole = pa.concat_tables(parts)  # noqa: F841 (DuckDB finds it by its name)
            self.db.execute("create table ledger as select * replace (epoch_us(kafka_timestamp) as kafka_timestamp) from whole")
        else:
            self.db.execute(
                'create table ledger (kafka_offset bigint, kafka_timestamp bigint, outcome varchar, "table" varchar, "rows" bigint, code varchar,'
                " topic varchar, partition integer, first bigint, past bigint, path varchar)"
            )
        self.report.checked("ledger files", len(living))
        self.report.checked("ledger rows", self.count("ledger"))
        self.settle_gone(told, [(*key, chain[-1].end) for key, chain in chains.items() if chain])
        where = ("topic", "partition", "offset")
        self.each(
            "I2",
            "a ledger row outside its interval",
            "select topic, partition, kafka_offset from ledger where kafka_offset < first or kafka_offset >= past",
            *where,
        )
        self.each(
            "I2",
            "two ledger rows for one message",
            "select topic, partition, kafka_offset from ledger group by all having count(*) > 1",
            *where,
        )
        joined = (
            'from message m full join ledger l on m.topic = l.topic and m.partition = l.partition and m."offset" = l.kafka_offset'
        )
        self.each(
            "I2",
            "a message without a ledger row",
            f'select m.topic, m.partition, m."offset" {joined} where l.topic is null',
            *where,
        )
        self.each(
            "I3",
            "a ledger row for a message that was not produced",
            f"select l.topic, l.partition, l.kafka_offset {joined} where m.topic is null",
            *where,
        )
        both = f"{joined} where m.topic is not null and l.topic is not null and"
        self.each(
            "I2",
            "another outcome",
            f'select m.topic, m.partition, m."offset", m.outcome, l.outcome {both} m.outcome is distinct from l.outcome',
            *where,
            "expected",
            "found",
        )
        self.each(
            "I2",
            "another number of rows",
            f"""select m.topic, m.partition, m."offset", coalesce(len(m."rows"), 0), l."rows"
            {both} coalesce(len(m."rows"), 0) <> coalesce(l."rows", 0)""",
            *where,
            "expected",
            "found",
        )
        self.each(
            "I4",
            "another timestamp in the ledger",
            f'select m.topic, m.partition, m."offset" {both} m.timestamp_ms * 1000 is distinct from l.kafka_timestamp',
            *where,
        )
        self.each(
            "I2",
            "another table in the ledger",
            f"""select m.topic, m.partition, m."offset", l."table" {both} l.outcome in ('rows', 'partial') and l."table" <> '{self.table}'""",
            *where,
            "found",
        )
        return {interval.path.name for interval in living}

    def settle_gone(self, told, ends):
        """What is gone from Kafka and was never read is not expected any more; if nobody tells of it, that is a violation."""
        self.db.execute("create table told (topic varchar, partition integer, first bigint, past bigint)")
        self.db.execute("create table chain_end (topic varchar, partition integer, past bigint)")
        for table, rows in (("told", told), ("chain_end", ends)):
            for row in rows:
                self.db.execute(f"insert into {table} values ({', '.join('?' * len(row))})", row)
        self.db.execute(
            """create table never as select * from message m where gone is not null and not exists (
                from ledger l where l.topic = m.topic and l.partition = m.partition and l.kafka_offset = m."offset")"""
        )
        self.report.checked("gone and never read", self.count("never"))
        self.each(
            "I12",
            "a message is gone, was never read, and the ledger does not say so",
            """select topic, partition, "offset" from never n where gone <> 'compacted'
                and not exists (from told t where t.topic = n.topic and t.partition = n.partition and n."offset" between t.first and t.past - 1)
                and exists (from chain_end c where c.topic = n.topic and c.partition = n.partition and n."offset" < c.past)""",
            "topic",
            "partition",
            "offset",
        )
        self.each(
            "I2",
            "the ledger says that a message is lost, and Kafka has it",
            """select m.topic, m.partition, m."offset" from message m join told t
                on t.topic = m.topic and t.partition = m.partition and m."offset" between t.first and t.past - 1
                where m.gone is distinct from 'deleted'""",
            "topic",
            "partition",
            "offset",
        )
        self.db.execute(
            'delete from message m using never n where m.topic = n.topic and m.partition = n.partition and m."offset" = n."offset"'
        )
        self.db.execute(
            """delete from expected e using never n
            where e.kafka_topic = n.topic and e.kafka_partition = n.partition and e.kafka_offset = n."offset" """
        )

    def check_names(self, files, living):
        """A data file that no living ledger file stands beside is rows that nobody vouches for."""
        for path in files:
            if path.name not in living:
                self.report.violation("I3", "a data file without its ledger file", path=path)

    # ---------------------------------------------------------------------------------------- rows

    def compare(self, found, expected, zone):
        """Every row of `expected` is in `found` once and equal, and nothing else is."""
        where = ("topic", "partition", "offset", "row_index")
        key = ", ".join(KEY)
        promise = {"raw": "I2"}.get(zone, "I5")
        self.each(promise, f"doubled in {zone}", f"select {key} from {found} group by all having count(*) > 1", *where)
        joined = f"from {expected} e full join {found} f using ({key})"
        self.each(promise, f"missing in {zone}", f"select {key} {joined} where f.{RECORD_ID} is null", *where)
        self.each(
            "I3" if zone == "raw" else promise,
            f"not expected in {zone}",
            f"select {key} {joined} where e.{RECORD_ID} is null",
            *where,
        )
        for name in self.columns:
            if name not in KEY:
                self.each(
                    "I4" if zone == "raw" else promise,
                    f"another value of {name} in {zone}",
                    f"select {key}, e.{name}, f.{name} {joined} where e.{RECORD_ID} is not null and f.{RECORD_ID} is not null and e.{name} is distinct from f.{name}",
                    *where,
                    "expected",
                    "found",
                )

    def check_raw(self, living):
        files = lake.find(self.root, f"raw/{self.table}")
        self.check_names(files, living)
        self.load_zone("raw", files, self.columns)
        self.compare("raw", "expected", "raw")
        self.each(
            "I2",
            "a row in a file of another interval",
            r"""select kafka_topic, kafka_partition, kafka_offset, filename from (
                select *, string_split(regexp_extract(filename, '[^/]*$'), '+') as part from raw)
            where kafka_topic <> part[1] or kafka_partition <> part[2]::integer or kafka_offset < part[3]::bigint or kafka_offset >= part[4]::bigint""",
            "topic",
            "partition",
            "offset",
            "path",
        )

    def check_quarantine(self, living):
        files = lake.find(self.root, "quarantine")
        self.check_names(files, living)
        self.load_zone("quarantine", files, {**{name: LINEAGE[name] for name in KEY[:3]}, "payload": pa.binary()})
        where = ("topic", "partition", "offset")
        self.each(
            "I2",
            "doubled in quarantine",
            "select kafka_topic, kafka_partition, kafka_offset from quarantine group by all having count(*) > 1",
            *where,
        )
        joined = """from (select * from message where outcome in ('quarantined', 'partial')) m full join quarantine q
            on m.topic = q.kafka_topic and m.partition = q.kafka_partition and m."offset" = q.kafka_offset"""
        self.each(
            "I2", "missing in quarantine", f'select m.topic, m.partition, m."offset" {joined} where q.kafka_topic is null', *where
        )
        self.each(
            "I3",
            "not expected in quarantine",
            f"select q.kafka_topic, q.kafka_partition, q.kafka_offset {joined} where m.topic is null",
            *where,
        )
        self.each(
            "I4",
            "other bytes than the message's in quarantine",
            f'select m.topic, m.partition, m."offset" {joined} where m.payload_base64 is not null and q.kafka_topic is not null and from_base64(m.payload_base64) is distinct from q.payload',
            *where,
        )

    def check_processed(self):
        """I5, I6, I8: the newest version of each record id once, under its own date, for log readers and directory readers alike."""
        self.db.execute(
            f"""create table winner as select * from expected qualify row_number() over (partition by {RECORD_ID}
                order by kafka_timestamp desc nulls last, kafka_topic desc, kafka_partition desc, kafka_offset desc, row_index desc) = 1"""
        )
        folder = self.root / "processed" / self.table
        listed = [
            path for path in lake.find(self.root, f"processed/{self.table}") if path.relative_to(folder).parts[0] != "_delta_log"
        ]
        self.load_zone("processed", listed, self.columns)
        self.compare("processed", "winner", "processed")
        self.each(
            "I5",
            "a record id twice",
            f"select {RECORD_ID}, count(*) from processed group by all having count(*) > 1",
            "record_id",
            "found",
        )
        for path, low, high in self.rows(f"select filename, min({DATE}), max({DATE}) from processed group by all"):
            dates = {lake.utc_date(low), lake.utc_date(high)}
            if {f"dt={date}" for date in dates} != {pathlib.Path(path).parent.name}:
                self.report.violation("I5", f"rows dated {' … '.join(sorted(dates))} under another date", path=path)
        if not (folder / "_delta_log").is_dir():
            if self.count("winner"):
                self.report.violation("I7", "no table log", path=folder / "_delta_log")
            return
        table = deltalake.DeltaTable(str(folder))
        self.report.checked("log version", table.version())
        actions = pa.table(table.get_add_actions(flatten=True)).to_pylist()
        logged = {folder / urllib.parse.unquote(action["path"]): action for action in actions}
        for path in sorted(logged.keys() - set(listed)):
            self.report.violation("I8", "in the table log and not in the folder", path=path)
        for path in sorted(set(listed) - logged.keys()):
            self.report.violation("I8", "in the folder and not in the table log", path=path)
        found = dict(self.rows("select filename, count(*) from processed group by all"))
        for path in sorted(logged.keys() & set(listed)):
            size, rows = path.stat().st_size, found.get(str(path), 0)
            told_size, told_rows = logged[path]["size_bytes"], logged[path].get("num_records")
            if size != told_size:
                self.report.violation("I8", f"{size} bytes, and {told_size} by the table log", path=path)
            if told_rows not in (None, rows):
                self.report.violation("I8", f"{rows} rows, and {told_rows} by the table log", path=path)
        try:
            dataset = table.to_pyarrow_dataset()  # noqa: F841 (DuckDB finds it by its name)
            self.db.execute(f"create table logged as select {self.canonical()} from dataset")
        except (duckdb.Error, pa.ArrowException, OSError, deltalake.exceptions.DeltaError) as error:
            self.report.violation("I8", f"cannot be read through the table log: {str(error).splitlines()[0]}", path=folder)
            return
        self.compare("logged", "winner", "the table log")


def quoted(path):
    return str(path).replace("'", "''")


def plain(kind):
    """A type without the ways a writer may store it: dictionaries, large and view variants."""
    if kind is None:
        return None
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind):
        return pa.binary()
    return kind


def sql_type(kind):
    if pa.types.is_decimal(kind):
        return f"DECIMAL({kind.precision},{kind.scale})"
    if pa.types.is_timestamp(kind):
        return "TIMESTAMPTZ"
    return {pa.string(): "VARCHAR", pa.int32(): "INTEGER", pa.int64(): "BIGINT", pa.binary(): "BLOB"}[kind]


def check(root, expected, table, with_processed=True):
    """The report on the lake at `root`, a local folder."""
    root = pathlib.Path(root).resolve()
    report = Report(root)
    checker = Checker(root, table, report)
    checker.load_expected(expected)
    living = checker.check_ledger()
    checker.check_raw(living)
    checker.check_quarantine(living)
    if with_processed:
        checker.check_processed()
    return report.document()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", required=True, help="the lake: a local folder, or with --webhdfs a path on HDFS")
    parser.add_argument("--expected", required=True, type=pathlib.Path, metavar="FILE.jsonl")
    parser.add_argument("--table", required=True, choices=sorted(TABLES))
    parser.add_argument(
        "--webhdfs",
        metavar="URL",
        help="HTTP address of the NameNode, such as http://127.0.0.1:9870: the lake is copied from there first",
    )
    parser.add_argument(
        "--without-processed", action="store_true", help="nothing was promoted yet: check ledger, raw and quarantine only"
    )
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lake-") as copy:
        root = args.root
        if args.webhdfs:
            lake.download(args.webhdfs, args.root, copy)
            root = copy
        document = check(root, args.expected, args.table, not args.without_processed)
    json.dump(document, sys.stdout, indent=1, ensure_ascii=False)
    print()
    return 0 if document["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
