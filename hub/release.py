"""Read a release folder: the published tables as rows of plain Python values.

Only files that anyone can download are read. What the hub cannot show from them, the contract of
the release does not hold.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

if TYPE_CHECKING:
    from pathlib import Path

Row = dict[str, Any]

NEEDED = (
    "councils",
    "directory",
    "accounts",
    "coverage",
    "changelog",
    "history",
    "versions",
)


LINKED = (("directory", "website"), ("accounts", "url"), ("accounts", "evidence_url"))


class HubError(ValueError):
    """The release or a text cannot be made into a site; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Release:
    """A release, read: its tables as rows, its description, and the day that it speaks of."""

    folder: Path
    package: Row
    councils: list[Row]
    directory: list[Row]
    accounts: list[Row]
    coverage: list[Row]
    changelog: list[Row]
    history: list[Row]
    versions: list[Row]
    as_of: datetime

    @property
    def version(self) -> str:
        """The version of the data, as the data package gives it."""
        return str(self.package.get("version", ""))

    @property
    def networks(self) -> list[str]:
        """Published platform ids: the order of the directory's columns, then any other in use."""
        columns = list(self.directory[0]) if self.directory else []
        named = [c.removesuffix("_url") for c in columns if c.endswith("_url")]
        order = [name for name in named if name != "google"]
        return order + sorted({row["platform"] for row in self.accounts} - set(order))


def read_release(folder: Path) -> Release:
    """Read the folder's tables and data package.

    Raises:
        HubError: a file is missing or unreadable, or no row says when it was checked.
    """
    tables = {name: _table(folder / f"{name}.parquet") for name in NEEDED}
    _refuse_strange_addresses(folder, tables)
    return Release(
        folder=folder,
        package=_package(folder / "datapackage.json"),
        as_of=_as_of(folder, tables),
        **tables,
    )


def _table(path: Path) -> list[Row]:
    try:
        rows: list[Row] = pq.read_table(path).to_pylist()
    except (OSError, ValueError) as error:
        raise HubError(f"{path}: not a readable Parquet table of a release ({error})") from error
    return rows


def _refuse_strange_addresses(folder: Path, tables: dict[str, list[Row]]) -> None:
    """An address becomes a link, and a link that begins with anything else could run a script."""
    for name, column in LINKED:
        for row in tables[name]:
            if row[column] and not row[column].startswith(("https://", "http://")):
                raise HubError(
                    f"{folder / name}.parquet: {column} of {row['council_id']} is "
                    f"{row[column][:80]!r}; write an address that begins with https://"
                )


def _package(path: Path) -> Row:
    try:
        package: Row = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise HubError(f"{path}: a release needs a readable datapackage.json ({error})") from error
    return package


def _as_of(folder: Path, tables: dict[str, list[Row]]) -> datetime:
    """The latest time at which anything was looked at: the site's only clock."""
    times: list[datetime] = [
        row["last_checked"]
        for name in ("accounts", "coverage")
        for row in tables[name]
        if row["last_checked"]
    ]
    days = [row["checked_on"] for row in tables["directory"] if row["checked_on"]]
    times += [datetime.combine(day, time(), UTC) for day in days]
    if not times:
        raise HubError(f"{folder}: no row says when it was checked; nothing to date the site by")
    return max(times)


def plain(value: object) -> object:
    """A value as JSON and CSV carry it: times as ISO 8601 in UTC, whole seconds."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, date):
        return value.isoformat()
    return value
