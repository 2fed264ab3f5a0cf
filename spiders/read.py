"""What a candidate means on its page: label, heading, sentence, language (BeautifulSoup).

Reading costs more than scanning, so only those candidates are read that could be accounts and that
are not just the template met again, in the part of the page that stands around them. The words
found here decide later whose account it is: without them every link of a page of forty service
accounts looks alike.
"""

from __future__ import annotations

import re
from collections import defaultdict
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, cast

from bs4.element import CData, NavigableString, Tag, TemplateString

from pipeline.platforms import Account, identify
from spiders.document import collapse, language_tag, parse
from spiders.places import inner_region, load_places
from spiders.scan import Page, scan
from spiders.soup import TITLE_CLASS, grow
from spiders.target import LONGEST_HREF, is_short_address

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator

    from bs4 import BeautifulSoup
    from bs4.element import PageElement

    from spiders.items import Observation

LONGEST_LABEL = 200
LONGEST_HEADING = 200
LONGEST_SENTENCE = 300
MOST_READ = 500
LONGEST_READ = 500_000

_LONGEST_BLOCK = 3_000
_LONGEST_CELL = 120
_SIBLINGS = 40
_ANCESTORS = 60
_DESCENDANTS = 300

_UNSEEN = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffc\U000e0000-\U000e007f]"
)
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[^a-z\s])")
_HEADINGS = re.compile(r"h[1-6]|summary|legend|dt|caption")
# Their siblings are entries of the same kind, and none of them is a heading of another.
_SERIES = frozenset({"ul", "ol", "tr", "tbody", "thead", "table"})
_TEXTS = (NavigableString, TemplateString, CData)
_CONTAINING = frozenset({"onclick", "data_attribute", "meta"})
_IN_TEXT = frozenset({"text", "noscript", "template"})
_WITHOUT_WORDS = frozenset({"meta", "link_rel", "json_ld", "script"})
_TEXT_REGIONS = frozenset({"main", "aside"})


def observe(
    body: bytes, base_url: str, content_type: str | None = None, known: Container[str] = ()
) -> Page:
    """Scan a page, and read what could be an account: all in its text, elsewhere what is new.

    `known` are hrefs, as written, that the site's home page carries. The page's observations are
    those of `scan`; those that were read have their words.
    """
    page = scan(body, base_url, content_type)
    # A page may say of an account in every footer that nobody posts there any more.
    new = [o for o in page.observations if o.region in _TEXT_REGIONS or o.href not in known]
    wanted = [o for o in new if _is_worth_reading(o.href, o.hint)]
    read(page, wanted)
    return page


@lru_cache(maxsize=16_384)
def _is_worth_reading(href: str, hint: str | None) -> bool:
    decision = identify(href, hint)
    if isinstance(decision, Account) or decision.reason == "needs_resolving":
        return True
    return is_short_address(href)


def read(page: Page, wanted: list[Observation]) -> list[Observation]:
    """Fill label, heading, sentence and language of observations of this page; returns them.

    At most MOST_READ of them, in the first LONGEST_READ bytes; the rest keeps the page's language.
    Text is one line without control and direction characters, cut to 200, 200 and 300 characters.
    """
    for observation in wanted:
        observation.language = page.language
    visible = [o for o in wanted if o.mechanism not in _WITHOUT_WORDS][:MOST_READ]
    if visible:
        soup = _soup(page, visible)
        reader = _Reader(soup, visible)
        for observation in visible:
            reader.fill(observation)
        soup.clear(decompose=True)
    return wanted


def _soup(page: Page, visible: list[Observation]) -> BeautifulSoup:
    """What of a page the words around these observations stand in."""
    whole = len(page.markup) <= LONGEST_READ
    root = page.root if whole else parse(page.markup[:LONGEST_READ])
    if any(o.mechanism in _CONTAINING | _IN_TEXT for o in visible):
        return grow(root)
    return grow(root, {o.href for o in visible})


def clean(text: str, longest: int) -> str | None:
    """One line without characters that cannot be seen, at most `longest` long; None if empty."""
    line = collapse(_UNSEEN.sub("", text))
    if len(line) > longest:
        line = line[: longest - 1].rstrip() + "…"
    return line or None


class _Reader:
    """One page as BeautifulSoup reads it, and where in it the wanted hrefs stand."""

    def __init__(self, soup: BeautifulSoup, wanted: Iterable[Observation]) -> None:
        self.soup = soup
        self.regions: dict[int, str | None] = {}
        self.headings: dict[int, Tag | None] = {}
        self.by_id: dict[str, Tag] = {}
        self.by_value: dict[str, list[Tag]] = defaultdict(list)
        self.containing: list[tuple[Tag, str]] = []
        self.with_link: set[int] = set()
        self.with_links: set[int] = set()  # more than one
        hrefs = {observation.href for observation in wanted}
        for tag in soup.find_all(True):
            self._index(tag, hrefs)
            if tag.name == "a":
                self._count_link(tag)
        in_text = any(o.mechanism in _IN_TEXT for o in wanted)
        self.strings = list(soup.find_all(string=True)) if in_text else []

    def _index(self, tag: Tag, hrefs: set[str]) -> None:
        for name, value in tag.attrs.items():
            if not isinstance(value, str):
                continue
            if value[:LONGEST_HREF] in hrefs:
                self.by_value[value[:LONGEST_HREF]].append(tag)
            elif name == "onclick" or name.startswith("data-"):
                self.containing.append((tag, value.replace("\\/", "/")))
            elif name == "id":
                self.by_id.setdefault(value, tag)

    def _count_link(self, link: Tag) -> None:
        for above in link.parents:
            if id(above) in self.with_links:
                break
            (self.with_links if id(above) in self.with_link else self.with_link).add(id(above))

    def fill(self, observation: Observation) -> None:
        """Fill in the words around one observation, where its element is found."""
        if tags := self._tags_of(observation):
            self._fill_from_tags(observation, tags)
        elif text := self._text_of(observation):
            tag = cast("Tag", text.parent)
            self._fill_around(observation, tag)
            whole = str(text) if len(text) > LONGEST_SENTENCE else self._sentence(tag, "")
            observation.sentence = _cut_around(whole, observation.href)

    def _fill_from_tags(self, observation: Observation, tags: list[Tag]) -> None:
        """From the first element that has a name, of those that carry the same href."""
        tags = [t for t in tags if self._region_name(t) == observation.region] or tags
        labels = [self._label(tag) for tag in tags]
        chosen = next((i for i, label in enumerate(labels) if label), 0)
        tag, label = tags[chosen], labels[chosen]
        self._fill_around(observation, tag)
        noise = load_places().label_noise
        observation.label = clean(noise.sub("", label), LONGEST_LABEL)
        observation.sentence = _cut_around(self._sentence(tag, label), label)

    def _fill_around(self, observation: Observation, tag: Tag) -> None:
        observation.heading = clean(self._heading(tag), LONGEST_HEADING)
        observation.language = _language(tag) or observation.language

    def _tags_of(self, observation: Observation) -> list[Tag]:
        """The elements with the href in an attribute, or with an attribute that holds it."""
        href = observation.href
        if href in self.by_value or observation.mechanism not in _CONTAINING:
            return self.by_value.get(href, [])
        return [tag for tag, value in self.containing if href in value]

    def _text_of(self, observation: Observation) -> NavigableString | None:
        """The text that holds a written href, in the same region of the page if there is one."""
        found = [text for text in self.strings if observation.href in text and text.parent]
        within = (
            t for t in found if self._region_name(cast("Tag", t.parent)) == observation.region
        )
        return next(within, found[0] if found else None)

    # Region

    def _region_name(self, tag: Tag) -> str:
        region = self._region(tag)
        return region if region and region != "article" else "main"

    def _region(self, tag: Tag) -> str | None:
        """As spiders/document.py tells it, of a tag of this soup."""
        above: list[Tag] = []
        node: Tag | None = tag
        while node is not None and id(node) not in self.regions:
            above.append(node)
            node = node.parent
        region = None if node is None else self.regions[id(node)]
        for inner in reversed(above):
            names = f"{_attribute(inner, 'id')} {_attribute(inner, 'class')}".split()
            opened = load_places().landmark(inner.name, _attribute(inner, "role"), names)
            region = self.regions[id(inner)] = inner_region(region, inner.name, opened)
        return region

    # Label

    def _label(self, tag: Tag) -> str:
        """The accessible name, in the order in which browsers work it out."""
        named = (self.by_id.get(name) for name in _attribute(tag, "aria-labelledby").split())
        return (
            " ".join(_text(other) for other in named if other is not None).strip()
            or _attribute(tag, "aria-label").strip()
            or _content_name(tag)
            or _attribute(tag, "title").strip()
            or _attribute(tag, "alt").strip()
        )

    # Heading

    def _heading(self, tag: Tag) -> str:
        """The nearest heading; before one that only names a network, the heading above it too.

        "Libraries – Twitter" for an account under `Twitter` under `Libraries`.
        """
        found: list[str] = []
        for heading in self._headings(tag):
            if heading not in found:
                found.insert(0, heading)
            if not _is_network_name(heading):
                break
        return " – ".join(found)

    def _headings(self, tag: Tag) -> Iterator[str]:
        """The headings above a tag, nearest first, within its region of the page."""
        region = self._region_name(tag)
        node = tag
        for _ in range(_ANCESTORS):
            parent = node.parent
            if parent is None or parent.name in {"html", "[document]"}:
                return
            if parent.name not in _SERIES:
                yield from self._headings_before(node, region)
            if parent.name in {"td", "th"}:
                yield from _table_headings(parent)
            if self._region_name(parent) == region:
                yield from filter(None, [self._own_heading(parent)])
            node = parent

    def _headings_before(self, node: Tag, region: str) -> Iterator[str]:
        for sibling in islice(node.previous_siblings, _SIBLINGS):
            heading = self._heading_in(sibling) if isinstance(sibling, Tag) else None
            if heading is not None and self._region_name(heading) == region:
                text = _text(heading)
                if text:
                    yield text

    def _heading_in(self, tag: Tag) -> Tag | None:
        """As `_heading_in`, remembered: the entries of a list share what stands above them."""
        if id(tag) not in self.headings:
            self.headings[id(tag)] = _heading_in(tag)
        return self.headings[id(tag)]

    def _own_heading(self, container: Tag) -> str:
        """The name that a container gives itself, or the words that a list item begins with."""
        if container.name == "li":
            return _lead(container)
        if container.name in {"a", "button", "svg", "body", "main", "form"}:
            return ""
        named = (self.by_id.get(name) for name in _attribute(container, "aria-labelledby").split())
        return (
            " ".join(_text(other) for other in named if other is not None).strip()
            or _attribute(container, "aria-label").strip()
        )

    # Sentence

    def _sentence(self, tag: Tag, label: str) -> str:
        """The words around a tag: its run of text, else its block, else a block beside its list."""
        block = _block_of(tag)
        if block.name in {"td", "th"} and isinstance(block.parent, Tag):
            return _text(block.parent)
        if block.name == "dd":
            term = block.find_previous_sibling("dt")
            return collapse([_text(term) if term else "", " ", _text(block)])
        text = _run_around(tag, block)
        for _ in range(_ANCESTORS):
            if _adds_to(text, label):
                return text
            text = _text(block)
            if _adds_to(text, label):
                return text
            parent = block.parent
            if parent is None or parent.name in {"body", "html", "[document]"}:
                break
            if id(parent) in self.with_links:
                return _beside(parent if block.name == "li" else block)
            block = parent
        return ""


# --- Words of an element ----------------------------------------------------------------------


def _is_inline(tag: Tag) -> bool:
    return tag.name in load_places().inline_tags


def _attribute(tag: Tag, name: str) -> str:
    return cast("str", tag.get(name) or "")


def _text(tag: Tag) -> str:
    """What a reader, or a screen reader, is told in an element; blocks parted by spaces."""
    return collapse(_limited(_pieces(tag.descendants)))


def _limited(pieces: Iterable[str]) -> Iterator[str]:
    length = 0
    for piece in pieces:
        yield piece
        length += len(piece)
        if length > _LONGEST_BLOCK:
            return


def _pieces(elements: Iterable[PageElement]) -> Iterator[str]:
    for element in elements:
        if _begins_block(element) or _begins_block(element.previous_sibling):
            yield " "
        if type(element) in _TEXTS:
            yield str(element)
        elif isinstance(element, Tag) and element.name == "img":
            yield f" {_attribute(element, 'alt')} "


def _begins_block(element: PageElement | None) -> bool:
    return isinstance(element, Tag) and not _is_inline(element)


def _content_name(tag: Tag) -> str:
    """The name that an element's content gives it, hidden decoration only if there is no other."""
    parts = list(islice(tag.descendants, _DESCENDANTS))
    hidden: set[int] = set()
    for part in parts:
        is_hidden = isinstance(part, Tag) and part.get("aria-hidden") == "true"
        if is_hidden or id(part.parent) in hidden:
            hidden.add(id(part))
    if name := collapse(_pieces(part for part in parts if id(part) not in hidden)):
        return name
    for attribute in ("aria-label", "title"):
        if inner := tag.find(None, {attribute: True}):
            return _attribute(inner, attribute).strip()
    return collapse(_pieces(parts))


def _language(tag: Tag) -> str | None:
    """Of what the link leads to, else of the words around it, as declared."""
    if language := language_tag(_attribute(tag, "hreflang")):
        return language
    node: Tag | None = tag
    while node is not None:
        declared = _attribute(node, "lang") or _attribute(node, "xml:lang")
        if language := language_tag(declared):
            return language
        node = node.parent
    return None


# --- Headings ---------------------------------------------------------------------------------


def _heading_in(tag: Tag) -> Tag | None:
    """The heading that an element before an entry is, or holds and no link besides it."""
    if _is_heading(tag):
        return tag
    if tag.name in _SERIES or tag.find("a"):
        return None
    inner = [found for found in islice(tag.find_all(True), _SIBLINGS) if _is_heading(found)]
    return inner[-1] if inner else None


def _is_heading(tag: Tag) -> bool:
    if _HEADINGS.fullmatch(tag.name) or _attribute(tag, "role") == "heading":
        return True
    if tag.name == "button":
        return tag.has_attr("aria-expanded") or tag.has_attr("aria-controls")
    if tag.name in {"p", "div", "strong", "b"}:
        return _is_all_bold(tag) or any(map(TITLE_CLASS.search, _attribute(tag, "class").split()))
    return False


def _is_all_bold(tag: Tag) -> bool:
    """A paragraph that is nothing but bold words is a heading in all but name."""
    if tag.name in {"strong", "b"}:
        return tag.parent is not None and tag.parent.name not in {"p", "li"}
    inner = [child for child in tag.children if isinstance(child, Tag) or str(child).strip()]
    return len(inner) == 1 and isinstance(inner[0], Tag) and inner[0].name in {"strong", "b"}


def _table_headings(cell: Tag) -> Iterator[str]:
    """The head of a cell's column if it names a network, then the head of its row."""
    row = cell.parent
    table = cell.find_parent("table")
    if row is None or table is None:
        return
    cells = row.find_all(["td", "th"], recursive=False)
    position = next(i for i, other in enumerate(cells) if other is cell)
    first = table.find("tr")
    heads = first.find_all(["td", "th"], recursive=False) if isinstance(first, Tag) else []
    if first is not row and position < len(heads):
        head = _text(heads[position])
        if load_places().network_name.search(head):
            yield head[:_LONGEST_CELL]
    head_of_row = next((other for other in cells if other.name == "th"), cells[0])
    if head_of_row is not cell:
        yield _text(head_of_row)[:_LONGEST_CELL]


def _lead(item: Tag) -> str:
    """The words that a list item begins with, before the list or the links within it."""
    pieces: list[str] = []
    for child in item.children:
        if isinstance(child, Tag) and (child.name in {"ul", "ol"} or child.name == "a"):
            break
        if isinstance(child, Tag) and child.find("a"):
            break
        pieces.append(_text(child) if isinstance(child, Tag) else str(child))
    return collapse(pieces).rstrip(" :-–—|")[:_LONGEST_CELL]


def _is_network_name(heading: str) -> bool:
    """Whether a heading says which network, and nothing of whose account."""
    return not load_places().network_name.sub("", heading).strip(" ():/&,-–")


# --- Sentences --------------------------------------------------------------------------------


def _block_of(tag: Tag) -> Tag:
    node = tag
    while _is_inline(node) and node.parent is not None:
        node = node.parent
    return node


def _run_around(tag: Tag, block: Tag) -> str:
    """The inline text of a block that surrounds a tag, up to the next block on either side."""
    top: PageElement = tag
    while top.parent is not None and top.parent is not block and top is not block:
        top = top.parent
    if top is block:
        return _text(block)
    before = [_piece(e) for e in _until_block(top.previous_siblings)]
    after = [_piece(e) for e in _until_block(top.next_siblings)]
    return collapse([*reversed(before), _piece(top), *after])


def _until_block(siblings: Iterable[PageElement]) -> Iterator[PageElement]:
    for sibling in islice(siblings, _SIBLINGS):
        if isinstance(sibling, Tag) and not _is_inline(sibling):
            return
        yield sibling


def _piece(element: PageElement) -> str:
    if isinstance(element, Tag):
        return " ".join(_limited(_pieces([element]))) + "".join(
            _limited(_pieces(element.descendants))
        )
    return "".join(_pieces([element]))


def _adds_to(text: str, label: str) -> bool:
    """Whether a text says more than the label itself."""
    return bool(text.replace(label, "").strip(" .,:;|/-–—•·"))


def _beside(series: Tag) -> str:
    """The paragraph just before a list of links, else the one just after it on a network."""
    before, after = series.find_previous_sibling(), series.find_next_sibling()
    if before is not None and before.name == "p":
        return _text(before)
    text = _text(after) if after is not None and after.name == "p" else ""
    return text if load_places().network_name.search(text) else ""


def _cut_around(text: str, part: str) -> str | None:
    """The sentences around a part of a text, as many as fit; a text that fits stays whole."""
    position = max(0, text.find(part))
    nearby = text[max(0, position - _LONGEST_BLOCK) : position + _LONGEST_BLOCK]
    line = clean(nearby, 2 * _LONGEST_BLOCK)
    if line is None or len(line) <= LONGEST_SENTENCE:
        return line
    sentences = _SENTENCE_END.split(line)
    first = next((i for i, sentence in enumerate(sentences) if part and part in sentence), 0)
    chosen = sentences[first]
    for following in sentences[first + 1 :]:
        if len(chosen) + 1 + len(following) > LONGEST_SENTENCE:
            break
        chosen = f"{chosen} {following}"
    for previous in reversed(sentences[:first]):
        if len(chosen) + 1 + len(previous) > LONGEST_SENTENCE:
            break
        chosen = f"{previous} {chosen}"
    return clean(chosen, LONGEST_SENTENCE)
