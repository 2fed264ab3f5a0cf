"""Where a page leads: of its links those that the follow rules find promising.

A page repeats the menus of its site, and most links of the rest promise nothing. They are told
apart where the page is read, so that the crawl has a few dozen to look at instead of hundreds.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from pipeline.domains import site_of
from spiders.document import text_of
from spiders.frontier import Seen, load_rules, path_of
from spiders.target import LONGEST_HREF, REMEMBERED, target_of

if TYPE_CHECKING:
    from collections.abc import Container

    from lxml import etree

    from spiders.scan import Page

# Links that lead to the same address from every page of a site.
_FROM_ANYWHERE = ("/", "http://", "https://", "mailto:", "tel:")
_MOST_HREFS, _SHORT_HREF = 500, 200  # remembered for a visit, and characters of each
_WITHIN = frozenset({"internal", "short"})


@dataclass(frozen=True, slots=True)
class Leads:
    """Where a page leads: what is needed of it once it was read.

    `links` are normalised URLs, each with the first text, else title, that it promises something
    with; those that promise nothing are left out. `short` are the links to short hosts that the
    page carries.
    """

    refresh: str | None
    links: list[tuple[str, str]]
    short: list[str]


def leads_of(
    page: Page, url: str, own: Container[str], most_links: int, seen: Seen | None = None
) -> Leads:
    """Where the page at `url` leads by its first `most_links` links.

    `own` are the domains of its site; what leads elsewhere is no lead, and neither is what was
    `seen` on another page.
    """
    short = load_rules().short_links(url, [o.href for o in page.observations])
    return Leads(page.refresh, _promising(page, own, most_links, seen or Seen()), short)


def _promising(
    page: Page, own: Container[str], most_links: int, seen: Seen
) -> list[tuple[str, str]]:
    base = page.base_url
    rules = load_rules()
    root = rules.normalise("/", base) or base
    links: dict[str, str] = {}
    settled: set[str] = set()  # hrefs of which no other text is asked
    nowhere = seen.hrefs.setdefault(root, set())
    for element, href in page.links[:most_links]:
        if href in nowhere or href in settled or href[:1] == "#":
            continue
        # Most links are the same from every page of a site, so that they are remembered.
        find = _lead if len(href) <= LONGEST_HREF else _lead_of
        anywhere = href.startswith(_FROM_ANYWHERE)
        lead = find(href, root if anywhere else base)
        if lead is None or lead[0] in seen.urls:
            kept = anywhere and len(nowhere) < _MOST_HREFS and len(href) <= _SHORT_HREF
            (nowhere if kept else settled).add(href)
            continue
        if lead[0] in links or lead[1] not in own:
            settled.add(href)
            continue
        url, _, promises = lead
        text = _text(element)
        if promises or rules.weight_of_text(text) > 0:
            links[url] = text
    return list(links.items())


def _lead_of(href: str, base_url: str) -> tuple[str, str, bool] | None:
    """The URL of a link, the domain that it leads to, and whether its path promises something."""
    site = site_of(base_url)
    target = target_of(href[:LONGEST_HREF], site)
    url = None if target == "none" else load_rules().normalise(href.strip(), base_url)
    if url is None:
        return None
    promises = load_rules().weight_of_path(path_of(url)) > 0
    return url, site if target in _WITHIN else site_of(url), promises


_lead = lru_cache(maxsize=REMEMBERED)(_lead_of)


def _text(element: etree._Element) -> str:
    text = text_of(element) if len(element) else " ".join((element.text or "").split())
    return text or element.get("title") or ""
