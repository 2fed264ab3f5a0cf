"""The URL engine beside the peers: right, precise, fast."""

from __future__ import annotations

import csv
from collections import Counter
from functools import partial

import pandas as pd

from pipeline import platforms
from pipeline.identify import identify_table
from tests.bench.measure import SHARED, Row, best_seconds, name_of, ratios
from tests.bench.peers import URL_READERS, Named, UrlReader

CASES = SHARED / "cases" / "urls.csv"
CORE = ("twitter", "facebook", "instagram", "youtube", "linkedin")
DISTINCT = 20_000
REPEATED = 1_000_000


def ours(url: str) -> Named:
    """Our own engine, as a reader like the others."""
    found = platforms.identify(url)
    return None if isinstance(found, platforms.Rejected) else (found.platform, found.handle)


def scores() -> list[Row]:
    """Exact, precision and noise rejected on the undisputed cases, core networks apart."""
    if not CASES.exists():
        return []
    with CASES.open(encoding="utf-8") as file:
        cases = [case for case in csv.DictReader(file) if not case["flag"]]
    readers = {"digital-councils": ours, **URL_READERS}
    return [_score(name, reader, cases) for name, reader in readers.items()]


def _score(name: str, reader: UrlReader, cases: list[dict[str, str]]) -> Row:
    tally: Counter[str] = Counter()
    for case in cases:
        found = _safe(reader, case["url"])
        tally.update(_judge(case, found))
    claimed = tally["right"] + tally["false"]
    return {
        "reader": name,
        "exact, core five": tally["core exact"] / tally["core"],
        "exact, all": tally["exact"] / tally["accounts"],
        "precision": tally["right"] / max(claimed, 1),
        "noise rejected": 1 - tally["noise taken"] / tally["noise"],
    }


def _judge(case: dict[str, str], found: Named) -> list[str]:
    if case["platform"] == "not_a_profile":
        return ["noise", "noise taken", "false"] if found else ["noise"]
    core = case["platform"] in CORE
    marks = ["accounts", "core"] if core else ["accounts"]
    if found is None:
        return marks
    if found[0] != case["platform"]:
        return [*marks, "false"]
    exact = name_of(found[1]) == name_of(case["account"])
    return [
        *marks,
        "right",
        *(["exact"] if exact else []),
        *(["core exact"] if exact and core else []),
    ]


def _safe(reader: UrlReader, url: str) -> Named:
    try:
        return reader(url)
    except Exception:  # a peer that raises on a link has not read it
        return None


def speeds() -> list[Row]:
    """Distinct URLs a second for every reader, and a million repeated ones columnwise for us."""
    links = [f"https://www.facebook.com/sample.page{n}?ref=page" for n in range(DISTINCT)]
    readers = {"digital-councils": ours, **URL_READERS}
    rates = [
        (name, DISTINCT / best_seconds(partial(_read_all, reader, links), 1))
        for name, reader in readers.items()
    ]
    return [*ratios(rates, "URLs/s"), _columnwise(links)]


def _read_all(reader: UrlReader, links: list[str]) -> list[Named]:
    return [reader(link) for link in links]


def _columnwise(links: list[str]) -> Row:
    many = pd.Series(links[:2_000] * (REPEATED // 2_000), dtype="str")
    frame = pd.DataFrame({"href": many, "hint": pd.Series(pd.NA, index=many.index, dtype="str")})
    frame["page_url"] = "https://www.avonbrook.example/"
    seconds = best_seconds(lambda: identify_table(frame, {}), 1)
    name = "digital-councils, a million repeated, columnwise"
    return {"reader": name, "URLs/s": round(REPEATED / seconds), "ours is": 1.0}
