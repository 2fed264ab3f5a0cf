"""What people decided: data/rules/overrides.csv, checked, applied last, none outliving its use.

An override names the account for which it was made. One that matches nothing any more, or that has
expired, is reported: a forgotten correction would go on correcting what has long been right.
"""

from __future__ import annotations

import csv
import re
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from pipeline.platforms import Account, identify
from pipeline.schema import ACTIONS, SCOPES, STATUSES
from pipeline.signals import Flags, load_vocabulary

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

OVERRIDES = Path(__file__).parents[1] / "data" / "rules" / "overrides.csv"
COLUMNS = (
    "council_id",
    "platform",
    "action",
    "account",
    "value",
    "reason",
    "evidence_url",
    "author",
    "decided_on",
    "expires_on",
)
REQUIRED = ("council_id", "platform", "action", "account", "reason", "author", "decided_on")
DATES = ("decided_on", "expires_on")
VALUED = ("set_scope", "set_status")
RULE = "P8.1"
KEY = ["council_id", "platform", "account_key"]


class OverridesError(ValueError):
    """overrides.csv cannot be used; names every fault with its row and what to write instead."""


# --- Reading and checking --------------------------------------------------------------------


def load_overrides(path: Path | None = None, register: pd.DataFrame | None = None) -> pd.DataFrame:
    """Read and check overrides.csv.

    Args:
        path: The file; the project's own when left out.
        register: When given, every council_id must be in it.

    Returns:
        COLUMNS, with decided_on and expires_on as dates (missing: None), and row (as a spreadsheet
        counts), account_key, handle, kind and url of the account.

    Raises:
        OverridesError: With every fault of the file at once.
    """
    source = path or OVERRIDES
    try:
        with source.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, restkey="…")
            rows = [(reader.line_num, row) for row in reader]
            header = reader.fieldnames or []
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        message = f"{source}: cannot be read ({error}); write it as UTF-8 CSV with the columns "
        raise OverridesError(message + ",".join(COLUMNS)) from error
    missing = [column for column in COLUMNS if column not in header]
    if missing:
        raise OverridesError(
            f"{source}: no column {', '.join(missing)}; the first line must be {','.join(COLUMNS)}"
        )
    councils = None if register is None else frozenset(register["council_id"])
    cells = [(number, {c: (row[c] or "").strip() for c in COLUMNS}) for number, row in rows]
    faults = [
        f"{source}, row {number}: {fault}"
        for number, row in cells
        for fault in row_faults(row, councils)
    ]
    faults += [f"{source}, {fault}" for fault in _contradictions(cells)]
    if faults:
        raise OverridesError("\n".join(faults))
    return overrides_frame(cells)


def row_faults(row: Mapping[str, str], councils: frozenset[str] | None = None) -> list[str]:
    """Everything wrong with one row, each with what to write instead."""
    faults = [f"{column} is empty; write it" for column in REQUIRED if not row[column]]
    if councils is not None and row["council_id"] and row["council_id"] not in councils:
        faults.append(
            f"council_id {row['council_id']!r} is not in the register; write one of its ids"
        )
    if row["action"] and row["action"] not in ACTIONS:
        faults.append(f"action {row['action']!r} is unknown; write one of {', '.join(ACTIONS)}")
    faults += _value_faults(row["action"], row["value"])
    faults += [
        f"{column} {row[column]!r} is no date; write it as 2026-04-30"
        for column in DATES
        if row[column] and _date(row[column]) is None
    ]
    if row["platform"] and row["account"] and _account(row) is None:
        faults.append(
            f"account {row['account']!r} is no {row['platform']} account; write its address, such "
            "as https://x.com/BrackenshireCC, and the network's id in platform"
        )
    if row["evidence_url"] and not re.match(r"https?://", row["evidence_url"]):
        faults.append(f"evidence_url {row['evidence_url']!r} has no scheme; write https://…")
    return faults


def _value_faults(action: str, value: str) -> list[str]:
    if action == "set_status" and value not in STATUSES:
        return [f"value {value!r} is no status; write one of {', '.join(STATUSES)}"]
    if action == "set_scope":
        return _scope_faults(value)
    if action in ACTIONS and action not in (*VALUED, "add", "confirm") and value:
        return [f"value {value!r} means nothing with {action}; leave it empty"]
    if action in ("add", "confirm") and value:
        return _scope_faults(value)
    return []


def _scope_faults(value: str) -> list[str]:
    scope, _, service = value.partition(":")
    known = frozenset(load_vocabulary().pieces.values())
    if (
        scope not in SCOPES
        or (scope == "corporate" and service)
        or (service and service not in known)
    ):
        return [
            f"value {value!r} is no scope; write corporate, service, or service: and one of "
            + ", ".join(sorted(known))
        ]
    return []


def _contradictions(cells: Iterable[tuple[int, Mapping[str, str]]]) -> list[str]:
    """Rows that decide one thing of one account twice."""
    first: dict[tuple[str, ...], int] = {}
    faults = []
    for number, row in cells:
        account = _account(row)
        key = account.key if account else row["account"]
        # To confirm and to reject are two answers to one question.
        question = "theirs" if row["action"] in ("confirm", "reject", "add") else row["action"]
        decided = (row["council_id"], row["platform"], key, question)
        if decided in first:
            faults.append(
                f"row {number}: decides again what row {first[decided]} decides of "
                f"{row['account']!r}; keep one of them"
            )
        first.setdefault(decided, number)
    return faults


def overrides_frame(cells: Iterable[tuple[int, Mapping[str, str]]]) -> pd.DataFrame:
    """Checked rows as the table that load_overrides returns."""
    records = []
    for number, row in cells:
        account = _account(row)
        if account is not None:
            records.append(
                {
                    **row,
                    "decided_on": _date(row["decided_on"]),
                    "expires_on": _date(row["expires_on"]),
                    "row": number,
                    "account_key": account.key,
                    "handle": account.handle,
                    "kind": account.kind,
                    "url": account.url,
                }
            )
    columns = [*COLUMNS, "row", "account_key", "handle", "kind", "url"]
    return pd.DataFrame(records, columns=columns, dtype="object")


def _account(row: Mapping[str, str]) -> Account | None:
    """The account that a row names by address or handle, when it is of the row's network."""
    found = identify(row["account"], row["platform"])
    return found if isinstance(found, Account) and found.platform == row["platform"] else None


def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


# --- Applying --------------------------------------------------------------------------------


def in_force(overrides: pd.DataFrame, now: pd.Timestamp) -> pd.DataFrame:
    """The overrides that have not expired; one counts on its last day."""
    today = now.date()
    live = [
        expires is None or pd.isna(expires) or expires >= today
        for expires in overrides["expires_on"]
    ]
    return overrides[pd.Series(live, index=overrides.index, dtype=bool)]


def apply_overrides(
    table: pd.DataFrame, overrides: pd.DataFrame, register: pd.DataFrame, now: pd.Timestamp
) -> pd.DataFrame:
    """Let people's decisions replace the rules': scope, service, status, confidence, decided_by.

    Accounts that are added without having been seen get a row with the override's own evidence.
    Adds `chosen`, true where a person chose the primary.
    """
    live = in_force(overrides[overrides["council_id"].isin(register["council_id"])], now)
    live = live.sort_values(["decided_on", "row"])
    table = _with_added(table, live, now)
    table["chosen"] = False
    sure = load_vocabulary().threshold("confidence_person")
    for action in ACTIONS:
        rows = live[live["action"] == action].drop_duplicates(KEY, keep="last").set_index(KEY)
        place = pd.MultiIndex.from_frame(table[KEY])
        hit = place.isin(rows.index)
        if not hit.any():
            continue
        told = rows.reindex(place[hit])
        _set(table, hit, action, told["value"].to_numpy())
        table.loc[hit, "confidence"] = sure
        table.loc[hit, "decided_by"] = [
            f"{RULE} {action} by {author} on {on}"
            for author, on in zip(told["author"], told["decided_on"], strict=True)
        ]
    return table


def _set(table: pd.DataFrame, hit: Flags, action: str, value: object) -> None:
    """Write one action's outcome into the rows that it hits."""
    told = pd.Series(value, index=table.index[hit], dtype="object").fillna("")
    if action == "reject":
        table.loc[hit, ["scope", "service"]] = None
    elif action == "set_status":
        table.loc[hit, "status"] = told
    elif action == "set_primary":
        table.loc[hit, ["scope", "service", "chosen"]] = ["corporate", None, True]
    else:
        parts = told.str.partition(":")
        scope = parts[0].where(parts[0] != "", table.loc[hit, "scope"].fillna("corporate"))
        service = parts[2].where(parts[2] != "", table.loc[hit, "service"])
        table.loc[hit, "scope"] = scope.astype("object")
        table.loc[hit, "service"] = service.where(scope.eq("service"), None).astype("object")


def _with_added(table: pd.DataFrame, live: pd.DataFrame, now: pd.Timestamp) -> pd.DataFrame:
    """The table and a row for each account that a person added and no page shows."""
    wanted = live[live["action"] == "add"].drop_duplicates(KEY, keep="last")
    seen = pd.MultiIndex.from_frame(wanted[KEY]).isin(pd.MultiIndex.from_frame(table[KEY]))
    new = wanted[~seen]
    if new.empty:
        return table
    rows = pd.DataFrame(index=range(len(new)), columns=table.columns, dtype="object")
    for column in (*KEY, "handle", "kind", "url", "evidence_url"):
        rows[column] = new[column].to_numpy()
    rows["evidence_url"] = rows["evidence_url"].replace("", None)
    rows["evidence_text"] = new["reason"].to_numpy()
    rows["status"], rows["name"] = "current", ""
    on = pd.to_datetime(pd.Series(new["decided_on"].to_numpy()), utc=True)
    rows["first_seen"], rows["last_seen"] = on, on.where(on <= now, now)
    for column in table.columns:
        if table[column].dtype == bool:
            rows[column] = False
        elif pd.api.types.is_numeric_dtype(table[column]):
            rows[column] = 0
    rows["stale_years"] = 0.0
    typed = table.dtypes[table.dtypes.ne("object")]
    added = rows.astype(typed.to_dict())
    return pd.concat([table, added], ignore_index=True)


def unused_overrides(
    overrides: pd.DataFrame, attributed: pd.DataFrame, now: pd.Timestamp
) -> pd.DataFrame:
    """Overrides that do nothing any more, with why: expired, stale or needless.

    Args:
        overrides: As load_overrides returns them.
        attributed: What pipeline.attribute.attribute returned with them.
        now: The time of the latest fetch.

    Returns:
        The overrides' columns and `fault`, in the file's order.
    """
    live = in_force(overrides, now)
    known = pd.MultiIndex.from_frame(attributed[KEY])
    matched = pd.Series(pd.MultiIndex.from_frame(overrides[KEY]).isin(known), index=overrides.index)
    on_pages = attributed[attributed["pages_seen"] > 0]
    seen = pd.MultiIndex.from_frame(overrides[KEY]).isin(pd.MultiIndex.from_frame(on_pages[KEY]))
    fault = pd.Series("", index=overrides.index, dtype="object")
    fault = fault.mask(
        overrides["action"].eq("add") & seen, "needless: the council's pages show it now"
    )
    fault = fault.mask(~matched, "stale: no page of the council carries this account")
    fault = fault.mask(~overrides.index.isin(live.index), "expired")
    return overrides.assign(fault=fault)[fault.ne("")]
