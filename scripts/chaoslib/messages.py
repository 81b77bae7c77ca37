"""Library messages and what must become of each with the mapping `books`: good ones, broken ones, tombstones, poison."""

import dataclasses
import datetime
from xml.sax.saxutils import escape

GENRES = ["novel", "poetry", "history", "science & nature"]
COUNTRIES = ["FR", "IS", "JP", "PE"]
TITLES = ["The Weir", "Low Water", "A <Sluice> of One's Own", "Écluse", "潮", "Spate & Drought"]
# Books of few days: every promotion rewrites few files, so that a run takes seconds.
DAYS = 4


@dataclasses.dataclass
class Message:
    """A message and its fate: what the ledger of the lake must say of it, and the rows that must come of it."""

    payload: bytes | None
    outcome: str
    rows: list


class Library:
    """An endless row of messages; the same generator of random numbers gives the same ones."""

    BROKEN, TOMBSTONES, AGAIN = 0.06, 0.02, 0.25

    def __init__(self, rng, poison_share=0.0):
        self.rng, self.poison_share = rng, poison_share
        self.last_id = 0
        self.today = datetime.datetime.now(datetime.UTC).date()

    def message(self):
        roll = self.rng.random()
        if roll < self.poison_share:
            return Message(self.rng.choice(POISON)(self), "quarantined", [])
        roll = self.rng.random()
        if roll < self.TOMBSTONES:
            return Message(None, "tombstone", [])
        branch = f"L{self.rng.randrange(20)}"
        books = [self.book(branch) for _ in range(self.rng.choice((1, 1, 2, 3, 8)))]
        payload = render(branch, books).encode()
        if roll < self.TOMBSTONES + self.BROKEN:
            return Message(self.rng.choice(FLAWS)(payload), "quarantined", [])
        return Message(payload, "rows", books)

    def book(self, branch):
        """A book that is new, or a newer version of one that was there before."""
        rng = self.rng
        if self.last_id and rng.random() < self.AGAIN:
            number = rng.randint(max(1, self.last_id - 500), self.last_id)
        else:
            self.last_id = number = self.last_id + 1
        day = self.today - datetime.timedelta(days=rng.randrange(DAYS))
        return {
            "branch": branch,
            "book_id": f"B{number:07}",
            "lang": rng.choice(("fr", "is", "ja")),
            "record_id": number,
            "title": f"{rng.choice(TITLES)} ({rng.randrange(1000)})",
            "author_name": f"Author {rng.randrange(50)}",
            "author_country": rng.choice(COUNTRIES),
            "genre": rng.choice(GENRES),
            "price": f"{rng.randrange(1, 200)}.{rng.randrange(100):02}",
            "currency": rng.choice(("EUR", "ISK")),
            "publication_year": rng.randint(1900, 2025),
            "added": f"{day}T{rng.randrange(24):02}:{rng.randrange(60):02}:00Z",
        }


def render(branch, books):
    parts = [f'<?xml version="1.0" encoding="UTF-8"?>\n<library branch="{branch}">']
    for book in books:
        text = {key: escape(str(value)) for key, value in book.items()}
        parts.append(
            '<book id="{book_id}" lang="{lang}"><record_id>{record_id}</record_id><title>{title}</title>'
            "<author><name>{author_name}</name><country>{author_country}</country></author><genre>{genre}</genre>"
            '<price currency="{currency}">{price}</price><publication_year>{publication_year}</publication_year>'
            "<added>{added}</added></book>".format(**text)
        )
    return "\n".join(parts) + "\n</library>\n"


# ---------------------------------------------------------------------------------------- broken messages

FLAWS = [
    lambda xml: xml[: xml.index(b"</genre>")],
    lambda xml: xml.replace(b"</title>", b"</titel>", 1),
    lambda xml: xml.replace(b"</price>", b"x</price>", 1),
    lambda xml: xml.replace(b"<record_id>", b"<id>", 1).replace(b"</record_id>", b"</id>", 1),
    lambda xml: xml + b"<library/>",
    lambda xml: xml.replace(b"<title>", b"<title>\xff", 1),
    lambda _: b"",
    lambda _: b'{"books": []}',
]


def _bomb(_):
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
    return f'<!DOCTYPE library [<!ENTITY e0 "boom">{entities}]><library><book id="1">&e11;</book></library>'.encode()


def _deep(library):
    levels = library.rng.randint(300, 100_000)
    return b"<library>" + b"<a>" * levels + b"</a>" * levels + b"</library>"


def _wide(library):
    count = library.rng.randint(5_000, 100_000)
    return ("<library " + " ".join(f'a{n}="{n}"' for n in range(count)) + "/>").encode()


def _large(_):
    return b"<library><book>" + b"x" * (11 << 20) + b"</book></library>"


def _noise(library):
    return b"\x00" + library.rng.randbytes(library.rng.randint(1, 100_000))


# What is made to harm a parser, not only broken.
POISON = [_bomb, _deep, _wide, _large, _noise]
