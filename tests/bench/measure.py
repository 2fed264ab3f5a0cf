"""What the benchmarks share: a clock, and when two writings of an account are one."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

SHARED = Path(__file__).parents[2].parent / "shared"
Row = dict[str, str | float | int]


def best_seconds(job: Callable[[], object], rounds: int = 3) -> float:
    """The shortest of `rounds` runs of `job`, in seconds: the least disturbed one."""

    def once() -> float:
        start = time.perf_counter()
        job()
        return time.perf_counter() - start

    return min(once() for _ in range(rounds))


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
