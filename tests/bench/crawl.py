"""Whole crawls of a loopback council web: how fast, how polite, and what ten thousand sites cost.

Every crawler runs in a process of its own over the same pages. Rates are taken at the server, from
the first request to the last, so that starting up counts for nobody.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.curve import write_curve
from tests.bench.web import PATHS, council_web

if TYPE_CHECKING:
    from tests.bench.measure import Row
    from tests.bench.web import CouncilWeb, Seen

ROOT = Path(__file__).parents[2]
CURVE = ROOT / "docs" / "images" / "size-curve.svg"
DELAY = 1.0
POLITE_SITES = (100, 400)
CURVE_SITES = (400, 2_000, 10_000)
ROUNDS = 3
# Fewer sites for the slow ones, which are to take ten seconds each. Not fewer still: what is on its
# way is answered before it is read, and of eight sites that is half of all pages.
UNTHROTTLED = {
    "ours": ("digital-councils, everything on", 200),
    "captured": ("digital-councils, captured to WARC", 200),
    "null_callback": ("Scrapy tuned alike, empty callback", 200),
    "link_extractor": ("Scrapy, LinkExtractor", 40),
    "scrapy_soup": ("Scrapy, BeautifulSoup", 20),
    "crawlee_parsel": ("crawlee, parsel", 40),
    "crawlee_soup": ("crawlee, BeautifulSoup", 20),
    "requests_loop": ("requests and BeautifulSoup in a loop", 20),
}


class CrawlError(RuntimeError):
    """A crawler did not do what is measured; the message says what it did."""


@dataclass(frozen=True, slots=True)
class Run:
    """One crawl: pages that reached the crawler, what the server saw, processor and memory."""

    pages: int
    seen: Seen
    processor: float
    peak: int

    @property
    def rate(self) -> float:
        """Pages a second."""
        return self.pages / self.seen.seconds


def run(web: CouncilWeb, crawler: str, sites: int, pages: int) -> Run:
    """Run one crawler over so many sites.

    Raises:
        CrawlError: It did not bring `pages` pages of each site.
    """
    web.seen()
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.crawlers", crawler, str(web.port), str(sites)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    if done.returncode:
        raise CrawlError(f"{crawler} failed: {done.stderr[-2_000:]}")
    figures = json.loads(done.stdout.splitlines()[-1])
    found = Run(figures["pages"], web.seen(), figures["processor"], figures["peak"])
    if found.pages != sites * pages or found.seen.sites != sites:
        raise CrawlError(f"{crawler} brought {found.pages} pages of {found.seen.sites} sites")
    return found


def unthrottled() -> list[Row]:
    """Every page of every site, without a pause, by us and by each peer: the best of three."""
    best: dict[str, Run] = {}
    with council_web() as web:
        for _ in range(ROUNDS):  # all take turns, so that a slow minute is nobody's alone
            for crawler, (_, sites) in UNTHROTTLED.items():
                found = run(web, crawler, sites, len(PATHS))
                if crawler not in best or found.rate > best[crawler].rate:
                    best[crawler] = found
    ours = best["ours"]
    return [
        {
            "crawler": UNTHROTTLED[crawler][0],
            "pages/s": found.rate,
            "ours is": ours.rate / found.rate,
            "CPU ms a page": found.processor / found.pages * 1_000,
            "peak MB": found.peak >> 20,
        }
        for crawler, found in best.items()
    ]


def politeness() -> list[Row]:
    """One request a second to each of so many sites: the best of three, and the closest of all."""
    rows: list[Row] = []
    with council_web() as web:
        for sites in POLITE_SITES:
            runs = [run(web, "polite", sites, len(PATHS)) for _ in range(ROUNDS)]
            found = max(runs, key=lambda each: each.seen.rate())
            rows.append(
                {
                    "sites": sites,
                    "requests": found.seen.requests,
                    "requests/s": found.seen.rate(),
                    "of what is allowed": found.seen.rate() / (sites / DELAY),
                    "closest, s": min(each.seen.closest for each in runs),
                    "CPU ms a page": found.processor / found.pages * 1_000,
                    "peak MB": found.peak >> 20,
                }
            )
    return rows


def sizes() -> list[Row]:
    """Two pages of each of 400, 2,000 and 10,000 sites; draws the curve for the documents."""
    rows: list[Row] = []
    with council_web() as web:
        for sites in CURVE_SITES:
            found = run(web, "brief", sites, 2)
            rows.append(
                {
                    "sites": sites,
                    "seconds": found.seen.seconds,
                    "ms a site": found.seen.seconds / sites * 1_000,
                    "CPU ms a site": found.processor / sites * 1_000,
                    "fewest requests": found.seen.fewest,
                    "peak MB": found.peak >> 20,
                }
            )
    points = [(int(row["sites"]), float(row["seconds"]), int(row["peak MB"])) for row in rows]
    CURVE.write_text(write_curve(points), encoding="utf-8")
    return rows
