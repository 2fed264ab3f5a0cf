"""Fill pages that are empty without scripts, in a Chromium that has no network of its own.

The browser's proxy is a port where nobody listens, and each request that a page makes is taken
from it over a pipe, before it could reach that port. What the page may have, we ask for: with the
engine's own download, so that robots.txt, addresses, the site's delay, sizes and budgets are
guarded by what guards every other request. The rest is refused by name, and what a page finds to go
round the pipe (sockets, WebRTC, workers) ends at the port.

scrapy-playwright cannot do this. Its download handler insists on Twisted's reactor, without which
this crawler runs, and it lets the browser make its own connections, past all guards; and a download
handler may not use the engine's downloads. Hence a middleware, over Playwright itself.
"""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urljoin

from scrapy import signals
from scrapy.exceptions import NotConfigured
from scrapy.http import HtmlResponse, Response

from spiders.extract import PAGE_BYTES
from spiders.guard import Declined, NotNow, note_time, outcome_of, stamp

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from playwright.async_api import Browser, BrowserContext, CDPSession, Playwright, Route
    from scrapy import Request
    from scrapy.crawler import Crawler
    from scrapy.settings import BaseSettings

logger = logging.getLogger(__name__)

RENDER = "RENDER"  # the method of a request to fill a page; it never leaves the middleware
_NEEDED = frozenset({"script", "xhr", "fetch"})
_NO = frozenset({403, 429, 503})
_PASSED_ON = ("content-type", "content-security-policy", "access-control-allow-origin")
_STORM = 500  # requests of one page, most of them refused: it will not come to an end
_LAST_LOOK = 3.0  # seconds to read what stands when the time is over
_CLOSING = 5.0
_STARTING = 30.0
_WATCH = 0.2

# Over whatever the page itself declares: what it needs not is refused before there is a request.
_POLICY = (
    "sandbox allow-scripts allow-same-origin; frame-src 'none'; object-src 'none'; img-src 'none'; "
    "media-src 'none'; font-src 'none'; worker-src 'none'; manifest-src 'none'; webrtc 'block'"
)
_FLAGS = (
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # the proxy is asked for by number
    "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
    "--webrtc-ip-handling-policy=disable_non_proxied_udp",
    "--disable-quic",
    "--disable-gpu",
    "--disable-remote-fonts",
    "--js-flags=--max-old-space-size=256",  # MB; more ends the page's process, not ours
)
# Two looks that find the same, and nothing given in between: the page has come to rest.
_MEASURE = """[document.readyState, document.querySelectorAll('*').length,
    document.documentElement.textContent.length].join()"""
# In a world of its own, where the page's scripts have changed no function; with open shadow roots.
_MARKUP = """(most => {
    const roots = [], places = [document];
    while (places.length && roots.length < 1000) {
        for (const element of places.pop().querySelectorAll('*')) {
            if (element.shadowRoot) {
                roots.push(element.shadowRoot);
                places.push(element.shadowRoot);
            }
        }
    }
    const html = document.documentElement;
    const shell = html.cloneNode(false).outerHTML.replace(/<[/]html>$/i, '');
    return '<!doctype html>' + (shell + html.getHTML({shadowRoots: roots})).slice(0, most);
})(%d)"""


class RenderError(ValueError):
    """Pages cannot be rendered here; says what is missing, and what to do."""


class _RefusedError(Exception):
    """A page may not have what it asks for; in one word, why."""


class BrowserError(Exception):
    """A page could not be rendered; in a few words, why."""


def vet(settings: BaseSettings) -> None:
    """Try whether pages can be rendered, so that a crawl says so before it begins.

    Raises:
        RenderError: Playwright or Chromium is missing, or Chromium does not start.
    """
    if importlib.util.find_spec("playwright") is None:
        raise RenderError(
            "rendering needs Playwright: install the extra, `pip install '.[render]'`"
        )
    command = [_chromium(settings), "--headless", "--dump-dom", *_FLAGS]
    if not settings.getbool("RENDER_SANDBOX"):
        command.append("--no-sandbox")
    elif os.geteuid() == 0:
        raise RenderError(
            "Chromium does not shut its pages in for root, and they are strangers' pages: "
            "crawl as an ordinary user"
        )
    with tempfile.TemporaryDirectory() as home:
        tried = subprocess.run(  # noqa: S603  the operator's own Chromium
            [*command, f"--user-data-dir={home}", "data:text/html,<p>ready"],
            env=_environment(),
            capture_output=True,
            timeout=_STARTING,
            check=False,
        )
    if b"ready" not in tried.stdout:
        told = tried.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
        raise RenderError(
            f"{command[0]} does not start ({' '.join(told)}); on Debian its sandbox is the package "
            "chromium-sandbox"
        )


def _chromium(settings: BaseSettings) -> str:
    """The path of Chromium: the one that is set, else the one on the PATH."""
    chosen: str | None = settings["RENDER_CHROMIUM"]
    path = shutil.which(chosen or "chromium")
    if path is None:
        raise RenderError(
            f"{chosen or 'chromium'}: no such program here; install Chromium (on Debian: "
            "apt-get install chromium), or set DIGITAL_COUNCILS_CHROMIUM to where it is"
        )
    return path


def _environment() -> dict[str, str]:
    """What Chromium needs to know of this machine: nothing that a page should not read."""
    return {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}


# The middleware ----------------------------------------------------------------------------------


class Rendering:
    """Downloader middleware: answers a RENDER request with the page as its scripts filled it.

    It stands next to the network, behind the cache: a replay takes what was captured.
    """

    def __init__(self, crawler: Crawler) -> None:
        settings = crawler.settings
        if not settings.getbool("RENDER"):
            raise NotConfigured  # without a word: most crawls want no browser
        self._crawler = crawler
        self._stats = crawler.stats
        self._clock: Callable[[], float] = settings["CLOCK"] or time.time
        # One page in each: what one of them does to its browser is not done to another site's page.
        starting = asyncio.Lock()
        at_once = settings.getint("RENDER_AT_ONCE")
        self._browsers = [Chromium(settings, starting) for _ in range(at_once)]
        self._free: asyncio.LifoQueue[Chromium] = asyncio.LifoQueue()
        for browser in self._browsers:
            self._free.put_nowait(browser)
        self._scripts = _Scripts(settings.getint("RENDER_BYTES"))
        crawler.signals.connect(self.spider_closed, signals.spider_closed)

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        """Scrapy's way to build a component."""
        return cls(crawler)

    async def process_request(self, request: Request) -> Response | None:
        """The filled page; Declined('needs_browser') where it could not be had."""
        if request.method != RENDER:
            return None
        wants = _Wants(self._crawler, request, self._scripts)
        browser = await self._free.get()
        try:
            drawn = await browser.draw(request.meta["shell"], wants)
        except BrowserError as error:
            if not self._crawler.crawling:  # the crawl was stopped, and the browser with it
                raise NotNow("paused", request.url) from error
            self._stats.inc_value("render/failed")
            said = {"url": request.url, "error": error}
            logger.warning("%(url)s could not be rendered: %(error)s", said)
            raise Declined("needs_browser", request.url) from error
        finally:
            self._free.put_nowait(browser)
            wants.over = True
            note_time(request, stamp(self._clock()))
        if wants.paused:
            raise wants.paused  # the page is asked for again when the crawl goes on
        self._stats.inc_value("render/pages")
        return HtmlResponse(
            request.url,
            headers={"Content-Type": "text/html; charset=utf-8"},
            body=drawn.markup,
            flags=[] if drawn.whole and not wants.cut else ["dataloss"],
        )

    async def spider_closed(self) -> None:
        """End the browsers."""
        for browser in self._browsers:
            await browser.close()


@dataclass(slots=True)
class _Scripts:
    """Scripts that came already: the pages of a site share them, and need not ask twice."""

    most: int
    held: OrderedDict[str, Response] = field(default_factory=OrderedDict)
    size: int = 0

    def keep(self, url: str, response: Response) -> None:
        self.held[url] = response
        self.size += len(response.body)
        while self.size > self.most:
            self.size -= len(self.held.popitem(last=False)[1].body)


class _Wants:
    """What one page asks for while it is rendered: from its own site alone, one after another."""

    def __init__(self, crawler: Crawler, request: Request, scripts: _Scripts) -> None:
        settings = crawler.settings
        self._crawler = crawler
        self._stats = crawler.stats
        self._request = request
        self._scripts = scripts
        self._requests = settings.getint("RENDER_REQUESTS")
        self._bytes = settings.getint("RENDER_BYTES")
        self._longest = settings.getint("URLLENGTH_LIMIT")
        self._hops = settings.getint("REDIRECT_MAX_TIMES")
        self._turn = asyncio.Lock()
        self.over = False
        self.cut = False  # something was refused that the page may have needed
        self.paused: NotNow | None = None

    async def __call__(self, url: str, method: str, kind: str, accept: str) -> Response | None:
        """The site's answer; None for what the page may not have."""
        try:
            async with self._turn:
                return self._scripts.held.get(url) or await self._ask(url, method, kind, accept)
        except _RefusedError as error:
            self._stats.inc_value(f"render/refused/{error}")
            return None

    async def _ask(self, url: str, method: str, kind: str, accept: str) -> Response:
        """The answer that a URL leads to, by redirects within the site."""
        if method != "GET" or kind not in _NEEDED:
            raise _RefusedError("kind" if method == "GET" else "method")
        target = url
        for _ in range(self._hops + 1):
            if self.over or len(target) > self._longest or not (self._requests and self._bytes > 0):
                self.cut = True
                raise _RefusedError("limit")
            response = await self._download(target, accept)
            if response.status in _NO:
                self.over = True  # who says no is asked nothing more for this page
            location = response.headers.get(b"Location")
            if location is None or not 300 <= response.status < 400:
                if kind == "script" and response.status == 200 and "dataloss" not in response.flags:
                    self._scripts.keep(url, response)
                return response
            try:
                target = urljoin(target, location.decode("latin-1"))
            except ValueError:
                break
        raise _RefusedError("redirects")

    async def _download(self, url: str, accept: str) -> Response:
        """One request through the engine, past all guards."""
        spider: Any = self._crawler.spider
        asked = spider.for_page(self._request, url)
        if asked is None:
            raise _RefusedError("other_site")
        asked.headers["Accept"] = accept[:200]
        self._requests -= 1
        self._stats.inc_value("render/asked")
        engine: Any = self._crawler.engine
        try:
            response: Response = await engine.download_async(asked)
        except Exception as error:
            outcome = outcome_of(error)
            if outcome is None:
                self._stats.inc_value("council/unnamed_failures")
                logger.exception("%(url)s failed", {"url": url})
            elif isinstance(error, NotNow):
                self.over = self.cut = True
                self.paused = error if outcome == "paused" else None
            raise _RefusedError(outcome or "failed") from error
        self._bytes -= len(response.body)
        self._request.cb_kwargs["site"].bytes += len(response.body)
        return response


# The browser -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Drawn:
    """A page as its scripts filled it; `whole` says that they had come to rest."""

    markup: bytes
    whole: bool


class Chromium:
    """A headless browser, started when it is needed; every page gets a new profile in it.

    `starting` is held while one starts, to know its driver from those of others.
    """

    def __init__(self, settings: BaseSettings, starting: asyncio.Lock) -> None:
        self._settings = settings
        self._agent: str = settings["USER_AGENT"]
        self._seconds = settings.getfloat("RENDER_SECONDS")
        self._quiet = settings.getfloat("RENDER_QUIET")
        self._most = settings.getint("RENDER_MEMORY")
        self._starting = starting
        self._nowhere: socket.socket | None = None
        self._playwright: Playwright | None = None
        self._browser: Browser | None = None
        self._driver: int | None = None
        self._watch: asyncio.Task[None] | None = None

    async def draw(
        self, shell: Response, wants: Callable[[str, str, str, str], Awaitable[Response | None]]
    ) -> Drawn:
        """Open a page from what the site sent for it, and read it when it has come to rest.

        Args:
            shell: The site's own answer; it is not asked for again.
            wants: Given URL, method, kind and Accept of what the page asks for, in turn.

        Raises:
            BrowserError: There is nothing to read: the page hung or crashed, or the browser did.
        """
        from playwright.async_api import Error

        context: BrowserContext | None = None
        opened = _Opened(shell, wants)
        try:
            async with asyncio.timeout(_STARTING):
                context = await (await self._started()).new_context(
                    user_agent=self._agent,
                    locale="en-GB",
                    viewport={"width": 1280, "height": 4000},  # what fills when seen is seen
                    service_workers="block",
                    accept_downloads=False,
                )
            return await self._read(context, opened)
        except TimeoutError as error:
            raise BrowserError(opened.ended or "it hung until its time was over") from error
        except (Error, RuntimeError) as error:  # a pipe that is closed may raise either
            raise BrowserError(str(error).partition("\n")[0]) from error
        finally:
            await self._shut(context)

    async def _read(self, context: BrowserContext, opened: _Opened) -> Drawn:
        until = time.monotonic() + self._seconds
        await context.route("**/*", opened.answer)
        async with asyncio.timeout(self._seconds + _LAST_LOOK) as limit:
            page = await context.new_page()
            page.on("crash", lambda _: opened.crash(limit))
            context.on("close", lambda _: opened.crash(limit))  # the browser's end is the page's
            await page.goto(opened.shell.url, wait_until="commit")
            look = _Look(await context.new_cdp_session(page))
            whole = await self._rest(look, opened, until)
            text = str(await look(_MARKUP % (PAGE_BYTES + 1)))
        return Drawn(text.encode("utf-8", "replace"), whole)

    async def _rest(self, look: _Look, opened: _Opened, until: float) -> bool:
        """Wait until two looks in a row find the same; whether they did in time."""
        before: tuple[object, int] | None = None
        while time.monotonic() < until and opened.seen < _STORM:
            await asyncio.sleep(self._quiet)
            now = (await look(_MEASURE), opened.answered)
            if now == before and not opened.pending and str(now[0]).startswith("complete"):
                return True
            before = now
        return False

    async def _started(self) -> Browser:
        """The browser; started again where it is gone."""
        from playwright.async_api import async_playwright

        async with self._starting:
            if self._browser is not None and self._browser.is_connected():
                return self._browser
            await self.close()
            self._nowhere = socket.socket()
            self._nowhere.bind(("127.0.0.1", 0))  # ours, and never listened at
            before = set(_family(os.getpid()))
            self._playwright = await async_playwright().start()
            new = (process for process in _family(os.getpid()) if process not in before)
            self._driver = next(filter(_is_driver, new), None)
            self._browser = await self._playwright.chromium.launch(
                executable_path=_chromium(self._settings),
                chromium_sandbox=self._settings.getbool("RENDER_SANDBOX"),
                args=list(_FLAGS),
                proxy={"server": f"http://127.0.0.1:{self._nowhere.getsockname()[1]}"},
                env={**_environment()},
                handle_sigint=False,  # the crawl ends its pages first
            )
            self._watch = asyncio.create_task(self._watched())
            return self._browser

    async def _watched(self) -> None:
        """End whichever process of the browser takes more memory than it may."""
        while True:
            await asyncio.sleep(_WATCH)
            for process in self._processes():
                if _resident(process) > self._most:
                    logger.warning("A page took more than RENDER_MEMORY: its process is ended")
                    _end(process)

    async def _shut(self, context: BrowserContext | None) -> None:
        """Close a page and all that it left; where that cannot be done, the whole browser."""
        from playwright.async_api import Error

        try:
            async with asyncio.timeout(_CLOSING):
                if context is not None:
                    await context.close()
                return
        except (Error, RuntimeError, TimeoutError):
            await self.close()

    async def close(self) -> None:
        """End the browser and its driver, gently if they let themselves be."""
        from playwright.async_api import Error

        if self._watch is not None:
            self._watch.cancel()
        if self._playwright is not None:
            try:
                async with asyncio.timeout(_CLOSING):
                    await self._playwright.stop()
            except (Error, RuntimeError, TimeoutError):
                for process in self._processes():
                    _end(process)
        if self._nowhere is not None:
            self._nowhere.close()
        self._browser = self._playwright = self._watch = self._nowhere = None
        self._driver = None

    def _processes(self) -> list[int]:
        return [] if self._driver is None else [self._driver, *_family(self._driver)]


class _Opened:
    """One page in the browser: the answer that it begins with, and what it asks for from there."""

    def __init__(
        self, shell: Response, wants: Callable[[str, str, str, str], Awaitable[Response | None]]
    ) -> None:
        self.shell = shell
        self._wants = wants
        self._begun = False
        self.seen = 0
        self.answered = 0
        self.pending = 0
        self.ended = ""

    def crash(self, limit: asyncio.Timeout) -> None:
        """The page's process is gone: nothing more will come of it."""
        self.ended = "it crashed, or took too much memory"
        with suppress(RuntimeError):  # it is read already, and its page closed
            limit.reschedule(asyncio.get_running_loop().time())

    async def answer(self, route: Route) -> None:
        """Give the page what it may have; the first that is asked for is the page itself."""
        from playwright.async_api import Error

        self.seen += 1
        self.pending += 1
        with suppress(Error):  # the page is closed meanwhile
            if self._begun:
                await self._more(route)
            else:
                self._begun = True
                headers = _passed_on(self.shell)
                policies = [headers.get("content-security-policy", ""), _POLICY]
                headers["content-security-policy"] = ", ".join(filter(None, policies))
                await route.fulfill(status=200, headers=headers, body=self.shell.body)
        self.pending -= 1

    async def _more(self, route: Route) -> None:
        request = route.request
        kind = request.resource_type
        if kind == "stylesheet":  # nobody looks at the page, but scripts wait for their styles
            await route.fulfill(status=200, content_type="text/css", body="")
            return
        accept = request.headers.get("accept", "*/*")
        response = await self._wants(request.url, request.method, kind, accept)
        if response is None:
            # A document that is aborted so leaves the page that stands.
            await route.abort("aborted" if kind == "document" else "blockedbyclient")
        else:
            self.answered += 1
            headers = _passed_on(response)
            await route.fulfill(status=response.status, headers=headers, body=response.body)


def _passed_on(response: Response) -> dict[str, str]:
    """The headers of an answer that a page is shown: no cookie is among them."""
    found = {name: response.headers.get(name) for name in _PASSED_ON}
    return {name: value.decode("latin-1") for name, value in found.items() if value}


class _Look:
    """Evaluates an expression of ours on a page, in a world that its scripts cannot reach."""

    def __init__(self, session: CDPSession) -> None:
        self._session = session

    async def __call__(self, expression: str) -> str:
        """What it comes to, as text.

        Raises:
            BrowserError: The page is in no state to be read.
        """
        send = self._session.send
        frame = (await send("Page.getFrameTree"))["frameTree"]["frame"]["id"]
        world = await send("Page.createIsolatedWorld", {"frameId": frame, "worldName": "look"})
        asked = {"expression": expression, "contextId": world["executionContextId"]}
        found = (await send("Runtime.evaluate", asked | {"returnByValue": True}))["result"]
        if not isinstance(found.get("value"), str):
            raise BrowserError("its markup cannot be read")
        return str(found["value"])


# Processes, where /proc tells of them ------------------------------------------------------------


def _family(root: int) -> Iterator[int]:
    """A process's children, theirs, and so on."""
    parents: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError, IndexError):
            after_name = path.read_text("utf-8", "replace").rpartition(")")[2].split()
            parents.setdefault(int(after_name[1]), []).append(int(path.parent.name))
    waiting = [root]
    while waiting:
        children = parents.get(waiting.pop(), [])
        yield from children
        waiting += children


def _is_driver(process: int) -> bool:
    with suppress(OSError):
        return b"playwright" in Path(f"/proc/{process}/cmdline").read_bytes()
    return False


def _resident(process: int) -> int:
    """Bytes of memory that a process holds; 0 where that cannot be told."""
    with suppress(OSError, ValueError, IndexError):
        pages = Path(f"/proc/{process}/statm").read_text("ascii").split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")
    return 0


def _end(process: int) -> None:
    with suppress(OSError):
        os.kill(process, signal.SIGKILL)
