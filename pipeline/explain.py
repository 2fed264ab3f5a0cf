"""Tell a council officer what the directory says of their council, and why.

Every account with the rule that took it for theirs and the page that shows it; then what else was
found and why it was left out. An officer who finds their row wrong must see here how it came about.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pandas as pd

from pipeline.register import find_council
from pipeline.signals import load_vocabulary

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Mapping

    Row = Mapping[Hashable, Any]

REGION_WORDS = {
    "header": "in the header",
    "nav": "in the navigation",
    "footer": "in the footer",
    "main": "in the text",
    "aside": "beside the text",
    "head": "in the page's description of itself",
}
STATUS_WORDS = {
    "current": "in use, as far as the council's pages tell",
    "unconfirmed": "not confirmed lately",
    "missing": "no longer on the council's pages",
    "parked": "parked: the pages say that it is left or unattended",
    "retired": "retired: the network or the council that had it is gone",
}
LANGUAGE_WORDS = {"en": "English", "cy": "Welsh", "gd": "Gaelic"}
NAMELESS = "its name does not tell whose it is"
LEFT_OUT_AT_MOST = 40
REJECTED_AT_MOST = 20


def explain(council: str, tables: Mapping[str, pd.DataFrame]) -> str:
    """The account of one council's row, in plain text, as told to an officer of that council.

    Args:
        council: Name, council_id or GSS code.
        tables: The release's councils, accounts, signals and rejections; coverage where at hand.

    Returns:
        Paragraphs for the council's own accounts, its services, what was left out, and what to do.

    Raises:
        RegisterError: When no council answers to `council`.
    """
    council_id = find_council(tables["councils"], council)
    own = {
        name: table[table["council_id"] == council_id]
        for name, table in tables.items()
        if "council_id" in table.columns
    }
    name = own["councils"]["name"].iloc[0]
    parts = [
        f"{name} ({council_id})",
        *_accounts_text(own["accounts"], own["signals"]),
        *_left_out_text(own["signals"]),
        *_rejected_text(own["rejections"]),
        *_coverage_text(own.get("coverage")),
        _how_to_correct(council_id),
    ]
    return "\n\n".join(parts) + "\n"


def rule_words(decided_by: str) -> str:
    """The words of the policy's rule that a decision cites; a person's decision stands as it is."""
    rules = {rule["id"]: rule["says"] for rule in load_vocabulary().raw["rule"]}
    found = re.match(r"P\d+\.\d+", decided_by)
    if not found or found[0] not in rules:
        return decided_by
    by_person = decided_by.removeprefix(found[0]).strip()
    told = f"{rules[found[0]]} (rule {found[0]} of docs/policy.md)"
    return f"{told}; {by_person}" if by_person else told


def _accounts_text(accounts: pd.DataFrame, signals: pd.DataFrame) -> Iterator[str]:
    """The council's own accounts, then its services'."""
    if accounts.empty:
        yield "No account in the directory."
        return
    extra = ["council_id", "platform", "handle"]
    added = [c for c in signals.columns if c not in accounts.columns or c in extra]
    full = accounts.merge(signals[added].drop_duplicates(extra), on=extra, how="left")
    order = ["is_primary", "platform", "confidence", "handle"]
    full = full.sort_values(order, ascending=[False, True, False, True])
    for scope, title in (("corporate", "The council's own accounts"), ("service", "Its services")):
        rows = full[full["scope"] == scope].to_dict("records")
        if rows:
            yield f"{title}: {len(rows)}"
            yield from map(_account_text, rows)


def _account_text(row: Row) -> str:
    """One account: what, why, where, since when."""
    marks = [str(row["service"])] if _given(row["service"]) else []
    marks += ["primary"] if row["is_primary"] else []
    marks += [LANGUAGE_WORDS.get(str(row["language"]), "")] if _given(row["language"]) else []
    title = f"  {row['platform']}: {row['handle']}" + (f" ({', '.join(marks)})" if marks else "")
    where = REGION_WORDS.get(str(row["evidence_region"]), "on the page")
    status = STATUS_WORDS.get(str(row["status"]), row["status"])
    lines = [
        title,
        f"    {row['url']}",
        f"    Why: {rule_words(str(row['decided_by']))}.",
        *_reasons(row),
        f"    Seen: {where} of {row['evidence_url']}" + _quoted(row["evidence_text"]),
        f"    From {_day(row['first_seen'])} to {_day(row['last_seen'])}; {status}.",
    ]
    if _given(row.get("notice")):
        rule = rule_words(str(row.get("notice_rule") or ""))
        lines.append(f"    {rule}: “{row['notice']}”")
    lines.append(f"    How sure: {float(str(row['confidence'])):.0%}")
    return "\n".join(lines)


def _reasons(row: Row) -> Iterator[str]:
    """What the signals say for and against, in words."""
    said = [
        words
        for column, words in (
            ("on_home", "it is on the home page"),
            ("in_chrome", "it is in the header, navigation or footer"),
            ("declared", "the page declares it in its data"),
            ("on_social_page", "the council's social media page lists it"),
            ("follow", "words such as 'follow us' go with it"),
            ("named", "its label names the council"),
            ("rival", "but another account there bears the council's name"),
        )
        if row.get(column) is True and (column != "rival" or row["scope"] == "corporate")
    ]
    if _given(row.get("pages_share")):
        said.append(f"{float(str(row['pages_share'])):.0%} of the pages read carry it")
    if _given(row.get("name_likeness")):
        like = float(str(row["name_likeness"]))
        said.append(f"its name is {like:.0%} like the council's" if like else NAMELESS)
    others = row.get("other_councils")
    if _given(others) and float(str(others)) > 0:
        said.append(f"other councils' sites that carry it: {float(str(others)):.0f}")
    if said:
        yield f"    Also: {'; '.join(said)}."


def _left_out_text(signals: pd.DataFrame) -> Iterator[str]:
    """Accounts that the pages carry and that are not taken for theirs."""
    left = signals[signals["scope"].isna()].sort_values(
        ["pages_seen", "platform", "handle"], ascending=[False, True, True]
    )
    if left.empty:
        return
    yield f"Found and left out: {len(left)}"
    yield "\n".join(
        f"  {row['platform']}: {row['handle']} – {rule_words(str(row['decided_by']))}"
        f"{_against(row)}; pages that carry it: {row['pages_seen']}."
        for row in left.head(LEFT_OUT_AT_MOST).to_dict("records")
    )
    if len(left) > LEFT_OUT_AT_MOST:
        yield f"  … and {len(left) - LEFT_OUT_AT_MOST} more, in signals.parquet."


def _against(row: Row) -> str:
    """The particular that the rule turned on, where there is one."""
    if _given(row.get("stranger")):
        return f": {row['stranger']} in data/rules/strangers.toml"
    return f": {row['foreign']}" if _given(row.get("foreign")) else ""


def _rejected_text(rejections: pd.DataFrame) -> Iterator[str]:
    """Links that are no accounts, by reason, and the networks' ones among them in full."""
    # Accounts of others stand above, with the rule that left them out.
    rejections = rejections[~rejections["reason"].str.startswith(("stranger:", "not_theirs:"))]
    if rejections.empty:
        return
    counts = rejections.groupby("reason")["href"].count().sort_index()
    yield "Links that are no account: " + ", ".join(f"{n} {reason}" for reason, n in counts.items())
    named = rejections[rejections["platform"].notna()].sort_values(["platform", "reason", "href"])
    if not named.empty:
        yield "\n".join(
            f"  {row['platform']}: {row['href']} – {row['reason']}"
            for row in named.head(REJECTED_AT_MOST).to_dict("records")
        )


def _coverage_text(coverage: pd.DataFrame | None) -> Iterator[str]:
    """Where we looked in vain, and where we could not look: never the same thing."""
    if coverage is None or coverage.empty:
        return
    for state, words in (
        ("none_found", "Looked for in vain"),
        ("blocked", "The site did not let us look"),
        ("not_checked", "Not looked for yet"),
    ):
        networks = sorted(coverage.loc[coverage["state"] == state, "platform"])
        if networks:
            yield f"{words}: {', '.join(networks)}"


def _how_to_correct(council_id: str) -> str:
    return (
        "Something wrong? Send the account's address and a page that shows whose it is; it becomes "
        f"a row for {council_id} in data/rules/overrides.csv, which outranks every rule."
    )


def _given(value: object) -> bool:
    """Whether a cell holds anything."""
    return value is not None and value != "" and value == value and value is not pd.NaT


def _quoted(value: object) -> str:
    return f": “{value}”" if _given(value) else ""


def _day(value: object) -> str:
    return pd.Timestamp(str(value)).date().isoformat() if _given(value) else "an unknown day"
