"""A crawl is whole or says that it is not: kills, torn lines, full disks, faults of ours."""

from __future__ import annotations

import json
import signal
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pytest

from spiders import extract, journal, warc
from spiders.items import Fetch, Observation
from spiders.run import RunError
from tests.crawl.once import lines_in, start, wait_for_lines
from tests.crawl.web import Handler, Web, act, outcome, page, redirect, register, timeless, visit

if TYPE_CHECKING:
    from pathlib import Path

    from spiders.extract import Answer

HOSTS = ("www.avonbrook.example", "www.tealmoor.example", "www.wrenford.example")


def _fill(web: Web) -> None:
    for host in HOSTS:
        links = {f"/news/{i}": "News" for i in range(6)} | {"/social-media": "Social media"}
        web.put(host, "/", page("Home", links | {"https://twitter.com/Sample": "X"}))
        for path in links:
            more = {f"{path}/more": "More news", "https://www.facebook.com/Sample": "F"}
            web.put(host, path, page("News", more))
            web.put(host, f"{path}/more", page("More"))
        web.put(host, "/news/2", redirect("/news/1"))
        web.put(host, "/news/3", redirect("https://www.facebook.com/ASample"))
    web.put(HOSTS[2], "/news/4", act(Handler.drop))


@pytest.mark.parametrize("after", [2, 13, 29])
def test_a_killed_crawl_resumes_to_the_same_record(web: Web, tmp_path: Path, after: int) -> None:
    _fill(web)
    _, undisturbed = visit(web, tmp_path / "whole", register(*HOSTS), DOWNLOAD_DELAY=0.03)
    out = tmp_path / "killed"
    process = start(web, out, *HOSTS)
    wait_for_lines(out, after, process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert 0 < lines_in(out) < len(undisturbed)
    assert start(web, out, *HOSTS, RESUME="1").wait() == 0
    assert timeless(list(journal.read(out / journal.PAGES))) == timeless(undisturbed)


def test_a_resumed_crawl_asks_for_nothing_again(web: Web, tmp_path: Path) -> None:
    _fill(web)
    visit(web, tmp_path / "c", register(*HOSTS))
    web.asked.clear()
    report, _ = visit(web, tmp_path / "c", register(*HOSTS), resume=True)
    assert web.asked == []
    assert report.finished


def test_a_torn_last_line_is_cut_and_its_page_asked_again(web: Web, tmp_path: Path) -> None:
    _fill(web)
    out = tmp_path / "c"
    _, whole = visit(web, out, register(HOSTS[0]))
    pages = out / journal.PAGES
    pages.write_bytes(pages.read_bytes()[:-40])
    report, lines = visit(web, out, register(HOSTS[0]), resume=True)
    assert timeless(lines) == timeless(whole)
    assert report.report["resumed"]["torn_bytes"] > 0


def test_half_a_character_is_written_as_an_escape(tmp_path: Path) -> None:
    odd = Observation("script", "main", "https://x.com/\ud83d", sentence='“Follow” \\ "us"\x01')
    fetch = Fetch("AVO", "https://a.example/", "home", 0, "ok", "2026-01-01T00:00:00Z", bytes=7)
    fetch.observations = [odd]
    link = ("https://a.example/b", "Newyddion â", "follow")
    with journal.Journal(tmp_path / journal.PAGES) as written:
        written.append([journal.entry(fetch, [link])])
        written.append([journal.entry(fetch, [link], journal.observations_as_written([odd]))])
    assert rb"\ud83d" in (tmp_path / journal.PAGES).read_bytes()
    one, other = journal.read(tmp_path / journal.PAGES)
    assert one == other == asdict(fetch) | {"links": [list(link)]}


def test_a_damaged_journal_is_refused_by_line(tmp_path: Path) -> None:
    path = tmp_path / "pages.jsonl"
    path.write_text('{"a": 1}\n{"b": \n{"c": 3}\n')
    for at in (0, len('{"a": 1}\n')):
        with pytest.raises(journal.JournalError, match="line 2"):
            list(journal.read(path, start=at))


def test_ctrl_c_stops_cleanly_and_says_how_to_go_on(web: Web, tmp_path: Path) -> None:
    _fill(web)
    out = tmp_path / "c"
    process = start(web, out, *HOSTS)
    wait_for_lines(out, 5, process)
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 1
    run = json.loads((out / "run.json").read_text())
    assert run["finished"] is False
    assert "--resume" in " ".join(run["problems"])
    assert all(journal.read(out / journal.PAGES))


def test_an_exception_in_a_callback_is_no_success(
    web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fill(web)
    read_page = extract.read_page

    def fail_for_one(asked: Any, answer: Answer, known: Any) -> Any:
        if HOSTS[1] in answer.url:
            raise RuntimeError("a fault of ours")
        return read_page(asked, answer, known)

    monkeypatch.setattr("spiders.extract.read_page", fail_for_one)
    report, lines = visit(web, tmp_path / "c", register(*HOSTS))
    assert report.exit_status == 1
    assert "a fault of ours" in " ".join(report.problems)
    assert outcome(lines, f"http://{HOSTS[0]}/social-media") == "ok"


def test_a_disk_that_fills_up_ends_the_crawl_without_success(
    web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fill(web)
    append = journal.Journal.append
    calls = iter(range(100))

    def fill_up(self: journal.Journal, lines: Any) -> int:
        if next(calls) > 6:
            raise OSError(28, "No space left on device")
        return append(self, lines)

    monkeypatch.setattr(journal.Journal, "append", fill_up)
    report, lines = visit(web, tmp_path / "c", register(*HOSTS))
    assert report.exit_status == 1
    assert "No space left on device" in " ".join(report.problems)
    assert len(lines) == 7


def test_a_capture_replays_to_the_same_lines_without_network(web: Web, tmp_path: Path) -> None:
    _fill(web)
    captured = tmp_path / "crawl.warc.gz"
    _, live = visit(web, tmp_path / "live", register(*HOSTS), capture=captured)
    web.asked.clear()
    report, replayed = visit(
        web, tmp_path / "replay", register(*HOSTS), replay=captured, proxy=None
    )
    assert web.asked == []
    assert sorted(map(json.dumps, replayed)) == sorted(map(json.dumps, live))
    assert (report.kind, report.finished) == ("replay", True)


def test_a_page_that_was_not_captured_is_named_so(web: Web, tmp_path: Path) -> None:
    _fill(web)
    captured = tmp_path / "crawl.warc.gz"
    visit(web, tmp_path / "live", register(HOSTS[0]), capture=captured, max_pages=2)
    _, lines = visit(web, tmp_path / "replay", register(HOSTS[0]), replay=captured, proxy=None)
    assert outcome(lines, f"http://{HOSTS[0]}/news/1") == "not_captured"


def test_a_torn_capture_is_cut_back_to_its_last_whole_record(web: Web, tmp_path: Path) -> None:
    _fill(web)
    captured = tmp_path / "crawl.warc.gz"
    visit(web, tmp_path / "live", register(HOSTS[0]), capture=captured)
    whole = captured.read_bytes()
    captured.write_bytes(whole + whole[:50])
    assert warc.repair(captured) == 50
    assert captured.read_bytes() == whole


def test_a_capture_that_cannot_be_written_is_said_before_anything_is_asked(
    web: Web, tmp_path: Path
) -> None:
    _fill(web)
    with pytest.raises(warc.WarcError, match="cannot be written"):
        visit(web, tmp_path / "c", register(HOSTS[0]), capture=tmp_path)
    assert web.asked == []
    assert not (tmp_path / "c").exists()
    there = tmp_path / "captures" / "c.warc.gz"  # a folder that is not there yet
    visit(web, tmp_path / "c", register(HOSTS[0]), capture=there)
    assert there.stat().st_size > 0


def test_a_capture_is_not_replayed_and_captured_at_once(web: Web, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="--capture or --replay"):
        visit(
            web,
            tmp_path / "c",
            register(HOSTS[0]),
            capture=tmp_path / "a.warc.gz",
            replay=tmp_path / "b.warc.gz",
        )


def test_many_sites_take_turns_in_waves(web: Web, tmp_path: Path) -> None:
    hosts = [f"www.{letter}brook.example" for letter in "abcdefghij"]
    for host in hosts:
        web.put(host, "/", page("Home", {"/contact": "Contact"}))
    report, lines = visit(web, tmp_path / "c", register(*hosts), CONCURRENT_REQUESTS=3)
    assert report.report["councils"] == {"done": 10, "total": 10}
    assert sum(line["purpose"] == "home" for line in lines) == 10
