"""Keys and headers as the files of a lake have them: one JSON line a row of RAW and quarantine, read with PyArrow alone.

Usage: check_carried.py --root DIR --table NAME --key COLUMN --headers COLUMN
"""

import argparse
import base64
import json
import pathlib
import sys

import pyarrow as pa
import pyarrow.parquet as pq

HEADERS = pa.list_(pa.field("element", pa.struct([pa.field("name", pa.string(), False), pa.field("value", pa.binary())]), False))


def text(value):
    return None if value is None else base64.b64encode(value).decode()


def main():
    parser = argparse.ArgumentParser()
    for option in ("root", "table", "key", "headers"):
        parser.add_argument(f"--{option}", required=True)
    arguments = parser.parse_args()
    for zone, names in (("raw", (arguments.key, arguments.headers)), ("quarantine", ("kafka_key", "kafka_headers"))):
        for path in sorted((pathlib.Path(arguments.root) / zone / arguments.table).rglob("*.parquet")):
            table = pq.ParquetFile(path).read()
            types = [table.schema.field(name).type for name in names]
            if types != [pa.binary(), HEADERS]:
                sys.exit(f"{path}: {names} are {types}")
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
