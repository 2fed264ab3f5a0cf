"""What keeps the crawler from being hurt and from doing harm, between the spider and the network.

Every request passes here, redirects and robots.txt files too, so a mistake in the spider cannot
reach an address, a page or a size that is forbidden. Each refusal is a `Declined` with the outcome
that the fetch is recorded under, and a stat beside it.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
import ssl
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from copy import copy
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit
from urllib.request import getproxies

import aiohttp
import aiohttp.http_exceptions
from aiohttp.abc import AbstractResolver, ResolveResult
from scrapy import signals
from scrapy.core.downloader.handlers._aiohttp import AiohttpDownloadHandler, _ClientResponse
from scrapy.downloadermiddlewares.httpcompression import HttpCompressionMiddleware
from scrapy.downloadermiddlewares.redirect import RedirectMiddleware
from scrapy.downloadermiddlewares.retry import RetryMiddleware
from scrapy.exceptions import (
    CannotResolveHostError,
    DownloadCancelledError,
    DownloadConnectionRefusedError,
    DownloadFailedError,
    DownloadTimeoutError,
    IgnoreRequest,
    ResponseDataLossError,
    StopDownload,
    UnsupportedURLSchemeError,
)
from scrapy.http import Headers, Request, Response
from scrapy.http.request import NO_CALLBACK
from scrapy.utils.misc import load_object
from scrapy.utils.ssl import _make_ssl_context

from spiders import robots
from spiders.decoding import DecodedTooLargeError, decode

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence

    from scrapy import Spider
    from scrapy.crawler import Crawler
    from scrapy.settings import BaseSettings

logger = logging.getLogger(__name__)

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_READABLE = ("text/", "application/xhtml", "application/xml", "application/rss", "application/atom")
_ARCHIVED_SITEMAP = ("application/gzip", "application/x-gzip")
_SCRIPTS = ("application/javascript", "application/x-javascript", "application/json")


class Declined(IgnoreRequest):
    """A request that is not made, or whose answer is not taken; `outcome` says why, in one word.

    `url` is where it would have led, and `status` the answer that led there, where there is one.
    """

    def __init__(self, outcome: str, url: str | None = None, status: int | None = None) -> None:
        super().__init__(outcome)
        self.outcome = outcome
        self.url = url
        self.status = status


class NotNow(Declined):
    """The crawl may ask nothing more of this site for now (gate.py): `paused` is no outcome."""


class AddressRefusedError(OSError):
    """A connection to an address that is not public and not in ALLOW_ADDRESSES."""


_OUTCOMES: tuple[tuple[type[BaseException], str], ...] = (
    (AddressRefusedError, "address"),
    (aiohttp.ClientSSLError, "tls"),
    (CannotResolveHostError, "dns"),  # before time-outs: a slow resolver may be the cause
    (DownloadTimeoutError, "timeout"),
    (TimeoutError, "timeout"),
    (DownloadCancelledError, "too_large"),
    (ResponseDataLossError, "truncated"),
    (aiohttp.ClientPayloadError, "truncated"),
    (DownloadConnectionRefusedError, "refused"),
    (aiohttp.http_exceptions.LineTooLong, "too_large"),
    (DownloadFailedError, "refused"),
    (UnsupportedURLSchemeError, "address"),
)


def outcome_of(error: BaseException) -> str | None:
    """The outcome under which a failed download is recorded; None when it is a fault of ours."""
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, Declined):
            return cause.outcome
    for kind, outcome in _OUTCOMES:
        if any(isinstance(cause, kind) for cause in causes):
            return outcome
    return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = getattr(error, "os_error", None) or error.__cause__


# Addresses -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AddressPolicy:
    """Which addresses may be connected to: public ones, and those allowed by name."""

    networks: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]
    endpoints: frozenset[tuple[str, int]]

    @classmethod
    def parse(cls, allowed: Sequence[str], endpoints: Sequence[tuple[str, int]] = ()) -> Self:
        """From ALLOW_ADDRESSES: networks ("127.0.0.0/8") and endpoints ("127.0.0.1:8080")."""
        networks, points = [], set(endpoints)
        for text in allowed:
            host, colon, port = text.rpartition(":")
            if colon and port.isdigit() and "/" not in text and _address(host.strip("[]")):
                points.add((host.strip("[]"), int(port)))
            else:
                networks.append(ipaddress.ip_network(text, strict=False))
        return cls(tuple(networks), frozenset(points))

    def allows(self, host: str, port: int) -> bool:
        """Whether `host`, an IP address, may be connected to at `port`."""
        address = _address(host)
        if address is None:
            return False
        if (host, port) in self.endpoints or any(address in network for network in self.networks):
            return True
        inner = _embedded(address)
        return all(a.is_global and not a.is_multicast for a in (address, inner) if a is not None)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None


def _embedded(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> ipaddress.IPv4Address | None:
    """The IPv4 address that an IPv6 one stands for, in any of the ways to write one in it."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else None)


class GuardedResolver(AbstractResolver):
    """Resolves names within DNS_TIMEOUT and lets only permitted addresses through."""

    def __init__(self, inner: AbstractResolver, policy: AddressPolicy, timeout: float) -> None:
        self._inner = inner
        self._policy = policy
        self._timeout = timeout

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The permitted addresses of `host`; AddressRefusedError when it has none."""
        try:
            async with asyncio.timeout(self._timeout):
                found = await self._inner.resolve(host, port, family)
        except TimeoutError as error:
            raise OSError(f"resolving {host} took longer than {self._timeout} s") from error
        except UnicodeError as error:
            raise OSError(f"{host[:100]!r} is no host name") from error
        if not found:
            raise OSError(f"{host} has no address")
        kept = [entry for entry in found if self._policy.allows(entry["host"], entry["port"])]
        if not kept:
            raise AddressRefusedError(f"{host} is {found[0]['host']}, not a public address")
        return kept

    async def close(self) -> None:
        """Release the inner resolver."""
        await self._inner.close()


class GuardedDownloadHandler(AiohttpDownloadHandler):
    """Scrapy's aiohttp handler, with addresses checked where the connection is made.

    Many small bodies come at once, but only LARGE_BODIES of those beyond LARGE_BODY_BYTES: what the
    sites of a whole crawl may send together is bounded, not only what each may.

    It also notes when an answer came, and starts the delay to the next request then: counted from
    the question, a slow connection would bring two questions closer together than promised.
    """

    experimental = False

    def __init__(self, crawler: Crawler) -> None:
        # The parent's own __init__ would open a session without our resolver and limits.
        super(AiohttpDownloadHandler, self).__init__(crawler)
        settings = crawler.settings
        self._ssl_context = _make_ssl_context(settings)
        self._policy = AddressPolicy.parse(
            settings.getlist("ALLOW_ADDRESSES"), tuple(_proxy_endpoints(settings))
        )
        self._clock: Callable[[], float] = settings["CLOCK"] or time.time
        self._read_unverified: set[str] = set()
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(settings.getint("DNS_THREADS")))
        inner = load_object(settings["ADDRESS_RESOLVER"])()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                resolver=GuardedResolver(inner, self._policy, settings.getfloat("DNS_TIMEOUT")),
                socket_factory=self._socket,
                limit=0,  # the downloader's slots keep count
                ttl_dns_cache=settings.getint("DNS_CACHE_SECONDS"),
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            response_class=_ClientResponse,
            max_line_size=settings.getint("HEADER_LINE_BYTES"),
            max_field_size=settings.getint("HEADER_LINE_BYTES"),
            max_headers=settings.getint("HEADER_LINES"),
            skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
        )

        self._large_bytes = settings.getint("LARGE_BODY_BYTES")
        self._large = asyncio.Semaphore(settings.getint("LARGE_BODIES"))
        self._holding: set[_ClientResponse] = set()

        # aiohttp would ask again at once on a dropped connection; PatientRetries waits.
        self._session._retry_connection = False

        # The same session and limits, for certificates that do not verify.
        self._unverified = copy(self)
        self._unverified._ssl_context = _make_ssl_context(settings)
        self._unverified._ssl_context.check_hostname = False
        self._unverified._ssl_context.verify_mode = ssl.CERT_NONE

    def _socket(self, info: tuple[Any, ...]) -> socket.socket:
        """A socket to the very address that is connected to: names cannot change in between."""
        family, kind, protocol, _, address = info
        if not self._policy.allows(address[0], address[1]):
            raise AddressRefusedError(f"{address[0]} is not a public address")
        return socket.socket(family, kind, protocol)

    async def _iter_body_chunks(  # type: ignore[override]  # the parent's needs no self
        self, response: _ClientResponse
    ) -> AsyncIterator[bytes]:
        received = 0
        async for chunk in response.content.iter_any():
            received += len(chunk)
            if received > self._large_bytes and response not in self._holding:
                await self._large.acquire()
                self._holding.add(response)
            yield chunk

    async def _read_response(self, response: _ClientResponse, request: Request) -> Response:
        try:
            read = await super()._read_response(response, request)
            self.crawler.stats.inc_value("guard/bytes_received", len(read.body))
            return read
        finally:
            if response in self._holding:
                self._holding.remove(response)
                self._large.release()

    async def download_request(self, request: Request) -> Response:
        """Download, and note in meta when the answer or the failure came."""
        try:
            return await self._download(request)
        finally:
            note_time(request, stamp(self._clock()))
            downloader = self.crawler.engine.downloader
            if slot := downloader.slots.get(request.meta.get(downloader.DOWNLOAD_SLOT, "")):
                slot.lastseen = time.monotonic()

    def _is_unverified(self, request: Request) -> bool:
        """Whether a certificate of this host did not verify before."""
        known = self._read_unverified
        return bool(known) and urlsplit(request.url).netloc in known

    async def _download(self, request: Request) -> Response:
        """Download; where the register says so, past a certificate that does not verify."""
        spider: Any = self.crawler.spider
        if not self._is_unverified(request) or not spider.lets_unverified(request):
            try:
                return await super().download_request(request)
            except (DownloadConnectionRefusedError, DownloadFailedError) as error:
                broken = any(isinstance(c, ssl.SSLCertVerificationError) for c in _causes(error))
                if not broken or not spider.lets_unverified(request):
                    raise
            self._read_unverified.add(urlsplit(request.url).netloc)
        request.cb_kwargs["site"].read_unverified = True
        self.crawler.stats.inc_value("guard/unverified")
        return await super(GuardedDownloadHandler, self._unverified).download_request(request)


def _proxy_endpoints(settings: BaseSettings) -> Iterator[tuple[str, int]]:
    """Address and port of the proxies that the operator chose: they alone may be private."""
    chosen = settings["FORWARD_PROXY"]
    proxies = [chosen] if chosen else [getproxies().get(kind) for kind in ("http", "https")]
    for proxy in filter(None, proxies):
        parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        port = parts.port or 80
        with suppress(OSError):
            for entry in socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM):
                yield str(entry[4][0]), port


def stamp(seconds: float) -> str:
    """A time in seconds since 1970 as ISO 8601, UTC, whole seconds."""
    return _stamp(int(seconds))


@lru_cache(maxsize=16)
def _stamp(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def note_time(request: Request, when: str) -> None:
    """Keep when an answer or failure came: on the request, and on the site that it was made for."""
    request.meta["fetched_at"] = when
    if site := request.cb_kwargs.get("site"):
        site.heard(when)


class AddressGuard:
    """Refuses URLs that are not http(s), or whose host is an address that is not public.

    Names are checked when they are resolved; a proxy resolves for us, so that what can be seen in
    the URL is refused here.
    """

    def __init__(self, crawler: Crawler) -> None:
        self._policy = AddressPolicy.parse(crawler.settings.getlist("ALLOW_ADDRESSES"))
        self._proxy: str | None = crawler.settings["FORWARD_PROXY"]
        self._stats = crawler.stats
        crawler.signals.connect(self.headers_received, signals.headers_received)

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        """Scrapy's way to build a component."""
        return cls(crawler)

    def process_request(self, request: Request) -> None:
        """Let the request pass, through the proxy if there is one; Declined('address') if not."""
        parts = urlsplit(request.url)
        try:
            port = parts.port or (443 if parts.scheme == "https" else 80)
        except ValueError:
            port = 0
        literal = _literal(parts.hostname or "")
        if (
            parts.scheme not in {"http", "https"}
            or not port
            or (literal is not None and not self._policy.allows(literal, port))
        ):
            self._stats.inc_value("guard/address")
            raise Declined("address", request.url)
        if self._proxy:
            request.meta["proxy"] = self._proxy

    def headers_received(self, headers: Headers, request: Request) -> None:
        """Stop the download of what cannot be read as soon as its headers say what it is."""
        declared = (headers.get(b"Content-Type") or b"").decode("latin-1").strip().lower()
        if not declared or request.meta.get("robots_file") or declared.startswith(_READABLE):
            return
        if declared.startswith(_ARCHIVED_SITEMAP) or "+xml" in declared:
            return
        if request.meta.get("for_page") and declared.startswith(_SCRIPTS):
            return
        self._stats.inc_value("guard/not_text")
        raise StopDownload(fail=False)


@lru_cache(maxsize=4_096)
def _literal(host: str) -> str | None:
    """The IP address that a host part spells, in any of the forms that resolvers accept."""
    if _address(host):
        return host
    with suppress(OSError):
        return socket.inet_ntoa(socket.inet_aton(host)) if host[-1:].isalnum() else None
    if host.endswith((".localhost", ".local", ".internal")) or host == "localhost":
        return "127.0.0.1"
    return None


# Robots ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Manners:
    """What one origin's robots.txt asks of us; `outcome` names why nothing may be asked."""

    rules: robots.Robots
    outcome: str
    expires: float


class RobotsGuard:
    """Asks each origin for its robots.txt first and obeys it (RFC 9309).

    Unreachable (no connection, 5xx, 429) means that nothing may be asked; unavailable (other 4xx)
    means that everything may. One file for each scheme, host and port.
    """

    def __init__(self, crawler: Crawler) -> None:
        self._crawler = crawler
        self._agent: str = crawler.settings["ROBOTSTXT_USER_AGENT"]
        self._limit = crawler.settings.getfloat("CRAWL_DELAY_LIMIT")
        self._seconds = crawler.settings.getfloat("ROBOTS_HOURS") * 3600
        self._delay = crawler.settings.getfloat("DOWNLOAD_DELAY")
        self._origins: dict[str, asyncio.Task[Manners]] = {}

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        """Scrapy's way to build a component."""
        return cls(crawler)

    async def process_request(self, request: Request) -> None:
        """Let the request pass if robots.txt allows it; Declined with the outcome if not."""
        if request.meta.get("robots_file"):
            return
        manners = await self._manners(request)
        if manners.rules.allowed(self._agent, request.url):
            return
        self._crawler.stats.inc_value(f"guard/robots/{manners.outcome}")
        raise Declined(manners.outcome)

    async def _manners(self, request: Request) -> Manners:
        parts = urlsplit(request.url)
        origin = f"{parts.scheme}://{parts.netloc}"
        task = self._origins.get(origin)
        if task is None or (task.done() and task.result().expires < time.monotonic()):
            task = asyncio.ensure_future(self._ask(origin, request))
            self._origins[origin] = task
        manners = task.result() if task.done() else await asyncio.shield(task)
        self._slow_down(request, manners.rules.delay(self._agent))
        return manners

    async def _ask(self, origin: str, request: Request) -> Manners:
        spider: Any = self._crawler.spider
        asked = Request(
            f"{origin}/robots.txt",
            callback=NO_CALLBACK,
            meta={
                "robots_file": True,
                "download_slot": request.meta["download_slot"],
                "download_maxsize": self._crawler.settings.getint("DOWNLOAD_MAXSIZE"),
            },
            cb_kwargs=request.cb_kwargs,
        )
        self._crawler.stats.inc_value("council/asked")
        try:
            response = await self._crawler.engine.download_async(asked)
        except NotNow:
            self._crawler.stats.inc_value("council/asked", -1)  # it was not
            del self._origins[origin]  # another site may ask for it
            raise
        except Exception as error:
            outcome = outcome_of(error)
            if outcome is None:
                raise
            spider.robots_failed(asked, error)
            rules = robots.ALLOW_ALL if outcome in _NO_ROBOTS else robots.DISALLOW_ALL
            return self._manners_of(rules, "robots" if outcome in _OURS else outcome)
        spider.robots_answered(asked, response)
        unreachable = response.status >= 500 or response.status == 429
        if unreachable:
            return self._manners_of(robots.DISALLOW_ALL, "robots")
        if 200 <= response.status < 300:
            return self._manners_of(robots.parse(response.body), "robots")
        return self._manners_of(robots.ALLOW_ALL, "robots")

    def _manners_of(self, rules: robots.Robots, outcome: str) -> Manners:
        return Manners(rules, outcome, time.monotonic() + self._seconds)

    def _slow_down(self, request: Request, delay: float | None) -> None:
        """Give the site's slot the delay that its robots.txt asks for, up to the limit."""
        if delay is None or delay <= self._delay:
            return
        if delay > self._limit:
            request.cb_kwargs["site"].limit_to_home()
            delay = self._limit
        downloader = self._crawler.engine.downloader
        key = request.meta["download_slot"]
        downloader.per_slot_settings[key] = {"delay": delay}
        if slot := downloader.slots.get(key):
            slot.delay = delay


# RFC 9309, 2.3.1.2: more than five redirects count as "unavailable", and so may a file that
# leads nowhere; in a replay a robots.txt that was not captured cannot be asked for.
_NO_ROBOTS = frozenset({"redirects", "not_captured"})
_OURS = frozenset({"truncated", "too_large", "off_site", "blocked"})


# Redirects, retries, encodings -----------------------------------------------------------------


class SiteRedirects(RedirectMiddleware):
    """Follows redirects within the council's site, and the one move of a home page.

    The spider says what belongs to the site; where a redirect leaves it, the target is recorded
    and never asked for.
    """

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        """Scrapy's way to build a component, without its search for a Referer middleware."""
        middleware = cls(crawler.settings)
        middleware.crawler = crawler
        return middleware

    def process_response(
        self, request: Request, response: Response, _spider: Spider | None = None
    ) -> Request | Response:
        """The response, or the request for the place it leads to."""
        if request.meta.get("short_link") or request.meta.get("for_page"):
            return response
        try:
            result = super().process_response(request, response)
        except IgnoreRequest as error:
            raise Declined("redirects", request.url, response.status) from error
        except ValueError:  # what the Location names is no URL at all
            return response
        if isinstance(result, Response):
            return result
        if not request.meta.get("robots_file"):
            council_spider: Any = self.crawler.spider
            refusal = council_spider.refuse_redirect(request, result)
            if refusal:
                self.crawler.stats.inc_value(f"guard/redirect/{refusal}")
                raise Declined(refusal, result.url, response.status)
        return result


class PatientRetries(RetryMiddleware):
    """Tries again seldom and late: Retry-After in both forms, else a growing wait with jitter."""

    def __init__(self, settings: BaseSettings) -> None:
        super().__init__(settings)
        self._backoff = settings.getfloat("RETRY_BACKOFF")
        self._limit = settings.getfloat("RETRY_AFTER_LIMIT")
        self._clock: Callable[[], float] = settings["CLOCK"] or time.time
        self._replay = bool(settings["WARC_REPLAY"])

    async def process_request(self, request: Request) -> None:
        """Hold a request that is made again until its wait is over."""
        if wait := request.meta.pop("wait", 0):
            await asyncio.sleep(wait)

    def process_response(
        self, request: Request, response: Response, _spider: Spider | None = None
    ) -> Request | Response:
        """The response, or the request to be made again after the wait that the server asks for."""
        if response.status not in self.retry_http_codes or self._spent(request):
            return response
        site = request.cb_kwargs.get("site")
        if site is not None and site.not_today:
            return response  # a no to us, not to this once
        after = response.headers.get(b"Retry-After")
        wanted = retry_after((after or b"").decode("latin-1"), self._clock())
        if wanted is not None and wanted > self._limit:
            self.crawler.stats.inc_value("retry/asked_too_long_a_wait")
            return response
        return self._later(request, wanted, f"status {response.status}") or response

    def process_exception(
        self, request: Request, exception: Exception, _spider: Spider | None = None
    ) -> Request | Response | None:
        """The request again, after a wait, when the failure may pass."""
        if outcome_of(exception) not in _PASSING or self._spent(request):
            return None
        return self._later(request, None, exception)

    def _spent(self, request: Request) -> bool:
        """Whether a request is not made again; what a page being rendered asks for never is."""
        times = request.meta.get("retry_times", 0)
        return bool(times >= self.max_retry_times or request.meta.get("for_page"))

    def _later(
        self, request: Request, wanted: float | None, reason: str | Exception
    ) -> Request | None:
        """The request to be made again, with its wait: the answer's memory is free meanwhile."""
        again = self._retry(request, reason)
        if again is not None and not self._replay:
            times = request.meta.get("retry_times", 0)
            jitter = zlib.crc32(request.url.encode()) / 2**32  # spread by site, the same each time
            grown = self._backoff * 2**times * (1 + jitter / 2)
            least = self._backoff * jitter
            again.meta["wait"] = grown if wanted is None else max(wanted, least)
        return again


_PASSING = frozenset({"dns", "refused", "timeout"})


def retry_after(value: str, now: float) -> float | None:
    """Seconds that a Retry-After header asks to wait, from either of its forms, else None."""
    text = value.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, moment.timestamp() - now)


class BoundedDecoding(HttpCompressionMiddleware):
    """Decodes bodies within DOWNLOAD_MAXSIZE; says which are bombs and which are broken.

    Each waits until what was decoded before it is read: small answers of many sites may each stand
    for a large page, and together for more than there is memory.
    """

    def __init__(self, crawler: Crawler) -> None:
        super().__init__(crawler=crawler)
        self._crawler = crawler
        self._deepest = crawler.settings.getint("CONTENT_ENCODINGS")
        self._limit = crawler.settings.getint("DOWNLOAD_MAXSIZE")
        self._turn = asyncio.Lock()

    async def process_response(  # type: ignore[override]  # Scrapy awaits what is a coroutine
        self, request: Request, response: Response, _spider: Spider | None = None
    ) -> Response:
        """The response with its body decoded; flagged `dataloss` where that was not whole."""
        named = b",".join(response.headers.getlist("Content-Encoding")).decode("latin-1")
        encodings = tuple(name.strip().lower() for name in named.split(",") if name.strip())
        if len(encodings) > self._deepest:
            raise Declined("too_large", response.url, response.status)
        if not encodings or not response.body or request.method == "HEAD":
            return response
        scraper: Any = self._crawler.engine.scraper
        async with self._turn:
            while scraper.slot.needs_backout():
                await asyncio.sleep(_LOOK_AGAIN)
            return self._decoded(response, encodings)

    def _decoded(self, response: Response, encodings: tuple[str, ...]) -> Response:
        try:
            decoded = decode(response.body, encodings, self._limit)
        except DecodedTooLargeError as error:
            raise Declined("too_large", response.url, response.status) from error
        response.headers["Content-Encoding"] = (
            [", ".join(decoded.unknown)] if decoded.unknown else []
        )
        flags = response.flags
        if not decoded.whole:
            flags = [*flags, "dataloss"]
            if self.stats:
                self.stats.inc_value("guard/broken_encoding")
        plain = response.replace(body=decoded.body, flags=flags, headers=None)
        plain.headers = response.headers  # as they are: a copy would be taken apart again
        return plain


_LOOK_AGAIN = 0.01  # seconds
