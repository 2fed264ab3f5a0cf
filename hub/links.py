"""Ask whether the sources and useful links still answer: `python -m hub.links`, before a review.

One request a link, one at a time; prints what a person should look at and exits 1 if there is any.
A 403 is no proof of a dead page, only of a site that does not answer programs: look by hand.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from hub.content import read_pages

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

AGENT = "DigitalCouncils-links/1 (checks the sources of its own guidance)"
SECONDS = 20


def answer(url: str) -> str:
    """What a link answers: '' when all is well, else the status or the fault in words."""
    request = Request(url, headers={"User-Agent": AGENT})  # noqa: S310 - http(s) only, as read_pages sees to
    try:
        with urlopen(request, timeout=SECONDS):  # noqa: S310 - the same request
            return ""
    except HTTPError as error:
        with error:
            return str(error.code)
    except OSError as error:
        return str(error)


def faults(urls: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Each link that does not answer well, with what it said, in the order given."""
    for url in urls:
        if said := answer(url):
            yield url, said


def main() -> int:
    """Check every source of every page; 1 when a person should look at one."""
    links = sorted({source.url for page in read_pages() for source in page.sources})
    found = list(faults(links))
    for url, said in found:
        print(f"{said}\t{url}")
    print(f"{len(links)} links, {len(found)} to look at")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
