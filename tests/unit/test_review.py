"""What a person is asked, in which order, and what their answer becomes."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pytest

from pipeline.attribute import attribute
from pipeline.overrides import OverridesError, load_overrides
from pipeline.review import append_overrides, override_row, questions, read_sheet, write_sheet
from pipeline.schema import ACCOUNTS, SIGNALS
from tests.unit.attribution_world import fetches, pages, register, rows

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

ON = date(2026, 3, 2)
X = "https://x.com/"


def release(identified: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The tables of a release, as far as reviewing needs them."""
    signals = attribute(identified, fetches(identified), register())
    accounts = signals[signals["scope"].notna()]
    accounts = accounts.assign(account_id=accounts["platform"] + accounts["account_key"])
    accounts = accounts.reindex(columns=ACCOUNTS.names)
    return {"councils": register(), "accounts": accounts, "signals": signals[SIGNALS.names]}


def asked(identified: pd.DataFrame, before: pd.DataFrame | None = None) -> pd.DataFrame:
    """The questions about a release."""
    return questions(release(identified), None if before is None else release(before))


def test_two_candidates_are_asked_about_side_by_side() -> None:
    table = asked(pages("BRK", "two_candidates.html"))
    row = table[table["question"] == "two_candidates"].iloc[0]
    assert (row["account"], row["other_account"]) == (f"{X}WolshireCC", f"{X}WolshireHelp")
    assert row["other_evidence_url"] == "https://www.wolshire.example/"


def test_thin_evidence_for_a_primary_is_asked_about() -> None:
    link = {"href": f"{X}WolsCouncil", "region": "main", "is_home": False}
    assert asked(rows(link))["question"].tolist() == ["weak_primary"]


def test_a_likely_account_of_a_network_without_one_is_asked_about() -> None:
    link = {"href": f"{X}brackenlife", "region": "main", "is_home": False, "label": "Follow us"}
    table = asked(rows(link))
    assert "likely_account" in set(table["question"])


def test_a_changed_primary_is_asked_about_first() -> None:
    table = asked(rows({"href": f"{X}WolshireCC"}), rows({"href": f"{X}WolshireCouncil"}))
    assert table.loc[0, "question"] == "changed_primary"
    assert table.loc[0, "other_account"] == f"{X}WolshireCouncil"


def test_strong_evidence_is_not_asked_about() -> None:
    assert asked(rows({"href": f"{X}WolshireCC"})).empty


def test_what_a_person_decided_is_not_asked_again() -> None:
    tables = release(rows({"href": f"{X}WolshireCC", "region": "main", "is_home": False}))
    tables["accounts"] = tables["accounts"].assign(decided_by="P8.1 confirm by A on 2026-01-05")
    assert questions(tables).empty


def test_the_most_consequential_comes_first() -> None:
    table = asked(
        pages("BRK", "two_candidates.html", "services_only.html", "neighbour_campaign.html")
    )
    assert table["stakes"].is_monotonic_decreasing


def test_a_decision_becomes_a_valid_override(tmp_path: Path) -> None:
    question: dict[str, object] = dict(asked(pages("BRK", "two_candidates.html")).iloc[0])
    row = override_row(question, "set_primary", author="A. Keeper", reason="Asked them", on=ON)
    file = tmp_path / "overrides.csv"
    append_overrides(file, [row])
    assert load_overrides(file, register())["decided_on"].tolist() == [ON]


def test_a_second_decision_is_appended(tmp_path: Path) -> None:
    question = {"council_id": "BRK", "platform": "twitter", "account": f"{X}BrackenLife"}
    file = tmp_path / "overrides.csv"
    for decision, value in (("confirm", ""), ("set_status", "parked")):
        row = override_row(question, decision, author="A", reason="Told", on=ON, value=value)
        append_overrides(file, [row])
    assert load_overrides(file, register())["action"].tolist() == ["confirm", "set_status"]


@pytest.mark.parametrize(
    ("decision", "author", "said"),
    [("bless", "A", "makes no override"), ("confirm", "", "author is empty")],
)
def test_a_decision_that_makes_no_valid_row_is_refused(
    decision: str, author: str, said: str
) -> None:
    question = {"council_id": "BRK", "platform": "twitter", "account": f"{X}BrackenLife"}
    with pytest.raises(OverridesError, match=said):
        override_row(question, decision, author=author, reason="Told", on=ON)


def test_a_filled_in_sheet_is_read_back(tmp_path: Path) -> None:
    file = tmp_path / "sheet.csv"
    table = asked(pages("BRK", "two_candidates.html"))
    filled = {"decision": "confirm", "reason": "Asked them", "author": "A. Keeper"}
    write_sheet(table.assign(**filled), file)
    assert [row["account"] for row in read_sheet(file, ON)] == table["account"].tolist()


def test_rows_left_blank_are_skipped(tmp_path: Path) -> None:
    file = tmp_path / "sheet.csv"
    write_sheet(asked(pages("BRK", "two_candidates.html")), file)
    assert read_sheet(file, ON) == []


def test_a_sheet_with_faults_is_refused_with_row_numbers(tmp_path: Path) -> None:
    file = tmp_path / "sheet.csv"
    table = asked(pages("BRK", "two_candidates.html")).assign(
        decision="confirm", reason="", author="A"
    )
    write_sheet(table, file)
    with pytest.raises(OverridesError, match="row 2: reason is empty"):
        read_sheet(file, ON)


def test_no_cell_of_the_sheet_is_run_by_a_spreadsheet(tmp_path: Path) -> None:
    file = tmp_path / "sheet.csv"
    table = asked(pages("BRK", "two_candidates.html")).assign(evidence_text="=1+1")
    write_sheet(table, file)
    assert ",=1+1" not in file.read_text("utf-8")
