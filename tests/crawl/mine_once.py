"""Mining by two workers in a process of its own, to be killed: `python -m … OUT FILE…`."""

from __future__ import annotations

import sys
from pathlib import Path

from spiders.cluster import mine_parts
from tests.crawl.web import register

HOSTS = ("www.avonbrook.example", "www.tealmoor.example")


def main(out: str, *places: str) -> int:
    return mine_parts(places, Path(out), register(*HOSTS), workers=2).exit_status


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
