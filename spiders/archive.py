"""The same extraction over WARC records: no network and no engine, so it can run on a cluster.

Each record's own date is the time of what it shows, so several captures of one site over years give
first and last seen. A host that belongs to no council is counted, and its page is never decoded.
"""

from __future__ import annotations

import logging
import zlib
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from warcio.archiveiterator import ArchiveIterator
from warcio.exceptions import ArchiveLoadFailed
from warcio.limitreader import LimitReader

from spiders.extract import Answer, Asked, read_page

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from pipeline.register import Hosts
    from spiders.items import Fetch

logger = logging.getLogger(__name__)

MAX_BYTES = 10_000_000
# warcio lets AttributeError through where a record has no address.
_BROKEN = (ArchiveLoadFailed, AttributeError, EOFError, OSError, ValueError, zlib.error)


class ArchiveError(ValueError):
    """A file cannot be read as WARC at all; the message names it and what is expected."""


@dataclass(slots=True)
class Tally:
    """What mining met beside pages: strange hosts, files that break off, records passed over."""

    records: int = 0
    unknown_hosts: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)
    passed_over: Counter[str] = field(default_factory=Counter)


def mine(
    paths: Iterable[Path], hosts: Hosts, homes: frozenset[str], tally: Tally
) -> Iterator[Fetch]:
    """The pages of councils in WARC files, as fetches with their observations.

    `homes` are the hosts of the councils' websites, whose path '/' is a home page. A page of two
    councils that share a website gives a fetch for each. What is met beside pages is counted in
    `tally`; a file that breaks off is read as far as it goes, and named there with the offset.

    Raises:
        ArchiveError: A file is missing, or holds no WARC record at all.
    """
    for path in paths:
        for record, offset in _records(path, tally):
            yield from _fetches(record, hosts, homes, tally)
            if _breaks_off(record):
                _broken(tally, path, offset, "the file ends within it")


def _records(path: Path, tally: Tally) -> Iterator[tuple[Any, int]]:
    """The response records of one file with their offsets, up to where it breaks off."""
    try:
        file = path.open("rb")
    except OSError as error:
        raise ArchiveError(f"{path}: {error.strerror}; give a WARC file") from error
    with file:
        archive = ArchiveIterator(file)
        seen, offset = 0, 0
        try:
            for record in archive:
                if record.format != "warc":  # warcio takes any text for an old ARC file
                    break
                seen += 1
                offset = archive.offset
                if record.rec_type == "response" and record.http_headers is not None:
                    yield record, offset
                else:
                    tally.passed_over[record.rec_type] += 1
        except _BROKEN as error:
            if not seen:
                raise ArchiveError(f"{path}: not a WARC file ({error})") from error
            _broken(tally, path, offset, str(error))
        if not seen:
            raise ArchiveError(f"{path}: holds no WARC record; give a WARC file")


def _breaks_off(record: Any) -> bool:
    """Whether a record is shorter than its header says; reads what is left of it."""
    while record.raw_stream.read(MAX_BYTES):
        pass
    # A record that declares no length is not limited: it ends where the file does.
    return isinstance(record.raw_stream, LimitReader) and bool(record.raw_stream.limit)


def _broken(tally: Tally, path: Path, offset: int, error: str) -> None:
    tally.broken.append(f"{path.name}: breaks off in or after the record at byte {offset}: {error}")
    logger.warning("%s", tally.broken[-1])


def _fetches(record: Any, hosts: Hosts, homes: frozenset[str], tally: Tally) -> Iterator[Fetch]:
    url = record.rec_headers.get_header("WARC-Target-URI", "").strip("<>")
    try:
        parts = urlsplit(url)
    except ValueError:
        tally.passed_over["malformed_url"] += 1
        return
    host = (parts.hostname or "").lower()
    councils = hosts.councils_of(host)
    if not councils:
        tally.unknown_hosts[host] += 1
        return
    method = record.rec_headers.get_header("X-Request-Method", "GET")
    if method != "GET" or parts.path == "/robots.txt":
        tally.passed_over["not_a_page"] += 1
        return
    tally.records += 1
    home = parts.path in {"", "/"} and not parts.query and host.removeprefix("www.") in homes
    asked = Asked(
        council_id=councils[0],
        url=url,
        purpose="home" if home else "follow",
        depth=0 if home else 1,
        fetched_at=(record.rec_headers.get_header("WARC-Date") or "")[:19] + "Z",
        is_home=home,
    )
    fetch, _ = read_page(asked, _answer(record, url, tally), frozenset())
    for council in councils:
        yield replace(fetch, council_id=council)


def _answer(record: Any, url: str, tally: Tally) -> Answer:
    headers = {name.lower(): value for name, value in record.http_headers.headers}
    body, cut = b"", bool(record.rec_headers.get_header("WARC-Truncated"))
    try:
        body = record.content_stream().read(MAX_BYTES)
        cut = cut or (len(body) < MAX_BYTES and _breaks_off(record))
    except _BROKEN as error:
        cut = True
        tally.passed_over["broken_body"] += 1
        logger.warning("%(url)s: body breaks off: %(error)s", {"url": url, "error": error})
    status = record.http_headers.get_statuscode()
    return Answer(url, int(status) if status.isdigit() else 0, headers, body, cut)
