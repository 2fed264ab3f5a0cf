"""Watches a crawl: a progress bar or log lines while it runs, run.json and the verdict at its end.

Scrapy says "finished" after an exception in a callback and after a full disk, so its word is not
taken: a crawl is whole when every request that was asked for was answered by a named outcome, every
outcome stands in the journal, and every site had its turn.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from typing import TYPE_CHECKING, Any, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from scrapy import signals
from scrapy.utils.asyncio import create_looping_call

from spiders.guard import stamp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from scrapy.crawler import Crawler

    from spiders.council_site import CouncilSite, Site
    from spiders.journal import Journal

logger = logging.getLogger(__name__)

RUN = "run.json"
_BAR_SECONDS = 0.5
_LINE_SECONDS = 10.0
_NO_ERRORS = frozenset(
    {"ok", "not_modified", "not_due", "duplicate", "budget", "off_site", "not_found"}
)


class Monitor:
    """Scrapy extension: shows progress, and writes the report that the exit status follows."""

    def __init__(self, crawler: Crawler) -> None:
        self._crawler = crawler
        self._stats = crawler.stats
        self._clock: Callable[[], float] = crawler.settings["CLOCK"] or time.time
        self._faults: list[str] = []
        self._hours: str | None = crawler.settings["CRAWL_HOURS"]
        self._progress: Progress | None = None
        self._loop: Any = None
        self.report: dict[str, Any] = {}
        crawler.signals.connect(self.spider_opened, signals.spider_opened)
        crawler.signals.connect(self.spider_closed, signals.spider_closed)
        crawler.signals.connect(self.spider_error, signals.spider_error)

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        """Scrapy's way to build a component."""
        return cls(crawler)

    def spider_opened(self, spider: CouncilSite) -> None:
        """Start to show progress."""
        total = sum(len(site.councils) for site in spider.sites)
        self._stats.set_value("council/total", total)
        if sys.stderr.isatty():
            self._progress = Progress(
                TextColumn("councils"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[rest]}"),
                TimeRemainingColumn(),
                console=Console(stderr=True),
            )
            self._progress.add_task("crawl", total=total, rest="")
            self._progress.start()
        self._loop = create_looping_call(self._show)
        self._loop.start(_BAR_SECONDS if self._progress else _LINE_SECONDS, now=False)

    def _show(self) -> None:
        count = self._count
        errors = sum(n for outcome, n in self.outcomes().items() if outcome not in _NO_ERRORS)
        rest = f"{count('pages')} pages · {count('observations')} links · {errors} errors"
        if self._progress:
            self._progress.update(self._progress.task_ids[0], completed=count("done"), rest=rest)
        else:
            logger.info("%d of %d councils, %s", count("done"), count("total"), rest)

    def _count(self, name: str) -> int:
        return int(self._stats.get_value(f"council/{name}", 0))

    def outcomes(self) -> dict[str, int]:
        """How many lines were recorded under each outcome."""
        return self._below("council/outcome/")

    def _below(self, prefix: str) -> dict[str, int]:
        values = self._stats.get_stats().items()
        return {k.removeprefix(prefix): n for k, n in sorted(values) if k.startswith(prefix)}

    def spider_error(self, failure: Any, response: Any) -> None:
        """Remember a fault of ours: the crawl goes on, and ends with a non-zero status."""
        self._faults.append(f"{getattr(response, 'url', 'start')}: {failure.value!r}"[:500])

    def spider_closed(self, spider: CouncilSite, reason: str) -> None:
        """Stop showing, reconcile the counts and keep the report."""
        if self._loop is not None and self._loop.running:
            self._loop.stop()
        self._show()
        if self._progress:
            self._progress.stop()
        problems = self._problems(spider, reason)
        moved = [
            {"council_id": council, "from": site.home, "to": site.moved_to}
            for site in spider.sites
            for council in site.councils
            if site.moved_to
        ]
        paused = reason == "finished" and self._count("paused")
        names = ("asked", "answered", "recorded", "pages", "observations", "links")
        self.report = {
            "finished_at": stamp(self._clock()),
            "finished": reason == "finished" and not problems,
            "reason": "outside_hours" if paused else reason,
            "problems": problems,
            "councils": {"done": self._count("done"), "total": self._count("total")},
            "counts": {name: self._count(name) for name in names},
            "outcomes": self.outcomes(),
            "refused_links": dict(sorted(spider.refused.items())),
            "moved": sorted(moved, key=lambda row: str(row["council_id"])),
            "not_today": _councils(site for site in spider.sites if site.not_today),
            "unverified": _councils(site for site in spider.sites if site.read_unverified),
            "bytes_received": int(self._stats.get_value("guard/bytes_received", 0)),
            "retries": int(self._stats.get_value("retry/count", 0)),
        }
        if rendered := self._below("render/"):
            self.report["rendered"] = rendered

    def _problems(self, spider: CouncilSite, reason: str) -> list[str]:
        """Every way in which the crawl is not whole, in words; empty when it is."""
        problems = list(self._faults)
        count = self._count
        if count("unnamed_failures"):
            problems.append(f"{count('unnamed_failures')} requests failed by no known name")
        if reason == "shutdown":
            problems.append("stopped before its end; crawl again with --resume to go on")
        elif reason != "finished":
            failed = self._stats.get_value("council/write_failed")
            problems.append(f"ended early: {failed or reason}")
        elif count("paused"):
            problems.append(
                f"stopped by the crawl hours {self._hours} with {count('done')} of "
                f"{count('total')} councils done; --resume within them goes on from here"
            )
        elif count("asked") != count("answered"):
            problems.append(f"{count('asked')} asked, {count('answered')} answered")
        elif count("done") != count("total"):
            problems.append(f"{count('done')} of {count('total')} councils had their turn")
        journal: Journal = spider.journal
        if journal.written + journal.repeated != count("recorded") or not journal.whole():
            problems.append(
                f"{count('recorded')} recorded, {journal.written} written to the journal"
            )
        return problems


def _councils(sites: Iterable[Site]) -> list[str]:
    return sorted(council for site in sites for council in site.councils)


def write_run(folder: Path, report: dict[str, Any]) -> None:
    """Write run.json beside its old self and move it into place, so that it is always whole."""
    text = json.dumps(report, ensure_ascii=False, indent=2) + "\n"
    beside = folder / f".{RUN}"
    with beside.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(folder / RUN)
