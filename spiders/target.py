"""Where a link leads, told as cheaply as can be: to a network, off the site, or to neither.

Each link of each page passes here once, so nothing is taken apart that a prefix can decide; what
an address names is for pipeline/platforms.py to say, of the few that are left.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal

from pipeline.domains import registrable
from pipeline.platforms import is_candidate_host
from spiders.places import load_places

Target = Literal["network", "off_site", "short", "internal", "none"]

LONGEST_HREF = 2_048  # longer ones are cut before they come here: the answers are remembered
REMEMBERED = 32_768  # links: a site's menu comes again after a page of each of four hundred others

_AUTHORITY = re.compile(r"(?:https?:)?[/\\]{2,}(?:[^/?#@\\]*@)?([^/?#:\\]+)", re.IGNORECASE)
_OTHER_SCHEME = re.compile(r"(?!https?:)[a-z][a-z0-9+.-]*:(?!//)", re.IGNORECASE)
_EMBEDDED_HOST = re.compile(
    r"(?:[:/\\][/\\]|%2f%2f|www\.|^https?:?[/\\]?)((?:[\w-]{1,63}\.){1,6}[a-z]{2,12})(?![\w.-])",
    re.IGNORECASE,
)
_PAGE_SUFFIX = re.compile(r"\.(?:aspx?|html?|php|jsp)$")


def target_of(href: str, site: str) -> Target:
    """Where a link of at most LONGEST_HREF characters leads from a page of `site`, a domain.

    'network' for the hosts that pipeline/platforms.py knows, also where the scheme is missing or
    the address stands within another; 'short' for a site's own address that ends in a network's
    name; 'none' for what is no web address.
    """
    domain, target = _taken_apart(href)
    return target if domain is None or domain == site else "off_site"


@lru_cache(maxsize=REMEMBERED)
def _taken_apart(href: str) -> tuple[str | None, Target]:
    """The domain that a link names, None where it names none, and where it leads on that site."""
    text = href.strip()
    domain = None
    if found := _AUTHORITY.match(text):
        host = "".join(found[1].split()).lower()
        if is_candidate_host(host):
            return None, "network"
        domain = registrable(host)
    elif _OTHER_SCHEME.match(text) or not text or text[0] == "#":
        return None, "none"
    if _leads_to_network(text):
        return domain, "network"
    return domain, "short" if is_short_address(text) else "internal"


def _leads_to_network(text: str) -> bool:
    if text[0] != "/" and is_candidate_host(re.split(r"[/?#]", text, maxsplit=1)[0].lower()):
        return True
    if "www." not in text and "ttp" not in text.lower():
        return False
    return any(is_candidate_host(host.lower()) for host in _EMBEDDED_HOST.findall(text))


def is_short_address(text: str) -> bool:
    """Whether the last step of an address is the name of a network, as in `/facebook`."""
    path = re.split(r"[?#]", text, maxsplit=1)[0].rstrip("/").lower()
    step = _PAGE_SUFFIX.sub("", path.rpartition("/")[2])
    return step in load_places().vanity
