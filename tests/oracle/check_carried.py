"""Keys and headers as the files of a lake have them: one JSON line a row of every zone, read with PyArrow alone.

Usage: check_carried.py --root DIR --table NAME --key COLUMN --headers COLUMN
"""

import argparse
import base64
import json
import pathlib
import sys

import pyarrow as pa
import pyarrow.parquet as pq

def is_headers(kind):
    """A list of names and values; whether they may be null is another matter."""
    if not pa.types.is_list(kind) or not pa.types.is_struct(kind.value_type):
        return False
    return [(field.name, field.type) for field in kind.value_type] == [("name", pa.string()), ("value", pa.binary())]


def text(value):
    return None if value is None else base64.b64encode(value).decode()


def main():
    parser = argparse.ArgumentParser()
    for option in ("root", "table", "key", "headers"):
        parser.add_argument(f"--{option}", required=True)
    arguments = parser.parse_args()
    named, own = (arguments.key, arguments.headers), ("kafka_key", "kafka_headers")
    for zone, names in (("raw", named), ("quarantine", own), ("processed", named)):
        for path in sorted((pathlib.Path(arguments.root) / zone / arguments.table).rglob("*.parquet")):
            table = pq.ParquetFile(path).read()
            key, headers = [table.schema.field(name).type for name in names]
            if key != pa.binary() or not is_headers(headers):
                sys.exit(f"{path}: {names} are {key} and {headers}")
            for row in table.to_pylist():
                headers = row[names[1]]
                told = {
                    "zone": zone,
                    "partition": row["kafka_partition"],
                    "offset": row["kafka_offset"],
                    "row_index": row.get("row_index"),
                    "key": text(row[names[0]]),
                    "headers": None if headers is None else [[h["name"], text(h["value"])] for h in headers],
                }
                print(json.dumps(told))


main()
