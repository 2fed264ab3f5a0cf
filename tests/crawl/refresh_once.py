"""A refresh in a process of its own, to be killed: STORE and PROXY are its arguments.

Its clock stands still, so that a refresh that was killed and one that was not give the same bytes.
"""

from __future__ import annotations

import sys
from pathlib import Path

from pipeline.cli import steps
from pipeline.overrides import overrides_frame
from pipeline.refresh import Inputs, refresh
from tests.crawl.web import QUICK, register

HOSTS = ("www.avonbrook.example", "www.tealmoor.example", "www.wrenford.example")
MOMENT = 1_767_600_000.0
LATER = MOMENT + 7 * 86_400


def now() -> float:
    return LATER


def inputs() -> Inputs:
    return Inputs(register(*HOSTS, council_type="unitary authority"), overrides_frame([]))


def main(store: str, proxy: str) -> int:
    outcome = refresh(
        Path(store),
        steps(now=now, proxy=proxy, settings=QUICK | {"DOWNLOAD_DELAY": 0.03}),
        inputs(),
        clock=now,
        say=lambda line: print(line, flush=True),
        resume=True,
    )
    print(outcome.message)
    return outcome.exit_status


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
