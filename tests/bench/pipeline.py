"""A crawl of any size to a release, and its links to accounts beside pandas, polars and DuckDB.

The observations are those of 400 fictional bodies, twenty a page: five links of the footer, written
in several ways; services on their own pages, with a sentence around each; share buttons on every
fifth page, which name the page; partners. So one link in ten is a text that was not seen before.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import duckdb
import numpy as np
import pandas as pd
import polars as pl

from pipeline.codes import coded, to_frame
from pipeline.identify import identify_table
from pipeline.ingest import read_crawl
from tests.bench.bodies import bodies, write_register
from tests.bench.measure import best_in_turn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pyarrow as pa

    from tests.bench.bodies import Body
    from tests.bench.measure import Row

SIZES = (100_000, 1_000_000, 10_000_000)
MODULE = "tests.bench.step"
ROOT = Path(__file__).parents[2]
COUNT = 400
PER_PAGE = 20
SERVICES = ("Libraries", "Museums", "Highways", "Jobs", "Planning", "Youth")
NETWORKS = ("twitter.com/{}", "facebook.com/{}", "instagram.com/{}", "linkedin.com/company/{}")
WAYS = ("https://www.{}", "https://{}", "http://{}/", "https://{}?ref=site")
OPENINGS = ("Follow us on", "Find out more about", "Read the latest from", "Ask")


# --- The crawl -------------------------------------------------------------------------------


def write_crawl(folder: Path, observations: int) -> None:
    """A crawl folder of so many observations; the same bytes each time."""
    folder.mkdir()
    run = {"crawl_id": "bench", "kind": "crawl", "finished": True}
    (folder / "run.json").write_text(json.dumps(run), encoding="utf-8")
    listed = bodies(COUNT)
    footers = [_footer(body) for body in listed]
    with (folder / "pages.jsonl").open("w", encoding="utf-8") as file:
        for page in range(observations // PER_PAGE):
            number, at = divmod(page, COUNT)
            file.write(_line(listed[at], footers[at], number))


def _line(body: Body, footer: str, page: int) -> str:
    url = body.home if page == 0 else f"{body.home}section-{page % 37}/page-{page}"
    links = ", ".join([footer, *_links(body, url, page)])
    purpose, time_of_day = "follow" if page else "home", f"{page // 28 % 24:02}:00:00"
    return (
        f'{{"council_id": "{body.id}", "url": "{url}", "purpose": "{purpose}",'
        f' "fetched_at": "2026-03-{1 + page % 28:02}T{time_of_day}Z",'
        f' "depth": {min(page, 3)}, "outcome": "ok", "status": 200,'
        f' "bytes": 70000, "is_home": {"false" if page else "true"},'
        f' "links": [["{body.home}a", "A"]], "observations": [{links}]}}\n'
    )


def _footer(body: Body) -> str:
    links = [form.format(body.slug[:12] + "dc") for form in NETWORKS]
    links.append(f"youtube.com/@{body.slug[:12]}dc")
    return ", ".join(
        _link(WAYS[(body.number + n) % len(WAYS)].format(link), "footer", "Follow us", "Follow us")
        for n, link in enumerate(links)
    )


def _links(body: Body, url: str, page: int) -> Iterator[str]:
    for n in range(5):
        service = SERVICES[(page + n) % len(SERVICES)]
        account = NETWORKS[(page // 7 + n) % 3].format(
            body.slug[:6] + service
        )  # a handle of X has 15 letters
        words = f"{OPENINGS[page % 4]} {service.lower()} in {body.place}, part {page // 5 % 5000}"
        href = WAYS[page % len(WAYS)].format(account)
        yield _link(href, "main", f"{service} on social media", f"{service} news", words)
    shares = 2 if page % 5 == 0 else 0
    if shares:
        yield _link(f"https://www.facebook.com/sharer/sharer.php?u={url}", "main", "Share", "")
        yield _link(f"https://twitter.com/intent/tweet?url={url}", "main", "Tweet", "")
    for n in range(10 - shares):
        host = f"www.partner{(body.number * 7 + (page * 11 + n) % 60) % 3000}.example"
        yield _link(f"https://{host}/about", "main", f"Partner {n}", "Useful links")


def _link(href: str, region: str, label: str, heading: str, sentence: str = "") -> str:
    return (
        f'{{"mechanism": "anchor", "region": "{region}", "href": "{href}", "label": "{label}",'
        f' "heading": "{heading}", "sentence": "{sentence}", "language": "en"}}'
    )


# --- A whole release -------------------------------------------------------------------------


def releases() -> list[Row]:
    """For each size: seconds of the clock and peak memory of the whole process, and of each step.

    The process is a new one each time: what Python takes to start is in it. The hub of the largest
    release is built in a process of its own.
    """
    rows: list[Row] = []
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_register(folder, bodies(COUNT))
        for size in SIZES:
            write_crawl(folder / f"crawl{size}", size)
            told = _in_process("build", folder, size)
            hub = _in_process("hub", folder, size)
            row: Row = {"observations": f"{size:,}", "rows/s": round(size / told["seconds"])}
            row |= {name: told[name] for name in ("seconds", "processor s", "MB")} | told["steps"]
            rows.append(row | {"hub": hub["seconds"], "hub MB": hub["MB"]})
    return rows


def _in_process(step: str, folder: Path, size: int) -> dict[str, Any]:
    began = time.perf_counter()
    asked = [sys.executable, "-m", MODULE, step, str(folder), str(size)]
    done = subprocess.run(asked, cwd=ROOT, check=True, capture_output=True, text=True)
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told | {"seconds": time.perf_counter() - began}


# --- Links to accounts -----------------------------------------------------------------------

# What a reader of URLs by pattern makes of the links above; ours is the whole grammar.
PATTERN = (
    r"^https?://(?:www\.)?(twitter|facebook|instagram|linkedin|youtube)\.com/((?:company/)?[^/?#]+)"
)
NO_ACCOUNTS = ("sharer", "intent")
COLUMNS = ["council_id", "platform", "account_key"]


def normalising() -> list[Row]:
    """Distinct accounts of each body, of the same links, by ours and others; all find the same.

    Each begins with the table in its own form in memory. Seconds of the clock, the best of several.
    """
    rows: list[Row] = []
    for size in SIZES:
        with TemporaryDirectory() as name:
            write_crawl(Path(name) / "crawl", size)
            links = read_crawl(Path(name) / "crawl").observations
        links = links.select(["council_id", "href"]).combine_chunks()
        readers: dict[str, Callable[[], pd.DataFrame]] = {
            "digital-councils": partial(_ours, links),
            "polars": partial(_polars, pl.DataFrame(links)),
            "DuckDB": partial(_duckdb, links),
            "pandas, urlsplit in .apply": partial(_naive, links.to_pandas()),
        }
        found = {reader: _sorted(read()) for reader, read in readers.items()}
        for reader, accounts in found.items():
            if not accounts.equals(found["digital-councils"]):
                raise SystemExit(f"{reader} finds other accounts than digital-councils")
        best = best_in_turn(readers, 1 if size > 1_000_000 else 5)
        ours = best["digital-councils"]
        rows += [
            {"observations": f"{size:,}", "reader": reader, "seconds": s, "ours is": s / ours}
            for reader, s in best.items()
        ]
    return rows


def _sorted(accounts: pd.DataFrame) -> pd.DataFrame:
    return accounts[COLUMNS].astype("str").sort_values(COLUMNS, ignore_index=True)


def _ours(links: pa.Table) -> pd.DataFrame:
    codes = np.full(links.num_rows, -1)  # as a crawl has them, which are codes, too
    none = pd.Categorical.from_codes(codes, dtype=pd.CategoricalDtype(pd.Index([], dtype="str")))
    frame = to_frame(coded(links)).assign(hint=none, page_url=none)
    found = identify_table(frame, {})
    return found.loc[found["account_key"].notna(), COLUMNS].drop_duplicates()


def _polars(links: pl.DataFrame) -> pd.DataFrame:
    parts = pl.col("href").str.extract_groups(PATTERN)
    key = pl.col("account_key").str.to_lowercase()
    named = (
        links.lazy()
        .with_columns(parts.struct.rename_fields(COLUMNS[1:]).struct.unnest())
        .filter(pl.col("account_key").is_not_null() & ~pl.col("account_key").is_in(NO_ACCOUNTS))
        .with_columns(key)
    )
    rows = named.select(COLUMNS).unique().collect().to_dict(as_series=False)
    return pd.DataFrame(rows)


def _duckdb(links: pa.Table) -> pd.DataFrame:
    with duckdb.connect() as base:
        base.register("links", links)
        return base.execute(
            "SELECT DISTINCT council_id, parts.platform AS platform, "
            "lower(parts.account_key) AS account_key FROM (SELECT council_id, "
            "regexp_extract(href, ?, ['platform', 'account_key']) AS parts FROM links) "
            "WHERE parts.account_key NOT IN ('', 'sharer', 'intent')",
            [PATTERN],
        ).df()


def _naive(links: pd.DataFrame) -> pd.DataFrame:
    named = links["href"].apply(_account)
    table = pd.DataFrame(named.tolist(), columns=COLUMNS[1:]).assign(council_id=links["council_id"])
    return table[table["account_key"].notna()].drop_duplicates()


def _account(href: str) -> tuple[str | None, str | None]:
    """The account of a link, as a script would have it."""
    parts = urlsplit(href)
    platform, _, end = (parts.hostname or "").removeprefix("www.").partition(".")
    segments = parts.path.strip("/").split("/")
    key = "/".join(segments[: 2 if segments[0] == "company" else 1]).lower()
    known = end == "com" and platform in {"twitter", "facebook", "instagram", "linkedin", "youtube"}
    return (platform, key) if known and key not in NO_ACCOUNTS else (None, None)
