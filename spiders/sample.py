"""Serve the fictional councils of data/sample over loopback HTTP, as a forward proxy.

Through a proxy the crawler of a live refresh asks for plain host names, and no packet leaves the
machine. A crawler that were told other addresses or other manners for the sample would show
nothing about the one that visits strangers.
"""

from __future__ import annotations

import gzip
import hashlib
import logging
import re
import tomllib
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from datetime import UTC, date, datetime, time
from email.utils import format_datetime, parsedate_to_datetime
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

logger = logging.getLogger(__name__)

DATA = Path(__file__).parents[1] / "data" / "sample"
TYPES = {".html": "text/html", ".txt": "text/plain", ".xml": "application/xml"}
NOT_FOUND_PAGE = "/404"
FIRST_MONTH = "2026-05"  # what the calendar shows before anyone asks for a month
_MONTH = re.compile(r"(\d{4})-(0[1-9]|1[0-2])")


class SampleError(ValueError):
    """The sample cannot be served; names the file and what to write instead."""


@dataclass(frozen=True, slots=True)
class Host:
    """How one host answers; the keys of a row of sites.toml, which explains them."""

    name: str
    note: str
    down: bool = False
    status: int = 200
    moved_to: str | None = None
    redirects: dict[str, str] = field(default_factory=dict)
    soft_404: bool = False
    charset: str = "utf-8"
    gzip: bool = False
    modified: date | None = None
    calendar: str | None = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Site:
    """A host and its pages, by URL path without a slash at the end; the home page is ''."""

    host: Host
    pages: dict[str, Path]


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back to the crawler."""

    status: int
    headers: dict[str, str]
    body: bytes = b""


def sample_register() -> Path:
    """The register of the fictional councils, in the format of data/register/councils.csv."""
    return DATA / "councils.csv"


def sample_sites() -> Path:
    """The folder of the fictional councils' sites: sites.toml and a folder of pages per host."""
    return DATA / "sites"


def load_sites(folder: Path) -> dict[str, Site]:
    """Read sites.toml and list the pages of each host.

    Raises:
        SampleError: sites.toml cannot be read, or a row of it cannot be used.
    """
    path = folder / "sites.toml"
    try:
        rows = tomllib.loads(path.read_text("utf-8")).get("host", [])
    except (OSError, ValueError) as error:
        raise SampleError(f"{path}: cannot be read: {error}") from error
    hosts = [_host(path, row) for row in rows]
    return {host.name: Site(host, _pages(folder / host.name)) for host in hosts}


def _host(path: Path, row: dict[str, Any]) -> Host:
    known = [each.name for each in fields(Host)]
    if unknown := sorted(row.keys() - known):
        raise SampleError(f"{path}: key {unknown[0]!r} is unknown; write one of {', '.join(known)}")
    if missing := sorted({"name", "note"} - row.keys()):
        raise SampleError(f"{path}: a host has no {missing[0]!r}: {row}; write {missing[0]} = …")
    return Host(**row)


def _pages(folder: Path) -> dict[str, Path]:
    """The files of a host: news.html and news/index.html are /news, robots.txt is itself."""
    pages = {}
    for file in sorted(folder.rglob("*.*")):
        name = f"/{file.relative_to(folder).as_posix()}"
        pages[name] = file
        pages[name.removesuffix(".html").removesuffix("/index")] = file
    return pages


def answer(sites: Mapping[str, Site], url: str, asked: Mapping[str, str]) -> Answer | None:
    """What a host of the sample answers to a request for `url`.

    Returns None where the connection is to be closed without an answer. A host that is not of
    the sample answers 502, so that a crawl which leaves the sample is seen to do so.

    Args:
        sites: The sample, by host.
        url: The address asked for, in absolute form.
        asked: Headers of the request, their names in title case.
    """
    parts = urlsplit(url)
    site = sites.get(parts.hostname or "")
    if site is None or parts.scheme != "http":
        return Answer(502, {"Content-Type": "text/plain"}, b"Not a host of the sample.\n")
    host = site.host
    if host.down:
        return None
    if host.moved_to:
        return Answer(301, {"Location": f"{host.moved_to}{parts.path or '/'}"})
    if target := host.redirects.get(parts.path):
        return Answer(302, {"Location": target})
    return _page(site, unquote(parts.path).rstrip("/"), parts.query, asked)


def _page(site: Site, path: str, query: str, asked: Mapping[str, str]) -> Answer:
    host = site.host
    file = site.pages.get("" if host.status != HTTPStatus.OK else path)
    status = host.status
    if file is None:
        file = site.pages.get(NOT_FOUND_PAGE)
        status = HTTPStatus.OK if host.soft_404 else HTTPStatus.NOT_FOUND
    body = file.read_bytes() if file else b"Not found.\n"
    headers = {**host.headers, "Content-Type": _content_type(host, file)}
    if host.calendar and path == host.calendar:
        months = _months(query)
        body = _fill(body, months)
        status = status if months else HTTPStatus.NOT_FOUND
    if status == HTTPStatus.OK and host.modified:
        headers |= _validators(host.modified, body)
        if _is_unchanged(headers, asked):
            return Answer(HTTPStatus.NOT_MODIFIED, headers)
    if host.gzip and "gzip" in asked.get("Accept-Encoding", ""):
        headers |= {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
        body = gzip.compress(body, mtime=0)
    return Answer(status, headers, body)


def _content_type(host: Host, file: Path | None) -> str:
    kind = TYPES.get(file.suffix, "application/octet-stream") if file else "text/plain"
    return f"{kind}; charset={host.charset}"


def _months(query: str) -> dict[str, str]:
    """The month that a query asks for, and its neighbours; empty where it is no month."""
    match = _MONTH.fullmatch(parse_qs(query).get("month", [FIRST_MONTH])[0])
    if not match:
        return {}
    month = int(match[1]) * 12 + int(match[2]) - 1
    names = zip(("previous", "month", "next"), (month - 1, month, month + 1), strict=True)
    return {name: f"{at // 12:04}-{at % 12 + 1:02}" for name, at in names}


def _fill(body: bytes, values: Mapping[str, str]) -> bytes:
    for name, value in values.items():
        body = body.replace(b"{%s}" % name.encode(), value.encode())
    return body


def _validators(modified: date, body: bytes) -> dict[str, str]:
    stamp = datetime.combine(modified, time(), tzinfo=UTC)
    return {
        # Weak, as the same page goes out compressed and plain.
        "ETag": f'W/"{hashlib.sha256(body).hexdigest()[:16]}"',
        "Last-Modified": format_datetime(stamp, usegmt=True),
    }


def _is_unchanged(headers: Mapping[str, str], asked: Mapping[str, str]) -> bool:
    """Whether the crawler holds this page already; an ETag outweighs a date (RFC 9110, 13.2.2)."""
    if tags := asked.get("If-None-Match"):
        return headers["ETag"] in [tag.strip() for tag in tags.split(",")]
    try:
        since = parsedate_to_datetime(asked.get("If-Modified-Since", ""))
        return parsedate_to_datetime(headers["Last-Modified"]) <= since
    except (TypeError, ValueError):
        return False


class _Handler(BaseHTTPRequestHandler):
    """Answers requests in absolute form, as a proxy gets them."""

    protocol_version = "HTTP/1.1"
    server_version = "Sample"
    disable_nagle_algorithm = True

    def __init__(self, sites: Mapping[str, Site], *arguments: Any) -> None:
        self._sites = sites
        super().__init__(*arguments)

    def do_GET(self) -> None:
        asked = {name.title(): value for name, value in self.headers.items()}
        found = answer(self._sites, self.path, asked)
        if found is None:
            self.close_connection = True
            return
        self.send_response(found.status)
        for name, value in found.headers.items():
            self.send_header(name, value)
        if found.status != HTTPStatus.NOT_MODIFIED:
            self.send_header("Content-Length", str(len(found.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(found.body)

    do_HEAD = do_GET  # noqa: N815  (http.server calls it so)

    def do_CONNECT(self) -> None:
        self.send_error(HTTPStatus.BAD_GATEWAY, "The sample has no https and no other hosts")

    def log_message(self, template: str, *values: object) -> None:
        logger.debug(template, *values)


class _Server(ThreadingHTTPServer):
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log a crawler that went away in the middle of an answer, rather than print a trace."""
        logger.debug("answering %s for %s failed", request, client_address, exc_info=True)


@contextmanager
def serve(sites: Path) -> Iterator[str]:
    """Serve a folder of sites on a free loopback port while the block runs.

    Yields:
        The URL of the proxy, such as http://127.0.0.1:40123.

    Raises:
        SampleError: The folder cannot be served.
    """
    server = _Server(("127.0.0.1", 0), partial(_Handler, load_sites(sites)))
    thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
