#!/usr/bin/env python3
"""Compares a Processed table that has a column of every type with the messages it was made of, value by value.

The messages are read by another XML parser (ElementTree), the table by three readers that are not Forebay's: through its log
by deltalake, by its folders by DuckDB, and file by file by pyarrow. `--documents` holds one JSON object a message, in the order
of the offsets of one Kafka partition: {"offset": 7, "text": "<record …>"}. The latest message of each id must be the one row of
that id, in the path partition of its date. Columns that came with a later version of the mapping must be null in rows from
before it: `--grown-at OFFSET` names the first message that was read with it; what the first version had is in BASE.

Prints one JSON document; exit code 0 when all is as it should be, 1 when not.
"""

import argparse
import base64
import datetime
import decimal
import json
import pathlib
import sys
import xml.etree.ElementTree as etree

import deltalake
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

UTC = datetime.timezone.utc
BASE = {"id", "added", "text"}


def instant(text):
    return datetime.datetime.fromisoformat(text).astimezone(UTC)


def number(text):
    return decimal.Decimal(text)


# column: (path, how a text becomes a value, the table's type)
PLAIN = {
    "id": ("@id", str, pa.string()),
    "added": ("added", datetime.date.fromisoformat, pa.date32()),
    "text": ("text", str, pa.string()),
    "flag": ("flag", lambda text: text in ("true", "1"), pa.bool_()),
    "tiny": ("tiny", int, pa.int8()),
    "small": ("small", int, pa.int16()),
    "middle": ("middle", int, pa.int32()),
    "great": ("great", int, pa.int64()),
    "single": ("single", float, pa.float32()),
    "twofold": ("twofold", float, pa.float64()),
    "cents": ("cents", number, pa.decimal128(9, 2)),
    "exact": ("exact", number, pa.decimal128(38, 18)),
    "vast": ("vast", number, pa.decimal128(38, 0)),
    "day": ("day", datetime.date.fromisoformat, pa.date32()),
    "at_ms": ("at_ms", instant, pa.timestamp("us", "UTC")),
    "at_us": ("at_us", instant, pa.timestamp("us", "UTC")),
    "wall_ms": ("wall_ms", datetime.datetime.fromisoformat, pa.timestamp("us")),
    "wall_us": ("wall_us", datetime.datetime.fromisoformat, pa.timestamp("us")),
    "bytes": ("bytes", base64.b64decode, pa.binary()),
    "digest": ("digest", bytes.fromhex, pa.binary()),
    "document": ("document", str, pa.string()),
}
PART = pa.struct(
    [
        ("code", pa.string()),
        ("seen", pa.timestamp("us")),
        ("amounts", pa.list_(pa.decimal128(38, 2))),
        ("place", pa.struct([("city", pa.string()), ("floor", pa.int8())])),
    ]
)
NESTED = {
    "element": pa.string(),
    "tags": pa.list_(pa.string()),
    "times": pa.list_(pa.timestamp("us", "UTC")),
    "address": pa.struct([("city", pa.string()), ("since", pa.date32())]),
    "parts": pa.list_(PART),
    "note_count": pa.int64(),
    "note_text": pa.string(),
}
TYPES = {**{name: kind for name, (_, _, kind) in PLAIN.items()}, **NESTED}


def text_of(element, path):
    if path.startswith("@"):
        return element.get(path[1:])
    found = element.find(path)
    return None if found is None else found.text


def read(element, path, make):
    text = text_of(element, path)
    return None if text is None else make(text)


def canonical(text):
    """An element in one form, whatever its prefixes are called."""
    return etree.canonicalize(text, rewrite_prefixes=True)


def expected_row(text, is_grown):
    root = etree.fromstring(text)
    row = {name: read(root, path, make) for name, (path, make, _) in PLAIN.items()}
    element = root.find("element")
    row["element"] = None if element is None else canonical(etree.tostring(element, encoding="unicode").strip())
    row["tags"] = [tag.text for tag in root.findall("tag")] or None
    row["times"] = [instant(time.text) for time in root.findall("time")] or None
    address = root.find("address")
    if address is None:
        row["address"] = None
    else:
        row["address"] = {"city": text_of(address, "city"), "since": read(address, "since", datetime.date.fromisoformat)}
    row["parts"] = [part_of(part) for part in root.findall("part")] or None
    notes = [note.text for note in root.findall("note")]
    row["note_count"], row["note_text"] = len(notes), "; ".join(notes) or None
    return {name: value if is_grown or name in BASE else None for name, value in row.items()}


def part_of(part):
    place = part.find("place")
    return {
        "code": part.get("code"),
        "seen": read(part, "seen", datetime.datetime.fromisoformat),
        "amounts": [number(amount.text) for amount in part.findall("amount")] or None,
        "place": None if place is None else {"city": text_of(place, "city"), "floor": read(place, "floor", int)},
    }


def same_type(found, wanted):
    """Types are equal whatever the parts of lists are called, and whichever of the equal forms the reader took."""
    if pa.types.is_list(wanted) or pa.types.is_large_list(wanted):
        return (pa.types.is_list(found) or pa.types.is_large_list(found)) and same_type(found.value_type, wanted.value_type)
    if pa.types.is_struct(wanted):
        return (
            pa.types.is_struct(found)
            and [field.name for field in found] == [field.name for field in wanted]
            and all(same_type(a.type, b.type) for a, b in zip(found, wanted))
        )
    if pa.types.is_string(wanted):
        return pa.types.is_string(found) or pa.types.is_large_string(found) or pa.types.is_string_view(found)
    if pa.types.is_binary(wanted):
        return pa.types.is_binary(found) or pa.types.is_large_binary(found) or pa.types.is_binary_view(found)
    if pa.types.is_timestamp(wanted) and wanted.tz:
        return pa.types.is_timestamp(found) and found.unit == wanted.unit and found.tz is not None
    return found == wanted


def compare(reader, table, wanted, columns, date, problems):
    """Every value of every row; how many were compared."""
    for name in columns:
        if name not in table.column_names:
            problems.append(f"{reader}: there is no column {name}")
        elif not same_type(table.schema.field(name).type, TYPES[name]):
            problems.append(f"{reader}: {name} is {table.schema.field(name).type}, not {TYPES[name]}")
    if problems:
        return 0
    rows = table.to_pylist()
    found = {row["id"]: row for row in rows}
    if len(rows) != len(found) or found.keys() != wanted.keys():
        problems.append(f"{reader}: {len(rows)} rows of {len(found)} ids, and {len(wanted)} are wanted")
    compared = 0
    for key, row in wanted.items():
        there = found.get(key)
        if there is None:
            continue
        for name in columns:
            value = there.get(name)
            if name == "element" and value is not None:
                value = canonical(value)
            if name == "single" and row[name] is not None:
                same = value == pa.scalar(row[name], pa.float32()).as_py()
            else:
                same = value == row[name]
            if not same:
                problems.append(f"{reader}: {name} of {key} is {value!r}, not {row[name]!r}")
            compared += 1
        if str(there["dt"]) != row[date].isoformat()[:10]:
            problems.append(f"{reader}: {key} is in dt={there['dt']}, and its date is {row[date]}")
    return compared


def skipping(log, wanted, problems):
    """A reader that leaves files out by what the log says of them finds every row, at every bound."""
    builder = deltalake.QueryBuilder().register("t", log)
    for column in ("wall_ms", "at_ms", "day", "great"):
        values = sorted(row[column] for row in wanted.values() if row[column] is not None)
        for bound in values[:: max(1, len(values) // 8)]:
            text = bound.isoformat() if hasattr(bound, "isoformat") else str(bound)
            kind = {"wall_ms": "timestamp ", "at_ms": "timestamptz ", "day": "date "}.get(column)
            literal = f"{kind}'{text}'" if kind else text
            if column == "at_ms":
                literal = f"arrow_cast('{text}', 'Timestamp(Microsecond, Some(\"UTC\"))')"
            found = pa.table(builder.execute(f"select count(*) as n from t where {column} >= {literal}"))["n"][0].as_py()
            if found != sum(value >= bound for value in values):
                problems.append(f"deltalake: {found} rows have a {column} from {text} on")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", required=True, type=pathlib.Path, help="the lake, a local folder")
    parser.add_argument("--table", required=True)
    parser.add_argument("--documents", required=True, type=pathlib.Path, metavar="FILE.jsonl")
    parser.add_argument("--date", required=True, metavar="COLUMN", help="the column that gives dt")
    parser.add_argument("--grown-at", type=int, default=0, metavar="OFFSET")
    parser.add_argument("--before", action="store_true", help="only the columns of the first version are there")
    args = parser.parse_args()
    wanted = {}
    for line in args.documents.read_text().splitlines():
        document = json.loads(line)
        row = expected_row(document["text"], document["offset"] >= args.grown_at)
        wanted[row["id"]] = row
    columns = sorted(BASE) if args.before else list(TYPES)
    folder = args.root / "processed" / args.table
    problems, compared = [], {}

    log = deltalake.DeltaTable(str(folder))
    compared["deltalake"] = compare("deltalake", pa.table(log.to_pyarrow_table()), wanted, columns, args.date, problems)
    files = f"read_parquet('{folder}/dt=*/*.parquet', hive_partitioning = true, union_by_name = true)"
    db = duckdb.connect()
    db.execute("set timezone = 'UTC'")
    compared["duckdb"] = compare("duckdb", db.sql(f"select * from {files}").to_arrow_table(), wanted, columns, args.date, problems)
    pieces = []
    for path in sorted(folder.glob("dt=*/*.parquet")):
        piece = pq.ParquetFile(path).read()
        date = path.parent.name.removeprefix("dt=")
        pieces.append(piece.append_column("dt", pa.array([date] * piece.num_rows)))
    compared["pyarrow"] = compare("pyarrow", pa.concat_tables(pieces, promote_options="default"), wanted, columns, args.date, problems)
    if not args.before:
        skipping(log, wanted, problems)
    for path in folder.glob("_delta_log/*.json"):
        # What is new in the schema comes with files that have it.
        actions = [json.loads(line) for line in path.read_text().splitlines()]
        if any("metaData" in action for action in actions) and not any("add" in action for action in actions):
            problems.append(f"{path.name} changes the schema and adds no file")
    json.dump(
        {
            "ok": not problems,
            "rows": len(wanted),
            "old_rows": sum(row["flag"] is None for row in wanted.values()),
            "values": compared,
            "problems": problems[:50],
        },
        sys.stdout,
        indent=1,
    )
    print()
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
