"""Read crawl folders into the typed tables `fetches` and `observations`.

The door between the crawl and everything after it: what comes in here fits the schema, or is
refused with its file and line, so that no later step has to ask what a row might hold.
"""

from __future__ import annotations

import io
import json
import logging
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj
import pyarrow.parquet as pq

from pipeline.schema import FLAG, STRING, TABLES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pipeline.schema import Table

logger = logging.getLogger(__name__)

PAGES, RUN = "pages.jsonl", "run.json"
FETCHES, OBSERVATIONS = TABLES["fetches"], TABLES["observations"]
READ = ("ok", "not_modified")
PAGE = ("home", "follow")
BLOCK = 16 << 20
TEXT_LIMIT = 500
# Control characters, and those that turn the direction of the text around them.
UNSAFE = "[\\p{Cc}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]+"

SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")

_ONE_PAGE = ["council_id", "page_url"]
_OF_PAGE = ("crawl_id", "council_id", "page_url", "is_home", "fetched_at")
_LINK = pa.struct(
    [pa.field(c.name, c.type) for c in OBSERVATIONS.columns if c.name not in _OF_PAGE]
)
_PAGE_LINE = pa.schema(
    [pa.field(c.name, c.type) for c in FETCHES.columns if c.name != "crawl_id"]
    + [
        pa.field("is_home", FLAG),
        pa.field("observations", pa.list_(_LINK)),
        # Its validators, and where it leads: what a crawl needs to go on, and nobody else.
        pa.field("etag", STRING),
        pa.field("last_modified", STRING),
        pa.field("links", pa.list_(pa.list_(STRING))),
    ]
)


_NO_PAGES = pa.RecordBatch.from_arrays(
    [pa.array([], f.type) for f in _PAGE_LINE], schema=_PAGE_LINE
)


class IngestError(ValueError):
    """A crawl folder cannot be read; says which file, where in it, and what to do."""


@dataclass(frozen=True, slots=True)
class Crawl:
    """What one or more crawls recorded.

    Attributes:
        fetches: Columns of schema.FETCHES, in the order of the folders.
        observations: Columns of schema.OBSERVATIONS, in the same order.
        runs: The run.json of each folder, as read.
        warnings: What was left out, and why, in words.
    """

    fetches: pa.Table
    observations: pa.Table
    runs: tuple[dict[str, Any], ...]
    warnings: tuple[str, ...]


def read_crawls(folders: Sequence[Path]) -> Crawl:
    """Read crawl folders as one crawl; a page that several of them fetched keeps each time.

    Raises:
        IngestError: No folder, the same folder twice, or one that cannot be read whole.
    """
    if not folders:
        raise IngestError("no crawl folder given; name at least one")
    places = [folder.resolve() for folder in folders]
    twice = [str(f) for i, f in enumerate(folders) if places[i] in places[:i]]
    if twice:
        raise IngestError(f"{', '.join(twice)}: given twice; name each crawl folder once")
    crawls = [read_crawl(folder) for folder in folders]
    fetches = pa.concat_tables([crawl.fetches for crawl in crawls])
    if not fetches.num_rows:
        names = ", ".join(str(folder) for folder in folders)
        raise IngestError(f"{names}: holds no fetch; crawl again, or look at its {RUN}")
    return Crawl(
        fetches,
        pa.concat_tables([crawl.observations for crawl in crawls]),
        tuple(run for crawl in crawls for run in crawl.runs),
        tuple(warning for crawl in crawls for warning in crawl.warnings),
    )


def read_crawl(folder: Path) -> Crawl:
    """Read one crawl folder: pages.jsonl, or Parquet parts of both tables, or both.

    Raises:
        IngestError: A file is missing or damaged, or holds what the schema does not know.
    """
    run = _read_run(folder)
    parts = [*_read_parts(folder)]
    warnings: list[str] = []
    if (folder / PAGES).exists():
        raw, warnings = _read_lines(folder / PAGES, finished=bool(run.get("finished")))
        parts.append(_read_pages(folder / PAGES, raw, run["crawl_id"]))
    if not parts:
        raise IngestError(f"{folder}: has neither {PAGES} nor fetches*.parquet; is it a crawl?")
    fetches = pa.concat_tables([fetches for fetches, _ in parts])
    observations = pa.concat_tables([observations for _, observations in parts])
    try:
        _check(fetches, observations)
    except _FaultError as error:
        raise IngestError(f"{folder}: {error}; crawl again with this version") from error
    return Crawl(fetches, _cleaned(observations), (run,), tuple(warnings))


def carried(crawl: Crawl, last_fetches: pa.Table, last_observations: pa.Table) -> Crawl:
    """A crawl with what it did not ask for again, from the release before.

    A page that answered 'not modified' carries what it carried then, seen now: those rows of
    `last_observations` are repeated under the new crawl and its time. A page that was 'not due'
    was not looked at: its rows of both tables keep the crawl and the time that they had.
    """
    seen_again = unchanged(crawl, last_observations)
    resting = _pages(crawl.fetches, "not_due").select(["council_id", "url", "page_url"])
    read = last_fetches.filter(pc.not_equal(last_fetches["outcome"], "not_due"))
    fetches = _newest(read, ["council_id", "url"]).join(
        resting.select(["council_id", "url"]), ["council_id", "url"], join_type="left semi"
    )
    observations = _newest(_of_pages(last_observations, resting), _ONE_PAGE)
    return Crawl(
        pa.concat_tables([crawl.fetches, fetches.cast(FETCHES.arrow())]),
        pa.concat_tables([seen_again, observations.cast(OBSERVATIONS.arrow())]),
        crawl.runs,
        crawl.warnings,
    )


def unchanged(crawl: Crawl, last: pa.Table) -> pa.Table:
    """The observations of a crawl, with those of pages that answered 'not modified'.

    Such a page sends no body, so it carries what it carried in the release before: those rows of
    `last` (schema.OBSERVATIONS) are repeated under the new crawl and its time.
    """
    times = _pages(crawl.fetches, "not_modified").select([*_ONE_PAGE, "crawl_id", "fetched_at"])
    times = times.group_by(_ONE_PAGE).aggregate([("crawl_id", "max"), ("fetched_at", "max")])
    again = (
        _newest(_of_pages(last, times), _ONE_PAGE)
        .drop_columns(["crawl_id", "fetched_at"])
        .join(times, _ONE_PAGE, join_type="inner")
        .rename_columns({"crawl_id_max": "crawl_id", "fetched_at_max": "fetched_at"})
        .select(OBSERVATIONS.names)
    )
    return pa.concat_tables([crawl.observations, again.cast(OBSERVATIONS.arrow())])


def _pages(fetches: pa.Table, outcome: str) -> pa.Table:
    """The fetches of one outcome, with the address under which the page's links were recorded."""
    rows = fetches.filter(pc.equal(fetches["outcome"], outcome))
    return rows.append_column("page_url", pc.coalesce(rows["final_url"], rows["url"]))


def _of_pages(rows: pa.Table, pages: pa.Table) -> pa.Table:
    """The rows of some pages; there are few of them, so this comes before anything costly."""
    return rows.join(pages.select(_ONE_PAGE), _ONE_PAGE, join_type="left semi")


def _newest(rows: pa.Table, key: list[str]) -> pa.Table:
    """The rows of each key's latest fetch."""
    newest = rows.group_by(key).aggregate([("fetched_at", "max")])
    newest = newest.rename_columns([*key, "fetched_at"])
    return rows.join(newest, [*key, "fetched_at"], join_type="left semi")


def _read_run(folder: Path) -> dict[str, Any]:
    path = folder / RUN
    try:
        run = json.loads(path.read_text("utf-8"))
    except OSError as error:
        reason = error.strerror or str(error)
        raise IngestError(f"{path}: cannot be read ({reason}); give a crawl folder") from error
    except ValueError as error:
        raise IngestError(f"{path}: is no JSON ({error}); crawl again") from error
    if not isinstance(run, dict) or not isinstance(run.get("crawl_id"), str):
        raise IngestError(f"{path}: names no crawl_id; crawl again with this version")
    return run


# --- pages.jsonl -----------------------------------------------------------------------------


class _FaultError(ValueError):
    """Rows that do not fit their table."""


_UNREADABLE = (pa.ArrowInvalid, UnicodeDecodeError, _FaultError)


def _read_lines(path: Path, *, finished: bool) -> tuple[bytes, list[str]]:
    """The whole lines of a file, and a warning where the last one was torn off."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise IngestError(f"{path}: cannot be read ({error.strerror or error})") from error
    whole, torn = _cut_torn(raw)
    if not torn:
        return whole, []
    if finished:
        number = raw.count(b"\n") + 1
        raise IngestError(
            f"{path}, line {number}: the file ends inside a line though its crawl finished; "
            "copy the crawl folder again"
        )
    place = f"{path.parent.name}/{path.name}"
    warning = f"{place}: left out its last line, {torn} bytes torn off when the crawl stopped"
    logger.warning("%s", warning)
    return whole, [warning]


def _cut_torn(raw: bytes) -> tuple[bytes, int]:
    """The whole lines, and the size of what follows the last of them."""
    end = raw.rfind(b"\n") + 1
    tail = raw[end:]
    try:
        json.loads(tail)
    except ValueError:
        return raw[:end], len(tail)
    return raw, 0


def _read_pages(path: Path, raw: bytes, crawl_id: str) -> tuple[pa.Table, pa.Table]:
    """Both tables of a file; its first faulty line is named when there is one."""
    raw = _without_lone_surrogates(raw)
    try:
        return _tables(raw, crawl_id)
    except _UNREADABLE as error:
        for number, line in enumerate(io.BytesIO(raw), start=1):
            if problem := _problem(line, crawl_id):
                raise IngestError(
                    f"{path}, line {number}: {problem}; remove the line, or crawl again"
                ) from error
        raise IngestError(f"{path}: {error}") from error


def _without_lone_surrogates(raw: bytes) -> bytes:
    """Lines in which a page's half characters are question marks, for Arrow refuses them."""
    if not SURROGATE.search(raw):
        return raw
    return b"".join(
        json.dumps(json.loads(line), ensure_ascii=False).encode("utf-8", "replace") + b"\n"
        if SURROGATE.search(line)
        else line
        for line in io.BytesIO(raw)
    )


def _problem(line: bytes, crawl_id: str) -> str:
    """What is wrong with one line by itself; empty when nothing is."""
    try:
        _tables(line, crawl_id)
    except _UNREADABLE as error:
        return str(error).removeprefix("JSON parse error: ").removesuffix(" in row 0")
    return ""


def _tables(raw: bytes, crawl_id: str) -> tuple[pa.Table, pa.Table]:
    if not raw:
        return FETCHES.arrow().empty_table(), OBSERVATIONS.arrow().empty_table()
    longest = max(len(line) for line in io.BytesIO(raw))
    pages = pj.read_json(
        pa.BufferReader(raw),
        read_options=pj.ReadOptions(block_size=max(BLOCK, longest + 1)),
        parse_options=pj.ParseOptions(
            explicit_schema=_PAGE_LINE, unexpected_field_behavior="error"
        ),
    )
    # Bytes that are not UTF-8 pass the JSON reader.
    pages.validate(full=True)
    tables = _typed(pages, FETCHES, crawl_id), _observations(pages, crawl_id)
    _check(*tables)
    return tables


def _check(fetches: pa.Table, observations: pa.Table) -> None:
    for table, rows in ((FETCHES, fetches), (OBSERVATIONS, observations)):
        if faults := table.faults(rows):
            raise _FaultError(f"{table.name}: {'; '.join(faults)}")


def _observations(pages: pa.Table, crawl_id: str) -> pa.Table:
    """One row per link, with what its page says of itself; flattened columnwise."""
    batches = [_links(batch) for batch in pages.to_batches()]
    return _typed(pa.concat_tables(batches or [_links(_NO_PAGES)]), OBSERVATIONS, crawl_id)


def _links(pages: pa.RecordBatch) -> pa.Table:
    """The links of a batch of pages; batch by batch, no column outgrows Arrow's offsets."""
    nested = pages["observations"]
    parents = pages.select(["council_id", "url", "final_url", "is_home", "fetched_at"])
    parents = parents.take(pc.list_parent_indices(nested))
    links = pa.Table.from_struct_array(pc.list_flatten(nested))
    links = links.append_column("page_url", pc.coalesce(parents["final_url"], parents["url"]))
    for name in ("council_id", "fetched_at"):
        links = links.append_column(name, parents[name])
    return links.append_column("is_home", pc.fill_null(parents["is_home"], fill_value=False))


def _typed(rows: pa.Table, table: Table, crawl_id: str) -> pa.Table:
    """The columns of a table, in its order, all of one crawl."""
    rows = rows.append_column("crawl_id", pa.repeat(pa.scalar(crawl_id, STRING), rows.num_rows))
    return pa.Table.from_arrays([rows[name] for name in table.names], schema=table.arrow())


# --- Parquet parts ---------------------------------------------------------------------------


def _read_parts(folder: Path) -> list[tuple[pa.Table, pa.Table]]:
    fetches = sorted(folder.glob("fetches*.parquet"))
    if not fetches:
        return []
    observations = sorted(folder.glob("observations*.parquet"))
    return [
        (
            pa.concat_tables([_read_part(path, FETCHES) for path in fetches]),
            pa.concat_tables(
                [OBSERVATIONS.arrow().empty_table()]
                + [_read_part(path, OBSERVATIONS) for path in observations]
            ),
        )
    ]


def _read_part(path: Path, table: Table) -> pa.Table:
    try:
        rows = pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise IngestError(f"{path}: is no whole Parquet file ({error}); make it again") from error
    if rows.schema.names != table.names:
        raise IngestError(
            f"{path}: has the columns {', '.join(rows.schema.names)}; "
            f"{table.name} has {', '.join(table.names)}"
        )
    try:
        return rows.cast(table.arrow())
    except (pa.ArrowInvalid, ValueError) as error:
        raise IngestError(f"{path}: does not fit the table {table.name} ({error})") from error


# --- Text from strangers ---------------------------------------------------------------------


def _cleaned(observations: pa.Table) -> pa.Table:
    """Words without control and bidi characters, cut to TEXT_LIMIT; links stay as written."""
    for name in ("label", "heading", "sentence"):
        at = observations.schema.get_field_index(name)
        words = observations[name].combine_chunks()
        words = pa.chunked_array([words]) if isinstance(words, pa.Array) else words
        cleaned = _clean_unique(words)
        observations = observations.set_column(at, observations.schema.field(at), cleaned)
    return observations


def _clean_unique(words: pa.ChunkedArray) -> pa.ChunkedArray:
    coded = words.dictionary_encode().unify_dictionaries()
    chunks = []
    for chunk in coded.chunks:
        clean = pc.utf8_slice_codeunits(
            pc.utf8_trim_whitespace(pc.replace_substring_regex(chunk.dictionary, UNSAFE, " ")),
            0,
            TEXT_LIMIT,
        )
        clean = pc.if_else(pc.equal(clean, ""), pa.scalar(None, STRING), clean)
        chunks.append(clean.take(chunk.indices))
    return pa.chunked_array(chunks, STRING)


def latest(fetches: pa.Table) -> np.datetime64:
    """The time of the last fetch: what a build takes for now."""
    return np.datetime64(pc.max(fetches["fetched_at"]).as_py().replace(tzinfo=None), "s")
