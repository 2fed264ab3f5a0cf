"""Capture every answer to WARC 1.1, and replay a crawl from such a file without any network.

It is Scrapy's HTTP cache: the same place in the engine, so that what is replayed passes all guards
again. Failures are captured too, as metadata records: a crawl that met a dead host replays so.
"""

from __future__ import annotations

import gzip
import logging
import os
import zlib
from collections import defaultdict, deque
from dataclasses import dataclass
from glob import escape
from http import HTTPStatus
from io import BytesIO
from pathlib import Path
from shutil import copyfileobj
from typing import TYPE_CHECKING, Any, BinaryIO

from scrapy.downloadermiddlewares.httpcache import HttpCacheMiddleware
from scrapy.exceptions import IgnoreRequest
from scrapy.http import Headers, Request, Response
from scrapy.responsetypes import responsetypes
from warcio.archiveiterator import ArchiveIterator
from warcio.exceptions import ArchiveLoadFailed
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from spiders.guard import Declined, note_time, outcome_of
from spiders.render import RENDER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scrapy import Spider
    from scrapy.settings import BaseSettings

logger = logging.getLogger(__name__)

_METHOD = "X-Request-Method"  # an extension field: WARC has no place for it in a response record
_FAILURE = "outcome"
_BLOCK = 1 << 20
_LEVEL = 6


class WarcError(ValueError):
    """A WARC file cannot be used; the message names it and what to do."""


def open_binary(path: Path) -> BinaryIO:
    """Open a file to read; WarcError when there is none."""
    try:
        return path.open("rb")
    except OSError as error:
        raise WarcError(f"{path}: {error.strerror}; give a WARC file") from error


class WarcCache(HttpCacheMiddleware):
    """Scrapy's cache middleware with names: what was not captured, and how a host failed."""

    def __init__(self, settings: Any, stats: Any) -> None:
        super().__init__(settings, stats)
        self.storage: WarcStorage

    def process_request(
        self, request: Request, _spider: Spider | None = None
    ) -> Request | Response | None:
        """The captured response; Declined with the captured failure, or 'not_captured'."""
        failure = self.storage.next_failure(request)
        if failure:
            raise Declined(failure)
        try:
            return super().process_request(request)
        except IgnoreRequest as error:
            raise Declined("not_captured") from error

    def process_exception(
        self, request: Request, exception: Exception, _spider: Spider | None = None
    ) -> Request | Response | None:
        """Capture a failed download; what a guard declined was never asked for."""
        outcome = outcome_of(exception)
        kept = not request.meta.get("dont_cache")
        if outcome and kept and not isinstance(exception, Declined):
            self.storage.store_failure(request, outcome)
        return None


@dataclass(frozen=True, slots=True)
class _Entry:
    """Where a record stands in the file, and which outcome it tells if it is a failure."""

    offset: int
    failure: str | None
    date: str


class WarcStorage:
    """Scrapy's cache storage over one WARC file: WARC_CAPTURE to write, WARC_REPLAY to read."""

    def __init__(self, settings: BaseSettings) -> None:
        self._capture = settings["WARC_CAPTURE"]
        self._replay = settings["WARC_REPLAY"]
        self._software: str = settings["USER_AGENT"]
        self._file: BinaryIO | None = None
        self._buffer = BytesIO()
        self._writer: Any = None
        self._entries: dict[str, deque[_Entry]] = defaultdict(deque)

    def open_spider(self, _spider: Spider) -> None:
        """Open the file; a capture that was cut off is repaired and continued."""
        if self._replay:
            path = Path(self._replay)
            self._file = open_binary(path)
            for url, entry in _index(self._file, path):
                self._entries[url].append(entry)
        elif self._capture:
            path = Path(self._capture)
            repair(path)
            self._file = path.open("ab")
            self._writer = WARCWriter(self._buffer, gzip=False, warc_version="WARC/1.1")
            if path.stat().st_size == 0:
                about = {"software": self._software, "format": "WARC File Format 1.1"}
                self._write(self._writer.create_warcinfo_record(path.name, about))

    def close_spider(self, _spider: Spider) -> None:
        """Sync and close the file."""
        if self._file is None:
            return
        if self._writer is not None:
            self._file.flush()
            os.fsync(self._file.fileno())
        self._file.close()

    def next_failure(self, request: Request) -> str | None:
        """The failure that comes next for this URL in the file, if it is one."""
        waiting = self._entries.get(_name(request))
        if not waiting or not waiting[0].failure:
            return None
        entry = _take(waiting)
        note_time(request, entry.date)
        return entry.failure

    def retrieve_response(self, _spider: Spider, request: Request) -> Response | None:
        """The next captured response for this URL; the last one stands for all that follow."""
        waiting = self._entries.get(_name(request))
        if not waiting or self._file is None:
            return None
        entry = _take(waiting)
        self._file.seek(entry.offset)
        record = next(iter(ArchiveIterator(self._file, no_record_parse=False)))
        headers, status = Headers({"Content-Type": record.content_type}), 200
        if record.http_headers is not None:
            status = int(record.http_headers.get_statuscode())
            headers = Headers()
            for name, value in record.http_headers.headers:
                headers.appendlist(name, value.encode("latin-1", "replace"))
        body = record.raw_stream.read()
        note_time(request, entry.date)
        kind = responsetypes.from_args(headers=headers, url=request.url, body=body)
        flags = record.rec_headers.get_header("WARC-Truncated")
        return kind(
            url=request.url,
            status=status,
            headers=headers,
            body=body,
            flags=["dataloss"] if flags else [],
        )

    def store_response(self, _spider: Spider, request: Request, response: Response) -> None:
        """Append one response record; of a rendered page one that says it is not as it was sent."""
        if self._writer is None:
            return
        if request.method == RENDER:
            self._store_rendered(request, response)
            return
        status = response.status
        phrase = HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else "Unknown"
        pairs = [
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, values in response.headers.items()
            for value in values
            # The body is stored as it came after chunks were joined.
            if name.lower() != b"transfer-encoding"
        ]
        record = self._writer.create_warc_record(
            request.url,
            "response",
            payload=BytesIO(response.body),
            length=len(response.body),  # unknown, it would be copied to a temporary file
            http_headers=StatusAndHeaders(f"{status} {phrase}", pairs, protocol="HTTP/1.1"),
            warc_headers_dict=_extra(request, response),
        )
        self._write(record)

    def _store_rendered(self, request: Request, response: Response) -> None:
        record = self._writer.create_warc_record(
            request.url,
            "conversion",
            payload=BytesIO(response.body),
            length=len(response.body),
            warc_content_type="text/html; charset=utf-8",
            warc_headers_dict=_extra(request, response),
        )
        self._write(record)

    def store_failure(self, request: Request, outcome: str) -> None:
        """Append a metadata record that says how the download failed."""
        if self._writer is None:
            return
        text = f"{_FAILURE}: {outcome}\r\n".encode()
        record = self._writer.create_warc_record(
            request.url,
            "metadata",
            payload=BytesIO(text),
            length=len(text),
            warc_content_type="application/warc-fields",
            warc_headers_dict={"WARC-Date": request.meta["fetched_at"], _METHOD: request.method},
        )
        self._write(record)

    def _write(self, record: Any) -> None:
        """Write one record as a gzip member of its own, with one call."""
        self._writer.write_record(record)
        if self._file is not None:
            self._file.write(gzip.compress(self._buffer.getvalue(), _LEVEL))
            self._file.flush()
        self._buffer.seek(0)
        self._buffer.truncate()


def _extra(request: Request, response: Response) -> dict[str, str]:
    extra = {"WARC-Date": request.meta["fetched_at"], _METHOD: request.method}
    if "dataloss" in response.flags:
        extra["WARC-Truncated"] = "time" if request.method == RENDER else "disconnect"
    return extra


def _name(request: Request) -> str:
    return f"{request.method} {request.url}"


def _take(waiting: deque[_Entry]) -> _Entry:
    return waiting.popleft() if len(waiting) > 1 else waiting[0]


def _index(file: BinaryIO, path: Path) -> Iterator[tuple[str, _Entry]]:
    """Method and URL of each response and failure in a file, with where it stands."""
    archive = ArchiveIterator(file, no_record_parse=True)
    try:
        for record in archive:
            head = record.rec_headers
            url = head.get_header("WARC-Target-URI")
            method = head.get_header(_METHOD) or "GET"
            ours = record.rec_type == "conversion" and method == RENDER  # others convert, too
            if not url or not (ours or record.rec_type in {"response", "metadata"}):
                continue
            failure = None
            if record.rec_type == "metadata":
                text = record.raw_stream.read(1_000).decode("utf-8", "replace")
                failure = text.partition(f"{_FAILURE}: ")[2].strip()
                if not failure:
                    continue
            date = (head.get_header("WARC-Date") or "")[:19] + "Z"
            yield f"{method} {url}", _Entry(archive.get_record_offset(), failure, date)
    except (ArchiveLoadFailed, EOFError, OSError) as error:
        raise WarcError(f"{path}: not a whole WARC file ({error}); capture again") from error


def part_of(path: Path, number: int) -> Path:
    """Where one of several engines writes its part of a capture, until they are gathered."""
    return path.with_name(f"{_parts(path)}{number}")


def _parts(path: Path) -> str:
    return f".{path.name}.part"


def gather(path: Path) -> None:
    """Append to a capture what several engines wrote, of this run or one that was killed.

    Raises:
        WarcError: It cannot be written; the parts stay.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        parts = sorted(path.parent.glob(f"{escape(_parts(path))}[0-9]*"))
        for part in [path, *parts] if parts else ():
            repair(part)
        with path.open("ab") as whole:
            for part in parts:
                with part.open("rb") as file:
                    copyfileobj(file, whole, _BLOCK)
                whole.flush()
                os.fsync(whole.fileno())
                part.unlink()
    except OSError as error:
        raise WarcError(
            f"{path}: the capture cannot be written ({error.strerror}); make room, or give another "
            "file. What engines wrote stays beside it, and the next crawl with --capture appends it"
        ) from error


def repair(path: Path) -> int:
    """Cut off a last record that was never finished; returns the bytes cut.

    Each record is a gzip member of its own, so the file is whole where its last member ends.
    """
    if not path.exists():
        return 0
    whole = at = 0
    with path.open("rb") as file:
        member = zlib.decompressobj(wbits=31)
        while block := file.read(_BLOCK):
            at += len(block)
            while block:
                try:
                    member.decompress(block)
                except zlib.error:
                    block = b""
                    file.seek(0, os.SEEK_END)
                    break
                if not member.eof:
                    break
                block = member.unused_data
                whole = at - len(block)
                member = zlib.decompressobj(wbits=31)
    cut = path.stat().st_size - whole
    if cut:
        logger.warning("%(path)s: %(cut)d bytes of a torn record cut", {"path": path, "cut": cut})
        os.truncate(path, whole)
    return cut
