"""What a person should decide, most consequential first; and the override that a decision makes.

The rules settle most accounts. The few that they settle by a hair, or that changed, come here with
their evidence side by side, so that a person spends minutes and the answer is kept with a reason.
"""

from __future__ import annotations

import csv
from datetime import date, timedelta
from typing import TYPE_CHECKING, TextIO

import pandas as pd

from pipeline.attribute import chance
from pipeline.explain import rule_words
from pipeline.overrides import COLUMNS as OVERRIDE_COLUMNS
from pipeline.overrides import OverridesError, row_faults
from pipeline.signals import load_vocabulary

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

NETWORK = ["council_id", "platform"]
ACCOUNT = ["council_id", "platform", "handle"]
# How much a wrong answer matters: the primaries are what hubs import.
QUESTIONS = {
    "changed_primary": "Another account is now the primary. Is the new one right?",
    "two_candidates": "Two accounts could be the primary. Which one is it?",
    "weak_primary": "This is shown as the council's own on thin evidence. Is it theirs?",
    "likely_account": "No account is shown on this network, but this one may be theirs. Is it?",
    "weak_account": "This is taken for one of the council's on thin evidence. Is it theirs?",
}
DECISIONS = ("confirm", "reject", "set_primary", "set_scope", "set_status", "skip")
COLUMNS = (
    "rank",
    "question",
    "council_id",
    "council_name",
    "platform",
    "account",
    "other_account",
    "why",
    "other_why",
    "evidence_url",
    "other_evidence_url",
    "evidence_text",
    "confidence",
    "stakes",
    "decision",
    "value",
    "reason",
    "author",
)
"""Columns of the sheet; the last four are for the person to fill in."""
FILLED_IN = ("decision", "value", "reason", "author")
EXPIRES_AFTER_DAYS = 730


def questions(
    tables: Mapping[str, pd.DataFrame], previous: Mapping[str, pd.DataFrame] | None = None
) -> pd.DataFrame:
    """What a person should look at in a release, most consequential first.

    Args:
        tables: The release's councils, accounts and signals.
        previous: The accounts of the release before, to see whose primary changed.

    Returns:
        COLUMNS, ranked from 1; stakes is the doubt times the weight of the question. Accounts that
        a person decided already are not asked about.
    """
    accounts, signals = tables["accounts"], tables["signals"]
    found = [
        _changed(accounts, None if previous is None else previous["accounts"]),
        _two(accounts, signals),
        _weak(accounts),
        _likely(accounts, signals),
    ]
    table = pd.concat([frame for frame in found if not frame.empty] or [_none()])
    table = table[~table["decided_by"].str.startswith("P8")]
    table["order"] = table["question"].map({name: i for i, name in enumerate(QUESTIONS)})
    table = table.sort_values("order").drop_duplicates([*NETWORK, "account"])
    weights = load_vocabulary().raw["review"]["weights"]
    table["stakes"] = (table["question"].map(weights) * table["doubt"]).round(3)
    table = table.sort_values(
        ["stakes", "order", *NETWORK, "account"], ascending=[False, *[True] * 4]
    )
    names = tables["councils"].set_index("council_id")["name"]
    table["council_name"] = table["council_id"].map(names)
    table["rank"] = range(1, len(table) + 1)
    return table.reindex(columns=list(COLUMNS)).reset_index(drop=True)


def _none() -> pd.DataFrame:
    columns = ["question", *NETWORK, "account", "decided_by", "doubt"]
    return pd.DataFrame({column: pd.Series(dtype="object") for column in columns})


def _asked(rows: pd.DataFrame, question: str, doubt: pd.Series) -> pd.DataFrame:
    """Rows of accounts or signals as rows of the sheet."""
    return pd.DataFrame(
        {
            "question": question,
            "council_id": rows["council_id"],
            "platform": rows["platform"],
            "account": rows["url"] if "url" in rows else rows["handle"],
            "why": [rule_words(rule) for rule in rows["decided_by"]],
            "evidence_url": rows.get("evidence_url"),
            "evidence_text": rows.get("evidence_text"),
            "confidence": rows["confidence"],
            "decided_by": rows["decided_by"],
            "doubt": doubt.astype(float),
        }
    )


def _weak(accounts: pd.DataFrame) -> pd.DataFrame:
    """Published accounts below the confidence at which we stop asking."""
    sure = load_vocabulary().raw["review"]["sure"]
    weak = accounts[accounts["confidence"] < sure]
    asked = _asked(weak, "weak_account", 1 - weak["confidence"])
    return asked.assign(question=asked["question"].mask(weak["is_primary"], "weak_primary"))


def _likely(accounts: pd.DataFrame, signals: pd.DataFrame) -> pd.DataFrame:
    """The likeliest account left out, where the council has none on that network."""
    left = signals[signals["scope"].isna() & signals["decided_by"].isin(("P5.6", "P5.7", "P5.9"))]
    shown = pd.MultiIndex.from_frame(accounts[NETWORK])
    left = left[~pd.MultiIndex.from_frame(left[NETWORK]).isin(shown)]
    left = left[left["direct"]].sort_values(
        ["score", "account_key"], ascending=[False, True], kind="stable"
    )
    best = left.drop_duplicates(NETWORK)
    least = load_vocabulary().raw["review"]["least_score"]
    best = best[best["score"] >= least]
    return _asked(best, "likely_account", chance(best["score"]))


def _two(accounts: pd.DataFrame, signals: pd.DataFrame) -> pd.DataFrame:
    """Primaries with a rival of nearly the same evidence."""
    key = [*ACCOUNT]
    scored = accounts.merge(signals[[*key, "score"]].drop_duplicates(key), on=key, how="left")
    own = scored[(scored["scope"] == "corporate") & (scored["status"] == "current")]
    first = own[own["is_primary"]]
    second = own[~own["is_primary"] & (own["kind"] != "group")]
    second = second.sort_values(["score", "handle"], ascending=[False, True])
    second = second.assign(tongue=second["language"].fillna("")).drop_duplicates(
        [*NETWORK, "tongue"]
    )
    pairs = first.assign(tongue=first["language"].fillna("")).merge(
        second, on=[*NETWORK, "tongue"], suffixes=("", "_other")
    )
    close = pairs["score"] - pairs["score_other"] < load_vocabulary().raw["review"]["close"]
    pairs = pairs[close.fillna(value=False)]
    asked = _asked(pairs, "two_candidates", pairs["confidence_other"])
    asked["other_account"] = pairs["url_other"]
    asked["other_why"] = [rule_words(rule) for rule in pairs["decided_by_other"]]
    asked["other_evidence_url"] = pairs["evidence_url_other"]
    return asked


def _changed(accounts: pd.DataFrame, before: pd.DataFrame | None) -> pd.DataFrame:
    """Primaries that are not those of the release before."""
    if before is None or before.empty:
        return _none()
    columns = [*NETWORK, "account_id", "url", "evidence_url", "decided_by", "language"]
    now = accounts[accounts["is_primary"]].assign(tongue=accounts["language"].fillna(""))
    old = before.loc[before["is_primary"], columns]
    old = old.assign(tongue=old["language"].fillna(""))
    both = now.merge(old, on=[*NETWORK, "tongue"], suffixes=("", "_other"))
    both = both[both["account_id"] != both["account_id_other"]]
    asked = _asked(both, "changed_primary", pd.Series(1.0, index=both.index))
    asked["other_account"] = both["url_other"]
    asked["other_why"] = "Primary in the release before"
    asked["other_evidence_url"] = both["evidence_url_other"]
    return asked


# --- From a decision to an override ------------------------------------------------------------


def override_row(
    question: Mapping[str, object],
    decision: str,
    *,
    author: str,
    reason: str,
    on: date,
    value: str = "",
) -> dict[str, str]:
    """The row of overrides.csv that a decision makes; it expires in two years, to be asked again.

    Raises:
        OverridesError: When the decision, its value, reason or author cannot make a valid row.
    """
    if decision not in DECISIONS or decision == "skip":
        raise OverridesError(
            f"decision {decision!r} makes no override; write one of {', '.join(DECISIONS[:-1])}"
        )
    row = dict.fromkeys(OVERRIDE_COLUMNS, "") | {
        "council_id": str(question["council_id"]),
        "platform": str(question["platform"]),
        "action": decision,
        "account": str(question["account"]),
        "value": value,
        "reason": reason,
        "evidence_url": _cell(question.get("evidence_url")),
        "author": author,
        "decided_on": on.isoformat(),
        "expires_on": (on + timedelta(days=EXPIRES_AFTER_DAYS)).isoformat(),
    }
    faults = row_faults(row)
    if faults:
        raise OverridesError("; ".join(faults))
    return row


def append_overrides(path: Path, rows: Iterable[Mapping[str, str]]) -> int:
    """Add rows to overrides.csv, writing its first line when it is new; returns how many.

    No cell is written that a spreadsheet would run.
    """
    new = not path.exists() or path.stat().st_size == 0
    with path.open("a", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, OVERRIDE_COLUMNS, lineterminator="\n")
        if new:
            writer.writeheader()
        rows = list(rows)
        writer.writerows({c: _harmless(row[c]) for c in OVERRIDE_COLUMNS} for row in rows)
    return len(rows)


def write_sheet(table: pd.DataFrame, to: Path | TextIO) -> None:
    """Write the questions as CSV, with columns to fill in: decision, value, reason, author."""
    sheet = table.astype("object").where(table.notna(), "")
    text = sheet.select_dtypes("object").columns
    sheet[text] = sheet[text].map(lambda cell: _harmless(cell) if isinstance(cell, str) else cell)
    sheet.to_csv(to, index=False, lineterminator="\n", encoding="utf-8")


def read_sheet(path: Path, on: date) -> list[dict[str, str]]:
    """Read a filled-in sheet back as rows for overrides.csv; rows without a decision are skipped.

    Raises:
        OverridesError: With every fault of the sheet at once.
    """
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        needed = ("council_id", "platform", "account", *FILLED_IN)
        missing = [c for c in needed if c not in (reader.fieldnames or [])]
        if missing:
            raise OverridesError(
                f"{path}: no column {', '.join(missing)}; keep the sheet's columns"
            )
        rows = [(reader.line_num, row) for row in reader]
    decided, faults = [], []
    for number, row in rows:
        decision = (row["decision"] or "").strip().casefold()
        if decision in ("", "skip"):
            continue
        told = {c: (row[c] or "").strip() for c in ("author", "reason", "value")}
        try:
            decided.append(override_row(row, decision, on=on, **told))
        except OverridesError as error:
            faults.append(f"{path}, row {number}: {error}")
    if faults:
        raise OverridesError("\n".join(faults))
    return decided


def _cell(value: object) -> str:
    return value if isinstance(value, str) else ""


def _harmless(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{cell}" if cell[:1] in ("=", "+", "-", "@", "\t", "\r") else cell
