"""The peers that install from the package index, each as its own documentation uses it.

A URL reader answers (platform, account) or None; a page reader answers the URLs that it would
hand to a caller. What a peer does not do (unwrap, name an account) is left undone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urljoin, urlsplit

import extruct
import lxml.html
from extract_social_media import find_links_tree, matches_string
from lxml import etree
from sociallinks import SocialLinks
from socials import socials
from ural import facebook, instagram, twitter, urls_from_html, youtube
from ural.facebook import is_facebook_url
from ural.instagram import is_instagram_url
from ural.twitter import is_twitter_url
from ural.youtube import is_youtube_url

Named = tuple[str, str] | None
UrlReader = Callable[[str], Named]
PageReader = Callable[[bytes, str], list[Named]]

_SOCIAL_LINKS = SocialLinks()
_OUR_NAME = {"x": "twitter"}


def social_links(url: str) -> Named:
    """social-links: detect the platform, then extract the id."""
    platform = _SOCIAL_LINKS.detect_platform(url)
    if platform is None:
        return None
    return _OUR_NAME.get(platform, platform), _SOCIAL_LINKS.extract_id(platform, url)


def socials_url(url: str) -> Named:
    """The socials package: its cleaned link's last segment, as it names no account itself."""
    platform = socials.get_platform(url)
    return None if platform in (None, "email") else (str(platform), _last_segment(url))


def extract_social_media(url: str) -> Named:
    """extract-social-media: the pattern's match, whose host names the platform."""
    if not matches_string(url):
        return None
    labels = (urlsplit(url).hostname or "").split(".")
    names = {"plus": "google_plus", "t": "telegram"}
    return names.get(labels[0], labels[-2] if len(labels) > 1 else ""), _last_segment(url)


def ural_url(url: str) -> Named:
    """The ural package: its parser for the network that it recognises."""
    if is_facebook_url(url):
        parsed = facebook.parse_facebook_url(url)
        name = _first(parsed, "handle", "user_handle", "group_handle", "id", "user_id", "group_id")
        return None if name is None else ("facebook", name)
    if is_twitter_url(url):
        name = twitter.extract_screen_name_from_twitter_url(url)
        return None if name is None else ("twitter", name)
    if is_youtube_url(url):
        name = _first(youtube.parse_youtube_url(url), "id", "name")
        return None if name is None else ("youtube", name)
    if is_instagram_url(url):
        name = _first(instagram.parse_instagram_url(url), "name")
        return None if name is None else ("instagram", name)
    return None


URL_READERS: dict[str, UrlReader] = {
    "social-links": social_links,
    "socials": socials_url,
    "extract-social-media": extract_social_media,
    "ural": ural_url,
}


def _page_extract_social_media(body: bytes, base: str) -> list[Named]:
    tree = lxml.html.fromstring(body)
    return [extract_social_media(urljoin(base, link)) for link in find_links_tree(tree)]


def _page_socials(body: bytes, base: str) -> list[Named]:
    return [socials_url(link) for link in _hrefs(body, base)]


def _page_social_links(body: bytes, base: str) -> list[Named]:
    return [social_links(link) for link in _hrefs(body, base)]


def _page_ural(body: bytes, base: str) -> list[Named]:
    text = body.decode("utf-8", "replace")
    return [ural_url(urljoin(base, link)) for link in urls_from_html(text)]


def _page_extruct(body: bytes, base: str) -> list[Named]:
    syntaxes = ["json-ld", "microdata", "opengraph", "rdfa"]
    data = extruct.extract(
        body.decode("utf-8", "replace"), base_url=base, syntaxes=syntaxes, errors="ignore"
    )
    return [social_links(text) for text in _strings(data)]


PAGE_READERS: dict[str, PageReader] = {
    "extract-social-media": _page_extract_social_media,
    "socials": _page_socials,
    "social-links": _page_social_links,
    "ural": _page_ural,
    "extruct + social-links": _page_extruct,
}


def _hrefs(body: bytes, base: str) -> list[str]:
    tree = etree.HTML(body)
    return [] if tree is None else [urljoin(base, href) for href in tree.xpath("//a/@href")]


def _strings(data: Any) -> list[str]:
    if isinstance(data, str):
        return [data]
    parts = data.values() if isinstance(data, dict) else data if isinstance(data, list) else ()
    return [text for part in parts for text in _strings(part)]


def _last_segment(url: str) -> str:
    return urlsplit(url).path.rstrip("/").rpartition("/")[2]


def _first(parsed: object, *names: str) -> str | None:
    values = (getattr(parsed, name, None) for name in names)
    return next((str(value) for value in values if value), None)
