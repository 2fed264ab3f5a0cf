"""Pages that scripts fill, and pages that try to do harm; and a browser that opens them."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any

import pytest
from playwright.async_api import async_playwright
from scrapy.http import HtmlResponse
from scrapy.settings import Settings

from spiders.render import BrowserError, Chromium, Drawn
from tests.crawl.web import HTML, Reply

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

CHROMIUM = pytest.mark.skipif(
    shutil.which("chromium") is None,
    reason="no chromium here; on Debian: apt-get install --no-install-recommends chromium",
)
# The sandbox wants rights that root and most containers have not; the pages here are our own.
LOCAL: dict[str, Any] = {"RENDER_SANDBOX": False, "RENDER_QUIET": 0.3, "RENDER_SECONDS": 20.0}
SCRIPT = (("Content-Type", "application/javascript"), ("Set-Cookie", "seen=1"))
JSON = (("Content-Type", "application/json"),)


def shell(script: str = "", head: str = "") -> Reply:
    """A page with nothing in it but a script, and the element that it is to fill."""
    text = f"<!doctype html><html lang=en><head>{head}</head><body><div id=root></div>"
    return Reply(f"{text}<script>{script}</script></body></html>".encode())


def filled() -> Reply:
    """A shell whose script, `/app.js`, asks `/api/links` for what to fill it with."""
    return shell(head="<script defer src=/app.js></script><link rel=stylesheet href=/a.css>")


APP = Reply(
    b"fetch('/api/links').then(r => r.json()).then(links => {"
    b"document.getElementById('root').innerHTML = '<main><h1>Avonbrook</h1></main><footer>' +"
    b"links.map(([href, text]) => `<a href='${href}'>${text}</a>`).join(' ') + '</footer>'})",
    200,
    SCRIPT,
)


def links(*pairs: tuple[str, str]) -> Reply:
    """What `/api/links` answers: addresses and texts."""
    return Reply(json.dumps(pairs).encode(), 200, JSON)


class Listener:
    """A TCP and a UDP port of this machine that count who comes."""

    def __init__(self) -> None:
        with ExitStack() as stack:
            self._tcp = stack.enter_context(socket.socket())
            self._udp = stack.enter_context(socket.socket(type=socket.SOCK_DGRAM))
            for each in (self._tcp, self._udp):
                each.bind(("127.0.0.1", 0))
                each.setblocking(False)
            self._tcp.listen(50)
            self._stack = stack.pop_all()
        self.tcp: int = self._tcp.getsockname()[1]
        self.udp: int = self._udp.getsockname()[1]

    def came(self) -> int:
        """Connections and packets since the last look."""
        count = 0
        with suppress(BlockingIOError):
            while True:
                self._tcp.accept()[0].close()
                count += 1
        with suppress(BlockingIOError):
            while True:
                self._udp.recv(2_000)
                count += 1
        return count

    def __enter__(self) -> Listener:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()


# What a script fills a page with, written so that the script itself names no account.
FACEBOOK = "https://www.facebook.com/AvonbrookSample"
FILL = "root.innerHTML = `<a href=${'https://www.face' + 'book.com/AvonbrookSample'}>Facebook</a>`"

# Ways to reach another place: `{tcp}` and `{udp}` are ports of ours that nobody may come to.
ATTEMPTS: Mapping[str, str] = {
    "fetch": "fetch('http://127.0.0.1:{tcp}/', {{mode: 'no-cors'}})",
    "fetch_localhost": "fetch('http://localhost:{tcp}/', {{mode: 'no-cors'}})",
    "fetch_six": "fetch('http://[::ffff:127.0.0.1]:{tcp}/', {{mode: 'no-cors'}})",
    "xhr": "x = new XMLHttpRequest(); x.open('GET', 'http://127.0.0.1:{tcp}/'); x.send()",
    "event_source": "new EventSource('http://127.0.0.1:{tcp}/')",
    "web_socket": "new WebSocket('ws://127.0.0.1:{tcp}/')",
    "web_transport": "new WebTransport('https://127.0.0.1:{udp}/').ready.catch(() => 0)",
    "web_rtc": (
        "p = new RTCPeerConnection({{iceServers: [{{urls: 'stun:127.0.0.1:{udp}'}}, {{urls:"
        " 'turn:127.0.0.1:{tcp}?transport=tcp', username: 'a', credential: 'b'}}]}});"
        "p.createDataChannel('x'); p.createOffer().then(o => p.setLocalDescription(o))"
    ),
    "beacon": "navigator.sendBeacon('http://127.0.0.1:{tcp}/', 'x')",
    "image": "new Image().src = 'http://127.0.0.1:{tcp}/'",
    "script": "add('<script src=http://127.0.0.1:{tcp}/>')",
    "iframe": "add('<iframe src=http://127.0.0.1:{tcp}/>')",
    "object": "add('<object data=http://127.0.0.1:{tcp}/>')",
    "video": "add('<video autoplay src=http://127.0.0.1:{tcp}/>')",
    "font": (
        "add('<style>@font-face{{font-family: x; src: url(http://127.0.0.1:{tcp}/)}}'"
        " + 'p{{font-family: x}}</style><p>x')"
    ),
    "form": "add('<form id=f method=post action=http://127.0.0.1:{tcp}/></form>'); f.submit()",
    "navigation": "setTimeout(() => location.href = 'http://127.0.0.1:{tcp}/', 50)",
    "meta_refresh": "add('<meta http-equiv=refresh content=\"0;url=http://127.0.0.1:{tcp}/\">')",
    "popup": "open('http://127.0.0.1:{tcp}/')",
    "download": "add('<a id=a download href=http://127.0.0.1:{tcp}/>x</a>'); a.click()",
    "ping": "add('<a id=a ping=http://127.0.0.1:{tcp}/ href=#x>x</a>'); a.click()",
    "preconnect": "add('<link rel=preconnect href=http://127.0.0.1:{tcp}/>')",
    "prefetch": "add('<link rel=prefetch href=http://127.0.0.1:{tcp}/>')",
    "preload": "add('<link rel=preload as=fetch href=http://127.0.0.1:{tcp}/>')",
    "icon": "add('<link rel=icon href=http://127.0.0.1:{tcp}/>')",
    "worker": "work = 'fetch(\"http://127.0.0.1:{tcp}/\")'; new Worker(made(work))",
    "shared_worker": "work = 'fetch(\"http://127.0.0.1:{tcp}/\")'; new SharedWorker(made(work))",
    "service_worker": "navigator.serviceWorker.register('/sw.js')",
    "file": "fetch('file:///etc/hostname'); add('<iframe src=file:///etc/hostname>')",
    "metadata": "fetch('http://169.254.169.254/latest/meta-data/', {{mode: 'no-cors'}})",
}
SECURE = frozenset({"web_transport", "web_rtc", "service_worker"})  # need a page over https
_HELP = """
const add = markup => document.body.append(document.createRange()
    .createContextualFragment(markup));
const made = text => URL.createObjectURL(new Blob([text]));
"""


def attempt(name: str, listener: Listener) -> str:
    """The script of an attempt at a listener; what fails in it says so on the page."""
    tried = ATTEMPTS[name].format(tcp=listener.tcp, udp=listener.udp)
    return f"{_HELP} try {{ {tried} }} catch (error) {{ root.append('no: ' + error) }}"


def settings(**changes: Any) -> Settings:
    """The crawl's own settings for a browser of the tests."""
    chosen = Settings()
    chosen.setmodule("spiders.settings")
    chosen.update(LOCAL | changes)
    return chosen


async def nothing(_url: str, _method: str, _kind: str, _accept: str) -> None:
    """What a page is given that may have nothing."""


def draw(scripts: Mapping[str, str], **changes: Any) -> dict[str, Drawn | str]:
    """What comes of pages with these scripts, in one browser; a reason where nothing does."""

    async def one(browser: Chromium, turn: asyncio.Semaphore, name: str) -> Drawn | str:
        scheme = "https" if name in SECURE else "http"
        url = f"{scheme}://www.avonbrook.example/"
        sent = HtmlResponse(url, headers={"Content-Type": HTML}, body=shell(scripts[name]).body)
        async with turn:
            try:
                return await browser.draw(sent, nothing)
            except BrowserError as error:
                return str(error)

    async def all_of_them() -> list[Drawn | str]:
        browser, turn = Chromium(settings(**changes), asyncio.Lock()), asyncio.Semaphore(4)
        try:
            return await asyncio.gather(*(one(browser, turn, name) for name in scripts))
        finally:
            await browser.close()

    return dict(zip(scripts, asyncio.run(all_of_them()), strict=True))


def draw_unguarded(scripts: Mapping[str, str], listener: Listener) -> dict[str, int]:
    """Who is called by pages with these scripts in a browser that nobody guards."""

    async def all_of_them() -> dict[str, int]:
        found = {}
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox"]
            )
            for name, script in scripts.items():
                page = await browser.new_page()
                await page.set_content(shell(script).body.decode(), wait_until="commit")
                await asyncio.sleep(1)
                await page.close()
                found[name] = listener.came()
            await browser.close()
        return found

    return asyncio.run(all_of_them())
