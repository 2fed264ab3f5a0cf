"""Read crawl folders into the typed tables `fetches` and `observations`.

The door between the crawl and everything after it: what comes in here fits the schema, or is
refused with its file and line, so that no later step has to ask what a row might hold.
"""

from __future__ import annotations

import io
import json
import logging
import os
import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj
import pyarrow.parquet as pq

from pipeline.codes import coded, joined, plain, reworded
from pipeline.schema import CODED, FLAG, STRING, TABLES
from pipeline.workers import side_by_side

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from pipeline.schema import Table

logger = logging.getLogger(__name__)

PAGES, RUN = "pages.jsonl", "run.json"
FETCHES, OBSERVATIONS = TABLES["fetches"], TABLES["observations"]
READ = ("ok", "not_modified")
PAGE = ("home", "follow")
# Bytes of a file that are read at once, and that are looked through for a line end.
BLOCK, STEP = 16 << 20, 1 << 20
TEXT_LIMIT = 500
WORDS = ("label", "heading", "sentence", "language", "hint")
# Control characters, line separators, and what turns the direction of the text around it.
UNSAFE = "[\\p{Cc}\\p{Zl}\\p{Zp}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]+"
# What takes no room and shows nothing: it would make two words of one look, or one look like two.
UNSEEN = "[\\p{Cf}\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0]+"

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

_NO_LINKS = coded(OBSERVATIONS.arrow().empty_table())
# Fetches, and observations with their texts as codes.
_Part: TypeAlias = tuple[pa.Table, pa.Table]
_NOTHING = (FETCHES.arrow().empty_table(), _NO_LINKS)


class IngestError(ValueError):
    """A crawl folder cannot be read; says which file, where in it, and what to do."""


@dataclass(frozen=True, slots=True)
class Crawl:
    """What one or more crawls recorded.

    Attributes:
        fetches: Columns of schema.FETCHES, in the order of the folders.
        links: Columns of schema.OBSERVATIONS, in the same order, texts as codes.
        runs: The run.json of each folder, as read.
        warnings: What was left out, and why, in words.
    """

    fetches: pa.Table
    links: pa.Table
    runs: tuple[dict[str, Any], ...]
    warnings: tuple[str, ...]

    @property
    def observations(self) -> pa.Table:
        """The links as schema.OBSERVATIONS has them, with their texts written out."""
        return plain(self.links)


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
    fetches, links = _joined([(crawl.fetches, crawl.links) for crawl in crawls])
    if not fetches.num_rows:
        names = ", ".join(str(folder) for folder in folders)
        raise IngestError(f"{names}: holds no fetch; crawl again, or look at its {RUN}")
    return Crawl(
        fetches,
        links,
        tuple(run for crawl in crawls for run in crawl.runs),
        tuple(warning for crawl in crawls for warning in crawl.warnings),
    )


def read_crawl(folder: Path) -> Crawl:
    """Read one crawl folder: pages.jsonl, or Parquet parts of both tables, or both.

    Raises:
        IngestError: A file is missing or damaged, or holds what the schema does not know.
    """
    run = _read_run(folder)
    parts = [*_read_parts(folder, run["crawl_id"])]
    warnings: list[str] = []
    if (folder / PAGES).exists():
        finished = bool(run.get("finished"))
        part, warnings = _read_pages(folder / PAGES, run["crawl_id"], finished=finished)
        parts.append(part)
    if not parts:
        raise IngestError(f"{folder}: has neither {PAGES} nor fetches*.parquet; is it a crawl?")
    fetches, links = _joined(parts)
    try:
        _check(fetches, links)
    except _FaultError as error:
        raise IngestError(f"{folder}: {error}; crawl again with this version") from error
    return Crawl(fetches, _cleaned(links), (run,), tuple(warnings))


def _joined(parts: Sequence[_Part]) -> _Part:
    return pa.concat_tables([fetches for fetches, _ in parts]), joined(
        [links for _, links in parts]
    )


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
        pa.concat_tables([crawl.fetches, _of_today(fetches)]),
        joined([seen_again, coded(observations.cast(OBSERVATIONS.arrow()))]),
        crawl.runs,
        crawl.warnings,
    )


def _of_today(fetches: pa.Table) -> pa.Table:
    """Fetches of an earlier release in the columns of this one; its version had no browser."""
    if "rendered" not in fetches.column_names:
        none = pa.repeat(pa.scalar(value=False), fetches.num_rows)
        fetches = fetches.append_column("rendered", none)
    return fetches.select(FETCHES.names).cast(FETCHES.arrow())


def unchanged(crawl: Crawl, last: pa.Table) -> pa.Table:
    """The observations of a crawl, coded, with those of pages that answered 'not modified'.

    Such a page sends no body, so it carries what it carried in the release before: those rows of
    `last` (schema.OBSERVATIONS, coded or not) are repeated under the new crawl and its time.
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
    return joined([crawl.links, coded(again.cast(OBSERVATIONS.arrow()))])


def _pages(fetches: pa.Table, outcome: str) -> pa.Table:
    """The fetches of one outcome, with the address under which the page's links were recorded."""
    rows = fetches.filter(pc.equal(fetches["outcome"], outcome))
    return rows.append_column("page_url", pc.coalesce(rows["final_url"], rows["url"]))


def _of_pages(rows: pa.Table, pages: pa.Table) -> pa.Table:
    """The rows of some pages; there are few of them, so this comes before anything costly."""
    keys = plain(rows.select(_ONE_PAGE)).append_column("row", pa.array(np.arange(rows.num_rows)))
    found = keys.join(pages.select(_ONE_PAGE), _ONE_PAGE, join_type="left semi")
    return plain(rows.take(found["row"]))


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


def _read_pages(path: Path, crawl_id: str, *, finished: bool) -> tuple[_Part, list[str]]:
    """Both tables of a file, and a warning where its last line was torn off.

    Blocks of lines are read side by side: a crawl of a whole country is larger than memory.
    """
    try:
        size, torn = path.stat().st_size, len(_torn(path))
    except OSError as error:
        raise IngestError(f"{path}: cannot be read ({error.strerror or error})") from error
    if torn and finished:
        raise IngestError(
            f"{path}, line {_line_at(path, size)}: the file ends inside a line though its crawl "
            "finished; copy the crawl folder again"
        )
    read = partial(_read_block, path, crawl_id)
    parts = [_NOTHING, *side_by_side(read, _blocks(path, size - torn))]
    if not torn:
        return _joined(parts), []
    place = f"{path.parent.name}/{path.name}"
    warning = f"{place}: left out its last line, {torn} bytes torn off when the crawl stopped"
    logger.warning("%s", warning)
    return _joined(parts), [warning]


def _torn(path: Path) -> bytes:
    """What follows the last line end, unless it is a whole line."""
    tail = b""
    with path.open("rb") as file:
        left = file.seek(0, os.SEEK_END)
        while left and b"\n" not in tail:
            step = min(left, STEP)
            left -= step
            file.seek(left)
            tail = file.read(step) + tail
    tail = tail.rpartition(b"\n")[2]
    try:
        json.loads(tail)
    except ValueError:
        return tail
    return b""


def _line_at(path: Path, offset: int) -> int:
    """The number of the line at an offset of a file, counted from 1."""
    with path.open("rb") as file:
        blocks = (file.read(min(STEP, offset - at)) for at in range(0, offset, STEP))
        return 1 + sum(block.count(b"\n") for block in blocks)


def _blocks(path: Path, end: int) -> Iterator[tuple[int, bytes]]:
    """Whole lines of a file, a block at a time, each with its offset."""
    start = 0
    with path.open("rb") as file:
        while lines := (file.read(BLOCK) + file.readline())[: end - start]:
            yield start, lines
            start += len(lines)


def _read_block(path: Path, crawl_id: str, block: tuple[int, bytes]) -> _Part:
    """Both tables of some lines; the first faulty line is named when there is one."""
    start, raw = block
    raw = _without_lone_surrogates(raw)
    try:
        return _tables(raw, crawl_id)
    except _UNREADABLE as error:
        for number, line in enumerate(io.BytesIO(raw)):
            if problem := _problem(line, crawl_id):
                number += _line_at(path, start)
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


def _tables(raw: bytes, crawl_id: str) -> _Part:
    pages = pj.read_json(
        pa.BufferReader(raw),
        read_options=pj.ReadOptions(block_size=len(raw) + 1),
        parse_options=pj.ParseOptions(
            explicit_schema=_PAGE_LINE, unexpected_field_behavior="error"
        ),
    )
    # Bytes that are not UTF-8 pass the JSON reader.
    pages.validate(full=True)
    at = pages.schema.get_field_index("rendered")  # crawls without a browser need not say so
    said = pc.fill_null(pages["rendered"], fill_value=False)
    pages = pages.set_column(at, pages.schema.field(at), said)
    fetches = _typed(pages, FETCHES.arrow(), pa.scalar(crawl_id, STRING))
    links = joined([_links(batch, crawl_id) for batch in pages.to_batches()] or [_NO_LINKS])
    _check(fetches, links)
    return fetches, links


def _check(fetches: pa.Table, links: pa.Table) -> None:
    for table, rows in ((FETCHES, fetches), (OBSERVATIONS, links)):
        if faults := table.faults(rows):
            raise _FaultError(f"{table.name}: {'; '.join(faults)}")


def _links(pages: pa.RecordBatch, crawl_id: str) -> pa.Table:
    """One row per link of a batch of pages, with what its page says of itself.

    Batch by batch, no column outgrows Arrow's offsets.
    """
    nested = pages["observations"]
    page = pa.table(
        {
            "council_id": pages["council_id"],
            "page_url": pc.coalesce(pages["final_url"], pages["url"]),
            "is_home": pc.fill_null(pages["is_home"], fill_value=False),
            "fetched_at": pages["fetched_at"],
        }
    )
    of_link = coded(page).take(pc.list_parent_indices(nested))
    links = coded(pa.Table.from_struct_array(pc.list_flatten(nested)))
    for name in of_link.schema.names:
        links = links.append_column(name, of_link[name])
    return _typed(links, _NO_LINKS.schema, pa.scalar(crawl_id, STRING).cast(CODED))


def _typed(rows: pa.Table, schema: pa.Schema, crawl_id: pa.Scalar) -> pa.Table:
    """The columns of a table, in its order, all of one crawl."""
    rows = rows.append_column("crawl_id", pa.repeat(crawl_id, rows.num_rows))
    return pa.Table.from_arrays([rows[name] for name in schema.names], schema=schema)


# --- Parquet parts ---------------------------------------------------------------------------


def _read_parts(folder: Path, crawl_id: str) -> Iterator[_Part]:
    fetches = sorted(folder.glob("fetches*.parquet"))
    if not fetches:
        return
    observations = sorted(folder.glob("observations*.parquet"))
    pages = list(side_by_side(partial(_read_part, FETCHES, crawl_id), fetches))
    links = side_by_side(partial(_read_part, OBSERVATIONS, crawl_id), observations)
    names = [path.name.removeprefix("fetches") for path in fetches]
    carried = dict(
        zip((path.name.removeprefix("observations") for path in observations), links, strict=True)
    )
    repeats = _repeats(pages)
    for number in repeats["part"].unique().tolist():
        again, name = repeats[repeats["part"].eq(number)], names[number]
        pages[number] = pages[number].filter(_not_among(pages[number], again, "url"))
        if name in carried:
            carried[name] = carried[name].filter(_not_among(carried[name], again, "page_url"))
        logger.warning("fetches%s: left out %d pages of earlier parts", name, len(again))
    yield pa.concat_tables(pages), joined([_NO_LINKS, *carried.values()])


def _repeats(parts: Sequence[pa.Table]) -> pd.DataFrame:
    """The pages that an earlier part holds too: two archives may hold one capture."""
    key = ["council_id", "url", "purpose", "fetched_at"]
    rows: pd.DataFrame = pd.concat(
        part.select([*key, "final_url"]).to_pandas().assign(part=number)
        for number, part in enumerate(parts)
    )
    again = rows[rows.duplicated(key)]
    return again.assign(page_url=again["final_url"].fillna(again["url"]))


def _not_among(rows: pa.Table, pages: pd.DataFrame, address: str) -> pa.Array:
    """Where a row is of none of these pages, which it names in the column `address`."""
    names = ["council_id", address, "fetched_at"]
    own = pd.MultiIndex.from_frame(rows.select(names).to_pandas().astype({address: "str"}))
    return pa.array(~own.isin(pd.MultiIndex.from_frame(pages[names])))


def _read_part(table: Table, crawl_id: str, path: Path) -> pa.Table:
    """The rows of one file, observations coded.

    Those of mining belong to the crawl that its run.json names.
    """
    wanted = _NO_LINKS.schema if table is OBSERVATIONS else table.arrow()
    texts = [field.name for field in wanted if field.type == CODED]
    try:
        rows = pq.read_table(path, read_dictionary=texts)
    except (OSError, pa.ArrowInvalid) as error:
        raise IngestError(f"{path}: is no whole Parquet file ({error}); make it again") from error
    if "crawl_id" not in rows.schema.names:
        own = pa.scalar(crawl_id, STRING).cast(wanted.field("crawl_id").type)
        ids = pa.repeat(own, rows.num_rows)
        rows = rows.add_column(table.names.index("crawl_id"), "crawl_id", ids)
    if rows.schema.names != table.names:
        raise IngestError(
            f"{path}: has the columns {', '.join(rows.schema.names)}; "
            f"{table.name} has {', '.join(table.names)}"
        )
    try:
        return rows.cast(wanted)
    except (pa.ArrowInvalid, ValueError) as error:
        raise IngestError(f"{path}: does not fit the table {table.name} ({error})") from error


# --- Text from strangers ---------------------------------------------------------------------


def _cleaned(links: pa.Table) -> pa.Table:
    """Words without characters that cannot be seen, cut to TEXT_LIMIT; links stay as written."""
    for name in WORDS:
        at = links.schema.get_field_index(name)
        cleaned = reworded(links.column(at), _clean)
        links = links.set_column(at, links.schema.field(at), cleaned)
    return links


def _clean(words: pa.Array) -> pa.Array:
    odd = pc.invert(pc.ascii_is_printable(words))  # few are, and patterns are slow
    clean = pc.replace_substring_regex(words.filter(odd), UNSAFE, " ")
    clean = pc.replace_substring_regex(clean, UNSEEN, "")
    clean = pc.replace_with_mask(words, odd, clean)
    clean = pc.utf8_slice_codeunits(pc.utf8_trim_whitespace(clean), 0, TEXT_LIMIT)
    return pc.if_else(pc.equal(clean, ""), pa.scalar(None, STRING), clean)


def latest(fetches: pa.Table) -> np.datetime64:
    """The time of the last fetch: what a build takes for now."""
    return np.datetime64(pc.max(fetches["fetched_at"]).as_py().replace(tzinfo=None), "s")
