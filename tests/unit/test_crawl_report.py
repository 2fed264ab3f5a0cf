"""The report tells a maintainer, per council, what failed, since when, and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pipeline.build import build
from tests.unit.releases import NO_OVERRIDES, OAK, councils, made, pages
from tests.unit.samples import write_crawl

if TYPE_CHECKING:
    from pathlib import Path

BLOCKED = {"outcome": "blocked", "status": 403}


def reports(folder: Path, *weeks: dict[str, Any]) -> list[str]:
    """The report of each week's release, one built after the other."""
    texts, previous = [], None
    for week, links in enumerate(weeks):
        previous = made(folder, pages(week, **links), previous, name=f"week-{week}").folder
        texts.append((previous / "report.md").read_text("utf-8"))
    return texts


@pytest.fixture(scope="module")
def blocked(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A council that is read, then blocked twice; another is blocked from the start."""
    away = {"OAK": BLOCKED}
    folder = tmp_path_factory.mktemp("blocked")
    return reports(folder, away, away | {"WEX": BLOCKED}, away | {"WEX": BLOCKED})


def test_a_council_is_said_to_be_blocked_since_so_many_crawls(blocked: list[str]) -> None:
    assert "Wexdale Council (WEX), for the first time" in blocked[1]
    assert "Wexdale Council (WEX), for 2 crawls, last read 2026-01-05" in blocked[2]


def test_a_council_that_was_never_read_is_said_to_be(blocked: list[str]) -> None:
    assert "City of Oakharrow Council (OAK), never read in 3 crawls" in blocked[2]


def test_a_letter_to_the_council_stands_below(blocked: list[str]) -> None:
    assert "ask the council to allow our user agent" in blocked[0]
    assert "> To the web team," in blocked[0]


def test_no_letter_is_written_when_nobody_keeps_us_out(tmp_path: Path) -> None:
    (text,) = reports(tmp_path, {"OAK": {"outcome": "timeout", "status": None}})
    assert "wait for the next crawl" in text
    assert "web team" not in text


def test_pages_that_robots_txt_forbids_are_counted(tmp_path: Path) -> None:
    page = pages()[0] | {"purpose": "follow", "is_home": False, "outcome": "robots"}
    lines = [page | {"url": f"{page['url']}{name}"} for name in ("news", "contact")]
    folder = made(tmp_path, pages() + lines).folder
    assert "Wexdale Council: 2 pages" in (folder / "report.md").read_text("utf-8")


def test_slow_sites_are_named_with_their_pace(tmp_path: Path) -> None:
    page = pages()[0] | {"purpose": "follow", "is_home": False}
    late = page | {"url": f"{page['url']}news", "fetched_at": "2026-01-05T09:00:30Z"}
    folder = made(tmp_path, [*pages(), late]).folder
    assert "Wexdale Council: 30 seconds a page" in (folder / "report.md").read_text("utf-8")


def test_a_home_page_that_went_to_https_is_a_row_of_the_register_to_correct(
    tmp_path: Path,
) -> None:
    (text,) = reports(tmp_path, {"OAK": {"url": OAK.replace("https:", "http:"), "final_url": OAK}})
    name = "City of Oakharrow Council (OAK)"
    assert f"- {name}: `{OAK.replace('https:', 'http:')}` now leads to `{OAK}`" in text
    assert "Home pages that moved: correct the register" in text


def test_a_home_page_that_went_to_another_host_is_told_with_its_address(tmp_path: Path) -> None:
    away = "https://new`.example/home?a=`b`"
    (text,) = reports(tmp_path, {"OAK": {"final_url": away}})
    assert f"`{OAK}` now leads to `https://new%60.example/home`\n" in text


def test_a_home_page_that_stays_is_no_row_to_correct(tmp_path: Path) -> None:
    elsewhere = {"final_url": "https://cityofoakharrowcouncil.example/welcome"}
    (text,) = reports(tmp_path, {"OAK": elsewhere})
    assert "correct the register" not in text


def test_a_site_that_turned_us_away_for_the_day_is_told_with_what_it_left(tmp_path: Path) -> None:
    page = pages()[0] | {"purpose": "follow", "is_home": False, "outcome": "not_today"}
    lines = [page | {"url": f"{page['url']}{name}"} for name in ("news", "contact")]
    text = (made(tmp_path, pages() + lines).folder / "report.md").read_text("utf-8")
    assert (
        "not asked any more that day\n\n- Wexdale Council: 2 pages not asked for, 2026-01-05"
        in text
    )


def test_a_council_that_was_not_asked_for_the_day_is_kept_from_us(tmp_path: Path) -> None:
    texts = reports(tmp_path, {}, {"OAK": {"outcome": "not_today", "status": None}})
    assert "**not_today** — it turned us away again and again" in texts[1]
    assert "> To the web team," in texts[1]


@pytest.mark.parametrize(
    ("needed", "told"),
    [
        (["OAK"], "read unverified, because: Expired on 1 June, renewed in July"),
        ([], "no certificate was let pass: if they all verify now, empty `unverified_reason`"),
    ],
)
def test_a_certificate_that_need_not_verify_is_told_with_its_reason(
    tmp_path: Path, needed: list[str], told: str
) -> None:
    reason = {"OAK": "Expired on 1 June, renewed in July"}
    register = councils().assign(unverified_reason=lambda rows: rows["council_id"].map(reason))
    write_crawl(tmp_path / "crawl", pages(), unverified=needed)
    report = build([tmp_path / "crawl"], tmp_path / "release", None, register, NO_OVERRIDES)
    text = (report.folder / "report.md").read_text("utf-8")
    assert f"- City of Oakharrow Council: {told}" in text
