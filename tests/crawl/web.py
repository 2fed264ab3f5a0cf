"""A loopback web of fictional hosts for the tests: a forward proxy, and crawls that go through it.

Hosts stand under `.example`; every request stays on this machine, and its time is kept, so that
manners can be measured where they count: at the server.
"""

from __future__ import annotations

import json
import threading
import time
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

import pandas as pd

from pipeline.schema import COUNCILS
from spiders import journal
from spiders.run import RunReport, crawl

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

QUICK: dict[str, Any] = {
    "DOWNLOAD_DELAY": 0.01,
    "RETRY_BACKOFF": 0.01,
    "DOWNLOAD_TIMEOUT": 1.0,
    "LOG_ENABLED": False,
}
HTML = "text/html; charset=utf-8"
Line = dict[str, Any]


@dataclass(frozen=True)
class Asked:
    """One request as the server saw it."""

    at: float
    method: str
    host: str
    path: str
    agent: str
    headers: tuple[str, ...]


@dataclass(frozen=True)
class Reply:
    """What a path answers; `act` replaces it with anything that can be done to a connection."""

    body: bytes = b""
    status: int = 200
    headers: tuple[tuple[str, str], ...] = (("Content-Type", HTML),)
    act: Callable[[Handler], None] | None = None


class Handler(BaseHTTPRequestHandler):
    """Answers a proxy's requests from the table of its server."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        host = parts.hostname or self.headers["Host"].partition(":")[0]
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        agent, names = self.headers["User-Agent"], tuple(self.headers)
        asked = Asked(time.monotonic(), self.command, host, path, agent, names)
        web = self.server.web
        with web.lock:
            web.asked.append(asked)
            otherwise = web.replies.get((host, "*"), [Reply(b"no", 404)])
            queue = web.replies.get((host, path), otherwise)
            reply = queue.pop(0) if len(queue) > 1 else queue[0]
        if reply.act:
            reply.act(self)
        else:
            self.reply(reply)

    do_HEAD = do_GET  # noqa: N815  http.server calls it so

    def reply(self, reply: Reply) -> None:
        self.send_response(reply.status)
        for name, value in reply.headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body)

    def drop(self) -> None:
        """Close the connection without an answer."""
        self.close_connection = True

    def hang(self) -> None:
        """Say nothing for longer than any test waits."""
        self.server.web.closing.wait(20)
        self.close_connection = True

    def drip(self) -> None:
        """Send a body byte by byte, never long enough in silence to look dead."""
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n")
        with suppress(OSError):
            while not self.server.web.closing.wait(0.05):
                self.wfile.write(b"<")
                self.wfile.flush()
        self.close_connection = True

    def cut(self) -> None:
        """Promise more than is sent."""
        body = page("Cut", links={"/contact": "Contact"}).body
        head = (
            f"HTTP/1.1 200 OK\r\nContent-Type: {HTML}\r\nContent-Length: {len(body) + 999}\r\n\r\n"
        )
        self.wfile.write(head.encode() + body)
        self.close_connection = True

    def endless_headers(self) -> None:
        """Send headers without end."""
        self.wfile.write(b"HTTP/1.1 200 OK\r\n")
        with suppress(OSError):
            while not self.server.web.closing.is_set():
                self.wfile.write(b"X-More: " + b"a" * 1000 + b"\r\n")
        self.close_connection = True

    def endless_body(self) -> None:
        """Send a body without end."""
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n")
        with suppress(OSError):
            while not self.server.web.closing.is_set():
                self.wfile.write(b"<p>more</p>" * 1000)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256
    web: Web

    def handle_error(self, *_: object) -> None:
        """A crawler that hangs up is part of what is tested."""


class Web:
    """The fictional web: `with Web() as web`, then `web.put(host, path, reply)`."""

    def __init__(self) -> None:
        self.replies: dict[tuple[str, str], list[Reply]] = defaultdict(list)
        self.asked: list[Asked] = []
        self.lock = threading.Lock()
        self.closing = threading.Event()
        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.web = self
        self.port: int = self._server.server_address[1]
        self.proxy = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def put(self, host: str, path: str, *replies: Reply) -> None:
        """What a path answers; several replies are given in turn, the last one for ever.

        The path '*' stands for every path of the host that has no answer of its own.
        """
        self.replies[host, path] = list(replies)

    def paths(self, host: str) -> list[str]:
        """The paths that were asked of a host, in order, without robots.txt."""
        return [a.path for a in self.asked if a.host == host and a.path != "/robots.txt"]

    def times(self, host: str) -> list[float]:
        """When each request to a host came."""
        return [a.at for a in self.asked if a.host == host]


def page(
    title: str, links: dict[str, str] | None = None, extra: str = "", status: int = 200
) -> Reply:
    """An HTML page with links (href → text)."""
    items = "".join(f'<li><a href="{href}">{text}</a>' for href, text in (links or {}).items())
    text = f"<!doctype html><title>{title}</title><main><h1>{title}</h1><ul>{items}</ul>{extra}"
    return Reply(text.encode(), status)


def redirect(to: str, status: int = 302) -> Reply:
    return Reply(b"", status, (("Location", to), ("Content-Type", HTML)))


def robots(text: str) -> Reply:
    return Reply(text.encode(), 200, (("Content-Type", "text/plain"),))


def act(what: Callable[[Handler], None]) -> Reply:
    return Reply(act=what)


def raw(data: bytes) -> Reply:
    """Bytes that are sent as they are, before the connection is closed."""

    def send(handler: Handler) -> None:
        handler.wfile.write(data)
        handler.drop()

    return Reply(act=send)


def encoded(body: bytes, encoding: str) -> Reply:
    """A body that is declared to be in a content encoding."""
    return Reply(body, 200, (("Content-Type", HTML), ("Content-Encoding", encoding)))


def register(*hosts: str, **columns: str) -> pd.DataFrame:
    """A register of fictional councils, one for each host; ids are the hosts' first letters."""
    rows = []
    for host in hosts:
        name = host.removeprefix("www.").partition(".")[0]
        row: dict[str, Any] = dict.fromkeys(COUNCILS.names)
        row |= {"former_gss_codes": [], "names_other": [], "other_hosts": [], "replaced_by": []}
        row |= {"council_id": name[:4].upper(), "name": name.title(), "sort_name": name.title()}
        row |= {"website": f"http://{host}/", "nation": "England", "status": "current"} | columns
        rows.append(row)
    return pd.DataFrame(rows, columns=COUNCILS.names)


def visit(
    web: Web, out: Path, councils: pd.DataFrame, **options: Any
) -> tuple[RunReport, list[Line]]:
    """Crawl through the loopback web; the report and the journal's lines.

    Options in capitals are settings, the others are those of `crawl`.
    """
    settings = QUICK | {name: value for name, value in options.items() if name.isupper()}
    others = {name: value for name, value in options.items() if not name.isupper()}
    others.setdefault("proxy", web.proxy)
    report = crawl(councils, out, settings=settings, **others)
    return report, list(journal.read(out / journal.PAGES))


def outcome(lines: list[Line], url: str) -> str:
    """The outcome recorded for a URL; fails where there is not exactly one."""
    (found,) = [line["outcome"] for line in lines if line["url"] == url]
    return str(found)


def timeless(lines: list[Line]) -> list[str]:
    """Lines in a comparable order and without their times."""
    return sorted(json.dumps(line | {"fetched_at": ""}, sort_keys=True) for line in lines)
