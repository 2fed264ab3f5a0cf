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
from spiders.frontier import LONGEST_PATH, load_rules
from spiders.target import LONGEST_HREF, REMEMBERED, target_of

if TYPE_CHECKING:
    from collections.abc import Container

    from lxml import etree

    from spiders.scan import Page

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


def leads_of(page: Page, url: str, own: Container[str], most_links: int) -> Leads:
    """Where the page at `url` leads by its first `most_links` links.

    `own` are the domains of its site; what leads elsewhere is no lead.
    """
    short = load_rules().short_links(url, [o.href for o in page.observations])
    return Leads(page.refresh, _promising(page, own, most_links), short)


def _promising(page: Page, own: Container[str], most_links: int) -> list[tuple[str, str]]:
    site = site_of(page.base_url)
    links: dict[str, str] = {}
    urls: dict[str, str | None] = {}
    for element, href in page.links[:most_links]:
        if href not in urls:
            urls[href] = _lead(href, page.base_url, site, own)
        url = urls[href]
        if url is None or url in links:
            continue
        text = _text(element)
        if _promises_by_path(_path(url)) or load_rules().weight_of_text(text):
            links[url] = text
    return list(links.items())


def _lead(href: str, base_url: str, site: str, own: Container[str]) -> str | None:
    """The URL of a link that stays within the site."""
    target = target_of(href[:LONGEST_HREF], site)
    if target == "none":
        return None
    url = load_rules().normalise(href.strip(), base_url)
    if url is None:
        return None
    return url if (site if target in _WITHIN else site_of(url)) in own else None


def _path(url: str) -> str:
    return url[url.index("/", len("https://")) :].partition("?")[0][:LONGEST_PATH]


@lru_cache(maxsize=REMEMBERED)
def _promises_by_path(path: str) -> bool:
    return load_rules().weight_of_path(path) > 0


def _text(element: etree._Element) -> str:
    text = text_of(element) if len(element) else " ".join((element.text or "").split())
    return text or element.get("title") or ""
