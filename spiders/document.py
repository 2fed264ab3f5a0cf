"""Bytes → tree: decode a page whatever it claims to be, parse it, and tell where elements stand.

A page may lie about its encoding, end in the middle of a tag or be no HTML at all. Nothing here
raises for what is in the body: at worst the tree is empty.
"""

from __future__ import annotations

import codecs
import re
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from lxml import etree

from spiders.places import inner_region, load_places

if TYPE_CHECKING:
    from collections.abc import Iterable

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CHARSET = re.compile(rb"""charset\s*=\s*["']?\s*([\w:.+-]{1,40})""", re.IGNORECASE)
# Python has codecs that are no charsets, such as rot13.
_CHARSETS = ("iso8859", "cp", "koi8", "big5", "gb", "euc", "shift_jis", "mac-", "iso2022", "tis")
_CHARSET_WITHIN = 4096  # browsers look at 1,024 bytes; comments and banners push it further down
# libxml2 gives up below this depth, and with it all that follows in the page.
_DEEPEST = 2000
_FORMATTING_TAGS = re.compile(
    rb"</?(?:div|span|font|b|i|u|em|strong|p|center|section|small|big|ul|ol|li|dl|table|tbody|tr|td)"
    rb"\b[^>]*>",
    re.IGNORECASE,
)
# libxml2 compares each attribute of a tag with all before it: 300,000 take it ten minutes.
_ATTRIBUTE = rb"""[\s/]*+(?:=[^\s/>=]*+|[^\s/>=]++)(?:\s*+=\s*+(?:"[^"]*+"|'[^']*+'|[^\s>]*+))?+"""
_CROWDED_TAG = re.compile(rb"<([A-Za-z][^\s/>]*+)(?:%s){128}" % _ATTRIBUTE)
_MANY_ATTRIBUTES = 24_000  # in one tag take libxml2 a second
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{1,8}){0,4}")
_CONTAINERS = frozenset({"noscript", "template"})
# Without its table of ids, which nothing here asks for, parsing is a tenth faster.
_PARSER = etree.HTMLParser(
    encoding="utf-8",
    remove_comments=True,
    remove_pis=True,
    huge_tree=True,
    no_network=True,
    collect_ids=False,
)


class Standing(NamedTuple):
    """Where an element stands: the region around it, None for the page itself, and what holds it.

    `holder` is noscript, template, code or quotation, whichever is innermost, or empty.
    """

    region: str | None
    holder: str


_OUTSIDE = Standing(None, "")


def utf8(body: bytes, content_type: str | None = None) -> bytes:
    """The body in UTF-8, without NUL: by its byte order mark, else by what its bytes can be.

    Bytes that are valid UTF-8 are UTF-8, whatever is declared; the declared charset counts for the
    rest, and windows-1252 where there is none, as in browsers.
    """
    for mark, name in _BOMS:
        if body.startswith(mark):
            return _without_nul(body.decode(name, "replace").lstrip("\ufeff").encode())
    if wide := _wide(body):
        return _without_nul(body.decode(wide, "replace").encode("utf-8", "replace"))
    try:
        if not body.isascii():
            body.decode()
    except UnicodeDecodeError:
        text = body.decode(_declared(body, content_type), "replace")
        return _without_nul(text.encode("utf-8", "replace"))
    return _without_nul(body)


def _without_nul(body: bytes) -> bytes:
    return body.replace(b"\0", b"") if b"\0" in body else body


def _wide(body: bytes) -> str | None:
    """UTF-16 without a mark: every second byte of the first tag is NUL."""
    start = body[:4]
    if start[:1] == b"<" and start[1::2] == b"\0\0":
        return "utf-16-le"
    if start[1:2] == b"<" and start[::2] == b"\0\0":
        return "utf-16-be"
    return None


def _declared(body: bytes, content_type: str | None) -> str:
    """The charset that the header or the page declares and Python knows, else windows-1252."""
    header = (content_type or "").encode("ascii", "replace")
    for source in (header, body[:_CHARSET_WITHIN]):
        if found := _CHARSET.search(source):
            try:
                name = codecs.lookup(found[1].decode("ascii")).name
            except LookupError:
                continue
            # Not UTF-8, as that failed, nor UTF-16, whose declaration could not be read in ASCII.
            if name == "iso8859-1" or not name.startswith(_CHARSETS):
                return "cp1252"
            return name
    return "cp1252"


def parse(body: bytes) -> etree._Element:
    """The tree of a page in UTF-8; an empty `html` element where there is nothing to parse."""
    # An attribute and what parts it from the next are two bytes at least.
    if len(body) > 2 * _MANY_ATTRIBUTES and _most_attributes(body) > _MANY_ATTRIBUTES:
        body = _CROWDED_TAG.sub(rb"<\1>", body)
    root = _parse(body)
    if _is_cut(root):
        root = _parse(_FORMATTING_TAGS.sub(b" ", body))
    return root


def _most_attributes(body: bytes) -> int:
    """What no tag of the page can have more attributes than, told without looking for tags.

    An attribute has an equals sign, or it ends at white space or a slash.
    """
    characters = np.frombuffer(body, np.uint8)
    parting = characters <= ord(" ")
    parting |= characters == ord("/")
    runs = np.count_nonzero(parting[1:] > parting[:-1])
    return int(runs + np.count_nonzero(characters == ord("=")))


def may_hold(body: bytes, first: str, second: str) -> bool:
    """Whether one of the characters of `first` stands before `second`, a character, in ASCII.

    Told in a fraction of the time that the search for a word takes: most pages need no search.
    """
    characters = np.frombuffer(body, np.uint8)
    before = characters[:-1]
    found = before == ord(first[0])
    for other in first[1:]:
        found |= before == ord(other)
    found &= characters[1:] == ord(second)
    return bool(found.any())


def _parse(body: bytes) -> etree._Element:
    try:
        root = etree.fromstring(body, _PARSER)
    except etree.XMLSyntaxError:
        root = None
    return etree.Element("html") if root is None else root


def _is_cut(root: etree._Element) -> bool:
    """Whether parsing ended at libxml2's depth limit: then the last branch is that deep."""
    depth, node = 0, root
    while len(node):
        depth, node = depth + 1, node[-1]
    return depth >= _DEEPEST


class Standings:
    """Tells where elements stand, and remembers it for each ancestor it passes.

    Each element of a page is looked at once, however many links there are below it.
    """

    def __init__(self) -> None:
        self._known: dict[etree._Element, Standing] = {}
        self._plain_tags = load_places().plain_tags

    def of(self, element: etree._Element) -> Standing:
        """Where this element stands."""
        known = self._known
        above = []
        node: etree._Element | None = element
        standing = None
        while node is not None:
            standing = known.get(node)
            if standing is not None:
                break
            above.append(node)
            node = node.getparent()
        standing = standing or _OUTSIDE
        for inner in reversed(above):
            tag = str(inner.tag)
            if tag not in self._plain_tags:
                get = inner.get
                standing = _inside(standing, tag, get("role"), get("id"), get("class"))
            known[inner] = standing
        return standing

    def hold(self, element: etree._Element, holder: str) -> None:
        """Let what is in this element be held by it."""
        self._known[element] = Standing(self.of(element).region, holder)


@lru_cache(maxsize=16_384)
def _inside(
    outer: Standing, tag: str, role: str | None, name: str | None, classes: str | None
) -> Standing:
    """Where things in an element stand that has these attributes and stands in `outer` itself."""
    places = load_places()
    names = f"{name or ''} {classes or ''}".split()
    if tag in _CONTAINERS:
        holder = tag
    elif tag in places.code_tags:
        holder = "code"
    else:
        holder = outer.holder if places.quotations.isdisjoint(names) else "quotation"
    opened = places.landmark(tag, role or "", names)
    return Standing(inner_region(outer.region, tag, opened), holder)


def text_of(element: etree._Element) -> str:
    """All text in an element, white space collapsed."""
    return collapse(element.itertext())


def language_tag(declared: str | None) -> str | None:
    """A declared language as written, if it is one at all: templates leave odd things there."""
    tag = (declared or "").strip()
    return tag if _LANGUAGE.fullmatch(tag) else None


def collapse(pieces: Iterable[str]) -> str:
    """One line of text: pieces joined, white space collapsed."""
    return " ".join("".join(pieces).split())
