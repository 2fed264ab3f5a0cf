"""The crawl's only memory: pages.jsonl, one line for each fetch with its observations and links.

What is left to do is derived from what was recorded, never from a queue in memory, so a page, its
observations and the links that it offers are one line, written before the next request is made.
A crawl killed at any instant loses at most the line that it was writing.
"""

from __future__ import annotations

import json
import os
from functools import lru_cache
from operator import attrgetter
from time import monotonic
from typing import TYPE_CHECKING, Any, BinaryIO, Self

from spiders.items import Fetch, Observation

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path
    from types import TracebackType

PAGES = "pages.jsonl"
_SYNC_SECONDS = 5.0
_BLOCK = 1 << 20
_FETCH = tuple(name for name in Fetch.__dataclass_fields__ if name != "observations")
_OBSERVATION = tuple(Observation.__dataclass_fields__)
_VALUES = attrgetter(*_OBSERVATION)
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_START = b'{"council_id":'  # of every line, and of nothing within one
Line = dict[str, Any]
Key = tuple[str, str, str]
Entry = tuple[Key, bytes]  # what identifies a line, and the line


class JournalError(ValueError):
    """The journal cannot be used; the message names file and line, and what to do."""


def key_of(line: Line) -> Key:
    """What identifies a line within one crawl: council, URL and purpose."""
    return line["council_id"], line["url"], line["purpose"]


def observations_as_written(observations: Iterable[Observation]) -> str:
    """A page's observations as they stand in its line: a JSON array."""
    return f"[{','.join(_as_written(*_VALUES(each)) for each in observations)}]"


@lru_cache(maxsize=8_192)
def _as_written(*values: str | None) -> str:
    """One observation; the footer of a site says the same on every page."""
    return _ENCODER.encode(dict(zip(_OBSERVATION, values, strict=True)))


def entry(
    fetch: Fetch, links: Sequence[tuple[str, str, str]] = (), observations: str | None = None
) -> Entry:
    """A fetch as it is written, with the links (URL, text, purpose) that its page offered.

    `observations` are those of the fetch as they are written, where that was done already.
    """
    told = {name: getattr(fetch, name) for name in _FETCH}
    # A quote within a value is escaped, so that this stands where it is a name.
    head, links_named, found = _ENCODER.encode(told | {"links": links}).partition(',"links":')
    if observations is None:
        observations = observations_as_written(fetch.observations)
    line = f'{head},"observations":{observations}{links_named}{found}\n'
    # Half a character, as a script may name, has no UTF-8: it is written as JSON's escape of it.
    return (fetch.council_id, fetch.url, fetch.purpose), line.encode("utf-8", "backslashreplace")


def read(path: Path, start: int = 0, end: int | None = None) -> Iterator[Line]:
    """The lines of a journal, in the order in which they were written, or those between two bytes.

    Raises:
        JournalError: A line is no JSON object; `repair` cuts out torn ones.
    """
    at = start
    with path.open("rb") as file:
        file.seek(start)
        for number, raw in enumerate(file, 1):
            at += len(raw)
            if end is not None and at > end:
                return
            try:
                line = json.loads(raw)
            except ValueError as error:
                file.seek(0)
                line_number = number + file.read(start).count(b"\n")
                raise JournalError(
                    f"{path}, line {line_number}: not a whole record ({error}); "
                    "crawl again with --resume, which cuts out torn lines"
                ) from error
            yield line


def read_object(path: Path) -> Line:
    """The object in a JSON file such as run.json; JournalError when it holds none."""
    try:
        value = json.loads(path.read_bytes())
    except ValueError as error:
        raise JournalError(f"{path}: not whole ({error}); delete it and crawl again") from error
    if not isinstance(value, dict):
        raise JournalError(f"{path}: holds no object; delete it and crawl again")
    return value


def repair(path: Path) -> int:
    """Cut out lines that were never finished; returns the bytes cut.

    One may be the last. Others stand before a line of another engine, which was written on.
    """
    if not path.exists():
        return 0
    return _cut_within(path) + _cut_end(path)


def _cut_within(path: Path) -> int:
    """Write the file anew where a line begins within another; quotes within a value are escaped."""
    with path.open("rb") as file:
        torn = sum(max(raw.rfind(_START), 0) for raw in file)
    if not torn:
        return 0
    beside = path.with_name(f".{path.name}")
    with path.open("rb") as file, beside.open("wb") as mended:
        mended.writelines(raw[max(raw.rfind(_START), 0) :] for raw in file)
        mended.flush()
        os.fsync(mended.fileno())
    beside.replace(path)
    return torn


def _cut_end(path: Path) -> int:
    size = path.stat().st_size
    with path.open("rb") as file:
        end = _after_line_end(file, size)
        start = _after_line_end(file, max(end - 1, 0))
        file.seek(start)
        if not _is_json(file.read(end - start) or b"{}"):
            end = start
    if end < size:
        os.truncate(path, end)
    return size - end


def _after_line_end(file: BinaryIO, before: int) -> int:
    """Where the line begins that the byte at `before` continues; a journal is read from its end."""
    while before > 0:
        start = max(before - _BLOCK, 0)
        file.seek(start)
        found = file.read(before - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        before = start
    return 0


def _is_json(raw: bytes) -> bool:
    try:
        json.loads(raw)
    except ValueError:
        return False
    return True


class Journal:
    """Appends lines to pages.jsonl; each is flushed at once and synced to disk now and then.

    Several processes may append to one file: each of their calls writes whole lines at its end.
    """

    def __init__(self, path: Path, recorded: Iterable[Key] = ()) -> None:
        """Open for appending; `recorded` are keys that stand in the file and are not repeated."""
        self._path = path
        self._recorded = set(recorded)
        self._file = path.open("ab", buffering=0)
        self._synced = monotonic()
        self.written = 0
        self.bytes = 0

    def append(self, entries: Sequence[Entry]) -> int:
        """Write lines that belong together with one call; those that stand already are passed over.

        Returns how many were written.

        Raises:
            OSError: The disk is full or the file is gone; nothing that follows may be trusted.
        """
        new = [line for key, line in entries if key not in self._recorded]
        data = b"".join(new)
        count = self._file.write(data)
        if count != len(data):
            raise OSError(f"{self._path}: wrote {count} of {len(data)} bytes; is the disk full?")
        self.bytes += count
        self.written += len(new)
        if monotonic() - self._synced > _SYNC_SECONDS:
            self.sync()
        return len(new)

    def sync(self) -> None:
        """Have the operating system write what was appended to the disk."""
        os.fsync(self._file.fileno())
        self._synced = monotonic()

    def close(self) -> None:
        """Sync and close."""
        if not self._file.closed:
            self.sync()
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
