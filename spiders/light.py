"""Scrapy's stats, signals and scheduler without what this crawl has no use for on each page."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from scrapy.core.scheduler import BaseScheduler
from scrapy.signalmanager import SignalManager
from scrapy.statscollectors import MemoryStatsCollector

if TYPE_CHECKING:
    from scrapy import Request


class Stats(MemoryStatsCollector):
    """Scrapy's stats; nothing here gives them the argument that they look for to warn of it."""

    __getattribute__ = object.__getattribute__


class Signals(SignalManager):
    """Scrapy's signals; one to which nobody ever connected here goes no further."""

    def __init__(self, sender: Any) -> None:
        super().__init__(sender)
        self._heard: set[Any] = set()

    def connect(self, receiver: Any, signal: Any, **kwargs: Any) -> None:
        """Have a function called with a signal."""
        self._heard.add(signal)
        super().connect(receiver, signal, **kwargs)

    def send_catch_log(self, signal: Any, **kwargs: Any) -> list[tuple[Any, Any]]:
        """Each receiver of a signal, with its answer or failure."""
        return super().send_catch_log(signal, **kwargs) if signal in self._heard else []


class Scheduler(BaseScheduler):
    """Requests in turn: a site has one at a time, and its frontier has weighed and met them all."""

    def __init__(self) -> None:
        self._waiting: deque[Request] = deque()

    def has_pending_requests(self) -> bool:
        """Whether a request waits."""
        return bool(self._waiting)

    def enqueue_request(self, request: Request) -> bool:
        """Take a request; none is refused."""
        self._waiting.append(request)
        return True

    def next_request(self) -> Request | None:
        """The request that has waited longest."""
        return self._waiting.popleft() if self._waiting else None
