"""What earlier crawls learned of each page, so that a refresh asks for little that it knows.

Validators let a server answer 304; a page that carries nothing of its own is visited less often.
The memory of a crawl fits the release that was built from it and no other: a 304 means 'as it was
then', and what it was then is in that release's observations.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from pipeline.platforms import Account, identify
from spiders import journal
from spiders.frontier import RULES, load_rules

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from scrapy import Request
    from scrapy.crawler import Crawler

    from spiders.journal import Line

MEMORY = "memory.jsonl"
ASKED_AGAIN = {b"If-None-Match": "etag", b"If-Modified-Since": "last_modified"}
_NOTHING = frozenset({"not_found", "not_html", "duplicate", "too_large", "needs_browser"})
_KEPT = frozenset({"home", "follow", "sitemap"})
_ALWAYS_WHOLE = ("robots_file", "short_link", "for_page")  # in a request's meta
_DAY = 86_400
_VALIDATOR = re.compile(r"[\x21\x23-\x7e][\x20-\x7e]{0,510}")


class RecallError(ValueError):
    """The memory of an earlier crawl cannot be read; says which file, and what to do."""


@dataclass(slots=True)
class Known:
    """What earlier crawls learned of one page.

    Attributes:
        council_id: Whose page.
        url: As it was asked for.
        purpose: Why it was.
        final_url: Address that answered.
        seen_at: When it was last asked for.
        whole_at: When its body last came.
        etag: Its validator, as the server wrote it.
        last_modified: Its other validator.
        quiet: Visits in a row in which it carried nothing of its own.
        own: It carries an account, or a short link, that the home page does not.
        links: What it offers to the frontier: URL, text, purpose.
        short: Short links on it.
        hrefs: Every candidate link on it; for the home page alone.
    """

    council_id: str
    url: str
    purpose: str
    final_url: str
    seen_at: str
    whole_at: str
    etag: str | None = None
    last_modified: str | None = None
    quiet: int = 0
    own: bool = False
    links: list[list[str]] = field(default_factory=list)
    short: list[str] = field(default_factory=list)
    hrefs: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Manner:
    """How often pages are visited again, from data/rules/follow.toml; in days."""

    quiet_days: tuple[int, ...]
    whole_days: int


@cache
def load_manner() -> Manner:
    """Read the table `revisit` of data/rules/follow.toml."""
    rows = tomllib.loads(RULES.read_text(encoding="utf-8"))["revisit"]
    return Manner(tuple(rows["quiet_days"]["value"]), int(rows["whole_days"]["value"]))


@dataclass(slots=True)
class SiteMemory:
    """What is known of one site, by the URL asked for and by the address that answered."""

    by_url: dict[str, Known] = field(default_factory=dict)
    by_final: dict[str, Known] = field(default_factory=dict)

    def rests(self, url: str, now: float) -> Known | None:
        """What is known of a page that need not be visited yet; None for one that is due."""
        known = self.by_url.get(url)
        if known is None or known.own or known.purpose == "home" or not known.quiet:
            return None
        days = load_manner().quiet_days
        wait = days[min(known.quiet, len(days)) - 1]
        return known if round(_days_since(known.seen_at, now)) < wait else None

    def validators(self, url: str, now: float) -> dict[bytes, str]:
        """The headers that ask for a page only if it has changed.

        None for a page whose body has not come for so long that a server which answers 304 to
        everything would hide a change.
        """
        known = self.by_final.get(url)
        if known is None or round(_days_since(known.whole_at, now)) >= load_manner().whole_days:
            return {}
        told = {header: getattr(known, name) for header, name in ASKED_AGAIN.items()}
        return {header: value for header, value in told.items() if value}


_NEW = SiteMemory()


def _days_since(when: str, now: float) -> float:
    return (now - datetime.fromisoformat(when).timestamp()) / _DAY


def validators_of(headers: Mapping[str, str]) -> tuple[str | None, str | None]:
    """ETag and Last-Modified of an answer, where they can be sent back as they are."""
    etag, modified = (headers.get(name, "").strip() for name in ("etag", "last-modified"))
    return (
        etag if _VALIDATOR.fullmatch(etag.removeprefix("W/").strip('"')) else None,
        modified if _VALIDATOR.fullmatch(modified) else None,
    )


class Revisits:
    """Downloader middleware: asks for a known page only if it has changed."""

    def __init__(self, crawler: Crawler) -> None:
        self._clock: Callable[[], float] = crawler.settings["CLOCK"]
        self._stats = crawler.stats

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Revisits:
        """Scrapy's way to build a component."""
        return cls(crawler)

    def process_request(self, request: Request) -> None:
        """Add the validators of the very address that is asked for."""
        site = request.cb_kwargs.get("site")
        if site is None or not site.memory.by_final:
            return
        for header in ASKED_AGAIN:
            request.headers.pop(header, None)  # a redirect brings those of the page before
        if any(map(request.meta.get, _ALWAYS_WHOLE)):
            return
        told = site.memory.validators(request.url, self._clock())
        request.headers.update(told)
        if told:
            self._stats.inc_value("memory/asked_if_changed")


# From one crawl to the next ----------------------------------------------------------------------


def read(path: Path) -> dict[str, SiteMemory]:
    """The memory in a file, by council.

    Raises:
        RecallError: A line of it cannot be used.
    """
    sites: dict[str, SiteMemory] = {}
    with path.open("rb") as file:
        for number, raw in enumerate(file, 1):
            try:
                known = Known(**json.loads(raw))
            except (ValueError, TypeError) as error:
                raise RecallError(
                    f"{path}, line {number}: not what a crawl learned ({error}); delete the file, "
                    "and the next crawl asks for every page"
                ) from error
            site = sites.setdefault(known.council_id, SiteMemory())
            site.by_url[known.url] = known
            site.by_final[known.final_url] = known
    return sites


def keep(folder: Path, earlier: Mapping[str, SiteMemory]) -> Path:
    """Write what a crawl and those before it learned, beside its journal; whole or not at all."""
    path = folder / MEMORY
    beside = folder / f".{MEMORY}"
    with beside.open("w", encoding="utf-8") as file:
        for known in learn(list(journal.read(folder / journal.PAGES)), earlier):
            file.write(json.dumps(asdict(known), ensure_ascii=True, separators=(",", ":")) + "\n")
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    return path


def learn(lines: Iterable[Line], earlier: Mapping[str, SiteMemory]) -> list[Known]:
    """What is known of each page after a crawl; a page that failed is forgotten, so asked whole."""
    lines = [line for line in lines if line["purpose"] in _KEPT]
    before = [earlier.get(line["council_id"], _NEW).by_url.get(line["url"]) for line in lines]
    at_home = {
        line["council_id"]: frozenset(_hrefs(line) or (known.hrefs if known else ()))
        for line, known in zip(lines, before, strict=True)
        if line["purpose"] == "home"
    }
    found = [
        _learned(line, known, at_home.get(line["council_id"], frozenset()))
        for line, known in zip(lines, before, strict=True)
    ]
    return [known for known in found if known]


def _learned(line: Line, before: Known | None, at_home: frozenset[str]) -> Known | None:
    outcome = line["outcome"]
    if outcome == "not_due":
        return before
    quiet = before.quiet + 1 if before else 1
    if outcome == "not_modified" and before:
        return replace(before, seen_at=line["fetched_at"], quiet=0 if before.own else quiet)
    if outcome != "ok" and outcome not in _NOTHING:
        return None
    base = line["final_url"] or line["url"]
    short = sorted(load_rules().short_links(base, [o["href"] for o in line["observations"]]))
    others = {(o["href"], o["hint"]) for o in line["observations"] if o["href"] not in at_home}
    is_home = line["purpose"] == "home"
    own = not is_home and (bool(short) or any(_names_account(*other) for other in others))
    return Known(
        council_id=line["council_id"],
        url=line["url"],
        purpose=line["purpose"],
        final_url=base,
        seen_at=line["fetched_at"],
        whole_at=line["fetched_at"],
        etag=line.get("etag"),
        last_modified=line.get("last_modified"),
        quiet=0 if own else quiet,
        own=own,
        links=line["links"],
        short=short,
        hrefs=_hrefs(line) if is_home else [],
    )


def _hrefs(line: Line) -> list[str]:
    return sorted({observation["href"] for observation in line["observations"]})


@lru_cache(maxsize=100_000)
def _names_account(href: str, hint: str | None) -> bool:
    found = identify(href, hint)
    return isinstance(found, Account) and found.via != "post"
