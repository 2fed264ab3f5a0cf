"""One step of the pipeline in a process of its own, which imports nothing that the step needs not.

`python -m tests.bench.step build FOLDER SIZE` tells its seconds and its peak memory as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.bench.memory import peak

if TYPE_CHECKING:
    from collections.abc import Callable

STAGES = ("read_crawls", "in_order", "identify_table", "attribute", "reconcile", "rejections")
STEPS = (*STAGES, "write_tables", "check")


def build(folder: Path, size: int, steps: dict[str, float]) -> None:
    """Build the release of a crawl, and note what each step took."""
    import pipeline.build as building
    from pipeline.overrides import overrides_frame
    from pipeline.register import load_register

    for name in STEPS:
        setattr(building, name, _timed(getattr(building, name), name, steps))
    register, release = load_register(folder / "councils.csv"), folder / f"release{size}"
    made = building.build([folder / f"crawl{size}"], release, None, register, overrides_frame([]))
    if not made.published:
        raise SystemExit(f"the release is refused: {made.findings}")


def hub(folder: Path, size: int) -> None:
    """Build the hub of a release that stands."""
    from hub.build import build

    build(folder / f"release{size}", folder / f"site{size}")


def _timed(
    function: Callable[..., object], name: str, steps: dict[str, float]
) -> Callable[..., object]:
    def run(*args: Any, **more: Any) -> object:
        began = time.perf_counter()
        try:
            return function(*args, **more)
        finally:
            steps[name] += time.perf_counter() - began

    return run


def main(step: str, folder: Path, size: int) -> None:
    """Do one step and tell what it took."""
    steps: dict[str, float] = {}
    if step == "build":
        steps = dict.fromkeys(STEPS, 0.0)
        build(folder, size, steps)
    else:
        hub(folder, size)
    print(json.dumps({"processor s": time.process_time(), "MB": peak() >> 20, "steps": steps}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
