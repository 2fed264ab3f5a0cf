"""A loopback council web for the crawl benchmarks: up to ten thousand fictional hosts, one process.

It must never be what is measured, so it runs on the fast loop, every body is built and compressed
before the first request, and hosts share families of pages whose links are relative. When each
request came is kept for each host: manners are measured where they count, at the server.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import random
import subprocess
import sys
import time
from array import array
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from socket import AF_INET, AddressFamily
from typing import TYPE_CHECKING, Any, ClassVar, cast
from urllib.request import urlopen

import uvloop
from aiohttp.abc import AbstractResolver, ResolveResult

if TYPE_CHECKING:
    from collections.abc import Iterator

FAMILIES = 16
"""Sites that differ in their pages; further hosts repeat them."""
PATHS = (
    "/",
    "/contact-us",
    "/contact-us/offices",
    "/news",
    "/news/budget",
    "/news/roadworks",
    "/newsroom",
    "/social-media",
    "/a-to-z",
    "/about-the-council",
    "/about-us/councillors",
    "/libraries",
    "/museums",
    "/leisure",
    "/parks",
    "/events",
    "/jobs",
    "/fostering",
    "/recycling",
    "/waste/bulky",
    "/roads",
    "/transport/buses",
    "/business/licensing",
    "/public-health",
)
"""Every page of a site: all are in reach of the home page and within a council's budget."""
WITH_OWN_ACCOUNT = ("/libraries",)
"""Pages whose text links an account that no other page carries: these and home are read twice."""
SMALLEST, LARGEST = 30_000, 150_000
OFF_SITE = 0.25
"""Of the last links of a page's sections, so many lead to other sites."""
ROBOTS = b"User-agent: *\nDisallow: /search\nDisallow: /*?print=\nDisallow: /admin/\n"
CONTROL = b"control.example"
_WORDS = """
    council services residents borough district planning report application committee meeting
    local public road street bin collection recycling waste library school housing benefit tax
    payment online form apply contact office open Monday Friday morning afternoon people help
    support advice community centre park leisure sport family children adult social care health
    business licence trade event market town village parish county councillor election register
    vote decision budget plan policy strategy consultation notice information data privacy cookie
    request complaint the a of and to in for on with by from your our we you is are will can may
""".split()  # noqa: SIM905  a list of one word a line would be longer than the module


def host_name(number: int) -> str:
    """The name of one host; no two share a registrable domain."""
    return f"www.council{number:05}.example"


def home_page(port: int, number: int) -> str:
    """The address of the home page of one host."""
    return f"http://{host_name(number)}:{port}/"


# Pages -------------------------------------------------------------------------------------------


def build_page(family: int, path: str) -> bytes:
    """One page: nav, breadcrumbs, text with a link in 400 bytes, a footer with accounts."""
    dice = random.Random(f"{family} {path}")  # noqa: S311  the same pages in every run
    size = int(SMALLEST * (LARGEST / SMALLEST) ** dice.random())
    title = _title(path)
    head = (
        f'<!DOCTYPE html>\n<html lang="en-GB"><head><meta charset="utf-8"><title>{title} - Council '
        f'{family}</title>\n<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta property="og:title" content="{title}"><meta name="description" content="'
        f'{_text(dice, 20)}">\n<link rel="stylesheet" href="/assets/site.css">'
        f'<script>window.settings = {{"page": "{path}", "menu": true}};</script></head>\n<body>'
        f'<a class="skip" href="#main">Skip to main content</a><header><nav aria-label="Main"><ul>'
    )
    nav = "\n".join(f'<li class="nav__item"><a href="{p}">{_title(p)}</a></li>' for p in PATHS)
    parts = [head, nav, f'</ul></nav></header><main id="main"><h1>{title}</h1>\n']
    footer = _footer(family, dice)
    if path in WITH_OWN_ACCOUNT:
        parts.append(
            f'<h2>Follow our {title.lower()}</h2><p>We are <a href="https://www.facebook.com/'
            f'{title}OfCouncil{family}">{title} on Facebook</a>.</p>'
        )
    length = sum(map(len, parts)) + len(footer)
    while length < size:
        section = _section(family, dice)
        length += len(section)
        parts.append(section)
    return "".join([*parts, "</main>", footer]).encode()


def _section(family: int, dice: random.Random) -> str:
    """Some 1,700 bytes with four links: one to a file or place, one in four off the site.

    A site links the same thirty others again and again, as real ones do. Of real council pages one
    kilobyte holds two or three links, and five one that leads off the site or to an account.
    """
    first, second = dice.choice(PATHS), dice.choice(PATHS)
    elsewhere = f"https://www.trust{dice.randrange(30)}-of-{family}.example/about"
    third = elsewhere if dice.random() < OFF_SITE else dice.choice(PATHS)
    other = dice.choice(
        (
            f"/documents/{_slug(dice)}.pdf",
            "mailto:info@council.example",
            f"#{_slug(dice)}",
            "tel:01632960000",
        )
    )
    return (
        f'<section class="listing"><h2 class="listing__title" id="{_slug(dice)}">'
        f"{_text(dice, 5).capitalize()}</h2>\n"
        f'<p class="listing__text">{_text(dice, 70).capitalize()}.</p>\n'
        f'<p class="listing__text">{_text(dice, 20)} <a class="link" href="{first}">'
        f"{_text(dice, 4)}</a> {_text(dice, 60)}.</p>\n"
        f'<ul class="listing__items"><li class="listing__item"><a class="link" href="{second}">'
        f"{_text(dice, 3)}</a></li>\n"
        f'<li class="listing__item"><a class="link" href="{other}">{_text(dice, 3)}</a></li>\n'
        f'<li class="listing__item"><a class="link" href="{third}">{_text(dice, 3)}</a></li>'
        "</ul></section>\n"
    )


def _footer(family: int, dice: random.Random) -> str:
    accounts = (
        ("https://www.facebook.com/", "Facebook"),
        ("https://x.com/", "X"),
        ("https://www.instagram.com/", "Instagram"),
        ("https://www.youtube.com/@", "YouTube"),
        ("https://www.linkedin.com/company/", "LinkedIn"),
    )
    icons = "".join(
        f'<li><a class="icon" href="{base}Council{family}Sample" aria-label="{name}">'
        f'<svg viewBox="0 0 24 24"><path d="M2 2h20v20H2z"/></svg>{name}</a></li>'
        for base, name in accounts
    )
    links = "".join(f'<li><a href="{path}">{_title(path)}</a></li>' for path in PATHS[:12])
    return (
        f'<footer><div class="columns"><ul>{links}</ul><ul class="social">{icons}</ul></div>'
        f"<p>{_text(dice, 30)}</p></footer>"
        '<script type="application/ld+json">{"@type": "GovernmentOrganization", "name": "Council '
        f'{family}"}}</script></body></html>\n'
    )


def _title(path: str) -> str:
    return path.rpartition("/")[2].replace("-", " ").capitalize() or "Home"


def _text(dice: random.Random, words: int) -> str:
    return " ".join(dice.choices(_WORDS, k=words))


def _slug(dice: random.Random) -> str:
    return "-".join(dice.choices(_WORDS, k=3)).lower()


def _reply(body: bytes, kind: str, *, compressed: bool = False) -> bytes:
    encoding = "Content-Encoding: gzip\r\n" if compressed else ""
    head = (
        f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n{encoding}Server: bench\r\n"
        f"Vary: Accept-Encoding\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


# Server ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Seen:
    """What the server saw since it was last asked: sites, requests, seconds, closest two."""

    sites: int
    requests: int
    fewest: int
    seconds: float
    closest: float

    def rate(self) -> float:
        """Requests a second after the first one of each site, which none had to wait for."""
        return (self.requests - self.sites) / self.seconds


class _Council(asyncio.Protocol):
    """Answers every host of the web; one instance for each connection."""

    plain: ClassVar[dict[tuple[int, bytes], bytes]] = {}
    zipped: ClassVar[dict[tuple[int, bytes], bytes]] = {}
    times: ClassVar[dict[bytes, array[float]]] = defaultdict(lambda: array("d"))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._waiting = b""

    def data_received(self, data: bytes) -> None:
        self._waiting += data
        while b"\r\n\r\n" in self._waiting:
            head, _, self._waiting = self._waiting.partition(b"\r\n\r\n")
            self._transport.write(self._answer(head))

    def _answer(self, head: bytes) -> bytes:
        now = time.monotonic()
        path = head.split(b" ", 2)[1]
        lowered = head.lower()
        authority = lowered.partition(b"\r\nhost:")[2].partition(b"\r\n")[0].strip()
        if path.startswith(b"http://"):
            authority, slash, path = path[7:].partition(b"/")
            path = slash + path
        host = authority.partition(b":")[0]
        if host == CONTROL:
            return _reply(_report(self.times), "application/json")
        self.times[host].append(now)
        if path == b"/robots.txt":
            return _reply(ROBOTS, "text/plain")
        if path == b"/sitemap.xml":
            return _reply(_sitemap(authority.decode()), "application/xml")
        bodies = self.zipped if b"gzip" in lowered.partition(b"accept-encoding:")[2] else self.plain
        family = int(host[11:16]) % FAMILIES if host.startswith(b"www.council") else 0
        return bodies.get((family, path), _NOT_FOUND)


_NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\nContent-Length: 0\r\n\r\n"


def _report(times: dict[bytes, array[float]]) -> bytes:
    """What was seen, as JSON; the count starts again."""
    every = [moment for moments in times.values() for moment in moments]
    gaps = [later - earlier for moments in times.values() for earlier, later in pairwise(moments)]
    seen = {
        "sites": len(times),
        "requests": len(every),
        "fewest": min(map(len, times.values()), default=0),
        "seconds": max(every, default=0.0) - min(every, default=0.0),
        "closest": min(gaps, default=0.0),
    }
    times.clear()
    return json.dumps(seen).encode()


def _sitemap(authority: str) -> bytes:
    rows = "".join(f"<url><loc>http://{authority}{path}</loc></url>" for path in PATHS)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        f'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{rows}</urlset>'
    ).encode()


async def _serve() -> None:
    for family in range(FAMILIES):
        for path in PATHS:
            body, kind = build_page(family, path), "text/html; charset=utf-8"
            key = family, path.encode()
            _Council.plain[key] = _reply(body, kind)
            _Council.zipped[key] = _reply(gzip.compress(body, 6, mtime=0), kind, compressed=True)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Council, "127.0.0.1", 0, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)
    # The one who started this closes our standard input, or dies.
    await loop.run_in_executor(None, sys.stdin.read)


@dataclass(frozen=True, slots=True)
class CouncilWeb:
    """A web that is running."""

    port: int

    def seen(self) -> Seen:
        """What was seen since this was last asked."""
        request = f"http://127.0.0.1:{self.port}/"
        with urlopen(_as_control(request)) as answer:  # noqa: S310  an http address of our own
            return Seen(**json.load(answer))


def _as_control(url: str) -> Any:
    from urllib.request import Request

    return Request(url, headers={"Host": CONTROL.decode()})  # noqa: S310  as above


@contextmanager
def council_web() -> Iterator[CouncilWeb]:
    """Serve the web from a process of its own while the block runs."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.bench.web"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            yield CouncilWeb(int(process.stdout.readline()))
        finally:
            process.stdin.close()


class Loopback(AbstractResolver):
    """Resolves every fictional name to this machine, at the port that was asked for."""

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: AddressFamily = AF_INET,  # noqa: ARG002  aiohttp hands it over
    ) -> list[ResolveResult]:
        """127.0.0.1 for a host under .example; OSError for every other."""
        if not host.endswith(".example"):
            raise OSError(f"{host} is no host of the bench")
        return [
            ResolveResult(
                hostname=host, host="127.0.0.1", port=port, family=AF_INET, proto=0, flags=0
            )
        ]

    async def close(self) -> None:
        """Hold nothing, release nothing."""


if __name__ == "__main__":
    uvloop.run(_serve())
