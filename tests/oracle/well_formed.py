"""The verdicts of libxml2 on documents, for the tests of Forebay's own.

Reads documents from stdin, each after its length in bytes as four bytes, big-endian. Writes a line for each: `ok`, or
the errors, by libxml2's names.
"""

import struct
import sys

from lxml import etree


def verdict(document):
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=True)
    try:
        etree.fromstring(document, parser)
        refused = False
    except etree.XMLSyntaxError:
        refused = True
    errors = [entry.type_name for entry in parser.error_log if entry.level >= etree.ErrorLevels.ERROR]
    if errors or refused:
        return " ".join(errors) or "refused"
    return "ok"


def main():
    data = sys.stdin.buffer
    while header := data.read(4):
        (length,) = struct.unpack(">I", header)
        print(verdict(data.read(length)))


main()
