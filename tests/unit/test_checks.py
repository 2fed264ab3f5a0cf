"""Each gate fails on what it is for, passes otherwise, and can be let pass once by name."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from pipeline.checks import ChecksError, check, gates, limits
from pipeline.release import NAMES, read_release, spec, to_arrow, write_tables
from tests.unit.releases import made, pages
from tests.unit.samples import council, frame, register
from tests.unit.test_coverage import ACCOUNT, HOME

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pipeline.checks import Finding

COUNCILS = 20
NATIONS = ("England", "Wales")


def accounts(count: int = 3, **more: Any) -> pd.DataFrame:
    """`count` accounts for each of twenty councils, the first of each primary."""
    rows = [
        ACCOUNT
        | {
            "account_id": f"{c:02}{n}",
            "council_id": council_id(c),
            "platform": ("twitter", "facebook", "youtube")[n % 3],
            "url": f"https://x.com/c{c}n{n}",
            "is_primary": n < 3,
            "evidence_url": HOME,
            "evidence_region": "footer",
            "evidence_mechanism": "anchor",
        }
        | more
        for c in range(COUNCILS)
        for n in range(count)
    ]
    return frame("accounts", rows)


def council_id(number: int) -> str:
    return "C" + chr(65 + number // 10) + chr(65 + number % 10)


def councils() -> pd.DataFrame:
    nations = [NATIONS[c % 2] for c in range(COUNCILS)]
    return register(
        *[council(council_id(c), f"Council {c}", nation=n) for c, n in enumerate(nations)]
    )


def directory(outcome: Callable[[int], str] = lambda _: "ok") -> pd.DataFrame:
    base = {"letter": "C", "name": "A council", "council_type": "unitary authority"}
    rows = [
        base
        | {
            "council_id": council_id(c),
            "sort_name": f"council {c:02}",
            "nation": NATIONS[c % 2],
            "names_other": [],
            "accounts": 3,
            "check_outcome": outcome(c),
        }
        for c in range(COUNCILS)
    ]
    return frame("directory", rows)


def release(folder: Path, **tables: pd.DataFrame) -> Path:
    """A release folder written straight from tables, as no build would make it."""
    one = {"council_id": "CAA", "url": HOME, "fetched_at": ACCOUNT["first_seen"]}
    fetch = one | {"crawl_id": "c", "purpose": "home", "depth": 0, "outcome": "ok"}
    fetch |= {"rendered": False}
    observation = one | {"crawl_id": "c", "page_url": HOME, "is_home": True, "href": "/x"}
    observation |= {"mechanism": "anchor", "region": "footer"}
    state = {"council_id": "CAA", "platform": "twitter", "state": "found"}
    frames = {name: frame(name, []) for name in NAMES} | {
        "accounts": accounts(),
        "directory": directory(),
        "councils": councils(),
        "coverage": frame("coverage", [state]),
        "fetches": frame("fetches", [fetch]),
        "observations": frame("observations", [observation]),
    }
    frames |= tables
    folder.mkdir()
    rows = {name: to_arrow(table, spec(name)) for name, table in frames.items()}
    write_tables(folder, rows, "1.0.0", "2026-01-05T09:00:00Z")
    return folder


def failed(folder: Path, last: Path | None = None, **allow: str) -> list[str]:
    found = check(folder, read_release(last) if last else None, allow)
    return [finding.gate for finding in found]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return release(tmp_path_factory.mktemp("checks") / "good")


def test_a_good_release_passes_every_gate(good: Path) -> None:
    assert failed(good, good) == []


def test_a_release_that_the_build_made_passes_every_gate(tmp_path: Path) -> None:
    assert failed(made(tmp_path, pages()).folder) == []


def test_every_gate_and_limit_has_its_reason() -> None:
    assert all(len(gate.reason) > 20 for gate in gates().values())
    assert {gate.severity for gate in gates().values()} <= {"fatal", "warning"}
    assert (limits().carry_days, limits().missed_crawls) == (90, 2)


# --- Files -------------------------------------------------------------------------------------


def test_an_edited_file_is_noticed(good: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(good, tmp_path / "copy")
    with (copy / "accounts.csv").open("ab") as file:
        file.write(b"x")
    (finding,) = check(copy)
    assert (finding.gate, finding.message) == (
        "files_whole",
        "accounts.csv differs from its digest",
    )


@pytest.mark.parametrize("name", ["accounts.csv", "history.parquet", "datapackage.json"])
def test_a_missing_file_is_noticed(good: Path, tmp_path: Path, name: str) -> None:
    copy = shutil.copytree(good, tmp_path / "copy")
    (copy / name).unlink()
    assert failed(copy) == ["files_whole"]


def test_a_file_that_the_package_does_not_list_is_noticed(good: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(good, tmp_path / "copy")
    package = json.loads((copy / "datapackage.json").read_text("utf-8"))
    package["resources"] = [r for r in package["resources"] if r["name"] != "accounts"]
    (copy / "datapackage.json").write_text(json.dumps(package), "utf-8")
    assert failed(copy) == ["files_whole"]


def test_a_value_that_the_schema_does_not_know_is_noticed(tmp_path: Path) -> None:
    strange = accounts(status="thriving")
    (finding,) = check(release(tmp_path / "r", accounts=strange))
    assert finding.gate == "tables_fit"
    assert "accounts: column 'status' holds 'thriving'" in finding.message


def test_a_row_that_repeats_a_key_is_noticed(tmp_path: Path) -> None:
    twice = pd.concat([accounts(), accounts()], ignore_index=True)
    assert failed(release(tmp_path / "r", accounts=twice)) == ["tables_fit"]


def test_csv_that_differs_from_parquet_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.release.csv_bytes", lambda _rows: b"a\r\n1\r\n")
    assert failed(release(tmp_path / "r")) == ["formats_agree"]


# --- Content -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["coverage", "fetches", "observations"])
def test_a_table_without_rows_is_noticed(tmp_path: Path, name: str) -> None:
    assert failed(release(tmp_path / "r", **{name: frame(name, [])})) == ["rows_present"]


def test_a_current_council_that_is_not_listed_is_noticed(tmp_path: Path) -> None:
    assert failed(release(tmp_path / "r", directory=directory()[1:])) == ["councils_listed"]


def test_a_listed_council_that_is_not_current_is_noticed(tmp_path: Path) -> None:
    ended = councils()
    ended.loc[3, "status"] = "abolished"
    assert failed(release(tmp_path / "r", councils=ended)) == ["councils_listed"]


def test_two_primaries_for_one_network_are_noticed(tmp_path: Path) -> None:
    double = accounts(platform="twitter")
    assert failed(release(tmp_path / "r", accounts=double)) == ["primaries_double"]


def test_twins_in_two_languages_are_no_double(tmp_path: Path) -> None:
    twins = accounts(2, platform="twitter")
    twins["language"] = ["en", "cy"] * COUNCILS
    assert failed(release(tmp_path / "r", accounts=twins)) == []


def test_an_account_without_evidence_is_noticed(tmp_path: Path) -> None:
    bare = accounts(evidence_url=None)
    assert failed(release(tmp_path / "r", accounts=bare)) == ["evidence_missing"]


def test_a_person_may_vouch_for_an_account_without_a_page(tmp_path: Path) -> None:
    vouched = accounts(
        evidence_url=None,
        evidence_region=None,
        evidence_text="She rang us",
        decided_by="P8.1 add by J on 2026-01-01",
    )
    assert failed(release(tmp_path / "r", accounts=vouched)) == []


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "http://x.com/a", "https://x.com/a b", 'https://x.com/"><b>']
)
def test_a_link_that_is_not_plain_https_is_noticed(tmp_path: Path, url: str) -> None:
    assert failed(release(tmp_path / "r", accounts=accounts(url=url))) == ["links_unsafe"]


# --- Against the release before ----------------------------------------------------------------


def test_too_few_councils_reached_are_noticed(good: Path, tmp_path: Path) -> None:
    down = directory(lambda c: "timeout" if c < 3 else "ok")
    assert failed(release(tmp_path / "r", directory=down), good) == ["councils_reached"]


def test_one_council_more_that_fails_is_no_alarm(good: Path, tmp_path: Path) -> None:
    down = directory(lambda c: "timeout" if c < 2 else "ok")
    assert failed(release(tmp_path / "r", directory=down), good) == []


def without(rows: Callable[[pd.DataFrame], Any]) -> pd.DataFrame:
    table = accounts()
    rest: pd.DataFrame = table[~rows(table)]
    return rest


def test_too_few_accounts_in_all_are_noticed(good: Path, tmp_path: Path) -> None:
    table = without(
        lambda t: t["account_id"].str[:2].astype(int).mod(3).eq(0) & t["platform"].ne("youtube")
    )
    found = failed(release(tmp_path / "r", accounts=table), good)
    assert "accounts_total" in found


def test_a_network_that_shrinks_is_noticed(good: Path, tmp_path: Path) -> None:
    table = without(
        lambda t: t["platform"].eq("youtube") & t["account_id"].str[:2].astype(int).lt(5)
    )
    assert failed(release(tmp_path / "r", accounts=table), good) == ["accounts_by_platform"]


def test_a_nation_that_shrinks_is_noticed(good: Path, tmp_path: Path) -> None:
    welsh = {council_id(c) for c in range(1, COUNCILS, 2)}

    def some(table: pd.DataFrame) -> Any:
        first = table["account_id"].str[:2].astype(int).lt(16)
        return table["council_id"].isin(welsh) & first & table["account_id"].str[-1].eq("0")

    found = failed(release(tmp_path / "r", accounts=without(some)), good)
    assert "accounts_by_nation" in found


def test_councils_that_lose_more_than_half_are_noticed(good: Path, tmp_path: Path) -> None:
    table = without(
        lambda t: t["account_id"].str[:2].astype(int).lt(3) & t["account_id"].str[-1].ne("0")
    )
    assert "councils_halved" in failed(release(tmp_path / "r", accounts=table), good)


def test_accounts_that_went_missing_count_as_lost(good: Path, tmp_path: Path) -> None:
    found = failed(release(tmp_path / "r", accounts=accounts(status="missing")), good)
    assert {"accounts_total", "accounts_by_platform", "accounts_by_nation"} <= set(found)


def test_many_other_primaries_are_a_warning(good: Path, tmp_path: Path) -> None:
    other = accounts()
    other["account_id"] = other["account_id"].str.replace("0$", "9", regex=True)
    (finding,) = check(release(tmp_path / "r", accounts=other), read_release(good))
    assert (finding.gate, finding.severity, finding.refuses) == (
        "primaries_changed",
        "warning",
        False,
    )


def test_without_a_release_before_only_the_release_itself_is_judged(tmp_path: Path) -> None:
    down = directory(lambda _: "timeout")
    assert failed(release(tmp_path / "r", directory=down)) == []


# --- Letting a gate pass -----------------------------------------------------------------------


def shrunk(folder: Path, good: Path, allow: dict[str, str]) -> Finding:
    few = release(folder / "r", directory=directory(lambda c: "timeout" if c < 9 else "ok"))
    (finding,) = check(few, read_release(good), allow)
    return finding


def test_a_fatal_gate_refuses(good: Path, tmp_path: Path) -> None:
    assert shrunk(tmp_path, good, {}).refuses


def test_a_gate_that_a_person_lets_pass_refuses_no_more(good: Path, tmp_path: Path) -> None:
    finding = shrunk(tmp_path, good, {"councils_reached": "The network was down here"})
    assert (finding.refuses, finding.allowed) == (False, "The network was down here")


def test_letting_an_unknown_gate_pass_is_refused(good: Path) -> None:
    with pytest.raises(ChecksError, match="no gate is called 'everything'; the gates are"):
        check(good, None, {"everything": "please"})


def test_letting_a_gate_pass_without_a_reason_is_refused(good: Path) -> None:
    with pytest.raises(ChecksError, match="without a reason"):
        check(good, None, {"councils_reached": " "})
