"""What stays, goes missing, is renamed, moves or comes back when a crawl meets the ledger."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd

from pipeline.reconcile import Limits, account_ids, reconcile, successors
from pipeline.release import spec, to_arrow
from tests.unit.samples import START, WEEK, council, fetch, frame, register, signal, signals

if TYPE_CHECKING:
    from collections.abc import Sequence

HOME = "https://www.wexdale.example/"
SOCIAL = f"{HOME}social"
LIMITS = Limits(carry_days=90, unvisited_days=28, missed_crawls=2)
TWITTER = signal("WEX", "twitter", "WexdaleCouncil", HOME)
NO_RENAMES = pd.DataFrame({"council_id": [], "old": [], "new": []}, dtype="str")


@dataclass
class Directory:
    """A directory that is refreshed week by week on a clock that the test sets."""

    councils: pd.DataFrame = field(default_factory=register)
    accounts: pd.DataFrame = field(default_factory=lambda: frame("accounts", []))
    history: pd.DataFrame = field(default_factory=lambda: frame("history", []))

    def refresh(
        self,
        week: float,
        seen: Sequence[dict[str, Any]] = (),
        fetches: Sequence[dict[str, Any]] = (fetch("WEX", HOME),),
        renames: pd.DataFrame = NO_RENAMES,
    ) -> Directory:
        now = (START + week * WEEK).floor("s")
        rows = [{"first_seen": now, "last_seen": now} | _changed(row) for row in seen]
        result = reconcile(
            signals(*[{**signal("", "", "", ""), **row} for row in rows]),
            self.accounts,
            self.history,
            frame("fetches", [fetch_at(row, now) for row in fetches]),
            self.councils,
            renames,
            LIMITS,
            now,
        )
        self.accounts = result.accounts
        self.history = result.history
        to_arrow(self.accounts, spec("accounts"))
        assert spec("history").faults(to_arrow(self.history, spec("history"))) == []
        return self

    @property
    def row(self) -> dict[str, Any]:
        """The only account."""
        (row,) = self.accounts.to_dict("records")
        return {str(name): value for name, value in row.items()}

    @property
    def last_standing(self) -> dict[str, Any]:
        return dict(self.history.sort_values("since").iloc[-1])


def _changed(row: dict[str, Any]) -> dict[str, Any]:
    """A signal without its times, unless the test set other times than the sample's."""
    return {k: v for k, v in row.items() if not (k in ("first_seen", "last_seen") and v == START)}


def fetch_at(row: dict[str, Any], now: pd.Timestamp) -> dict[str, Any]:
    return row | ({"fetched_at": now} if row["fetched_at"] == START else {})


def down(outcome: str = "timeout") -> dict[str, Any]:
    return fetch("WEX", HOME, outcome=outcome, status=None, bytes=None)


def week(number: float) -> pd.Timestamp:
    return START + number * WEEK


# --- Seen ------------------------------------------------------------------------------------


def test_an_account_seen_for_the_first_time_is_dated_from_that_look() -> None:
    row = Directory().refresh(0, [TWITTER]).row
    assert (row["status"], row["first_seen"], row["last_seen"]) == ("current", START, START)
    assert row["last_checked"] == START


def test_an_account_seen_again_keeps_its_first_day() -> None:
    row = Directory().refresh(0, [TWITTER]).refresh(1, [TWITTER]).row
    assert (row["first_seen"], row["last_seen"]) == (START, week(1))


def test_a_quiet_refresh_adds_nothing_to_the_ledger() -> None:
    directory = Directory().refresh(0, [TWITTER]).refresh(1, [TWITTER])
    (standing,) = directory.history.to_dict("records")
    assert (standing["since"], standing["last_seen"]) == (START, week(1))


def test_what_attribution_calls_parked_is_parked() -> None:
    parked = TWITTER | {"status": "parked", "notice": "We no longer post here"}
    directory = Directory().refresh(0, [TWITTER]).refresh(1, [parked])
    assert directory.row["status"] == "parked"
    assert directory.last_standing["reason"] == "its page says: We no longer post here"


def test_an_old_capture_alone_is_unconfirmed() -> None:
    old = TWITTER | {"first_seen": week(-50), "last_seen": week(-50)}
    row = Directory().refresh(0, [old], [fetch("WEX", HOME, fetched_at=week(-50))]).row
    assert (row["status"], row["last_checked"]) == ("unconfirmed", week(-50))


def test_what_a_later_capture_of_the_same_page_lacks_is_missing() -> None:
    old = TWITTER | {"first_seen": week(-50), "last_seen": week(-50)}
    fetches = [fetch("WEX", HOME, fetched_at=week(-50)), fetch("WEX", HOME)]
    row = Directory().refresh(0, [old], fetches).row
    assert (row["status"], row["last_checked"]) == ("missing", START)


def test_an_account_that_a_person_added_does_not_age() -> None:
    added = TWITTER | {
        "pages_seen": 0,
        "evidence_url": None,
        "evidence_region": None,
        "evidence_mechanism": None,
        "last_seen": week(-50),
        "first_seen": week(-50),
        "decided_by": "P8.1 add by J on 2025-01-01",
    }
    assert Directory().refresh(0, [added]).row["status"] == "current"


# --- The site cannot be read --------------------------------------------------------------------


def test_a_failed_fetch_leaves_the_account_unconfirmed_with_its_last_good_date() -> None:
    directory = Directory().refresh(0, [TWITTER]).refresh(1, [], [down()])
    row = directory.row
    assert (row["status"], row["last_seen"], row["last_checked"]) == ("unconfirmed", START, START)
    assert "could not be read (timeout)" in directory.last_standing["reason"]


def test_an_unconfirmed_account_is_current_again_when_seen() -> None:
    directory = Directory().refresh(0, [TWITTER]).refresh(1, [], [down()]).refresh(2, [TWITTER])
    assert directory.row["status"] == "current"
    assert directory.history["status"].tolist() == ["current", "unconfirmed", "current"]


def test_an_account_is_carried_for_ninety_days_and_not_longer() -> None:
    directory = Directory().refresh(0, [TWITTER]).refresh(90 / 7, [], [down()])
    assert directory.row["status"] == "unconfirmed"
    assert directory.refresh(91 / 7, [], [down()]).row["status"] == "missing"


def test_a_site_that_stays_down_never_loses_its_accounts() -> None:
    directory = Directory().refresh(0, [TWITTER])
    for number in (1, 13, 14, 60):
        directory.refresh(number, [], [down()])
    assert directory.row["status"] == "missing"


def test_a_page_that_broke_off_does_not_prove_absence() -> None:
    directory = Directory().refresh(0, [TWITTER]).refresh(1, [], [down("truncated")])
    assert directory.row["status"] == "unconfirmed"


def test_a_page_that_failed_on_a_site_that_was_read_leaves_its_account_unconfirmed() -> None:
    library = TWITTER | {"evidence_url": SOCIAL}
    failed = fetch("WEX", SOCIAL, purpose="follow", outcome="http_error", status=500)
    directory = Directory().refresh(0, [library]).refresh(1, [], [fetch("WEX", HOME), failed])
    assert directory.row["status"] == "unconfirmed"


def test_a_page_that_was_not_visited_leaves_its_account_as_it_was_for_a_while() -> None:
    library = TWITTER | {"evidence_url": SOCIAL}
    directory = Directory().refresh(0, [library])
    assert directory.refresh(4, []).row["status"] == "current"
    assert directory.refresh(5, []).row["status"] == "unconfirmed"


def test_a_council_that_the_crawl_did_not_ask_stays_as_it_was() -> None:
    other = [fetch("MIL", "https://www.millwickdistrictcouncil.example/")]
    assert Directory().refresh(0, [TWITTER]).refresh(1, [], other).row["status"] == "current"


def test_what_was_parked_stays_parked_while_its_site_is_down() -> None:
    parked = TWITTER | {"status": "parked"}
    assert Directory().refresh(0, [parked]).refresh(1, [], [down()]).row["status"] == "parked"


def test_what_was_retired_stays_retired_however_long_its_site_is_down() -> None:
    retired = TWITTER | {"status": "retired"}
    assert Directory().refresh(0, [retired]).refresh(20, [], [down()]).row["status"] == "retired"


# --- Read, and not there -------------------------------------------------------------------------


def test_a_page_read_without_the_link_makes_it_missing_at_once() -> None:
    directory = Directory().refresh(0, [TWITTER]).refresh(1)
    row = directory.row
    assert (row["status"], row["last_seen"], row["last_checked"]) == ("missing", START, week(1))


def test_two_such_crawls_in_a_row_take_it_out_of_the_directory_and_not_out_of_the_ledger() -> None:
    directory = Directory().refresh(0, [TWITTER]).refresh(1).refresh(2)
    assert directory.accounts.empty
    assert directory.history["status"].tolist() == ["current", "missing", "removed"]


def test_a_failed_crawl_between_two_that_lack_it_does_not_count() -> None:
    directory = Directory().refresh(0, [TWITTER]).refresh(1).refresh(2, [], [down()])
    assert directory.row["status"] == "missing"
    assert directory.refresh(3).accounts.empty


def test_being_seen_again_starts_the_count_anew() -> None:
    directory = Directory().refresh(0, [TWITTER]).refresh(1).refresh(2, [TWITTER]).refresh(3)
    assert directory.row["status"] == "missing"


def test_the_same_crawl_built_twice_counts_once() -> None:
    directory = Directory().refresh(0, [TWITTER]).refresh(1).refresh(1)
    assert directory.row["status"] == "missing"


def test_an_account_that_comes_back_after_its_removal_keeps_its_first_day() -> None:
    directory = Directory().refresh(0, [TWITTER]).refresh(1).refresh(2).refresh(9, [TWITTER])
    assert (directory.row["status"], directory.row["first_seen"]) == ("current", START)


def test_a_page_that_is_gone_from_a_site_that_was_read_no_longer_shows_it() -> None:
    library = TWITTER | {"evidence_url": SOCIAL}
    gone = fetch("WEX", SOCIAL, purpose="follow", outcome="http_error", status=404)
    directory = Directory().refresh(0, [library]).refresh(1, [], [fetch("WEX", HOME), gone])
    assert directory.row["status"] == "missing"


def test_a_page_is_the_same_on_https_and_without_www() -> None:
    moved = fetch("WEX", "http://wexdale.example")
    assert Directory().refresh(0, [TWITTER]).refresh(1, [], [moved]).row["status"] == "missing"


def test_a_page_of_another_purpose_proves_nothing() -> None:
    robots = fetch("WEX", HOME, purpose="robots")
    assert Directory().refresh(0, [TWITTER]).refresh(1, [], [robots]).row["status"] == "current"


def test_a_retired_account_that_its_page_drops_is_missing() -> None:
    retired = TWITTER | {"status": "retired"}
    assert Directory().refresh(0, [retired]).refresh(1).row["status"] == "missing"


def test_what_attribution_now_calls_a_strangers_leaves_at_once() -> None:
    stranger = TWITTER | {"scope": None, "decided_by": "P5.5"}
    directory = Directory().refresh(0, [TWITTER]).refresh(1, [stranger])
    assert directory.accounts.empty
    assert directory.last_standing["reason"] == "no longer taken for theirs: rule P5.5"


# --- Renamed and moved ---------------------------------------------------------------------------


def ids(*rows: dict[str, Any]) -> list[str]:
    return account_ids(pd.DataFrame(rows)).tolist()


def test_an_old_address_that_leads_to_the_new_is_a_rename() -> None:
    new = signal("WEX", "twitter", "WexdaleUnitary", HOME)
    old_id, new_id = ids(TWITTER, new)
    renames = pd.DataFrame({"council_id": ["WEX"], "old": [old_id], "new": [new_id]})
    directory = Directory().refresh(0, [TWITTER]).refresh(1, [new], renames=renames)
    assert (directory.row["handle"], directory.row["first_seen"]) == ("WexdaleUnitary", START)
    old = directory.history[directory.history["account_id"] == old_id].iloc[-1]
    assert (old["status"], old["renamed_to"]) == ("removed", new_id)


def test_an_account_written_otherwise_is_the_same_account() -> None:
    written = signal("WEX", "twitter", "WEXDALECOUNCIL", HOME)
    directory = Directory().refresh(0, [TWITTER]).refresh(1, [written])
    assert (directory.row["handle"], len(directory.history)) == ("WEXDALECOUNCIL", 1)


def merged(day: pd.Timestamp) -> pd.DataFrame:
    ends = {"end_date": "2026-03-31", "replaced_by": ["NEW"]}
    return register(
        council("WEX", "Wexdale Council", **ends),
        council("MIL", "Millwick District Council", **ends),
        council("NEW", "Wexwick Council", start_date="2026-04-01"),
        day=day,
    )


def test_a_council_keeps_its_accounts_until_its_last_day() -> None:
    last_day = pd.Timestamp("2026-03-31T12:00:00Z")
    directory = Directory(merged(START)).refresh(0, [TWITTER])
    directory.councils = merged(last_day)
    assert directory.refresh((last_day - START) / WEEK, [TWITTER]).row["council_id"] == "WEX"


def test_the_successor_takes_the_accounts_over_on_its_first_day() -> None:
    first_day = pd.Timestamp("2026-04-01T12:00:00Z")
    directory = Directory(merged(START)).refresh(0, [TWITTER])
    before = (first_day - START) / WEEK
    directory.refresh(before - 1, [TWITTER])
    directory.councils = merged(first_day)
    directory.refresh(before, [], [fetch("NEW", "https://www.wexwick.example/")])
    row = directory.row
    assert (row["council_id"], row["council_name"]) == ("NEW", "Wexwick Council")
    assert (row["first_seen"], row["status"]) == (START, "current")
    old = directory.history[directory.history["council_id"] == "WEX"].iloc[-1]
    assert (old["status"], old["renamed_to"]) == ("removed", row["account_id"])


def test_an_account_that_the_successor_shows_is_dated_from_its_predecessor() -> None:
    first_day = pd.Timestamp("2026-04-01T12:00:00Z")
    directory = Directory(merged(START)).refresh(0, [TWITTER])
    directory.councils = merged(first_day)
    again = signal("NEW", "twitter", "WexdaleCouncil", "https://www.wexwick.example/")
    row = directory.refresh((first_day - START) / WEEK, [again], []).row
    assert (row["council_id"], row["first_seen"], row["is_primary"]) == ("NEW", START, True)


def test_of_the_accounts_that_a_merger_brings_together_none_is_primary() -> None:
    first_day = pd.Timestamp("2026-04-01T12:00:00Z")
    other = signal("MIL", "twitter", "MillwickDC", "https://www.millwick.example/")
    directory = Directory(merged(START)).refresh(0, [TWITTER, other])
    directory.councils = merged(first_day)
    directory.refresh((first_day - START) / WEEK, [], [])
    assert directory.accounts["council_id"].tolist() == ["NEW", "NEW"]
    assert not directory.accounts["is_primary"].any()


def test_a_council_that_is_divided_hands_its_accounts_to_each_successor() -> None:
    day = pd.Timestamp("2026-04-01T12:00:00Z")
    rows = (
        council("WEX", "Wexdale Council", end_date="2026-03-31", replaced_by=["NWX", "SWX"]),
        council("NWX", "North Wexdale Council", start_date="2026-04-01"),
        council("SWX", "South Wexdale Council", start_date="2026-04-01"),
    )
    directory = Directory(register(*rows)).refresh(0, [TWITTER])
    directory.councils = register(*rows, day=day)
    directory.refresh((day - START) / WEEK, [], [])
    assert sorted(directory.accounts["council_id"]) == ["NWX", "SWX"]


def test_a_successor_that_ended_itself_is_followed_to_its_own() -> None:
    councils = register(
        council("OLD", "Old Council", end_date="2020-03-31", replaced_by=["MID"]),
        council("MID", "Mid Council", end_date="2024-03-31", replaced_by=["NEW", "OTH"]),
        council("NEW", "New Council"),
        council("OTH", "Other Council"),
    )
    heirs = successors(councils)
    assert sorted(heirs.itertuples(index=False, name=None)) == [
        ("MID", "NEW"),
        ("MID", "OTH"),
        ("OLD", "NEW"),
        ("OLD", "OTH"),
    ]


def test_a_council_that_left_the_register_leaves_its_accounts_in_the_ledger() -> None:
    directory = Directory().refresh(0, [TWITTER])
    directory.councils = register(council("MIL", "Millwick District Council"))
    directory.refresh(1, [], [])
    assert directory.accounts.empty
    assert "not in the register" in directory.last_standing["reason"]


# --- One primary ---------------------------------------------------------------------------------


def test_a_primary_seen_now_replaces_one_that_is_only_carried() -> None:
    new = signal("WEX", "twitter", "WexdaleNews", HOME)
    directory = Directory().refresh(0, [TWITTER]).refresh(1, [new])
    primary = directory.accounts.set_index("handle")["is_primary"]
    assert primary.to_dict() == {"WexdaleCouncil": False, "WexdaleNews": True}


def test_a_carried_primary_stays_primary() -> None:
    assert Directory().refresh(0, [TWITTER]).refresh(1, [], [down()]).row["is_primary"]


def test_twins_in_two_languages_are_both_primary() -> None:
    twins = [TWITTER | {"language": "en"}]
    twins.append(signal("WEX", "twitter", "CyngorWexdale", HOME, language="cy"))
    assert Directory().refresh(0, twins).accounts["is_primary"].tolist() == [True, True]


def test_the_order_of_rows_changes_nothing() -> None:
    rows = [TWITTER, signal("MIL", "twitter", "MillwickDC", "https://www.millwick.example/")]
    one = Directory().refresh(0, rows).refresh(1)
    other = Directory().refresh(0, rows[::-1]).refresh(1)
    pd.testing.assert_frame_equal(one.accounts, other.accounts)
    pd.testing.assert_frame_equal(one.history, other.history)


def test_ids_are_the_hash_that_the_documentation_tells() -> None:
    rows = pd.DataFrame([{"council_id": "WEX", "platform": "twitter", "account_key": "wexdale"}])
    # printf 'WEX|twitter|wexdale' | sha256sum
    assert account_ids(rows).tolist() == ["7e3cec4c53f5178f"]
