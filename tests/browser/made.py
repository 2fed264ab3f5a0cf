"""A release of fictional councils, of any size, with every state that a page can show.

Written by the pipeline's own writer, so that the hub is tested on what is really published.
"""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from pipeline import schema
from pipeline.release import NAMES, write_tables

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Row = dict[str, Any]

NOW = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
FIRST = ("Ash", "Birch", "Cold", "Dun", "Elm", "Fern", "Glen", "Hazel", "Iron", "Kirk", "Long")
SECOND = ("brook", "combe", "den", "field", "gate", "ham", "ley", "mere", "port", "stow", "ton")
TYPES = (
    "unitary authority",
    "metropolitan district",
    "non-metropolitan district",
    "London borough",
)
REGIONS = ("North East", "South West", "East of England", "London", "West Midlands")
HANDLED = ("twitter", "facebook", "youtube", "instagram", "linkedin", "bluesky", "nextdoor")
HOME = {
    "twitter": "https://x.com/{}",
    "facebook": "https://www.facebook.com/{}",
    "youtube": "https://www.youtube.com/@{}",
    "instagram": "https://www.instagram.com/{}",
    "linkedin": "https://www.linkedin.com/company/{}",
    "bluesky": "https://bsky.app/profile/{}.example",
    "nextdoor": "https://nextdoor.co.uk/agency-detail/{}",
    "google_plus": "https://plus.google.com/+{}",
    "linktree": "https://linktr.ee/{}",
}
NETWORKS = ("twitter", "facebook", "youtube", "google_plus", *HANDLED[3:], "threads", "tiktok")
HOSTILE = (
    "<script>window.planted=1</script>\"'><img src=x onerror=window.planted=2>{{ 7*7 }}"
    "\u202ejavascript:alert(1)\u202c =HYPERLINK(1)" + "A" * 10_000
)
STATUS = ("current", "current", "current", "unconfirmed", "parked", "missing")

CYMRAEG: Row = {
    "council_id": "ABA",
    "name": "Aberafon Fictional Council",
    "names_other": ["Cyngor Ffug Aberafon", "Glan-y-môr"],
    "nation": "Wales",
    "council_type": "Welsh principal area",
    "region": "Wales",
}
GAELIC: Row = {
    "council_id": "INS",
    "name": "Innis Fictional Council",
    "names_other": ["Comhairle Innse", "Western Islets"],
    "nation": "Scotland",
    "council_type": "Scottish council area",
    "region": "Scotland",
}


def _councils(count: int) -> Iterator[Row]:
    yield CYMRAEG
    yield GAELIC
    for number, (first, second, prefix) in enumerate(
        itertools.islice(
            itertools.product(FIRST, SECOND, ("", "Lower ", "New ", "Upper ")), max(count - 2, 0)
        )
    ):
        yield {
            "council_id": f"Q{number:03d}",
            "name": f"{prefix}{first}{second} Fictional Council",
            "names_other": [],
            "nation": "Northern Ireland" if number % 17 == 0 else "England",
            "council_type": TYPES[number % len(TYPES)],
            "region": "Northern Ireland" if number % 17 == 0 else REGIONS[number % len(REGIONS)],
        }


def _accounts(council: Row, number: int) -> Iterator[Row]:
    if not _reached(number):
        return
    stem = council["name"].split(" Fictional")[0].replace(" ", "")
    for place, platform in enumerate(HANDLED):
        if (number + place) % 5 == 4:
            continue
        yield _account(council, platform, f"{stem}Council", status=STATUS[(number * place) % 6])
    if council is CYMRAEG:
        yield _account(council, "twitter", "CyngorAberafon", language="cy")
    if council is GAELIC:
        yield _account(council, "linktree", f"{stem}Council")
    if number % 4 == 0:
        for service in ("libraries", "museums"):
            handle = f"{stem}{service.title()}"
            yield _account(council, "facebook", handle, scope="service", service=service)
    if number % 6 == 0:
        yield _account(council, "google_plus", f"{stem}Council", status="retired")


def _account(council: Row, platform: str, handle: str, **extra: Any) -> Row:
    site = f"https://www.{council['council_id'].lower()}.example/"
    return {
        "account_id": f"{council['council_id']}-{platform}-{handle}".lower(),
        "council_id": council["council_id"],
        "gss_code": _gss(council),
        "council_name": council["name"],
        "platform": platform,
        "handle": f"@{handle}" if platform in ("twitter", "youtube") else handle,
        "url": HOME[platform].format(handle),
        "kind": "page" if platform == "facebook" else "profile",
        "scope": "corporate",
        "service": None,
        "is_primary": extra.get("scope") != "service",
        "status": "current",
        "language": "en" if council is CYMRAEG and platform == "twitter" else None,
        "confidence": 0.97,
        "pages_seen": 3,
        "evidence_url": site,
        "evidence_region": "footer",
        "evidence_mechanism": "anchor",
        "evidence_text": f"Follow us on {platform}",
        "first_seen": NOW - timedelta(days=400),
        "last_seen": NOW - timedelta(days=3),
        "last_checked": NOW - timedelta(days=3),
        "decided_by": "rule:footer",
    } | extra


def _reached(number: int) -> bool:
    return number % 23 != 7


def _gss(council: Row) -> str:
    return f"E99{int.from_bytes(council['council_id'].encode()) % 1_000_000:06d}"


def _directory(council: Row, accounts: list[Row], number: int, networks: list[str]) -> Row:
    reached = _reached(number)
    links = {f"{name}_url": None for name in [*networks, "google"]}
    links |= {
        f"{a['platform']}_url": a["url"]
        for a in accounts
        if a["is_primary"] and a["platform"] in networks
    }
    name = council["name"]
    return council | {
        "letter": name[0],
        "sort_name": name.casefold(),
        "gss_code": _gss(council),
        "website": f"https://www.{council['council_id'].lower()}.example/",
        **links,
        "accounts": len(accounts),
        "checked_on": date(2026, 11, 20) - timedelta(days=number % 50) if reached else None,
        "check_outcome": "ok" if reached else "robots",
    }


def _register(row: Row) -> Row:
    empty: Row = {"former_gss_codes": [], "other_hosts": [], "replaced_by": []}
    nothing = ("county_id", "shares_website_with", "start_date", "end_date")
    names = schema.TABLES["councils"].names
    return (
        {key: row.get(key) for key in names}
        | empty
        | dict.fromkeys(nothing)
        | {"status": "current"}
    )


def _ended() -> list[Row]:
    base = _register(CYMRAEG) | {"gss_code": None, "names_other": [], "website": None}
    return [
        base
        | {
            "council_id": "OLD",
            "name": "Old Fictional Council",
            "sort_name": "old",
            "gss_code": "E99999999",
            "status": "abolished",
            "end_date": date(2020, 3, 31),
            "replaced_by": ["MID"],
        },
        base
        | {
            "council_id": "MID",
            "name": "Middle Fictional Council",
            "sort_name": "middle",
            "status": "abolished",
            "end_date": date(2023, 3, 31),
            "replaced_by": ["ABA"],
        },
        base
        | {
            "council_id": "SPL",
            "name": "Split Fictional Council",
            "sort_name": "split",
            "status": "abolished",
            "end_date": date(2023, 3, 31),
            "replaced_by": ["ABA", "INS"],
        },
        base
        | {
            "council_id": "NEW",
            "name": "Coming Fictional Council",
            "sort_name": "coming",
            "status": "coming",
            "start_date": date(2027, 4, 1),
        },
    ]


def make_release(folder: Path, count: int = 40, hostile: str | None = None) -> Path:
    """Write a release of `count` councils; `hostile` stands in every text that others write."""
    networks = list(NETWORKS)
    councils = list(_councils(count))
    if hostile is not None:
        councils.append(councils[-1] | {"council_id": "BAD", "name": "B" + hostile})
        councils[-1] |= {"names_other": [hostile], "region": hostile, "council_type": hostile}
    accounts: list[Row] = []
    directory: list[Row] = []
    for number, council in enumerate(councils):
        own = list(_accounts(council, number))
        if hostile is not None and council["council_id"] == "BAD":
            own = [_account(council, "twitter", "bad") | {"handle": hostile}]
            own[0] |= {"evidence_text": hostile, "service": hostile, "scope": "service"}
        accounts += own
        directory.append(_directory(council, own, number, networks))
    directory.sort(key=lambda row: row["sort_name"])
    tables = _tables(networks, councils, directory, accounts, hostile)
    folder.mkdir(parents=True)
    write_tables(folder, tables, "1.2.0", "2026-11-20T09:30:00Z")
    return folder


def _tables(
    networks: list[str],
    councils: list[Row],
    directory: list[Row],
    accounts: list[Row],
    hostile: str | None,
) -> dict[str, pa.Table]:
    held = {(row["council_id"], row["platform"]) for row in accounts}
    reached = {row["council_id"]: row["checked_on"] is not None for row in directory}
    coverage = [
        {
            "council_id": council["council_id"],
            "platform": name,
            "state": "found"
            if (council["council_id"], name) in held
            else "none_found"
            if reached[council["council_id"]]
            else "blocked",
            "last_checked": NOW if reached[council["council_id"]] else None,
        }
        for council in councils
        for name in networks
    ]
    first = accounts[-1] if hostile else accounts[0]
    change = {
        "release": "1.2.0",
        "released": NOW,
        "change": "added",
        "account_id": first["account_id"],
        "council_id": first["council_id"],
        "platform": first["platform"],
        "field": None,
        "old": None,
        "new": first["handle"],
        "reason": hostile or "linked from the footer of the home page",
    }
    gone = {
        "account_id": "aba-twitter-gone",
        "council_id": "ABA",
        "platform": "twitter",
        "account_key": "gone",
        "handle": "@GoneCouncil",
        "url": "https://x.com/GoneCouncil",
        "kind": "profile",
        "scope": "corporate",
        "status": "removed",
        "since": NOW - timedelta(days=30),
        "first_seen": NOW - timedelta(days=400),
        "last_seen": NOW - timedelta(days=60),
        "last_checked": NOW,
        "missed": 2,
        "renamed_to": None,
    }
    versions = [
        {"version": v, "released": NOW - timedelta(days=d), "level": level, "summary": words}
        for v, d, level, words in (
            ("1.1.0", 7, "rows", "3 accounts added"),
            ("1.2.0", 0, "rows", hostile or "1 account added"),
        )
    ]
    rows: dict[str, list[Row]] = {name: [] for name in NAMES} | {
        "councils": [_register(row) for row in directory] + _ended(),
        "directory": directory,
        "accounts": accounts,
        "coverage": coverage,
        "changes": [change],
        "changelog": [change],
        "history": [gone, *_parked(accounts)],
        "versions": versions,
    }
    arrow = {name: table.arrow() for name, table in schema.TABLES.items()}
    arrow["directory"] = schema.directory(networks).arrow()
    return {name: _table(rows[name], arrow[name]) for name in NAMES}


def _parked(accounts: list[Row]) -> list[Row]:
    """The ledger's rows of the parked accounts: parked before they were seen last."""
    parked = datetime(2026, 10, 1, tzinfo=UTC)
    kept = ("account_id", "council_id", "platform", "handle", "url", "kind", "scope", "status")
    times = ("first_seen", "last_seen", "last_checked")
    return [
        {name: row[name] for name in (*kept, *times)}
        | {"since": parked, "account_key": "parked", "reason": "its page says: not read here"}
        for row in accounts
        if row["status"] == "parked"
    ]


def _table(rows: list[Row], columns: pa.Schema) -> pa.Table:
    """Rows as a table; a required column that they do not speak of holds its type's least value."""
    least = {
        pa.string(): "",
        schema.TEXTS: [],
        schema.TIME: NOW,
        schema.COUNT: 0,
        schema.SHARE: 0.0,
    }
    needed = {f.name: least.get(f.type, False) for f in columns if not f.nullable}
    return pa.Table.from_pylist([needed | row for row in rows], schema=columns)
