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
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from scrapy import signals
from scrapy.utils.asyncio import create_looping_call

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from scrapy.crawler import Crawler

    from spiders.council_site import CouncilSite, Site

logger = logging.getLogger(__name__)

RUN = "run.json"
_BAR_SECONDS = 0.5
_LINE_SECONDS = 10.0
FINISHED = "finished"
DIED = "died"  # an engine whose sites are left to another
_NO_ERRORS = frozenset(
    {"ok", "not_modified", "not_due", "duplicate", "budget", "off_site", "not_found"}
)
Counts = Counter[str]  # Scrapy's stats that are numbers, by their names


@dataclass(slots=True)
class Told:
    """What an engine tells of its sites when it ends; `left` are the homes of those not done."""

    reason: str
    counts: Counts
    problems: list[str]
    refused: Counter[str]
    moved: list[dict[str, Any]]
    not_today: list[str]
    unverified: list[str]
    left: list[str]


class Bar:
    """A progress bar on a terminal, else lines in the log."""

    def __init__(self, total: int) -> None:
        """Prepare to show the progress of so many councils."""
        self._total = total
        self._progress: Progress | None = None
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

    def show(self, counts: Counts) -> None:
        """Show how many councils are done, and what was found."""
        outcomes = _below(counts, "council/outcome/")
        errors = sum(n for outcome, n in outcomes.items() if outcome not in _NO_ERRORS)
        done = counts["council/done"]
        pages, links = counts["council/pages"], counts["council/observations"]
        rest = f"{pages} pages · {links} links · {errors} errors"
        if self._progress:
            self._progress.start()  # not before: it has a thread, and processes are forked first
            self._progress.update(self._progress.task_ids[0], completed=done, rest=rest)
        else:
            logger.info("%d of %d councils, %s", done, self._total, rest)

    def close(self) -> None:
        """Leave the bar as it stands."""
        if self._progress:
            self._progress.stop()


class Monitor:
    """Scrapy extension: shows progress, and keeps what there is to tell when the engine ends."""

    def __init__(self, crawler: Crawler) -> None:
        self._stats = crawler.stats
        self._faults: list[str] = []
        self._tell: Callable[[Counts], None] | None = crawler.settings["PROGRESS_TO"]
        self._bar: Bar | None = None
        self._loop: Any = None
        self.told: Told | None = None
        crawler.signals.connect(self.spider_opened, signals.spider_opened)
        crawler.signals.connect(self.spider_closed, signals.spider_closed)
        crawler.signals.connect(self.spider_error, signals.spider_error)

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        """Scrapy's way to build a component."""
        return cls(crawler)

    def spider_opened(self, spider: CouncilSite) -> None:
        """Start to show progress."""
        if self._tell is None:
            self._bar = Bar(councils_in(spider.sites))
            self._tell = self._bar.show
        self._loop = create_looping_call(self._show)
        self._loop.start(_BAR_SECONDS if sys.stderr.isatty() else _LINE_SECONDS, now=False)

    def _show(self) -> None:
        if self._tell:
            self._tell(self._counts())

    def _counts(self) -> Counts:
        stats = self._stats.get_stats().items()
        return Counter({name: n for name, n in stats if isinstance(n, int)})

    def spider_error(self, failure: Any, response: Any) -> None:
        """Remember a fault of ours: the crawl goes on, and ends with a non-zero status."""
        self._faults.append(f"{getattr(response, 'url', 'start')}: {failure.value!r}"[:500])

    def spider_closed(self, spider: CouncilSite, reason: str) -> None:
        """Stop showing, and keep what there is to tell."""
        if self._loop is not None and self._loop.running:
            self._loop.stop()
        self._show()
        if self._bar:
            self._bar.close()
        moved = [
            {"council_id": council, "from": site.home, "to": site.moved_to}
            for site in spider.sites
            for council in site.councils
            if site.moved_to
        ]
        counts = self._counts()
        journal = spider.journal
        counts["journal/lines"] = journal.written
        counts["journal/bytes"] = journal.bytes
        failed = self._stats.get_value("council/write_failed")
        early = [] if reason in {FINISHED, "shutdown"} else [f"ended early: {failed or reason}"]
        self.told = Told(
            reason=reason,
            counts=counts,
            problems=[*self._faults, *early],
            refused=spider.refused,
            moved=moved,
            not_today=_councils(site for site in spider.sites if site.not_today),
            unverified=_councils(site for site in spider.sites if site.read_unverified),
            left=spider.left,
        )


def together(parts: Sequence[Told]) -> Told:
    """What several engines tell, of which the last went on with what the others left."""
    counts: Counts = sum((part.counts for part in parts), Counter())
    counts["council/paused"] = parts[-1].counts["council/paused"]
    moved = {row["council_id"]: row for part in parts for row in part.moved}
    return Told(
        reason=next((p.reason for p in parts if p.reason not in {FINISHED, DIED}), FINISHED),
        counts=counts,
        problems=[problem for part in parts for problem in part.problems],
        refused=sum((part.refused for part in parts), Counter()),
        moved=list(moved.values()),
        not_today=[council for part in parts for council in part.not_today],
        unverified=[council for part in parts for council in part.unverified],
        left=parts[-1].left,
    )


def report_of(told: Told, total: int, grown: int, hours: str | None) -> dict[str, Any]:
    """The part of run.json on how a crawl of `total` councils ended, with the verdict.

    The journal was `grown` bytes longer afterwards; `hours` are those in which sites may be asked.
    """
    counts, problems = told.counts, [*told.problems, *_gaps(told, total, grown, hours)]
    paused = told.reason == FINISHED and counts["council/paused"]
    names = ("asked", "answered", "recorded", "pages", "observations", "links")
    report = {
        "finished": told.reason == FINISHED and not problems,
        "reason": "outside_hours" if paused else told.reason,
        "problems": problems,
        "councils": {"done": counts["council/done"], "total": total},
        "counts": {name: counts[f"council/{name}"] for name in names},
        "outcomes": _below(counts, "council/outcome/"),
        "refused_links": dict(sorted(told.refused.items())),
        "moved": sorted(told.moved, key=lambda row: str(row["council_id"])),
        "not_today": sorted(set(told.not_today)),
        "unverified": sorted(set(told.unverified)),
        "bytes_received": counts["guard/bytes_received"],
        "retries": counts["retry/count"],
    }
    rendered = _below(counts, "render/")
    return report | ({"rendered": rendered} if rendered else {})


def _gaps(told: Told, total: int, grown: int, hours: str | None) -> list[str]:
    """Every way in which the counts of a crawl do not fit together, in words."""
    problems = []
    count = Counter({name.removeprefix("council/"): n for name, n in told.counts.items()})
    done = f"{count['done']} of {total} councils"
    ended = told.reason == FINISHED
    if count["unnamed_failures"]:
        problems.append(f"{count['unnamed_failures']} requests failed by no known name")
    if told.reason == "shutdown":
        problems.append("stopped before its end; crawl again with --resume to go on")
    elif ended and count["paused"]:
        problems.append(
            f"stopped by the crawl hours {hours} with {done} done; "
            "--resume within them goes on from here"
        )
    elif ended and count["asked"] != count["answered"]:
        problems.append(f"{count['asked']} asked, {count['answered']} answered")
    elif ended and count["done"] != total:
        problems.append(f"{done} had their turn")
    if count["journal/lines"] != count["recorded"]:
        lines = count["journal/lines"]
        problems.append(f"{count['recorded']} recorded, {lines} written to the journal")
    if count["journal/bytes"] != grown:
        problems.append(f"{count['journal/bytes']} bytes written, and the journal grew by {grown}")
    return problems


def _below(counts: Counts, prefix: str) -> dict[str, int]:
    return {k.removeprefix(prefix): n for k, n in sorted(counts.items()) if k.startswith(prefix)}


def councils_in(sites: Iterable[Site]) -> int:
    """How many councils these sites are of."""
    return sum(len(site.councils) for site in sites)


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
