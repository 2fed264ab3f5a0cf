"""Write a release folder, read one back, and put one in its place whole or not at all.

Whoever reads a release while the next is being made sees the old or the new, never a mixture: the
folder is written beside its place, synced to the disk, and swapped in by a single rename.
"""

from __future__ import annotations

import ctypes
import errno
import hashlib
import io
import json
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline import schema
from pipeline.codes import plain, ranks, sorted_codes, uncoded
from pipeline.platforms import default_rules
from pipeline.workers import side_by_side

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pipeline.codes import Numbers
    from pipeline.schema import Column, Table

PACKAGE, RUN, REPORT = "datapackage.json", "run.json", "report.md"
# For people and hubs, in both formats; the rest is for programs, in Parquet alone.
BOTH = ("directory", "accounts", "coverage", "changes", "councils", "versions")
PARQUET_ONLY = (
    "signals",
    "fetches",
    "observations",
    "rejections",
    "history",
    "changelog",
)
NAMES = (*BOTH, *PARQUET_ONLY)
SORTED_BY = {
    "directory": ("sort_name", "council_id"),
    "accounts": ("council_id", "platform", "handle", "account_id"),
    "observations": tuple(schema.TABLES["observations"].names),
    "versions": ("released",),
}
# A million rows of the same few texts: to read them all as texts takes ten times the memory.
READ_CODED = {
    "observations": [c.name for c in schema.OBSERVATIONS.columns if c.type == schema.STRING]
}
ROW_GROUP = 1 << 17
STORED_TIME = pa.timestamp("ms", tz="UTC")
TIME_FORM = "%Y-%m-%dT%H:%M:%SZ"
# What a spreadsheet takes for a formula at the start of a cell, after any apostrophes of its own.
FORMULA = "^('*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20])"
GUARDED = "^'('*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20])"
SWAP = {"linux": ("renameat2", 2), "darwin": ("renameatx_np", 2)}
AT_CWD = {"linux": -100, "darwin": -2}
STORE, CURRENT, GONE = "releases", "current", ".gone."


class ReleaseError(ValueError):
    """A release cannot be written, read or published; says which file, and what to do."""


@dataclass(frozen=True, slots=True)
class Release:
    """A release as read from its folder.

    Attributes:
        folder: Where it was read.
        version: Of its data package.
        tables: Table name → rows, each as its Parquet file holds them.
        run: Its run.json.
    """

    folder: Path
    version: str
    tables: Mapping[str, pa.Table]
    run: Mapping[str, Any]

    def frame(self, name: str) -> pd.DataFrame:
        """One table for pandas."""
        return to_pandas(self.tables[name])


def spec(name: str, networks: Sequence[str] | None = None) -> Table:
    """The schema of a table of a release; `networks` are the published platforms by default."""
    if name == "directory":
        return schema.directory(_published() if networks is None else networks)
    return schema.TABLES[name]


@cache
def _published() -> tuple[str, ...]:
    """The networks that have a column in the directory; the rules are read once."""
    return default_rules().published


# --- Arrow and pandas ------------------------------------------------------------------------


def to_arrow(frame: pd.DataFrame, table: Table) -> pa.Table:
    """A frame as the table that it should be, sorted by the table's key.

    Raises:
        ReleaseError: It does not fit the schema.
    """
    if missing := [name for name in table.names if name not in frame.columns]:
        raise ReleaseError(f"{table.name}: column {', '.join(missing)} is missing")
    wanted = table.arrow()
    try:
        rows = pa.Table.from_pandas(
            frame[table.names], wanted.remove_metadata(), preserve_index=False
        )
    except pa.ArrowException as error:
        raise ReleaseError(f"{table.name}: {error}") from error
    return in_order(rows.cast(wanted), table)


def to_pandas(rows: pa.Table) -> pd.DataFrame:
    """A table for pandas: missing whole numbers stay whole, times stay in whole seconds."""
    types = {pa.int32(): pd.Int32Dtype()}
    frame: pd.DataFrame = rows.to_pandas(types_mapper=types.get, date_as_object=False)
    return frame


def in_order(rows: pa.Table, table: Table) -> pa.Table:
    """Rows sorted by the table's key, so that the same rows always make the same file.

    A coded table comes back with codes that compare as its texts do.
    """
    rows = sorted_codes(rows)
    keys = SORTED_BY.get(table.name, table.key)
    if rows.num_rows < 2:
        return rows
    order = np.lexsort(_packed([*side_by_side(ranks, map(rows.column, keys))])[::-1])
    if np.array_equal(order, np.arange(rows.num_rows)):
        return rows
    return rows.take(pa.array(order))


def _packed(keys: list[tuple[Numbers, int]]) -> list[Numbers]:
    """Keys that sort as the given ones do, as many in one number as go in: fewer sort faster."""
    packed: list[Numbers] = []
    room = 0
    for places, size in keys:
        if room >= size:
            packed[-1] = packed[-1] * size + places
            room //= size
        else:
            packed.append(places)
            room = np.iinfo(np.int64).max // size
    return packed


# --- Files -----------------------------------------------------------------------------------


def parquet_bytes(rows: pa.Table) -> bytes:
    """The table as Parquet: zstd, typed, described; nothing in it says when or where."""
    buffer = io.BytesIO()
    # Coded texts are written out a group of rows at a time, for all of them would fill the memory.
    starts = range(0, rows.num_rows or 1, ROW_GROUP)
    groups = side_by_side(lambda start: plain(rows.slice(start, ROW_GROUP)), starts)
    schema = uncoded(rows.schema)
    with pq.ParquetWriter(buffer, schema, compression="zstd", compression_level=3) as writer:
        for group in groups:
            writer.write_table(group, ROW_GROUP)
    return buffer.getvalue()


def csv_bytes(rows: pa.Table) -> bytes:
    """The table as CSV after RFC 4180: UTF-8, CRLF, quotes where needed.

    Lists are joined by '|', flags are true or false, times end in Z. A cell that a spreadsheet
    would run as a formula begins with an apostrophe; `unguarded` takes it off again.
    """
    text = as_text(rows)
    guarded = [_guard(text[name]) for name in text.schema.names]
    frame = pa.Table.from_arrays(guarded, names=text.schema.names).to_pandas()
    return bytes(frame.to_csv(index=False, lineterminator="\r\n"), "utf-8")


def as_text(rows: pa.Table) -> pa.Table:
    """Every cell as the text that stands for it in CSV, before any guard; missing is ''."""
    columns = [pc.fill_null(_text(rows[f.name], f.type), "") for f in rows.schema]
    return pa.Table.from_arrays(columns, names=rows.schema.names)


def _text(cells: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    if pa.types.is_list(kind):
        return pc.binary_join(cells, "|")
    if pa.types.is_timestamp(kind):
        return pc.strftime(cells, format=TIME_FORM)
    return cells.cast(pa.string())


def _guard(cells: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.replace_substring_regex(cells, FORMULA, r"'\1")


def unguarded(cells: pa.ChunkedArray) -> pa.ChunkedArray:
    """Cells as they were before they were guarded against spreadsheets."""
    return pc.replace_substring_regex(cells, GUARDED, r"\1")


def read_csv(path: Path) -> pa.Table:
    """A CSV file of a release as texts, guards taken off."""
    frame = pd.read_csv(path, dtype="str", keep_default_na=False, encoding="utf-8")
    rows = pa.Table.from_pandas(frame, preserve_index=False)
    columns = [unguarded(rows[name].cast(pa.string())) for name in rows.schema.names]
    return pa.Table.from_arrays(columns, names=rows.schema.names)


def write_tables(
    folder: Path,
    tables: Mapping[str, pa.Table],
    version: str,
    now: str,
    ready: Mapping[str, bytes] | None = None,
) -> None:
    """Write every table and the data package that describes them into an empty folder.

    `ready` has the contents of files that are made already.
    """
    files = [f"{name}.{form}" for name in NAMES for form in _forms(name)]
    done = ready or {}
    contents = side_by_side(lambda file: done.get(file) or _content(file, tables), files)
    resources = []
    for file, raw in zip(files, contents, strict=True):
        (folder / file).write_bytes(raw)
        resources.append(_resource(file, raw, tables))
    package = {
        "name": "digital-councils",
        "title": "Digital Councils: the social media accounts of UK councils",
        "description": (
            "CSV is UTF-8 with CRLF (RFC 4180). Lists are joined by '|'. A cell that a spreadsheet "
            "would run as a formula (it begins with = + - @, a tab or a line break) begins with "
            "one more apostrophe, which importers take off. Parquet holds the cells as they are."
        ),
        "version": version,
        "created": now,
        "licenses": [{"name": "MIT", "path": "https://opensource.org/license/mit"}],
        "resources": resources,
    }
    write_json(folder / PACKAGE, package)


def _forms(name: str) -> tuple[str, ...]:
    return ("csv", "parquet") if name in BOTH else ("parquet",)


def _content(file: str, tables: Mapping[str, pa.Table]) -> bytes:
    name, _, form = file.partition(".")
    return csv_bytes(tables[name]) if form == "csv" else parquet_bytes(tables[name])


def write_json(path: Path, content: object) -> None:
    """Write JSON for people and programs: indented, in the given order, with a last line end."""
    text = json.dumps(content, ensure_ascii=False, indent=2, sort_keys=False)
    path.write_bytes(f"{text}\n".encode())


def _resource(file: str, raw: bytes, tables: Mapping[str, pa.Table]) -> dict[str, Any]:
    name, _, form = file.partition(".")
    networks = _networks(tables["directory"].schema.names)
    table = spec(name, networks)
    described: dict[str, Any] = {
        "name": name if form == "csv" else f"{name}-parquet",
        "path": file,
        "description": table.description,
        "format": form,
        "mediatype": "text/csv" if form == "csv" else "application/vnd.apache.parquet",
        "bytes": len(raw),
        "hash": f"sha256:{hashlib.sha256(raw).hexdigest()}",
    }
    fields = [_field(column) for column in table.columns]
    if form == "csv":
        keys = {"primaryKey": list(table.key)} if table.key else {}
        described |= {"type": "table", "encoding": "utf-8", "schema": {"fields": fields, **keys}}
    else:
        # Not a "table": validators that have no Parquet reader would refuse the whole package.
        described |= {"type": "file", "columns": fields}
    return described


def _networks(columns: Sequence[str]) -> list[str]:
    """The networks that a directory's columns show, in their order."""
    links = [name for name in columns if name.endswith("_url") and name != "google_url"]
    return [name.removesuffix("_url") for name in links]


def _field(column: Column) -> dict[str, Any]:
    kind, form = _json_type(column.type)
    field: dict[str, Any] = {
        "name": column.name,
        "type": kind,
        "description": column.description
        + ("; joined by |" if column.type == schema.TEXTS else ""),
    }
    if kind == "boolean":
        field |= {"trueValues": ["true"], "falseValues": ["false"]}
    if form:
        field["format"] = form
    constraints: dict[str, Any] = {}
    if not column.nullable and column.type != schema.TEXTS:
        constraints["required"] = True
    if column.values:
        constraints["enum"] = list(column.values)
    return field | ({"constraints": constraints} if constraints else {})


def _json_type(kind: pa.DataType) -> tuple[str, str]:
    if pa.types.is_timestamp(kind):
        return "datetime", TIME_FORM
    names = {
        schema.DATE: "date",
        schema.COUNT: "integer",
        schema.SHARE: "number",
        schema.FLAG: "boolean",
    }
    return names.get(kind, "string"), ""


# --- Reading back ----------------------------------------------------------------------------


def read_release(folder: Path) -> Release:
    """Read a release folder.

    Raises:
        ReleaseError: It is no release, or a file of it is missing or damaged.
    """
    package, run = _read_json(folder / PACKAGE), _read_json(folder / RUN, optional=True)
    tables = {
        name: read_table(folder / f"{name}.parquet", READ_CODED.get(name, ())) for name in NAMES
    }
    return Release(folder, str(package.get("version", "")), tables, run)


def read_table(path: Path, coded: Sequence[str] = ()) -> pa.Table:
    """One Parquet file of a release, the columns `coded` as codes into their distinct texts.

    Raises:
        ReleaseError: It is missing or damaged.
    """
    try:
        return _in_seconds(pq.read_table(path, read_dictionary=[*coded]))
    except (OSError, pa.ArrowInvalid) as error:
        reason = "is missing" if isinstance(error, FileNotFoundError) else f"is damaged ({error})"
        raise ReleaseError(
            f"{path}: {reason}; use an older release, or `digital-councils rollback`"
        ) from error


def _in_seconds(rows: pa.Table) -> pa.Table:
    """Times in whole seconds again: Parquet knows none coarser than milliseconds."""
    fields = [f.with_type(schema.TIME) if f.type == STORED_TIME else f for f in rows.schema]
    return rows.cast(pa.schema(fields, rows.schema.metadata))


def _read_json(path: Path, *, optional: bool = False) -> dict[str, Any]:
    if optional and not path.exists():
        return {}
    try:
        content = json.loads(path.read_text("utf-8"))
    except OSError as error:
        reason = error.strerror or str(error)
        raise ReleaseError(f"{path}: cannot be read ({reason}); give a release folder") from error
    except ValueError as error:
        raise ReleaseError(f"{path}: is no JSON ({error}); use an older release") from error
    if not isinstance(content, dict):
        raise ReleaseError(f"{path}: is no JSON object; use an older release")
    return content


# --- Publishing ------------------------------------------------------------------------------


def workshop(out: Path) -> Path:
    """A new empty folder beside the place where the release shall stand, on the same disk.

    Raises:
        ReleaseError: The place cannot be written, or something else stands there.
    """
    if out.exists() and not _may_replace(out):
        raise ReleaseError(f"{out}: is no release; move it away, or give another --out")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        _sweep(out)
        return Path(tempfile.mkdtemp(prefix=f".{out.name}.{os.getpid()}.", dir=out.parent))
    except OSError as error:
        raise ReleaseError(f"{out.parent}: cannot be written ({error.strerror})") from error


def _may_replace(out: Path) -> bool:
    return out.is_dir() and ((out / PACKAGE).exists() or not any(out.iterdir()))


def _sweep(out: Path) -> None:
    """Remove what builds that were killed left beside `out`."""
    for left in out.parent.glob(f".{out.name}.*.*"):
        pid = left.name.removeprefix(f".{out.name}.").partition(".")[0]
        if pid.isdigit() and not _alive(int(pid)):
            shutil.rmtree(left, ignore_errors=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def place(folder: Path, out: Path) -> None:
    """Put a finished folder at `out` in one step; a release that stood there is then removed.

    Raises:
        ReleaseError: The disk refused; what stood at `out` still stands.
    """
    try:
        folder.chmod(0o755)
        _sync(folder)
        if out.exists() and any(out.iterdir()):
            _swap(folder, out)
            shutil.rmtree(folder)
        else:
            folder.replace(out)
        _sync_folder(out.parent)
    except OSError as error:
        raise ReleaseError(
            f"{out}: could not be put in place ({error.strerror}); what stood there still stands"
        ) from error


def publish(folder: Path, store: Path, version: str, keep: int) -> Path:
    """Add a finished folder to a store of releases and make it the current one.

    `store/releases/<version>` holds each release, `store/current` is a link to the one published,
    replaced by a single rename. Of the releases, the current one and the `keep` newest stay.

    Returns:
        The folder in the store.
    """
    target = store / STORE / version
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        raise ReleaseError(f"{target}: is there already; a version is published once")
    place(folder, target)
    _point(store, version)
    for old in kept(store)[:-keep]:
        if old != version:
            remove(store / STORE / old)
    return target


def remove(folder: Path) -> None:
    """Remove a folder so that nobody finds half of it: it is renamed first.

    What an earlier removal that was killed left beside it goes with it.
    """
    if folder.exists():
        folder.replace(folder.with_name(f"{GONE}{os.getpid()}.{folder.name}"))
    for left in folder.parent.glob(f"{GONE}*"):
        shutil.rmtree(left, ignore_errors=True)


def rollback(store: Path) -> str:
    """Make the last whole release before the current one current again; returns its version.

    Raises:
        ReleaseError: There is no current release, or none before it.
    """
    version = current(store)
    if version is None:
        raise ReleaseError(f"{store / CURRENT}: no release is published here")
    older = [name for name in kept(store) if version_key(name) < version_key(version)]
    whole = next((name for name in reversed(older) if not damage(store / STORE / name)), None)
    if whole is None:
        raise ReleaseError(
            f"{store / CURRENT}: {version} is the oldest release kept whole; there is none before"
        )
    _point(store, whole)
    return whole


def mend(store: Path) -> list[str]:
    """Make sure that readers find a whole release: where they do not, the newest whole one.

    Returns:
        What was found damaged, in words; nothing where all is well, or nothing is published yet.

    Raises:
        ReleaseError: There are releases, and none of them is whole.
    """
    here = current(store)
    versions = kept(store)
    if here is None and not versions:
        return []
    order = [here] if here else []
    faults: list[str] = []
    for version in [*order, *(name for name in reversed(versions) if name != here)]:
        found = damage(store / STORE / version)
        if not found:
            if version != here:
                _point(store, version)
            return faults
        faults.append(f"release {version} is damaged: {'; '.join(found[:3])}")
    raise ReleaseError(
        f"{store / STORE}: none of the releases kept is whole ({'; '.join(faults)}); put one back "
        "from a copy, for without its ledger every account would be new"
    )


def damage(folder: Path, wanted: Sequence[str] = ()) -> list[str]:
    """What is wrong with the files of a release folder: those its data package lists, and `wanted`.

    A release of an earlier schema has fewer files, and is whole.
    """
    try:
        resources = json.loads((folder / PACKAGE).read_text("utf-8"))["resources"]
        digests = {r["path"]: (r["bytes"], r["hash"]) for r in resources}
    except (OSError, ValueError, LookupError, TypeError) as error:
        return [f"{PACKAGE} cannot be read ({error})"]
    missing = [f"{name} is not in {PACKAGE}" for name in wanted if name not in digests]
    return missing + [
        f"{name} differs from its digest"
        for name, told in digests.items()
        if _digest(folder / name) != told
    ]


def _digest(path: Path) -> tuple[int, str]:
    if not path.is_file():
        return -1, ""
    raw = path.read_bytes()
    return len(raw), f"sha256:{hashlib.sha256(raw).hexdigest()}"


def current(store: Path) -> str | None:
    """The version that readers of a store find; None where none is published."""
    link = store / CURRENT
    return link.readlink().name if link.is_symlink() else None


def kept(store: Path) -> list[str]:
    """The versions in a store, the oldest first."""
    folders = (path for path in (store / STORE).glob("*") if (path / PACKAGE).exists())
    return sorted((path.name for path in folders), key=version_key)


def version_key(version: str) -> tuple[int, ...]:
    """A version for sorting: 1.10.0 comes after 1.9.0."""
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def _point(store: Path, version: str) -> None:
    turn_link(store / CURRENT, Path(STORE) / version)


def turn_link(link: Path, target: Path) -> None:
    """Make `link` a symbolic link to `target` in one step; readers follow the old or the new."""
    fresh = link.with_name(f".{link.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.replace(link)
    _sync_folder(link.parent)


def _sync(folder: Path) -> None:
    for path in sorted(folder.iterdir()):
        with path.open("rb") as file:
            os.fsync(file.fileno())
    _sync_folder(folder)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _swap(one: Path, other: Path) -> None:
    """Exchange two folders in one step, which Python's own os module cannot."""
    if sys.platform not in SWAP:
        raise OSError(errno.ENOTSUP, "this system cannot swap folders; remove the old one first")
    name, flag = SWAP[sys.platform]
    here = AT_CWD[sys.platform]
    call = getattr(ctypes.CDLL(None, use_errno=True), name)
    if call(here, os.fsencode(one), here, os.fsencode(other), flag):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
