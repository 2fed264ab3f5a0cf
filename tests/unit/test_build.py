"""From crawl folders and the release before to the next release, refused or published."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from pipeline import build as building
from pipeline.build import renames, resolved
from pipeline.ingest import IngestError
from pipeline.overrides import overrides_frame
from pipeline.release import NAMES, ReleaseError, read_release
from tests.unit.releases import LINKS, MIL, WEX, councils, made, pages
from tests.unit.samples import START, WEEK, council, fetch, frame, link, page, register, write_crawl

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.build import BuildReport

DOWN: dict[str, Any] = {"outcome": "timeout", "status": None, "observations": []}


class Weeks:
    """Releases week after week, each built on the last that was published."""

    def __init__(self, folder: Path, first: BuildReport) -> None:
        self.folder = folder
        self.first = first
        self.last: Path | None = None

    def start(self) -> BuildReport:
        """Begin with the release that all tests share; nobody writes into it."""
        self.last = self.first.folder
        return self.first

    def build(self, week: int, lines: list[dict[str, Any]], **more: Any) -> BuildReport:
        when = START + week * WEEK
        known = {"register": councils(when)} | more
        report = made(self.folder, lines, self.last, f"week-{week}", **known)
        if report.published:
            self.last = report.folder
        return report

    def accounts(self) -> pd.DataFrame:
        assert self.last is not None
        return read_release(self.last).frame("accounts").set_index("handle")


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> BuildReport:
    return made(tmp_path_factory.mktemp("build"), pages())


@pytest.fixture
def weeks(tmp_path: Path, first: BuildReport) -> Weeks:
    return Weeks(tmp_path, first)


def told(report: BuildReport) -> list[tuple[str, str, str]]:
    rows = report.changes[["change", "council_id", "platform"]]
    return sorted(rows.itertuples(index=False, name=None))


# --- The first release -------------------------------------------------------------------------


def test_the_first_release_holds_the_accounts_that_the_pages_show(weeks: Weeks) -> None:
    report = weeks.start()
    assert (report.version, report.last_version, report.published) == ("1.0.0", None, True)
    found = weeks.accounts()
    assert sorted(found.index) == [
        "@MillwickCouncil",
        "MillwickDC",
        "OakharrowCouncil",
        "WexdaleCouncil",
        "WexdaleCouncil",
    ]
    assert set(found["status"]) == {"current"}


def test_the_first_release_has_no_changes(weeks: Weeks) -> None:
    assert weeks.start().changes.empty


def test_a_link_that_no_rule_knows_is_among_the_rejections(weeks: Weeks) -> None:
    report = weeks.start()
    rows = read_release(report.folder).frame("rejections")
    row = rows[rows["href"] == "https://example.org/hwb?a=1"].iloc[0]
    assert (row["council_id"], row["reason"]) == ("OAK", "unknown_host")


def test_a_site_that_is_down_and_one_that_has_nothing_differ_in_coverage(weeks: Weeks) -> None:
    report = weeks.build(0, pages(WEX=DOWN, MIL=()))
    rows = read_release(report.folder).frame("coverage")
    states = rows[rows["platform"] == "twitter"].set_index("council_id")["state"]
    assert states.to_dict() == {"WEX": "not_checked", "MIL": "none_found", "OAK": "none_found"}


def test_counts_agree_with_the_files(weeks: Weeks) -> None:
    report = weeks.start()
    tables = read_release(report.folder).tables
    assert {name: tables[name].num_rows for name in NAMES} == dict(report.counts)


# --- The year, in short ------------------------------------------------------------------------


def test_a_quiet_refresh_changes_nothing_but_dates(weeks: Weeks) -> None:
    first = read_release(weeks.start().folder)
    report = weeks.build(1, pages(1))
    second = read_release(report.folder)
    assert (report.version, told(report)) == ("1.0.1", [])
    dates = ["last_seen", "last_checked", "checked_on"]
    for name in ("directory", "accounts", "coverage"):
        one, two = (r.frame(name).drop(columns=dates, errors="ignore") for r in (first, second))
        pd.testing.assert_frame_equal(one, two)


def test_a_site_that_is_down_for_a_week_loses_nothing(weeks: Weeks) -> None:
    weeks.start()
    report = weeks.build(1, pages(1, WEX=DOWN))
    assert told(report) == [("status", "WEX", "facebook"), ("status", "WEX", "twitter")]
    assert set(report.changes["new"]) == {"unconfirmed"}
    report = weeks.build(2, pages(2))
    assert set(report.changes["new"]) == {"current"}


def test_an_account_that_the_council_took_off_its_page_leaves_in_two_steps(weeks: Weeks) -> None:
    fewer = LINKS["WEX"][1:]
    weeks.start()
    report = weeks.build(1, pages(1, WEX=fewer))
    assert [*report.changes[["change", "new"]].itertuples(index=False, name=None)] == [
        ("status", "missing")
    ]
    report = weeks.build(2, pages(2, WEX=fewer))
    assert told(report) == [("removed", "WEX", "twitter")]
    assert (report.version, report.folder.name) == ("1.1.0", "week-2")
    history = read_release(report.folder).frame("history")
    assert "removed" in history["status"].tolist()


def test_a_new_account_makes_a_new_minor_version(weeks: Weeks) -> None:
    weeks.start()
    more = (*LINKS["OAK"], "https://www.instagram.com/oakharrowcouncil/")
    report = weeks.build(1, pages(1, OAK=more))
    assert (report.version, told(report)) == ("1.1.0", [("added", "OAK", "instagram")])


def test_the_changelog_keeps_the_changes_of_every_release(weeks: Weeks) -> None:
    weeks.start()
    more = (*LINKS["OAK"], "https://www.instagram.com/oakharrowcouncil/")
    weeks.build(1, pages(1, OAK=more))
    report = weeks.build(2, pages(2, OAK=more))
    release = read_release(report.folder)
    assert release.frame("changelog")["release"].tolist() == ["1.1.0"]
    assert release.frame("versions")["version"].tolist() == ["1.0.0", "1.1.0", "1.1.1"]


def test_a_page_not_modified_keeps_its_accounts(weeks: Weeks) -> None:
    same = {"outcome": "not_modified", "status": 304, "bytes": None, "observations": []}
    weeks.start()
    report = weeks.build(1, pages(1, WEX=same, MIL=same, OAK=same))
    assert told(report) == []
    assert set(weeks.accounts()["last_seen"]) == {START + WEEK}
    assert told(weeks.build(2, pages(2, WEX=same, MIL=same, OAK=same))) == []


def test_a_merger_hands_the_accounts_over(weeks: Weeks) -> None:
    ends = {"end_date": "2026-01-15", "replaced_by": ["NEW"]}
    rows = (
        council("WEX", "Wexdale Council", **ends),
        council("MIL", "Millwick District Council", **ends, nation="Wales"),
        council("OAK", "City of Oakharrow Council"),
        council("NEW", "Wexwick Council", start_date="2026-01-16"),
    )
    weeks.build(0, pages(), register=register(*rows))
    home = "https://www.wexwickcouncil.example/"
    hrefs = (LINKS["WEX"][0], LINKS["MIL"][1], "https://www.facebook.com/WexwickCouncil")
    new = page("NEW", home, *[link(href, label="Follow us") for href in hrefs])
    when = START + 2 * WEEK
    lines = [*pages(2)[2:], new | {"fetched_at": when.strftime("%Y-%m-%dT%H:%M:%SZ")}]
    report = weeks.build(2, lines, register=register(*rows, day=when))
    kinds = report.changes.groupby("change").size().to_dict()
    assert kinds == {"moved": 4, "added": 1}
    directory = read_release(report.folder).frame("directory").set_index("council_id")
    assert sorted(directory.index) == ["NEW", "OAK"]
    assert directory.loc["NEW", "facebook_url"] == "https://www.facebook.com/WexwickCouncil"


def test_a_rejected_account_leaves_also_when_no_page_shows_it_any_more(weeks: Weeks) -> None:
    weeks.start()
    row = {
        "council_id": "WEX",
        "platform": "twitter",
        "action": "reject",
        "account": "https://x.com/WexdaleCouncil",
        "value": "",
        "reason": "A parody",
        "evidence_url": "",
        "author": "Jo",
        "decided_on": "2026-01-10",
        "expires_on": "",
    }
    report = weeks.build(1, pages(1, WEX=DOWN), overrides=overrides_frame([(2, row)]))
    assert ("removed", "WEX", "twitter") in told(report)


# --- Refused -----------------------------------------------------------------------------------


def test_a_bad_crawl_is_refused_and_kept_aside_with_its_report(weeks: Weeks) -> None:
    weeks.build(0, many())
    report = weeks.build(1, many(week=1, links=()))
    assert not report.published
    assert report.folder.name == "week-1.refused"
    assert not (weeks.folder / "week-1").exists()
    text = (report.folder / "report.md").read_text("utf-8")
    assert "Refused: not published" in text
    assert "accounts_total" in text
    assert weeks.build(2, many(week=2)).published


def test_a_gate_let_pass_is_recorded_in_the_release(weeks: Weeks) -> None:
    weeks.build(0, many())
    allow = dict.fromkeys(
        ("accounts_total", "accounts_by_platform", "accounts_by_nation"), "They all left"
    )
    report = weeks.build(1, many(week=1, links=()), allow=allow)
    assert report.published
    run = json.loads((report.folder / "run.json").read_text("utf-8"))
    assert {finding["allowed"] for finding in run["findings"]} == {"They all left"}


def many(week: int = 0, links: tuple[str, ...] | None = None) -> list[dict[str, Any]]:
    """Pages of one council with enough accounts for the gates to judge."""
    services = ("libraries", "museums", "highways", "jobs", "planning", "youth", "sport", "waste")
    hrefs = [f"https://x.com/Wexdale{name}" for name in services]
    hrefs += [f"https://www.facebook.com/Wexdale{name}" for name in services]
    return pages(week, WEX=(*LINKS["WEX"], *hrefs) if links is None else links)


# --- Faults ------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", ["write_tables", "check", "report"])
def test_a_fault_in_a_step_leaves_the_release_that_stood_and_nothing_beside_it(
    tmp_path: Path, first: BuildReport, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    stood = shutil.copytree(first.folder, tmp_path / "release")
    before = {path.name: path.read_bytes() for path in stood.iterdir()}

    def fail(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(building, step, fail)
    with pytest.raises(OSError, match="No space left"):
        made(tmp_path / "more", pages(1), stood, "../release")
    assert {path.name: path.read_bytes() for path in stood.iterdir()} == before
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".release")]


def test_a_release_may_replace_the_one_that_it_was_built_on(
    tmp_path: Path, first: BuildReport
) -> None:
    stood = shutil.copytree(first.folder, tmp_path / "release")
    report = made(tmp_path / "more", pages(1), stood, "../release")
    assert report.folder.resolve() == stood.resolve()
    assert read_release(stood).version == "1.0.1"


def test_a_previous_release_that_is_damaged_is_refused(tmp_path: Path, first: BuildReport) -> None:
    damaged = shutil.copytree(first.folder, tmp_path / "release")
    (damaged / "history.parquet").write_bytes(b"PAR1")
    with pytest.raises(ReleaseError, match=r"history\.parquet: is damaged"):
        made(tmp_path, pages(1), damaged, "second")


def test_no_crawl_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IngestError, match="no crawl folder given"):
        building.build([], tmp_path / "out", None, councils(), overrides_frame([]))


def test_a_crawl_of_councils_that_the_register_does_not_list_is_refused(tmp_path: Path) -> None:
    other = register(council("WEX", "Wexdale Council"))
    with pytest.raises(IngestError, match=r"crawl-x: has pages of MIL, OAK, which the register"):
        made(tmp_path, pages(), name="x", register=other)
    assert not (tmp_path / "x").exists()


def test_an_interrupted_crawl_is_told_in_the_release(tmp_path: Path) -> None:
    folder = write_crawl(tmp_path / "crawl", pages())
    run = json.loads((folder / "run.json").read_text("utf-8")) | {"finished": False}
    (folder / "run.json").write_text(json.dumps(run), "utf-8")
    with (folder / "pages.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"council_id": "W')
    report = building.build([folder], tmp_path / "two", None, councils(), overrides_frame([]))
    assert "left out its last line" in report.warnings[0]
    assert "left out its last line" in (report.folder / "report.md").read_text("utf-8")


def test_hostile_names_stay_text_in_every_file(tmp_path: Path) -> None:
    evil = "=cmd|' /C calc'!A0 <script>\u202e|"
    names = register(
        council("WEX", evil, website=WEX),
        council("MIL", "Millwick District Council", website=MIL),
        council("OAK", "City of Oakharrow Council"),
    )
    hostile = [link(LINKS["WEX"][0], label=evil + "\x00\n" * 9, sentence="@SUM(1)" * 2000)]
    lines = pages()
    lines[0] |= {"observations": hostile}
    folder = made(tmp_path, lines, register=names).folder
    release = read_release(folder)
    assert evil in release.frame("directory")["name"].tolist()
    for path in folder.glob("*.csv"):
        cells = pd.read_csv(path, dtype="str", keep_default_na=False).to_numpy().ravel()
        assert not [cell for cell in cells if cell[:1] in set("=+-@\t\r\n")]
    texts = release.frame("accounts")["evidence_text"].dropna()
    assert not texts.str.contains("[\u202e\x00\n]").any()


# --- Short links -------------------------------------------------------------------------------


def asked(url: str, final_url: str | None) -> dict[str, Any]:
    return fetch("WEX", url, purpose="short_link", final_url=final_url)


def test_short_links_are_known_by_where_they_led() -> None:
    rows = frame(
        "fetches", [asked("https://bit.ly/a", "https://x.com/W"), asked("https://b.x/", None)]
    )
    assert resolved(rows) == {"https://bit.ly/a": "https://x.com/W"}


def test_an_account_that_leads_to_another_is_a_rename() -> None:
    rows = [
        asked("https://www.facebook.com/WexOld", "https://www.facebook.com/WexNew"),
        asked("https://www.facebook.com/Wex.Same", "https://www.facebook.com/wexsame"),
        asked("https://bit.ly/a", "https://x.com/W"),
    ]
    table = renames(frame("fetches", rows))
    assert len(table) == 1
    assert table["old"].ne(table["new"]).all()
