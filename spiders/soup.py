"""A page's tree → as much of it in BeautifulSoup as the words around some of its links stand in.

BeautifulSoup makes an object of every tag and text, which takes twenty times as long as parsing,
and the words around five icons in a footer stand in a fiftieth of the page. What is left out holds
no word that spiders/read.py would come to: it reads the run of text and the block around a link,
what names an element above it, and headings before it, which are none where they hold links.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING, Any, cast

from bs4 import BeautifulSoup
from bs4.builder import HTMLTreeBuilder
from lxml import etree

from spiders.places import load_places
from spiders.target import LONGEST_HREF

if TYPE_CHECKING:
    from collections.abc import Collection, Container, Iterable, Iterator

    _Source = tuple[etree._Element, Collection[etree._Element]]

MOST_GROWN = 10_000  # elements, of a kilobyte each; a council's largest pages have a few thousand
TITLE_CLASS = re.compile(r"(?:^|[-_])(?:title|heading|header)s?$", re.IGNORECASE)
# Of these, what holds links is read for nothing but that it holds some.
_HOLDERS = frozenset(
    {"div", "section", "article", "main", "nav", "header", "footer", "aside", "form", "ul", "ol"}
)
_READ = frozenset(
    {"h1", "h2", "h3", "h4", "h5", "h6", "summary", "legend", "dt", "caption", "button", "p"}
)
_BOLD = frozenset({"strong", "b"})
_CELLS = frozenset({"td", "th"})
_TOP = frozenset({"html", "body"})


def grow(root: etree._Element, around: Collection[str] | None = None) -> BeautifulSoup:
    """A tree in BeautifulSoup: whole, or what stands around elements with one of these hrefs.

    An element with two links that is left out stands there with two empty ones. Values of `class`
    stay as they are written. After MOST_GROWN elements the page ends.
    """
    emptied = frozenset() if around is None else _emptied(root, around)
    return BeautifulSoup(builder=_Builder(root, emptied))


class _Builder(HTMLTreeBuilder):
    """Feeds a soup from a tree that lxml has made already."""

    def __init__(self, root: etree._Element, emptied: Collection[etree._Element]) -> None:
        # Lists of classes, made for each element, cost a tenth of the reading.
        super().__init__(multi_valued_attributes=None)  # type: ignore[arg-type]  # its word for none
        self._source: _Source | None = (root, emptied)

    def feed(self, _markup: Any) -> None:
        """Bring the tree's elements to the soup, in their order; the tree is then let go.

        A soup refers to itself and to this, so that the collector would find the tree only late.
        """
        soup = cast("BeautifulSoup", self.soup)
        (root, emptied), self._source = cast("_Source", self._source), None
        walk = etree.iterwalk(root, events=("start", "end"))
        grown = 0
        for event, element in walk:
            tag = str(element.tag)
            if event == "end":
                soup.handle_endtag(tag)
                if element.tail and element is not root:
                    soup.handle_data(element.tail)
                continue
            grown += 1
            if grown > MOST_GROWN:
                break
            # Pairs, as a name with a control character cannot be looked up.
            attributes = self.attribute_dict_class(element.items())
            soup.handle_starttag(tag, None, None, attributes)
            if element in emptied:
                walk.skip_subtree()
                for _ in islice(element.iter("a"), 2):
                    soup.handle_starttag("a", None, None, {})
                    soup.handle_endtag("a")
            elif element.text:
                soup.handle_data(element.text)


def _emptied(root: etree._Element, hrefs: Collection[str]) -> set[etree._Element]:
    """The elements whose content is left out: none of them holds, or names, one of the links."""
    links = list(_with_values(root, hrefs))
    several = _with_several_links(root)
    around = {above for link in links for above in (link, *link.iterancestors())}
    whole = {*(_read_around(link, several) for link in links), *_named_by(root, around)}
    whole |= {above for above in _above(whole) if _may_be_read(above)}
    outermost = {element for element in whole if whole.isdisjoint(element.iterancestors())}
    paths = _above(outermost)
    beside = {child for above in paths for child in above} - paths - whole
    return {element for element in beside if _only_holds_links(element)}


def _above(elements: Iterable[etree._Element]) -> set[etree._Element]:
    return {above for element in elements for above in element.iterancestors()}


def _with_values(root: etree._Element, values: Collection[str]) -> Iterator[etree._Element]:
    """The elements with one of these values, or one that begins with it, in any attribute."""
    wanted = frozenset(values)
    cut = any(len(value) >= LONGEST_HREF for value in wanted)
    for element in root.iter():
        own = element.values()
        if not wanted.isdisjoint([value[:LONGEST_HREF] for value in own] if cut else own):
            yield element


def _with_several_links(root: etree._Element) -> set[etree._Element]:
    """The elements with more than one link below them; each is looked at twice at most."""
    one: set[etree._Element] = set()
    several: set[etree._Element] = set()
    for link in root.iter("a"):
        for above in link.iterancestors():
            if above in several:
                break
            (several if above in one else one).add(above)
    return several


def _read_around(element: etree._Element, several: Container[etree._Element]) -> etree._Element:
    """The outermost element whose whole text may be read as the words around one within it."""
    for table in element.iterancestors("table"):
        element = table
    inline = load_places().inline_tags
    while element.tag in inline and (parent := element.getparent()) is not None:
        element = parent
    if element.tag in _CELLS and (row := element.getparent()) is not None:
        element = row
    for parent in element.iterancestors():
        if parent.tag in _TOP or parent in several:
            break
        element = parent
    return element


def _named_by(root: etree._Element, elements: Iterable[etree._Element]) -> list[etree._Element]:
    """The elements whose text is the name of one of these."""
    names = {name for e in elements for name in (e.get("aria-labelledby") or "").split()}
    found: dict[str, etree._Element] = {}
    for element in root.iter() if names else ():
        name = element.get("id")
        if name in names:
            found.setdefault(name, element)
    return list(found.values())


def _only_holds_links(element: etree._Element) -> bool:
    """Whether all that is read of an element is that it holds links."""
    if element.tag not in _HOLDERS:
        return element.tag == "head"
    return not _may_be_read(element) and next(element.iter("a"), None) is not None


def _may_be_read(element: etree._Element) -> bool:
    """Whether the text of an element may be read for a link outside: it may be its heading."""
    if element.tag in _READ or element.get("role") == "heading":
        return True
    if len(element) == 1 and element[0].tag in _BOLD:
        return True
    return any(map(TITLE_CLASS.search, (element.get("class") or "").split()))
