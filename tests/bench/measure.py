"""What the benchmarks share: a clock, what cores are worth, when two writings are one account."""

from __future__ import annotations

import timeit
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

SHARED = Path(__file__).parents[2].parent / "shared"
Row = dict[str, str | float | int]


def best_seconds(job: Callable[[], object], rounds: int = 3) -> float:
    """The shortest of `rounds` runs of `job`, in seconds: the least disturbed one."""
    return min(timeit.repeat(job, number=1, repeat=rounds))


def best_in_turn(jobs: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """For each job its shortest run, in seconds; they take turns, so that noise meets them all."""
    best = dict.fromkeys(jobs, float("inf"))
    for _ in range(rounds):
        best = {name: min(best[name], best_seconds(job, 1)) for name, job in jobs.items()}
    return best


def two_cores() -> list[Row]:
    """How much more two processes do than one, of a loop in registers: no program gains more.

    Cores that are halves of one, or shared with strangers, are worth less than two.
    """
    alone = together = 0.0
    with get_context("spawn").Pool(2) as pool:
        pool.map(_loop, range(2), chunksize=1)
        for turn in range(20):  # in turn, over some seconds: what they are worth changes
            alone += pool.apply(_loop, (turn,))
            together += max(pool.map(_loop, range(2), chunksize=1))
    return [{"a loop in": "two processes", "of one": 2 * alone / together}]


def _loop(_turn: int) -> float:
    return best_seconds(lambda: sum(range(5_000_000)), 1)


def name_of(account: str) -> str:
    """An account without its type prefix, `@`, `+`, dots and case: alike for every reader."""
    last = unquote(account).casefold().rstrip("/").rpartition("/")[2]
    digits = last.rpartition("-")[2]
    last = digits if digits.isdigit() and len(digits) >= 9 else last
    return last.removeprefix("id:").strip("@+ ").replace(".", "")


def ratios(rates: Iterable[tuple[str, float]], unit: str) -> list[Row]:
    """Rows of rate and of rate relative to the first, which is ours."""
    listed = list(rates)
    ours = listed[0][1]
    return [{"reader": name, unit: round(rate), "ours is": ours / rate} for name, rate in listed]
