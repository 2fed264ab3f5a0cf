"""Read pages on the processor's other cores, while the crawl goes on on its own.

Reading is three quarters of what a page costs, and needs nothing but the page: what is asked of a
process goes in, and a fetch with its leads comes out. On one core, or for a handful of sites, pages
are read where they arrive, as a process takes a second to start.
"""

from __future__ import annotations

import asyncio
import gc
import marshal
import os
import signal
import socket
import struct
import subprocess
import sys
from collections import deque
from typing import TYPE_CHECKING, Any, Self

from spiders.extract import Answer, Asked, Reading, read_for_crawl
from spiders.items import Fetch
from spiders.leads import Leads
from spiders.read import observe

if TYPE_CHECKING:
    from collections.abc import Collection
    from types import TracebackType

    from spiders.frontier import Seen

_SIZE = struct.Struct("!I")
_SIZES = struct.Struct("!II")  # of what is asked, and of the body, which is not packed again
_MOST = 4  # one engine keeps no more than these busy
_TRIES = 2
_BACKLOG = 32  # pages; where more wait for each process, this one has time to read, too
_FETCH = tuple(name for name in Fetch.__dataclass_fields__ if name != "observations")
_ANY_PAGE = b'<p><a href="https://x.com/any">Any</a> <a href="/any">Any</a>'
Page = tuple[bytes, bytes]  # a question, packed, and the body that it is about
COLLECT_AFTER = (50_000, 20, 50)  # new objects, and rounds; 700 would be a round for every page


class ReaderError(RuntimeError):
    """A page could not be read: a fault of ours, or one that ended the process that read it."""


def readers_for(sites: int, wanted: int | None, least_sites: int) -> int:
    """How many processes read the pages of so many sites; `wanted` is the operator's number.

    None without one: every core but the crawl's own, and none at all below `least_sites`.
    """
    if wanted is not None:
        return wanted
    if sites < least_sites or sys.platform == "win32":
        return 0  # a socket is handed over, which Windows has no way to do
    return min(cores() - 1, _MOST)


def cores() -> int:
    """How many of the machine's cores this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Readers:
    """So many processes that read pages; with none of them, pages are read in this one."""

    def __init__(self, count: int, most_links: int) -> None:
        self._most_links = most_links
        self._readers = [_Reader(most_links) for _ in range(count)]

    def read_here(
        self, asked: Asked, answer: Answer, known: Collection[str], seen: Seen
    ) -> Reading | None:
        """What extract.read_for_crawl makes of an answer; None where another process has time."""
        if self._readers and min(map(_Reader.waiting, self._readers)) <= _BACKLOG:
            return None
        return read_for_crawl(asked, answer, known, self._most_links, seen)

    async def read(self, asked: Asked, answer: Answer, known: Collection[str]) -> Reading:
        """The same, read by another process; what a site has seen may be among its leads.

        Raises:
            ReaderError: The process that read it failed.
        """
        return await min(self._readers, key=_Reader.waiting).read(asked, answer, known)

    def hang_up(self) -> None:
        """Tell the processes, while the event loop still runs, that no more pages come."""
        for reader in self._readers:
            reader.hang_up()

    def close(self) -> None:
        """End the processes."""
        for reader in self._readers:
            reader.close()

    def __enter__(self) -> Self:
        for reader in self._readers:
            reader.launch()  # now, as a process takes a second to be ready
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class _Reader(asyncio.Protocol):
    """One process, and the pages that it was given and has not answered, in their order.

    It may die of a page, as a parser written in C can: it is started again with those that wait,
    and the page that it died of twice is a fault that the crawl reports.
    """

    def __init__(self, most_links: int) -> None:
        self._most_links = most_links
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None  # until it is a transport
        self._transport: asyncio.Transport | None = None
        self._starting = asyncio.Lock()
        self._pending: deque[tuple[Page, asyncio.Future[bytes]]] = deque()
        self._received = bytearray()
        self._deaths = 0

    def waiting(self) -> int:
        return len(self._pending)

    async def read(self, asked: Asked, answer: Answer, known: Collection[str]) -> Reading:
        async with self._starting:
            if self._transport is None:
                await self._connect()
        given: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._give((_packed(asked, answer, known), answer.body), given)
        return _unpacked(await given)

    def launch(self) -> None:
        """Start the process; it can be given pages when an event loop runs."""
        self._socket, theirs = socket.socketpair()
        path = os.pathsep.join(entry for entry in sys.path if entry)
        self._process = subprocess.Popen(  # noqa: S603  our own interpreter and module
            [sys.executable, "-m", "spiders.readers", str(self._most_links)],
            stdin=theirs.fileno(),
            stdout=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": path},
        )
        theirs.close()

    async def _connect(self) -> None:
        if self._socket is None:
            self.launch()
        mine, self._socket = self._socket, None
        await asyncio.get_running_loop().create_connection(lambda: self, sock=mine)

    def _give(self, page: Page, given: asyncio.Future[bytes]) -> None:
        self._pending.append((page, given))
        if self._transport is not None:
            question, body = page
            self._transport.writelines([_SIZES.pack(len(question), len(body)), question, body])

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._received.clear()

    def data_received(self, data: bytes) -> None:
        self._received += data
        while len(self._received) >= _SIZE.size:
            end = _SIZE.size + _SIZE.unpack_from(self._received)[0]
            if len(self._received) < end:
                return
            whole = bytes(self._received[_SIZE.size : end])
            del self._received[:end]
            self._deaths = 0
            _, given = self._pending.popleft()
            if not given.done():
                given.set_result(whole)

    def connection_lost(self, _error: Exception | None) -> None:
        """Begin again without the page that was being read, should it have been its second try."""
        hung_up = self._transport is None or self._transport.is_closing()
        self._transport = None
        if self._process is None or (hung_up and not self._pending):
            return
        status = self._process.wait()
        self._process = None
        self._deaths += 1
        if self._deaths >= _TRIES and self._pending:
            self._deaths = 0
            _, given = self._pending.popleft()
            if not given.done():
                given.set_exception(ReaderError(f"the process that read it ended with {status}"))
        if self._pending:
            self._again = asyncio.get_running_loop().create_task(self._restart())

    async def _restart(self) -> None:
        async with self._starting:
            if self._transport is None:
                await self._connect()
                waiting = list(self._pending)
                self._pending.clear()
                for page, given in waiting:
                    self._give(page, given)

    def hang_up(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            process.wait()


# Between the processes ---------------------------------------------------------------------------


def _packed(asked: Asked, answer: Answer, known: Collection[str]) -> bytes:
    question = asked.council_id, asked.url, asked.purpose, asked.depth, asked.fetched_at
    came = answer.url, answer.status, dict(answer.headers), answer.truncated
    return marshal.dumps(((*question, asked.is_home, asked.own), came, tuple(known)))


def _answered(question: bytes, body: bytes, most_links: int) -> bytes:
    """What is sent back for a page: what was read of it, or the exception in words."""
    asked, came, known = marshal.loads(question)  # noqa: S302  from our own process
    url, status, headers, truncated = came
    answer = Answer(url, status, headers, body, truncated)
    try:
        read = read_for_crawl(Asked(*asked), answer, frozenset(known), most_links)
    except Exception as error:  # any fault of ours is told to the crawl, which goes on
        return marshal.dumps(repr(error))
    fetch = tuple(getattr(read.fetch, name) for name in _FETCH)
    to = read.leads
    leads = None if to is None else (to.refresh, to.links, to.short)
    return marshal.dumps((fetch, read.observations, read.count, read.hrefs, leads))


def _unpacked(whole: bytes) -> Reading:
    told = marshal.loads(whole)  # noqa: S302  from our own process
    if isinstance(told, str):
        raise ReaderError(told)
    fetch, observations, count, hrefs, leads = told
    fetch = Fetch(**dict(zip(_FETCH, fetch, strict=True)))
    return Reading(fetch, observations, count, hrefs, None if leads is None else Leads(*leads))


def serve(connection: socket.socket, most_links: int) -> None:
    """Read what comes until the crawl hangs up."""
    observe(_ANY_PAGE, "https://www.any.example/")  # has the rules loaded before a page waits
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)
    with connection.makefile("rb") as pages, connection.makefile("wb") as answers:
        while sizes := pages.read(_SIZES.size):
            question, body = map(pages.read, _SIZES.unpack(sizes))
            answer = _answered(question, body, most_links)
            answers.write(_SIZE.pack(len(answer)) + answer)
            answers.flush()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the crawl decides when it ends
    serve(socket.socket(fileno=sys.stdin.fileno()), int(sys.argv[1]))
