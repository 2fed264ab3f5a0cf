"""A crawl in a process of its own, to be killed: `python -m tests.crawl.once OUT PROXY HOST…`.

With RESUME in the environment it goes on where an earlier one stopped; ENGINES is the setting.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from spiders.run import crawl
from tests.crawl.web import QUICK, register


def main(out: str, proxy: str, *hosts: str) -> int:
    report = crawl(
        register(*hosts),
        Path(out),
        proxy=proxy,
        resume="RESUME" in os.environ,
        crawl_id="test",
        settings=QUICK | {"DOWNLOAD_DELAY": 0.03, "ENGINES": os.environ.get("ENGINES")},
    )
    return report.exit_status


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
