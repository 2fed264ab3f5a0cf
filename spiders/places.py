"""The rules of data/rules/places.toml: where a page names accounts, read once and compiled.

Which words mean a footer, which attributes hold a handle and how a network is called in Welsh is
data; without this module every scanner would carry its own list of them.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

PLACES_FILE = Path(__file__).parents[1] / "data" / "rules" / "places.toml"

_ROLES = {
    "banner": "header",
    "navigation": "nav",
    "main": "main",
    "article": "article",
    "complementary": "aside",
    "contentinfo": "footer",
}
_LANDMARK_TAGS = frozenset({"header", "nav", "main", "article", "aside", "footer", "head"})
_GENERIC_TAGS = frozenset({"div", "section", "table", "td", "ul", "ol", "dl"})
_WORD = re.compile(r"[a-z]+|[A-Z]+(?![a-z])|[A-Z][a-z]+")


@dataclass(frozen=True)
class Places:
    """The parsed rules file, with what the scanner asks of it compiled."""

    rows: dict[str, Any]

    @cached_property
    def meta(self) -> dict[str, dict[str, Any]]:
        """Rows of `[[meta]]` by lower-case name."""
        return {row["name"]: row for row in self.rows["meta"]}

    @cached_property
    def handles(self) -> dict[str, dict[str, str]]:
        """Rows of `[[handle]]` by attribute."""
        return {row["attribute"]: row for row in self.rows["handle"]}

    @cached_property
    def data_attribute(self) -> re.Pattern[bytes]:
        """Finds, in the bytes of a page, data attributes to look at: their names after `data-`.

        Those of `[[handle]]`, and any whose value begins like a URL, JSON or markup.
        """
        names = "|".join(re.escape(name.removeprefix("data-")) for name in self.handles)
        value = r"""\s*=\s*["']?\s*(?:https?:|//|www\.|[{\[<&])"""
        return re.compile(rf"data-((?:{names})(?=\s*=)|[\w.-]{{1,60}}+(?={value}))".encode())

    @cached_property
    def elements(self) -> dict[str, dict[str, str]]:
        """Rows of `[[element]]` by tag."""
        return {row["tag"]: row for row in self.rows["element"]}

    @cached_property
    def calls(self) -> list[tuple[str, re.Pattern[str], str]]:
        """Word to look for first, pattern, and hint of each `[[call]]`."""
        rows = self.rows["call"]
        return [(row["word"], re.compile(row["pattern"]), row["hint"]) for row in rows]

    @cached_property
    def vanity(self) -> frozenset[str]:
        """Last path segments of a council's own addresses that lead to a network."""
        return frozenset(path for row in self.rows["network"] for path in row["paths"])

    @cached_property
    def dotted(self) -> frozenset[str]:
        """Networks whose handles may hold dots."""
        return frozenset(row["id"] for row in self.rows["network"] if row.get("dots"))

    @cached_property
    def network_name(self) -> re.Pattern[str]:
        """Finds the name of a network in running text; its `lastgroup` is the network's id."""
        return re.compile("|".join(map(_name_group, self.rows["network"])))

    @cached_property
    def link_widgets(self) -> frozenset[str]:
        """Classes that make a link a widget."""
        return frozenset(self.rows["widgets"]["link_classes"])

    def is_widget(self, classes: str) -> bool:
        """Whether an element with these classes becomes a widget by a network's script."""
        starts = tuple(self.rows["widgets"]["class_starts"])
        return any(name.startswith(starts) for name in classes.split())

    def is_no_widget(self, classes: str) -> bool:
        """Whether these classes make it a button about the page itself."""
        return not set(self.rows["widgets"]["not_widgets"]).isdisjoint(classes.split())

    @cached_property
    def quotations(self) -> frozenset[str]:
        """Classes of elements that quote other people's posts."""
        return frozenset(self.rows["widgets"]["quotation_classes"])

    @cached_property
    def label_noise(self) -> re.Pattern[str]:
        """Finds what a site adds to every outward link's name."""
        phrases = "|".join(map(re.escape, self.rows["labels"]["noise"]))
        return re.compile(rf"[(\[]?\s*(?:{phrases})\s*[)\]]?", re.IGNORECASE)

    @cached_property
    def inline_tags(self) -> frozenset[str]:
        """Elements that are part of a line; every other begins a block."""
        return frozenset(self.rows["tags"]["inline"])

    @cached_property
    def plain_tags(self) -> frozenset[str]:
        """Elements that are no part of a page, whatever their attributes say."""
        return frozenset(self.rows["tags"]["plain"])

    @cached_property
    def head_tags(self) -> frozenset[str]:
        """Elements that may stand in the head of a page."""
        return frozenset(self.rows["tags"]["head"])

    @cached_property
    def code_tags(self) -> frozenset[str]:
        """Elements whose text is a sample."""
        return frozenset(self.rows["code"]["tags"])

    @cached_property
    def leftovers(self) -> re.Pattern[str]:
        """Finds what a template left unfilled."""
        return re.compile("|".join(map(re.escape, self.rows["code"]["leftovers"])), re.IGNORECASE)

    @cached_property
    def _region_of_word(self) -> dict[str, str]:
        regions = self.rows["regions"]
        return {word: name for name in regions if name != "parts" for word in regions[name]}

    @cached_property
    def _parts(self) -> frozenset[str]:
        return frozenset(self.rows["regions"]["parts"])

    def region_of_name(self, name: str) -> str | None:
        """The region that one id or class word stands for: 'siteFooter' is a footer."""
        words = [word.lower() for word in _WORD.findall(name)]
        if not self._parts.isdisjoint(words):
            return None
        found = (self._region_of_word.get(word) for word in reversed(words))
        return next(filter(None, found), None)

    def landmark(self, tag: str, role: str, names: list[str]) -> str | None:
        """The region that an element opens, or None: one of schema.REGIONS, or 'article'.

        `names` are its id and classes. A role outranks the tag, and the tag outranks the names,
        which count on elements without a meaning of their own.
        """
        if role in _ROLES:
            return _ROLES[role]
        if tag in _LANDMARK_TAGS:
            return tag
        if tag not in _GENERIC_TAGS:
            return None
        return next(filter(None, map(self.region_of_name, names)), None)


def _name_group(row: dict[str, Any]) -> str:
    words = "|".join(re.escape(word) for word in row.get("words", ()))
    exact = "|".join(re.escape(word) for word in row.get("exact", ()))
    either = "|".join(filter(None, (f"(?i:{words})" if words else "", exact)))
    return rf"(?P<{row['id']}>(?<![\w@/.#-])(?:{either})(?![\w'’@/-]|\.\w))"


@cache
def load_places() -> Places:
    """The rules of data/rules/places.toml."""
    return Places(tomllib.loads(PLACES_FILE.read_text(encoding="utf-8")))


def inner_region(outer: str | None, tag: str, opened: str | None) -> str | None:
    """The region inside an element, from that around it, its tag and the region that it opens.

    The outermost header or footer wins: a navigation list in the footer is footer. Within the main
    text an aside or a footer still counts, within an article only an aside, since an article's own
    header and footer are parts of it. None is the page itself.

    A page may leave out the tags that end its head and begin its body. The parser sees that by the
    elements of HTML 4 alone, so what can be no part of a head is none.
    """
    if outer == "head" and tag not in load_places().head_tags:
        return opened
    if opened is None or outer in {"header", "footer", "head", "nav", "aside"}:
        return outer
    if outer == "article":
        return "aside" if opened == "aside" else outer
    if outer == "main" and opened == "header":
        return outer
    return opened
