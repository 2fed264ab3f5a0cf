"""Pages read by other processes: the same records, and a fault of one costs one page."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from spiders.extract import Answer, Asked, Reading, read_for_crawl
from spiders.frontier import Seen
from spiders.readers import ReaderError, Readers, readers_for

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="hands a socket to a process")

MOST = 100
KNOWN = frozenset({"https://www.facebook.com/OakshireCouncil"})
BODY = b"""<!doctype html><html lang="en-GB"><title>Oakshire</title><main><h1>Follow us</h1>
<p>We post on <a href="https://x.com/OakshireSample">X</a> every day.</p>
<a href="/news" title="News"><img alt=""></a> <a href="contact">Contact us</a></main>
<footer><a href="https://www.facebook.com/OakshireCouncil">Facebook</a></footer></html>"""


def asked(number: int = 0) -> Asked:
    url = f"http://www.oakshire.example/{number}"
    return Asked("OAK", url, "follow", 1, "2026-01-01T00:00:00Z")


def answer(number: int = 0) -> Answer:
    headers = {"content-type": "text/html; charset=utf-8"}
    return Answer(f"http://www.oakshire.example/{number}", 200, headers, BODY)


def with_readers(count: int, job: Callable[[Readers], Awaitable[list[Reading]]]) -> list[Reading]:
    async def run() -> list[Reading]:
        try:
            return await job(readers)
        finally:
            readers.hang_up()
            await asyncio.sleep(0)

    with Readers(count, MOST) as readers:
        return asyncio.run(run())


def test_a_process_reads_a_page_as_it_is_read_here() -> None:
    async def read(readers: Readers) -> list[Reading]:
        return [await readers.read(asked(), answer(), KNOWN)]

    expected = read_for_crawl(asked(), answer(), KNOWN, MOST)
    assert with_readers(1, read) == [expected]
    assert (expected.count, expected.fetch.observations) == (2, [])
    assert '"sentence":"We post on X every day."' in expected.observations


def test_a_page_is_read_here_where_no_process_is_to_read_it() -> None:
    expected = read_for_crawl(asked(), answer(), KNOWN, MOST)
    assert Readers(0, MOST).read_here(asked(), answer(), KNOWN, Seen()) == expected
    assert Readers(1, MOST).read_here(asked(), answer(), KNOWN, Seen()) is None


def test_what_its_site_has_seen_is_no_lead() -> None:
    site = replace(asked(), own=frozenset({"oakshire.example"}))
    first = read_for_crawl(site, answer(), KNOWN, MOST)
    assert first.leads is not None
    contact, news = "http://www.oakshire.example/contact", "http://www.oakshire.example/news"
    assert [url for url, _ in first.leads.links] == [news, contact]
    again = read_for_crawl(site, answer(), KNOWN, MOST, Seen({news}))
    assert again == replace(first, leads=replace(first.leads, links=first.leads.links[1:]))


def test_pages_come_back_to_those_who_asked() -> None:
    async def read(readers: Readers) -> list[Reading]:
        pages = (readers.read(asked(n), answer(n), KNOWN) for n in range(30))
        return list(await asyncio.gather(*pages))

    urls = [each.fetch.url for each in with_readers(2, read)]
    assert urls == [asked(n).url for n in range(30)]


def test_what_fails_in_a_process_is_told_by_name() -> None:
    broken = Answer(answer().url, 200, {"content-type": 7}, BODY)  # type: ignore[dict-item]  # so

    async def read(readers: Readers) -> list[Reading]:
        return [await readers.read(asked(), broken, KNOWN)]

    with pytest.raises(ReaderError, match="TypeError"):
        with_readers(1, read)


def test_a_process_that_dies_once_loses_no_page() -> None:
    async def read(readers: Readers) -> list[Reading]:
        await readers.read(asked(), answer(), KNOWN)
        process = readers._readers[0]._process
        assert process is not None
        os.kill(process.pid, signal.SIGSTOP)
        pages = [asyncio.ensure_future(readers.read(asked(n), answer(n), KNOWN)) for n in range(5)]
        await asyncio.sleep(0)
        os.kill(process.pid, signal.SIGKILL)
        return list(await asyncio.gather(*pages))

    assert [each.fetch.outcome for each in with_readers(1, read)] == ["ok"] * 5


def test_a_page_that_a_process_dies_of_twice_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    async def read(readers: Readers) -> list[Reading]:
        return [await readers.read(asked(), answer(), KNOWN)]

    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(ReaderError, match="ended with 1"):
        with_readers(1, read)


@pytest.mark.parametrize(("sites", "wanted", "expected"), [(10, None, 0), (10, 3, 3), (900, 0, 0)])
def test_few_sites_are_read_here_unless_told_otherwise(
    sites: int, wanted: int | None, expected: int
) -> None:
    assert readers_for(sites, wanted, 100) == expected
