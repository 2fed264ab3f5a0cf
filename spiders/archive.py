"""The same extraction over WARC records: no network and no engine, so it can run on a cluster.

Each record's own date is the time of what it shows, so several captures of one site over years give
first and last seen. A host that belongs to no council is counted: of its record only the address is
read, for of a public archive's pages one in many thousands is a council's.
"""

from __future__ import annotations

import logging
import zlib
from collections import Counter
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urlsplit

from warcio.archiveiterator import ArchiveIterator
from warcio.exceptions import ArchiveLoadFailed
from warcio.limitreader import LimitReader

from spiders.extract import Answer, Asked, read_page

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    import pandas as pd

    from pipeline.register import Hosts
    from spiders.items import Fetch

logger = logging.getLogger(__name__)

MAX_BYTES = 10_000_000
_BLOCK = 1 << 16
NAMED_HOSTS = 200
# warcio lets AttributeError through where a record has no address.
_BROKEN = (ArchiveLoadFailed, AttributeError, EOFError, OSError, ValueError, zlib.error)


class ArchiveError(ValueError):
    """A file cannot be read as WARC at all; the message names it and what is expected."""


@dataclass(slots=True)
class Tally:
    """What mining met: pages and links, and beside them strange hosts, breaks, what it passed over.

    `first` and `last` are the dates of the oldest and the newest page; `unnamed` counts the pages
    of the strange hosts beyond the most frequent ones.
    """

    records: int = 0
    observations: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    unknown_hosts: Counter[str] = field(default_factory=Counter)
    unnamed: int = 0
    broken: list[str] = field(default_factory=list)
    passed_over: Counter[str] = field(default_factory=Counter)
    first: str | None = None
    last: str | None = None
    captures: set[tuple[str, str]] = field(default_factory=set)

    def count(self, fetch: Fetch) -> None:
        """Count what is recorded of one page."""
        self.outcomes[fetch.outcome] += 1
        self.observations += len(fetch.observations)
        self.first = min(self.first or fetch.fetched_at, fetch.fetched_at)
        self.last = max(self.last or fetch.fetched_at, fetch.fetched_at)

    def add(self, other: Tally) -> None:
        """Count what was met elsewhere, too."""
        self.records += other.records
        self.observations += other.observations
        self.outcomes += other.outcomes
        self.unknown_hosts += other.unknown_hosts
        self.unnamed += other.unnamed
        self.broken += other.broken
        self.passed_over += other.passed_over
        self.first = min(filter(None, (self.first, other.first)), default=None)
        self.last = max(filter(None, (self.last, other.last)), default=None)

    def shorten(self) -> None:
        """Name no more strange hosts than a person would read: a public archive has millions."""
        ranked = sorted(self.unknown_hosts.items(), key=lambda pair: (-pair[1], pair[0]))
        self.unnamed += sum(count for _, count in ranked[NAMED_HOSTS:])
        self.unknown_hosts = Counter(dict(ranked[:NAMED_HOSTS]))

    def told(self) -> dict[str, Any]:
        """All of it for JSON, in an order that does not depend on that of the records."""
        kept = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "captures"}
        return {
            name: dict(sorted(value.items())) if isinstance(value, Counter) else value
            for name, value in kept.items()
        }

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Tally:
        """The tally that `told` gave."""
        values: dict[str, Any] = {
            name: Counter(value) if isinstance(value, dict) else value
            for name, value in told.items()
        }
        return cls(**values)


def homes_of(register: pd.DataFrame) -> frozenset[str]:
    """The home pages of the register: hosts without 'www.', with the path where there is one."""
    sites = [urlsplit(site) for site in register["website"] if isinstance(site, str)]
    hosts = [(site.hostname or "").removeprefix("www.") for site in sites]
    below = [host + site.path.rstrip("/") for host, site in zip(hosts, sites, strict=True)]
    return frozenset([*hosts, *below])


def mine(
    paths: Iterable[Path], hosts: Hosts, homes: frozenset[str], tally: Tally
) -> Iterator[Fetch]:
    """The pages of councils in WARC files, as fetches with their observations.

    `homes` are those of `homes_of`. A page of two councils that share a website gives a fetch for
    each. What is met is counted in `tally`; a file that breaks off is read as far as it goes, and
    named there with the offset.

    Raises:
        ArchiveError: A file is missing, or holds no WARC record at all.
    """
    for path in paths:
        try:
            file = path.open("rb")
        except OSError as error:
            raise ArchiveError(f"{path}: {error.strerror}; give a WARC file") from error
        with file:
            yield from mine_file(file, str(path), hosts, homes, tally)


def mine_file(
    file: IO[bytes], name: str, hosts: Hosts, homes: frozenset[str], tally: Tally
) -> Iterator[Fetch]:
    """The same of one open file, which is read from its start to its end and never held.

    Raises:
        ArchiveError: It holds no WARC record at all; the message begins with `name`.
    """
    archive = ArchiveIterator(file, no_record_parse=True, block_size=_BLOCK)
    for record, offset in _records(archive, name, tally):
        for fetch in _fetches(archive, record, hosts, homes, tally):
            tally.count(fetch)
            yield fetch
        if _breaks_off(record):
            _broken(tally, name, offset, "the file ends within it")


def base_name(name: str) -> str:
    """The last step of a path or an address, without what an address asks or signs."""
    path = name.partition("?")[0] if "://" in name else name
    return path.rstrip("/").rpartition("/")[2]


def _records(archive: Any, name: str, tally: Tally) -> Iterator[tuple[Any, int]]:
    """The response records of one file with their offsets, up to where it breaks off."""
    seen, offset = 0, 0
    try:
        for record in archive:
            if record.format != "warc":  # warcio takes any text for an old ARC file
                break
            seen += 1
            offset = archive.offset
            if record.rec_type == "response" and record.length != 0:
                yield record, offset
            else:
                tally.passed_over[record.rec_type or "no_type"] += 1
    except _BROKEN as error:
        if not seen:
            raise ArchiveError(f"{name}: not a WARC file ({error})") from error
        _broken(tally, name, offset, str(error))
    if not seen:
        raise ArchiveError(f"{name}: holds no WARC record; give a WARC file")


def _breaks_off(record: Any) -> bool:
    """Whether a record is shorter than its header says; reads what is left of it."""
    while record.raw_stream.read(_BLOCK):
        pass
    # A record that declares no length is not limited: it ends where the file does.
    return isinstance(record.raw_stream, LimitReader) and bool(record.raw_stream.limit)


def _broken(tally: Tally, name: str, offset: int, error: str) -> None:
    place = f"{base_name(name)}: breaks off in or after the record at byte {offset}"
    tally.broken.append(f"{place}: {error}")
    logger.warning("%s", tally.broken[-1])


def _fetches(
    archive: Any, record: Any, hosts: Hosts, homes: frozenset[str], tally: Tally
) -> Iterator[Fetch]:
    url = (record.rec_headers.get_header("WARC-Target-URI") or "").strip("<>")
    if not url.startswith(("http:", "https:")):
        tally.passed_over[record.rec_type] += 1
        return
    try:
        parts = urlsplit(url)
    except ValueError:
        tally.passed_over["malformed_url"] += 1
        return
    host = (parts.hostname or "").lower()
    councils = hosts.councils_at(url)
    if not councils:
        tally.unknown_hosts[host] += 1
        return
    fetched_at = _date(record)
    if reason := _no_page(record, parts.path, url, fetched_at, tally):
        tally.passed_over[reason] += 1
        return
    tally.records += 1
    address = host.removeprefix("www.") + parts.path.rstrip("/")
    home = address in homes and not parts.query
    asked = Asked(
        council_id=councils[0],
        url=url,
        purpose="home" if home else "follow",
        depth=0 if home else 1,
        fetched_at=fetched_at,
        is_home=home,
    )
    fetch, _ = read_page(asked, _answer(archive, record, url, tally), frozenset())
    for council in councils:
        yield replace(fetch, council_id=council)


def _no_page(record: Any, path: str, url: str, fetched_at: str, tally: Tally) -> str | None:
    """Why a record of a council's host is not read as a page; None where it is."""
    method = record.rec_headers.get_header("X-Request-Method", "GET")
    if method != "GET" or path == "/robots.txt":
        return "not_a_page"
    if not fetched_at:
        return "no_date"
    if (url, fetched_at) in tally.captures:
        return "repeated"
    tally.captures.add((url, fetched_at))
    return None


def _date(record: Any) -> str:
    """When a record was captured, in whole seconds; empty where that is no date."""
    text = (record.rec_headers.get_header("WARC-Date") or "")[:19] + "Z"
    try:
        datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        return ""
    return text


def _answer(archive: Any, record: Any, url: str, tally: Tally) -> Answer:
    status, headers, body = "", dict[str, str](), b""
    cut = bool(record.rec_headers.get_header("WARC-Truncated"))
    try:
        head = archive.loader.load_http_headers("response", url, record.raw_stream, record.length)
        status, headers = head.get_statuscode(), {n.lower(): value for n, value in head.headers}
        record.http_headers = head
        body = record.content_stream().read(MAX_BYTES)
        cut = cut or (len(body) < MAX_BYTES and _breaks_off(record))
    except _BROKEN as error:
        cut = True
        tally.passed_over["broken_body"] += 1
        logger.warning("%(url)s: body breaks off: %(error)s", {"url": url, "error": error})
    return Answer(url, int(status) if status.isdecimal() else 0, headers, body, cut)
