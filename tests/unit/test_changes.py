"""What differs between two releases, as a table, a version, Markdown and a feed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from lxml import etree

from pipeline.changes import atom, changes, level, markdown, next_version, summary
from pipeline.release import spec, to_arrow
from tests.unit.samples import START, WEEK, council, frame, register
from tests.unit.test_coverage import ACCOUNT, HOME

if TYPE_CHECKING:
    import pandas as pd

ATOM = {"a": "http://www.w3.org/2005/Atom"}
SEEN = {**ACCOUNT, "evidence_url": HOME}


def ledger(*rows: dict[str, Any]) -> pd.DataFrame:
    base = {
        "account_id": "a1",
        "council_id": "WEX",
        "platform": "twitter",
        "account_key": "wexdalecouncil",
        "handle": "WexdaleCouncil",
        "url": "https://x.com/WexdaleCouncil",
        "kind": "profile",
        "scope": "corporate",
        "status": "current",
        "since": START,
        "first_seen": START,
        "last_seen": START,
        "last_checked": START,
        "missed": 0,
        "reason": "seen in the footer",
    }
    return frame("history", [base | row for row in rows])


def told(
    old: list[dict[str, Any]], new: list[dict[str, Any]], history: pd.DataFrame
) -> list[dict[str, Any]]:
    table = changes(frame("accounts", old), frame("accounts", new), history, "1.1.0", START)
    described = spec("changes")
    assert described.faults(to_arrow(table, described)) == []
    rows = table.astype("object").where(table.notna(), None).to_dict("records")
    return [{str(name): value for name, value in row.items()} for row in rows]


def only(rows: list[dict[str, Any]], *columns: str) -> tuple[Any, ...]:
    (row,) = rows
    return tuple(row[column] for column in columns)


def test_a_quiet_refresh_has_no_change() -> None:
    later = SEEN | {"last_seen": START + WEEK, "last_checked": START + WEEK}
    assert told([SEEN], [later], ledger({})) == []


def test_a_new_account_is_added_with_its_evidence() -> None:
    row = told([], [SEEN], ledger({}))
    assert only(row, "change", "old", "new", "evidence_url", "reason") == (
        "added",
        None,
        "https://x.com/WexdaleCouncil",
        HOME,
        "seen in the footer",
    )


def test_an_account_that_left_is_removed_with_the_reason_of_the_ledger() -> None:
    gone = {"status": "removed", "since": START + WEEK, "reason": "absent twice"}
    row = told([SEEN], [], ledger({}, gone))
    assert only(row, "change", "old", "new", "reason") == (
        "removed",
        "https://x.com/WexdaleCouncil",
        None,
        "absent twice",
    )


def test_a_renamed_account_is_one_row() -> None:
    new = SEEN | {"account_id": "a2", "handle": "WexUnitary"}
    moved = {"status": "removed", "since": START + WEEK, "renamed_to": "a2", "reason": "leads on"}
    row = told([SEEN], [new], ledger({}, moved, {"account_id": "a2"}))
    assert only(row, "change", "account_id", "field", "old", "new") == (
        "renamed",
        "a2",
        "handle",
        "WexdaleCouncil",
        "WexUnitary",
    )


def test_an_account_of_an_ended_council_is_moved() -> None:
    new = SEEN | {"account_id": "a2", "council_id": "NEW"}
    moved = {"status": "removed", "since": START + WEEK, "renamed_to": "a2", "reason": "ended"}
    row = told([SEEN], [new], ledger({}, moved, {"account_id": "a2"}))
    assert only(row, "change", "council_id", "field", "old", "new") == (
        "moved",
        "NEW",
        "council_id",
        "WEX",
        "NEW",
    )


def test_two_accounts_that_became_one_are_one_move() -> None:
    other = SEEN | {"account_id": "b1", "council_id": "MIL"}
    new = SEEN | {"account_id": "a2", "council_id": "NEW"}
    ends = {"status": "removed", "since": START + WEEK, "renamed_to": "a2"}
    history = ledger({}, ends, {"account_id": "b1"}, {"account_id": "b1"} | ends)
    assert only(told([SEEN, other], [new], history), "change", "account_id") == ("moved", "a2")


def test_a_successor_that_is_not_listed_makes_it_a_removal() -> None:
    gone = {"status": "removed", "since": START + WEEK, "renamed_to": "nowhere"}
    assert only(told([SEEN], [], ledger({}, gone)), "change") == ("removed",)


@pytest.mark.parametrize(("field", "value"), [("status", "unconfirmed"), ("scope", "service")])
def test_a_changed_value_tells_old_and_new(field: str, value: str) -> None:
    row = told([SEEN], [SEEN | {field: value}], ledger({}))
    assert only(row, "change", "field", "old", "new") == (field, field, SEEN[field], value)


# --- Versions ----------------------------------------------------------------------------------


def release(**columns: list[Any]) -> dict[str, pa.Table]:
    directory = pa.table({"council_id": ["WEX"], "twitter_url": ["a"]} | columns)
    return {"directory": directory, "accounts": pa.table({"account_id": ["a1"]})}


def test_a_column_that_is_gone_is_a_break_of_schema() -> None:
    old = release(extra=["x"])
    assert level(old, release()) == "schema"


def test_a_column_of_another_type_is_a_break_of_schema() -> None:
    assert level(release(), release(twitter_url=[1])) == "schema"


def test_columns_in_another_order_are_a_break_of_schema() -> None:
    new = release()
    new["directory"] = new["directory"].select(["twitter_url", "council_id"])
    assert level(release(), new) == "schema"


def test_a_new_column_counts_as_rows() -> None:
    assert level(release(), release(extra=["x"])) == "rows"


def test_another_account_counts_as_rows() -> None:
    new = release() | {"accounts": pa.table({"account_id": ["a2"]})}
    assert level(release(), new) == "rows"


def test_other_cells_count_as_values() -> None:
    assert level(release(), release(twitter_url=["b"])) == "values"


@pytest.mark.parametrize(
    ("last", "kind", "version"),
    [
        (None, "first", "1.0.0"),
        ("1.2.3", "schema", "2.0.0"),
        ("1.2.3", "rows", "1.3.0"),
        ("1.2.3", "values", "1.2.4"),
        ("1.9.0", "rows", "1.10.0"),
    ],
)
def test_the_version_follows_from_the_difference(last: str | None, kind: str, version: str) -> None:
    assert next_version(last, kind) == version


def test_a_version_that_was_rolled_back_is_not_used_again() -> None:
    assert next_version("1.2.0", "rows", taken=("1.3.0", "1.4.0")) == "1.5.0"


# --- For people --------------------------------------------------------------------------------


def log(*rows: dict[str, Any]) -> pd.DataFrame:
    base = {
        "release": "1.1.0",
        "released": START,
        "change": "added",
        "account_id": "a1",
        "council_id": "WEX",
        "platform": "twitter",
        "new": "https://x.com/WexdaleCouncil",
        "reason": "seen in the footer",
    }
    return frame("changelog", [base | row for row in rows])


def test_the_summary_counts_each_kind() -> None:
    rows: tuple[dict[str, Any], ...] = (
        {},
        {"account_id": "a2"},
        {"account_id": "a3", "change": "removed"},
    )
    assert summary(log(*rows)) == "accounts: 2 added, 1 removed"
    assert summary(log()) == "no account changed"


def test_markdown_names_council_and_reason() -> None:
    text = markdown(log({}), register(), "Changes")
    assert "## 1 added" in text
    assert "| Wexdale Council | twitter |" in text


def test_markdown_from_strangers_stays_text() -> None:
    hostile = {"old": "![x](https://evil.example)\n| <b>|", "change": "renamed"}
    text = markdown(log(hostile), register(), "Changes")
    assert r"\!\[x\](https://evil.example) \| \<b\>\|" in text


def test_the_feed_has_an_entry_per_release_and_council() -> None:
    rows: tuple[dict[str, Any], ...] = (
        {},
        {"account_id": "a2"},
        {"account_id": "a3", "council_id": "MIL"},
    )
    feed = etree.fromstring(atom(log(*rows), register(), START))
    titles = [entry.text for entry in feed.findall("a:entry/a:title", ATOM)]
    assert titles == [
        "Millwick District Council: changes in release 1.1.0",
        "Wexdale Council: changes in release 1.1.0",
    ]


def test_the_ids_of_the_feed_stay_when_releases_follow() -> None:
    later = {"release": "1.2.0", "released": START + WEEK, "account_id": "a2"}
    before = etree.fromstring(atom(log({}), register(), START))
    after = etree.fromstring(atom(log({}, later), register(), START + WEEK))
    (old,) = [entry.text for entry in before.findall("a:entry/a:id", ATOM)]
    new = [entry.text for entry in after.findall("a:entry/a:id", ATOM)]
    assert new[1:] == [old]


def test_the_feed_has_what_atom_requires_also_without_entries() -> None:
    feed = etree.fromstring(atom(log(), register(), START))
    for name in ("id", "title", "updated", "author/a:name"):
        assert feed.findtext(f"a:{name}", namespaces=ATOM)


def test_the_feed_holds_hostile_text_as_text() -> None:
    hostile = {"reason": "<script>\x00\x0b]]> & \ufffe"}
    council_row = council("WEX", "Wex & <b>dale</b> Council")
    feed = etree.fromstring(atom(log(hostile), register(council_row), START))
    content = feed.findtext("a:entry/a:content", namespaces=ATOM)
    assert content is not None
    assert "<script>" in content
