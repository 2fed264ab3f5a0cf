"""Hold a release against the gates of data/rules/expectations.toml, each relative to the last one.

Everything is read back from the folder as a stranger would read it, so that what is checked is what
is published; and every gate runs before the first published file is replaced.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.reconcile import Limits
from pipeline.release import (
    BOTH,
    NAMES,
    Release,
    as_text,
    damage,
    read_csv,
    read_release,
    spec,
    to_pandas,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import pandas as pd
    import pyarrow as pa

RULES = Path(__file__).parents[1] / "data" / "rules" / "expectations.toml"
REACHED = ("ok", "not_modified")
BY_HAND = "P8.1"
SHOWN = 5


class ChecksError(ValueError):
    """The gates cannot be used as asked; says which, and what to write instead."""


@dataclass(frozen=True, slots=True)
class Gate:
    """One expectation, as its row in expectations.toml has it."""

    name: str
    severity: str
    reason: str
    limit: float
    at_least: int


@dataclass(frozen=True, slots=True)
class Finding:
    """A gate that did not pass, and why; `allowed` is the reason of the person who lets it pass."""

    gate: str
    severity: str
    message: str
    reason: str
    allowed: str = ""

    @property
    def refuses(self) -> bool:
        """Whether the release must not be published for it."""
        return self.severity == "fatal" and not self.allowed


def limits(path: Path = RULES) -> Limits:
    """How long the ledger waits, in days and crawls."""
    rows = _rules(path)["history"]
    return Limits(**{name: int(row["value"]) for name, row in rows.items()})


def gates(path: Path = RULES) -> dict[str, Gate]:
    """The gates by name, in the order of the file."""
    return {
        name: Gate(
            name,
            row["severity"],
            row["reason"],
            float(row.get("limit", 0.0)),
            int(row.get("at_least", 0)),
        )
        for name, row in _rules(path)["gate"].items()
    }


@cache
def _rules(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text("utf-8"))


def check(
    folder: Path, last: Release | None = None, allow: Mapping[str, str] | None = None
) -> list[Finding]:
    """Check a release folder; every gate that did not pass, in the order of the file.

    Args:
        folder: The release.
        last: The release before, with which shares are compared; without it those gates pass.
        allow: Gate → reason, for gates that a person lets pass this once.

    Raises:
        ChecksError: `allow` names no gate, or gives no reason.
        ReleaseError: The folder is no release, or a table cannot be read at all.
    """
    known, allow = gates(), allow or {}
    vet(allow)
    found = _faults(folder, last, known)
    return [
        Finding(gate.name, gate.severity, found[name], gate.reason, allow.get(name, ""))
        for name, gate in known.items()
        if name in found
    ]


def vet(allow: Mapping[str, str]) -> None:
    """Make sure that gates can be let pass as asked: each exists, and has a reason.

    Raises:
        ChecksError: One does not.
    """
    known = gates()
    for name, why in allow.items():
        if name not in known:
            raise ChecksError(f"no gate is called '{name}'; the gates are {', '.join(known)}")
        if not why.strip():
            raise ChecksError(f"gate {name} is let pass without a reason; give one")


def _faults(folder: Path, last: Release | None, known: Mapping[str, Gate]) -> dict[str, str]:
    """Gate → what failed it; the content is looked at only when the files are in order."""
    wanted = [f"{name}.parquet" for name in NAMES] + [f"{name}.csv" for name in BOTH]
    if torn := damage(folder, wanted):
        return {"files_whole": _few(torn)}
    new = read_release(folder)
    return dict(_file_faults(new)) or dict(_content_faults(new, last, known))


# --- Files -----------------------------------------------------------------------------------


def _file_faults(new: Release) -> Iterator[tuple[str, str]]:
    """Where the files do not fit the schema, or each other."""
    folder, tables = new.folder, new.tables
    strange = [f"{name}: {fault}" for name in NAMES for fault in _table_faults(name, tables[name])]
    if strange:
        yield "tables_fit", _few(strange)
    differ = [
        name for name in BOTH if not read_csv(folder / f"{name}.csv").equals(_plain(tables[name]))
    ]
    if differ:
        yield "formats_agree", f"CSV and Parquet differ: {', '.join(differ)}"


def _table_faults(name: str, rows: pa.Table) -> list[str]:
    return spec(name).faults(rows)


def _plain(rows: pa.Table) -> pa.Table:
    return as_text(rows).replace_schema_metadata(None)


# --- Content ---------------------------------------------------------------------------------


def _content_faults(
    new: Release, last: Release | None, known: Mapping[str, Gate]
) -> Iterator[tuple[str, str]]:
    alone: dict[str, Callable[[Release], list[str]]] = {
        "crawl_whole": _unfinished,
        "rows_present": _empty,
        "councils_listed": _unlisted,
        "primaries_double": _doubled,
        "evidence_missing": _unproven,
        "links_unsafe": _unsafe,
    }
    for name, gate in alone.items():
        if faults := gate(new):
            yield name, _few(faults)
    if last is None:
        return
    relative: dict[str, Callable[[Release, Release, Gate], list[str]]] = {
        "councils_reached": _unreached,
        "accounts_total": lambda n, o, g: _fewer(_live(n), _live(o), [], g),
        "accounts_by_platform": lambda n, o, g: _fewer(_live(n), _live(o), ["platform"], g),
        "accounts_by_nation": lambda n, o, g: _fewer(_live(n), _live(o), ["nation"], g),
        "councils_halved": _halved,
        "primaries_changed": _replaced,
    }
    for name, compare in relative.items():
        if faults := compare(new, last, known[name]):
            yield name, _few(faults)


def _few(faults: list[str]) -> str:
    more = f" and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
    return "; ".join(faults[:SHOWN]) + more


def _unfinished(new: Release) -> list[str]:
    crawls = new.run.get("crawls", [])
    return [f"{crawl['crawl_id']} did not end whole" for crawl in crawls if not crawl["finished"]]


def _empty(new: Release) -> list[str]:
    names = ("directory", "accounts", "coverage", "observations", "fetches")
    return [f"{name} has no rows" for name in names if not new.tables[name].num_rows]


def _unlisted(new: Release) -> list[str]:
    register, listed = new.frame("councils"), new.frame("directory")["council_id"]
    current = register.loc[register["status"].eq("current"), "council_id"]
    return [f"{c} is not in the directory" for c in sorted(set(current) - set(listed))] + [
        f"{c} is in the directory and not current" for c in sorted(set(listed) - set(current))
    ]


def _doubled(new: Release) -> list[str]:
    accounts = new.frame("accounts")
    slots = accounts[accounts["is_primary"]].fillna({"language": ""})
    twice = slots[slots.duplicated(["council_id", "platform", "language"])]
    return (twice["council_id"] + " " + twice["platform"]).tolist()


def _unproven(new: Release) -> list[str]:
    accounts = new.frame("accounts")
    bare = accounts["evidence_url"].isna() | accounts["evidence_region"].isna()
    by_hand = accounts["decided_by"].str.startswith(BY_HAND) & accounts["evidence_text"].notna()
    return accounts.loc[bare & ~by_hand, "url"].tolist()


def _unsafe(new: Release) -> list[str]:
    urls = new.frame("accounts")["url"]
    fair = urls.str.fullmatch(r"https://[^\s\"<>\\^`{|}\x00-\x20\x7f]+")
    return urls[~fair].tolist()


# --- Against the release before --------------------------------------------------------------


def _live(release: Release) -> pd.DataFrame:
    """The accounts that are not missing, with the nation of their council."""
    accounts = release.frame("accounts")
    nations = release.frame("councils").set_index("council_id")["nation"]
    live = accounts[accounts["status"].ne("missing")]
    return live.assign(nation=live["council_id"].map(nations))


def _unreached(new: Release, last: Release, gate: Gate) -> list[str]:
    """Councils whose home page was read, of those that both releases list."""
    now, then = (r.frame("directory").set_index("council_id")["check_outcome"] for r in (new, last))
    both = now.index.intersection(then.index)
    reached, before = (int(o.reindex(both).isin(REACHED).sum()) for o in (now, then))
    if before >= gate.at_least and reached < gate.limit * before:
        return [f"{reached} councils reached, {before} in the last release"]
    return []


def _fewer(now: pd.DataFrame, then: pd.DataFrame, by: list[str], gate: Gate) -> list[str]:
    """Groups of accounts that shrank below the gate's limit."""
    group: list[str] = by or ["all"]
    counts = [frame.assign(all="in all").groupby(group[0]).size() for frame in (now, then)]
    new, old = counts[0].reindex(counts[1].index, fill_value=0), counts[1]
    shrunk = (new < gate.limit * old) & (old >= gate.at_least)
    return [f"accounts {g}: {new[g]}, were {old[g]}" for g in sorted(old.index[shrunk])]


def _halved(new: Release, last: Release, gate: Gate) -> list[str]:
    """Councils that stay, and lost more than half of their accounts: named if they are too many."""
    here = set(new.frame("directory")["council_id"])
    then = _live(last).groupby("council_id").size()
    then = then[then.index.isin(here)]
    now = _live(new).groupby("council_id").size().reindex(then.index, fill_value=0)
    halved = then.index[(now < then / 2) & (then > 1)]
    if len(halved) < gate.at_least or len(halved) <= gate.limit * len(then):
        return []
    return [f"{c}: {now[c]} accounts, were {then[c]}" for c in sorted(halved)]


def _replaced(new: Release, last: Release, gate: Gate) -> list[str]:
    """Primaries that are another account now: named if they are too many."""
    now, then = _primaries(new), _primaries(last)
    both = now.index.intersection(then.index)
    other = both[now.reindex(both).ne(then.reindex(both))]
    if len(other) < gate.at_least or len(other) <= gate.limit * len(both):
        return []
    return [f"{council} {platform}" for council, platform, _ in sorted(other)]


def _primaries(release: Release) -> pd.Series:
    accounts = to_pandas(release.tables["accounts"]).fillna({"language": ""})
    shown = accounts[accounts["is_primary"]]
    return shown.set_index(["council_id", "platform", "language"])["account_id"]
