"""Say where we looked and what was left out: council × network, and every link that is no account.

An empty cell of the directory means little by itself: the council may have no account, or may have
kept us out. Here the two are never the same value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa

from pipeline.schema import TABLES

if TYPE_CHECKING:
    from collections.abc import Sequence

COVERAGE, REJECTIONS = TABLES["coverage"].names, TABLES["rejections"].names
READ, PAGE, KEPT_OUT = ("ok", "not_modified"), ("home", "follow"), ("blocked", "robots")
UNASKED = ("budget", "not_due")
LINK = ["council_id", "href", "platform", "account_key", "reason"]
DAY = pd.Timedelta(days=1)


def looks(fetches: pd.DataFrame) -> pd.DataFrame:
    """What came of looking at each council that was asked, indexed by council_id.

    Returns `read_at` (last time that one of its pages was read), `home_read` (whether the home
    page was among them) and `outcome` (of the last look at the home page; missing where none).
    """
    asked = fetches[fetches["purpose"].isin(PAGE) & ~fetches["outcome"].isin(UNASKED)]
    read = asked[asked["outcome"].isin(READ)]
    homes = asked[asked["purpose"].eq("home")].sort_values(["fetched_at", "url"])
    councils = pd.Index(asked["council_id"].astype("str").unique(), name="council_id").sort_values()
    return pd.DataFrame(
        {
            "read_at": read.groupby("council_id")["fetched_at"].max().reindex(councils),
            "home_read": councils.isin(read.loc[read["purpose"].eq("home"), "council_id"]),
            "outcome": homes.groupby("council_id")["outcome"].last().reindex(councils),
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
    rows = pa.Table.from_pandas(identified[[*LINK, "page_url"]], preserve_index=False)
    links = rows.group_by(LINK).aggregate([("page_url", "count_distinct"), ("page_url", "min")])
    table: pd.DataFrame = links.rename_columns(
        {"page_url_count_distinct": "pages_seen", "page_url_min": "evidence_url"}
    ).to_pandas()
    strangers = signals.loc[
        signals["scope"].isna(), ["council_id", "platform", "account_key", "stranger", "decided_by"]
    ]
    table = table.merge(strangers, on=["council_id", "platform", "account_key"], how="left")
    known = "stranger: " + table["stranger"].astype("str")
    ruled = known.fillna("not_theirs: " + table["decided_by"].astype("str"))
    table["reason"] = table["reason"].astype("str").fillna(ruled)
    table = table[table["reason"].notna()].sort_values(REJECTIONS)
    key = ["council_id", "href", "reason"]
    pages = table.groupby(key)["pages_seen"].transform("max")
    table = table.assign(pages_seen=pages).drop_duplicates(key)
    return table[REJECTIONS].reset_index(drop=True)
