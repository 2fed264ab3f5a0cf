"""Several engines side by side: the same record as of one, the same manners, nothing lost."""

from __future__ import annotations

import gzip
import json
import os
import signal
import sys
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from scrapy.settings import Settings

from pipeline.register import Hosts
from spiders import journal, warc
from spiders.council_site import CouncilSite, sites_of
from spiders.engines import engines_for, parts_of
from spiders.extract import read_for_crawl
from spiders.gate import TURNED_AWAY
from spiders.monitor import Monitor
from spiders.warc import WarcError
from tests.crawl.once import start, wait_for_lines
from tests.crawl.web import Reply, Web, outcome, page, redirect, register, timeless, visit

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    import pandas as pd

    from spiders.extract import Answer

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="engines are forked")

HOSTS = tuple(f"www.{name}brook.example" for name in ("avon", "teal", "wren", "oak", "elm", "ash"))
TWO: dict[str, Any] = {"ENGINES": 2}
DELAY = 0.05


def fill(web: Web) -> None:
    for host in HOSTS:
        links = {f"/news/{i}": "News" for i in range(4)} | {"/social-media": "Social media"}
        web.put(host, "/", page("Home", links | {"https://twitter.com/Sample": "X"}))
        for path in links:
            web.put(host, path, page("News", {"https://www.facebook.com/Sample": "F"}))


def both_ways(web: Web, folder: Path, councils: pd.DataFrame, **options: Any) -> list[Any]:
    """What one engine records and reports, and what two do.

    The robots.txt of a host that several lead to is recorded of the council that came first.
    """
    found = []
    for engines in (1, 2):
        report, lines = visit(web, folder / str(engines), councils, ENGINES=engines, **options)
        assert report.problems == ()
        for line in lines:
            if line["purpose"] == "robots" and urlsplit(line["url"]).hostname not in HOSTS:
                line["council_id"] = "the first"
        told = dict(report.report)
        for changing in ("started_at", "finished_at", "crawl_id", "bytes_received", "counts"):
            del told[changing]
        found.append((timeless(lines), told))
    return found


def test_two_engines_record_and_report_what_one_does(web: Web, tmp_path: Path) -> None:
    fill(web)
    one, two = both_ways(web, tmp_path, register(*HOSTS))
    assert one == two
    assert one[1]["councils"] == {"done": 6, "total": 6}
    counts = [json.loads((tmp_path / n / "run.json").read_text())["counts"] for n in "12"]
    assert counts[0] == counts[1]


def replayed(web: Web, capture: Path) -> list[dict[str, Any]]:
    """The lines of a crawl that is replayed from a capture, of which no part is left over."""
    assert list(capture.parent.glob(".*.part*")) == []
    folder = capture.parent / f"replay of {capture.name}"
    report, lines = visit(web, folder, register(*HOSTS), replay=capture, proxy=None)
    assert report.problems == ()
    return lines


def test_what_both_capture_is_one_file_and_replays_to_the_same_lines(
    web: Web, tmp_path: Path
) -> None:
    fill(web)
    web.put(HOSTS[0], "/news/0", Reply(b"no", 503))
    capture = tmp_path / "c.warc.gz"
    quick = {"RETRY_BACKOFF": 0.01, "capture": capture}
    report, live = visit(web, tmp_path / "c", register(*HOSTS), **TWO, **quick)
    assert report.problems == ()
    assert sorted(map(json.dumps, replayed(web, capture))) == sorted(map(json.dumps, live))
    assert warc.repair(capture) == 0


def test_a_host_that_several_sites_lead_to_is_asked_at_its_pace(web: Web, tmp_path: Path) -> None:
    for host in HOSTS:
        short = {f"http://bit.ly/{host[4:8]}{n}": "Facebook" for n in range(2)}
        web.put(host, "/", page("Home", short))
    web.put(HOSTS[0], "/", redirect("http://avonbrook.example/home"))
    web.put("avonbrook.example", "*", page("Home", {"http://bit.ly/avon0": "X"}))
    web.put("bit.ly", "*", redirect("http://www.facebook.com/Sample", 301))
    one, two = both_ways(web, tmp_path, register(*HOSTS), DOWNLOAD_DELAY=DELAY)
    assert one == two
    asked = web.times("bit.ly")
    assert len(asked) == 2 * (1 + 11)  # robots.txt and every link, by the one and by the two
    assert [row["to"] for row in two[1]["moved"]] == ["http://avonbrook.example/home"]
    assert min(later - earlier for earlier, later in pairwise(asked)) >= DELAY


def test_a_site_that_moves_to_another_engines_is_visited_as_by_one(
    web: Web, tmp_path: Path
) -> None:
    fill(web)
    web.put(HOSTS[0], "/", redirect("http://www.newbrook.example/", 301))
    web.put(HOSTS[1], "/", redirect("http://www.newbrook.example/home", 301))
    web.put("www.newbrook.example", "*", page("Home", {"/contact": "Contact us"}))
    one, two = both_ways(web, tmp_path, register(*HOSTS), DOWNLOAD_DELAY=DELAY)
    assert one == two
    moved = web.times("www.newbrook.example")
    assert min(later - earlier for earlier, later in pairwise(moved)) >= DELAY


def test_what_an_engine_dies_of_costs_no_site(
    web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(web)
    _, expected = visit(web, tmp_path / "whole", register(*HOSTS))
    here = os.getpid()

    def die(asked: Any, answer: Answer, *rest: Any) -> Any:
        if answer.url == f"http://{HOSTS[2]}/news/1" and os.getpid() != here:
            os.kill(os.getpid(), signal.SIGKILL)
        return read_for_crawl(asked, answer, *rest)

    monkeypatch.setattr("spiders.readers.read_for_crawl", die)
    capture = tmp_path / "c.warc.gz"
    report, lines = visit(web, tmp_path / "c", register(*HOSTS), capture=capture, **TWO)
    assert (report.problems, report.finished) == ((), True)
    assert timeless(lines) == timeless(expected)
    assert report.outcomes == {"ok": 36, "not_found": 12}
    assert web.paths(HOSTS[2]).count("/news/1") == 3  # of the whole crawl, the dead, the last
    assert timeless(replayed(web, capture)) == timeless(expected)


def test_a_fault_and_a_full_disk_of_one_engine_are_the_crawls(
    web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(web)
    append = journal.Journal.append

    def fail(asked: Any, answer: Answer, *rest: Any) -> Any:
        if HOSTS[1] in answer.url:
            raise RuntimeError("a fault of ours")
        return read_for_crawl(asked, answer, *rest)

    def fill_up(self: journal.Journal, entries: Any) -> int:
        if self.written > 6:
            raise OSError(28, "No space left on device")
        return append(self, entries)

    with monkeypatch.context() as patched:
        patched.setattr("spiders.readers.read_for_crawl", fail)
        report, lines = visit(web, tmp_path / "fault", register(*HOSTS), **TWO)
    assert "a fault of ours" in " ".join(report.problems)
    assert outcome(lines, f"http://{HOSTS[0]}/social-media") == "ok"
    monkeypatch.setattr(journal.Journal, "append", fill_up)
    report, lines = visit(web, tmp_path / "full", register(*HOSTS), **TWO)
    assert "No space left on device" in " ".join(report.problems)
    assert (report.exit_status, len(lines)) == (1, 14)


def test_crawl_hours_end_both(web: Web, tmp_path: Path) -> None:
    fill(web)
    morning = 1_767_603_600.0
    hours = {"CRAWL_HOURS": "20:00-06:00", "now": lambda: morning}
    report, lines = visit(web, tmp_path / "c", register(*HOSTS), **TWO, **hours)
    assert (web.asked, lines) == ([], [])
    assert report.report["reason"] == "outside_hours"
    assert "0 of 6 councils done" in " ".join(report.problems)


def test_each_notes_who_turned_it_away(web: Web, tmp_path: Path) -> None:
    fill(web)
    for host in HOSTS[:2]:
        for path in ("*", "/social-media", *(f"/news/{i}" for i in range(4))):
            web.put(host, path, Reply(b"no", 403))
    report, _ = visit(web, tmp_path / "c", register(*HOSTS), COUNCIL_STORM=3, **TWO)
    noted = [json.loads(line) for line in (tmp_path / TURNED_AWAY).read_text().splitlines()]
    assert sorted(entry["site"] for entry in noted) == sorted(HOSTS[:2])
    assert report.report["not_today"] == ["AVON", "TEAL"]


def test_a_capture_that_cannot_be_gathered_stays_in_parts(tmp_path: Path) -> None:
    capture = tmp_path / "c.warc.gz"
    capture.mkdir()  # no file that could be written to
    part = warc.part_of(capture, 1)
    part.write_bytes(gzip.compress(b"WARC/1.1"))
    with pytest.raises(WarcError, match=r"c\.warc\.gz: .* cannot be written .*give another file"):
        warc.gather(capture)
    assert part.exists()


# Signals and kills -------------------------------------------------------------------------------


def _start(web: Web, out: Path, **environment: str) -> subprocess.Popen[bytes]:
    return start(web, out, *HOSTS, ENGINES="2", **environment)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_both_and_the_crawl_goes_on_later(
    web: Web, tmp_path: Path, number: signal.Signals
) -> None:
    fill(web)
    _, undisturbed = visit(web, tmp_path / "whole", register(*HOSTS))
    process = _start(web, tmp_path / "c")
    wait_for_lines(tmp_path / "c", 9, process)
    process.send_signal(number)
    assert process.wait(20) == 1
    run = json.loads((tmp_path / "c" / "run.json").read_text())
    assert (run["finished"], run["reason"]) == (False, "shutdown")
    assert "--resume" in " ".join(run["problems"])
    assert _start(web, tmp_path / "c", RESUME="1").wait() == 0
    assert timeless(list(journal.read(tmp_path / "c" / journal.PAGES))) == timeless(undisturbed)


@pytest.mark.parametrize("engines", [1, 2])
def test_a_signal_before_the_first_request_stops_it_too(
    web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engines: int
) -> None:
    fill(web)
    opened = Monitor.spider_opened

    def stop(self: Monitor, spider: CouncilSite) -> None:
        opened(self, spider)
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Monitor, "spider_opened", stop)
    report, _ = visit(web, tmp_path / "c", register(*HOSTS), ENGINES=engines)
    assert (report.finished, report.report["reason"]) == (False, "shutdown")
    assert web.asked == []


@pytest.mark.parametrize("after", [2, 23])
def test_engines_end_with_the_process_that_began_them(web: Web, tmp_path: Path, after: int) -> None:
    fill(web)
    _, undisturbed = visit(web, tmp_path / "whole", register(*HOSTS))
    capture = tmp_path / "c.warc.gz"
    process = _start(web, tmp_path / "c", CAPTURE=str(capture))
    wait_for_lines(tmp_path / "c", after, process)
    process.kill()
    process.wait()
    assert (tmp_path / "c" / journal.PAGES).read_bytes().count(b"\n") < len(undisturbed)
    assert list(tmp_path.glob(".c.warc.gz.part*"))
    assert _start(web, tmp_path / "c", RESUME="1", CAPTURE=str(capture)).wait() == 0
    assert timeless(list(journal.read(tmp_path / "c" / journal.PAGES))) == timeless(undisturbed)
    assert timeless(replayed(web, capture)) == timeless(undisturbed)


def test_a_line_that_an_engine_left_torn_is_cut_out_of_the_next(web: Web, tmp_path: Path) -> None:
    fill(web)
    _, whole = visit(web, tmp_path / "c", register(*HOSTS))
    pages = tmp_path / "c" / journal.PAGES
    lines = pages.read_bytes().splitlines(keepends=True)
    councils = [json.loads(line)["council_id"] for line in lines]
    at = min(len(lines) - 1 - councils[::-1].index(council) for council in councils)
    torn = lines[at][: len(lines[at]) // 2]
    pages.write_bytes(b"".join([*lines[:at], torn, *lines[at + 1 :], lines[at][:50]]))
    report, again = visit(web, tmp_path / "c", register(*HOSTS), resume=True)
    assert report.report["resumed"]["torn_bytes"] == len(torn) + 50
    assert timeless(again) == timeless(whole)


# Who visits what ---------------------------------------------------------------------------------


def settings(**changes: Any) -> Settings:
    chosen = Settings()
    chosen.setmodule("spiders.settings")
    chosen.update(changes)
    return chosen


@pytest.mark.parametrize(
    ("sites", "changes", "expected"),
    [
        (382, {}, 2),
        (99, {}, 1),
        (382, {"ENGINES": 3}, 3),
        (2, {"ENGINES": 3}, 2),
        (382, {"WARC_CAPTURE": "a.warc.gz"}, 2),
        (382, {"WARC_REPLAY": "a.warc.gz"}, 1),
        (382, {"RENDER": True, "ENGINES": 2}, 1),
    ],
)
def test_many_sites_have_an_engine_a_core(
    sites: int, changes: dict[str, Any], expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spiders.engines.cores", lambda: 2)
    assert engines_for(sites, settings(**changes)) == expected


def test_sites_that_share_a_domain_have_one_engine() -> None:
    councils = register(*(f"www.{letter}{n}.example" for letter in "abc" for n in range(4)))
    councils["council_id"] = [f"C{n:02}" for n in range(12)]
    shared = {0: ["joint.example"], 5: ["joint.example", "more.example"], 9: ["more.example"]}
    councils["other_hosts"] = [shared.get(n, []) for n in range(12)]
    hosts = Hosts(councils)
    sites = sites_of(councils, hosts, settings())
    parts = parts_of(sites, hosts, 3)
    of_each = [{council for site in part for council in site.councils} for part, _ in parts]
    assert sorted(map(len, of_each)) == [4, 4, 4]
    assert any({"C00", "C05", "C09"} <= councils for councils in of_each)
    domains = [own for _, own in parts]
    assert sum(map(len, domains)) == len(frozenset().union(*domains)) == 14
