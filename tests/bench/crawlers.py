"""The crawlers that are measured beside ours, and ours: each in a process of its own.

`python -m tests.bench.crawlers NAME PORT SITES` visits every page of so many sites of the council
web and prints what it took as JSON. Each peer is written as its documentation writes it; what it
does not do (robots.txt, records, guards) is left undone.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import resource
import socket
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from tests.bench.memory import peak
from tests.bench.web import PATHS, Loopback, home_page

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    import pandas as pd
    from scrapy.http import Response

CONCURRENCY = 100
_WHO = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
QUICK: dict[str, Any] = {
    "DOWNLOAD_DELAY": 0,
    "LOG_LEVEL": "ERROR",
    "TELNETCONSOLE_ENABLED": False,
    "REMOTE_CONTROL_ENABLED": False,
}
OURS: dict[str, Any] = {
    "ADDRESS_RESOLVER": "tests.bench.web.Loopback",
    "ALLOW_ADDRESSES": ["127.0.0.0/8"],
    "LOG_ENABLED": False,
}


_begun: dict[str, float] = {}
_peaks: dict[str, int] = {}


def begin() -> None:
    """Start the clock of the processor: what comes before, imports most of all, is not counted."""
    import scrapy.core.downloader.handlers.http11  # noqa: F401  Scrapy looks it up late

    _begun["processor"] = _processor()


def _processor() -> float:
    """Seconds of processor time of this process and of those that it started and that ended."""
    return sum(time for who in _WHO for time in resource.getrusage(who)[:2])


def _watch_children() -> None:
    """Keep the peak of each process that this one starts, as it cannot be asked once it ended."""
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    while True:
        with suppress(OSError):
            for child in children.read_text().split():
                _peaks[child] = max(peak(child), _peaks.get(child, 0))
        time.sleep(0.5)


def every_page(port: int, sites: int) -> list[str]:
    """The addresses of all pages, one of each site in turn."""
    return [urljoin(home_page(port, site), path) for path in PATHS for site in range(sites)]


def homes(port: int, sites: int) -> list[str]:
    """The addresses of all home pages."""
    return [home_page(port, site) for site in range(sites)]


# Ours --------------------------------------------------------------------------------------------


def register(port: int, sites: int) -> pd.DataFrame:
    """A register of so many fictional councils."""
    import pandas as pd

    from pipeline.schema import COUNCILS

    rows = []
    for site in range(sites):
        row: dict[str, Any] = dict.fromkeys(COUNCILS.names)
        row |= {"former_gss_codes": [], "names_other": [], "other_hosts": [], "replaced_by": []}
        row |= {"council_id": f"C{site:05}", "name": f"Council {site}", "nation": "England"}
        row |= {"website": home_page(port, site), "status": "current"}
        rows.append(row)
    return pd.DataFrame(rows, columns=COUNCILS.names)


def ours(port: int, sites: int, *, capture: bool = False, **settings: Any) -> int:
    """Our crawl with all that it does, without a pause; settings override those of the policy."""
    from spiders.run import crawl

    councils = register(port, sites)
    begin()
    with tempfile.TemporaryDirectory() as folder:
        report = crawl(
            councils,
            Path(folder) / "crawl",
            capture=Path(folder) / "pages.warc.gz" if capture else None,
            settings=OURS | {"DOWNLOAD_DELAY": 0} | settings,
        )
    if not report.finished:
        raise SystemExit(f"the crawl is not whole: {report.problems}")
    return int(report.report["counts"]["pages"])


def captured(port: int, sites: int) -> int:
    """Our crawl, writing every answer to a WARC file."""
    return ours(port, sites, capture=True)


def polite(port: int, sites: int) -> int:
    """Our crawl as the policy has it: one request a second to each site."""
    return ours(port, sites, DOWNLOAD_DELAY=1.0)


def brief(port: int, sites: int) -> int:
    """Two pages of each site, for the cost of sites rather than of pages."""
    return ours(port, sites, COUNCIL_PAGES=2)


# Peers -------------------------------------------------------------------------------------------


def null_callback(port: int, sites: int) -> int:
    """Scrapy tuned as ours is, with a callback that does nothing: what the engine alone costs."""
    from scrapy import Request, Spider
    from scrapy.core.downloader.handlers._aiohttp import AiohttpDownloadHandler
    from scrapy.crawler import AsyncCrawlerProcess
    from scrapy.settings import Settings

    from spiders.engines import light_collection, set_fast_loop
    from spiders.light import Signals

    class Handler(AiohttpDownloadHandler):
        def __init__(self, crawler: Any) -> None:
            super().__init__(crawler)
            self._session.connector._resolver = Loopback()  # type: ignore[union-attr]  # has one

    class Null(Spider):
        name = "null"
        pages = 0

        async def start(self) -> AsyncIterator[Request]:
            for url in every_page(port, sites):
                yield Request(url)

        def parse(self, _response: Response) -> None:
            Null.pages += 1

    settings = Settings()
    settings.setmodule("spiders.settings", priority="project")
    alone = {name: None for name in settings["DOWNLOADER_MIDDLEWARES"] if "spiders." in name}
    decoding = {"scrapy.downloadermiddlewares.httpcompression.HttpCompressionMiddleware": 590}
    changes: dict[str, Any] = QUICK | {"LOG_ENABLED": False}
    changes |= {
        "DOWNLOAD_HANDLERS": settings.getdict("DOWNLOAD_HANDLERS") | {"http": Handler},
        "DOWNLOADER_MIDDLEWARES": settings.getdict("DOWNLOADER_MIDDLEWARES") | alone | decoding,
        "EXTENSIONS": settings.getdict("EXTENSIONS") | {"spiders.monitor.Monitor": None},
    }
    settings.update(changes, priority="cmdline")
    set_fast_loop()
    process = AsyncCrawlerProcess(settings)
    begin()
    crawler = process.create_crawler(Null)
    crawler.signals = Signals(crawler)
    process.crawl(crawler)
    with light_collection():
        process.start()
    return Null.pages


def _scrapy(port: int, sites: int, follow: Callable[[Response], Iterator[Any]]) -> int:
    """A spider as the tutorial writes it, with Scrapy's own settings."""
    from scrapy import Request, Spider
    from scrapy.crawler import AsyncCrawlerProcess

    _resolve_here()

    class Documented(Spider):
        name = "documented"
        pages = 0

        async def start(self) -> AsyncIterator[Request]:
            for url in homes(port, sites):
                yield Request(url)

        def parse(self, response: Response) -> Iterator[Any]:
            Documented.pages += 1
            yield from follow(response)

    process = AsyncCrawlerProcess(QUICK | {"CONCURRENT_REQUESTS": CONCURRENCY})
    begin()
    process.crawl(Documented)
    process.start()
    return Documented.pages


def link_extractor(port: int, sites: int) -> int:
    """Scrapy, following links by LinkExtractor."""
    from scrapy.linkextractors import LinkExtractor

    extractor = LinkExtractor(allow_domains=[urlsplit(url).netloc for url in homes(port, sites)])

    def follow(response: Any) -> Iterator[Any]:
        for link in extractor.extract_links(response):
            yield response.follow(link)

    return _scrapy(port, sites, follow)


def scrapy_soup(port: int, sites: int) -> int:
    """Scrapy, following links by BeautifulSoup."""
    from bs4 import BeautifulSoup

    def follow(response: Any) -> Iterator[Any]:
        soup = BeautifulSoup(response.text, "lxml")
        for anchor in soup.find_all("a", href=True):
            url = urljoin(response.url, str(anchor["href"]))
            if _is_page(url, response.url):
                yield response.follow(url)

    return _scrapy(port, sites, follow)


def crawlee_soup(port: int, sites: int) -> int:
    """Crawlee's BeautifulSoup crawler, following links by its own method."""
    from crawlee.crawlers import BeautifulSoupCrawler

    return _crawlee(BeautifulSoupCrawler, port, sites)


def crawlee_parsel(port: int, sites: int) -> int:
    """Crawlee's parsel crawler, following links by its own method."""
    from crawlee.crawlers import ParselCrawler

    return _crawlee(ParselCrawler, port, sites)


def _crawlee(kind: Any, port: int, sites: int) -> int:
    from crawlee import ConcurrencySettings
    from crawlee.proxy_configuration import ProxyConfiguration
    from crawlee.storage_clients import MemoryStorageClient

    pages = 0

    async def crawl() -> None:
        crawler = kind(
            # Its client resolves names in native code, so that it comes as through a proxy.
            proxy_configuration=ProxyConfiguration(proxy_urls=[f"http://127.0.0.1:{port}"]),
            concurrency_settings=ConcurrencySettings(
                desired_concurrency=CONCURRENCY, max_concurrency=CONCURRENCY
            ),
            storage_client=MemoryStorageClient(),
            configure_logging=False,
        )

        async def visit(context: Any) -> None:
            nonlocal pages
            pages += 1
            await context.enqueue_links(strategy="same-hostname", exclude=[re.compile(r".*\.pdf$")])

        crawler.router.default_handler(visit)
        await crawler.run(homes(port, sites))

    begin()
    logging.disable(logging.CRITICAL)
    asyncio.run(crawl())
    return pages


def requests_loop(port: int, sites: int) -> int:
    """A plain loop: requests, BeautifulSoup, a set of what was seen."""
    import requests
    from bs4 import BeautifulSoup

    _resolve_here()
    begin()
    session = requests.Session()
    waiting = homes(port, sites)
    seen = set(waiting)
    pages = 0
    while waiting:
        response = session.get(waiting.pop(), timeout=30)
        pages += 1
        soup = BeautifulSoup(response.content, "lxml")
        for anchor in soup.find_all("a", href=True):
            url = urljoin(response.url, str(anchor["href"])).partition("#")[0]
            if url not in seen and _is_page(url, response.url):
                seen.add(url)
                waiting.append(url)
    return pages


def _is_page(url: str, base: str) -> bool:
    return urlsplit(url).netloc == urlsplit(base).netloc and not url.endswith(".pdf")


def _resolve_here() -> None:
    """Have this process take every name for this machine."""
    real = socket.getaddrinfo
    socket.getaddrinfo = lambda _host, *rest, **named: real("127.0.0.1", *rest, **named)
    socket.gethostbyname = lambda _host: "127.0.0.1"


CRAWLERS: dict[str, Callable[[int, int], int]] = {
    crawler.__name__: crawler
    for crawler in (
        ours,
        captured,
        polite,
        brief,
        null_callback,
        link_extractor,
        scrapy_soup,
        crawlee_soup,
        crawlee_parsel,
        requests_loop,
    )
}


def main() -> None:
    """Run one crawler and print pages, seconds, seconds of processor time and peak memory."""
    name, port, sites = sys.argv[1:]
    threading.Thread(target=_watch_children, daemon=True).start()
    pages = CRAWLERS[name](int(port), int(sites))
    figures = {
        "pages": pages,
        "processor": _processor() - _begun["processor"],
        "peak": sum(_peaks.values()) + peak(),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
