#!/usr/bin/env python3
"""Compares the RAW zone of a table of UBL invoices with the documents themselves, read by another XML parser.

`--documents` holds one JSON object a message: {"partition": 0, "offset": 7, "file": "…/invoice.xml"}. A document with the
root element Invoice must be there with a row for each invoice line and the values that its elements say; every other
message must have no row. Prints one JSON document; exit code 0 when all is as it should be, 1 when not.
"""

import argparse
import datetime
import decimal
import json
import pathlib
import sys
import xml.etree.ElementTree

import pyarrow.parquet as pq

UBL = "urn:oasis:names:specification:ubl:schema:xsd:"
INVOICE = f"{{{UBL}Invoice-2}}Invoice"
NAMES = {"cac": f"{UBL}CommonAggregateComponents-2", "cbc": f"{UBL}CommonBasicComponents-2"}
PARTY = "cac:Party"
# column: (path from the invoice or from its line, attribute, kind)
OF_INVOICE = {
    "invoice_id": ("cbc:ID", None, "text"),
    "issue_date": ("cbc:IssueDate", None, "date"),
    "invoice_type": ("cbc:InvoiceTypeCode", None, "text"),
    "currency": ("cbc:DocumentCurrencyCode", None, "text"),
    "order_id": ("cac:OrderReference/cbc:ID", None, "text"),
    "supplier": (f"cac:AccountingSupplierParty/{PARTY}/cac:PartyName/cbc:Name", None, "words"),
    "customer_city": (f"cac:AccountingCustomerParty/{PARTY}/cac:PostalAddress/cbc:CityName", None, "words"),
    "invoice_total": ("cac:LegalMonetaryTotal/cbc:PayableAmount", None, "number"),
}
OF_LINE = {
    "line_id": ("cbc:ID", None, "text"),
    "quantity": ("cbc:InvoicedQuantity", None, "number"),
    "unit": ("cbc:InvoicedQuantity", "unitCode", "text"),
    "line_amount": ("cbc:LineExtensionAmount", None, "number"),
    "line_currency": ("cbc:LineExtensionAmount", "currencyID", "text"),
    "item": ("cac:Item/cbc:Name", None, "words"),
    "seller_item_id": ("cac:Item/cac:SellersItemIdentification/cbc:ID", None, "text"),
    "price": ("cac:Price/cbc:PriceAmount", None, "number"),
}


def value(element, path, attribute, kind):
    """The one value at a path, None when it is not there or says nothing."""
    found = element.findall(path, NAMES)
    if len(found) > 1:
        raise ValueError(f"{path} stands {len(found)} times")
    if not found:
        return None
    text = found[0].get(attribute) if attribute else "".join(found[0].itertext())
    if text is None:
        return None
    text = " ".join(text.split()) if kind == "words" else text.strip()
    if kind == "number":
        return decimal.Decimal(text) if text else None
    if kind == "date":
        return datetime.date.fromisoformat(text)
    return text


def rows_of(file):
    """The rows that a document must give; none for one that is no invoice."""
    root = xml.etree.ElementTree.parse(file).getroot()
    if root.tag != INVOICE:
        return None
    whole = {name: value(root, *where) for name, where in OF_INVOICE.items()}
    lines = root.findall("cac:InvoiceLine", NAMES)
    return [{**whole, **{name: value(line, *where) for name, where in OF_LINE.items()}} for line in lines]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", required=True, type=pathlib.Path, help="the lake, a local folder")
    parser.add_argument("--table", required=True)
    parser.add_argument("--documents", required=True, type=pathlib.Path, metavar="FILE.jsonl")
    args = parser.parse_args()
    columns = [*OF_INVOICE, *OF_LINE]
    found = {}
    for path in sorted((args.root / "raw" / args.table).rglob("*.parquet")):
        for row in pq.ParquetFile(path).read().to_pylist():
            found.setdefault((row["kafka_partition"], row["kafka_offset"]), {})[row["row_index"]] = row
    wrong, rows, values, quarantined = [], 0, 0, []
    for line in args.documents.read_text().splitlines():
        document = json.loads(line)
        name = pathlib.Path(document["file"]).name
        expected = rows_of(document["file"])
        there = found.pop((document["partition"], document["offset"]), {})
        if not there:
            quarantined.append({"file": name, "is_invoice": expected is not None})
            continue
        if expected is None or sorted(there) != list(range(len(expected))):
            wrong.append(f"{name}: {len(there)} rows, and {len(expected or [])} lines in the document")
            continue
        for index, row in enumerate(expected):
            rows += 1
            for column in columns:
                values += row[column] is not None
                # An element without text is a string without characters, or nothing.
                if (there[index][column] or None) != (row[column] or None) and there[index][column] != row[column]:
                    wrong.append(f"{name} line {index}: {column} is {there[index][column]!r}, not {row[column]!r}")
    wrong += [f"rows of a message that is no document: {place}" for place in found]
    json.dump(
        {"ok": not wrong, "rows": rows, "values": values, "without_rows": quarantined, "wrong": wrong[:50]}, sys.stdout, indent=1
    )
    print()
    return 0 if not wrong else 1


if __name__ == "__main__":
    sys.exit(main())
