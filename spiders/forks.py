"""Run functions side by side, each in a process forked for it: what they tell meanwhile, and last.

They end with the process that forked them, however that ends. A signal to stop comes to it alone,
as from a terminal, and is passed on to them, so that each stops as it would by itself.
"""

from __future__ import annotations

import os
import signal
import threading
import warnings
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from multiprocessing.connection import Connection
    from multiprocessing.context import ForkProcess

    Tell = Callable[[Any], None]
    Work = Callable[[Tell], Any]

_STOPS = (signal.SIGINT, signal.SIGTERM)


def side_by_side(
    works: Sequence[Work], show: Callable[[list[Any]], None]
) -> tuple[list[tuple[int, Any]], bool]:
    """Call each function in a process of its own, with a function to tell how far it is.

    `show` is called with the newest of what each has told. Returns of each its exit code and what
    it returned, None if it died, and whether they were told to stop.
    """
    context = get_context("fork")
    processes: dict[Connection, ForkProcess] = {}
    for work in works:
        mine, theirs = context.Pipe(duplex=False)
        process = context.Process(target=_call, args=(work, theirs), daemon=True)
        with warnings.catch_warnings():
            # It warns of threads: those of Arrow, which no work asks for anything, and of tests.
            warnings.simplefilter("ignore", DeprecationWarning)
            process.start()
        theirs.close()
        processes[mine] = process
    with _passing_on_stops(list(processes.values())) as stops:
        answers = _listen(list(processes), show)
    for process in processes.values():
        process.join()
    ends = [(p.exitcode or 0, answers.get(connection)) for connection, p in processes.items()]
    return ends, bool(stops)


def _call(work: Work, to: Connection) -> None:
    """What a process does."""
    os.setpgrp()  # what a terminal sends is for the process that forked
    threading.Thread(target=_end_with_parent, daemon=True).start()

    # A function, as Scrapy copies its settings, and the copy of a connection closes it.
    def tell(news: Any) -> None:
        to.send((False, news))

    to.send((True, work(tell)))


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _listen(
    connections: list[Connection], show: Callable[[list[Any]], None]
) -> dict[Connection, Any]:
    """What each process returned, once all have ended."""
    answers: dict[Connection, Any] = {}
    news: dict[Connection, Any] = {}
    while connections:
        for connection in cast("list[Connection]", wait(connections)):
            try:
                is_answer, told = connection.recv()
            except (EOFError, OSError):
                connections.remove(connection)
                continue
            if is_answer:
                answers[connection] = told
            else:
                news[connection] = told
                show(list(news.values()))
    return answers


@contextmanager
def _passing_on_stops(processes: Sequence[ForkProcess]) -> Iterator[list[int]]:
    """Pass signals to stop on to the processes; the numbers of those that came."""
    passed: list[int] = []

    def pass_on(number: int, _frame: Any) -> None:
        passed.append(number)
        for process in processes:
            if process.is_alive() and process.pid is not None:
                os.kill(process.pid, number)

    before = {number: signal.signal(number, pass_on) for number in _STOPS}
    try:
        yield passed
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
