"""One WARC file, wherever it lies → one part of a crawl folder: what each worker of a cluster does.

A part follows from its file, the register and the rules alone, so it has the same bytes whoever
makes it, in whatever order, and after any restart. It is written by one process, beside its place,
and moved there when it is whole: a part that stands is never made again.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.register import Hosts
from pipeline.schema import FETCHES, OBSERVATIONS, STRING, TIME
from spiders.archive import Tally, base_name, homes_of, mine_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd

    from spiders.items import Fetch

RULES = Path(__file__).parents[1] / "data" / "rules"
_ABOUT = b"digital-councils"  # the key under which a part tells of itself
_BESIDE = ".part-"
_BUCKET = "s3://"
_END = 1 << 16  # bytes at both ends of a local file that tell it from another
_BLOCK = 8 << 20  # read ahead over a network
_PAGES, _LINKS = 500, 20_000  # a row group ends at one of these
_STEM = 80
_OF_PAGE = ("council_id", "page_url", "is_home", "fetched_at")


class UnreadableError(RuntimeError):
    """A file could not be read this time; no ValueError, which would be a fault of its content."""


class OtherVersionError(RuntimeError):
    """A worker has other rules or another version of the program than whoever asks it."""


@dataclass(frozen=True, slots=True)
class Source:
    """One file to mine: its path or address, and what tells whether it is still the same.

    `mark` is the ETag of an address, or else its date; of a local file a digest of both ends.
    """

    place: str
    size: int
    mark: str

    @property
    def name(self) -> str:
        """The file's own name."""
        return base_name(self.place)

    @property
    def part(self) -> str:
        """The name of its part: another one whenever the file changes."""
        text = f"{self.name}\n{self.size}\n{self.mark}"
        return f"{stem(self.place)}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


@dataclass(frozen=True, slots=True)
class Job:
    """What a worker needs beside the file: whose hosts are whose, under which rules."""

    hosts: Hosts
    homes: frozenset[str]
    rules: str
    version: str

    @classmethod
    def of(cls, register: pd.DataFrame) -> Job:
        """The job of mining for the councils of a register."""
        columns = register[["council_id", "website", "other_hosts", "status"]]
        digest = hashlib.sha256(columns.to_json(orient="values").encode())
        digest.update(own_version().encode())
        return cls(Hosts(register), homes_of(register), digest.hexdigest()[:16], own_version())


@dataclass(frozen=True, slots=True)
class Part:
    """The two Parquet files of a part, as bytes; no observations, no second file."""

    fetches: bytes
    observations: bytes | None


@dataclass(frozen=True, slots=True)
class About:
    """What a part that stands tells of itself."""

    name: str
    sha256: str
    rules: str
    tally: Tally


def own_version() -> str:
    """The version of the program and a digest of its rules, as installed here."""
    digest = hashlib.sha256()
    for path in sorted(RULES.glob("*.toml")):
        digest.update(path.read_bytes())
    return f"{version('digital-councils')}+{digest.hexdigest()[:16]}"


def stem(place: str) -> str:
    """The name of a file without what a file name cannot hold everywhere."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", base_name(place))[:_STEM]


# --- Reading -----------------------------------------------------------------------------------


def look_at(place: str) -> Source:
    """What identifies a file; reads its ends, or asks for its headers.

    Raises:
        UnreadableError: It is not there, or not to be had.
    """
    try:
        if "://" in place:
            files, path = _system(place)
            about = files.info(path)
            names = ("ETag", "Content-MD5", "Last-Modified", "mtime")
            mark = next((str(about[name]) for name in names if about.get(name)), "")
            return Source(place, int(about.get("size") or 0), mark)
        with Path(place).open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(0)
            ends = hashlib.sha256(file.read(_END))
            file.seek(max(size - _END, 0))
            ends.update(file.read(_END))
        return Source(place, size, ends.hexdigest())
    except UnreadableError:
        raise
    except Exception as error:  # each file system has errors of its own
        raise UnreadableError(f"{base_name(place)}: cannot be read ({_reason(error)})") from error


def _system(place: str) -> tuple[Any, str]:
    """The file system of an address, and the path there."""
    try:
        import fsspec
    except ImportError as error:
        raise UnreadableError(
            f"{base_name(place)}: an address needs more than is installed; "
            "run pip install 'digital-councils[cluster]'"
        ) from error
    if place.startswith(_BUCKET):
        from fsspec.implementations.arrow import ArrowFSWrapper
        from pyarrow.fs import S3FileSystem

        # Of the usual AWS variables, the one that it does not read itself.
        store = S3FileSystem(endpoint_override=os.environ.get("AWS_ENDPOINT_URL"))
        return ArrowFSWrapper(store), place.removeprefix(_BUCKET)
    files, path = fsspec.url_to_fs(place)
    return files, str(path)


def _open(place: str) -> IO[bytes]:
    if "://" not in place:
        return Path(place).open("rb")
    files, path = _system(place)
    opened: IO[bytes]
    if place.startswith(_BUCKET):  # what fsspec opens there asks the store for each few bytes
        opened = files.fs.open_input_stream(path, compression=None, buffer_size=_BLOCK)
    else:
        opened = files.open(path, "rb", block_size=_BLOCK, cache_type="readahead")
    return opened


def _reason(error: Exception) -> str:
    """An error in few words, without the address: one that is signed must not be told."""
    status = getattr(error, "status", None)
    text = getattr(error, "strerror", None) or (f"status {status}" if status else "")
    return str(text or type(error).__name__)


class _Stream:
    """A file that is read once, from start to end, and digested on the way."""

    def __init__(self, file: IO[bytes], name: str) -> None:
        self._file = file
        self._name = name
        self._at = 0
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        try:
            data = self._file.read(size)
        except Exception as error:  # each file system has errors of its own
            raise UnreadableError(
                f"{self._name}: cannot be read beyond byte {self._at} ({_reason(error)})"
            ) from error
        self._at += len(data)
        self.digest.update(data)
        return data

    def tell(self) -> int:
        return self._at


# --- Making ------------------------------------------------------------------------------------


def make(source: Source, job: Job) -> Part:
    """Mine one file; what its pages carry is packed as it comes, so that no file is ever held.

    Raises:
        ArchiveError: The file is no WARC file.
        UnreadableError: It is not there, not to be had, or breaks off on the way here.
        OtherVersionError: This worker would read it by other rules.
    """
    if job.version != own_version():
        raise OtherVersionError(f"has version {own_version()}, not {job.version}")
    tally = Tally()
    tables = _Tables()
    try:
        file = _open(source.place)
    except OSError as error:
        raise UnreadableError(f"{source.name}: cannot be read ({_reason(error)})") from error
    with file:
        stream = _Stream(file, source.name)
        for fetch in mine_file(stream, source.name, job.hosts, job.homes, tally):  # type: ignore[arg-type]  # all of a file that a reader uses
            tables.add(fetch)
        while stream.read(_BLOCK):  # what follows a break counts to the digest
            pass
    tally.shorten()
    about = {
        "name": source.name,
        "sha256": stream.digest.hexdigest(),
        "rules": job.rules,
        "tally": tally.told(),
    }
    return tables.part(json.dumps(about, ensure_ascii=True, sort_keys=True))


def _schema(table: Any) -> pa.Schema:
    """A table's schema without the crawl, which is known when all parts are."""
    schema = table.arrow()
    return schema.remove(schema.get_field_index("crawl_id"))


class _Tables:
    """The two tables of a part, packed a few hundred pages at a time."""

    def __init__(self) -> None:
        self._buffers = BytesIO(), BytesIO()
        schemas = _schema(FETCHES), _schema(OBSERVATIONS)
        self._writers = [
            pq.ParquetWriter(buffer, schema, compression="zstd")
            for buffer, schema in zip(self._buffers, schemas, strict=True)
        ]
        self._waiting: list[Fetch] = []
        self._links = 0
        self._written = 0

    def add(self, fetch: Fetch) -> None:
        self._waiting.append(fetch)
        self._links += len(fetch.observations)
        if len(self._waiting) >= _PAGES or self._links >= _LINKS:
            self._write()

    def _write(self) -> None:
        self._writers[0].write_table(_fetch_rows(self._waiting))
        self._writers[1].write_table(_link_rows(self._waiting))
        self._written += self._links
        self._waiting, self._links = [], 0

    def part(self, about: str) -> Part:
        """The whole part, which tells `about` itself in the footer of its fetches."""
        if self._waiting:
            self._write()
        self._writers[0].add_key_value_metadata({_ABOUT: about})
        for writer in self._writers:
            writer.close()
        fetches, observations = (buffer.getvalue() for buffer in self._buffers)
        return Part(fetches, observations if self._written else None)


def _fetch_rows(fetches: Sequence[Fetch]) -> pa.Table:
    return _table(
        _schema(FETCHES),
        lambda name: [getattr(fetch, name) for fetch in fetches],
    )


def _link_rows(fetches: Sequence[Fetch]) -> pa.Table:
    pages = [
        (fetch.council_id, fetch.final_url or fetch.url, fetch.is_home, fetch.fetched_at)
        for fetch in fetches
        for _ in fetch.observations
    ]
    links = [link for fetch in fetches for link in fetch.observations]
    return _table(
        _schema(OBSERVATIONS),
        lambda name: (
            [page[_OF_PAGE.index(name)] for page in pages]
            if name in _OF_PAGE
            else [getattr(link, name) for link in links]
        ),
    )


def _table(schema: pa.Schema, values: Any) -> pa.Table:
    return pa.Table.from_arrays([_column(f, values(f.name)) for f in schema], schema=schema)


def _column(field: pa.Field, values: list[Any]) -> pa.Array:
    if field.type == TIME:
        times = pa.array([value.removesuffix("Z") for value in values], STRING)
        return pc.assume_timezone(times.cast(pa.timestamp(TIME.unit)), TIME.tz)
    if pa.types.is_string(field.type):
        # Half characters of a page are question marks, as where a crawl is read from lines.
        values = [v and v.encode("utf-8", "replace").decode() for v in values]
    return pa.array(values, field.type)


# --- Keeping -----------------------------------------------------------------------------------


def path_of(folder: Path, table: str, part: str) -> Path:
    """Where a table of a part stands in a crawl folder."""
    return folder / f"{table}-{part}.parquet"


def keep(folder: Path, source: Source, part: Part) -> None:
    """Write a part beside its place and move it there, its fetches last: with them it stands."""
    observations = path_of(folder, "observations", source.part)
    if part.observations is None:
        observations.unlink(missing_ok=True)
    else:
        _move_in(observations, part.observations)
    _move_in(path_of(folder, "fetches", source.part), part.fetches)


def _move_in(path: Path, data: bytes) -> None:
    beside = path.with_name(_BESIDE + path.name)
    with beside.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def remove(folder: Path, part: str) -> None:
    """Take a part away, its fetches first: without them it does not stand."""
    for table in ("fetches", "observations"):
        path_of(folder, table, part).unlink(missing_ok=True)


def tidy(folder: Path) -> None:
    """Remove what an earlier run was writing when it was killed."""
    for path in folder.glob(f"{_BESIDE}*"):
        path.unlink(missing_ok=True)


def standing(folder: Path) -> Iterator[str]:
    """The parts of a folder, sorted."""
    for path in sorted(folder.glob("fetches-*.parquet")):
        yield path.stem.removeprefix("fetches-")


def about(folder: Path, part: str) -> About | None:
    """What a part tells of itself; None when it is damaged, or none of ours."""
    try:
        told = pq.read_metadata(path_of(folder, "fetches", part)).metadata[_ABOUT]
        kept = json.loads(told)
        return About(kept["name"], kept["sha256"], kept["rules"], Tally.of(kept["tally"]))
    except (OSError, pa.ArrowInvalid, KeyError, TypeError, ValueError):
        return None
