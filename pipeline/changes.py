"""Tell what differs between two releases: as a table, a version, Markdown and an Atom feed.

The reasons come from the newer release's ledger, so a change means the same whether the build made
it or somebody compares two releases years later.
"""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pandas as pd

from pipeline.codes import uncoded
from pipeline.reconcile import standing
from pipeline.schema import CHANGES, TABLES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

COLUMNS = TABLES["changes"].names
KEY = list(TABLES["changes"].key)
FIRST = "1.0.0"
FEED_ENTRIES = 200
ATOM = "http://www.w3.org/2005/Atom"
WORDS = {
    "added": "added",
    "removed": "removed",
    "moved": "moved to another council",
    "renamed": "renamed",
    "status": "with another status",
    "scope": "with another scope",
}
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def changes(
    old: pd.DataFrame,
    new: pd.DataFrame,
    history: pd.DataFrame,
    release: str,
    released: pd.Timestamp,
) -> pd.DataFrame:
    """What differs between the accounts of two releases.

    Args:
        old: The accounts of the older release.
        new: The accounts of the newer one.
        history: The ledger of the newer one, which holds the reasons.
        release: Its version.
        released: Its time.

    Returns:
        The table changes, sorted by its key. An account that was renamed or moved is one row, not
        one removed and one added.
    """
    before, after = old.set_index("account_id"), new.set_index("account_id")
    ledger = standing(history)
    left = before[~before.index.isin(after.index)].join(ledger[["renamed_to", "reason"]])
    follows = left["renamed_to"].isin(after.index)
    followed = _followed(left[follows], after)
    came = after[~after.index.isin(before.index) & ~after.index.isin(followed["account_id"])]
    parts = [
        followed,
        _one_sided(came.join(ledger["reason"]), "added", "new"),
        _one_sided(left[~follows], "removed", "old"),
        _changed(before, after, ledger["reason"], "status"),
        _changed(before, after, "by rule " + after["decided_by"].astype("str"), "scope"),
    ]
    table = pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)
    table = table.assign(release=release, released=released)
    table["reason"] = table["reason"].fillna("not told by the ledger")
    return table[COLUMNS].drop_duplicates(KEY).sort_values(KEY, ignore_index=True)


def _followed(left: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    """Accounts that go on under another id: moved where the council differs, else renamed."""
    now = after.reindex(left["renamed_to"])
    moved = left["council_id"].to_numpy() != now["council_id"].to_numpy()
    council = pd.Series(left["council_id"].to_numpy(), dtype="str")
    handle = pd.Series(left["handle"].to_numpy(), dtype="str")
    now = now.rename_axis("account_id").reset_index()
    return pd.DataFrame(
        {
            "change": pd.Series("renamed", index=now.index, dtype="str").mask(moved, "moved"),
            "account_id": now["account_id"],
            "council_id": now["council_id"],
            "platform": now["platform"],
            "field": pd.Series("handle", index=now.index, dtype="str").mask(moved, "council_id"),
            "old": handle.mask(moved, council),
            "new": now["handle"].mask(moved, now["council_id"]),
            "reason": pd.Series(left["reason"].to_numpy(), dtype="str"),
            "evidence_url": now["evidence_url"],
        }
    )


def _one_sided(rows: pd.DataFrame, change: str, side: str) -> pd.DataFrame:
    """Accounts that only one of the releases has, with their address on its side."""
    table = rows.reset_index()[
        ["account_id", "council_id", "platform", "reason", "evidence_url", "url"]
    ]
    empty = pd.Series(None, index=table.index, dtype="str")
    table = table.assign(change=change, field=empty, old=empty, new=empty)
    table[side] = table["url"]
    return table.drop(columns="url")


def _changed(
    before: pd.DataFrame, after: pd.DataFrame, reason: pd.Series, field: str
) -> pd.DataFrame:
    both = after.index[after.index.isin(before.index)]
    was, now = before[field].reindex(both), after[field].reindex(both)
    differ = both[was.ne(now)]
    rows = after.loc[differ, ["council_id", "platform", "evidence_url"]]
    return rows.assign(
        change=field,
        field=field,
        old=was.reindex(differ),
        new=now.reindex(differ),
        reason=reason.reindex(differ),
    ).reset_index()


# --- Versions --------------------------------------------------------------------------------


def level(old: Mapping[str, pa.Table], new: Mapping[str, pa.Table]) -> str:
    """The largest kind of difference between two releases: schema, rows or values.

    `schema`: a column is gone, moved or of another type, which breaks importers. `rows`: the
    councils of the directory or the accounts differ, or a column is new. `values`: the rest.
    """
    for name in new:
        if name in old and _breaks(*(uncoded(tables[name].schema) for tables in (old, new))):
            return "schema"
    grown = any(name not in old or old[name].schema.names != new[name].schema.names for name in new)
    rows = any(
        set(old[name][key].to_pylist()) != set(new[name][key].to_pylist())
        for name, key in (("directory", "council_id"), ("accounts", "account_id"))
    )
    return "rows" if grown or rows else "values"


def _breaks(old: pa.Schema, new: pa.Schema) -> bool:
    kept = [name for name in new.names if name in old.names]
    return kept != old.names or any(old.field(n).type != new.field(n).type for n in kept)


def next_version(last: str | None, kind: str, taken: Sequence[str] = ()) -> str:
    """The version after `last`: its numbers count schemas, rows and values.

    The first release is 1.0.0. A version that is `taken`, by a release that was rolled back, is
    passed over.
    """
    if last is None:
        return FIRST
    numbers = [int(part) for part in last.split(".")]
    at = {"schema": 0, "rows": 1, "values": 2}[kind]
    while True:
        numbers = [*numbers[:at], numbers[at] + 1, *[0] * (2 - at)]
        version = ".".join(map(str, numbers))
        if version not in taken:
            return version


def summary(table: pd.DataFrame) -> str:
    """The changes in one line, such as '3 added, 1 renamed'."""
    counts = table["change"].value_counts()
    told = [f"{counts[kind]} {WORDS[kind]}" for kind in CHANGES if kind in counts.index]
    return "accounts: " + ", ".join(told) if told else "no account changed"


# --- For people ------------------------------------------------------------------------------


def markdown(table: pd.DataFrame, councils: pd.DataFrame, title: str) -> str:
    """The changes as Markdown for a pull request or an e-mail: one table for each kind."""
    named = _with_names(table, councils)
    parts = [f"# {title}", "", f"{summary(table)[0].upper()}{summary(table)[1:]}."]
    for kind in CHANGES:
        rows = named[named["change"] == kind]
        if rows.empty:
            continue
        parts += [
            "",
            f"## {len(rows)} {WORDS[kind]}",
            "",
            "| Council | Network | Old | New | Why |",
        ]
        parts += ["| --- | --- | --- | --- | --- |"]
        cells = rows[["name", "platform", "old", "new", "reason"]].fillna("").apply(as_markdown)
        parts += [f"| {' | '.join(row)} |" for row in cells.to_numpy()]
    return "\n".join(parts) + "\n"


def as_markdown(column: pd.Series) -> pd.Series:
    """Text that Markdown shows as it is: nothing in it makes a link, an image, markup or a cell."""
    plain = column.astype("str").str.replace(r"\s+", " ", regex=True)
    return plain.str.replace(r"([\\`*_{}\[\]<>#|!~])", r"\\\1", regex=True)


def _with_names(table: pd.DataFrame, councils: pd.DataFrame) -> pd.DataFrame:
    names = councils.set_index("council_id")["name"]
    return table.assign(name=table["council_id"].map(names).fillna(table["council_id"]))


def atom(log: pd.DataFrame, councils: pd.DataFrame, updated: pd.Timestamp) -> bytes:
    """The changelog as an Atom feed: one entry per release and council, the newest first.

    The id of an entry is made of release and council, so it never changes from release to release
    and a reader shows each entry once.
    """
    named = _with_names(log, councils)
    line = named["platform"] + " " + named["change"] + ": "
    line = line + named["old"].fillna("–") + " → " + named["new"].fillna("–")
    named = named.assign(line=line + " (" + named["reason"] + ")")
    named = named.sort_values(["released", "council_id", *KEY], ascending=[False, *[True] * 4])
    entries = named.groupby(["release", "council_id"], sort=False).agg(
        {"released": "first", "name": "first", "line": "\n".join}
    )
    feed = _element(None, "feed")
    _element(feed, "id", _urn("feed"))
    _element(feed, "title", "Digital Councils: changes")
    _element(feed, "updated", _iso(updated))
    _element(_element(feed, "author"), "name", "Digital Councils")
    newest = entries.head(FEED_ENTRIES).reset_index()
    for release, council, released, name, lines in newest.itertuples(index=False, name=None):
        entry = _element(feed, "entry")
        _element(entry, "id", _urn(f"{release}/{council}"))
        _element(entry, "title", f"{name}: changes in release {release}")
        _element(entry, "updated", _iso(released))
        _element(entry, "content", lines).set("type", "text")
    ET.indent(feed)
    return bytes(ET.tostring(feed, encoding="utf-8", xml_declaration=True)) + b"\n"


def _element(parent: ET.Element | None, name: str, text: str | None = None) -> ET.Element:
    tag = f"{{{ATOM}}}{name}"
    element = ET.Element(tag) if parent is None else ET.SubElement(parent, tag)
    element.text = None if text is None else _NOT_XML.sub(" ", text)
    return element


def _urn(path: str) -> str:
    return uuid.uuid5(uuid.NAMESPACE_URL, f"digital-councils/changes/{path}").urn


def _iso(time: pd.Timestamp) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


ET.register_namespace("", ATOM)
