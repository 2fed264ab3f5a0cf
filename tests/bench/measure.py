"""What the benchmarks share: a clock, and when two writings of an account are one."""

from __future__ import annotations

import timeit
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
