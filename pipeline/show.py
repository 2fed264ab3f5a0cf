"""Print rows for people or for programs: a table on a terminal, CSV or JSON lines elsewhere."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Mapping, Sequence

from rich.console import Console
from rich.table import Table

FORMATS = ("table", "csv", "jsonl")
Row = Mapping[str, object]


def show(columns: Sequence[str], rows: Iterable[Row], form: str, title: str = "") -> None:
    """Write `rows` to standard output as `form`, one of FORMATS, in the order of `columns`.

    CSV and JSON lines are for programs: nothing is cut, and an absent value is empty or null.
    """
    if form == "csv":
        _csv(columns, rows)
    elif form == "jsonl":
        for row in rows:
            sys.stdout.write(json.dumps({c: row.get(c) for c in columns}, ensure_ascii=False))
            sys.stdout.write("\n")
    else:
        _table(columns, rows, title)


def _csv(columns: Sequence[str], rows: Iterable[Row]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_cell(row.get(c)) for c in columns] for row in rows)


def _table(columns: Sequence[str], rows: Iterable[Row], title: str) -> None:
    table = Table(title=title or None, title_justify="left", show_edge=False, pad_edge=False)
    for column in columns:
        table.add_column(column.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*(seen(_cell(row.get(c))) for c in columns))
    # Markup in a stranger's label must show as text, never as colour.
    Console(markup=False, highlight=False).print(table)


def seen(text: str) -> str:
    """Text without what would steer the terminal, or turn the words around it."""
    return "".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in text)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
