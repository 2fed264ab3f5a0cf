"""Read a robots.txt and decide, by RFC 9309, whether a URL may be asked for.

A wrong answer here is a broken promise to somebody who does not know us, so the decision is our
own and small enough to check by eye: the longest matching rule wins, and allow wins a tie.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass, field
from string import ascii_letters, digits
from urllib.parse import quote, urlsplit

MAX_BYTES = 512_000  # RFC 9309, 2.5: at least 500 KiB are read
_LINE = re.compile(r"\r\n|\r|\n")
_PRODUCT = re.compile(r"[A-Za-z_-]+")
_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")
_UNRESERVED = frozenset(ascii_letters + digits + "-._~")
_KEYS = {
    "user-agent": "agent",
    "useragent": "agent",
    "user agent": "agent",
    "disallow": "disallow",
    "dissallow": "disallow",
    "dissalow": "disallow",
    "disalow": "disallow",
    "diasllow": "disallow",
    "disallaw": "disallow",
    "allow": "allow",
    "crawl-delay": "delay",
    "sitemap": "sitemap",
    "site-map": "sitemap",
}


@dataclass(frozen=True, slots=True)
class Rule:
    """One allow or disallow line: its path pattern, escaped as Google's parser does."""

    allow: bool
    pattern: str

    def matches(self, path: str) -> bool:
        """Whether the rule fits the start of `path`.

        Escapes of letters that need none (%62 for b) are taken literally by Google and undone by
        the RFC. Where the two differ, a prohibition holds if either reads it so.
        """
        if _fits(self.pattern, path):
            return True
        if self.allow or ("%" not in self.pattern and "%" not in path and path.isascii()):
            return False
        return _fits(_unescape(self.pattern), _unescape(_escape(path)))


@dataclass(slots=True)
class Group:
    """The rules for one crawler, gathered from every group that names it."""

    rules: list[Rule] = field(default_factory=list)
    delay: float | None = None


@dataclass(frozen=True, slots=True)
class Robots:
    """A parsed robots.txt: groups by lower-case product token, and the sitemaps it names."""

    groups: dict[str, Group]
    sitemaps: tuple[str, ...]

    def group(self, agent: str) -> Group:
        """The group for `agent`, a product token such as DigitalCouncils, else that for all."""
        return self.groups.get(agent.lower()) or self.groups.get("*") or Group()

    def allowed(self, agent: str, url: str) -> bool:
        """Whether `agent` may ask for `url`: longest match, allow on a tie (RFC 9309, 2.2.2)."""
        path = _path(url)
        longest, verdict = -1, True
        for rule in self.group(agent).rules:
            length = len(rule.pattern)
            better = length > longest or (length == longest and rule.allow)
            if better and rule.matches(path):
                longest, verdict = length, rule.allow
        return verdict

    def delay(self, agent: str) -> float | None:
        """Seconds between requests that the file asks of `agent`, or None."""
        return self.group(agent).delay


ALLOW_ALL = Robots({}, ())
DISALLOW_ALL = Robots({"*": Group([Rule(allow=False, pattern="/")])}, ())


def parse(body: bytes) -> Robots:
    """Parse a robots.txt body of any encoding; what is no rule is passed over, as the RFC says."""
    groups: dict[str, Group] = {}
    sitemaps: list[str] = []
    current: list[Group] = []
    naming = False
    for line in _LINE.split(decode(body[:MAX_BYTES])):
        key, value = _field(line)
        if key == "agent":
            if not naming:
                current = []
            current.append(groups.setdefault(_token(value), Group()))
            naming = True
        elif key in {"allow", "disallow"}:
            naming = False
            if value:
                rule = Rule(key == "allow", _escape(value))
                for group in current:
                    group.rules.append(rule)
        elif key == "delay":
            seconds = _seconds(value)
            for group in current:
                group.delay = seconds if seconds is not None else group.delay
        elif key == "sitemap" and value:
            sitemaps.append(value)
    return Robots(groups, tuple(sitemaps))


def decode(body: bytes) -> str:
    """Text of a robots.txt: UTF-8 unless a byte order mark or zero bytes say UTF-16."""
    if body.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return body.decode("utf-16", "replace")
    if body[1:2] == b"\x00":
        return body.decode("utf-16-le", "replace")
    if body[:1] == b"\x00":
        return body.decode("utf-16-be", "replace")
    for mark in (codecs.BOM_UTF8, codecs.BOM_UTF8[:2], codecs.BOM_UTF8[:1]):
        body = body.removeprefix(mark)
    return body.decode("utf-8", "replace")


def _field(line: str) -> tuple[str | None, str]:
    """Known key and value of a line; a missing colon is forgiven where two words are left."""
    text = line.partition("#")[0].strip()
    name, colon, value = text.partition(":")
    if not colon:
        name, _, value = text.replace("\t", " ").partition(" ")
        value = value.strip()
        if " " in value:
            return None, ""
    return _KEYS.get(name.strip().lower()), value.strip()


def _token(agent: str) -> str:
    """Product token of a user agent or user-agent line, in lower case; '*' stays itself."""
    if agent == "*" or (agent.startswith("*") and agent[1:2].isspace()):
        return "*"
    found = _PRODUCT.match(agent)
    return found.group().lower() if found else ""


def _seconds(value: str) -> float | None:
    try:
        seconds = float(value)
    except ValueError:
        return None
    return seconds if 0 <= seconds < float("inf") else None


def _path(url: str) -> str:
    """Path and query of a URL, as the request line would carry them."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "/"
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _fits(pattern: str, path: str) -> bool:
    """Whether a pattern, with its * and final $, fits the start of `path`; linear in its parts."""
    anchored = pattern.endswith("$")
    head, *parts = (pattern[:-1] if anchored else pattern).split("*")
    if not path.startswith(head):
        return False
    at = len(head)
    if not parts:
        return not anchored or at == len(path)
    *middle, last = parts
    for part in middle:
        found = path.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    if anchored:
        return len(path) - len(last) >= at and path.endswith(last)
    return path.find(last, at) >= 0


def _escape(path: str) -> str:
    """Escape what is not ASCII and write escapes in capitals."""
    if not path.isascii():
        path = "".join(c if c.isascii() else quote(c, errors="replace") for c in path)
    return _ESCAPE.sub(lambda found: found.group().upper(), path)


def _unescape(path: str) -> str:
    """Undo the escapes of characters that need none (RFC 9309, 2.2.2; RFC 3986, 2.3)."""
    return _ESCAPE.sub(_plain, path)


def _plain(found: re.Match[str]) -> str:
    character = chr(int(found.group()[1:], 16))
    return character if character in _UNRESERVED else found.group()
