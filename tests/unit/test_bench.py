"""What the benchmark tells of memory, and how it prints what is too wide."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.memory import peak
from tests.bench.tables import turned

ROOT = Path(__file__).parents[2]
LARGE = 300_000_000


@pytest.mark.skipif(sys.platform != "linux", reason="the system's own count is read from /proc")
def test_a_process_is_not_counted_with_the_memory_of_the_one_that_started_it() -> None:
    before = peak()
    held = bytearray(b"x") * LARGE
    told = subprocess.run(
        [sys.executable, "-c", "from tests.bench.memory import peak; print(peak())"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    assert len(held) == LARGE
    assert peak() >= max(before, LARGE)
    assert 1_000_000 < int(told.stdout) < LARGE / 2


def test_a_process_that_is_gone_had_no_memory() -> None:
    assert peak("none") == 0


def test_a_table_is_turned_with_nothing_lost() -> None:
    rows: list[dict[str, str | float | int]] = [
        {"size": "ten", "seconds": 1.5, "MB": 3},
        {"size": "hundred", "seconds": 2.5, "MB": 4},
    ]
    assert turned(rows) == [
        {"size": "seconds", "ten": 1.5, "hundred": 2.5},
        {"size": "MB", "ten": 3, "hundred": 4},
    ]
