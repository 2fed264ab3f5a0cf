"""HTML bytes → every candidate link and where it stands, with lxml, on every page.

A candidate is a link to a network, a shortener or a redirector in whatever markup carries it, a
bare handle beside the name of its network, an off-site link, or a council's own short address such
as `/facebook`. Which of them are accounts is decided later, by pipeline/platforms.py: what is not
found here is lost for good, and what is found here too much is rejected there by name.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from itertools import accumulate, chain, islice
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urljoin, urlsplit

from lxml import etree

from pipeline.domains import site_of
from pipeline.platforms import absolute
from spiders.document import (
    Standing,
    Standings,
    collapse,
    language_tag,
    may_hold,
    parse,
    text_of,
    utf8,
)
from spiders.items import Observation
from spiders.places import load_places
from spiders.target import LONGEST_HREF, Target, target_of
from spiders.written import BARRIER, in_json_ld, in_script, in_text, may_mention, mentions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MOST_OBSERVATIONS = 2_000
MOST_LINKS = 5_000
MOST_MENTIONS = 1_000
_MOST_DATA_NAMES = 40

_INVISIBLE = re.compile(r"[\s\x00-\x20\u200b-\u200f\u2060\ufeff\xa0]+")
_REFRESH = re.compile(r"^\s*[\d.]*+\s*[;,]?\s*(?:url\s*=)?\s*['\"]?\s*([^'\"\s]+)", re.IGNORECASE)

_PLAIN_TEXTS = etree.XPath("descendant::text()", smart_strings=False)
# Texts that know their element cost far more than plain ones: only those around a mention are made.
_TEXTS_FROM_TO = etree.XPath("(descendant::text())[position() > $start and position() <= $end]")
_WITH_ONCLICK = etree.XPath("descendant::*[@onclick]")
_DECLARING = etree.XPath("descendant::*[@itemprop or @property or @rel]")
_JSON_STARTS = ("{", "[", "<")
# Enough of the texts around a handle to hold the name of its network, white space among them.
_TEXTS_BEFORE = 24
_TEXTS_AFTER = 10
_MOST_RANGES = 16
_SILENT_TAGS = frozenset({"script", "style", "title", "option", "iframe"})
_SILENT_HOLDERS = frozenset({"code", "quotation"})


@dataclass
class Page:
    """What one page carries.

    `observations` are the candidates, `truncated` says that a limit cut them. `links` are the first
    MOST_LINKS elements that lead to another address, with it as written. `http_equiv` is what meta
    elements say in place of a header, by its name in lower case. All else is worked out when it is
    asked for, as the pages of an archive need none of it.
    """

    observations: list[Observation]
    truncated: bool
    links: list[tuple[etree._Element, str]]
    http_equiv: dict[str, str | None]
    markup: bytes = field(repr=False)
    root: etree._Element = field(repr=False)
    base_url: str
    standings: Standings = field(repr=False)

    @cached_property
    def text(self) -> str:
        """All that a reader sees, a line for each piece of it."""
        return "\n".join(_plain_texts(self.root))

    @cached_property
    def language(self) -> str | None:
        """The language that the page declares for itself."""
        declared = self.root.get("lang") or self.root.get("xml:lang")
        return language_tag(declared) or language_tag(self.http_equiv.get("content-language"))

    @cached_property
    def refresh(self) -> str | None:
        """Absolute URL of a meta refresh that leads to another page."""
        found = _REFRESH.match(self.http_equiv.get("refresh") or "")
        return _joined(self.base_url, found[1]) if found else None

    @cached_property
    def is_empty_shell(self) -> bool:
        """Whether a browser would have to fill the page: hardly any text, and a root to fill."""
        shell = load_places().rows["shell"]
        if len(self.text) > shell["text_below"] and len(collapse(self.text)) > shell["text_below"]:
            return False
        if next(self.root.iter(*shell["tags"]), None) is not None:
            return True
        return any(element.get("id") in shell["ids"] for element in self.root.iter("div", "main"))


def scan(body: bytes, base_url: str, content_type: str | None = None) -> Page:
    """Every candidate on a page. `base_url` is its own address, `content_type` the HTTP header.

    Never raises for what is in `body`. Observations carry href, mechanism, region and hint; the
    words around them are for spiders/read.py to find.
    """
    markup = utf8(body, content_type)
    return _Scanner(markup, base_url).page()


class _Scanner:
    """One pass over one page."""

    def __init__(self, markup: bytes, base_url: str) -> None:
        self.markup = markup
        self.root = parse(markup)
        self.base_url = _base_url(self.root, base_url)
        self.site = site_of(self.base_url)
        self.standings = Standings()
        self.passed_over: set[str | None] = set()  # hrefs that lead to nothing to observe
        self.observations: dict[tuple[str, str, str, str | None], Observation] = {}
        self.truncated = False
        self.links: list[tuple[etree._Element, str]] = []
        self.same_as_in_json = 0
        self.metas: dict[str, list[str]] = {}
        self.http_equiv: dict[str, str | None] = {}

    def page(self) -> Page:
        self._by_tag()
        if may_hold(self.markup, "kK", "="):
            self._onclicks()
        if may_hold(self.markup, "e", "A") and self.markup.count(b"ameAs") > self.same_as_in_json:
            self._declarations()
        self._data_attributes()
        self._meta_contents()
        if may_mention(etree.tostring(self.root, encoding="utf-8", method="text")):
            self._mentions()
        return Page(
            list(self.observations.values()),
            self.truncated,
            self.links,
            self.http_equiv,
            self.markup,
            self.root,
            self.base_url,
            self.standings,
        )

    def _emit(self, mechanism: str, standing: Standing, href: str, hint: str | None = None) -> None:
        if len(self.observations) >= MOST_OBSERVATIONS:
            self.truncated = True
            return
        key = (mechanism, _region(standing), href[:LONGEST_HREF], hint)
        if key not in self.observations:
            self.observations[key] = Observation(*key)

    def _target(self, href: str) -> Target:
        return target_of(href[:LONGEST_HREF], self.site)

    # By tag, in one iteration

    def _by_tag(self) -> None:
        elements = load_places().elements
        handlers: dict[str, Callable[[etree._Element], None]] = {
            "a": self._anchor,
            "area": self._anchor,
            "link": self._link,
            "meta": self._meta,
            "script": self._script,
            "style": self._style,
            "iframe": self._frame,
            "frame": self._frame,
            **dict.fromkeys(elements, self._own_element),
        }
        passed_over, links = self.passed_over, self.links
        for element in self.root.iter(*handlers):
            href = element.get("href")
            # Nine links in ten end here: the name of an element costs more than its href.
            if href not in passed_over:
                handlers[str(element.tag)](element)
            elif href is not None and len(links) < MOST_LINKS:
                links.append((element, href))

    def _anchor(self, element: etree._Element) -> None:
        href = element.get("href")
        if href is None:
            self._anchor_without_href(element)
            return
        if len(self.links) < MOST_LINKS:
            self.links.append((element, href))
        if len(href) > LONGEST_HREF:
            href = href[:LONGEST_HREF]
        target = target_of(href, self.site)
        if target in _NOT_OBSERVED:
            self.passed_over.add(href)
            return
        if len(self.observations) >= MOST_OBSERVATIONS:
            self.truncated = True
            return
        standing = self.standings.of(element)
        self._emit(_link_mechanism(element, standing, target), standing, href)
        if target == "network":
            self.standings.hold(element, "link")

    def _anchor_without_href(self, element: etree._Element) -> None:
        href = element.get("xlink:href") or ""
        if self._target(href) in {"network", "off_site"}:
            self._emit("svg", self.standings.of(element), href)
            self.standings.hold(element, "link")
        if handle := element.get("addthis:userid"):
            self._addthis(element, handle)

    def _addthis(self, element: etree._Element, handle: str) -> None:
        networks = load_places().rows["addthis"]["networks"]
        for name in (element.get("class") or "").split():
            network = networks.get(name.removeprefix("addthis_button_").removesuffix("_follow"))
            if network and name.endswith("_follow"):
                self._emit("widget", self.standings.of(element), handle, network)

    def _link(self, element: etree._Element) -> None:
        relations = (element.get("rel") or "").lower().split()
        href = element.get("href") or ""
        if {"me", "publisher", "author"}.isdisjoint(relations):
            return
        if self._target(href) in {"network", "off_site"}:
            self._emit("link_rel", _HEAD, href)

    def _meta(self, element: etree._Element) -> None:
        content = element.get("content")
        if header := element.get("http-equiv"):
            self.http_equiv.setdefault(header.lower(), content)
        for attribute in ("name", "property", "itemprop") if content else ():
            name = (element.get(attribute) or "").strip().lower()
            if name in load_places().meta:
                self.metas.setdefault(name, []).append(content or "")

    def _meta_contents(self) -> None:
        """Meta elements, once all are known: a number counts only where no handle is given."""
        for name, contents in self.metas.items():
            row = load_places().meta[name]
            if row.get("instead_of") in self.metas:
                continue
            for content in contents:
                for value in content.split(",") if row.get("several") else (content,):
                    self._emit_declared("meta", _HEAD, value.strip(), row.get("hint"))

    def _emit_declared(
        self, mechanism: str, standing: Standing, value: str, hint: str | None = None
    ) -> None:
        """A value that is a URL, or a bare handle where the markup names its network."""
        target = self._target(value)
        if target in {"network", "off_site"}:
            self._emit(mechanism, standing, value)
        elif hint and value:
            self._emit(mechanism, standing, value, hint)

    def _script(self, element: etree._Element) -> None:
        kind = (element.get("type") or "").lower()
        source = element.get("src") or ""
        text = element.text or ""
        # Emptied so that the page's text is what a reader sees.
        element.text = None
        if "ld+json" in kind:
            self._json_ld(element, text)
        elif text:
            for href, hint in in_script(text):
                self._emit("script", self.standings.of(element), href, hint)
        for value, hint in _named_by_script(kind, source, element):
            self._emit("widget", self.standings.of(element), value, hint)

    def _json_ld(self, element: etree._Element, text: str) -> None:
        self.same_as_in_json += text.count("ameAs")
        for key, value in in_json_ld(text):
            target = self._target(value)
            if target == "network" or (key == "sameas" and target == "off_site"):
                self._emit("json_ld", self.standings.of(element), value)

    def _style(self, element: etree._Element) -> None:
        element.text = None

    def _frame(self, element: etree._Element) -> None:
        source = element.get("src") or ""
        self.links.append((element, source))
        if self._target(source) == "network":
            self._emit("iframe", self.standings.of(element), source)

    def _own_element(self, element: etree._Element) -> None:
        row = load_places().elements[str(element.tag)]
        standing = self.standings.of(element)
        url = element.get(row["url"]) or ""
        if self._target(url) == "network":
            self._emit("widget", standing, url)
        number = element.get(row["id"]) if "id" in row else None
        if number:
            self._emit("widget", standing, number, row["hint"])

    # By attribute, only where the bytes of the page hold its name

    def _onclicks(self) -> None:
        if b"lick=" not in self.markup and b"LICK=" not in self.markup:
            return
        for element in _found(_WITH_ONCLICK, self.root):
            for href, hint in in_script(element.get("onclick") or ""):
                self._emit("onclick", self.standings.of(element), href, hint)

    def _declarations(self) -> None:
        for element in _found(_DECLARING, self.root):
            if element.tag == "meta":
                continue
            for attribute, mechanism in _DECLARING_ATTRIBUTES:
                names = (element.get(attribute) or "").lower().split()
                if any(name == "sameas" or name.endswith((":sameas", "/sameas")) for name in names):
                    value = _value_of(element)
                    self._emit_declared(mechanism, self.standings.of(element), value)

    def _data_attributes(self) -> None:
        names = set(load_places().data_attribute.findall(self.markup))
        for found in sorted(names)[:_MOST_DATA_NAMES]:
            name = f"data-{found.decode()}"
            for element in _found(_with_attribute(name), self.root):
                self._data_attribute(element, name, element.get(name) or "")

    def _data_attribute(self, element: etree._Element, name: str, value: str) -> None:
        places = load_places()
        classes = element.get("class") or ""
        row = places.handles.get(name)
        if row:
            if row.get("class", "") in f" {classes} ":
                self._emit("widget", self.standings.of(element), value, row["hint"])
            return
        if places.is_no_widget(classes):
            return
        if not value.startswith(_JSON_STARTS) and self._target(value) == "network":
            mechanism = "widget" if places.is_widget(classes) else "data_attribute"
            mechanism = "iframe" if element.tag == "iframe" else mechanism
            self._emit(mechanism, self.standings.of(element), value)
            return
        for href, hint in in_script(value):
            self._emit("data_attribute", self.standings.of(element), href, hint)

    # Running text, only where it can name an account

    def _mentions(self) -> None:
        texts = _plain_texts(self.root)
        positions = list(islice(mentions("\n".join(texts)), MOST_MENTIONS + 1))
        self.truncated = self.truncated or len(positions) > MOST_MENTIONS
        if positions:
            self._running_text(_around(texts, positions))

    def _running_text(self, around: list[tuple[int, int]]) -> None:
        pieces, starts, holders = _run(self.root, around, self.standings)
        for written in in_text("".join(pieces)):
            standing = holders[bisect_right(starts, written.start) - 1]
            mechanism = standing.holder if standing.holder in _LINK_HOLDERS else "text"
            self._emit(mechanism, standing, written.href, written.hint)


_NOT_OBSERVED = frozenset({"internal", "none"})
_HEAD = Standing("head", "")
_LINK_HOLDERS = frozenset({"noscript", "template"})
_DECLARING_ATTRIBUTES = (("itemprop", "microdata"), ("property", "rdfa"), ("rel", "rdfa"))


def _region(standing: Standing) -> str:
    return standing.region if standing.region not in {None, "article"} else "main"


def _link_mechanism(element: etree._Element, standing: Standing, target: Target) -> str:
    if standing.holder in _LINK_HOLDERS:
        return standing.holder
    if element.tag == "area":
        return "area"
    if target == "network":
        classes = (element.get("class") or "").split()
        if not load_places().link_widgets.isdisjoint(classes):
            return "widget"
    return "anchor"


def _named_by_script(kind: str, source: str, element: etree._Element) -> Iterator[tuple[str, str]]:
    """Handles in the address or the attributes of a script (rows `[[script]]` of places.toml)."""
    for row in load_places().rows["script"]:
        if "type" in row and row["type"].lower() == kind and element.get(row["attribute"]):
            yield element.get(row["attribute"]) or "", row["hint"]
        elif "source" in row and row["source"] in source:
            values = parse_qs(urlsplit(source).query).get(row["parameter"], ())
            yield from ((value, row["hint"]) for value in values)


def _value_of(element: etree._Element) -> str:
    for attribute in ("href", "content", "resource", "src"):
        if value := element.get(attribute):
            return value
    return text_of(element)


def _found(query: etree.XPath, root: etree._Element) -> list[etree._Element]:
    elements: list[etree._Element] = query(root)
    return elements


@lru_cache(maxsize=512)
def _with_attribute(name: str) -> etree.XPath:
    return etree.XPath(f"descendant::*[@{name}]")


def _plain_texts(root: etree._Element) -> list[str]:
    texts: list[str] = _PLAIN_TEXTS(root)
    return texts


def _around(texts: list[str], positions: list[int]) -> list[tuple[int, int]]:
    """Ranges of the texts around these positions of all texts joined by one character."""
    starts = list(accumulate((len(text) + 1 for text in texts), initial=0))
    ranges: list[tuple[int, int]] = []
    for hit in sorted({bisect_right(starts, position) - 1 for position in positions}):
        start = max(0, hit - _TEXTS_BEFORE)
        if ranges and (start <= ranges[-1][1] or len(ranges) == _MOST_RANGES):
            start = ranges.pop()[0]
        ranges.append((start, hit + _TEXTS_AFTER))
    return ranges


def _run(
    root: etree._Element, around: list[tuple[int, int]], standings: Standings
) -> tuple[list[str], list[int], list[Standing]]:
    """The text that a reader sees, in pieces, with where each begins and where it stands.

    Of all texts of the page those in the ranges of `around`, as the others name nothing.
    Blocks are parted by line breaks; a link to a network is one BARRIER, as its words are its own.
    """
    pieces, starts, holders = [""], [0], [Standing(None, "")]
    end = 0
    last_block: etree._Element | None = None
    for node in chain.from_iterable(_TEXTS_FROM_TO(root, start=s, end=e) for s, e in around):
        owner = node.getparent()
        element = owner.getparent() if node.is_tail else owner
        if element is None or element.tag in _SILENT_TAGS:
            continue
        standing = standings.of(element)
        if standing.region == "head" or standing.holder in _SILENT_HOLDERS:
            continue
        piece = BARRIER if standing.holder == "link" else _INVISIBLE.sub(" ", node)
        block = _block(element)
        if block is not last_block or (node.is_tail and owner.tag == "br"):
            piece = "\n" + piece.lstrip()
        if piece == "\n":
            continue
        last_block = block
        pieces.append(piece)
        starts.append(end)
        holders.append(standing)
        end += len(piece)
    return pieces, starts, holders


def _block(element: etree._Element) -> etree._Element:
    """The nearest element, itself or above it, that is not part of a line."""
    inline = load_places().inline_tags
    node = element
    while node.tag in inline and (above := node.getparent()) is not None:
        node = above
    return node


# --- Addresses --------------------------------------------------------------------------------


def _joined(base_url: str, href: str) -> str | None:
    """The absolute http(s) URL of a link, without its fragment."""
    url = absolute(href, base_url)
    if url is None or not url.lower().startswith(("http://", "https://")):
        return None
    return url.partition("#")[0]


def _base_url(root: etree._Element, url: str) -> str:
    base = next((b for b in root.iter("base") if b.get("href")), None)
    if base is None:
        return url
    try:
        return urljoin(url, (base.get("href") or "").strip())
    except ValueError:
        return url
