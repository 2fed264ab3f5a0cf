"""When a site is left alone: outside the hours, beyond its share of requests, after many a no."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from pipeline.cli import steps
from pipeline.overrides import overrides_frame
from pipeline.refresh import Inputs, refresh
from pipeline.register import load_register
from spiders import sample
from spiders.gate import TURNED_AWAY, CrawlHours, SettingsError, TurnedAway, TurnedAwayError
from tests.crawl.web import QUICK, Reply, outcome, page, redirect, register, robots, timeless, visit

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.crawl.web import Line, Web

HOST = "www.avonbrook.example"
HOME = f"http://{HOST}/"
NEWS = [f"/news/{i}" for i in range(6)]
NO = Reply(b"", 403)
HOUR = 3600.0


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


MORNING = at("2026-01-05T09:00")
EVENING = at("2026-01-05T21:00")


def fill(web: Web, news: Reply | None = None) -> None:
    web.put(HOST, "/", page("Home", dict.fromkeys(NEWS, "News")))
    for path in NEWS:
        web.put(HOST, path, news or page("News"))


def told(lines: list[Line], outcome: str) -> int:
    return sum(line["outcome"] == outcome for line in lines)


# Hours -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hours", "time", "open_"),
    [
        ("20:00-06:00", "2026-01-05T19:59", False),
        ("20:00-06:00", "2026-01-05T20:00", True),
        ("20:00-06:00", "2026-01-05T05:59", True),
        ("20:00-06:00", "2026-01-05T06:00", False),
        ("20:00-06:00", "2026-07-06T19:00", True),  # eight o'clock in British summer time
        ("20:00-06:00", "2026-07-06T05:00", False),
        ("01:30-05:00", "2026-01-05T01:29", False),
        ("01:30-05:00", "2026-01-05T01:30", True),
        ("01:30-05:00", "2026-01-05T05:00", False),
    ],
)
def test_crawl_hours_are_those_of_uk_clocks(hours: str, time: str, open_: bool) -> None:
    parsed = CrawlHours.parse(hours)
    assert parsed is not None
    assert parsed.holds(at(time)) is open_


@pytest.mark.parametrize("empty", [None, ""])
def test_no_crawl_hours_mean_the_whole_day(empty: str | None) -> None:
    assert CrawlHours.parse(empty) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CRAWL_HOURS", "8pm-6am"),
        ("CRAWL_HOURS", "20:00"),
        ("CRAWL_HOURS", "20:00-24:00"),
        ("CRAWL_HOURS", "06:00-06:00"),
        ("COUNCIL_REQUESTS", 1),
        ("COUNCIL_REQUESTS", "many"),
        ("COUNCIL_REQUESTS", None),
        ("COUNCIL_STORM", 0),
        ("COUNCIL_STORM", -5),
        ("COUNCIL_STORM", 2.5),
    ],
)
def test_a_setting_that_cannot_be_used_is_named_before_anybody_is_asked(
    web: Web, tmp_path: Path, name: str, value: Any
) -> None:
    with pytest.raises(SettingsError, match=f"^{name} is .*; write "):
        visit(web, tmp_path / "c", register(HOST), **{name: value})
    assert not (tmp_path / "c").exists()
    assert web.asked == []


def test_outside_its_hours_a_crawl_asks_nobody_and_says_how_to_go_on(
    web: Web, tmp_path: Path
) -> None:
    fill(web)
    report, lines = visit(
        web, tmp_path / "c", register(HOST), CRAWL_HOURS="20:00-06:00", now=lambda: MORNING
    )
    assert (web.asked, lines) == ([], [])
    assert (report.finished, report.exit_status) == (False, 1)
    assert report.report["reason"] == "outside_hours"
    assert "crawl hours 20:00-06:00 with 0 of 1 councils done" in report.problems[0]
    assert "--resume" in report.problems[0]


def hour_by_request(web: Web, start: float) -> Callable[[], float]:
    """A clock on which every request takes an hour."""
    before = len(web.asked)
    return lambda: start + HOUR * (len(web.asked) - before)


def test_a_crawl_stops_when_its_hours_end_and_goes_on_the_next_evening(
    web: Web, tmp_path: Path
) -> None:
    fill(web)
    _, whole = visit(web, tmp_path / "whole", register(HOST), now=lambda: EVENING)
    web.asked.clear()
    hours = {"CRAWL_HOURS": "20:00-00:00"}
    first, lines = visit(
        web, tmp_path / "c", register(HOST), now=hour_by_request(web, EVENING), **hours
    )
    assert len(lines) == len(web.asked) == 3  # at nine, ten and eleven
    assert not first.finished
    clock = hour_by_request(web, EVENING - 4 * HOUR + 86_400)
    again, _ = visit(web, tmp_path / "c", register(HOST), resume=True, now=clock, **hours)
    assert (again.finished, len(web.asked)) == (False, 3)  # too early
    report, lines = visit(
        web,
        tmp_path / "c",
        register(HOST),
        resume=True,
        now=lambda: EVENING + 86_400,
        **hours,
    )
    assert report.finished, report.problems
    assert timeless(lines) == timeless(whole)
    assert len({(request.host, request.path) for request in web.asked}) == len(web.asked) - 1


def test_a_refresh_stops_with_its_hours_and_publishes_when_it_is_resumed(tmp_path: Path) -> None:
    councils = load_register(sample.sample_register())
    local = QUICK | {"ALLOW_ADDRESSES": ["127.0.0.0/8"], "CRAWL_HOURS": "20:00-06:00"}
    ended = []
    with sample.serve(sample.sample_sites()) as proxy:
        for now in (partial(float, MORNING), partial(float, EVENING)):
            lent = steps(now=now, proxy=proxy, settings=local)
            inputs = Inputs(councils, overrides_frame([]))
            ended.append(refresh(tmp_path, lent, inputs, clock=now, say=print, resume=True))
    assert [end.state for end in ended] == ["stopped", "published"]
    assert "stopped by the crawl hours 20:00-06:00 with 0 of 24 councils done" in ended[0].message


def test_a_setting_that_cannot_be_used_costs_no_crawl_that_was_interrupted(tmp_path: Path) -> None:
    left = tmp_path / "refresh" / "crawl" / "pages.jsonl"
    left.parent.mkdir(parents=True)
    left.write_text("")
    command = ["-c", "from pipeline.cli import main; main()", "refresh", "--sample", "--resume"]
    done = subprocess.run(
        [sys.executable, *command, "--store", str(tmp_path)],
        env={"PATH": os.environ["PATH"], "DIGITAL_COUNCILS_CRAWL_HOURS": "at night"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "CRAWL_HOURS is 'at night'; write hours of UK time such as 20:00-06:00" in done.stderr
    assert left.exists()


def test_a_replay_keeps_no_hours(web: Web, tmp_path: Path) -> None:
    fill(web)
    captured = tmp_path / "crawl.warc.gz"
    visit(web, tmp_path / "live", register(HOST), capture=captured)
    report, _ = visit(
        web,
        tmp_path / "replay",
        register(HOST),
        replay=captured,
        proxy=None,
        CRAWL_HOURS="20:00-06:00",
        now=lambda: MORNING,
    )
    assert report.finished


# Requests ----------------------------------------------------------------------------------------


def test_a_site_is_sent_no_more_requests_than_its_share(web: Web, tmp_path: Path) -> None:
    fill(web)
    web.put(HOST, "/robots.txt", redirect("/robots"))
    web.put(HOST, "/robots", robots(""))
    web.put(HOST, "/news/0", Reply(b"", 503))
    web.put(HOST, "/news/1", redirect("/news/2"))
    report, lines = visit(web, tmp_path / "c", register(HOST), COUNCIL_REQUESTS=8)
    assert len(web.times(HOST)) == 8  # robots.txt twice, home, sitemap, three times 503, a redirect
    assert told(lines, "budget") == 4
    assert report.finished, report.problems


def test_a_share_that_ends_within_a_redirect_is_a_budget_that_is_spent(
    web: Web, tmp_path: Path
) -> None:
    web.put(HOST, "/", redirect("/home"))
    web.put(HOST, "/home", page("Home"))
    report, lines = visit(web, tmp_path / "c", register(HOST), COUNCIL_REQUESTS=2)
    assert outcome(lines, HOME) == "budget"
    assert len(web.times(HOST)) == 2
    assert report.finished, report.problems


def test_a_resumed_crawl_counts_what_was_asked_before(web: Web, tmp_path: Path) -> None:
    fill(web)
    hours = {"CRAWL_HOURS": "20:00-00:00"}
    visit(web, tmp_path / "c", register(HOST), now=hour_by_request(web, EVENING), **hours)
    report, _ = visit(web, tmp_path / "c", register(HOST), resume=True, COUNCIL_REQUESTS=5)
    assert len(web.times(HOST)) == 5  # three, robots.txt again, one page
    assert report.finished


# A no ---------------------------------------------------------------------------------------------


def test_a_site_that_says_no_again_and_again_is_left_alone(web: Web, tmp_path: Path) -> None:
    fill(web, NO)
    report, lines = visit(web, tmp_path / "c", register(HOST), COUNCIL_STORM=3)
    assert (told(lines, "blocked"), told(lines, "not_today")) == (3, 3)
    assert report.report["not_today"] == ["AVON"]
    assert report.finished


def test_busy_answers_count_as_often_as_they_are_tried_again(web: Web, tmp_path: Path) -> None:
    fill(web, Reply(b"", 429))
    _, lines = visit(web, tmp_path / "c", register(HOST), COUNCIL_STORM=4)
    busy = [path for path in web.paths(HOST) if path in NEWS]
    assert [busy.count(path) for path in NEWS[:3]] == [3, 1, 0]
    assert (told(lines, "blocked"), told(lines, "not_today")) == (2, 4)


def test_an_answer_between_forgives_what_was_before(web: Web, tmp_path: Path) -> None:
    fill(web, NO)
    for path in NEWS[::2]:
        web.put(HOST, path, page("News"))
    report, lines = visit(web, tmp_path / "c", register(HOST), COUNCIL_STORM=2)
    assert told(lines, "not_today") == 0
    assert report.report["not_today"] == []


def test_short_links_and_a_forbidden_robots_txt_are_no_such_answer(
    web: Web, tmp_path: Path
) -> None:
    short = {f"http://bit.ly/{i}Sample": "Facebook" for i in range(4)}
    web.put(HOST, "/robots.txt", NO)
    web.put(HOST, "/", page("Home", short))
    web.put("bit.ly", "*", NO)
    _, lines = visit(web, tmp_path / "c", register(HOST), COUNCIL_STORM=1)
    assert told(lines, "not_today") == 0


def test_a_host_that_says_no_is_left_alone_by_all_whose_sites_it_holds(
    web: Web, tmp_path: Path
) -> None:
    both = register(HOST, "www.tealmoor.example")
    both["website"] = [f"{HOME}avonbrook/home", f"{HOME}tealmoor/home"]
    for name in ("avonbrook", "tealmoor"):
        links = {f"/{name}/news/{i}": "News" for i in range(3)}
        web.put(HOST, f"/{name}/home", page("Home", links))
    web.put(HOST, "*", NO)
    _, lines = visit(web, tmp_path / "c", both, COUNCIL_STORM=3, CONCURRENT_REQUESTS=1)
    assert web.times("www.tealmoor.example") == []
    assert [path for path in web.paths(HOST) if "tealmoor" in path] == []
    assert outcome(lines, f"{HOME}tealmoor/home") == "not_today"


def days(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / TURNED_AWAY).read_text().splitlines()]


def test_no_other_crawl_of_the_same_day_asks_again(web: Web, tmp_path: Path) -> None:
    fill(web, NO)
    visit(web, tmp_path / "1", register(HOST), COUNCIL_STORM=3, now=lambda: MORNING)
    assert days(tmp_path) == [{"site": HOST, "at": "2026-01-05T09:00:00Z", "status": 403}]
    web.asked.clear()
    late = MORNING + 14 * HOUR
    report, lines = visit(web, tmp_path / "2", register(HOST), now=lambda: late)
    assert web.asked == []
    assert [(line["url"], line["outcome"]) for line in lines] == [(HOME, "not_today")]
    assert report.finished
    _, lines = visit(web, tmp_path / "3", register(HOST), now=lambda: MORNING + 24 * HOUR)
    assert outcome(lines, HOME) == "ok"


def test_neither_does_the_same_crawl_when_it_is_resumed(web: Web, tmp_path: Path) -> None:
    fill(web, NO)
    _, before = visit(web, tmp_path / "c", register(HOST), COUNCIL_STORM=3)
    web.asked.clear()
    report, lines = visit(web, tmp_path / "c", register(HOST), resume=True)
    assert web.asked == []
    assert timeless(lines) == timeless(before)
    assert report.finished


@pytest.mark.parametrize(
    ("hours_later", "rests"), [(0.1, True), (11.9, True), (12.1, False), (36, False)]
)
def test_a_no_just_before_midnight_holds_for_twelve_hours(hours_later: float, rests: bool) -> None:
    midnight = datetime(2026, 1, 5, 23, 59, tzinfo=UTC)
    later = midnight + timedelta(hours=hours_later)
    assert TurnedAway(HOST, midnight.isoformat(), 403).holds(later.timestamp()) is rests


def test_a_site_whose_rest_is_over_leaves_the_list(web: Web, tmp_path: Path) -> None:
    fill(web, NO)
    visit(web, tmp_path / "1", register(HOST), COUNCIL_STORM=3, now=lambda: MORNING)
    visit(web, tmp_path / "2", register(HOST), COUNCIL_STORM=3, now=lambda: MORNING + 48 * HOUR)
    assert [entry["at"] for entry in days(tmp_path)] == ["2026-01-07T09:00:00Z"]


def test_a_list_that_cannot_be_read_is_refused_by_line(web: Web, tmp_path: Path) -> None:
    (tmp_path / TURNED_AWAY).write_text('{"site": "a"}\n')
    with pytest.raises(TurnedAwayError, match=r"line 1: .*; remove the line"):
        visit(web, tmp_path / "c", register(HOST))


def test_a_replay_tells_of_a_no_as_its_capture_does_and_keeps_no_list(
    web: Web, tmp_path: Path
) -> None:
    fill(web, NO)
    captured = tmp_path / "crawl.warc.gz"
    _, live = visit(web, tmp_path / "live", register(HOST), capture=captured, COUNCIL_STORM=3)
    (tmp_path / TURNED_AWAY).unlink()
    _, replayed = visit(
        web, tmp_path / "again", register(HOST), replay=captured, proxy=None, COUNCIL_STORM=3
    )
    assert timeless(replayed) == timeless(live)
    assert not (tmp_path / TURNED_AWAY).exists()
