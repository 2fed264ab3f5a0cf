"""Small tables of fictional councils for the tests of the pipeline."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pandas as pd

from pipeline.platforms import load_rules
from pipeline.register import on_day, sort_name
from pipeline.release import spec, to_arrow, to_pandas

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.register import Hosts

NETWORKS = load_rules().published
WEEK = pd.Timedelta(days=7)
START = pd.Timestamp("2026-01-05T09:00:00Z")


def frame(name: str, rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Rows as the typed table of that name; columns that are left out are missing."""
    table = spec(name, NETWORKS)
    return to_pandas(to_arrow(pd.DataFrame(rows, columns=table.names, dtype="object"), table))


def council(council_id: str, name: str, **more: Any) -> dict[str, Any]:
    """One row of a register."""
    host = name.lower().replace(" ", "")
    return {
        "council_id": council_id,
        "gss_code": None,
        "former_gss_codes": [],
        "name": name,
        "sort_name": sort_name(pd.Series([name])).iloc[0],
        "names_other": [],
        "nation": "England",
        "council_type": "unitary authority",
        "website": f"https://www.{host}.example/",
        "other_hosts": [],
        "replaced_by": [],
        "status": "current",
    } | more


def register(*rows: dict[str, Any], day: pd.Timestamp = START) -> pd.DataFrame:
    """Councils as they stand on a day; three when none are given."""
    some = rows or (
        council("WEX", "Wexdale Council"),
        council("MIL", "Millwick District Council", nation="Wales"),
        council("OAK", "City of Oakharrow Council"),
    )
    columns = spec("councils").names
    table = pd.DataFrame([*some], columns=columns)
    for name in ("start_date", "end_date"):
        table[name] = pd.to_datetime(table[name]).astype("datetime64[s]")
    return on_day(table, day.date())


def council_of(hosts: Hosts, host: str) -> str | None:
    """The council that a host belongs to; of two on one website, the first by council_id."""
    return next(iter(hosts.councils_of(host)), None)


def fetch(council_id: str, url: str, **more: Any) -> dict[str, Any]:
    """One row of fetches: a home page that was read."""
    return {
        "crawl_id": "c1",
        "council_id": council_id,
        "url": url,
        "purpose": "home",
        "depth": 0,
        "outcome": "ok",
        "status": 200,
        "bytes": 1000,
        "rendered": False,
        "fetched_at": START,
    } | more


def signal(council_id: str, platform: str, key: str, page: str, **more: Any) -> dict[str, Any]:
    """One row of what attribution decides: a corporate account in the footer of a page."""
    return {
        "council_id": council_id,
        "platform": platform,
        "account_key": key.casefold(),
        "handle": key,
        "kind": "profile",
        "pages_seen": 1,
        "scope": "corporate",
        "service": None,
        "language": None,
        "notice": None,
        "stranger": None,
        "confidence": 0.9,
        "decided_by": "P2.1",
        "url": f"https://{platform}.example/{key}",
        "is_primary": True,
        "status": "current",
        "evidence_url": page,
        "evidence_region": "footer",
        "evidence_mechanism": "anchor",
        "evidence_text": "Follow us",
        "first_seen": START,
        "last_seen": START,
    } | more


def signals(*rows: dict[str, Any]) -> pd.DataFrame:
    """Rows of `signal` as a frame with typed columns, also when there are none."""
    columns = list(signal("", "", "", ""))
    table = pd.DataFrame([*rows], columns=columns)
    texts = ("scope", "service", "language", "notice", "stranger", "evidence_text")
    times = {name: pd.to_datetime(table[name], utc=True) for name in ("first_seen", "last_seen")}
    table = table.assign(**times).astype({"confidence": "float64", "is_primary": "bool"})
    return table.astype(dict.fromkeys(texts, "object"))


def link(href: str, **more: Any) -> dict[str, Any]:
    """One observation inside a line of pages.jsonl."""
    return {
        "mechanism": "anchor",
        "region": "footer",
        "href": href,
        "hint": None,
        "label": None,
        "heading": None,
        "sentence": None,
        "language": None,
    } | more


def page(council_id: str, url: str, *links: dict[str, Any], **more: Any) -> dict[str, Any]:
    """One line of pages.jsonl: a home page that was read."""
    return {
        "council_id": council_id,
        "url": url,
        "purpose": "home",
        "depth": 0,
        "outcome": "ok",
        "fetched_at": "2026-01-05T09:00:00Z",
        "final_url": None,
        "status": 200,
        "bytes": 1000,
        "sha256": None,
        "is_home": True,
        "observations": [*links],
        "links": [],
    } | more


def write_crawl(
    folder: Path,
    pages: list[dict[str, Any]],
    crawl_id: str = "c1",
    *,
    finished: bool = True,
    **told: Any,
) -> Path:
    """A crawl folder as the spider leaves it; `told` is what else its run.json says."""
    folder.mkdir(parents=True)
    run = {"crawl_id": crawl_id, "kind": "crawl", "finished": finished} | told
    (folder / "run.json").write_text(json.dumps(run), "utf-8")
    lines = [json.dumps(line, ensure_ascii=False) + "\n" for line in pages]
    (folder / "pages.jsonl").write_text("".join(lines), "utf-8")
    return folder
