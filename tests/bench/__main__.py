"""`make bench`: what we do beside what the peers do, on the same input in the same run.

Prints tables and writes `build/bench.json`. Speeds are ratios within the run; the labelled cases
and pages lie in `../shared`, and without them only the speeds are measured.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from tests.bench import pages, urls

if TYPE_CHECKING:
    from tests.bench.measure import Row

OUT = Path(__file__).parents[2] / "build" / "bench.json"


def main() -> None:
    """Run every section, print its table, and write all figures as JSON."""
    sections = {"URL to account": urls.scores(), "URLs a second": urls.speeds()}
    sections |= {"Page to accounts": pages.scores(), "Pages a second": pages.speeds()}
    for title, rows in sections.items():
        _print(title, rows)
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps(sections, indent=2) + "\n", encoding="utf-8")
    Console().print(f"Written to {OUT.relative_to(Path.cwd())}")


def _print(title: str, rows: list[Row]) -> None:
    table = Table(title=title, title_justify="left")
    columns = list(rows[0]) if rows else ["nothing to measure here: ../shared is not there"]
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left")
    for row in rows:
        table.add_row(*(_figure(row[column]) for column in columns))
    Console().print(table)


def _figure(value: str | float | int) -> str:
    return (
        f"{value:,.3f}"
        if isinstance(value, float)
        else f"{value:,}"
        if isinstance(value, int)
        else value
    )


if __name__ == "__main__":
    main()
