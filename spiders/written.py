"""Find accounts that are written rather than linked: in scripts, in JSON-LD and in running text.

Strings in, pairs of (href, hint) out: the hint is the network of a bare handle, None for a URL.
Only URLs of hosts that a network, a shortener or a redirector uses are found; whether they name an
account is for pipeline/platforms.py to say.
"""

from __future__ import annotations

import json
import re
import string
from html import unescape
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline.platforms import is_candidate_host
from spiders.places import load_places

if TYPE_CHECKING:
    from collections.abc import Iterator

# Stands in running text for a link to a network: its words belong to that link alone.
BARRIER = "\ufffc"

_LONGEST_URL = 2048
_HOST_CHARACTERS = string.ascii_letters + string.digits + ".-_"
_LONGEST_HOST = 100

# The keys under which schema.org keeps an organisation's accounts; `url` and `@id` name the thing
# itself, which may be an account.
_JSON_LD_KEYS = frozenset({"sameas", "url", "@id"})
_JSON_LD_WRAPPING = re.compile(r"<!--|-->|(?://|/\*)?\s*(?:<!\[CDATA\[|\]\]>)(?:\s*\*/)?")
_JSON_LD_PAIR = re.compile(
    r'"[\w:/.#-]{0,60}?(sameAs|url|@id)"\s*:\s*(\[[^\[\]]*\]|"(?:[^"\\]|\\.)*")', re.IGNORECASE
)
_JSON_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')

_ESCAPED_SLASH = re.compile(r"\\+(?:/|u002f|x2f)|&#(?:x2f|47);", re.IGNORECASE)
_ESCAPED_QUOTE = re.compile(
    r"\\+(?:u0022|u0027|x22|x27)|&(?:quot|apos|#34|#39|#x27);", re.IGNORECASE
)
_SCRIPT_URL = re.compile(r"//([\w.-]{3,100})((?:[/?#][^\s\"'<>`\\]*)?)")
# In a script a URL is a string, or begins inside one after a quote, bracket or equals sign. After
# a space it stands in a comment or a sentence.
_SCRIPT_OPENERS = frozenset("\"'`(=>[")

_TOP_LEVEL = re.compile(r"\.[A-Za-z]{2,12}(?=[/?#:])")
_TOP_LEVEL_BYTES = re.compile(_TOP_LEVEL.pattern.encode())
_END_OF_URL = re.compile(r"[\s<>\"'“”‘’«»()\[\]|`\\" + BARRIER + "]")
_TRAILING = ".,;:!?*…"
_QUOTED_VALUES = ('="', "='", "=“", "&quot;")

# A handle follows neither a word (an e-mail address) nor a slash (a URL). The sign comes first in
# the pattern, as a search for a literal is the fastest.
_HANDLE = re.compile(
    r"@(?<![\w@./+-]@)([A-Za-z0-9_](?:[\w.-]{0,60}\w)?)(@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+)?"
)
_NEAR_BEFORE = 60
_NEAR_AFTER = 30
_LEADS_TO_NETWORK = re.compile(r"[\s)’'\"]*(?:\(|(?:on|ar|via)\b)\s*(?:our\s+)?", re.IGNORECASE)
_AND = re.compile(r"[\s,/&]*(?:\b(?:and|or|a|ac|neu)\b)?[\s,/&]*", re.IGNORECASE)
_LONGEST_AND = 12
_CREDIT = re.compile(r"\b(?:RT|photos?|images?|pictures?|credit|thanks to)[:\s]*$", re.IGNORECASE)


class Written(NamedTuple):
    """A URL or handle in running text: where it begins, as written, and its network if bare."""

    start: int
    href: str
    hint: str | None


def in_script(text: str) -> Iterator[tuple[str, str | None]]:
    r"""Accounts in a script: URLs in its strings, and handles in calls that places.toml names.

    Escaped slashes and quotes are undone, so that `https:\/\/` and markup within strings count.
    """
    places = load_places()
    for word, pattern, hint in places.calls:
        if word in text:
            yield from ((handle, hint) for handle in pattern.findall(text))
    if "\\" in text or "&#" in text or "&quot;" in text:
        text = _ESCAPED_QUOTE.sub('"', _ESCAPED_SLASH.sub("/", text))
    for found in _SCRIPT_URL.finditer(text):
        if not is_candidate_host(found[1].lower()):
            continue
        start = found.start() - len(_scheme_before(text, found.start()))
        opened = start == 0 or text[start - 1] in _SCRIPT_OPENERS
        href = text[start : found.end()][:_LONGEST_URL]
        if opened and not places.leftovers.search(href):
            yield href, None


def _scheme_before(text: str, slashes: int) -> str:
    before = text[max(0, slashes - 6) : slashes].lower()
    return next((scheme for scheme in ("https:", "http:") if before.endswith(scheme)), "")


def in_json_ld(text: str) -> Iterator[tuple[str, str]]:
    """Pairs of key (sameas, url or @id) and URL in a block of JSON-LD, however nested or broken."""
    text = _JSON_LD_WRAPPING.sub("", text)
    if "&quot;" in text or "&#34;" in text:
        text = unescape(text)
    try:
        data = json.loads(text, strict=False)
    except (ValueError, RecursionError):
        yield from _in_broken_json(text)
        return
    yield from _in_json(data)


def _in_json(data: Any) -> Iterator[tuple[str, str]]:
    nodes: list[tuple[str, Any]] = [("", data)]
    while nodes:
        key, node = nodes.pop()
        if isinstance(node, dict):
            nodes.extend((_short(inner), value) for inner, value in node.items())
        elif isinstance(node, list):
            nodes.extend((key, value) for value in reversed(node))
        elif isinstance(node, str) and key in _JSON_LD_KEYS:
            yield key, node


def _short(key: str) -> str:
    """'http://schema.org/sameAs' and 'schema:sameAs' are 'sameas'."""
    return re.split(r"[:/#]", key)[-1].lower()


def _in_broken_json(text: str) -> Iterator[tuple[str, str]]:
    for key, value in _JSON_LD_PAIR.findall(text):
        for written in _JSON_STRING.findall(value):
            yield key.lower(), _ESCAPED_SLASH.sub("/", written)


def may_mention(text: bytes) -> bool:
    """Whether a page's text in UTF-8, its pieces without anything between them, may hold mentions.

    A mention begins with a sign, or a host ends before one, and neither needs another piece.
    """
    return b"@" in text or _TOP_LEVEL_BYTES.search(text) is not None


def mentions(text: str) -> Iterator[int]:
    """Where a text holds a handle or the host of a network: cheap, as most pages hold neither."""
    for handle in _HANDLE.finditer(text):
        yield handle.start()
    for top_level in _TOP_LEVEL.finditer(text):
        if _host(text, top_level):
            yield top_level.start()


def in_text(text: str) -> Iterator[Written]:
    """URLs and handles in running text, in which a line break parts blocks."""
    yield from _urls(text)
    yield from _handles(text)


def _host(text: str, top_level: re.Match[str]) -> str:
    """The candidate host that ends with this top-level domain; empty where it is none."""
    end = top_level.end()
    before = text[max(0, end - _LONGEST_HOST) : end]
    host = before[len(before.rstrip(_HOST_CHARACTERS)) :]
    return host if is_candidate_host(host.lower()) else ""


def _urls(text: str) -> Iterator[Written]:
    leftovers = load_places().leftovers
    for found in _TOP_LEVEL.finditer(text):
        if not (host := _host(text, found)):
            continue
        start = found.end() - len(host)
        if text[max(0, start - 2) : start] == "//":
            start -= 2 + len(_scheme_before(text, start - 2))
        before = text[max(0, start - 6) : start]
        if before.endswith((*"@/=", *_QUOTED_VALUES)):
            continue
        end = _END_OF_URL.search(text, found.end())
        href = text[start : end.start() if end else len(text)][:_LONGEST_URL].rstrip(_TRAILING)
        if not leftovers.search(href):
            yield Written(start, href, None)


def _handles(text: str) -> Iterator[Written]:
    places = load_places()
    last_end = 0
    last_hints: tuple[str, ...] = ()
    for found in _HANDLE.finditer(text):
        name, server = found[1], found[2]
        if server:
            hints: tuple[str, ...] = ("mastodon",)
        elif name.lower().endswith(".bsky.social"):
            hints = ("bluesky",)
        elif last_hints and _is_and(text, last_end, found.start()):
            hints = last_hints
        else:
            hints = _networks_near(text, last_end, found)
        for hint in hints:
            handle = found[0] if hint in places.dotted else re.split(r"[.-]", found[0])[0]
            yield Written(found.start(), handle, hint)
        last_end, last_hints = found.end(), hints


def _is_and(text: str, start: int, end: int) -> bool:
    return end - start <= _LONGEST_AND and _AND.fullmatch(text, start, end) is not None


def _networks_near(text: str, since: int, handle: re.Match[str]) -> tuple[str, ...]:
    """The networks named after a handle ('@x on Twitter'), else just before it ('Twitter: @x').

    Several, where they share it: 'Facebook and Instagram: @x'.
    """
    pattern = load_places().network_name
    start, end = handle.span()
    after = pattern.search(text, end, end + _NEAR_AFTER)
    if after and after.lastgroup and _LEADS_TO_NETWORK.fullmatch(text, end, after.start()):
        return (after.lastgroup,)
    before = text[max(since, start - _NEAR_BEFORE) : start].rpartition(BARRIER)[2]
    names = list(pattern.finditer(before))
    if not names or _CREDIT.search(before, names[-1].end()):
        return ()
    shared = [names.pop()]
    while names and _is_and(before, names[-1].end(), shared[-1].start()):
        shared.append(names.pop())
    return tuple(dict.fromkeys(str(name.lastgroup) for name in reversed(shared)))
