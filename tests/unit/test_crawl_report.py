"""The report tells a maintainer, per council, what failed, since when, and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.releases import made, pages

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
