"""The page reader beside the peers: right, precise, and fast against bare parsing."""

from __future__ import annotations

import csv
import re
from collections import Counter, defaultdict
from functools import partial
from pathlib import Path

from lxml import etree

from pipeline import platforms
from spiders import read, scan
from tests.bench.measure import SHARED, Row, best_in_turn, name_of, ratios
from tests.bench.peers import PAGE_READERS, Named, PageReader

REAL = SHARED / "real"
SITES = Path(__file__).parents[2] / "data" / "sample" / "sites"
ACCOUNT_ROLES = ("primary", "service", "thirdparty")
PAGE_BYTES = 80_000
ROUNDS = 4
FILLER = b"""
<section class="listing"><h2 class="listing__title">Council services near you</h2>
<p class="listing__text">The council looks after roads, libraries, parks and the collection of
waste. Tell us when something is not as it should be, and we will answer within ten days. Most
things can be done online at any hour; for the others our offices are open on working days from
nine to five, and on the first Saturday of the month in the morning.</p>
<ul class="listing__items">
  <li class="listing__item"><a class="link" href="/services/roads">Roads and pavements</a></li>
  <li class="listing__item"><a class="link" href="/services/waste">Bins and recycling</a></li>
</ul></section>
"""
"""A link in 400 bytes, as on the real pages measured."""
Account = tuple[str, str]


def ours(body: bytes, base: str) -> list[Named]:
    """Whole page to identified accounts, as every page of a crawl goes through it."""
    found = (platforms.identify(o.href, o.hint) for o in scan.scan(body, base).observations)
    return [
        (f.platform, f.handle)
        for f in found
        if isinstance(f, platforms.Account) and f.via != "post"
    ]


def with_words(body: bytes, base: str) -> list[Named]:
    """The same, with the words around each link read, as on the first page that carries it."""
    read.observe(body, base)
    return ours(body, base)


READERS: dict[str, PageReader] = {"digital-councils": ours, **PAGE_READERS}


def scores() -> list[Row]:
    """Recall and precision of accounts, page by page, on the labelled pages."""
    if not REAL.exists():
        return []
    wanted, ignored = _labels()
    pages = _pages()
    return [_score(name, reader, pages, wanted, ignored) for name, reader in READERS.items()]


def _labels() -> tuple[dict[str, set[Account]], dict[str, set[str]]]:
    wanted: dict[str, set[Account]] = defaultdict(set)
    ignored: dict[str, set[str]] = defaultdict(set)
    with (REAL / "labels.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["doubt"] == "y":
                ignored[row["file"]].add(row["platform"])
            elif row["role"] in ACCOUNT_ROLES and row["canonical_account"]:
                wanted[row["file"]].add((row["platform"], name_of(row["canonical_account"])))
    return wanted, ignored


def _pages() -> dict[str, tuple[bytes, str]]:
    with (REAL / "index.csv").open(encoding="utf-8") as file:
        return {
            row["file"]: ((REAL / row["file"]).read_bytes(), _address(row["url"]))
            for row in csv.DictReader(file)
        }


def _address(text: str) -> str:
    found = re.match(r"https?://[^\s()]+", text)
    return found.group() if found else "https://www.example/"


def _score(
    name: str,
    reader: PageReader,
    pages: dict[str, tuple[bytes, str]],
    wanted: dict[str, set[Account]],
    ignored: dict[str, set[str]],
) -> Row:
    tally: Counter[str] = Counter()
    for file, (body, base) in pages.items():
        found = {(f[0], name_of(f[1])) for f in _safe(reader, body, base) if f}
        found = {f for f in found if f[0] not in ignored[file]}
        tally["hit"] += len(found & wanted[file])
        tally["missed"] += len(wanted[file] - found)
        tally["extra"] += len(found - wanted[file])
    return {
        "reader": name,
        "recall": tally["hit"] / (tally["hit"] + tally["missed"]),
        "precision": tally["hit"] / max(tally["hit"] + tally["extra"], 1),
    }


def _safe(reader: PageReader, body: bytes, base: str) -> list[Named]:
    try:
        return reader(body, base)
    except Exception:  # a peer that raises on a page has not read it
        return []


def speeds() -> list[Row]:
    """Pages a second on pages of the size that councils send, and lxml's parse alone beside it."""
    pages = [
        (_grown(path.read_bytes()), f"http://{path.relative_to(SITES).parts[0]}/")
        for path in sorted(SITES.rglob("*.html"))
    ]
    readers = READERS | {
        "digital-councils, with words": with_words,
        "lxml, parsing alone": _parse,
    }
    total = dict.fromkeys(readers, 0.0)
    for body, base in pages:  # they take turns at each page, so that noise meets them all alike
        jobs = {name: partial(_safe, reader, body, base) for name, reader in readers.items()}
        best = best_in_turn(jobs, ROUNDS)
        total = {name: seconds + best[name] for name, seconds in total.items()}
    return ratios([(name, len(pages) / seconds) for name, seconds in total.items()], "pages/s")


def _parse(body: bytes, _base: str) -> list[Named]:
    etree.HTML(body)
    return []


def _grown(body: bytes) -> bytes:
    """The page with text and internal links added until it has the size of a real one."""
    end = body.rfind(b"</main>")
    if end < 0:
        return body
    return body[:end] + FILLER * ((PAGE_BYTES - len(body)) // len(FILLER) + 1) + body[end:]
