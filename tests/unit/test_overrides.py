"""overrides.csv: refused with every fault, applied last, reported when it does nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import pytest

from pipeline.attribute import attribute
from pipeline.overrides import (
    COLUMNS,
    OVERRIDES,
    OverridesError,
    load_overrides,
    unused_overrides,
)
from tests.unit.attribution_world import DAY, fetches, register, rows

if TYPE_CHECKING:
    from pathlib import Path

HANDLE = "https://x.com/BrackenNews"
GOOD = {
    "council_id": "BRK",
    "platform": "twitter",
    "action": "confirm",
    "account": HANDLE,
    "value": "",
    "reason": "Told by the press office",
    "evidence_url": "https://www.wolshire.example/press",
    "author": "A. Keeper",
    "decided_on": "2026-01-05",
    "expires_on": "2027-01-05",
}


def written(folder: Path, *changes: dict[str, str]) -> Path:
    """An overrides file; each row is a good one with changes."""
    file = folder / "overrides.csv"
    pd.DataFrame([GOOD | change for change in changes], columns=list(COLUMNS)).to_csv(
        file, index=False
    )
    return file


def decided(
    folder: Path, *changes: dict[str, str], href: str = HANDLE, region: str = "main"
) -> pd.DataFrame:
    """Attribution of one link in the text, which alone is not the council's, with overrides."""
    seen = rows({"href": href, "region": region, "is_home": False})
    return attribute(
        seen, fetches(seen), register(), load_overrides(written(folder, *changes), register())
    )


def test_the_committed_file_is_valid() -> None:
    assert load_overrides(OVERRIDES).columns[: len(COLUMNS)].tolist() == list(COLUMNS)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"council_id": "ZZZ"}, "not in the register"),
        ({"action": "bless"}, "action 'bless' is unknown"),
        ({"action": "set_status", "value": "asleep"}, "is no status"),
        ({"action": "set_scope", "value": "service:astrology"}, "is no scope"),
        ({"action": "reject", "value": "corporate"}, "means nothing with reject"),
        ({"reason": ""}, "reason is empty"),
        ({"author": ""}, "author is empty"),
        ({"decided_on": "5/1/26"}, "is no date"),
        ({"expires_on": "soon"}, "is no date"),
        ({"account": "https://www.facebook.com/bracken"}, "is no twitter account"),
        ({"evidence_url": "www.wolshire.example"}, "has no scheme"),
    ],
)
def test_a_faulty_row_is_refused_with_its_number(
    tmp_path: Path, change: dict[str, str], said: str
) -> None:
    with pytest.raises(OverridesError, match=rf"row 2: .*{said}"):
        load_overrides(written(tmp_path, change), register())


def test_all_faults_are_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(OverridesError) as refused:
        load_overrides(
            written(tmp_path, {"reason": "", "author": ""}, {"action": "bless"}), register()
        )
    assert len(str(refused.value).splitlines()) == 3


def test_two_answers_to_one_question_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OverridesError, match="row 3: decides again what row 2 decides"):
        load_overrides(written(tmp_path, {}, {"action": "reject"}), register())


def test_a_file_without_a_column_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "overrides.csv"
    file.write_text("council_id,platform\n", encoding="utf-8")
    with pytest.raises(OverridesError, match="no column action"):
        load_overrides(file)


def test_a_confirmed_account_is_the_councils_by_name_of_the_author(tmp_path: Path) -> None:
    row = decided(tmp_path, {}).iloc[0]
    assert (row["scope"], row["is_primary"]) == ("corporate", True)
    assert row["decided_by"] == "P8.1 confirm by A. Keeper on 2026-01-05"


def test_a_rejected_account_is_not_the_councils(tmp_path: Path) -> None:
    own = "https://x.com/WolshireCC"
    row = decided(tmp_path, {"action": "reject", "account": own}, href=own, region="footer").iloc[0]
    assert pd.isna(row["scope"])
    assert not row["is_primary"]


def test_a_scope_is_set_with_its_service(tmp_path: Path) -> None:
    row = decided(tmp_path, {"action": "set_scope", "value": "service:libraries"}).iloc[0]
    assert (row["scope"], row["service"]) == ("service", "libraries")


def test_a_status_is_set(tmp_path: Path) -> None:
    parked = {"action": "set_status", "value": "parked"}
    assert decided(tmp_path, {}, parked)["status"].tolist() == ["parked"]


def test_a_chosen_primary_goes_before_better_evidence(tmp_path: Path) -> None:
    seen = rows({"href": "https://x.com/WolshireCC"}, {"href": HANDLE})
    chosen = load_overrides(written(tmp_path, {"action": "set_primary"}), register())
    table = attribute(seen, fetches(seen), register(), chosen)
    assert table.loc[table["is_primary"], "handle"].tolist() == ["BrackenNews"]


def test_an_added_account_needs_no_link(tmp_path: Path) -> None:
    table = decided(tmp_path, {"action": "add", "account": "https://x.com/BrackenToday"})
    row = table[table["handle"] == "BrackenToday"].iloc[0]
    assert (row["scope"], row["pages_seen"]) == ("corporate", 0)
    assert row["evidence_url"] == "https://www.wolshire.example/press"


def test_an_override_does_not_hit_another_account(tmp_path: Path) -> None:
    table = decided(tmp_path, {"account": "https://x.com/WolshireCC"})
    assert not table["decided_by"].str.startswith("P8").any()


def test_an_expired_override_does_nothing(tmp_path: Path) -> None:
    assert pd.isna(decided(tmp_path, {"expires_on": "2026-02-28"}).iloc[0]["scope"])


def test_an_override_counts_on_its_last_day(tmp_path: Path) -> None:
    assert decided(tmp_path, {"expires_on": "2026-03-01"}).iloc[0]["scope"] == "corporate"


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"expires_on": "2026-02-28"}, "expired"),
        ({"account": "https://x.com/SomethingElse"}, "stale"),
        ({"action": "add"}, "needless"),
    ],
)
def test_an_override_that_does_nothing_is_reported(
    tmp_path: Path, change: dict[str, str], fault: str
) -> None:
    told = load_overrides(written(tmp_path, change), register())
    found = unused_overrides(told, decided(tmp_path, change), DAY)
    assert found["fault"].str.startswith(fault).tolist() == [True]


def test_an_override_in_use_is_not_reported(tmp_path: Path) -> None:
    told = load_overrides(written(tmp_path, {}), register())
    assert unused_overrides(told, decided(tmp_path, {}), DAY).empty
