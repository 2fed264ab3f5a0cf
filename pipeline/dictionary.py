"""Write the data dictionary, docs/dictionary.md, from the schema.

Run as `python -m pipeline.dictionary`; a test fails while the file and the schema differ.
"""

from __future__ import annotations

from pathlib import Path

from pipeline.platforms import load_rules
from pipeline.schema import TABLES, Column, Table, directory

FILE = Path(__file__).parents[1] / "docs" / "dictionary.md"
HEAD = """# Data dictionary

Every table that a crawl or a release holds. This page is written from `pipeline/schema.py` by
`python -m pipeline.dictionary`; change it there. `?` marks a column that may be empty.
"""


def dictionary() -> str:
    """All tables as Markdown, the A–Z first, with type, meaning and values of each column."""
    tables = [directory(load_rules().published), *TABLES.values()]
    return "\n".join([HEAD, *(_table(table) for table in tables)])


def _table(table: Table) -> str:
    key = f"\nA row is known by {', '.join(table.key)}.\n" if table.key else ""
    head = f"## {table.name}\n\n{table.description}.\n{key}\n"
    head += "| Column | Type | Meaning |\n| --- | --- | --- |\n"
    return head + "".join(_row(column) for column in table.columns)


def _row(column: Column) -> str:
    values = f": {', '.join(column.values)}" if column.values else ""
    mark = "?" if column.nullable else ""
    return f"| {column.name}{mark} | {column.type} | {column.description}{values} |\n"


if __name__ == "__main__":
    FILE.write_text(dictionary(), encoding="utf-8")
