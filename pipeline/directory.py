"""Lay out the A–Z: one row per current council, in filing order, with its primary accounts.

This is the file that hubs import. What it shows is decided elsewhere; here it is only arranged, so
that a cell can always be traced to a row of `accounts`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.reconcile import lookup
from pipeline.register import letter
from pipeline.schema import GOOGLE
from pipeline.schema import directory as directory_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

FIRST_LANGUAGE = "en"


def directory(
    accounts: pd.DataFrame,
    looked: pd.DataFrame,
    register: pd.DataFrame,
    networks: Sequence[str],
    last: pd.DataFrame,
) -> pd.DataFrame:
    """The A–Z.

    Args:
        accounts: Those of the new release.
        looked: What coverage.looks made of this crawl's fetches.
        register: All councils, with their status.
        networks: The published platform ids, in the order of data/rules/platforms.toml.
        last: The directory of the release before, for councils that this crawl did not ask.

    Returns:
        The table of schema.directory(networks), ordered by filing name. Of twins in two languages
        the English one is shown; `google_url` is the first of schema.GOOGLE that the council has.
    """
    table = register[register["status"].eq("current")].sort_values(
        ["sort_name", "council_id"], ignore_index=True
    )
    ids = table["council_id"]
    table["letter"] = letter(table["sort_name"])
    table["gss_code"] = table["gss_code"].astype("str")
    shown = primary_links(accounts)
    for network in {*networks, *GOOGLE}:
        table[f"{network}_url"] = _of(shown, ids, network)
    best = [table[f"{network}_url"] for network in GOOGLE]
    table["google_url"] = best[0].fillna(best[1]).fillna(best[2])
    table["accounts"] = lookup(ids, accounts.groupby("council_id").size()).fillna(0).astype("int64")
    before = last.set_index("council_id")
    read = lookup(ids, looked["read_at"]).dt.tz_convert(None).dt.normalize()
    table["checked_on"] = read.fillna(lookup(ids, before["checked_on"]))
    outcome = lookup(ids, looked["outcome"]).astype("str")
    table["check_outcome"] = outcome.fillna(lookup(ids, before["check_outcome"]).astype("str"))
    return table[directory_table(networks).names]


def primary_links(accounts: pd.DataFrame) -> pd.DataFrame:
    """The account to show for each council and network: council_id, platform, url."""
    primaries = accounts[accounts["is_primary"].astype(bool)]
    foreign = primaries["language"].fillna(FIRST_LANGUAGE).ne(FIRST_LANGUAGE)
    order = primaries.assign(foreign=foreign).sort_values(
        ["council_id", "platform", "foreign", "language", "account_id"]
    )
    return order.drop_duplicates(["council_id", "platform"])[["council_id", "platform", "url"]]


def _of(shown: pd.DataFrame, councils: pd.Series, network: str) -> pd.Series:
    one = shown[shown["platform"].eq(network)].set_index("council_id")["url"]
    return lookup(councils, one).astype("str")
