"""What a site may expect of the crawler, measured at the server."""

from __future__ import annotations

from email.utils import formatdate
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from spiders.guard import retry_after
from tests.crawl.web import Handler, Reply, act, outcome, page, redirect, register, robots, visit

if TYPE_CHECKING:
    from pathlib import Path

    from tests.crawl.web import Web

HOST = "www.avonbrook.example"
HOME = f"http://{HOST}/"
NEWS = {f"/news/{i}": "News" for i in range(4)}


def _fill(web: Web, host: str) -> None:
    web.put(host, "/", page("Home", NEWS))
    for path in NEWS:
        web.put(host, path, page("News"))


def test_requests_to_one_site_are_never_closer_than_the_delay(web: Web, tmp_path: Path) -> None:
    _fill(web, HOST)
    visit(web, tmp_path / "c", register(HOST), DOWNLOAD_DELAY=0.15)
    times = web.times(HOST)
    assert len(times) == 7
    assert min(later - sooner for sooner, later in pairwise(times)) >= 0.15


def test_two_hosts_of_one_site_share_the_delay(web: Web, tmp_path: Path) -> None:
    web.put(HOST, "/", page("Home", {"http://news.avonbrook.example/": "News"}))
    web.put("news.avonbrook.example", "/", page("News"))
    visit(web, tmp_path / "c", register(HOST), DOWNLOAD_DELAY=0.1)
    times = sorted(web.times(HOST) + web.times("news.avonbrook.example"))
    assert min(later - sooner for sooner, later in pairwise(times)) >= 0.1


def test_redirects_wait_like_other_requests(web: Web, tmp_path: Path) -> None:
    web.put(HOST, "/", redirect("/home"))
    web.put(HOST, "/home", page("Home"))
    visit(web, tmp_path / "c", register(HOST), DOWNLOAD_DELAY=0.1)
    times = web.times(HOST)
    assert min(later - sooner for sooner, later in pairwise(times)) >= 0.1


def test_a_dropped_connection_is_not_asked_again_at_once(web: Web, tmp_path: Path) -> None:
    web.put(HOST, "/robots.txt", robots(""))  # leaves a connection open, to be used again
    web.put(HOST, "/", act(Handler.drop), page("Home"))
    _, lines = visit(web, tmp_path / "c", register(HOST), RETRY_BACKOFF=0.2)
    first, second = [a.at for a in web.asked if a.path == "/"]
    assert second - first >= 0.2
    assert outcome(lines, HOME) == "ok"


def test_crawl_delay_is_obeyed(web: Web, tmp_path: Path) -> None:
    web.put(HOST, "/robots.txt", robots("User-agent: *\nCrawl-delay: 0.3\n"))
    web.put(HOST, "/", page("Home", {"/news/0": "News"}))
    visit(web, tmp_path / "c", register(HOST))
    times = web.times(HOST)
    assert min(later - sooner for sooner, later in pairwise(times)) >= 0.3


def test_a_crawl_delay_above_the_limit_means_the_home_page_alone(web: Web, tmp_path: Path) -> None:
    web.put(HOST, "/robots.txt", robots("User-agent: *\nCrawl-delay: 3600\n"))
    _fill(web, HOST)
    report, lines = visit(web, tmp_path / "c", register(HOST), CRAWL_DELAY_LIMIT=0.1)
    assert web.paths(HOST) == ["/"]
    assert outcome(lines, f"{HOME}news/0") == "budget"
    assert report.finished


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_honoured_in_both_forms(web: Web, tmp_path: Path, form: str) -> None:
    value = "1" if form == "seconds" else formatdate(1_900_000_001, usegmt=True)
    busy = Reply(b"", 429, (("Retry-After", value),))
    web.put(HOST, "/", busy, page("Home"))
    _, lines = visit(web, tmp_path / "c", register(HOST), now=lambda: 1_900_000_000.0)
    first, second = [a.at for a in web.asked if a.path == "/"]
    assert second - first >= 1
    assert outcome(lines, HOME) == "ok"


def test_a_site_that_asks_for_too_long_a_wait_is_left_alone(web: Web, tmp_path: Path) -> None:
    web.put(HOST, "/", Reply(b"", 429, (("Retry-After", "86400"),)))
    _, lines = visit(web, tmp_path / "c", register(HOST))
    assert web.paths(HOST) == ["/"]
    assert outcome(lines, HOME) == "blocked"


def test_a_site_that_refuses_again_and_again_is_given_up(web: Web, tmp_path: Path) -> None:
    web.put(HOST, "/", page("Home", {f"/news/{i}": "News" for i in range(9)}))
    for i in range(9):
        web.put(HOST, f"/news/{i}", Reply(b"", 403))
    _, lines = visit(web, tmp_path / "c", register(HOST), COUNCIL_REFUSALS=3)
    assert sum(line["outcome"] == "blocked" for line in lines) == 3
    assert sum(line["outcome"] == "given_up" for line in lines) == 6


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (Reply(b"", 404), "ok"),
        (Reply(b"", 403), "ok"),
        (Reply(b"", 500), "robots"),
        (Reply(b"", 503), "robots"),
        (Reply(b"", 429), "robots"),
        (act(Handler.drop), "refused"),
        (act(Handler.hang), "timeout"),
        (act(Handler.drip), "timeout"),
        (robots("User-agent: *\nDisallow: /\n"), "robots"),
        (robots("User-agent: DigitalCouncils\nDisallow: /\n\nUser-agent: *\nAllow: /"), "robots"),
        (Reply("User-agent: *\nDisallow: /\n".encode("utf-16")), "robots"),
        (Reply(b"\xef\xbb\xbfUser-agent: *\nDisallow: /\n"), "robots"),
        (robots("# nothing\n" * 60_000 + "User-agent: *\nDisallow: /\n"), "ok"),
        (redirect("http://robots.elsewhere.example/robots.txt"), "robots"),
        (redirect("/robots.txt"), "ok"),
    ],
)
def test_robots_txt_in_every_state(web: Web, tmp_path: Path, reply: Reply, expected: str) -> None:
    web.put(HOST, "/robots.txt", reply)
    web.put("robots.elsewhere.example", "/robots.txt", robots("User-agent: *\nDisallow: /\n"))
    web.put(HOST, "/", page("Home"))
    report, lines = visit(web, tmp_path / "c", register(HOST), RETRY_TIMES=0)
    assert outcome(lines, HOME) == expected
    assert (web.paths(HOST) == []) == (expected != "ok")
    assert report.finished


def test_robots_txt_is_asked_once_for_each_host(web: Web, tmp_path: Path) -> None:
    web.put(HOST, "/", page("Home", {"http://news.avonbrook.example/": "News", "/news": "News"}))
    web.put("news.avonbrook.example", "/robots.txt", robots("User-agent: *\nDisallow: /"))
    _, lines = visit(web, tmp_path / "c", register(HOST))
    asked = [a.host for a in web.asked if a.path == "/robots.txt"]
    assert asked == [HOST, "news.avonbrook.example"]
    assert outcome(lines, "http://news.avonbrook.example/") == "robots"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        (" 5 ", 5.0),
        (formatdate(1_000_060, usegmt=True), 60.0),
        (formatdate(999_000, usegmt=True), 0.0),
        ("soon", None),
        ("", None),
        ("-5", None),
        ("99999999999999999999", 999_999_999.0),
    ],
)
def test_retry_after_is_read(value: str, seconds: float | None) -> None:
    assert retry_after(value, now=1_000_000.0) == seconds
