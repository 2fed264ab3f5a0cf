"""Visit the sites of a crawl: by one engine in this process, or by several side by side.

A page is read where it arrives, so that a second core takes as much work as the first. A domain is
one engine's alone, which keeps the pace that is promised to it. What leads a visit to a domain of
another's, and the sites of an engine that died, are left to one that crawls alone afterwards.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
from collections import Counter, defaultdict
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scrapy.crawler import AsyncCrawlerProcess
from scrapy.utils.log import configure_logging

from pipeline.domains import site_of
from spiders import journal, warc
from spiders.council_site import PAGES, CouncilSite
from spiders.forks import side_by_side
from spiders.journal import Journal
from spiders.light import Signals
from spiders.monitor import DIED, FINISHED, Bar, Monitor, Told, councils_in, together
from spiders.readers import COLLECT_AFTER, Readers, cores, readers_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from scrapy.settings import Settings

    from pipeline.register import Hosts
    from spiders.council_site import Site
    from spiders.forks import Tell
    from spiders.monitor import Counts

    Part = tuple[list[Site], frozenset[str]]

logger = logging.getLogger(__name__)

_MOST = 4  # beyond, four hundred sites at a request a second leave them idle


@dataclass(frozen=True, slots=True)
class Record:
    """The journal of a crawl as it stands: its path, the keys of its lines, its size in bytes."""

    path: Path
    keys: Sequence[journal.Key] = ()
    end: int = 0

    def lines(self) -> Iterator[journal.Line]:
        """Its lines, without those that were added since."""
        return journal.read(self.path, end=self.end) if self.keys else iter(())


def record_of(path: Path) -> Record:
    """What stands in a journal.

    Raises:
        JournalError: A line is not whole.
    """
    return Record(path, [journal.key_of(line) for line in journal.read(path)], path.stat().st_size)


def visit(settings: Settings, sites: list[Site], hosts: Hosts, before: Record) -> Told | None:
    """Visit sites, and append to the journal; what there is to tell, None if none could start.

    Raises:
        WarcError: A capture could not be written whole.
    """
    count = engines_for(len(sites), settings)
    if count == 1:
        return _engine(settings, sites, hosts, before, _readers(settings, len(sites)))
    before.path.touch()
    parts = parts_of(sites, hosts, count)
    told, has_died = _side_by_side(settings, parts, hosts, before)
    if settings["WARC_CAPTURE"]:
        warc.gather(Path(settings["WARC_CAPTURE"]))
    left = {home for each in told for home in each.left}
    if not left or any(each.reason not in {FINISHED, DIED} for each in told):
        return together(told)
    rest = [site for site in sites if site.home in left]
    # A page that an engine died of is read in a process that may die of it.
    readers = max(_readers(settings, len(rest)), int(has_died))
    last = _engine(settings, rest, hosts, record_of(before.path), readers)
    return None if last is None else together([*told, last])


def engines_for(sites: int, settings: Settings) -> int:
    """How many engines visit so many sites: one for each core, or one for a few sites.

    One alone where one file or browser serves all, and where a process cannot be forked safely.
    """
    if settings["WARC_REPLAY"] or settings["RENDER"]:
        return 1
    if settings["ENGINES"] is not None:
        return max(1, min(int(settings["ENGINES"]), sites))
    if sys.platform != "linux" or sites < settings.getint("PROCESSES_FROM_SITES"):
        return 1
    return min(cores(), _MOST)


def _readers(settings: Settings, sites: int) -> int:
    """How many processes read the pages of so many sites for a lone engine."""
    wanted = settings["READERS"]
    return readers_for(
        sites, None if wanted is None else int(wanted), settings.getint("PROCESSES_FROM_SITES")
    )


# One engine --------------------------------------------------------------------------------------


def _engine(
    settings: Settings, sites: list[Site], hosts: Hosts, before: Record, readers: int
) -> Told | None:
    """Visit sites by one engine in this process; what it tells, None if it could not start."""
    set_fast_loop()
    reading = Readers(readers, settings.getint("LINKS_PER_PAGE"))
    with reading, Journal(before.path, before.keys) as written:
        process = AsyncCrawlerProcess(settings)
        logging.getLogger("scrapy").setLevel(logging.WARNING)  # the process has just set it lower
        crawler = process.create_crawler(CouncilSite)
        crawler.signals = Signals(crawler)
        process.crawl(
            crawler,
            sites=sites,
            hosts=hosts,
            journal=written,
            readers=reading,
            earlier=before.lines(),
        )
        with light_collection():
            process.start()
    if process.bootstrap_failed:
        return None
    monitor = crawler.get_extension(Monitor)
    return monitor.told if monitor else None


def set_fast_loop() -> None:
    """Have Scrapy run on uvloop, where there is a build of it.

    Scrapy's own setting for it would first make another loop, and leave that open.
    """
    with suppress(ImportError):
        import uvloop

        asyncio.set_event_loop(uvloop.new_event_loop())


@contextmanager
def light_collection() -> Iterator[None]:
    """Have the garbage collector look seldom, and never at what stood before, while a block runs.

    Half of the time of a small page would go into looking at the libraries again and again.
    """
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


# Several -----------------------------------------------------------------------------------------


def parts_of(sites: Sequence[Site], hosts: Hosts, count: int) -> list[Part]:
    """The sites in so many parts of about one size, each with the domains that it alone may ask."""
    parts: list[list[Site]] = [[] for _ in range(count)]
    for group in _sharing(sites, hosts):
        min(parts, key=len).extend(group)
    return [
        (part, frozenset().union(*(_domains_of(site, hosts) for site in part))) for part in parts
    ]


def _sharing(sites: Sequence[Site], hosts: Hosts) -> list[list[Site]]:
    """The sites in groups that have no domain in common."""
    above: dict[str, str] = {}

    def top(domain: str) -> str:
        while (higher := above.setdefault(domain, domain)) != domain:
            domain = higher
        return domain

    for site in sites:
        for domain in _domains_of(site, hosts):
            above[top(domain)] = top(site_of(site.home))
    groups: dict[str, list[Site]] = defaultdict(list)
    for site in sites:
        groups[top(site_of(site.home))].append(site)
    return list(groups.values())


def _domains_of(site: Site, hosts: Hosts) -> frozenset[str]:
    return hosts.domains_of(site.councils) | {site_of(site.home)}


def _side_by_side(
    settings: Settings, parts: Sequence[Part], hosts: Hosts, before: Record
) -> tuple[list[Told], bool]:
    """Have each part visited by an engine in a process of its own.

    Returns what each tells, and whether one died.
    """

    def work(number: int, tell: Tell) -> Told | None:
        sites, domains = parts[number]
        own = settings.copy()
        share = max(1, own.getint("CONCURRENT_REQUESTS") // len(parts))
        changes: dict[str, Any] = {
            "CONCURRENT_REQUESTS": share,
            "ENGINE_DOMAINS": domains,
            "PROGRESS_TO": tell,
        }
        if own["WARC_CAPTURE"]:
            changes["WARC_CAPTURE"] = warc.part_of(Path(own["WARC_CAPTURE"]), number)
        own.update(changes, priority="cmdline")
        return _engine(own, sites, hosts, before, 0)

    def show(news: list[Counts]) -> None:
        bar.show(sum(news, Counter()))

    configure_logging(settings)
    bar = Bar(sum(councils_in(sites) for sites, _ in parts))
    ends, stopped = side_by_side([partial(work, number) for number in range(len(parts))], show)
    bar.close()
    told = [each for _, each in ends if each is not None]
    orphans = []
    for (sites, _), (status, each) in zip(parts, ends, strict=True):
        if each is None:
            orphans += sites
            logger.error("An engine ended with %s; what it left is for another", status)
    if orphans:
        journal.repair(before.path)
        told.append(_told_by_journal(before, orphans, told))
    if stopped:
        told = [replace(each, reason="shutdown") if each.left else each for each in told]
    return told, bool(orphans)


def _told_by_journal(before: Record, sites: Sequence[Site], others: Sequence[Told]) -> Told:
    """What engines that died would have told: the lines of their sites, which are left to another.

    What no other engine wrote to the journal is theirs.
    """
    councils = {council for site in sites for council in site.councils}
    since = journal.read(before.path, start=before.end)
    lines = [line for line in since if line["council_id"] in councils]
    counts = Counter(f"council/outcome/{line['outcome']}" for line in lines)
    names = ("council/asked", "council/answered", "council/recorded", "journal/lines")
    counts.update(dict.fromkeys(names, len(lines)))
    pages = [line for line in lines if line["purpose"] in PAGES and line["outcome"] == "ok"]
    counts["council/pages"] = len(pages)
    counts["council/observations"] = sum(len(line["observations"]) for line in lines)
    grown = before.path.stat().st_size - before.end
    counts["journal/bytes"] = grown - sum(other.counts["journal/bytes"] for other in others)
    return Told(DIED, counts, [], Counter(), [], [], [], [site.home for site in sites])
