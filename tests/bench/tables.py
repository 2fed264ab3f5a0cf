"""Figures as tables that can be read in a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from tests.bench.measure import Row

_WIDEST = 8  # columns that have room side by side


def show(title: str, rows: list[Row]) -> None:
    """Print figures as a table; one that is too wide is turned."""
    rows = turned(rows) if rows and len(rows[0]) > _WIDEST else rows
    table = Table(title=title, title_justify="left")
    columns = list(rows[0]) if rows else ["nothing to measure here: ../shared is not there"]
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left")
    for row in rows:
        table.add_row(*(_figure(row[column]) for column in columns))
    Console().print(table)


def turned(rows: list[Row]) -> list[Row]:
    """A line for each figure and a column for each row: what is too wide can be read so."""
    first, *figures = rows[0]
    lines: list[Row] = []
    for name in figures:
        line: Row = {first: name}
        lines.append(line | {str(row[first]): row[name] for row in rows})
    return lines


def _figure(value: str | float | int) -> str:
    return (
        f"{value:,.3f}"
        if isinstance(value, float)
        else f"{value:,}"
        if isinstance(value, int)
        else value
    )
