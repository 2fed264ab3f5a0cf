"""A crawl in a process of its own, to be killed: `python -m tests.crawl.once OUT PROXY HOST…`.

With RESUME in the environment it goes on where an earlier one stopped; ENGINES is the setting,
and CAPTURE the file to write answers to.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from spiders import journal
from spiders.run import crawl
from tests.crawl.web import QUICK, register

if TYPE_CHECKING:
    from tests.crawl.web import Web


def main(out: str, proxy: str, *hosts: str) -> int:
    capture = os.environ.get("CAPTURE")
    report = crawl(
        register(*hosts),
        Path(out),
        capture=Path(capture) if capture else None,
        proxy=proxy,
        resume="RESUME" in os.environ,
        crawl_id="test",
        settings=QUICK | {"DOWNLOAD_DELAY": 0.03, "ENGINES": os.environ.get("ENGINES")},
    )
    return report.exit_status


def start(web: Web, out: Path, *hosts: str, **environment: str) -> subprocess.Popen[bytes]:
    """Begin such a crawl."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.crawl.once", str(out), web.proxy, *hosts],
        cwd=Path(__file__).parents[2],
        env=os.environ | environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def lines_in(out: Path) -> int:
    """How many lines its journal has."""
    pages = out / journal.PAGES
    return pages.read_bytes().count(b"\n") if pages.exists() else 0


def wait_for_lines(out: Path, count: int, process: subprocess.Popen[bytes]) -> None:
    """Return when its journal has so many lines, or it has ended."""
    while lines_in(out) < count and process.poll() is None:
        time.sleep(0.005)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
