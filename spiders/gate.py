"""Whether a site may be asked now: the crawl hours, its share of requests, a day's rest for a no.

Every request passes here, redirects, retries and robots.txt files too. A site that turned us away
again and again is written down beside the crawl folder, so that no run of the same day, resumed or
new, asks it once more.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pipeline import domains
from spiders.guard import NotNow, stamp
from spiders.render import RENDER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from scrapy import Request
    from scrapy.crawler import Crawler
    from scrapy.http import Response
    from scrapy.settings import BaseSettings

    from spiders.council_site import Site

TURNED_AWAY = "turned_away.jsonl"
LONDON = ZoneInfo("Europe/London")
LEAST_REST = 12 * 3600  # seconds: a no just before midnight holds after it, too
_NO = frozenset({403, 429})
_HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")


class SettingsError(ValueError):
    """A setting of the crawl cannot be used; says which, and what to write instead."""


class TurnedAwayError(ValueError):
    """The list of sites that turned us away cannot be read; says where, and what to do."""


@dataclass(frozen=True, slots=True)
class CrawlHours:
    """The hours of the day in which sites may be asked, in minutes of UK time since midnight."""

    opens: int
    closes: int

    @classmethod
    def parse(cls, text: str | None) -> Self | None:
        """From CRAWL_HOURS; None for the whole day.

        Raises:
            SettingsError: The text names no hours.
        """
        if not text:
            return None
        found = _HOURS.fullmatch(text.strip())
        opens, closes = _minutes(found) if found else (0, 0)
        if opens == closes:
            raise SettingsError(
                f"CRAWL_HOURS is {text!r}; write hours of UK time such as 20:00-06:00, "
                "or leave it empty for the whole day"
            )
        return cls(opens, closes)

    def holds(self, now: float) -> bool:
        """Whether a time, in seconds since 1970, is within the hours."""
        local = datetime.fromtimestamp(now, LONDON)
        minute = local.hour * 60 + local.minute
        if self.opens < self.closes:
            return self.opens <= minute < self.closes
        return minute >= self.opens or minute < self.closes


def _minutes(found: re.Match[str]) -> tuple[int, int]:
    start_hour, start, end_hour, end = map(int, found.groups())
    return start_hour * 60 + start, end_hour * 60 + end


def vet(settings: BaseSettings) -> None:
    """Refuse settings of the gate that cannot be used.

    Raises:
        SettingsError: Names the setting, and says what to write.
    """
    CrawlHours.parse(settings["CRAWL_HOURS"])
    for name, least in (("COUNCIL_REQUESTS", 2), ("COUNCIL_STORM", 1)):
        value = settings[name]
        if not str(value).isdecimal() or int(value) < least:
            raise SettingsError(f"{name} is {value!r}; write a whole number, {least} or more")


class Gate:
    """Downloader middleware: lets a request pass, or ends the visit of its site, or the crawl.

    In a replay nobody is asked, so that the hours and earlier days do not count; what the answers
    say does, as it did when they were captured.
    """

    def __init__(self, crawler: Crawler) -> None:
        settings = crawler.settings
        self._hours = None if settings["WARC_REPLAY"] else CrawlHours.parse(settings["CRAWL_HOURS"])
        self._most = settings.getint("COUNCIL_REQUESTS")
        self._storm = settings.getint("COUNCIL_STORM")
        self._clock: Callable[[], float] = settings["CLOCK"]
        self._domains: frozenset[str] | None = settings["ENGINE_DOMAINS"]
        self._crawler = crawler
        self._resting: set[str] = set()  # hosts; several sites may share one

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        """Scrapy's way to build a component."""
        return cls(crawler)

    def process_request(self, request: Request) -> None:
        """Count the request, or decline it: `paused`, `not_today` or `budget`."""
        site: Site | None = request.cb_kwargs.get("site")
        if self._hours and not self._hours.holds(self._clock()):
            self._decline("paused", request)
        if self._domains is not None and domains.site_of(request.url) not in self._domains:
            self._decline("paused", request)  # another engine may be asking there
        if site is None:
            return
        if self._resting:
            site.not_today |= site_of(site) in self._resting
        if site.not_today:
            self._decline("not_today", request)
        if site.requests >= self._most:
            self._decline("budget", request)
        site.requests += request.method != RENDER

    def _decline(self, outcome: str, request: Request) -> None:
        self._crawler.stats.inc_value(f"gate/{outcome}")
        raise NotNow(outcome, request.url)

    def process_response(self, request: Request, response: Response) -> Response:
        """The response; a no is counted, and anything else forgives those before it."""
        site: Site | None = request.cb_kwargs.get("site")
        if site is None or not _speaks_for_site(request, response):
            return response
        site.noes = site.noes + 1 if response.status in _NO else 0
        if site.noes >= self._storm and not site.not_today:
            site.not_today = True
            self._resting.add(site_of(site))
            self._crawler.stats.inc_value("gate/turned_away")
            self._note(TurnedAway(site_of(site), stamp(self._clock()), response.status))
        return response

    def _note(self, entry: TurnedAway) -> None:
        path: Path | None = self._crawler.settings["TURNED_AWAY_FILE"]
        if path is not None:
            remember(path, entry)


def _speaks_for_site(request: Request, response: Response) -> bool:
    """Whether an answer tells how the site takes us: short links are other people's servers.

    A robots.txt that is forbidden permits everything (RFC 9309, 2.3.1.3), so it is no answer.
    """
    if request.cb_kwargs["task"].purpose == "short_link":
        return False
    return not (request.meta.get("robots_file") and response.status in range(400, 429))


# From one run to the next ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TurnedAway:
    """A site that answered 403 or 429 again and again: its home's host, when, and the last no."""

    site: str
    at: str
    status: int

    def holds(self, now: float) -> bool:
        """Whether the site rests still: on the same UK day, and for twelve hours at least."""
        at = datetime.fromisoformat(self.at)
        today = datetime.fromtimestamp(now, LONDON)
        same_day = at.astimezone(LONDON).date() == today.date()
        return same_day or now - at.timestamp() < LEAST_REST


def site_of(site: Site) -> str:
    """The name under which a site is written down: the host of its home page."""
    return urlsplit(site.home).hostname or ""


def resting(path: Path, now: float) -> frozenset[str]:
    """The hosts of the file that are not to be asked yet; those whose rest is over leave it.

    Raises:
        TurnedAwayError: A line of the file cannot be used.
    """
    lines = path.read_text("utf-8", "replace").splitlines() if path.exists() else []
    entries = [_entry(path, number, line) for number, line in enumerate(lines, 1)]
    standing = [entry for entry in entries if entry.holds(now)]
    if len(standing) < len(entries):
        _write(path, standing)
    return frozenset(entry.site for entry in standing)


def remember(path: Path, entry: TurnedAway) -> None:
    """Add a site to the file, in one write: several engines may have one to add."""
    with path.open("ab", buffering=0) as file:
        file.write(_as_line(entry))
        os.fsync(file.fileno())


def _write(path: Path, entries: Iterable[TurnedAway]) -> None:
    """Write the file beside its old self and move it into place, so that it is always whole."""
    beside = path.with_name(f".{path.name}")
    with beside.open("wb") as file:
        file.writelines(map(_as_line, entries))
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def _as_line(entry: TurnedAway) -> bytes:
    return json.dumps(asdict(entry)).encode() + b"\n"


def _entry(path: Path, number: int, line: str) -> TurnedAway:
    try:
        entry = TurnedAway(**json.loads(line))
        datetime.fromisoformat(entry.at)
    except (ValueError, TypeError) as error:
        raise TurnedAwayError(
            f"{path}, line {number}: names no site that turned us away ({error}); "
            "remove the line, and that site is asked again"
        ) from error
    return entry
