"""A second visit asks for little: 304s, and pages that tell nothing new are left for later."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from pipeline.cli import steps
from pipeline.ingest import carried, read_crawl
from pipeline.overrides import overrides_frame
from pipeline.refresh import Inputs, refresh
from pipeline.register import load_register
from pipeline.release import read_release
from spiders import journal, memory, sample
from spiders.memory import Known, RecallError, SiteMemory, validators_of
from spiders.run import RunError, crawl
from tests.crawl.web import QUICK, Reply, Web, act, outcome, page, redirect, register, visit

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.crawl.web import Handler, Line

HOST = "www.avonbrook.example"
HOME = f"http://{HOST}/"
DAY = 86_400.0
START = 1_767_600_000.0
ACCOUNTS = {"https://twitter.com/AvonbrookSample": "X"}
PAGES = ("/news", "/contact", "/social-media")


class Site:
    """One site whose pages have ETags; it keeps which conditions came with which request."""

    def __init__(self, web: Web) -> None:
        self.web = web
        self.conditions: dict[str, str | None] = {}
        self.deaf = False
        links = dict.fromkeys(PAGES, "Social media")
        self.put("/", page("Home", links | ACCOUNTS))
        self.put("/news", page("News", {"/news/one": "News"} | ACCOUNTS))
        self.put("/news/one", page("News", ACCOUNTS))
        self.put("/contact", page("Contact", ACCOUNTS))
        own = {"https://www.facebook.com/AvonbrookSample": "Facebook"}
        self.put("/social-media", page("Social", own | ACCOUNTS))

    def put(self, path: str, reply: Reply) -> None:
        tag = f'"{hash(reply.body) & 0xFFFFFF:x}"'
        tagged = Reply(reply.body, reply.status, (*reply.headers, ("ETag", tag)))

        def answer(handler: Handler) -> None:
            asked = handler.headers["If-None-Match"]
            self.conditions[path] = asked
            same = asked == tag or (self.deaf and asked)
            handler.reply(Reply(b"", 304) if same else tagged)

        self.web.put(HOST, path, act(answer))

    def visit(self, folder: Path, day: float, known: Path | None) -> tuple[list[Line], Path]:
        self.web.asked.clear()
        self.conditions.clear()
        report, lines = visit(
            self.web, folder, register(HOST), known=known, now=lambda: START + day * DAY
        )
        assert report.finished, report.problems
        return lines, memory.keep(folder, memory.read(known) if known else {})


@pytest.fixture
def site(web: Web) -> Site:
    return Site(web)


def outcomes(lines: list[Line]) -> dict[str, str]:
    """Outcome by path, of pages that exist."""
    told = {line["url"].removeprefix(HOME[:-1]): line["outcome"] for line in lines}
    return {path: told[path] for path in ("/", *PAGES, "/news/one")}


def test_a_page_that_tells_nothing_of_its_own_rests_and_the_others_are_asked_if_changed(
    site: Site, tmp_path: Path
) -> None:
    _, known = site.visit(tmp_path / "1", 0, None)
    lines, _ = site.visit(tmp_path / "2", 7, known)
    assert outcomes(lines) == {
        "/": "not_modified",
        "/news": "not_due",
        "/news/one": "not_due",
        "/contact": "not_due",
        "/social-media": "not_modified",
    }


def test_a_resting_page_is_asked_again_after_two_weeks_then_after_three(
    site: Site, tmp_path: Path
) -> None:
    known, asked = None, []
    for week in range(8):
        lines, known = site.visit(tmp_path / str(week), 7 * week, known)
        if outcomes(lines)["/contact"] != "not_due":
            asked.append(week)
    assert asked == [0, 2, 5]


def test_a_page_that_changed_is_read_and_rests_no_more(site: Site, tmp_path: Path) -> None:
    _, known = site.visit(tmp_path / "1", 0, None)
    new = {"https://www.instagram.com/avonbrook.sample": "Instagram"}
    site.put("/contact", page("Contact", new | ACCOUNTS))
    lines, known = site.visit(tmp_path / "2", 14, known)
    assert outcomes(lines)["/contact"] == "ok"
    lines, _ = site.visit(tmp_path / "3", 21, known)
    assert outcomes(lines)["/contact"] == "not_modified"


def test_a_server_that_answers_304_to_everything_is_asked_whole_in_the_end(
    site: Site, tmp_path: Path
) -> None:
    _, known = site.visit(tmp_path / "0", 0, None)
    site.deaf = True
    site.put("/", page("Home", {"https://twitter.com/Renamed": "X"}))
    told = []
    for week in range(1, 6):
        lines, known = site.visit(tmp_path / str(week), 7 * week, known)
        told.append(outcome(lines, HOME))
    assert told == ["not_modified"] * 3 + ["ok", "not_modified"]


def test_a_page_that_failed_is_asked_whole_the_next_time(site: Site, tmp_path: Path) -> None:
    _, known = site.visit(tmp_path / "1", 0, None)
    healthy = site.web.replies[HOST, "/social-media"]
    site.web.put(HOST, "/social-media", Reply(b"", 503))
    _, known = site.visit(tmp_path / "2", 7, known)
    site.web.replies[HOST, "/social-media"] = healthy
    lines, _ = site.visit(tmp_path / "3", 14, known)
    assert outcomes(lines)["/social-media"] == "ok"
    assert site.conditions["/social-media"] is None


def test_a_redirect_does_not_carry_one_pages_validators_to_another(
    site: Site, tmp_path: Path
) -> None:
    _, known = site.visit(tmp_path / "1", 0, None)
    site.web.put(HOST, "/social-media", redirect("/follow-us"))
    site.put("/follow-us", page("Follow us", ACCOUNTS))
    site.visit(tmp_path / "2", 7, known)
    assert site.conditions["/follow-us"] is None


def test_a_second_crawl_that_stops_resumes_to_the_same_record(site: Site, tmp_path: Path) -> None:
    _, known = site.visit(tmp_path / "1", 0, None)
    whole, _ = site.visit(tmp_path / "2", 7, known)
    for left in range(1, len(whole)):
        out = tmp_path / f"cut-{left}"
        out.mkdir()
        lines = [json.dumps(line) + "\n" for line in whole[:left]]
        (out / journal.PAGES).write_text("".join(lines), "utf-8")
        now = partial(float, START + 7 * DAY)
        _, again = visit(site.web, out, register(HOST), known=known, now=now, resume=True)
        assert again == whole, left


def test_short_links_of_pages_that_rest_are_still_resolved(site: Site, tmp_path: Path) -> None:
    site.web.put("bit.ly", "/abc", redirect("https://www.facebook.com/AvonbrookSample"))
    site.put("/", page("Home", {"http://bit.ly/abc": "Facebook"}))
    _, known = site.visit(tmp_path / "1", 0, None)
    lines, _ = site.visit(tmp_path / "2", 7, known)
    assert outcome(lines, HOME) == "not_modified"
    assert outcome(lines, "http://bit.ly/abc") == "ok"


def test_a_capture_takes_every_page_whole(web: Web, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="a capture holds every page whole"):
        crawl(register(HOST), tmp_path / "c", capture=tmp_path / "c.warc.gz", known=tmp_path / "m")


def test_a_damaged_memory_is_refused_by_line(tmp_path: Path) -> None:
    path = tmp_path / "memory.jsonl"
    path.write_text('{"council_id": "AVON"}\n', "utf-8")
    with pytest.raises(RecallError, match=r"line 1.*delete the file"):
        memory.read(path)


@pytest.mark.parametrize(
    ("headers", "kept"),
    [
        ({"etag": '"abc"'}, ('"abc"', None)),
        ({"etag": 'W/"abc"', "last-modified": "Mon, 05 Jan 2026 09:00:00 GMT"}, None),
        ({"etag": '"a\r\nX: y"'}, (None, None)),
        ({"etag": '"' + "a" * 600 + '"'}, (None, None)),
        ({"etag": '""', "last-modified": ""}, (None, None)),
    ],
)
def test_only_validators_that_can_be_sent_back_are_kept(
    headers: Mapping[str, str], kept: tuple[str | None, str | None] | None
) -> None:
    assert validators_of(headers) == (kept or (headers["etag"], headers["last-modified"]))


def test_the_home_page_never_rests() -> None:
    known = Known("AVON", HOME, "home", HOME, "2026-01-05T09:00:00Z", "2026-01-05T09:00:00Z")
    known.quiet = 9
    assert SiteMemory({HOME: known}).rests(HOME, START) is None


# --- What the pipeline makes of it -----------------------------------------------------------


def test_observations_of_pages_not_asked_for_come_from_the_release_before(
    site: Site, tmp_path: Path
) -> None:
    _, known = site.visit(tmp_path / "1", 0, None)
    site.visit(tmp_path / "2", 7, known)
    first, second = read_crawl(tmp_path / "1"), read_crawl(tmp_path / "2")
    both = carried(second, first.fetches, first.observations)

    def seen(rows: Any) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for row in rows.to_pylist():
            found.setdefault(row["page_url"], set()).add(row["href"])
        return found

    assert seen(both.observations) == seen(first.observations)
    when = {row["page_url"]: row["crawl_id"] for row in both.observations.to_pylist()}
    assert when[HOME] == second.runs[0]["crawl_id"]
    assert when[f"{HOME}contact"] == first.runs[0]["crawl_id"]


def test_a_second_refresh_of_unchanged_sites_asks_for_a_tenth_at_most(tmp_path: Path) -> None:
    pages = {"home", "follow", "sitemap"}
    councils = load_register(sample.sample_register())
    local = QUICK | {"ALLOW_ADDRESSES": ["127.0.0.0/8"]}
    with sample.serve(sample.sample_sites()) as proxy:
        for week in (0, 1):
            now = partial(float, START + week * 7 * DAY)
            made = refresh(
                tmp_path,
                steps(now=now, proxy=proxy, settings=local),
                Inputs(councils, overrides_frame([])),
                clock=now,
                say=print,
            )
            assert made.state == "published", made.message
    release = read_release(tmp_path / "current")
    rows = release.frame("fetches")
    second = rows[rows["crawl_id"].eq(release.run["crawls"][0]["crawl_id"])]
    asked = second[second["purpose"].isin(pages)]
    spared = asked["outcome"].isin(["not_modified", "not_due"])
    whole = rows[rows["bytes"].notna() & ~rows["crawl_id"].eq(second["crawl_id"].iloc[0])]
    print(f"{spared.sum()} of {len(asked)} page requests spared, {second['bytes'].sum()} bytes")
    assert spared.mean() >= 0.9
    assert second["bytes"].sum() < whole["bytes"].sum() / 5
    assert release.tables["changes"].num_rows == 0
