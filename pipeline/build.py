"""Make a release of crawl folders and the release before: the order of the steps, and nothing else.

No clock is asked: 'now' is the time of the latest fetch, so that the same input gives the same
bytes on any day.
"""

from __future__ import annotations

import hashlib
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from pipeline import changes as difference
from pipeline.attribute import attribute
from pipeline.checks import Finding, check, limits
from pipeline.codes import to_frame
from pipeline.coverage import coverage, looks, rejections
from pipeline.directory import directory
from pipeline.identify import identify_table
from pipeline.ingest import IngestError, carried, latest, read_crawls
from pipeline.overrides import in_force, unused_overrides
from pipeline.platforms import Account, default_rules, identify
from pipeline.reconcile import account_ids, reconcile
from pipeline.register import on_day
from pipeline.release import (
    NAMES,
    REPORT,
    RUN,
    TIME_FORM,
    Release,
    in_order,
    parquet_bytes,
    place,
    read_release,
    spec,
    to_arrow,
    to_pandas,
    workshop,
    write_json,
    write_tables,
)
from pipeline.report import Facts, report
from pipeline.signals import KEY, with_partners

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pyarrow as pa

    from pipeline.ingest import Crawl

RULES = Path(__file__).parents[1] / "data" / "rules"
REFUSED = ".refused"
# Councils that an error names before it only counts them.
SHOWN = 5
# The tables of which the report tells.
TOLD = (
    "directory",
    "accounts",
    "coverage",
    "changes",
    "councils",
    "fetches",
    "rejections",
    "versions",
)


@dataclass(frozen=True, slots=True)
class BuildReport:
    """What a build came to.

    Attributes:
        folder: Where the release stands; where it is kept aside when it was refused.
        version: Of the release.
        last_version: Of the release before.
        findings: Gates that did not pass, warnings among them.
        changes: The table changes.
        counts: Rows of each table.
        warnings: What was left out on reading.
    """

    folder: Path
    version: str
    last_version: str | None
    findings: tuple[Finding, ...]
    changes: pd.DataFrame
    counts: Mapping[str, int]
    warnings: tuple[str, ...]

    @property
    def published(self) -> bool:
        """Whether every gate passed, or was let pass."""
        return not any(finding.refuses for finding in self.findings)


def build(
    crawls: Sequence[Path],
    out: Path,
    previous: Path | None,
    register: pd.DataFrame,
    overrides: pd.DataFrame,
    *,
    allow: Mapping[str, str] | None = None,
    taken: Sequence[str] = (),
    on_check: Callable[[], None] = lambda: None,
) -> BuildReport:
    """Build a release and put it at `out`, or beside it at `out.refused` when a gate refuses it.

    Args:
        crawls: Crawl folders, in any number.
        out: Where the release shall stand; one that stands there is replaced in one step.
        previous: The release before, whose ledger is carried on.
        register: All councils, as load_register returns them.
        overrides: What people decided, as load_overrides returns it.
        allow: Gate → reason, for gates that a person lets pass this once.
        taken: Versions that must not be used again.
        on_check: Called when the release is made and its checks begin.

    Raises:
        IngestError, ReleaseError, ChecksError: An input cannot be used; says which, and why.
    """
    last = None if previous is None else read_release(previous)
    crawl = read_crawls(crawls)
    _check_listed(crawl, crawls, register)
    crawl = _ordered(crawl, last)
    with ThreadPoolExecutor(1) as meanwhile:  # the observations are final, and most of the bytes
        observations = meanwhile.submit(parquet_bytes, crawl.links)
        made = make_tables(crawl, last, register, overrides, taken)
        ready = {"observations.parquet": observations.result()}
    folder = workshop(out)
    try:
        now = made.now.strftime(TIME_FORM)
        write_tables(folder, made.tables, made.version, now, ready)
        write_json(folder / RUN, {"crawls": _told_of(crawl)})  # the checks ask how they ended
        on_check()
        findings = tuple(check(folder, last, allow))
        result = _result(made, last, crawl, findings, out)
        _write_words(folder, made, result, crawl, now)
        if not result.published:
            shutil.rmtree(result.folder, ignore_errors=True)
        place(folder, result.folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return result


def _check_listed(crawl: Crawl, folders: Sequence[Path], register: pd.DataFrame) -> None:
    """Make sure that the register knows every council of the crawl."""
    strange = sorted(
        {*crawl.fetches["council_id"].unique().to_pylist()} - {*register["council_id"]}
    )
    if strange:
        names = ", ".join(str(folder) for folder in folders)
        more = f" and {len(strange) - SHOWN} more" if len(strange) > SHOWN else ""
        raise IngestError(
            f"{names}: has pages of {', '.join(strange[:SHOWN])}{more}, which the register does "
            "not list; name the register of the crawl with --register, or add the council to yours"
        )


def _ordered(crawl: Crawl, last: Release | None) -> Crawl:
    """A crawl with what it did not ask for again, its links in the order of a release."""
    if last is not None:
        crawl = carried(crawl, last.tables["fetches"], last.tables["observations"])
    return replace(crawl, links=in_order(crawl.links, spec("observations")))


@dataclass(frozen=True, slots=True)
class Made:
    """The tables of a release before they are written, and what the report needs beside them."""

    tables: Mapping[str, pa.Table]
    version: str
    level: str
    now: pd.Timestamp
    unused: pd.DataFrame


def make_tables(
    crawl: Crawl,
    last: Release | None,
    register: pd.DataFrame,
    overrides: pd.DataFrame,
    taken: Sequence[str] = (),
) -> Made:
    """Every table of the new release, as schema.py describes it, of a crawl with links in order."""
    now = pd.Timestamp(latest(crawl.fetches), tz="UTC")
    register = on_day(register, now.date())
    networks = default_rules().published
    frames = {name: _before(last, name) for name in ("accounts", "history", "coverage")}
    fetches = to_pandas(crawl.fetches)
    identified = identify_table(to_frame(crawl.links), resolved(fetches))
    signals = attribute(identified, fetches, register, overrides)
    both = with_partners(fetches, register)
    wait = limits()
    result = reconcile(
        _with_rejected(signals, overrides, now),
        frames["accounts"],
        frames["history"],
        both,
        register,
        renames(fetches),
        wait,
        now,
    )
    looked = looks(both)
    new = {
        "accounts": result.accounts,
        "history": result.history,
        "councils": register,
        "signals": signals,
        "rejections": rejections(identified, signals),
        "coverage": coverage(
            result.accounts, looked, register, networks, frames["coverage"], wait.carry_days, now
        ),
        "directory": directory(
            result.accounts, looked, register, networks, _before(last, "directory")
        ),
    }
    tables = {name: to_arrow(frame, spec(name)) for name, frame in new.items()}
    tables["fetches"] = in_order(crawl.fetches, spec("fetches"))
    tables["observations"] = crawl.links
    return _versioned(tables, last, now, taken, unused_overrides(overrides, signals, now))


def resolved(fetches: pd.DataFrame) -> dict[str, str]:
    """Short link → the address that it leads to, as this crawl was told."""
    told = fetches[fetches["purpose"].eq("short_link") & fetches["final_url"].notna()]
    told = told.sort_values("fetched_at")
    return dict(zip(told["url"], told["final_url"], strict=True))


def renames(fetches: pd.DataFrame) -> pd.DataFrame:
    """Accounts whose address was seen to lead to another of the same network.

    Returns `council_id`, `old` and `new`, the latter two as account_ids.
    """
    told = fetches[fetches["purpose"].eq("short_link") & fetches["final_url"].notna()]
    told = told.drop_duplicates(["council_id", "url"], keep="last")
    sides = []
    for column in ("url", "final_url"):
        found = {url: identify(url) for url in told[column].unique()}
        known = {u: (a.platform, a.key) for u, a in found.items() if isinstance(a, Account)}
        side = told[["council_id"]].assign(
            platform=told[column].map({u: platform for u, (platform, _) in known.items()}),
            account_key=told[column].map({u: key for u, (_, key) in known.items()}),
        )
        sides.append(side)
    old, new = sides
    same = old["platform"].eq(new["platform"]) & old["account_key"].ne(new["account_key"])
    old, new = old[same], new[same]
    table = pd.DataFrame(
        {"council_id": old["council_id"], "old": account_ids(old), "new": account_ids(new)}
    )
    return table.reset_index(drop=True)


def _before(last: Release | None, name: str) -> pd.DataFrame:
    """A table of the release before; without rows for the first release."""
    return to_pandas(spec(name).arrow().empty_table()) if last is None else last.frame(name)


def _with_rejected(
    signals: pd.DataFrame, overrides: pd.DataFrame, now: pd.Timestamp
) -> pd.DataFrame:
    """The signals, with accounts that a person rejected though no page shows them any more."""
    rejected = in_force(overrides, now)
    rejected = rejected[rejected["action"].eq("reject")][[*KEY, "author", "decided_on"]]
    decided = "P8.1 reject by " + rejected["author"] + " on " + rejected["decided_on"].astype("str")
    rows = rejected[KEY].assign(decided_by=decided)
    known = pd.MultiIndex.from_frame(signals[KEY])
    unseen = rows[~pd.MultiIndex.from_frame(rows[KEY]).isin(known)]
    if unseen.empty:
        return signals
    return pd.concat([signals, unseen], ignore_index=True)


def _versioned(
    tables: dict[str, pa.Table],
    last: Release | None,
    now: pd.Timestamp,
    taken: Sequence[str],
    unused: pd.DataFrame,
) -> Made:
    """Add the tables that tell of the difference from the release before."""
    level = "first" if last is None else difference.level(last.tables, tables)
    version = difference.next_version(last.version if last else None, level, taken)
    accounts, history = to_pandas(tables["accounts"]), to_pandas(tables["history"])
    table = _before(None, "changes")
    if last is not None:
        table = difference.changes(last.frame("accounts"), accounts, history, version, now)
    told = "the first release" if last is None else difference.summary(table)
    line = pd.DataFrame(
        {"version": [version], "released": [now], "level": [level], "summary": [told]}
    )
    new = {
        "changes": table,
        "changelog": _joined(_before(last, "changelog"), table),
        "versions": _joined(_before(last, "versions"), line),
    }
    tables |= {name: to_arrow(frame, spec(name)) for name, frame in new.items()}
    return Made(tables, version, level, now, unused)


def _joined(old: pd.DataFrame, new: pd.DataFrame) -> pd.DataFrame:
    parts = [part for part in (old, new) if len(part)]
    return pd.concat(parts, ignore_index=True) if parts else new


def _result(
    made: Made,
    last: Release | None,
    crawl: Crawl,
    findings: tuple[Finding, ...],
    out: Path,
) -> BuildReport:
    refused = any(finding.refuses for finding in findings)
    return BuildReport(
        out.with_name(out.name + REFUSED) if refused else out,
        made.version,
        last.version if last else None,
        findings,
        to_pandas(made.tables["changes"]),
        {name: made.tables[name].num_rows for name in NAMES},
        crawl.warnings,
    )


def _write_words(folder: Path, made: Made, result: BuildReport, crawl: Crawl, now: str) -> None:
    """Write what is for people, and what tells how the release was made."""
    frames = {name: to_pandas(made.tables[name]) for name in TOLD}
    facts = Facts(
        version=result.version,
        last_version=result.last_version,
        findings=result.findings,
        tables=frames,
        unused_overrides=made.unused,
        warnings=crawl.warnings,
        crawls=crawl.runs,
    )
    (folder / REPORT).write_bytes(report(facts).encode())
    log = to_pandas(made.tables["changelog"])
    title = f"Release {result.version}: changes"
    listed = difference.markdown(frames["changes"], frames["councils"], title)
    (folder / "changes.md").write_bytes(listed.encode())
    (folder / "changes.atom").write_bytes(difference.atom(log, frames["councils"], made.now))
    write_json(folder / RUN, _run(made, result, crawl, now))


def _told_of(crawl: Crawl) -> list[dict[str, Any]]:
    return [{key: run.get(key) for key in ("crawl_id", "kind", "finished")} for run in crawl.runs]


def _run(made: Made, result: BuildReport, crawl: Crawl, now: str) -> dict[str, Any]:
    return {
        "version": result.version,
        "last_version": result.last_version,
        "level": made.level,
        "released": now,
        "published": result.published,
        "crawls": _told_of(crawl),
        "rows": dict(result.counts),
        "findings": [asdict(finding) for finding in result.findings],
        "warnings": [
            Path(w.partition(":")[0]).name + ":" + w.partition(":")[2] for w in crawl.warnings
        ],
        "unused_overrides": made.unused[["row", "fault"]].to_dict("records"),
        "rules": {
            path.name: f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
            for path in sorted(RULES.iterdir())
            if path.is_file()
        },
    }
