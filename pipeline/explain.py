"""Tell a council officer what the directory says of their council, and why.

Every account with the rule that took it for theirs and the page that shows it; then what else was
found and why it was left out. An officer who finds their row wrong must see here how it came about.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pandas as pd

from pipeline.register import find_council
from pipeline.show import seen
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
# What a rule says already is not said again among the reasons.
SAID = {
    "P2.1": "in_chrome",
    "P2.2": "in_chrome",
    "P2.3": "declared",
    "P2.4": "on_social_page",
    "P3.3": "on_social_page",
    "P3.7": "on_social_page",
}
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
        *_left_out_text(own["signals"], tables["councils"]),
        *_rejected_text(own["rejections"]),
        *_coverage_text(own.get("coverage")),
        _how_to_correct(council_id),
    ]
    return seen("\n\n".join(parts)) + "\n"


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
        if rows or scope == "corporate":
            yield f"{title}: {len(rows) or 'none found'}"
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
        f"    {_days(row['first_seen'], row['last_seen'])}; {status}.",
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
            ("office", "the words near it say that an office of the council posts there"),
            ("agreed", "name, words and address of the page agree on the service"),
            ("rival", "but another account there bears the council's name"),
        )
        if row.get(column) is True
        and column != SAID.get(str(row["decided_by"]))
        and (column != "rival" or row["scope"] == "corporate")
    ]
    if _given(row.get("pages_share")):
        said.append(f"{float(str(row['pages_share'])):.0%} of the pages read carry it")
    if _given(row.get("name_likeness")):
        said.append(_likeness_words(float(str(row["name_likeness"]))))
    others = row.get("other_councils")
    if _given(others) and float(str(others)) > 0:
        said.append(f"other councils' sites that carry it: {float(str(others)):.0f}")
    if said:
        yield f"    Also: {'; '.join(said)}."


def _likeness_words(likeness: float) -> str:
    """How much of the council's name there is in the account's."""
    vocabulary = load_vocabulary()
    if likeness >= vocabulary.threshold("full_name"):
        return "its name is the council's"
    if likeness >= vocabulary.threshold("own_name"):
        return "its name is made of the council's"
    return "its name has a part of the council's" if likeness else NAMELESS


def _left_out_text(signals: pd.DataFrame, councils: pd.DataFrame) -> Iterator[str]:
    """Accounts that the pages carry and that are not taken for theirs."""
    names = dict(zip(councils["council_id"], councils["name"], strict=True))
    left = signals[signals["scope"].isna()].sort_values(
        ["pages_seen", "platform", "handle"], ascending=[False, True, True]
    )
    if left.empty:
        return
    yield f"Found and left out: {len(left)}"
    yield "\n".join(
        f"  {row['platform']}: {row['handle']} – {rule_words(str(row['decided_by']))}"
        f"{_against(row, names)}; pages that carry it: {row['pages_seen']}."
        for row in left.head(LEFT_OUT_AT_MOST).to_dict("records")
    )
    if len(left) > LEFT_OUT_AT_MOST:
        yield f"  … and {len(left) - LEFT_OUT_AT_MOST} more, in signals.parquet."


def _against(row: Row, names: Mapping[str, str]) -> str:
    """The particular that the rule turned on, where there is one."""
    if _given(row.get("stranger")):
        return f": {row['stranger']} in data/rules/strangers.toml"
    foreign = row.get("foreign")
    return f": {names.get(str(foreign), foreign)}" if _given(foreign) else ""


def _rejected_text(rejections: pd.DataFrame) -> Iterator[str]:
    """Links that are no accounts, by reason, and the networks' ones among them in full."""
    # Accounts of others stand above, with the rule that left them out.
    rejections = rejections[~rejections["reason"].str.startswith(("stranger:", "not_theirs:"))]
    if rejections.empty:
        return
    counts = rejections.groupby("reason")["href"].count().sort_index()
    told = ", ".join(f"{reason} {n}" for reason, n in counts.items())
    yield f"Links that are no account, by reason: {told}"
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


def _days(first: object, last: object) -> str:
    """From when to when the pages carried an account."""
    since, until = _day(first), _day(last)
    return f"On the pages on {since}" if since == until else f"On the pages {since} to {until}"


def _day(value: object) -> str:
    return pd.Timestamp(str(value)).date().isoformat() if _given(value) else "an unknown day"
