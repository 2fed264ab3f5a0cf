"""Say where we looked and what was left out: council × network, and every link that is no account.

An empty cell of the directory means little by itself: the council may have no account, or may have
kept us out. Here the two are never the same value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pipeline.codes import codes_of
from pipeline.schema import TABLES

if TYPE_CHECKING:
    from collections.abc import Sequence

    Codes = np.ndarray[Any, np.dtype[np.int64]]

COVERAGE, REJECTIONS = TABLES["coverage"].names, TABLES["rejections"].names
READ, PAGE = ("ok", "not_modified"), ("home", "follow")
KEPT_OUT = ("blocked", "robots", "not_today")
UNASKED = ("budget", "not_due")
LINK = ["council_id", "href", "platform", "account_key", "reason"]
DAY = pd.Timedelta(days=1)


def looks(fetches: pd.DataFrame) -> pd.DataFrame:
    """What came of looking at each council that was asked, indexed by council_id.

    Returns `read_at` (last time that one of its pages was read), `home_read` (whether the home
    page was among them) and `outcome` (of the last look at the home page; missing where none). A
    home page that was not modified was read as well as any: its outcome is ok.
    """
    asked = fetches[fetches["purpose"].isin(PAGE) & ~fetches["outcome"].isin(UNASKED)]
    read = asked[asked["outcome"].isin(READ)]
    homes = asked[asked["purpose"].eq("home")].sort_values(["fetched_at", "url"])
    last = homes.groupby("council_id")["outcome"].last()
    councils = pd.Index(asked["council_id"].astype("str").unique(), name="council_id").sort_values()
    return pd.DataFrame(
        {
            "read_at": read.groupby("council_id")["fetched_at"].max().reindex(councils),
            "home_read": councils.isin(read.loc[read["purpose"].eq("home"), "council_id"]),
            "outcome": last.where(last.ne("not_modified"), "ok").reindex(councils),
        },
        index=councils,
    )


def coverage(
    accounts: pd.DataFrame,
    looked: pd.DataFrame,
    register: pd.DataFrame,
    networks: Sequence[str],
    last: pd.DataFrame,
    carry_days: int,
    now: pd.Timestamp,
) -> pd.DataFrame:
    """For each current council and published network: whether we looked, and what we found.

    Args:
        accounts: Those of the new release.
        looked: What `looks` made of this crawl's fetches.
        register: All councils, with their status.
        networks: The published platform ids.
        last: The coverage of the release before; what it says of a council that this crawl did
            not ask is kept for `carry_days`.
        carry_days: Days after which an old look counts no more.
        now: The time of the latest fetch.

    Returns:
        The table coverage. `found`: an account is in the directory, and not missing. `none_found`:
        the home page was read, and there is none. `blocked`: the site or its robots.txt kept us
        out. `not_checked`: anything else, such as a site that was down.
    """
    current = register.loc[register["status"].eq("current"), "council_id"]
    cells = pd.MultiIndex.from_product(
        [sorted(current), sorted(networks)], names=["council_id", "platform"]
    )
    table = cells.to_frame(index=False).astype("str")
    here = looked.reindex(table["council_id"]).reset_index(drop=True)
    before = last.set_index(["council_id", "platform"]).reindex(cells).reset_index(drop=True)
    asked = table["council_id"].isin(looked.index[looked["outcome"].notna()])
    lasting = before["state"].isin(("none_found", "blocked")) & (
        now - before["last_checked"] <= carry_days * DAY
    )
    state = before["state"].where(lasting & ~asked, "not_checked")
    state = state.mask(asked & here["outcome"].isin(KEPT_OUT), "blocked")
    state = state.mask(here["home_read"].eq(other=True), "none_found")
    live = accounts[accounts["status"].ne("missing")]
    held = pd.MultiIndex.from_frame(live[["council_id", "platform"]])
    table["state"] = state.mask(pd.Series(cells.isin(held)), "found").astype("str")
    table["last_checked"] = here["read_at"].fillna(before["last_checked"])
    return table[COVERAGE]


def rejections(identified: pd.DataFrame, signals: pd.DataFrame) -> pd.DataFrame:
    """Every link that is no account of the council on whose pages it stands, with the reason.

    Args:
        identified: Observations with platform, account_key and reason.
        signals: What attribution decided; accounts without scope are strangers.

    Returns:
        The table rejections, sorted by its key: one row per council, href and reason. The reason
        is the rule of the grammar, or `stranger:` with the known third party, or `not_theirs:`
        with the rule of docs/policy.md.
    """
    group = _codes([identified[name] for name in LINK])
    pages, addresses = pd.factorize(identified["page_url"], sort=True)
    pairs = pd.unique(group * len(addresses) + pages)
    first_page = pd.Series(pages).groupby(group).min()
    table = (
        identified[LINK]
        .loc[~pd.Series(group, index=identified.index).duplicated()]
        .astype({name: "str" for name in LINK if name != "href"})
        .assign(
            pages_seen=np.bincount(pairs // len(addresses)),
            evidence_url=addresses.take(first_page.to_numpy()).to_numpy(),
        )
    )
    strangers = signals.loc[
        signals["scope"].isna(), ["council_id", "platform", "account_key", "stranger", "decided_by"]
    ]
    table = table.merge(strangers, on=["council_id", "platform", "account_key"], how="left")
    known = "stranger: " + table["stranger"].astype("str")
    ruled = known.fillna("not_theirs: " + table["decided_by"].astype("str"))
    table["reason"] = table["reason"].fillna(ruled)
    table = table[table["reason"].notna()]
    key = [table[name] for name in ("council_id", "href", "reason")]
    pages_seen = table.groupby(_codes(key))["pages_seen"].transform("max")
    table = table.assign(pages_seen=pages_seen).sort_values(REJECTIONS)
    return table.drop_duplicates(["council_id", "href", "reason"])[REJECTIONS].reset_index(
        drop=True
    )


def _codes(columns: Sequence[pd.Series]) -> Codes:
    """One number for each distinct row of several columns, counted from 0."""
    codes, room = np.zeros(len(columns[0]), dtype="int64"), 1
    for column in columns:
        more, distinct = codes_of(column)
        size = len(distinct) + 1
        if room > np.iinfo("int64").max // size:
            codes, known = pd.factorize(codes)
            room = len(known)
        codes, room = codes * size + more + 1, room * size
    return pd.factorize(codes)[0]
