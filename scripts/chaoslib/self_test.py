"""The checks can fail: a good lake is spoilt in one way after the other, and each has to be seen."""

import shutil

import pyarrow as pa
import pyarrow.parquet as pq

from .catalogue import CATALOGUE
from .common import say
from .run import Run


def some(lake, pattern):
    """The largest file of a kind, so that there is something in it."""
    return max(lake.glob(pattern), key=lambda path: path.stat().st_size)


def delete_raw(lake):
    some(lake, "raw/books/**/*.parquet").unlink()


def delete_ledger(lake):
    some(lake, "ledger/**/*.parquet").unlink()


def delete_quarantine(lake):
    some(lake, "quarantine/**/*.parquet").unlink()


def cut_raw(lake):
    path = some(lake, "raw/books/**/*.parquet")
    path.write_bytes(path.read_bytes()[:-100])


def rewrite(path, change):
    pq.write_table(change(pq.read_table(path, partitioning=None)), path)


def double_raw_row(lake):
    rewrite(some(lake, "raw/books/**/*.parquet"), lambda table: pa.concat_tables([table, table.slice(0, 1)]))


def change_raw_value(lake):
    def change(table):
        return table.set_column(table.schema.get_field_index("genre"), "genre", pa.array(["other"] * table.num_rows))

    rewrite(some(lake, "raw/books/**/*.parquet"), change)


def double_processed_row(lake):
    rewrite(some(lake, "processed/books/dt=*/*.parquet"), lambda table: pa.concat_tables([table, table.slice(0, 1)]))


def lose_processed_row(lake):
    rewrite(some(lake, "processed/books/dt=*/*.parquet"), lambda table: table.slice(1))


SPOILT = [delete_raw, delete_ledger, delete_quarantine, cut_raw, double_raw_row, change_raw_value, double_processed_row]
SPOILT += [lose_processed_row]


def passes(seed, binary, servers, work):
    """One good run on local disk; then each way of spoiling its lake, on a copy."""
    run = Run(CATALOGUE["calm"], 0, seed, "local", binary, servers, work)
    shutil.rmtree(run.folder, ignore_errors=True)
    line = run.execute()
    if line["outcome"] != "good":
        say(f"the run itself is {line['outcome']}: {'; '.join(line['why'])}")
        return False
    good = run.folder / "good"
    run.lake.rename(good)
    missed = []
    for spoil in SPOILT:
        shutil.rmtree(run.lake, ignore_errors=True)
        shutil.copytree(good, run.lake)
        spoil(run.lake)
        why = []
        run.check_lake(why)
        audit = run.daemons[0].ask("--json", "audit", seconds=300).returncode
        say(f"{spoil.__name__}: reader {why[0][:100] if why else 'SAW NOTHING'}; audit {audit or 'SAW NOTHING'}")
        # Neither of the two hides behind the other.
        if not why or audit == 0:
            missed.append(spoil.__name__)
    if missed:
        say(f"not seen: {', '.join(missed)}")
        return False
    say(f"all {len(SPOILT)} were seen, by the independent reader and by `forebay audit`")
    run.forget()
    return True
