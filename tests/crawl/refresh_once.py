"""A refresh to run in a process of its own, and to be killed.

Its clock stands still, so that a refresh that was killed and one that was not give the same bytes.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

# What a refresh imports on its way is loaded before the first fork, which saves each its seconds.
import hub.build  # noqa: F401  as above
import spiders.run  # noqa: F401  as above
from pipeline.cli import steps
from pipeline.overrides import overrides_frame
from pipeline.refresh import Inputs, refresh
from tests.crawl.web import QUICK, register

if TYPE_CHECKING:
    from pathlib import Path

HOSTS = ("www.avonbrook.example", "www.tealmoor.example", "www.wrenford.example")
MOMENT = 1_767_600_000.0
LATER = MOMENT + 7 * 86_400


def now() -> float:
    return LATER


def inputs() -> Inputs:
    return Inputs(register(*HOSTS, council_type="unitary authority"), overrides_frame([]))


def main(store: Path, proxy: str) -> None:
    """Refresh, going on with what was interrupted; exit with the refresh's status."""
    outcome = refresh(
        store,
        steps(now=now, proxy=proxy, settings=QUICK | {"DOWNLOAD_DELAY": 0.03}),
        inputs(),
        clock=now,
        say=lambda _: None,
        resume=True,
    )
    sys.exit(outcome.exit_status)
