"""Texts as codes into their distinct values: each text is read once, however often it was said.

A crawl says the same few thousand things a million times. As texts, every step would hash, compare
and sort each of them again; as codes they are numbers, and take a fraction of the memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.schema import CODED, STRING
from pipeline.workers import side_by_side

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Numbers = np.ndarray[Any, np.dtype[np.int64]]

# No column of so many rows outgrows Arrow's offsets.
ROWS = 1 << 17


# --- Arrow -----------------------------------------------------------------------------------


def is_coded(cells: pa.ChunkedArray) -> bool:
    """Whether a column holds codes."""
    return bool(pa.types.is_dictionary(cells.type))


def coded(rows: pa.Table) -> pa.Table:
    """A table with each column of texts as codes."""
    for at, field in enumerate(rows.schema):
        if field.type == STRING:
            codes = rows.column(at).dictionary_encode()
            rows = rows.set_column(at, field.with_type(CODED), codes)
    return rows


def uncoded(schema: pa.Schema) -> pa.Schema:
    """The schema of a coded table whose texts are written out."""
    fields = [f.with_type(STRING) if f.type == CODED else f for f in schema]
    return pa.schema(fields, schema.metadata)


def plain(rows: pa.Table) -> pa.Table:
    """A coded table with its texts written out."""
    wanted, starts = uncoded(rows.schema), range(0, rows.num_rows or 1, ROWS)
    return pa.concat_tables([rows.slice(start, ROWS).cast(wanted) for start in starts])


def joined(parts: Sequence[pa.Table]) -> pa.Table:
    """Coded tables one below the other, each column with one list of distinct texts."""
    return pa.concat_tables(parts).unify_dictionaries().combine_chunks()


def reworded(cells: pa.ChunkedArray, change: Callable[[pa.Array], pa.Array]) -> pa.ChunkedArray:
    """A coded column after a change of its texts, each distinct one changed once."""
    chunks = []
    for chunk in cells.chunks:
        words = change(chunk.dictionary).dictionary_encode()
        codes = words.indices.take(chunk.indices)
        chunks.append(pa.DictionaryArray.from_arrays(codes, words.dictionary))
    return pa.chunked_array(chunks, CODED).unify_dictionaries()


def sorted_codes(rows: pa.Table) -> pa.Table:
    """A coded table whose codes compare as the texts do, each column in one piece."""
    return pa.Table.from_arrays([*side_by_side(_sorted, rows.columns)], schema=rows.schema)


def _sorted(cells: pa.ChunkedArray) -> pa.ChunkedArray:
    if not is_coded(cells):
        return cells
    one = cells.combine_chunks()
    order = pc.array_sort_indices(one.dictionary)
    codes = _places(order).take(one.indices)
    return pa.chunked_array([pa.DictionaryArray.from_arrays(codes, one.dictionary.take(order))])


def _places(order: pa.Array) -> pa.Array:
    """The place of each value in an order of them."""
    places = np.empty(len(order), dtype=np.int32)
    places[order.to_numpy()] = np.arange(len(order))
    return pa.array(places)


def ranks(cells: pa.ChunkedArray) -> tuple[Numbers, int]:
    """The place of each cell among the distinct values, missing last; and how many places.

    Codes must be those of `sorted_codes`.
    """
    one = (cells if is_coded(cells) else cells.dictionary_encode()).combine_chunks()
    size, codes = len(one.dictionary), one.indices
    if not is_coded(cells):
        codes = _places(pc.array_sort_indices(one.dictionary)).take(codes)
    return codes.fill_null(size).to_numpy().astype("int64"), size + 1


# --- pandas ----------------------------------------------------------------------------------


def to_frame(rows: pa.Table) -> pd.DataFrame:
    """A table of `sorted_codes` for pandas, codes as categories."""
    columns = {
        name: _categories(cells) if is_coded(cells) else cells.to_pandas()
        for name, cells in zip(rows.schema.names, rows.columns, strict=True)
    }
    return pd.DataFrame(columns, copy=False)


def _categories(cells: pa.ChunkedArray) -> pd.Categorical[Any]:
    column = cells.combine_chunks()
    texts = pd.Index(column.dictionary.to_pandas(), dtype="str")
    codes = column.indices.fill_null(-1).to_numpy()
    return pd.Categorical.from_codes(codes, dtype=pd.CategoricalDtype(texts))


def codes_of(column: pd.Series) -> tuple[Numbers, pd.Index]:
    """The code of each cell of a text column, -1 where it is missing, and the distinct texts."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column.cat.codes.to_numpy().astype("int64"), column.cat.categories
    codes, distinct = pd.factorize(column)
    return codes, pd.Index(distinct)


def encode(column: pd.Series) -> pd.Series:
    """The column as codes into its distinct texts, sorted: each text is then looked at once."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column
    codes, distinct = pd.factorize(column.astype("str"), sort=True)
    return pd.Series(pd.Categorical.from_codes(codes, categories=distinct), index=column.index)


def pruned(column: pd.Series) -> pd.Series:
    """The column as codes into those texts only that it has."""
    codes, texts = codes_of(encode(column))
    used = np.bincount(codes + 1, minlength=len(texts) + 1)[1:] > 0
    places = np.append(np.cumsum(used) - 1, -1)
    categories = pd.CategoricalDtype(texts[used])
    return pd.Series(pd.Categorical.from_codes(places[codes], dtype=categories), index=column.index)
