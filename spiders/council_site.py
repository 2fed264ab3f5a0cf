"""The one generic spider: a register row in, a journal line for each fetch out.

A council's site is visited by one request at a time: what an answer holds is written before the
next request is chosen, so the journal alone says what is left to do. Sites take turns in waves of
CONCURRENT_REQUESTS, so a slow or hostile one costs its own budget and nobody else's.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter, deque
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from scrapy import Request, Spider, signals
from scrapy.exceptions import CloseSpider
from scrapy.http.request import NO_CALLBACK

from pipeline.domains import registrable, site_of
from pipeline.platforms import is_candidate_host
from spiders.extract import Answer, Asked, name_outcome
from spiders.frontier import Frontier, Limits, Rules, Task, load_rules
from spiders.guard import Declined, outcome_of, stamp
from spiders.items import Fetch, Observation
from spiders.journal import Journal, Line, entry
from spiders.memory import Known, SiteMemory, validators_of
from spiders.render import RENDER
from spiders.sitemap import locations

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence

    import pandas as pd
    from scrapy.crawler import Crawler
    from scrapy.http import Response
    from scrapy.settings import BaseSettings
    from twisted.python.failure import Failure

    from pipeline.register import Hosts
    from spiders.extract import Reading
    from spiders.leads import Leads
    from spiders.readers import Readers

logger = logging.getLogger(__name__)

PAGES = frozenset({"home", "follow"})  # the purposes of requests for pages
_LONGEST_WAIT = 600.0  # seconds; delay, Retry-After and time-out together are shorter
_REFUSALS = frozenset({"refused", "timeout", "dns", "tls", "blocked", "http_error"})
_UNASKED = frozenset({"budget", "given_up", "not_today", "not_due"})
Link = tuple[str, str, str]  # URL, text, purpose: what a page offers to the frontier


@dataclass(slots=True)
class Site:
    """One website and the state of its visit; councils that share it are visited once."""

    councils: tuple[str, ...]
    home: str
    frontier: Frontier
    short_left: int
    domains: set[str] = field(default_factory=set)  # of its own after a move
    known: frozenset[str] = frozenset()  # links that the home page carries
    memory: SiteMemory = field(default_factory=SiteMemory)  # what earlier crawls learned
    read: set[str] = field(default_factory=set)
    short: deque[str] = field(default_factory=deque)
    short_seen: set[str] = field(default_factory=set)
    home_asked: bool = False
    home_alone: bool = False
    moved_to: str | None = None
    requests: int = 0  # of every kind, redirects and retries too
    bytes: int = 0
    seconds: float = 0.0  # from answer to answer
    refusals: int = 0
    noes: int = 0  # answers 403 or 429 in a row
    not_today: bool = False  # it said no so often that it is left alone for the day
    unverified: frozenset[str] = frozenset()  # councils whose certificates need not verify
    read_unverified: bool = False
    last_at: str | None = None
    finished: bool = False

    def heard(self, when: str) -> None:
        """An answer or a failure came at `when`; the pause between two runs is nobody's time."""
        if self.last_at is not None:
            since = datetime.fromisoformat(when) - datetime.fromisoformat(self.last_at)
            pause = since.total_seconds()
            self.seconds += pause if pause <= _LONGEST_WAIT else 0
        self.last_at = when

    def limit_to_home(self) -> None:
        """Ask for nothing beyond the home page: the site wants longer pauses than we can give."""
        self.home_alone = True
        self.frontier.limits.pages = 1
        self.short_left = 0

    def forget(self) -> None:
        """End the visit and let go of what only it needs: most sites of a long crawl are done."""
        self.finished = True
        self.frontier = Frontier(self.frontier.rules, self.frontier.limits)
        self.known, self.memory, self.short = frozenset(), SiteMemory(), deque()
        self.read, self.short_seen = set(), set()

    def count(self, outcome: str, size: int | None) -> None:
        """Add one answered page to the budgets and to the circuit breaker."""
        self.bytes += size or 0
        self.refusals = self.refusals + 1 if outcome in _REFUSALS else 0


def sites_of(register: pd.DataFrame, hosts: Hosts, settings: BaseSettings) -> list[Site]:
    """The sites to visit, in the order of the register; rows without a website have none."""
    rules = load_rules()
    sites: dict[str, Site] = {}
    columns = ("council_id", "website", "unverified_reason")
    for council, website, reason in zip(*(register[name] for name in columns), strict=True):
        home = rules.normalise(website) if isinstance(website, str) and website else None
        if home is None:
            continue
        unverified = frozenset([council] if isinstance(reason, str) else [])
        shared = sites.get(home)
        if shared:
            shared.councils = (*shared.councils, council)
            shared.unverified |= unverified
            continue
        limits = Limits(
            settings.getint("COUNCIL_PAGES"),
            settings.getint("COUNCIL_DEPTH"),
            settings.getint("FRONTIER_LINKS"),
            settings.getint("URLLENGTH_LIMIT"),
        )
        short = settings.getint("COUNCIL_SHORT_LINKS")
        sites[home] = Site((council,), home, Frontier(rules, limits), short, unverified=unverified)
        if council not in hosts.councils_at(home):
            sites[home].domains.add(site_of(home))  # a successor holds the host now
    return list(sites.values())


class CouncilSite(Spider):
    """Visits each site of the register: home page first, then the most promising links."""

    name = "council_site"

    def __init__(
        self,
        sites: list[Site],
        hosts: Hosts,
        journal: Journal,
        readers: Readers,
        earlier: Iterable[Line],
    ) -> None:
        super().__init__()
        self._readers = readers
        self._earlier = earlier
        self.sites = sites
        self._hosts = hosts
        self.journal = journal
        self._rules: Rules = load_rules()
        self._councils_of = lru_cache(maxsize=100_000)(hosts.councils_of)
        self._domains_of = lru_cache(maxsize=100_000)(hosts.domains_of)
        self._councils_at = lru_cache(maxsize=100_000)(hosts.councils_at)
        self._resolved: dict[str, Fetch] = {}
        self.refused: Counter[str] = Counter()
        self.left: list[str] = []  # home pages of the sites that were paused

    @classmethod
    def from_crawler(cls, crawler: Crawler, *args: Any, **kwargs: Any) -> CouncilSite:
        """Scrapy's way to build a spider."""
        spider = super().from_crawler(crawler, *args, **kwargs)
        settings = crawler.settings
        spider._turns = asyncio.Semaphore(settings.getint("CONCURRENT_REQUESTS"))
        spider._clock = settings["CLOCK"] or time.time
        spider._renders = settings.getbool("RENDER")
        spider._limits = {
            name: settings.getint(name)
            for name in (
                "COUNCIL_BYTES",
                "COUNCIL_SECONDS",
                "COUNCIL_REFUSALS",
                "COUNCIL_REQUESTS",
                "LINKS_PER_PAGE",
                "SITEMAP_LINKS",
                "DOWNLOAD_MAXSIZE",
                "REDIRECT_MAX_TIMES",
            )
        }
        crawler.signals.connect(spider._failed_callback, signals.spider_error)
        crawler.signals.connect(spider._readers.hang_up, signals.spider_closed)
        spider._restore(spider._earlier)
        return spider

    _turns: asyncio.Semaphore
    _clock: Callable[[], float]
    _renders: bool
    _limits: dict[str, int]

    async def start(self) -> AsyncIterator[Request]:
        """The first request of each site, when its turn comes."""
        if not self.crawler.crawling:
            # A signal came before the engine ran: Scrapy would crawl on, and then never end.
            await self.crawler.engine.stop_async()
            return
        for site in self.sites:
            await self._turns.acquire()
            for request in self._advance(site):
                yield request

    # What next ---------------------------------------------------------------------------------

    def _advance(self, site: Site) -> list[Request]:
        """The site's next request, or none when its visit is over."""
        reason = self._spent(site)
        task = None if reason else self._next_task(site)
        if task:
            return [self._request(site, task)]
        while not reason and site.short and site.short_left > 0:
            url = site.short.popleft()
            site.short_left -= 1
            known = self._resolved.get(url)
            if known is None:
                return [self._request(site, Task(url, "short_link", 0))]
            self._keep(site, known)
        self._finish(site, reason or "budget")
        return []

    def _spent(self, site: Site) -> str | None:
        """Why the visit must end now: a budget is spent, or the site refuses us."""
        if site.not_today:
            return "not_today"
        if site.refusals >= self._limits["COUNCIL_REFUSALS"]:
            return "given_up"
        spent = (site.bytes, site.seconds, site.requests)
        budgets = ("COUNCIL_BYTES", "COUNCIL_SECONDS", "COUNCIL_REQUESTS")
        over = any(n >= self._limits[name] for n, name in zip(spent, budgets, strict=True))
        return "budget" if over else None

    def _next_task(self, site: Site) -> Task | None:
        if not site.home_asked:
            site.home_asked = True
            site.frontier.take(site.home)
            site.frontier.asked += 1
            site.read.add(site.home)
            return Task(site.home, "home", 0)
        while task := site.frontier.next():
            site.read.add(task.url)
            known = site.memory.rests(task.url, self._clock())
            if known is None:
                return task
            self._rest(site, task, known)
        return None

    def _request(self, site: Site, task: Task) -> Request:
        self.crawler.stats.inc_value("council/asked")
        short = task.purpose == "short_link"
        return Request(
            task.url,
            method="HEAD" if short else "GET",
            callback=self.parse,
            errback=self.failed,
            cb_kwargs={"site": site, "task": task},
            meta={"download_slot": site_of(task.url), "short_link": short},
        )

    def _finish(self, site: Site, reason: str) -> None:
        """End the visit; what the budget leaves is recorded as not asked for."""
        if site.finished:
            return
        site.finished = True
        home = [] if site.home_asked else [Task(site.home, "home", 0)]
        for task in (*home, *site.frontier.left()):
            self._record(site, self._asked(site, task, site.last_at).fetch(reason))
        self.refused.update(site.frontier.refused)
        site.forget()
        self.crawler.stats.inc_value("council/done", len(site.councils))
        self._turns.release()

    def _pause(self, site: Site) -> list[Request]:
        """Leave a site as it stands: what is not recorded is asked when a crawl goes on with it."""
        site.forget()
        self.left.append(site.home)
        self.crawler.stats.inc_value("council/asked", -1)  # it was not
        self.crawler.stats.inc_value("council/paused", len(site.councils))
        self._turns.release()
        return []

    # What came ---------------------------------------------------------------------------------

    def parse(
        self, response: Response, site: Site, task: Task
    ) -> Iterable[Request] | Awaitable[Iterable[Request]]:
        """An answer: record it with what it offers, then ask for the next page."""
        asked = self._asked(site, task, response.meta["fetched_at"])
        answer = _answer(response)
        known = site.memory.by_final.get(response.url) if response.status == 304 else None
        if known:
            self._unchanged(site, asked, known)
        elif task.purpose == "short_link":
            self._keep(site, self._pointed(asked, answer))
        elif task.purpose == "sitemap":
            self._keep(site, *self._read_sitemap(site, asked, answer))
        else:
            read = self._readers.read_here(asked, answer, site.known, site.frontier.seen)
            if read is None:
                return self._read_elsewhere(response, site, asked, answer)
            return self._read(response, site, answer, read)
        return self._advance(site)

    async def _read_elsewhere(
        self, response: Response, site: Site, asked: Asked, answer: Answer
    ) -> list[Request]:
        read = await self._readers.read(asked, answer, site.known)
        return self._read(response, site, answer, read)

    def _read(self, response: Response, site: Site, answer: Answer, read: Reading) -> list[Request]:
        """A page was read: follow it where it leads, or record it and ask for the next."""
        fetch = read.fetch
        fetch.rendered = "shell" in response.meta
        onward = self._onward(response, fetch, read.leads)
        if onward:
            return [onward]
        if fetch.is_home:
            site.known = read.hrefs
            self._note_move(site, fetch)
        if fetch.outcome == "ok" and not fetch.rendered:  # a shell stays as it is for years
            fetch.etag, fetch.last_modified = validators_of(answer.headers)
        links = self._offer(site, fetch, read.leads) if read.leads else []
        self._keep(site, fetch, links, read.observations)
        self.crawler.stats.inc_value("council/observations", read.count)
        return self._advance(site)

    def failed(self, failure: Failure) -> Iterable[Request] | Awaitable[Iterable[Request]]:
        """No answer, or one that was declined: record under its name, then go on."""
        request: Request = failure.request  # type: ignore[attr-defined]  # Scrapy sets it
        site, task = request.cb_kwargs["site"], request.cb_kwargs["task"]
        error: BaseException = failure.value  # type: ignore[assignment]  # a failure has one
        outcome = outcome_of(error)
        if outcome == "paused":
            return self._pause(site)
        if outcome is None:
            self.crawler.stats.inc_value("council/unnamed_failures")
            logger.error("%(url)s failed: %(error)r", {"url": request.url, "error": error})
        shell: Response | None = request.meta.get("shell")
        if shell is not None:  # what could not be rendered is recorded as it was sent
            shell.meta["unrendered"] = True
            return self.parse(shell, site, task)
        fetch = self._asked(site, task, request.meta.get("fetched_at")).fetch(outcome or "refused")
        if isinstance(error, Declined):
            fetch.final_url, fetch.status = error.url, error.status
            host = urlsplit(error.url or "").hostname or ""
            if outcome == "off_site" and task.purpose == "follow" and is_candidate_host(host):
                fetch.purpose = "short_link"  # a path of the site that only points to an account
        if task.purpose == "home" and outcome == "off_site":
            site.moved_to = fetch.final_url
        self._keep(site, fetch)
        return self._advance(site)

    def _asked(self, site: Site, task: Task, when: str | None) -> Asked:
        fetched_at = when or site.last_at or stamp(self._clock())
        home = task.purpose == "home"
        own = self._domains_of(site.councils) | site.domains
        return Asked(site.councils[0], task.url, task.purpose, task.depth, fetched_at, home, own)

    def _pointed(self, asked: Asked, answer: Answer) -> Fetch:
        """The record of a short link: where its Location points."""
        target = answer.headers.get("location")
        pointing = target is not None and 300 <= answer.status < 400
        fetch = asked.fetch("ok" if pointing else name_outcome(answer))
        fetch.status = answer.status
        if target is not None and pointing:
            fetch.final_url = _join(answer.url, target)
        self._resolved[asked.url] = fetch
        return fetch

    def _read_sitemap(self, site: Site, asked: Asked, answer: Answer) -> tuple[Fetch, list[Link]]:
        fetch = asked.fetch(name_outcome(answer))
        fetch.final_url, fetch.status, fetch.bytes = answer.url, answer.status, len(answer.body)
        if not 200 <= answer.status < 300:
            return fetch, []
        limits = self._limits
        pages, sitemaps = locations(
            answer.body, limits["SITEMAP_LINKS"], limits["DOWNLOAD_MAXSIZE"]
        )
        fetch.outcome = "ok" if pages or sitemaps else fetch.outcome
        fetch.etag, fetch.last_modified = validators_of(answer.headers)
        wanted = [(url, "", "follow") for url in pages] + [(url, "", "sitemap") for url in sitemaps]
        return fetch, list(self._offered(site, wanted, asked.depth))

    def _onward(self, response: Response, fetch: Fetch, leads: Leads | None) -> Request | None:
        """The request to make before a page can be recorded: where it leads, or to fill it."""
        if fetch.rendered:
            return None
        return self._refresh(response, leads) or self._to_render(response, fetch)

    def _to_render(self, response: Response, fetch: Fetch) -> Request | None:
        """The request to fill a page that is empty without scripts, where that is wanted."""
        request = response.request
        if fetch.outcome != "needs_browser" or not self._renders or request is None:
            return None
        site: Site = request.cb_kwargs["site"]
        if response.meta.get("unrendered") or site.home_alone or self._spent(site):
            return None
        return Request(
            response.url,
            method=RENDER,
            callback=self.parse,
            errback=self.failed,
            cb_kwargs=request.cb_kwargs,
            meta={"download_slot": request.meta["download_slot"], "shell": response},
        )

    def _refresh(self, response: Response, leads: Leads | None) -> Request | None:
        """The request that a meta refresh asks for, by the rules of a redirect."""
        times = response.meta.get("redirect_times", 0) + 1
        if leads is None or not leads.refresh or times > self._limits["REDIRECT_MAX_TIMES"]:
            return None
        request = response.request
        target = self._rules.normalise(leads.refresh, response.url)
        if request is None or target is None:
            return None
        onward = request.replace(url=target)
        onward.meta["redirect_times"] = times
        onward.meta["redirect_urls"] = [*response.meta.get("redirect_urls", []), response.url]
        return None if self.refuse_redirect(request, onward) else onward

    def _note_move(self, site: Site, fetch: Fetch) -> None:
        final, home = urlsplit(fetch.final_url or site.home), urlsplit(site.home)
        if (final.scheme, final.hostname) != (home.scheme, home.hostname):
            site.moved_to = fetch.final_url

    # Known from earlier crawls -----------------------------------------------------------------

    def _rest(self, site: Site, task: Task, known: Known) -> None:
        """Pass a page over that need not be visited yet, and offer what it is known to offer."""
        fetch = self._asked(site, task, stamp(self._clock())).fetch("not_due")
        fetch.final_url = known.final_url
        self._record(site, fetch, self._recalled(site, fetch, known))

    def _unchanged(self, site: Site, asked: Asked, known: Known) -> None:
        """Record a page that is as it was; the release before holds what it carries."""
        fetch = asked.fetch("not_modified")
        fetch.final_url, fetch.status = known.final_url, 304
        if fetch.is_home:
            site.known = frozenset(known.hrefs)
            self._note_move(site, fetch)
        self._keep(site, fetch, self._recalled(site, fetch, known))

    def _recalled(self, site: Site, fetch: Fetch, known: Known) -> list[Link]:
        """Offer a page's links again; those that the frontier took."""
        links = [(url, text, purpose) for url, text, purpose in known.links]
        depth = fetch.depth if fetch.purpose == "sitemap" else fetch.depth + 1
        final = self._rules.normalise(known.final_url) or fetch.url
        site.read.add(final)
        site.frontier.take(final)
        self._want_short(site, known.short)
        return list(self._offered(site, links, depth))

    # Links -------------------------------------------------------------------------------------

    def _offer(self, site: Site, fetch: Fetch, leads: Leads) -> list[Link]:
        """Offer a page's links to the frontier; those that it took."""
        base = fetch.final_url or fetch.url
        depth = fetch.depth + 1
        taken: list[Link] = []
        if fetch.is_home:
            probes = [(urljoin(base, path), "", purpose) for path, purpose in self._rules.probes]
            taken += self._offered(site, probes, depth)
        taken += self._taken(site, ((url, text, "follow") for url, text in leads.links), depth)
        self._want_short(site, leads.short)
        self.crawler.stats.inc_value("council/links", len(taken))
        return taken

    def _offered(self, site: Site, links: Iterable[Link], depth: int) -> Iterator[Link]:
        """Offer absolute links to the frontier; those that it took."""
        normal = ((self._rules.normalise(url), text, purpose) for url, text, purpose in links)
        return self._taken(site, ((url, t, p) for url, t, p in normal if url), depth)

    def _taken(self, site: Site, links: Iterable[Link], depth: int) -> Iterator[Link]:
        """Offer normalised links to the frontier; those that it took."""
        for url, text, purpose in links:
            if url in site.read or url in site.frontier.seen.urls:
                continue
            if not self._owns(site, url):
                site.frontier.pass_over(url)
                continue
            task = site.frontier.offer(url, text, depth, purpose)
            if task:
                yield task.url, task.text, purpose

    def _want_short(self, site: Site, urls: Iterable[str]) -> None:
        """Queue the short links among what a page carries."""
        for url in urls:
            if url not in site.short_seen:
                site.short_seen.add(url)
                site.short.append(url)

    def _owns(self, site: Site, url: str) -> bool:
        """Whether a URL belongs to the site's councils."""
        if site.domains and site_of(url) in site.domains:
            return True
        return not set(site.councils).isdisjoint(self._councils_at(url))

    # Called by the guards ----------------------------------------------------------------------

    def refuse_redirect(self, request: Request, onward: Request) -> str | None:
        """Why a redirect is not followed, in one word, or None after making room for it."""
        site, task = request.cb_kwargs["site"], request.cb_kwargs["task"]
        target = self._rules.normalise(onward.url)
        if target is None:
            return "off_site"
        host = urlsplit(target).hostname or ""
        if not self._owns(site, target):
            strange = bool(self._councils_of(host)) or is_candidate_host(host)
            if task.purpose != "home" or site.domains or strange:
                return "off_site"
            site.domains.add(registrable(host))
        chain = [*request.meta.get("redirect_urls", []), request.url]
        if any(self._rules.normalise(url) == target for url in chain):
            return "redirects"
        if target in site.read:
            return "duplicate"
        site.frontier.take(target)
        site.read.add(target)
        onward.meta["download_slot"] = site_of(target)
        return None

    def for_page(self, asked: Request, url: str) -> Request | None:
        """The request for what a page asks for while it is rendered; None if it is not its site's.

        A budget that is spent ends it too.
        """
        site = asked.cb_kwargs["site"]
        target = self._rules.normalise(url)
        if target is None or not self._owns(site, target) or self._spent(site):
            return None
        # What is captured is the page as it was filled: a replay runs no scripts.
        meta = {"for_page": True, "dont_cache": True, "download_slot": site_of(target)}
        return Request(url, callback=NO_CALLBACK, cb_kwargs=asked.cb_kwargs, meta=meta)

    def lets_unverified(self, request: Request) -> bool:
        """Whether the register lets a certificate of this host pass that does not verify."""
        site: Site = request.cb_kwargs["site"]
        host = urlsplit(request.url).hostname or ""
        return not site.unverified.isdisjoint(self._councils_of(host))

    def robots_answered(self, asked: Request, response: Response) -> None:
        """Record a robots.txt that was answered."""
        answer = _answer(response)
        fetch = self._robots_fetch(asked, response.meta.get("fetched_at"))
        fetch.outcome = "ok" if 200 <= answer.status < 300 else name_outcome(answer)
        fetch.final_url, fetch.status, fetch.bytes = answer.url, answer.status, len(answer.body)
        self._record(asked.cb_kwargs["site"], fetch)
        self.crawler.stats.inc_value("council/answered")

    def robots_failed(self, asked: Request, error: Exception) -> None:
        """Record a robots.txt that was not answered."""
        fetch = self._robots_fetch(asked, None)
        fetch.outcome = outcome_of(error) or "refused"
        self._record(asked.cb_kwargs["site"], fetch)
        self.crawler.stats.inc_value("council/answered")

    def _robots_fetch(self, asked: Request, when: str | None) -> Fetch:
        site = asked.cb_kwargs["site"]
        return self._asked(site, Task(asked.url, "robots", 0), when).fetch("ok")

    # Records -----------------------------------------------------------------------------------

    def _keep(
        self, site: Site, fetch: Fetch, links: Sequence[Link] = (), observations: str | None = None
    ) -> None:
        """Record what came of a request, and count it against the site's budgets."""
        site.count(fetch.outcome, fetch.bytes)
        self._record(site, fetch, links, observations)
        stats = self.crawler.stats
        stats.inc_value("council/answered")
        if fetch.purpose in PAGES and fetch.outcome == "ok":
            stats.inc_value("council/pages")

    def _record(
        self, site: Site, fetch: Fetch, links: Sequence[Link] = (), observations: str | None = None
    ) -> None:
        """Write a fetch, once for each council of the site."""
        of_each = [fetch, *(replace(fetch, council_id=other) for other in site.councils[1:])]
        entries = [entry(each, links, observations) for each in of_each]
        try:
            written = self.journal.append(entries)
        except OSError as error:
            logger.critical("Cannot write the journal: %(error)s", {"error": error})
            self.crawler.stats.set_value("council/write_failed", str(error))
            raise CloseSpider("write_failed") from error
        self.crawler.stats.inc_value(f"council/outcome/{fetch.outcome}", written)
        self.crawler.stats.inc_value("council/recorded", written)

    def _failed_callback(self, response: Any) -> None:
        """A fault of ours ended a callback: its site is given up, the others go on."""
        request = getattr(response, "request", None)
        site = request.cb_kwargs.get("site") if request is not None else None
        if site is not None and not site.finished:
            site.forget()
            self._turns.release()

    # Resuming ----------------------------------------------------------------------------------

    def _restore(self, lines: Iterable[Line]) -> None:
        """Bring every site to the state that an earlier run recorded."""
        by_council = {council: site for site in self.sites for council in site.councils[:1]}
        for line in lines:
            site = by_council.get(line["council_id"])
            if site is not None:
                self._restore_line(site, line)

    def _restore_line(self, site: Site, line: Line) -> None:
        site.heard(line["fetched_at"])
        url, outcome, purpose = line["url"], line["outcome"], line["purpose"]
        site.requests += outcome not in _UNASKED
        if purpose == "robots":
            return
        queued = site.frontier.take(url)
        if outcome in _UNASKED - {"not_due"}:
            site.home_asked |= purpose == "home"
            site.not_today |= outcome == "not_today"
            return
        if outcome != "not_due":
            site.count(outcome, line["bytes"])
        site.read.add(url)
        if purpose == "home":
            self._restore_home(site, line)
        elif queued:
            site.frontier.asked += 1
        elif purpose == "short_link":
            site.short_left -= 1
            site.short_seen.add(url)
            with_url = [waiting for waiting in site.short if waiting != url]
            site.short = deque(with_url)
        depth = line["depth"] if purpose == "sitemap" else line["depth"] + 1
        for link, text, kind in line["links"]:
            site.frontier.offer(link, text, depth, kind)
        base = line["final_url"] or url
        hrefs = [observation["href"] for observation in line["observations"]]
        self._want_short(site, self._rules.short_links(base, hrefs))
        if outcome in {"not_modified", "not_due"} and (known := site.memory.by_final.get(base)):
            self._want_short(site, known.short)
        if line["final_url"] and outcome != "off_site":
            final = self._rules.normalise(line["final_url"]) or url
            site.read.add(final)
            site.frontier.take(final)

    def _restore_home(self, site: Site, line: Line) -> None:
        site.home_asked = True
        site.frontier.asked += 1
        site.known = _hrefs(Observation(**o) for o in line["observations"])
        final = line["final_url"]
        if line["outcome"] == "not_modified" and (known := site.memory.by_final.get(final)):
            site.known = frozenset(known.hrefs)
        if final and line["outcome"] != "off_site":
            if not self._owns(site, final):
                site.domains.add(site_of(final))
            if urlsplit(final)[:2] != urlsplit(site.home)[:2]:
                site.moved_to = final


def _answer(response: Response) -> Answer:
    headers = {
        name.decode("latin-1").lower(): b", ".join(values).decode("latin-1")
        for name, values in dict.items(response.headers)  # past a look-up for each
    }
    cut = "dataloss" in response.flags
    return Answer(response.url, response.status, headers, response.body, cut)


def _hrefs(observations: Iterable[Observation]) -> frozenset[str]:
    return frozenset(observation.href for observation in observations)


def _join(base: str, link: str) -> str:
    try:
        return urljoin(base, link)
    except ValueError:
        return link
