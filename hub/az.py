"""Divide the A–Z into pages: one while it is short, else by letter and by what councils share.

A page that a phone on a train cannot load is no directory: a letter with thousands of parishes gets
as many pages as it needs, and each council stands on exactly one of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

from hub.content import slug

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hub.councils import Council

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
START = "/connect/"
ROWS = 400  # councils with their accounts on a page: 40 kB compressed
NAMES = 1_000  # councils by name alone
FACETS = ("nation", "type", "region", "network")
LONGEST_SLUG = 60


@dataclass(frozen=True, slots=True)
class Part:
    """One of the pages of a long list: where it is, and the names that it begins and ends with."""

    path: str
    first: str
    last: str


@dataclass(frozen=True, slots=True)
class Listing:
    """One page of the A–Z: what it lists, and the other pages of the same list.

    `letter` is empty for the whole and for the lists by a facet, which have a `value`.
    """

    path: str
    listed: list[Council]
    parts: list[Part]
    letter: str = ""
    facet: str = ""
    value: str = ""


@dataclass(frozen=True, slots=True)
class Choice:
    """A value by which the whole directory can be listed: how many councils have it, and where."""

    value: str
    count: int
    path: str


def by_letter(councils: list[Council]) -> dict[str, list[Council]]:
    """The councils below each letter that has any, in filing order."""
    filed: dict[str, list[Council]] = {}
    for council in councils:
        filed.setdefault(council.row["letter"], []).append(council)
    return filed


def letters(filed: dict[str, list[Council]]) -> list[str]:
    """All letters to show: A to Z, then any other that is in use."""
    return [*LETTERS, *sorted(set(filed) - set(LETTERS))]


def letter_path(number: int, letter: str) -> str:
    """The address of the first page of a letter, the `number`th of all."""
    return f"{START}{slug(letter) or number}/"


def letter_pages(councils: list[Council]) -> Iterator[Listing]:
    """The pages of each letter."""
    filed = by_letter(councils)
    for number, letter in enumerate(letters(filed)):
        if letter in filed:
            path = letter_path(number, letter)
            for at, (own, parts) in enumerate(_divided(path, filed[letter], ROWS)):
                yield Listing(parts[at].path, own, parts, letter=letter)


def facet_values(council: Council, facet: str) -> set[str]:
    """What a council has of a facet: one nation, type or region, any number of networks."""
    if facet == "network":
        return {link.platform for link in council.links}
    value = council.row["council_type" if facet == "type" else facet]
    return {value} if value else set()


def choices(councils: list[Council], networks: list[str]) -> dict[str, list[Choice]]:
    """For each facet the values that occur, networks in their own order, others by the alphabet."""
    found: dict[str, list[Choice]] = {}
    for facet in FACETS:
        counted: dict[str, int] = {}
        for council in councils:
            for value in facet_values(council, facet):
                counted[value] = counted.get(value, 0) + 1
        order = sorted(counted, key=str.casefold)
        if facet == "network":
            order = [name for name in networks if name in counted]
        found[facet] = [
            Choice(value, counted[value], f"{START}{facet}/{_slug(value, number)}/")
            for number, value in enumerate(order)
        ]
    return found


def facet_pages(councils: list[Council], offered: dict[str, list[Choice]]) -> Iterator[Listing]:
    """The pages that list the councils of each choice by name."""
    for facet, values in offered.items():
        for choice in values:
            own = [c for c in councils if choice.value in facet_values(c, facet)]
            for at, (listed, parts) in enumerate(_divided(choice.path, own, NAMES)):
                yield Listing(parts[at].path, listed, parts, facet=facet, value=choice.value)


def _slug(value: str, number: int) -> str:
    """A value in an address; its number where its words will not do or are too many."""
    words = slug(value)
    return words if 0 < len(words) <= LONGEST_SLUG else str(number)


def _divided(
    path: str, councils: list[Council], most: int
) -> list[tuple[list[Council], list[Part]]]:
    """A list in even parts of at most `most`, each with the parts of the whole."""
    size = ceil(len(councils) / ceil(len(councils) / most))
    pieces = [councils[at : at + size] for at in range(0, len(councils), size)]
    parts = [
        Part(path if not at else f"{path}{at + 1}/", _word(piece[0]), _word(piece[-1]))
        for at, piece in enumerate(pieces)
    ]
    return [(piece, parts) for piece in pieces]


def _word(council: Council) -> str:
    """The first word under which a council is filed."""
    words = str(council.row["sort_name"]).split()
    return words[0].removesuffix(",").capitalize() if words else council.id
