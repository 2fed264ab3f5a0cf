"""What is left of Scrapy's parts says what the whole ones say."""

from __future__ import annotations

import pytest
from scrapy import Request
from scrapy.crawler import Crawler
from scrapy.signalmanager import SignalManager
from scrapy.statscollectors import MemoryStatsCollector
from twisted.python.failure import Failure

from spiders.council_site import CouncilSite
from spiders.light import Scheduler, Signals, Stats

SIGNAL, OTHER = object(), object()


@pytest.mark.parametrize("kind", [SignalManager, Signals])
def test_whoever_listens_is_told_as_by_scrapys_own(kind: type[SignalManager]) -> None:
    signals = kind(object())
    came: list[int] = []

    def receive(word: int) -> str:
        came.append(word)
        return "heard"

    signals.connect(receive, SIGNAL)
    answers = [signals.send_catch_log(signal, word=1) for signal in (SIGNAL, OTHER)]
    signals.disconnect(receive, SIGNAL)
    assert signals.send_catch_log(SIGNAL, word=2) == []
    assert answers == [[(receive, "heard")], []]
    assert came == [1]


def test_a_receiver_that_fails_is_an_answer() -> None:
    signals = Signals(object())

    def fail() -> None:
        raise ValueError

    signals.connect(fail, SIGNAL)
    ((_, answer),) = signals.send_catch_log(SIGNAL, dont_log=ValueError)
    assert isinstance(answer, Failure)
    assert isinstance(answer.value, ValueError)


def test_stats_count_as_scrapys_own() -> None:
    crawler = Crawler(CouncilSite)
    crawler.settings.set("STATS_DUMP", False)
    counted = [kind(crawler) for kind in (Stats, MemoryStatsCollector)]
    for stats in counted:
        stats.set_value("a", 1)
        stats.inc_value("a", 2)
        stats.inc_value("b")
        stats.max_value("c", 5)
    assert counted[0].get_stats() == counted[1].get_stats() == {"a": 3, "b": 1, "c": 5}


def test_requests_come_in_their_turn_and_none_is_lost() -> None:
    scheduler = Scheduler()
    urls = [f"https://www.oakshire.example/{n}" for n in (3, 1, 2, 1)]
    assert not scheduler.has_pending_requests()
    assert all(scheduler.enqueue_request(Request(url)) for url in urls)
    assert scheduler.has_pending_requests()
    came = [scheduler.next_request() for _ in range(5)]
    assert [request.url for request in came if request] == urls
    assert came[-1] is None
