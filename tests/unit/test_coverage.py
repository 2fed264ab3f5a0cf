"""Where we looked and what was left out: no account and no look are never the same."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from pipeline.coverage import coverage, looks, rejections
from pipeline.release import spec, to_arrow
from tests.unit.samples import START, WEEK, fetch, frame, register, signal, signals

HOME = "https://www.wexdale.example/"
ACCOUNT = {
    "account_id": "a1",
    "council_id": "WEX",
    "council_name": "Wexdale Council",
    "platform": "twitter",
    "handle": "WexdaleCouncil",
    "url": "https://x.com/WexdaleCouncil",
    "kind": "profile",
    "scope": "corporate",
    "is_primary": True,
    "status": "current",
    "confidence": 0.9,
    "pages_seen": 1,
    "first_seen": START,
    "last_seen": START,
    "last_checked": START,
    "decided_by": "P2.1",
}


def covered(
    fetches: list[dict[str, Any]],
    accounts: list[dict[str, Any]] | None = None,
    last: pd.DataFrame | None = None,
    now: pd.Timestamp = START,
) -> dict[str, Any]:
    """The row of Wexdale on Twitter."""
    table = coverage(
        frame("accounts", accounts or []),
        looks(frame("fetches", fetches)),
        register(),
        ("twitter",),
        frame("coverage", []) if last is None else last,
        90,
        now,
    )
    assert spec("coverage").faults(to_arrow(table, spec("coverage"))) == []
    assert len(table) == 3
    return dict(table.set_index("council_id").loc["WEX"])


def before(state: str, when: pd.Timestamp) -> pd.DataFrame:
    row = {"council_id": "WEX", "platform": "twitter", "state": state, "last_checked": when}
    return frame("coverage", [row])


def test_an_account_in_the_directory_is_found() -> None:
    assert covered([fetch("WEX", HOME)], [ACCOUNT])["state"] == "found"


def test_a_site_read_without_an_account_has_none() -> None:
    row = covered([fetch("WEX", HOME)])
    assert (row["state"], row["last_checked"]) == ("none_found", START)


def test_an_account_that_went_missing_is_no_account() -> None:
    assert covered([fetch("WEX", HOME)], [ACCOUNT | {"status": "missing"}])["state"] == "none_found"


def test_an_account_on_a_site_that_is_down_is_still_found() -> None:
    carried = ACCOUNT | {"status": "unconfirmed"}
    assert covered([fetch("WEX", HOME, outcome="dns")], [carried])["state"] == "found"


@pytest.mark.parametrize("outcome", ["blocked", "robots"])
def test_a_site_that_keeps_us_out_is_blocked(outcome: str) -> None:
    row = covered([fetch("WEX", HOME, outcome=outcome)])
    assert row["state"] == "blocked"
    assert pd.isna(row["last_checked"])


@pytest.mark.parametrize("outcome", ["dns", "timeout", "http_error", "needs_browser", "truncated"])
def test_a_site_that_could_not_be_read_is_not_checked(outcome: str) -> None:
    assert covered([fetch("WEX", HOME, outcome=outcome)])["state"] == "not_checked"


def test_a_council_that_nobody_asked_is_not_checked() -> None:
    assert covered([fetch("MIL", HOME)])["state"] == "not_checked"


def test_other_pages_without_the_home_page_prove_no_absence() -> None:
    row = covered([fetch("WEX", f"{HOME}petitions", purpose="follow")])
    assert (row["state"], row["last_checked"]) == ("not_checked", START)


def test_a_page_that_the_budget_left_out_was_not_asked() -> None:
    assert covered([fetch("WEX", HOME, outcome="budget")])["state"] == "not_checked"


def test_a_look_of_the_release_before_counts_when_this_crawl_did_not_ask() -> None:
    row = covered([fetch("MIL", HOME)], last=before("none_found", START - WEEK))
    assert (row["state"], row["last_checked"]) == ("none_found", START - WEEK)


def test_a_look_too_long_ago_counts_no_more() -> None:
    row = covered([fetch("MIL", HOME)], last=before("none_found", START - 13 * WEEK))
    assert row["state"] == "not_checked"


def test_a_failed_look_now_outweighs_a_good_one_before_and_keeps_its_date() -> None:
    down = [fetch("WEX", HOME, outcome="timeout")]
    row = covered(down, last=before("none_found", START - WEEK))
    assert (row["state"], row["last_checked"]) == ("not_checked", START - WEEK)


# --- Links left out ----------------------------------------------------------------------------


def identified(*rows: dict[str, Any]) -> pd.DataFrame:
    base = {
        "council_id": "WEX",
        "page_url": HOME,
        "href": "https://x.com/share",
        "platform": None,
        "account_key": None,
        "reason": None,
    }
    return pd.DataFrame([base | row for row in rows], columns=list(base), dtype="str")


def left_out(table: pd.DataFrame, decided: pd.DataFrame | None = None) -> list[tuple[Any, ...]]:
    made = rejections(table, signals() if decided is None else decided)
    assert spec("rejections").faults(to_arrow(made, spec("rejections"))) == []
    return [
        *made[["href", "reason", "pages_seen", "evidence_url"]].itertuples(index=False, name=None)
    ]


def test_a_link_that_names_nobody_is_left_out_with_its_rule() -> None:
    row = {"platform": "twitter", "reason": "share"}
    assert left_out(identified(row)) == [("https://x.com/share", "share", 1, HOME)]


def test_one_row_counts_the_pages_of_a_link() -> None:
    row = {"platform": "twitter", "reason": "share"}
    rows = [row, row, row | {"page_url": f"{HOME}news"}]
    assert left_out(identified(*rows)) == [("https://x.com/share", "share", 2, HOME)]


def test_an_account_of_the_council_is_not_left_out() -> None:
    row = {"href": "https://x.com/Wexdale", "platform": "twitter", "account_key": "wexdale"}
    theirs = signals(signal("WEX", "twitter", "Wexdale", HOME))
    assert left_out(identified(row), theirs) == []


def test_a_known_stranger_is_named() -> None:
    row = {"href": "https://x.com/NHSuk", "platform": "twitter", "account_key": "nhsuk"}
    decided = signals(signal("WEX", "twitter", "NHSuk", HOME, scope=None, stranger="nhs"))
    assert left_out(identified(row), decided) == [("https://x.com/NHSuk", "stranger: nhs", 1, HOME)]


def test_another_account_that_is_not_theirs_names_the_rule_of_the_policy() -> None:
    row = {"href": "https://x.com/Band", "platform": "twitter", "account_key": "band"}
    decided = signals(signal("WEX", "twitter", "Band", HOME, scope=None, decided_by="P5.9"))
    assert left_out(identified(row), decided) == [
        ("https://x.com/Band", "not_theirs: P5.9", 1, HOME)
    ]


def test_the_order_of_observations_changes_nothing() -> None:
    rows = [
        {"reason": "unknown_host", "href": f"https://h{i % 3}.example/", "page_url": f"{HOME}{i}"}
        for i in range(9)
    ]
    assert left_out(identified(*rows)) == left_out(identified(*rows[::-1]))
