"""Which hosts belong to one body: the domain that somebody registered.

Every link of every page is told from its site by this, also where nothing is known of councils, so
it stands apart from the register and needs none of its libraries.
"""

from __future__ import annotations

import tomllib
from functools import cache, lru_cache
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import tldextract

RULES = Path(__file__).parents[1] / "data" / "rules" / "domains.toml"


@lru_cache(maxsize=65_536)
def registrable(host: str) -> str:
    """The domain that someone registered: leeds.gov.uk for each of its hosts.

    By the public suffix list, of which gov.uk is one, and the suffixes of domains.toml. Under an
    unknown suffix the last two labels count; an address, a single label and a public suffix are
    returned as they are.
    """
    host = host.lower().rstrip(".")
    if is_address(host):
        return host
    found = _suffixes()(host)
    if found.suffix:
        return found.top_domain_under_public_suffix or host
    return ".".join(host.split(".")[-2:])


def site_of(url: str) -> str:
    """The registrable domain of a URL's host; empty where it has none, as for a file."""
    return _site_of(origin_of(url))


def origin_of(url: str) -> str:
    """What stands before the path of a URL: all that names its host, and the same on all its pages.

    A host is asked for far more often than there are hosts, and told by this in no time.
    """
    return "/".join(url.split("/", 3)[:3])


@lru_cache(maxsize=65_536)
def _site_of(origin: str) -> str:
    try:
        return registrable(urlsplit(origin).hostname or "")
    except ValueError:
        return ""


def public_suffix(host: str) -> str:
    """What a host's name ends in that many bodies share, such as gov.uk; empty if none is known."""
    return _suffixes()(host).suffix


def is_address(host: str) -> bool:
    """Whether a host is an IP address, in brackets or not."""
    try:
        ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


@cache
def _suffixes() -> tldextract.TLDExtract:
    """The public suffix list that ships with tldextract: no network and no cache folder.

    Its private section is read too: two tenants of one web host are never one site.
    """
    rules = tomllib.loads(RULES.read_text("utf-8"))
    return tldextract.TLDExtract(
        suffix_list_urls=(),
        cache_dir=None,
        include_psl_private_domains=True,
        extra_suffixes=tuple(rule["name"] for rule in rules["suffix"]),
    )
