"""A small world for the attribution tests: invented councils, and pages or rows that they carry."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from pipeline.platforms import Account, identify
from spiders.extract import Answer, Asked, read_page

if TYPE_CHECKING:
    from collections.abc import Mapping

PAGES = Path(__file__).parents[1] / "sites" / "attribution"
DAY = pd.Timestamp("2026-03-01T09:00:00Z")
# council_id, name, other names, county, partner on one website, successors
COUNCILS = (
    ("BRK", "Wolshire County Council", (), None, None, ()),
    ("MLD", "Moorland District Council", (), "BRK", None, ()),
    (
        "CWM",
        "Cwm Glas County Borough Council",
        ("Cyngor Bwrdeistref Sirol Glyn Las",),
        None,
        None,
        (),
    ),
    ("FEN", "Fenwick District Council", (), None, "TAR", ()),
    ("TAR", "Tarnside District Council", (), None, "FEN", ()),
    ("NWO", "North Wolds Council", (), None, None, ()),
    ("RYE", "Ryeby District Council", (), None, None, ("NWO",)),
    ("AAA", "Aston Council", (), None, None, ()),
    ("BBB", "Burford Council", (), None, None, ()),
    ("CCC", "Corby Vale Council", (), None, None, ()),
)


def register() -> pd.DataFrame:
    """The councils of this world, in the register's columns that attribution reads."""
    return pd.DataFrame(
        [
            {
                "council_id": council,
                "gss_code": None,
                "former_gss_codes": [],
                "name": name,
                "council_type": "unitary authority",
                "sort_name": name.casefold(),
                "names_other": list(others),
                "website": f"https://www.{name.split()[0].casefold()}.example/",
                "other_hosts": [],
                "county_id": county,
                "shares_website_with": partner,
                "replaced_by": list(successors),
                "status": "abolished" if successors else "current",
            }
            for council, name, others, county, partner, successors in COUNCILS
        ]
    )


def fetches(identified: pd.DataFrame) -> pd.DataFrame:
    """One fetch for each page that carries anything."""
    pages = identified.drop_duplicates(["council_id", "page_url"])
    return pd.DataFrame(
        {
            "council_id": pages["council_id"],
            "url": pages["page_url"],
            "purpose": "home",
            "outcome": "ok",
            "fetched_at": pages["fetched_at"],
        }
    )


def rows(*observations: Mapping[str, object]) -> pd.DataFrame:
    """Identified observations; each gives href and what differs from a plain link in the footer."""
    plain: dict[str, object] = {
        "crawl_id": "c1",
        "council_id": "BRK",
        "page_url": "https://www.wolshire.example/",
        "is_home": True,
        "mechanism": "anchor",
        "region": "footer",
        "hint": None,
        "label": None,
        "heading": None,
        "sentence": None,
        "language": "en",
        "fetched_at": DAY,
    }
    table = pd.DataFrame([plain | dict(given) for given in observations])
    found = [identify(href, hint) for href, hint in zip(table["href"], table["hint"], strict=True)]
    for column in ("platform", "key", "handle", "kind", "url", "via"):
        table["account_key" if column == "key" else column] = pd.Series(
            [getattr(item, column) if isinstance(item, Account) else None for item in found],
            dtype="object",
        )
    table["reason"] = pd.Series(
        [None if isinstance(item, Account) else item.reason for item in found], dtype="object"
    )
    return table


def pages(council: str, *names: str, path: str = "/") -> pd.DataFrame:
    """What pages of tests/sites/attribution carry, identified; the first stands at `path`."""
    first_word = {i: n.split()[0].casefold() for i, n, *_ in COUNCILS}[council]
    host = f"https://www.{first_word}.example"
    found = []
    for number, name in enumerate(names):
        url = f"{host}{path}" if number == 0 else f"{host}/{name.removesuffix('.html')}"
        asked = Asked(
            council, url, "home", number, "2026-03-01T09:00:00Z", number == 0 and path == "/"
        )
        answer = Answer(url, 200, {"content-type": "text/html"}, (PAGES / name).read_bytes())
        fetch, _ = read_page(asked, answer, ())
        found += [
            {
                "council_id": council,
                "page_url": url,
                "is_home": fetch.is_home,
                "mechanism": seen.mechanism,
                "region": seen.region,
                "href": seen.href,
                "hint": seen.hint,
                "label": seen.label,
                "heading": seen.heading,
                "sentence": seen.sentence,
                "language": seen.language,
            }
            for seen in fetch.observations
        ]
    return rows(*found)
